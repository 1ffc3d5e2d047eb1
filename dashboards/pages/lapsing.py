"""Campaign overview: who was reached and why not, what followed, and whether it made a difference (B12)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from config.campaign import Campaign
from dashboards import words
from dashboards.audiences import audiences
from dashboards.components import (
    AMBER,
    GREY,
    LEAF,
    RED,
    STYLE,
    TEAL,
    chosen,
    configured,
    definition,
    notices,
    stamp,
    table,
)
from dashboards.reading import Read, explained, snapshot
from tasks.rules.statistics import Interval, Moments, Paired, cuped, newcombe, welch, wilson

DEFAULT_HOURS = 24
COLOURS = {"reached": TEAL, "to_come": LEAF, "in_doubt": RED, "not_reached": AMBER, "holdout": GREY}
ARMS = {"treated": "Treated", "holdout": "Held out"}


def page() -> None:
    """The page from top to bottom, from one consistent snapshot."""
    st.html(STYLE)
    with explained(), snapshot() as read:
        names = _campaign_names(read)
        if not names:
            st.title("Campaign overview")
            st.info("There is no campaign yet. `reengage campaign new` writes one.")
            return
        name = chosen(names)
        campaign = definition(name)
        heading, moment = st.container(), read("data_as_of")
        with heading:
            st.title(f"{words.title(name)} overview")
            if campaign and campaign.description:
                st.markdown(campaign.description)
        notices(read, name)
        if moment.empty:
            _form(None)
            st.info("Nothing has been measured yet: no data. `reengage evaluate` measures; then press Refresh.")
            return
        measured = moment.iloc[0]
        hours = _form(measured)
        people = read("people", campaign=name)
        if people.empty:
            st.info("Nobody has been enrolled in this campaign yet, so there is no data to show.")
        else:
            _standing(people)
            _attributed(read, name, campaign, hours, people)
            is_anyone_reached = "reached" in set(people["standing"])
            _difference(read, name, campaign, hours, measured, is_anyone_reached=is_anyone_reached)
        _reports(read, name)
        _open(read, name, measured)
        audiences(
            read("audiences", campaign=name),
            read("refused_members", campaign=name),
            name,
            _clock(measured),
            measured["business_zone"],
        )
        _gate(read, measured)


# ------------------------------------------------------------------------------- what is looked at


def _campaign_names(read: Read) -> list[str]:
    """Campaigns of the configuration folder and those that only the database still knows."""
    return sorted(configured() | set(read("campaigns")["campaign"]))


def _form(measured: pd.Series | None) -> int:
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


# ------------------------------------------------------------------------------------- who was reached


def _standing(people: pd.DataFrame) -> None:
    st.subheader("Who was reached")
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


# --------------------------------------------------------------------------------- what followed (attributed)


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
    totals = read("attributed_totals", campaign=name, hours=hours)
    totals = totals.assign(first=[currency != _main_currency(campaign) for currency in totals["currency"]])
    totals = totals.sort_values("first", kind="stable")
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


# --------------------------------------------------------------------------------------- live figures


def _reports(read: Read, name: str) -> None:
    rows = read("reports", campaign=name)
    if rows.empty:
        return
    st.subheader("What came back")
    noted = [name for name in words.REPORTS if name != "accepted"]
    if not int(rows[noted].to_numpy().sum()):
        st.markdown(
            "No provider has reported anything about these messages yet. `reengage hooks` receives reports, and "
            "archives of them can be a source of `reengage ingest`."
        )
        return
    table(
        ["Message", *words.REPORTS.values()],
        [
            [
                _message(r.step, r.channel),
                *(words.count(getattr(r, name)) for name in words.REPORTS),
            ]
            for r in rows.itertuples()
        ],
    )
    st.caption(
        "Accepted by the provider is not yet delivered. Mail programs that fetch every picture are counted apart from "
        "people who open; a click counts as opened by a person."
    )


def _message(step: str, channel: str) -> str:
    return words.step(step) if "." in step else f"{words.step(step)}, {words.channel(channel)}"


def _open(read: Read, name: str, measured: pd.Series) -> None:
    sends = read("open_sends", campaign=name)
    st.subheader("Open right now")
    if sends.empty:
        st.markdown("No message is open: nothing planned, nothing in doubt.")
        return
    now = _clock(measured)
    doubtful = sends[sends["state"] == "unknown"]
    states = {"planned": "Planned", "retry_wait": "Waiting to be tried again", "in_flight": "Being sent"}
    rows = [
        [states[state], words.channel(channel), words.count(part["sends"].sum()), words.age(now - part["since"].min())]
        for (state, channel), part in sends[sends["state"] != "unknown"].groupby(["state", "channel"])
    ]
    table(["State", "Channel", "Messages", "Oldest"], rows)
    if doubtful.empty:
        st.markdown("Nothing is in doubt.")
        return
    st.warning(
        f"{words.count(doubtful['sends'].sum())} messages are in doubt: the provider's answer was lost. They are never "
        "sent blindly again; `reengage sends list` shows them.",
        icon=":material/help:",
    )
    ages = [(now - since).total_seconds() / 3600 for since in doubtful["since"]]
    bands = doubtful.assign(band=[next(n for n, (most, _) in enumerate(_BANDS) if age < most) for age in ages])
    table(
        ["In doubt for", "Channel", "Messages", "Oldest since"],
        [
            [
                _BANDS[band][1],
                words.channel(channel),
                words.count(part["sends"].sum()),
                words.moment(part["since"].min(), measured["business_zone"]),
            ]
            for (band, channel), part in bands.groupby(["band", "channel"])
        ],
    )


_BANDS = (
    (1, "Under an hour"),
    (6, "1 to 6 hours"),
    (24, "6 to 24 hours"),
    (72, "1 to 3 days"),
    (float("inf"), "More than 3 days"),
)


def _clock(measured: pd.Series) -> datetime:
    """What ages are told against: the wall clock, or in a simulated database the newest moment it has seen."""
    if measured["mode"] != "simulated":
        return datetime.now(UTC)
    return max(at for at in (measured["as_of"], measured["last_run_as_of"]) if at is not None)


def _gate(read: Read, measured: pd.Series) -> None:
    st.subheader("Data gate")
    loads = read("loads")
    if loads.empty:
        st.markdown("No data: nothing has been delivered yet.")
        return
    held = loads[loads["state"] == "held"]
    if held.empty:
        st.markdown("The newest delivery of every source was taken in." if (loads["state"] == "merged").all() else "")
    else:
        st.error(f"Deliveries held back: {len(held)}. Campaigns that read them do not send until they are released.")
    table(
        ["Source", "Delivers", "State", "As of", "Lines", "Taken", "Known before", "Set aside", "Waiting", "Checks"],
        [
            [
                row.source, words.title(row.entity), words.LOADS.get(row.state, row.state),
                words.moment(row.as_of, measured["business_zone"]), words.count(row.lines_in),
                words.count(row.accepted), words.count(row.duplicate), words.count(row.quarantined),
                words.count(row.parked), _checks(row),
            ]
            for row in loads.itertuples()
        ],
    )  # fmt: skip
    broken = read("checks")
    if not broken.empty:
        table(
            ["Broken expectation", "Source", "Column", "Seen", "Expected", "Weight"],
            [
                [
                    words.title(row.expectation.removeprefix("expect_")), f"{row.source}, {row.entity}",
                    row.column_name or "", row.observed or "", row.expected or "",
                    "stops the load" if row.outcome == "failed" else "warning",
                ]
                for row in broken.itertuples()
            ],
        )  # fmt: skip


def _checks(row: Any) -> str:
    told = [
        f"{number} {word}"
        for number, word in (
            (row.checks_failed, "broken"),
            (row.checks_warned, "warned"),
            (row.checks_passed, "met"),
            (row.checks_without_history, "too early to tell"),
        )
        if number
    ]
    return ", ".join(told) or "none yet"


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
