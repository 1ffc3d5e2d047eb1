"""Values out of webhook bodies, whatever stands there: what is none of the kind asked for is None or empty. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

# Before the providers existed, and far enough ahead: what lies outside is a unit mistaken for another.
_EARLIEST, _LATEST = datetime(2005, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def phone_of_wa_id(wa_id: Any) -> str | None:
    """The E.164 number behind a wa_id, or None for ids that are no number.

    WhatsApp keeps numbers as they were at registration: Mexican mobiles with the old 1, Brazilian ones without the 9.
    """
    digits = text_of(wa_id)
    if digits is None or not re.fullmatch(r"\+?[1-9][0-9]{6,14}", digits):
        return None
    digits = digits.removeprefix("+")
    if re.fullmatch(r"521[0-9]{10}", digits):
        digits = "52" + digits[3:]
    elif re.fullmatch(r"55[1-9][0-9][6-9][0-9]{7}", digits):
        digits = digits[:4] + "9" + digits[4:]
    return f"+{digits}"


def json_of(body: bytes) -> Any:
    """The body as JSON; instead of it the reason code of one that is none."""
    try:
        return json.loads(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return "invalid_utf8"
    except (ValueError, RecursionError):
        return "malformed_json"


def object_of(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def first_of(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def text_of(value: Any) -> str | None:
    """A text that the database can hold, or None; numbers are ids written without quotes."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    kept = value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    return kept or None


def moment_of_seconds(value: Any, unit: int = 1) -> datetime | None:
    """Unix time as a number or as digits; `unit` is how many of it make a second."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        at = datetime.fromtimestamp(float(value) / unit, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return at if _EARLIEST < at < _LATEST else None


def moment_of_iso(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if _EARLIEST < at < _LATEST else None
