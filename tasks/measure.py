"""Measure what came of every campaign, for the dashboard and any BI tool."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from tasks.step import say, show_table, step
from tasks.store import buying, evaluation, prices
from tasks.store.evaluation import Standing
from tasks.store.workspace import Workspace


@step(name="measure campaigns", tags=["evaluate"], retries=2)
def campaigns(work: Workspace, as_of: datetime) -> list[Standing]:
    """Rebuild the evaluation tables as at a moment. Safe to run twice: the same moment gives the same rows (B12)."""
    with work.database.transaction() as connection:
        prices.refresh(work, connection)
    with work.database.transaction() as connection:
        if buying.fill(work, connection):
            say("how customers buy: added up over all purchase days; from now on every load adds its own")
    with work.database.transaction() as connection:
        standings = evaluation.measure(work, connection, as_of)
    for standing in standings:
        say(
            f"{standing.campaign}: {standing.enrolled:,} enrolled, {standing.reached:,} reached, "
            f"{standing.not_reached:,} not reached, {standing.held_out:,} held out"
        )
    if not standings:
        say("nobody is enrolled in any campaign yet")
    show_table("evaluation", [asdict(standing) for standing in standings], "Where every campaign's people stand")
    return standings
