"""Milestones are derived beside loads and erasures: neither waits for the other for good, and nobody comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.store import erasure, milestones, silences
from tasks.store.workspace import Workspace
from tests.chats import OPENED, at, body, message
from tests.store.landing import AT, good
from tests.store.test_milestones import bring, rows
from tests.store.test_writers import told


@pytest.fixture
def work(make_workspace: Callable[..., Workspace]) -> Workspace:
    return make_workspace()


@contextmanager
def beside(work: Workspace, do: Callable[[], Any]) -> Iterator[None]:
    """Do it in a thread that is waiting for a lock when the block begins, and has ended well after it."""
    failed: list[Exception] = []

    def trying() -> None:
        try:
            do()
        except Exception as error:  # noqa: BLE001 - told in the test
            failed.append(error)

    thread = threading.Thread(target=trying)
    thread.start()
    for _ in range(200):
        if rows(work, "select pid from pg_locks where not granted"):
            break
        time.sleep(0.05)
    else:
        pytest.fail("it waits for nothing")
    yield
    thread.join(30)
    assert not thread.is_alive()
    assert failed == []


def derived(work: Workspace, connection: sa.Connection, *reached: str) -> None:
    """What a derivation writes of all that waits, when its turn has come: these milestones for each conversation."""
    batch = connection.execute(work.queries["core/milestones_batch"](at_most=10)).all()
    ids = [row.conversation_id for row in batch]
    assert ids
    silences.begin(connection, changed=ids)
    connection.execute(
        work.queries["core/milestones_store"](
            conversations=ids,
            changes=[row.change_no for row in batch],
            reached=[
                {"conversation_id": one, "milestone": name, "milestone_at": AT} for one in ids for name in reached
            ],
        )
    )
    silences.refresh(connection, work.queries)


def test_a_load_that_tells_the_milestone_that_is_being_derived_waits_and_stands(work: Workspace) -> None:
    bring(work, "conversations", [good("conversations", ad_id="ad", milestone=None, milestone_at=None)])
    bring(work, "messages", [good("messages")])
    tells = good("conversations", ad_id="ad", updated_at="2026-05-02T00:00:00Z")

    with ExitStack() as after, work.database.transaction() as connection:
        silences.wait(connection)
        after.enter_context(beside(work, lambda: bring(work, "conversations", [tells])))
        derived(work, connection, "lead")

    assert rows(work, "select milestone, is_derived from core.milestones") == [("lead", False)]


def test_a_load_that_takes_a_conversation_away_waits_for_what_is_derived_of_it(work: Workspace) -> None:
    bring(work, "messages", told(body(message("m2", at(10)))))
    milestones.derive(work)
    bring(work, "messages", told(body(message("m3", at(11)))))

    with ExitStack() as after, work.database.transaction() as connection:
        silences.wait(connection)
        after.enter_context(beside(work, lambda: bring(work, "messages", told(body(message("m1", OPENED))))))
        derived(work, connection)

    assert rows(work, "select conversation_id from core.conversations") == [("m1",)]
    assert rows(work, "select conversation_id from core.milestones") == []


def test_what_waits_for_its_milestones_is_taken_in_the_order_in_which_loads_write_it(work: Workspace) -> None:
    for name in ("v2", "v1"):
        bring(work, "conversations", [
            good("conversations", conversation_id=name, customer_id=name, milestone=None, milestone_at=None)
        ])  # fmt: skip
    with work.database.transaction() as connection:
        connection.execute(sa.text("analyze core.conversations_changed"))
    again = sa.text("update core.conversations_changed set change_no = default where conversation_id = :name")

    def deriving() -> None:
        with work.database.transaction() as connection:
            silences.wait(connection)
            derived(work, connection, "lead")

    with ExitStack() as after, work.database.transaction() as connection:
        connection.execute(again, {"name": "v1"})
        after.enter_context(beside(work, deriving))
        connection.execute(again, {"name": "v2"})

    assert sorted(rows(work, "select conversation_id from core.conversations_changed")) == [("v1",), ("v2",)]


def test_who_is_erased_while_their_milestones_are_derived_leaves_nothing(work: Workspace) -> None:
    bring(work, "customers", [good("customers")])
    bring(work, "conversations", [good("conversations", ad_id="ad", milestone=None, milestone_at=None)])
    bring(work, "messages", [good("messages")])
    with work.database.transaction() as connection:
        begun = erasure.begin(work, connection, "c1", OPENED)
    assert isinstance(begun, erasure.Erasure)

    def clear() -> None:
        with work.database.transaction() as clearing:
            assert erasure.clear(work, clearing, begun)

    with ExitStack() as after, work.database.transaction() as connection:
        silences.wait(connection)
        after.enter_context(beside(work, clear))
        derived(work, connection, "deep_conversation")

    for table in ("conversations", "messages", "milestones", "leads", "silences_changed", "conversations_changed"):
        assert rows(work, f"select * from core.{table}") == [], table
