"""Several providers at once: one that cannot be opened, and one that takes only so many messages a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from pydantic import SecretStr

from config.providers import Inbox
from tasks import reconcile, send
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.inbox import InboxSender
from tasks.rules.errors import Misconfigured, Unanswered
from tasks.store.ledger import Clock, Ledger, Limits
from tasks.store.workspace import Workspace
from tests.channels import mail_send, test_whatsapp_cloud
from tests.channels.loopback import Loopback, Mode
from tests.send import live
from tests.send.stage import Stage, write_campaign


@pytest.fixture
def meta() -> Iterator[Loopback]:
    with live.meta().running() as provider:
        yield provider


@pytest.fixture
def sendgrid() -> Iterator[Loopback]:
    with live.sendgrid().running() as provider:
        yield provider


def with_keys(stage: Stage, **keys: str) -> Workspace:
    """Another process on the same stage, with these secrets."""
    changes = {name: SecretStr(value) for name, value in keys.items()}
    return Workspace(stage.work.settings.model_copy(update=changes))


def test_a_provider_without_its_key_halts_its_channel_and_no_other(
    make_stage: Callable[..., Stage], meta: Loopback, sendgrid: Loopback
) -> None:
    stage = make_stage("live", **live.CAMPAIGN)
    live.configure(stage.folder, {live.EMAIL: sendgrid.url, live.WHATSAPP: meta.url})
    (email,) = live.due(stage, "ann")
    (whatsapp,) = live.due(stage, "bob", channel=live.WHATSAPP)

    with pytest.raises(Misconfigured, match="email halted: email_sendgrid needs REENGAGE_SENDGRID_API_KEY"):
        send.due(with_keys(stage, whatsapp_token=live.TOKEN))

    assert stage.end(email) == ("planned", None)
    assert stage.end(whatsapp) == ("accepted", None)
    assert (len(sendgrid.requests), len(meta.requests)) == (0, 1)


def test_two_processes_together_keep_to_a_providers_rate(make_stage: Callable[..., Stage], meta: Loopback) -> None:
    stage = make_stage("live", **live.CAMPAIGN)
    rate, people = 40, 60
    live.configure(stage.folder, {live.WHATSAPP: meta.url}, rate=rate, calls_in_flight=4)
    live.due(stage, *(f"p{number}" for number in range(people)), channel=live.WHATSAPP)

    def dispatch(_: int) -> None:
        send.due(with_keys(stage, whatsapp_token=live.TOKEN))

    with ThreadPoolExecutor(2) as processes:
        list(processes.map(dispatch, range(2)))

    moments = sorted(accepted.at for accepted in meta.accepted)
    assert len(moments) == len(set(meta.keys_accepted)) == people
    for size in (10, 30, people - 1):  # so many in a row take at least as long as the rate says, give or take a call
        quickest = min(moments[place + size] - moments[place] for place in range(people - size))
        assert quickest >= (size - 8) / rate


@pytest.mark.parametrize("processes", [1, 2])
def test_at_a_low_rate_hardly_anything_is_claimed_only_to_be_put_back(
    make_stage: Callable[..., Stage], meta: Loopback, processes: int
) -> None:
    stage = make_stage("live", **live.CAMPAIGN)
    rate, people = 3, 30
    live.configure(stage.folder, {live.WHATSAPP: meta.url}, rate=rate, calls_in_flight=4)
    live.due(stage, *(f"p{number}" for number in range(people)), channel=live.WHATSAPP)
    brief = Limits(lease=timedelta(seconds=15), call_timeout=timedelta(seconds=2), most_skew=timedelta(seconds=3))

    def dispatch(_: int) -> None:
        send.due(with_keys(stage, whatsapp_token=live.TOKEN), limits=brief)

    began = time.time()
    with ThreadPoolExecutor(processes) as workers:
        list(workers.map(dispatch, range(processes)))

    moments = sorted(accepted.at for accepted in meta.accepted)
    assert len(moments) == len(set(meta.keys_accepted)) == people
    assert moments[-1] - moments[0] >= (people - 8) / rate
    assert moments[-1] - began < people / rate + 6, "the rate is used"
    put_back = stage.one("select count(*) from campaign.attempts where outcome = 'not_started'")
    assert put_back <= (0 if processes == 1 else people // 5)


class Lossy:
    """The inbox behind a connection that breaks: before the message is kept, or after."""

    profile = InboxSender.profile

    def __init__(self, inbox: InboxSender, kept: set[str]) -> None:
        self.inbox, self.kept = inbox, kept

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        self.inbox.send([message for message in messages if message.address in self.kept])
        raise Unanswered("inbox: the connection ended")

    def close(self) -> None:
        self.inbox.close()


def test_a_doubt_about_the_own_inbox_is_settled_by_looking(make_stage: Callable[..., Stage]) -> None:
    message = {"title": "Hello", "file": "push.txt", "link": "https://shop.example.com/"}
    step = {"send_after": "9h", "messages": {"inbox": message}}
    stage = make_stage("live", channels=["inbox"], steps=[step])
    (stage.folder / "reengage.yaml").write_text('{"providers": [{"provider": "inbox"}]}', "utf-8")
    came, lost = live.due(stage, "ann", "bob", channel="inbox")
    options = Inbox(provider="inbox")
    lossy = Lossy(InboxSender.open(stage.work, options, 5), kept={"ann"})

    send.due(stage.work, senders={"inbox": lossy})
    assert stage.states() == {"unknown": 2}
    reconcile.doubts(stage.work)
    assert (stage.end(came)[0], stage.end(lost)[0]) == ("accepted", "unknown"), "its call may still come through"

    live.pass_time(stage)
    reconcile.doubts(stage.work)
    assert stage.end(lost) == ("retry_wait", "not_accepted")
    send.due(stage.work, senders={"inbox": InboxSender.open(stage.work, options, 5)})
    assert stage.states() == {"accepted": 2}
    assert stage.one("select count(*) from campaign.inbox_messages") == 2


def test_a_report_of_an_attempt_that_was_said_never_to_have_come_stops_the_next_try(
    make_stage: Callable[..., Stage], sendgrid: Loopback
) -> None:
    stage = make_stage("live", **live.CAMPAIGN)
    live.configure(stage.folder, {live.EMAIL: sendgrid.url})
    (key,) = live.due(stage, "ann")
    work = with_keys(stage, sendgrid_api_key=mail_send.KEY)
    sendgrid.conduct = Mode.DROP_AFTER
    send.due(work)
    live.pass_time(stage)
    ledger = Ledger(
        work.queries, {}, clock=Clock(None), business_zone="UTC", address_key="k", providers={}, limits=live.BRIEF
    )
    with work.database.transaction() as connection:
        assert ledger.resolve(connection, key, was_accepted=False)
    assert stage.end(key) == ("retry_wait", "not_accepted")

    live.hear(stage, live.attempts(stage, key)[0])
    sendgrid.conduct = Mode.ACCEPT
    live.pass_time(stage)
    send.due(work)

    assert stage.end(key) == ("accepted", None)
    assert len(sendgrid.accepted) == 1
    assert stage.decisions_follow_the_ledger()


def test_what_a_provider_only_checks_pauses_no_campaign(make_stage: Callable[..., Stage], sendgrid: Loopback) -> None:
    stage = make_stage("live", **live.CAMPAIGN, pause_when={"at_least": 2})
    live.configure(stage.folder, {live.EMAIL: sendgrid.url}, sandbox=True)
    keys = live.due(stage, *(f"p{number}" for number in range(4)))

    sent = send.due(with_keys(stage, sendgrid_api_key=mail_send.KEY))

    assert [stage.end(key) for key in keys] == [("rejected", "sandbox")] * 4
    assert sent.problems == []


def test_a_template_the_provider_does_not_take_stops_its_own_campaign_and_no_other(
    make_stage: Callable[..., Stage], meta: Loopback
) -> None:
    stage = make_stage("live", **live.CAMPAIGN)
    write_campaign(stage.folder, "other", **live.CAMPAIGN)
    for campaign in ("back", "other"):
        live.configure(stage.folder, {live.WHATSAPP: meta.url}, campaign)
    (bad,) = live.due(stage, "ann", channel=live.WHATSAPP)
    number = stage.one("select phone_e164 from core.customers")
    good = [
        stage.planned(
            name, "other", channel=live.WHATSAPP, channels=(live.WHATSAPP,), due=stage.send(bad)["due_at"],
            zones=(live.zone_where_it_is_noon(),),
        )
        for name in ("bob", "cid")
    ]  # fmt: skip
    fits = meta.judge
    meta.judge = lambda request: (
        test_whatsapp_cloud.error(132015) if f"+{request.json['to']}" == number else fits(request)
    )

    sent = send.due(with_keys(stage, whatsapp_token=live.TOKEN))

    assert [stage.end(key) for key in good] == [("accepted", None)] * 2
    assert stage.end(bad)[0] == "planned"
    assert stage.rows("select campaign, state, reason from campaign.campaigns where state = 'paused'") == [
        {"campaign": "back", "state": "paused", "reason": "template"}
    ]
    assert [problem.where for problem in sent.problems] == ["back"]
