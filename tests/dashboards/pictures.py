"""`make pictures`: a picture of every page on the sample shop, for README and docs; run `make demo` before."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from config.settings import CHECKOUT, load_settings
from dashboards.contents import pages
from tasks.store.workspace import Workspace
from tests.dashboards.browsing import Reader, found_browser, served

PICTURES = CHECKOUT / "docs" / "pictures"
SHOP = CHECKOUT / "config" / "examples" / "shop"
WIDTH, TALLEST = 1280, 6000
FIRST = "lapsing"  # the page whose first screen README shows


def main() -> None:
    """Serve the demo's database and take each page as tall as it is."""
    work = Workspace(load_settings(config=SHOP).model_copy(update={"database": "demo"}))
    PICTURES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        served(work, Path(folder)) as address,
        sync_playwright() as play,
        play.chromium.launch(executable_path=found_browser(), args=["--no-sandbox"]) as browser,
    ):
        for file in pages():
            page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
            Reader(page).open(f"{address}/{file.stem}")
            if file.stem == FIRST:
                page.screenshot(path=PICTURES.parent / "dashboard.png")
            tall = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
            page.set_viewport_size({"width": WIDTH, "height": min(tall, TALLEST)})
            page.wait_for_timeout(1_500)  # charts are drawn anew
            picture = PICTURES / f"{file.stem}.png"
            page.screenshot(path=picture)
            page.close()
            print(f"{picture.relative_to(CHECKOUT)}: {picture.stat().st_size // 1024} kB")
    work.close()


if __name__ == "__main__":
    main()
