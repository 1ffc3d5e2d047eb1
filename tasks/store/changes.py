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
    "facts.leads": "silences",
    "facts.milestones": "silences",
    "facts.silences": "silences",
}
# Notes that cover whatever can end an episode: stop events, goals, and which ids a person has.
ENDINGS: Final = frozenset({"people", "silences"})
# Notes that cover besides who may be told about: consents, what stands in their way, contacts.
STANDING: Final = ENDINGS | {"ways"}


def horizon(connection: sa.Connection, queries: Queries) -> datetime:
    """What a run stores so that the next one can ask `changed_since`; in UTC, before the run reads anything."""
    return connection.execute(queries["core/cycle_horizon"]()).scalar_one()


def notes_of(relations: Collection[str]) -> set[str]:
    """The notes that cover these views; none where nobody notes changes of any."""
    return {NOTED[relation] for relation in relations if relation in NOTED}


def changed_since(
    connection: sa.Connection, queries: Queries, notes: Collection[str], since: datetime, at_most: int = MANY
) -> list[str] | None:
    """Everyone of whom one of these notes says that something changed since `since`.

    None when a full pass is due: more than `at_most` changed, everybody was written at once, or there is no note.
    """
    people: set[str] = set()
    for note in sorted(notes):
        if connection.execute(queries[f"core/{note}_filled_since"](since=since)).scalar_one():
            return None
        people |= set(
            connection.execute(queries[f"core/{note}_changed_since"](since=since, at_most=at_most + 1)).scalars()
        )
    return sorted(people) if notes and len(people) <= at_most else None
