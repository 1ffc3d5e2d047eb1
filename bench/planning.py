"""Planning for everyone who is lapsing: eligibility, one decision each, the ledger's intents."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from bench.days import History, a_day
from bench.place import statement, timed
from bench.report import Figure
from tasks import choose, plan
from tasks.store import runs

PEOPLE = 100_000


def planning(history: History) -> list[Figure]:
    """Enrol at least a hundred thousand people in one run, then time the plan step for them."""
    work, (day, as_of) = history.work, a_day(10)
    with work.database.transaction() as connection:
        for name in ("contacts", "consents", "push_tokens"):
            connection.execute(statement(name))
        today = day + timedelta(days=1)
        longest = connection.execute(statement("longest_late", today=today, people=PEOPLE)).scalar_one()
    with work.database.alone() as connection:
        connection.execute(sa.text("vacuum (analyze) core.customers, core.consents, core.push_tokens"))
    campaign = work.campaign("lapsing_customers")
    campaign = campaign.model_copy(update={"params": {**campaign.params, "max_days_late": int(longest)}})
    with runs.begin(work, "reengage", campaign, as_of) as run:
        choosing = timed(lambda: choose.members(run))
        first = timed(lambda: plan.messages(run))
        again = timed(lambda: plan.messages(run))
        enrolled = run.counts["choose"]["enrolled"]
    return [
        Figure(f"planning {enrolled:,} enrolled people, seconds", first, "s", 15),
        Figure("planning them again with nothing changed, seconds", again, "s"),
        Figure("enrolling them, seconds", choosing, "s"),
        Figure("people planned for", float(enrolled), "", PEOPLE, at_least=True),
    ]
