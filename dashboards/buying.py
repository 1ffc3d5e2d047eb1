"""How customers buy, month by month (B12): who bought and again, how soon, who is late: one section of a page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, Final

import altair as alt
import pandas as pd
import streamlit as st

from dashboards import words
from dashboards.components import AMBER, GREY, TEAL, table
from dashboards.reading import Read

DEFAULT_WITHIN: Final = 90
_LONGEST: Final = 730
_NEW, _KNOWN = "New", "Had bought before"


def buying(read: Read) -> None:
    """The section: four charts side by side, and the same as a table."""
    st.header("How customers buy")
    within = _within()
    months = read("buying", within=within)
    if months.empty:
        st.info("No data: no purchase that counts has been loaded yet. `reengage ingest` loads; then evaluate again.")
        return
    months = _drawn(months)
    left, right = st.columns(2)
    left.altair_chart(_buyers(months), width="stretch")
    _again(right, months, within)
    left, right = st.columns(2)
    _gaps(left, months)
    _late(right, months)
    if not months["is_whole"].all():
        st.caption(f"Paler: {months['title'].iloc[-1]} is not over yet, so these figures are as of now.")
    with st.expander("The same as a table"):
        _table(months, within)
    st.caption(
        "Refunded and cancelled purchases do not count, and several on one day are one. Somebody is new in a month "
        "when nothing they bought earlier has been loaded. A rhythm takes two purchase days; late is whoever has let "
        "pass more than their own average and the margin of the segment of lapsing customers."
    )


def _within() -> int:
    """In how many days somebody has bought again; the address keeps what is not the usual."""
    state, asked = st.session_state, st.query_params.get("within", "")
    if "within" not in state:
        state["within"] = min(max(int(asked), 1), _LONGEST) if asked.isdecimal() and asked.isascii() else DEFAULT_WITHIN
    place, _ = st.columns([1, 3])
    within = place.number_input(
        "Bought again within days", 1, _LONGEST, key="within",
        help="After their last purchase in a month. Its share is known once all its buyers have had so many days.",
    )  # fmt: skip
    if within == DEFAULT_WITHIN:
        st.query_params.pop("within", None)
    else:
        st.query_params["within"] = str(within)
    return int(within)


def _drawn(months: pd.DataFrame) -> pd.DataFrame:
    """The rows with what charts show of them beside their counts."""
    counts = ["buyers", "first_buyers", "bought_again", "with_rhythm", "late", "became_late"]
    numbers = months[counts].astype(float)
    return months.assign(
        title=[f"{month:%b %Y}" for month in months["month"]],
        known=numbers["buyers"] - numbers["first_buyers"],
        share_again=numbers["bought_again"] / numbers["buyers"].where(numbers["buyers"] > 0),
        share_late=numbers["late"] / numbers["with_rhythm"].where(numbers["with_rhythm"] > 0),
        over=["over" if is_whole else "not over" for is_whole in months["is_whole"]],
        **{name: numbers[name] for name in counts},
        **{name: months[name].astype(float) for name in ("lower_quartile", "median", "upper_quartile")},
    )


# ------------------------------------------------------------------------------------------------ the charts


def _buyers(months: pd.DataFrame) -> alt.Chart:
    wide = months[["title", "over", "buyers", "first_buyers", "known"]]
    rows = wide.rename(columns={"first_buyers": _NEW, "known": _KNOWN})
    rows = rows.melt(["title", "over", "buyers"], [_KNOWN, _NEW], "who", "people").merge(wide)
    rows["place"] = [int(who == _NEW) for who in rows["who"]]
    return (
        alt.Chart(rows, title=_title("Buyers by month"))
        .mark_bar()
        .encode(
            x=_months(),
            y=alt.Y("people:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=4, format=",d")),
            color=alt.Color(
                "who:N",
                scale=alt.Scale(domain=[_KNOWN, _NEW], range=[TEAL, GREY]),
                legend=alt.Legend(orient="top", title=None, symbolType="square", offset=2),
            ),
            opacity=_pale(),
            order="place:Q",
            tooltip=[
                _month_told(),
                alt.Tooltip("buyers:Q", title="Buyers", format=",d"),
                alt.Tooltip("known:Q", title=_KNOWN, format=",d"),
                alt.Tooltip("first_buyers:Q", title=_NEW, format=",d"),
            ],
        )
        .properties(height=220)
    )


def _again(place: Any, months: pd.DataFrame, within: int) -> None:
    title = f"Of a month's buyers, bought again within {within:,} days"
    rows = months.dropna(subset=["share_again"])
    if rows.empty:
        place.markdown(title)
        place.info(
            f"No data yet: no month's buyers have all had {within:,} days. Choose fewer days, or come back later."
        )
        return
    place.altair_chart(
        alt.Chart(rows, title=_title(title))
        .mark_line(point=alt.OverlayMarkDef(size=45, color=TEAL), strokeWidth=2.5, color=TEAL)
        .encode(
            x=_months(list(months["title"])),
            y=_shares("share_again"),
            tooltip=[
                _month_told(),
                alt.Tooltip("share_again:Q", title="Bought again", format=".1%"),
                alt.Tooltip("bought_again:Q", title="People", format=",d"),
                alt.Tooltip("buyers:Q", title="Of buyers", format=",d"),
            ],
        )
        .properties(height=220),
        width="stretch",
    )


def _gaps(place: Any, months: pd.DataFrame) -> None:
    title = "Days between purchases: median, and the middle half"
    rows = months.dropna(subset=["median"])
    if rows.empty:
        place.markdown(title)
        place.info("No data yet: nobody has bought on a second day.")
        return
    base = alt.Chart(rows, title=_title(title)).encode(
        x=_months(list(months["title"])),
        tooltip=[
            _month_told(),
            alt.Tooltip("median:Q", title="Median", format=",d"),
            alt.Tooltip("lower_quartile:Q", title="A quarter up to", format=",d"),
            alt.Tooltip("upper_quartile:Q", title="Three quarters up to", format=",d"),
        ],
    )
    span = base.mark_bar(size=9, color=GREY, opacity=0.55, cornerRadius=4).encode(
        y=alt.Y("lower_quartile:Q", title=None, axis=alt.Axis(tickMinStep=1, tickCount=4, format=",d")),
        y2="upper_quartile:Q",
    )
    middle = base.mark_line(point=alt.OverlayMarkDef(size=45, color=TEAL), strokeWidth=2.5, color=TEAL).encode(
        y=alt.Y("median:Q", title=None)
    )
    place.altair_chart((span + middle).properties(height=220), width="stretch")


def _late(place: Any, months: pd.DataFrame) -> None:
    title = "Late by their own rhythm, at the month's end"
    rows = months.dropna(subset=["share_late"])
    if rows.empty:
        place.markdown(title)
        place.info("No data yet: nobody has bought on two days, so nobody has a rhythm.")
        return
    place.altair_chart(
        alt.Chart(rows, title=_title(title))
        .mark_bar(color=AMBER)
        .encode(
            x=_months(list(months["title"])),
            y=_shares("share_late"),
            opacity=_pale(),
            tooltip=[
                _month_told(),
                alt.Tooltip("share_late:Q", title="Late", format=".1%"),
                alt.Tooltip("late:Q", title="People late", format=",d"),
                alt.Tooltip("with_rhythm:Q", title="Of people with a rhythm", format=",d"),
                alt.Tooltip("became_late:Q", title="Became late in the month", format=",d"),
            ],
        )
        .properties(height=220),
        width="stretch",
    )


def _title(said: str) -> alt.Title:
    return alt.Title(said, anchor="start", fontSize=13, fontWeight="normal")


def _months(every: list[str] | None = None) -> alt.X:
    scale = alt.Scale(domain=every) if every else alt.Undefined
    return alt.X("title:O", title=None, sort=None, scale=scale, axis=alt.Axis(labelAngle=0, labelOverlap=True))


def _shares(column: str) -> alt.Y:
    return alt.Y(f"{column}:Q", title=None, axis=alt.Axis(format=".0%", tickCount=4), scale=alt.Scale(zero=True))


def _pale() -> alt.Opacity:
    return alt.Opacity("over:N", scale=alt.Scale(domain=["over", "not over"], range=[1, 0.45]), legend=None)


def _month_told() -> alt.Tooltip:
    return alt.Tooltip("title:N", title="Month")


# ------------------------------------------------------------------------------------------------- the table


def _table(months: pd.DataFrame, within: int) -> None:
    table(
        [
            "Month", "Buyers", "Of them new", f"Bought again within {within:,} days", "Days between purchases, median",
            "The middle half", "With a rhythm", "Of them late at the end", "Became late",
        ],
        [
            [
                _month(row.month, is_whole=row.is_whole), words.count(row.buyers), words.count(row.first_buyers),
                _share(row.bought_again, row.buyers, "not known yet"), _days(row.median),
                _known(row.lower_quartile, lambda low, row=row: f"{low:,.0f} to {row.upper_quartile:,.0f}"),
                words.count(row.with_rhythm), _share(row.late, row.with_rhythm, "nobody"),
                words.count(row.became_late),
            ]
            for row in months.iloc[::-1].itertuples()
        ],
        "How customers buy",
    )  # fmt: skip


def _month(month: date, *, is_whole: bool) -> words.Figure:
    return words.Figure(f"{month:%B %Y}" + ("" if is_whole else ", so far"), f"{month:%Y-%m}")


def _share(people: float, of: float, otherwise: str) -> str:
    """A count with its share; a file gets the count."""
    if pd.isna(people) or not of:
        return otherwise
    return words.Figure(f"{people:,.0f} ({words.percent(people / of)})", int(people))


def _days(number: float) -> str:
    return _known(number, words.count)


def _known(number: float, said: Callable[[float], str]) -> str:
    return "none" if pd.isna(number) else said(number)
