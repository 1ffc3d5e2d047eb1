"""Forget a person: stop what is to come, tell the ad platforms, clear every table, keep a receipt that names nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime
from functools import partial

from tasks import sync
from tasks.rules.errors import ConfigError, ProviderError
from tasks.step import say, step
from tasks.store import erasure, runs
from tasks.store.erasure import Erasure, Receipt
from tasks.store.runs import Run
from tasks.store.workspace import Workspace


def person(
    work: Workspace, customer_id: str, as_of: datetime | None, *, watch: Callable[[str], None] = lambda _: None
) -> Receipt:
    """Forget one customer under every id they have; safe to repeat at any point, also after a crash.

    No step of a flow, since Prefect keeps parameters. Raises ConfigError when nothing is known of the customer and
    never was. An incomplete receipt is finished by the next dispatches. `watch` is called with the name of each point
    passed: stopped, told, cleared, completed.
    """
    with runs.begin(work, "erase", None, as_of) as run:
        begun = work.database.repeated(partial(erasure.begin, work, customer_id=customer_id, at=run.as_of))
        if isinstance(begun, Receipt):
            return begun
        watch("stopped")
        with contextlib.suppress(ProviderError):  # the receipt says what waits, and every dispatch tries again
            sync.removals(run)
        watch("told")
        return _finish(work, begun, watch)


@step(name="finish erasures", tags=["sync"])
def unfinished(run: Run) -> int:
    """Go on with erasures that had to wait for an ad platform or a message being handed over; how many still wait."""
    with run.work.database.transaction() as connection:
        waiting = erasure.unfinished(run.work, connection)
    left = 0
    for one in waiting:
        try:
            left += not _finish(run.work, one, lambda _: None).is_complete
        except ConfigError:  # what the campaigns' goals keep is only known when all of them can be read
            left += 1
    if waiting:
        say(f"erasures: {len(waiting) - left:,} completed, {left:,} still wait")
    return left


def _finish(work: Workspace, begun: Erasure, watch: Callable[[str], None]) -> Receipt:
    work.database.repeated(partial(erasure.clear, work, erasure=begun))
    watch("cleared")
    receipt = work.database.repeated(partial(erasure.close, work, erasure=begun))
    watch("completed")
    return receipt
