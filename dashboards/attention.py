"""What somebody should look at now, in one list over all campaigns, each with the page that tells more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pandas as pd

from config.sources import AnySource
from dashboards import words
from dashboards.audiences import LONGEST_REMOVAL
from dashboards.components import held, plain

# Figures are measured every hour.
LATEST_MEASURE: Final = timedelta(hours=3)


@dataclass(frozen=True)
class Matter:
    """One thing that needs a person: in a word for a table, in a sentence of markdown, and on which page to look."""

    campaign: str | None  # None: everything
    short: str
    sentence: str
    page: str


def of_campaigns(
    holds: pd.DataFrame, open_sends: pd.DataFrame, waiting: pd.DataFrame, audiences: pd.DataFrame, now: datetime
) -> list[Matter]:
    """From the rows of queries/holds.sql, open_sends.sql, waiting.sql and audiences.sql."""
    found = []
    for row in holds.itertuples():
        if row.cause == "everything":
            found.append(Matter(None, "all switched off", held(row.cause, row.reason), "deliverability"))
        elif row.cause == "gate":
            found.append(Matter(row.campaign, "held", held(row.cause, row.reason), "data_quality"))
        elif row.reason in words.SUSPENSIONS:
            found.append(Matter(row.campaign, "suspended", held(row.cause, row.reason), "deliverability"))
    doubtful = open_sends[open_sends["state"] == "unknown"].groupby("campaign")["sends"].sum()
    for campaign, messages in doubtful.items():
        number = words.count(messages)
        sentence = f"{number} {_plural('message', messages)} in doubt: the provider's answer was lost"
        found.append(Matter(str(campaign), f"{number} in doubt", sentence, "deliverability"))
    halted = waiting[waiting["reason"] == "misconfigured"].groupby(["campaign", "channel"])["sends"].sum()
    for (campaign, channel), messages in halted.items():
        via = words.channel(channel)
        sentence = f"{via} stands still, {words.count(messages)} {_plural('message', messages)} waiting: the provider "
        found.append(
            Matter(campaign, f"{via} stands still", f"{sentence}does not know our account or key", "deliverability")
        )
    return found + [_of_audience(row, now) for row in audiences.itertuples() if _is_failing(row, now)]


def _is_failing(row: pd.Series, now: datetime) -> bool:
    return pd.notna(row.trouble) or _is_overdue(row, now)


def _is_overdue(row: pd.Series, now: datetime) -> bool:
    return pd.notna(row.oldest_removal_at) and now - row.oldest_removal_at > LONGEST_REMOVAL


def _of_audience(row: pd.Series, now: datetime) -> Matter:
    platform = words.channel(row.platform)
    told = []
    if _is_overdue(row, now):
        people = words.count(row.to_remove)
        told.append(f"{people} {_plural('person', row.to_remove)} should have left the audience and may still see ads")
    if pd.notna(row.trouble):
        told.append("nobody can be added or removed")
    return Matter(row.campaign, f"{platform} audience", f"{platform}: {'; '.join(told)}", "audiences")


def of_data(loads: pd.DataFrame, sources: Mapping[str, AnySource], now: datetime) -> list[Matter]:
    """From the rows of queries/loads.sql: what is held or failed, and sources that have been silent for too long."""
    found = []
    for state, said in (("held", "held back by the data gate"), ("failed", "failed")):
        some = sorted(set(loads[loads["state"] == state]["source"]))
        if some:
            found.append(Matter(None, said, f"Deliveries {said}: {plain(', '.join(some))}", "data_quality"))
    for source, at in loads.groupby("source")["as_of"].max().items():
        promised: timedelta | None = getattr(sources.get(str(source)), "fresh_within", None)
        if promised is not None and now - at > promised:
            age = words.age(now - at)
            sentence = f"Nothing new from {plain(str(source))} for {age}; it may be silent for {words.age(promised)}"
            found.append(Matter(None, "old data", sentence, "data_quality"))
    return found


def of_figures(measured: pd.Series, now: datetime) -> list[Matter]:
    """When the figures themselves are old."""
    age = now - measured["as_of"]
    if measured["mode"] == "simulated" or age <= LATEST_MEASURE:
        return []
    return [Matter(None, "old figures", f"The figures were measured {words.age(age)} ago", "data_quality")]


def _plural(noun: str, number: float) -> str:
    if number == 1:
        return noun
    return {"person": "people"}.get(noun, f"{noun}s")
