"""What followed a campaign's messages within the window: people, rate, purchases, revenue; by step, channel, day."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from config.campaign import Campaign
from dashboards import words
from dashboards.components import GREY, TEAL, table
from dashboards.narrowing import Narrowed
from dashboards.reading import Read
from tasks.rules.statistics import wilson

_CREDIT_HELP = (
    "A purchase is credited once, to the last message before it, over all campaigns. It says what followed a message, "
    "not what the message caused: that is the comparison below."
)


def followed(read: Read, name: str, campaign: Campaign | None, hours: int, people: pd.DataFrame) -> None:
    """The section of a whole campaign: people count once in each figure (B12)."""
    st.header(f"What followed within {words.hours(hours)} of a message")
    by_grain = read("attributed_people", campaign=name, hours=hours)
    whole = by_grain[by_grain["grain"] == "campaign"]
    if whole.empty:
        rows = people[people["standing"] == "not_reached"]
        cause = ""
        if not rows.empty:
            top = rows.iloc[0]
            cause = (
                f" Most often: {_lower(words.why(top['state'], top['reason']))} ({words.count(top['people'])} people)."
            )
        st.info(f"No data: nobody has been reached, so no purchase can be credited to a message.{cause}")
        return
    reached, converted = int(whole["reached"].iloc[0]), int(whole["converted"].iloc[0])
    rate = wilson(converted, reached)
    totals = _main_first(read("attributed_totals", campaign=name, hours=hours), campaign)
    columns = st.columns(3 + min(max(len(totals), 1), 2))
    columns[0].metric(
        words.goal_title(campaign),
        words.count(converted),
        border=True,
        height="stretch",
        help=f"Of {reached:,} people reached.",
    )
    columns[1].metric(
        "Rate", words.percent(rate.estimate), border=True, height="stretch",
        help=f"Of the people reached; 95 % interval {words.percent(rate.low)} to {words.percent(rate.high)}.",
    )  # fmt: skip
    columns[2].metric(
        "Purchases", words.count(totals["purchases"].sum()), border=True, height="stretch", help=_CREDIT_HELP
    )
    if totals.empty:
        columns[3].metric("Revenue", words.amount(0), border=True, height="stretch")
    for column, row in zip(columns[3:], totals.itertuples(), strict=False):
        column.metric(
            f"Revenue, {row.currency}", words.amount(row.revenue), border=True, height="stretch", help=_CREDIT_HELP
        )
    if len(totals) > 2:
        table(
            ["Currency", "Purchases", "Revenue"],
            [[r.currency, words.count(r.purchases), words.money(r.revenue, r.currency)] for r in totals.itertuples()],
        )
    _by_grain(by_grain, campaign)
    _by_day(read("attributed_days", campaign=name, hours=hours), hours)


def followed_part(read: Read, name: str, campaign: Campaign | None, hours: int, part: Narrowed) -> None:
    """The same of a part of the messages: message by message, since people are counted over the whole campaign only."""
    st.header(f"What followed within {words.hours(hours)} of a message")
    st.caption(f"{part.said}. Each message counts here, so a person may count more than once.")
    days = read("attributed_days", campaign=name, hours=hours, **part.asked())
    if days.empty:
        st.info("No data: no such message was accepted.")
        return
    sends, conversions = int(days["sends"].sum()), int(days["conversions"].sum())
    totals = _main_first(read("attributed_totals", campaign=name, hours=hours, **part.asked()), campaign)
    rate = wilson(conversions, sends)
    figures = [
        ("Messages", words.count(sends), "Accepted by the provider."),
        ("Followed by the goal", words.count(conversions), _CREDIT_HELP),
        (
            "Rate",
            words.percent(rate.estimate),
            f"95 % interval {words.percent(rate.low)} to {words.percent(rate.high)}.",
        ),
        ("Purchases", words.count(totals["purchases"].sum()), _CREDIT_HELP),
        *((f"Revenue, {row.currency}", words.amount(row.revenue), _CREDIT_HELP) for row in totals.itertuples()),
    ]
    for column, (label, value, explanation) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(label, value, border=True, height="stretch", help=explanation)
    _by_day(days, hours)


def _main_first(totals: pd.DataFrame, campaign: Campaign | None) -> pd.DataFrame:
    """The campaign's main currency before the others, which stand by their number of purchases."""
    totals = totals.assign(first=[currency != _main_currency(campaign) for currency in totals["currency"]])
    return totals.sort_values("first", kind="stable")


def _by_grain(by_grain: pd.DataFrame, campaign: Campaign | None) -> None:
    rows = []
    for grain, title in (("step", words.step), ("channel", words.channel), ("variant", words.title)):
        part = by_grain[by_grain["grain"] == grain]
        if len(part) > 1 or grain == "channel":
            rows += [
                [
                    title(row.value),
                    words.count(row.reached),
                    words.count(row.converted),
                    words.rate(row.converted, row.reached),
                ]
                for row in part.itertuples()
            ]
    table(["By message, channel, variant", "People reached", words.goal_title(campaign), "Rate (95 % interval)"], rows)
    st.caption("A person reached by several messages counts once in each line.")


def _by_day(days: pd.DataFrame, hours: int) -> None:
    if len(days) < 2:
        return
    days = days.assign(
        day=pd.to_datetime(days["sent_on"]),
        sends=days["sends"].astype(float),
        conversions=days["conversions"].astype(float),
        window=["still open" if is_open else "over" for is_open in days["is_open"]],
    )
    width = max(3, min(26, 300 // ((days["day"].max() - days["day"].min()).days + 1)))
    charts = []
    for column, title, colour in (
        ("sends", "Messages by day sent", GREY), ("conversions", "Of them followed by the goal", TEAL),
    ):  # fmt: skip
        base = alt.Chart(days, title=alt.Title(title, anchor="start", fontSize=13, fontWeight="normal"))
        charts.append(
            base.mark_bar(size=width, color=colour)
            .encode(
                x=alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=6, grid=False)),
                y=alt.Y(f"{column}:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=4, format=",d")),
                opacity=alt.Opacity(
                    "window:N", scale=alt.Scale(domain=["over", "still open"], range=[1, 0.45]), legend=None
                ),
                tooltip=[
                    alt.Tooltip("day:T", title="Sent on", format="%-d %B %Y"),
                    alt.Tooltip(f"{column}:Q", title=title, format=","),
                    alt.Tooltip("window:N", title=f"Window of {hours} h"),
                ],
            )
            .properties(height=170)
        )
    for place, chart in zip(st.columns(2), charts, strict=True):
        place.altair_chart(chart, width="stretch")
    if days["is_open"].any():
        st.caption(f"Paler days: some of their messages are less than {words.hours(hours)} old, so more may follow.")


def _main_currency(campaign: Campaign | None) -> str | None:
    return campaign.currency if campaign else None


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]
