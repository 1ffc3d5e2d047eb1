"""How a text may stand somewhere without being seen at once."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus


def spellings(text: str) -> set[str]:
    """A text in lower case as it stands, in an address, in JSON, in hex, and in base64 at each of its offsets."""
    plain = {text, quote(text, safe=""), quote_plus(text), json.dumps(text)[1:-1], text.encode().hex()}
    return {one.lower() for one in plain if len(one) > 6} | in_base64(text)


def in_base64(text: str) -> set[str]:
    """What stands in the base64 of anything that a text is a part of, in lower case."""
    found = set()
    for ahead in range(3):
        coded = base64.b64encode(b"\0" * ahead + text.encode()).decode().rstrip("=")
        kept = coded[-(-ahead * 8 // 6) : len(text.encode() + b"\0" * ahead) * 8 // 6]
        found |= {kept, kept.replace("+", "-").replace("/", "_")}
    return {one.lower() for one in found if len(one) > 6}
