"""How a person can be reached, derived once from what the shop knows: canonical email, phone number, time zones.

Pure: values in, values out. What is not viable carries a reason, and the row is kept (bad rows 21 to 23 and 31).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from tasks.rules.legal import candidate_areas

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
GUEST = "guest:"
_NOWHERE = "001"  # numbers of services that belong to no country

# States whose people may be in more than one zone carry all of them (C11: every candidate must be open).
_AMERICAN_STATES = {
    "New_York": "CT DC DE GA MA MD ME NC NH NJ NY OH PA RI SC VA VT WV",
    "New_York Chicago": "FL KY TN IN",
    "New_York Detroit Menominee": "MI",
    "Chicago": "AL AR IA IL LA MN MO MS OK WI",
    "Chicago Denver": "KS ND NE SD TX",
    "Denver": "CO MT NM UT WY",
    "Denver Phoenix": "AZ",
    "Los_Angeles": "CA WA",
    "Los_Angeles Denver": "ID NV OR",
    "Anchorage Adak": "AK",
}
_STATE_ZONES = {
    state: tuple(f"America/{zone}" for zone in zones.split())
    for zones, states in _AMERICAN_STATES.items()
    for state in states.split()
} | {"HI": ("Pacific/Honolulu",)}


@dataclass(frozen=True)
class Contact:
    """What a customer row says about reaching somebody."""

    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    country: str | None = None
    region: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True)
class Derived:
    """What the channels use: null where a channel is not viable, with the reason; no zone means unknown (A3).

    `legal_areas` say whose law on sending hours may apply; none is that of any place. `phone_country` is whose number
    it is (ISO 3166), wherever the person lives: WhatsApp's prices go by it.
    """

    email_canonical: str | None
    email_reason: str | None
    phone_e164: str | None
    phone_reason: str | None
    time_zones: tuple[str, ...]
    legal_areas: tuple[str, ...]
    phone_country: str | None


def derive(contact: Contact, known_zones: Collection[str]) -> Derived:
    """Everything derived from one contact; `known_zones` are those that every machine involved can read."""
    email, email_reason = writable_email(contact.email, contact.first_name, contact.last_name)
    phone, region, phone_reason = phone_number(contact.phone, contact.country)
    zones = candidate_zones(contact, region)
    return Derived(
        email,
        email_reason,
        phone,
        phone_reason,
        zones if all(zone in known_zones for zone in zones) else (),
        candidate_areas(_country(contact.country), contact.region, phone, region),
        region if region != _NOWHERE else None,
    )


def writable_email(email: str | None, first_name: str | None, last_name: str | None) -> tuple[str | None, str | None]:
    """The canonical address of somebody with this name, or None with the reason why nothing can be sent there."""
    found, reason = canonical_email(email)
    if found and any(_CONTROL.search(name) for name in (first_name, last_name) if name):
        return None, "control_character"  # names stand in headers (bad row 22)
    return found, reason


def canonical_email(email: str | None) -> tuple[str | None, str | None]:
    """The address in the one form we compare and hash, or None with the reason why nothing can be sent there."""
    if email is None or not email.strip(" "):
        return None, None
    if _CONTROL.search(email):
        return None, "control_character"
    from email_validator import EmailNotValidError, validate_email  # a second of imports that most commands do not need

    try:
        found = validate_email(email.strip(" "), check_deliverability=False)
    except EmailNotValidError:
        return None, "invalid_email"
    return found.normalized.lower(), None


def phone_number(phone: str | None, country: str | None) -> tuple[str | None, str | None, str | None]:
    """(E.164 number, its region, None), or (None, None, reason); a number without + is read as of the country."""
    if phone is None or not phone.strip(" "):
        return None, None, None
    if _CONTROL.search(phone):
        return None, None, "control_character"
    import phonenumbers  # loads the world's numbering plans

    try:
        number = phonenumbers.parse(phone, _country(country))
    except phonenumbers.NumberParseException:
        return None, None, "invalid_phone"
    if not phonenumbers.is_valid_number(number):
        return None, None, "invalid_phone"
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return e164, phonenumbers.region_code_for_number(number), None


def candidate_zones(contact: Contact, phone_region: str | None) -> tuple[str, ...]:
    """Every zone the person may be in: the stated one, else those of country and region, else of the number (A3).

    A stated zone that nobody knows is not replaced by a guess: it stays unknown (bad row 31).
    """
    if contact.time_zone:
        return (contact.time_zone,)
    country = _country(contact.country)
    return zones_of(country, contact.region) if country else zones_of(phone_region, None)


def zones_of(country: str | None, region: str | None) -> tuple[str, ...]:
    """Zones of a country by tzdata's zone.tab, fewer where the region settles it."""
    if not country:
        return ()
    wanted = (region or "").strip().upper().removeprefix(f"{country}-")
    if country == "US" and wanted in _STATE_ZONES:
        return _STATE_ZONES[wanted]
    everywhere = _zone_table().get(country, ())
    named = tuple(zone for zone, comment in everywhere if wanted and _named(comment) == wanted)
    return named or tuple(zone for zone, _ in everywhere)


def keyed_hash(key: str, value: str) -> str:
    """HMAC-SHA256 in hex: recognises a value again without keeping it."""
    return hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()


def guest_id(key: str, email_canonical: str) -> str:
    """The id of somebody known by the email of a checkout only."""
    return GUEST + keyed_hash(key, email_canonical)


def _country(country: str | None) -> str | None:
    code = (country or "").strip().upper()
    return code if re.fullmatch(r"[A-Z]{2}", code) else None


def _named(comment: str) -> str:
    """The region that a comment of zone.tab names: 'New South Wales (most areas)' is NEW SOUTH WALES."""
    return re.split(r" \(| - |, ", comment)[0].strip().upper()


@cache
def _zone_table() -> dict[str, tuple[tuple[str, str], ...]]:
    table: dict[str, tuple[tuple[str, str], ...]] = {}
    for line in files("tzdata.zoneinfo").joinpath("zone.tab").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            country, _, zone, *comment = line.split("\t")
            table[country] = (*table.get(country, ()), (zone, comment[0] if comment else ""))
    return table
