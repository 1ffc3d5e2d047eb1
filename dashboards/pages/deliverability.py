"""What became of messages, by channel and campaign: delivered, bounced, complained, in doubt, held back; opt-outs."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import streamlit as st

from dashboards import words
from dashboards.components import (
    Linked,
    begun,
    chosen_or_all,
    clock,
    every_campaign,
    not_measured,
    notices,
    refresh,
    table,
)
from dashboards.engagement import engagement
from dashboards.reading import Read, explained, snapshot


def page() -> None:
    """The page from top to bottom, from one consistent snapshot."""
    with begun("deliverability"), explained(), snapshot() as read:
        name = chosen_or_all(sorted(every_campaign(read)))
        moment = read("data_as_of")
        st.title("Deliverability and consent")
        st.markdown(f"Of **{words.title(name)}**." if name else "All campaigns together; choose one in the sidebar.")
        notices(read, name)
        if moment.empty:
            refresh(None)
            not_measured()
            return
        measured = moment.iloc[0]
        refresh(measured)
        reports = read("reports", campaign=name)
        _open(read, name, clock(measured), measured["business_zone"])
        engagement(reports)
        _each(reports, name)
        _unsent(read("unsent", campaign=name))
        _closed(read("people", campaign=name))


# ------------------------------------------------------------------------------------------ what came back


def _each(reports: pd.DataFrame, name: str | None) -> None:
    """Message by message of one campaign, or campaign by campaign."""
    if reports.empty:
        return
    if name:
        st.header("Message by message")
        table(
            ["Message", *words.REPORTS.values()],
            [
                [words.message(row.step, row.channel), *(words.count(getattr(row, what)) for what in words.REPORTS)]
                for row in reports.itertuples()
            ],
            "Message by message",
        )
        return
    st.header("Campaign by campaign")
    campaigns = reports.groupby("campaign")[list(words.REPORTS)].sum()
    table(
        ["Campaign", *words.REPORTS.values()],
        [
            [
                Linked(words.title(str(campaign)), "deliverability", campaign=str(campaign)),
                *(words.count(row[what]) for what in words.REPORTS),
            ]
            for campaign, row in campaigns.iterrows()
        ],
        "Campaign by campaign",
    )


# ------------------------------------------------------------------------------------------ what is open


def _open(read: Read, name: str | None, now: datetime, zone: str) -> None:
    sends, waiting = read("open_sends", campaign=name), read("waiting", campaign=name)
    st.header("Open right now")
    if sends.empty:
        st.markdown("No message is open: nothing planned, nothing in doubt.")
        return
    _halted(waiting)
    doubtful = sends[sends["state"] == "unknown"]
    if not doubtful.empty:
        st.warning(
            f"{words.count(doubtful['sends'].sum())} messages are in doubt: the provider's answer was lost. They are "
            "never sent blindly again; `reengage sends list` shows them.",
            icon=":material/help:",
        )
    states = {"planned": "Planned", "retry_wait": "Waiting to be tried again", "in_flight": "Being sent"}
    rows = [
        [states[state], words.channel(channel), words.count(part["sends"].sum()), words.age(now - part["since"].min())]
        for (state, channel), part in sends[sends["state"] != "unknown"].groupby(["state", "channel"])
    ]
    table(["State", "Channel", "Messages", "Oldest"], rows, "Open right now")
    table(
        ["Waits because", "Channel", "Messages"],
        [
            [words.reason(str(reason)), words.channel(str(channel)), words.count(messages)]
            for (reason, channel), messages in waiting.groupby(["reason", "channel"])["sends"]
            .sum()
            .sort_values(ascending=False)
            .items()
        ],
        "Why messages wait",
    )
    if doubtful.empty:
        st.markdown("Nothing is in doubt.")
        return
    ages = [(now - since).total_seconds() / 3600 for since in doubtful["since"]]
    bands = doubtful.assign(band=[next(n for n, (most, _) in enumerate(_BANDS) if age < most) for age in ages])
    table(
        ["In doubt for", "Channel", "Messages", "Oldest since"],
        [
            [
                _BANDS[band][1],
                words.channel(channel),
                words.count(part["sends"].sum()),
                words.moment(part["since"].min(), zone),
            ]
            for (band, channel), part in bands.groupby(["band", "channel"])
        ],
        "In doubt",
    )


def _halted(waiting: pd.DataFrame) -> None:
    """A provider that does not know us stops a whole channel until somebody mends its account or key."""
    halted = waiting[waiting["reason"] == "misconfigured"].groupby("channel")["sends"].sum()
    for channel, messages in halted.items():
        st.error(
            f"{words.channel(str(channel))} stands still: {words.reason('misconfigured').lower()}. "
            f"{words.count(messages)} messages wait; `reengage doctor` looks at the account.",
            icon=":material/block:",
        )


_BANDS = (
    (1, "Under an hour"),
    (6, "1 to 6 hours"),
    (24, "6 to 24 hours"),
    (72, "1 to 3 days"),
    (float("inf"), "More than 3 days"),
)


# ------------------------------------------------------------------------- what did not leave, who is closed to us


def _unsent(rows: pd.DataFrame) -> None:
    st.header("Messages that did not leave")
    if rows.empty:
        st.markdown("No message was held back for good.")
        return
    rows = rows.assign(why=[words.why(row.state, row.reason) for row in rows.itertuples()])
    grouped = rows.groupby(["why", "channel"], as_index=False)["sends"].sum()
    grouped = grouped.sort_values(["sends", "why", "channel"], ascending=[False, True, True])
    table(
        ["Did not leave because", "Channel", "Messages"],
        [[row.why, words.channel(row.channel), words.count(row.sends)] for row in grouped.itertuples()],
        "Messages that did not leave",
    )
    st.caption(
        "Messages that had been planned: what was asked again in the moment they were to leave. Caps and quiet hours "
        "hold a message back until there is room; it stands here only when it ended so."
    )


def _closed(people: pd.DataFrame) -> None:
    st.header("People who could not be written to")
    missed = people[people["standing"] == "not_reached"]
    if missed.empty:
        st.markdown("Everybody enrolled was reached, is still to come, or is held out on purpose.")
        return
    missed = missed.assign(why=[words.why(row.state, row.reason) for row in missed.itertuples()])
    grouped = missed.groupby("why", as_index=False)["people"].sum()
    grouped = grouped.sort_values(["people", "why"], ascending=[False, True])
    table(
        ["Could not be written to because", "People"],
        [[row.why, words.count(row.people)] for row in grouped.itertuples()],
        "People who could not be written to",
    )
    st.caption("Each person counts once for each campaign that enrolled them.")


page()
