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


def audiences(rows: pd.DataFrame, refused: pd.DataFrame, now: datetime, zone: str) -> None:
    """The section from the rows of queries/audiences.sql and queries/refused_members.sql; nothing without audiences."""
    if rows.empty:
        return
    st.subheader("Ad audiences")
    for row in rows.itertuples():
        _alarm(row, now, zone)
    table(
        ["Audience", "Wanted", "In it", "On the way", "Still to add", "Still to remove", "Refused"],
        [
            [
                _name(row),
                *map(words.count, (row.wanted, row.applied, row.in_flight, row.to_add, row.to_remove, row.refused)),
            ]
            for row in rows.itertuples()
        ],
    )
    st.caption("On the way: told, and the platform has not said yet what became of it.")
    if rows["measured_on"].notna().any():
        table(
            ["What the platform says", "People found", "Match rate", "Can be shown ads", "As of"],
            [_size(row) for row in rows[rows["measured_on"].notna()].itertuples()],
        )
    table(
        ["Refused", "What", "Why", "People"],
        [
            [
                _name(row),
                "to come in" if row.verb == "add" else "to leave",
                reason(row.reason),
                words.count(row.people),
            ]
            for row in refused.itertuples()
        ],
    )


def _alarm(row: pd.Series, now: datetime, zone: str) -> None:
    """What somebody has to do something about: people who should be out, and a platform that says no."""
    if pd.notna(row.oldest_removal_at) and now - row.oldest_removal_at > LONGEST_REMOVAL:
        st.error(
            f"{_name(row)}: {words.count(row.to_remove)} people should have left, the first "
            f"{words.age(now - row.oldest_removal_at)} ago. They still see ads.",
            icon=":material/person_remove:",
        )
    if pd.notna(row.trouble):
        st.warning(
            f"{_name(row)} cannot be told since {words.moment(row.trouble_since, zone)}: {plain(row.trouble)}",
            icon=":material/sync_problem:",
        )
    if row.is_usable is False:
        why = f": {plain(row.size_words)}" if row.size_words else ", most often because it is too small"
        st.info(f"{_name(row)}: the platform shows no ads to this audience yet{why}.", icon=":material/groups:")


def _name(row: pd.Series) -> str:
    return f"{words.channel(row.platform)}, {plain(row.audience)}"


def _size(row: pd.Series) -> list[str]:
    least, most = (None if pd.isna(bound) else words.count(bound) for bound in (row.least, row.most))
    people = least if least == most else f"{least or '?'} to {most or '?'}"
    return [
        _name(row),
        people or "not said",
        "not said" if pd.isna(row.match_rate) else words.percent(row.match_rate),
        "not said" if row.is_usable is None else "yes" if row.is_usable else "no",
        words.day(row.measured_on),
    ]
