"""Who of a campaign's people was reached, who not and why (B12): one section of a page."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from dashboards import words
from dashboards.components import AMBER, GREY, LEAF, RED, TEAL, table

COLOURS = {"reached": TEAL, "to_come": LEAF, "in_doubt": RED, "not_reached": AMBER, "holdout": GREY}


def reach(people: pd.DataFrame) -> None:
    """The section from the rows of queries/people.sql: everybody once, and why nothing could be sent to some."""
    st.header("Who was reached")
    by_standing = people.groupby("standing")["people"].sum()
    enrolled = int(by_standing.sum())
    shown = [standing for standing in words.STANDINGS if standing != "in_doubt" or standing in by_standing]
    columns = st.columns(len(shown) + 1)
    columns[0].metric(
        "Enrolled", words.count(enrolled), border=True, height="stretch", help="People, each counted once."
    )
    for column, standing in zip(columns[1:], shown, strict=True):
        number = int(by_standing.get(standing, 0))
        column.metric(
            words.STANDINGS[standing], words.count(number), border=True, height="stretch", help=_STANDING_HELP[standing]
        )
    _bar(by_standing)
    missed = people[people["standing"].isin(["not_reached", "to_come"])]
    for standing, title in (("not_reached", "Not reached, and why"), ("to_come", "Still to come")):
        rows = missed[missed["standing"] == standing]
        if rows.empty:
            continue
        rows = rows.assign(why=[words.why(row.state, row.reason) for row in rows.itertuples()])
        rows = (
            rows.groupby("why", as_index=False)["people"].sum().sort_values(["people", "why"], ascending=[False, True])
        )
        st.markdown(f"**{title}**")
        table(
            ["Why", "People", "Of all enrolled"],
            [[row.why, words.count(row.people), words.percent(row.people / enrolled)] for row in rows.itertuples()],
            title,
        )


_STANDING_HELP = {
    "reached": "At least one message was accepted by the provider.",
    "to_come": "A message is planned or waits for a better moment.",
    "in_doubt": "The provider's answer was lost, so nobody knows whether the message arrived; it is never sent again.",
    "not_reached": "Nothing could be sent; the table below says why.",
    "holdout": "Never written to on purpose, to measure what would have happened anyway.",
}


def _bar(by_standing: pd.Series) -> None:
    rows = pd.DataFrame(
        {
            "standing": [words.STANDINGS[name] for name in words.STANDINGS if name in by_standing],
            "people": [int(by_standing[name]) for name in words.STANDINGS if name in by_standing],
        }
    )
    rows["order"] = range(len(rows))
    colours = [COLOURS[name] for name in words.STANDINGS if name in by_standing]
    chart = (
        alt.Chart(rows)
        .mark_bar(height=22)
        .encode(
            x=alt.X("people:Q", stack="zero", axis=None, scale=alt.Scale(domain=[0, int(by_standing.sum())])),
            color=alt.Color(
                "standing:N",
                scale=alt.Scale(domain=list(rows["standing"]), range=colours),
                legend=alt.Legend(orient="bottom", title=None, symbolType="square"),
            ),
            order="order:Q",
            tooltip=[alt.Tooltip("standing:N", title="Where"), alt.Tooltip("people:Q", title="People", format=",")],
        )
        .properties(height=70)
    )
    st.altair_chart(chart, width="stretch")
