"""Did it make a difference: people treated against people held out, of one campaign and of many (I14, I15)."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import altair as alt
import pandas as pd
import streamlit as st

from config.campaign import Campaign
from dashboards import words
from dashboards.components import AMBER, TEAL, table
from dashboards.narrowing import EVERYWHERE, Place
from dashboards.reading import Read
from tasks.rules.statistics import (
    CONFIDENCE,
    NOT_AS_DRAWN,
    Interval,
    Moments,
    Paired,
    benjamini_hochberg,
    cuped,
    newcombe,
    newcombe_p,
    people_needed,
    sample_ratio,
    welch,
)

ARMS: Final = {"treated": "Treated", "holdout": "Held out"}
# What is only known of a person after their group was drawn, and of nobody held out.
AFTER_ASSIGNMENT: Final = {
    "channel": "the channel",
    "step": "the message of the sequence",
    "provider": "the provider",
    "delivered": "whether it was delivered",
}
# Smaller differences than this share of the rate are not worth waiting for: how many people they need is not said.
LEAST: Final = 0.1

BETTER: Final = "better"
WORSE: Final = "worse"
NOT_CONCLUSIVE: Final = "not conclusive yet"
TOO_FEW: Final = "not enough people"
NO_MATCH: Final = "groups do not match"
NO_HOLDOUT: Final = "nobody is held out"
NOBODY_REACHED: Final = "nobody reached yet"


@dataclass(frozen=True)
class Verdict:
    """What a campaign's holdout says beside those of other campaigns.

    `effect` is a difference of shares, with an interval that is as wide as the number of campaigns asks for, so it
    excludes zero exactly where the words say better or worse. `more` people are needed where it is not conclusive;
    None where nobody has reached the goal.
    """

    words: str
    effect: Interval | None = None
    more: int | None = None


def verdicts(arms: pd.DataFrame) -> dict[str, Verdict]:
    """The verdict of each campaign, from the rows of queries/arms_of_all.sql, told together by Benjamini-Hochberg.

    So of those called better or worse 5 % at most, on average, are so by chance, however many stand on the page.
    Their intervals follow: Benjamini, Yekutieli (2005), Journal of the American Statistical Association 100, 71-81.
    """
    found: dict[str, Verdict] = {}
    compared: dict[str, tuple[int, int, int, int]] = {}
    for campaign, rows in arms.groupby("campaign"):
        pair = rows.set_index("arm")
        words_instead = _not_compared(pair)
        if words_instead:
            found[str(campaign)] = Verdict(words_instead)
        else:
            compared[str(campaign)] = _counts(pair)
    told = benjamini_hochberg([newcombe_p(*counts) for counts in compared.values()], 1 - CONFIDENCE)
    confidence = 1 - max(sum(told), 1) * (1 - CONFIDENCE) / max(len(told), 1)
    for (campaign, counts), is_told in zip(compared.items(), told, strict=True):
        effect = newcombe(*counts, confidence)
        if is_told:
            found[campaign] = Verdict(BETTER if effect.estimate > 0 else WORSE, effect)
        else:
            found[campaign] = Verdict(NOT_CONCLUSIVE, effect, _more(counts))
    return found


def lift(
    read: Read,
    name: str,
    campaign: Campaign | None,
    hours: int,
    measured: pd.Series,
    *,
    is_anyone_reached: bool,
    narrowed_by: Collection[str] = (),
    place: Place = EVERYWHERE,
) -> None:
    """The section about one campaign: its newest holdout, or another one that is chosen, and all it ever had.

    `narrowed_by` names what the page is narrowed by that came after the groups were drawn (`AFTER_ASSIGNMENT`); the
    section then says only why there is no comparison. A `place` was known before: the groups are compared within it.
    """
    st.header("Did it make a difference?")
    if narrowed_by:
        st.info(_why_hidden(narrowed_by))
        return
    arms = read("arms", campaign=name, hours=hours, **place.asked())
    if place.is_part:
        st.caption(f"Only people with {place.said}, of both groups. In one of many parts a difference may be chance.")
    if arms.empty and place.is_part:
        st.info("No data: nobody of this part is in a comparison.")
    elif arms.empty:
        st.info("No data: whoever stood in a holdout of this campaign was deleted after their period.")
    else:
        version = _version(arms)
        chosen = arms[arms["experiment_version"] == version].set_index("arm")
        _comparison(
            read, name, campaign, hours, measured, version, chosen, is_anyone_reached=is_anyone_reached, place=place
        )
    if place.is_part:
        return  # what is kept of holdouts that are over knows no parts
    past = read("experiments", campaign=name, hours=hours)
    if set(past["experiment_version"]) - set(arms["experiment_version"].head(1)):
        _history(past, campaign, hours)


def _why_hidden(narrowed_by: Collection[str]) -> str:
    chosen = [AFTER_ASSIGNMENT.get(name, words.title(name).lower()) for name in narrowed_by]
    listed = " and ".join([", ".join(chosen[:-1]), chosen[-1]] if len(chosen) > 1 else chosen)
    that_is = "Those are" if len(chosen) > 1 else "That is"
    return (
        f"The comparison is hidden while this page is narrowed by {listed}. {that_is} known only after people were "
        "put into their groups, and of nobody held out, so the people left would differ from those held out in more "
        "than the messages. Show all of it again to see the comparison."
    )


def _comparison(
    read: Read,
    name: str,
    campaign: Campaign | None,
    hours: int,
    measured: pd.Series,
    version: str,
    arms: pd.DataFrame,
    *,
    is_anyone_reached: bool,
    place: Place,
) -> None:
    """One experiment version, or why there is nothing to see of it."""
    if not _has_both(arms) and place.is_part:
        st.info("No data: this part has people of one group only, so there is nothing to compare. Show a larger one.")
        return
    if not _has_both(arms):
        st.info(
            "No data: nobody is held out in this campaign, so nothing says what would have happened without it. "
            "`holdout: 0.1` in campaign.yaml holds back one person in ten."
        )
        return
    treated, held = arms.loc["treated"], arms.loc["holdout"]
    if not _is_as_drawn(arms):
        st.error(_no_match(treated, held))
        return
    st.caption(
        f"Treated and held out alike, counted from enrolment for {words.hours(hours)}, by the group a person was "
        f"assigned to, reached or not. A person counts when the window has passed for everyone enrolled that day."
    )
    if pd.isna(held["holdout"]):
        st.caption("How many were to be held out was never noted, so whether the groups match it cannot be checked.")
    maturing = int(arms["enrolled"].sum() - arms["people"].sum())
    if arms["people"].min() < 1:
        st.info(
            f"No data yet: {words.count(maturing)} people are still within {words.hours(hours)} of their enrolment, "
            "and one of the groups has nobody to compare. Choose a shorter window, or come back later."
        )
        return
    if is_anyone_reached:
        _verdict(_counts(arms), maturing, campaign)
    else:
        st.info("Nobody of the treated has been reached yet, so whatever differs below is chance.")
    revenue = read("arms_revenue", campaign=name, hours=hours, **place.asked())
    revenue = revenue[revenue["experiment_version"] == version]
    table(
        ["Group", "People", "Still maturing", words.goal_title(campaign), "Rate (95 % interval)"],
        [
            [
                ARMS[arm], words.count(row["people"]), words.count(row["enrolled"] - row["people"]),
                words.count(row["conversions"]), words.rate(row["conversions"], row["people"]),
            ]
            for arm, row in (("treated", treated), ("holdout", held))
        ],
    )  # fmt: skip
    _revenue(revenue, treated, held, campaign.currency if campaign else None)
    if maturing:
        until = words.moment(measured["as_of"], measured["business_zone"])
        st.caption(f"{words.count(maturing)} people are still maturing as of {until} and are not counted yet.")
    by_hour = read("arms_by_hour", campaign=name, hours=hours, **place.asked())
    _curve(by_hour[by_hour["experiment_version"] == version], treated, held, hours, campaign)


def _version(arms: pd.DataFrame) -> str:
    """The experiment version to show; results are never pooled over versions (I14)."""
    versions = list(dict.fromkeys(arms["experiment_version"]))
    if len(versions) == 1:
        return versions[0]
    since = dict(zip(arms["experiment_version"], arms["first_enrolled_on"], strict=True))
    if st.session_state.get("version") not in versions:
        st.session_state.pop("version", None)  # such as one of another campaign
        if st.query_params.get("version") in versions:
            st.session_state["version"] = st.query_params["version"]
    chosen = st.selectbox(
        "Experiment version", versions, format_func=lambda version: f"since {since[version]:%-d %B %Y}", key="version",
        help="A new one begins when the holdout, the variants or the salt change; versions are never added up.",
    )  # fmt: skip
    st.query_params["version"] = chosen
    return chosen


def _verdict(counts: tuple[int, int, int, int], maturing: int, campaign: Campaign | None) -> None:
    effect = newcombe(*counts)
    span = f"{words.points(effect.low)} to {words.points(effect.high)} percentage points"
    verb = words.goal_verb(campaign)
    if effect.low > 0:
        st.success(
            f"Yes: more of the treated people {verb}, by {words.points(effect.estimate)} percentage points ({span})."
        )
    elif effect.high < 0:
        st.error(f"It did harm: fewer of the treated people {verb}, by {words.points(effect.estimate)} ({span}).")
    else:
        st.info(
            f"Not conclusive yet: {words.points(effect.estimate)} percentage points so far, and anything from {span} "
            f"would fit what was seen. {_needs(counts, maturing, verb)}"
        )


def _needs(counts: tuple[int, int, int, int], maturing: int, verb: str) -> str:
    """How many more people it needs, in a sentence."""
    more = _more(counts)
    if more is None:
        return f"Nobody of either group {verb}, so how many more people it needs cannot be said."
    is_worth_telling = abs(newcombe(*counts).estimate) >= LEAST * _rate_of_both(counts)
    what = "of this size" if is_worth_telling else f"of {words.percent(LEAST, 0)} of the rate"
    rest = f", of whom {words.count(maturing)} are still maturing" if maturing else ""
    return (
        f"It needs about {words.count(_roughly(more))} more people{rest}: with them, a difference {what} is told four "
        "times in five."
    )


def _revenue(revenue: pd.DataFrame, treated: pd.Series, held: pd.Series, main: str | None) -> None:
    rows = []
    for currency in sorted(set(revenue["currency"]), key=lambda currency: (currency != main, currency)):
        part = revenue[revenue["currency"] == currency].set_index("arm")
        sides = [_paired(part, arm, row) for arm, row in (("treated", treated), ("holdout", held))]
        if min(side.after.n for side in sides) < 2:
            continue
        has_past = any(side.before.squares for side in sides)
        plain, adjusted = welch(sides[0].after, sides[1].after), cuped(*sides)
        rows.append(
            [
                currency,
                words.money(sides[0].after.mean, currency),
                words.money(sides[1].after.mean, currency),
                _money_interval(plain, currency),
                _money_interval(adjusted, currency) if has_past else "nobody bought before",
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
    title = f"{words.goal_title(campaign)}, share of the group by hours since enrolment"
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


def _history(rows: pd.DataFrame, campaign: Campaign | None, hours: int) -> None:
    """Every holdout the campaign ever had, each by itself: they are never added up (I14)."""
    versions = [rows[rows["experiment_version"] == version] for version in dict.fromkeys(rows["experiment_version"])]
    st.markdown("**Holdouts of this campaign so far**")
    table(
        [
            "Enrolled since", "Until", "Held out as planned", "Treated", "Held out", "Difference (95 % interval)",
            "Result",
        ],
        [_past(part.set_index("arm")) for part in versions],
    )  # fmt: skip
    st.caption(
        f"{words.goal_title(campaign)} within {words.hours(hours)} of enrolment. Each holdout stands for itself, and "
        "what came of one that is over stays here when its people are deleted after their period."
    )


def _past(arms: pd.DataFrame) -> list[str]:
    since, until, share = (arms.iloc[0][name] for name in ("first_enrolled_on", "last_enrolled_on", "holdout"))
    planned = "not noted" if pd.isna(share) else words.percent(float(share))
    people = [words.count(arms.loc[arm, "enrolled"]) if arm in arms.index else "0" for arm in ARMS]
    instead = _not_compared(arms)
    if instead:
        return [words.day(since), words.day(until), planned, *people, "none", instead.capitalize()]
    effect = newcombe(*_counts(arms))
    told = BETTER if effect.low > 0 else WORSE if effect.high < 0 else NOT_CONCLUSIVE
    is_settled = int(arms["enrolled"].sum()) == int(arms["people"].sum())
    result = told.capitalize() if is_settled else f"{told.capitalize()}, some still maturing"
    span = f"{words.points(effect.estimate)} ({words.points(effect.low)} to {words.points(effect.high)})"
    return [words.day(since), words.day(until), planned, *people, span, result]


# ------------------------------------------------------------------------------------ what is compared


def _not_compared(arms: pd.DataFrame) -> str | None:
    """Why two groups are not compared, in the words of a verdict; None: they are."""
    if not _has_both(arms):
        return NO_HOLDOUT
    if not _is_as_drawn(arms):
        return NO_MATCH
    if not arms.get("is_anyone_reached", pd.Series([True])).any():
        return NOBODY_REACHED
    return TOO_FEW if arms["people"].min() < 1 else None


def _has_both(arms: pd.DataFrame) -> bool:
    return {"treated", "holdout"} <= set(arms.index)


def _is_as_drawn(arms: pd.DataFrame) -> bool:
    """Whether as many are held out as were to be, give or take chance; also where nobody noted how many."""
    held, treated = arms.loc["holdout"], arms.loc["treated"]
    if pd.isna(held["holdout"]):
        return True
    share = float(held["holdout"])
    return sample_ratio([int(held["enrolled"]), int(treated["enrolled"])], [share, 1 - share]) >= NOT_AS_DRAWN


def _no_match(treated: pd.Series, held: pd.Series) -> str:
    people, held_out = int(held["enrolled"] + treated["enrolled"]), int(held["enrolled"])
    return (
        f"The groups do not match, so no result is shown. {words.count(held_out)} of {words.count(people)} people are "
        f"held out: {words.percent(held_out / people)}, where {words.percent(float(held['holdout']))} were to be. "
        "Chance does that less than once in 1,000 holdouts, so people of one group are missing or were added, and the "
        "rest cannot be compared. Look for what enrols, merges or deletes people of one group only (`reengage why` "
        "shows anybody's group). Once it is mended, another `holdout` in campaign.yaml begins a new one."
    )


def _counts(arms: pd.DataFrame) -> tuple[int, int, int, int]:
    """Goals and people of the treated, then of the held out."""
    treated, held = arms.loc["treated"], arms.loc["holdout"]
    return int(treated["conversions"]), int(treated["people"]), int(held["conversions"]), int(held["people"])


def _rate_of_both(counts: tuple[int, int, int, int]) -> float:
    return (counts[0] + counts[2]) / (counts[1] + counts[3])


def _more(counts: tuple[int, int, int, int]) -> int | None:
    """How many more people the difference seen needs, or one of `LEAST` where it is smaller; None without any goal."""
    rate = _rate_of_both(counts)
    return people_needed(*counts, least=LEAST * rate) if rate else None


def _roughly(number: int) -> int:
    """Two digits of it, rounded up: an estimate of an estimate has no more."""
    unit = 10 ** max(len(str(number)) - 2, 0)
    return math.ceil(number / unit) * unit


# ---------------------------------------------------------------------------------------- small words


def _money_interval(found: Interval, currency: str) -> str:
    low, high = words.signed_money(found.low, currency), words.signed_money(found.high, currency)
    return f"{words.signed_money(found.estimate, currency)} ({low} to {high})"
