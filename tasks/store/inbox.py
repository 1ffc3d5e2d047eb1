"""The inbox in the app, as its owner sees it: what is there and what was read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from tasks.store.queries import Queries

MOST_LISTED = 100


@dataclass(frozen=True)
class InboxMessage:
    """One message in somebody's inbox."""

    message_id: UUID
    title: str
    text: str
    link: str | None
    created_at: datetime
    expires_at: datetime
    read_at: datetime | None


def listed(
    connection: sa.Connection, queries: Queries, customer_id: str, at: datetime | None = None
) -> list[InboxMessage]:
    """The unexpired messages of a person, newest first; `at` None is the database's clock."""
    found = connection.execute(queries["ledger/inbox_list"](customer_id=customer_id, at=at, most=MOST_LISTED))
    return [InboxMessage(**row) for row in found.mappings()]


def read(
    connection: sa.Connection, queries: Queries, customer_id: str, message_id: UUID, at: datetime | None = None
) -> datetime | None:
    """Note that a message was read; answers when it first was, None when this person has no such message (any more)."""
    return connection.execute(
        queries["ledger/inbox_read"](customer_id=customer_id, message_id=message_id, at=at)
    ).scalar_one_or_none()
