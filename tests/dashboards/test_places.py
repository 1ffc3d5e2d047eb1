"""Pages narrowed to a language, a country and a currency: every figure against plain loops, and links that hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tasks import measure
from tasks.store.engine import Database
from tasks.store.workspace import Workspace
from tests.dashboards.looking import asked, metrics, opened, point_at, refreshed, said, tables
from tests.evaluation_world import START, Goal, Recomputation, World, random_world
from tests.leads_world import BERLIN, Story, long_weekend, open_story

AS_OF = START + timedelta(days=45)
GOALS = {"alpha": Goal(), "beta": Goal("booked", (("plan", "gold"),)), "gone": Goal()}
PARTS = [
    {"language": "de"}, {"language": "unknown"}, {"country": "AT"}, {"language": "en", "country": "DE"},
    {"language": "de", "currency": "USD"}, {"language": "en", "channel": "sms", "variant": "warm"},
]  # fmt: skip


def _measured(work: Workspace, world: World) -> Recomputation:
    with work.database.transaction() as connection:
        world.write(connection)
    measure.campaigns(work, AS_OF)
    return Recomputation(world, AS_OF, GOALS)


def _place(part: dict[str, str]) -> tuple[str | None, str | None]:
    language = part.get("language")
    return "" if language == "unknown" else language, part.get("country")


def _end_of_day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("hours", [24, 168])
def test_a_part_of_the_messages_shows_what_plain_loops_count(shop: Workspace, part: dict[str, str], hours: int) -> None:
    truth = _measured(shop, random_world(21))

    page = opened("lapsing", campaign="alpha", hours=str(hours), **part)

    def is_part(send: Any) -> bool:
        return (
            send["campaign"] == "alpha"
            and truth.is_in(send["enrolment_id"], *_place(part))
            and all(send[name] == part.get(name, send[name]) for name in ("channel", "variant"))
        )

    sends = [send for send in truth.sends if is_part(send)]
    credited = [entry for entry in truth.credited(hours) if is_part(entry[0])]
    currencies = [part["currency"]] if "currency" in part else ["EUR", "USD"]
    purchases = [row for _, row, _ in credited if row.get("currency") in currencies]
    shown = metrics(page)
    assert 0 < len(sends) < len([send for send in truth.sends if send["campaign"] == "alpha"])
    assert shown["Messages"] == f"{len(sends):,}"
    assert shown["Followed by the goal"] == str(len({send["send_key"] for send, _, is_goal in credited if is_goal}))
    assert shown["Purchases"] == f"{len(purchases):,}"
    assert {name for name in shown if name.startswith("Revenue")} <= {f"Revenue, {name}" for name in currencies}
    for currency in currencies:
        revenue = sum((row["amount"] for row in purchases if row["currency"] == currency), Decimal(0))
        assert shown.get(f"Revenue, {currency}", "0.00") == f"{revenue:,.2f}"
    kept = asked(page)
    kept.pop("version", None)
    assert kept == {"campaign": "alpha", "hours": str(hours)} | part


@pytest.mark.parametrize("part", PARTS[:4])
def test_people_are_compared_within_the_part_by_where_they_were_enrolled(shop: Workspace, part: dict[str, str]) -> None:
    truth, hours = _measured(shop, random_world(21, people=150)), 24

    page = opened("lapsing", campaign="alpha", hours=str(hours), **part)

    version = page.selectbox(key="version").value
    listed = metrics(page)
    assert "hidden" not in said(page)
    for arm, name in (("treated", "Treated"), ("holdout", "Held out")):
        units = [
            unit
            for unit in truth.units
            if (unit["campaign"], unit["experiment_version"], unit["arm"]) == ("alpha", version, arm)
            and truth.is_in(unit["enrolment_id"], *_place(part))
        ]
        ripe = [unit for unit in units if _end_of_day(unit["enrolled_at"]) + timedelta(hours=hours) <= AS_OF]
        followed = [truth.followed(unit, hours) for unit in ripe]
        if "Group" not in tables(page):
            assert len(part) == 2  # so small a part
            assert "people of one group only" in said(page)
            continue
        shown = tables(page)["Group"]
        assert shown[name][:3] == [str(len(ripe)), str(len(units) - len(ripe)), str(sum(goal for _, goal in followed))]
        for currency, cells in tables(page)["Revenue per person"].items():
            total = sum(row["amount"] for bought, _ in followed for row in bought if row["currency"] == currency)
            column = ("Treated", "Held out").index(name)
            assert float(cells[column].removeprefix(f"{currency} ")) == pytest.approx(
                float(total / len(ripe)), abs=0.006
            )
    enrolled = {
        truth.person_of(row["customer_id"])
        for row in truth.enrolments.values()
        if row["campaign"] == "alpha" and truth.is_in(row["enrolment_id"], *_place(part))
    }
    assert listed["Enrolled"] == str(len(enrolled))


def test_a_currency_narrows_what_was_bought_and_nobody(shop: Workspace) -> None:
    truth = _measured(shop, random_world(21))
    whole = opened("lapsing", campaign="alpha", hours="100")

    page = opened("lapsing", campaign="alpha", hours="100", currency="USD")

    revenue = sum(
        row["amount"]
        for send, row, _ in truth.credited(100)
        if send["campaign"] == "alpha" and row.get("currency") == "USD"
    )
    shown, every = metrics(page), metrics(whole)
    assert shown["Revenue, USD"] == every["Revenue, USD"] == f"{revenue:,.2f}"
    assert "Revenue, EUR" not in shown
    for same in ("Enrolled", "Reached", "People who bought", "Rate"):
        assert shown[same] == every[same]
    assert tables(page)["Group"] == tables(whole)["Group"]
    assert list(tables(page)["Revenue per person"]) == ["USD"]


def test_whoever_moves_or_changes_their_language_stays_where_they_were_enrolled(shop: Workspace) -> None:
    world = World()
    for number in range(20):
        name = world.customer(f"c{number}", "fr", "DE")
        enrolment = world.enrol(
            "alpha", name, START, arm=["treated", "holdout"][number % 2], place=("de", "") if number < 8 else ("", "AT")
        )
        if number % 2 == 0:
            world.send(enrolment, START + timedelta(hours=1))
    _measured(shop, world)

    page = opened("lapsing", campaign="alpha", language="de")

    assert page.selectbox(key="language").options == ["Not known", "de"]
    assert page.selectbox(key="country").options == ["AT", "Not known"]
    assert metrics(page)["Enrolled"] == "8"
    assert metrics(page)["Messages"] == "4"
    assert tables(page)["Group"]["Held out"][0] == "4"


def test_longer_windows_are_shown_as_the_longest_there_is(shop: Workspace) -> None:
    _measured(shop, random_world(21))
    week = opened("lapsing", campaign="alpha", hours="168", country="AT")

    page = refreshed(week, 720)

    assert "this page shows 168 hours instead of 720 hours" in said(page)
    assert metrics(page) == metrics(opened("lapsing", campaign="alpha", hours="168", country="AT"))
    assert asked(page)["hours"] == "720"
    page.selectbox(key="country").set_value(None).run()
    assert "instead of" not in said(page)


def test_a_part_with_nobody_in_it_says_so_and_a_strange_one_is_the_whole(shop: Workspace) -> None:
    world = World()
    for number, place in enumerate([("de", "DE"), ("de", "DE"), ("fr", "FR")]):
        world.enrol("alpha", world.customer(f"c{number}", *place), START)
    _measured(shop, world)

    nobody = opened("lapsing", campaign="alpha", language="fr", country="DE")
    strange = opened("lapsing", campaign="alpha", language="<b>", country="??", currency="XXX")

    assert "nobody of this campaign is in this part (language fr, country DE)" in said(nobody)
    assert metrics(strange)["Enrolled"] == "3"
    assert set(asked(strange)) == {"campaign", "hours"}


def test_people_of_one_group_only_are_not_compared(shop: Workspace) -> None:
    world = World()
    for number, (language, arm) in enumerate([("de", "treated"), ("fr", "treated"), ("fr", "holdout")]):
        world.enrol("alpha", world.customer(f"c{number}", language, "DE"), START, arm=arm)
    _measured(shop, world)

    page = opened("lapsing", campaign="alpha", language="de")

    assert "this part has people of one group only" in said(page)
    assert "Group" not in tables(page)


# ------------------------------------------------------------------------------------------ partial leads

ADS = {"back": {"ad1", "ad2"}}


@pytest.fixture(scope="module")
def weekend(
    make_database: Callable[..., Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Story, datetime]]:
    """Leads of three languages and two countries, played and measured."""
    story = open_story(make_database(BERLIN), tmp_path_factory.mktemp("places") / "config", ADS, BERLIN)
    end = long_weekend(story)
    measure.campaigns(story.stage.work, end)
    yield story, end
    story.stage.work.close()


@pytest.fixture
def leads(weekend: tuple[Story, datetime], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    point_at(monkeypatch, weekend[0].stage.work)
    monkeypatch.setenv("REENGAGE_TIME_ZONE", BERLIN)
    yield lambda **query: opened("partial_leads", campaign="back", **query)
    st.cache_resource.clear()


@pytest.mark.parametrize(
    "part", [{"language": "de"}, {"language": "unknown"}, {"country": "AT"}, {"language": "fr", "country": "DE"}]
)
def test_leads_of_a_part_are_counted_as_plain_loops_count_them(
    weekend: tuple[Story, datetime], leads: Callable[..., AppTest], part: dict[str, str]
) -> None:
    story, end = weekend
    place = {name: "" if value == "unknown" else value for name, value in part.items()}
    truth = story.truth(end, ADS, BERLIN, place=place)
    assert 0 < truth.total("back") < story.truth(end, ADS, BERLIN).total("back")

    page = leads(**part)
    shown = tables(page)

    assert metrics(page)["Leads in the system"] == str(truth.total("back"))
    for order, title in ((1, "1st"), (2, "2nd"), (3, "3rd")):
        stages = [
            truth.retargeted["back", order, stage]
            for stage in ("lead", "deep_conversation", "qualified", "qualified_before")
        ]
        assert [int(cell) for cell in shown["Retarget"][title]][: len(shown["Retarget"][title])] == (
            [sum(stages), *stages][: len(shown["Retarget"][title])]
        )
        qualified = [
            sum(truth.leads["back", "qualified", last, order] for last in (1, 2, 3)),
            truth.sum_of("back", order, "qualified"),
        ]
        assert int(shown["Which leads"][f"of them qualified at the {title} retarget"][0]) == qualified[0]
        assert int(shown["Day"]["All days"][order - 1]) == qualified[1]
        hours = shown["Hour"]["All hours"]
        assert int(hours[order - 1]) == truth.sum_of("back", order, "retargeted")
        assert int(hours[order + 2]) == truth.sum_of("back", order, "first_responses")
    assert asked(page) == {"campaign": "back", "hours": "24"} | part
    assert "Costs are those of the whole campaign" in said(page)


def test_languages_of_all_leads_are_offered_and_add_up(leads: Callable[..., AppTest]) -> None:
    whole = leads()

    offered = whole.selectbox(key="language").options
    parts = [leads(language="unknown" if one == "Not known" else one) for one in offered]

    assert set(offered) == {"de", "fr", "Not known"}
    assert sum(int(metrics(page)["Leads in the system"]) for page in parts) == int(
        metrics(whole)["Leads in the system"]
    )
