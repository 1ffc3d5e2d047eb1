"""The page that explains every figure: it forgets no query of any page, and its words are the headers'."""

from __future__ import annotations

import re
from pathlib import Path

from config.settings import CHECKOUT
from dashboards import words
from dashboards.contents import pages, title
from dashboards.definitions import queries_of
from tasks.store.workspace import Workspace
from tests.dashboards.looking import opened, said

QUERIES = {path.stem for path in (CHECKOUT / "dashboards" / "queries").glob("*.sql")}
# What only the summary of `reengage demo` asks.
ELSEWHERE = {"retargets"}


def test_every_query_is_found_on_some_page():
    found = {name for file in pages() for name in queries_of(file)} | set(
        queries_of(CHECKOUT / "dashboards" / "components.py")
    )

    assert found == QUERIES - ELSEWHERE


def test_every_column_of_every_query_is_explained_in_its_own_words(shop: Workspace) -> None:
    page = opened("how_to_read_this")

    explained = [(str(name), row.iloc[0]) for table in page.table for name, row in table.value.iterrows()]
    for name in QUERIES:
        query = shop.queries[f"dashboards/{name}"]
        assert query.purpose.replace("\n", " ").split("  ")[0].rstrip(".") in said(page).replace("\\", "")
        for column in query.returns.values():
            meaning = column.meaning[0].upper() + column.meaning[1:]
            assert (words.title(column.name), meaning) in [(one, told.replace("\\", "")) for one, told in explained]


def test_figures_stand_under_the_page_that_shows_them(shop: Workspace) -> None:
    headings = [one.value for one in opened("how_to_read_this").header]

    assert headings[:2] == ["Overview", "Lapsing customers"]
    assert headings[-2:] == ["On several pages", "In the summary of the command line"]
    assert set(headings[:-2]) == {title(file.stem) for file in pages()} - {"How to read this"}


def test_what_a_section_reads_belongs_to_the_pages_that_show_it(tmp_path: Path) -> None:
    page = tmp_path / "some_page.py"
    page.write_text("from dashboards.pages.data_quality import page\nread('holds')\n")

    assert queries_of(page)[0] == "holds"
    assert {"loads", "checks", "quarantined"} < set(queries_of(page))


def test_a_page_is_added_by_its_file_and_comes_before_the_one_that_explains(tmp_path: Path) -> None:
    for name in ("how_to_read_this", "zebra", "data_quality", "__init__", "overview", "calls"):
        (tmp_path / f"{name}.py").touch()

    assert [file.stem for file in pages(tmp_path)] == ["overview", "data_quality", "calls", "zebra", "how_to_read_this"]
    assert title("zebra") == "Zebra"


def test_the_first_page_is_the_overview_and_the_last_one_explains():
    names = [file.stem for file in pages()]

    assert (names[0], names[-1]) == ("overview", "how_to_read_this")
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
