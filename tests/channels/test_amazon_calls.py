"""What became of a call to Amazon: certainly not sent, certainly not accepted, or not known."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.providers import PushSns, SmsAws, WhatsappAws
from tasks.channels import SENDERS, amazon, clients
from tasks.channels.amazon import Service
from tasks.channels.profile import HALT, Meaning, Profile
from tasks.rules.errors import Busy, Misconfigured, ProviderError, Refused, Unanswered, Unreached
from tests.channels import amazon as services
from tests.channels.loopback import Answer, Loopback, Mode, Request

PROFILE = Profile(
    provider="trial",
    channels=frozenset({"push"}),
    codes={
        **amazon.CODES,
        "NotFound": Meaning("refused", "token_invalid"),
        "create_platform_endpoint NotFound": HALT,
    },
)
CALL = ("publish", {"TargetArn": "arn:aws:sns:eu-central-1:1:endpoint/GCM/a/b", "Message": "Zwetschgenkuchen"})


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
def provider() -> Iterator[Loopback]:
    loopback = Loopback(
        judge=lambda _: None,
        keys=lambda _: ["one"],
        yes=lambda _: services.answer("sns", "Publish", MessageId="m-1"),
    )
    with loopback.running():
        yield loopback


@contextmanager
def service_at(url: str, name: str = "sns", timeout: float = 10) -> Iterator[Service]:
    service = Service(clients.amazon(name, region="eu-central-1", endpoint=url, timeout=timeout), PROFILE)
    try:
        yield service
    finally:
        service.close()


def told(url: str, call: tuple[str, dict[str, Any]] = CALL, timeout: float = 10) -> ProviderError:
    with service_at(url, timeout=timeout) as service, pytest.raises(ProviderError) as error:
        service.call(*call)
    assert "Zwetschgenkuchen" not in str(error.value)
    return error.value


@contextmanager
def listening(answer: Callable[[socket.socket], None] | None, *, backlog: int = 5) -> Iterator[str]:
    """A port on loopback; `answer` is given each connection."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=backlog)) as server:
        server.settimeout(10)
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        if answer is not None:
            thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            stop.set()
            if answer is not None:  # wakes the thread that waits for a connection
                with closing(socket.create_connection(server.getsockname(), timeout=1)):
                    pass
                thread.join(5)


def test_a_port_where_nobody_listens_means_that_nothing_has_left():
    with listening(None) as address:
        pass
    assert type(told(f"http://{address}")) is Unreached


def test_a_name_that_nobody_has_means_that_nothing_has_left():
    assert type(told("http://nowhere.invalid")) is Unreached


def test_a_connection_that_does_not_come_about_in_time_means_that_nothing_has_left():
    with listening(None, backlog=0) as address:
        host, port = address.split(":")
        waiting = [socket.socket() for _ in range(4)]  # they fill the queue; the kernel then leaves others unanswered
        try:
            for one in waiting:
                one.setblocking(False)
                one.connect_ex((host, int(port)))
            said = told(f"http://{address}", timeout=1)
        finally:
            for one in waiting:
                one.close()

    assert type(said) is Unreached
    assert "ConnectTimeoutError" in str(said)


def test_a_server_without_tls_means_that_nothing_has_left(provider):
    said = told(provider.url.replace("http", "https"))

    assert type(said) is Unreached
    assert provider.accepted == []


def test_a_certificate_that_nobody_vouches_for_means_that_nothing_has_left(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own_certificate(tmp_path))
    heard: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        with pytest.raises(ssl.SSLError), context.wrap_socket(connection, server_side=True) as secured:
            heard.append(secured.recv(1))

    with listening(lambda connection: None if stopped(connection) else answer(connection)) as address:
        said = told(f"https://{address.replace('127.0.0.1', 'localhost')}")

    assert type(said) is Unreached
    assert heard == []


def test_a_tls_connection_that_breaks_off_unexplained_leaves_it_open(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own_certificate(tmp_path))

    with listening(lambda connection: connection.recv(5)) as address:  # the handshake's first bytes, then nothing
        said = told(f"https://{address}")

    assert type(said) is Unanswered


def test_a_tls_connection_that_is_corrupted_after_the_request_leaves_it_open(tmp_path, monkeypatch):
    certificate = own_certificate(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            while b"Zwetschgenkuchen" not in b"".join(heard):
                heard.append(secured.recv(65_536))
            os.write(secured.fileno(), b"\x17\x03\x03\x00\x20" + b"x" * 32)  # a record that nobody encrypted
            with suppress(OSError):
                secured.recv(1)  # until the other side has had enough

    with listening(lambda connection: None if stopped(connection) else answer(connection)) as address:
        said = told(f"https://{address.replace('127.0.0.1', 'localhost')}")

    assert b"".join(heard).startswith(b"POST")
    assert "SSLError" in str(said)
    assert type(said) is Unanswered


@pytest.mark.parametrize("given", [{}, {"AWS_ACCESS_KEY_ID": "testing"}], ids=["no keys", "half a key"])
def test_without_keys_nothing_leaves_and_a_human_is_told(provider, monkeypatch, tmp_path, given):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(Misconfigured), service_at(provider.url) as service:
        service.call(*CALL)
    assert provider.requests == []


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_PROFILE", "nobody"), ("AWS_SECRET_ACCESS_KEY", ""), ("endpoint", "no address")]
)
def test_keys_or_an_address_that_make_no_sense_are_told_before_any_call(monkeypatch, provider, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured, match="Amazon sns"), service_at(value if name == "endpoint" else provider.url):
        pass


def test_what_botocore_itself_refuses_has_not_left_and_is_not_repeated_in_words(provider):
    said = told(provider.url, ("publish", {"Message": ["Zwetschgenkuchen"]}))

    assert isinstance(said, Refused)
    assert said.reason == "content"
    assert provider.requests == []


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe", b"[1]", b"null"])
@pytest.mark.parametrize(
    ("status", "error"), [(200, None), (400, Refused), (403, Misconfigured), (429, Busy), (500, Unanswered)]
)
@pytest.mark.parametrize("name", ["sns", "pinpoint-sms-voice-v2"])
def test_an_answer_that_cannot_be_read_still_has_a_status(provider, name, status, error, body):
    provider.yes = lambda _: Answer(status, body, {"Retry-After": "7"})
    call = CALL if name == "sns" else ("send_text_message", {"DestinationPhoneNumber": "+49", "MessageBody": "x"})
    with service_at(provider.url, name) as service:
        answer = service.ask(*call)

    assert answer.status == status
    assert answer.is_yes == (error is None)
    if error:
        said = service.failure(answer)
        assert type(said) is error
        assert getattr(said, "retry_after", 7) == 7
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), ("0", 0), ("-5", 0), ("1.5", 1.5), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("soon", None)],
)
def test_a_busy_service_says_for_how_long_in_seconds(provider, header, seconds):
    refusal = services.refusal("sns", "Throttled", status=429)
    provider.judge = lambda _: Answer(429, refusal.body, {**refusal.headers, "Retry-After": header})

    said = told(provider.url)

    assert isinstance(said, Busy)
    assert said.retry_after == seconds


def test_a_code_may_mean_something_else_to_one_operation(provider):
    provider.judge = lambda _: services.refusal("sns", "NotFound")
    making = ("create_platform_endpoint", {"PlatformApplicationArn": "arn:a", "Token": "t"})

    assert [type(told(provider.url, call)) for call in (CALL, making)] == [Refused, Misconfigured]


def test_a_redirect_is_not_followed_and_leaves_it_open(provider):
    provider.judge = lambda _: Answer(307, b"", {"Location": f"{provider.url}/elsewhere"})

    assert type(told(provider.url)) is Unanswered
    assert len(provider.requests) == 1


def test_an_answer_to_an_earlier_call_is_none_to_a_lost_one(provider):
    with service_at(provider.url) as service:
        assert service.ask(*CALL).is_yes
        provider.conduct = Mode.DROP_AFTER
        with pytest.raises(Unanswered):
            service.ask(*CALL)


def test_an_answer_to_another_thread_is_none_to_a_lost_call(provider):
    arrived, answered = threading.Event(), threading.Event()

    def conduct(request: Request) -> Mode:
        if services.read("sns", "Publish", request)["Message"] != "lost":
            return Mode.ACCEPT
        arrived.set()
        answered.wait(10)
        return Mode.DROP_AFTER

    provider.conduct = conduct
    with service_at(provider.url, timeout=20) as service, ThreadPoolExecutor(1) as other:
        lost = other.submit(service.ask, "publish", {"TargetArn": "arn:a", "Message": "lost"})
        assert arrived.wait(10)
        assert service.ask("publish", {"TargetArn": "arn:a", "Message": "heard"}).is_yes
        answered.set()
        with pytest.raises(Unanswered):
            lost.result(10)


@pytest.mark.parametrize(
    "options",
    [
        PushSns(provider="push_sns", region="eu-central-1", endpoint="http://127.0.0.1:1"),
        SmsAws(provider="sms_aws", region="eu-central-1", endpoint="http://127.0.0.1:1", origination_identity="pool-1"),
        WhatsappAws(
            provider="whatsapp_aws",
            region="eu-central-1",
            endpoint="http://127.0.0.1:1",
            phone_number_id="phone-number-id-1",
        ),
    ],
    ids=lambda options: options.provider,
)
def test_every_sender_opens_from_its_options_and_finds_out_only_when_it_calls(make_workspace, options):
    sender = SENDERS[options.provider](make_workspace(), options, 5)
    try:
        assert sender.profile.provider == options.provider
        assert sender.profile.channels == {options.channel}
        assert sender.profile.batch == 1
    finally:
        sender.close()


def stopped(connection: socket.socket) -> bool:
    """Whether a connection only came to wake the listener."""
    return connection.recv(1, socket.MSG_PEEK) == b""


def own_certificate(folder: Path) -> Path:
    """A key and a certificate for localhost that it signed itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "own.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
