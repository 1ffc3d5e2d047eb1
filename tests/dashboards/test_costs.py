"""The section on costs, without a browser: its figures, and what it says where there are none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
from streamlit.testing.v1 import AppTest

COSTS = ["step", "standing", "country", "category", "currency", "is_example", "sends", "cost"]
PER_LEAD = ["step", "currency", "cost", "leads", "cost_per_lead", "no_price"]
FREE = ("1", "free", "", "", "XXX", False, 40, Decimal(0))
EUROS = ("1", "charged", "", "", "EUR", False, 12, Decimal("2.4"))
DOLLARS = ("2", "charged", "", "", "USD", False, 1, Decimal("0.5"))
INDIA = ("2", "no_price", "IN", "marketing", "XXX", False, 3, Decimal(0))
NOBODY = ("2", "no_price", "", "", "XXX", False, 4, Decimal(0))
LOST = ("2", "not_delivered", "", "", "XXX", False, 2, Decimal(0))


def section(rows: list[tuple[Any, ...]], per_lead: list[tuple[Any, ...]]) -> AppTest:
    def shown(rows, per_lead):  # runs as a script of its own, where only what it imports has a name
        from dashboards.costs import costs

        costs(rows, per_lead)

    frames = {"rows": pd.DataFrame(rows, columns=COSTS), "per_lead": pd.DataFrame(per_lead, columns=PER_LEAD)}
    page = AppTest.from_function(shown, kwargs=frames).run(timeout=60)
    assert not page.exception
    return page


def tables(page: AppTest) -> list[list[list[str]]]:
    return [[[str(name), *row] for name, row in zip(t.value.index, t.value.values, strict=True)] for t in page.table]


def columns(page: AppTest) -> list[list[str]]:
    return [[str(table.value.index.name), *table.value.columns] for table in page.table]


def said(page: AppTest) -> str:
    return "\n".join(one.value for kind in (page.info, page.warning, page.markdown, page.caption) for one in kind)


def test_each_message_is_counted_where_it_belongs_and_currencies_stand_apart():
    page = section(
        [FREE, EUROS, DOLLARS, INDIA, NOBODY, LOST],
        [
            ("1", "EUR", Decimal("2.4"), 5, Decimal("0.48"), 0),
            ("1", "USD", Decimal(0), 5, Decimal(0), 0),
            ("2", "EUR", Decimal(0), 0, None, 7),
            ("2", "USD", Decimal("0.5"), 0, None, 7),
            (None, "EUR", Decimal("2.4"), 5, Decimal("0.48"), 7),
            (None, "USD", Decimal("0.5"), 5, Decimal("0.1"), 7),
        ],
    )

    assert {metric.label: metric.value for metric in page.metric} == {
        "Free": "40", "Billable": "13", "Billable, no price": "7", "Not delivered": "2",
    }  # fmt: skip
    amounts, unpriced = tables(page)
    assert amounts == [
        ["Message 1", "EUR 2.40", "EUR 0.2000", "5", "EUR 0.48"],
        ["Message 1", "USD 0.00", "no data", "5", "USD 0.00"],
        ["Message 2", "EUR 0.00", "no data", "0", "no data"],
        ["Message 2", "USD 0.50", "USD 0.5000", "0", "no data"],
        ["All messages", "EUR 2.40", "EUR 0.2000", "5", "at least EUR 0.48"],
        ["All messages", "USD 0.50", "USD 0.5000", "5", "at least USD 0.10"],
    ]
    assert columns(page)[0] == [
        "Message", "Cost", "Cost per billable message", "Newly qualified leads", "Cost per newly qualified lead",
    ]  # fmt: skip
    assert unpriced == [["Not known", "Not known", "4"], ["IN", "Marketing", "3"]]
    assert "With several currencies a lead cost the sum of its lines" in said(page)
    assert not page.warning


def test_the_cost_of_a_message_is_the_mean_of_the_billable_ones_to_a_hundredth_of_a_cent():
    dearer = ("1", "charged", "", "", "EUR", True, 1, Decimal("0.2"))
    cheaper = ("1", "charged", "", "", "EUR", False, 2, Decimal("0.2262"))
    another = ("2", "charged", "", "", "EUR", False, 3, Decimal("0.15"))

    page = section(
        [FREE, INDIA, LOST, dearer, cheaper, another],
        [(step, "EUR", cost, 0, None, 0) for step, cost in (("1", Decimal("0.4262")), ("2", Decimal("0.15")),
                                                           (None, Decimal("0.5762")))],
    )  # fmt: skip

    assert [row[2] for row in tables(page)[0]] == ["EUR 0.1421", "EUR 0.0500", "EUR 0.0960"]


def test_example_prices_are_said_to_be_made_up():
    example = (*EUROS[:5], True, *EUROS[6:])

    page = section([example], [("1", "EUR", Decimal("2.4"), 0, None, 0), (None, "EUR", Decimal("2.4"), 0, None, 0)])

    assert "made up" in page.warning[0].value


def test_where_nothing_was_charged_there_is_no_amount():
    page = section([FREE], [("1", None, Decimal(0), 5, None, 0), (None, None, Decimal(0), 5, None, 0)])

    assert tables(page) == []
    assert "No message of a known price was charged. Newly qualified leads: 5." in said(page)


def test_where_nothing_was_sent_there_is_no_data():
    page = section([], [])

    assert "No data" in page.info[0].value
    assert not page.metric
