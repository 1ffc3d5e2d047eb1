"""The dashboard as it is served, and a page of it in a real browser."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Request

from dashboards import serve
from tasks.store.workspace import Workspace


def found_browser() -> str | None:
    """The browser of this machine."""
    return shutil.which("chromium") or shutil.which("google-chrome")


def chromium() -> str:
    """The browser of this machine; without one the test is skipped."""
    found = found_browser()
    if not found:
        pytest.skip("no chromium on this machine")
    return found


@contextlib.contextmanager
def served(work: Workspace, folder: Path, **settings: str) -> Iterator[str]:
    """The dashboard on a workspace with further settings; answers its address. `folder` gets its log."""
    port, log = _free_port(), folder / "dashboard.log"
    with log.open("w") as written:
        child = subprocess.Popen(
            serve.command(port), env={**os.environ, **_environment(work), **settings}, cwd=folder, stdout=written,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        _wait_for(f"http://127.0.0.1:{port}/_stcore/health", child, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(20)


@dataclass
class Reader:
    """A page in a browser, with everything it asked for."""

    page: Page
    end: str = "page-end"  # what every page ends with
    requests: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        """Go there and wait until the page has been drawn to its end."""
        self.page.on("request", self._note)
        self.page.goto(address)
        self.settle()

    def settle(self, *expected: str) -> None:
        """Wait until Streamlit has drawn everything once, with the words expected on the page."""
        self.page.wait_for_function(
            """([end, ...expected]) => document.querySelectorAll("#" + end).length === 1
                && expected.every(words => document.body.innerText.includes(words))
                && !document.querySelector(
                    "[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-stale=true]")""",
            arg=[self.end, *expected],
            timeout=90_000,
        )

    def refresh(self, hours: int, as_of: str) -> None:
        """Set the window and press Refresh, as a marketer does."""
        self.page.get_by_role("spinbutton", name="Attribution window in hours").fill(str(hours))
        self.page.get_by_role("button", name="Refresh").click()
        self.settle(f"Data as of {as_of}", f"What followed within {hours} hour")

    def metrics(self) -> dict[str, str]:
        """Every figure by its label."""
        found = self.page.get_by_test_id("stMetric").all()
        return {
            one.get_by_test_id("stMetricLabel").inner_text().strip():
            one.get_by_test_id("stMetricValue").inner_text().strip()
            for one in found
        }  # fmt: skip

    def table(self, first_column: str) -> dict[str, list[str]]:
        """One table, by the name of its first column: row name -> cells."""
        for table in self.page.get_by_test_id("stTable").all():
            rows = [
                [cell.inner_text().strip() for cell in row.locator("th, td").all()] for row in table.locator("tr").all()
            ]
            if rows[0][0] == first_column:
                return {row[0]: row[1:] for row in rows[1:]}
        pytest.fail(f"the page has no table of {first_column!r}")

    def saved(self, title: str) -> tuple[str, list[list[str]]]:
        """The CSV file of one table, by its title: what it is called, and its cells."""
        self.page.get_by_role("button", name=f"{title} as CSV", exact=True).wait_for()
        self.page.wait_for_load_state("networkidle")  # a section that was just unfolded moves until then
        with self.page.expect_download() as waited:
            self.page.get_by_role("button", name=f"{title} as CSV", exact=True).click()
        written = Path(waited.value.path()).read_text("utf-8-sig")
        return waited.value.suggested_filename, list(csv.reader(io.StringIO(written, newline="")))

    def is_wider_than_the_window(self) -> bool:
        """Whether somebody would have to scroll sideways."""
        return self.page.evaluate(
            """[document.documentElement, document.querySelector("[data-testid=stMain]")]
                .some(e => e.scrollWidth > e.clientWidth)"""
        )

    def faults(self) -> list[str]:
        """What keeps people from reading or using the page, as axe-core finds it: rule and place of what is serious."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{rule['id']} at {place['target'][0]}: {place['html'][:200]}"
            for rule in found
            if rule["impact"] in {"serious", "critical"} or rule["id"] == "heading-order"
            for place in rule["nodes"]
        ]

    def _note(self, request: Request) -> None:
        self.requests.append(request.url)

    @property
    def outside(self) -> list[str]:
        """Requests that left the machine."""
        return [url for url in self.requests if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(address: str, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and child.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the dashboard does not answer:\n{log.read_text()[-2000:]}")


def _environment(work: Workspace) -> dict[str, str]:
    return {
        "REENGAGE_CONFIG": str(work.settings.config),
        "REENGAGE_HOME": str(work.settings.home),
        "REENGAGE_DATABASE_URL": work.database.url.render_as_string(hide_password=False),
        "REENGAGE_TIME_ZONE": str(work.settings.business_zone),
    }
