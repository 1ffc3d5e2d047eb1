"""Fixtures of the tests of pages, most of which look in a real browser."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from playwright.sync_api import Browser, sync_playwright

from tasks.store.workspace import Workspace
from tests.dashboards.browsing import Reader, chromium
from tests.dashboards.looking import point_at
from tests.evaluation_world import write_campaign


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


@pytest.fixture
def shop(
    tmp_path: Path, make_workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """A simulated database with two campaigns, on which pages are opened without a browser."""
    campaigns = tmp_path / "config" / "campaigns"
    write_campaign(campaigns, "alpha", "currency: EUR", "description: Win back whoever is late.")
    write_campaign(campaigns, "beta", "goal: {event: booked, where: {plan: gold}}")
    work = make_workspace(config=tmp_path / "config", mode="simulated")
    point_at(monkeypatch, work)
    yield work
    st.cache_resource.clear()
