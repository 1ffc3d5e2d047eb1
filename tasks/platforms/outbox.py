"""An ad platform that keeps its audiences in this database, over its own connection, as a foreign one would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import sqlalchemy as sa

from tasks.platforms.base import Outcome, Person, Size, Taken
from tasks.rules.errors import Busy, Unanswered
from tasks.store.engine import scrubbed
from tasks.store.queries import Queries
from tasks.store.workspace import Workspace


class OutboxPlatform:
    """Stands for the ad platform it is opened for; notes every call it takes."""

    page: ClassVar[int] = 10_000

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

    def find(self, name: str) -> str:
        """The outbox knows every audience by its name."""
        return name

    def create(self, name: str, first: Sequence[Person]) -> str:
        """Nothing has to be made."""
        del first
        return name

    def add(self, audience: str, people: Sequence[Person]) -> Taken:
        """Put people into an audience; who is in stays in."""
        return self._call("add", audience, people)

    def remove(self, audience: str, people: Sequence[Person]) -> Taken:
        """Take people out of an audience; who is out stays out."""
        return self._call("remove", audience, people)

    def ask(self, request: str) -> Outcome:
        """Everything is settled at once."""
        del request
        return Outcome("done")

    def size(self, audience: str) -> Size:
        """As many people as are in it."""
        try:
            with self._engine.connect() as connection:
                asked = self._queries["ledger/outbox_audience_size"](platform=self._platform, audience=audience)
                people = connection.execute(asked).scalar_one()
        except sa.exc.DBAPIError as error:
            raise Busy(f"outbox: cannot be reached ({scrubbed(error)})") from None
        return Size(people, people, None, is_usable=True)

    def close(self) -> None:
        """Let go of the connection."""
        self._engine.dispose()

    def _call(self, verb: str, audience: str, people: Sequence[Person]) -> Taken:
        # one row a person: by their email, else by their phone number
        identities = [person.get("email") or person["phone"] for person in people]
        where = {"platform": self._platform, "audience": audience}
        try:
            connection = self._engine.connect()
        except sa.exc.OperationalError as error:  # no byte has left
            raise Busy(f"outbox: cannot be reached ({scrubbed(error)})") from None
        try:
            with connection, connection.begin():
                connection.execute(self._queries["ledger/outbox_audience_call"](verb=verb, people=len(people), **where))
                connection.execute(self._queries[f"ledger/outbox_audience_{verb}"](identities=identities, **where))
        except sa.exc.DBAPIError as error:  # the commit may have happened
            raise Unanswered(f"outbox: {scrubbed(error)}") from None
        return Taken()
