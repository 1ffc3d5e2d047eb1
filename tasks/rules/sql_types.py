"""The types a header may name, and a value from a file read as one of them."""

# ruff: noqa: TRY004 - a value of the wrong type comes from a file a person wrote: one error for both

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

# The name a header uses -> what PostgreSQL's format_type says.
TYPES: Final = {
    "text": "text",
    "int": "integer",
    "bigint": "bigint",
    "smallint": "smallint",
    "numeric": "numeric",
    "double precision": "double precision",
    "real": "real",
    "boolean": "boolean",
    "date": "date",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "time": "time without time zone",
    "interval": "interval",
    "jsonb": "jsonb",
    "json": "json",
    "uuid": "uuid",
    "bytea": "bytea",
}
_SYNONYMS = {
    "integer": "int", "int4": "int", "int8": "bigint", "int2": "smallint", "bool": "boolean", "decimal": "numeric",
    "float8": "double precision", "timestamp with time zone": "timestamptz", "varchar": "text",
    **{full: short for short, full in TYPES.items()},
}  # fmt: skip


def canonical_type(name: str) -> str | None:
    """A type as headers name it (`timestamptz`), without length or precision; None when it is not one of ours."""
    plain = re.sub(r"\s*\([^)]*\)", "", name.strip().lower())
    plain, array = (plain[:-2], "[]") if plain.endswith("[]") else (plain, "")
    plain = plain if plain in TYPES else _SYNONYMS.get(plain, "")
    return plain + array if plain else None


def read_value(kind: str, value: Any) -> Any:
    """A value as a declared type; text is read where a file could not say it otherwise. ValueError if it is not one."""
    if kind.endswith("[]"):
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise ValueError(f"must be a list of {kind[:-2]}")
        reader = _READERS.get(kind[:-2])
        return [item if item is None or reader is None else reader(item) for item in value]
    reader = _READERS.get(kind)
    return reader(value) if reader else value


def _whole(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value.strip()):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    return value


def _decimal(value: Any) -> Decimal | int | float:
    if isinstance(value, str):
        try:
            value = Decimal(value.strip())
        except InvalidOperation:
            raise ValueError("must be a number") from None
    if isinstance(value, bool) or not isinstance(value, Decimal | int | float):
        raise ValueError("must be a number")
    return value


def _truth(value: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _day(value: Any) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("must be a date such as 2026-01-31") from None
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError("must be a date such as 2026-01-31")
    return value


def _instant(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("must be an instant such as 2026-01-31T18:00:00+00:00") from None
    if not isinstance(value, datetime):
        raise ValueError("must be an instant such as 2026-01-31T18:00:00+00:00")
    if value.tzinfo is None:
        raise ValueError("must be an instant with its zone, such as 2026-01-31T18:00:00+00:00")
    return value


def _length(value: Any) -> timedelta | str:
    if not isinstance(value, timedelta | str):
        raise ValueError("must be a length of time such as '12 hours'")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text (in quotes, when it looks like a number or a date)")
    return value


def _json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("must be JSON") from None


def _uuid(value: Any) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError:
        raise ValueError("must be a UUID") from None


def _clock_time(value: Any) -> time:
    try:
        return value if isinstance(value, time) else time.fromisoformat(str(value))
    except ValueError:
        raise ValueError('must be a time of day such as "21:00"') from None


_READERS: Final = {
    "text": _text,
    "int": _whole,
    "bigint": _whole,
    "smallint": _whole,
    "numeric": _decimal,
    "double precision": _decimal,
    "real": _decimal,
    "boolean": _truth,
    "date": _day,
    "timestamptz": _instant,
    "time": _clock_time,
    "interval": _length,
    "uuid": _uuid,
    "jsonb": _json,
    "json": _json,
}
