"""Delete what is kept longer than its period, in batches, and never what something open still needs (C24)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import sqlalchemy as sa

from tasks.rules.keyed import pads
from tasks.store.gate import MERGE_LOCK
from tasks.store.workspace import Workspace

BATCH = 5_000
# A run that finds years of rows goes on the next day rather than blocking the tables for hours.
MOST_BATCHES = 200

# The kinds of config's Retention and the statements that delete them. Reports go before attempts, which they keep.
STATEMENTS: Final = {
    "quarantine": ("core/retain_quarantine",),
    "parked": ("core/retain_parked",),
    "landing": ("core/retain_landing",),
    "received": ("core/retain_received",),
    "visits": ("core/retain_visits",),
    "messages": ("core/retain_messages",),
    "provider_events": ("ledger/retain_provider_events",),
    "attempts": ("ledger/retain_attempts",),
    "replies": ("ledger/retain_replies",),
    "inbox": ("ledger/retain_inbox",),
    "outbox": ("ledger/retain_outbox",),
    "push_tokens": ("core/retain_push_tokens",),
    "events": ("core/retain_events",),
    "ledger": ("ledger/retain_ledger", "ledger/retain_audience_members"),
}
# These are old by what happened, on the run's clock; all others by when they came, on the database's.
BY_EVENT_TIME: Final = ("visits", "messages", "inbox", "push_tokens", "events", "ledger")
# A load compares what it brings with these in several steps.
BESIDE_NO_LOAD: Final = ("visits", "messages", "push_tokens", "events")


def delete(work: Workspace, as_of: datetime, *, batch: int = BATCH, most_batches: int = MOST_BATCHES) -> dict[str, int]:
    """Delete everything whose period is over, each batch in a transaction of its own; how many rows of each kind.

    The ledger is kept at least as long as any campaign looks back. Raises ConfigError where a campaign cannot be read,
    with everything but the ledger deleted.
    """
    now, counts = work.database.now(), {}
    for kind, days in work.settings.pipeline.retention:
        if days is None:
            continue
        period = timedelta(days=days)
        if kind == "ledger":
            period = max([period, *(campaign.looks_back for campaign in work.campaigns.values())])
        before = (as_of if kind in BY_EVENT_TIME else now) - period
        counts[kind] = 0
        for statement in STATEMENTS[kind]:
            once = _loads if kind == "landing" else partial(_rows, waits=kind in BESIDE_NO_LOAD)
            counts[kind] += _in_batches(work, partial(once, work, statement, before, batch), batch, most_batches)
    return counts


def _in_batches(work: Workspace, once: Callable[[sa.Connection], int], batch: int, most_batches: int) -> int:
    total = 0
    for _ in range(most_batches):
        deleted = work.database.repeated(once)
        total += deleted
        if deleted < batch:
            break
    return total


def _rows(
    work: Workspace, statement: str, before: datetime, batch: int, connection: sa.Connection, *, waits: bool
) -> int:
    if waits:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MERGE_LOCK)))
    query = work.queries[statement]
    inner_pad, outer_pad = pads(work.settings.suppression_key.get_secret_value())
    given = {"before": before, "at_most": batch, "inner_pad": inner_pad, "outer_pad": outer_pad}
    return connection.execute(query(**{name: given[name] for name in query.params})).scalar_one()


def _loads(work: Workspace, statement: str, before: datetime, batch: int, connection: sa.Connection) -> int:
    gone = connection.execute(work.queries[statement](before=before, at_most=batch)).all()
    for load in gone:
        for table in (f"{load.entity}_{load.load_id}", f"checked_{load.load_id}"):
            connection.execute(sa.text(f"drop table if exists raw.{table}"))
    return len(gone)
