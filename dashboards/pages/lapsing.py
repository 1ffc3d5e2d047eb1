"""One campaign that wins customers back: who was reached and why not, what followed, whether it made a difference."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from config.campaign import Campaign
from dashboards import words
from dashboards.components import (
    AMBER,
    GREY,
    TEAL,
    begun,
    chosen,
    definition,
    every_campaign,
    link,
    not_measured,
    notices,
    retargeting,
    table,
    window,
)
from dashboards.narrowing import Narrowed, narrowed
from dashboards.reach import reach
from dashboards.reading import Read, explained, snapshot
from tasks.rules.statistics import Interval, Moments, Paired, cuped, newcombe, welch, wilson

ARMS = {"treated": "Treated", "holdout": "Held out"}


def page() -> None:
    """The page from top to bottom, from one consistent snapshot."""
    with begun("lapsing"), explained(), snapshot() as read:
        names = sorted(every_campaign(read) - retargeting(read))
        if not names:
            st.title("Lapsing customers")
            st.info("There is no campaign of this kind yet. `reengage campaign new` writes one.")
            return
        name = chosen(names)
        campaign = definition(name)
        heading, moment = st.container(), read("data_as_of")
        with heading:
            st.title(words.title(name))
            if campaign and campaign.description:
                st.markdown(campaign.description)
        notices(read, name)
        if moment.empty:
            window(None)
            not_measured()
            return
        measured = moment.iloc[0]
        hours = window(measured)
        people = read("people", campaign=name)
        if people.empty:
            st.info("Nobody has been enrolled in this campaign yet, so there is no data to show.")
        else:
            reach(people)
            part = _narrowed(read, name, hours)
            if part.by:
                _attributed_part(read, name, campaign, hours, part)
                st.subheader("Did it make a difference?")
                st.info(
                    f"The comparison is hidden while the page is narrowed by {' and '.join(part.by)}: nobody held out "
                    "has any of that. Show everything again in the sidebar to see it."
                )
            else:
                _attributed(read, name, campaign, hours, people)
                is_anyone_reached = "reached" in set(people["standing"])
                _difference(read, name, campaign, hours, measured, is_anyone_reached=is_anyone_reached)
        st.markdown(
            "More of this campaign: "
            + link("what providers reported and what is open", "deliverability", campaign=name)
            + ", "
            + link("its ad audiences", "audiences", campaign=name)
        )


# --------------------------------------------------------------------------------- what followed (attributed)


def _narrowed(read: Read, name: str, hours: int) -> Narrowed:
    """What the sidebar leaves of the campaign's messages."""
    by_grain = read("attributed_people", campaign=name, hours=hours)
    values = {grain: list(by_grain[by_grain["grain"] == grain]["value"]) for grain in ("channel", "variant")}
    sent_on = read("attributed_days", campaign=name, hours=hours)["sent_on"]
    return narrowed(values["channel"], values["variant"], (min(sent_on), max(sent_on)) if len(sent_on) else None)


def _attributed_part(read: Read, name: str, campaign: Campaign | None, hours: int, part: Narrowed) -> None:
    """Message by message, since people are counted over the whole campaign only."""
    st.subheader(f"What followed within {words.hours(hours)} of a message")
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


def _attributed(read: Read, name: str, campaign: Campaign | None, hours: int, people: pd.DataFrame) -> None:
    st.subheader(f"What followed within {words.hours(hours)} of a message")
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
        _goal_title(campaign),
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


_CREDIT_HELP = (
    "A purchase is credited once, to the last message before it, over all campaigns. It says what followed a message, "
    "not what the message caused: that is the comparison below."
)


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
                    _rate(row.converted, row.reached),
                ]
                for row in part.itertuples()
            ]
    table(["By message, channel, variant", "People reached", _goal_title(campaign), "Rate (95 % interval)"], rows)
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


# -------------------------------------------------------------------------- did it make a difference (incremental)


def _difference(
    read: Read, name: str, campaign: Campaign | None, hours: int, measured: pd.Series, *, is_anyone_reached: bool
) -> None:
    st.subheader("Did it make a difference?")
    arms = read("arms", campaign=name, hours=hours)
    version = _version(arms)
    arms = arms[arms["experiment_version"] == version].set_index("arm")
    if "holdout" not in arms.index or "treated" not in arms.index:
        st.info(
            "No data: nobody is held out in this campaign, so nothing says what would have happened without it. "
            "`holdout: 0.1` in campaign.yaml holds back one person in ten."
        )
        return
    st.caption(
        f"Treated and held out alike, counted from enrolment for {words.hours(hours)}, by the group a person was "
        f"assigned to, reached or not. A person counts when the window has passed for everyone enrolled that day."
    )
    maturing = int(arms["enrolled"].sum() - arms["people"].sum())
    if arms["people"].min() < 1:
        st.info(
            f"No data yet: {words.count(maturing)} people are still within {words.hours(hours)} of their enrolment, "
            "and one of the groups has nobody to compare. Choose a shorter window, or come back later."
        )
        return
    treated, held = arms.loc["treated"], arms.loc["holdout"]
    effect = newcombe(
        int(treated["conversions"]), int(treated["people"]), int(held["conversions"]), int(held["people"])
    )
    if is_anyone_reached:
        _verdict(effect, campaign)
    else:
        st.info("Nobody of the treated has been reached yet, so whatever differs below is chance.")
    revenue = read("arms_revenue", campaign=name, hours=hours)
    revenue = revenue[revenue["experiment_version"] == version]
    table(
        ["Group", "People", "Still maturing", _goal_title(campaign), "Rate (95 % interval)"],
        [
            [
                ARMS[arm], words.count(row["people"]), words.count(row["enrolled"] - row["people"]),
                words.count(row["conversions"]), _rate(row["conversions"], row["people"]),
            ]
            for arm, row in (("treated", treated), ("holdout", held))
        ],
    )  # fmt: skip
    _revenue(revenue, treated, held, _main_currency(campaign))
    if maturing:
        until = words.moment(measured["as_of"], measured["business_zone"])
        st.caption(f"{words.count(maturing)} people are still maturing as of {until} and are not counted yet.")
    by_hour = read("arms_by_hour", campaign=name, hours=hours)
    _curve(by_hour[by_hour["experiment_version"] == version], treated, held, hours, campaign)


def _version(arms: pd.DataFrame) -> str:
    """The experiment version to show; results are never pooled over versions (I14)."""
    versions = list(dict.fromkeys(arms["experiment_version"]))
    if len(versions) == 1:
        return versions[0]
    since = dict(zip(arms["experiment_version"], arms["first_enrolled_on"], strict=True))
    if "version" not in st.session_state and st.query_params.get("version") in versions:
        st.session_state["version"] = st.query_params["version"]
    chosen = st.selectbox(
        "Experiment version", versions, format_func=lambda version: f"since {since[version]:%-d %B %Y}", key="version",
        help="A new one begins when the holdout, the variants or the salt change; versions are never added up.",
    )  # fmt: skip
    st.query_params["version"] = chosen
    return chosen


def _verdict(effect: Interval, campaign: Campaign | None) -> None:
    span = f"{words.points(effect.low)} to {words.points(effect.high)} percentage points"
    verb = "bought" if _goal_is_purchase(campaign) else "reached the goal"
    if effect.low > 0:
        st.success(
            f"Yes: more of the treated people {verb}, by {words.points(effect.estimate)} percentage points ({span})."
        )
    elif effect.high < 0:
        st.error(f"It did harm: fewer of the treated people {verb}, by {words.points(effect.estimate)} ({span}).")
    else:
        st.info(
            f"It cannot be told yet: {words.points(effect.estimate)} percentage points so far, and anything from "
            f"{span} would fit what was seen."
        )


def _revenue(revenue: pd.DataFrame, treated: pd.Series, held: pd.Series, main: str | None) -> None:
    rows = []
    for currency in sorted(set(revenue["currency"]), key=lambda currency: (currency != main, currency)):
        part = revenue[revenue["currency"] == currency].set_index("arm")
        sides = [_paired(part, arm, row) for arm, row in (("treated", treated), ("holdout", held))]
        if min(side.after.n for side in sides) < 2:
            continue
        plain, adjusted = welch(sides[0].after, sides[1].after), cuped(*sides)
        rows.append(
            [
                currency,
                words.money(sides[0].after.mean, currency),
                words.money(sides[1].after.mean, currency),
                _money_interval(plain, currency),
                _money_interval(adjusted, currency),
            ]
        )
    if rows:
        table(
            [
                "Revenue per person", "Treated", "Held out", "Difference (95 % interval)",
                "Allowing for earlier spending",
            ],
            rows,
        )  # fmt: skip


def _paired(part: pd.DataFrame, arm: str, people: pd.Series) -> Paired:
    """One arm's sums; people without a purchase in the currency count with zero."""
    sums = part.loc[arm] if arm in part.index else dict.fromkeys(("revenue", "revenue_squares", "revenue_by_pre"), 0)
    n = int(people["people"])
    return Paired(
        Moments(n, float(sums["revenue"]), float(sums["revenue_squares"])),
        Moments(n, float(people["pre_revenue"]), float(people["pre_revenue_squares"])),
        float(sums["revenue_by_pre"]),
    )


def _curve(by_hour: pd.DataFrame, treated: pd.Series, held: pd.Series, hours: int, campaign: Campaign | None) -> None:
    if by_hour.empty:
        return
    points = []
    for arm, row in (("treated", treated), ("holdout", held)):
        mine = by_hour[by_hour["arm"] == arm].set_index("hour")["conversions"]
        total = 0.0
        points.append({"hour": 0, "group": ARMS[arm], "share": 0.0})
        for hour in sorted(mine.index):
            total += float(mine[hour])
            points.append({"hour": int(hour) + 1, "group": ARMS[arm], "share": total / float(row["people"])})
        points.append({"hour": hours, "group": ARMS[arm], "share": total / float(row["people"])})
    title = f"{_goal_title(campaign)}, share of the group by hours since enrolment"
    chart = (
        alt.Chart(pd.DataFrame(points), title=alt.Title(title, anchor="start", fontSize=13, fontWeight="normal"))
        .mark_line(interpolate="step-after", strokeWidth=2.5)
        .encode(
            x=alt.X("hour:Q", title=None, scale=alt.Scale(domain=[0, hours]), axis=alt.Axis(grid=False, format=",d")),
            y=alt.Y("share:Q", title=None, axis=alt.Axis(format=".1%", tickCount=5)),
            color=alt.Color(
                "group:N", scale=alt.Scale(domain=list(ARMS.values()), range=[TEAL, AMBER]),
                legend=alt.Legend(orient="top-left", title=None),
            ),
            tooltip=[
                alt.Tooltip("group:N", title="Group"), alt.Tooltip("hour:Q", title="Hours", format=",d"),
                alt.Tooltip("share:Q", title="Share", format=".2%"),
            ],
        )
        .properties(height=230)
    )  # fmt: skip
    st.altair_chart(chart, width="stretch")


# ---------------------------------------------------------------------------------------- small words


def _rate(successes: float, n: float) -> str:
    found = wilson(int(successes), int(n))
    return f"{words.percent(found.estimate)} ({words.percent(found.low)} to {words.percent(found.high)})"


def _money_interval(found: Interval, currency: str) -> str:
    low, high = words.signed_money(found.low, currency), words.signed_money(found.high, currency)
    return f"{words.signed_money(found.estimate, currency)} ({low} to {high})"


def _goal_is_purchase(campaign: Campaign | None) -> bool:
    return campaign is None or campaign.goal.event == "purchase"


def _goal_title(campaign: Campaign | None) -> str:
    return "People who bought" if _goal_is_purchase(campaign) else "People who reached the goal"


def _main_currency(campaign: Campaign | None) -> str | None:
    return campaign.currency if campaign else None


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


page()
