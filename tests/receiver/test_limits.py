"""What one client may cost: inboxes and refusals are counted for each, proof is always heard, connections are few."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.requests import Request

from flows.commands.hooks import MOST_CONNECTIONS
from flows.receiver.allowance import Allowance, client_of
from flows.receiver.desk import MOST_PAGES, MOST_REFUSED
from tasks.rules.content import unsubscribe_url
from tasks.rules.keyed import inbox_token
from tests.receiver.conftest import Receiver, Scene
from tests.receiver.test_hooks import SENDGRID, events, signed
from tests.receiver.test_unsubscribe import BOTH, KEY, ONE_CLICK, link

PROXY = ipaddress.ip_network("127.0.0.1")


@pytest.fixture
def make(make_scene: Callable[..., Scene], make_receiver: Callable[..., Receiver]) -> Callable[..., Receiver]:
    """A receiver that believes SendGrid, and these proxies."""

    def make(*proxies: Any) -> Receiver:
        scene = make_scene(SENDGRID)
        scene.stage.person("ann")
        settings = scene.work.settings.model_copy(update={"trusted_proxies": list(proxies)})
        scene.work.settings = settings
        return make_receiver(scene)

    return make


def refused(receiver: Receiver, times: int, **headers: str) -> list[httpx.Response]:
    """Answers to links that fit nobody."""
    forged = link(receiver).rpartition("/")[0] + "/bad"
    with httpx.Client(headers=headers) as client:
        return [client.get(forged) for _ in range(times)]


def codes(answers: list[httpx.Response]) -> list[int]:
    return [answer.status_code for answer in answers]


def test_a_client_without_proof_is_told_to_wait_and_costs_no_transaction_any_more(make: Callable[..., Receiver]):
    receiver = make()
    body = events("spamreport")

    answers = [receiver.post("/hooks/sendgrid", body) for _ in range(MOST_REFUSED)]
    more = [*refused(receiver, 2), receiver.post("/hooks/sendgrid", body), receiver.get("/hooks/whatsapp"),
            receiver.get("/inbox/ann/bad")]  # fmt: skip

    assert set(codes(answers)) == {401}
    assert set(codes(more)) == {429}
    assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in more)
    assert receiver.scene.refused() == {("hooks/sendgrid", "forged"): MOST_REFUSED}
    receiver.seconds += 2
    assert codes(refused(receiver, 3)) == [403, 403, 429]


def test_what_carries_proof_is_heard_however_often_its_client_was_refused(make: Callable[..., Receiver]):
    receiver = make()
    attempt = receiver.scene.sent("bob")
    assert codes(refused(receiver, MOST_REFUSED + 1))[-1] == 429
    bodies = [events("delivered", "open", attempt=attempt).replace(b'"e"', b'"e%d"' % number) for number in range(100)]

    answers = [receiver.post("/hooks/sendgrid", body, **signed(body, receiver)) for body in bodies]

    assert set(codes(answers)) == {200}
    assert receiver.scene.events() == ["delivered", "opened"]
    assert httpx.get(link(receiver)).status_code == 200
    assert httpx.post(link(receiver), data=ONE_CLICK).status_code == 200
    assert receiver.scene.withdrawn("ann") == BOTH


def test_inboxes_are_limited_and_unsubscribing_is_not(make: Callable[..., Receiver]):
    receiver = make()
    inbox = f"{receiver.url}/inbox/ann/{inbox_token(KEY, 'ann')}"
    with httpx.Client() as client:
        opened = [client.get(inbox) for _ in range(MOST_PAGES)]
        more = [client.get(inbox) for _ in range(5)]
        seen = [client.get(link(receiver)) for _ in range(MOST_PAGES + 5)]
        clicks = [client.post(link(receiver), data=ONE_CLICK) for _ in range(3)]

    assert set(codes(opened)) == {200}
    assert set(codes(seen)) == {200}
    assert set(codes(more)) == {429}
    assert set(codes(clicks)) == {200}
    assert receiver.scene.withdrawn("ann") == BOTH


def test_who_a_client_is_said_to_be_is_believed_from_a_named_proxy_only(make: Callable[..., Receiver]):
    unnamed = make()
    answers = [refused(unnamed, 1, **{"X-Forwarded-For": f"192.0.2.{number}"})[0] for number in range(MOST_REFUSED + 1)]
    assert codes(answers) == [403] * MOST_REFUSED + [429]

    named = make(PROXY)
    assert set(codes(refused(named, MOST_REFUSED, **{"X-Forwarded-For": "192.0.2.1"}))) == {403}
    # What a client claims itself stands before what the proxy adds.
    claimed = [
        refused(named, 1, **{"X-Forwarded-For": f"198.51.100.{number}, 192.0.2.1"})[0] for number in range(5)
    ]  # fmt: skip
    assert set(codes(claimed)) == {429}
    assert codes(refused(named, 1, **{"X-Forwarded-For": "192.0.2.2"})) == [403]


def test_tokens_come_back_with_time_and_memory_is_bounded():
    now = [0.0]
    allowance = Allowance(6, most_clients=3, clock=lambda: now[0])

    assert [allowance.wait("a") for _ in range(7)] == [0, 0, 0, 0, 0, 0, 10]
    now[0] = 9.5
    assert allowance.wait("a") == pytest.approx(0.5)
    now[0] = 10.5
    assert [allowance.wait("a") == 0, allowance.wait("a") > 0] == [True, True]
    now[0] = 1e6
    assert [allowance.wait("a") for _ in range(7)][-1] == pytest.approx(10)  # no more than a full bucket
    for number in range(1_000):
        allowance.wait(f"b{number}")
        allowance.wait("b0")
    assert len(allowance.buckets) == 3
    assert "b0" in allowance.buckets


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("x" * 1_000, "x" * 64),
    ],
)
def test_a_client_is_an_address_or_a_household(host: str, client: str):
    assert client_of(cast("Request", SimpleNamespace(client=SimpleNamespace(host=host)))) == client


def test_connections_beyond_the_limit_are_answered_503_until_others_end(receiver: Receiver):
    receiver.scene.stage.person("ann")
    where = urlsplit(receiver.url)
    with contextlib.ExitStack() as held:
        for _ in range(MOST_CONNECTIONS):
            connection = held.enter_context(socket.create_connection((where.hostname, where.port)))
            connection.sendall(b"POST /hooks/sendgrid HTTP/1.1\r\nHost: x\r\n")  # and never the rest
        assert answered(receiver, 503) == 503

    assert answered(receiver, 200) == 200


def answered(receiver: Receiver, wanted: int) -> int:
    """What a page is answered with, as soon as it is `wanted`; connections open and end a moment late."""
    url, code = unsubscribe_url(receiver.url, KEY, "ann", "email", "marketing"), 0
    for _ in range(100):
        code = httpx.get(url).status_code
        if code == wanted:
            break
        time.sleep(0.05)
    return code
