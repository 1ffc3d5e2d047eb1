"""The overview page without a browser: its figures against plain loops, and every empty state in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from config.settings import CHECKOUT
from dashboards import words
from tasks import measure
from tasks.rules.words import REASONS
from tasks.store.engine import Database
from tasks.store.workspace import Workspace
from tests.evaluation_world import START, Goal, Recomputation, World, insert, random_world, write_campaign

AS_OF = START + timedelta(days=45)
PAGE = CHECKOUT / "dashboards" / "pages" / "lapsing.py"
GOALS = {"alpha": Goal(), "beta": Goal("booked", (("plan", "gold"),)), "gone": Goal()}


@pytest.fixture
def shop(
    tmp_path: Path, make_workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """A simulated database that the page finds through the environment, as any user's would."""
    campaigns = tmp_path / "config" / "campaigns"
    write_campaign(campaigns, "alpha", "currency: EUR", "description: Win back whoever is late.")
    write_campaign(campaigns, "beta", "goal: {event: booked, where: {plan: gold}}")
    work = make_workspace(config=tmp_path / "config", mode="simulated")
    _point_at(monkeypatch, work)
    yield work
    st.cache_resource.clear()


def _point_at(monkeypatch: pytest.MonkeyPatch, work: Workspace) -> None:
    st.cache_resource.clear()
    monkeypatch.setenv("REENGAGE_CONFIG", str(work.settings.config))
    monkeypatch.setenv("REENGAGE_HOME", str(work.settings.home))
    monkeypatch.setenv("REENGAGE_DATABASE_URL", work.database.url.render_as_string(hide_password=False))
    monkeypatch.setenv("REENGAGE_TIME_ZONE", "UTC")


def _measured(work: Workspace, world: World) -> None:
    with work.database.transaction() as connection:
        world.write(connection)
    measure.campaigns(work, AS_OF)


def _page(**query: str) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def _refreshed(page: AppTest, hours: int) -> AppTest:
    page.number_input(key="hours").set_value(hours)
    page.button[0].click().run()
    assert not page.exception
    return page


def _metrics(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def _tables(page: AppTest) -> dict[str, dict[str, list[Any]]]:
    """Every table by the name of its first column: row name -> cells."""
    found: dict[str, dict[str, list[Any]]] = {}
    for table in page.table:
        frame = table.value
        found[str(frame.index.name)] = {
            str(name): list(row) for name, row in zip(frame.index, frame.values, strict=True)
        }
    return found


def _said(page: AppTest) -> str:
    kinds = (page.info, page.warning, page.error, page.success, page.markdown, page.caption)
    return "\n".join(element.value for kind in kinds for element in kind)


@pytest.mark.parametrize("hours", [1, 24, 100, 720])
def test_the_page_shows_what_plain_loops_count_for_any_window(shop: Workspace, hours: int) -> None:
    world = random_world(21)
    _measured(shop, world)
    truth = Recomputation(world, AS_OF, GOALS)

    page = _refreshed(_page(campaign="alpha"), hours)
    shown, tables = _metrics(page), _tables(page)

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
        if "Group" in tables:
            assert tables["Group"][name][:3] == [f"{len(ripe):,}", f"{len(units) - len(ripe):,}", f"{converted:,}"]
        else:
            assert "No data yet" in _said(page)


def _end_of_day(at: Any) -> Any:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def test_the_standings_and_reasons_add_up_to_the_people_enrolled(shop: Workspace) -> None:
    _measured(shop, random_world(22))

    page = _page(campaign="alpha")
    shown, why = _metrics(page), _tables(page)["Why"]

    parts = [int(shown[name].replace(",", "")) for name in words.STANDINGS.values() if name in shown]
    assert sum(parts) == int(shown["Enrolled"].replace(",", ""))
    assert set(why) <= {"No consent on any channel", "Consent given, but no usable address or device"} | set(
        words.STATES.values()
    ) | set(REASONS.values())


def test_an_event_goal_is_counted_and_named_as_one(shop: Workspace) -> None:
    world = random_world(23)
    _measured(shop, world)
    truth = Recomputation(world, AS_OF, GOALS)

    page = _refreshed(_page(campaign="beta"), 100)

    goals = {
        truth.person_of(s["customer_id"])
        for s, _, is_goal in truth.credited(100)
        if s["campaign"] == "beta" and is_goal
    }
    assert _metrics(page)["People who reached the goal"] == f"{len(goals):,}"


def test_refresh_reads_again_and_shows_the_new_data_as_of(shop: Workspace) -> None:
    world = World()
    enrolment = world.enrol("alpha", world.customer("c1"), START)
    world.send(enrolment, START + timedelta(hours=1))
    world.buy("c1", START + timedelta(hours=5), "42.00")
    with shop.database.transaction() as connection:
        world.write(connection)
    measure.campaigns(shop, START + timedelta(hours=2))
    page = _page(campaign="alpha")
    assert "Data as of **1 March 2026, 02:00**" in _said(page)
    assert _metrics(page)["Purchases"] == "0"

    measure.campaigns(shop, START + timedelta(hours=6))
    page = _refreshed(page, 24)

    assert "Data as of **1 March 2026, 06:00**" in _said(page)
    assert (_metrics(page)["Purchases"], _metrics(page)["Revenue, EUR"]) == ("1", "42.00")


def test_the_address_keeps_campaign_and_window_so_that_a_link_shows_the_same(shop: Workspace) -> None:
    _measured(shop, random_world(24))

    page = _refreshed(_page(campaign="beta"), 48)
    query = {name: values[0] if isinstance(values, list) else values for name, values in page.query_params.items()}
    again = _page(campaign=query["campaign"], hours=query["hours"])

    assert query["campaign"] == "beta"
    assert query["hours"] == "48"
    assert again.title[0].value == "Beta overview"
    assert again.number_input(key="hours").value == 48
    assert _metrics(again) == _metrics(page)


@pytest.mark.parametrize("asked", ["0", "99999", "-5", "1.5", "<b>", ""])
def test_a_strange_window_in_the_address_is_put_right(shop: Workspace, asked: str) -> None:
    _measured(shop, random_world(25, people=9))

    page = _page(campaign="alpha", hours=asked)

    assert 1 <= page.number_input(key="hours").value <= 720


def test_a_campaign_with_nobody_enrolled_says_so_and_shows_no_figure(shop: Workspace) -> None:
    measure.campaigns(shop, AS_OF)

    page = _page(campaign="alpha")

    assert "Nobody has been enrolled in this campaign yet" in _said(page)
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
    shown = _metrics(page)

    assert (shown["Enrolled"], shown["Reached"], shown["Not reached"], shown["Held out"]) == ("30", "0", "27", "3")
    assert _tables(page)["Why"]["No consent on any channel"][0] == "27"
    assert "No data: nobody has been reached" in _said(page)
    assert "no consent on any channel (27 people)" in _said(page)
    assert "whatever differs below is chance" in _said(page)
    assert "Rate" not in shown
    assert "Purchases" not in shown


def test_before_the_first_evaluation_the_page_says_what_to_do(shop: Workspace) -> None:
    page = _page(campaign="alpha")

    assert "Nothing has been measured yet" in _said(page)
    assert not page.metric


def test_without_a_holdout_the_page_says_why_nothing_is_compared(shop: Workspace) -> None:
    world = World()
    world.send(world.enrol("alpha", world.customer("c1"), START), START + timedelta(hours=1))
    _measured(shop, world)

    assert "nobody is held out" in _said(_page(campaign="alpha"))


def test_people_who_are_still_maturing_are_counted_and_not_compared(shop: Workspace) -> None:
    world = World()
    for number in range(10):
        world.enrol(
            "alpha", world.customer(f"c{number}"), AS_OF - timedelta(hours=5), arm=["treated", "holdout"][number % 2]
        )
    _measured(shop, world)

    page = _page(campaign="alpha")

    assert "10 people are still within 24 hours of their enrolment" in _said(page)
    assert "Group" not in _tables(page)


def test_what_providers_reported_is_counted_once_per_message_and_people_apart_from_machines(shop: Workspace) -> None:
    world, at = World(), START + timedelta(hours=1)
    facts: dict[str, dict[str, Any]] = {
        "silent": {},
        "delivered": {"delivered_at": at},
        "read": {"opened_at": at, "machine_opened_at": at},
        "fetched": {"delivered_at": at, "machine_opened_at": at},
        "clicked": {"clicked_at": at, "replied_at": at},
        "gone": {"bounced_at": at, "failed_at": at},
        "angry": {"delivered_at": at, "complained_at": at, "unsubscribed_at": at},
        "later": {"delivered_at": AS_OF + timedelta(hours=1), "opened_at": AS_OF + timedelta(hours=1)},
    }
    keys = {name: world.send(world.enrol("alpha", world.customer(name), START), at)["send_key"] for name in facts}
    world.send(world.enrol("beta", world.customer("other"), START), at)
    with shop.database.transaction() as connection:
        world.write(connection)
        for name, fact in facts.items():
            if fact:
                insert(connection, "campaign.message_reports", [{"send_key": keys[name], **fact}])
    measure.campaigns(shop, AS_OF)

    assert _tables(_page(campaign="alpha"))["Message"]["Message 1, Email"] == [
        "8", "5", "2", "1", "1", "1", "1", "1", "1",
    ]  # fmt: skip
    said = _said(_page(campaign="beta"))
    assert "No provider has reported anything about these messages yet" in said


def test_what_is_in_doubt_paused_and_held_is_told_with_its_age(shop: Workspace) -> None:
    world = World()
    for number, hours in enumerate((2, 3, 30)):
        enrolment = world.enrol("alpha", world.customer(f"c{number}"), START)
        world.send(enrolment, None, state="unknown", claimed_at=AS_OF - timedelta(hours=hours))
    with shop.database.transaction() as connection:
        insert(
            connection,
            "raw.loads",
            [{"source": "shop", "entity": "purchases", "object": "x", "as_of": START, "state": "held", "lines_in": 7}],
        )
        insert(connection, "campaign.holds", [{"campaign": "alpha", "load_id": 1, "reason": "shop, <img src=x>"}])
        insert(connection, "campaign.campaigns", [{"campaign": "*", "state": "paused", "reason": "audit"}])
        connection.execute(shop.queries["ledger/mode_store"](mode="simulated"))
    _measured(shop, world)

    page = _page(campaign="alpha")
    said, tables = _said(page), _tables(page)

    assert _metrics(page)["In doubt"] == "3"
    assert tables["In doubt for"]["1 to 6 hours"][1] == "2"
    assert tables["In doubt for"]["1 to 3 days"][1] == "1"
    assert "All campaigns are switched off: audit" in said
    assert "Held back by the data gate: shop, \\<img src=x>" in said
    assert "Deliveries held back: 1." in said
    assert tables["Source"]["shop"][1] == "Held back by the data gate"


def test_a_database_that_is_not_prepared_is_explained_without_a_trace(
    shop: Workspace, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Database(server.url("bare_for_dashboard"), shop.settings.home)
    bare.create_if_missing()
    st.cache_resource.clear()
    monkeypatch.setenv("REENGAGE_DATABASE_URL", bare.url.render_as_string(hide_password=False))

    page = _page()

    assert "reengage db migrate" in _said(page)
    bare.dispose()


def test_every_reason_has_words_without_codes() -> None:
    assert all("_" not in text for text in [*REASONS.values(), *words.STATES.values()])
    assert words.why("suppressed", "brand_new_code") == "Brand new code"
    assert words.why("expired", "") == "No way to send in time"
