"""Silences and free windows against a plain computation, whatever order and batches the messages come in (R13, A2)."""

from __future__ import annotations

import itertools
import random
import shutil
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.store import changes, embedded, silences
from tasks.store.engine import Database
from tasks.store.migrate import MIGRATIONS, migrate
from tasks.store.queries import Queries
from tests.evaluation_world import insert
from tests.store.conftest import OneTransaction
from tests.store.landing import good, load, rows

MORNING = datetime(2026, 4, 1, 6, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
CONVERSATIONS = 60


@pytest.fixture
def database(undone: OneTransaction) -> OneTransaction:
    """An empty database; what a test does is undone."""
    return undone


def conversation(number: str, *, ad: str | None = "ad1", **changed: Any) -> dict[str, Any]:
    return good("conversations", conversation_id=number, customer_id=f"of-{number}", ad_id=ad, **changed)


def message(number: str, talk: str, at: datetime, sender: str = "customer") -> dict[str, Any]:
    direction = "inbound" if sender == "customer" else "outbound"
    return good(
        "messages", message_id=number, conversation_id=talk, direction=direction, sender=sender, sent_at=at.isoformat()
    )


def oracle(talks: Sequence[dict[str, Any]], messages: Sequence[dict[str, Any]]) -> tuple[set[Any], set[Any]]:
    """What somebody with paper and a clock would say: silences and free windows."""
    quiet, free = set(), set()
    for talk in talks:
        mine = [line for line in messages if line["conversation_id"] == talk["conversation_id"]]
        said = sorted({datetime.fromisoformat(line["sent_at"]) for line in mine if line["sender"] == "customer"})
        quiet |= {(talk["conversation_id"], at, after) for at, after in itertools.zip_longest(said, said[1:])}
        if not said or not talk["ad_id"]:
            continue
        answers = sorted(
            at
            for line in mine
            if line["sender"] in ("bot", "agent") and (at := datetime.fromisoformat(line["sent_at"])) >= said[0]
        )
        if answers and answers[0] - said[0] <= timedelta(hours=24):
            free.add((talk["conversation_id"], answers[0], answers[0] + timedelta(hours=72)))
    return quiet, free


def kept(database: Database | OneTransaction) -> tuple[set[Any], set[Any]]:
    quiet = {tuple(row.values()) for row in rows(database, "facts.silences")}
    return quiet, {tuple(row.values()) for row in rows(database, "facts.free_windows")}


@pytest.mark.parametrize("seed", range(4))
def test_any_order_and_any_batches_give_what_paper_and_a_clock_give(
    database: OneTransaction, queries: Queries, seed: int
) -> None:
    dice = random.Random(seed)
    talks = [conversation(f"v{n}", ad=dice.choice(["ad1", "ad2", None])) for n in range(CONVERSATIONS)]
    messages = []
    for talk in talks:
        at = MORNING + dice.randrange(5000) * MINUTE
        for number in range(dice.randrange(9)):
            at += dice.choice([timedelta(0), MINUTE, 20 * MINUTE, 5 * HOUR, 24 * HOUR, 24 * HOUR + MINUTE])
            sender = dice.choice(["customer", "customer", "bot", "agent", "campaign"])
            messages.append(message(f"{talk['conversation_id']}-{number}", talk["conversation_id"], at, sender))
    sent = messages + dice.sample(messages, len(messages) // 3)  # some come twice
    dice.shuffle(sent)
    cuts = sorted(dice.randrange(len(sent)) for _ in range(5))

    load(database, queries, "conversations", talks)
    for first, last in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        load(database, queries, "messages", sent[first:last])

    expected = oracle(talks, messages)
    assert all(expected), "nothing to see: this proves nothing"
    assert kept(database) == expected


def test_everybody_at_once_gives_the_same_as_one_after_the_other(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "conversations", [conversation("v1"), conversation("v2", ad=None), conversation("v3")])
    lines = [message("m1", "v1", MORNING), message("m2", "v1", MORNING + HOUR, "bot"), message("m3", "v2", MORNING)]
    late = [message("m4", "v3", MORNING), message("m5", "v3", MORNING + 24 * HOUR + MINUTE, "agent")]
    unsaid = [
        message("m7", "v1", MORNING + 3 * HOUR) | {"kind": "edit"},
        message("m8", "v1", MORNING + 4 * HOUR) | {"conversation_id": None, "writer_id": "w1", "group_id": "g1"},
    ]
    load(database, queries, "messages", [*lines, *late, message("m6", "v1", MORNING + 2 * HOUR), *unsaid])
    before = kept(database)
    assert ("v1", MORNING + 2 * HOUR, None) in before[0], "an edit or a word to a group is no word to us"

    with database.transaction() as connection:
        connection.execute(sa.text("truncate core.leads"))
        connection.execute(queries["core/leads_fill"]())

    assert kept(database) == before


def test_a_database_that_had_messages_before_gets_its_silences_with_the_migration(
    server: embedded.Server, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    for path in MIGRATIONS.glob("*.sql"):
        if path.name < "030":
            shutil.copy(path, before)
    database = Database(server.url("before_silences"), tmp_path)
    database.create_if_missing()
    try:
        migrate(database, before, roles=False)
        with database.transaction() as connection:
            for number, ad in (("v1", "ad1"), ("v2", None)):
                insert(connection, "core.conversations", [{
                    "conversation_id": number, "customer_id": "c1", "channel": "whatsapp", "ad_id": ad,
                    "opened_at": MORNING, "updated_at": MORNING, "load_id": 1,
                }])  # fmt: skip
                insert(connection, "core.messages", [
                    {"message_id": f"{number}-{sender}", "conversation_id": number, "direction": direction,
                     "sender": sender, "sent_at": at, "load_id": 1}
                    for sender, direction, at in (
                        ("customer", "inbound", MORNING), ("bot", "outbound", MORNING + HOUR),
                    )
                ])  # fmt: skip

        migrate(database, roles=False)

        assert kept(database) == (
            {("v1", MORNING, None), ("v2", MORNING, None)},
            {("v1", MORNING + HOUR, MORNING + 73 * HOUR)},
        )
        assert len(rows(database, "core.silences_filled")) == 1
    finally:
        database.drop()


def test_an_answer_after_exactly_a_day_opens_the_window_and_one_a_second_later_does_not(
    database: OneTransaction, queries: Queries
) -> None:
    load(database, queries, "conversations", [conversation("v1"), conversation("v2")])
    day = timedelta(days=1)
    load(database, queries, "messages", [
        message("m1", "v1", MORNING), message("m2", "v1", MORNING + day, "bot"),
        message("m3", "v2", MORNING), message("m4", "v2", MORNING + day + timedelta(seconds=1), "bot"),
    ])  # fmt: skip

    assert rows(database, "facts.free_windows") == [
        {"conversation_id": "v1", "opens_at": MORNING + day, "ends_at": MORNING + 4 * day}
    ]


def test_a_conversation_that_turns_out_to_come_from_no_ad_has_no_window(
    database: OneTransaction, queries: Queries
) -> None:
    load(database, queries, "conversations", [conversation("v1")])
    load(database, queries, "messages", [message("m1", "v1", MORNING), message("m2", "v1", MORNING + HOUR, "bot")])
    assert rows(database, "facts.free_windows")

    load(database, queries, "conversations", [conversation("v1", ad=None, updated_at="2026-05-02T00:00:00Z")])

    assert rows(database, "facts.free_windows") == []


def test_bots_agents_and_campaigns_end_no_silence(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "conversations", [conversation("v1")])
    senders = [message(f"m{n}", "v1", MORNING + n * HOUR, who) for n, who in enumerate(("bot", "agent", "campaign"), 1)]
    load(database, queries, "messages", [message("m0", "v1", MORNING), *senders])

    assert rows(database, "facts.silences") == [{"conversation_id": "v1", "said_at": MORNING, "next_said_at": None}]


def test_a_late_answer_of_a_bot_opens_a_window_and_its_customer_is_looked_at_again(
    database: OneTransaction, queries: Queries
) -> None:
    load(database, queries, "conversations", [conversation("v1"), conversation("v2")])
    load(database, queries, "messages", [message("m1", "v1", MORNING), message("m2", "v2", MORNING)])
    since = _marked(database)

    load(database, queries, "messages", [message("m3", "v1", MORNING + HOUR, "bot")])

    assert _changed(database, queries, since) == ["of-v1"]
    assert rows(database, "facts.free_windows")[0]["ends_at"] == MORNING + 73 * HOUR


def test_a_new_milestone_is_a_change_and_the_same_message_again_is_none(
    database: OneTransaction, queries: Queries
) -> None:
    load(database, queries, "conversations", [conversation("v1"), conversation("v2")])
    load(database, queries, "messages", [message("m1", "v1", MORNING), message("m2", "v2", MORNING)])
    since = _marked(database)

    load(database, queries, "messages", [message("m1", "v1", MORNING)])
    later = (MORNING + 9 * HOUR).isoformat()
    load(database, queries, "conversations", [
        conversation("v2", milestone="qualified", milestone_at=later, updated_at="2026-05-02T00:00:00Z")
    ])  # fmt: skip

    assert _changed(database, queries, since) == ["of-v2"]


def test_an_ad_that_gains_or_loses_its_bot_is_a_change_for_whoever_came_from_it_and_other_news_is_none(
    database: OneTransaction, queries: Queries
) -> None:
    def told(day: int, bot: str | None, status: str = "active") -> list[str]:
        since = _marked(database)
        load(
            database, queries, "ads", [good("ads", bot_id=bot, status=status, updated_at=f"2026-05-{day:02}T00:00:00Z")]
        )
        return _changed(database, queries, since)

    load(database, queries, "conversations", [conversation("v1", ad="a1"), conversation("v2", ad="a2")])

    assert told(2, "bot") == ["of-v1"]
    assert told(3, "another bot") == []
    assert told(4, "another bot", "paused") == []
    assert told(6, None) == ["of-v1"]
    assert told(7, None, "paused") == []
    assert told(5, "bot") == []  # older than what is known
    assert told(8, "bot") == ["of-v1"]


def test_a_conversation_that_changes_hands_is_a_change_for_both(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "conversations", [conversation("v1")])
    since = _marked(database)

    moved = conversation("v1", updated_at="2026-05-02T00:00:00Z") | {"customer_id": "other"}
    load(database, queries, "conversations", [moved])

    assert _changed(database, queries, since) == ["of-v1", "other"]


def test_two_loads_that_meet_in_one_conversation_see_each_other(make_database: Any, queries: Queries) -> None:
    database = make_database()
    load(database, queries, "conversations", [conversation("v1")])
    load(database, queries, "messages", [message("m0", "v1", MORNING)])
    began = threading.Event()

    def say(connection: sa.Connection, number: int) -> None:
        connection.execute(
            sa.text(
                "insert into core.messages (message_id, conversation_id, direction, sender, sent_at, load_id)"
                " values (:id, 'v1', 'inbound', 'customer', :at, 1)"
            ),
            {"id": f"m{number}", "at": MORNING + number * HOUR},
        )
        silences.begin(connection)
        connection.execute(sa.text("insert into touched_conversations values ('v1')"))
        began.set()
        silences.refresh(connection, queries)

    def second() -> None:
        with database.transaction() as connection:
            say(connection, 2)

    with database.engine.connect() as first:
        with first.begin():
            say(first, 1)
            began.clear()
            thread = threading.Thread(target=second)
            thread.start()
            assert began.wait(10)
            thread.join(0.3)
            assert thread.is_alive(), "the second load did not wait for the first"
        thread.join(10)

    assert [row["next_said_at"] for row in rows(database, "facts.silences")] == [
        MORNING + HOUR, MORNING + 2 * HOUR, None,
    ]  # fmt: skip
    database.dispose()


def _marked(database: OneTransaction) -> datetime:
    """A moment of the database's clock after everything so far."""
    with database.transaction() as connection:
        return connection.execute(sa.text("select clock_timestamp()")).scalar_one()


def _changed(database: OneTransaction, queries: Queries, since: datetime) -> list[str] | None:
    with database.transaction() as connection:
        return changes.changed_since(connection, queries, {"silences"}, since)
