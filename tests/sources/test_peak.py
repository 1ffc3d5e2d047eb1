"""Memory does not grow with an extract: the peak of a process that lands a small one and then one ten times as big."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config.settings import CHECKOUT
from tasks.store.engine import Database

# Two blocks of every reader at least. The bigger one has 45 MB of text more, over 200 MB as Python holds it.
SMALL, BIG = 50_000, 500_000
BOUND = 48 << 20

SOURCES = """
sources:
  {name}:
    kind: file
    entity: events
    format: {format}
    place: {name}.{ending}
    columns: {{event_id: id, customer_id: who, name: what, occurred_at: at}}
"""
QUERY = """
sources:
  {name}:
    kind: sql
    entity: events
    url_from: PEAK_DATABASE_URL
    query: >
      select 'E' || lpad(n::text, 20, '0') as id, 'C' || n % 1000 as who, 'opened the page of an offer' as what,
      '2026-05-01T10:00:00Z' as at from generate_series(1, {lines}) as n
    columns: {{event_id: id, customer_id: who, name: what, occurred_at: at}}
"""


def _rows(lines: int):
    return ((f"E{n:020}", f"C{n % 1000}", "opened the page of an offer", "2026-05-01T10:00:00Z") for n in range(lines))


def _csv(lines: int) -> bytes:
    return "".join(f"{','.join(row)}\n" for row in [("id", "who", "what", "at"), *_rows(lines)]).encode()


def _json(lines: int) -> bytes:
    return "".join(
        f'{{"id": "{key}", "who": "{who}", "what": "{what}", "at": "{at}"}}\n' for key, who, what, at in _rows(lines)
    ).encode()


def _parquet(lines: int) -> bytes:
    made = pa.BufferOutputStream()
    columns = zip(*_rows(lines), strict=True)
    table = pa.table(dict(zip(("id", "who", "what", "at"), map(list, columns), strict=True)))
    pq.write_table(table, made, row_group_size=20_000)
    return made.getvalue().to_pybytes()


WRITERS: dict[str, tuple[str, Callable[[int], bytes] | None]] = {
    "csv": ("delimited", _csv),
    "csv.gz": ("delimited", lambda lines: gzip.compress(_csv(lines), 1)),
    "jsonl": ("jsonl", _json),
    "parquet": ("parquet", _parquet),
    "a database": ("sql", None),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_a_bigger_extract_takes_no_more_memory(database: Database, tmp_path: Path, ending: str) -> None:
    kind, write = WRITERS[ending]
    parts = []
    for name, lines in (("small", SMALL), ("big", BIG)):
        if write is None:
            parts.append(QUERY.format(name=name, lines=lines))
        else:
            (tmp_path / f"{name}.{ending}").write_bytes(write(lines))
            parts.append(SOURCES.format(name=name, format=kind, ending=ending))
    (tmp_path / "sources.yaml").write_text("\n".join([parts[0], parts[1].replace("\nsources:\n", "")]))

    found = subprocess.run(
        [sys.executable, "-m", "tests.sources.peak", str(tmp_path), "small", "big"],
        cwd=CHECKOUT,
        env={**os.environ, "PEAK_DATABASE_URL": database.url.render_as_string(hide_password=False)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 0, found.stderr
    (small, before), (big, after) = (map(int, line.split()) for line in found.stdout.splitlines())
    assert (small, big) == (SMALL, BIG)
    assert after - before < BOUND
