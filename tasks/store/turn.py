"""Work that one process at a time may do: the lock, and how long to wait for one whose holder has just died."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from tasks.store.workspace import Workspace

# The server frees what a killed process held as soon as it notices, which is after the statement it was answering:
# a restart that asks in the same instant would otherwise end as superseded by a process that is no more.
GRACE: Final = timedelta(seconds=3)
_PAUSE: Final = 0.05


@contextlib.contextmanager
def hold(work: Workspace, lock: str) -> Iterator[bool]:
    """Whether this process has the turn named `lock`, which ends with the block or with the connection."""
    queries = work.queries
    with work.database.alone() as connection:
        taken = take(connection, queries["ledger/run_try_lock"](lock=lock))
        try:
            yield taken
        finally:
            if taken:
                with contextlib.suppress(sa.exc.DBAPIError):  # the connection is gone, and the lock with it
                    connection.execute(queries["ledger/run_unlock"](lock=lock))


def take(connection: sa.Connection, ask: sa.Executable) -> bool:
    """Whether a statement that tries a lock got it, asked again until GRACE is over."""
    until = time.monotonic() + GRACE.total_seconds()
    while not (taken := connection.execute(ask).scalar_one()) and time.monotonic() < until:
        time.sleep(_PAUSE)
    return taken
