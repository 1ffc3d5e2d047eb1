"""Where a cap leaves room for one message, the campaign of higher priority has it; receipts and the like are free."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from tasks.store.ledger import Claim, Clock, Ledger, Limits
from tests.channels import mail_send
from tests.channels.loopback import Loopback
from tests.send.stage import NOON, Stage, two_steps, write_campaign

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ONE_A_WEEK = [{"messages": 1, "per": "7d"}]


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """Two campaigns that share the room under one cap: `back` by email, `urgent` by push and of higher priority."""
    stage = make_stage(caps=ONE_A_WEEK)
    write_campaign(stage.folder, "urgent", caps=ONE_A_WEEK, priority=5)
    stage.person("ann", channels=("email", "push"))
    return stage


def both(stage: Stage, **urgent: Any) -> tuple[str, str]:
    """A due email of `back` and a due push of `urgent` to the same person."""
    low = stage.plan(stage.enrol("ann"), channel="email")
    high = stage.plan(stage.enrol("ann", "urgent"), **{"channel": "push", "priority": 5, **urgent})
    return low, high


def claimed(
    stage: Stage, *, channels: Iterable[str] | None, resting: Iterable[str] = (), at: datetime | None = NOON
) -> list[str]:
    """Keys that one lane's claim takes; it is committed and stays in flight."""
    with stage.work.database.transaction() as connection:
        return [row.send_key for row in claim(stage, connection, channels, resting, at).rows]


def claim(
    stage: Stage, connection: Any, channels: Iterable[str] | None, resting: Iterable[str], at: datetime | None
) -> Claim:
    campaigns: Mapping[str, Any] = {name: stage.work.campaign(name) for name in ("back", "urgent")}
    ledger = Ledger(
        stage.work.queries,
        campaigns,
        clock=Clock(at),
        business_zone="UTC",
        address_key=stage.work.settings.suppression_key.get_secret_value(),
        providers={},
        limits=Limits(),
    )
    return ledger.claim(connection, 100, channels, resting)


def test_a_lane_leaves_a_person_alone_whose_more_important_message_is_another_lanes(stage: Stage) -> None:
    low, high = both(stage)

    assert claimed(stage, channels={"email"}) == []
    assert stage.end(low) == ("planned", None)
    assert claimed(stage, channels={"push"}) == [high]
    assert claimed(stage, channels={"email"}) == []
    assert stage.end(low) == ("planned", "capped")


@pytest.mark.parametrize(
    "why",
    ["rests", "not due", "paused", "held", "less important", "no caps", "over", "transactional", "not its turn"],
)
def test_a_message_waits_for_no_other_that_cannot_leave_now_or_takes_no_room(stage: Stage, why: str) -> None:
    low, high = both(stage, due=NOON + HOUR if why == "not due" else NOON, step="2" if why == "not its turn" else "1")
    if why == "paused":
        stage.run_sql("insert into campaign.campaigns (campaign, state) values ('urgent', 'paused')")
    if why == "held":
        stage.run_sql("insert into campaign.holds (campaign, load_id, reason) values ('urgent', 1, 'test')")
    if why == "less important":
        stage.run_sql("update campaign.sends set priority = 0 where send_key = :key", key=high)
    if why == "over":
        stage.run_sql("update campaign.sends set state = 'rejected' where send_key = :key", key=high)
    if why == "no caps":
        write_campaign(stage.folder, "back", caps=None)
        write_campaign(stage.folder, "urgent", caps=None, priority=5)
    if why == "transactional":
        write_campaign(stage.folder, "urgent", purpose="transactional", priority=5)
    if why == "not its turn":
        write_campaign(stage.folder, "urgent", caps=ONE_A_WEEK, priority=5, steps=two_steps())
        stage.run_sql(
            "insert into campaign.sends (send_key, enrolment_id, campaign, customer_id, episode, step, variant, arm,"
            " channel, provider, template_version, due_at, not_before, expires_at, priority, state, planned_at)"
            " select 'first', enrolment_id, campaign, customer_id, episode, '1', variant, arm, channel, provider,"
            " template_version, due_at, not_before + interval '1 hour', expires_at, priority, state, planned_at"
            " from campaign.sends where send_key = :key",
            key=high,
        )

    assert claimed(stage, channels={"email"}, resting={"push"} if why == "rests" else ()) == [low]


def test_who_is_known_by_two_ids_is_one_person(stage: Stage) -> None:
    stage.run_sql("insert into core.aliases values ('guest-1', 'ann', 'email', :at)", at=NOON - DAY)
    low = stage.plan(stage.enrol("guest-1"), channel="email")
    high = stage.plan(stage.enrol("ann", "urgent"), channel="push", priority=5)

    assert claimed(stage, channels={"email"}) == []
    assert claimed(stage, channels=None) == [high]
    assert stage.end(low) == ("planned", None)


def test_played_moments_give_way_only_to_what_was_due_by_then(stage: Stage) -> None:
    """What was due an hour before the more important message left at its own moment, as a dispatch then would have."""
    low, high = both(stage, due=NOON + HOUR)

    stage.dispatch(NOON + 2 * HOUR)

    assert (stage.end(low), stage.end(high)) == (("accepted", None), ("planned", "capped"))


# ------------------------------------------------------------------------------------------- live, over lanes


@pytest.fixture
def provider() -> Iterator[Loopback]:
    with mail_send.provider().running() as running:
        yield running


def test_with_a_lane_for_each_channel_everyone_gets_the_more_important_message_and_the_others_get_theirs(
    make_stage: Callable[..., Stage], provider: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REENGAGE_SENDGRID_API_KEY", mail_send.KEY)
    stage = make_stage(mode="live", caps=ONE_A_WEEK)
    write_campaign(stage.folder, "urgent", caps=ONE_A_WEEK, priority=5)
    options = {"provider": "email_sendgrid", "endpoint": provider.url}
    (stage.folder / "reengage.yaml").write_text(json.dumps({"providers": [options]}), "utf-8")
    due = stage.one("select clock_timestamp()") - timedelta(minutes=1)
    low, high = {}, {}
    for number in range(60):
        name = stage.person(f"c{number}", channels=("email", "push"))
        low[name] = stage.plan(stage.enrol(name), channel="email", due=due)
        if number % 2:
            high[name] = stage.plan(stage.enrol(name, "urgent"), channel="push", due=due, priority=5)
    # the more important message of these cannot leave: they never agreed to it on such grounds
    for name in ("c1", "c3"):
        stage.run_sql("delete from core.consents where customer_id = :name and channel = 'push'", name=name)
        stage.run_sql("update core.consents set basis = 'soft_opt_in' where customer_id = :name", name=name)
    write_campaign(stage.folder, channels=[{"name": "email", "consent": ["express", "soft_opt_in"]}, "push", "sms"],
                   caps=ONE_A_WEEK)  # fmt: skip

    stage.dispatch(None)

    refused = {"c1", "c3"}
    assert {name for name, key in high.items() if stage.end(key) == ("accepted", None)} == set(high) - refused
    assert {name for name, key in low.items() if stage.end(key) == ("accepted", None)} == set(low) - set(high) | refused
    assert {stage.end(low[name]) for name in set(high) - refused} == {("planned", "capped")}


def test_who_let_a_message_go_first_that_then_could_not_leave_is_written_to_in_the_same_dispatch(
    make_stage: Callable[..., Stage], provider: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lane of emails finds nothing and ends long before the other lane comes to the message it waits for."""
    monkeypatch.setenv("REENGAGE_SENDGRID_API_KEY", mail_send.KEY)
    stage = make_stage(mode="live", caps=ONE_A_WEEK)
    write_campaign(stage.folder, "urgent", caps=ONE_A_WEEK, priority=5)
    options = {"provider": "email_sendgrid", "endpoint": provider.url}
    (stage.folder / "reengage.yaml").write_text(json.dumps({"providers": [options]}), "utf-8")
    due = stage.one("select clock_timestamp()") - HOUR
    for number in range(25):
        name = stage.person(f"c{number:02}", channels=("push",))
        stage.plan(stage.enrol(name, "urgent"), channel="push", due=due, priority=5)
    stage.person("ann", channels=("email",))
    low = stage.plan(stage.enrol("ann"), channel="email", due=due)
    high = stage.plan(stage.enrol("ann", "urgent"), channel="push", due=due + timedelta(minutes=1), priority=5)
    stage.purchase("ann", due)
    stage.run_sql(
        "update campaign.enrolments set anchor_at = :at where campaign = 'back'", at=due + timedelta(minutes=2)
    )

    stage.dispatch(None, limits=Limits(batch=1))

    assert (stage.end(high), stage.end(low)) == (("cancelled", "stop_event"), ("accepted", None))


# ------------------------------------------------------------------------------------------- transactional


def test_what_a_purchase_brings_with_it_obeys_no_cap_and_uses_none_up(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(caps=ONE_A_WEEK)
    write_campaign(stage.folder, "receipt", purpose="transactional", caps=ONE_A_WEEK)
    stage.person("ann")
    stage.run_sql(
        "insert into core.consents (consent_id, customer_id, channel, purpose, status, basis, occurred_at)"
        " values ('t', 'ann', 'email', 'transactional', 'granted', 'express', :at)",
        at=NOON - DAY,
    )
    receipts = [stage.plan(stage.enrol("ann", "receipt"), due=NOON + number * HOUR) for number in (0, 2)]
    marketing = [stage.plan(stage.enrol("ann"), due=NOON + number * HOUR) for number in (1, 3)]

    stage.dispatch(NOON + 4 * HOUR)

    assert [stage.end(key) for key in receipts] == [("accepted", None)] * 2
    assert [stage.end(key) for key in marketing] == [("accepted", None), ("planned", "capped")]
    assert stage.send(marketing[1])["not_before"] == NOON + HOUR + 7 * DAY, "counted from the other one of its kind"
