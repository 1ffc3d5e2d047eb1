"""The purchase cycle: purchase days kept in step with the purchases, in the transaction that stores them (A15)."""

from __future__ import annotations

import sqlalchemy as sa

from tasks.store import filling
from tasks.store.queries import Queries

# One number for everyone who refreshes: two loads that meet in one customer must see each other's purchases.
REFRESH_LOCK = 7_345_010


def begin(connection: sa.Connection) -> None:
    """Make the place where a load notes whose purchases change, and from when on; gone with the transaction."""
    connection.execute(sa.text("drop table if exists pg_temp.touched_customers"))
    connection.execute(
        sa.text(
            "create temporary table touched_customers (customer_id text primary key, since timestamptz not null) "
            "on commit drop"
        )
    )


def refresh(connection: sa.Connection, queries: Queries) -> int | None:
    """Bring the purchase days of everyone in the temporary table touched_customers up to date.

    Call it after the last write to core.purchases, in the same transaction (read committed) and after nothing else
    that waits: until the end of the transaction other refreshes wait for this one. Safe to repeat. A column `since`
    of touched_customers says before which moment none of a person's purchases changed; without it all are read.
    Returns how many people's days changed; None when the days were written for the first time, for everybody.
    """
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(REFRESH_LOCK)))
    if connection.execute(queries["core/cycle_is_empty"]()).scalar_one():
        _fill(connection, queries)
        return None
    since = "since timestamptz not null default '-infinity'"
    connection.execute(sa.text(f"alter table touched_customers add column if not exists {since}"))
    # A temporary table is never analysed by itself, and the plan hangs on how many people are in it.
    connection.execute(sa.text("analyze touched_customers"))
    # A day's people are looked up: beside them even a short history is long.
    connection.execute(sa.text("set local random_page_cost = 1.1"))
    changed = connection.execute(queries["core/cycle_refresh"]()).scalar_one()
    connection.execute(sa.text("set local random_page_cost to default"))
    return changed


def _fill(connection: sa.Connection, queries: Queries) -> None:
    """Everybody's days into the empty table."""
    with filling.emptied(connection, queries, "purchase_days"):
        # Everybody is read, so one pass and one sort beat the index, whose rows the merge has only just written.
        for setting in ("work_mem = '4MB'", "enable_indexscan = off", "enable_indexonlyscan = off"):
            connection.execute(sa.text(f"set local {setting}"))
        connection.execute(queries["core/cycle_fill"]())
        for setting in ("work_mem", "enable_indexscan", "enable_indexonlyscan"):
            connection.execute(sa.text(f"set local {setting} to default"))
    connection.execute(queries["core/cycle_filled"]())
