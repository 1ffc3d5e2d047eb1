"""A day through a real Prefect server: what the data team sees there, and what nobody may see there."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from prefect.client.orchestration import get_client

from flows.dispatch import dispatch
from flows.evaluate import evaluate
from tasks import start
from tests.flows.conftest import CANARY, Played

SEEN_WITHIN = 60.0


@pytest.fixture(scope="module")
def seen(played: Played) -> dict[str, Any]:
    """What the server knows once everything of the day has reached it."""
    deadline = time.monotonic() + SEEN_WITHIN
    while True:
        with get_client(sync_client=True) as client:
            flows = {run.id: run for run in client.read_flow_runs() if not run.auto_scheduled}
            tasks = client.read_task_runs(limit=200)
            artifacts = client._client.post("/artifacts/filter", json={"limit": 200}).json()
        ended = [task for task in tasks if task.state and task.state.is_final()]
        if {task.name for task in ended} >= {"measure campaigns", "send due messages", "sync audiences"}:
            return {"flows": list(flows.values()), "tasks": ended, "artifacts": artifacts}
        assert time.monotonic() < deadline, sorted(task.name for task in ended)
        time.sleep(0.5)


def test_each_flow_ran_once_and_completed_under_the_name_of_what_it_was_about(seen: dict[str, Any]):
    of_that_day = [run for run in seen["flows"] if " as of 2026-06-01" in run.name]  # others share the server

    assert sorted((run.name, run.state_name) for run in of_that_day) == [
        ("dispatch as of 2026-06-01 22:00", "Completed"),
        ("evaluate as of 2026-06-01 22:00", "Completed"),
        ("ingest all as of 2026-06-01 05:30", "Completed"),
        ("lapsing_customers as of 2026-06-01 04:00", "Completed"),
        ("partial_leads as of 2026-06-01 04:00", "Completed"),
        ("tick as of 2026-06-01 04:00", "Completed"),
    ]


def test_a_day_of_the_demo_with_every_flow_through_prefect_has_the_runs_after_the_delivery_too(seen: dict[str, Any]):
    names = sorted(run.name for run in seen["flows"] if " as of 2026-06-02" in run.name)

    assert names == [
        "dispatch as of 2026-06-02 22:00",
        "evaluate as of 2026-06-02 22:00",
        "ingest all as of 2026-06-02 05:30",
        "lapsing_customers as of 2026-06-02 04:00",
        "partial_leads as of 2026-06-02 04:00",
        "partial_leads as of 2026-06-02 05:30",
        "tick as of 2026-06-02 04:00",
        "tick as of 2026-06-02 05:30",
    ]


def test_steps_are_task_runs_with_readable_names_and_tags(seen: dict[str, Any]):
    tags = {task.name: set(task.tags) for task in seen["tasks"]}

    assert {"ask which campaigns are due", "start lapsing_customers", "pull shop_orders", "choose members",
            "plan messages", "sync audiences", "send due messages", "measure campaigns"} <= set(tags)  # fmt: skip
    assert "send" in tags["send due messages"]
    assert "ingest" in tags["pull shop_orders"]


def test_what_sends_is_never_repeated_by_prefect(seen: dict[str, Any]):
    retries = {(task.name, "send" in task.tags, task.empirical_policy.retries) for task in seen["tasks"]}

    assert {told for told in retries if told[1]} == {("send due messages", True, 0), ("settle doubts", True, 0)}
    assert ("plan messages", False, 2) in retries


def test_the_table_of_an_ingest_tells_what_its_loads_report(seen: dict[str, Any]):
    rows = [
        row
        for artifact in seen["artifacts"]
        if artifact["key"] == "ingest-shop-orders" and artifact["type"] == "table"
        for row in json.loads(artifact["data"])
    ]

    assert [row["reported"] for row in rows if row["reported"].startswith("orders: ")]


def test_the_table_of_a_sync_tells_who_came_and_who_went_by_the_name_of_the_audience(seen: dict[str, Any]):
    rows = [
        row
        for artifact in seen["artifacts"]
        if artifact["key"] == "audiences" and artifact["type"] == "table"
        for row in json.loads(artifact["data"])
    ]

    assert {(row["campaign"], row["audience"]) for row in rows} == {("lapsing_customers", "lapsing_customers")}
    assert {row["platform"] for row in rows} == {"meta", "tiktok", "google"}
    assert sum(row["added"] for row in rows) > 0
    assert all(isinstance(row[verb], int) for row in rows for verb in ("added", "removed"))


def test_artifacts_hold_counts_for_every_step_of_the_way(seen: dict[str, Any]):
    keys = {artifact["key"] for artifact in seen["artifacts"]}

    assert {"due-campaigns", "chosen-lapsing-customers", "planned-lapsing-customers", "dispatch", "audiences",
            "evaluation"} <= keys  # fmt: skip
    assert any(key.startswith("validation-") for key in keys)


def test_nothing_prefect_stores_names_a_person(played: Played, seen: dict[str, Any]):
    with played.work.database.transaction() as connection:
        reached = connection.execute(
            sa.select(sa.column("address")).select_from(sa.table("messages", schema="outbox"))
        ).scalars().all()  # fmt: skip
    canaries = {word.lower() for word in (*CANARY.values(), *reached)}

    rows = [row.lower() for row in played.prefect.rows()]
    leaked = [row[:300] for row in rows for word in canaries if word in row]

    assert CANARY["email"] in reached
    assert seen["tasks"]
    assert any("lapsing_customers: looked at everybody" in row for row in rows)
    assert leaked == []


def test_nothing_our_own_tables_for_readers_hold_names_a_person(played: Played):
    with played.work.database.transaction() as connection:
        tables = [
            sa.table(name, schema="evaluation")
            for kind in ("get_table_names", "get_view_names")
            for name in getattr(sa.inspect(connection), kind)("evaluation")
        ]
        rows = [
            text
            for table in tables
            for text in connection.execute(sa.select(sa.cast(table.table_valued(), sa.Text))).scalars()
        ]

    assert rows
    assert [row for row in rows for word in CANARY.values() if word.lower() in row.lower()] == []


def test_a_slot_is_started_once_however_many_ticks_ask(played: Played):
    slot = datetime(2030, 1, 1, tzinfo=UTC)

    first = start.reengage("lapsing_customers", slot, slot)
    second = start.reengage("lapsing_customers", slot, slot)
    other = start.reengage("lapsing_customers", datetime(2030, 1, 2, tzinfo=UTC), slot)

    assert played
    assert first == second != other


def test_a_campaign_is_not_due_again_after_its_run(played: Played):
    morning = datetime(2026, 6, 2, 4, tzinfo=UTC)

    assert start.due(played.work, morning).slots == {}
    assert "lapsing_customers" in start.due(played.work, datetime(2026, 6, 3, 4, tzinfo=UTC)).slots


def test_a_run_that_another_one_does_ends_quietly(played: Played):
    with played.work.database.transaction() as holder:
        assert holder.execute(played.work.queries["evaluation/lock"]()).scalar_one()

        state = evaluate(as_of=datetime(2026, 6, 2, 22, tzinfo=UTC), return_state=True)

    assert (state.name, state.is_completed()) == ("Superseded", True)


def test_the_day_reached_people_and_the_same_moment_again_reaches_nobody(played: Played):
    def sent() -> int:
        with played.work.database.transaction() as connection:
            messages = sa.table("messages", schema="outbox")
            return connection.execute(sa.select(sa.func.count()).select_from(messages)).scalar_one()

    before = sent()
    dispatch.fn(as_of=datetime(2026, 6, 2, 22, tzinfo=UTC))

    assert before > 0
    assert sent() == before
