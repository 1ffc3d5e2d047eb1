"""What an ad platform may know a person by: contacts and names in that platform's own form, hashed (finding 14)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from tasks.platforms.base import Person

# Google alone takes dots and +suffixes out, and only where its own mail ignores them.
_GOOGLE_MAIL: Final = ("gmail.com", "googlemail.com")
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_DIGITS: Final = b"0123456789abcdef"
EMAIL, PHONE, FIRST_NAME, LAST_NAME, COUNTRY = "email", "phone", "first_name", "last_name", "country"
# A person is found by one of these alone; names and a country only narrow that down.
_ENOUGH: Final = (EMAIL, PHONE)


class Contact(NamedTuple):
    """What is known of a person; lives in memory only."""

    email: str | None = None  # canonical
    phone: str | None = None  # E.164, by phonenumbers and the customer's country (tasks/store/contacts.py)
    first_name: str | None = None
    last_name: str | None = None
    country: str | None = None  # two letters


def identifiers(platform: str, contact: Contact) -> Person:
    """Each identifier the platform takes, SHA-256 in hex where it wants that; empty for people it cannot find.

    Meta takes names and country beside email or phone; TikTok and Google by email and phone (Google's address also
    needs a postal code, which customers do not have).
    """
    found = {}
    if contact.email and "@" in contact.email:
        found[EMAIL] = _sha256(normal_email(platform, contact.email))
    if contact.phone and _PHONE.fullmatch(contact.phone):
        found[PHONE] = _sha256(normal_phone(platform, contact.phone))
    if platform != "meta" or not found:
        return found
    for kind, name in ((FIRST_NAME, contact.first_name), (LAST_NAME, contact.last_name)):
        if name and (hashed := _hashed_name(name)):
            found[kind] = hashed
    if contact.country and (hashed := _hashed_country(contact.country)):
        found[COUNTRY] = hashed
    return found


def misfits(people: Sequence[Person], kinds: Collection[str]) -> dict[int, str]:
    """Who of a page cannot be told, by their place: known by nothing, or by what is no hash of one of these kinds.

    A million people are looked at all at once, page by page; one by one only where somebody is found that way.
    """
    values = [value for person in people for value in person.values()]
    is_hex = not "".join(values).encode(errors="replace").translate(None, _DIGITS)
    if all(people) and is_hex and {64}.issuperset(map(len, values)) and set(kinds).issuperset(chain(*people)):
        return {}
    found = {place: misfit(person, kinds) for place, person in enumerate(people)}
    return {place: why for place, why in found.items() if why}


def misfit(person: Person, kinds: Collection[str]) -> str | None:
    """Why a person cannot be told, as a stable word: an identifier that is no hash of these kinds, or none at all."""
    if not person:
        return "no_identifier"
    if all(kind in kinds and _HASH.fullmatch(value) for kind, value in person.items()):
        return None
    return "invalid_identifier"


def normal_email(platform: str, email: str) -> str:
    """An email as the platform hashes it."""
    text = email.strip().lower()
    local, _, domain = text.rpartition("@")
    if platform == "google" and domain in _GOOGLE_MAIL:
        return f"{local.partition('+')[0].replace('.', '')}@{domain}"
    return text


def normal_phone(platform: str, phone: str) -> str:
    """An E.164 number as the platform hashes it: Google takes it with its plus, Meta and TikTok digits alone."""
    return phone if platform == "google" else phone.removeprefix("+")


def normal_name(name: str) -> str:
    """A first or last name as Meta hashes it: lower case, letters of any script with their marks and nothing else.

    A mark is part of the letter before it, as the vowels of Hindi are; one behind anything else (an emoji) is none.
    """
    kept, is_of_letter = [], False
    for character in unicodedata.normalize("NFC", name.lower()):
        kind = unicodedata.category(character)[0]
        is_of_letter = kind == "L" or (kind == "M" and is_of_letter)
        if is_of_letter:
            kept.append(character)
    return "".join(kept)


@lru_cache(maxsize=16_384)
def _hashed_name(name: str) -> str:
    """Names come again and again, and letters of any script are slow to look at; empty where it has none."""
    text = normal_name(name)
    return _sha256(text) if text else ""


@lru_cache(maxsize=1_024)
def _hashed_country(country: str) -> str:
    return _sha256(country.lower()) if _COUNTRY.fullmatch(country) else ""


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
