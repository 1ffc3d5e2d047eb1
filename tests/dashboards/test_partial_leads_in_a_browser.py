"""The page of retargeting in a real browser, after a real play: messages in the ledger, figures on the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tasks import measure
from tasks.store.engine import Database
from tests.dashboards.browsing import Reader, chromium, served
from tests.leads_world import BERLIN, Truth, long_weekend, open_story

ADS = {"back": {"ad1", "ad2"}}


@pytest.fixture(scope="module")
def shown(
    make_database: Callable[..., Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Truth]]:
    """The address of a dashboard over a played weekend, and what it should say."""
    chromium()
    root = tmp_path_factory.mktemp("weekend")
    story = open_story(make_database(BERLIN), root / "config", ADS, BERLIN)
    end = long_weekend(story)
    measure.campaigns(story.stage.work, end)
    with served(story.stage.work, root) as address:
        yield f"{address}/partial_leads?campaign=back", story.truth(end, ADS, BERLIN)
    story.stage.work.close()


def test_the_page_shows_its_charts_and_the_figures_of_plain_loops(shown: tuple[str, Truth], reader: Reader) -> None:
    address, truth = shown
    reader.end = "hourly-retargeting"

    reader.open(address)
    reader.page.wait_for_function("document.querySelectorAll('[data-testid=stVegaLiteChart] canvas, "
                                  "[data-testid=stVegaLiteChart] svg').length === 7")  # fmt: skip

    qualified = [truth.sum_of("back", order, "qualified") for order in (1, 2, 3)]
    assert reader.metrics()["Leads in the system"] == str(truth.total("back"))
    assert reader.metrics()["Qualified after a retarget"] == str(sum(qualified))
    listed = reader.table("Which leads")
    assert [listed[f"of them qualified at the {title} retarget"][0] for title in ("1st", "2nd", "3rd")] == [
        str(count) for count in qualified
    ]
    assert reader.page.get_by_test_id("stException").count() == 0
    (told,) = reader.page.get_by_test_id("stAlert").all_inner_texts()
    assert told.startswith("No data: nobody is held out in this campaign")
    assert reader.outside == []
    assert reader.faults() == []


def test_hovering_over_a_bar_tells_its_counts(shown: tuple[str, Truth], reader: Reader) -> None:
    address, truth = shown
    reader.end = "hourly-retargeting"
    reader.open(address)
    chart = reader.page.get_by_test_id("stVegaLiteChart").nth(1)
    chart.scroll_into_view_if_needed()

    # the first bar of the second chart is as long as there are leads
    box = chart.bounding_box()
    assert box
    reader.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 24)
    tip = reader.page.locator("#vg-tooltip-element.visible")
    tip.wait_for(timeout=30_000)

    assert "Leads in the system" in tip.inner_text()
    assert str(truth.total("back")) in tip.inner_text()


@pytest.mark.parametrize("width", [390, 1180])
def test_no_figure_is_cut_short_and_nothing_is_wider_than_the_window(
    shown: tuple[str, Truth], reader: Reader, width: int
) -> None:
    reader.end = "hourly-retargeting"
    reader.page.set_viewport_size({"width": width, "height": 800})
    reader.open(shown[0])

    cut = reader.page.evaluate(
        "[...document.querySelectorAll('[data-testid=stMetricValue]')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)"
    )
    wide = reader.page.evaluate(
        "[...document.querySelectorAll('[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg')]"
        ".filter(e => e.getBoundingClientRect().right > window.innerWidth + 1).length"
    )

    assert cut == []
    assert wide == 0


def test_the_page_names_no_person_and_no_conversation(shown: tuple[str, Truth], reader: Reader) -> None:
    address, truth = shown
    reader.end = "hourly-retargeting"
    reader.open(address)
    content = reader.page.content()

    assert not any(f">{text}<" in content for name, talk in truth.talks.items() for text in (name, talk.customer))
