"""The provider's rows of the fault matrix, from the claim to the ledger, with the real senders and loopback providers.

Each row says how the message ends and why, and how many requests and keys the provider took. P13 and more of P11, P12
and P17 are in tests/receiver (test_hooks, test_effects), under the same names.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner, Result

from flows.commands import pause
from tasks import reconcile, send
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.handover import MOST_THROTTLED
from tasks.channels.outbox import PROFILE as OUTBOX
from tasks.rules.errors import Misconfigured, Refused
from tasks.rules.words import REASONS
from tasks.store.ledger import Clock, Ledger, Limits
from tasks.store.workspace import Workspace
from tests.channels import amazon, mail_send, test_whatsapp_cloud
from tests.channels.loopback import Answer, Loopback, Mode, Request
from tests.send import live
from tests.send.live import BRIEF, CHANNELS, EMAIL, HURRIED, WHATSAPP, attempts, due, hear, pass_time
from tests.send.stage import Stage
from tests.send.test_amazon import ENDPOINT, TEXTS, live_stage, makes_an_endpoint, sns, texts

__all__ = ["sns", "texts"]


@pytest.fixture
def providers() -> Iterator[dict[str, Loopback]]:
    with live.sendgrid().running() as sendgrid, live.meta().running() as meta:
        yield {EMAIL: sendgrid, WHATSAPP: meta}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REENGAGE_SENDGRID_API_KEY", mail_send.KEY)
    monkeypatch.setenv("REENGAGE_WHATSAPP_TOKEN", live.TOKEN)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
def make_live(make_stage: Callable[..., Stage], providers: dict[str, Loopback]) -> Callable[..., Stage]:
    """A live stage with both providers; `urls` replace theirs, other changes are the campaign's."""

    def make(urls: dict[str, str] | None = None, **changes: Any) -> Stage:
        stage = make_stage(mode="live", **{**live.CAMPAIGN, **changes})
        live.configure(stage.folder, urls or {channel: one.url for channel, one in providers.items()})
        return stage

    return make


def batches_of(size: int) -> Limits:
    return dataclasses.replace(BRIEF, batch=size)


def waits(stage: Stage, key: str) -> float:
    """Seconds until a message may go again."""
    told = "select extract(epoch from not_before - clock_timestamp()) from campaign.sends where send_key = :key"
    return float(stage.one(told, key=key))


def says(answer: Answer) -> Callable[[Request], Answer]:
    return lambda _: answer


@pytest.mark.parametrize("channel", CHANNELS)
def test_p01_a_yes_is_accepted_once_and_its_number_kept(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    (key,) = due(stage, "ann", channel=channel)

    stage.dispatch(None, limits=BRIEF)
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("accepted", None)
    assert re.match({EMAIL: "request-", WHATSAPP: "[0-9a-f]{40}$"}[channel], stage.send(key)["provider_message_id"])
    assert provider.refused == []
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))
    assert stage.decisions_follow_the_ledger()


@pytest.mark.parametrize("channel", CHANNELS)
def test_p02_who_is_told_for_how_long_waits_so_long_and_loses_no_try(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    keys = due(stage, "ann", "bob", "cid", channel=channel)
    patient = batches_of(1)
    provider.conduct = Mode.BUSY_120

    stage.dispatch(None, limits=patient)

    assert len(provider.requests) == 1, "the whole channel slows down, not one message of it"
    (first,) = [key for key in keys if stage.end(key) == ("retry_wait", "busy")]
    assert 110 < waits(stage, first) <= 120
    assert stage.states() == {"retry_wait": 1, "planned": 2}
    for _ in range(9):
        pass_time(stage)
        stage.dispatch(None, limits=patient)
    assert len(provider.requests) == 10
    assert set(stage.states()) <= {"retry_wait", "planned"}
    assert provider.keys_accepted == []

    provider.conduct = Mode.ACCEPT
    pass_time(stage)
    stage.dispatch(None, limits=patient)
    assert stage.states() == {"accepted": 3}
    assert len(set(provider.keys_accepted)) == len(provider.keys_accepted) == 3


def test_p02_what_was_claimed_together_is_put_back_without_a_call(make_live, providers):
    stage, provider = make_live(), providers[WHATSAPP]
    due(stage, "ann", "bob", "cid", channel=WHATSAPP)
    provider.conduct = Mode.BUSY_120

    stage.dispatch(None, limits=batches_of(3))

    assert stage.states() == {"retry_wait": 1, "planned": 2}
    assert (len(provider.requests), provider.keys_accepted) == (1, [])


def test_p02_nobody_waits_longer_than_a_day(make_live, providers):
    stage = make_live()
    (key,) = due(stage, "ann", channel=WHATSAPP)
    providers[WHATSAPP].judge = says(Answer(429, {"error": {"code": 80007}}, {"Retry-After": "999999"}))

    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("retry_wait", "busy")
    assert 86_000 < waits(stage, key) <= 86_400
    assert (len(providers[WHATSAPP].requests), providers[WHATSAPP].keys_accepted) == (1, [])


@pytest.mark.parametrize("channel", CHANNELS)
def test_p02_every_process_leaves_the_provider_alone_until_then(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    other = next(name for name in CHANNELS if name != channel)
    due(stage, "ann", channel=channel)
    provider.conduct = Mode.BUSY_120
    told = stage.dispatch(None, limits=BRIEF)
    (rest,) = told.rests
    assert f"rests until {rest.rests_until:%Y-%m-%d %H:%M}" in told.in_words
    assert 110 < (rest.rests_until - stage.one("select clock_timestamp()")).total_seconds() <= 120

    provider.conduct = Mode.ACCEPT
    (late,) = due(stage, "bob", channel=channel)
    (unhurt,) = due(stage, "cid", channel=other)
    again = send.due(Workspace(stage.work.settings), limits=BRIEF)
    assert len(provider.requests) == 1
    assert stage.end(late) == ("planned", None)
    assert attempts(stage, late) == [], "it is not even claimed"
    assert stage.end(unhurt) == ("accepted", None)
    assert [one.provider for one in again.rests] == [rest.provider]

    pass_time(stage)
    last = stage.dispatch(None, limits=BRIEF)
    assert stage.states() == {"accepted": 3}
    assert len(provider.keys_accepted) == 2
    assert last.rests == []


def resume(stage: Stage, provider: str) -> Result:
    cli = typer.Typer()
    cli.command()(pause.resume)
    return CliRunner().invoke(cli, ["--provider", provider], obj={"workspace": stage.work})


def test_p02_a_person_may_end_a_rest_before_its_time(make_live, providers):
    stage, provider = make_live(), providers[WHATSAPP]
    due(stage, "ann", channel=WHATSAPP)
    provider.conduct = Mode.BUSY_120
    stage.dispatch(None, limits=BRIEF)
    provider.conduct = Mode.ACCEPT
    (key,) = due(stage, "bob", channel=WHATSAPP)

    assert "resting: whatsapp_cloud" in str(resume(stage, "email_sendgrid").exception)
    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("planned", None)

    assert resume(stage, "whatsapp_cloud").exit_code == 0
    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (2, attempts(stage, key))
    assert "nobody does" in str(resume(stage, "whatsapp_cloud").exception)


def test_p02_a_rest_that_begins_between_claim_and_call_is_kept(make_live, providers):
    """Another process learns of it in that moment; the claim that finds nobody but this provider sees it too."""
    stage, provider = make_live(), providers[WHATSAPP]
    (key,) = due(stage, "ann", channel=WHATSAPP)
    stage.run_sql(
        "insert into campaign.rests (provider, rests_until, reason)"
        " values ('whatsapp_cloud', clock_timestamp() + interval '1 h', 'asked')"
    )
    stage.run_sql("update campaign.sends set channel = 'email'")  # planned for a way on which nobody agreed

    stage.dispatch(None, limits=BRIEF)

    assert (stage.end(key), stage.send(key)["channel"]) == (("planned", None), WHATSAPP)
    assert provider.requests == []


@pytest.mark.parametrize("channel", CHANNELS)
def test_p03_who_is_not_told_waits_longer_each_time_until_the_message_expires(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    (key,) = due(stage, "ann", channel=channel)
    provider.conduct = Mode.BUSY

    waited = []
    for number in range(1, 11):
        stage.dispatch(None, limits=BRIEF)
        assert stage.end(key) == ("retry_wait", "busy")
        assert (stage.send(key)["attempt_no"], len(provider.requests)) == (number, number)
        waited.append(waits(stage, key))
        pass_time(stage)
    whole = [min(60 * 2**n, 3600) for n in range(10)]
    assert [most / 2 - 5 < seconds <= most for most, seconds in zip(whole, waited, strict=True)] == [True] * 10

    stage.run_sql("update campaign.sends set expires_at = clock_timestamp() - interval '1 s'")
    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("expired", None)
    assert (len(provider.requests), provider.keys_accepted) == (10, [])


def test_p03_a_provider_that_takes_nothing_for_long_is_asked_with_one_message_at_a_time(make_live, providers):
    stage, provider = make_live(), providers[WHATSAPP]
    due(stage, *(f"p{number:02}" for number in range(40)), channel=WHATSAPP)
    provider.conduct = Mode.BUSY

    first = stage.dispatch(None, limits=BRIEF)
    assert len(provider.requests) == MOST_THROTTLED
    assert [(rest.provider, rest.reason, rest.failures) for rest in first.rests] == [("whatsapp_cloud", "busy", 1)]
    before = stage.one("select count(*) from campaign.attempts")
    for number in range(1, 4):
        pass_time(stage)
        stage.dispatch(None, limits=BRIEF)
        assert len(provider.requests) == MOST_THROTTLED + number
        assert stage.one("select count(*) from campaign.attempts") == before + number

    provider.conduct = Mode.ACCEPT
    pass_time(stage)
    stage.dispatch(None, limits=BRIEF)
    assert stage.states() == {"accepted": 40}
    assert len(set(provider.keys_accepted)) == len(provider.keys_accepted) == 40
    assert stage.one("select count(*) from campaign.rests") == 0


def test_p03_a_throttle_that_lets_some_through_does_not_end_the_dispatch(make_live, providers):
    stage, provider = make_live(), providers[WHATSAPP]
    due(stage, *(f"p{number:02}" for number in range(60)), channel=WHATSAPP)
    seen = itertools.count(1)
    provider.conduct = lambda _: Mode.ACCEPT if next(seen) % 10 == 0 else Mode.BUSY

    told = stage.dispatch(None, limits=BRIEF)

    assert stage.states() == {"accepted": 6, "retry_wait": 54}
    assert (len(provider.requests), len(set(provider.keys_accepted))) == (60, 6)
    assert told.rests == []


@pytest.mark.parametrize("status", [400, 413, 422])
def test_p04_a_refused_message_is_rejected_and_not_tried_again(make_live, providers, status):
    stage = make_live()
    keys = [*due(stage, "ann", channel=EMAIL), *due(stage, "bob", channel=WHATSAPP)]
    for provider in providers.values():
        provider.judge = says(Answer(status, {"errors": [{"message": "no", "field": None}], "error": {"code": -1}}))

    stage.dispatch(None, limits=BRIEF)
    pass_time(stage)
    stage.dispatch(None, limits=BRIEF)

    assert [stage.end(key)[0] for key in keys] == ["rejected", "rejected"]
    assert {stage.end(key)[1] for key in keys} <= {"refused", "content"}
    for provider in providers.values():
        assert (len(provider.requests), provider.keys_accepted) == (1, [])


def test_p04_a_refused_batch_is_divided_and_only_the_bad_recipient_is_rejected(make_live, providers):
    """The provider does not say who it was: everybody is tried alone, and four of five get their message."""
    stage, provider = make_live(), providers[EMAIL]
    keys = due(stage, "ann", "bob", "cid", "dan", "eve")

    def judge(request: Request) -> Answer | None:
        people = [one["to"][0]["email"] for one in request.json["personalizations"]]
        return mail_send.refusal(400) if "cid@example.com" in people else mail_send.judge(request)

    provider.judge = judge
    stage.dispatch(None, limits=BRIEF)
    stage.dispatch(None, limits=BRIEF)

    assert [stage.end(key) for key in keys] == [
        ("accepted", None), ("accepted", None), ("rejected", "refused"), ("accepted", None), ("accepted", None)
    ]  # fmt: skip
    assert len(provider.requests) == 1 + len(keys)
    assert sorted(provider.keys_accepted) == sorted(
        attempts(stage, key)[-1] for key in keys if stage.end(key)[0] == "accepted"
    )
    outcomes = stage.rows("select outcome from campaign.attempts where attempt_no = 1")
    assert {row["outcome"] for row in outcomes} == {"returned"}


class AllOrNothing:
    """Takes the messages of a call, or refuses them all without saying for whose sake."""

    profile = OUTBOX

    def __init__(self, unwanted: str) -> None:
        self.unwanted = unwanted
        self.sizes: list[int] = []

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        self.sizes.append(len(messages))
        if any(message.send_key == self.unwanted for message in messages):
            raise Refused("one of them", "refused")
        return [Receipt(message.attempt_id, "accepted") for message in messages]

    def close(self) -> None:
        """Nothing is open."""


def test_p04_so_is_a_call_that_its_sender_refuses_as_a_whole(make_stage):
    stage = make_stage()
    keys = [stage.planned(name) for name in ("ann", "bob", "cid")]
    sender = AllOrNothing(keys[1])

    stage.dispatch(senders={"outbox": sender})

    assert [stage.end(key) for key in keys] == [("accepted", None), ("rejected", "refused"), ("accepted", None)]
    assert sender.sizes == [3, 1, 1, 1]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("status", [401, 403])
def test_p05_a_provider_that_does_not_know_us_halts_its_channel_and_tells_once(make_live, providers, channel, status):
    stage, provider = make_live(), providers[channel]
    other = next(name for name in CHANNELS if name != channel)
    keys = due(stage, "ann", "bob", "cid", channel=channel)
    (unhurt,) = due(stage, "dan", channel=other)
    judge = provider.judge
    provider.judge = says(Answer(status, {"errors": [], "error": {"code": 190}}))

    with pytest.raises(Misconfigured) as told:
        stage.dispatch(None, limits=batches_of(1))

    assert str(told.value).count("halted") == 1
    assert (len(provider.requests), provider.keys_accepted) == (1, [])
    assert [stage.end(key)[0] for key in keys] == ["planned"] * 3
    assert stage.end(unhurt) == ("accepted", None)
    provider.judge = judge
    stage.dispatch(None, limits=BRIEF)
    assert [stage.end(key) for key in keys] == [("accepted", None)] * 3
    assert len(provider.keys_accepted) == 3


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("status", [500, 502, 504])
def test_p06_an_error_of_the_provider_leaves_the_message_in_doubt(make_live, providers, channel, status):
    stage, provider = make_live(), providers[channel]
    (key,) = due(stage, "ann", channel=channel)
    provider.judge = says(Answer(status, b"oops"))

    stage.dispatch(None, limits=BRIEF)
    pass_time(stage)
    reconcile.doubts(stage.work, limits=BRIEF)
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("unknown", "unanswered")
    assert (len(provider.requests), provider.keys_accepted) == (1, [])


@pytest.mark.parametrize("channel", CHANNELS)
def test_p06_an_error_after_the_message_was_taken_is_settled_by_the_report(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    (key,) = due(stage, "ann", channel=channel)
    provider.conduct = Mode.LIE_500

    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("unknown", "unanswered")
    hear(stage, attempts(stage, key)[0], channel=channel)
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))


@pytest.mark.parametrize("channel", CHANNELS)
def test_p07_503_leaves_the_message_in_doubt(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    (key,) = due(stage, "ann", channel=channel)
    provider.conduct = Mode.ERROR_503

    stage.dispatch(None, limits=BRIEF)
    pass_time(stage)
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("unknown", "unanswered")
    assert (len(provider.requests), provider.keys_accepted) == (1, [])


def _a_port_nobody_listens_on() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("broken", ["refused", "name", "tls"])
def test_p08_what_never_reached_the_provider_is_tried_again(make_live, providers, channel, broken):
    provider = providers[channel]
    address = {
        "refused": f"http://127.0.0.1:{_a_port_nobody_listens_on()}",
        "name": "http://provider.invalid",
        "tls": provider.url.replace("http:", "https:"),  # the loopback speaks no TLS
    }[broken]
    stage = make_live(urls={channel: address})
    (key,) = due(stage, "ann", channel=channel)

    stage.dispatch(None)

    assert stage.end(key) == ("retry_wait", "unreached")
    for _ in range(3):  # none of which is a try
        assert 20 < waits(stage, key) <= 60
        pass_time(stage)
        stage.dispatch(None, limits=BRIEF)
    assert provider.requests == []
    live.configure(stage.folder, {channel: provider.url})
    stage.work.settings.__dict__.pop("pipeline", None)
    pass_time(stage)
    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (1, [attempts(stage, key)[-1]])


@pytest.mark.parametrize("channel", CHANNELS)
def test_p08_a_dead_provider_ends_its_dispatch_at_once_and_costs_one_attempt_at_a_time(make_live, providers, channel):
    provider = providers[channel]
    stage = make_live(urls={channel: f"http://127.0.0.1:{_a_port_nobody_listens_on()}"})
    keys = due(stage, *(f"p{number:02}" for number in range(80)), channel=channel)
    limits = batches_of(10)

    told = stage.dispatch(None, limits=limits)
    assert "since it cannot be reached" in told.in_words
    assert stage.one("select count(*) from campaign.attempts where outcome = 'unreached'") <= 3 * 10
    before = stage.one("select count(*) from campaign.attempts")
    assert before <= 3 * 10
    stage.dispatch(None, limits=limits)  # at once: it rests
    assert stage.one("select count(*) from campaign.attempts") == before
    lengths = []
    for number in range(1, 8):
        pass_time(stage)
        (rest,) = stage.dispatch(None, limits=limits).rests
        lengths.append(round((rest.rests_until - stage.one("select clock_timestamp()")).total_seconds() / 60))
        assert stage.one("select count(*) from campaign.attempts") == before + number
    assert lengths == [2, 4, 8, 15, 15, 15, 15]
    assert set(stage.states()) <= {"planned", "retry_wait"}

    late = keys.pop()
    stage.run_sql("update campaign.sends set expires_at = clock_timestamp() where send_key = :key", key=late)
    live.configure(stage.folder, {channel: provider.url})
    stage.work.settings.__dict__.pop("pipeline", None)
    pass_time(stage)
    last = stage.dispatch(None, limits=limits)
    assert stage.end(late) == ("expired", None)
    assert {stage.end(key) for key in keys} == {("accepted", None)}
    assert len(set(provider.keys_accepted)) == len(provider.keys_accepted) == len(keys)
    assert last.rests == []


@pytest.mark.parametrize("channel", CHANNELS)
def test_p09_an_answer_that_was_dropped_leaves_the_message_in_doubt_after_one_request(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    (key,) = due(stage, "ann", channel=channel)
    provider.conduct = Mode.DROP_AFTER

    stage.dispatch(None, limits=BRIEF)
    provider.conduct = Mode.ACCEPT
    pass_time(stage)
    for _ in range(2):
        reconcile.doubts(stage.work, limits=BRIEF)
        stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("unknown", "unanswered")
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))


@pytest.mark.parametrize("channel", CHANNELS)
def test_p09_a_request_that_was_dropped_unread_is_in_doubt_too(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    (key,) = due(stage, "ann", channel=channel)
    provider.conduct = Mode.DROP_BEFORE

    stage.dispatch(None, limits=BRIEF)
    pass_time(stage)
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("unknown", "unanswered")
    assert (provider.unread, provider.requests, provider.keys_accepted) == (1, [], [])


@pytest.mark.parametrize("channel", CHANNELS)
def test_p10_a_call_is_given_up_within_its_lease_and_is_in_doubt(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    (key,) = due(stage, "ann", channel=channel)
    provider.conduct = Mode.HANG

    stage.dispatch(None, limits=HURRIED)
    took = "select finished_at - claimed_at from campaign.sends join campaign.attempts using (send_key)"
    # It hangs for nearly as long as the lease: who waits for it learns that it is gone within the lease too.
    assert stage.one(took) < 20 * HURRIED.call_timeout < HURRIED.lease
    pass_time(stage)
    stage.dispatch(None, limits=HURRIED)

    assert stage.end(key) == ("unknown", "unanswered")
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))
    usual = Limits()
    # README promises the minute: what is in hand when somebody pauses leaves within it or goes back
    assert usual.call_timeout < usual.time_to_call <= timedelta(minutes=1) < usual.lease


@pytest.mark.parametrize("channel", CHANNELS)
def test_p11_a_report_before_the_answer_is_recorded_ends_in_accepted(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    (key,) = due(stage, "ann", channel=channel)

    def early(point: str) -> None:
        if point == "answered":
            hear(stage, provider.keys_accepted[0], channel=channel)
            assert stage.end(key)[0] == "in_flight"

    stage.dispatch(None, limits=BRIEF, watch=early)
    reconcile.doubts(stage.work, limits=BRIEF)

    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), len(provider.keys_accepted)) == (1, 1)
    reports = stage.rows("select settled_at, applied_at from campaign.provider_events")
    assert [row["settled_at"] is not None and row["applied_at"] is not None for row in reports] == [True]
    assert stage.one("select delivered_at is not null from campaign.message_reports where send_key = :key", key=key)


def test_p12_repeated_late_and_disordered_reports_count_once(make_live, providers):
    stage = make_live()
    (key,) = due(stage, "ann")
    stage.dispatch(None, limits=BRIEF)
    (attempt,) = attempts(stage, key)
    at = int(stage.one("select extract(epoch from clock_timestamp())"))

    for kind in ("bounce", "delivered", "bounce", "delivered", "delivered"):
        hear(stage, attempt, kind, at=at)

    kinds = stage.rows("select kind from campaign.provider_events order by kind")
    assert [row["kind"] for row in kinds] == ["bounced", "delivered"]
    facts = stage.rows("select delivered_at, bounced_at from campaign.message_reports")
    assert [(row["delivered_at"] is not None, row["bounced_at"] is not None) for row in facts] == [(True, True)]
    assert stage.one("select count(*) from core.suppressions where reason = 'hard_bounce'") == 1
    assert stage.end(key) == ("accepted", None)
    assert (len(providers[EMAIL].requests), providers[EMAIL].keys_accepted) == (1, [attempt])


@pytest.mark.parametrize("channel", CHANNELS)
def test_p12_a_report_proves_wrong_who_said_it_never_came_and_stops_the_second_try(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    (key,) = due(stage, "ann", channel=channel)
    provider.conduct = Mode.LIE_500
    stage.dispatch(None, limits=BRIEF)
    pass_time(stage)
    doubts = Ledger(
        stage.work.queries, {}, clock=Clock(None), business_zone="UTC", address_key="", providers={}, limits=BRIEF
    )
    with stage.work.database.transaction() as connection:
        assert doubts.resolve(connection, key, was_accepted=False)
    assert stage.end(key) == ("retry_wait", "not_accepted")

    hear(stage, attempts(stage, key)[0], channel=channel)
    provider.conduct = Mode.ACCEPT
    pass_time(stage)
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), len(provider.keys_accepted)) == (1, 1)
    assert stage.decisions_follow_the_ledger()


@pytest.mark.parametrize("channel", CHANNELS)
def test_p14_a_yes_that_cannot_be_read_is_accepted_without_a_number(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    (key,) = due(stage, "ann", channel=channel)
    provider.conduct = Mode.MALFORMED
    if channel == EMAIL:  # its number is in a header, so that is what is missing
        provider.yes = says(Answer(202, b"{"))

    stage.dispatch(None, limits=BRIEF)
    pass_time(stage)
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("accepted", None)
    assert stage.send(key)["provider_message_id"] is None
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))


def test_p15_a_device_that_is_gone_ends_its_token_and_the_step_goes_another_way(make_stage, sns, texts):
    stage = live_stage(make_stage, sns, texts)
    now = stage.one("select clock_timestamp()")
    zone = (live.zone_where_it_is_noon(),)
    both, only = (
        stage.planned(name, channels=channels, channel="push", due=now - timedelta(minutes=1), zones=zone)
        for name, channels in (("ann", ("push", "email")), ("bob", ("push",)))
    )
    stage.run_sql("update core.push_tokens set platform = 'apns', endpoint = customer_id || 's-device'")
    sns.judge = lambda request: None if makes_an_endpoint(request) else amazon.refusal("sns", "EndpointDisabled")

    stage.dispatch(None, limits=BRIEF)
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(only) == ("rejected", "token_invalid")
    assert (*stage.end(both), stage.send(both)["channel"]) == ("accepted", None, "email")
    assert stage.outbox() == {both: 1}
    assert stage.one("select count(*) from core.push_tokens where active") == 0
    assert [request for request in sns.requests if ENDPOINT.encode() in request.body] == []
    assert sns.keys_accepted == []
    assert len([request for request in sns.requests if b"Action=Publish" in request.body]) == 2


def test_p16_who_said_no_to_the_carrier_is_never_texted_again(make_stage, sns, texts):
    stage = live_stage(make_stage, sns, texts)
    (key,) = due(stage, "ann", channel="sms")
    texts.judge = says(amazon.refusal(TEXTS, "ConflictException", Reason="DESTINATION_PHONE_NUMBER_OPTED_OUT"))

    stage.dispatch(None, limits=BRIEF)
    again = stage.plan(stage.enrol("ann"), channel="sms", due=stage.send(key)["due_at"])
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("rejected", "opted_out")
    assert stage.end(again) == ("suppressed", "suppressed_address")
    suppressed = stage.rows("select channel, reason from core.suppressions")
    assert suppressed == [{"channel": "sms", "reason": "opted_out"}]
    assert (len(texts.requests), texts.keys_accepted) == (1, [])


def test_p17_the_limit_per_person_allows_one_later_try(make_live, providers):
    stage, provider = make_live(), providers[WHATSAPP]
    key, other = due(stage, "ann", "bob", channel=WHATSAPP)
    judge = provider.judge
    capped = test_whatsapp_cloud.error(131049)
    to_ann = stage.one("select phone_e164 from core.customers where customer_id = 'ann'").removeprefix("+")
    provider.judge = lambda request: capped if request.json["to"] == to_ann else judge(request)

    stage.dispatch(None, limits=BRIEF)
    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("retry_wait", "provider_cap")
    assert waits(stage, key) > 86_300
    assert stage.end(other) == ("accepted", None), "one person's limit is nobody else's"
    assert len(provider.requests) == 2
    for _ in range(3):
        pass_time(stage)
        stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("rejected", "provider_cap")
    assert len(provider.requests) == 3, "one later try, and no more"
    assert provider.keys_accepted == attempts(stage, other)


def test_p17_planned_again_by_hand_it_still_waits_for_its_day(make_live, providers):
    stage = make_live()
    (key,) = due(stage, "ann", channel=WHATSAPP)
    providers[WHATSAPP].judge = says(test_whatsapp_cloud.error(131049))
    for _ in range(2):
        stage.dispatch(None, limits=BRIEF)
        pass_time(stage)
    assert stage.end(key) == ("rejected", "provider_cap")

    with stage.work.database.transaction() as connection:
        again = stage.work.queries["ledger/sends_resend"](send_keys=[key], at=None, wait_seconds=7 * 86_400.0)
        assert connection.execute(again).scalars().all() == [key]
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("planned", None)
    assert waits(stage, key) > 86_300
    assert (len(providers[WHATSAPP].requests), providers[WHATSAPP].keys_accepted) == (2, [])


def test_p17_a_later_try_after_the_window_is_none(make_live, providers):
    stage = make_live()
    (key,) = due(stage, "ann", channel=WHATSAPP)
    providers[WHATSAPP].judge = says(test_whatsapp_cloud.error(131049))

    stage.dispatch(None, limits=BRIEF)
    stage.run_sql("update campaign.sends set expires_at = clock_timestamp() - interval '1 s'")
    pass_time(stage)
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("expired", None)
    assert (len(providers[WHATSAPP].requests), providers[WHATSAPP].keys_accepted) == (1, [])


def test_p17_who_stopped_the_marketing_is_suppressed_on_whatsapp_alone(make_live, providers):
    stage, provider = make_live(), providers[WHATSAPP]
    (key,) = due(stage, "ann", channel=WHATSAPP)
    provider.judge = says(test_whatsapp_cloud.error(131050))

    stage.dispatch(None, limits=BRIEF)
    later = stage.plan(stage.enrol("ann"), channel=WHATSAPP, due=stage.send(key)["due_at"])
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("rejected", "unsubscribed")
    assert stage.end(later) == ("suppressed", "suppressed_address")
    suppressed = stage.rows("select channel, scope from core.suppressions")
    assert suppressed == [{"channel": WHATSAPP, "scope": "marketing"}], "what a purchase brings with it may still come"
    assert (len(provider.requests), provider.keys_accepted) == (1, [])


@pytest.mark.parametrize(("code", "reason"), [(130429, "busy"), (131056, "provider_pair")])
def test_p17_throttling_is_no_refusal(make_live, providers, code, reason):
    stage, provider = make_live(), providers[WHATSAPP]
    (key,) = due(stage, "ann", channel=WHATSAPP)
    judge, provider.judge = provider.judge, says(test_whatsapp_cloud.error(code))

    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("retry_wait", reason)
    provider.judge = judge
    pass_time(stage)
    stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("accepted", None)
    assert (len(provider.requests), provider.keys_accepted) == (2, [attempts(stage, key)[1]])


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(("mode", "ended"), [(Mode.BAD_400, "rejected"), (Mode.ERROR_500, "unknown")])
def test_p18_a_campaign_whose_messages_fail_pauses_itself_and_the_rest_stays_planned(
    make_live, providers, channel, mode, ended
):
    stage = make_live(**alone(channel, pause_when={"errors": 0.5, "at_least": 4}))
    provider = providers[channel]
    due(stage, *(f"p{number:02}" for number in range(12)), channel=channel)
    provider.conduct = mode

    told = stage.dispatch(None, limits=batches_of(1))
    stage.dispatch(None, limits=batches_of(1))

    assert stage.rows("select state, reason from campaign.campaigns") == [{"state": "paused", "reason": "error_rate"}]
    assert stage.states() == {ended: 4, "planned": 8}
    assert (len(provider.requests), provider.keys_accepted) == (4, [])
    assert any(REASONS["error_rate"] in str(problem) for problem in told.problems)

    provider.conduct = Mode.ACCEPT
    stage.run_sql("update campaign.campaigns set state = 'active'")
    stage.dispatch(None, limits=batches_of(1))
    assert stage.states() == {ended: 4, "accepted": 8}
    assert len(set(provider.keys_accepted)) == len(provider.keys_accepted) == 8


HEEDFUL = replace(batches_of(1), heed_every=timedelta(0))


def alone(channel: str, **changes: Any) -> dict[str, Any]:
    """A campaign of one channel."""
    steps = [{**live.STEPS[0], "messages": {channel: live.STEPS[0]["messages"][channel]}}]
    return {"channels": [channel], "steps": steps, **changes}


def reporting(stage: Stage, provider: Loopback, at: int, kind: str, **told: Any) -> Callable[[Request], Mode]:
    """While it answers the request of this number, the provider reports something of all it took before."""
    seen = itertools.count(1)

    def conduct(_: Request) -> Mode:
        if next(seen) == at:
            for attempt in list(provider.keys_accepted):
                live.hear(stage, attempt, kind, **told)
        return Mode.ACCEPT

    return conduct


def resume_campaign(stage: Stage) -> None:
    cli = typer.Typer()
    cli.command()(pause.resume)
    assert CliRunner().invoke(cli, ["back"], obj={"workspace": stage.work}).exit_code == 0


def test_p18_complaints_that_come_while_emails_leave_pause_the_campaign_and_the_rest_stays_planned(
    make_live, providers
):
    stage, provider = make_live(), providers[EMAIL]
    due(stage, *(f"p{number:02}" for number in range(12)))
    provider.conduct = reporting(stage, provider, 6, "spamreport")

    told = stage.dispatch(None, limits=HEEDFUL)

    paused = [{"state": "paused", "reason": "complaint_rate"}]
    assert stage.rows("select state, reason from campaign.campaigns") == paused
    assert stage.states() == {"accepted": 6, "planned": 6}
    assert (len(provider.requests), len(provider.keys_accepted)) == (6, 6)
    assert [REASONS["complaint_rate"] in str(problem) for problem in told.problems] == [True]

    stage.dispatch(None, limits=HEEDFUL)
    assert len(provider.requests) == 6
    resume_campaign(stage)
    stage.dispatch(None, limits=HEEDFUL)
    assert stage.states() == {"accepted": 12}
    assert len(set(provider.keys_accepted)) == len(provider.keys_accepted) == 12


def test_p18_reports_are_looked_at_now_and_then_not_before_every_claim(make_live, providers):
    stage, provider = make_live(), providers[EMAIL]
    due(stage, *(f"p{number:02}" for number in range(12)))
    provider.conduct = reporting(stage, provider, 6, "spamreport")

    stage.dispatch(None, limits=replace(HEEDFUL, heed_every=timedelta(hours=1)))

    assert stage.states() == {"accepted": 12}
    assert (len(provider.requests), len(set(provider.keys_accepted))) == (12, 12)
    assert HEEDFUL.heed_every < Limits().heed_every <= timedelta(minutes=1)
    stage.dispatch(None, limits=HEEDFUL)
    assert stage.one("select reason from campaign.campaigns") == "complaint_rate"


@pytest.mark.parametrize(
    ("channel", "kind", "code"), [(EMAIL, "bounce", None), (EMAIL, "dropped", None), (WHATSAPP, "failed", 131026)]
)
def test_p18_failures_that_are_reported_while_messages_leave_pause_the_campaign(
    make_live, providers, channel, kind, code
):
    stage = make_live(**alone(channel, pause_when={"errors": 0.5, "at_least": 4}))
    provider = providers[channel]
    due(stage, *(f"p{number:02}" for number in range(12)), channel=channel)
    provider.conduct = reporting(stage, provider, 5, kind, channel=channel, code=code)

    told = stage.dispatch(None, limits=HEEDFUL)

    assert stage.rows("select state, reason from campaign.campaigns") == [{"state": "paused", "reason": "error_rate"}]
    assert stage.states() == {"accepted": 5, "planned": 7}
    assert (len(provider.requests), len(provider.keys_accepted)) == (5, 5)
    assert [REASONS["error_rate"] in str(problem) for problem in told.problems] == [True]


@pytest.mark.parametrize("code", [132015, 132016])
def test_p18_a_template_that_is_reported_as_paused_after_a_yes_stops_its_campaign(make_live, providers, code):
    stage, provider = make_live(**alone(WHATSAPP)), providers[WHATSAPP]
    due(stage, *(f"p{number:02}" for number in range(6)), channel=WHATSAPP)
    provider.conduct = reporting(stage, provider, 2, "failed", channel=WHATSAPP, code=code)

    told = stage.dispatch(None, limits=HEEDFUL)

    assert stage.rows("select state, reason from campaign.campaigns") == [{"state": "paused", "reason": "template"}]
    assert stage.states() == {"accepted": 2, "planned": 4}
    assert (len(provider.requests), len(provider.keys_accepted)) == (2, 2)
    assert [REASONS["template"] in str(problem) for problem in told.problems] == [True]
    resume_campaign(stage)
    stage.dispatch(None, limits=HEEDFUL)
    assert stage.states() == {"accepted": 6}, "what was reported before it was put right says nothing more"


def test_p05_an_account_that_is_reported_as_blocked_after_a_yes_halts_its_channel_and_no_other(make_live, providers):
    stage, provider = make_live(), providers[WHATSAPP]
    due(stage, *(f"p{number:02}" for number in range(6)), channel=WHATSAPP)
    (unhurt,) = due(stage, "ann", channel=EMAIL)
    provider.conduct = reporting(stage, provider, 2, "failed", channel=WHATSAPP, code=131042)

    with pytest.raises(Misconfigured, match="whatsapp halted: whatsapp_cloud takes messages and reports then"):
        stage.dispatch(None, limits=HEEDFUL)

    assert stage.states() == {"accepted": 3, "planned": 4}
    assert (len(provider.requests), len(provider.keys_accepted)) == (2, 2)
    assert stage.end(unhurt) == ("accepted", None)
    assert stage.rows("select state from campaign.campaigns") == []
    stage.dispatch(None, limits=HEEDFUL)
    assert stage.states() == {"accepted": 7}, "the next dispatch tries again"


class _Outage:
    """Between the provider's answer and its record the database goes away, for everybody and for good."""

    def __init__(self, stage: Stage) -> None:
        database = stage.work.database
        self.name = database.name
        self.admin = sa.create_engine(
            database.url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )

    def begin(self, point: str) -> None:
        if point == "answered":
            self._may_connect(False)
            with self.admin.connect() as connection:
                ended = "select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"
                connection.execute(sa.text(ended), {"name": self.name})

    def end(self) -> None:
        self._may_connect(True)

    def _may_connect(self, may: bool) -> None:
        with self.admin.connect() as connection:
            connection.execute(sa.text(f"alter database {self.name} with allow_connections {str(may).lower()}"))


@pytest.mark.parametrize("channel", CHANNELS)
def test_p19_a_database_that_is_away_for_the_record_leaves_a_doubt_that_a_report_settles(make_live, providers, channel):
    stage, provider = make_live(), providers[channel]
    (key,) = due(stage, "ann", channel=channel)
    outage = _Outage(stage)

    try:
        with pytest.raises(sa.exc.OperationalError):
            stage.dispatch(None, limits=BRIEF, watch=outage.begin)
    finally:
        outage.end()
    assert stage.end(key)[0] == "in_flight"
    for _ in range(2):
        pass_time(stage)
        stage.dispatch(None, limits=BRIEF)

    assert stage.end(key) == ("unknown", "lease_ended")
    assert (len(provider.requests), provider.keys_accepted) == (1, attempts(stage, key))
    hear(stage, provider.keys_accepted[0], channel=channel)
    stage.dispatch(None, limits=BRIEF)
    assert stage.end(key) == ("accepted", None)
    assert len(provider.requests) == 1
