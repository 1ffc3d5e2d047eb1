"""The state machine of the ledger (reliability section 4), judged by the outbox's own rows."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from tasks import reconcile
from tasks.channels.base import OutgoingMessage
from tasks.channels.factory import open_sender
from tasks.channels.outbox import PROFILE, Conduct
from tasks.platforms.factory import open_platform
from tasks.rules.errors import DatabaseError, Misconfigured, ModeError
from tasks.store import runs
from tasks.store.ledger import Clock, Ledger, Limits
from tests.send.stage import NOON, Stage, at_most, two_steps, write_campaign

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_a_usual_lease_is_longer_than_a_call_and_twice_the_skew_that_is_allowed() -> None:
    usual = Limits()

    assert usual.most_skew == timedelta(seconds=60)  # R8
    assert usual.lease > usual.call_timeout + 2 * usual.most_skew  # 4.2.2
    # a worker that trusts its own clock, which may be so far off, is through with its call before the lease ends
    assert usual.time_to_call + 2 * usual.call_timeout + usual.most_skew <= usual.lease


@pytest.mark.parametrize(
    ("lease", "call", "skew", "fault"),
    [
        (140, 20, 60, "a lease of 140 s must be longer than a call (20 s) and twice the skew"),
        (90, 20, 60, "a lease of 90 s must be longer than a call (20 s) and twice the skew"),
        (130, 60, 10, "a lease of 130 s must be longer than two calls (60 s each) and the skew"),
        (141, 20, 60, None),
        (131, 60, 10, None),
    ],
)
def test_a_lease_that_clocks_or_calls_may_outlast_is_refused(
    lease: int, call: int, skew: int, fault: str | None
) -> None:
    given = {"lease": lease, "call_timeout": call, "most_skew": skew}
    told = pytest.raises(ValueError, match=re.escape(fault)) if fault else contextlib.nullcontext()

    with told:
        Limits(**{name: timedelta(seconds=seconds) for name, seconds in given.items()})


def test_a_due_message_leaves_once_and_is_recorded(stage: Stage) -> None:
    key = stage.planned("ann")

    stage.dispatch()

    row = stage.send(key)
    assert row["state"] == "accepted"
    assert row["accepted_at"] == row["claimed_at"] == row["settled_at"] == NOON
    assert row["provider_message_id"]
    assert row["voucher_code"] == "COMEBACK10"
    assert stage.outbox() == {key: 1}
    assert stage.decisions_follow_the_ledger()


def test_who_asks_why_during_the_call_hears_that_it_is_being_handed_over(stage: Stage) -> None:
    key = stage.planned("ann")
    answers = []

    def ask(point: str) -> None:
        if point in ("calling", "recorded"):
            query = stage.work.queries["ledger/why_decisions"](enrolment_id=stage.send(key)["enrolment_id"], as_of=NOON)
            with stage.work.database.transaction() as connection:
                answers.extend((row.state, row.reason, row.channel) for row in connection.execute(query))

    stage.dispatch(watch=ask)

    assert answers == [("in_flight", None, "email"), ("accepted", None, "email")]
    assert [row["state"] for row in stage.rows("select state from campaign.decisions order by decision_id")] == [
        "planned",
        "accepted",
    ]


def test_dispatching_again_sends_nothing_and_changes_nothing(stage: Stage) -> None:
    key = stage.planned("ann")
    stage.dispatch()
    before = stage.rows("select * from campaign.sends")

    stage.dispatch()
    stage.dispatch(NOON + DAY)

    assert stage.outbox() == {key: 1}
    assert stage.rows("select * from campaign.sends") == before


def test_nothing_leaves_before_it_is_due(stage: Stage) -> None:
    key = stage.planned("ann")

    stage.dispatch(NOON - timedelta(microseconds=1))
    assert stage.end(key) == ("planned", None)

    stage.dispatch(NOON)
    assert stage.end(key) == ("accepted", None)


def test_what_leaves_is_pinned_by_its_hash_and_the_attempt_travels_with_it(stage: Stage) -> None:
    key = stage.planned("ann")

    stage.dispatch()

    attempt = stage.rows("select * from campaign.attempts")[0]
    message = stage.rows("select * from outbox.messages")[0]
    assert attempt["send_key"] == key
    assert attempt["outcome"] == "accepted"
    assert attempt["payload_sha256"] == stage.send(key)["payload_sha256"]
    assert message["attempt_id"] == str(attempt["attempt_id"])
    assert message["address"] == "ann@example.com"
    assert message["at"] == NOON
    assert "COMEBACK10" in message["content"]["html"]
    assert "ann@example.com" not in str(attempt)


def test_every_accepted_message_with_a_voucher_is_a_voucher_event(stage: Stage) -> None:
    key = stage.planned("ann")

    stage.dispatch()

    event = stage.rows("select * from campaign.voucher_events")[0]
    assert (event["send_key"], event["customer_id"], event["code"]) == (key, "ann", "COMEBACK10")
    assert event["occurred_at"] == NOON


def test_a_refused_message_goes_to_the_next_viable_channel_in_the_same_row(stage: Stage) -> None:
    key = stage.planned("ann", channels=("email", "sms"))

    stage.dispatch(conduct=lambda message: Conduct.REFUSE if message.channel == "email" else Conduct.ACCEPT)

    row = stage.send(key)
    assert (row["state"], row["channel"], row["attempt_no"]) == ("accepted", "sms", 2)
    attempts = stage.rows("select channel, outcome, payload_sha256 from campaign.attempts order by attempt_no")
    assert [(a["channel"], a["outcome"]) for a in attempts] == [("email", "refused"), ("sms", "accepted")]
    assert attempts[0]["payload_sha256"] != attempts[1]["payload_sha256"]
    assert stage.outbox() == {key: 1}
    assert stage.decisions_follow_the_ledger()


def test_a_message_every_channel_refused_ends_as_rejected_with_the_reason(stage: Stage) -> None:
    key = stage.planned("ann", channels=("email", "push", "sms"))

    stage.dispatch(conduct=Conduct.REFUSE)

    assert stage.end(key) == ("rejected", "invalid_address")
    assert stage.one("select count(*) from campaign.attempts") == 3
    assert stage.outbox() == {}
    assert stage.decisions_follow_the_ledger()


def test_an_address_refused_for_good_is_not_written_to_again(stage: Stage) -> None:
    stage.planned("ann")
    stage.dispatch(conduct=Conduct.REFUSE)
    again = stage.plan(stage.enrol("ann"), due=NOON + DAY)

    stage.dispatch(NOON + DAY)

    assert stage.end(again) == ("suppressed", "suppressed_address")


def test_a_busy_provider_is_tried_again_later_and_the_message_leaves_once(stage: Stage) -> None:
    key = stage.planned("ann")

    stage.dispatch(conduct=Conduct.BUSY)
    row = stage.send(key)
    assert (row["state"], row["reason"]) == ("retry_wait", "busy")
    assert timedelta(seconds=30) <= row["not_before"] - NOON <= timedelta(seconds=60)

    stage.dispatch(NOON + HOUR)
    row = stage.send(key)
    assert (row["state"], row["attempt_no"]) == ("accepted", 2)
    assert stage.outbox() == {key: 1}


def test_what_a_provider_stays_too_busy_for_is_tried_until_it_expires(stage: Stage) -> None:
    key = stage.planned("ann", expires=NOON + 3 * DAY)

    # it is tried every hour
    stage.dispatch(NOON + 3 * DAY - HOUR, conduct=Conduct.BUSY, watch=at_most(500))
    assert stage.end(key) == ("retry_wait", "busy")
    waits = [row["decided_at"] for row in stage.rows("select decided_at from campaign.attempts order by attempt_no")]
    assert waits[-1] > NOON + 2 * DAY + 20 * HOUR
    assert min(later - earlier for earlier, later in pairwise(waits[8:])) >= HOUR / 2
    assert max(later - earlier for earlier, later in pairwise(waits)) <= HOUR

    stage.dispatch(NOON + 4 * DAY, conduct=Conduct.BUSY)
    assert stage.end(key) == ("expired", None)
    assert stage.outbox() == {}
    assert stage.decisions_follow_the_ledger()


@pytest.mark.parametrize("end", ["campaign", "purchase"])
def test_what_a_provider_stays_too_busy_for_also_ends_with_its_campaign_or_occasion(
    make_stage: Callable[..., Stage], end: str
) -> None:
    period = {"period": {"end": "2026-03-10"}} if end == "campaign" else {}
    stage = make_stage(**period)
    key = stage.planned("ann")
    if end == "purchase":
        stage.purchase("ann", NOON + 5 * HOUR)

    stage.dispatch(NOON + DAY, conduct=Conduct.BUSY)

    assert stage.end(key) == ("cancelled", "campaign_ended" if end == "campaign" else "stop_event")


def test_the_wait_a_provider_asks_for_is_kept_and_costs_no_try(stage: Stage) -> None:
    key = stage.planned("ann")

    stage.dispatch(NOON + HOUR, conduct=Conduct.CLOSED)

    waits = stage.rows("select decided_at from campaign.attempts order by attempt_no")
    assert len(waits) == 31
    assert {b["decided_at"] - a["decided_at"] for a, b in pairwise(waits)} == {timedelta(seconds=120)}
    assert stage.end(key) == ("retry_wait", "busy")


def test_wrong_credentials_halt_the_channel_and_reject_nobody(stage: Stage) -> None:
    keys = [stage.planned(name) for name in ("ann", "bob")]

    with pytest.raises(Misconfigured, match="email halted"):
        stage.dispatch(conduct=Conduct.MISCONFIGURED)
    assert {stage.end(key) for key in keys} == {("planned", "misconfigured")}

    stage.dispatch()
    assert stage.outbox() == dict.fromkeys(keys, 1)


def test_a_halted_channel_does_not_stop_the_others(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    stage.planned("ann")
    key = stage.planned("bob", channels=("sms",), channel="sms")

    with pytest.raises(Misconfigured):
        stage.dispatch(conduct=lambda message: Conduct.MISCONFIGURED if message.channel == "email" else Conduct.ACCEPT)

    assert stage.outbox() == {key: 1}


@pytest.mark.parametrize("conduct", [Conduct.DROP, Conduct.HANG])
def test_a_lost_answer_is_in_doubt_and_never_sent_again(stage: Stage, conduct: Conduct) -> None:
    key = stage.planned("ann")

    stage.dispatch(conduct=conduct)
    for hours in (0, 1, 12):
        stage.dispatch(NOON + hours * HOUR)

    assert stage.end(key) == ("unknown", "unanswered")
    assert stage.outbox() == {key: 1}
    assert stage.decisions_follow_the_ledger()


def test_an_unexpected_failure_of_a_client_is_in_doubt(stage: Stage) -> None:
    key = stage.planned("ann")

    class Broken:
        profile = PROFILE

        def send(self, messages: object) -> list[object]:
            raise RuntimeError(messages)

        def close(self) -> None: ...

    stage.dispatch(senders={"outbox": Broken()})

    assert stage.end(key) == ("unknown", "unanswered")


def test_what_stays_in_doubt_is_given_up_after_a_day_and_not_sent(stage: Stage) -> None:
    key = stage.planned("ann")
    stage.dispatch(conduct=Conduct.DROP)

    reconcile.doubts(stage.work, NOON + DAY - HOUR)
    assert stage.end(key) == ("unknown", "unanswered")

    reconcile.doubts(stage.work, NOON + DAY)
    stage.dispatch(NOON + 2 * DAY)
    assert stage.end(key)[0] == "abandoned"
    assert stage.outbox() == {key: 1}
    assert stage.decisions_follow_the_ledger()


def _report(stage: Stage, kind: str, event_key: str = "1") -> None:
    stage.run_sql(
        "insert into campaign.provider_events (provider, event_key, attempt_id, kind, occurred_at)"
        " select 'outbox', :key, attempt_id, :kind, :at from campaign.attempts",
        key=event_key,
        kind=kind,
        at=NOON + HOUR,
    )


@pytest.mark.parametrize("kind", ["accepted", "delivered", "bounced"])
def test_a_provider_report_settles_a_doubt_as_accepted(stage: Stage, kind: str) -> None:
    key = stage.planned("ann")
    stage.dispatch(conduct=Conduct.DROP)
    _report(stage, kind)

    reconcile.doubts(stage.work, NOON + HOUR)
    reconcile.doubts(stage.work, NOON + 3 * DAY)

    row = stage.send(key)
    assert (row["state"], row["accepted_at"]) == ("accepted", NOON)
    assert stage.one("select count(*) from campaign.voucher_events") == 1
    assert stage.outbox() == {key: 1}
    assert stage.decisions_follow_the_ledger()


def test_a_report_that_comes_before_the_answer_is_kept_and_settles_it(stage: Stage) -> None:
    key = stage.planned("ann")

    def report_first(_: OutgoingMessage) -> Conduct:
        _report(stage, "delivered")
        reconcile.doubts(stage.work, NOON)
        assert stage.end(key) == ("in_flight", None), "its worker still waits for the answer"
        return Conduct.DROP

    stage.dispatch(conduct=report_first)
    assert stage.end(key) == ("unknown", "unanswered")

    reconcile.doubts(stage.work, NOON)
    assert stage.end(key) == ("accepted", None)


def test_a_late_report_settles_even_what_was_given_up(stage: Stage) -> None:
    key = stage.planned("ann")
    stage.dispatch(conduct=Conduct.DROP)
    reconcile.doubts(stage.work, NOON + DAY)
    _report(stage, "delivered")

    reconcile.doubts(stage.work, NOON + 2 * DAY)

    assert stage.end(key) == ("accepted", None)


def test_the_providers_word_that_nothing_came_allows_another_try_after_lease_and_call(stage: Stage) -> None:
    key = stage.planned("ann")
    brief = Limits(call_timeout=timedelta(0))

    class Deaf:
        profile = PROFILE

        def send(self, messages: object) -> list[object]:
            raise RuntimeError(messages)

        def close(self) -> None: ...

    stage.dispatch(senders={"outbox": Deaf()})
    _report(stage, "not_accepted")
    reconcile.doubts(stage.work, NOON + HOUR)
    assert stage.end(key)[0] == "unknown", "the lease of 150 s has not ended"

    stage.run_sql("update campaign.sends set lease_until = clock_timestamp() - interval '1 minute'")
    reconcile.doubts(stage.work, NOON + HOUR, limits=brief)
    assert stage.end(key) == ("retry_wait", "not_accepted")

    stage.dispatch(NOON + 2 * HOUR)
    assert stage.outbox() == {key: 1}


def test_a_row_whose_person_does_not_fit_the_template_is_rejected_alone(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage()
    (stage.folder / "campaigns/back/email.html").write_text(
        '<a href="{{ unsubscribe_url }}">x</a> {{ sender.postal_address }} {{ voucher.code }} {{ days_since_last }}'
    )
    bad, good = stage.planned("ann"), stage.planned("bob")
    stage.run_sql("update campaign.enrolments set evidence = '{}' where customer_id = 'ann'")

    stage.dispatch()

    assert stage.end(bad) == ("rejected", "content")
    assert stage.outbox() == {good: 1}
    assert stage.decisions_follow_the_ledger()


def test_what_waited_too_long_expires(stage: Stage) -> None:
    late = stage.planned("ann", expires=NOON + HOUR)
    stage.run_sql("insert into campaign.campaigns (campaign, state) values ('back', 'paused')")

    stage.dispatch(NOON + HOUR)

    assert stage.end(late) == ("expired", None)
    assert stage.outbox() == {}
    assert stage.decisions_follow_the_ledger()


def test_a_step_never_leaves_at_or_after_its_expiry(stage: Stage) -> None:
    key = stage.planned("ann", due=NOON, expires=NOON)

    stage.dispatch(NOON)

    assert stage.end(key) == ("expired", None)


def test_steps_of_one_episode_never_leave_together_and_keep_their_gap_after_an_outage(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage(mode="live", steps=two_steps("9h", "21h"))
    now = stage.one("select clock_timestamp()")
    stage.person("ann")
    enrolment = stage.enrol("ann", anchor=now - 2 * DAY)
    first = stage.plan(enrolment, "1", due=now - 2 * DAY + 9 * HOUR)
    second = stage.plan(enrolment, "2", due=now - 2 * DAY + 21 * HOUR)

    stage.dispatch(None)
    stage.dispatch(None)

    assert stage.end(first) == ("accepted", None)
    assert stage.end(second) == ("planned", "spacing")
    assert stage.send(second)["not_before"] - stage.send(first)["accepted_at"] == 12 * HOUR
    assert stage.outbox() == {first: 1}


def test_a_simulated_dispatch_plays_every_moment_since_the_last_one(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(steps=two_steps("9h", "21h"))
    stage.person("ann")
    enrolment = stage.enrol("ann")
    first = stage.plan(enrolment, "1", due=NOON + timedelta(minutes=7))
    second = stage.plan(enrolment, "2", due=NOON + timedelta(minutes=7) + 12 * HOUR)
    other = stage.planned("bob", due=NOON + 5 * HOUR)

    stage.dispatch(NOON)
    stage.dispatch(NOON + 3 * DAY)

    moments = {row["send_key"]: row["at"] for row in stage.rows("select send_key, at from outbox.messages")}
    assert moments == {
        first: NOON + timedelta(minutes=7),
        second: NOON + timedelta(minutes=7) + 12 * HOUR,
        other: NOON + 5 * HOUR,
    }


def test_a_simulated_purchase_stops_what_would_have_left_after_it_and_not_before(stage: Stage) -> None:
    early = stage.planned("ann", due=NOON + HOUR)
    late = stage.planned("bob", due=NOON + 3 * HOUR)
    for name in ("ann", "bob"):
        stage.purchase(name, NOON + 2 * HOUR)

    stage.dispatch(NOON + DAY)

    assert stage.end(early) == ("accepted", None)
    assert stage.end(late) == ("cancelled", "stop_event")


def test_what_an_earlier_dispatch_had_to_leave_is_decided_at_the_later_one(stage: Stage) -> None:
    key = stage.planned("ann")
    stage.run_sql("insert into campaign.campaigns (campaign, state) values ('*', 'paused')")
    stage.dispatch(NOON + HOUR)
    stage.run_sql("update campaign.campaigns set state = 'active'")

    stage.dispatch(NOON + 3 * HOUR)

    assert stage.send(key)["accepted_at"] == NOON + 3 * HOUR


def test_a_live_dispatch_decides_by_the_databases_clock(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(mode="live")
    now = stage.one("select clock_timestamp()")
    gone = stage.planned("ann", due=now - HOUR)
    later = stage.planned("bob", due=now + HOUR)

    stage.dispatch(None)

    assert stage.send(gone)["accepted_at"] >= now
    assert stage.end(later) == ("planned", None)


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_machine_whose_clock_is_wrong_hands_over_nothing(stage: Stage, hours: int) -> None:
    key = stage.planned("ann")

    with pytest.raises(DatabaseError, match="60 s apart"):
        stage.dispatch(wall_clock=lambda: time.time() + hours * 3600)

    assert stage.end(key) == ("planned", None)


def test_a_broken_campaign_folder_stops_only_its_own_campaign(stage: Stage) -> None:
    write_campaign(stage.folder, "broken")
    (stage.folder / "campaigns/broken/campaign.yaml").write_text("steps: 7")
    bad, good = stage.planned("ann", "broken"), stage.planned("bob")

    sent = stage.dispatch()

    assert stage.end(bad) == ("planned", None)
    assert stage.outbox() == {good: 1}
    assert sent.problems


def test_one_campaign_can_be_dispatched_alone(stage: Stage) -> None:
    write_campaign(stage.folder, "other")
    mine, other = stage.planned("ann"), stage.planned("bob", "other")

    stage.dispatch(campaign="back")

    assert stage.outbox() == {mine: 1}
    assert stage.end(other) == ("planned", None)


def test_only_the_outbox_exists_in_a_simulated_database_and_nothing_in_a_dry_run(stage: Stage) -> None:
    with pytest.raises(ModeError, match="outbox only"):
        open_sender(stage.work, "email_sendgrid", mode="simulated")
    with runs.rehearse(stage.work, stage.work.campaign("back"), NOON):
        for mode in ("live", "simulated"):
            with pytest.raises(ModeError, match="dry run"):
                open_sender(stage.work, "outbox", mode=mode)
            with pytest.raises(ModeError, match="dry run"):
                open_platform(stage.work, "outbox", "meta", mode=mode)
    open_sender(stage.work, "outbox", mode="live").close()
    with pytest.raises(Misconfigured, match="not among the providers"):
        open_sender(stage.work, "email_sendgrid", mode="live")
    with pytest.raises(Misconfigured, match="no provider"):
        open_sender(stage.work, "pigeon", mode="live")


def test_whatever_provider_is_named_a_simulated_database_delivers_to_the_outbox(stage: Stage) -> None:
    (stage.folder / "reengage.yaml").write_text("providers: [{provider: email_sendgrid}]", "utf-8")
    key = stage.plan(stage.enrol(stage.person("ann")))

    stage.dispatch()

    assert stage.end(key) == ("accepted", None)
    assert stage.outbox() == {key: 1}


def test_the_outbox_keeps_no_uniqueness_on_our_keys(stage: Stage) -> None:
    outbox = open_sender(stage.work, "outbox", mode="simulated")
    message = OutgoingMessage(
        "a", "k", "email", "ann@example.com", NOON, {"text": "x"}, "winback", NOON + timedelta(days=1)
    )

    outbox.send([message])
    outbox.send([message])
    outbox.close()

    assert stage.outbox() == {"k": 2}


def test_a_report_about_an_attempt_that_was_refused_proves_nothing(stage: Stage) -> None:
    key = stage.planned("ann", channels=("email", "push"))
    stage.dispatch(conduct=lambda message: Conduct.REFUSE if message.channel == "email" else Conduct.BUSY)
    assert stage.end(key)[0] == "retry_wait"
    refused = stage.one("select attempt_id from campaign.attempts where outcome = 'refused'")
    stage.run_sql(
        "insert into campaign.provider_events (provider, event_key, attempt_id, kind, occurred_at)"
        " values ('outbox', 'late', :attempt, 'bounced', :at)", attempt=refused, at=NOON,
    )  # fmt: skip

    reconcile.doubts(stage.work, NOON + HOUR)

    assert stage.end(key)[0] == "retry_wait"


def test_a_late_yes_counts_also_when_the_message_has_expired_since(stage: Stage) -> None:
    key = stage.planned("ann")
    stage.dispatch(conduct=Conduct.DROP)
    _report(stage, "not_accepted")
    stage.run_sql("update campaign.sends set lease_until = clock_timestamp() - interval '1 hour'")
    reconcile.doubts(stage.work, NOON + HOUR)
    stage.run_sql("update campaign.sends set not_before = :at", at=NOON + 9 * DAY)
    stage.dispatch(NOON + 8 * DAY)
    assert stage.end(key)[0] == "expired"

    stage.run_sql("delete from campaign.provider_events")
    _report(stage, "delivered")
    reconcile.doubts(stage.work, NOON + 8 * DAY)

    row = stage.send(key)
    assert (row["state"], row["accepted_at"]) == ("accepted", NOON)
    assert stage.decisions_follow_the_ledger()


def test_an_answer_that_comes_after_another_worker_took_the_message_is_not_written_down(stage: Stage) -> None:
    key = stage.planned("ann")
    ledger = Ledger(
        stage.work.queries, {}, clock=Clock(NOON), business_zone="UTC", address_key="", providers={}, limits=Limits()
    )

    class Gone(Exception):
        pass

    def leave(point: str) -> None:
        if point == "claimed":
            raise Gone

    def meanwhile(point: str) -> None:
        if point == "answered":
            stage.run_sql("update campaign.sends set lease_until = clock_timestamp() - interval '1 hour'")
            with stage.work.database.transaction() as connection:
                ledger.end_leases(connection)
                assert ledger.resolve(connection, key, was_accepted=False)
            with pytest.raises(Gone):
                stage.dispatch(NOON + HOUR, watch=leave)

    told = stage.dispatch(watch=meanwhile)

    assert told.counts["answered after the lease"] == 1
    assert stage.end(key) == ("in_flight", None)
    assert [row["outcome"] for row in stage.rows("select outcome from campaign.attempts order by attempt_no")] == [
        "unanswered", None
    ]  # fmt: skip
