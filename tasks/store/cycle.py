"""The purchase cycle: purchase days kept in step with the purchases, in the transaction that stores them (A15)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from tasks.store.queries import Queries

# One number for everyone who refreshes: two loads that meet in one customer must see each other's purchases.
REFRESH_LOCK = 7_345_010
# Above this many people a run looks at everybody, which costs less than asking for them one by one.
MANY = 50_000


def refresh(connection: sa.Connection, queries: Queries) -> int | None:
    """Bring the purchase days of everyone in the temporary table touched_customers up to date.

    Call it after the last write to core.purchases, in the same transaction (read committed) and after nothing else
    that waits: until the end of the transaction other refreshes wait for this one. Safe to repeat. Returns how many
    people's days changed; None when the days were written for the first time, for everybody.
    """
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(REFRESH_LOCK)))
    if connection.execute(queries["core/cycle_is_empty"]()).scalar_one():
        _fill(connection, queries)
        return None
    # A temporary table is never analysed by itself, and the plan hangs on how many people are in it.
    connection.execute(sa.text("analyze touched_customers"))
    return connection.execute(queries["core/cycle_refresh"]()).scalar_one()


def _fill(connection: sa.Connection, queries: Queries) -> None:
    """Everybody's days into the empty table; its indexes are built by sorting afterwards, half the work of a load."""
    indexes = connection.execute(queries["core/table_indexes"](relation="purchase_days")).mappings().all()
    connection.execute(queries["core/cycle_clear"]())
    for index in indexes:
        connection.execute(sa.text(index["drop"]))
    # Everybody is read, so one pass and one sort beat the index, whose rows the merge has only just written.
    for setting in ("work_mem = '128MB'", "enable_indexscan = off", "enable_indexonlyscan = off"):
        connection.execute(sa.text(f"set local {setting}"))
    connection.execute(queries["core/cycle_fill"]())
    for setting in ("work_mem", "enable_indexscan", "enable_indexonlyscan"):
        connection.execute(sa.text(f"set local {setting} to default"))
    connection.execute(sa.text("set local maintenance_work_mem = '256MB'"))
    for index in indexes:
        connection.execute(sa.text(index["create"]))
    connection.execute(queries["core/cycle_filled"]())
    connection.execute(sa.text("analyze core.purchase_days"))


def horizon(connection: sa.Connection, queries: Queries) -> datetime:
    """What a run stores so that the next one can ask `changed_since`; in UTC, before the run reads anything."""
    return connection.execute(queries["core/cycle_horizon"]()).scalar_one()


def changed_since(
    connection: sa.Connection, queries: Queries, since: datetime, at_most: int = MANY
) -> list[str] | None:
    """Everyone whose purchase days changed since `since`; None: more than `at_most`, so take a full pass."""
    if connection.execute(queries["core/cycle_filled_since"](since=since)).scalar_one():
        return None
    found = connection.execute(queries["core/cycle_changed_since"](since=since, at_most=at_most + 1)).scalars().all()
    return None if len(found) > at_most else list(found)
