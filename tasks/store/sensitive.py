"""What segments may not see, in the database, where the views of `facts` look it up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from config.sensitive import Sensitive
from tasks.store.workspace import Workspace

_LOCK: Final = 7_345_012


@dataclass(frozen=True)
class InForce:
    """One entry of the configuration and since when segments feel it; None until the next one runs."""

    entry: Sensitive
    recorded_at: datetime | None


def refresh(work: Workspace) -> bool:
    """Write down what reengage.yaml calls sensitive when it says something else than last time; whether it did.

    In a transaction of its own, before the analyst's connection is opened: what is hidden is hidden at once.
    """
    wanted = _wanted(work)
    with work.database.transaction() as connection:
        if _known(work, connection).keys() == wanted.keys():
            return False
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        rows: list[dict[str, Any]] = [
            {"column_name": entry.column, "keys": sorted(set(entry.keys)), "shown_because": entry.shown_because}
            for entry in wanted.values()
        ]
        connection.execute(work.queries["ledger/sensitive_store"](columns=rows))
    return True


def in_force(work: Workspace, connection: sa.Connection) -> Iterator[InForce]:
    """Every entry of the configuration, with the moment it was written down."""
    known = _known(work, connection)
    for key, entry in _wanted(work).items():
        yield InForce(entry, known.get(key))


_Key = tuple[str, tuple[str, ...], str | None]


def _wanted(work: Workspace) -> dict[_Key, Sensitive]:
    entries = work.settings.pipeline.sensitive
    return {(entry.column, tuple(sorted(set(entry.keys))), entry.shown_because): entry for entry in entries}


def _known(work: Workspace, connection: sa.Connection) -> dict[_Key, datetime]:
    rows = connection.execute(work.queries["ledger/sensitive_known"]())
    return {(row.column_name, tuple(row.keys), row.shown_because): row.recorded_at for row in rows}
