"""Leads: since when each customer is silent and how far they came, in step with what is stored of it (R13, A2, A5)."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from tasks.store import filling
from tasks.store.queries import Queries

# One number for everyone who refreshes: two loads that meet in one conversation must see each other's messages.
REFRESH_LOCK = 7_345_011
# A first load of so many conversations or messages writes every lead at once.
MANY = 50_000


def begin(connection: sa.Connection, changed: Collection[str] = ()) -> None:
    """Make the places where a load notes the conversations it touches; gone at the end of the transaction.

    `touched_conversations` are those whose messages change: `since` says before which moment none does (without it all
    are read), `is_said` whether the customer's own do. `changed_conversations` are those of which anything else does,
    with whose they were; it begins with `changed`.
    """
    connection.execute(sa.text("drop table if exists pg_temp.touched_conversations, pg_temp.changed_conversations"))
    connection.execute(
        sa.text(
            "create temporary table touched_conversations (conversation_id text primary key, "
            "since timestamptz not null default '-infinity', is_said boolean not null default true) on commit drop"
        )
    )
    connection.execute(
        sa.text(
            "create temporary table changed_conversations (conversation_id text primary key, customer_id text) "
            "on commit drop"
        )
    )
    if changed:
        conversations = sa.table("changed_conversations", sa.column("conversation_id"))
        connection.execute(sa.insert(conversations), [{"conversation_id": one} for one in sorted(changed)])


def wait(connection: sa.Connection, *, patiently: bool = True) -> bool:
    """Take the turn of refreshing until the end of the transaction; False when another has it and nobody waits.

    Before anything is written that a derivation of milestones writes too, or one of both waits for the other for good.
    """
    if patiently:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(REFRESH_LOCK)))
        return True
    return bool(connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(REFRESH_LOCK))).scalar_one())


def refresh(connection: sa.Connection, queries: Queries) -> int | None:
    """Bring the leads of every touched or changed conversation up to date, and note whose changed.

    Call it after the last write to core.messages, core.conversations and core.milestones, in the same transaction (read
    committed): until its end other refreshes wait for this one. Safe to repeat. Returns how many people it noted;
    None when all leads were written for the first time.
    """
    wait(connection)
    # Temporary tables are never analysed by themselves, and the plan hangs on how many conversations are in them.
    connection.execute(sa.text("analyze touched_conversations, changed_conversations"))
    touched = sa.select(sa.func.count()).select_from(sa.table("touched_conversations"))
    is_first = connection.execute(queries["core/leads_is_empty"]()).scalar_one()
    if is_first and connection.execute(touched).scalar_one() >= MANY:
        # Nobody has analysed tables that were filled just now, and row by row it would take a hundred times as long.
        for table in ("conversations", "messages", "milestones"):
            filling.sampled(connection, f"core.{table}")
        with filling.emptied(connection, queries, "leads"):
            connection.execute(sa.text("set local work_mem = '128MB'; set local enable_nestloop = off"))
            connection.execute(queries["core/leads_fill"]())
            connection.execute(sa.text("set local work_mem to default; set local enable_nestloop to default"))
        connection.execute(queries["core/silences_filled"]())
        return None
    # What a load touches is looked up: beside it even a short history is long, and nobody can tell beforehand how few
    # rows differ.
    connection.execute(
        sa.text(
            "set local work_mem = '64MB'; set local random_page_cost = 1.1; "
            "set local enable_hashjoin = off; set local enable_mergejoin = off"
        )
    )
    changed = connection.execute(queries["core/leads_refresh"]()).scalar_one()
    connection.execute(
        sa.text(
            "set local work_mem to default; set local random_page_cost to default; "
            "set local enable_hashjoin to default; set local enable_mergejoin to default"
        )
    )
    return changed
