"""One campaign, one run: choose who, ask whether we may, plan what leaves when, and let the audiences follow."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flows.story import named, story, workspace
from tasks import choose, plan, sync
from tasks.store import runs


@story(run_name=lambda given: named(given["campaign"], given["as_of"]))
def reengage(campaign: str, as_of: datetime | None = None) -> dict[str, Any]:
    """Find the people of one campaign and plan their messages. Safe to run twice: nobody is enrolled twice.

    Args:
        campaign: The folder's name below config/campaigns.
        as_of: The moment to decide as at; simulated databases only. Empty means the database's clock.
    """
    with workspace() as work, runs.begin(work, "reengage", work.campaign(campaign), as_of) as run:
        choose.members(run)
        plan.messages(run)
        sync.audiences(run)
        return run.counts
