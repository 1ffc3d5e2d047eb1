"""Facts go after their period, and a source that delivers everything again brings none of them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.store import gate, retention
from tasks.store.gate import Counts
from tasks.store.workspace import Workspace
from tests.evaluation_world import World, write_campaign
from tests.store.landing import good, land

AS_OF = datetime(2028, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
OLD, FRESH = (AS_OF - 401 * DAY).isoformat(), (AS_OF - 399 * DAY).isoformat()


@pytest.fixture
def work(tmp_path: Path, make_workspace: Callable[..., Workspace]) -> Workspace:
    """Facts that have a period are kept for 400 days, and one customer is known."""
    write_campaign(tmp_path / "campaigns", "alpha")
    (tmp_path / "reengage.yaml").write_text("retention: {ledger: 400, events: 400, visits: 400, push_tokens: 400}\n")
    work = make_workspace(config=tmp_path, mode="simulated")
    bring(work, "customers", good("customers"))
    return work


def bring(work: Workspace, entity: str, *lines: Any, **options: Any) -> Counts:
    key = work.settings.suppression_key.get_secret_value()
    with work.database.transaction() as connection:
        load_id = land(connection, entity, list(lines), as_of=AS_OF, **options)
        gate.check(connection, work.queries, load_id, key)
        return gate.merge(connection, work.queries, load_id, key)


def rows(work: Workspace, statement: str, **values: Any) -> list[Mapping[str, Any]]:
    with work.database.transaction() as connection:
        return [dict(row) for row in connection.execute(sa.text(statement), values).mappings()]


def left(work: Workspace, entity: str) -> set[str]:
    with work.database.transaction() as connection:
        return set(connection.execute(sa.text(f"select {entity[:-1]}_id from core.{entity}")).scalars())


def age(work: Workspace, kind: str) -> int:
    return retention.delete(work, AS_OF)[kind]


def event(name: str, at: str, **changed: str) -> Mapping[str, str]:
    return good("events", event_id=name, occurred_at=at, **changed)


def visit(name: str, at: str, **changed: str) -> Mapping[str, str]:
    return good("visits", visit_id=name, viewed_at=at, **changed)


@pytest.mark.parametrize(("entity", "line"), [("events", event), ("visits", visit)])
def test_what_is_older_than_its_period_goes_and_does_not_come_back_with_the_next_export(
    work: Workspace, entity: str, line: Callable[..., Mapping[str, str]]
):
    export = [line("old", OLD), line("fresh", FRESH)]
    bring(work, entity, *export)

    assert age(work, entity) == 1
    assert left(work, entity) == {"fresh"}

    again = bring(work, entity, *export, line("late", OLD), line("new", AS_OF.isoformat()))

    assert left(work, entity) == {"fresh", "new"}
    assert (again.accepted, again.duplicate) == (1, 3)
    assert again.report["reasons"] == {"repeated": 1, "too_old": 2}
    assert age(work, entity) == 0


@pytest.mark.parametrize(("entity", "line"), [("events", event), ("visits", visit)])
def test_as_long_as_nothing_was_deleted_a_first_load_may_be_as_old_as_it_likes(
    work: Workspace, entity: str, line: Callable[..., Mapping[str, str]]
):
    age(work, entity)

    assert bring(work, entity, line("old", OLD)).accepted == 1


def test_events_of_people_in_an_open_episode_or_with_a_conversation_stay_and_take_a_newer_version(work: Workspace):
    for name in ("open", "talks", "closed"):
        bring(work, "customers", good("customers", customer_id=name, email=f"{name}@example.com"))
        bring(work, "events", event(name, OLD, customer_id=name))
    bring(work, "conversations", good("conversations", customer_id="talks"))
    world = World()
    for name in ("open", "closed"):
        world.enrol("alpha", name, AS_OF)
    with work.database.transaction() as connection:
        world.write(connection)
        connection.execute(sa.text("update campaign.enrolments set closed_at = now() where customer_id = 'closed'"))

    assert age(work, "events") == 1

    assert left(work, "events") == {"open", "talks"}
    assert bring(work, "events", event("open", OLD, customer_id="open")).report["reasons"] == {"repeated": 1}


# ------------------------------------------------------------------------------------------------------------- devices


def device(**changed: str) -> Mapping[str, str]:
    return good("push_tokens", **({"endpoint": "x" * 40, "updated_at": OLD} | changed))


def token(work: Workspace) -> Mapping[str, Any]:
    (row,) = rows(work, "select endpoint, endpoint_hmac is not null as is_hashed, active from core.push_tokens")
    return row


GONE = {"endpoint": None, "is_hashed": True, "active": False}


@pytest.fixture
def ended(work: Workspace) -> Workspace:
    """A device that a provider reported to be gone, and whose address was deleted after its period."""
    bring(work, "push_tokens", device())
    with work.database.transaction() as connection:
        connection.execute(sa.text("update core.push_tokens set active = false"))
    assert age(work, "push_tokens") == 1
    assert token(work) == GONE
    return work


def test_addresses_of_active_devices_and_of_those_within_the_period_stay(work: Workspace):
    bring(work, "push_tokens", device(token_id="active"), device(token_id="fresh", active="false", updated_at=FRESH))

    assert age(work, "push_tokens") == 0

    assert [row["endpoint"] for row in rows(work, "select endpoint from core.push_tokens")] == ["x" * 40] * 2


@pytest.mark.parametrize("active", ["true", "false"])
def test_the_same_line_again_brings_neither_the_address_nor_the_device_back(ended: Workspace, active: str):
    again = bring(ended, "push_tokens", device(active=active))

    assert again.report["reasons"] == {"repeated": 1}
    assert token(ended) == GONE
    assert age(ended, "push_tokens") == 0


def test_a_newer_line_of_a_device_that_is_not_active_leaves_its_address_out(ended: Workspace):
    assert bring(ended, "push_tokens", device(active="false", updated_at=FRESH)).accepted == 1

    assert token(ended) == GONE


def test_an_export_without_stamps_brings_nothing_back(ended: Workspace):
    line = device(active="false", updated_at=AS_OF.isoformat())

    assert bring(ended, "push_tokens", line, content_excludes=["updated_at"]).report["reasons"] == {"repeated": 1}


def test_a_device_that_is_registered_anew_is_active_with_its_address(ended: Workspace):
    bring(ended, "push_tokens", device(updated_at=FRESH))

    assert token(ended) == {"endpoint": "x" * 40, "is_hashed": False, "active": True}


def test_another_address_under_the_same_stamp_wins_over_nothing_that_cannot_be_read_any_more(ended: Workspace):
    assert bring(ended, "push_tokens", device(endpoint="y" * 40)).report["reasons"] == {"conflicting_version": 1}

    assert token(ended) == GONE
