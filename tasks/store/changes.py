"""Whose facts changed since a run looked: what lets a run ask about few people instead of everybody."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from tasks.store.queries import Queries

# Above this many people a run looks at everybody, which costs less than asking for them one by one.
MANY = 50_000
# Views a segment may read -> which note of changes covers them (sql/core/<note>_changed_since.sql).
NOTED: Final = {
    "facts.purchase_days": "cycle",
    "facts.conversations": "silences",
    "facts.free_windows": "silences",
    "facts.milestones": "silences",
    "facts.silences": "silences",
}


def horizon(connection: sa.Connection, queries: Queries) -> datetime:
    """What a run stores so that the next one can ask `changed_since`; in UTC, before the run reads anything."""
    return connection.execute(queries["core/cycle_horizon"]()).scalar_one()


def changed_since(
    connection: sa.Connection, queries: Queries, relations: Collection[str], since: datetime, at_most: int = MANY
) -> list[str] | None:
    """Everyone of whom something in these relations changed since `since`.

    None when a full pass is due: more than `at_most` changed, everybody was written at once, or nobody notes it.
    """
    people: set[str] = set()
    notes = {NOTED[relation] for relation in relations if relation in NOTED}
    for note in sorted(notes):
        if connection.execute(queries[f"core/{note}_filled_since"](since=since)).scalar_one():
            return None
        people |= set(
            connection.execute(queries[f"core/{note}_changed_since"](since=since, at_most=at_most + 1)).scalars()
        )
    return sorted(people) if notes and len(people) <= at_most else None
