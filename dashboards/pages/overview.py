"""All campaigns at a glance (B12): state, people, messages, what followed, how customers buy, what needs attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from config.campaign import Campaign
from config.errors import ConfigError
from config.sources import AnySource
from dashboards import attention, words
from dashboards.attention import Matter
from dashboards.buying import buying
from dashboards.components import (
    EVERY_CAMPAIGN,
    Linked,
    begun,
    clock,
    configured,
    definition,
    every_campaign,
    link,
    not_measured,
    retargeting,
    table,
    window,
)
from dashboards.engagement import engagement
from dashboards.lift import Verdict, verdicts
from dashboards.reading import explained, snapshot, workspace


def page() -> None:
    """The page from top to bottom, from one consistent snapshot."""
    with begun("overview"), explained(), snapshot() as read:
        st.title("Overview")
        names = sorted(every_campaign(read))
        if not names:
            st.info("There is no campaign yet. `reengage campaign new` writes one.")
            return
        moment = read("data_as_of")
        measured = None if moment.empty else moment.iloc[0]
        hours, now = window(measured), clock(measured)
        holds, loads = read("holds"), read("loads")
        matters = attention.of_campaigns(holds, read("open_sends"), read("waiting"), read("audiences"), now)
        matters += attention.of_data(loads, _sources(), now)
        if measured is None:
            not_measured()
        else:
            matters += attention.of_figures(measured, now)
        _needed(matters)
        if measured is None:
            return
        zone = ZoneInfo(measured["business_zone"])
        states = {name: _state(definition(name), holds, name, now.astimezone(zone).date()) for name in names}
        pages = dict.fromkeys(names, "lapsing") | dict.fromkeys(retargeting(read), "partial_leads")
        links = {name: Linked(words.title(name), pages[name], campaign=name, hours=hours) for name in names}
        told = {name: _told(verdict) for name, verdict in verdicts(read("arms_of_all", hours=hours)).items()}
        _campaigns(
            read("glance", hours=hours),
            read("glance_total", hours=hours),
            read("glance_revenue", hours=hours),
            states,
            links,
            told,
            matters,
            hours,
        )
        buying(read)
        engagement(read("reports"))


# ----------------------------------------------------------------------------------------- what needs attention


def _needed(matters: Sequence[Matter]) -> None:
    if not matters:
        st.success("Nothing needs your attention.", icon=":material/check_circle:")
        return
    lines = []
    for matter in matters:
        whose = f"{words.title(matter.campaign)}: " if matter.campaign else ""
        asked = {"campaign": matter.campaign} if matter.campaign and matter.page != "data_quality" else {}
        where = link(_PAGES[matter.page], matter.page, **asked)
        lines.append(f"- {whose}{matter.sentence} ({where})")
    st.warning("**Needs attention**\n\n" + "\n".join(lines))


_PAGES = {"deliverability": "deliverability", "data_quality": "data quality", "audiences": "audiences"}


def _sources() -> Mapping[str, AnySource]:
    """The sources of the configuration; none when the file cannot be read, which `reengage check` explains."""
    try:
        return workspace().sources
    except ConfigError:
        return {}


# ---------------------------------------------------------------------------------------------- the campaigns


def _state(campaign: Campaign | None, holds: pd.DataFrame, name: str, today: date) -> str:
    """Whether a campaign runs; what holds it first."""
    if campaign is None:
        return "File at fault" if name in configured() else "No file"
    causes = {row.cause: row.reason for row in holds[holds["campaign"].isin([name, "*"])].itertuples()}
    if "everything" in causes:
        return "Off"
    if "paused" in causes:
        return "Suspended" if causes["paused"] in words.SUSPENSIONS else "Off"
    if "ended" in causes or (campaign.period.end and today > campaign.period.end):
        return "Over"
    if "gate" in causes:
        return "Held"
    return "Not begun" if campaign.period.start and today < campaign.period.start else "On"


def _campaigns(
    rows: pd.DataFrame,
    together: pd.DataFrame,
    revenue: pd.DataFrame,
    states: Mapping[str, str],
    links: Mapping[str, Linked],
    told: Mapping[str, str],
    matters: Sequence[Matter],
    hours: int,
) -> None:
    """One row for each campaign, also for those that have enrolled nobody, and one for all of them."""
    st.header("Campaigns")
    figures = ["enrolled", "reached", "messages", "converted"]
    people = rows.set_index("campaign")[figures].astype(int).to_dict("index")
    nothing = dict.fromkeys(figures, 0)
    currencies = list(revenue.groupby("currency")["purchases"].sum().sort_values(ascending=False).index)
    earned = {(row.campaign, row.currency): row.revenue for row in revenue.itertuples()}
    listed = [
        [
            links[name], state, _short(matters, name),
            *(words.count(people.get(name, nothing)[figure]) for figure in figures),
            told.get(name, "Nobody enrolled"),
            *(words.amount(earned.get((name, currency), 0)) for currency in currencies),
        ]
        for name, state in states.items()
    ]  # fmt: skip
    if len(listed) > 1:
        total, sums = together.iloc[0], revenue.groupby("currency")["revenue"].sum()
        listed.append(
            [
                EVERY_CAMPAIGN, "", "", *(words.count(total[figure]) for figure in figures), "",
                *(words.amount(sums[currency]) for currency in currencies),
            ]
        )  # fmt: skip
    table(
        [
            "Campaign", "State", "Needs attention", "Enrolled", "Reached", "Messages", "Conversions",
            "Against those held out", *(f"Revenue, {currency}" for currency in currencies),
        ],
        listed,
        "Campaigns",
    )  # fmt: skip
    st.caption(
        "People count once per campaign, and once in the last line, which is less than the sum of the others where "
        f"somebody is in several. Conversions are people who reached the campaign's goal within "
        f"{words.hours(hours)} of a message; purchases are credited once, to the last message before them. Both say "
        "what followed a message, not what it caused: that is the comparison with people held out, in percentage "
        "points of those who reached the goal since enrolment. With more campaigns on this page its intervals are "
        "wider than on a campaign's own, so that of those called better or worse 5 % at most are so by chance."
    )


def _told(verdict: Verdict) -> str:
    """A campaign's comparison in few words."""
    if verdict.effect is None:
        return verdict.words.capitalize()
    effect = verdict.effect
    return (
        f"{verdict.words.capitalize()}: {words.points(effect.estimate)} ({words.points(effect.low)} to "
        f"{words.points(effect.high)})"
    )


def _short(matters: Sequence[Matter], name: str) -> str:
    return ", ".join(matter.short for matter in matters if matter.campaign == name) or "Nothing"


page()
