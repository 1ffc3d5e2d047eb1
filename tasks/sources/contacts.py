"""Made-up addresses and consents for people without, so that real buying rhythms can be played with (simulated only).

Everything about a person follows from their id, so the same people get the same contacts everywhere. Addresses are
under example.com, phone numbers in the range kept for fiction; neither reaches anybody.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from config.sources import FileSource

_FIRST = (
    "Ada",
    "Ben",
    "Cleo",
    "Dan",
    "Eva",
    "Finn",
    "Grace",
    "Hugo",
    "Ines",
    "Jon",
    "Kim",
    "Leo",
    "Mia",
    "Noel",
    "Oda",
)
_LAST = (
    "Archer",
    "Baker",
    "Cole",
    "Dale",
    "Ellis",
    "Frost",
    "Grant",
    "Hale",
    "Irwin",
    "Jordan",
    "Kerr",
    "Lane",
    "Moss",
)
# Area codes and the zone each lies in; 555-0100 to 555-0199 belongs to nobody.
_AREAS = (
    ("212", "America/New_York", "New York"), ("617", "America/New_York", "Massachusetts"),
    ("404", "America/New_York", "Georgia"), ("215", "America/New_York", "Pennsylvania"),
    ("312", "America/Chicago", "Illinois"), ("713", "America/Chicago", "Texas"),
    ("303", "America/Denver", "Colorado"), ("213", "America/Los_Angeles", "California"),
    ("206", "America/Los_Angeles", "Washington"),
)  # fmt: skip
_PLATFORMS = ("meta", "tiktok", "google")
WITHDRAWN_AFTER = timedelta(days=120)
INQUIRY_FOR = timedelta(days=180)

_CUSTOMER = (
    "customer_id", "email", "phone", "first_name", "last_name", "language", "country", "region", "time_zone",
    "updated_at",
)  # fmt: skip
_CONSENT = (
    "consent_id", "customer_id", "channel", "purpose", "status", "basis", "ad_user_data", "ad_personalization",
    "source", "occurred_at", "expires_at",
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Someone without contacts, and when they first bought: consents are as old as that."""

    customer_id: str
    first_at: datetime


@dataclass(frozen=True)
class Written:
    """The two files and what is in them."""

    customers: FileSource
    consents: FileSource
    people: int
    without_consent: int


def write(people: Iterable[Person], folder: Path, as_of: datetime) -> Written:
    """Write contacts and consents as files of the input contract; nothing in them is later than `as_of`."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = as_of.strftime("%Y%m%dT%H%M%S")
    customers, consents = folder / f"customers_{stem}.csv", folder / f"consents_{stem}.csv"
    count = without = 0
    with (
        customers.open("w", newline="", encoding="utf-8") as contacts_file,
        consents.open("w", newline="", encoding="utf-8") as consents_file,
    ):
        contact_rows, consent_rows = csv.writer(contacts_file), csv.writer(consents_file)
        contact_rows.writerow(_CUSTOMER)
        consent_rows.writerow(_CONSENT)
        for person in people:
            draw = hashlib.sha256(f"sample contacts|{person.customer_id}".encode()).digest()
            contact_rows.writerow(_contact(person, draw))
            agreed = _consents(person, draw, as_of)
            consent_rows.writerows(agreed)
            count += 1
            without += not agreed
    return Written(_source("customers", _CUSTOMER, customers), _source("consents", _CONSENT, consents), count, without)


def _contact(person: Person, draw: bytes) -> tuple[str, ...]:
    first, last = _FIRST[draw[0] % len(_FIRST)], _LAST[draw[1] % len(_LAST)]
    area, zone, region = _AREAS[draw[2] % len(_AREAS)]
    # One in sixteen has no email address, half of the others and all of these have a phone number.
    email = "" if draw[3] < 16 else f"{first}.{last}.{draw[4:10].hex()}@example.com".lower()
    phone = f"+1{area}55501{draw[10] % 100:02d}" if draw[11] < 128 or not email else ""
    language = "es" if draw[12] < 26 else "en"
    moment = person.first_at.isoformat()
    return person.customer_id, email, phone, first, last, language, "US", region, zone, moment


def _consents(person: Person, draw: bytes, as_of: datetime) -> list[tuple[str, ...]]:
    """Of 256: 134 express by email (26 of them withdraw), 51 soft opt-in, 20 by inquiry, 51 nothing at all."""
    share, rows = draw[13], []
    stem, at = f"sample-{draw[14:24].hex()}", person.first_at

    def add(
        channel: str, purpose: str, status: str, basis: str, when: datetime, until: str = "", *, ads: bool = False
    ) -> None:
        flag = "true" if ads else ""
        number = f"{stem}-{len(rows) + 1}"
        rows.append(
            (number, person.customer_id, channel, purpose, status, basis, flag, flag, "sample", when.isoformat(), until)
        )

    if share >= 205:
        return rows
    if share < 134:
        add("email", "marketing", "granted", "express", at)
        if draw[24] < 64:
            add("sms", "marketing", "granted", "express", at)
        if draw[25] < 77:
            for platform in _PLATFORMS:
                add(platform, "retargeting", "granted", "express", at, ads=True)
        if share < 26 and at + WITHDRAWN_AFTER <= as_of:
            add("email", "marketing", "withdrawn", "", at + WITHDRAWN_AFTER)
    elif share < 185:
        add("email", "marketing", "granted", "soft_opt_in", at)
    else:
        add("email", "retargeting", "granted", "inquiry", at, (at + INQUIRY_FOR).isoformat())
    return rows


def _source(entity: str, columns: tuple[str, ...], path: Path) -> FileSource:
    return FileSource.model_validate(
        {"kind": "file", "entity": entity, "place": str(path), "columns": {name: name for name in columns}}
    )
