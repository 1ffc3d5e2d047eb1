"""A provider that keeps every message instead of delivering it, and behaves like a foreign one.

It has its own connection, commits before it answers, keeps no uniqueness on our keys and gives no idempotency, so
counting its rows judges the ledger honestly. It can be told to misbehave as real providers do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from enum import StrEnum

import sqlalchemy as sa

from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.profile import Profile
from tasks.rules.errors import Busy, Misconfigured, Unanswered, Unreached
from tasks.store.engine import scrubbed
from tasks.store.queries import Query
from tasks.store.workspace import Workspace

# It throttles nobody and reports nothing by itself; a call is one statement, whatever its size.
PROFILE = Profile(
    provider="outbox",
    channels=frozenset({"email", "push", "webpush", "inbox", "sms", "whatsapp"}),
    echo="attempt_id",
    batch=100,
    calls_in_flight=1,
)


class Conduct(StrEnum):
    """How the outbox treats a message; the whole call suffers from `drop` on."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    BUSY = "busy"
    DROP = "drop"  # accepts, and the answer is lost
    HANG = "hang"  # accepts, and answers only after the caller has given up
    DIE = "die"  # accepts, and our process ends before it hears so
    CLOSED = "closed"  # throttles the whole call and says for how long
    MISCONFIGURED = "misconfigured"  # knows neither our key nor our account


def accept(_: OutgoingMessage) -> Conduct:
    """How the outbox behaves unless told otherwise."""
    return Conduct.ACCEPT


class Outbox:
    """Appends messages to `outbox.messages`; `conduct` says how it treats each, `timeout` bounds a call in seconds."""

    profile = PROFILE

    def __init__(
        self,
        url: sa.URL,
        append: Query,
        *,
        timeout: float = 20,
        conduct: Callable[[OutgoingMessage], Conduct] = accept,
    ) -> None:
        self._append = append
        self._conduct = conduct
        self._timeout = timeout
        limits = f"-c timezone=UTC -c statement_timeout={int(timeout * 1000)}"
        self._engine = sa.create_engine(
            url,
            hide_parameters=True,
            pool_size=1,
            max_overflow=0,
            connect_args={"application_name": "outbox", "connect_timeout": 10, "options": limits},
        )

    @classmethod
    def open(cls, work: Workspace, options: None, timeout: float) -> Outbox:  # noqa: ARG003 - there is nothing to set
        """The outbox in the workspace's own database server, over its own connection."""
        return cls(work.database.url, work.queries["ledger/outbox_accept"], timeout=timeout)

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        """Keep what is accepted, commit, then answer (or not)."""
        conducts = {message.attempt_id: self._conduct(message) for message in messages}
        told = set(conducts.values())
        if Conduct.MISCONFIGURED in told:
            raise Misconfigured("outbox: does not know our key (it was told so)")
        if Conduct.CLOSED in told:
            raise Busy("outbox: throttled (it was told so)", retry_after=120)
        taken = [m for m in messages if conducts[m.attempt_id] not in (Conduct.REFUSE, Conduct.BUSY)]
        numbers = self._keep(taken)
        if Conduct.DIE in told:
            os._exit(137)
        if Conduct.HANG in told:
            time.sleep(self._timeout)
            raise Unanswered(f"outbox: no answer within {self._timeout:g} s")
        if Conduct.DROP in told:
            raise Unanswered("outbox: the connection ended before the answer")
        return [_answer(message, conducts[message.attempt_id], numbers) for message in messages]

    def close(self) -> None:
        """Let go of the connection."""
        self._engine.dispose()

    def _keep(self, messages: Sequence[OutgoingMessage]) -> dict[str, str]:
        if not messages:
            return {}
        rows = [
            {
                "attempt_id": message.attempt_id,
                "send_key": message.send_key,
                "channel": message.channel,
                "address": message.address,
                "at": message.decided_at.isoformat(),
                "content": dict(message.fields),
            }
            for message in messages
        ]
        try:
            connection = self._engine.connect()
        except sa.exc.OperationalError as error:  # no byte has left
            raise Unreached(f"outbox: cannot be reached ({scrubbed(error)})") from None
        try:
            with connection, connection.begin():
                kept = connection.execute(self._append(messages=rows)).all()
        except sa.exc.DBAPIError as error:  # the commit may have happened
            raise Unanswered(f"outbox: {scrubbed(error)}") from None
        return {row.attempt_id: str(row.message_id) for row in kept}


def _answer(message: OutgoingMessage, conduct: Conduct, numbers: dict[str, str]) -> Receipt:
    if conduct is Conduct.REFUSE:
        return Receipt(message.attempt_id, "refused", reason="invalid_address", status_code=400)
    if conduct is Conduct.BUSY:
        return Receipt(message.attempt_id, "busy", status_code=429)
    return Receipt(message.attempt_id, "accepted", provider_message_id=numbers[message.attempt_id], status_code=202)
