"""Occasions go when they are long over, with all that hangs on them, and nobody is written to about one again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from config.settings import Retention
from tasks import measure
from tasks.store import retention, review
from tasks.store.workspace import Workspace
from tests.evaluation_world import World, insert, write_campaign
from tests.planning_world import DAY, NOON, Shop, campaign

AS_OF = datetime(2028, 1, 1, tzinfo=UTC)
OLD, FRESH = AS_OF - 401 * DAY, AS_OF - 399 * DAY
# What hangs on an occasion, each by the column that names it.
BELONGINGS = (
    "campaign.sends", "campaign.attempts", "campaign.message_reports", "campaign.voucher_events",
    "campaign.inbox_messages",
)  # fmt: skip


@pytest.fixture
def work(tmp_path: Path, make_workspace: Callable[..., Workspace]) -> Workspace:
    """The ledger is kept for 400 days, what hangs on it for good."""
    write_campaign(tmp_path / "campaigns", "alpha")
    (tmp_path / "reengage.yaml").write_text(
        "retention: {ledger: 400, attempts: null, provider_events: null, inbox: null}\n"
    )
    return make_workspace(config=tmp_path, mode="simulated")


def rows(work: Workspace, statement: str, **values: Any) -> list[Mapping[str, Any]]:
    with work.database.transaction() as connection:
        return [dict(row) for row in connection.execute(sa.text(statement), values).mappings()]


def change(work: Workspace, statement: str, **values: Any) -> None:
    with work.database.transaction() as connection:
        connection.execute(sa.text(statement), values)


def occasions(work: Workspace, *people: str, at: datetime = OLD, state: str = "accepted") -> dict[str, str]:
    """One closed occasion each, with a message and everything that can hang on it; the messages' keys by person."""
    world = World()
    for name in people:
        world.customer(name)
        accepted_at = at if state == "accepted" else None
        world.send(world.enrol("alpha", name, at), accepted_at, state=state, claimed_at=at)
    with work.database.transaction() as connection:
        world.write(connection)
        connection.execute(sa.text("update campaign.enrolments set closed_at = enrolled_at, close_reason = 'goal'"))
        for send in world.sends:
            _hang_on(connection, send, at)
    return {send["customer_id"]: send["send_key"] for send in world.sends}


def _hang_on(connection: sa.Connection, send: Mapping[str, Any], at: datetime) -> None:
    key, name, number = send["send_key"], send["customer_id"], str(uuid.uuid4())
    of = {"send_key": key, "campaign": "alpha", "customer_id": name}
    insert(connection, "campaign.attempts", [{
        "attempt_id": number, "send_key": key, "attempt_no": 1, "batch_id": number, "channel": "email",
        "provider": "outbox", "payload_sha256": "", "address_hmac": "", "decided_at": at, "started_at": at,
        "outcome": "accepted",
    }])  # fmt: skip
    insert(connection, "campaign.provider_events", [{
        "provider": "outbox", "event_key": name, "attempt_id": number, "kind": "opened", "occurred_at": at,
        "received_at": at, "settled_at": at, "applied_at": at,
    }])  # fmt: skip
    insert(connection, "campaign.message_reports", [{"send_key": key, "opened_at": at}])
    insert(connection, "campaign.voucher_events", [of | {"code": "CODE", "occurred_at": at}])
    insert(connection, "campaign.inbox_messages", [
        of | {"attempt_id": number, "title": "t", "text": "t", "created_at": at, "expires_at": at + DAY}
    ])  # fmt: skip
    insert(connection, "campaign.outcomes", [{
        "campaign": "alpha", "experiment_version": "v1", "customer_id": name, "enrolment_id": send["enrolment_id"],
        "arm": "treated", "variant": "control", "enrolled_at": at,
    }])  # fmt: skip


def left(work: Workspace) -> set[str]:
    """Whose occasions are there."""
    return {row["customer_id"] for row in rows(work, "select customer_id from campaign.enrolments")}


def forget(work: Workspace, **how: Any) -> int:
    return retention.delete(work, AS_OF, **how)["ledger"]


def test_an_occasion_that_is_over_goes_with_everything_that_hangs_on_it(work: Workspace):
    key = occasions(work, "old", "fresh")["fresh"]
    change(work, "update campaign.enrolments set closed_at = :at where customer_id = 'fresh'", at=FRESH)

    assert forget(work) == 1

    assert left(work) == {"fresh"}
    for table in ("campaign.decisions", "campaign.outcomes"):
        assert [row["customer_id"] for row in rows(work, f"select customer_id from {table}")] == ["fresh"]
    for table in BELONGINGS:
        assert [row["send_key"] for row in rows(work, f"select send_key from {table}")] == [key], table
    assert forget(work) == 0


def test_an_occasion_of_somebody_held_out_goes_too(work: Workspace):
    world = World()
    world.decide(world.enrol("alpha", world.customer("held"), OLD, arm="holdout"), "holdout")
    with work.database.transaction() as connection:
        world.write(connection)
    change(work, "update campaign.enrolments set closed_at = enrolled_at")

    assert forget(work) == 1

    assert rows(work, "select * from campaign.decisions") == []


@pytest.mark.parametrize("state", ["planned", "in_flight", "retry_wait", "unknown"])
def test_an_occasion_with_a_message_that_has_not_ended_for_certain_stays(work: Workspace, state: str):
    occasions(work, "open", state=state)

    assert forget(work) == 0

    assert left(work) == {"open"}
    assert all(len(rows(work, f"select * from {table}")) == 1 for table in BELONGINGS)


def test_an_open_episode_stays(work: Workspace):
    occasions(work, "open")
    change(work, "update campaign.enrolments set closed_at = null, close_reason = null")

    assert forget(work) == 0


@pytest.mark.parametrize(
    "moment",
    [
        "enrolments.enrolled_at", "enrolments.anchor_at", "enrolments.closed_at", "sends.planned_at",
        "sends.claimed_at", "sends.accepted_at", "sends.settled_at", "sends.resent_at", "decisions.decided_at",
    ],
)  # fmt: skip
def test_the_newest_moment_of_an_occasion_counts(work: Workspace, moment: str):
    occasions(work, "busy")
    table, column = moment.split(".")
    change(work, f"update campaign.{table} set {column} = :at", at=FRESH)

    assert forget(work) == 0


@pytest.mark.parametrize("waiting", ["settled_at", "applied_at"])
def test_an_occasion_of_which_a_report_still_waits_to_take_effect_stays(work: Workspace, waiting: str):
    occasions(work, "reported")
    change(work, f"update campaign.provider_events set {waiting} = null")

    assert forget(work) == 0


def test_many_occasions_go_in_batches(work: Workspace):
    occasions(work, *(f"p{number}" for number in range(7)))

    assert (forget(work, batch=2, most_batches=2), forget(work, batch=2)) == (4, 3)


def test_of_a_stay_in_an_audience_nothing_is_left_once_it_is_long_over(work: Workspace):
    member = {
        "platform": "meta", "audience": "a", "campaign": "alpha", "desired": False, "applied": False,
        "desired_at": OLD, "applied_at": OLD, "applied_contact_sha256": None,
    }  # fmt: skip
    given = {
        "over": {}, "never in": {"applied_at": None}, "wanted": {"desired": True}, "still in": {"applied": True},
        "known there": {}, "contact": {"applied_contact_sha256": "x"}, "left lately": {"desired_at": FRESH},
        "out lately": {"applied_at": FRESH},
    }  # fmt: skip
    with work.database.transaction() as connection:
        insert(
            connection,
            "campaign.audience_members",
            [member | {"customer_id": who, **how} for who, how in given.items()],
        )
    known = "identifiers = jsonb_build_object('email', 'x') where customer_id = 'known there'"
    change(work, f"update campaign.audience_members set {known}")

    assert forget(work) == 2

    found = rows(work, "select customer_id from campaign.audience_members")
    assert {row["customer_id"] for row in found} == given.keys() - {"over", "never in"}


# ----------------------------------------------------------------------------------------------------------- the period


def test_the_ledger_outlasts_whatever_a_campaign_looks_back_at(work: Workspace, tmp_path: Path):
    write_campaign(tmp_path / "campaigns", "beta", "caps: [{messages: 9, per: 402d}]")
    occasions(work, "capped")

    assert forget(work) == 0

    (found,) = [problem for problem in review.review(work).problems if "looks back" in problem.what]
    assert "beta" in found.where
    assert "400 days" in found.what


def test_a_campaign_that_looks_back_less_is_no_finding(work: Workspace, tmp_path: Path):
    write_campaign(tmp_path / "campaigns", "beta", "audience_max_days: 399", "caps: [{messages: 9, per: 400d}]")

    assert [problem for problem in review.review(work).problems if "looks back" in problem.what] == []


@pytest.mark.parametrize(
    "periods", [{"ledger": 399}, {"ledger": None}, {"ledger": 1200}, {"events": 1000}, {"ledger": 500, "events": 499}]
)
def test_a_period_under_which_figures_or_limits_would_miss_something_is_refused(periods: dict[str, int | None]):
    with pytest.raises(ValidationError):
        Retention(**periods)


@pytest.mark.parametrize(
    "periods", [{"ledger": 400}, {"ledger": None, "events": None}, {"events": None}, {"ledger": 500, "events": 500}]
)
def test_other_periods_are_taken(periods: dict[str, int | None]):
    assert Retention(**periods).model_dump().items() >= periods.items()


# ------------------------------------------------------------------------------------------------------- no second time


@pytest.fixture
def shop(make_workspace: Callable[..., Workspace]) -> Shop:
    """A 60-day buyer was enrolled and written to about; the campaign has ended since."""
    shop = Shop(make_workspace(mode="simulated"))
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign(period={"end": "2026-06-20"}))
    shop.run(campaign(period={"end": "2026-06-20"}), NOON + 20 * DAY)
    return shop


LATER = NOON + 1200 * DAY


def test_nobody_is_enrolled_for_an_occasion_that_the_ledger_has_forgotten(shop: Shop):
    assert retention.delete(shop.work, LATER)["ledger"] == 1
    assert shop.rows("select * from campaign.enrolments") == []

    run = shop.run(campaign(), LATER + timedelta(hours=1))

    assert (run.counts["choose"]["full_pass"], run.counts["choose"]["found"]) == (True, 1)
    assert (run.counts["choose"]["enrolled"], run.counts["choose"]["forgotten"]) == (0, 1)
    assert shop.rows("select * from campaign.enrolments") == []
    assert shop.sends() == {}


def test_a_shorter_period_of_the_past_is_remembered_by_the_database_and_not_by_the_configuration(shop: Shop):
    retention.delete(shop.work, LATER)

    before = shop.rows("select remembers_since from campaign.database")
    retention.delete(shop.work, LATER - 50 * DAY)
    retention.delete(shop.work, LATER + 50 * DAY)

    assert before == [{"remembers_since": LATER - 1095 * DAY}]
    assert shop.rows("select remembers_since from campaign.database") == before


def test_a_new_occasion_and_an_old_one_that_is_still_in_the_ledger_are_as_ever(shop: Shop):
    shop.lapses("2")
    shop.run(campaign(), NOON + 30 * DAY)
    retention.delete(shop.work, LATER)
    shop.customer("3")
    shop.buys("3", "2029-05-01", "2029-06-30")

    run = shop.run(campaign(), LATER)

    found = shop.rows("select customer_id, episode, closed_at from campaign.enrolments order by customer_id")
    assert [tuple(row.values()) for row in found] == [("2", "2026-04-02", None), ("3", "2029-06-30", None)]
    assert (run.counts["choose"]["enrolled"], run.counts["choose"]["forgotten"]) == (1, 1)


def test_where_nothing_was_ever_deleted_the_oldest_occasion_is_taken(make_workspace: Callable[..., Workspace]):
    shop = Shop(make_workspace(mode="simulated"))
    shop.lapses("1")
    retention.delete(shop.work, LATER)

    run = shop.run(campaign(), LATER)

    assert run.counts["choose"]["enrolled"] == 1


# ---------------------------------------------------------------------------------------------------------- figures


def test_whose_first_occasion_was_forgotten_is_in_no_experiment_any_more(work: Workspace):
    world = World()
    for name in ("again", "once"):
        world.customer(name)
    world.enrol("alpha", "again", OLD)
    world.enrol("alpha", "again", FRESH)
    world.enrol("alpha", "once", FRESH)
    with work.database.transaction() as connection:
        world.write(connection)
    change(work, "update campaign.enrolments set closed_at = enrolled_at")
    measure.campaigns(work, AS_OF)
    assert _measured_people(work) == 2

    assert forget(work) == 1
    measure.campaigns(work, AS_OF)

    assert _measured_people(work) == 1
    assert [row["customer_id"] for row in rows(work, "select customer_id from campaign.outcomes")] == ["once"]


def _measured_people(work: Workspace) -> int:
    (row,) = rows(work, "select sum(people) as people from evaluation.incremental_cells")
    return int(row["people"])
