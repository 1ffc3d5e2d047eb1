"""The page of retargeting without a browser: every cell against plain loops, and every empty state in words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from config.settings import CHECKOUT
from dashboards import words
from tasks import measure
from tasks.store.engine import Database
from tasks.store.workspace import Workspace
from tests.evaluation_world import write_campaign
from tests.leads_world import BERLIN, DAY, EVENING, HOUR, Story, Truth, long_weekend, open_story

PAGE = CHECKOUT / "dashboards" / "pages" / "partial_leads.py"
ADS = {"back": {"ad1", "ad2"}}
ORDERS = {1: "1st", 2: "2nd", 3: "3rd"}
STAGES = {"lead": "Lead", "deep_conversation": "Deep conversation", "qualified": "Qualified"}


@pytest.fixture(scope="module")
def weekend(
    make_database: Callable[..., Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Story, datetime]]:
    """A story that has been played, and when it is looked back at."""
    story = open_story(make_database(BERLIN), tmp_path_factory.mktemp("weekend") / "config", ADS, BERLIN)
    yield story, long_weekend(story)
    story.stage.work.close()


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Opens the page on a workspace, which it finds through the environment as any user's would."""

    def open_page(work: Workspace, zone: str = BERLIN, **query: str) -> AppTest:
        st.cache_resource.clear()
        monkeypatch.setenv("REENGAGE_CONFIG", str(work.settings.config))
        monkeypatch.setenv("REENGAGE_HOME", str(work.settings.home))
        monkeypatch.setenv("REENGAGE_DATABASE_URL", work.database.url.render_as_string(hide_password=False))
        monkeypatch.setenv("REENGAGE_TIME_ZONE", zone)
        page = AppTest.from_file(str(PAGE), default_timeout=60)
        for name, value in query.items():
            page.query_params[name] = value
        page.run()
        assert not page.exception
        return page

    yield open_page
    st.cache_resource.clear()


def tables(page: AppTest) -> dict[str, dict[str, list[Any]]]:
    """Every table by the name of its first column: row name -> cells."""
    found: dict[str, dict[str, list[Any]]] = {}
    for table in page.table:
        frame = table.value
        found[str(frame.index.name)] = {
            str(name): list(row) for name, row in zip(frame.index, frame.values, strict=True)
        }
    return found


def charts(page: AppTest) -> list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """Every chart as the browser gets it: what each mark is drawn from, and what hovering over it tells."""
    found = []
    for element in page.get("vega_lite_chart"):
        chart = json.loads(element.proto.spec)
        (sent,) = element.proto.datasets
        with pa.ipc.open_stream(sent.data.data) as stream:
            marks = stream.read_all().to_pylist()
        drawn = chart["layer"][0] if "layer" in chart else chart
        told = drawn["encoding"]["tooltip"]
        found.append((marks, [{one["title"]: mark[one["field"]] for one in told} for mark in marks]))
    return found


def said(page: AppTest) -> str:
    kinds = (page.info, page.warning, page.error, page.success, page.markdown, page.caption)
    return "\n".join(element.value for kind in kinds for element in kind)


def asked(page: AppTest) -> dict[str, str]:
    return {name: values[0] if isinstance(values, list) else values for name, values in page.query_params.items()}


def numbers(cells: list[str]) -> list[int]:
    return [int(cell.replace(",", "")) for cell in cells]


def happened(truth: Truth, what: str, order: int, day: date | None = None, hour: int | None = None) -> int:
    return sum(
        counts[what]
        for (_, number, on, at), counts in truth.hours.items()
        if number == order and day in (None, on) and hour in (None, at)
    )


def test_every_cell_is_what_plain_loops_count(weekend: tuple[Story, datetime], look: Callable[..., AppTest]) -> None:
    story, end = weekend
    measure.campaigns(story.stage.work, end)
    truth = story.truth(end, ADS, BERLIN)

    page = look(story.stage.work, campaign="back")
    shown = tables(page)

    # R18
    for order, title in ORDERS.items():
        stages = {stage: truth.retargeted["back", order, stage] for stage in (*STAGES, "qualified_before")}
        assert numbers(shown["Retarget"][title]) == [sum(stages.values()), *stages.values()]
    # R19
    total = truth.total("back")
    alone = truth.leads["back", "qualified", 0, 0] + sum(
        truth.leads["back", "qualified", last, 0] for last in (1, 2, 3)
    )
    at = {order: truth.sum_of("back", order, "qualified") for order in ORDERS}
    waiting = {
        last: sum(truth.leads["back", stage, last, 0] for stage in ("lead", "deep_conversation")) for last in range(4)
    }
    expected = {
        "Leads in the system": total,
        "Qualified on their own": alone,
        "Not qualified on their own": total - alone,
        **{f"of them qualified at the {ORDERS[order]} retarget": count for order, count in at.items()},
        "of them not qualified yet, retargeted": sum(waiting.values()) - waiting[0],
        "of them not qualified yet, never retargeted": waiting[0],
    }
    assert shown["Which leads"] == {
        what: [f"{count:,}", f"{100 * count / total:.1f} %"] for what, count in expected.items()
    }
    # R20
    first = min(on for _, _, on, _ in truth.hours)
    last = max(on for _, _, on, _ in truth.hours)
    days = {f"{day.day} {day:%B %Y}": day for day in (first + n * DAY for n in range((last - first).days + 1))}
    assert set(shown["Day"]) == {*days, "All days"}
    for name, cells in shown["Day"].items():
        counts = [happened(truth, "qualified", order, days.get(name)) for order in ORDERS]
        assert numbers(cells) == [*counts, sum(counts)]
    # R21
    assert len(shown["Hour"]) == 25
    for name, cells in shown["Hour"].items():
        hour = None if name == "All hours" else int(name[:2])
        assert numbers(cells) == [
            happened(truth, what, order, hour=hour) for what in ("retargeted", "first_responses") for order in ORDERS
        ]


def test_every_mark_of_the_charts_and_its_hover_are_what_plain_loops_count(
    weekend: tuple[Story, datetime], look: Callable[..., AppTest]
) -> None:
    story, end = weekend
    measure.campaigns(story.stage.work, end)
    truth = story.truth(end, ADS, BERLIN)

    page = look(story.stage.work, campaign="back")
    milestones, qualified, by_day, by_hour, standing, sent, followed = charts(page)

    # R18
    stages = {**STAGES, "qualified_before": "Had qualified before"}
    reached = {
        title: {words: truth.retargeted["back", order, stage] for stage, words in stages.items()}
        for order, title in ORDERS.items()
    }
    marks, hovers = milestones
    assert {(mark["retarget"], mark["milestone"]): mark["leads"] for mark in marks} == {
        (title, words): leads for title, counts in reached.items() for words, leads in counts.items()
    }
    assert {json.dumps(hover) for hover in hovers} == {
        json.dumps({"Retarget": title, **counts, "Leads retargeted": sum(counts.values())})
        for title, counts in reached.items()
    }
    assert len(hovers) == len(marks) == 12
    # R19
    total = truth.total("back")
    alone = sum(truth.leads["back", "qualified", last, 0] for last in range(4))
    parts = {"Leads in the system": total, "Not qualified on their own": total - alone}
    parts |= {
        f"Qualified at the {title} retarget": truth.sum_of("back", order, "qualified")
        for order, title in ORDERS.items()
    }
    marks, hovers = qualified
    assert [(mark["what"], mark["leads"]) for mark in marks] == list(parts.items())
    assert hovers == [{"Which": what, "Leads": leads, "Of all leads": leads / total} for what, leads in parts.items()]
    # R20
    first, last = (edge(on for _, _, on, _ in truth.hours) for edge in (min, max))
    days = [first + number * DAY for number in range((last - first).days + 1)]
    marks, hovers = by_day
    assert {(mark["day"].date(), mark["retarget"]): mark["qualified"] for mark in marks} == {
        (day, title): happened(truth, "qualified", order, day) for day in days for order, title in ORDERS.items()
    }
    assert all(
        hover == {"Day": hover["Day"], **{
            f"Qualified after the {title}": happened(truth, "qualified", order, hover["Day"].date())
            for order, title in ORDERS.items()
        }}
        for hover in hovers
    )  # fmt: skip
    assert Counter(hover["Day"].date() for hover in hovers) == dict.fromkeys(days, 3)
    # R21
    measures = {"Retargeted": "retargeted", "First responses": "first_responses"}
    counts = {
        (f"{hour:02}", title): {name: happened(truth, what, order, hour=hour) for name, what in measures.items()}
        for hour in range(24)
        for order, title in ORDERS.items()
    }
    marks, hovers = by_hour
    assert {(mark["hour"], mark["retarget"], mark["measure"]): mark["leads"] for mark in marks} == {
        (*which, name): leads for which, told in counts.items() for name, leads in told.items()
    }
    assert all(
        hover == {"Hour": hover["Hour"], "Retarget": hover["Retarget"], **counts[hover["Hour"], hover["Retarget"]]}
        for hover in hovers
    )
    assert len(hovers) == len(marks) == 24 * 3 * 2
    # who was reached
    enrolled = {metric.label: metric.value for metric in page.metric}["Enrolled"]
    assert sum(mark["people"] for mark in standing[0]) == int(enrolled) > 0
    # what followed
    sends, qualified_after = followed_sends(story, 24)
    on = Counter(at.astimezone(ZoneInfo(BERLIN)).date() for _, _, at in sends)
    assert {mark["day"].date(): mark["sends"] for mark in sent[0]} == on
    assert sum(mark["conversions"] for mark in followed[0]) == len(qualified_after) > 0


def followed_sends(story: Story, hours: int) -> tuple[list[tuple[str, str, datetime]], set[str]]:
    """Every accepted retarget (customer, step, moment), and whose last one was followed by their qualifying."""
    rows = story.stage.rows("select episode, step, accepted_at from campaign.sends where state = 'accepted'")
    sends = [(story.talks[row["episode"]].customer, row["step"], row["accepted_at"]) for row in rows]
    followed = set()
    for talk in story.talks.values():
        for milestone, at in talk.reached:
            before = [sent for customer, _, sent in sends if customer == talk.customer and sent < at]
            if milestone == "qualified" and before and at - max(before) <= hours * HOUR:
                followed.add(talk.customer)
    return sends, followed


@pytest.mark.parametrize("hours", [1, 12, 24])
def test_what_followed_is_what_plain_loops_count(
    weekend: tuple[Story, datetime], look: Callable[..., AppTest], hours: int
) -> None:
    story, end = weekend
    measure.campaigns(story.stage.work, end)
    sends, followed = followed_sends(story, hours)

    page = look(story.stage.work, campaign="back", hours=str(hours))

    figures = {metric.label: metric.value for metric in page.metric}
    assert figures["People who qualified"] == str(len(followed))
    reached = {
        step: {customer for customer, sent, _ in sends if sent == step} for step in {step for _, step, _ in sends}
    }
    shown = tables(page)["By message, channel, variant"]
    assert {name: numbers(cells[:1])[0] for name, cells in shown.items() if name.startswith("Message ")} == {
        words.step(step): len(people) for step, people in reached.items()
    }


def test_what_the_page_shows_ties_out(weekend: tuple[Story, datetime], look: Callable[..., AppTest]) -> None:
    story, end = weekend
    measure.campaigns(story.stage.work, end)

    page = look(story.stage.work, campaign="back")
    shown = tables(page)

    leads = {what: numbers(cells[:1])[0] for what, cells in shown["Which leads"].items()}
    parts = [count for what, count in leads.items() if what.startswith("of them ")]
    assert leads["Not qualified on their own"] == sum(parts)
    assert leads["Leads in the system"] == sum(parts) + leads["Qualified on their own"]
    figures = {metric.label: metric.value for metric in page.metric}
    assert figures["Leads in the system"] == str(leads["Leads in the system"])
    assert int(figures["Qualified after a retarget"]) == numbers(shown["Day"]["All days"])[-1] > 0
    assert numbers(shown["Day"]["All days"])[:3] == [
        leads[f"of them qualified at the {title} retarget"] for title in ORDERS.values()
    ]
    newly = story.stage.one("select sum(leads) from evaluation.qualified_leads where campaign = 'back'")
    assert figures["Qualified after a retarget"] == str(newly)  # whom the section on costs divides by
    charged = [int(figures[name]) for name in ("Free", "Billable", "Billable, no price", "Not delivered")]
    assert sum(charged) == sum(numbers(cells)[0] for cells in shown["Retarget"].values())
    retargets = {name: numbers(cells) for name, cells in shown["Retarget"].items()}
    assert all(first == sum(rest) for first, *rest in retargets.values())
    assert [cells[3] for cells in retargets.values()] == numbers(shown["Day"]["All days"])[:3]
    assert [cells[0] for cells in retargets.values()] == numbers(shown["Hour"]["All hours"])[:3]


def test_fewer_days_show_in_the_address_and_a_link_opens_the_same(
    weekend: tuple[Story, datetime], look: Callable[..., AppTest]
) -> None:
    story, end = weekend
    measure.campaigns(story.stage.work, end)
    truth = story.truth(end, ADS, BERLIN)
    page = look(story.stage.work, campaign="back")
    assert not {"from", "to"} & set(asked(page))

    page.date_input(key="days").set_value((date(2026, 10, 25), date(2026, 10, 25))).run()
    assert not page.exception
    again = look(story.stage.work, **asked(page))

    assert asked(page) == {"campaign": "back", "hours": "24", "from": "2026-10-25", "to": "2026-10-25"}
    assert tables(again) == tables(page)
    assert set(tables(page)["Day"]) == {"25 October 2026", "All days"}
    night = [happened(truth, "retargeted", order, date(2026, 10, 25), 2) for order in ORDERS]
    assert numbers(tables(page)["Hour"]["02:00"])[:3] == night == [3, 0, 0]
    assert tables(page)["Which leads"] == tables(look(story.stage.work, campaign="back"))["Which leads"]


@pytest.mark.parametrize(
    ("first", "last"), [("2020-01-01", "2020-01-02"), ("2026-10-26", "2026-10-25"), ("<b>", ""), ("2026-10-25", "")]
)
def test_strange_days_in_the_address_show_all_of_them(
    weekend: tuple[Story, datetime], look: Callable[..., AppTest], first: str, last: str
) -> None:
    story, end = weekend
    measure.campaigns(story.stage.work, end)

    page = look(story.stage.work, campaign="back", **{"from": first, "to": last})

    assert tables(page) == tables(look(story.stage.work, campaign="back"))
    assert not {"from", "to"} & set(asked(page))


def test_refresh_shows_newer_days_while_all_are_asked_for(
    weekend: tuple[Story, datetime], look: Callable[..., AppTest]
) -> None:
    story, end = weekend
    measure.campaigns(story.stage.work, EVENING + 10 * HOUR)
    page = look(story.stage.work, campaign="back")
    assert "Data as of **25 October 2026, 05:00**" in said(page)

    measure.campaigns(story.stage.work, end)
    page.button[0].click().run()

    assert "Data as of **28 October 2026, 23:00**" in said(page)
    assert tables(page) == tables(look(story.stage.work, campaign="back"))


def test_before_anything_was_retargeted_leads_are_counted_and_nothing_is_said_of_days(
    weekend: tuple[Story, datetime], look: Callable[..., AppTest]
) -> None:
    story, _ = weekend
    measure.campaigns(story.stage.work, EVENING + HOUR)

    page = look(story.stage.work, campaign="back")

    assert {metric.label: metric.value for metric in page.metric} == {
        "Leads in the system": "4", "Retargeted": "0", "Qualified after a retarget": "0",
        "Share qualified": "no data",
    }  # fmt: skip
    assert "Day" not in tables(page)
    assert "No retarget has been sent yet" in said(page)


def test_the_campaign_of_the_checkout_sleeps_and_says_how_to_wake_it(
    make_workspace: Callable[..., Workspace], look: Callable[..., AppTest]
) -> None:
    work = make_workspace(mode="simulated")
    before = look(work, "UTC")
    assert "Nothing has been measured yet" in said(before)

    measure.campaigns(work, EVENING)
    page = look(work, "UTC")

    assert page.selectbox(key="campaign").options == ["Partial leads"]
    assert "none of this campaign's ads has begun a conversation yet" in said(page)
    assert "`ads:`" in said(page)
    assert not page.metric


def test_without_a_campaign_that_retargets_the_page_says_so(
    tmp_path: Path, make_workspace: Callable[..., Workspace], look: Callable[..., AppTest]
) -> None:
    write_campaign(tmp_path / "config" / "campaigns", "alpha")

    page = look(make_workspace(config=tmp_path / "config", mode="simulated"), "UTC")

    assert "No campaign retargets leads yet" in said(page)
