"""What pages have in common: how they look, how a campaign and a window are chosen, links, notices, tables."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from config.campaign import Campaign
from config.errors import ConfigError
from dashboards import words
from dashboards.reading import Read, workspace
from dashboards.spreadsheet import as_csv

# Each stands out from the white page and from the dark one (3:1 at least, tests/dashboards/test_looks.py).
TEAL, GREY, AMBER, RED, LEAF, PLUM = "#388396", "#82929a", "#b98516", "#c8553d", "#648f69", "#9a6f9b"
DEFAULT_HOURS: Final = 24
EVERY_CAMPAIGN: Final = "All campaigns"
# Figures must not be cut short; and on paper: no controls, no empty margins, no table cut in two, black on white.
STYLE = """<style>
[data-testid="stMainBlockContainer"] {padding-top: 3rem}
[data-testid="stMain"] h2 {font-size: 1.75rem}
[data-testid="stMetricLabel"] p {white-space: normal}
[data-testid="stMetricValue"] > div {font-size: 1.55rem; white-space: nowrap; overflow: visible}
[data-testid="stTable"] th, [data-testid="stTable"] td {padding: 0.35rem 0.6rem !important}
[data-testid="stTable"] th, [data-testid="stTable"] td {text-align: left; font-variant-numeric: tabular-nums}
[data-testid="stTable"] thead th {font-weight: 600}
[data-testid="stTable"] thead th, [data-testid="stTable"] thead th p {color: inherit}
[data-testid="stCaptionContainer"] {color: inherit; opacity: 0.8}
[data-testid="stMain"] code {color: inherit}
[data-testid="stDownloadButton"] {margin-top: -0.9rem}
[data-testid="stDownloadButton"] button {min-height: 1.5rem; padding: 0 0.6rem}
[data-testid="stDownloadButton"] p, [data-testid="stDownloadButton"] span {font-size: 0.8rem}
[data-testid="stDownloadButton"] button:not(:hover):not(:focus-visible) {opacity: 0.75}
#page-end {border-top: 1px solid rgba(128, 128, 128, 0.35); padding-top: 0.6rem; font-size: 0.85rem}
#page-end a {color: inherit}
@media (max-width: 640px) {
  [data-testid="stHorizontalBlock"]:has([data-testid="stMetric"]) {flex-flow: row wrap}
  [data-testid="stHorizontalBlock"] > [data-testid="stColumn"]:has([data-testid="stMetric"]) {
    min-width: calc(50% - 1rem); flex: 1 1 calc(50% - 1rem)
  }
  [data-testid="stTable"] th, [data-testid="stTable"] td {
    padding: 0.3rem 0.25rem !important; font-size: 0.8rem; overflow-wrap: anywhere
  }
}
@media print {
  [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stToolbar"], [data-testid="stForm"] button,
  [data-testid="stExpandSidebarButton"], [data-testid="stElementToolbar"], [data-testid="stDownloadButton"] {
    display: none !important
  }
  .stApp, .stMain, .stAppViewContainer {
    position: static !important; overflow: visible !important; background: white !important
  }
  .stApp * {color: black !important}
  [data-testid="stMainBlockContainer"] {padding: 0 !important; max-width: 100% !important}
  [data-testid="stMetric"], [data-testid="stTable"], [data-testid="stVegaLiteChart"], h2 {break-inside: avoid}
}
</style>"""
# Charts are pictures, whose words no style sheet reaches: pale ones are turned dark for paper, hues stay.
DARK_STYLE = """<style>
@media print {
  [data-testid="stVegaLiteChart"] {filter: invert(1) hue-rotate(180deg)}
}
</style>"""
FOOTER = '<footer id="page-end"><a href="how_to_read_this">How every figure is counted</a></footer>'


@dataclass
class _Shown:
    """What is being drawn, so that a file that leaves the page says where it is from."""

    page: str = "reengage"
    campaign: str = ""
    as_of: str = ""
    tables: int = 0


_shown: ContextVar[_Shown] = ContextVar("shown")


@contextlib.contextmanager
def begun(page: str) -> Iterator[None]:
    """A page: how all of them look, and how they end. `page` is the name of its file, which is its address too."""
    _shown.set(_Shown(page))
    st.html(STYLE)
    if st.context.theme.type == "dark":
        st.html(DARK_STYLE)
    yield
    st.html(FOOTER)


def configured() -> set[str]:
    """Campaigns of the configuration folder, readable or not."""
    return {path.parent.name for path in workspace().settings.folder("campaigns").glob("*/campaign.yaml")}


def definition(name: str) -> Campaign | None:
    """The campaign's file, or None when it is gone or cannot be read; the figures stand without it."""
    try:
        return workspace().campaign(name)
    except ConfigError:
        return None


def retargeting(read: Read) -> set[str]:
    """Campaigns that retarget, and those whose leads were measured before their file went."""
    files = {name for name in configured() if (campaign := definition(name)) and campaign.retargeting}
    return files | set(read("retargeting_campaigns")["campaign"])


def every_campaign(read: Read) -> set[str]:
    """Campaigns of the configuration folder and those that only the database still knows."""
    return configured() | set(read("campaigns")["campaign"])


def chosen(names: Sequence[str]) -> str:
    """The campaign to show, which the address keeps."""
    _follow_the_address(names)
    name = st.sidebar.selectbox("Campaign", names, format_func=words.title, key="campaign")
    st.query_params["campaign"] = name
    _now().campaign = name
    return name


def chosen_or_all(names: Sequence[str]) -> str | None:
    """The campaign to show, or None for all of them; the address keeps the one."""
    _follow_the_address(names)
    name = st.sidebar.selectbox(
        "Campaign", names, index=None, format_func=words.title, key="campaign", placeholder=EVERY_CAMPAIGN
    )
    if name:
        st.query_params["campaign"] = name
    else:
        st.query_params.pop("campaign", None)
    _now().campaign = name or ""
    return name


def _follow_the_address(names: Sequence[str]) -> None:
    asked = st.query_params.get("campaign")
    if "campaign" in st.session_state and st.session_state["campaign"] not in {None, *names}:
        del st.session_state["campaign"]  # such as one that another page showed
    if "campaign" not in st.session_state and asked in names:
        st.session_state["campaign"] = asked


def window(measured: pd.Series | None) -> int:
    """The window in hours, with the button that reads again; the address keeps the window."""
    longest = int(measured["max_window_hours"]) if measured is not None else DEFAULT_HOURS
    if "hours" not in st.session_state:
        asked = st.query_params.get("hours", "")
        st.session_state["hours"] = min(max(int(asked), 1), longest) if asked.isdecimal() else DEFAULT_HOURS
    with st.form("window", border=False):
        field, button, place = st.columns([2, 1.3, 4.7], vertical_alignment="bottom")
        hours = field.number_input(
            "Attribution window in hours",
            1,
            longest,
            key="hours",
            help=f"How long after a message a purchase counts as its own, at most {longest:,} hours.",
        )
        button.form_submit_button("Refresh", icon=":material/refresh:", width="stretch")
        if measured is not None:
            with place:
                stamp(measured)
    st.query_params["hours"] = str(hours)
    return int(hours)


def refresh(measured: pd.Series | None) -> None:
    """The button that reads again, on pages where no window is chosen."""
    with st.form("refresh", border=False):
        button, place = st.columns([1.3, 6.7], vertical_alignment="center")
        button.form_submit_button("Refresh", icon=":material/refresh:", width="stretch")
        if measured is not None:
            with place:
                stamp(measured)


def stamp(measured: pd.Series) -> None:
    """The moment that was measured, and whether something has happened since."""
    at, zone = measured["as_of"], measured["business_zone"]
    _now().as_of = f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d-%H%M}"
    simulated = ", simulated" if measured["mode"] == "simulated" else ""
    st.markdown(f"Data as of **{words.moment(at, zone)}** ({zone}{simulated})")
    if measured["last_run_as_of"] is not None and measured["last_run_as_of"] > at:
        st.caption("Something was chosen or sent since then; `reengage evaluate` measures it.")


def not_measured() -> None:
    """What to do before the first evaluation."""
    st.info("Nothing has been measured yet: no data. `reengage evaluate` measures; then press Refresh.")


def clock(measured: pd.Series | None) -> datetime:
    """What ages are told against: the wall clock, or in a simulated database the newest moment it has seen."""
    if measured is None or measured["mode"] != "simulated":
        return datetime.now(UTC)
    return max(at for at in (measured["as_of"], measured["last_run_as_of"]) if at is not None)


def notices(read: Read, name: str | None) -> None:
    """Why a campaign, or any of them, is held back or switched off right now."""
    for row in read("holds", campaign=name).itertuples():
        whose = "" if name or row.campaign == "*" else f"{plain(words.title(row.campaign))}: "
        st.warning(f"{whose}{held(row.cause, row.reason)}", icon=":material/pause_circle:")


def held(cause: str, reason: str | None) -> str:
    """Why a campaign is not running: by itself, by the data gate, or in the words of whoever switched it off."""
    if cause == "paused" and reason in words.SUSPENSIONS:
        return words.reason(reason)
    return f"{words.CAUSES[cause]}: {plain(reason)}" if reason else words.CAUSES[cause]


def link(said: str, page: str, **query: str | int) -> str:
    """A link to another page, as markdown; relative, so that it holds wherever the dashboard is served."""
    asked = f"?{urlencode(query)}" if query else ""
    return f"[{plain(said)}]({page}{asked})"


class Linked(str):
    """A name that leads somewhere: the words, and where to."""

    __slots__ = ("target",)
    target: str

    def __new__(cls, said: str, page: str, **query: str | int) -> Self:
        """The words as they are read, and the page they lead to."""
        made = super().__new__(cls, said)
        made.target = link(said, page, **query)
        return made


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """A plain HTML table: it prints, and a screen reader reads it. Beside it the same as a CSV file.

    The file is called by page, campaign, title (else the first column) and the moment of the data.
    """
    if not rows:
        return
    frame = pd.DataFrame([row[1:] for row in rows], columns=columns[1:], index=[_cell(row[0]) for row in rows])
    frame = frame.map(_cell)
    frame.index.name = columns[0]
    st.table(frame, border="horizontal")
    shown, name = _now(), title or columns[0]
    shown.tables += 1
    parts = [shown.page, shown.campaign, name.lower(), shown.as_of]
    st.download_button(
        f"{name} as CSV",
        as_csv(columns, rows),
        "_".join(re.sub(r"[^\w.]+", "-", part) for part in parts if part) + ".csv",
        "text/csv",
        key=f"csv-{shown.tables}",
        on_click="ignore",
        type="tertiary",
    )


def _cell(text: str) -> str:
    return text.target if isinstance(text, Linked) else plain(text)


def plain(text: str) -> str:
    """Names come from files; a table cell must not read them as markup."""
    return "".join(f"\\{mark}" if mark in "\\`*_[]$<" else mark for mark in text)


def _now() -> _Shown:
    """What is being drawn; a section that is drawn by itself belongs to no page."""
    shown = _shown.get(None)
    if shown is None:
        _shown.set(shown := _Shown())
    return shown
