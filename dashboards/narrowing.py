"""What a page is narrowed by: place, currency, days, channel, variant; the address keeps what is less than all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboards import words
from dashboards.reading import Read

# What the address and the controls call a language or country that nobody knows.
UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Place:
    """A part of a campaign's people by what was known when they were enrolled, and of purchases by their currency.

    None where all of them are meant; '' is a language or country that was not known.
    """

    language: str | None = None
    country: str | None = None
    currency: str | None = None

    @property
    def is_part(self) -> bool:
        """Whether people are fewer than all."""
        return self.language is not None or self.country is not None

    @property
    def said(self) -> str:
        """The people in words."""
        parts = (("language", self.language), ("country", self.country))
        return ", ".join(f"{name} {value or 'not known'}" for name, value in parts if value is not None)

    def asked(self) -> dict[str, str | None]:
        """As parameters of a query."""
        return {"language": self.language, "country": self.country}

    def hours(self, hours: int, measured: pd.Series) -> int:
        """The window to show: of parts shorter ones are measured. The page says so where it is not the chosen one."""
        longest = int(measured["max_window_hours_by_place"])
        if not self.is_part or hours <= longest:
            return hours
        st.info(
            f"Narrowed to a language or country, figures go up to {words.hours(longest)} after a message or an "
            f"enrolment, so this page shows {words.hours(longest)} instead of {words.hours(hours)}."
        )
        return longest

    def reading(self, everything: Read) -> Read:
        """The same without what was bought in other currencies."""
        if self.currency is None:
            return everything

        def in_currency(name: str, **params: Any) -> pd.DataFrame:
            rows = everything(name, **params)
            return rows[rows["currency"] == self.currency] if "currency" in rows else rows

        return in_currency


EVERYWHERE: Final = Place()


@dataclass(frozen=True)
class Narrowed:
    """A part of a campaign's messages; None where all of them are meant."""

    channel: str | None = None
    variant: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    place: Place = EVERYWHERE

    @property
    def by(self) -> list[str]:
        """What is less than all and known only after people were put into groups."""
        days = "day sent" if self.first_day or self.last_day else None
        return [name for name in (self.channel and "channel", self.variant and "variant", days) if name]

    @property
    def is_part(self) -> bool:
        """Whether messages are fewer than all."""
        return bool(self.by) or self.place.is_part

    @property
    def said(self) -> str:
        """The part in words, as the beginning of a sentence."""
        parts = [
            self.channel and words.channel(self.channel),
            self.variant and f"variant {words.title(self.variant)}",
            self.place.said,
        ]
        if self.first_day and self.last_day:
            parts.append(f"sent from {words.day(self.first_day)} to {words.day(self.last_day)}")
        return f"Only messages: {', '.join(part for part in parts if part)}"

    def asked(self) -> dict[str, Any]:
        """As parameters of a query."""
        return {
            "channel": self.channel, "variant": self.variant, "first_day": self.first_day, "last_day": self.last_day,
            **self.place.asked(),
        }  # fmt: skip


def placed(read: Read, campaign: str) -> Place:
    """The controls for language, country and currency in the sidebar; what leaves no choice is not asked."""
    found = read("places", campaign=campaign)
    values = {kind: list(found[found["kind"] == kind]["value"]) for kind in ("language", "country", "currency")}
    language, country = (
        _one(kind, every, [value or UNKNOWN for value in values[kind]], _known, _PLACE_HELP)
        for kind, every in (("language", "All languages"), ("country", "All countries"))
    )
    currency = _one("currency", "All currencies", values["currency"], str, _CURRENCY_HELP)
    return Place(*(None if value is None else value.replace(UNKNOWN, "") for value in (language, country)), currency)


_PLACE_HELP = "People by what was known of them when they were enrolled, before they were put into groups."
_CURRENCY_HELP = "Purchases and revenue in this currency only; people and rates stay the same."


def _known(value: str) -> str:
    return "Not known" if value == UNKNOWN else value


def narrowed(
    channels: Sequence[str], variants: Sequence[str], everything: tuple[date, date] | None, place: Place
) -> Narrowed:
    """The controls in the sidebar; what leaves no choice is not asked."""
    channel = _one("channel", "All channels", channels, words.channel)
    variant = _one("variant", "All variants", variants, words.title)
    if everything is None or everything[0] == everything[1]:
        return Narrowed(channel, variant, place=place)
    chosen = days(everything, st.sidebar, "Days sent", "Days on which messages were sent, in the business time zone.")
    first, last = (None, None) if chosen == everything else chosen
    return Narrowed(channel, variant, first, last, place)


def _one(name: str, every: str, values: Sequence[str], title: Any, explanation: str | None = None) -> str | None:
    if len(values) < 2:
        st.query_params.pop(name, None)
        return None
    state = st.session_state
    if name not in state and st.query_params.get(name) in values:
        state[name] = st.query_params[name]
    chosen = st.sidebar.selectbox(
        name.capitalize(), values, index=None, format_func=title, key=name, placeholder=every, help=explanation
    )
    if chosen:
        st.query_params[name] = chosen
    else:
        st.query_params.pop(name, None)
    return chosen


def days(everything: tuple[date, date], place: DeltaGenerator, label: str, explanation: str) -> tuple[date, date]:
    """The first and last day to show, which the address keeps once they are fewer than all."""
    state = st.session_state
    if "days" not in state:
        state["days"] = _asked_days() or everything
    elif state["days"] == state.get("all_days"):  # all there were; now there may be more
        state["days"] = everything
    if len(state["days"]) == 2:  # else the first of two clicks
        first, last = max(state["days"][0], everything[0]), min(state["days"][1], everything[1])
        state["days"] = (first, last) if first <= last else everything
    state["all_days"] = everything
    asked = place.date_input(
        label, min_value=everything[0], max_value=everything[1], key="days", format="YYYY-MM-DD", help=explanation
    )
    first, last = asked if len(asked) == 2 else (asked[0], everything[1])
    for name, day in (("from", first), ("to", last)):
        if (first, last) == everything:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = day.isoformat()
    return first, last


def _asked_days() -> tuple[date, date] | None:
    try:
        return date.fromisoformat(st.query_params.get("from", "")), date.fromisoformat(st.query_params.get("to", ""))
    except ValueError:
        return None
