"""The shop itself: two years of files, then some hours at a time, in which people react to the messages they got."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from tasks.sources.sample import consents, leads, orders, traces
from tasks.sources.sample.leads import RETARGETING, Leads, Reaction
from tasks.sources.sample.orders import Orders
from tasks.sources.sample.people import People, write_customers
from tasks.sources.sample.scenery import EARLIEST, OPENS_AT
from tasks.sources.sample.writing import seconds

# Share of the people reached who come back because of the message, and how long they take on average.
EFFECT = {"email": 0.19, "push": 0.16, "sms": 0.22}
HOURS_TO_RETURN = 16.0
# Share of the people reached by email who unsubscribe.
UNSUBSCRIBES = 0.004


@dataclass(frozen=True)
class Delivered:
    """A message that reached an address; all the shop knows of the campaign."""

    channel: str
    address: str
    at: datetime


@dataclass(frozen=True)
class Reactions:
    """What people do because of messages, whenever that will be."""

    orders: Orders
    unsubscribes: list[tuple[int, int]]  # seconds since 1970, and who


class SampleShop:
    """One shop of made-up customers; the same seed and number give the same files, byte for byte."""

    def __init__(
        self,
        folder: Path,
        *,
        customers: int = 20_000,
        seed: int = 1,
        leads_a_day: int | None = None,
        retargeting: Sequence[Reaction] = RETARGETING,
    ) -> None:
        """`leads_a_day` people click on an ad each day, one per 250 customers unless told, whom retargets move so."""
        if customers < 1:
            message = "a shop needs at least one customer"
            raise ValueError(message)
        self.folder = folder
        self.people = People(customers, seed)
        a_day = max(customers // 250, 2) if leads_a_day is None else leads_a_day
        self.leads = Leads(self.people, a_day=a_day, effect=retargeting)

    def write_history(self) -> dict[str, int]:
        """Write two years of files up to OPENS_AT; returns how many lines each kind has."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = (self.folder, self.people)
        return {
            "customers": write_customers(*place),
            "consents": consents.write_history(*place),
            "push_tokens": consents.write_push_tokens(*place),
            "orders": orders.write_history(*place, self._unasked.between(EARLIEST, OPENS_AT)),
            "checkouts": traces.write_checkouts(*place),
            "events": traces.write_events(*place),
            "conversations": traces.write_conversations(*place),
            "leads": leads.write(self.folder, self.leads, "history", EARLIEST, OPENS_AT, {}),
            "ads": traces.write_ads(self.folder),
            "visits": traces.write_visits(*place),
        }

    def write_day(self, since: datetime, until: datetime, delivered: Iterable[Delivered]) -> dict[str, int]:
        """Write what happened after `since` and up to `until`, as new files; `delivered` is everything so far."""
        label = _label(until)
        reactions = react(self.people, delivered)
        own, returning = self._unasked.between(since, until), reactions.orders.between(since, until)
        place = (self.folder, self.people, label)
        return {
            "orders": orders.write_day(*place, own, returning),
            "events": traces.write_day_events(*place, since, own),
            "consents": consents.write_day(*place, since, until, reactions.unsubscribes),
        }

    def write_talks(self, since: datetime, until: datetime, delivered: Iterable[Delivered]) -> int:
        """Write what leads said after `since` and up to `until`, as new files; returns how many lines."""
        retargeted_at: dict[int, list[int]] = {}
        for message in delivered:
            lead = self.leads.by_phone.get(message.address) if message.channel == "whatsapp" else None
            if lead is not None:
                retargeted_at.setdefault(lead, []).append(seconds(message.at))
        return leads.write(self.folder, self.leads, _label(until), since, until, retargeted_at)

    @cached_property
    def _unasked(self) -> Orders:
        return orders.unasked(self.people)


def _label(until: datetime) -> str:
    return until.astimezone(UTC).strftime("%Y-%m-%dT%H%M")


def react(people: People, delivered: Iterable[Delivered]) -> Reactions:
    """Who comes back and who unsubscribes because of a message; the same messages always give the same answer."""
    draws: dict[int, np.ndarray] = {}
    returning, unsubscribes = [], []
    for message in delivered:
        person = people.by_address.get(message.address.lower())
        if person is None:
            continue
        day = message.at.toordinal()
        if day not in draws:
            draws[day] = people.random("days", day).random((people.size, 3))
        u, lag, leaves = draws[day][person]
        if u < EFFECT.get(message.channel, 0):
            hours = 0.3 - HOURS_TO_RETURN * np.log1p(-lag)
            returning.append((seconds(message.at) + int(hours * 3600), person))
        elif message.channel == "email" and leaves < UNSUBSCRIBES:
            unsubscribes.append((seconds(message.at) + 1800, person))
    returning.sort()
    at, customer = (np.array([pair[column] for pair in returning], dtype=np.int64) for column in (0, 1))
    return Reactions(Orders(customer, at), sorted(unsubscribes))
