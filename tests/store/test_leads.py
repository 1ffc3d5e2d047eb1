"""Leads against a plain computation, in whatever order the lines come and whichever moment is asked about (R13, A5)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.store.queries import Queries
from tests.store.conftest import OneTransaction
from tests.store.landing import good, load, rows

START = datetime(2026, 4, 1, 6, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LEAST = 30 * MINUTE
TALKS = 80

Line = dict[str, Any]


@pytest.fixture
def database(undone: OneTransaction) -> OneTransaction:
    """An empty database; what a test does is undone."""
    return undone


def world(dice: random.Random) -> tuple[list[Line], list[Line]]:
    """Versions of conversations, which change hands, ads and milestones; and what is said in them."""
    versions, messages = [], []
    for number in range(TALKS):
        talk, opened = f"v{number}", START + dice.randrange(600) * MINUTE
        for version in range(dice.choice([1, 1, 2, 3])):
            reached = dice.choice(["lead"] * 5 + ["deep_conversation"] * 3 + ["qualified"])
            versions.append(good(
                "conversations", conversation_id=talk, customer_id=f"c{dice.randrange(TALKS // 2)}",
                ad_id=dice.choice(["ad1", "ad1", "ad2", None]), opened_at=opened.isoformat(), milestone=reached,
                milestone_at=(opened + dice.randrange(-30, 900) * MINUTE).isoformat(),
                updated_at=(opened + version * HOUR).isoformat(),
            ))  # fmt: skip
        at = opened
        for place in range(dice.randrange(7)):
            at += dice.choice([timedelta(0), 3 * MINUTE, 40 * MINUTE, 5 * HOUR])
            sender = dice.choice(["customer", "customer", "bot", "agent", "campaign"])
            messages.append(good(
                "messages", message_id=f"{talk}-{place}", conversation_id=talk, sender=sender, sent_at=at.isoformat(),
                direction="inbound" if sender == "customer" else "outbound",
            ))  # fmt: skip
    return versions, messages


def bring(database: OneTransaction, queries: Queries, dice: random.Random, versions: list[Line], said: list[Line]):
    """Load it all in batches, in any order."""
    lines = [("conversations", line) for line in versions] + [("messages", line) for line in said]
    dice.shuffle(lines)
    cuts = sorted(dice.randrange(len(lines)) for _ in range(5))
    for first, last in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        for entity in dice.sample(["conversations", "messages"], 2):
            if batch := [line for of, line in lines[first:last] if of == entity]:
                load(database, queries, entity, batch)


def found(versions: Sequence[Line], said: Sequence[Line], as_of: datetime, since: datetime | None) -> set[Any]:
    """Who is a partial lead of an ad with a bot at a moment, from every line: one conversation per person."""
    told = sorted(versions, key=lambda line: datetime.fromisoformat(line["updated_at"]))
    talks = {line["conversation_id"]: line for line in told}
    milestones = {
        (line["conversation_id"], line["milestone"], datetime.fromisoformat(line["milestone_at"])) for line in versions
    }
    leads: dict[str, Any] = {}
    for talk, line in sorted(talks.items()):
        opened = datetime.fromisoformat(line["opened_at"])
        mine = [
            at
            for one in said
            if one["conversation_id"] == talk
            and one["sender"] == "customer"
            and (at := datetime.fromisoformat(one["sent_at"])) <= as_of
        ]
        if line["ad_id"] != "ad1" or opened > as_of or not mine or max(mine) > as_of - LEAST:
            continue
        if since is not None and max(mine) <= since - LEAST:
            continue
        qualified = any(
            what == "qualified" and at <= as_of and (whose == talk or at >= opened)
            for whose, what, at in milestones
            if talks[whose]["customer_id"] == line["customer_id"]
        )
        if qualified:
            continue
        deep = any(whose == talk and what == "deep_conversation" and at <= as_of for whose, what, at in milestones)
        lead = (max(mine), talk, "deep_conversation" if deep else "lead")
        known = leads.get(line["customer_id"])
        if known is None or lead[0] > known[0]:
            leads[line["customer_id"]] = lead
    return {(customer, *lead) for customer, lead in leads.items()}


@pytest.mark.parametrize("seed", range(6))
def test_any_moment_and_any_order_give_what_every_line_says(
    database: OneTransaction, queries: Queries, seed: int
) -> None:
    dice = random.Random(seed)
    versions, said = world(dice)
    load(database, queries, "ads", [good("ads", ad_id="ad1", bot_id="bot", updated_at="2026-01-01T00:00:00Z"),
                                    good("ads", ad_id="ad2", updated_at="2026-01-01T00:00:00Z")])  # fmt: skip
    bring(database, queries, dice, versions, said)

    some = 0
    for hours in (0, 2, 5, 9, 14, 20, 40):
        as_of = START + hours * HOUR
        for since in (None, as_of - 3 * HOUR):
            with database.transaction() as connection:
                asked = queries["segments/partial_leads"](as_of=as_of, fell_silent_after=since)
                answer = connection.execute(asked).all()
            expected = found(versions, said, as_of, since)
            assert {(row.customer_id, row.anchor_at, row.episode, row.milestone) for row in answer} == expected
            some += len(expected)
    assert some > 50, "nothing to see: this proves nothing"


@pytest.mark.parametrize("seed", range(3))
def test_what_loads_brought_one_by_one_is_what_a_first_load_writes_at_once(
    database: OneTransaction, queries: Queries, seed: int
) -> None:
    dice = random.Random(100 + seed)
    bring(database, queries, dice, *world(dice))
    kept = rows(database, "core.leads")
    assert {name for row in kept for name, value in row.items() if value is not None} == set(kept[0])

    with database.transaction() as connection:
        connection.execute(sa.text("truncate core.leads"))
        connection.execute(queries["core/leads_fill"]())

    assert rows(database, "core.leads") == kept
