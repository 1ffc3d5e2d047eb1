"""Web push: a browser's own keys open what leaves, and no subscription leads into our network."""

from __future__ import annotations

import base64
import json
import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import http_ece
import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import ValidationError

from config.providers import WebpushVapid
from tasks.channels import clients, outward
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.outward import Outward, is_public
from tasks.channels.webpush_vapid import LONGEST_TEXT, PROFILE, WebpushVapidSender
from tasks.rules.errors import Misconfigured, ProviderError, Refused, Unanswered
from tasks.rules.words import REASONS
from tests.channels.faults import CANARY, NOON, TAKEN, noon, outcome, outgoing
from tests.channels.loopback import Answer, Loopback, Mode, Request

ATTEMPT = outgoing("webpush", "").attempt_id
DAY = 24 * 3600


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


OURS = ec.generate_private_key(ec.SECP256R1())
PRIVATE = b64(OURS.private_numbers().private_value.to_bytes(32, "big"))
PUBLIC = b64(point(OURS))


@dataclass
class Browser:
    """A browser that subscribed, and its push service; the browser reads what arrives."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    secret: bytes = b"0123456789abcdef"
    read: list[Any] = field(default_factory=list)
    claims: dict[str, Any] = field(default_factory=dict)
    service: Loopback = field(init=False)

    def __post_init__(self) -> None:
        self.service = Loopback(
            judge=self.judge,
            keys=lambda _: [ATTEMPT],
            yes=lambda _: Answer(201, b"", {"Location": f"{self.service.url}/message/1"}),
        )

    @cached_property
    def subscription(self) -> str:
        return self.subscribed()

    def subscribed(self, **changes: Any) -> str:
        keys = {"p256dh": b64(point(self.key)), "auth": b64(self.secret)}
        return json.dumps({"endpoint": f"{self.service.url}/wpush/ann", "expirationTime": None, "keys": keys} | changes)

    def judge(self, request: Request) -> Answer | None:
        """Refuses what RFC 8030, 8291 and 8292 do not allow."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        if request.method != "POST" or not 0 <= int(headers.get("ttl", "-1")) <= 28 * DAY:
            return Answer(400, {"error": "TTL"})
        scheme, _, parameters = headers.get("authorization", "").partition(" ")
        given = dict(part.strip().split("=", 1) for part in parameters.split(","))
        if scheme != "vapid" or given["k"] != PUBLIC:
            return Answer(403, {"error": "key"})
        signed, _, signature = given["t"].rpartition(".")
        raw = unb64(signature)
        numbers = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        try:
            OURS.public_key().verify(numbers, signed.encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return Answer(403, {"error": "signature"})
        head, self.claims = (json.loads(unb64(part)) for part in signed.split("."))
        if head["alg"] != "ES256" or self.claims["aud"] != self.service.url:
            return Answer(403, {"error": "aud"})
        if not 0 < self.claims["exp"] - noon() <= DAY:
            return Answer(403, {"error": "exp"})
        if headers.get("content-encoding") != "aes128gcm" or len(request.body) > 4096:
            return Answer(413, {"error": "size"})
        plain = http_ece.decrypt(request.body, private_key=self.key, auth_secret=self.secret, version="aes128gcm")
        self.read.append(json.loads(plain))
        return None


@pytest.fixture
def browser() -> Iterator[Browser]:
    one = Browser()
    with one.service.running():
        yield one


def options(*services: str, **changes: Any) -> WebpushVapid:
    given = {"subject": "mailto:push@example.com", "public_key": PUBLIC, "private_services": services}
    return WebpushVapid(provider="webpush_vapid", **given | changes)


def sender(*services: str, seconds: float = 1.5, **changes: Any) -> WebpushVapidSender:
    inside = [(url.rpartition("/")[2].split(":")[0], int(url.rpartition(":")[2])) for url in services]
    client = clients.outward(timeout=seconds, inside=inside)
    return WebpushVapidSender(client, options(*services, **changes), PRIVATE, seconds=seconds, wall_clock=noon)


def message(subscription: str, **changes: Any) -> OutgoingMessage:
    fields = {"title": "Grüße", "text": f"Hello, {CANARY}", "link": "https://shop.example.com/"}
    return outgoing("webpush", subscription, **{"fields": fields, "platform": "webpush"} | changes)


def refusal(said: object) -> str:
    assert isinstance(said, Refused)
    return said.reason


def test_the_browser_reads_title_text_and_link(browser):
    (receipt,) = sender(browser.service.url).send([message(browser.subscription)])

    assert receipt == Receipt(ATTEMPT, "accepted", status_code=201)
    assert browser.read == [{"title": "Grüße", "text": f"Hello, {CANARY}", "link": "https://shop.example.com/"}]
    assert browser.claims["sub"] == "mailto:push@example.com"


def test_the_push_service_and_the_wire_see_no_word_of_it(browser):
    sender(browser.service.url).send([message(browser.subscription)])

    (request,) = browser.service.requests
    assert CANARY.encode() not in request.body
    assert CANARY not in str(request.headers)


def test_a_subject_that_is_a_page_is_taken(browser):
    sender(browser.service.url, subject="https://shop.example.com/contact").send([message(browser.subscription)])

    assert browser.claims["sub"] == "https://shop.example.com/contact"


@pytest.mark.parametrize(("seconds", "kept"), [(3600, 3600), (0.5, 0), (90 * DAY, 28 * DAY)])
def test_the_service_keeps_a_message_until_it_must_not_arrive_any_more(browser, seconds, kept):
    sender(browser.service.url).send([message(browser.subscription, deliver_by=NOON + timedelta(seconds=seconds))])

    (request,) = browser.service.requests
    assert {name.lower(): value for name, value in request.headers.items()}["ttl"] == str(kept)


def test_what_can_no_longer_arrive_in_time_does_not_leave(browser):
    (receipt,) = sender(browser.service.url).send([message(browser.subscription, deliver_by=NOON)])

    assert (receipt.outcome, receipt.retry_after) == ("busy", 1)
    assert not browser.service.requests


# What the whole channel is told elsewhere (busy, unknown to them) is about this one subscription here.
MEANS: dict[Mode, type[ProviderError] | str] = {
    Mode.ACCEPT: "accepted",
    Mode.DROP_AFTER: Unanswered,
    Mode.DROP_BEFORE: Unanswered,
    Mode.HANG: Unanswered,
    Mode.SLOW: "accepted",
    Mode.MALFORMED: "accepted",
    Mode.LIE_500: Unanswered,
    Mode.BUSY: "busy",
    Mode.BUSY_120: "busy",
    Mode.ERROR_500: Unanswered,
    Mode.ERROR_502: Unanswered,
    Mode.ERROR_503: Unanswered,
    Mode.BAD_400: Refused,
    Mode.UNKNOWN_401: Refused,
}


@pytest.mark.parametrize("mode", Mode)
def test_every_fault_has_one_meaning_and_leaves_one_request(browser, mode, caplog):
    caplog.set_level(logging.DEBUG)
    browser.service.conduct = lambda _: mode

    said = outcome(sender(browser.service.url), [message(browser.subscription)])

    if isinstance(said, list):
        assert said[0].outcome == MEANS[mode]
        assert said[0].retry_after == (120 if mode is Mode.BUSY_120 else None)
    else:
        assert type(said) is MEANS[mode]
    assert browser.service.keys_accepted == ([ATTEMPT] if mode in TAKEN else [])
    assert len(browser.service.requests) == 1
    for told in (caplog.text, str(said)):
        assert "wpush" not in told
        assert CANARY not in told


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, "token_invalid"),
        (410, "token_invalid"),
        (413, "content"),
        (401, "key_mismatch"),
        (403, "key_mismatch"),
        (400, "refused"),
        (302, "refused"),
        (307, "refused"),
    ],
)
def test_a_refusal_says_what_ends_and_halts_nobody_else(browser, status, reason):
    inside = Answer(status, b"", {"Location": f"{browser.service.url}/inside"})
    browser.service.judge = lambda _: inside

    said = outcome(sender(browser.service.url), [message(browser.subscription)])

    assert refusal(said) == reason
    assert len(browser.service.requests) == 1


@pytest.mark.parametrize("status", [429, 406])
def test_a_throttled_subscription_waits_alone(browser, status):
    browser.service.judge = lambda _: Answer(status, b"", {"Retry-After": "7"})

    (receipt,) = sender(browser.service.url).send([message(browser.subscription)])

    assert (receipt.outcome, receipt.retry_after, receipt.status_code) == ("busy", 7, status)


def fields_of(length: int) -> dict[str, str]:
    empty = len(json.dumps({"title": "", "text": ""}))
    return {"title": "", "text": "x" * (length - empty)}


def test_the_longest_message_fits_one_record_and_a_longer_one_does_not_leave(browser):
    sender(browser.service.url).send([message(browser.subscription, fields=fields_of(LONGEST_TEXT))])
    assert len(browser.service.accepted[0].request.body) == 4096

    longer = message(browser.subscription, fields=fields_of(LONGEST_TEXT + 1))
    assert refusal(outcome(sender(browser.service.url), [longer])) == "content"
    assert len(browser.service.requests) == 1


OFF_THE_CURVE = b64(b"\x04" + b"\x01" * 64)


@pytest.mark.parametrize(
    "subscription",
    [
        "",
        "null",
        "[" * 100_000,
        "https://push.example.com/a",
        '{"endpoint": "https://push.example.com/a"}',
        {"endpoint": 7},
        {"endpoint": "https://push.example.com:99999/"},
        {"endpoint": "https://push.example.com:0/"},
        {"endpoint": "https://push.exa\nmple.com/"},
        {"keys": None},
        {"keys": {"p256dh": "?", "auth": b64(b"0123456789abcdef")}},
        {"keys": {"p256dh": b64(b"\x02" * 33), "auth": b64(b"0123456789abcdef")}},
        {"keys": {"p256dh": OFF_THE_CURVE, "auth": b64(b"0123456789abcdef")}},
        {"keys": {"p256dh": PUBLIC, "auth": b64(b"short")}},
        {"keys": {"p256dh": 7, "auth": None}},
    ],
)
def test_what_is_no_subscription_ends_the_token(browser, subscription):
    text = browser.subscribed(**subscription) if isinstance(subscription, dict) else subscription

    assert refusal(outcome(sender(browser.service.url), [message(text)])) == "token_invalid"
    assert not browser.service.requests


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://push.example.com/a",  # not encrypted on the way
        "https://127.0.0.1:{port}/a",
        "https://localhost:{port}/a",
        "https://2130706433:{port}/a",  # the same as a number
        "https://0x7f.1:{port}/a",
        "https://127.1:{port}/a",
        "https://0.0.0.0:{port}/a",
        "https://[::1]:{port}/a",
        "https://[::ffff:127.0.0.1]:{port}/a",
        "https://user:secret@push.example.com/a",
        "https://push.example.com@127.0.0.1:{port}/a",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/a",
        "https://192.168.1.1/a",
        "https://100.64.0.1/a",
        "file:///etc/passwd",
        "ftp://push.example.com/",
    ],
)
def test_no_subscription_leads_into_our_network(browser, endpoint):
    port = browser.service.url.rpartition(":")[2]
    elsewhere = sender("http://127.0.0.1:9")

    said = outcome(elsewhere, [message(browser.subscribed(endpoint=endpoint.format(port=port)))])

    assert refusal(said) == "forbidden_address"
    assert not browser.service.requests


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:10.0.0.1",
        "::ffff:169.254.169.254", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::",
        "2001:0:7f00:1::", "2001:db8::1", "localhost", "",
    ],
)  # fmt: skip
def test_these_addresses_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["142.250.74.42", "2a00:1450:4001:82a::200a", "64:ff9b::8efa:4a2a", "::ffff:142.250.74.42"]
)
def test_these_addresses_are_public(address):
    assert is_public(address)


def found(*addresses: str) -> outward.Resolve:
    return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]


def test_a_name_with_one_address_inside_is_refused_whatever_else_it_has(browser):
    client = httpx.Client(transport=Outward(resolve=found("142.250.74.42", "127.0.0.1")))
    one = WebpushVapidSender(client, options(), PRIVATE, wall_clock=noon)

    said = outcome(one, [message(browser.subscribed(endpoint="https://push.example.com/a"))])

    assert refusal(said) == "forbidden_address"


def test_a_name_is_looked_up_once_so_it_cannot_lead_elsewhere_the_second_time(browser):
    """127.0.0.2 plays the public address that was judged; something of ours is where a second look-up would lead."""
    asked = []

    def rebinding(host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        return found("127.0.0.2" if len(asked) == 1 else "127.0.0.1")(host, port)

    port = int(browser.service.url.rpartition(":")[2])
    with httpx.Client(transport=Outward(resolve=rebinding, may_reach=lambda address: address == "127.0.0.2")) as client:
        with pytest.raises(httpx.ConnectError):  # nobody listens there
            client.post(f"http://localhost:{port}/a")
        with pytest.raises(outward.Inside):
            client.post(f"http://localhost:{port}/a")

    assert asked == ["localhost", "localhost"]
    assert not browser.service.requests


def unreached(said: object) -> bool:
    """Its message waits, and nobody else's: others have other push services."""
    return isinstance(said, list) and [(one.outcome, one.reason) for one in said] == [("busy", "unreached")]


def test_a_service_that_cannot_be_reached_keeps_its_own_message_waiting(browser):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
        said = outcome(sender(nobody), [message(browser.subscribed(endpoint=f"{nobody}/a"))])
    assert unreached(said)

    no_tls = browser.service.url.replace("http:", "https:")
    said = outcome(sender(no_tls), [message(browser.subscribed(endpoint=f"{no_tls}/a"))])
    assert unreached(said)

    said = outcome(sender(), [message(browser.subscribed(endpoint="https://nobody.invalid/a"))])
    assert unreached(said)


def test_a_service_that_drips_its_answer_holds_nobody_longer_than_a_call_may_take(browser):
    """It sends a piece of its head again and again, each well within any timeout between two pieces."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        dripping = Dripping(server)
        dripping.start()
        began = time.monotonic()
        said = outcome(sender(url, seconds=0.5), [message(browser.subscribed(endpoint=f"{url}/a"))])
        dripping.stop()

    assert isinstance(said, Unanswered)
    assert time.monotonic() - began < Dripping.SECONDS


class Dripping:
    SECONDS = 20

    def __init__(self, server: socket.socket) -> None:
        import threading

        self.server = server
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def run(self) -> None:
        connection, _ = self.server.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 201 Created\r\nX-Long: ")
            for _ in range(self.SECONDS * 10):
                if self.ended.wait(0.1):
                    break
                try:
                    connection.sendall(b"x")
                except OSError:
                    break

    def stop(self) -> None:
        self.ended.set()
        self.thread.join(5)


def test_a_connection_is_used_again_and_a_pause_between_two_messages_costs_the_second_nothing(browser):
    one = sender(browser.service.url, seconds=0.5)

    one.send([message(browser.subscription)])
    time.sleep(0.7)
    (receipt,) = one.send([message(browser.subscription)])

    assert receipt.outcome == "accepted"
    assert len(browser.service.accepted) == 2


OTHER = ec.generate_private_key(ec.SECP256R1())
DER = b64(OURS.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.parametrize("key", [PRIVATE, PRIVATE + "=", DER], ids=["raw", "raw, padded", "der"])
def test_the_private_key_may_be_raw_or_der(key):
    WebpushVapidSender(None, options(), key)


@pytest.mark.parametrize(
    "key",
    ["", "secret!", b64(b"x" * 31), b64(OTHER.private_numbers().private_value.to_bytes(32, "big"))],
    ids=["empty", "no base64", "too short", "another's"],
)
def test_a_key_that_pages_do_not_subscribe_with_is_told_before_anything_leaves(key):
    with pytest.raises(Misconfigured, match="REENGAGE_VAPID_PRIVATE_KEY") as wrong:
        WebpushVapidSender(None, options(), key)

    assert len(key) < 5 or key not in str(wrong.value)


@pytest.mark.parametrize("changes", [{"public_key": "short"}, {"private_services": ["https://a/b"]}, {"subject": "me"}])
def test_options_that_no_service_would_take_are_refused_when_read(changes):
    with pytest.raises(ValidationError):
        options(**changes)


def test_it_is_opened_with_the_settings_key_and_reaches_the_services_of_its_options(make_workspace, browser):
    work = make_workspace(vapid_private_key=PRIVATE)

    opened = WebpushVapidSender.open(work, options(browser.service.url), 5)
    opened._wall_clock = noon
    (receipt,) = opened.send([message(browser.subscription)])
    opened.close()

    assert receipt.outcome == "accepted"


def test_every_reason_has_words():
    reasons = {meaning.reason for meaning in PROFILE.statuses.values()} - {None}

    assert reasons | {"forbidden_address"} <= set(REASONS)
