"""An ad platform that keeps its audiences in this database, over its own connection, as a foreign one would."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from tasks.rules.errors import Busy, Unanswered
from tasks.store.engine import scrubbed
from tasks.store.queries import Queries
from tasks.store.workspace import Workspace


class OutboxPlatform:
    """Stands for the ad platform it is opened for; notes every call it takes."""

    def __init__(self, url: sa.URL, queries: Queries, platform: str, *, timeout: float = 20) -> None:
        self._queries = queries
        self._platform = platform
        limits = f"-c timezone=UTC -c statement_timeout={int(timeout * 1000)}"
        self._engine = sa.create_engine(
            url,
            hide_parameters=True,
            pool_size=1,
            max_overflow=0,
            connect_args={"application_name": "outbox", "connect_timeout": 10, "options": limits},
        )

    @classmethod
    def open(cls, work: Workspace, platform: str) -> OutboxPlatform:
        """The outbox in the workspace's own database server."""
        return cls(work.database.url, work.queries, platform)

    def add(self, audience: str, identities: Sequence[str]) -> None:
        """Put people into an audience; who is in stays in."""
        self._call("add", audience, identities)

    def remove(self, audience: str, identities: Sequence[str]) -> None:
        """Take people out of an audience; who is out stays out."""
        self._call("remove", audience, identities)

    def close(self) -> None:
        """Let go of the connection."""
        self._engine.dispose()

    def _call(self, verb: str, audience: str, identities: Sequence[str]) -> None:
        where = {"platform": self._platform, "audience": audience}
        try:
            connection = self._engine.connect()
        except sa.exc.OperationalError as error:  # no byte has left
            raise Busy(f"outbox: cannot be reached ({scrubbed(error)})") from None
        try:
            with connection, connection.begin():
                connection.execute(
                    self._queries["ledger/outbox_audience_call"](verb=verb, people=len(identities), **where)
                )
                connection.execute(
                    self._queries[f"ledger/outbox_audience_{verb}"](identities=list(identities), **where)
                )
        except sa.exc.DBAPIError as error:  # the commit may have happened
            raise Unanswered(f"outbox: {scrubbed(error)}") from None
