"""What every figure means, page by page, as the headers of the queries say it; nothing here is written twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from dashboards import words
from dashboards.components import begun, plain, table
from dashboards.contents import pages, title
from dashboards.definitions import PACKAGE, queries_of
from dashboards.reading import explained, workspace
from tasks.store.queries import Query

# Where what several pages show is explained.
SEVERAL: Final = "On several pages"
FIRST = """
**Data as of** is the moment that was measured. Refresh reads again; it starts nothing and sends nothing.

**Two clocks, never mixed.** *What followed* counts hours from the last accepted message before a purchase, and a
purchase is credited once, over all campaigns. *Did it make a difference?* counts hours from enrolment, in the treated
group and in the group held out alike, whether anybody was reached or not. Only the second says what a campaign caused.

**A person counts once**, under whatever ids they were known, unless a table says otherwise. People who are still within
the window are not compared yet; they are *still maturing*.

**Amounts of different currencies are never added up.** *No data* means that nothing could be measured; it is never 0.

**In files** (CSV) numbers are plain numbers, shares are fractions of one, and moments carry the shop's time zone.
"""


def page() -> None:
    """The page from top to bottom."""
    with begun("how_to_read_this"), explained():
        st.title("How to read this")
        st.markdown(FIRST)
        queries = {
            name.removeprefix("dashboards/"): query
            for name, query in workspace().queries.items()
            if name.startswith("dashboards/")
        }
        groups = _groups(set(queries))
        st.markdown(" · ".join(f"[{heading}](#{_anchor(heading)})" for heading in groups))
        for heading, names in groups.items():
            _group(heading, [queries[name] for name in names])


def _groups(queries: set[str]) -> dict[str, list[str]]:
    """Names of queries by the page that shows them, pages in their order; what several show is explained once."""
    by_page = {title(file.stem): queries_of(file) for file in pages()}
    read = [name for names in by_page.values() for name in names]
    common = dict.fromkeys(queries_of(PACKAGE / "components.py"))
    common |= dict.fromkeys(name for name in read if read.count(name) > 1)
    found = {heading: [name for name in names if name not in common] for heading, names in by_page.items()}
    found.pop(title("how_to_read_this"))  # it shows no figure of its own
    found[SEVERAL] = list(common)
    found["In the summary of the command line"] = sorted(queries - set(read) - set(common))
    return found


def _group(heading: str, queries: Sequence[Query]) -> None:
    st.header(heading)
    if not queries:
        st.markdown(f"All its figures stand on other pages too: [{SEVERAL}](#{_anchor(SEVERAL)}).")
    for query in queries:
        short, _, more = query.purpose.replace("\n", " ").partition("  ")
        st.markdown(f"**{plain(short)}**")
        if more:
            st.markdown(plain(more))
        table(
            ["Figure", "What it is"],
            [[words.title(column.name), _sentence(column.meaning)] for column in query.returns.values()],
            words.title(query.name.removeprefix("dashboards/")),
        )
        asked = "; ".join(f"{words.title(param.name).lower()} ({param.meaning})" for param in query.params.values())
        st.caption(plain(f"{_sentence(query.contract.grain)}." + (f" Asked for by {asked}." if asked else "")))


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


page()
