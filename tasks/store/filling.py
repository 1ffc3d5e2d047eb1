"""An empty table filled at once: indexes are built by sorting afterwards, which is half the work of a first load."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa

from tasks.store.queries import Queries

# A sample of so many rows per unit of the target; autovacuum takes a full one once the table has settled.
_SMALL_SAMPLE = 10
# Fewer rows mislead nobody for the minute until autovacuum has seen them.
_FEW_ROWS = 1000


@contextlib.contextmanager
def emptied(connection: sa.Connection, queries: Queries, relation: str) -> Iterator[None]:
    """A table of `core` that holds no rows, without its indexes and keys; they are made again at the end of the block.

    A table emptied in the transaction that fills it needs no write-ahead log where the server keeps a minimal one.
    """
    indexes = connection.execute(queries["core/table_indexes"](relation=relation)).mappings().all()
    connection.execute(sa.text(f"truncate core.{relation}"))
    for index in indexes:
        connection.execute(sa.text(index["drop"]))
    yield
    connection.execute(sa.text("set local maintenance_work_mem = '64MB'"))
    for index in indexes:
        connection.execute(sa.text(index["create"]))
    sampled(connection, f"core.{relation}")


def grown(connection: sa.Connection, queries: Queries, table: str, rows: int) -> None:
    """Tell the planner about a table that just got so many rows, where it counts on less than half of them.

    What reads it next may come before autovacuum does, and would take it for empty.
    """
    if rows >= _FEW_ROWS and rows > 2 * connection.execute(queries["core/table_rows"](relation=table)).scalar_one():
        sampled(connection, table)


def sampled(connection: sa.Connection, table: str) -> None:
    """Tell the planner about a table nobody has analysed yet, from a small sample; whoever is at it does the same."""
    connection.execute(sa.text(f"set local default_statistics_target = {_SMALL_SAMPLE}"))
    connection.execute(sa.text(f"analyze (skip_locked) {table}"))
    connection.execute(sa.text("set local default_statistics_target to default"))
