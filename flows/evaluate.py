"""What came of every campaign: the evaluation tables, for the dashboard and any BI tool."""

from __future__ import annotations

from datetime import datetime

from flows.story import named, story, workspace
from tasks import measure
from tasks.store import mode


@story(run_name=lambda given: named("evaluate", given["as_of"]))
def evaluate(as_of: datetime | None = None) -> int:
    """Rebuild the evaluation tables. Safe to run twice: the same moment gives the same rows.

    Args:
        as_of: The moment to look at; simulated databases only. Empty means the database's clock.
    """
    with workspace() as work:
        return len(measure.campaigns(work, mode.clock(work, as_of, decides=False)))
