"""The comparison with people held out: what it says, when it is hidden, what is kept, many campaigns at once."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboards import lift
from dashboards.lift import verdicts
from dashboards.reading import snapshot
from tasks import measure
from tasks.rules.statistics import newcombe, newcombe_p, people_needed
from tasks.store import retention
from tasks.store.workspace import Workspace
from tests.evaluation_world import START, Goal, Recomputation, World, insert, random_world, write_campaign

DAY = timedelta(days=1)
AS_OF = START + 45 * DAY


@pytest.fixture
def shop(
    tmp_path: Path, make_workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """A simulated database that the section finds through the environment; its ledger is kept for 400 days."""
    config = tmp_path / "config"
    write_campaign(config / "campaigns", "alpha", "currency: EUR", "holdout: 0.5")
    (config / "reengage.yaml").write_text("retention: {ledger: 400, attempts: null, provider_events: null}\n")
    work = make_workspace(config=config, mode="simulated")
    st.cache_resource.clear()
    monkeypatch.setenv("REENGAGE_CONFIG", str(work.settings.config))
    monkeypatch.setenv("REENGAGE_HOME", str(work.settings.home))
    monkeypatch.setenv("REENGAGE_DATABASE_URL", work.database.url.render_as_string(hide_password=False))
    monkeypatch.setenv("REENGAGE_TIME_ZONE", "UTC")
    yield work
    st.cache_resource.clear()


def _experiment(
    world: World,
    campaign: str,
    treated: tuple[int, int],
    held_out: tuple[int, int],
    *,
    version: str = "v1",
    at: datetime = START,
) -> None:
    """So many people of each group, so many of whom buy within the day; the treated get a message."""
    for arm, (bought, people) in (("treated", treated), ("holdout", held_out)):
        for number in range(people):
            name = f"{campaign}-{version}-{at:%m%d}-{arm}-{number}"
            enrolment = world.enrol(campaign, world.customer(name), at, arm=arm, version=version)
            if arm == "treated":
                world.send(enrolment, at + timedelta(hours=1))
            if number < bought:
                world.buy(name, at + timedelta(hours=2))


def _write(work: Workspace, world: World, **planned: float) -> None:
    """The world, and for each version of alpha the share that was to be held out."""
    with work.database.transaction() as connection:
        world.write(connection)
        insert(
            connection,
            "campaign.experiments",
            [
                {"campaign": "alpha", "experiment_version": version, "holdout": share}
                for version, share in planned.items()
            ],
        )


def _section(narrowed_by: tuple[str, ...]) -> None:
    """The script of a page that is this section alone."""
    from dashboards.lift import lift
    from dashboards.reading import snapshot

    with snapshot() as read:
        moment = read("data_as_of").iloc[0]
        lift(read, "alpha", None, 24, moment, is_anyone_reached=True, narrowed_by=narrowed_by)


def _page(*narrowed_by: str) -> AppTest:
    page = AppTest.from_function(_section, default_timeout=60, kwargs={"narrowed_by": narrowed_by})
    page.run()
    assert not page.exception
    return page


def _said(page: AppTest) -> str:
    kinds = (page.info, page.warning, page.error, page.success, page.markdown, page.caption)
    return "\n".join(element.value for kind in kinds for element in kind)


def _tables(page: AppTest) -> dict[str, pd.DataFrame]:
    return {str(table.value.index.name): table.value for table in page.table}


# ------------------------------------------------------------------------------------- when it is hidden


def test_groups_that_do_not_match_their_plan_hide_every_figure(shop: Workspace) -> None:
    world = World()
    _experiment(world, "alpha", (90, 200), (10, 100))
    _write(shop, world, v1=0.1)
    measure.campaigns(shop, AS_OF)

    page = _page()

    assert "The groups do not match, so no result is shown." in page.error[0].value
    assert "100 of 300 people are held out: 33.3 %, where 10.0 % were to be." in page.error[0].value
    assert "another `holdout` in campaign.yaml begins a new one" in page.error[0].value
    assert not page.table
    assert not page.get("vega_lite_chart")
    assert "percentage points" not in _said(page)


def test_groups_as_planned_are_compared(shop: Workspace) -> None:
    world = World()
    _experiment(world, "alpha", (90, 200), (10, 100))
    _write(shop, world, v1=0.3)
    measure.campaigns(shop, AS_OF)

    page = _page()

    assert page.success[0].value.startswith(
        "Yes: more of the treated people reached the goal, by +35.0 percentage points"
    )
    assert list(_tables(page)["Group"]["People"]) == ["200", "100"]
    assert "was never noted" not in _said(page)


def test_where_nobody_noted_the_share_the_page_says_that_it_cannot_check(shop: Workspace) -> None:
    world = World()
    _experiment(world, "alpha", (9, 20), (1, 10))
    _write(shop, world)
    measure.campaigns(shop, AS_OF)

    page = _page()

    assert "How many were to be held out was never noted" in _said(page)
    assert "Group" in _tables(page)


@pytest.mark.parametrize(
    ("narrowed_by", "named"),
    [
        (("channel",), "narrowed by the channel. That is known only after"),
        (("delivered",), "narrowed by whether it was delivered."),
        (("step", "provider"), "narrowed by the message of the sequence and the provider. Those are known only after"),
    ],
)
def test_what_is_chosen_after_assignment_hides_the_comparison_and_says_why(
    shop: Workspace, narrowed_by: tuple[str, ...], named: str
) -> None:
    world = World()
    _experiment(world, "alpha", (90, 200), (10, 100))
    _write(shop, world, v1=0.3)
    measure.campaigns(shop, AS_OF)

    page = _page(*narrowed_by)

    assert named in page.info[0].value
    assert "of nobody held out" in page.info[0].value
    assert not page.table
    assert "percentage points" not in _said(page)


# --------------------------------------------------------------------------------------- what it says


def test_too_few_people_are_told_how_many_more_it_needs(shop: Workspace) -> None:
    world = World()
    _experiment(world, "alpha", (24, 100), (18, 100))
    _experiment(world, "alpha", (0, 10), (0, 10), at=AS_OF - DAY)
    _write(shop, world, v1=0.5)
    measure.campaigns(shop, AS_OF)

    said = _page().info[0].value

    assert said.startswith("Not conclusive yet: +6.0 percentage points so far")
    found = re.search(r"needs about ([\d,]+) more people, of whom 20 are still maturing", said)
    assert found
    more = people_needed(24, 100, 18, 100)
    assert more <= int(found[1].replace(",", "")) < more * 1.1
    assert "a difference of this size is told four times in five" in said


def test_a_difference_too_small_to_wait_for_is_told_by_one_that_is_not(shop: Workspace) -> None:
    world = World()
    _experiment(world, "alpha", (20, 100), (20, 100))
    _write(shop, world, v1=0.5)
    measure.campaigns(shop, AS_OF)

    said = _page().info[0].value

    assert "a difference of 10 % of the rate is told four times in five" in said
    assert f"{lift._roughly(people_needed(20, 100, 20, 100, least=0.02)):,} more people" in said


def test_without_any_goal_no_number_is_made_up(shop: Workspace) -> None:
    world = World()
    _experiment(world, "alpha", (0, 20), (0, 20))
    _write(shop, world, v1=0.5)
    measure.campaigns(shop, AS_OF)

    assert (
        "Nobody of either group reached the goal, so how many more people it needs cannot be said"
        in _page().info[0].value
    )


def test_revenue_is_adjusted_only_where_somebody_bought_before(shop: Workspace) -> None:
    world = World()
    _experiment(world, "alpha", (9, 20), (3, 20))
    _write(shop, world, v1=0.5)
    measure.campaigns(shop, AS_OF)
    without = _tables(_page())["Revenue per person"].loc["EUR"]

    with shop.database.transaction() as connection:
        past = World()
        past.buy("alpha-v1-0301-treated-3", START - DAY, "30.00")
        insert(connection, "core.purchases", [past.purchases[0] | {"order_id": "before"}])
    measure.campaigns(shop, AS_OF)
    with_past = _tables(_page())["Revenue per person"].loc["EUR"]

    assert without["Allowing for earlier spending"] == "nobody bought before"
    assert with_past["Allowing for earlier spending"].startswith("+EUR ")
    assert with_past["Difference (95 % interval)"] == without["Difference (95 % interval)"]


# ---------------------------------------------------------------------------------------- past holdouts


def test_every_holdout_stands_by_itself_with_share_dates_people_and_result(shop: Workspace) -> None:
    world = World()
    _experiment(world, "alpha", (60, 100), (20, 100), version="v1")
    _experiment(world, "alpha", (8, 90), (1, 10), version="v2", at=START + 3 * DAY)
    _experiment(world, "alpha", (8, 90), (1, 10), version="v3", at=AS_OF - DAY)
    _write(shop, world, v1=0.5, v2=0.6)
    measure.campaigns(shop, AS_OF)

    past = _tables(_page())["Enrolled since"]

    assert list(past.index) == ["14 April 2026", "4 March 2026", "1 March 2026"]
    first = newcombe(60, 100, 20, 100)
    assert list(past.loc["1 March 2026"]) == [
        "1 March 2026", "50.0 %", "100", "100",
        f"+40.0 (+{100 * first.low:.1f} to +{100 * first.high:.1f})", "Better",
    ]  # fmt: skip
    assert list(past.loc["4 March 2026"])[1:] == ["60.0 %", "90", "10", "none", "Groups do not match"]
    assert list(past.loc["14 April 2026"])[1:] == ["not noted", "90", "10", "none", "Not enough people"]


def test_one_holdout_is_no_history(shop: Workspace) -> None:
    world = World()
    _experiment(world, "alpha", (6, 10), (2, 10))
    _write(shop, world, v1=0.5)
    measure.campaigns(shop, AS_OF)

    assert "Enrolled since" not in _tables(_page())


def test_what_came_of_a_holdout_is_kept_when_its_people_are_deleted(shop: Workspace) -> None:
    world = World()
    _experiment(world, "alpha", (60, 100), (20, 100), version="v1")
    _experiment(world, "alpha", (8, 90), (1, 10), version="v2", at=START + 200 * DAY)
    _write(shop, world, v1=0.5, v2=0.1)
    with shop.database.transaction() as connection:
        connection.execute(sa.text("update campaign.enrolments set closed_at = enrolled_at, close_reason = 'goal'"))
    measure.campaigns(shop, START + 300 * DAY)
    before = _history(shop)
    shown = _tables(_page())["Enrolled since"]

    late = START + 450 * DAY
    assert retention.delete(shop, late)["ledger"] == 200
    measure.campaigns(shop, late)

    assert [row["experiment_version"] for row in before] == ["v2", "v2", "v1", "v1"]
    assert _history(shop) == before
    pd.testing.assert_frame_equal(_tables(_page())["Enrolled since"], shown)
    assert [row["people"] for row in _arms(shop)] == [90, 10]


def test_a_holdout_that_is_still_there_is_measured_and_not_remembered(shop: Workspace) -> None:
    world = World()
    _experiment(world, "alpha", (60, 100), (20, 100))
    _write(shop, world, v1=0.5)
    measure.campaigns(shop, AS_OF)
    assert [row["conversions"] for row in _history(shop)] == [60, 20]

    with shop.database.transaction() as connection:
        connection.execute(
            sa.text("update core.purchases set status = 'refunded' where customer_id = 'alpha-v1-0301-treated-0'")
        )
    measure.campaigns(shop, AS_OF)

    assert [row["conversions"] for row in _history(shop)] == [59, 20]


def test_what_is_kept_answers_for_any_window_like_what_is_measured(shop: Workspace) -> None:
    _write(shop, random_world(31))
    measure.campaigns(shop, START + 100 * DAY)
    with shop.database.transaction() as connection:
        buckets = connection.execute(sa.text("select hours from evaluation.incremental where conversions > 0"))
        edges = {hours + more for hours in buckets.scalars() for more in (0, 1)}
    windows = sorted((edges | {1, 24, 720}) - {0})
    measured = {hours: _history(shop, hours) for hours in windows}

    with shop.database.transaction() as connection:
        connection.execute(sa.text("delete from evaluation.incremental_cells"))

    assert {hours: _history(shop, hours) for hours in windows} == measured
    assert [len(rows) for rows in measured.values()] == [4] * len(windows)
    assert len({str([row["conversions"] for row in rows]) for rows in measured.values()}) > 10


@pytest.mark.parametrize("hours", [1, 24, 100, 720])
def test_the_history_counts_like_the_comparison(shop: Workspace, hours: int) -> None:
    _write(shop, random_world(33))
    measure.campaigns(shop, AS_OF)

    past, arms = _history(shop, hours), _arms(shop, hours)

    names = ("experiment_version", "arm", "first_enrolled_on", "enrolled", "people", "conversions")
    assert [[row[name] for name in names] for row in past] == [[row[name] for name in names] for row in arms]


def _history(work: Workspace, hours: int = 24) -> list[dict[str, Any]]:
    with work.database.transaction() as connection:
        asked = work.queries["dashboards/experiments"](campaign="alpha", hours=hours)
        return [dict(row) for row in connection.execute(asked).mappings()]


def _arms(work: Workspace, hours: int = 24) -> list[dict[str, Any]]:
    with work.database.transaction() as connection:
        asked = work.queries["dashboards/arms"](campaign="alpha", hours=hours)
        return [dict(row) for row in connection.execute(asked).mappings()]


# --------------------------------------------------------------------------------- many campaigns at once


COLUMNS = ("campaign", "arm", "holdout", "is_anyone_reached", "enrolled", "people", "conversions")


def _frame(**campaigns: tuple[int, int, int, int]) -> pd.DataFrame:
    """Rows as arms_of_all has them: goals and people of the treated, then of the held out."""
    rows = []
    for name, (goals, n, held_goals, held) in campaigns.items():
        share = held / (n + held) if n + held else 0.1
        for arm, conversions, people in (("treated", goals, n), ("holdout", held_goals, held)):
            rows.append(
                {
                    "campaign": name, "arm": arm, "holdout": share, "is_anyone_reached": True, "enrolled": people,
                    "people": people, "conversions": conversions,
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


LUCKY = (130, 1_000, 101, 1_000)
SURE = (190, 1_000, 100, 1_000)
HARMFUL = (60, 1_000, 120, 1_000)
NOTHING = {f"nothing_{n}": (100 + n, 1_000, 100, 1_000) for n in range(8)}


def test_a_difference_that_is_told_alone_may_be_luck_among_many() -> None:
    assert newcombe_p(*LUCKY) < 0.05
    assert verdicts(_frame(lucky=LUCKY))["lucky"].words == "better"

    among = verdicts(_frame(lucky=LUCKY, **NOTHING))["lucky"]

    assert among.words == "not conclusive yet"
    assert among.effect is not None
    assert not among.effect.excludes_zero
    assert among.more == people_needed(*LUCKY)


def test_words_and_intervals_agree_for_every_campaign_of_a_page() -> None:
    found = verdicts(_frame(sure=SURE, harmful=HARMFUL, lucky=LUCKY, **NOTHING))

    assert {name: verdict.words for name, verdict in found.items() if name not in NOTHING} == {
        "sure": "better", "harmful": "worse", "lucky": "not conclusive yet",
    }  # fmt: skip
    for verdict in found.values():
        assert verdict.effect is not None
        assert verdict.effect.excludes_zero == (verdict.words in ("better", "worse"))
    assert found["sure"].more is None


def test_what_cannot_be_compared_is_told_why_and_weighs_nothing() -> None:
    frame = _frame(lucky=LUCKY, early=(0, 0, 0, 0), crooked=SURE, silent=SURE, alone=SURE)
    frame.loc[frame["campaign"] == "crooked", "holdout"] = 0.1
    frame.loc[frame["campaign"] == "silent", "is_anyone_reached"] = False
    frame = frame[(frame["campaign"] != "alone") | (frame["arm"] == "treated")]

    found = verdicts(frame)

    assert {name: verdict.words for name, verdict in found.items()} == {
        "lucky": "better", "early": "not enough people", "crooked": "groups do not match",
        "silent": "nobody reached yet", "alone": "nobody is held out",
    }  # fmt: skip
    assert all(verdict.effect is None for name, verdict in found.items() if name != "lucky")


def test_no_campaign_is_no_verdict() -> None:
    assert verdicts(_frame()) == {}


def test_chance_alone_is_rarely_called_anything_on_a_page_of_twenty() -> None:
    dice = random.Random(12)
    called = 0
    for _ in range(60):
        page = {
            f"c{n}": (
                sum(dice.random() < 0.1 for _ in range(500)),
                500,
                sum(dice.random() < 0.1 for _ in range(500)),
                500,
            )
            for n in range(20)
        }
        called += any(verdict.words in ("better", "worse") for verdict in verdicts(_frame(**page)).values())

    assert called <= 8, "5 % of 60 pages is 3"


@pytest.mark.parametrize("hours", [24, 100])
def test_all_campaigns_are_counted_as_each_alone_by_plain_loops(shop: Workspace, hours: int) -> None:
    world = random_world(32)
    _write(shop, world, v1=0.4, v2=0.4)
    measure.campaigns(shop, AS_OF)
    truth = Recomputation(world, AS_OF, {"alpha": Goal(), "beta": Goal(), "gone": Goal()})

    with snapshot() as read:
        rows = read("arms_of_all", hours=hours)

    assert set(rows["campaign"]) == {"alpha", "beta", "gone"}
    for row in rows.itertuples():
        units = [u for u in truth.units if u["campaign"] == row.campaign]
        first = min(u["enrolled_at"] for u in units if u["experiment_version"] == row.experiment_version)
        others = [u["enrolled_at"] for u in units if u["experiment_version"] != row.experiment_version]
        assert first.date() >= min(others).date(), "the newest version"
        mine = [u for u in units if (u["experiment_version"], u["arm"]) == (row.experiment_version, row.arm)]
        ripe = [u for u in mine if _end_of_day(u["enrolled_at"]) + timedelta(hours=hours) <= AS_OF]
        assert (row.enrolled, row.people) == (len(mine), len(ripe))
        assert row.conversions == sum(truth.followed(unit, hours)[1] for unit in ripe)
        assert row.is_anyone_reached == any(send["campaign"] == row.campaign for send in truth.sends)
        assert row.holdout == 0.4 if row.campaign == "alpha" else pd.isna(row.holdout)
    assert set(verdicts(rows)) == {"alpha", "beta", "gone"}


def _end_of_day(at: datetime) -> datetime:
    return datetime(at.year, at.month, at.day, tzinfo=UTC) + DAY
