"""A run with nothing due, beside ten times as many open episodes that have nothing left to come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median

import sqlalchemy as sa

from bench.place import Place, statement, timed
from bench.report import Figure
from config.campaign import Campaign
from tasks import choose, plan, sync
from tasks.store import runs
from tasks.store.workspace import Workspace

UNTIL = datetime(2026, 6, 1, 12, tzinfo=UTC)
LEADS = 5_000
TIMES = 10
ROUNDS = 5
EVERY = timedelta(minutes=5)
# By then every step has waited too long, and the last full pass is this one.
OVER = UNTIL + timedelta(days=11)


def idle(place: Place) -> list[Figure]:
    """Leads who never answer stay enrolled: what a run costs that has nothing to do for any of them."""
    few, many = _idle(place, LEADS), _idle(place, LEADS * TIMES)
    return [
        Figure(f"a run with nothing due beside {LEADS * TIMES:,} open leads, against {LEADS:,}", many / few, "x", 1.5),
        Figure(f"the run beside {LEADS:,}, seconds", few, "s"),
        Figure(f"the run beside {LEADS * TIMES:,}, seconds", many, "s"),
    ]


def _idle(place: Place, leads: int) -> float:
    work = place.workspace(f"idle_{leads}")
    with work.database.transaction() as connection:
        connection.execute(sa.text("select setseed(0.42)"))
        # about a third qualify, and are no leads
        connection.execute(statement("talk_conversations", conversations=leads * 10 // 7, until=UNTIL))
        connection.execute(statement("talk_silent"))
        connection.execute(work.queries["core/silences_filled"]())
    with work.database.alone() as connection:
        connection.execute(
            sa.text("vacuum (analyze) core.conversations, core.milestones, core.leads, core.customers, core.ads")
        )
    ads = tuple(f"ad{number}" for number in range(10))
    campaign = work.campaign("partial_leads").model_copy(update={"ads": ads})
    for at in (UNTIL, OVER):
        _run(work, campaign, at)
    with work.database.alone() as connection:
        connection.execute(sa.text("vacuum (analyze) campaign.enrolments, campaign.decisions"))
    _run(work, campaign, OVER + EVERY)  # warms the caches
    found = median(timed(lambda at=at: _run(work, campaign, at)) for at in _moments())
    place.drop(work)
    return found


def _moments() -> list[datetime]:
    return [OVER + number * EVERY for number in range(2, ROUNDS + 2)]


def _run(work: Workspace, campaign: Campaign, at: datetime) -> None:
    with runs.begin(work, "reengage", campaign, at) as run:
        choose.members(run)
        plan.messages(run)
        sync.audiences(run)
