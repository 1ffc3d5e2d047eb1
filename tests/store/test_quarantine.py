"""Quarantine: nothing is lost, and what is replayed is as if it had been right from the start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from tasks.rules.errors import GateError
from tasks.rules.reports import whatsapp_name
from tasks.store import quarantine
from tasks.store.quarantine import Choice
from tasks.store.queries import Queries
from tests.store.conftest import OneTransaction
from tests.store.landing import AS_OF, ENTITIES, KEY, good, load, rows

BOOKKEEPING = ("load_id", "contact_derived_at", "changed_at")


@pytest.fixture
def database(undone: OneTransaction) -> OneTransaction:
    """An empty database; what a test does is undone."""
    return undone


def waiting(database: OneTransaction) -> list[dict[str, Any]]:
    """Lines that wait in quarantine."""
    return [row for row in rows(database, "raw.quarantine") if row["replayed_at"] is None]


def test_lines_replayed_with_corrected_values_give_the_state_of_a_clean_load(
    database: OneTransaction, queries: Queries
) -> None:
    bad = {
        "purchases": [
            good("purchases", amount="x"), good("purchases", order_id="o2"),
            good("purchases", order_id="o3", amount="1"), good("purchases", order_id="o3", amount="y"),
        ],
        "consents": [good("consents", status="maybe")],
    }  # fmt: skip
    right = {"x": "12.50", "y": "2", "maybe": "granted"}
    load(database, queries, "customers", [good("customers")])
    for entity, lines in bad.items():
        load(database, queries, entity, lines, group="order_id" if entity == "purchases" else None)
    blocked = rows(database, "core.consent_blocks")
    corrections = {}
    for row in waiting(database):
        fixed = {name: right[value] for name, value in row["fields"].items() if value in right}
        if fixed:
            corrections[row["quarantine_id"]] = fixed

    answers = quarantine.replay(database.connection, queries, KEY, Choice(tuple(corrections)), corrections=corrections)

    assert [(answer.counts.lines_in, answer.counts.accepted) for answer in answers] == [(3, 3), (1, 1)]
    assert waiting(database) == []
    assert (len(blocked), rows(database, "core.consent_blocks")) == (1, [])
    stored = [(row["order_id"], str(row["amount"])) for row in rows(database, "core.purchases")]
    assert stored == [("o1", "12.50"), ("o2", "12.50"), ("o3", "3.00")]
    assert rows(database, "core.consents")[0]["status"] == "granted"
    assert [row["number"] for row in rows(database, "core.purchase_days")] == [1]


def test_an_id_of_whatsapp_that_a_correction_brings_is_named_as_any_other(
    database: OneTransaction, queries: Queries
) -> None:
    load(database, queries, "messages", [good("messages", message_id=None)])
    [line] = waiting(database)
    fixed = {line["quarantine_id"]: {"message_id": "wamid.HBgLMTY1MDM4Nzk0MzkVAgA="}}

    quarantine.replay(database.connection, queries, KEY, Choice(tuple(fixed)), corrections=fixed)

    names = [row["message_id"] for row in rows(database, "core.messages")]
    assert names == [whatsapp_name(KEY, "wamid.HBgLMTY1MDM4Nzk0MzkVAgA=")]


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_replayed_line_of_any_entity_equals_one_that_came_right(
    database: OneTransaction, queries: Queries, entity: str
) -> None:
    at = next(name for name in good(entity) if name.endswith("_at"))
    if entity != "customers":
        load(database, queries, "customers", [good("customers")])
    outer = database.connection.begin_nested()
    load(database, queries, entity, [good(entity)])
    clean = rows(database, f"core.{entity}", *BOOKKEEPING)
    outer.rollback()
    load(database, queries, entity, [good(entity, **{at: "2026-02-30"})])
    number = waiting(database)[0]["quarantine_id"]

    fixed = {number: {at: good(entity)[at]}}
    quarantine.replay(database.connection, queries, KEY, Choice((number,)), corrections=fixed)

    assert rows(database, f"core.{entity}", *BOOKKEEPING) == clean


@pytest.mark.parametrize("wordings", [("one", "two"), ("two", "one")])
def test_a_consent_dated_ahead_of_its_load_that_is_contradicted_can_be_replayed(
    database: OneTransaction, queries: Queries, wordings: tuple[str, str]
) -> None:
    load(database, queries, "customers", [good("customers")])
    for wording in wordings:
        load(database, queries, "consents", [good("consents", occurred_at="2026-06-01T00:03:00Z", wording=wording)])
    [row] = waiting(database)
    assert "known_at" not in row["fields"]

    quarantine.replay(database.connection, queries, KEY, Choice((row["quarantine_id"],)))

    assert [row["reason"] for row in waiting(database)] == ["conflicting_version"]


def test_a_line_that_fails_again_waits_again_with_the_reason_of_today(
    database: OneTransaction, queries: Queries
) -> None:
    load(database, queries, "customers", [good("customers")])
    load(database, queries, "consents", [good("consents", status="maybe")])
    number = waiting(database)[0]["quarantine_id"]

    quarantine.replay(
        database.connection, queries, KEY, Choice((number,)),
        corrections={number: {"status": "granted", "occurred_at": "never"}},
    )  # fmt: skip

    assert [row["reason"] for row in waiting(database)] == ["not_a_timestamp"]
    assert len(rows(database, "core.consent_blocks")) == 1


def test_a_line_that_could_not_be_split_keeps_its_reason(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "purchases", [{"raw": "o1,c", "broken": "truncated_line"}])

    quarantine.replay(database.connection, queries, KEY, Choice())

    assert [(row["reason"], row["raw"]) for row in waiting(database)] == [("truncated_line", "o1,c")]


def test_a_source_that_learnt_its_zone_is_read_with_it(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "purchases", [good("purchases", purchased_at="2026-05-01 10:00:00")])

    quarantine.replay(
        database.connection, queries, KEY, Choice(reason="naive_timestamp"), zones={"test": "Europe/Berlin"}
    )

    assert rows(database, "core.purchases")[0]["purchased_at"].hour == 8


def test_the_mapping_of_today_is_applied_to_kept_columns(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "purchases", [good("purchases", status="bezahlt")])

    quarantine.replay(
        database.connection, queries, KEY, Choice(source="test"), renew=lambda _, kept: dict(kept) | {"status": "paid"}
    )

    assert rows(database, "core.purchases")[0]["status"] == "paid"


def test_a_purchase_from_the_future_is_believed_when_its_time_has_come(
    database: OneTransaction, queries: Queries
) -> None:
    load(database, queries, "purchases", [good("purchases", purchased_at="2026-06-02T00:00:00Z")])

    early = quarantine.replay(database.connection, queries, KEY, Choice(), as_of=AS_OF)
    late = quarantine.replay(database.connection, queries, KEY, Choice(), as_of=AS_OF.replace(day=3))

    assert (early[0].counts.quarantined, late[0].counts.accepted) == (1, 1)


def test_a_generated_key_survives_quarantine(database: OneTransaction, queries: Queries) -> None:
    line = good("purchases", order_id=None, currency="XXY") | {"raw": "same"}
    load(database, queries, "purchases", [line, dict(line)], key="generated")

    for row in waiting(database):  # one by one: each keeps its own place among identical lines
        number = row["quarantine_id"]
        quarantine.replay(
            database.connection, queries, KEY, Choice((number,)), corrections={number: {"currency": "EUR"}}
        )

    assert len(rows(database, "core.purchases")) == 2


def test_the_list_shows_nothing_of_what_stands_in_a_line(database: OneTransaction, queries: Queries) -> None:
    line = good("customers", customer_id="canary-id", email="canary@example.com", updated_at="canary-stamp")
    load(database, queries, "customers", [line])

    listed = quarantine.listing(database.connection, queries, Choice(), at_most=10)

    assert [(row["reason"], row["column_name"], row["total"]) for row in listed] == [
        ("not_a_timestamp", "updated_at", 1)
    ]
    assert "canary" not in repr(listed)
    shown = quarantine.show(database.connection, queries, listed[0]["quarantine_id"])
    assert json.loads(shown["raw"]) == line


def test_asking_for_lines_that_do_not_wait_is_refused(database: OneTransaction, queries: Queries) -> None:
    with pytest.raises(ConfigError, match=r"998: is not waiting in quarantine.*\n.*999: is not waiting"):
        quarantine.replay(database.connection, queries, KEY, Choice((999, 998)))
    with pytest.raises(ConfigError, match="999: no such line in quarantine"):
        quarantine.show(database.connection, queries, 999)


def test_a_correction_of_an_unknown_column_is_refused(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "purchases", [good("purchases", amount="x")])
    number = waiting(database)[0]["quarantine_id"]

    with pytest.raises(GateError, match="has no column amonut"):
        quarantine.replay(database.connection, queries, KEY, Choice((number,)), corrections={number: {"amonut": "1"}})


def test_every_fault_of_a_corrections_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "fixed.jsonl"
    file.write_text('{"quarantine_id": 1, "amount": "2"}\n\n{\n{"amount": "1"}\n{"quarantine_id": "2", "amount": 3}\n')

    with pytest.raises(ConfigError) as raised:
        quarantine.read_corrections(file)

    assert [problem.where.rpartition(":")[2] for problem in raised.value.problems] == ["3", "4", "5"]
