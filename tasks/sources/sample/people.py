"""Who the customers are: where they live, how they can be reached, and when they came first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tasks.sources.sample.scenery import (
    DOMAINS,
    EARLIEST,
    FIRST_NAMES,
    HISTORY_DAYS,
    LAST_NAMES,
    OPENS_AT,
    PLACES,
    Place,
)
from tasks.sources.sample.writing import instants, seconds, where, write_csv

# One stream of random numbers per subject, so that a change in one leaves the others as they were.
_SUBJECTS = (
    "people", "rhythms", "orders", "consents", "tokens", "checkouts", "events", "chats", "visits", "days", "bad",
    "leads", "talks",
)  # fmt: skip
_STREAMS = {name: number for number, name in enumerate(_SUBJECTS)}


@dataclass(frozen=True)
class _Described:
    """Columns about the customers, one entry each."""

    place: np.ndarray
    email: list[str | None]
    phone: list[str | None]
    e164: list[str | None]
    first_name: list[str | None]
    last_name: list[str]
    states_zone: np.ndarray
    states_language: np.ndarray
    states_country: np.ndarray


class People:
    """The customers of one shop, by index from 0: everything about them follows from their number and the seed."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed

    def random(self, stream: str, *more: int) -> np.random.Generator:
        """The random numbers of one subject, the same each time they are asked for."""
        return np.random.default_rng([self.seed, _STREAMS[stream], *more])

    @cached_property
    def ids(self) -> list[str]:
        """Customer ids: text with leading zeros, as many shops have them."""
        return [f"{number:07d}" for number in range(1, self.size + 1)]

    @cached_property
    def described(self) -> _Described:
        """What the shop has written down about each."""
        random, size = self.random("people"), self.size
        weights = np.array([place.weight for place in PLACES])
        place = random.choice(len(PLACES), size, p=weights / weights.sum())
        first, last = random.integers(len(FIRST_NAMES), size=size), random.integers(len(LAST_NAMES), size=size)
        domain, digits = random.integers(len(DOMAINS), size=size), random.integers(0, 10, (size, 8))
        email_u, phone_u, name_u, style = (random.random(size) for _ in range(4))
        emails: list[str | None] = []
        phones: list[str | None] = []
        e164s: list[str | None] = []
        for i in range(size):
            home = PLACES[place[i]]
            name = f"{FIRST_NAMES[first[i]]}.{LAST_NAMES[last[i]]}.{i + 1}".lower()
            emails.append(None if email_u[i] < 0.06 else f"{name}@{DOMAINS[domain[i]]}")
            if 0.06 <= email_u[i] < 0.065:
                emails[-1] = f"{name} at example.com"  # not an address: the channel is not viable
            elif email_u[i] > 0.93:
                emails[-1] = f"{name}@{DOMAINS[domain[i]]}".title()  # written with capitals
            number, e164 = _mobile(home, digits[i], style[i]) if phone_u[i] < 0.72 else (None, None)
            phones.append(number)
            e164s.append(e164)
        return _Described(
            place=place,
            email=emails,
            phone=phones,
            e164=e164s,
            first_name=[None if name_u[i] < 0.08 else FIRST_NAMES[first[i]] for i in range(size)],
            last_name=[LAST_NAMES[number] for number in last],
            states_zone=random.random(size) < 0.55,
            states_language=random.random(size) < 0.95,
            states_country=random.random(size) < 0.96,
        )

    @cached_property
    def homes(self) -> list[Place]:
        """Where each lives."""
        return [PLACES[number] for number in self.described.place]

    @cached_property
    def currencies(self) -> np.ndarray:
        """What each pays in."""
        return np.array([home.currency for home in self.homes])

    @cached_property
    def joined(self) -> np.ndarray:
        """When each came first, in seconds since 1970."""
        days = self.random("rhythms", 1).random(self.size) ** 0.8 * (HISTORY_DAYS - 10)
        return seconds(EARLIEST) + (days * 86_400).astype(np.int64)

    @cached_property
    def has_token(self) -> np.ndarray:
        """Who has the app on a device that takes push."""
        return self.random("tokens").random(self.size) < 0.5

    def endpoint(self, person: int) -> str:
        """The address of a person's device."""
        return f"https://push.example.com/device/{self.seed}-{person + 1:07d}"

    @cached_property
    def by_address(self) -> dict[str, int]:
        """Who reads what is sent to an address in lower case."""
        found = {}
        for person in range(self.size):
            for address in (self.described.email[person], self.described.e164[person], self.endpoint(person)):
                if address:
                    found[address.lower()] = person
        return found


def write_customers(folder: Path, people: People) -> int:
    """Write what the shop knows about each; returns how many there are."""
    described, homes = people.described, people.homes
    changed = np.minimum(people.joined + 86_400 * 20, seconds(OPENS_AT) - 3600)
    table = {
        "Customer No": people.ids,
        "E-Mail": described.email,
        "Phone": described.phone,
        "First Name": described.first_name,
        "Last Name": described.last_name,
        "Language": where(described.states_language, [home.language for home in homes]),
        "Country": where(described.states_country, [home.country for home in homes]),
        "Region": where(described.states_country, [home.region for home in homes]),
        "Time Zone": where(described.states_zone, [home.zone for home in homes]),
        "Customer Since": instants(people.joined),
        "Last Changed": instants(changed),
    }
    return write_csv(folder / "customers" / "customers.csv", table)


def _mobile(home: Place, digits: np.ndarray, style: float) -> tuple[str, str]:
    """A mobile number as the customer typed it, and the same as E.164."""
    left = iter(digits.tolist())
    national = "".join(str(next(left)) if mark == "#" else mark for mark in home.mobile)
    e164 = f"+{home.code}{national}"
    if style < 0.5:
        return e164, e164
    if style < 0.75 and home.zone.startswith("Europe/"):  # elsewhere 00 does not lead abroad
        return f"00{home.code} {national[:3]} {national[3:]}", e164
    return f"+{home.code} {national[:3]} {national[3:]}", e164
