"""Delete what is kept longer than its period."""

from __future__ import annotations

from datetime import datetime

from tasks.step import say, show_table, step
from tasks.store import retention
from tasks.store.workspace import Workspace


@step(name="delete what is too old")
def periods(work: Workspace, as_of: datetime) -> dict[str, int]:
    """Delete rows whose retention period is over; safe to run twice, and to stop in the middle."""
    counts = retention.delete(work, as_of)
    gone = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in counts.items() if count)
    say(f"retention: {gone or 'nothing is too old'}")
    show_table(
        "retention", [{"what": kind, "rows": count} for kind, count in counts.items()],
        "Rows that were deleted because their period is over",
    )  # fmt: skip
    return counts
