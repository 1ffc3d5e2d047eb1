"""Timestamps of an export as ISO 8601 text; what does not fit stays as it came, for the gate to name."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

Pattern = Callable[[str], str | None]

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_LONG = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_UNIT = {"epoch_s": 0, "epoch_ms": -3}
# One directive: (pattern beside a separator, pattern beside another directive: digits are not shared there).
_PATTERNS = {
    "Y": (r"(?P<Y>\d{4})", r"(?P<Y>\d{4})"),
    "y": (r"(?P<y>\d{2})", r"(?P<y>\d{2})"),
    "m": (r"(?P<m>\d{1,2})", r"(?P<m>\d{2})"),
    "d": (r"(?P<d>\d{1,2})", r"(?P<d>\d{2})"),
    "b": (r"(?P<b>[A-Za-z]{3,9})\.?", r"(?P<b>[A-Za-z]{3})"),
    "B": (r"(?P<b>[A-Za-z]{3,9})", r"(?P<b>[A-Za-z]{3,9})"),
    "H": (r"(?P<H>\d{1,2})", r"(?P<H>\d{2})"),
    "I": (r"(?P<I>\d{1,2})", r"(?P<I>\d{2})"),
    "M": (r"(?P<M>\d{1,2})", r"(?P<M>\d{2})"),
    "S": (r"(?P<S>\d{1,2})", r"(?P<S>\d{2})"),
    "f": (r"(?P<f>\d{1,9})", r"(?P<f>\d{1,9})"),
    "p": (r"(?P<p>[AaPp])\.?[Mm]\.?", r"(?P<p>[AaPp])[Mm]"),
    "z": (r"(?P<z>Z|[+-]\d{2}:?\d{2})", r"(?P<z>Z|[+-]\d{2}:?\d{2})"),
}
# The same few thousand stamps come again and again; a bound, because an export may also hold millions.
_REMEMBERED = 100_000


def reader(formats: tuple[str, ...]) -> Callable[[str], str] | None:
    """A function from the source's text to ISO text, trying the formats in order; None when nothing changes."""
    readings = [_epoch(name) if name in _EPOCH_UNIT else _pattern(name) for name in formats if name != "iso"]
    if not readings:
        return None
    known: dict[str, str] = {}

    def read(text: str) -> str:
        found = known.get(text)
        if found is None:
            trimmed = text.strip()
            found = next((made for made in (reading(trimmed) for reading in readings) if made is not None), text)
            if len(known) >= _REMEMBERED:
                known.clear()
            known[text] = found
        return found

    return read


def _epoch(name: str) -> Pattern:
    def read(text: str) -> str | None:
        try:
            seconds = Decimal(text).scaleb(_EPOCH_UNIT[name])
            microseconds = int(seconds * 1_000_000)
            moment = _EPOCH + timedelta(microseconds=microseconds)
        except (InvalidOperation, OverflowError, ValueError):
            return None
        return moment.isoformat().replace("+00:00", "Z")

    return read


def _pattern(pattern: str) -> Pattern:
    compiled = re.compile(_regex(pattern))

    def read(text: str) -> str | None:
        found = compiled.fullmatch(text)
        return _assemble(found.groupdict()) if found else None

    return read


def _regex(pattern: str) -> str:
    pieces = re.findall(r"%.|[^%]+", pattern)
    made = []
    for position, piece in enumerate(pieces):
        if piece == "%%":
            made.append("%")
        elif piece.startswith("%"):
            beside = pieces[max(position - 1, 0) : position] + pieces[position + 1 : position + 2]
            adjacent = any(other.startswith("%") and other != "%%" for other in beside)
            made.append(_PATTERNS[piece[1]][adjacent])
        else:
            made.append(re.sub(r"(?:\\ )+", r"\\s+", re.escape(piece)))
    return "".join(made)


def _assemble(found: dict[str, str]) -> str | None:
    """ISO text from the pieces; days that do not exist are written all the same, so that the gate can name them."""
    if "Y" in found:
        year = found["Y"]
    elif "y" in found:
        year = f"{'20' if int(found['y']) < 69 else '19'}{found['y']}"
    else:
        return None
    month = found.get("m", "1")
    if "b" in found:
        name = found["b"].lower()
        short = name[:3]
        if short not in _MONTHS or name not in (short, _LONG[_MONTHS.index(short)], "sept"):
            return None
        month = str(_MONTHS.index(short) + 1)
    day = f"{year}-{int(month):02d}-{int(found.get('d', '1')):02d}"
    if not {"H", "I"} & found.keys():
        return day
    hour = int(found.get("H") or found["I"])
    if "p" in found and 1 <= hour <= 12:
        hour = hour % 12 + (12 if found["p"] in "Pp" else 0)
    fraction = f".{found['f'][:6]}" if "f" in found else ""
    zone = found.get("z", "")
    if len(zone) == len("+0100"):
        zone = f"{zone[:3]}:{zone[3:]}"
    return f"{day}T{hour:02d}:{int(found.get('M', '0')):02d}:{int(found.get('S', '0')):02d}{fraction}{zone}"
