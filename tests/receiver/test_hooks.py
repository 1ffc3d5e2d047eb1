"""Webhooks over real HTTP: what is genuine is stored before it is acknowledged, all else leaves a counter."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from config.settings import CHECKOUT
from flows.receiver.desk import body_of
from tests.receiver.amazon import CERTIFICATE_URL, HOST, TOPIC
from tests.receiver.conftest import SES, Receiver, Scene

SENDGRID_KEY = ec.generate_private_key(ec.SECP256R1())
EVENT_KEY = base64.b64encode(
    SENDGRID_KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()
SENDGRID = {"email": {"provider": "email_sendgrid", "event_key": EVENT_KEY}}


def signed(body: bytes, receiver: Receiver, late: timedelta = timedelta(0)) -> dict[str, str]:
    timestamp = str(int((receiver.now - late).timestamp()))
    signature = SENDGRID_KEY.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }


def events(*kinds: str, attempt: str | None = None, email: str = "ann@example.com") -> bytes:
    found = [
        {"email": email, "event": kind, "timestamp": 1_773_144_000 + number, "sg_message_id": "m.0", "sg_event_id": "e",
         **({"type": "bounce"} if kind == "bounce" else {}), **({"attempt_id": attempt} if attempt else {})}
        for number, kind in enumerate(kinds)
    ]  # fmt: skip
    return json.dumps(found).encode() + b"\r\n"


@pytest.fixture
def sendgrid(make_scene: Callable[..., Scene], make_receiver: Callable[..., Receiver]) -> Receiver:
    return make_receiver(make_scene(SENDGRID))


def meta(body: bytes, secret: str = "app-secret") -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


# ------------------------------------------------------------------------------------------- SendGrid


def test_genuine_events_are_stored_put_to_effect_and_acknowledged(sendgrid: Receiver) -> None:
    attempt = sendgrid.scene.sent("ann", state="unknown")
    body = events("processed", "delivered", "bounce", attempt=attempt)

    answer = sendgrid.post("/hooks/sendgrid", body, **signed(body, sendgrid))

    assert answer.status_code == 200
    assert sendgrid.scene.events() == ["accepted", "bounced", "delivered"]
    assert sendgrid.scene.stage.end(sendgrid.scene.key_of(attempt)) == ("accepted", None)
    assert sendgrid.scene.suppressions() == {("email", "all", "hard_bounce")}
    assert sendgrid.scene.refused() == {}


def test_k12_a_body_that_comes_again_is_kept_once(sendgrid: Receiver) -> None:
    """The acknowledgement was lost: SendGrid signs the same events anew."""
    attempt = sendgrid.scene.sent("ann")
    for late in (0, 1, 2):
        body = events("delivered", "open", attempt=attempt).replace(b'"e"', b'"e%d"' % late)
        assert sendgrid.post("/hooks/sendgrid", body, **signed(body, sendgrid)).status_code == 200

    assert sendgrid.scene.events() == ["delivered", "opened"]


@pytest.mark.parametrize("case", ["no signature", "changed", "line end lost", "another time", "nonsense"])
def test_p13_a_forged_body_is_turned_away_and_only_counted(sendgrid: Receiver, case: str) -> None:
    body = events("spamreport")
    headers = signed(body, sendgrid)
    if case == "no signature":
        headers = {}
    elif case == "changed":
        body = body.replace(b"ann@", b"bob@")
    elif case == "line end lost":
        body = body.rstrip()
    elif case == "another time":
        headers["X-Twilio-Email-Event-Webhook-Timestamp"] = str(int(sendgrid.now.timestamp()) + 1)
    else:
        headers = dict.fromkeys(headers, "?")

    answer = sendgrid.post("/hooks/sendgrid", body, **headers)

    assert answer.status_code == 401
    assert sendgrid.scene.refused() == {("hooks/sendgrid", "forged"): 1}
    assert sendgrid.scene.events() == []
    assert sendgrid.scene.suppressions() == set()
    assert sendgrid.scene.stage.one("select count(*) from raw.quarantine") == 0


def test_p13_a_genuine_body_of_yesterday_is_stale_and_one_signed_anew_is_not(sendgrid: Receiver) -> None:
    body = events("delivered")

    stale = [
        sendgrid.post("/hooks/sendgrid", body, **signed(body, sendgrid, late)).status_code
        for late in (timedelta(minutes=11), timedelta(days=1), -timedelta(minutes=11))
    ]
    fresh = sendgrid.post("/hooks/sendgrid", body, **signed(body, sendgrid, timedelta(minutes=9))).status_code

    assert (stale, fresh) == ([401, 401, 401], 200)
    assert sendgrid.scene.refused() == {("hooks/sendgrid", "stale"): 3}


def test_without_a_key_nothing_is_believed(receiver: Receiver) -> None:
    body = events("delivered")

    assert receiver.post("/hooks/sendgrid", body, **signed(body, receiver)).status_code == 403
    assert receiver.scene.refused() == {("hooks/sendgrid", "not_configured"): 1}


def test_a_genuine_body_that_cannot_be_read_waits_in_quarantine_beside_what_can(sendgrid: Receiver) -> None:
    body = b'[{"event": "delivered", "sg_message_id": "m.0", "timestamp": 1773144000}, {"no": "event"}]'

    answer = sendgrid.post("/hooks/sendgrid", body, **signed(body, sendgrid))

    assert answer.status_code == 200
    assert sendgrid.scene.events() == ["delivered"]
    [line] = sendgrid.scene.stage.rows("select source, entity, raw, reason from raw.quarantine")
    assert line == {
        "source": "hooks/sendgrid", "entity": "reports", "raw": body.decode(), "reason": "not_an_event",
    }  # fmt: skip


def test_a_body_beyond_the_bound_is_refused_unread(sendgrid: Receiver) -> None:
    body = b"[" + b" " * (4 * 1024 * 1024) + b"]"

    assert sendgrid.post("/hooks/sendgrid", body, **signed(body, sendgrid)).status_code == 413


def test_a_body_that_drips_is_given_up_and_its_connection_ended() -> None:
    async def drip() -> dict[str, Any]:
        await anyio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def ask() -> None:
        await body_of(Request({"type": "http", "method": "POST", "headers": []}, drip), seconds=0.1)

    with pytest.raises(HTTPException) as given_up:
        anyio.run(ask)
    assert given_up.value.status_code == 408
    assert given_up.value.headers == {"Connection": "close"}


def test_a_thousand_events_in_one_body_are_one_acknowledgement(sendgrid: Receiver) -> None:
    attempts = [sendgrid.scene.sent(f"p{number}") for number in range(3)]
    found = [
        {"email": f"x{n}@example.com", "event": "open", "timestamp": 1_773_144_000 + n, "sg_message_id": f"m{n}.0",
         "attempt_id": attempts[n % 3]}
        for n in range(1000)
    ]  # fmt: skip
    body = json.dumps(found).encode()

    assert sendgrid.post("/hooks/sendgrid", body, **signed(body, sendgrid)).status_code == 200
    assert len(sendgrid.scene.events()) == 1000
    assert {sendgrid.scene.message(attempt)["status"] for attempt in attempts} == {"opened"}


# ------------------------------------------------------------------------------------------------ SNS

BOUNCE = {
    "eventType": "Bounce",
    "bounce": {"bounceType": "Permanent", "timestamp": "2026-03-10T12:00:00Z", "feedbackId": "f",
               "bouncedRecipients": [{"emailAddress": "ann@example.com"}]},
    "mail": {"messageId": "ses-1", "destination": ["ann@example.com"], "tags": {}},
}  # fmt: skip


@pytest.fixture
def ses(make_scene: Callable[..., Scene], make_receiver: Callable[..., Receiver]) -> Receiver:
    return make_receiver(make_scene({"email": SES}))


def test_a_notification_of_our_topic_is_believed(ses: Receiver) -> None:
    attempt = ses.scene.sent("ann", provider="email_ses", message_id="ses-1")

    answer = ses.post("/hooks/sns/ses", ses.amazon.notification(BOUNCE, at=ses.now))

    assert answer.status_code == 200
    assert ses.scene.message(attempt)["status"] == "failed"
    assert ses.scene.suppressions() == {("email", "all", "hard_bounce")}


def test_the_certificate_is_fetched_once(ses: Receiver) -> None:
    for number in range(3):
        ses.post("/hooks/sns/ses", ses.amazon.notification(BOUNCE | {"n": number}, at=ses.now))

    assert ses.amazon.fetched == [CERTIFICATE_URL]


@pytest.mark.parametrize("case", ["changed", "elsewhere", "no envelope", "unsigned"])
def test_p13_what_amazon_did_not_sign_is_turned_away(ses: Receiver, case: str) -> None:
    envelope: Any = ses.amazon.notification(BOUNCE, at=ses.now)
    if case == "changed":
        envelope["Message"] = envelope["Message"].replace("ann@", "bob@")
    elif case == "elsewhere":
        envelope["SigningCertURL"] = CERTIFICATE_URL.replace(".amazonaws.com", ".amazonaws.com.evil.example")
    elif case == "no envelope":
        envelope = [envelope]
    else:
        del envelope["Signature"]

    assert ses.post("/hooks/sns/ses", envelope).status_code == 401
    assert ses.scene.refused() == {("hooks/sns/ses", "forged"): 1}
    assert ses.scene.events() == []
    assert all(url == CERTIFICATE_URL for url in ses.amazon.fetched)


def test_p13_a_genuine_notification_of_somebody_elses_topic_is_turned_away_before_anything_is_fetched(
    ses: Receiver,
) -> None:
    envelope = ses.amazon.notification(BOUNCE, at=ses.now, topic=TOPIC.replace("123456789012", "999999999999"))

    assert ses.post("/hooks/sns/ses", envelope).status_code == 403
    assert ses.scene.refused() == {("hooks/sns/ses", "unknown_topic"): 1}
    assert ses.amazon.fetched == []


def test_p13_a_notification_of_last_week_is_stale(ses: Receiver) -> None:
    answers = [
        ses.post("/hooks/sns/ses", ses.amazon.notification(BOUNCE, at=ses.now - timedelta(hours=hours))).status_code
        for hours in (23, 25, 24 * 7)
    ]

    assert answers == [200, 401, 401]
    assert ses.scene.refused() == {("hooks/sns/ses", "stale"): 2}


def test_a_subscription_is_confirmed_for_our_topic_only(ses: Receiver) -> None:
    ours = ses.post("/hooks/sns/ses", ses.amazon.confirmation(at=ses.now))
    assert ours.status_code == 200
    assert ses.amazon.fetched == [CERTIFICATE_URL, f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=token"]

    other = ses.amazon.confirmation(at=ses.now, topic=TOPIC + "-other")
    lured = ses.amazon.confirmation(at=ses.now, url="http://169.254.169.254/latest/meta-data/")
    assert ses.post("/hooks/sns/ses", other).status_code == 403
    assert ses.post("/hooks/sns/ses", lured).status_code == 401

    assert len(ses.amazon.fetched) == 2


def test_while_amazon_cannot_be_reached_the_notification_is_asked_for_again(ses: Receiver) -> None:
    ses.amazon.is_reachable = False
    envelope = ses.amazon.notification(BOUNCE, at=ses.now)
    assert ses.post("/hooks/sns/ses", envelope).status_code == 503
    ses.amazon.is_reachable = True

    assert ses.post("/hooks/sns/ses", envelope).status_code == 200
    assert ses.scene.events() == ["bounced"]


def test_texts_pushes_and_whatsapp_come_through_their_own_doors(receiver: Receiver) -> None:
    text = receiver.scene.sent("ann", "sms", "sms_aws")
    push = receiver.scene.sent("bob", "push", "push_sns", message_id="push-1")
    chat = receiver.scene.sent("cid", "whatsapp", "whatsapp_aws")
    read = {"id": "wamid.1", "status": "read", "timestamp": "1773144000", "biz_opaque_callback_data": chat}
    entry = {"id": "1", "changes": [{"value": {"statuses": [read]}}]}
    messages = {
        "sms": {"eventType": "TEXT_DELIVERED", "messageId": "t", "eventTimestamp": 1_773_144_000_000,
                "context": {"attempt_id": text}},
        "push": {"EventType": "DeliveryFailure", "FailureType": "EndpointDisabled", "EndpointArn": "arn:x",
                 "MessageId": "push-1", "Time": "2026-03-10T12:00:00.000Z"},
        "whatsapp": {"whatsAppWebhookEntry": json.dumps(entry)},
    }  # fmt: skip

    answers = {
        name: receiver.post(f"/hooks/sns/{name}", receiver.amazon.notification(message, at=receiver.now)).status_code
        for name, message in messages.items()
    }
    not_ours = receiver.post("/hooks/sns/ses", receiver.amazon.notification(BOUNCE, at=receiver.now)).status_code

    assert answers == {"sms": 200, "push": 200, "whatsapp": 200}
    assert not_ours == 403
    statuses = [receiver.scene.message(attempt)["status"] for attempt in (text, push, chat)]
    assert statuses == ["delivered", "failed", "opened"]
    active = "select active from core.push_tokens where customer_id = 'bob'"
    assert receiver.scene.stage.one(active) is False


# -------------------------------------------------------------------------------------------- WhatsApp


def inbound(text: str, number: str) -> bytes:
    message = {"from": number, "id": f"wamid.{text}", "timestamp": "1773144000", "type": "text", "text": {"body": text}}
    return json.dumps({"entry": [{"changes": [{"value": {"messages": [message]}}]}]}).encode()


def test_meta_verifies_the_address_by_our_word(receiver: Receiver) -> None:
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}

    right = receiver.get("/hooks/whatsapp", **asked, **{"hub.verify_token": "a-word"})
    wrong = receiver.get("/hooks/whatsapp", **asked, **{"hub.verify_token": "another"})

    assert (right.status_code, right.text) == (200, "1158201444")
    assert right.headers["content-type"].startswith("text/plain")
    assert (wrong.status_code, "1158201444" in wrong.text) == (403, False)
    assert receiver.scene.refused() == {("hooks/whatsapp", "forged"): 1}


def test_what_meta_signed_is_stored(receiver: Receiver) -> None:
    receiver.scene.stage.person("ann")
    number = receiver.scene.stage.one("select phone_e164 from core.customers")
    body = inbound("STOP", number.removeprefix("+"))

    for _ in range(2):
        assert receiver.post("/hooks/whatsapp", body, **meta(body)).status_code == 200

    [reply] = receiver.scene.stage.rows("select customer_id, channel, text from campaign.replies")
    assert reply == {"customer_id": "ann", "channel": "whatsapp", "text": "STOP"}


@pytest.mark.parametrize("case", ["another secret", "changed", "none", "no hex"])
def test_p13_what_meta_did_not_sign_is_turned_away(receiver: Receiver, case: str) -> None:
    body = inbound("STOP", "16505551234")
    headers = {
        "another secret": meta(body, "other"),
        "changed": meta(body + b" "),
        "none": {},
        "no hex": {"X-Hub-Signature-256": "sha256=\xe4"},
    }[case]

    answer = httpx.post(
        receiver.url + "/hooks/whatsapp", content=body, headers={n: v.encode("latin-1") for n, v in headers.items()}
    )

    assert answer.status_code == 401
    assert receiver.scene.refused() == {("hooks/whatsapp", "forged"): 1}
    assert receiver.scene.stage.one("select count(*) from campaign.replies") == 0


def test_without_secrets_whatsapps_door_is_closed(make_receiver: Callable[..., Receiver]) -> None:
    closed = make_receiver(whatsapp_app_secret=None, whatsapp_verify_token=None)
    body = inbound("STOP", "1")

    assert closed.post("/hooks/whatsapp", body, **meta(body)).status_code == 403
    assert closed.get("/hooks/whatsapp", **{"hub.mode": "subscribe", "hub.verify_token": ""}).status_code == 403


# --------------------------------------------------------------------------------- the machine as a whole


def test_while_the_database_is_away_nothing_is_acknowledged(sendgrid: Receiver) -> None:
    """The database takes no new connections: 503, and the next delivery is stored."""
    admin = sendgrid.scene.work.database
    body = events("delivered")
    headers = signed(body, sendgrid)
    assert sendgrid.get("/health").json() == {"status": "ok"}
    with_server = admin.url.set(database="postgres")
    import sqlalchemy as sa

    server = sa.create_engine(with_server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with server.connect() as connection:
        connection.exec_driver_sql(f"alter database {admin.name} with allow_connections false")
        connection.execute(
            sa.text("select pg_terminate_backend(pid) from pg_stat_activity where datname = :name"),
            {"name": admin.name},
        )
        try:
            away = [sendgrid.post("/hooks/sendgrid", body, **headers), sendgrid.get("/health")]
        finally:
            connection.exec_driver_sql(f"alter database {admin.name} with allow_connections true")

    assert [answer.status_code for answer in away] == [503, 503]
    assert all("Retry-After" in answer.headers for answer in away)
    assert sendgrid.post("/hooks/sendgrid", body, **headers).status_code == 200
    assert sendgrid.scene.events() == ["delivered"]


def test_an_error_of_ours_is_answered_and_logged_without_a_word_about_the_person(
    sendgrid: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = sendgrid.scene.sent("ann")
    body = events("bounce", attempt=attempt, email="canary@example.com")
    sendgrid.scene.stage.run_sql("alter table core.suppressions add constraint canary check (reason <> 'hard_bounce')")
    try:
        answer = sendgrid.post("/hooks/sendgrid", body, **signed(body, sendgrid))
    finally:
        sendgrid.scene.stage.run_sql("alter table core.suppressions drop constraint canary")

    assert answer.status_code == 503
    assert "IntegrityError at tasks/store/reports.py" in caplog.text
    assert "canary@" not in caplog.text + answer.text
    assert sendgrid.scene.events() == []


def test_other_addresses_and_other_verbs_are_nothing(receiver: Receiver) -> None:
    assert receiver.get("/").status_code == 404
    assert receiver.get("/hooks/sendgrid").status_code == 405
    assert receiver.post("/hooks/sns/other", b"").status_code == 404


def test_k12_the_command_killed_between_storing_and_answering_keeps_one(
    make_scene: Callable[..., Scene], tmp_path: Any
) -> None:
    """A real `reengage hooks`, killed while an answer is under way; the redelivery to the next one adds nothing."""
    scene = make_scene(SENDGRID)
    settings = scene.work.settings
    port = free_port()
    environment = {
        **os.environ,
        "REENGAGE_CONFIG": str(settings.config),
        "REENGAGE_HOME": str(settings.home),
        "REENGAGE_DATABASE_URL": scene.work.database.url.render_as_string(hide_password=False),
        "REENGAGE_TIME_ZONE": "UTC",
        "REENGAGE_MODE": "live",
    }
    log = tmp_path / "hooks.log"

    def start() -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-m", "flows", "hooks", "--port", str(port)],
            cwd=CHECKOUT, env=environment, stdout=log.open("ab"), stderr=subprocess.STDOUT,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and child.poll() is None:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                    return child
            except httpx.TransportError:
                time.sleep(0.1)
        pytest.fail(log.read_text())

    clock = type("Clock", (), {"now": scene.work.database.now()})
    attempt = scene.sent("ann", state="unknown")
    body = events("delivered", "bounce", attempt=attempt)
    first = start()
    # Whoever posts never reads an answer: as soon as the commit shows, the process is gone.
    try:
        with socket_to(port) as line:
            head = {**signed(body, clock), "Content-Length": str(len(body)), "Host": "x"}
            text = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            line.sendall(f"POST /hooks/sendgrid HTTP/1.1\r\n{text}\r\n".encode() + body)
            wait_until(lambda: scene.events() == ["bounced", "delivered"])
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait(10)
    second = start()
    try:
        again = httpx.post(f"http://127.0.0.1:{port}/hooks/sendgrid", content=body, headers=signed(body, clock))
    finally:
        second.terminate()
        second.wait(30)

    assert again.status_code == 200
    assert scene.events() == ["bounced", "delivered"]
    assert scene.stage.end(scene.key_of(attempt)) == ("accepted", None)
    assert scene.suppressions() == {("email", "all", "hard_bounce")}
    said = log.read_text()
    assert "/hooks/sendgrid        open" in said
    assert "/hooks/whatsapp        closed: needs REENGAGE_WHATSAPP_APP_SECRET" in said
    assert "GET /health" not in said  # no access log


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def socket_to(port: int) -> Any:
    import socket

    return socket.create_connection(("127.0.0.1", port), timeout=30)


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)
