"""Keyed hashes (HMAC-SHA256): names for addresses and people that only our key can make."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

_BLOCK = 64  # bytes of a SHA-256 block, RFC 2104


def keyed_hash(key: str, value: str) -> str:
    """HMAC-SHA256 of a text as hex, the same that `campaign.keyed_hash` computes in SQL."""
    return hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()


def pads(key: str) -> tuple[bytes, bytes]:
    """A key as the inner and outer pad of RFC 2104: PostgreSQL has sha256() but no hmac() built in."""
    secret = key.encode()
    if len(secret) > _BLOCK:
        secret = hashlib.sha256(secret).digest()
    secret = secret.ljust(_BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in secret), bytes(byte ^ 0x5C for byte in secret)


def inbox_token(key: str, customer_id: str) -> str:
    """What opens a person's inbox: base64url without padding of HMAC-SHA256(key, `v1|i|<customer>`)."""
    digest = hmac.new(key.encode(), f"v1|i|{customer_id}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def opens_inbox(keys: Iterable[str], token: str, customer_id: str) -> bool:
    """Whether a token was made for exactly this person under one of our keys; older keys stay good."""
    given = token.encode("utf-8", "replace")
    # Every key is tried, whichever fits, so that the time tells nothing about them.
    fits = [hmac.compare_digest(inbox_token(key, customer_id).encode(), given) for key in keys]
    return any(fits)
