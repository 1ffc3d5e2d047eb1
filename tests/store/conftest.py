"""What the tests of the store share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from tasks.store.engine import Database
from tasks.store.queries import Queries


@pytest.fixture(scope="session")
def queries() -> Queries:
    """Every SQL file, read and checked."""
    return Queries.load()


@dataclass(frozen=True)
class OneTransaction:
    """A database whose every transaction is the same one, so that a test may be undone in a moment."""

    connection: sa.Connection

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """The one transaction; its end comes with the test's."""
        yield self.connection


@pytest.fixture(scope="session")
def shared_database(make_database: Callable[..., Database]) -> Database:
    """One migrated and empty database for all tests that undo what they do."""
    return make_database()


@pytest.fixture
def undone(shared_database: Database) -> Iterator[OneTransaction]:
    """The shared database within a transaction that is rolled back at the end of the test."""
    with shared_database.engine.connect() as connection:
        outer = connection.begin()
        yield OneTransaction(connection)
        outer.rollback()
