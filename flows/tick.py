"""Start what is due: a new campaign is only a folder, it needs no deployment and no schedule."""

from __future__ import annotations

from datetime import datetime

from flows.story import named, story, workspace
from tasks import start
from tasks.rules.errors import ConfigError
from tasks.store import mode


@story(run_name=lambda given: named("tick", given["as_of"]))
def tick(as_of: datetime | None = None) -> list[str]:
    """Start one re-engage run for each campaign whose own cadence is due. Safe to run twice: a slot has one run.

    Args:
        as_of: The moment to decide as at; simulated databases only. Empty means the database's clock.
    """
    with workspace() as work:
        found = start.due(work, mode.clock(work, as_of, decides=False))

        runs = [start.reengage(campaign, slot, as_of) for campaign, slot in found.slots.items()]

        if found.unreadable:
            raise ConfigError(*found.unreadable)
        return runs
