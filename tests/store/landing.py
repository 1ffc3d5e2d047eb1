"""Lands rows for the gate the way a source does: one partition, one row of raw.loads, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from tasks.store import gate
from tasks.store.engine import Database
from tasks.store.loads import ENTITIES, Counts
from tasks.store.queries import Queries
from tests.store.conftest import OneTransaction

KEY = "a key for tests"
AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
AT = "2026-05-01T10:00:00Z"

# One good line of every entity; a test changes what it is about.
GOOD: dict[str, dict[str, str]] = {
    "customers": {"customer_id": "c1", "email": "ann@example.com", "updated_at": AT},
    "purchases": {
        "order_id": "o1", "customer_id": "c1", "purchased_at": AT, "amount": "12.50", "currency": "EUR",
        "status": "paid", "updated_at": AT,
    },
    "checkouts": {
        "checkout_id": "k1", "customer_id": "c1", "status": "submitted", "opened_at": AT, "updated_at": AT,
    },
    "events": {"event_id": "e1", "customer_id": "c1", "name": "Charged", "occurred_at": AT},
    "conversations": {
        "conversation_id": "v1", "customer_id": "c1", "channel": "whatsapp", "opened_at": AT, "milestone": "lead",
        "milestone_at": AT, "updated_at": AT,
    },
    "messages": {
        "message_id": "m1", "conversation_id": "v1", "direction": "inbound", "sender": "customer", "sent_at": AT,
    },
    "ads": {"ad_id": "a1", "campaign_name": "spring", "status": "active", "updated_at": AT},
    "consents": {
        "consent_id": "n1", "customer_id": "c1", "channel": "email", "purpose": "marketing", "status": "granted",
        "basis": "express", "source": "signup", "occurred_at": AT,
    },
    "push_tokens": {
        "token_id": "t1", "customer_id": "c1", "endpoint": "x", "platform": "fcm", "active": "true", "updated_at": AT,
    },
    "visits": {"visit_id": "w1", "session_id": "s1", "page_url": "https://example.com/", "viewed_at": AT},
}  # fmt: skip


def land(
    connection: sa.Connection,
    entity: str,
    lines: Sequence[Mapping[str, Any]],
    *,
    time_zone: str | None = None,
    as_of: datetime = AS_OF,
    **options: Any,
) -> int:
    """Land lines of one entity; a line's `broken` and `raw` are taken from it when it has them."""
    loads = sa.Table("loads", sa.MetaData(), schema="raw", autoload_with=connection)
    load_id = connection.execute(
        sa.insert(loads)
        .values(
            source="test", entity=entity, object="test.csv", as_of=as_of, time_zone=time_zone, lines_in=len(lines),
            options={"key": "column", "group": None, "content_excludes": []} | options,
        )
        .returning(loads.c.load_id)
    ).scalar_one()  # fmt: skip
    partition = f"{entity}_{load_id}"
    connection.execute(sa.text(f"create table raw.{partition} partition of raw.{entity} for values in ({load_id})"))
    if lines:
        table = sa.Table(partition, sa.MetaData(), schema="raw", autoload_with=connection)
        empty = dict.fromkeys(table.c.keys())
        connection.execute(
            sa.insert(table),
            [
                empty | {"load_id": load_id, "line_no": number, "raw": json.dumps(line)} | dict(line)
                for number, line in enumerate(lines, 2)
            ],
        )
    return load_id


def load(
    database: Database | OneTransaction,
    queries: Queries,
    entity: str,
    lines: Sequence[Mapping[str, Any]],
    **options: Any,
) -> Counts:
    """Land, check and merge lines, each in a transaction of its own as an ingest does."""
    with database.transaction() as connection:
        load_id = land(connection, entity, lines, **options)
    with database.transaction() as connection:
        gate.check(connection, queries, load_id, KEY)
    with database.transaction() as connection:
        return gate.merge(connection, queries, load_id, KEY)


def good(entity: str, **changed: str | None) -> dict[str, str | None]:
    """A good line of an entity with some columns changed."""
    return GOOD[entity] | changed


def rows(database: Database | OneTransaction, table: str, *left_out: str) -> list[dict[str, Any]]:
    """Every row of a table in the order of its first column, without bookkeeping columns."""
    with database.transaction() as connection:
        schema, name = table.split(".")
        found = sa.Table(name, sa.MetaData(), schema=schema, autoload_with=connection)
        query = sa.select(found).order_by(*[column for column in found.c if not isinstance(column.type, sa.JSON)])
        return [
            {name: value for name, value in row.items() if name not in left_out}
            for row in connection.execute(query).mappings()
        ]


__all__ = ["AS_OF", "AT", "ENTITIES", "GOOD", "KEY", "good", "land", "load", "rows"]
