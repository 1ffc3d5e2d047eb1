"""What an ad platform may know a person by: contacts and names in that platform's own form, hashed (finding 14)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from tasks.platforms.base import Person

# Google alone takes dots and +suffixes out, and only where its own mail ignores them.
_GOOGLE_MAIL: Final = ("gmail.com", "googlemail.com")
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")
_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
EMAIL, PHONE, FIRST_NAME, LAST_NAME, COUNTRY = "email", "phone", "first_name", "last_name", "country"
# A person is found by one of these alone; names and a country only narrow that down.
_ENOUGH: Final = (EMAIL, PHONE)


@dataclass(frozen=True)
class Contact:
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
        if text := normal_name(name or ""):
            found[kind] = _sha256(text)
    if contact.country and _COUNTRY.fullmatch(contact.country):
        found[COUNTRY] = _sha256(contact.country.lower())
    return found


def normal_email(platform: str, email: str) -> str:
    """An email as the platform hashes it."""
    text = email.strip().lower()
    local, _, domain = text.rpartition("@")
    if platform == "google" and domain in _GOOGLE_MAIL:
        return f"{local.partition('+')[0].replace('.', '')}@{domain}"
    return text


def normal_phone(platform: str, phone: str) -> str:
    """A phone number as the platform hashes it: Google takes E.164 with its plus, Meta and TikTok digits alone."""
    digits = "".join(character for character in phone if character.isdigit())
    return f"+{digits}" if platform == "google" else digits


def normal_name(name: str) -> str:
    """A first or last name as Meta hashes it: lower case, letters of any script and nothing else."""
    return "".join(character for character in unicodedata.normalize("NFC", name.lower()) if character.isalpha())


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
