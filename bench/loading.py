"""The whole path of a file of purchases: landing, gate, merge, purchase cycle; and the same file by bare COPY."""

from __future__ import annotations

import csv
import json
import os
import resource
import sys
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa

from bench.place import COLUMNS, MEGABYTE, Place, in_a_process, open_workspace, statement, timed
from bench.report import Figure
from config.sources import FileSource
from tasks import pull
from tasks.sources import files, landing
from tasks.store import gate
from tasks.store.workspace import Workspace

ROUNDS = 3


def load(
    work: Workspace, as_of: datetime, *, validated: bool = False, source_name: str = "purchases"
) -> dict[str, float]:
    """Bring in every new file of a source, as tasks/pull.py does; seconds by phase.

    The data gate (Great Expectations) is asked only when `validated`, and its seconds are apart.
    """
    source = work.sources[source_name]
    key = work.settings.suppression_key.get_secret_value()
    if not isinstance(source, FileSource):
        raise TypeError("the benches load files")
    with work.database.transaction() as connection:
        known = {
            (row.key, row.etag) for row in connection.execute(work.queries["core/object_list"](source=source_name))
        }
    spent = dict.fromkeys(("landing", "gate", "great expectations", "merge and cycle"), 0.0)
    for entry in files.new_objects(source, source_name, work.settings.folder("sources").parent, known):
        marks = [time.perf_counter()]
        extract = landing.Extract(source_name, source, entry.key, entry.etag, as_of, "a key")
        with work.database.transaction() as connection:
            load_id = landing.begin(connection, work.queries, extract)
            with files.read(source, entry) as reading:
                landing.fill(connection, work.queries, extract, load_id, reading)
            seen = work.queries["core/object_seen"]
            connection.execute(seen(source=source_name, key=entry.key, etag=entry.etag, load_id=load_id))
        marks.append(time.perf_counter())
        with work.database.transaction() as connection:
            gate.check(connection, work.queries, load_id, key)
        marks.append(time.perf_counter())
        if validated:
            pull.validate.load(work, load_id, as_of)
        marks.append(time.perf_counter())
        with work.database.transaction() as connection:
            gate.merge(connection, work.queries, load_id, key)
        marks.append(time.perf_counter())
        for phase, begin, end in zip(spent, marks, marks[1:], strict=False):
            spent[phase] += end - begin
    return spent


def write_day(work: Workspace, path: Path, day: Any, purchases: int) -> None:
    """A file with one day's purchases, made from the history's own customers."""
    with work.database.transaction() as connection:
        connection.execute(sa.text("select setseed(0.5)"))
        rows = connection.execute(statement("day", day=day, purchases=purchases)).all()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            stamp = row.purchased_at.isoformat()
            writer.writerow((row.order_id, row.customer_id, stamp, row.amount, "EUR", "paid", stamp))


def write_history(work: Workspace, path: Path) -> None:
    """A file with every purchase of a history, as a user's export would be."""
    purchases = sa.table("purchases", *(sa.column(name) for name in COLUMNS), schema="core")
    query = str(sa.select(purchases).compile())
    with work.database.transaction() as connection, path.open("wb") as file:
        connection.connection.cursor().copy_expert(f"copy ({query}) to stdout (format csv, header)", file, 1 << 16)


def copied(work: Workspace, path: Path) -> float:
    r"""Seconds of `\copy` of a file into a fresh logged table with a primary key: the yardstick."""
    table = sa.Table(
        "yardstick",
        sa.MetaData(schema="public"),
        sa.Column("order_id", sa.Text, primary_key=True),
        *(sa.Column(name, kind, nullable=False) for name, kind in zip(COLUMNS[1:], _KINDS, strict=True)),
    )
    with work.database.transaction() as connection:
        table.create(connection)

    def copy() -> None:
        with work.database.transaction() as connection, path.open("rb") as file:
            cursor = connection.connection.cursor()
            cursor.copy_expert("copy public.yardstick from stdin (format csv, header)", file, 1 << 16)

    seconds = timed(copy)
    with work.database.transaction() as connection:
        table.drop(connection)
    return seconds


_KINDS = (sa.Text(), sa.DateTime(timezone=True), sa.Numeric(14, 2), sa.Text(), sa.Text(), sa.DateTime(timezone=True))


def first_load(place: Place, path: Path, as_of: datetime) -> list[Figure]:
    """First load of a file into fresh databases, in turn with the yardstick; and once more with the data gate."""
    ratios, seconds, yardsticks, memory, phases = [], [], [], [], []
    validated: dict[str, Any] = {}
    for number in range(ROUNDS + 1):
        work = place.workspace(f"first_{number}")
        try:
            target = work.settings.config / "purchases" / "purchases.csv"
            target.hardlink_to(path)
            if number == ROUNDS:
                validated = _in_a_process(place, work, as_of, validated=True)
                continue
            os.sync()  # neither side waits for what was written before it
            yardsticks.append(copied(work, path))
            os.sync()
            answer = _in_a_process(place, work, as_of, validated=False)
            seconds.append(sum(answer["seconds"].values()))
            ratios.append(seconds[-1] / yardsticks[-1])
            memory.append(answer["peak_mb"])
            phases.append(answer["seconds"])
        finally:
            place.drop(work)
    return [
        Figure("first load against \\copy into a logged table with a primary key", median(ratios), "x", 5),
        Figure("memory of our process at its peak", max(memory), "MB", 400),
        Figure("first load, seconds", median(seconds), "s"),
        *(
            Figure(f"of it {phase}", median(one[phase] for one in phases), "s")
            for phase in ("landing", "gate", "merge and cycle")
        ),
        Figure("\\copy, seconds", median(yardsticks), "s"),
        Figure("Great Expectations: import and checks of this load", validated["seconds"]["great expectations"], "s"),
        Figure("memory with Great Expectations imported, at its peak", validated["peak_mb"], "MB"),
    ]


def _in_a_process(place: Place, work: Workspace, as_of: datetime, *, validated: bool) -> dict[str, Any]:
    words = (str(place.folder), work.database.name, as_of.isoformat(), "validated" if validated else "plain")
    return in_a_process("bench.loading", *words)


def main() -> None:
    """One load in this process; prints its seconds by phase and the peak of its memory."""
    folder, name, as_of, how = sys.argv[1:]
    work = open_workspace(Path(folder), name)
    work.queries.verify()
    spent = load(work, datetime.fromisoformat(as_of), validated=how == "validated")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEGABYTE
    print(json.dumps({"seconds": spent, "peak_mb": peak}))


if __name__ == "__main__":
    main()
