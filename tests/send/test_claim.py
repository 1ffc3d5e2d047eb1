"""What the claim asks in its own statement (invariant I7), between plan and departure."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from tasks.channels.base import OutgoingMessage
from tasks.channels.outbox import Conduct
from tasks.rules.keyed import keyed_hash
from tasks.rules.legal import quiet_week
from tasks.store.ledger import Limits
from tests.send.stage import NOON, Stage, write_campaign

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NIGHT = {"start": "21:00", "end": "08:00"}


# ---------------------------------------------------------------------------------- stop event and goal


def test_a_purchase_between_plan_and_claim_cancels_the_message(stage: Stage) -> None:
    key = stage.planned("ann")
    stage.purchase("ann", NOON - HOUR)

    stage.dispatch()

    assert stage.end(key) == ("cancelled", "stop_event")
    assert stage.outbox() == {}
    assert stage.decisions_follow_the_ledger()


def test_a_purchase_at_the_very_moment_of_the_anchor_cancels_too(stage: Stage) -> None:
    key = stage.planned("ann")
    stage.purchase("ann", NOON - 9 * HOUR)

    stage.dispatch()

    assert stage.end(key) == ("cancelled", "stop_event")


@pytest.mark.parametrize(
    ("at", "status"),
    [(NOON - 10 * HOUR, "paid"), (NOON + HOUR, "paid"), (NOON - HOUR, "refunded"), (NOON - HOUR, "cancelled")],
    ids=["before the anchor", "after the decision", "refunded", "cancelled"],
)
def test_a_purchase_that_does_not_count_cancels_nothing(stage: Stage, at: datetime, status: str) -> None:
    key = stage.planned("ann")
    stage.purchase("ann", at, status)

    stage.dispatch()

    assert stage.end(key) == ("accepted", None)


def test_a_purchase_under_another_id_of_the_same_person_cancels(stage: Stage) -> None:
    key = stage.planned("guest-1")
    stage.person("ann")
    stage.run_sql("insert into core.aliases values ('guest-1', 'ann', 'email', :at)", at=NOON - HOUR)
    stage.purchase("ann", NOON - HOUR)

    stage.dispatch()

    assert stage.end(key) == ("cancelled", "stop_event")


def test_a_named_event_with_its_properties_stops_and_another_does_not(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(stop_event={"event": "booked", "where": {"city": "Rome"}})
    rome, oslo = stage.planned("ann"), stage.planned("bob")
    for customer, city in (("ann", "Rome"), ("bob", "Oslo")):
        stage.run_sql(
            "insert into core.events (event_id, customer_id, name, occurred_at, properties, load_id)"
            " values (:id, :id, 'booked', :at, jsonb_build_object('city', cast(:city as text), 'n', 1), 0)",
            id=customer,
            at=NOON - HOUR,
            city=city,
        )

    stage.dispatch()

    assert stage.end(rome) == ("cancelled", "stop_event")
    assert stage.end(oslo) == ("accepted", None)


def test_who_reached_the_goal_is_written_to_no_more_though_something_else_ends_the_sequence(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage(stop_event={"event": "booked"}, goal={"event": "qualified"})
    reached, bought = stage.planned("ann"), stage.planned("bob")
    stage.run_sql(
        "insert into core.events (event_id, customer_id, name, occurred_at, load_id)"
        " values ('e', 'ann', 'qualified', :at, 0)",
        at=NOON - HOUR,
    )
    stage.purchase("bob", NOON - HOUR)

    stage.dispatch()

    assert stage.end(reached) == ("cancelled", "stop_event")
    assert stage.end(bought) == ("accepted", None)


def test_a_closed_episode_sends_nothing_and_keeps_its_reason(stage: Stage) -> None:
    key = stage.planned("ann")
    stage.run_sql("update campaign.enrolments set closed_at = :at, close_reason = 'left_segment'", at=NOON)

    stage.dispatch()

    assert stage.end(key) == ("cancelled", "left_segment")


def test_of_two_merged_enrolments_the_earlier_one_stands(stage: Stage) -> None:
    stage.person("ann")
    earlier = stage.plan(stage.enrol("ann", anchor=NOON - 10 * HOUR))
    later = stage.planned("guest-1")
    stage.run_sql("insert into core.aliases values ('guest-1', 'ann', 'email', :at)", at=NOON - HOUR)

    stage.dispatch()

    assert stage.end(earlier) == ("accepted", None)
    assert stage.end(later) == ("cancelled", "merged")


@pytest.mark.parametrize(("arm", "end"), [("treated", ("accepted", None)), ("holdout", ("cancelled", "merged"))])
def test_an_earlier_enrolment_that_is_over_makes_way_but_not_where_it_held_the_person_out(
    stage: Stage, arm: str, end: tuple[str, str | None]
) -> None:
    stage.person("ann")
    stage.enrol("ann", anchor=NOON - 10 * HOUR)
    stage.run_sql(
        "update campaign.enrolments set arm = :arm, closed_at = :at, close_reason = 'left_segment'",
        arm=arm,
        at=NOON - 2 * HOUR,
    )
    later = stage.planned("guest-1")
    stage.run_sql("insert into core.aliases values ('guest-1', 'ann', 'email', :at)", at=NOON - HOUR)

    stage.dispatch()

    assert stage.end(later) == end


# ------------------------------------------------------------------------------- consent and addresses


def test_consent_withdrawn_between_plan_and_claim_suppresses(stage: Stage) -> None:
    key = stage.planned("ann")
    stage.consent("ann", "email", "withdrawn", NOON - HOUR)

    stage.dispatch()

    assert stage.end(key) == ("suppressed", "no_consent")
    assert stage.outbox() == {}
    assert stage.decisions_follow_the_ledger()


def test_a_withdrawal_at_the_same_instant_as_the_grant_wins(stage: Stage) -> None:
    key = stage.planned("ann", granted_at=NOON - DAY)
    stage.consent("ann", "email", "withdrawn", NOON - DAY)

    stage.dispatch()

    assert stage.end(key) == ("suppressed", "no_consent")


@pytest.mark.parametrize(("basis", "end"), [("express", "accepted"), ("soft_opt_in", "suppressed")])
def test_only_an_express_grant_restores_after_a_withdrawal(
    make_stage: Callable[..., Stage], basis: str, end: str
) -> None:
    stage = make_stage(channels=[{"name": "email", "consent": ["express", "soft_opt_in"]}, "push", "sms"])
    key = stage.planned("ann")
    stage.consent("ann", "email", "withdrawn", NOON - DAY)
    stage.consent("ann", "email", "granted", NOON - HOUR, basis)

    stage.dispatch()

    assert stage.end(key)[0] == end


def test_a_basis_the_campaign_does_not_accept_is_no_consent(stage: Stage) -> None:
    key = stage.planned("ann", channels=())
    stage.consent("ann", "email", "granted", NOON - DAY, "soft_opt_in")

    stage.dispatch()

    assert stage.end(key) == ("suppressed", "no_consent")


def test_an_expired_grant_is_no_consent(stage: Stage) -> None:
    key = stage.planned("ann")
    stage.run_sql("update core.consents set expires_at = :at", at=NOON)

    stage.dispatch()

    assert stage.end(key) == ("suppressed", "no_consent")


def test_a_withdrawal_under_another_id_of_the_same_person_counts(stage: Stage) -> None:
    key = stage.planned("ann")
    stage.run_sql("insert into core.aliases values ('guest-1', 'ann', 'email', :at)", at=NOON - HOUR)
    stage.consent("guest-1", "email", "withdrawn", NOON - HOUR)

    stage.dispatch()

    assert stage.end(key) == ("suppressed", "no_consent")


def test_a_quarantined_consent_line_counts_as_a_withdrawal(stage: Stage) -> None:
    blocked, free = stage.planned("ann", channels=("email", "push")), stage.planned("bob")
    stage.run_sql(
        "with load as (insert into raw.loads (source, entity, object, as_of) values ('s', 'consents', 'o', :at)"
        " returning load_id), line as (insert into raw.quarantine (load_id, source, entity, line_no, raw, fields,"
        " reason) select load_id, 's', 'consents', 1, 'x', '{}', 'unknown_status' from load returning quarantine_id)"
        " insert into core.consent_blocks (quarantine_id, customer_id, channel)"
        " select quarantine_id, 'ann', null from line",
        at=NOON - DAY,
    )

    stage.dispatch()

    assert stage.end(blocked) == ("suppressed", "no_consent")
    assert stage.end(free) == ("accepted", None)


def test_a_withdrawal_leaves_the_next_viable_channel(stage: Stage) -> None:
    key = stage.planned("ann", channels=("email", "sms"))
    stage.consent("ann", "email", "withdrawn", NOON - HOUR)

    stage.dispatch()

    row = stage.send(key)
    assert (row["state"], row["channel"]) == ("accepted", "sms")
    assert stage.decisions_follow_the_ledger()


def test_under_all_viable_a_sub_step_never_changes_its_channel(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(reach="all_viable")
    stage.person("ann", channels=("email", "push"))
    enrolment = stage.enrol("ann")
    email = stage.plan(enrolment, "1.email")
    push = stage.plan(enrolment, "1.push", channel="push")
    stage.consent("ann", "email", "withdrawn", NOON - HOUR)

    stage.dispatch()

    assert stage.end(email) == ("suppressed", "no_consent")
    assert stage.end(push) == ("accepted", None)


def test_under_all_viable_each_sub_step_leaves_once(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(reach="all_viable")
    stage.person("ann", channels=("email", "push"))
    enrolment = stage.enrol("ann")
    keys = [stage.plan(enrolment, f"1.{channel}", channel=channel) for channel in ("email", "push")]

    stage.dispatch(conduct=lambda message: Conduct.REFUSE if message.channel == "push" else Conduct.ACCEPT)

    assert stage.end(keys[0]) == ("accepted", None)
    assert stage.end(keys[1]) == ("rejected", "invalid_address")
    assert stage.outbox() == {keys[0]: 1}


def test_consent_without_an_address_is_no_address(stage: Stage) -> None:
    key = stage.planned("ann", channels=("push",), channel="push")
    stage.run_sql("update core.push_tokens set active = false")

    stage.dispatch()

    assert stage.end(key) == ("suppressed", "no_address")


def test_a_suppressed_address_is_not_written_to(stage: Stage) -> None:
    key = stage.planned("ann")
    stage.run_sql(
        "insert into core.suppressions (address_hmac, channel, reason, suppressed_at)"
        " values (:hmac, 'email', 'bounced', :at)",
        hmac=keyed_hash(stage.work.settings.suppression_key.get_secret_value(), "ann@example.com"),
        at=NOON,
    )

    stage.dispatch()

    assert stage.end(key) == ("suppressed", "suppressed_address")


@pytest.mark.parametrize("key", ["k", "a much longer key than one block of sha-256 holds, which is 64 bytes: " * 2])
def test_postgresql_hashes_addresses_as_python_does(stage: Stage, key: str) -> None:
    from tasks.rules.keyed import pads

    inner, outer = pads(key)

    assert keyed_hash(key, "jörg@example.com") == stage.one(
        "select campaign.keyed_hash(:inner, :outer, 'jörg@example.com')", inner=inner, outer=outer
    )


# -------------------------------------------------------------------- campaign state, data gate, period


@pytest.mark.parametrize("which", ["back", "*"])
def test_a_pause_leaves_everything_planned_and_a_resume_lets_it_go(stage: Stage, which: str) -> None:
    key = stage.planned("ann")
    stage.run_sql("insert into campaign.campaigns (campaign, state) values (:which, 'paused')", which=which)

    stage.dispatch()
    assert stage.end(key) == ("planned", "campaign_paused")
    assert stage.decisions_follow_the_ledger()

    stage.run_sql("update campaign.campaigns set state = 'active'")
    stage.dispatch()
    assert stage.end(key) == ("accepted", None)


def test_a_pause_in_the_middle_of_a_run_stops_the_next_claim(stage: Stage) -> None:
    for number in range(6):
        stage.planned(f"c{number}")

    def pause(_: OutgoingMessage) -> Conduct:
        stage.run_sql(
            "insert into campaign.campaigns (campaign, state) values ('back', 'paused') on conflict do nothing"
        )
        return Conduct.ACCEPT

    stage.dispatch(conduct=pause, limits=Limits(batch=2))

    assert stage.states() == {"accepted": 2, "planned": 4}


def test_a_failed_data_gate_holds_one_campaign_and_leaves_the_others_alone(stage: Stage) -> None:
    write_campaign(stage.folder, "other")
    held, free = stage.planned("ann"), stage.planned("bob", "other")
    stage.run_sql("insert into campaign.holds (campaign, load_id, reason) values ('back', 1, 'gate')")

    stage.dispatch()
    assert stage.end(held) == ("planned", "gate")
    assert stage.outbox() == {free: 1}
    assert stage.decisions_follow_the_ledger()

    stage.run_sql("delete from campaign.holds")
    stage.dispatch()
    assert stage.end(held) == ("accepted", None)


def test_after_its_last_day_a_campaign_sends_nothing(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(period={"start": "2026-03-01", "end": "2026-03-10"}, time_zone="Pacific/Auckland")
    last_minute = datetime(2026, 3, 10, 23, 59, tzinfo=ZoneInfo("Pacific/Auckland"))
    in_time = stage.planned("ann", due=last_minute)
    too_late = stage.planned("bob", due=last_minute + timedelta(minutes=1))

    stage.dispatch(NOON + DAY)

    assert stage.end(in_time) == ("accepted", None)
    assert stage.end(too_late) == ("cancelled", "campaign_ended")


def test_before_its_first_day_a_campaign_waits(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(period={"start": "2026-03-11"}, time_zone="America/New_York")
    key = stage.planned("ann")

    stage.dispatch(NOON)
    assert stage.end(key) == ("planned", "campaign_paused")

    stage.dispatch(NOON + DAY)
    assert stage.send(key)["accepted_at"] == datetime(2026, 3, 11, tzinfo=ZoneInfo("America/New_York"))


# -------------------------------------------------------------------------------------------- quiet hours


def _opens(zones: list[str], moment: datetime, start: str, end: str) -> datetime:
    """The first open minute, by asking every wall clock minute by minute in Python."""

    def quiet(at: datetime) -> bool:
        clocks = [at.astimezone(ZoneInfo(zone)).time() for zone in zones]
        first, last = time.fromisoformat(start), time.fromisoformat(end)
        if first < last:
            return any(first <= clock < last for clock in clocks)
        return any(clock >= first or clock < last for clock in clocks)

    at = moment
    while quiet(at):
        at = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return at


@pytest.mark.parametrize(
    ("zones", "due", "opens"),
    [
        (["UTC"], "2026-03-10T12:00Z", "2026-03-10T12:00Z"),
        (["UTC"], "2026-03-10T21:00Z", "2026-03-11T08:00Z"),
        (["UTC"], "2026-03-10T20:59:59Z", "2026-03-10T20:59:59Z"),
        (["UTC"], "2026-03-10T07:59:59Z", "2026-03-10T08:00Z"),
        (["UTC"], "2026-03-10T08:00Z", "2026-03-10T08:00Z"),
        # clocks go forward in the night: the interval is an hour shorter, 08:00 is 06:00Z
        (["Europe/Berlin"], "2026-03-28T22:00Z", "2026-03-29T06:00Z"),
        # clocks go back in the night: the interval is an hour longer, 08:00 is 07:00Z
        (["Europe/Berlin"], "2026-10-24T20:00Z", "2026-10-25T07:00Z"),
        (["Asia/Kolkata"], "2026-03-10T20:00Z", "2026-03-11T02:30Z"),
        (["Asia/Kathmandu"], "2026-03-10T20:00Z", "2026-03-11T02:15Z"),
        # half an hour of summer time, ending 2026-04-05 02:00 (+11:00 to +10:30)
        (["Australia/Lord_Howe"], "2026-04-04T12:00Z", "2026-04-04T21:30Z"),
        # every candidate zone must be open: New York opens at 12:00Z, Los Angeles at 15:00Z
        (["America/New_York", "America/Los_Angeles"], "2026-03-10T12:30Z", "2026-03-10T15:00Z"),
    ],
)
def test_quiet_hours_hold_to_the_first_open_moment(
    make_stage: Callable[..., Stage], zones: list[str], due: str, opens: str
) -> None:
    stage = make_stage(quiet_hours=NIGHT)
    moment, opening = datetime.fromisoformat(due), datetime.fromisoformat(opens)
    key = stage.planned("ann", zones=zones, due=moment)

    stage.dispatch(moment)
    if opening > moment:
        assert stage.end(key) == ("planned", "quiet")
        assert stage.send(key)["not_before"] == opening
    stage.dispatch(moment + DAY)

    assert stage.send(key)["accepted_at"] == opening
    assert opening == _opens(zones, moment, "21:00", "08:00")
    assert stage.decisions_follow_the_ledger()


def test_an_interval_that_begins_in_a_gap_or_a_fold_is_scanned_by_the_wall_clock(
    make_stage: Callable[..., Stage],
) -> None:
    """Berlin 2026-03-29 has no 02:30; 2026-10-25 has it twice, and [02:15, 02:45) is quiet both times."""
    stage = make_stage(quiet_hours={"start": "02:15", "end": "02:45"})
    gap = stage.planned("ann", zones=["Europe/Berlin"], due=datetime(2026, 3, 29, 1, 20, tzinfo=UTC))
    first = stage.planned("bob", zones=["Europe/Berlin"], due=datetime(2026, 10, 25, 0, 20, tzinfo=UTC))
    again = stage.planned("cat", zones=["Europe/Berlin"], due=datetime(2026, 10, 25, 1, 20, tzinfo=UTC))

    stage.dispatch(datetime(2026, 10, 26, tzinfo=UTC))

    assert stage.send(gap)["accepted_at"] == datetime(2026, 3, 29, 1, 20, tzinfo=UTC)
    assert stage.send(first)["accepted_at"] == datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    assert stage.send(again)["accepted_at"] == datetime(2026, 10, 25, 1, 45, tzinfo=UTC)


def test_the_next_open_moment_equals_an_independent_scan_of_the_wall_clocks(stage: Stage) -> None:
    chance = random.Random(7)
    zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Casablanca"]
    changes = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 8), (3, 29), (4, 4), (10, 3), (10, 25))]
    for _ in range(60):
        chosen = chance.sample(zones, chance.choice([1, 1, 2]))
        moment = chance.choice(changes) + timedelta(seconds=chance.randrange(-86400, 2 * 86400))
        start = time(chance.randrange(24), chance.choice([0, 15, 30])).strftime("%H:%M")
        end = time(chance.randrange(24), 45).strftime("%H:%M")
        found = stage.one(
            "select campaign.next_open(:at, :zones, cast(:open_minutes as int4multirange))",
            at=moment,
            zones=chosen,
            open_minutes=quiet_week(time.fromisoformat(start), time.fromisoformat(end)),
        )
        if found is not None:
            assert found == _opens(chosen, moment, start, end), (chosen, moment, start, end)


def test_zones_that_are_never_open_together_end_the_message(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(quiet_hours={"start": "12:00", "end": "11:00"})
    key = stage.planned("ann", zones=["UTC", "Asia/Tokyo"])

    stage.dispatch()

    assert stage.end(key) == ("suppressed", "quiet")


def test_quiet_hours_may_drop_instead_of_hold(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(quiet_hours={**NIGHT, "on_quiet": "drop"})
    key = stage.planned("ann", due=NOON + 10 * HOUR)

    stage.dispatch(NOON + DAY)

    assert stage.end(key) == ("suppressed", "quiet")


@pytest.mark.parametrize("zones", [[], ["Mars/Phobos"], ["UTC", "Mars/Phobos"]])
def test_an_unknown_zone_fails_closed(make_stage: Callable[..., Stage], zones: list[str]) -> None:
    stage = make_stage(quiet_hours=NIGHT)
    key = stage.planned("ann", zones=zones)

    stage.dispatch()

    assert stage.end(key) == ("suppressed", "zone_unknown")


def test_an_unknown_zone_may_be_assumed_where_the_campaign_says_so(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(
        quiet_hours={**NIGHT, "unknown_zone": "Asia/Tokyo"},
        channels=["email", "push"],
        steps=[{"send_after": "9h", "messages": {"email": {"subject": "Hello", "file": "email.html"}}}],
    )
    key = stage.planned("ann", zones=[])

    stage.dispatch(NOON + DAY)

    assert stage.send(key)["accepted_at"] == datetime(2026, 3, 10, 23, tzinfo=UTC), "08:00 in Tokyo"


def test_without_quiet_hours_the_zone_does_not_matter(stage: Stage) -> None:
    key = stage.planned("ann", zones=[])

    stage.dispatch()

    assert stage.end(key) == ("accepted", None)


# -------------------------------------------------------------------------------------------------- caps


def test_a_cap_holds_until_the_rolling_period_leaves_room(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(caps=[{"messages": 2, "per": "7d"}])
    stage.person("ann")
    keys = [stage.plan(stage.enrol("ann"), due=NOON + n * HOUR, expires=NOON + 20 * DAY) for n in range(3)]

    stage.dispatch(NOON + DAY)
    assert [stage.end(key) for key in keys] == [("accepted", None), ("accepted", None), ("planned", "capped")]
    assert stage.send(keys[2])["not_before"] == NOON + 7 * DAY

    stage.dispatch(NOON + 8 * DAY)
    assert stage.send(keys[2])["accepted_at"] == NOON + 7 * DAY


@pytest.mark.parametrize("per", ["1d", "7d"])
@pytest.mark.parametrize("early", [timedelta(minutes=1), 11 * HOUR])
def test_a_caps_period_rolls_from_message_to_message_and_begins_at_no_midnight(
    make_stage: Callable[..., Stage], per: str, early: timedelta
) -> None:
    stage = make_stage(caps=[{"messages": 1, "per": per}])
    stage.person("ann")
    period = int(per.removesuffix("d")) * DAY
    due = NOON + period - early  # a day of its own already, on the calendar
    _, later = (stage.plan(stage.enrol("ann"), due=at, expires=NOON + 20 * DAY) for at in (NOON, due))
    stage.dispatch(NOON)

    stage.dispatch(due)
    assert stage.end(later) == ("planned", "capped")
    assert stage.send(later)["not_before"] == NOON + period

    stage.dispatch(NOON + period)
    assert stage.end(later) == ("accepted", None)


def test_a_cap_counts_over_all_campaigns_and_ids_and_what_is_in_doubt(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(caps=[{"messages": 2, "per": "7d"}])
    write_campaign(stage.folder, "other")
    stage.person("ann")
    stage.plan(stage.enrol("ann", "other"), due=NOON - 2 * HOUR)
    stage.plan(stage.enrol("ann", "other"), due=NOON - HOUR)
    stage.dispatch(NOON - 2 * HOUR, campaign="other")
    stage.dispatch(NOON - HOUR, campaign="other", conduct=Conduct.DROP)
    stage.person("guest-1")
    stage.run_sql("insert into core.aliases values ('guest-1', 'ann', 'email', :at)", at=NOON - HOUR)
    key = stage.plan(stage.enrol("guest-1"))

    stage.dispatch()

    assert stage.end(key) == ("planned", "capped")


def test_a_cap_of_one_channel_counts_that_channel(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(caps=[{"messages": 1, "per": "7d", "channel": "sms"}])
    stage.person("ann", channels=("email", "sms"))
    email = stage.plan(stage.enrol("ann"), due=NOON)
    sms = stage.plan(stage.enrol("ann"), due=NOON + HOUR, channel="sms")
    another = stage.plan(stage.enrol("ann"), due=NOON + 2 * HOUR, channel="sms")

    stage.dispatch(NOON + DAY)

    assert [stage.end(key)[0] for key in (email, sms, another)] == ["accepted", "accepted", "planned"]


def test_when_a_cap_leaves_room_for_one_the_higher_priority_goes_first(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(mode="live", caps=[{"messages": 1, "per": "7d"}])
    now = stage.one("select clock_timestamp()")
    stage.person("ann")
    low = stage.plan(stage.enrol("ann", anchor=now - DAY), due=now - 2 * HOUR, priority=-1)
    high = stage.plan(stage.enrol("ann", anchor=now - DAY), due=now - HOUR, priority=5)

    stage.dispatch(None)

    assert stage.end(high) == ("accepted", None)
    assert stage.end(low) == ("planned", "capped")
