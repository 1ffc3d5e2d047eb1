"""Claim whatever is due, of all campaigns, and hand it over: what was held back leaves as soon as it may."""

from __future__ import annotations

from datetime import datetime

from flows.story import named, story, workspace
from tasks import erase, pull, reconcile, send, sync
from tasks.rules.errors import ReengageError
from tasks.step import going_on
from tasks.store import runs


@story(run_name=lambda given: named("dispatch", given["as_of"]))
def dispatch(as_of: datetime | None = None) -> str:
    """Hand over every message that is due, clear up doubts, and take people off audiences. Safe to run twice.

    An ad platform that cannot be told anything holds no message and no erasure back; the run ends as failed.

    Args:
        as_of: The moment to decide as at; simulated databases only. Empty means the database's clock.
    """
    with workspace() as work, runs.begin(work, "dispatch", None, as_of) as run:
        errors: list[ReengageError] = []

        with going_on("received messages wait for the next run"):
            pull.received(work, run.as_of)
        reconcile.doubts(work, run.as_of)
        with going_on("who is to leave an audience is told by the next dispatch", errors=errors):
            sync.removals(run)
        with going_on("erasures wait for the next dispatch", errors=errors):
            erase.unfinished(run)
        sent = send.due(work, run.as_of)

        if errors:
            raise errors[0]
        return sent.in_words
