"""Aged rows go when their period is over, fresh ones stay, and so does whatever something open still needs."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import Retention
from flows.retain import retain as story
from flows.story import using
from tasks.store import gate, reports, retention
from tasks.store.workspace import Workspace
from tests.evaluation_world import World, insert, write_campaign
from tests.store import landing

PERIODS = dict.fromkeys(Retention.model_fields, 100) | {"ledger": 400, "events": 400}
NOW = datetime.now(UTC)
OLD, FRESH = NOW - timedelta(days=101), NOW - timedelta(days=99)
FINAL, OPEN = "accepted", "unknown"


@pytest.fixture
def work(tmp_path: Path, make_workspace: Callable[..., Workspace]) -> Workspace:
    """Everything is kept for a hundred days, the ledger and what it is measured by for four hundred."""
    write_campaign(tmp_path / "campaigns", "alpha")
    periods = ", ".join(f"{kind}: {days}" for kind, days in PERIODS.items())
    (tmp_path / "reengage.yaml").write_text(f"retention: {{{periods}}}\n")
    return make_workspace(config=tmp_path, mode="simulated")


def rows(work: Workspace, statement: str, **values: Any) -> list[Mapping[str, Any]]:
    with work.database.transaction() as connection:
        return [dict(row) for row in connection.execute(sa.text(statement), values).mappings()]


def write(work: Workspace, table: str, *given: Mapping[str, Any]) -> None:
    with work.database.transaction() as connection:
        insert(connection, table, given)


def send(work: Workspace, state: str, *, closed: bool = True) -> str:
    """A message in some state; answers its key."""
    world, name = World(), f"c{uuid.uuid4().hex[:8]}"
    world.customer(name)
    sent = world.send(world.enrol("alpha", name, OLD), OLD if state == FINAL else None, state=state)
    with work.database.transaction() as connection:
        enrolments = connection.execute(sa.text("select coalesce(max(enrolment_id), 0) from campaign.enrolments"))
        number = enrolments.scalar_one() + 1
        for row in (*world.sends, *world.decisions):
            row["enrolment_id"] = number
        runs = connection.execute(sa.text("select count(*) from campaign.runs")).scalar_one()
        world.enrolments[0]["run_id"] = runs + 1
        world.write(connection)
        if closed:
            connection.execute(sa.text("update campaign.enrolments set closed_at = enrolled_at"))
    return sent["send_key"]


def attempt(work: Workspace, key: str, started_at: datetime) -> str:
    number = str(uuid.uuid4())
    write(work, "campaign.attempts", {
        "attempt_id": number, "send_key": key, "attempt_no": 1, "batch_id": number, "channel": "email",
        "provider": "outbox", "payload_sha256": "", "address_hmac": "", "decided_at": started_at,
        "started_at": started_at, "outcome": "accepted",
    })  # fmt: skip
    return number


def event(work: Workspace, received_at: datetime, attempt_id: str | None = None, **changed: Any) -> str:
    key = uuid.uuid4().hex
    given = {"settled_at": received_at, "applied_at": received_at} | changed
    write(work, "campaign.provider_events", {
        "provider": "outbox", "event_key": key, "attempt_id": attempt_id, "kind": "opened",
        "occurred_at": received_at, "received_at": received_at, **given,
    })  # fmt: skip
    return key


def left(work: Workspace, table: str, column: str) -> set[Any]:
    return {row[column] for row in rows(work, f"select {column} from {table}")}


def test_quarantined_lines_go_unless_they_still_count_as_a_withdrawal(work: Workspace):
    with work.database.transaction() as connection:
        load_id = landing.land(connection, "consents", [])
    line = {"load_id": load_id, "source": "s", "entity": "consents", "raw": "", "fields": {}, "reason": "r"}
    write(
        work, "raw.quarantine", *(line | {"line_no": n, "first_seen_at": at} for n, at in enumerate((OLD, FRESH, OLD)))
    )
    write(work, "core.consent_blocks", {"quarantine_id": 3, "customer_id": "c"})

    counts = retention.delete(work, NOW)

    assert counts["quarantine"] == 1
    assert left(work, "raw.quarantine", "line_no") == {1, 2}


def test_parked_lines_go(work: Workspace):
    with work.database.transaction() as connection:
        load_id = landing.land(connection, "events", [])
    line = {"load_id": load_id, "entity": "events", "customer_id": "c", "raw": "", "fields": {}}
    write(work, "raw.parked", *(line | {"line_no": n, "parked_at": at} for n, at in enumerate((OLD, FRESH))))

    retention.delete(work, NOW)

    assert left(work, "raw.parked", "line_no") == {1}


def test_lines_of_loads_that_were_never_merged_go_unless_somebody_must_still_decide(work: Workspace):
    with work.database.transaction() as connection:
        loads = [landing.land(connection, "customers", [landing.good("customers")]) for _ in range(3)]
        gate.check(connection, work.queries, loads[0], "key")
        for load_id, at in zip(loads, (OLD, FRESH, OLD), strict=True):
            connection.execute(
                sa.text("update raw.loads set landed_at = :at, state = 'held' where load_id = :id"),
                {"at": at, "id": load_id},
            )
    write(work, "campaign.holds", {"campaign": "alpha", "load_id": loads[2], "reason": "gate"})

    retention.delete(work, NOW)

    tables = left(work, "pg_tables", "tablename")
    assert not {f"customers_{loads[0]}", f"checked_{loads[0]}"} & tables
    assert {f"customers_{loads[1]}", f"customers_{loads[2]}"} <= tables
    assert [row["state"] for row in rows(work, "select state from raw.loads order by load_id")] == [
        "failed",
        "held",
        "held",
    ]


def test_page_views_go_but_for_people_in_an_open_episode(work: Workspace):
    write(work, "core.customers", {"customer_id": "closed"}, {"customer_id": "open"})
    send(work, FINAL, closed=False)
    with work.database.transaction() as connection:
        connection.execute(sa.text("update campaign.enrolments set customer_id = 'open'"))
    view = {"session_id": "s", "page_url": "/", "load_id": 1}
    write(work, "core.visits", *(
        view | {"visit_id": f"{who}{n}", "customer_id": who, "viewed_at": at}
        for who in ("closed", "open", None) for n, at in enumerate((OLD, FRESH))
    ))  # fmt: skip

    retention.delete(work, NOW)

    assert left(work, "core.visits", "visit_id") == {"closed1", "open0", "open1", "None1"}


def test_reports_go_once_they_have_taken_effect_and_what_became_of_the_message_stays(work: Workspace):
    done, doubtful = attempt(work, send(work, FINAL), OLD), attempt(work, send(work, OPEN), OLD)
    key = rows(work, "select send_key from campaign.attempts")[0]["send_key"]
    write(work, "campaign.message_reports", {"send_key": key, "opened_at": OLD})
    event(work, OLD, done)
    kept = {
        event(work, FRESH, done), event(work, OLD, doubtful), event(work, OLD, done, settled_at=None),
        event(work, OLD, None, applied_at=None),
    }  # fmt: skip

    retention.delete(work, NOW)

    assert left(work, "campaign.provider_events", "event_key") == kept
    assert len(rows(work, "select * from campaign.message_reports")) == 1


def test_a_report_that_comes_when_its_attempt_is_gone_goes_with_its_period_too(work: Workspace):
    event(work, OLD, str(uuid.uuid4()), settled_at=None, applied_at=None)

    with work.database.transaction() as connection:
        reports.catch_up(connection, work.queries, key="key")

    assert retention.delete(work, NOW)["provider_events"] == 1


@pytest.mark.parametrize(
    "state", ["accepted", "rejected", "abandoned", "planned", "in_flight", "retry_wait", "unknown"]
)
def test_attempts_go_when_their_message_has_ended_and_the_ledger_stays(work: Workspace, state: str):
    attempt(work, send(work, state), OLD)

    retention.delete(work, NOW)

    is_open = state in ("planned", "in_flight", "retry_wait", "unknown")
    assert len(rows(work, "select * from campaign.attempts")) == int(is_open)
    assert len(rows(work, "select * from campaign.sends")) == 1


def test_an_attempt_within_its_period_stays(work: Workspace):
    attempt(work, send(work, FINAL), FRESH)

    retention.delete(work, NOW)

    assert len(rows(work, "select * from campaign.attempts")) == 1


def test_an_attempt_that_a_report_still_asks_for_stays(work: Workspace):
    number = attempt(work, send(work, FINAL), OLD)
    event(work, FRESH, number)

    retention.delete(work, NOW)

    assert len(rows(work, "select * from campaign.attempts")) == 1


def test_replies_go_when_they_were_read_and_hold_nobody(work: Workspace):
    reply = {"provider": "whatsapp_cloud", "channel": "whatsapp", "occurred_at": OLD}
    write(work, "campaign.replies", *(
        reply | {"reply_id": name, "received_at": at, "verdict": verdict, "resolved_at": resolved}
        for name, at, verdict, resolved in (
            ("old", OLD, "stop", None), ("resolved", OLD, "unclear", OLD), ("fresh", FRESH, "stop", None),
            ("unread", OLD, None, None), ("unclear", OLD, "unclear", None),
        )
    ))  # fmt: skip

    retention.delete(work, NOW)

    assert left(work, "campaign.replies", "reply_id") == {"fresh", "unread", "unclear"}


def test_messages_of_inbox_and_outbox_go_but_for_those_in_doubt(work: Workspace):
    done, doubtful = send(work, FINAL), send(work, OPEN)
    for name, key, at in (("old", done, OLD), ("doubt", doubtful, OLD), ("fresh", "other", FRESH)):
        write(work, "campaign.inbox_messages", {
            "send_key": key, "attempt_id": str(uuid.uuid4()), "customer_id": name, "campaign": "alpha", "title": "t",
            "text": "t", "created_at": at - timedelta(days=1), "expires_at": at,
        })  # fmt: skip
        write(work, "outbox.messages", {
            "attempt_id": name, "send_key": key, "channel": "email", "address": name, "content": {}, "received_at": at
        })  # fmt: skip

    retention.delete(work, NOW)

    assert left(work, "campaign.inbox_messages", "customer_id") == {"doubt", "fresh"}
    assert left(work, "outbox.messages", "address") == {"doubt", "fresh"}


def test_many_rows_go_in_batches_and_what_is_too_much_for_one_run_goes_with_the_next(work: Workspace):
    message = {"send_key": "k", "channel": "email", "address": "a", "content": {}, "received_at": OLD}
    write(work, "outbox.messages", *(message | {"attempt_id": str(number)} for number in range(25)))

    first = retention.delete(work, NOW, batch=5, most_batches=3)
    second = retention.delete(work, NOW, batch=5, most_batches=3)

    assert (first["outbox"], second["outbox"]) == (15, 10)


def test_a_period_of_null_keeps_everything(tmp_path: Path, make_workspace: Callable[..., Workspace]):
    (tmp_path / "reengage.yaml").write_text("retention: {outbox: null}\n")
    work = make_workspace(config=tmp_path, mode="simulated")
    write(work, "outbox.messages", {
        "attempt_id": "a", "send_key": "k", "channel": "email", "address": "a", "content": {},
        "received_at": NOW - timedelta(days=9999),
    })  # fmt: skip

    counts = retention.delete(work, NOW)

    assert "outbox" not in counts
    assert len(rows(work, "select * from outbox.messages")) == 1


def test_every_kind_of_the_configuration_is_deleted_by_something():
    assert set(Retention.model_fields) == retention.STATEMENTS.keys()


def test_the_flow_says_what_it_deleted(work: Workspace):
    write(work, "outbox.messages", {
        "attempt_id": "a", "send_key": "k", "channel": "email", "address": "a", "content": {}, "received_at": OLD
    })  # fmt: skip

    with using(work):
        counts = story.fn(NOW)

    assert counts["outbox"] == 1
