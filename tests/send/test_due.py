"""A run that looks at what is due decides, ends and tells audiences as one that looks at everybody (I4, I12)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from tasks import choose, plan, reconcile, sync
from tasks.channels.base import OutgoingMessage
from tasks.channels.outbox import Conduct
from tasks.store import audiences, choosing, planning, runs
from tasks.store.ledger import Clock, Ledger, Limits
from tests.evaluation_world import insert
from tests.send.stage import Stage, write_campaign
from tests.send.test_hours import HOURS, own_table
from tests.send.test_retargeting import DAY, HOUR, MINUTE, SIX, Leads, steps

PEOPLE = [f"p{number}" for number in range(16)]
CAMPAIGN: dict[str, Any] = {
    "segment": "partial_leads", "channels": ["whatsapp"], "voucher": None, "platforms": ["meta"],
    "audience_max_days": 2, "holdout": 0.2, "expires_after": "12h", "goal": {"event": "visited"},
    "retargeting": {"after_free_window": False, "min_quiet_after_reply": "5m"},
}  # fmt: skip
STATE = {
    "enrolments": "select customer_id, episode, anchor_at, arm, closed_at, close_reason from campaign.enrolments",
    "decisions": "select customer_id, episode, step, state, reason, channel, gates, decided_at, superseded_at"
    " from campaign.decisions",
    "sends": "select send_key, state, reason, channel, due_at, not_before, expires_at, settled_at from campaign.sends",
    "audiences": "select platform, customer_id, desired, reason, desired_at from campaign.audience_members",
}


@dataclass
class Fair(Leads):
    """Leads to whom anything may happen, each time noted as a load notes it (tests/store/test_people_changed.py)."""

    talks: list[str] = field(default_factory=list)

    def visits(self, customer: str, at: datetime) -> None:
        self.number += 1
        with self.stage.work.database.transaction() as connection:
            row = {"event_id": f"e{self.number}", "customer_id": customer, "name": "visited", "occurred_at": at}
            insert(connection, "core.events", [row | {"load_id": 1}])
            self.notes(connection, customer)

    def meets(self, alias: str, customer: str) -> None:
        """Two customers turn out to be one, if neither has met anybody yet."""
        met = {one for row in self.stage.rows("select alias_id, customer_id from core.aliases") for one in row.values()}
        known = {row["customer_id"] for row in self.stage.rows("select customer_id from core.customers")}
        if not {alias, customer} <= known - met:
            return
        talks = self.stage.rows("select conversation_id from core.conversations where customer_id = :id", id=alias)
        self.merges(alias, customer, *(row["conversation_id"] for row in talks))
        with self.stage.work.database.transaction() as connection:
            self.notes(connection, alias, customer)

    def notes(self, connection: sa.Connection, *ids: str) -> None:
        connection.execute(self.stage.work.queries["core/people_met"](ids=list(ids)))

    def plan_again(self, at: datetime) -> None:
        """As `reengage sends resend-missed` does."""
        work = self.stage.work
        ledger = Ledger(
            work.queries, {"back": work.campaign("back")}, clock=Clock(at), business_zone="UTC", address_key="key",
            providers={}, limits=Limits(),
        )  # fmt: skip
        with work.database.transaction() as connection:
            ledger.resend(connection, ledger.missed(connection, "back", SIX))


def state(connection: sa.Connection) -> dict[str, list[str]]:
    return {name: sorted(map(str, connection.execute(sa.text(asked)))) for name, asked in STATE.items()}


def seen_by_a_look_at_everybody(world: Fair, at: datetime) -> dict[str, list[str]]:
    """What the database would hold after a run that asks about every open episode."""
    work = world.stage.work
    campaign = work.campaign("back")
    words = plan.templates(work, campaign).versions()
    with runs.rehearse(work, campaign, at) as (run, connection):
        choosing.choose(run, connection, everybody=True)
        planning.plan(run, connection, words, everybody=True)
        audiences.desire(work, connection, campaign, at, run.run_id, may_add=True, everybody=True)
        return state(connection)


BELONG = """
with persons as (
    select distinct on (person.customer_id) person.customer_id, person.ids, stops_from, enrolled_at
    from campaign.enrolments cross join lateral campaign.person(enrolments.customer_id) as person
    where closed_at is null and arm = 'treated'
    order by person.customer_id, enrolled_at desc
)
select customer_id
from persons
where enrolled_at + interval '2 days' > :at
    and not exists (select from campaign.stop_events(ids, 'visited', '{}', stops_from, :at))
    and not exists (select from campaign.stop_events(ids, 'qualified', '{}', stops_from, :at))
    and exists (select from campaign.consents_in_force(ids, :at, 'marketing') as given where given.channel = 'meta')
"""


def belong_into_the_audience(world: Fair, at: datetime) -> set[str]:
    """By all open episodes, however long ago their people were enrolled."""
    return {row["customer_id"] for row in world.stage.rows(BELONG, at=at)}


def run(world: Fair, at: datetime) -> tuple[runs.Run, dict[str, list[str]]]:
    work = world.stage.work
    with runs.begin(work, "reengage", work.campaign("back"), at) as done:
        choose.members(done)
        plan.messages(done)
        sync.audiences(done)
    with work.database.transaction() as connection:
        return done, state(connection)


@pytest.fixture
def fair(make_stage: Callable[..., Stage]) -> Fair:
    stage = make_stage(**CAMPAIGN, steps=steps("4h", "20h"))
    own_table(stage, HOURS.replace("HOURS", "00:00-24:00"))
    world = Fair(stage)
    world.ad()
    return world


def something_happens(world: Fair, dice: random.Random, at: datetime) -> None:
    for customer in dice.sample(PEOPLE, 3):
        said = at - dice.randrange(1, 300) * MINUTE  # some arrive hours late
        if dice.random() < 0.6 or not world.talks:
            world.talks.append(f"{customer}-{at:%d%H}")
            world.lead(customer, world.talks[-1], said)
            world.stage.consent(customer, "meta", "granted", SIX - DAY)
        else:
            world.says(dice.choice(world.talks), said, sender=dice.choice(["customer", "bot"]))
    if dice.random() < 0.4:  # known now, and perhaps true later only
        world.reaches(dice.choice(world.talks), "qualified", at + dice.randrange(-600, 900) * MINUTE)
    if dice.random() < 0.5:
        world.visits(dice.choice(PEOPLE), at + dice.randrange(-600, 900) * MINUTE)
    if dice.random() < 0.3:
        world.meets(*dice.sample(PEOPLE, 2))
    if dice.random() < 0.3:
        channel = dice.choice(["whatsapp", "meta"])
        world.stage.consent(dice.choice(PEOPLE), channel, dice.choice(["granted", "withdrawn"]), at)


@pytest.mark.parametrize("seed", range(2))
def test_a_run_changes_what_a_look_at_everybody_would_change(fair: Fair, seed: int) -> None:
    dice, at = random.Random(seed), SIX
    saved = []

    def some(_: OutgoingMessage) -> Conduct:
        return dice.choices([Conduct.ACCEPT, Conduct.REFUSE, Conduct.DROP], [10, 2, 1])[0]

    for turn in range(22):
        something_happens(fair, dice, at)
        if turn in (8, 12):
            offsets = [("4h", "20h", "30h"), ("4h", "20h")][turn == 12]
            write_campaign(fair.stage.folder, **CAMPAIGN, steps=steps(*offsets))
        if turn in (9, 15):
            fair.plan_again(at)

        expected = seen_by_a_look_at_everybody(fair, at)
        done, found = run(fair, at)
        assert found == expected, f"turn {turn}"
        wanted = fair.stage.rows("select customer_id from campaign.audience_members where desired")
        assert {row["customer_id"] for row in wanted} == belong_into_the_audience(fair, at)

        reconcile.doubts(fair.stage.work, at)
        fair.stage.dispatch(at, conduct=some)
        open_now = fair.stage.one("select count(*) from campaign.enrolments where closed_at is null")
        saved.append(2 * open_now - sum(done.counts["plan"]["steps"].values()))
        at += dice.randrange(2 * 60, 9 * 60) * MINUTE

    assert at < SIX + 7 * DAY, "a full pass in between would prove less"
    assert max(saved) > 3, "nearly everybody was looked at: this proves little"


def test_who_has_nothing_left_to_come_is_not_looked_at_and_still_leaves_when_they_buy(fair: Fair) -> None:
    fair.lead("ann", "v1")
    run(fair, SIX + HOUR)
    fair.stage.run_sql("update campaign.enrolments set arm = 'holdout'")
    fair.stage.run_sql("update campaign.decisions set state = 'holdout'")
    fair.stage.run_sql("delete from campaign.sends")

    done, _ = run(fair, SIX + 2 * HOUR)
    assert done.counts["plan"]["steps"] == {}
    assert fair.closed() == {"v1": None}

    fair.visits("ann", SIX + 3 * HOUR)
    run(fair, SIX + 2 * HOUR + MINUTE)
    assert fair.closed() == {"v1": None}  # not yet
    run(fair, SIX + 3 * HOUR)
    assert fair.closed() == {"v1": "goal"}


def test_a_step_that_the_file_gains_reaches_who_had_nothing_left_to_come(fair: Fair) -> None:
    everybody = {**CAMPAIGN, "holdout": None}
    write_campaign(fair.stage.folder, **everybody, steps=steps("4h", "20h"))
    fair.lead("ann", "v1")
    for hours in (1, 5, 21, 22):
        run(fair, SIX + hours * HOUR)
        fair.stage.dispatch(SIX + hours * HOUR)
    assert run(fair, SIX + 23 * HOUR)[0].counts["plan"]["steps"] == {}

    write_campaign(fair.stage.folder, **everybody, steps=steps("4h", "20h", "30h"))
    run(fair, SIX + 24 * HOUR)

    assert fair.ends()["3"] == ("planned", None)
