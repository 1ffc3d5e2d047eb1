"""End what a connection is doing at a deadline, from a second connection.

PostgreSQL's own statement_timeout belongs to the session, and a statement may reset it (reliability finding 6).
"""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from tasks.store.engine import Database

GRACE_SECONDS = 5


class Watchdog:
    """Cancels a connection's statement at the deadline, and ends its session when cancelling is not enough."""

    def __init__(self, database: Database, connection: sa.Connection, seconds: float) -> None:
        self.fired = False
        self._database = database
        self._session: Any = connection.connection.driver_connection
        self._seconds = seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        if self._done.wait(self._seconds):
            return
        self.fired = True
        pid = self._session.info.backend_pid
        for _ in range(GRACE_SECONDS):  # a session of several statements starts the next one when one is cancelled
            with contextlib.suppress(Exception):  # it may have ended by itself in this very moment
                self._session.cancel()
            if self._done.wait(1):
                return
        with contextlib.suppress(sa.exc.DBAPIError), self._database.alone() as second:
            second.execute(sa.select(sa.func.pg_terminate_backend(pid)))
