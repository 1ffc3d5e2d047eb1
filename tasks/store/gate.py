"""The gate: every landed line is accepted, a duplicate, quarantined, parked or erased, and only then are facts.

Lines are routed by sets, in SQL: judged by tasks/store/judging.py, brought into `core` by tasks/store/merging.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tasks.rules.errors import GateError
from tasks.store import filling, judging, loads, merging
from tasks.store.loads import Counts
from tasks.store.queries import Queries

# One load is merged at a time: customers, guests and cancellations reach over the entities.
MERGE_LOCK = 7_345_009


def check(connection: sa.Connection, queries: Queries, load_id: int, key: str) -> None:
    """Judge every line of a landed load into the unlogged table raw.checked_<load_id>; may be repeated.

    `key` is the suppression key: erased people are known by a keyed hash only. Nothing in `core` is touched.
    """
    load = loads.open_load(connection, load_id)
    loads.clear_views(connection)
    connection.execute(sa.text(f"drop table if exists raw.{load.checked}"))
    loads.view_landing(connection, load)
    if load.options.get("key") == "generated":
        judging.generate_keys(connection, load)
    judging.read_lines(connection, queries, load)
    loads.view_checked(connection, load)
    judging.note_keywords(connection, queries, load)
    filling.sampled(connection, f"raw.{load.checked}")
    if not load.grouped:
        judging.mark_repeats(connection, queries, load)
    judging.drop_erased(connection, queries, load, key)
    loads.clear_views(connection)


def merge(connection: sa.Connection, queries: Queries, load_id: int, key: str) -> Counts:
    """Bring a checked load into `core` and count what became of its lines, in the caller's one transaction.

    Safe to repeat and independent of order and batching. Lines parked earlier are applied when their customer comes.
    """
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MERGE_LOCK)))
    counts = _merge_alone(connection, queries, load_id, key)
    _apply_parked(connection, queries, key)
    return counts


def _merge_alone(connection: sa.Connection, queries: Queries, load_id: int, key: str) -> Counts:
    load = loads.open_load(connection, load_id)
    if load.state not in {"landed", "held"}:
        raise GateError(f"load {load_id} of {load.source} is {load.state}; only a landed or held load is merged")
    loads.clear_views(connection)
    loads.view_landing(connection, load)
    loads.view_checked(connection, load)
    loads.view_stored(connection, load)
    last_quarantined = merging.newest_quarantined(connection)
    report = merging.merge_lines(connection, queries, load, key)
    counts = merging.settle(connection, queries, load, report, last_quarantined)
    loads.clear_views(connection)
    connection.execute(sa.text(f"drop table raw.{load.landed}, raw.{load.checked}"))
    return counts


def leave_out(connection: sa.Connection, queries: Queries, load_id: int, why: str) -> None:
    """Drop the lines of a held load and end it as failed. Raises GateError when it is not held."""
    load = loads.open_load(connection, load_id)
    if load.state != "held":
        raise GateError(f"load {load_id} of {load.source} is {load.state}; only a held load is left out")
    connection.execute(queries["core/load_left_out"](load_id=load_id, reason=why))
    connection.execute(sa.text(f"drop table raw.{load.landed}, raw.{load.checked}"))


def land_again(
    connection: sa.Connection,
    queries: Queries,
    load_id: int,
    why: str,
    lines: Sequence[Mapping[str, Any]],
    as_of: datetime | None = None,
) -> int:
    """Land lines kept earlier (raw, broken, fields) as a new load like the one that brought them; returns its id."""
    again = connection.execute(queries["core/loads_again"](load_id=load_id, object=why, as_of=as_of)).scalar_one()
    load = loads.open_load(connection, again)
    connection.execute(
        sa.text(f"create table raw.{load.landed} partition of raw.{load.entity} for values in ({again})")
    )
    landing = sa.Table(load.landed, sa.MetaData(), schema="raw", autoload_with=connection)
    names = [column.name for column in landing.columns]
    kept = {"load_id", "line_no", "raw", "broken"}
    for line in lines:
        unknown = line["fields"].keys() - set(names) | (line["fields"].keys() & kept)
        if unknown:
            raise GateError(f"{load.entity} has no column {', '.join(sorted(unknown))}; it has {', '.join(names[4:])}")
    connection.execute(
        sa.insert(landing),
        [
            {name: line["fields"].get(name) for name in names}
            | {"load_id": again, "line_no": number, "raw": line["raw"], "broken": line["broken"]}
            for number, line in enumerate(lines, 1)
        ],
    )
    row = loads.loads_table()
    connection.execute(sa.update(row).where(row.c.load_id == again).values(lines_in=len(lines)))
    return again


def set_zone(connection: sa.Connection, load_id: int, zone: str | None) -> None:
    """Name the zone of a landed load's times without one, when its source has learnt it since."""
    row = loads.loads_table()
    connection.execute(sa.update(row).where(row.c.load_id == load_id).values(time_zone=zone))


def _apply_parked(connection: sa.Connection, queries: Queries, key: str) -> None:
    """Land parked lines of people who are known now again, one load per load that brought them."""
    for waiting in connection.execute(queries["core/parked_ready"]()).mappings().all():
        kept = connection.execute(queries["core/parked_taken"](**waiting)).mappings()
        lines = [dict(line) for line in kept]
        again = land_again(connection, queries, waiting["load_id"], "parked lines whose customer came", lines)
        check(connection, queries, again, key)
        _merge_alone(connection, queries, again, key)
