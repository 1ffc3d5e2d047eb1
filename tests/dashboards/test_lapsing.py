"""The page of one campaign without a browser: its figures against plain loops, and every empty state in words."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboards import words
from tasks import measure
from tasks.rules.words import REASONS
from tasks.store.engine import Database
from tasks.store.workspace import Workspace
from tests.dashboards.looking import asked, metrics, opened, refreshed, said, tables
from tests.evaluation_world import START, Goal, Recomputation, World, insert, random_world

AS_OF = START + timedelta(days=45)
GOALS = {"alpha": Goal(), "beta": Goal("booked", (("plan", "gold"),)), "gone": Goal()}


def _measured(work: Workspace, world: World) -> None:
    with work.database.transaction() as connection:
        world.write(connection)
    measure.campaigns(work, AS_OF)


def _page(**query: str) -> AppTest:
    return opened("lapsing", **query)


@pytest.mark.parametrize("hours", [1, 24, 100, 720])
def test_the_page_shows_what_plain_loops_count_for_any_window(shop: Workspace, hours: int) -> None:
    world = random_world(21)
    _measured(shop, world)
    truth = Recomputation(world, AS_OF, GOALS)

    page = refreshed(_page(campaign="alpha"), hours)
    shown, listed = metrics(page), tables(page)

    enrolled = {truth.person_of(e["customer_id"]) for e in world.enrolments if e["campaign"] == "alpha"}
    reached = {truth.person_of(send["customer_id"]) for send in truth.sends if send["campaign"] == "alpha"}
    credited = [entry for entry in truth.credited(hours) if entry[0]["campaign"] == "alpha"]
    bought = {truth.person_of(send["customer_id"]) for send, _, is_goal in credited if is_goal}
    purchases = [row for _, row, _ in credited if "order_id" in row]
    assert shown["Enrolled"] == f"{len(enrolled):,}"
    assert shown["Reached"] == f"{len(reached):,}"
    assert shown["People who bought"] == f"{len(bought):,}"
    assert shown["Rate"] == f"{100 * len(bought) / len(reached):.1f} %"
    assert shown["Purchases"] == f"{len(purchases):,}"
    for currency in ("EUR", "USD"):
        revenue = sum((row["amount"] for row in purchases if row["currency"] == currency), Decimal(0))
        assert shown.get(f"Revenue, {currency}", "0.00") == f"{revenue:,.2f}"

    version = page.selectbox(key="version").value
    for arm, name in (("treated", "Treated"), ("holdout", "Held out")):
        units = [
            u for u in truth.units
            if (u["campaign"], u["experiment_version"], u["arm"]) == ("alpha", version, arm)
        ]  # fmt: skip
        ripe = [u for u in units if _end_of_day(u["enrolled_at"]) + timedelta(hours=hours) <= AS_OF]
        converted = sum(truth.followed(unit, hours)[1] for unit in ripe)
        if "Group" in listed:
            assert listed["Group"][name][:3] == [f"{len(ripe):,}", f"{len(units) - len(ripe):,}", f"{converted:,}"]
        else:
            assert "No data yet" in said(page)


def _end_of_day(at: Any) -> Any:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def test_the_standings_and_reasons_add_up_to_the_people_enrolled(shop: Workspace) -> None:
    _measured(shop, random_world(22))

    page = _page(campaign="alpha")
    shown, why = metrics(page), tables(page)["Why"]

    parts = [int(shown[name].replace(",", "")) for name in words.STANDINGS.values() if name in shown]
    assert sum(parts) == int(shown["Enrolled"].replace(",", ""))
    assert set(why) <= {"No consent on any channel", "Consent given, but no usable address or device"} | set(
        words.STATES.values()
    ) | set(REASONS.values())


def test_an_event_goal_is_counted_and_named_as_one(shop: Workspace) -> None:
    world = random_world(23)
    _measured(shop, world)
    truth = Recomputation(world, AS_OF, GOALS)

    page = refreshed(_page(campaign="beta"), 100)

    goals = {
        truth.person_of(s["customer_id"])
        for s, _, is_goal in truth.credited(100)
        if s["campaign"] == "beta" and is_goal
    }
    assert metrics(page)["People who reached the goal"] == f"{len(goals):,}"


def test_refresh_reads_again_and_shows_the_new_data_as_of(shop: Workspace) -> None:
    world = World()
    enrolment = world.enrol("alpha", world.customer("c1"), START)
    world.send(enrolment, START + timedelta(hours=1))
    world.buy("c1", START + timedelta(hours=5), "42.00")
    with shop.database.transaction() as connection:
        world.write(connection)
    measure.campaigns(shop, START + timedelta(hours=2))
    page = _page(campaign="alpha")
    assert "Data as of **1 March 2026, 02:00**" in said(page)
    assert metrics(page)["Purchases"] == "0"

    measure.campaigns(shop, START + timedelta(hours=6))
    page = refreshed(page, 24)

    assert "Data as of **1 March 2026, 06:00**" in said(page)
    assert (metrics(page)["Purchases"], metrics(page)["Revenue, EUR"]) == ("1", "42.00")


def test_the_address_keeps_campaign_and_window_so_that_a_link_shows_the_same(shop: Workspace) -> None:
    _measured(shop, random_world(24))

    page = refreshed(_page(campaign="beta"), 48)
    query = asked(page)
    again = _page(campaign=query["campaign"], hours=query["hours"])

    assert query["campaign"] == "beta"
    assert query["hours"] == "48"
    assert again.title[0].value == "Beta"
    assert again.number_input(key="hours").value == 48
    assert metrics(again) == metrics(page)


@pytest.mark.parametrize("strange", ["0", "99999", "-5", "1.5", "<b>", ""])
def test_a_strange_window_in_the_address_is_put_right(shop: Workspace, strange: str) -> None:
    _measured(shop, random_world(25, people=9))

    page = _page(campaign="alpha", hours=strange)

    assert 1 <= page.number_input(key="hours").value <= 720


def test_a_campaign_with_nobody_enrolled_says_so_and_shows_no_figure(shop: Workspace) -> None:
    measure.campaigns(shop, AS_OF)

    page = _page(campaign="alpha")

    assert "Nobody has been enrolled in this campaign yet" in said(page)
    assert not page.metric


def test_people_without_consent_are_told_in_words_and_nothing_is_measured_as_zero(shop: Workspace) -> None:
    """CDNOW without contacts: everyone is enrolled, nobody may be written to."""
    world = World()
    for number in range(30):
        enrolment = world.enrol(
            "alpha", world.customer(f"c{number}"), START, arm="holdout" if number < 3 else "treated"
        )
        if number < 3:
            world.decide(enrolment, "holdout")
        else:
            world.decide(enrolment, "suppressed", "no_consent")
        world.buy(f"c{number}", START + timedelta(hours=3))
    _measured(shop, world)

    page = _page(campaign="alpha")
    shown = metrics(page)

    assert (shown["Enrolled"], shown["Reached"], shown["Not reached"], shown["Held out"]) == ("30", "0", "27", "3")
    assert tables(page)["Why"]["No consent on any channel"][0] == "27"
    assert "No data: nobody has been reached" in said(page)
    assert "no consent on any channel (27 people)" in said(page)
    assert "whatever differs below is chance" in said(page)
    assert "Rate" not in shown
    assert "Purchases" not in shown


def test_before_the_first_evaluation_the_page_says_what_to_do(shop: Workspace) -> None:
    page = _page(campaign="alpha")

    assert "Nothing has been measured yet" in said(page)
    assert not page.metric


def test_without_a_holdout_the_page_says_why_nothing_is_compared(shop: Workspace) -> None:
    world = World()
    world.send(world.enrol("alpha", world.customer("c1"), START), START + timedelta(hours=1))
    _measured(shop, world)

    assert "nobody is held out" in said(_page(campaign="alpha"))


def test_people_who_are_still_maturing_are_counted_and_not_compared(shop: Workspace) -> None:
    world = World()
    for number in range(10):
        world.enrol(
            "alpha", world.customer(f"c{number}"), AS_OF - timedelta(hours=5), arm=["treated", "holdout"][number % 2]
        )
    _measured(shop, world)

    page = _page(campaign="alpha")

    assert "10 people are still within 24 hours of their enrolment" in said(page)
    assert "Group" not in tables(page)


def test_what_holds_it_back_is_told_with_its_reason(shop: Workspace) -> None:
    with shop.database.transaction() as connection:
        insert(
            connection,
            "raw.loads",
            [{"source": "shop", "entity": "purchases", "object": "x", "as_of": START, "state": "held", "lines_in": 7}],
        )
        insert(connection, "campaign.holds", [{"campaign": "alpha", "load_id": 1, "reason": "shop, <img src=x>"}])
        insert(connection, "campaign.campaigns", [{"campaign": "*", "state": "paused", "reason": "audit"}])
        insert(connection, "campaign.campaigns", [{"campaign": "beta", "state": "paused", "reason": "error_rate"}])
    measure.campaigns(shop, AS_OF)

    alpha, beta = said(_page(campaign="alpha")), said(_page(campaign="beta"))

    assert "All campaigns are switched off: audit" in alpha
    assert "Held back by the data gate: shop, \\<img src=x>" in alpha
    assert "Paused by itself: too many messages were refused or lost" in beta
    assert "data gate" not in beta


def test_a_database_that_is_not_prepared_is_explained_without_a_trace(
    shop: Workspace, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Database(server.url("bare_for_dashboard"), shop.settings.home)
    bare.create_if_missing()
    st.cache_resource.clear()
    monkeypatch.setenv("REENGAGE_DATABASE_URL", bare.url.render_as_string(hide_password=False))

    page = _page()

    assert "reengage db migrate" in said(page)
    bare.dispose()


def test_every_reason_has_words_without_codes() -> None:
    assert all("_" not in text for text in [*REASONS.values(), *words.STATES.values()])
    assert words.why("suppressed", "brand_new_code") == "Brand new code"
    assert words.why("expired", "") == "No way to send in time"


@pytest.mark.parametrize(
    "narrowed", [{"channel": "sms"}, {"variant": "warm"}, {"from": "2026-03-10", "to": "2026-03-20"},
                 {"channel": "email", "variant": "control", "from": "2026-03-05", "to": "2026-03-25"}],
)  # fmt: skip
def test_narrowed_to_a_part_every_message_counts_and_the_comparison_hides(
    shop: Workspace, narrowed: dict[str, str]
) -> None:
    world, hours = random_world(21), 100
    _measured(shop, world)
    truth = Recomputation(world, AS_OF, GOALS)

    page = _page(campaign="alpha", hours=str(hours), **narrowed)

    def is_part(send: Any) -> bool:
        day = send["accepted_at"].date().isoformat()
        return (
            send["campaign"] == "alpha"
            and send["channel"] == narrowed.get("channel", send["channel"])
            and send["variant"] == narrowed.get("variant", send["variant"])
            and narrowed.get("from", day) <= day <= narrowed.get("to", day)
        )

    sends = [send for send in truth.sends if is_part(send)]
    credited = [entry for entry in truth.credited(hours) if is_part(entry[0])]
    purchases = [row for _, row, _ in credited if "order_id" in row]
    shown = metrics(page)
    assert 0 < len(sends) < len([send for send in truth.sends if send["campaign"] == "alpha"])
    assert shown["Messages"] == f"{len(sends):,}"
    assert shown["Followed by the goal"] == str(len({send["send_key"] for send, _, is_goal in credited if is_goal}))
    assert shown["Purchases"] == f"{len(purchases):,}"
    for currency in ("EUR", "USD"):
        revenue = sum((row["amount"] for row in purchases if row["currency"] == currency), Decimal(0))
        assert shown.get(f"Revenue, {currency}", "0.00") == f"{revenue:,.2f}"
    assert "The comparison is hidden while this page is narrowed by" in said(page)
    assert "Group" not in tables(page)
    assert asked(page) == {"campaign": "alpha", "hours": "100"} | narrowed


def test_a_part_that_does_not_exist_is_the_whole(shop: Workspace) -> None:
    _measured(shop, random_world(21))

    page = _page(campaign="alpha", channel="pigeon", variant="<b>", **{"from": "2020-01-01", "to": "2020-01-02"})

    assert not {"channel", "variant", "from", "to"} & set(asked(page))
    assert metrics(page) == metrics(_page(campaign="alpha"))


def test_showing_everything_again_brings_the_comparison_back(shop: Workspace) -> None:
    _measured(shop, random_world(21))
    whole = metrics(_page(campaign="alpha"))

    page = _page(campaign="alpha", channel="sms")
    narrowed = metrics(page)
    page.selectbox(key="channel").set_value(None).run()

    assert narrowed != whole
    assert metrics(page) == whole
    assert "channel" not in asked(page)


def test_another_campaign_without_that_channel_is_shown_as_a_whole(shop: Workspace) -> None:
    world = World()
    for number, (campaign, channel) in enumerate(
        [("alpha", "sms"), ("alpha", "email"), ("beta", "push"), ("beta", "email")]
    ):
        enrolment = world.enrol(campaign, world.customer(f"c{number}"), START)
        world.send(enrolment, START + timedelta(hours=1), channel=channel)
    _measured(shop, world)

    page = _page(campaign="alpha", channel="sms")
    page.selectbox(key="campaign").set_value("beta").run()

    assert not page.exception
    assert asked(page) == {"campaign": "beta", "hours": "24"}
    assert set(tables(page)["By message, channel, variant"]) == {"Email", "Push"}
