"""Keyed hashes (HMAC-SHA256): names for addresses and people that only our key can make."""

from __future__ import annotations

import hashlib
import hmac

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
