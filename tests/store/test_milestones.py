"""Milestones: taken from the source where it has them, else derived, and right at any past moment."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import CHECKOUT
from flows.ingest import ingest
from flows.story import using
from tasks.rules.errors import GateError, SqlContractError
from tasks.rules.reports import whatsapp_name
from tasks.store import gate, milestones
from tasks.store.queries import Queries
from tasks.store.workspace import Workspace
from tests.chats import OPENED, at, body, from_ad, message, plain
from tests.exports import AS_OF, Exports
from tests.store.landing import KEY, good, land
from tests.store.test_writers import told, world

TALK = whatsapp_name(KEY, "m1")
AS_OF_MILESTONE = """
    select milestone from facts.milestones
    where conversation_id = :talk and milestone_at <= :at
    order by array_position(array['lead', 'deep_conversation', 'qualified'], milestone) desc
    limit 1
"""


@pytest.fixture
def work(make_workspace: Callable[..., Workspace]) -> Workspace:
    return make_workspace()


def bring(work: Workspace, entity: str, lines: list[Any], **options: Any) -> None:
    with work.database.transaction() as connection:
        load_id = land(connection, entity, lines, **options)
        gate.check(connection, work.queries, load_id, KEY)
        gate.merge(connection, work.queries, load_id, KEY)


def rows(work: Workspace, statement: str, **given: Any) -> list[tuple[Any, ...]]:
    with work.database.transaction() as connection:
        return [plain(tuple(row), KEY) for row in connection.execute(sa.text(statement), given)]


def reached(work: Workspace) -> dict[str, datetime]:
    statement = "select milestone, milestone_at from facts.milestones where conversation_id = :talk"
    found = rows(work, statement, talk=TALK)
    assert len(found) == len(dict(found))  # ty: ignore[no-matching-overload]
    return dict(found)  # ty: ignore[no-matching-overload]


def test_derived_milestones_are_right_at_any_moment_also_when_messages_come_late(work: Workspace) -> None:
    bring(work, "messages", told(body(message("m1", OPENED, **from_ad()), message("m4", at(30)))))
    assert milestones.derive(work) == 1
    assert reached(work) == {"lead": OPENED}

    bring(work, "messages", told(body(message("m2", at(10)), message("m5", at(40), "book a call, please"))),
          keywords={"qualified": ["book a call"]})  # fmt: skip
    milestones.derive(work)

    assert reached(work) == {"lead": OPENED, "deep_conversation": at(30), "qualified": at(40)}
    asked = {
        moment: rows(work, AS_OF_MILESTONE, talk=TALK, at=moment) for moment in (at(-1), at(29), at(30), at(39), at(40))
    }
    assert asked == {
        at(-1): [], at(29): [("lead",)], at(30): [("deep_conversation",)], at(39): [("deep_conversation",)],
        at(40): [("qualified",)],
    }  # fmt: skip
    assert rows(work, "select milestone, milestone_at from facts.conversations") == [("qualified", at(40))]
    assert milestones.derive(work) == 0


def test_whose_milestones_are_derived_is_looked_at_again_by_whoever_chooses_people(work: Workspace) -> None:
    bring(work, "messages", told(body(message("m1", OPENED))))
    [before] = rows(work, "select customer_id, changed_at from core.silences_changed")

    milestones.derive(work)

    [after] = rows(work, "select customer_id, changed_at from core.silences_changed")
    assert after[0] == before[0]
    assert after[1] > before[1]


def test_a_purchase_qualifies_and_its_refund_takes_that_back(work: Workspace) -> None:
    bring(work, "messages", told(body(message("m1", OPENED))))
    bring(work, "customers", [good("customers", phone="+4915112345678")])
    bought = good("purchases", purchased_at=at(hours=2).isoformat(), updated_at=at(hours=2).isoformat())
    bring(work, "purchases", [bought])
    milestones.derive(work)
    assert reached(work) == {"lead": OPENED, "qualified": at(hours=2)}

    bring(work, "purchases", [bought | {"status": "refunded", "updated_at": at(days=1).isoformat()}])
    milestones.derive(work)

    assert reached(work) == {"lead": OPENED}


def test_what_the_source_tells_stands_and_what_was_derived_goes(work: Workspace) -> None:
    bring(work, "messages", told(body(message("m1", OPENED), message("m2", at(1)), message("m3", at(2)))))
    milestones.derive(work)
    assert set(reached(work)) == {"lead", "deep_conversation"}
    later = at(50).isoformat()

    bring(work, "conversations", [good("conversations", conversation_id=TALK, milestone="qualified",
                                       milestone_at=later, updated_at=later)])  # fmt: skip
    milestones.derive(work)

    assert reached(work) == {"qualified": at(50)}
    bring(work, "messages", told(body(message("m4", at(60)))))
    milestones.derive(work)
    assert reached(work) == {"qualified": at(50)}


def test_a_file_without_milestones_gets_derived_ones(work: Workspace) -> None:
    untold = good("conversations", conversation_id=TALK, milestone=None, milestone_at=None,
                  opened_at=OPENED.isoformat())  # fmt: skip
    said = [good("messages", message_id=f"x{minute}", conversation_id=TALK, sent_at=at(minute).isoformat())
            for minute in range(3)]  # fmt: skip
    bring(work, "messages", said)
    bring(work, "conversations", [untold])

    milestones.derive(work)

    assert reached(work) == {"lead": OPENED, "deep_conversation": at(2)}


def test_a_later_conversation_ends_the_earlier_one_and_its_going_lets_it_go_on(work: Workspace) -> None:
    bring(work, "customers", [good("customers", phone="+4915112345678")])
    bring(work, "messages", told(body(message("m1", OPENED))))
    bring(work, "events", [good("events", name="bot_completed", occurred_at=at(hours=5).isoformat())])
    milestones.derive(work)
    assert set(reached(work)) == {"lead", "qualified"}
    sms = good("conversations", conversation_id="other", channel="sms", opened_at=at(hours=4).isoformat())

    bring(work, "conversations", [sms])
    milestones.derive(work)
    assert set(reached(work)) == {"lead"}

    bring(work, "conversations", [sms | {"customer_id": "c2", "updated_at": at(days=50).isoformat()}])
    milestones.derive(work)
    assert set(reached(work)) == {"lead", "qualified"}


@pytest.mark.parametrize("first", ["the link", "the lines"])
def test_what_files_tell_of_a_whatsapp_id_counts_for_the_conversation_of_the_customer(
    work: Workspace, first: str
) -> None:
    about = {"customer_id": "4915112345678"}
    done = good("events", name="bot_completed", occurred_at=at(hours=5).isoformat(), **about)
    bought = good("purchases", purchased_at=at(hours=2).isoformat(), **about)
    bring(work, "messages", told(body(message("m1", OPENED))))
    link = [good("customers", phone="+4915112345678")]
    lines = {"events": [done], "purchases": [bought]}
    for entity, given in ({"customers": link} | lines if first == "the link" else lines | {"customers": link}).items():
        bring(work, entity, given)
        milestones.derive(work)

    assert reached(work) == {"lead": OPENED, "qualified": at(hours=2)}
    assert rows(work, "select customer_id from facts.events union select customer_id from facts.purchases"
                      " union select customer_id from facts.purchase_days") == [("c1",)]  # fmt: skip
    bring(work, "purchases", [bought | {"status": "refunded", "updated_at": at(days=30).isoformat()}])
    milestones.derive(work)
    assert reached(work) == {"lead": OPENED, "qualified": at(hours=5)}

    bring(work, "customers", [good("customers", customer_id="c2", phone="+4915112345678")])
    milestones.derive(work)

    assert reached(work) == {"lead": OPENED, "qualified": at(hours=5)}
    assert rows(work, "select customer_id, came_as from core.events") == [("4915112345678", None)]


@pytest.mark.parametrize("seed", range(4))
def test_milestones_do_not_hang_on_the_order_of_loads_or_on_when_they_are_derived(
    make_workspace: Callable[..., Workspace], seed: int
) -> None:
    pieces = sorted(world(seed), key=lambda piece: piece[0])
    chance = random.Random(seed)
    lived = []
    for derives in (0.0, 0.7):
        work, left = make_workspace(), list(pieces)
        while left:
            entity, most = left[0][0], chance.choice([1, 3, 10]) if derives else len(left)
            run = list(itertools.takewhile(lambda piece, entity=entity: piece[0] == entity, left))[:most]
            left = left[len(run) :]
            bring(work, entity, [line for _, line in run])
            if chance.random() < derives:
                milestones.derive(work)
        milestones.derive(work)
        lived.append(rows(work, "select * from facts.milestones order by 1, 2, 3"))
        chance.shuffle(pieces)

    assert lived[0] == lived[1]
    assert {milestone for _, milestone, _ in lived[0]} >= {"lead", "qualified"}


def test_a_conversation_that_changes_meanwhile_goes_on_waiting(work: Workspace) -> None:
    bring(work, "messages", told(body(message("m1", OPENED))))
    with work.database.transaction() as connection:
        [(name, number)] = connection.execute(work.queries["core/milestones_batch"](at_most=10)).all()
    bring(work, "messages", told(body(message("m2", at(1)))))

    with work.database.transaction() as connection:
        store = work.queries["core/milestones_store"]
        connection.execute(store(conversations=[name], changes=[number], reached=[]))

    assert rows(work, "select conversation_id from core.conversations_changed") == [("m1",)]


def with_rule(work: Workspace, folder: Path, old: str, new: str) -> Workspace:
    """The same database with another rule."""
    root = folder / "checkout"
    if not root.exists():
        shutil.copytree(CHECKOUT / "sql", root / "sql")
        shutil.copytree(CHECKOUT / "dashboards" / "queries", root / "dashboards" / "queries")
    path = root / "sql" / "milestones" / "conversations.sql"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    other = Workspace(work.settings, root)
    other.__dict__["queries"] = Queries.load(root)
    other.__dict__["database"] = work.database
    return other


@pytest.fixture
def edited(work: Workspace, tmp_path: Path) -> Callable[[str, str], Workspace]:
    """What makes a workspace on the same database with another rule."""
    return lambda old, new: with_rule(work, tmp_path, old, new)


def test_another_rule_derives_everything_again(work: Workspace, edited: Callable[[str, str], Workspace]) -> None:
    bring(work, "messages", told(body(message("m1", OPENED), message("m2", at(1)))))
    milestones.derive(work)
    assert set(reached(work)) == {"lead"}

    other = edited("deep_messages: int = 3", "deep_messages: int = 2")

    assert milestones.derive(other) == 1
    assert reached(work) == {"lead": OPENED, "deep_conversation": at(1)}
    assert milestones.derive(other) == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("from facts.conversations\n", "from core.conversations\n"),
        ("min(milestone_at) as milestone_at\n", "min(milestone_at) as reached_at\n"),
        ("'lead' as milestone,", "(select string_agg(phone, '') from core.customers) as milestone,"),
        ("min(milestone_at) as milestone_at\n", "cast(null as timestamptz) as milestone_at\n"),
        ("select conversation_id, milestone, min(", "select conversation_id, cast(null as text) as milestone, min("),
    ],
)
def test_a_rule_that_reads_what_it_may_not_or_answers_otherwise_derives_nothing(
    work: Workspace, edited: Callable[[str, str], Workspace], old: str, new: str
) -> None:
    bring(work, "messages", told(body(message("m1", OPENED))))

    with pytest.raises(SqlContractError, match="milestones/conversations"):
        milestones.derive(edited(old, new))

    assert reached(work) == {}
    assert milestones.derive(work) == 1


def test_beside_what_is_due_nothing_waits_for_another_derivation_or_for_another_rule(
    work: Workspace, edited: Callable[[str, str], Workspace]
) -> None:
    bring(work, "messages", told(body(message("m1", OPENED), message("m2", at(1)))))
    with work.database.transaction() as deriving:
        deriving.execute(sa.select(sa.func.pg_advisory_xact_lock(milestones._LOCK)))
        assert milestones.derive_meanwhile(work) == 0
    assert milestones.derive_meanwhile(work) == 1
    milestones.derive(work)
    assert set(reached(work)) == {"lead"}

    other = edited("deep_messages: int = 3", "deep_messages: int = 2")

    assert milestones.derive_meanwhile(other) == 0
    assert milestones.derive(other) == 1
    assert set(reached(work)) == {"lead", "deep_conversation"}


def test_a_rule_that_cannot_be_used_ends_an_ingest_as_failed_after_all_its_sources(
    make_workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    chats = "sources: {one: {kind: whatsapp, place: one.jsonl}, two: {kind: whatsapp, place: two.jsonl}}"
    shop = Exports(tmp_path, make_workspace, chats)
    shop.write("one.jsonl", json.dumps(body(message("m1", OPENED))))
    shop.write("two.jsonl", json.dumps(body(message("m2", at(1), wa_id="4915112345679"))))
    broken = with_rule(
        shop.work, tmp_path, "min(milestone_at) as milestone_at\n", "cast(null as timestamptz) as milestone_at\n"
    )

    with using(broken), pytest.raises(GateError, match=r"milestones wait for the next ingest: .* have no milestone_at"):
        ingest.fn(as_of=AS_OF)

    key = shop.work.settings.suppression_key.get_secret_value()
    assert sorted(plain(shop.all("select message_id from facts.messages"), key)) == [("m1",), ("m2",)]
    assert shop.all("select * from facts.milestones") == []
    with using(shop.work):
        ingest.fn(as_of=AS_OF)
    found = plain(shop.all("select conversation_id, milestone from facts.milestones"), key)
    assert sorted(found) == [("m1", "lead"), ("m2", "lead")]
