"""Fixtures of the tests of pages, most of which look in a real browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.dashboards.browsing import Reader, chromium


@pytest.fixture(autouse=True)
def _main_stays() -> Iterator[None]:
    """A page that runs takes the place of the main module, which processes started later would run again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium that asks for nothing by itself."""
    arguments = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=chromium(), args=arguments)
        yield started
        started.close()


@pytest.fixture
def reader(browser: Browser) -> Iterator[Reader]:
    """A fresh window."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield Reader(context.new_page())
    context.close()
