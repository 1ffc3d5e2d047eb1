"""Tables and JSON lines as files whose bytes hang on nothing but their content."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet


def seconds(moment: datetime) -> int:
    """Whole seconds since 1970."""
    return int(moment.timestamp())


def iso(moment: datetime) -> str:
    """A moment in UTC as JSON exports write it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def iso_of(since_1970: int) -> str:
    """A moment from seconds since 1970 as JSON exports write it."""
    return iso(datetime.fromtimestamp(since_1970, UTC))


def instants(since_1970: np.ndarray) -> pa.Array:
    """Moments from seconds since 1970."""
    return pa.array(since_1970.astype("datetime64[s]"), pa.timestamp("s", tz="UTC"))


def where(kept: np.ndarray, values: Sequence[str]) -> list[str | None]:
    """The values that are kept, nothing in place of the others."""
    return [value if keep else None for keep, value in zip(kept, values, strict=True)]


def write_csv(path: Path, table: dict[str, Any], extra: Sequence[str] = ()) -> int:
    """One CSV file (gzip by its name) with `extra` lines as they are at the end; returns its rows."""
    rows = pa.table(table)
    sink = pa.BufferOutputStream()
    arrow_csv.write_csv(rows, sink)
    _write(path, sink.getvalue().to_pybytes() + _lines(extra))
    return rows.num_rows + len(extra)


def write_json(path: Path, rows: Sequence[dict[str, Any]], extra: Sequence[str] = ()) -> int:
    """One JSON Lines file (gzip by its name) with `extra` lines as they are at the end; returns its rows."""
    written = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    _write(path, _lines([*written, *extra]))
    return len(rows) + len(extra)


def write_parquet(path: Path, table: dict[str, Any]) -> int:
    """One Parquet file; returns its rows."""
    rows = pa.table(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrow_parquet.write_table(rows, path)
    return rows.num_rows


def _lines(texts: Iterable[str]) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A fixed time stamp in the gzip header keeps the bytes a function of the seed.
    path.write_bytes(gzip.compress(content, compresslevel=1, mtime=0) if path.suffix == ".gz" else content)
