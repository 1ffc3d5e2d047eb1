"""Every page in a real browser: drawn without an error, on a phone, in the dark, on paper, by keyboard, as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser
from pydantic import SecretStr

from config.settings import Settings
from dashboards.contents import pages, title
from tasks import measure
from tasks.store import mode
from tasks.store.engine import Database
from tasks.store.workspace import Workspace
from tests.buying_world import histories, write
from tests.dashboards.browsing import Reader, chromium, served
from tests.evaluation_world import START, insert, random_world, write_campaign

AS_OF = START + timedelta(days=45)
NAMES = [file.stem for file in pages()]
SOURCES = """
sources:
  shop:
    entity: purchases
    kind: file
    place: nowhere/*.csv
    fresh_within: 36h
    columns: {order_id: id, customer_id: who, purchased_at: at, amount: sum, currency: cur, status: st, updated_at: at}
"""


@pytest.fixture(scope="module")
def address(make_database: Callable[..., Database], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a dashboard on a crowded month, where every section has something to show."""
    chromium()
    root = tmp_path_factory.mktemp("pages")
    for name in ("alpha", "beta"):
        write_campaign(root / "config" / "campaigns", name, "currency: EUR")
    (root / "config" / "sources.yaml").write_text(SOURCES)
    database = make_database()
    url = SecretStr(database.url.render_as_string(hide_password=False))
    given: dict[str, Any] = {"config": root / "config", "home": database.home, "database_url": url}
    work = Workspace(Settings(**given, time_zone="UTC", mode="simulated", _env_file=None))
    with work.database.transaction() as connection:
        mode.settle(work, connection)
        world = random_world(31)
        world.write(connection)
        bought = [{**row, **{name: f"h-{row[name]}" for name in ("order_id", "customer_id")}} for row in histories(31)]
        write(connection, work.queries, bought)
        _come_back(connection, world.sends)
        _deliver(connection)
    measure.campaigns(work, AS_OF)
    with served(work, root) as served_at:
        yield served_at
    work.close()


def _come_back(connection: Any, sends: list[dict[str, Any]]) -> None:
    accepted = [send for send in sends if send["accepted_at"]]
    for number, send in enumerate(accepted[:40]):
        later = send["accepted_at"] + timedelta(minutes=5)
        fact = ("delivered_at", "opened_at", "clicked_at", "complained_at")[number % 4]
        insert(connection, "campaign.message_reports", [{"send_key": send["send_key"], fact: later}])
    member = {
        "platform": "meta", "audience": "alpha", "campaign": "alpha", "customer_id": "c001", "desired": False,
        "applied": True, "desired_at": AS_OF - timedelta(days=3),
    }  # fmt: skip
    insert(connection, "campaign.audience_members", [member])


def _deliver(connection: Any) -> None:
    load = {"source": "shop", "entity": "purchases", "object": "x", "as_of": AS_OF, "lines_in": 1200, "accepted": 1199}
    insert(connection, "raw.loads", [load | {"state": "merged", "quarantined": 1}])
    line = {"load_id": 1, "source": "shop", "entity": "purchases", "line_no": 1, "raw": "x", "fields": {"a": "b"}}
    insert(connection, "raw.quarantine", [line | {"reason": "unknown_status", "column_name": "status"}])
    check = {"load_id": 1, "source": "shop", "entity": "purchases", "severity": "warning", "as_of": AS_OF}
    told = {"expectation": "expect_table_columns_to_match_set", "outcome": "warned", "observed": "=1+1"}
    insert(connection, "raw.validations", [check | told | {"expected": "the mapping's"}])


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_drawn_to_its_end_and_asks_nobody_outside(address: str, reader: Reader, name: str) -> None:
    reader.open(f"{address}/{name}")

    assert reader.page.get_by_test_id("stException").count() == 0
    assert reader.page.get_by_role("dialog").count() == 0
    assert reader.page.locator("h1").count() == 1
    assert reader.page.get_by_test_id("stTable").count() > 0 or name == "partial_leads"
    assert reader.page.title() == title(name)
    assert reader.outside == []
    assert reader.faults() == []


def test_the_first_page_is_the_overview_and_the_navigation_has_them_all_in_order(address: str, reader: Reader) -> None:
    reader.open(f"{address}/?hours=36")

    assert reader.page.locator("h1").inner_text() == "Overview"
    assert reader.page.url == f"{address}/overview?hours=36"
    assert [one.inner_text() for one in reader.page.get_by_test_id("stSidebarNavLink").all()] == [
        title(name) for name in NAMES
    ]


@pytest.mark.parametrize("name", NAMES)
def test_on_a_phone_nobody_scrolls_sideways(address: str, reader: Reader, name: str) -> None:
    reader.page.set_viewport_size({"width": 390, "height": 844})
    reader.open(f"{address}/{name}")

    assert not reader.is_wider_than_the_window()


@pytest.mark.parametrize("name", NAMES)
def test_its_address_shows_the_same_page_elsewhere(address: str, reader: Reader, browser: Browser, name: str) -> None:
    reader.open(f"{address}/{name}?campaign=beta&hours=100")
    elsewhere = Reader(browser.new_context(viewport={"width": 1280, "height": 900}).new_page())

    elsewhere.open(reader.page.url)

    shown = [one.page.get_by_test_id("stMain").inner_text() for one in (reader, elsewhere)]
    assert shown[0] == shown[1]
    assert elsewhere.page.url == reader.page.url
    elsewhere.page.context.close()


@pytest.mark.parametrize("name", NAMES)
def test_whoever_reads_in_the_dark_gets_a_dark_page(address: str, browser: Browser, name: str) -> None:
    reader = Reader(browser.new_context(color_scheme="dark").new_page())
    reader.open(f"{address}/{name}")

    behind = reader.page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    words = reader.page.evaluate("getComputedStyle(document.querySelector('h1')).color")

    assert behind == "rgb(18, 25, 28)"
    assert words == "rgb(230, 237, 239)"
    assert reader.faults() == []
    reader.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_paper_words_are_black_and_files_are_not_offered(address: str, browser: Browser, scheme: Any) -> None:
    reader = Reader(browser.new_context(color_scheme=scheme).new_page())
    reader.open(f"{address}/lapsing?campaign=alpha")

    reader.page.emulate_media(media="print", color_scheme=scheme)

    assert reader.page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(0, 0, 0)"
    assert reader.page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    assert reader.page.get_by_role("button", name="as CSV").count() == 0
    reader.page.context.close()


def test_a_table_is_saved_as_a_file_that_says_where_it_is_from(address: str, reader: Reader) -> None:
    reader.open(f"{address}/lapsing?campaign=alpha&hours=100")

    called, cells = reader.saved("Still to come")

    assert called == "lapsing_alpha_still-to-come_2026-04-15-0000.csv"
    shown = reader.table("Why")
    assert cells[0] == ["Why", "People", "Of all enrolled"]
    assert {row[0]: row[1] for row in cells[1:]} == {why: people for why, (people, _) in shown.items()}
    assert all(0 < float(share) < 1 for _, _, share in cells[1:])


def test_every_table_is_offered_as_a_file_by_its_own_name(address: str, reader: Reader) -> None:
    for name in NAMES:
        reader.open(f"{address}/{name}")
        offered = [one.text_content() for one in reader.page.get_by_test_id("stDownloadButton").all()]

        assert len(offered) == reader.page.get_by_test_id("stTable").count()
        assert len(set(offered)) == len(offered)


def test_a_link_to_a_part_of_a_campaign_shows_that_part(address: str, reader: Reader, browser: Browser) -> None:
    asked = "campaign=alpha&country=AT&currency=USD&hours=100&language=unknown"
    reader.open(f"{address}/lapsing?campaign=alpha&hours=100")
    for control, value in (("Language", "Not known"), ("Country", "AT"), ("Currency", "USD")):
        reader.page.get_by_role("combobox", name=control).click()
        reader.page.get_by_role("option", name=value, exact=True).click()
        reader.settle()
    reader.settle("Only messages: language not known, country AT")
    elsewhere = Reader(browser.new_context(viewport={"width": 1280, "height": 900}).new_page())

    elsewhere.open(reader.page.url)

    shown = [one.page.get_by_test_id("stMain").inner_text() for one in (reader, elsewhere)]
    assert shown[0] == shown[1]
    assert set(asked.split("&")) <= set(reader.page.url.partition("?")[2].split("&"))
    assert {name for name in elsewhere.metrics() if name.startswith("Revenue")} == {"Revenue, USD"}
    elsewhere.page.context.close()


def test_other_days_change_the_share_that_bought_again_and_the_address(address: str, reader: Reader) -> None:
    reader.open(f"{address}/overview")

    reader.page.get_by_role("spinbutton", name="Bought again within days").fill("30")
    reader.page.keyboard.press("Enter")
    reader.page.wait_for_url("**within=30**")
    reader.settle()

    reader.page.get_by_text("The same as a table").click()
    called, cells = reader.saved("How customers buy")
    assert "within=30" in reader.page.url
    assert called == "overview_how-customers-buy_2026-04-15-0000.csv"
    assert cells[0][3] == "Bought again within 30 days"
    assert cells[1][0] == "2026-04"


def test_what_a_source_wrote_cannot_run_in_a_spreadsheet(address: str, reader: Reader) -> None:
    reader.open(f"{address}/data_quality")

    _, cells = reader.saved("Broken expectations")

    assert cells[1][3] == "'=1+1"


def test_a_campaign_in_the_overview_leads_to_its_page_with_the_same_window(address: str, reader: Reader) -> None:
    reader.open(f"{address}/?hours=100")

    with reader.page.context.expect_page() as opened:
        reader.page.get_by_role("link", name="Beta", exact=True).click()
    campaign = Reader(opened.value)
    campaign.settle("What followed within 100 hours")

    assert "/lapsing?campaign=beta&hours=100" in campaign.page.url
    assert campaign.page.locator("h1").inner_text() == "Beta"
