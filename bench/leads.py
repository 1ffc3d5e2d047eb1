"""New messages on a long history of conversations, and who fell silent: beside a window query over every message."""

from __future__ import annotations

import csv
from collections.abc import Callable
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
EVERY = timedelta(minutes=15)
LOOKS_BACK = EVERY + DELTA_PARAMS["fell_silent_after"]
COLUMNS = ("message_id", "conversation_id", "direction", "sender", "sent_at", "text", "kind")


def leads(place: Place, conversations: int, say: Callable[[str], None]) -> list[Figure]:
    """Loads of new messages and the newly silent after each, as a run every quarter of an hour would ask."""
    work = _history(place, conversations, say)
    new = round(conversations * NEW_SHARE)
    loading, asking = [], []
    for number in range(ROUNDS + 1):
        since = UNTIL + number * EVERY
        as_of = since + EVERY
        _write(work, number, new, since)
        with work.database.alone() as connection:
            connection.execute(sa.text("checkpoint"))
        spent = load(work, as_of, source_name="messages")
        asked = timed(lambda as_of=as_of: _newly_silent(work, as_of))
        if number:  # the first one warms the caches
            loading.append(spent)
            asking.append(asked)
    rows = len(_newly_silent(work, as_of))
    window = [timed(lambda: _window(work, as_of)) for _ in range(2)]
    if rows != len(_window(work, as_of)):
        message = "the kept silences and the window over all messages disagree"
        raise RuntimeError(message)
    place.drop(work)
    whole = median(sum(phases.values()) for phases in loading)
    both = whole + median(asking)
    return [
        Figure(f"the window query against {new:,} new messages loaded and asked", min(window) / both, "x", 10, True),
        Figure(
            "who fell silent since the run before, milliseconds",
            median(asking) * 1000,
            "ms",
            300,
            note=f"{rows:,} rows",
        ),
        Figure(f"loading {new:,} new messages, seconds", whole, "s"),
        *(
            Figure(f"of it {phase}", median(phases[phase] for phases in loading), "s")
            for phase in ("landing", "gate", "merge and cycle")
        ),
        Figure("a window query over every message, seconds", min(window), "s"),
    ]


def _history(place: Place, conversations: int, say: Callable[[str], None]) -> Workspace:
    """Conversations and messages straight into core by SQL, then their silences by our own code."""
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
            sa.text(
                "vacuum (analyze) core.messages, core.conversations, core.milestones, core.silences, core.customers"
            )
        )
        messages = connection.execute(sa.text("select count(*) from core.messages")).scalar_one()
    say(f"a history of {messages:,} messages in {conversations:,} conversations; its silences took {seconds:,.1f} s")
    return work


def _write(work: Workspace, number: int, messages: int, since: datetime) -> None:
    folder = work.settings.config / "messages"
    folder.mkdir(exist_ok=True)
    with work.database.transaction() as connection:
        rows = connection.execute(statement("talk_new", messages=messages, since=since)).all()
    with (folder / f"{number}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for place, row in enumerate(rows):
            stamp = row.sent_at.isoformat()
            writer.writerow((f"n{number}-{place}", row.conversation_id, "inbound", "customer", stamp, "words", "text"))


def _newly_silent(work: Workspace, as_of: datetime) -> list[sa.Row]:
    segment = work.queries["segments/partial_leads"]
    with work.database.transaction() as connection:
        return list(connection.execute(segment(as_of=as_of, fell_silent_after=as_of - LOOKS_BACK)))


def _window(work: Workspace, as_of: datetime) -> list[sa.Row]:
    with work.database.transaction() as connection:
        return list(connection.execute(statement("talk_window", as_of=as_of, since=as_of - LOOKS_BACK)))
