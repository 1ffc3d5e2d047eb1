"""One run of a flow: its number, its clock, and the lock that lets one run at a time do the work."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from config.campaign import Campaign
from config.settings import Mode
from tasks.rules.errors import ReengageError, Superseded
from tasks.store import mode, turn
from tasks.store.workspace import Workspace

# Flows whose work a later run has already done when it asks about an earlier moment (fault matrix R2).
FORWARD_ONLY = ("reengage", "dispatch")

_rehearses: ContextVar[bool] = ContextVar("rehearses", default=False)


@dataclass(frozen=True)
class Run:
    """One run of one flow; `counts` collects what goes into its row and the artifact, never about one person."""

    work: Workspace
    run_id: int
    flow: str
    campaign: Campaign | None
    as_of: datetime
    mode: Mode
    config_sha256: str
    counts: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def begin(work: Workspace, flow: str, campaign: Campaign | None, as_of: datetime | None) -> Iterator[Run]:
    """Open a run of a flow (for one campaign) and close it as completed or failed with its counts.

    The lock is a session-level advisory lock on a connection of its own, so a dead process frees it. Raises
    Superseded when another run holds it, or when a later moment was already done; the row of this run says so.
    """
    name = campaign.name if campaign else None
    at = mode.clock(work, as_of)
    digest = config_sha256(campaign)
    with turn.hold(work, f"{flow}/{name or '*'}") as taken:
        with work.database.transaction() as connection:
            stored = mode.settle(work, connection)
            if taken:
                connection.execute(work.queries["ledger/run_sweep"](flow=flow, campaign=name))
            latest = _latest(work, connection, flow, name)
            run_id = connection.execute(
                work.queries["ledger/run_begin"](flow=flow, campaign=name, as_of=at, config_sha256=digest)
            ).scalar_one()
        run = Run(work, run_id, flow, campaign, at, stored, digest)
        title = f"{flow} {name}" if name else flow
        if not taken:
            _finish(run, "superseded", {"reason": "another run is doing this work"})
            raise Superseded(f"{title}: another run is doing this work")
        if latest is not None and at < latest:
            _finish(run, "superseded", {"reason": "a run for a later moment has completed"})
            raise Superseded(f"{title}: done already for {latest.isoformat()}, later than {at.isoformat()}")
        try:
            yield run
        except Superseded:
            _finish(run, "superseded", run.counts)
            raise
        except BaseException as error:
            # Only our own messages are known to be free of personal data.
            reason = str(error) if isinstance(error, ReengageError) else type(error).__name__
            _finish(run, "failed", {**run.counts, "error": reason})
            raise
        _finish(run, "completed", run.counts)


def is_late(work: Workspace, flow: str, campaign: Campaign, at: datetime) -> bool:
    """Whether a run for this moment would end as superseded, because one for a later moment has completed."""
    with work.database.transaction() as connection:
        latest = _latest(work, connection, flow, campaign.name)
    return latest is not None and at < latest


def before(run: Run, connection: sa.Connection) -> sa.Row[Any] | None:
    """The last completed run of the same campaign: its run_id and changes_seen_at.

    None when everybody is to be looked at again: there is none, the campaign's file has changed since, or this run
    makes a full pass.
    """
    if run.campaign is None:
        raise TypeError("only runs of one campaign follow each other")
    asked = run.work.queries["ledger/run_before"](campaign=run.campaign.name, run_id=run.run_id)
    last = connection.execute(asked).one_or_none()
    return last if last is not None and last.config_sha256 == run.config_sha256 else None


@contextlib.contextmanager
def rehearse(work: Workspace, campaign: Campaign, as_of: datetime | None) -> Iterator[tuple[Run, sa.Connection]]:
    """A run that leaves nothing behind: everything in one transaction, rolled back at the end.

    Until then no client can be opened (I13). Takes another moment also in a live database, and decides no mode.
    """
    at = mode.clock(work, as_of, writes=False)
    digest = config_sha256(campaign)
    with work.database.transaction() as connection:
        stored = mode.peek(work, connection) or "live"
        run_id = connection.execute(
            work.queries["ledger/run_begin"](flow="reengage", campaign=campaign.name, as_of=at, config_sha256=digest)
        ).scalar_one()
        before = _rehearses.set(True)
        try:
            yield Run(work, run_id, "reengage", campaign, at, stored, digest), connection
        finally:
            _rehearses.reset(before)
            connection.rollback()


def is_rehearsed() -> bool:
    """Whether what runs now is a dry run: the factories of clients ask, so that no caller has to remember."""
    return _rehearses.get()


def config_sha256(campaign: Campaign | None) -> str:
    """Fingerprint of a campaign as it was read, so that a decision names the rules it was made under (I20)."""
    text = campaign.model_dump_json() if campaign else ""
    return hashlib.sha256(text.encode()).hexdigest()


def _latest(work: Workspace, connection: sa.Connection, flow: str, campaign: str | None) -> datetime | None:
    """The moment before which this flow has nothing left to do."""
    if flow not in FORWARD_ONLY:
        return None
    return connection.execute(work.queries["ledger/run_latest"](flow=flow, campaign=campaign)).scalar_one()


def _finish(run: Run, state: str, counts: dict[str, Any]) -> None:
    with run.work.database.transaction() as connection:
        connection.execute(
            run.work.queries["ledger/run_finish"](run_id=run.run_id, state=state, counts=json.dumps(counts))
        )
