"""Mobile push over Amazon SNS: payloads judged by the service's model, endpoints kept by moto."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from config.providers import PushSns
from tasks.channels import clients
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.push_sns import PROFILE, PushSnsSender, payload
from tasks.rules import words
from tasks.rules.errors import Busy, Misconfigured, Refused, Unanswered
from tests.channels import amazon
from tests.channels.faults import CANARY, MEANS, is_as_it_must_be, noon, outcome, outgoing
from tests.channels.loopback import Answer, Loopback, Mode, Request

REGION = "eu-central-1"
ARN = f"arn:aws:sns:{REGION}:123456789012:endpoint/GCM/shop/5e3e9847-3183-3f18-a7e8-671c3a57d4b3"
APPS = {kind: f"arn:aws:sns:{REGION}:123456789012:app/{kind}" for kind in ("apns", "fcm")}
TOKEN = "d3v1c3-t0k3n"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def action(request: Request) -> str:
    return "CreatePlatformEndpoint" if b"Action=CreatePlatformEndpoint" in request.body else "Publish"


def published(request: Request) -> dict[str, Any]:
    return amazon.read("sns", "Publish", request)


def inner(request: Request) -> dict[str, Any]:
    """The payloads of a push, each read."""
    message = json.loads(published(request)["Message"])
    return {name: text if name == "default" else json.loads(text) for name, text in message.items()}


def as_the_service_says(request: Request) -> Answer | None:
    """The model, and what its description demands of a message whose structure is JSON (moto does not)."""
    if refusal := amazon.judge("sns", "Publish", "CreatePlatformEndpoint")(request):
        return refusal
    if action(request) == "CreatePlatformEndpoint":
        return None
    asked = published(request)
    attributes = sum(
        len(name) + len(value["DataType"]) + len(value["StringValue"])
        for name, value in asked["MessageAttributes"].items()
    )
    try:
        message = json.loads(asked["Message"])
        sound = (
            asked["MessageStructure"] == "json"
            and isinstance(message.get("default"), str)
            and all(isinstance(text, str) for text in message.values())
            and all(json.loads(text) for name, text in message.items() if name != "default")
            and len(asked["Message"].encode()) + attributes <= 262_144
            and len(asked["MessageAttributes"]) <= 10
        )
    except ValueError:
        sound = False
    return None if sound else amazon.refusal("sns", "InvalidParameter", "Invalid parameter: Message")


def yes(request: Request) -> Answer:
    if action(request) == "CreatePlatformEndpoint":
        return amazon.answer("sns", "CreatePlatformEndpoint", EndpointArn=ARN)
    return amazon.answer("sns", "Publish", MessageId="m-1")


@pytest.fixture
def provider() -> Iterator[Loopback]:
    loopback = Loopback(
        judge=as_the_service_says,
        keys=lambda request: [inner(request)["APNS"]["attempt_id"]] if action(request) == "Publish" else [],
        yes=yes,
        no=amazon.says("sns", {400: "InvalidParameter", 401: "InvalidClientTokenId", 429: "Throttled"}),
    )
    with loopback.running():
        yield loopback


@contextmanager
def sender_to(url: str, *, timeout: float = 5, remembered: int = 100, **options: Any) -> Iterator[PushSnsSender]:
    given = PushSns(**{"provider": "push_sns", "region": REGION, "endpoint": url} | options)
    client = clients.amazon("sns", region=given.region, endpoint=given.endpoint, timeout=timeout)
    sender = PushSnsSender(client, given, wall_clock=noon, remembered=remembered)
    try:
        yield sender
    finally:
        sender.close()


def push(address: str = ARN, platform: str = "fcm", **changes: Any) -> OutgoingMessage:
    fields = {"title": "We miss you", "text": f"Hello, {CANARY}", "link": "https://shop.example.com/"}
    return outgoing("push", address, platform=platform, **{"fields": fields} | changes)


def test_a_push_carries_words_for_every_platform_and_the_attempt_for_the_app(provider):
    message = push()
    with sender_to(provider.url) as sender:
        said = sender.send([message])

    assert said == [Receipt(message.attempt_id, "accepted", "m-1", status_code=200)]
    assert provider.refused == []
    shown = {"title": "We miss you", "body": f"Hello, {CANARY}"}
    ours = {"attempt_id": message.attempt_id, "link": "https://shop.example.com/"}
    apple = {"aps": {"alert": shown}, **ours}
    assert inner(provider.requests[0]) == {
        "default": f"Hello, {CANARY}",
        "APNS": apple,
        "APNS_SANDBOX": apple,
        "GCM": {"fcmV1Message": {"message": {"notification": shown, "data": ours}}},
    }
    assert published(provider.requests[0])["TargetArn"] == ARN


@pytest.mark.parametrize("mode", MEANS)
def test_a_push_is_asked_for_once_whatever_the_provider_does(provider, mode):
    with sender_to(provider.url, timeout=2 if mode is Mode.HANG else 5) as sender:
        is_as_it_must_be(mode, provider, sender, push())


@pytest.mark.parametrize(("seconds", "life"), [(1, "1"), (1.9, "1"), (3600, "3600"), (3_000_000, "1209600")])
def test_a_push_lives_no_longer_than_until_it_must_not_arrive_any_more(provider, seconds, life):
    with sender_to(provider.url) as sender:
        sender.send([push(seconds=seconds)])

    assert published(provider.requests[0])["MessageAttributes"] == {
        f"AWS.SNS.MOBILE.{platform}.TTL": {"DataType": "String", "StringValue": life}
        for platform in ("APNS", "APNS_SANDBOX", "FCM", "GCM")
    }


@pytest.mark.parametrize("seconds", [0.9, 0, -60])
def test_a_push_that_may_not_arrive_any_more_waits_until_that_is_decided_anew(provider, seconds):
    with sender_to(provider.url) as sender:
        said = sender.send([push(seconds=seconds)])

    assert [(one.outcome, one.reason) for one in said] == [("busy", None)]
    assert said[0].retry_after == pytest.approx(max(seconds, 0) + 1)
    assert provider.requests == []


def test_a_push_without_title_or_link_is_one_text(provider):
    with sender_to(provider.url) as sender:
        sender.send([push(fields={"text": "Grüße 🙂"})])

    assert provider.refused == []
    assert inner(provider.requests[0])["APNS"]["aps"] == {"alert": {"body": "Grüße 🙂"}}


def test_the_longest_push_leaves_and_a_longer_one_does_not(provider):
    room = 4096 - len(json.loads(payload(push(fields={"text": "x"})))["GCM"]) + 1
    with sender_to(provider.url) as sender:
        longest = sender.send([push(fields={"text": "x" * room})])
        with pytest.raises(Refused) as refused:
            sender.send([push(fields={"text": "x" * (room - 1) + "ü"})])  # two bytes

    assert longest[0].outcome == "accepted"
    assert refused.value.reason == "content"
    assert (len(provider.requests), provider.refused) == (1, [])


@pytest.mark.parametrize("fields", [{}, {"text": ""}, {"text": " \n", "title": "We miss you"}])
def test_a_push_without_text_does_not_leave(provider, fields):
    with sender_to(provider.url) as sender, pytest.raises(Refused) as refused:
        sender.send([push(fields=fields)])

    assert refused.value.reason == "content"
    assert provider.requests == []


CODES = {
    ("EndpointDisabled", ""): (Refused, "token_invalid"),
    ("NotFound", ""): (Refused, "token_invalid"),
    ("InvalidParameter", "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified"): (
        Refused,
        "token_invalid",
    ),
    ("InvalidParameter", "Invalid parameter: Message Reason: Message too long"): (Refused, "refused"),
    ("ParameterValueInvalid", ""): (Refused, "refused"),
    ("PlatformApplicationDisabled", ""): (Misconfigured, None),
    ("AuthorizationError", ""): (Misconfigured, None),
    ("InvalidClientTokenId", ""): (Misconfigured, None),
    ("Throttled", ""): (Busy, None),
    ("InternalError", ""): (Unanswered, None),
}


@pytest.mark.parametrize(("code", "text"), CODES)
def test_each_error_of_the_service_means_what_its_page_says(provider, code, text):
    provider.judge = lambda _: amazon.refusal("sns", code, text or f"about {ARN}")
    with sender_to(provider.url) as sender:
        said = outcome(sender, [push()])

    error, reason = CODES[code, text]
    assert type(said) is error
    assert getattr(said, "reason", None) == reason
    assert ARN not in str(said)
    assert text == "" or text not in str(said)


def test_every_verdict_has_words():
    assert {one.reason for one in PROFILE.codes.values() if one.reason} <= set(words.REASONS)


# Device tokens


def test_a_device_tokens_endpoint_is_looked_up_once(provider):
    with sender_to(provider.url, applications=APPS) as sender:
        for _ in range(3):
            sender.send([push(TOKEN, "apns")])

    assert [action(request) for request in provider.requests] == ["CreatePlatformEndpoint", *["Publish"] * 3]
    assert amazon.read("sns", "CreatePlatformEndpoint", provider.requests[0]) == {
        "PlatformApplicationArn": APPS["apns"],
        "Token": TOKEN,
    }
    assert published(provider.requests[1])["TargetArn"] == ARN


def test_only_so_many_endpoints_are_remembered_and_those_used_last(provider):
    with sender_to(provider.url, applications=APPS, remembered=2) as sender:
        for token in ("one", "two", "one", "three", "one", "two"):
            sender.send([push(token)])

    asked = [r for r in provider.requests if action(r) == "CreatePlatformEndpoint"]
    assert [amazon.read("sns", "CreatePlatformEndpoint", r)["Token"] for r in asked] == ["one", "two", "three", "two"]


def test_the_endpoint_of_a_token_that_is_gone_is_forgotten_and_of_a_busy_service_is_not(provider):
    with sender_to(provider.url, applications=APPS) as sender:
        sender.send([push(TOKEN)])
        provider.judge = lambda request: (
            amazon.refusal("sns", "Throttled") if action(request) == "Publish" else as_the_service_says(request)
        )
        assert isinstance(outcome(sender, [push(TOKEN)]), Busy)
        provider.judge = lambda request: (
            amazon.refusal("sns", "EndpointDisabled") if action(request) == "Publish" else as_the_service_says(request)
        )
        assert outcome(sender, [push(TOKEN)]).reason == "token_invalid"
        assert outcome(sender, [push(TOKEN)]).reason == "token_invalid"

    assert [action(request) for request in provider.requests] == [
        "CreatePlatformEndpoint", "Publish", "Publish", "Publish", "CreatePlatformEndpoint", "Publish",
    ]  # fmt: skip


@pytest.mark.parametrize("platform", ["apns", None])
def test_a_device_token_of_a_platform_without_application_is_that_persons_matter(provider, platform):
    with sender_to(provider.url, applications={"fcm": APPS["fcm"]}) as sender:
        said = outcome(sender, [replace(push(TOKEN), platform=platform)])

    assert (type(said), said.reason) == (Refused, "no_address")
    assert TOKEN not in str(said)
    assert provider.requests == []


def test_device_tokens_without_any_application_halt_the_channel(provider):
    with sender_to(provider.url, applications={}) as sender:
        said = outcome(sender, [push(TOKEN)])

    assert type(said) is Misconfigured
    assert TOKEN not in str(said)
    assert provider.requests == []


@pytest.mark.parametrize(
    "mode",
    [
        Mode.DROP_AFTER, Mode.DROP_BEFORE, Mode.HANG, Mode.MALFORMED, Mode.LIE_500, Mode.ERROR_500, Mode.ERROR_503,
        Mode.BUSY, Mode.BUSY_120,
    ],
)  # fmt: skip
def test_no_push_has_left_while_its_endpoint_is_not_known(provider, mode):
    provider.conduct = lambda request: mode if action(request) == "CreatePlatformEndpoint" else Mode.ACCEPT
    with sender_to(provider.url, applications=APPS, timeout=2 if mode is Mode.HANG else 5) as sender:
        said = outcome(sender, [push(TOKEN)])

    assert type(said) is Busy
    assert said.retry_after == (120 if mode is Mode.BUSY_120 else None)
    assert [action(request) for request in provider.requests] == ["CreatePlatformEndpoint"]
    assert provider.accepted == []


@pytest.mark.parametrize(
    ("code", "text", "error", "reason"),
    [
        ("NotFound", "PlatformApplication does not exist", Misconfigured, None),
        ("InvalidParameter", "Invalid parameter: PlatformApplicationArn Reason: wrong", Misconfigured, None),
        ("InvalidParameter", "Invalid parameter: Token Reason: no device token", Refused, "token_invalid"),
        ("AuthorizationError", "", Misconfigured, None),
    ],
)
def test_what_stands_against_making_an_endpoint_is_about_us_unless_it_is_about_the_token(
    provider, code, text, error, reason
):
    provider.judge = lambda _: amazon.refusal("sns", code, text)
    with sender_to(provider.url, applications=APPS) as sender:
        said = outcome(sender, [push(TOKEN)])

    assert (type(said), getattr(said, "reason", None)) == (error, reason)
    assert [action(request) for request in provider.requests] == ["CreatePlatformEndpoint"]


def test_nothing_of_a_person_is_logged_at_any_level(provider, caplog):
    caplog.set_level(logging.DEBUG)
    for mode in (Mode.ACCEPT, Mode.BAD_400, Mode.DROP_AFTER, Mode.MALFORMED):
        provider.conduct = mode
        with sender_to(provider.url, applications=APPS) as sender:
            outcome(sender, [push()])
            outcome(sender, [push(TOKEN)])

    assert len(provider.requests) > 8
    for secret in (ARN, ARN.rpartition("/")[2], TOKEN, CANARY):
        assert secret not in caplog.text


# moto keeps endpoints as SNS does


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        try:
            host, port = server.get_host_and_port()
            yield f"http://{host}:{port}"
        finally:
            server.stop()


@pytest.fixture
def sns(moto) -> Any:
    return boto3.client("sns", region_name=REGION, endpoint_url=moto)


@pytest.fixture
def applications(sns) -> dict[str, str]:
    return {
        "fcm": sns.create_platform_application(Name="shop", Platform="GCM", Attributes={})["PlatformApplicationArn"],
        "apns": sns.create_platform_application(Name="shop", Platform="APNS", Attributes={})["PlatformApplicationArn"],
    }


def endpoints(sns: Any, application: str, token: str) -> dict[str, dict[str, str]]:
    found = sns.list_endpoints_by_platform_application(PlatformApplicationArn=application)["Endpoints"]
    return {one["EndpointArn"]: one["Attributes"] for one in found if one["Attributes"]["Token"] == token}


def arrived(endpoint: str) -> list[str]:
    """What moto holds for an endpoint; its server runs in this process."""
    from moto.sns.models import sns_backends

    return list(sns_backends["123456789012"][REGION].platform_endpoints[endpoint].messages.values())


@pytest.mark.parametrize("platform", ["fcm", "apns"])
def test_a_new_device_token_gets_one_endpoint_and_every_worker_finds_it(moto, sns, applications, platform):
    token = f"new-{platform}"
    for _ in range(2):
        with sender_to(moto, applications=applications) as sender:
            assert sender.send([push(token, platform)])[0].outcome == "accepted"

    (made,) = endpoints(sns, applications[platform], token)
    assert len(arrived(made)) == 2
    assert json.loads(arrived(made)[0])["default"] == f"Hello, {CANARY}"


def test_an_endpoint_that_the_app_made_with_data_of_its_own_is_used_and_left_as_it_is(moto, sns, applications):
    theirs = sns.create_platform_endpoint(
        PlatformApplicationArn=applications["fcm"], Token="theirs", Attributes={"CustomUserData": "user 7"}
    )["EndpointArn"]
    before = endpoints(sns, applications["fcm"], "theirs")
    with sender_to(moto, applications=applications) as sender:
        said = sender.send([push("theirs")])

    assert said[0].outcome == "accepted"
    assert len(arrived(theirs)) == 1
    assert endpoints(sns, applications["fcm"], "theirs") == before


@pytest.mark.parametrize("way", ["its token", "its ARN"])
def test_a_disabled_endpoint_means_the_app_is_gone_and_is_not_switched_on_again(moto, sns, applications, way):
    token = f"off by {way}"
    disabled = sns.create_platform_endpoint(
        PlatformApplicationArn=applications["fcm"], Token=token, Attributes={"Enabled": "false"}
    )["EndpointArn"]
    with sender_to(moto, applications=applications) as sender, pytest.raises(Refused) as refused:
        sender.send([push(token if way == "its token" else disabled)])

    assert refused.value.reason == "token_invalid"
    assert sns.get_endpoint_attributes(EndpointArn=disabled)["Attributes"]["Enabled"] == "false"
    assert arrived(disabled) == []


def test_a_deleted_endpoint_means_the_app_is_gone(moto, sns, applications):
    with sender_to(moto, applications=applications) as sender:
        sender.send([push("soon gone")])
        (made,) = endpoints(sns, applications["fcm"], "soon gone")
        sns.delete_endpoint(EndpointArn=made)
        with pytest.raises(Refused) as refused:
            sender.send([push("soon gone")])

    assert refused.value.reason == "token_invalid"
    assert endpoints(sns, applications["fcm"], "soon gone") == {}
