"""The page of data quality without a browser: the gate, lines set aside, freshness, every check."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tasks import measure
from tasks.store.workspace import Workspace
from tests.dashboards.looking import opened, said, tables
from tests.evaluation_world import START, insert

AS_OF = START + timedelta(days=45)
SOURCES = """
sources:
  shop:
    entity: purchases
    kind: file
    place: nowhere/*.csv
    fresh_within: 36h
    columns: {order_id: id, customer_id: who, purchased_at: at, amount: sum, currency: cur, status: st, updated_at: at}
"""


def _load(state: str, **given: Any) -> dict[str, Any]:
    return {
        "source": "shop",
        "entity": "purchases",
        "object": "x",
        "as_of": START,
        "state": state,
        "lines_in": 7,
    } | given


def test_before_any_delivery_the_page_says_so(shop: Workspace) -> None:
    assert "nothing has been delivered yet" in said(opened("data_quality"))


def test_a_delivery_that_is_held_is_told_before_and_after_the_first_evaluation(shop: Workspace) -> None:
    with shop.database.transaction() as connection:
        insert(connection, "raw.loads", [_load("held")])
    before = opened("data_quality")
    measure.campaigns(shop, AS_OF)

    for page in (before, opened("data_quality")):
        assert "Deliveries held back: 1." in said(page)
        assert tables(page)["Source"]["shop"][1] == "Held back by the data gate"
    assert "Data as of **15 April 2026, 00:00**" in said(opened("data_quality"))


def test_lines_set_aside_are_counted_by_what_is_wrong_until_they_are_mended(shop: Workspace) -> None:
    line = {
        "load_id": 1,
        "source": "shop",
        "entity": "purchases",
        "line_no": 1,
        "raw": "ann@x.io",
        "fields": {"a": "b"},
    }
    with shop.database.transaction() as connection:
        insert(connection, "raw.loads", [_load("held")])
        insert(
            connection,
            "raw.quarantine",
            [
                {**line, "reason": "unknown_status", "column_name": "status", "replayed_at": None},
                {**line, "reason": "unknown_status", "column_name": "status", "replayed_at": None},
                {**line, "reason": "field_too_long", "column_name": None, "replayed_at": None},
                {**line, "reason": "negative_amount", "column_name": "amount", "replayed_at": START},
            ],
        )

    page = opened("data_quality")

    assert tables(page)["What is wrong"] == {
        "Unknown status": ["status", "shop, purchases", "2", "1 March 2026, 00:00"],
        "Field too long": ["", "shop, purchases", "1", "1 March 2026, 00:00"],
    }
    assert "ann@x.io" not in said(page)


def test_a_source_that_was_silent_for_longer_than_it_may_is_too_old(shop: Workspace) -> None:
    (shop.settings.config / "sources.yaml").write_text(SOURCES)
    other = {"source": "elsewhere", "entity": "events"}
    with shop.database.transaction() as connection:
        connection.execute(shop.queries["ledger/mode_store"](mode="simulated"))
        insert(connection, "raw.loads", [_load("failed", as_of=AS_OF - timedelta(hours=37)), _load("failed", **other)])
    measure.campaigns(shop, AS_OF)
    old = tables(opened("data_quality"))["Delivered by"]

    with shop.database.transaction() as connection:
        insert(connection, "raw.loads", [_load("failed", as_of=AS_OF - timedelta(hours=36))])
    new = tables(opened("data_quality"))["Delivered by"]

    assert old["shop"][1:] == ["37 h", "36 h", "Too old"]
    assert new["shop"][1:] == ["36 h", "36 h", "Fresh"]
    assert old["elsewhere"][1:] == ["45 days", "any age", "Not asked"]


def test_every_check_is_listed_and_the_broken_ones_stand_first(shop: Workspace) -> None:
    check = {"load_id": 1, "source": "shop", "entity": "purchases", "severity": "critical", "as_of": START}
    with shop.database.transaction() as connection:
        insert(connection, "raw.loads", [_load("held")])
        insert(
            connection,
            "raw.validations",
            [
                {**check, "expectation": "expect_table_row_count_to_be_between", "column_name": None,
                 "outcome": "failed", "observed": "7", "expected": "at least 100"},
                {**check, "expectation": "expect_column_values_to_be_unique", "column_name": "order_id",
                 "outcome": "passed", "observed": "0 lines", "expected": "none"},
            ],
        )  # fmt: skip

    page = opened("data_quality")

    assert tables(page)["Broken expectation"] == {
        "Table row count to be between": ["shop, purchases", "", "7", "at least 100", "stops the load"]
    }
    assert tables(page)["Expectation"]["Column values to be unique"][2] == "Met"
    assert "Broken, and stops its load: 1; Met: 1." in said(page)
