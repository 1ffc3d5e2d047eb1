"""How customers buy, on the overview: every cell against plain loops, what charts say, and empty states in words."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from tasks import measure
from tasks.store.workspace import Workspace
from tests.buying_world import FIRST, Buying, bought, histories, quartile, write
from tests.dashboards.looking import asked, columns, opened, said, tables

END = FIRST + timedelta(days=430)


def _measured(work: Workspace, known: list[dict[str, Any]], as_of: datetime = END) -> list[Buying]:
    with work.database.transaction() as connection:
        write(connection, work.queries, known)
    measure.campaigns(work, as_of)
    return bought(known, as_of, "UTC")


def _charts(page: AppTest) -> dict[str, list[dict[str, Any]]]:
    """What hovering over each mark tells, by the chart's title."""
    found = {}
    for element in page.get("vega_lite_chart"):
        chart = json.loads(element.proto.spec)
        (sent,) = element.proto.datasets
        with pa.ipc.open_stream(sent.data.data) as stream:
            marks = stream.read_all().to_pylist()
        drawn = chart["layer"][0] if "layer" in chart else chart
        told = drawn["encoding"]["tooltip"]
        title = drawn.get("title") or chart.get("title")
        found[title["text"]] = [{one["title"]: mark[one["field"]] for one in told} for mark in marks]
    return found


@pytest.mark.parametrize("within", [90, 20])
def test_every_cell_is_what_plain_loops_count(shop: Workspace, within: int) -> None:
    truth = _measured(shop, histories(21))

    page = opened("overview", within=str(within))
    shown = tables(page)["Month"]

    assert columns(page, "Month")[2] == f"Bought again within {within} days"
    assert [name.removesuffix(", so far") for name in shown] == [f"{m.month:%B %Y}" for m in reversed(truth)]
    assert [name for name in shown if name.endswith(", so far")] == [next(iter(shown))]
    for cells, month in zip(shown.values(), reversed(truth), strict=True):
        again = sum(people for days, people in month.again.items() if days <= within)
        is_known = month.until + timedelta(days=within) < END.date() and month is not truth[-1]
        known = f"{again} ({100 * again / month.buyers:.1f} %)" if month.buyers else "nobody"
        gaps = [quartile(month.gaps, part) for part in (2, 1, 3)] if month.gaps else None
        assert cells == [
            str(month.buyers), str(month.first_buyers),
            known if is_known else "not known yet",
            str(gaps[0]) if gaps else "none", f"{gaps[1]} to {gaps[2]}" if gaps else "none",
            str(month.with_rhythm),
            f"{month.late} ({100 * month.late / month.with_rhythm:.1f} %)" if month.with_rhythm else "nobody",
            str(month.became_late),
        ]  # fmt: skip


def test_charts_tell_the_same_when_hovered_over(shop: Workspace) -> None:
    truth = _measured(shop, histories(22))

    charts = _charts(opened("overview"))

    by_month = {f"{month.month:%b %Y}": month for month in truth}
    for told in charts["Buyers by month"]:
        month = by_month[told["Month"]]
        assert (told["Buyers"], told["New"]) == (month.buyers, month.first_buyers)
        assert told["Had bought before"] == month.buyers - month.first_buyers
    for told in charts["Of a month's buyers, bought again within 90 days"]:
        month = by_month[told["Month"]]
        assert told["People"] == sum(people for days, people in month.again.items() if days <= 90)
        assert told["Bought again"] == pytest.approx(told["People"] / month.buyers)
    for told in charts["Days between purchases: median, and the middle half"]:
        assert told["Median"] == quartile(by_month[told["Month"]].gaps, 2)
    for told in charts["Late by their own rhythm, at the month's end"]:
        month = by_month[told["Month"]]
        assert (told["People late"], told["Of people with a rhythm"]) == (month.late, month.with_rhythm)
        assert told["Became late in the month"] == month.became_late


def test_the_address_keeps_the_days_only_when_they_are_not_the_usual_ones(shop: Workspace) -> None:
    _measured(shop, histories(23))

    page = opened("overview")
    assert "within" not in asked(page)
    page.number_input(key="within").set_value(30).run()

    assert asked(page)["within"] == "30"
    again = opened("overview", **asked(page))
    assert tables(again)["Month"] == tables(page)["Month"]
    again.number_input(key="within").set_value(90).run()
    assert "within" not in asked(again)


@pytest.mark.parametrize("strange", ["0", "99999", "-5", "1.5", "<b>", ""])
def test_strange_days_in_the_address_are_put_right(shop: Workspace, strange: str) -> None:
    _measured(shop, histories(24, people=5))

    assert 1 <= opened("overview", within=strange).number_input(key="within").value <= 730


def test_a_month_that_is_over_is_not_called_so_far(shop: Workspace) -> None:
    end = datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=FIRST.tzinfo)
    known = [row for row in histories(25) if row["purchased_at"] <= end]
    _measured(shop, known, end)

    page = opened("overview")

    assert next(iter(tables(page)["Month"])) == "February 2026"
    assert "is not over yet" not in said(page)


def test_without_purchases_the_section_says_so(shop: Workspace) -> None:
    measure.campaigns(shop, END)

    page = opened("overview")

    assert "No data: no purchase that counts has been loaded yet" in said(page)
    assert "Month" not in tables(page)


def test_young_shops_are_told_what_cannot_be_known_yet(shop: Workspace) -> None:
    known = [row | {"status": "paid", "cancelled_by": None} for row in histories(26, people=1, days=10)]
    first = min(known, key=lambda row: row["purchased_at"]) if known else None
    assert first
    _measured(shop, [first], first["purchased_at"] + timedelta(hours=1))

    told = said(opened("overview"))

    assert "no month's buyers have all had 90 days" in told
    assert "nobody has bought on a second day" in told
    assert "nobody has a rhythm" in told
