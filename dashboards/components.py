"""What pages have in common: how they look, how a campaign is chosen, the moment the figures belong to, tables."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from config.campaign import Campaign
from config.errors import ConfigError
from dashboards import words
from dashboards.reading import Read, workspace

TEAL, GREY, AMBER, RED, LEAF, PLUM = "#2b6777", "#b9c4c9", "#d9a441", "#c8553d", "#7a9e7e", "#7d5a7e"
# Figures must not be cut short; and on paper: no controls, no empty margins, no table cut in two.
STYLE = """<style>
[data-testid="stMainBlockContainer"] {padding-top: 3rem}
[data-testid="stMetricLabel"] p {white-space: normal}
[data-testid="stMetricValue"] > div {font-size: 1.55rem; white-space: nowrap; overflow: visible}
[data-testid="stTable"] th, [data-testid="stTable"] td {padding: 0.35rem 0.6rem !important}
[data-testid="stTable"] th, [data-testid="stTable"] td {text-align: left; font-variant-numeric: tabular-nums}
[data-testid="stTable"] thead th {color: #5b6b72; font-weight: 600}
@media (max-width: 640px) {
  [data-testid="stTable"] th, [data-testid="stTable"] td {padding: 0.3rem 0.25rem !important; font-size: 0.8rem}
}
@media print {
  [data-testid="stSidebar"], [data-testid="stHeader"], [data-testid="stToolbar"], [data-testid="stForm"] button,
  [data-testid="stExpandSidebarButton"], [data-testid="stElementToolbar"] {display: none !important}
  .stApp, .stMain, .stAppViewContainer {position: static !important; overflow: visible !important}
  [data-testid="stMainBlockContainer"] {padding: 0 !important; max-width: 100% !important}
  [data-testid="stMetric"], [data-testid="stTable"], [data-testid="stVegaLiteChart"], h3 {break-inside: avoid}
}
</style>"""


def configured() -> set[str]:
    """Campaigns of the configuration folder, readable or not."""
    return {path.parent.name for path in workspace().settings.folder("campaigns").glob("*/campaign.yaml")}


def definition(name: str) -> Campaign | None:
    """The campaign's file, or None when it is gone or cannot be read; the figures stand without it."""
    try:
        return workspace().campaign(name)
    except ConfigError:
        return None


def chosen(names: Sequence[str]) -> str:
    """The campaign to show, which the address keeps."""
    asked = st.query_params.get("campaign")
    if st.session_state.get("campaign") not in names:
        st.session_state.pop("campaign", None)  # such as one that another page showed
        if asked in names:
            st.session_state["campaign"] = asked
    name = st.sidebar.selectbox("Campaign", names, format_func=words.title, key="campaign")
    st.query_params["campaign"] = name
    return name


def stamp(measured: pd.Series) -> None:
    """The moment that was measured, and whether something has happened since."""
    at, zone = measured["as_of"], measured["business_zone"]
    simulated = ", simulated" if measured["mode"] == "simulated" else ""
    st.markdown(f"Data as of **{words.moment(at, zone)}** ({zone}{simulated})")
    if measured["last_run_as_of"] is not None and measured["last_run_as_of"] > at:
        st.caption("Something was chosen or sent since then; `reengage evaluate` measures it.")


def notices(read: Read, name: str) -> None:
    """Why the campaign is held back or switched off right now."""
    for row in read("holds", campaign=name).itertuples():
        reason = f": {plain(row.reason)}" if row.reason else ""
        st.warning(f"{words.CAUSES[row.cause]}{reason}", icon=":material/pause_circle:")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain HTML table: it prints, and a screen reader reads it."""
    if rows:
        frame = pd.DataFrame([row[1:] for row in rows], columns=columns[1:], index=[plain(row[0]) for row in rows])
        frame = frame.map(plain)
        frame.index.name = columns[0]
        st.table(frame, border="horizontal")


def plain(text: str) -> str:
    """Names come from files; a table cell must not read them as markup."""
    return "".join(f"\\{mark}" if mark in "\\`*_[]$<" else mark for mark in text)
