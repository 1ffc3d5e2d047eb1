"""New messages on a long history of conversations, and who fell silent: beside the same from every message."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import sqlalchemy as sa

from bench.loading import load
from bench.place import Place, statement, timed
from bench.report import Figure
from tasks.rules.contract import DELTA_PARAMS
from tasks.store import silences
from tasks.store.workspace import Workspace

UNTIL = datetime(2026, 6, 1, 12, tzinfo=UTC)
MESSAGES_EACH = 10
NEW_SHARE = 0.05  # new messages for each conversation of the history: 50,000 for a million
ROUNDS = 5
EVERY = timedelta(hours=12)  # as many come in half a day of the history
LOOKS_BACK = EVERY + DELTA_PARAMS["fell_silent_after"]
# What the windows answer of the segment's columns.
ANSWER = ("customer_id", "anchor_at", "conversation_id", "milestone", "ad_id", "free_window_ends_at")
COLUMNS = ("message_id", "conversation_id", "direction", "sender", "sent_at", "text", "kind")


def leads(place: Place, conversations: int, say: Callable[[str], None]) -> list[Figure]:
    """Loads of new messages and the newly silent after each, as files that come twice a day."""
    work = _history(place, conversations, say)
    new = round(conversations * NEW_SHARE)
    loading, asking, fetching = [], [], []
    for number in range(ROUNDS + 1):
        since = UNTIL + number * EVERY
        as_of = since + EVERY
        _write(work, number, new, since)
        with work.database.alone() as connection:
            connection.execute(sa.text("checkpoint"))
        spent = load(work, as_of, source_name="messages")
        rows, asked, fetched = _newly_silent(work, as_of)
        if number:  # the first one warms the caches
            loading.append(spent)
            asking.append(asked)
            fetching.append(fetched)
    if {tuple(row[column] for column in ANSWER) for row in rows} != {
        tuple(row.values()) for row in _window(work, as_of)
    }:
        message = "the kept leads and the windows over all messages disagree"
        raise RuntimeError(message)
    window = [timed(lambda: _window(work, as_of)) for _ in range(2)]
    last = [timed(lambda: _window(work, as_of, "talk_last")) for _ in range(2)]
    place.drop(work)
    whole = median(sum(phases.values()) for phases in loading)
    both = whole + median(fetching)
    return [
        Figure(
            f"the same answer from every message, against {new:,} new ones loaded and asked",
            min(window) / both,
            "x",
            10,
            True,
        ),
        Figure("one bare window over every message, against the same", min(last) / both, "x"),
        Figure(
            "who fell silent since the run before: the query, milliseconds",
            median(asking) * 1000,
            "ms",
            300,
            note=f"{len(rows):,} rows",
        ),
        Figure("with its rows fetched, milliseconds", median(fetching) * 1000, "ms"),
        Figure(f"loading {new:,} new messages, seconds", whole, "s"),
        *(
            Figure(f"of it {phase}", median(phases[phase] for phases in loading), "s")
            for phase in ("landing", "gate", "merge and cycle")
        ),
        Figure("the same answer from every message, seconds", min(window), "s"),
        Figure("one bare window over every message, seconds", min(last), "s"),
    ]


def _history(place: Place, conversations: int, say: Callable[[str], None]) -> Workspace:
    """Conversations and messages straight into core by SQL, then their leads by our own code."""
    work = place.workspace(f"talks_{conversations}")
    with work.database.transaction() as connection:
        connection.execute(sa.text("set local work_mem = '256MB'"))
        connection.execute(sa.text("set local maintenance_work_mem = '512MB'"))
        connection.execute(sa.text("select setseed(0.42)"))
        connection.execute(statement("talk_conversations", conversations=conversations, until=UNTIL))
        indexes = connection.execute(work.queries["core/table_indexes"](relation="messages")).mappings().all()
        for index in indexes:
            connection.execute(sa.text(index["drop"]))
        connection.execute(statement("talk_messages", messages=MESSAGES_EACH, until=UNTIL))
        for index in indexes:
            connection.execute(sa.text(index["create"]))

    def fill() -> None:
        with work.database.transaction() as connection:
            silences.begin(connection)
            told = sa.table("conversations", sa.column("conversation_id"), schema="core")
            touched = sa.table("touched_conversations", sa.column("conversation_id"))
            connection.execute(sa.insert(touched).from_select(["conversation_id"], sa.select(told.c.conversation_id)))
            silences.refresh(connection, work.queries)

    seconds = timed(fill)
    with work.database.alone() as connection:
        connection.execute(
            sa.text("vacuum (analyze) core.messages, core.conversations, core.milestones, core.leads, core.customers")
        )
        messages = connection.execute(sa.text("select count(*) from core.messages")).scalar_one()
    say(f"a history of {messages:,} messages in {conversations:,} conversations; its leads took {seconds:,.1f} s")
    return work


def _write(work: Workspace, number: int, messages: int, since: datetime) -> None:
    folder = work.settings.config / "messages"
    folder.mkdir(exist_ok=True)
    with work.database.transaction() as connection:
        rows = connection.execute(statement("talk_new", messages=messages, since=since, within=EVERY)).all()
    with (folder / f"{number}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for place, row in enumerate(rows):
            stamp = row.sent_at.isoformat()
            writer.writerow((f"n{number}-{place}", row.conversation_id, "inbound", "customer", stamp, "words", "text"))


def _newly_silent(work: Workspace, as_of: datetime) -> tuple[Sequence[sa.RowMapping], float, float]:
    """Who fell silent, the seconds until the database had answered, and those until every row was here."""
    segment = work.queries["segments/partial_leads"](as_of=as_of, fell_silent_after=as_of - LOOKS_BACK)
    with work.database.transaction() as connection:
        began = time.perf_counter()
        answer = connection.execute(segment)
        answered = time.perf_counter()
        rows = answer.mappings().all()
        return rows, answered - began, time.perf_counter() - began


def _window(work: Workspace, as_of: datetime, name: str = "talk_window") -> Sequence[sa.RowMapping]:
    with work.database.transaction() as connection:
        connection.execute(sa.text("set local work_mem = '256MB'"))
        asked = connection.execute(statement(name, as_of=as_of, since=as_of - LOOKS_BACK))
        return asked.mappings().all()
