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
        connection.execute(queries["core/cycle_clear"]())
        connection.execute(queries["core/cycle_fill"]())
        connection.execute(queries["core/cycle_fill_changed"]())
        connection.execute(sa.text("analyze core.purchase_days, core.purchase_days_changed"))
        return None
    # A temporary table is never analysed by itself, and the plan hangs on how many people are in it.
    connection.execute(sa.text("analyze touched_customers"))
    return connection.execute(queries["core/cycle_refresh"]()).scalar_one()


def horizon(connection: sa.Connection, queries: Queries) -> datetime:
    """What a run stores so that the next one can ask `changed_since`; in UTC, before the run reads anything."""
    return connection.execute(queries["core/cycle_horizon"]()).scalar_one()


def changed_since(
    connection: sa.Connection, queries: Queries, since: datetime, at_most: int = MANY
) -> list[str] | None:
    """Everyone whose purchase days changed since `since`; None when they are more than `at_most`: take a full pass."""
    found = connection.execute(queries["core/cycle_changed_since"](since=since, at_most=at_most + 1)).scalars().all()
    return None if len(found) > at_most else list(found)
