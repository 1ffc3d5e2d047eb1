"""Replies put to effect: stop is a withdrawal at once, what may be one holds until somebody has read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tasks.rules import replies
from tasks.rules.keyed import keyed_hash, pads
from tasks.store.queries import Queries

BATCH = 1_000


@dataclass(frozen=True)
class Answer:
    """A stored reply with its words and the number it came from, both of which stay in memory."""

    reply_id: str
    text: str | None
    address: str | None


def judge(
    connection: sa.Connection, queries: Queries, answers: Sequence[Answer], *, key: str, revoke_all: bool
) -> dict[str, replies.Verdict]:
    """Read replies and put them to effect in the caller's transaction; answers what each was taken for."""
    verdicts = {answer.reply_id: replies.judge(answer.text) for answer in answers}
    rows = [
        {"reply_id": answer.reply_id, "verdict": verdicts[answer.reply_id], "address": answer.address}
        for answer in answers
    ]
    if rows:
        inner_pad, outer_pad = pads(key)
        connection.execute(
            queries["ledger/replies_judge"](
                replies=rows, revoke_all=revoke_all, inner_pad=inner_pad, outer_pad=outer_pad
            )
        )
    return verdicts


def judge_loads(connection: sa.Connection, queries: Queries, *, key: str, revoke_all: bool) -> int:
    """Read the messages of conversations that came since the last time; counts refusals, certain or not.

    What came live has had its effect already, unless nobody knew then who wrote. Only those that mean something are
    kept as replies; memory is bounded by one batch of messages.
    """
    load_ids = list(connection.execute(queries["ledger/replies_loads"]()).scalars())
    if not load_ids:
        return 0
    unread = queries["ledger/replies_unread"](load_ids=load_ids).execution_options(yield_per=BATCH)
    found: list[dict[str, Any]] = [
        {
            "reply_id": _name(row["message_id"], row["writer_id"], key),
            "channel": row["channel"],
            "customer_id": row["customer_id"],
            "text": row["text"],
            "sent_at": row["sent_at"].isoformat(),
        }
        for row in connection.execute(unread).mappings()
        if replies.judge(row["text"]) in ("stop", "unclear")
    ]
    if found:
        fresh = set(connection.execute(queries["ledger/replies_from_files"](replies=found)).scalars())
        answers = [Answer(row["reply_id"], row["text"], None) for row in found if row["reply_id"] in fresh]
        judge(connection, queries, answers, key=key, revoke_all=revoke_all)
    connection.execute(queries["ledger/replies_read"](load_ids=load_ids))
    return len(found)


def _name(message_id: str, writer_id: str | None, key: str) -> str:
    """A WhatsApp message has the same name everywhere, also where it was taken live."""
    return message_id if writer_id else keyed_hash(key, f"message|{message_id}")


def resolve(
    connection: sa.Connection,
    queries: Queries,
    reply_id: str,
    *,
    is_refusal: bool,
    revoke_all: bool,
    at: datetime | None,
) -> int | None:
    """Settle what somebody has read; answers how many people it held, None when nothing waits under that name."""
    statement = queries["ledger/replies_resolve"](
        reply_id=reply_id, is_refusal=is_refusal, revoke_all=revoke_all, at=at
    )
    row = connection.execute(statement).first()
    return None if row is None else row.held
