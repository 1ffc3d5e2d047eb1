"""Signatures of what comes in: published vectors, certificates of our own making, and what is not quite it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.rules import signatures
from tasks.rules.content import unsubscribe_token
from tests.receiver.amazon import Amazon

# From the tests of SendGrid's own client (MIT): key, signature and time of one body, which ends with CR LF.
KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6w"
    "EA3F+g=="
)
SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
TIMESTAMP = "1600112502"
BODY = (
    json.dumps(
        [
            {
                "email": "hello@world.com",
                "event": "dropped",
                "reason": "Bounced Address",
                "sg_event_id": "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",
                "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",
                "smtp-id": "<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",
                "timestamp": 1600112492,
            }
        ],
        sort_keys=True,
        separators=(",", ":"),
    )
    + "\r\n"
).encode()
NOW = datetime(2026, 5, 2, 1, tzinfo=UTC)


def test_sendgrids_published_vector_is_genuine_and_its_line_end_is_part_of_it() -> None:
    assert signatures.sendgrid_is_genuine(BODY, SIGNATURE, TIMESTAMP, KEY)
    assert not signatures.sendgrid_is_genuine(BODY.rstrip(), SIGNATURE, TIMESTAMP, KEY)


@pytest.mark.parametrize(
    ("body", "signature", "timestamp", "key"),
    [
        (BODY.replace(b"hello", b"jello"), SIGNATURE, TIMESTAMP, KEY),
        (BODY, SIGNATURE, "1600112503", KEY),
        (BODY, SIGNATURE[:-8] + "AAAAAAA=", TIMESTAMP, KEY),
        (BODY, "", TIMESTAMP, KEY),
        (BODY, "no base64!", TIMESTAMP, KEY),
        (BODY, SIGNATURE, "", KEY),
        (BODY, SIGNATURE, TIMESTAMP, "no key"),
        (b"\xff" + BODY, SIGNATURE, TIMESTAMP, KEY),
    ],
)
def test_anything_else_is_not_sendgrids(body: bytes, signature: str, timestamp: str, key: str) -> None:
    assert not signatures.sendgrid_is_genuine(body, signature, timestamp, key)


@pytest.mark.parametrize(
    ("minutes", "is_fresh"), [(0, True), (9, True), (-9, True), (11, False), (-11, False), (24 * 60, False)]
)
def test_a_signature_of_sendgrid_is_fresh_for_ten_minutes(minutes: int, *, is_fresh: bool) -> None:
    at = datetime.fromtimestamp(int(TIMESTAMP), UTC) + timedelta(minutes=minutes)

    assert signatures.sendgrid_is_fresh(TIMESTAMP, at) is is_fresh


@pytest.mark.parametrize("timestamp", ["", "now", "1e9", "-1", "9" * 40, "१६००११२५०२"])
def test_a_time_that_is_none_is_not_fresh(timestamp: str) -> None:
    assert not signatures.sendgrid_is_fresh(timestamp, NOW)


def test_metas_signature_is_over_the_raw_bytes() -> None:
    body = b'{"entry": "\xc3\xa4 \\u00e4"}\n'
    genuine = "sha256=" + hmac.new(b"secret", body, hashlib.sha256).hexdigest()

    assert signatures.meta_is_genuine(body, genuine, "secret")
    assert not signatures.meta_is_genuine(body.rstrip(), genuine, "secret")
    assert not signatures.meta_is_genuine(body, genuine, "other")
    assert not signatures.meta_is_genuine(body, genuine.removeprefix("sha256="), "secret")
    assert not signatures.meta_is_genuine(body, "", "secret")
    assert not signatures.meta_is_genuine(body, "sha256=ä", "secret")


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "a subject"])
def test_a_notification_signed_by_amazons_key_is_genuine(version: str, subject: str | None) -> None:
    amazon = Amazon()
    envelope = amazon.notification("hello", at=NOW, version=version, subject=subject)

    assert signatures.sns_is_genuine(envelope, amazon.certificate, NOW)
    for name in ("Message", "MessageId", "Timestamp", "TopicArn", "Subject"):
        changed = envelope | {name: "changed"}
        assert not signatures.sns_is_genuine(changed, amazon.certificate, NOW), name


@pytest.mark.parametrize(
    "changes",
    [
        {"SignatureVersion": "3"},
        {"SignatureVersion": None},
        {"Signature": ""},
        {"Signature": "no base64!"},
        {"Signature": base64.b64encode(b"x" * 256).decode()},
        {"Type": "SubscriptionConfirmation"},
        {"Type": "Other"},
        {"Type": ["Notification"]},
        {"Message": None},
    ],
)
def test_an_envelope_that_is_not_as_it_was_signed_is_not_genuine(changes: dict[str, Any]) -> None:
    amazon = Amazon()
    envelope = amazon.notification("hello", at=NOW)

    assert not signatures.sns_is_genuine(envelope | changes, amazon.certificate, NOW)


def test_another_key_an_old_certificate_and_no_certificate_prove_nothing() -> None:
    amazon = Amazon()
    envelope = amazon.notification("hello", at=NOW)

    assert not signatures.sns_is_genuine(envelope, Amazon().certificate, NOW)
    assert not signatures.sns_is_genuine(envelope, amazon.certificate, NOW + timedelta(days=4_000))
    assert not signatures.sns_is_genuine(envelope, b"<html>", NOW)


@pytest.mark.parametrize(
    ("url", "is_amazon"),
    [
        ("https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-x.pem", True),
        ("https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-x.pem", True),
        ("https://sns.us-gov-west-1.amazonaws.com:443/SimpleNotificationService-x.pem", True),
        ("http://sns.eu-central-1.amazonaws.com/x.pem", False),
        ("https://sns.eu-central-1.amazonaws.com.evil.example/x.pem", False),
        ("https://evil.example/sns.eu-central-1.amazonaws.com/x.pem", False),
        ("https://sns.eu-central-1.amazonaws.com@evil.example/x.pem", False),
        ("https://evil.example#sns.eu-central-1.amazonaws.com/x.pem", False),
        ("https://sns.eu-central-1.amazonaws.com:8443/x.pem", False),
        ("https://s3.eu-central-1.amazonaws.com/bucket/x.pem", False),
        ("https://sns.evil.bucket.s3.amazonaws.com/x.pem", False),
        ("https://SNS.eu-central-1.amazonaws.com\\@evil.example/x.pem", False),
        ("https://sns.eu-central-1.amazonaws.com:x/x.pem", False),
        ("https://sns.eu-central-1.amazonaws.com\x0b/SimpleNotificationService-x.pem", False),
        ("https://127.0.0.1/x.pem", False),
        ("//sns.eu-central-1.amazonaws.com/x.pem", False),
        ("", False),
        (None, False),
        (["https://sns.eu-central-1.amazonaws.com/x.pem"], False),
    ],
)
def test_certificates_come_from_amazon_only(url: Any, *, is_amazon: bool) -> None:
    assert signatures.is_amazon_url(url) is is_amazon
    assert (signatures.certificate_url({"SigningCertURL": url}) is not None) is is_amazon


@pytest.mark.parametrize(
    "rest",
    [
        "/?x.pem",
        "/x.pem",
        "/SimpleNotificationService-x.pem?Action=GetEndpointAttributes",
        "/SimpleNotificationService-x.pem#x",
        "/a/SimpleNotificationService-x.pem",
        "/SimpleNotificationService-x.pem/../y.pem",
        "/SimpleNotificationService-%2e.pem",
    ],
)
def test_a_certificate_lies_where_amazon_keeps_certificates_and_is_no_answer_to_a_question(rest: str) -> None:
    url = f"https://sns.eu-central-1.amazonaws.com{rest}"
    assert signatures.is_amazon_url(url)
    assert signatures.certificate_url({"SigningCertURL": url}) is None


@pytest.mark.parametrize(("hours", "is_fresh"), [(0, True), (23, True), (25, False), (-1, False)])
def test_a_notification_is_fresh_for_a_day(hours: int, *, is_fresh: bool) -> None:
    envelope = Amazon().notification("hello", at=NOW - timedelta(hours=hours))

    assert signatures.sns_is_fresh(envelope, NOW) is is_fresh
    assert not signatures.sns_is_fresh({"Timestamp": "2026-05-02T01:00:00"}, NOW)
    assert not signatures.sns_is_fresh({}, NOW)


def test_an_unsubscribe_token_fits_one_person_channel_and_purpose_under_any_listed_key() -> None:
    token = unsubscribe_token("old", "ann", "email", "marketing")

    assert signatures.unsubscribe_is_genuine(["new", "old"], token, "ann", "email", "marketing")
    assert not signatures.unsubscribe_is_genuine(["new"], token, "ann", "email", "marketing")
    assert not signatures.unsubscribe_is_genuine(["old"], token, "bob", "email", "marketing")
    assert not signatures.unsubscribe_is_genuine(["old"], token, "ann", "sms", "marketing")
    assert not signatures.unsubscribe_is_genuine(["old"], token, "ann", "email", "transactional")
    assert not signatures.unsubscribe_is_genuine(["old"], token + "=", "ann", "email", "marketing")
    assert not signatures.unsubscribe_is_genuine(["old"], "ä", "ann", "email", "marketing")
    assert not signatures.unsubscribe_is_genuine([], token, "ann", "email", "marketing")
