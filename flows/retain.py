"""Nothing is kept longer than the configuration says."""

from __future__ import annotations

from datetime import datetime

from flows.story import named, story, workspace
from tasks import retain as step
from tasks.store import mode


@story(run_name=lambda given: named("retain", given["as_of"]))
def retain(as_of: datetime | None = None) -> dict[str, int]:
    """Delete rows whose retention period is over (`retention` in reengage.yaml). Safe to run twice.

    Args:
        as_of: The moment to decide as at; simulated databases only. Empty means the database's clock.
    """
    with workspace() as work:
        return step.periods(work, mode.clock(work, as_of, decides=False))
