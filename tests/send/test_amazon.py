"""A live dispatch through Amazon, from the claim to the ledger, with its services on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from tasks.channels.base import OutgoingMessage
from tasks.channels.outbox import Conduct
from tests.channels import amazon
from tests.channels.loopback import Answer, Loopback, Request
from tests.send.live import zone_where_it_is_noon
from tests.send.stage import NOON, Stage

ENDPOINT = "arn:aws:sns:eu-central-1:123456789012:endpoint/APNS/shop/5e3e9847"
TEXTS = "pinpoint-sms-voice-v2"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def makes_an_endpoint(request: Request) -> bool:
    return b"Action=CreatePlatformEndpoint" in request.body


@pytest.fixture
def sns() -> Iterator[Loopback]:
    def yes(request: Request) -> Answer:
        if makes_an_endpoint(request):
            return amazon.answer("sns", "CreatePlatformEndpoint", EndpointArn=ENDPOINT)
        return amazon.answer("sns", "Publish", MessageId="push-1")

    loopback = Loopback(
        judge=amazon.judge("sns", "Publish", "CreatePlatformEndpoint"),
        keys=lambda request: [] if makes_an_endpoint(request) else ["push"],
        yes=yes,
    )
    with loopback.running():
        yield loopback


@pytest.fixture
def texts() -> Iterator[Loopback]:
    loopback = Loopback(
        judge=amazon.judge(TEXTS, "SendTextMessage"),
        keys=lambda request: [amazon.read(TEXTS, "SendTextMessage", request)["Context"]["attempt_id"]],
        yes=lambda _: amazon.answer(TEXTS, "SendTextMessage", MessageId="text-1"),
    )
    with loopback.running():
        yield loopback


def live_stage(make_stage: Callable[..., Stage], sns: Loopback, texts: Loopback) -> Stage:
    stage = make_stage(mode="live")
    region = "eu-central-1"
    applications = {kind: f"arn:aws:sns:{region}:123456789012:app/{kind}" for kind in ("apns", "fcm")}
    providers = [
        {"provider": "push_sns", "region": region, "endpoint": sns.url, "applications": applications},
        {"provider": "sms_aws", "region": region, "endpoint": texts.url, "origination_identity": "pool-1"},
    ]
    (stage.folder / "reengage.yaml").write_text(json.dumps({"providers": providers}), "utf-8")
    return stage


def test_a_device_token_and_a_number_are_reached_and_the_ledger_keeps_what_amazon_called_them(make_stage, sns, texts):
    stage = live_stage(make_stage, sns, texts)
    now = stage.one("select clock_timestamp()")
    here = {"zones": [zone_where_it_is_noon()], "due": now - timedelta(minutes=1)}
    pushed = stage.planned("ann", channels=("push",), channel="push", **here)
    stage.run_sql("update core.push_tokens set platform = 'apns', endpoint = 'd3v1c3' where customer_id = 'ann'")
    texted = stage.planned("bob", channels=("sms",), channel="sms", **here)

    stage.dispatch(None)

    assert (sns.refused, texts.refused) == ([], [])
    asked = amazon.read("sns", "CreatePlatformEndpoint", sns.requests[0])
    assert asked == {"PlatformApplicationArn": "arn:aws:sns:eu-central-1:123456789012:app/apns", "Token": "d3v1c3"}
    assert amazon.read("sns", "Publish", sns.requests[1])["TargetArn"] == ENDPOINT
    ended = {key: stage.send(key) for key in (pushed, texted)}
    assert [(ended[key]["state"], ended[key]["provider"], ended[key]["provider_message_id"]) for key in ended] == [
        ("accepted", "push_sns", "push-1"),
        ("accepted", "sms_aws", "text-1"),
    ]
    attempts = stage.rows("select attempt_id from campaign.attempts where send_key = :key", key=texted)
    assert texts.keys_accepted == [str(row["attempt_id"]) for row in attempts]
    assert stage.outbox() == {}


def test_a_disabled_endpoint_switches_the_token_off_and_a_lost_text_stays_in_doubt(make_stage, sns, texts):
    stage = live_stage(make_stage, sns, texts)
    now = stage.one("select clock_timestamp()")
    here = {"zones": [zone_where_it_is_noon()], "due": now - timedelta(minutes=1)}
    pushed = stage.planned("ann", channels=("push",), channel="push", **here)
    texted = stage.planned("bob", channels=("sms",), channel="sms", **here)
    sns.judge = lambda request: None if makes_an_endpoint(request) else amazon.refusal("sns", "EndpointDisabled")
    texts.judge = lambda _: amazon.refusal(TEXTS, "InternalServerException")

    stage.dispatch(None)
    stage.dispatch(None)

    assert stage.end(pushed) == ("rejected", "token_invalid")
    assert stage.rows("select token_id from core.push_tokens where active and customer_id = 'ann'") == []
    assert stage.end(texted)[0] == "unknown"
    assert len(texts.requests) == 1


def test_texts_keep_to_a_rate_of_parts_and_not_of_messages(make_stage, sns, texts):
    stage = live_stage(make_stage, sns, texts)
    options = json.loads((stage.folder / "reengage.yaml").read_text("utf-8"))
    options["providers"][1] |= {"rate": 6}
    (stage.folder / "reengage.yaml").write_text(json.dumps(options), "utf-8")
    (stage.folder / "campaigns/back/sms.txt").write_text("{{ voucher.code }}" + " and more" * 40, "utf-8")  # 3 parts
    due = {"zones": [zone_where_it_is_noon()], "due": stage.one("select clock_timestamp()") - timedelta(minutes=1)}
    for number in range(8):
        stage.planned(f"p{number}", channels=("sms",), channel="sms", **due)

    stage.dispatch(None)

    moments = sorted(one.at for one in texts.accepted)
    assert stage.states() == {"accepted": 8}
    assert moments[-1] - moments[0] >= 7 * 3 / 6 - 0.3


@pytest.mark.parametrize(
    ("channel", "platform", "expected"),
    [("push", "apns", "apns"), ("push", "fcm", "fcm"), ("email", "apns", None), ("sms", "fcm", None)],
)
def test_a_message_knows_what_kind_of_device_its_token_is_of(make_stage, channel, platform, expected):
    stage = make_stage()
    stage.planned("ann", channels=(channel,), channel=channel)
    stage.run_sql("update core.push_tokens set platform = :platform", platform=platform)
    seen: list[OutgoingMessage] = []

    stage.dispatch(conduct=lambda message: seen.append(message) or Conduct.ACCEPT)

    assert [(message.channel, message.platform) for message in seen] == [(channel, expected)]


@pytest.mark.parametrize("newest", ["apns", "fcm"])
def test_the_platform_is_that_of_the_token_used(make_stage, newest):
    stage = make_stage()
    stage.planned("ann", channels=("push",), channel="push")
    stage.run_sql(
        "update core.push_tokens set platform = case :newest when 'apns' then 'fcm' else 'apns' end", newest=newest
    )
    stage.run_sql(
        "insert into core.push_tokens (token_id, customer_id, endpoint, platform, active, updated_at, load_id)"
        " values ('new', 'ann', 'endpoint-new', :newest, true, :at, 0),"
        " ('browser', 'ann', '{}', 'webpush', true, :later, 0)",
        newest=newest,
        at=NOON - timedelta(hours=2),
        later=NOON - timedelta(hours=1),
    )
    seen: list[OutgoingMessage] = []

    stage.dispatch(conduct=lambda message: seen.append(message) or Conduct.ACCEPT)

    assert [(message.address, message.platform) for message in seen] == [("endpoint-new", newest)]
