"""The audiences a campaign keeps on ad platforms: who is in, on the way or refused, and what needs a person (B7)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pandas as pd
import streamlit as st

from dashboards import words
from dashboards.components import plain, table
from tasks.rules.words import reason

# Somebody who bought or withdrew is told to leave by the next dispatch; platforms take up to a day to answer.
LONGEST_REMOVAL: Final = timedelta(hours=24)


def audiences(rows: pd.DataFrame, refused: pd.DataFrame, campaign: str, now: datetime, zone: str) -> None:
    """The section from the rows of queries/audiences.sql and queries/refused_members.sql; nothing without audiences."""
    if rows.empty:
        return
    st.header(words.title(campaign))
    for row in rows.itertuples():
        _alarm(row, campaign, now, zone)
    table(
        ["Audience", "Wanted", "In it", "On the way", "To add", "To remove", "Refused"],
        [
            [
                _name(row, campaign),
                *map(words.count, (row.wanted, row.applied, row.in_flight, row.to_add)),
                _to_remove(row, now),
                words.count(row.refused),
            ]
            for row in rows.itertuples()
        ],
        f"Audiences of {words.title(campaign)}",
    )
    called = f" At the platforms, look for `{campaign}`." if campaign in set(rows["audience"]) else ""
    st.caption(f"On the way: told, and the platform has not said yet what became of it.{called}")
    measured = rows[rows["measured_on"].notna() & rows["deleted_at"].isna()]
    table(
        ["What the platform says", "People found", "Match rate", "Shows ads", "As of"],
        [_size(row, campaign) for row in measured.itertuples()],
        f"What platforms say of {words.title(campaign)}",
    )
    table(
        ["Refused by", "Who", "Why", "People"],
        [
            [
                _name(row, campaign),
                "Should join" if row.verb == "add" else "Should leave",
                reason(row.reason),
                words.count(row.people),
            ]
            for row in refused.itertuples()
        ],
        f"Refused by platforms for {words.title(campaign)}",
    )


def _alarm(row: pd.Series, campaign: str, now: datetime, zone: str) -> None:
    """What somebody has to do something about: people who should be out, and a platform that says no."""
    name = plain(_name(row, campaign))
    if pd.notna(row.oldest_removal_at) and now - row.oldest_removal_at > LONGEST_REMOVAL:
        ago = f"{words.age(now - row.oldest_removal_at)} ago"
        still = f"1 person should have left {ago} and may still see ads."
        if row.to_remove + row.leaving > 1:
            people = words.count(row.to_remove + row.leaving)
            still = f"{people} people should have left and may still see ads, the first of them {ago}."
        st.error(f"{name}: {still}", icon=":material/person_remove:")
    if pd.notna(row.trouble):
        said = row.trouble.removeprefix(f"{row.platform}: ")
        st.warning(
            f"{name}: nobody can be added or removed since {words.moment(row.trouble_since, zone)}. The platform says: "
            f"{plain(said)}",
            icon=":material/sync_problem:",
        )
    if pd.notna(row.deletion_begun_at):
        st.info(f"{name}: {_deletion(row, zone)}", icon=":material/delete:")
    elif row.is_usable is False:
        why = f": {plain(row.size_words)}" if row.size_words else ", most often because it is too small"
        st.info(f"{name}: the platform shows no ads to this audience yet{why}.", icon=":material/groups:")


def _deletion(row: pd.Series, zone: str) -> str:
    if pd.isna(row.deleted_at):
        return (
            "the audience has become so small that the platform lets nobody leave, so it is being deleted there; the "
            "platform has not confirmed that yet."
        )
    return (
        f"the audience had become so small that the platform let nobody leave, so it was deleted there on "
        f"{words.moment(row.deleted_at, zone)}. Ads that used it have to be given the new one, which is made once "
        f"{words.count(row.enough)} people belong in it."
    )


def _to_remove(row: pd.Series, now: datetime) -> str:
    """How many, how many were told to leave without an answer yet, and how long the first of all has waited."""
    told = f", {words.count(row.leaving)} on the way" if row.leaving else ""
    oldest = f", oldest {words.age(now - row.oldest_removal_at)}" if pd.notna(row.oldest_removal_at) else ""
    return f"{words.count(row.to_remove)}{told}{oldest}"


def _name(row: pd.Series, campaign: str) -> str:
    """The platform, with the audience's name there where that is not the campaign's own."""
    return words.channel(row.platform) if row.audience == campaign else f"{words.channel(row.platform)}, {row.audience}"


def _size(row: pd.Series, campaign: str) -> list[str]:
    least, most = (None if pd.isna(bound) else words.count(bound) for bound in (row.least, row.most))
    people = least if least == most else f"{least or '?'} to {most or '?'}"
    return [
        _name(row, campaign),
        people or "Not said",
        "Not said" if pd.isna(row.match_rate) else words.percent(row.match_rate, 0),
        "Not said" if row.is_usable is None else "Yes" if row.is_usable else "No",
        words.day(row.measured_on),
    ]
