"""What the planner knows of a table right after a load made it grow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from tasks.store import filling
from tasks.store.workspace import Workspace


def _told(connection: sa.Connection) -> float:
    return connection.execute(
        sa.text("select reltuples from pg_class where oid = cast('core.events' as regclass)")
    ).scalar_one()


def _add(connection: sa.Connection, first: int, last: int) -> None:
    connection.execute(
        sa.text(
            "insert into core.events (event_id, customer_id, name, occurred_at, load_id) "
            "select 'e' || n, 'c' || n, 'visit', timestamptz '2026-01-01', 0 from generate_series(:first, :last) as n"
        ),
        {"first": first, "last": last},
    )


@pytest.mark.parametrize(
    ("known", "new", "is_counted"),
    [(0, 999, False), (0, 1000, True), (2000, 3000, False), (2000, 4001, True)],
)
def test_a_table_is_counted_again_once_most_of_it_is_new(
    make_workspace: Callable[..., Workspace], known: int, new: int, is_counted: bool
):
    work = make_workspace()
    with work.database.transaction() as connection:
        _add(connection, 1, known)
        connection.execute(sa.text("analyze core.events"))
        before = _told(connection)
        _add(connection, known + 1, known + new)

        filling.grown(connection, work.queries, "core.events", new)

        assert before == known
        assert _told(connection) == (known + new if is_counted else known)
