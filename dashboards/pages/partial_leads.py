"""What came of retargeting: how far leads came, who qualified after which retarget, who answered, when; its price."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import altair as alt
import pandas as pd
import streamlit as st

from config.campaign import MAX_STEPS, Campaign
from dashboards import words
from dashboards.components import (
    AMBER,
    GREY,
    LEAF,
    PLUM,
    TEAL,
    begun,
    chosen,
    definition,
    link,
    not_measured,
    notices,
    retargeting,
    table,
    window,
)
from dashboards.costs import costs
from dashboards.followed import followed, followed_part
from dashboards.lift import lift
from dashboards.narrowing import Narrowed, Place, days, placed
from dashboards.reach import reach
from dashboards.reading import explained, snapshot

MILESTONE_COLOURS = {"lead": GREY, "deep_conversation": LEAF, "qualified": TEAL, "qualified_before": AMBER}
ORDER_COLOURS = {1: TEAL, 2: AMBER, 3: PLUM}
LEAD = "A lead is one conversation: somebody who clicked on two ads is two leads."


def page() -> None:
    """The page from top to bottom, from one consistent snapshot."""
    with begun("partial_leads"), explained(), snapshot() as read:
        names = sorted(retargeting(read))
        if not names:
            st.title("Partial leads")
            st.info("No campaign retargets leads yet: none has a `retargeting:` group in its campaign.yaml.")
            return
        name = chosen(names)
        campaign = definition(name)
        st.title(f"{words.title(name)}: retargeting")
        if campaign and campaign.description:
            st.markdown(campaign.description)
        notices(read, name)
        moment = read("data_as_of")
        if moment.empty:
            window(None)
            not_measured()
            return
        measured = moment.iloc[0]
        hours = window(measured)
        place = placed(read, name)
        hours, part = place.hours(hours, measured), place.asked()
        leads = read("leads", campaign=name, **part)
        if leads.empty:
            _nobody(campaign, place)
            return
        retargeted = read("retargeted_leads", campaign=name, **part)
        orders = _orders(campaign, leads)
        _figures(leads)
        _milestones(retargeted, orders)
        _qualified(leads, orders)
        by_day = read("retargets_by_day", campaign=name, **part)
        if by_day.empty:
            st.info("No retarget has been sent yet, so there is nothing to show by day or hour.")
        else:
            first, last = _days(by_day)
            _by_day(by_day, orders, first, last)
            by_hour = read("retargets_by_hour", campaign=name, first_day=first, last_day=last, **part)
            _by_hour(by_hour, orders, first, last)
            costs(read("costs", campaign=name), read("costs_per_lead", campaign=name))
            if place.is_part:
                st.caption(f"Costs are those of the whole campaign, not of a part of it ({place.said}).")
        people = read("people", campaign=name, **part)
        if not people.empty:
            reach(people)
            bought = place.reading(read)
            if place.is_part:
                followed_part(bought, name, campaign, hours, Narrowed(place=place))
            else:
                followed(bought, name, campaign, hours, people)
            is_anyone_reached = "reached" in set(people["standing"])
            lift(bought, name, campaign, hours, measured, is_anyone_reached=is_anyone_reached, place=place)
        st.markdown(
            "More of this campaign: "
            + link("what providers reported and what is open", "deliverability", campaign=name)
            + ", "
            + link("its ad audiences", "audiences", campaign=name)
        )


# --------------------------------------------------------------------------------------- before there is data


def _nobody(campaign: Campaign | None, place: Place) -> None:
    if place.is_part:
        st.info(f"No data: no lead of this campaign is in this part ({place.said}).")
    elif campaign and campaign.ads:
        st.info(
            "No data: none of this campaign's ads has begun a conversation yet. It sleeps until the ads whose leads it "
            "is to retarget are named under `ads:` in its campaign.yaml; `reengage doctor` says whether each has a bot."
        )
    else:
        st.info("No data: no ad with a bot has begun a conversation yet; `reengage doctor` says what is missing.")


def _orders(campaign: Campaign | None, leads: pd.DataFrame) -> list[int]:
    """The retargets to show: the campaign's steps, and whatever was sent when it had more."""
    steps = len(campaign.steps) if campaign else MAX_STEPS
    return list(range(1, max(steps, int(leads["last_retarget"].max())) + 1))


# ------------------------------------------------------------------------------------- how far leads came


def _figures(leads: pd.DataFrame) -> None:
    retargeted = leads[leads["last_retarget"] > 0]
    total, sent = _sum(leads), _sum(retargeted)
    qualified = _sum(leads[leads["qualified_after"] > 0])
    figures = [
        ("Leads in the system", words.count(total), f"{LEAD} The campaign's ads began them, or it enrolled them."),
        ("Retargeted", words.count(sent), "At least one retarget was accepted by the provider."),
        ("Qualified after a retarget", words.count(qualified), _CREDIT_HELP),
        ("Share qualified", words.percent(qualified / sent) if sent else "no data", "Of the leads retargeted."),
    ]
    for column, (label, value, explanation) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(label, value, border=True, height="stretch", help=explanation)


_CREDIT_HELP = (
    "Each is credited once, to the last retarget before it; one after another campaign's retarget is that campaign's. "
    "It says what followed a retarget, not what the retarget caused."
)


def _milestones(retargeted: pd.DataFrame, orders: Sequence[int]) -> None:
    st.header("Leads retargeted")
    st.caption(
        "How far the leads of each retarget had come when the next one left, or as of now where none did. "
        "A lead stands once in every retarget it was sent."
    )
    counts = {(row.retarget, row.milestone): int(row.leads) for row in retargeted.itertuples()}
    late = any(milestone == "qualified_before" for _, milestone in counts)
    shown = [milestone for milestone in words.MILESTONES if milestone != "qualified_before" or late]
    wide = pd.DataFrame(
        [
            {
                "retarget": words.order(order),
                "all": sum(counts.get((order, milestone), 0) for milestone in shown),
                **{words.MILESTONES[milestone]: counts.get((order, milestone), 0) for milestone in shown},
            }
            for order in orders
        ]
    )
    titles = [words.MILESTONES[milestone] for milestone in shown]
    rows = wide.melt(["retarget", "all"], titles, "milestone", "leads").merge(wide[["retarget", *titles]])
    rows["position"] = [titles.index(milestone) for milestone in rows["milestone"]]
    chart = (
        alt.Chart(rows)
        .mark_bar(size=46)
        .encode(
            x=alt.X("retarget:N", title="Retarget", sort=None, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("leads:Q", title="Leads", axis=_count_axis()),
            color=alt.Color(
                "milestone:N",
                scale=alt.Scale(domain=titles, range=[MILESTONE_COLOURS[milestone] for milestone in shown]),
                legend=_legend(),
            ),
            order="position:Q",
            tooltip=[
                alt.Tooltip("retarget:N", title="Retarget"),
                *(alt.Tooltip(f"{title}:Q", title=title, format=",") for title in titles),
                alt.Tooltip("all:Q", title="Leads retargeted", format=","),
            ],
        )
        .properties(height=260)
    )
    st.altair_chart(chart, width="stretch")
    table(
        ["Retarget", "Retargeted", *titles],
        [
            [row["retarget"], words.count(row["all"]), *(words.count(row[title]) for title in titles)]
            for _, row in wide.iterrows()
        ],
    )


def _qualified(leads: pd.DataFrame, orders: Sequence[int]) -> None:
    st.header("Qualified leads at each retargeting")
    is_qualified = leads["milestone"] == "qualified"
    total, without = _sum(leads), _sum(leads[is_qualified & (leads["qualified_after"] == 0)])
    at = {order: _sum(leads[leads["qualified_after"] == order]) for order in orders}
    still = leads[~is_qualified]
    parts = [
        ("Leads in the system", total, GREY),
        ("Not qualified on their own", total - without, LEAF),
        *((f"Qualified at the {words.order(order)} retarget", at[order], ORDER_COLOURS[order]) for order in orders),
    ]
    rows = pd.DataFrame(
        [{"what": what, "leads": number, "share": number / total, "colour": colour} for what, number, colour in parts]
    )
    bars = alt.Chart(rows).encode(
        x=alt.X("leads:Q", axis=None, scale=alt.Scale(domain=[0, 1.12 * total])),
        y=alt.Y("what:N", title=None, sort=None, axis=alt.Axis(labelLimit=230, ticks=False, domain=False)),
        tooltip=[
            alt.Tooltip("what:N", title="Which"),
            alt.Tooltip("leads:Q", title="Leads", format=","),
            alt.Tooltip("share:Q", title="Of all leads", format=".1%"),
        ],
    )
    chart = bars.mark_bar(height=24).encode(color=alt.Color("colour:N", scale=None)) + bars.mark_text(
        align="left", dx=6
    ).encode(text=alt.Text("leads:Q", format=","))
    st.altair_chart(chart.properties(height=38 * len(parts)), width="stretch")
    never = _sum(still[still["last_retarget"] == 0])
    listed = [
        ("Leads in the system", total),
        ("Qualified on their own", without),
        ("Not qualified on their own", total - without),
        *((f"of them qualified at the {words.order(order)} retarget", number) for order, number in at.items()),
        ("of them not qualified yet, retargeted", _sum(still) - never),
        ("of them not qualified yet, never retargeted", never),
    ]
    table(
        ["Which leads", "Leads", "Of all leads"],
        [[what, words.count(number), words.percent(number / total)] for what, number in listed],
    )
    st.caption(
        f"{LEAD} *On their own* means before the first retarget of this campaign, without any, or after "
        "another campaign's."
    )


# ------------------------------------------------------------------------------------- when it happened


def _days(happened: pd.DataFrame) -> tuple[date, date]:
    """The days to show in this chart and the next."""
    st.header("Day-wise retargeting qualified leads")
    place, _ = st.columns([2, 3])
    return days(
        (min(happened["day"]), max(happened["day"])),
        place,
        "Days",
        "For this chart and the next. Everything counts on the day and hour at which it happened, in the business time "
        "zone: a response or qualification may be later than its retarget.",
    )


def _by_day(happened: pd.DataFrame, orders: Sequence[int], first: date, last: date) -> None:
    counts = {(row.day, row.retarget): int(row.qualified) for row in happened.itertuples()}
    calendar = [day.date() for day in pd.date_range(first, last)]
    wide = pd.DataFrame(
        [{"day": day, **{words.order(order): counts.get((day, order), 0) for order in orders}} for day in calendar]
    )
    titles = [words.order(order) for order in orders]
    rows = wide.melt("day", titles, "retarget", "qualified").merge(wide)
    rows["day"] = pd.to_datetime(rows["day"])
    chart = (
        alt.Chart(rows)
        .mark_line(point=alt.OverlayMarkDef(size=40), strokeWidth=2)
        .encode(
            x=alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=min(len(calendar), 8), grid=False)),
            y=alt.Y("qualified:Q", title="Leads qualified", axis=_count_axis()),
            color=_order_colour(orders),
            tooltip=[
                alt.Tooltip("day:T", title="Day", format="%-d %B %Y"),
                *(alt.Tooltip(f"{title}:Q", title=f"Qualified after the {title}", format=",") for title in titles),
            ],
        )
        .properties(height=240)
    )
    st.altair_chart(chart, width="stretch")
    with st.expander("The same as a table"):
        table(
            ["Day", *(f"After the {title}" for title in titles), "Qualified"],
            _with_total(
                ((words.day(row["day"]), [row[title] for title in titles]) for _, row in wide.iterrows()), "All days"
            ),
        )


def _by_hour(hours: pd.DataFrame, orders: Sequence[int], first: date, last: date) -> None:
    st.header("Hourly retargeting")
    st.caption(
        f"By hour of the day, {words.day(first)} to {words.day(last)}: the full bar is leads retargeted, the pale one "
        "beside it first responses that came in that hour. A first response is a lead's first message after a retarget "
        "and before the next one."
    )
    measures = {"retargeted": "Retargeted", "first_responses": "First responses"}
    counts = {
        (row.hour, row.retarget, measure): int(getattr(row, measure))
        for row in hours.itertuples()
        for measure in measures
    }
    rows = pd.DataFrame(
        [
            {
                "hour": f"{hour:02}",
                "retarget": words.order(order),
                "position": order,
                "measure": title,
                "leads": counts.get((hour, order, measure), 0),
                **{other: counts.get((hour, order, name), 0) for name, other in measures.items()},
            }
            for hour in range(24)
            for order in orders
            for measure, title in measures.items()
        ]
    )
    titles = list(measures.values())
    chart = (
        alt.Chart(rows)
        .mark_bar()
        .encode(
            x=alt.X("hour:N", title="Hour of the day", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            xOffset=alt.XOffset("measure:N", scale=alt.Scale(domain=titles)),
            y=alt.Y("leads:Q", title="Leads", axis=_count_axis()),
            color=_order_colour(orders),
            opacity=alt.Opacity("measure:O", sort=titles, scale=alt.Scale(range=[1, 0.4]), legend=None),
            order="position:Q",
            tooltip=[
                alt.Tooltip("hour:N", title="Hour"),
                alt.Tooltip("retarget:N", title="Retarget"),
                *(alt.Tooltip(f"{title}:Q", title=title, format=",") for title in titles),
            ],
        )
        .properties(height=260)
    )
    st.altair_chart(chart, width="stretch")
    columns = [(order, measure) for measure in measures for order in orders]
    with st.expander("The same as a table"):
        table(
            ["Hour", *(f"{measures[measure]}, {words.order(order)}" for order, measure in columns)],
            _with_total(
                (
                    (f"{hour:02}:00", [counts.get((hour, order, measure), 0) for order, measure in columns])
                    for hour in range(24)
                ),
                "All hours",
                across=False,
            ),
        )


# ---------------------------------------------------------------------------------------- small words


def _with_total(rows: Iterable[tuple[str, Sequence[int]]], title: str, *, across: bool = True) -> list[list[str]]:
    """Rows of counts as cells, with their sum below and, where it means something, beside them."""
    counted = [(name, [int(number) for number in numbers]) for name, numbers in rows]
    counted.append((title, [sum(column) for column in zip(*(numbers for _, numbers in counted), strict=True)]))
    return [
        [name, *(words.count(number) for number in ([*numbers, sum(numbers)] if across else numbers))]
        for name, numbers in counted
    ]


def _count_axis() -> alt.Axis:
    return alt.Axis(tickMinStep=1, tickCount=5, format=",d")


def _order_colour(orders: Sequence[int]) -> alt.Color:
    return alt.Color(
        "retarget:N",
        scale=alt.Scale(
            domain=[words.order(order) for order in orders], range=[ORDER_COLOURS[order] for order in orders]
        ),
        legend=_legend("Retarget"),
    )


def _legend(title: str | None = None) -> alt.Legend:
    return alt.Legend(orient="bottom", title=title, titleOrient="left", symbolType="square")


def _sum(rows: pd.DataFrame) -> int:
    return int(rows["leads"].sum())


page()
