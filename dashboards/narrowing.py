"""What a page is narrowed by: days, a channel, a variant; the address keeps what is less than all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboards import words


@dataclass(frozen=True)
class Narrowed:
    """A part of a campaign's messages; None where all of them are meant."""

    channel: str | None = None
    variant: str | None = None
    first_day: date | None = None
    last_day: date | None = None

    @property
    def by(self) -> list[str]:
        """What is less than all."""
        days = "day sent" if self.first_day or self.last_day else None
        return [name for name in (self.channel and "channel", self.variant and "variant", days) if name]

    @property
    def said(self) -> str:
        """The part in words, as the beginning of a sentence."""
        parts = [self.channel and words.channel(self.channel), self.variant and f"variant {words.title(self.variant)}"]
        if self.first_day and self.last_day:
            parts.append(f"sent from {words.day(self.first_day)} to {words.day(self.last_day)}")
        return f"Only messages: {', '.join(part for part in parts if part)}"

    def asked(self) -> dict[str, Any]:
        """As parameters of a query."""
        return {
            "channel": self.channel, "variant": self.variant, "first_day": self.first_day, "last_day": self.last_day,
        }  # fmt: skip


def narrowed(channels: Sequence[str], variants: Sequence[str], everything: tuple[date, date] | None) -> Narrowed:
    """The controls in the sidebar; what leaves no choice is not asked."""
    channel = _one("channel", "All channels", channels, words.channel)
    variant = _one("variant", "All variants", variants, words.title)
    if everything is None or everything[0] == everything[1]:
        return Narrowed(channel, variant)
    chosen = days(everything, st.sidebar, "Days sent", "Days on which messages were sent, in the business time zone.")
    return Narrowed(channel, variant) if chosen == everything else Narrowed(channel, variant, *chosen)


def _one(name: str, every: str, values: Sequence[str], title: Any) -> str | None:
    if len(values) < 2:
        st.query_params.pop(name, None)
        return None
    state = st.session_state
    if name not in state and st.query_params.get(name) in values:
        state[name] = st.query_params[name]
    chosen = st.sidebar.selectbox(name.capitalize(), values, index=None, format_func=title, key=name, placeholder=every)
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
