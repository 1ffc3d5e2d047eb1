"""Texts of messages go after their period: the same line brings nothing back, and all that was made of it stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import Retention
from tasks import erase
from tasks.rules.reports import whatsapp_name
from tasks.store import gate, milestones, replies, retention
from tasks.store.gate import Counts
from tasks.store.workspace import Workspace
from tests.chats import OPENED, at, body, from_ad, message, plain
from tests.store.landing import good, land
from tests.store.test_writers import KEY, told

AFTER = OPENED + timedelta(days=31)
M2 = whatsapp_name(KEY, "m2")
WORDS = "my number is 4711, please book a call"
TALK = [message("m1", OPENED, **from_ad()), message("m2", at(30), WORDS)]

# Columns that the schema marks as words, and what ends them: a kind of retention, or why they stay with their rows.
ENDS = {
    "raw.quarantine.raw": "quarantine",
    "raw.quarantine.fields": "quarantine",
    "raw.parked.raw": "parked",
    "raw.parked.customer_id": "parked",
    "raw.parked.fields": "parked",
    "raw.received_messages.raw": "received",
    "raw.received_messages.fields": "received",
    "core.messages.text": "messages",
    "campaign.replies.text": "replies",
    "campaign.replies.address_hmac": "replies",
    "campaign.inbox_messages.title": "inbox",
    "campaign.inbox_messages.text": "inbox",
    "campaign.inbox_messages.link": "inbox",
    "outbox.messages.address": "outbox",
    "outbox.messages.content": "outbox",
    "core.consents.source": "stays: proof of the consent (C23)",
    "core.consents.wording": "stays: proof of the consent (C23)",
    "core.replaced_consents.source": "stays: proof of the consent (C23)",
    "core.replaced_consents.wording": "stays: proof of the consent (C23)",
    "campaign.enrolments.evidence": "ledger",
    "campaign.decisions.gates": "ledger",
}
WORDS_OF_THE_SCHEMA = """
    select format('%s.%s.%s', relnamespace::regnamespace, relname, attname) as column
    from pg_description
    inner join pg_class on pg_class.oid = pg_description.objoid
    inner join pg_attribute on attrelid = pg_class.oid and attnum = objsubid
    where description in ('sensitive: free text', 'sensitive: source line', 'sensitive: message')
"""
SEEN = {
    "segment": "select * from facts.messages order by message_id",
    "silences": "select * from facts.silences order by said_at",
    "conversations": "select * from facts.conversations order by conversation_id",
    "milestones": "select * from facts.milestones order by milestone_at",
}


@pytest.fixture
def work(tmp_path: Path, make_workspace: Callable[..., Workspace]) -> Workspace:
    (tmp_path / "reengage.yaml").write_text("retention: {messages: 30, received: 30}\n")
    return make_workspace(config=tmp_path, mode="simulated")


def bring(work: Workspace, lines: list[Any], entity: str = "messages", **options: Any) -> Counts:
    key = work.settings.suppression_key.get_secret_value()
    with work.database.transaction() as connection:
        load_id = land(connection, entity, lines, as_of=AFTER, **options)
        gate.check(connection, work.queries, load_id, key)
        return gate.merge(connection, work.queries, load_id, key)


def read_for_refusals(work: Workspace) -> None:
    key = work.settings.suppression_key.get_secret_value()
    with work.database.transaction() as connection:
        replies.judge_loads(connection, work.queries, key=key, revoke_all=True)


def rows(work: Workspace, statement: str, **values: Any) -> list[Mapping[str, Any]]:
    with work.database.transaction() as connection:
        return [dict(row) for row in connection.execute(sa.text(statement), values).mappings()]


def texts(work: Workspace) -> dict[str, str | None]:
    found = rows(work, "select message_id, text from core.messages")
    return plain({row["message_id"]: row["text"] for row in found}, KEY)


def grown_old(work: Workspace, as_of: datetime = AFTER) -> int:
    read_for_refusals(work)
    return retention.delete(work, as_of)["messages"]


def test_texts_go_after_their_period_and_what_was_made_of_them_stays(work: Workspace) -> None:
    bring(work, told(body(*TALK)), keywords={"qualified": ["book a call"]})
    milestones.derive(work)
    before = {name: rows(work, statement) for name, statement in SEEN.items()}
    assert [row["keywords"] for row in before["segment"]] == [[], ["qualified"]]
    assert {row["milestone"] for row in before["milestones"]} == {"lead", "qualified"}

    assert grown_old(work, AFTER - timedelta(days=2)) == 0
    assert grown_old(work) == 2

    assert texts(work) == {"m1": None, "m2": None}
    milestones.derive(work)
    assert {name: rows(work, statement) for name, statement in SEEN.items()} == before
    assert grown_old(work) == 0


def test_a_segment_at_a_past_moment_answers_as_before(work: Workspace) -> None:
    bring(work, [good("ads", ad_id="120226305854810726", bot_id="b", updated_at=OPENED.isoformat())], "ads")
    bring(work, told(body(*TALK)))
    milestones.derive(work)

    def asked() -> list[Mapping[str, Any]]:
        with work.database.transaction() as connection:
            segment = work.queries["segments/partial_leads"](as_of=at(hours=2))
            return [dict(row) for row in connection.execute(segment).mappings()]

    before = asked()
    assert len(before) == 1

    assert grown_old(work) == 2

    assert asked() == before


def test_the_same_line_again_is_a_duplicate_and_brings_nothing_back(work: Workspace) -> None:
    lines = told(body(*TALK))
    bring(work, lines, keywords={"qualified": ["book a call"]})
    grown_old(work)

    again = bring(work, lines)

    assert (again.duplicate, again.accepted, again.quarantined) == (2, 0, 0)
    assert texts(work) == {"m1": None, "m2": None}
    assert rows(work, "select raw from raw.quarantine") == []
    found = rows(work, "select keywords from core.messages where message_id = :m2", m2=M2)
    assert found == [{"keywords": ["qualified"]}]


@pytest.mark.parametrize("number", range(4))  # whichever text has the greater hash
def test_another_text_under_the_same_id_contradicts_and_does_not_take_the_place(work: Workspace, number: int) -> None:
    bring(work, told(body(*TALK)))
    grown_old(work)

    other = bring(work, told(body(message("m2", at(30), f"other words {number}"))))

    assert (other.quarantined, other.report["reasons"]) == (1, {"conflicting_version": 1})
    assert texts(work) == {"m1": None, "m2": None}
    assert bring(work, told(body(*TALK))).duplicate == 2


def test_a_version_that_says_more_takes_the_place_and_goes_in_its_turn(work: Workspace) -> None:
    bring(work, [good("conversations", opened_at=OPENED.isoformat(), milestone_at=OPENED.isoformat())], "conversations")
    stub = good("messages", sent_at=OPENED.isoformat(), direction="outbound", sender="bot", kind="sent", text="draft")
    bring(work, [stub])
    grown_old(work)

    whole = bring(work, [stub | {"kind": None, "text": "the whole message"}])

    assert whole.accepted == 1
    assert texts(work) == {"m1": "the whole message"}
    assert bring(work, [stub]).report["reasons"] == {"older_version": 1}
    assert grown_old(work) == 1
    assert texts(work) == {"m1": None}
    assert bring(work, [stub | {"kind": None, "text": "the whole message"}]).duplicate == 1


def test_the_same_text_with_something_else_that_differs_does_not_bring_it_back(work: Workspace) -> None:
    bring(work, told(body(*TALK)))
    grown_old(work)
    lines = told(body(*TALK))

    for number in range(64):  # until another version has the greater hash
        bring(work, [line | {"kind": f"kind {number}"} for line in lines if plain(line["message_id"], KEY) == "m2"])
        if rows(work, "select from core.messages where message_id = :m2 and kind <> 'text'", m2=M2):
            break
    bring(work, lines)

    assert texts(work) == {"m1": None, "m2": None}
    assert len(rows(work, "select from core.messages where text_hmac is not null")) == 2
    assert "4711" not in str(rows(work, "select fields from raw.quarantine where line_no = 0"))


def test_what_nobody_has_read_for_refusals_yet_stays(work: Workspace) -> None:
    bring(work, told(body(*TALK)))

    assert retention.delete(work, AFTER)["messages"] == 0
    assert texts(work)["m2"] == WORDS

    read_for_refusals(work)
    assert retention.delete(work, AFTER)["messages"] == 2


def test_a_hash_tells_nobody_that_two_people_wrote_the_same(work: Workspace) -> None:
    bring(work, told(body(message("m1", OPENED, "yes"), message("m2", at(1), "yes"))))

    grown_old(work)

    kept = {row["text_hmac"] for row in rows(work, "select text_hmac from core.messages")}
    assert len(kept) == 2


def test_somebody_whose_texts_are_gone_is_erased_like_others(work: Workspace) -> None:
    bring(work, told(body(*TALK)))
    grown_old(work)
    (who,) = {row["customer_id"] for row in rows(work, "select customer_id from core.conversations")}

    receipt = erase.person(work, who, AFTER)

    assert receipt.is_complete
    assert receipt.counts["core.messages"] == 2
    assert bring(work, told(body(*TALK))).erased == 2
    assert texts(work) == {}


def test_messages_taken_live_that_no_load_brings_in_go(work: Workspace) -> None:
    with work.database.transaction() as connection:
        for days in (31, 29):
            connection.execute(
                sa.text(
                    "insert into raw.received_messages (raw, fields, received_at)"
                    " values (:days, '{}', clock_timestamp() - make_interval(days => :number))"
                ),
                {"days": str(days), "number": days},
            )

    assert retention.delete(work, AFTER)["received"] == 1

    assert rows(work, "select raw from raw.received_messages") == [{"raw": "29"}]


def test_every_column_with_words_has_a_period_or_a_reason_to_stay(work: Workspace) -> None:
    assert {row["column"] for row in rows(work, WORDS_OF_THE_SCHEMA)} == ENDS.keys()
    kinds = {end for end in ENDS.values() if not end.startswith("stays: ")}
    assert kinds <= Retention.model_fields.keys()
