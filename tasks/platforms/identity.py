"""What an ad platform knows a person by: a contact in that platform's own form, hashed (finding 14)."""

from __future__ import annotations

import hashlib

# Google alone takes dots and +suffixes out, and only where its own mail ignores them.
_GOOGLE_MAIL = ("gmail.com", "googlemail.com")


def identity(platform: str, email: str | None, phone: str | None) -> str | None:
    """SHA-256 (hex) of a person's email, else of their phone number in E.164; None for people without either."""
    if email:
        return _sha256(normal_email(platform, email))
    return _sha256(normal_phone(platform, phone)) if phone else None


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


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
