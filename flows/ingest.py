"""Some sources, from their files or databases to clean facts: land, check, merge."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from flows.story import named, story, workspace
from tasks import pull
from tasks.rules.errors import GateError, Superseded
from tasks.step import going_on
from tasks.store import mode
from tasks.store.workspace import Workspace

Which = Literal["all", "usual", "fast"]


FAST = ("conversations", "messages", "events")


@story(run_name=lambda given: named(f"ingest {given['which']}", given["as_of"]))
def ingest(which: Which = "all", sources: list[str] | None = None, as_of: datetime | None = None) -> str:
    """Load what is new since last time. Safe to run twice: an object or row that is known adds nothing.

    A source whose data the gate does not believe, or that cannot be read, stops no other, and nor does a rule of
    milestones that cannot be used; the run ends as failed.

    Args:
        which: All sources, the usual ones (every 15 minutes), or the fast ones: conversations, messages, events.
        sources: Only these, by their names in sources.yaml; empty means every one that `which` says.
        as_of: The moment the loads count as made at; simulated databases only. Empty means the database's clock.
    """
    with workspace() as work:
        at = mode.clock(work, as_of, decides=False)
        loads: list[pull.Load] = []
        failures: list[str] = []

        if not sources and which != "usual":
            with going_on(pull.RECEIVED_WAIT, failures):
                loads += pull.received(work, at)
        for name in pull.in_order(work, sources or _of_pace(work, which)):
            try:
                loads += pull.source(work, name, at)
            except Superseded:
                continue  # another run is pulling this source and will finish it
        with going_on(pull.MILESTONES_WAIT, failures):
            pull.derive(work)

        troubles = [pull.sentence(load) for load in loads if load.state != "merged"]
        troubles += failures
        if troubles:
            raise GateError("; ".join(troubles))
        lines, accepted = sum(load.lines_in for load in loads), sum(load.accepted for load in loads)
        return f"{lines:,} lines of {len(loads):,} loads, {accepted:,} accepted"


def _of_pace(work: Workspace, which: Which) -> list[str]:
    """Names of the sources that are asked as often as `which` says."""
    return [
        name for name, source in work.sources.items() if which == "all" or (source.entity in FAST) == (which == "fast")
    ]
