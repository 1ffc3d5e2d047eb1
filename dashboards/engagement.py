"""What came back for accepted messages, channel by channel: one section of a page."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboards import words
from dashboards.components import table


def engagement(rows: pd.DataFrame) -> None:
    """The section from the rows of queries/reports.sql: a column for each channel, with shares of what was accepted."""
    st.header("What came back, by channel")
    if rows.empty:
        st.info("No data: no message has been accepted by a provider yet.")
        return
    channels = rows.groupby("channel")[list(words.REPORTS)].sum().sort_values("accepted", ascending=False)
    table(
        ["Messages", *(words.channel(str(name)) for name in channels.index)],
        [
            [said, *(_counted(int(one[what]), int(one["accepted"]), what) for _, one in channels.iterrows())]
            for what, said in words.REPORTS.items()
        ],
        "What came back by channel",
    )
    if not int(channels.drop(columns="accepted").to_numpy().sum()):
        st.markdown(
            "No provider has reported anything about these messages yet. `reengage hooks` receives reports, and "
            "archives of them can be a source of `reengage ingest`."
        )
        return
    st.caption(
        "Accepted by the provider is not yet delivered; shares are of accepted messages. Mail programs that fetch "
        "every picture are counted apart from people who open; a click counts as opened by a person."
    )


def _counted(number: int, accepted: int, what: str) -> str:
    count = words.count(number)
    if what == "accepted" or not accepted:
        return count
    return words.Figure(f"{count} ({words.percent(number / accepted)})", number)
