"""Texts by AWS End User Messaging, judged by the service's own model."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from config.providers import SmsAws
from tasks.channels import clients
from tasks.channels.base import SANDBOX, Receipt, Weighing
from tasks.channels.sms_aws import PROFILE, SmsAwsSender, parts
from tasks.rules import words
from tasks.rules.errors import Busy, Misconfigured, Refused, Unanswered
from tests.channels import amazon
from tests.channels.faults import CANARY, MEANS, is_as_it_must_be, noon, outcome, outgoing
from tests.channels.loopback import Loopback, Mode

SERVICE, OPERATION = "pinpoint-sms-voice-v2", "SendTextMessage"
NUMBER = "+4915112345678"
OPTIONS: dict[str, Any] = {
    "provider": "sms_aws",
    "region": "eu-central-1",
    "origination_identity": "pool-0123",
}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
def provider() -> Iterator[Loopback]:
    loopback = Loopback(
        judge=amazon.judge(SERVICE, OPERATION),
        keys=lambda request: [amazon.read(SERVICE, OPERATION, request)["Context"]["attempt_id"]],
        yes=lambda _: amazon.answer(SERVICE, OPERATION, MessageId="m-1"),
        no=amazon.says(SERVICE, {500: "InternalServerException"}),
    )
    with loopback.running():
        yield loopback


@contextmanager
def sender_to(provider: Loopback, *, timeout: float = 5, **options: Any) -> Iterator[SmsAwsSender]:
    given = SmsAws(**OPTIONS | {"endpoint": provider.url} | options)
    client = clients.amazon(SERVICE, region=given.region, endpoint=given.endpoint, timeout=timeout)
    sender = SmsAwsSender(client, given, wall_clock=noon)
    try:
        yield sender
    finally:
        sender.close()


def sent(provider: Loopback) -> dict[str, Any]:
    """What the provider was asked for, in the names of the service's model."""
    return amazon.read(SERVICE, OPERATION, provider.requests[-1])


def test_a_text_leaves_as_the_service_publishes_it_and_carries_our_attempt_id_back(provider):
    message = outgoing("sms", NUMBER)
    with sender_to(provider, configuration_set="events", max_price="0.10") as sender:
        said = sender.send([message])

    assert said == [Receipt(message.attempt_id, "accepted", "m-1", status_code=200)]
    assert provider.refused == []
    assert sent(provider) == {
        "DestinationPhoneNumber": NUMBER,
        "OriginationIdentity": "pool-0123",
        "MessageBody": f"Hello, {CANARY}",
        "MessageType": "PROMOTIONAL",
        "TimeToLive": 3600,
        "Context": {"attempt_id": message.attempt_id},
        "ConfigurationSetName": "events",
        "MaxPrice": "0.10",
    }


@pytest.mark.parametrize("mode", MEANS)
def test_a_text_is_asked_for_once_whatever_the_provider_does(provider, mode):
    with sender_to(provider, timeout=2 if mode is Mode.HANG else 5) as sender:
        is_as_it_must_be(mode, provider, sender, outgoing("sms", NUMBER))


@pytest.mark.parametrize(
    ("purpose", "option", "expected"),
    [
        ("marketing", None, "PROMOTIONAL"),
        ("retargeting", None, "PROMOTIONAL"),
        ("transactional", None, "TRANSACTIONAL"),
        ("marketing", "TRANSACTIONAL", "TRANSACTIONAL"),
        ("transactional", "PROMOTIONAL", "PROMOTIONAL"),
    ],
)
def test_a_text_takes_the_route_of_its_purpose_unless_the_options_name_one(provider, purpose, option, expected):
    with sender_to(provider, message_type=option) as sender:
        sender.send([outgoing("sms", NUMBER, purpose=purpose)])

    assert sent(provider)["MessageType"] == expected


@pytest.mark.parametrize(
    ("seconds", "life"), [(5, 5), (5.9, 5), (20 * 60, 1200), (259_200, 259_200), (400_000, 259_200)]
)
def test_a_text_lives_no_longer_than_until_its_message_must_not_arrive_any_more(provider, seconds, life):
    with sender_to(provider) as sender:
        sender.send([outgoing("sms", NUMBER, seconds=seconds)])

    assert sent(provider)["TimeToLive"] == life


@pytest.mark.parametrize(("seconds", "wait"), [(4.9, 5.9), (0, 1), (-60, 1)])
def test_a_text_that_may_hardly_arrive_any_more_waits_until_that_is_decided_anew(provider, seconds, wait):
    message = outgoing("sms", NUMBER, seconds=seconds)
    with sender_to(provider) as sender:
        said = sender.send([message])

    assert [(one.outcome, one.reason, one.retry_after) for one in said] == [("busy", None, pytest.approx(wait))]
    assert provider.requests == []


def test_time_spent_since_the_claim_shortens_a_texts_life(provider):
    given = SmsAws(**OPTIONS | {"endpoint": provider.url})
    client = clients.amazon(SERVICE, region=given.region, endpoint=given.endpoint, timeout=5)
    sender = SmsAwsSender(client, given, wall_clock=lambda: noon() + 50)
    sender.send([outgoing("sms", NUMBER, seconds=60)])
    sender.close()

    assert sent(provider)["TimeToLive"] == 10


def test_a_dry_run_of_the_provider_counts_as_not_sent(provider):
    message = outgoing("sms", NUMBER)
    with sender_to(provider, dry_run=True) as sender:
        said = sender.send([message])

    assert sent(provider)["DryRun"] is True
    assert [(one.outcome, one.reason) for one in said] == [("refused", SANDBOX)]


@pytest.mark.parametrize(
    ("address", "text", "reason"),
    [
        ("015112345678", "Hello", "invalid_address"),
        ("not a number", "Hello", "invalid_address"),
        (f"{NUMBER}\n", "Hello", "invalid_address"),
        ("+" + "1" * 20, "Hello", "invalid_address"),
        ("", "Hello", "invalid_address"),
        (NUMBER, "x" * 1601, "content"),
        (NUMBER, " \n", "content"),
        (NUMBER, "", "content"),
    ],
)
def test_what_the_provider_would_refuse_does_not_leave(provider, address, text, reason):
    with sender_to(provider) as sender, pytest.raises(Refused) as refused:
        sender.send([outgoing("sms", address, fields={"text": text})])

    assert refused.value.reason == reason
    assert provider.requests == []


@pytest.mark.parametrize("text", ["x" * 1600, "ü" * 1600, "🙂" * 1600])
def test_the_longest_text_leaves(provider, text):
    with sender_to(provider) as sender:
        assert sender.send([outgoing("sms", NUMBER, fields={"text": text})])[0].outcome == "accepted"
    assert provider.refused == []


def test_a_text_of_more_parts_than_allowed_does_not_leave(provider):
    with sender_to(provider, max_parts=2) as sender:
        sender.send([outgoing("sms", NUMBER, fields={"text": "x" * 306})])
        with pytest.raises(Refused) as refused:
            sender.send([outgoing("sms", NUMBER, fields={"text": "x" * 307})])

    assert refused.value.reason == "content"
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 306, 2),
        ("x" * 307, 3),
        ("€" * 80, 1),  # two places each
        ("€" * 81, 2),
        ("x" * 152 + "€" + "x" * 151, 2),
        ("x" * 152 + "€" + "x" * 152, 3),  # 306 places, but the euro sign is not cut in two
        ("ç" * 70, 1),  # only its capital is in the alphabet
        ("ç" * 71, 2),
        ("🙂" * 35, 1),
        ("🙂" * 36, 2),
        ("🙂" * 66, 2),  # 33 in each part: half an emoji does not fit
        ("🙂" * 67, 3),
        ("", 1),
    ],
)
def test_parts_are_counted_as_phone_companies_bill_them(text, count):
    assert parts(text) == count


CODES = {
    ("ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT"): (Refused, "opted_out"),
    ("ConflictException", "DESTINATION_PHONE_NUMBER_NOT_VERIFIED"): (Misconfigured, None),
    ("ConflictException", "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION"): (Refused, "country_closed"),
    ("ConflictException", "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE"): (Refused, "blocked_number"),
    ("ConflictException", "NO_ORIGINATION_IDENTITIES_FOUND"): (Misconfigured, None),
    ("ValidationException", "INVALID_IDENTITY_FOR_DESTINATION_COUNTRY"): (Refused, "country_closed"),
    ("ValidationException", "DESTINATION_COUNTRY_BLOCKED"): (Refused, "country_closed"),
    ("ValidationException", "SENDER_ID_REQUIRES_REGISTRATION"): (Refused, "country_closed"),
    ("ValidationException", "PRICE_OVER_THRESHOLD"): (Refused, "too_expensive"),
    ("ValidationException", "FIELD_VALIDATION_FAILED"): (Refused, "refused"),
    ("ValidationException", "INVALID_ARN"): (Misconfigured, None),
    ("ServiceQuotaExceededException", "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"): (Misconfigured, None),
    ("AccessDeniedException", "ACCOUNT_DISABLED"): (Misconfigured, None),
    ("AccessDeniedException", "INSUFFICIENT_ACCOUNT_REPUTATION"): (Misconfigured, None),
    ("ResourceNotFoundException", None): (Misconfigured, None),
    ("ThrottlingException", None): (Busy, None),
    ("InternalServerException", None): (Unanswered, None),
    ("UnrecognizedClientException", None): (Misconfigured, None),
}


@pytest.mark.parametrize(("code", "detail"), CODES)
def test_each_error_of_the_service_means_what_its_page_says(provider, code, detail):
    more = {"Reason": detail} if detail else {}
    provider.judge = lambda _: amazon.refusal(SERVICE, code, f"about {NUMBER}", **more)
    with sender_to(provider) as sender:
        said = outcome(sender, [outgoing("sms", NUMBER)])

    error, reason = CODES[code, detail]
    assert type(said) is error
    assert getattr(said, "reason", None) == reason
    assert code in str(said)
    assert NUMBER not in str(said)


def test_every_error_and_reason_of_the_model_is_judged_by_name_and_every_verdict_has_words():
    known = amazon.model(SERVICE).operation_model(OPERATION).error_shapes
    reasons = {one for shape in known for one in shape.members.get("Reason", shape).metadata.get("enum", ())}

    assert {shape.name for shape in known} <= set(PROFILE.codes)
    assert {code for code in PROFILE.codes if code.isupper()} <= reasons
    assert {one.reason for one in PROFILE.codes.values() if one.reason} <= set(words.REASONS)


def test_nothing_of_a_person_is_logged_at_any_level(provider, caplog):
    caplog.set_level(logging.DEBUG)
    for mode in (Mode.ACCEPT, Mode.BAD_400, Mode.DROP_AFTER, Mode.MALFORMED):
        provider.conduct = mode
        with sender_to(provider) as sender:
            outcome(sender, [outgoing("sms", NUMBER)])

    assert len(provider.requests) == 4
    for secret in (NUMBER, NUMBER[1:], CANARY):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    ("origin", "rate"),
    [
        ("12345", 100), ("+18005550199", 3), ("18885550199", 3), ("+12065550199", 1), ("+4930123456", 10),
        ("+34600123456", 10), ("pool-0123", 1), ("SHOP", 1),
        ("arn:aws:sms-voice:us-east-1:123456789012:phone-number/phone-0123", 1),
    ],
)  # fmt: skip
def test_without_a_rate_texts_keep_to_what_amazon_publishes_for_their_kind_of_number(provider, origin, rate):
    for options, expected in (({}, rate), ({"rate": 40}, 40), ({"dry_run": True}, 5)):
        with sender_to(provider, origination_identity=origin, **options) as sender:
            assert sender.profile.rate == expected


def test_a_text_counts_its_parts_against_the_rate(provider):
    texts = ["Hello", "a" * 160, "a" * 161, "Привет" * 20]
    with sender_to(provider) as sender:
        assert isinstance(sender, Weighing)
        assert [sender.weight(outgoing("sms", NUMBER, fields={"text": text})) for text in texts] == [1, 1, 2, 2]
