"""The pages in the order of the navigation, and what each of them is called; a page is added by its file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PAGES: Final = Path(__file__).parent / "pages"
# A page that is not named here comes before the last one. Its address is its file's name.
_ORDER: Final = ("overview", "lapsing", "partial_leads", "audiences", "deliverability", "data_quality")
_LAST: Final = "how_to_read_this"
_TITLES: Final = {"lapsing": "Lapsing customers", "deliverability": "Deliverability and consent"}


def pages(folder: Path = PAGES) -> list[Path]:
    """The files of all pages; the first is shown when nothing is asked for."""
    return sorted(folder.glob("[a-z]*.py"), key=_place)


def _place(file: Path) -> tuple[bool, int, str]:
    name = file.stem
    return name == _LAST, _ORDER.index(name) if name in _ORDER else len(_ORDER), name


def title(page: str) -> str:
    """What a page is called in the navigation and in headings."""
    return _TITLES.get(page, page.replace("_", " ").capitalize())
