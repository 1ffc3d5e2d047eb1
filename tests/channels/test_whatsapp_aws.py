"""WhatsApp over AWS End User Messaging Social, judged by the service's own model."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from config.providers import WhatsappAws
from tasks.channels import clients, whatsapp
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.whatsapp_aws import PROFILE, WhatsappAwsSender
from tasks.rules import words
from tasks.rules.errors import Busy, Misconfigured, Refused, Unanswered, WrongTemplate
from tests.channels import amazon
from tests.channels.faults import CANARY, MEANS, NOON, is_as_it_must_be, noon, outcome, outgoing
from tests.channels.loopback import Loopback, Mode

SERVICE, OPERATION = "socialmessaging", "SendWhatsAppMessage"
NUMBER = "+4915112345678"
PHONE = "phone-number-id-01234567890123456789012345678901"
TEMPLATE = {
    "text": f"Hello, {CANARY}",
    "template": "come_back",
    "template_language": "de",
    "parameters": json.dumps({"1": CANARY, "2": "Grüße 🙂"}),
}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
def provider() -> Iterator[Loopback]:
    loopback = Loopback(
        judge=amazon.judge(SERVICE, OPERATION),
        keys=lambda request: [passed_on(request)["biz_opaque_callback_data"]],
        yes=lambda _: amazon.answer(SERVICE, OPERATION, messageId="m-1"),
        no=amazon.says(
            SERVICE,
            {429: "ThrottledRequestException", 500: "InternalServiceException", 502: "DependencyException"},
        ),
    )
    with loopback.running():
        yield loopback


def passed_on(request: Any) -> dict[str, Any]:
    """The message for Meta that was in a request."""
    return json.loads(amazon.read(SERVICE, OPERATION, request)["message"])


@contextmanager
def sender_to(provider: Loopback, *, timeout: float = 5, **options: Any) -> Iterator[WhatsappAwsSender]:
    given = WhatsappAws(
        **{"provider": "whatsapp_aws", "region": "eu-central-1", "endpoint": provider.url, "phone_number_id": PHONE}
        | options
    )
    client = clients.amazon(SERVICE, region=given.region, endpoint=given.endpoint, timeout=timeout)
    sender = WhatsappAwsSender(client, given, wall_clock=noon)
    try:
        yield sender
    finally:
        sender.close()


def message(**changes: Any) -> OutgoingMessage:
    return outgoing("whatsapp", changes.pop("address", NUMBER), **{"fields": TEMPLATE} | changes)


@pytest.mark.parametrize("fields", [TEMPLATE, {"text": "Grüße 🙂"}])
def test_amazon_is_given_the_message_that_meta_would_be_given(provider, fields):
    ours = message(fields=fields)
    with sender_to(provider, api_version="v24.0") as sender:
        said = sender.send([ours])

    assert said == [Receipt(ours.attempt_id, "accepted", "m-1", status_code=200)]
    assert provider.refused == []
    asked = amazon.read(SERVICE, OPERATION, provider.requests[0])
    assert (asked["originationPhoneNumberId"], asked["metaApiVersion"]) == (PHONE, "v24.0")
    assert passed_on(provider.requests[0]) == whatsapp.request(PROFILE, ours)
    assert passed_on(provider.requests[0])["biz_opaque_callback_data"] == ours.attempt_id


@pytest.mark.parametrize("mode", MEANS)
def test_a_message_is_asked_for_once_whatever_the_provider_does(provider, mode):
    with sender_to(provider, timeout=2 if mode is Mode.HANG else 5) as sender:
        is_as_it_must_be(mode, provider, sender, message())


CODES: dict[tuple[str, str], tuple[Any, ...]] = {
    ("ThrottledRequestException", ""): (Busy, None),
    ("ValidationException", ""): (Refused, "refused"),
    ("InvalidParametersException", ""): (Refused, "refused"),
    ("AccessDeniedException", ""): (Misconfigured, None),
    ("ResourceNotFoundException", ""): (Misconfigured, None),
    ("InternalServiceException", ""): (Unanswered, None),
    ("DependencyException", ""): (Unanswered, None),
    ("UnrecognizedClientException", ""): (Misconfigured, None),
    # Meta's own error, passed on
    ("InvalidParametersException", "(#131050) User stopped"): (Refused, "unsubscribed"),
    ("InvalidParametersException", "(#131049) Not delivered"): ("busy", "provider_cap", 24 * 3600.0),
    ("InvalidParametersException", "(#132001) Template does not exist"): (WrongTemplate, None),
    ("DependencyException", "(#130429) Rate limit hit"): (Busy, None),
    ("DependencyException", "(#131000) Something went wrong"): (Unanswered, None),
    ("DependencyException", "(#999999) New"): (Unanswered, None),
}


@pytest.mark.parametrize(("code", "text"), CODES)
def test_each_error_of_the_service_and_of_meta_behind_it_means_what_its_page_says(provider, code, text):
    provider.judge = lambda _: amazon.refusal(SERVICE, code, text or f"about {NUMBER}")
    with sender_to(provider) as sender:
        said = outcome(sender, [message()])

    expected = CODES[code, text]
    if isinstance(said, list):
        assert [(one.outcome, one.reason, one.retry_after) for one in said] == [expected]
    else:
        assert (type(said), getattr(said, "reason", None)) == expected
        assert code in str(said)
        assert NUMBER not in str(said)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"address": "015112345678"}, "invalid_address"),
        ({"fields": {"text": ""}}, "content"),
        ({"fields": TEMPLATE | {"parameters": '{"1": " "}'}}, "content"),
        ({"address": "+12025550143"}, "marketing_not_delivered"),
    ],
)
def test_what_meta_would_refuse_does_not_leave(provider, changes, reason):
    with sender_to(provider) as sender, pytest.raises(Refused) as refused:
        sender.send([message(**changes)])

    assert refused.value.reason == reason
    assert provider.requests == []


def test_marketing_to_american_numbers_leaves_where_that_is_allowed(provider):
    with sender_to(provider, us_marketing=True) as sender:
        assert sender.send([message(address="+12025550143")])[0].outcome == "accepted"


def test_a_message_that_may_not_arrive_any_more_waits_until_that_is_decided_anew(provider):
    with sender_to(provider) as sender:
        said = sender.send([message(deliver_by=NOON)])

    assert [(one.outcome, one.retry_after) for one in said] == [("busy", 1)]
    assert provider.requests == []


def test_every_error_of_the_model_is_judged_by_name_and_every_verdict_has_words():
    known = amazon.model(SERVICE).operation_model(OPERATION).error_shapes

    assert {shape.name for shape in known} <= set(PROFILE.codes)
    assert {one.reason for one in PROFILE.codes.values() if one.reason} <= set(words.REASONS)


@pytest.mark.parametrize(
    ("phone_number_id", "allowed"),
    [
        (PHONE, True),
        ("arn:aws:social-messaging:eu-central-1:123456789012:phone-number-id/0123abc", True),
        ("123456789", False),
        ("phone-number-id-" + "x" * 100, False),
    ],
)
def test_a_number_that_amazon_would_not_know_is_found_when_the_options_are_read(phone_number_id, allowed):
    given = {"provider": "whatsapp_aws", "region": "eu-central-1", "phone_number_id": phone_number_id}
    if allowed:
        assert WhatsappAws(**given).phone_number_id == phone_number_id
    else:
        with pytest.raises(ValidationError):
            WhatsappAws(**given)


def test_nothing_of_a_person_is_logged_at_any_level(provider, caplog):
    caplog.set_level(logging.DEBUG)
    for mode in (Mode.ACCEPT, Mode.BAD_400, Mode.DROP_AFTER, Mode.MALFORMED):
        provider.conduct = mode
        with sender_to(provider) as sender:
            outcome(sender, [message()])

    assert len(provider.requests) == 4
    for secret in (NUMBER[1:], CANARY):
        assert secret not in caplog.text
