"""Delete what is kept longer than its period, in batches, and never what something open still needs (C24)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import sqlalchemy as sa

from tasks.rules.keyed import pads
from tasks.store.gate import MERGE_LOCK
from tasks.store.queries import Queries
from tasks.store.workspace import Workspace

BATCH = 5_000
# A run that finds years of rows goes on the next day rather than blocking the tables for hours.
MOST_BATCHES = 200

# The kinds of config's Retention that one statement each deletes. Reports go before attempts, which they keep.
STATEMENTS: Final = {
    "quarantine": "core/retain_quarantine",
    "parked": "core/retain_parked",
    "received": "core/retain_received",
    "visits": "core/retain_visits",
    "provider_events": "ledger/retain_provider_events",
    "attempts": "ledger/retain_attempts",
    "replies": "ledger/retain_replies",
    "inbox": "ledger/retain_inbox",
    "outbox": "ledger/retain_outbox",
}
# These are old by what happened, on the run's clock; all others by when they came, on the database's.
BY_EVENT_TIME: Final = ("visits", "messages", "inbox")


def delete(work: Workspace, as_of: datetime, *, batch: int = BATCH, most_batches: int = MOST_BATCHES) -> dict[str, int]:
    """Delete everything whose period is over, each batch in a transaction of its own; how many rows of each kind."""
    now, counts = work.database.now(), {}
    special: dict[str, Callable[..., int]] = {
        "landing": partial(_loads, work.queries),
        "messages": partial(_texts, work.queries, work.settings.suppression_key.get_secret_value()),
    }
    for kind, days in work.settings.pipeline.retention:
        if days is None:
            continue
        before = (as_of if kind in BY_EVENT_TIME else now) - timedelta(days=days)
        once = special.get(kind) or partial(_rows, work.queries, STATEMENTS[kind])
        counts[kind] = _in_batches(work, partial(once, before, batch), batch, most_batches)
    return counts


def _in_batches(work: Workspace, once: Callable[[sa.Connection], int], batch: int, most_batches: int) -> int:
    total = 0
    for _ in range(most_batches):
        deleted = work.database.repeated(once)
        total += deleted
        if deleted < batch:
            break
    return total


def _rows(queries: Queries, statement: str, before: datetime, batch: int, connection: sa.Connection) -> int:
    return connection.execute(queries[statement](before=before, at_most=batch)).scalar_one()


def _texts(queries: Queries, key: str, before: datetime, batch: int, connection: sa.Connection) -> int:
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MERGE_LOCK)))  # a load compares texts in several steps
    inner_pad, outer_pad = pads(key)
    statement = queries["core/retain_messages"](before=before, at_most=batch, inner_pad=inner_pad, outer_pad=outer_pad)
    return connection.execute(statement).scalar_one()


def _loads(queries: Queries, before: datetime, batch: int, connection: sa.Connection) -> int:
    gone = connection.execute(queries["core/retain_landing"](before=before, at_most=batch)).all()
    for load in gone:
        for table in (f"{load.entity}_{load.load_id}", f"checked_{load.load_id}"):
            connection.execute(sa.text(f"drop table if exists raw.{table}"))
    return len(gone)
