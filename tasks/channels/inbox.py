"""The inbox in the app: our own table, which the app reads through the receiver.

The database itself drops a repeat under the same send key, so a lost answer costs nothing here (class A).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from config.providers import Inbox
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.profile import Profile
from tasks.rules.errors import Unanswered, Unreached
from tasks.store.engine import scrubbed
from tasks.store.queries import Query
from tasks.store.workspace import Workspace

PROFILE: Final = Profile(
    provider="inbox", channels=frozenset({"inbox"}), drops_repeats=True, batch=100, calls_in_flight=2
)


class InboxSender:
    """Puts messages into `campaign.inbox_messages` over connections of its own and commits before it answers."""

    profile = PROFILE

    def __init__(self, url: sa.URL, keep: Query, *, days: int, timeout: float = 20) -> None:
        self._keep = keep
        self._days = days
        limits = f"-c timezone=UTC -c statement_timeout={int(timeout * 1000)}"
        self._engine = sa.create_engine(
            url,
            hide_parameters=True,
            pool_size=PROFILE.calls_in_flight,
            pool_timeout=timeout,
            pool_pre_ping=True,
            connect_args={"application_name": "inbox", "connect_timeout": 3, "options": limits},
        )

    @classmethod
    def open(cls, work: Workspace, options: Inbox, timeout: float) -> InboxSender:
        """The inbox in the workspace's own database, with a timeout in seconds."""
        return cls(work.database.url, work.queries["ledger/inbox_keep"], days=options.days, timeout=timeout)

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        """Keep each message once, commit, then answer."""
        rows = [
            {
                "attempt_id": message.attempt_id,
                "send_key": message.send_key,
                "customer_id": message.address,
                "campaign": message.campaign,
                "title": message.fields.get("title", ""),
                "text": message.fields.get("text", ""),
                "link": message.fields.get("link"),
                "at": message.decided_at.isoformat(),
            }
            for message in messages
        ]
        try:
            connection = self._engine.connect()
        except (sa.exc.OperationalError, sa.exc.TimeoutError) as error:  # no byte has left
            raise Unreached(f"inbox: the database cannot be reached ({type(error).__name__})") from None
        try:
            with connection, connection.begin():
                kept = connection.execute(self._keep(messages=rows, days=self._days)).all()
        except sa.exc.DBAPIError as error:  # the commit may have happened
            raise Unanswered(f"inbox: {scrubbed(error)}") from None
        return [
            Receipt(str(row.attempt_id), "accepted", str(row.message_id) if row.message_id else None, status_code=201)
            for row in kept
        ]

    def close(self) -> None:
        """Let go of connections."""
        self._engine.dispose()
