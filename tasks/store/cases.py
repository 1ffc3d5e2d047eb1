"""Cases written by analysts: given rows, parameters, expected rows; `tests/sql/<folder>/<name>.yaml`.

Each case runs in a transaction of its own that is rolled back, on a scratch database, so cases cannot meet.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time as clock
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
import yaml
from sqlalchemy.dialects import postgresql

from config.settings import read_yaml
from tasks.rules.errors import ConfigError, Problem
from tasks.store import cycle, silences
from tasks.store.engine import Database, scrubbed
from tasks.store.migrate import migrate
from tasks.store.queries import Queries, Query, shown
from tasks.store.workspace import Workspace

_KEYS = ("case", "params", "given", "expect")


@dataclass(frozen=True)
class Case:
    """One case of one SQL file."""

    name: str
    query: str
    where: str  # file:line
    params: dict[str, Any]
    given: dict[str, list[dict[str, Any]]]
    expect: list[dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """How a case went; no findings means it passed."""

    case: Case
    findings: list[str]
    seconds: float


def load(root: Path, name: str | None = None) -> list[Case]:
    """Every case below `tests/sql`, or those of one SQL file. Raises ConfigError with all that cannot be read."""
    cases: list[Case] = []
    problems: list[Problem] = []
    for path in sorted((root / "tests" / "sql").glob("*/*.yaml")):
        query = f"{path.parent.name}/{path.stem}"
        if name and name not in (query, path.stem):
            continue
        try:
            found, wrong = _read_file(path, query)
        except ConfigError as error:
            problems += error.problems
            continue
        cases += found
        problems += wrong
    if name and not cases and not problems:
        problems.append(Problem(name, f"has no cases; write tests/sql/segments/{name.rpartition('/')[2]}.yaml"))
    if problems:
        raise ConfigError(*problems)
    return cases


def run_all(database: Database, queries: Queries, cases: Sequence[Case]) -> Iterator[Outcome]:
    """Run cases one after the other on a migrated, empty database; it is empty again afterwards."""
    tables = Tables(database)
    for case in cases:
        began = clock.perf_counter()
        findings = run(database, queries, case, tables)
        yield Outcome(case, findings, clock.perf_counter() - began)


def run(database: Database, queries: Queries, case: Case, tables: Tables) -> list[str]:
    """What differs between the rows a case expects and those its statement returns."""
    query = queries[case.query]
    with database.engine.connect() as connection, contextlib.closing(connection.begin()) as transaction:
        try:
            zone = _zone(case)
            params = _params(case, query, zone)
            _fill(connection, queries, case, tables, zone, params.get("as_of"))
            rows = connection.execute(query(**params)).mappings().all()
            return compare(case.expect, [dict(row) for row in rows], zone)
        except ConfigError as error:
            return [str(problem) for problem in error.problems]
        except sa.exc.DBAPIError as error:
            line = re.search(r"^LINE (\d+):", str(error.orig), re.MULTILINE)
            return [f"{query.at_line(int(line[1]) if line else 1)}: {scrubbed(error)}"]
        finally:
            transaction.rollback()


@contextlib.contextmanager
def scratch(work: Workspace) -> Iterator[Database]:
    """A migrated database of its own beside the workspace's, dropped at the end."""
    url = work.database.url.set(database=f"reengage_cases_{os.getpid()}")
    database = Database(url.render_as_string(hide_password=False), work.settings.home)
    database.create_if_missing()
    try:
        migrate(database, roles=False)
        yield database
    finally:
        database.dispose()
        database.drop()


# ------------------------------------------------------------------------------------------- reading


def _read_file(path: Path, query: str) -> tuple[list[Case], list[Problem]]:
    where = shown(path)
    given = read_yaml(path)
    if not isinstance(given, list):
        return [], [Problem(f"{where}:1", "must be a list; each case begins with `- case: what it shows`")]
    lines = [node.start_mark.line + 1 for node in yaml.compose(path.read_text("utf-8"), yaml.SafeLoader).value]
    cases, problems = [], []
    for item, line in zip(given, lines, strict=True):
        at = f"{where}:{line}"
        wrong = list(_shape_problems(item, at))
        problems += wrong
        if not wrong:
            tables = {table: rows or [] for table, rows in (item.get("given") or {}).items()}
            cases.append(Case(item["case"], query, at, item.get("params") or {}, tables, item["expect"] or []))
    return cases, problems


def _shape_problems(item: Any, at: str) -> Iterator[Problem]:
    if not isinstance(item, dict) or not isinstance(item.get("case"), str):
        yield Problem(at, "each case begins with `- case: what it shows`")
        return
    for key in item.keys() - set(_KEYS):
        yield Problem(at, f"`{key}` is not one of {', '.join(_KEYS)}")
    if not isinstance(item.get("params") or {}, dict):
        yield Problem(at, "`params:` must be name: value")
    tables = item.get("given") or {}
    if not isinstance(tables, dict) or not all(_is_rows(rows) for rows in tables.values()):
        yield Problem(at, "`given:` must hold tables such as core.purchases:, each a list of rows {column: value}")
    if "expect" not in item or not _is_rows(item["expect"]):
        yield Problem(at, "`expect:` must be a list of rows {column: value}; [] expects none")


def _is_rows(rows: Any) -> bool:
    return rows is None or (isinstance(rows, list) and all(isinstance(row, dict) for row in rows))


def _zone(case: Case) -> ZoneInfo:
    name = case.params.get("time_zone", "UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError):
        raise ConfigError(Problem(case.where, f"time_zone: unknown time zone {name!r}")) from None


def _params(case: Case, query: Query, zone: ZoneInfo) -> dict[str, Any]:
    """Parameters as the statement takes them; time_zone is also the business zone of the case."""
    params = dict(case.params)
    if "time_zone" not in query.params:
        params.pop("time_zone", None)
    else:
        params.setdefault("time_zone", "UTC")
    for name, declared in query.params.items():
        if declared.type == "timestamptz" and isinstance(params.get(name), str | date):
            # a day without a time means its last instant, as on the command line
            params[name] = _instant(params[name], zone, time.max, f"{case.where}: params.{name}")
    return params


# -------------------------------------------------------------------------------------- given rows

# What a row means when it does not say: the commonest thing, never something that is left out silently.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "core.purchases": {"amount": 10, "currency": "EUR", "status": "paid"},
    "core.checkouts": {"status": "opened"},
    "core.conversations": {"channel": "whatsapp"},
    "core.messages": {"direction": "inbound", "sender": "customer"},
    "core.ads": {"status": "active"},
    "core.consents": {"channel": "email", "purpose": "marketing", "status": "granted", "basis": "express"},
    "core.push_tokens": {"platform": "fcm", "active": True},
}
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


class Tables:
    """The tables of a database as its catalog describes them, read once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, sa.Table] = {}

    def __getitem__(self, name: str) -> sa.Table:
        if name not in self._known:
            schema, _, table = name.rpartition(".")
            with self._database.engine.connect() as connection:
                self._known[name] = sa.Table(table, sa.MetaData(), schema=schema or None, autoload_with=connection)
        return self._known[name]

    @cached_property
    def of_customers(self) -> sa.Table:
        """Customers, to whom everything else belongs."""
        return self["core.customers"]


def _fill(
    connection: sa.Connection,
    queries: Queries,
    case: Case,
    tables: Tables,
    zone: ZoneInfo,
    as_of: datetime | None,
) -> None:
    connection.execute(sa.update(tables["campaign.database"]).values(business_zone=str(zone)))
    people: dict[str, None] = {}
    for name, rows in case.given.items():
        if "." not in name:
            _make_temporary(connection, name, rows, zone, f"{case.where}: given.{name}")
            continue
        try:
            table = tables[name]
        except sa.exc.NoSuchTableError:
            raise ConfigError(Problem(case.where, f"given: there is no table {name}; write core.purchases")) from None
        complete = [
            complete_row(table, row, number, zone, as_of or _SOME_DAY, f"{case.where}: given.{name}[{number}]")
            for number, row in enumerate(rows, start=1)
        ]
        for row in complete:
            connection.execute(sa.insert(table).values(row))
        if table.schema == "core" and "customer_id" in table.c:
            people |= dict.fromkeys(str(row["customer_id"]) for row in complete if row.get("customer_id") is not None)
    known = set(connection.execute(sa.select(tables.of_customers.c.customer_id)).scalars())
    bare = [{"customer_id": person, "is_bare": True} for person in people if person not in known]
    if bare:  # as the gate does for a purchase of someone it has not heard of
        connection.execute(sa.insert(tables.of_customers), bare)
    if "core.purchases" in case.given:
        touched = sa.Table(
            "touched_customers",
            sa.MetaData(),
            sa.Column("customer_id", sa.Text, primary_key=True),
            prefixes=["temporary"],
            postgresql_on_commit="drop",
        )
        touched.create(connection)
        connection.execute(sa.insert(touched), [{"customer_id": person} for person in people])
        cycle.refresh(connection, queries)
    if "core.messages" in case.given:
        silences.begin(connection)
        told = tables["core.messages"].c.conversation_id
        connection.execute(
            sa.insert(sa.table("touched_conversations", sa.column("conversation_id"))).from_select(
                ["conversation_id"], sa.select(told).distinct()
            )
        )
        silences.refresh(connection, queries)


def _make_temporary(
    connection: sa.Connection, name: str, rows: Sequence[Mapping[str, Any]], zone: ZoneInfo, where: str
) -> None:
    """A temporary table that the step before a statement would have left; its columns are those of the rows."""
    samples = {key: value for row in rows for key, value in row.items() if value not in (None, [])}
    if not rows or (unclear := {key for row in rows for key in row} - samples.keys()):
        what = f"no row gives {', '.join(sorted(unclear))} a value" if rows else "needs a row at least"
        raise ConfigError(Problem(where, f"{what}: a table without a schema is made from its rows"))
    columns = [sa.Column(key, _type_of(value)) for key, value in samples.items()]
    table = sa.Table(name, sa.MetaData(), *columns, prefixes=["temporary"], postgresql_on_commit="drop")
    table.create(connection)
    for number, row in enumerate(rows, start=1):
        values = {key: _value(table.c[key].type, value, zone, f"{where}[{number}].{key}") for key, value in row.items()}
        connection.execute(sa.insert(table).values(values))


def _type_of(value: Any) -> sa.types.TypeEngine[Any]:
    if isinstance(value, list):
        return postgresql.ARRAY(_type_of(value[0]))
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*", value):
        return sa.DateTime(timezone=True)
    known = {bool: sa.Boolean(), int: sa.BigInteger(), float: sa.Numeric(), dict: postgresql.JSONB()}
    return known.get(type(value), sa.Text())


def complete_row(
    table: sa.Table, given: Mapping[str, Any], number: int, zone: ZoneInfo, some_day: datetime, where: str
) -> dict[str, Any]:
    """A row with everything its table requires; what it does not say is the commonest thing."""
    unknown = [name for name in given if name not in table.c]
    if unknown:
        raise ConfigError(*(Problem(where, f"{table.fullname} has no column {name}") for name in unknown))
    row = {name: _value(table.c[name].type, value, zone, f"{where}.{name}") for name, value in given.items()}
    moments = [value for value in row.values() if isinstance(value, datetime)]
    of_table = {**_DEFAULTS.get(table.fullname, {})}
    if row.get("status") == "withdrawn":
        of_table.pop("basis", None)
    for column in table.c:
        if column.name in row:
            continue
        if column.name in of_table:
            row[column.name] = of_table[column.name]
        elif not column.nullable and column.server_default is None and column.identity is None:
            row[column.name] = _stand_in(column, number, moments[0] if moments else some_day)
    return row


def _stand_in(column: sa.Column[Any], number: int, moment: datetime) -> Any:
    kind = column.type
    if isinstance(kind, sa.DateTime):
        return moment
    if isinstance(kind, sa.Date):
        return moment.date()
    if isinstance(kind, sa.Boolean):
        return True
    if isinstance(kind, sa.Numeric | sa.Integer):
        return number
    if isinstance(kind, sa.JSON):
        return {}
    return f"{column.name} {number}"


def _value(kind: sa.types.TypeEngine[Any], value: Any, zone: ZoneInfo, where: str) -> Any:
    if value is None:
        return None
    if isinstance(kind, sa.DateTime):
        return _instant(value, zone, time.min, where)
    if isinstance(kind, sa.Date):
        return _instant(value, zone, time.min, where).date()
    if isinstance(kind, sa.Text | sa.String) and not isinstance(value, str):
        raise ConfigError(Problem(where, f'is text: write it in quotes, "{value}"'))
    if isinstance(kind, sa.Numeric) and isinstance(value, float):
        return Decimal(str(value))
    return value


def _instant(value: Any, zone: ZoneInfo, of_day: time, where: str) -> datetime:
    """A moment of a case; without a zone it is on the clock of the case's time zone."""
    text = str(value).strip()
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return datetime.combine(date.fromisoformat(text), of_day, zone)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            Problem(where, f"cannot read {text!r}; write 2026-01-31 or 2026-01-31T18:00:00+00:00")
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


# --------------------------------------------------------------------------------------- comparing


def compare(expected: Sequence[Mapping[str, Any]], returned: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> list[str]:
    """What differs, in words; only the columns a case expects are looked at, and the order of rows is not."""
    columns = list(dict.fromkeys(itertools.chain(*expected)))
    if returned and (unknown := [name for name in columns if name not in returned[0]]):
        return [f"expects {name}, which is not among the columns: {', '.join(returned[0])}" for name in unknown]
    pairs = _matched(expected, returned, zone)
    missing = [row for number, row in enumerate(expected) if number not in pairs]
    left = [row for number, row in enumerate(returned) if number not in pairs.values()]
    findings = []
    for row in missing:
        near = next((found for found in left if _is_about_the_same(row, found)), None)
        if near is None:
            findings.append(f"expected, not returned: {_shown_row(row)}")
            continue
        left.remove(near)
        findings += [
            f"{_shown_row(dict([next(iter(row.items()))]))}: {name} is {_shown(near[name])}, expected {_shown(value)}"
            for name, value in row.items()
            if not _same(value, near[name], zone)
        ]
    return findings + [f"returned, not expected: {_shown_row(row)}" for row in left]


def _matched(
    expected: Sequence[Mapping[str, Any]], returned: Sequence[Mapping[str, Any]], zone: ZoneInfo
) -> dict[int, int]:
    """Expected row -> returned row of its own, as many as can be: a vague row gives way to one that says more."""
    fits = [
        [place for place, found in enumerate(returned) if all(_same(row[name], found[name], zone) for name in row)]
        for row in expected
    ]
    taken: dict[int, int] = {}

    def place(number: int, tried: set[int]) -> bool:
        for spot in fits[number]:
            if spot in tried:
                continue
            tried.add(spot)
            if spot not in taken or place(taken[spot], tried):
                taken[spot] = number
                return True
        return False

    for number in range(len(expected)):
        place(number, set())
    return {number: spot for spot, number in taken.items()}


def _is_about_the_same(row: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    first = next(iter(row), None)
    return first is not None and row[first] == found.get(first)


def _same(expected: Any, found: Any, zone: ZoneInfo) -> bool:
    if expected is None or found is None:
        return expected is found
    if isinstance(found, datetime):
        try:
            return _instant(expected, zone, time.min, "") == found
        except ConfigError:
            return False
    if isinstance(found, bool) or isinstance(expected, bool):
        return expected is found
    if isinstance(found, int | float | Decimal):
        try:
            return not isinstance(expected, str) and Decimal(str(expected)) == Decimal(str(found))
        except InvalidOperation:
            return False
    if isinstance(found, date):
        return str(expected) == found.isoformat()
    if isinstance(found, str | list | dict):
        return bool(expected == found)
    return str(expected) == str(found)


def _shown_row(row: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {_shown(value)}" for name, value in row.items()) + "}"


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return f'"{value.astimezone(UTC).isoformat()}"'
    if isinstance(value, str | date):
        return f'"{value}"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
