"""Silences and free windows, kept in step with conversations and messages in the transaction that stores them (R13)."""

from __future__ import annotations

import sqlalchemy as sa

from tasks.store import filling
from tasks.store.queries import Queries

# One number for everyone who refreshes: two loads that meet in one conversation must see each other's messages.
REFRESH_LOCK = 7_345_011
# A first load of so many conversations or messages writes everybody's silences at once.
MANY = 50_000


def begin(connection: sa.Connection) -> None:
    """Make the places where a load notes the conversations it touches; gone at the end of the transaction.

    `since` says before which moment no message of a conversation changes; without it all are read.
    """
    connection.execute(sa.text("drop table if exists pg_temp.touched_conversations, pg_temp.changed_conversations"))
    connection.execute(
        sa.text(
            "create temporary table touched_conversations "
            "(conversation_id text primary key, since timestamptz not null default '-infinity') on commit drop"
        )
    )
    connection.execute(
        sa.text(
            "create temporary table changed_conversations (conversation_id text primary key, customer_id text) "
            "on commit drop"
        )
    )


def refresh(connection: sa.Connection, queries: Queries) -> int | None:
    """Bring silences and free windows of everyone in `touched_conversations` up to date, and note whose changed.

    Call it after the last write to core.messages and core.conversations, in the same transaction (read committed):
    until its end other refreshes wait for this one. Safe to repeat. Returns how many conversations' silences changed;
    None when all were written for the first time.
    """
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(REFRESH_LOCK)))
    # A temporary table is never analysed by itself, and the plan hangs on how many conversations are in it.
    connection.execute(sa.text("analyze touched_conversations"))
    touched = sa.select(sa.func.count()).select_from(sa.table("touched_conversations"))
    is_first = connection.execute(queries["core/silences_is_empty"]()).scalar_one()
    if is_first and connection.execute(touched).scalar_one() >= MANY:
        _fill(connection, queries)
        return None
    # What a load touches is looked up: beside it even a short history is long.
    connection.execute(sa.text("set local random_page_cost = 1.1"))
    # Rows whose place is known are read there: nobody can tell beforehand how few they are.
    connection.execute(sa.text("set local enable_hashjoin = off"))
    changed = connection.execute(queries["core/silences_refresh"]()).scalar_one()
    connection.execute(sa.text("set local enable_hashjoin to default"))
    connection.execute(sa.text("analyze changed_conversations"))
    connection.execute(queries["core/free_windows_refresh"]())
    connection.execute(queries["core/silences_noted"]())
    connection.execute(sa.text("set local random_page_cost to default"))
    return changed


def _fill(connection: sa.Connection, queries: Queries) -> None:
    with filling.emptied(connection, queries, "silences"):
        connection.execute(sa.text("set local work_mem = '128MB'"))
        connection.execute(queries["core/silences_fill"]())
    with filling.emptied(connection, queries, "free_windows"):
        connection.execute(queries["core/free_windows_fill"]())
        connection.execute(sa.text("set local work_mem to default"))
    connection.execute(queries["core/silences_filled"]())
