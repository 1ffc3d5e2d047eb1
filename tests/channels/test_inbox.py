"""The inbox in the app: each send once, read by its owner only, gone when it expires."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from starlette.applications import Starlette

from config.providers import Inbox
from flows.receiver import inbox as routes
from flows.receiver.desk import Desk
from tasks.channels.base import OutgoingMessage
from tasks.channels.inbox import InboxSender
from tasks.rules.errors import Unanswered, Unreached
from tasks.rules.keyed import inbox_token, opens_inbox
from tasks.store import inbox
from tasks.store.workspace import Workspace
from tests.channels.faults import CANARY, NOON, outgoing

DAY = timedelta(days=1)
FIELDS = {"title": "Hello", "text": CANARY, "link": "https://shop.example.com/"}
KEYS = ["new", "old"]


@pytest.fixture
def work(make_workspace: Callable[..., Workspace]) -> Workspace:
    return make_workspace(unsubscribe_keys=KEYS)


@pytest.fixture
def sender(work: Workspace) -> Iterator[InboxSender]:
    opened = InboxSender.open(work, Inbox(provider="inbox", days=30), 5)
    yield opened
    opened.close()


def letter(customer: str = "ann", key: str = "a" * 64, **changes: Any) -> OutgoingMessage:
    given = {"attempt_id": str(uuid4()), "send_key": key, "fields": FIELDS}
    return outgoing("inbox", customer, **given | changes)


def listed(work: Workspace, customer: str = "ann", at: Any = NOON + DAY) -> list[inbox.InboxMessage]:
    with work.database.transaction() as connection:
        return inbox.listed(connection, work.queries, customer, at)


def run_sql(work: Workspace, statement: str, **values: Any) -> None:
    with work.database.transaction() as connection:
        connection.execute(sa.text(statement), values)


def test_a_message_is_there_when_the_sender_answers(work, sender):
    message = letter()

    (receipt,) = sender.send([message])

    (found,) = listed(work)
    assert (receipt.attempt_id, receipt.outcome) == (message.attempt_id, "accepted")
    assert receipt.provider_message_id == str(found.message_id)
    assert (found.title, found.text, found.link) == ("Hello", CANARY, "https://shop.example.com/")
    assert (found.created_at, found.expires_at, found.read_at) == (NOON, NOON + 30 * DAY, None)


def test_a_repeat_of_the_same_send_changes_nothing_and_answers_the_same(work, sender):
    (first,) = sender.send([letter()])
    (again,) = sender.send([letter(fields={**FIELDS, "text": "other words"})])

    assert again.outcome == "accepted"
    assert again.provider_message_id == first.provider_message_id
    assert [message.text for message in listed(work)] == [CANARY]


def test_many_messages_are_kept_in_one_call_each_with_its_own_answer(work, sender):
    known = letter("ann", "a" * 64)
    sender.send([known])
    messages = [letter(f"customer {number}", f"{number:064d}", decided_at=NOON) for number in range(98)]

    receipts = sender.send([known, *messages])

    assert {one.attempt_id for one in receipts} == {one.attempt_id for one in [known, *messages]}
    assert len({one.provider_message_id for one in receipts}) == 99
    assert len(listed(work, "customer 7")) == 1


def test_a_link_may_be_missing(work, sender):
    sender.send([letter(fields={"title": "Hello", "text": "there"})])

    assert listed(work)[0].link is None


def test_the_newest_message_comes_first_and_nobody_elses_at_all(work, sender):
    sender.send([letter("ann", "1"), letter("bob", "2"), letter("ann", "3", decided_at=NOON + timedelta(hours=1))])

    assert [message.created_at for message in listed(work)] == [NOON + timedelta(hours=1), NOON]


def test_a_message_is_gone_the_moment_it_expires(work, sender):
    sender.send([letter()])

    assert listed(work, at=NOON + 30 * DAY - timedelta(microseconds=1))
    assert not listed(work, at=NOON + 30 * DAY)


def test_people_who_turned_out_to_be_one_share_an_inbox(work, sender):
    sender.send([letter("ann", "1"), letter("ann.old", "2")])
    run_sql(work, "insert into core.customers (customer_id) values ('ann')")
    run_sql(
        work,
        "insert into core.aliases (alias_id, customer_id, reason, merged_at) values ('ann.old', 'ann', 'merge', :at)",
        at=NOON,
    )

    assert len(listed(work, "ann")) == len(listed(work, "ann.old")) == 2


def test_the_first_reading_counts_and_an_expired_message_cannot_be_read(work, sender):
    sender.send([letter()])
    (message,) = listed(work)

    def read(customer: str, at: Any) -> Any:
        with work.database.transaction() as connection:
            return inbox.read(connection, work.queries, customer, message.message_id, at)

    assert read("bob", NOON + DAY) is None
    assert read("ann", NOON + 30 * DAY) is None
    assert listed(work)[0].read_at is None
    assert read("ann", NOON + DAY) == NOON + DAY
    assert read("ann", NOON + 2 * DAY) == NOON + DAY
    assert listed(work)[0].read_at == NOON + DAY


def test_a_database_that_is_not_there_is_busy_and_one_that_gives_up_is_unanswered(work, sender, caplog):
    caplog.set_level(logging.DEBUG)
    elsewhere = InboxSender(work.database.url.set(port=1), work.queries["ledger/inbox_keep"], days=1)
    with pytest.raises(Unreached) as busy:
        elsewhere.send([letter()])

    hurried = InboxSender(work.database.url, work.queries["ledger/inbox_keep"], days=1, timeout=0.3)
    with work.database.transaction() as connection:
        connection.execute(sa.text("lock table campaign.inbox_messages"))
        with pytest.raises(Unanswered) as lost:
            hurried.send([letter()])
    hurried.close()

    assert not listed(work)
    assert CANARY not in caplog.text + str(busy.value) + str(lost.value)


def test_the_token_follows_its_formula_and_fits_one_person_under_any_key_listed():
    import base64
    import hashlib
    import hmac

    digest = hmac.new(b"new", b"v1|i|0042", hashlib.sha256).digest()
    token = base64.urlsafe_b64encode(digest).decode().rstrip("=")

    assert inbox_token("new", "0042") == token
    assert opens_inbox(KEYS, token, "0042")
    assert opens_inbox(KEYS, inbox_token("old", "0042"), "0042")
    for keys, given, customer in [
        (KEYS, token, "42"),
        (["old"], token, "0042"),
        (KEYS, token[:-1], "0042"),
        (KEYS, token + "=", "0042"),
        (KEYS, "ü\ud800", "0042"),
        (KEYS, "", "0042"),
        ([], token, "0042"),
    ]:
        assert not opens_inbox(keys, given, customer)


@pytest.fixture
def app(work: Workspace) -> Iterator[httpx.Client]:
    """An app that talks to the receiver's inbox over a live database, whose clock decides."""
    config = uvicorn.Config(Starlette(routes=routes.routes(Desk(work))), port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        yield client
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def now(work: Workspace) -> Any:
    return work.database.now()


def door(customer: str = "ann", key: str = "new") -> str:
    return f"/inbox/{quote(customer, safe='')}/{inbox_token(key, customer)}"


def test_the_app_lists_messages_with_their_state_and_marks_one_as_read(work, sender, app, now):
    sender.send([letter("ann", "1", decided_at=now), letter("ann", "2", decided_at=now - 31 * DAY)])

    answer = app.get(door())
    (message,) = answer.json()["messages"]
    assert answer.headers["cache-control"] == "no-store"
    assert (message["title"], message["text"], message["is_read"]) == ("Hello", CANARY, False)

    first = app.post(f"{door()}/read/{message['id']}")
    again = app.post(f"{door(key='old')}/read/{message['id']}")
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    (message,) = app.get(door()).json()["messages"]
    assert (message["is_read"], message["read_at"]) == (True, first.json()["read_at"])


def test_looking_marks_nothing_as_read(work, sender, app, now):
    sender.send([letter(decided_at=now)])

    app.get(door())
    identity = app.get(door()).json()["messages"][0]["id"]
    assert app.get(f"{door()}/read/{identity}").status_code == 403
    assert app.post(f"{door()}/look/{identity}").status_code == 403

    assert app.get(door()).json()["messages"][0]["is_read"] is False


def test_an_id_may_hold_any_character(sender, app, now):
    for number, customer in enumerate(["a/b", "ä %2F+?#", "read", "../../etc", "inbox"]):
        sender.send([letter(customer, str(number), decided_at=now)])

        (message,) = app.get(door(customer)).json()["messages"]
        assert app.post(f"{door(customer)}/read/{message['id']}").status_code == 200


def test_no_other_token_opens_an_inbox_or_tells_that_it_exists(sender, app, now):
    sender.send([letter(decided_at=now)])
    identity = app.get(door()).json()["messages"][0]["id"]

    for address in (
        f"/inbox/bob/{inbox_token('new', 'ann')}",
        f"/inbox/ann/{inbox_token('newer', 'ann')}",
        f"/inbox/nobody/{inbox_token('newer', 'nobody')}",
        "/inbox/ann/",
        "/inbox/ann",
        f"/inbox//{inbox_token('new', '')}",
        f"/inbox/{inbox_token('new', 'ann')}",
        f"/inbox/ann/x/{inbox_token('new', 'ann')}",
    ):
        said = [app.get(address), app.post(f"{address}/read/{identity}")]
        assert {answer.status_code for answer in said} == {403}, address
        assert {answer.json()["error"] for answer in said} == {"this link opens no inbox"}

    assert app.get(door()).json()["messages"][0]["is_read"] is False


def test_an_unsubscribe_token_opens_no_inbox(app):
    from tasks.rules.content import unsubscribe_token

    token = unsubscribe_token("new", "ann", "inbox", "marketing")

    assert app.get(f"/inbox/ann/{token}").status_code == 403


def test_a_message_that_is_not_in_this_inbox_cannot_be_read(sender, app, now):
    sender.send([letter(decided_at=now)])

    for message in (uuid4(), "7", "%00", "' or true --"):
        assert app.post(f"{door()}/read/{message}").status_code == 404


def test_somebody_elses_message_cannot_be_read(sender, app, now):
    sender.send([letter("ann", "1", decided_at=now)])
    identity = app.get(door()).json()["messages"][0]["id"]

    assert app.post(f"{door('bob')}/read/{identity}").status_code == 404
    assert app.get(door()).json()["messages"][0]["is_read"] is False
