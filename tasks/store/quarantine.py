"""Lines that were not believed: look at them, and route them again after what was wrong is right."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from config.errors import ConfigError, Problem
from tasks.rules import whatsapp
from tasks.store import gate, reports
from tasks.store.gate import Counts
from tasks.store.queries import Queries

_NUMBER = re.compile(r"[0-9]{1,18}")
# What today's mapping makes of a line's kept columns, and the zone of its times without one.
Renew = Callable[[str, Mapping[str, str | None]], Mapping[str, str | None]]


@dataclass(frozen=True)
class Choice:
    """Which lines are meant; every filter that is given must hold."""

    ids: tuple[int, ...] = ()
    source: str | None = None
    entity: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Replayed:
    """What became of lines of one load that were routed again."""

    source: str
    load_id: int
    again: int
    counts: Counts


def listing(
    connection: sa.Connection,
    queries: Queries,
    choice: Choice,
    *,
    replayed: bool = False,
    at_most: int | None = None,
) -> list[dict[str, Any]]:
    """Quarantined lines without their content; each row carries the `total`."""
    found = connection.execute(
        queries["core/quarantine_list"](
            source=choice.source, entity=choice.entity, reason=choice.reason, replayed=replayed, at_most=at_most
        )
    )
    return [dict(row) for row in found.mappings()]


def show(connection: sa.Connection, queries: Queries, quarantine_id: int) -> dict[str, Any]:
    """One line with all that stands in it. Raises ConfigError when there is none with that number."""
    row = connection.execute(queries["core/quarantine_show"](quarantine_id=quarantine_id)).mappings().first()
    if row is None:
        raise ConfigError(Problem(str(quarantine_id), "no such line in quarantine; see reengage quarantine list"))
    return dict(row)


def replay(
    connection: sa.Connection,
    queries: Queries,
    key: str,
    choice: Choice,
    *,
    corrections: Mapping[int, Mapping[str, str | None]] | None = None,
    renew: Renew | None = None,
    zones: Mapping[str, str | None] | None = None,
    as_of: datetime | None = None,
) -> list[Replayed]:
    """Route lines again as their load would have: the state becomes that of a clean first load (I5).

    Corrected values replace kept ones, after `renew` has applied today's mapping and `zones` today's zones by source.
    All in the caller's transaction. Lines that fail again are in quarantine anew, with today's reason. Raises
    ConfigError with every number that is not waiting.
    """
    taken = (
        connection.execute(
            queries["core/quarantine_taken"](
                ids=list(choice.ids) or None, source=choice.source, entity=choice.entity, reason=choice.reason
            )
        )
        .mappings()
        .all()
    )
    unknown = sorted({*choice.ids, *(corrections or {})} - {row["quarantine_id"] for row in taken})
    if unknown:
        words = "is not waiting in quarantine; see reengage quarantine list"
        raise ConfigError(*(Problem(str(number), words) for number in unknown))
    answers = []
    for load_id, group in itertools.groupby(taken, key=lambda row: row["load_id"]):
        rows = list(group)
        source = rows[0]["source"]
        first = connection.execute(queries["core/load_show"](load_id=load_id)).one()
        if first.entity == reports.ENTITY:
            again, counts = _reports_again(connection, queries, key, first, rows, as_of)
            answers.append(Replayed(source, load_id, again, counts))
            continue
        lines = [_line(dict(row), (corrections or {}).get(row["quarantine_id"]), renew, key) for row in rows]
        again = gate.land_again(connection, queries, load_id, "quarantined lines, replayed", lines, as_of)
        if zones and source in zones:
            gate.set_zone(connection, again, zones[source])
        ids = [row["quarantine_id"] for row in rows]
        connection.execute(queries["core/quarantine_lifted"](ids=ids, load_id=again))
        gate.check(connection, queries, again, key)
        answers.append(Replayed(source, load_id, again, gate.merge(connection, queries, again, key)))
    return answers


def _reports_again(
    connection: sa.Connection,
    queries: Queries,
    key: str,
    first: sa.Row[Any],
    rows: Sequence[sa.RowMapping],
    as_of: datetime | None,
) -> tuple[int, Counts]:
    """Lines of reports are read again as they came; nothing of them is mapped, so nothing can be corrected."""
    again = reports.open_load(
        connection,
        queries,
        source=first.source,
        provider=first.provider,
        entry="quarantined lines, replayed",
        etag=None,
        as_of=as_of or first.as_of,
    )
    lines = [reports.Line(row["line_no"], row["raw"].encode()) for row in rows]
    counted = reports.take_lines(connection, queries, first.provider, again, lines, key=key, at=as_of)
    reports.close_load(connection, queries, again, counted)
    lifted = queries["core/quarantine_lifted"](ids=[row["quarantine_id"] for row in rows], load_id=again)
    connection.execute(lifted)
    return again, Counts(len(lines), counted.accepted, counted.duplicate, counted.quarantined, 0, counted.erased)


def _line(
    row: Mapping[str, Any], correction: Mapping[str, str | None] | None, renew: Renew | None, key: str
) -> dict[str, Any]:
    """A kept line as it is landed again; one that could never be split stays so unless it is corrected."""
    fields = dict(row["fields"])
    broken = row["reason"] if not fields and not correction else None
    if renew and fields:
        fields = dict(renew(row["source"], fields))
    return {
        "line_no": row["line_no"],
        "raw": row["raw"],
        "broken": broken,
        "fields": fields | {name: _named(name, value, key) for name, value in (correction or {}).items()},
    }


def _named(name: str, value: str | None, key: str) -> str | None:
    return whatsapp.named(key, value) if value and name in whatsapp.NAMED else value


def read_corrections(path: Path) -> dict[int, dict[str, str | None]]:
    """Corrected values from a JSON Lines file: {"quarantine_id": "7", "amount": "12.50"} a line; null empties a column.

    Raises ConfigError with every line at fault.
    """
    found: dict[int, dict[str, str | None]] = {}
    problems = []
    for number, text in enumerate(_lines(path), 1):
        if not text.strip():
            continue
        where = f"{path}:{number}"
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            problems.append(Problem(where, f"not JSON: {error.msg}"))
            continue
        if not isinstance(values, dict) or not _NUMBER.fullmatch(str(values.get("quarantine_id"))):
            problems.append(Problem(where, "must be an object with a whole number as quarantine_id"))
            continue
        wrong = [name for name, value in values.items() if name != "quarantine_id" and not _is_text(value)]
        if wrong:
            problems.append(Problem(where, f"{', '.join(wrong)}: values are text in quotes, or null"))
        found[int(values.pop("quarantine_id"))] = values
    if problems:
        raise ConfigError(*problems)
    return found


def _lines(path: Path) -> Sequence[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error.strerror}")) from None
    except UnicodeDecodeError:
        raise ConfigError(Problem(str(path), "is not UTF-8")) from None


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)
