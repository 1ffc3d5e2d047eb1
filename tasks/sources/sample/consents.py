"""What people agreed to and took back, and the devices they can be pushed to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tasks.sources.sample.people import People
from tasks.sources.sample.scenery import OPENS_AT
from tasks.sources.sample.writing import instants, seconds, write_csv

# Shares of people by what they agreed to, and on which basis; everybody else said nothing about the channel.
_SHARES = {
    "email": (("express", 0.52), ("soft_opt_in", 0.26)),
    "push": (("express", 0.70),),
    "webpush": (("express", 0.05),),
    "sms": (("express", 0.40), ("soft_opt_in", 0.05)),
    "whatsapp": (("express", 0.06),),
    "meta": (("express", 0.45),),
    "tiktok": (("express", 0.30),),
    "google": (("express", 0.50),),
}
_PLATFORMS = ("meta", "tiktok", "google")


class _Consent(NamedTuple):
    """One line of the export."""

    consent_id: str
    customer_no: str
    channel: str
    purpose: str
    status: str
    basis: str
    ad_user_data: str
    ad_personalization: str
    source: str
    occurred_at: int  # seconds since 1970


def write_history(folder: Path, people: People) -> int:
    """Write who agreed to what before OPENS_AT, and who took it back."""
    random, rows = people.random("consents", 1), []
    opened = seconds(OPENS_AT)
    for number, (channel, bases) in enumerate(_grants(people).items()):
        who = np.nonzero(bases != "")[0]
        at = np.minimum(people.joined[who] + random.integers(60, 86_400, who.size), opened - 86_400)
        withdrawn = random.random(who.size) < 0.06
        until = at + ((opened - 3600 - at) * random.random(who.size)).astype(np.int64)
        for i, person in enumerate(who.tolist()):
            key = f"C{number}{person + 1:07d}"
            ads = "true" if channel in _PLATFORMS else ""
            rows.append(_granted(key, people.ids[person], channel, bases[person], "checkout", at[i], ads))
            if withdrawn[i]:
                rows.append(_withdrawn(f"{key}W", people.ids[person], channel, "account", until[i]))
    return _write(folder, "history", rows)


def write_day(
    folder: Path, people: People, label: str, since: datetime, until: datetime, unsubscribes: Iterable[tuple[int, int]]
) -> int:
    """Write who unsubscribed because of a message (second and person), and who agreed to something unasked."""
    first, last = seconds(since) + 1, seconds(until)
    rows = [
        _withdrawn(f"U{at}{person + 1:07d}", people.ids[person], "email", "email link", at)
        for at, person in unsubscribes
        if first <= at <= last
    ]
    random = people.random("days", last)
    for _ in range(int(people.size / 800 * (last - first) / 86_400) + 1):
        person, at = int(random.integers(people.size)), int(random.integers(first, last))
        channel = ("email", "sms", "push")[int(random.integers(3))]
        rows.append(_granted(f"N{at}{person + 1:07d}", people.ids[person], channel, "express", "account", at))
    return _write(folder, label, rows)


def write_push_tokens(folder: Path, people: People) -> int:
    """Write the devices of those who have the app."""
    random, who = people.random("tokens", 1), np.nonzero(people.has_token)[0]
    inactive = random.random(who.size) < 0.12
    kind = random.choice(["fcm", "apns"], who.size, p=[0.6, 0.4])
    table = {
        "token_id": [f"T{person + 1:07d}" for person in who.tolist()],
        "customer_no": [people.ids[person] for person in who.tolist()],
        "endpoint": [people.endpoint(person) for person in who.tolist()],
        "platform": pa.array(kind),
        "active": ["false" if off else "true" for off in inactive],
        "updated_at": instants(np.minimum(people.joined[who] + 7200, seconds(OPENS_AT) - 3600)),
    }
    return write_csv(folder / "push_tokens" / "push_tokens.csv", table)


def _grants(people: People) -> dict[str, np.ndarray]:
    """Who agreed to what on which basis: a column of words per channel; empty means no consent was ever given."""
    random, size = people.random("consents"), people.size
    never = random.random(size) < 0.10  # people without any consent
    granted = {}
    for channel, shares in _SHARES.items():
        u = random.random(size)
        bases, low = np.full(size, "", dtype="<U12"), 0.0
        for basis, share in shares:
            bases[(u >= low) & (u < low + share) & ~never] = basis
            low += share
        granted[channel] = bases
    granted["push"][~people.has_token] = ""
    return granted


def _granted(key: str, customer: str, channel: str, basis: str, source: str, at: int, ads: str = "") -> _Consent:
    return _Consent(key, customer, channel, "marketing", "granted", basis, ads, ads, source, at)


def _withdrawn(key: str, customer: str, channel: str, source: str, at: int) -> _Consent:
    return _Consent(key, customer, channel, "marketing", "withdrawn", "", "", "", source, at)


def _write(folder: Path, label: str, rows: Sequence[_Consent]) -> int:
    *words, at = zip(*rows, strict=True) if rows else [()] * len(_Consent._fields)
    table = dict(zip(_Consent._fields, [*map(list, words), instants(np.array(at, dtype=np.int64))], strict=True))
    return write_csv(folder / "consents" / f"consents_{label}.csv", table)
