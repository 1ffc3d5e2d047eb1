"""Who wrote, and to which conversation each message belongs: for messages that tell a person instead of both.

Everything is computed anew, for the people whom a load touches, from all that is known of them. So the answer is the
same in whatever order and batches messages, ids and customers come.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tasks.store import contacts, cycle, silences
from tasks.store.loads import Load
from tasks.store.queries import Queries

_TABLES = {
    "touched_writers": "writer_id text not null",
    "touched_people": "customer_id text not null",
    "threaded": (
        "message_id text not null, conversation_id text, customer_id text not null, account text, ad_id text, "
        "sent_at timestamptz not null"
    ),
    "opened": "conversation_id text not null",
    "linked_writers": "writer_id text not null, customer_id text not null",
}


def of_messages(connection: sa.Connection, queries: Queries, load: Load) -> dict[str, Any]:
    """After messages were merged: know their writers, find their conversations; `opened` holds those that are new."""
    make_tables(connection)
    connection.execute(queries["core/writers_seen"]())
    return _settle(connection, queries, load)


def of_customers(connection: sa.Connection, queries: Queries, load: Load) -> dict[str, Any]:
    """After customers were described and their numbers derived: link or part writers of their numbers."""
    make_tables(connection)
    connection.execute(queries["core/writers_of_customers"]())
    return _settle(connection, queries, load)


def make_tables(connection: sa.Connection) -> None:
    """Empty temporary tables that the steps hand on."""
    for name, columns in _TABLES.items():
        connection.execute(sa.text(f"drop table if exists pg_temp.{name}"))
        connection.execute(sa.text(f"create temporary table {name} ({columns}) on commit drop"))


def _settle(connection: sa.Connection, queries: Queries, load: Load) -> dict[str, Any]:
    if not _any(connection, "touched_writers"):
        return {}
    connection.execute(sa.text("analyze touched_writers"))
    found = connection.execute(queries["core/writers_resolve"](as_of=load.as_of)).one()
    connection.execute(sa.text("analyze touched_people"))
    connection.execute(queries["core/writers_described"](as_of=load.as_of, load_id=load.load_id))
    _history(connection, queries)
    connection.execute(queries["core/writers_gone"]())
    contacts.refresh(connection, queries, load.as_of)
    connection.execute(queries["core/threads_assign"]())
    connection.execute(sa.text("analyze threaded"))
    connection.execute(queries["core/threads_touched"]())
    connection.execute(queries["core/threads_messages"]())
    connection.execute(queries["core/threads_opened"](load_id=load.load_id))
    silences.wait(connection)  # milestones go, and a derivation that has this turn writes them
    gone = connection.execute(queries["core/threads_gone"]()).scalar_one()
    told = {
        "writers_linked": found.moved,
        "writers_with_several_customers": found.ambiguous,
        "conversations_gone": gone,
    }
    return {name: count for name, count in told.items() if count}


def linked(connection: sa.Connection) -> list[str]:
    """Ids of WhatsApp that `of_messages` or `of_customers` found to be somebody else than before."""
    linked_writers = sa.table("linked_writers", sa.column("writer_id"))
    return list(connection.execute(sa.select(linked_writers.c.writer_id)).scalars())


def of_lines(connection: sa.Connection, queries: Queries, load: Load) -> None:
    """After events, purchases or conversations were merged: those under an id of WhatsApp are the customer's."""
    make_tables(connection)
    if connection.execute(queries["core/linked_lines"]()).rowcount:
        connection.execute(sa.text("analyze linked_writers"))
        connection.execute(queries[f"core/linked_{load.entity}"]())


def _history(connection: sa.Connection, queries: Queries) -> None:
    """What came under ids of WhatsApp that are somebody else now counts for whoever that is."""
    if not _any(connection, "linked_writers"):
        return
    connection.execute(sa.text("analyze linked_writers"))
    connection.execute(queries["core/linked_events"]())
    connection.execute(queries["core/linked_conversations"]())
    cycle.begin(connection)
    if connection.execute(queries["core/linked_purchases"]()).rowcount:
        cycle.refresh(connection, queries)


def _any(connection: sa.Connection, table: str) -> bool:
    return bool(
        connection.execute(sa.select(sa.exists(sa.select(sa.literal(1)).select_from(sa.table(table))))).scalar()
    )
