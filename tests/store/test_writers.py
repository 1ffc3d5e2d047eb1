"""Who wrote and in which conversation: the same facts whatever order and batches messages and customers come in."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.rules import whatsapp
from tasks.rules.reports import whatsapp_name
from tasks.store.queries import Queries
from tests.chats import OPENED, at, body, echo, echoes, from_ad, message, plain
from tests.store.conftest import OneTransaction
from tests.store.landing import KEY, good, load, rows

BOOKKEEPING = ("load_id", "merged_at", "contact_derived_at", "change_no")
TABLES = (
    "messages", "conversations", "customers", "aliases", "writers", "writer_numbers", "consents", "purchases",
    "leads", "events", "push_tokens", "purchase_days",
)  # fmt: skip
Piece = tuple[str, dict[str, Any]]


def told(*bodies: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lines as they land of bodies."""
    found = [one for given in bodies for one in whatsapp.messages(json.dumps(given).encode(), "whatsapp_cloud", KEY)]
    return [dict(one.fields) | {"raw": one.raw} for one in found]


def customer(customer_id: str, phone: str | None, **changes: Any) -> dict[str, Any]:
    return good("customers", customer_id=customer_id, email=None, phone=phone, **changes)


@pytest.fixture
def database(undone: OneTransaction) -> OneTransaction:
    return undone


def facts(database: OneTransaction) -> dict[str, Any]:
    return {table: rows(database, f"core.{table}", *BOOKKEEPING) for table in TABLES}


def world(seed: int) -> list[Piece]:
    """Some people who write from ads and without, under numbers and ids, and customers who may be they."""
    chance = random.Random(seed)
    numbers = [f"49151123456{number:02}" for number in range(4)]
    ids = [None, "DE.1", "DE.2", "DE.3"]
    pieces: list[Piece] = []
    for number in range(24):
        whose = chance.randrange(4)
        number_shown, id_shown = chance.choice([(True, False), (True, True), (False, True)])
        bsuid = ids[whose] if id_shown else None
        wa_id = numbers[whose] if number_shown or bsuid is None else None
        sent_at = OPENED + timedelta(minutes=chance.choice([0, 1, 5, 60, 60 * 24 * 20, 60 * 24 * 45]) + number // 8)
        extra: dict[str, Any] = {}
        if chance.random() < 0.25:
            extra = from_ad(f"ad-{chance.randrange(3)}", chance.choice(["ad", "ad", "post"]))
        elif chance.random() < 0.15:
            extra = {"type": "revoke", "revoke": {"original_message_id": f"wamid.{chance.randrange(24):02}"}}
        elif chance.random() < 0.1:
            extra = {"group_id": "G1"}
        given = message(f"wamid.{number:02}", sent_at, f"words {number}", wa_id=wa_id, user_id=bsuid, **extra)
        account = chance.choice(["100", "100", "200"])
        pieces += [("messages", line) for line in told(body(given, account=account))]
    for number in range(4):
        answer = echo(f"wamid.echo{number}", at(chance.randrange(60)), to=numbers[number])
        pieces += [("messages", line) for line in told(echoes(answer))]
    # the first is nobody's customer, the third two customers', the last one's who says so later
    pieces += [("customers", customer("C1", f"+{numbers[1]}")), ("customers", customer("C2", f"+{numbers[2]}"))]
    pieces += [("customers", customer("C3", f"+{numbers[2]}")), ("customers", customer("C4", None))]
    pieces += [("customers", customer("C4", f"+{numbers[3]}", updated_at="2026-05-20T00:00:00Z"))]
    pieces += [("purchases", good("purchases", order_id=f"o-{one}", customer_id=one)) for one in ("DE.2", numbers[0])]
    for one in ("DE.1", "DE.2", numbers[3]):
        stop = good("consents", consent_id=f"n-{one}", customer_id=one, status="withdrawn", basis=None)
        pieces += [("consents", stop), ("events", good("events", event_id=f"e-{one}", customer_id=one))]
        pieces += [("push_tokens", good("push_tokens", token_id=f"t-{one}", customer_id=one))]
    # a bot's files know people by WhatsApp's ids, the shop's by its own; one purchase turns out to be another's
    for hour, one in enumerate(("DE.1", "DE.3", numbers[0], numbers[1], numbers[3], "C1", "C4")):
        done = {"name": "bot_completed", "occurred_at": at(hours=10 * hour).isoformat()}
        pieces += [("events", good("events", event_id=f"d-{one}", customer_id=one, **done))]
        bought = {"customer_id": one, "purchased_at": at(hours=30 * hour).isoformat()}
        pieces += [("purchases", good("purchases", order_id=f"p-{one}", **bought))]
        opened_at = {"opened_at": at(hours=20 * hour).isoformat(), "channel": "sms" if hour % 2 else "whatsapp"}
        reached = {} if one == "C4" else {"milestone": None, "milestone_at": None}
        file = good("conversations", conversation_id=f"f-{one}", customer_id=one, **opened_at, **reached)
        pieces += [("conversations", file)]
    late = {"updated_at": "2026-05-20T00:00:00Z", "purchased_at": at(hours=3).isoformat()}
    pieces += [("purchases", good("purchases", order_id="p-DE.1", customer_id=numbers[1], **late))]
    return pieces + chance.sample(pieces, 5)  # and some of it again


def bring(database: OneTransaction, queries: Queries, pieces: Sequence[Piece], sizes: Sequence[int]) -> None:
    """In this order, a load for each run of one entity, of no more lines than the next size says."""
    left, size = list(pieces), itertools.cycle(sizes)
    while left:
        entity, most = left[0][0], next(size)
        run = list(itertools.takewhile(lambda piece, entity=entity: piece[0] == entity, left))[:most]
        left = left[len(run) :]
        counts = load(database, queries, entity, [line for _, line in run])
        assert counts.quarantined == 0, counts.report


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 9, 18, 38])
def test_conversations_do_not_hang_on_order_or_batches(database: OneTransaction, queries: Queries, seed: int) -> None:
    pieces = sorted(world(seed), key=lambda piece: piece[0])
    with database.connection.begin_nested() as before:
        bring(database, queries, pieces, [1_000])
        expected = facts(database)
        before.rollback()
    chance = random.Random(seed)
    chance.shuffle(pieces)

    bring(database, queries, pieces, [chance.choice([1, 3, 10, 50]) for _ in range(5)])

    for table, found in facts(database).items():
        assert found == expected[table], table
    waiting = {row["conversation_id"] for row in rows(database, "core.conversations_changed")}
    assert waiting >= {row["conversation_id"] for row in expected["conversations"] if row["milestone"] is None}
    assert len(expected["conversations"]) > 4
    assert expected["aliases"]


def conversations_of(database: OneTransaction) -> dict[str, str | None]:
    return plain({row["message_id"]: row["conversation_id"] for row in rows(database, "core.messages")}, KEY)


def test_an_ad_opens_its_own_and_two_of_our_numbers_are_two_conversations(
    database: OneTransaction, queries: Queries
) -> None:
    lines = told(
        body(message("m1", OPENED)),
        body(message("m2", at(1), **from_ad("ad-1"))),
        body(message("m3", at(2))),
        body(message("m4", at(3)), account="200"),
        body(message("m5", at(4), **from_ad("p-1", "post"))),
        body(message("m6", at(4))),
    )

    load(database, queries, "messages", lines)

    assert conversations_of(database) == {"m1": "m1", "m2": "m2", "m3": "m2", "m4": "m4", "m5": "m5", "m6": "m5"}
    ads = plain({row["conversation_id"]: row["ad_id"] for row in rows(database, "core.conversations")}, KEY)
    assert ads == {"m1": None, "m2": "ad-1", "m4": None, "m5": None}


def test_a_silence_of_thirty_days_to_the_second_goes_on_and_a_second_more_begins_anew(
    database: OneTransaction, queries: Queries
) -> None:
    end, other = OPENED + timedelta(days=30), "4915112345699"
    one = [message("a1", OPENED), message("a2", end)]
    another = [message("b1", OPENED, wa_id=other), message("b2", end + timedelta(seconds=1), wa_id=other)]

    load(database, queries, "messages", told(body(*one), body(*another)))

    assert conversations_of(database) == {"a1": "a1", "a2": "a1", "b1": "b1", "b2": "b2"}


def test_a_file_that_tells_of_the_same_conversation_says_more_whichever_comes_first(
    database: OneTransaction, queries: Queries
) -> None:
    file = good("conversations", conversation_id=whatsapp_name(KEY, "m1"), milestone="qualified", bot_id="bot-7")
    outcomes = []
    for first_messages in (True, False):
        with database.connection.begin_nested() as one_order:
            loads = [("messages", told(body(message("m1", OPENED), message("m2", at(1))))), ("conversations", [file])]
            for entity, lines in loads if first_messages else reversed(loads):
                load(database, queries, entity, lines)
            outcomes.append([rows(database, f"core.{table}", *BOOKKEEPING) for table in ("conversations", "messages")])
            one_order.rollback()

    assert outcomes[0] == outcomes[1]
    [conversation] = outcomes[0][0]
    assert (conversation["bot_id"], conversation["milestone"], conversation["is_derived"]) == (
        "bot-7",
        "qualified",
        False,
    )


def test_a_withdrawal_before_the_link_holds_after_it(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "messages", told(body(message("m1", OPENED))))
    stop = good("consents", customer_id="4915112345678", channel="whatsapp", purpose="retargeting", status="withdrawn",
                basis=None, occurred_at=at(5).isoformat())  # fmt: skip
    load(database, queries, "consents", [stop])

    load(database, queries, "customers", [customer("C1", "+4915112345678")])

    with database.transaction() as connection:
        ids = connection.execute(sa.text("select ids from campaign.person('C1')")).scalar_one()
        in_force = connection.execute(
            sa.text("select * from campaign.consents_in_force(:ids, :at, 'retargeting')"),
            {"ids": ids, "at": at(10)},
        ).all()
    assert sorted(ids) == ["4915112345678", "C1"]
    assert in_force == []


@pytest.mark.parametrize("first", ["the link", "the lines"])
def test_what_files_say_of_a_whatsapp_id_holds_for_the_customer_it_turned_out_to_be(
    database: OneTransaction, queries: Queries, first: str
) -> None:
    number = "4915112345678"
    about = {"customer_id": number}
    lines = {
        "consents": good("consents", channel="whatsapp", purpose="retargeting", status="withdrawn", basis=None,
                         occurred_at=at(5).isoformat(), **about),
        "events": good("events", **about),
        "push_tokens": good("push_tokens", **about),
    }  # fmt: skip
    if first == "the link":
        load(database, queries, "messages", told(body(message("m1", OPENED))))
        load(database, queries, "customers", [customer("C1", f"+{number}")])
        assert [row["customer_id"] for row in rows(database, "core.customers")] == ["C1"]

    counts = [load(database, queries, entity, [line, line]) for entity, line in lines.items()]
    if first == "the lines":
        assert [one.parked for one in counts] == [2, 2, 2]
        load(database, queries, "customers", [customer("C1", f"+{number}")])
        load(database, queries, "messages", told(body(message("m1", OPENED))))

    assert rows(database, "raw.parked") == []
    found = {entity: rows(database, f"core.{entity}") for entity in lines}
    for entity, whose in (("consents", number), ("events", "C1"), ("push_tokens", number)):
        assert [row["customer_id"] for row in found[entity]].count(whose) == 1, entity
    assert [row["came_as"] for row in found["events"]] == [number]
    again = load(database, queries, "events", [lines["events"]])
    assert (again.duplicate, again.quarantined) == (1, 0)
    for said in ("one", "two"):  # of two that contradict each other one stands, whichever comes first
        load(database, queries, "events", [lines["events"] | {"properties": json.dumps({"said": said})}])
    assert rows(database, "core.events")[0]["customer_id"] == "C1"
    fields = [row["fields"] for row in rows(database, "raw.quarantine")]
    assert len(fields) == 2
    assert {(one["customer_id"], one.get("came_as")) for one in fields} == {(number, None)}
    assert [row["is_bare"] for row in rows(database, "core.customers")] == [True, False]
    with database.transaction() as connection:
        in_force = connection.execute(
            sa.text("select in_force.* from campaign.person('C1') as person"
                    " cross join campaign.consents_in_force(person.ids, :at, 'retargeting') as in_force"),
            {"at": at(10)},
        ).all()  # fmt: skip
    assert in_force == []


def test_keywords_are_noted_at_the_load_and_are_no_part_of_the_content(
    database: OneTransaction, queries: Queries
) -> None:
    lines = told(body(message("m1", OPENED, "¿CUANTO cuesta?"), message("m2", at(1), "nothing")))
    load(database, queries, "messages", lines, keywords={"price": ["cuánto"], "other": ["x"]})

    again = load(database, queries, "messages", lines, keywords={})

    assert (again.duplicate, again.quarantined) == (2, 0)
    found = {row["message_id"]: row["keywords"] for row in rows(database, "core.messages")}
    assert plain(found, KEY) == {"m1": ["price"], "m2": []}
