"""Every load notes of whom it changed something that may end an episode (tasks/store/changes.py, ENDINGS)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.rules.contact import guest_id
from tasks.store import changes
from tasks.store.queries import Queries
from tests.chats import OPENED, body, message
from tests.store.conftest import OneTransaction
from tests.store.landing import KEY, good, load
from tests.store.test_writers import customer, told

GUEST = guest_id(KEY, "ann@example.com")
NUMBER = "4915112345678"
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(undone: OneTransaction) -> OneTransaction:
    return undone


def noted(
    database: OneTransaction, queries: Queries, *loads: tuple[str, Sequence[Mapping[str, Any]]]
) -> tuple[set[str], list[str] | None]:
    """Whom the last of these loads notes, and what a run would hear."""
    for entity, lines in loads[:-1]:
        load(database, queries, entity, lines)
    with database.transaction() as connection:
        connection.execute(sa.text("truncate core.people_changed, core.people_filled"))
    load(database, queries, *loads[-1])
    with database.transaction() as connection:
        found = connection.execute(sa.text("select customer_id from core.people_changed")).scalars()
        return set(found), changes.changed_since(connection, queries, changes.ENDINGS, BEGINNING)


def test_whoever_bought_or_did_something(database: OneTransaction, queries: Queries) -> None:
    people, _ = noted(database, queries, ("purchases", [good("purchases"), good("purchases", order_id="o2")]))
    assert people == {"c1"}
    later = "2026-05-01T12:00:00Z"  # on a day they had bought already
    people, _ = noted(database, queries, ("purchases", [good("purchases", order_id="o3", purchased_at=later)]))
    assert people == {"c1"}
    people, _ = noted(database, queries, ("events", [good("events", customer_id="c1")]))
    assert people == {"c1"}


def test_whose_purchase_is_cancelled_by_another_row(database: OneTransaction, queries: Queries) -> None:
    cancels = good("purchases", order_id="o2", status="cancelled", cancels="o1", customer_id="c1")
    people, _ = noted(database, queries, ("purchases", [good("purchases")]), ("purchases", [cancels]))
    assert people == {"c1"}


def test_a_guest_and_the_customer_it_turned_out_to_be(database: OneTransaction, queries: Queries) -> None:
    checkout = good("checkouts", customer_id=None, email="ann@example.com")
    people, _ = noted(database, queries, ("checkouts", [checkout]), ("customers", [good("customers")]))
    assert people == {GUEST, "c1"}


def test_who_wrote_and_the_customer_it_turned_out_to_be_and_is_no_more(
    database: OneTransaction, queries: Queries
) -> None:
    wrote = ("messages", told(body(message("m1", OPENED))))
    people, _ = noted(database, queries, wrote, ("customers", [customer("C1", f"+{NUMBER}")]))
    assert people == {NUMBER, "C1"}

    people, _ = noted(database, queries, ("customers", [customer("C2", f"+{NUMBER}")]))
    assert NUMBER in people


def test_whose_conversation_has_come_further(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "customers", [good("customers")])
    with database.transaction() as connection:
        connection.execute(sa.text("truncate core.silences_changed"))
    _, heard = noted(database, queries, ("conversations", [good("conversations", milestone="qualified")]))
    assert heard == ["c1"]
