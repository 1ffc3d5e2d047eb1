"""Other databases through SQLAlchemy: a table or a query, from the cursor's last value on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from config.errors import ConfigError, Problem
from config.sources import SqlSource
from tasks.sources.lines import MAX_FIELD
from tasks.sources.mapping import Block, ExtractError, Reading, as_text, number_id

_ROWS = 5_000


@dataclass
class Progress:
    """What reading a database has shown so far; complete after the last block."""

    has_cursor: bool
    position: str | None  # as stored: {"type", "value", "ties"}; ties = rows that had exactly this value
    moved: bool = False  # anything beyond the rows that stood at the last position
    digest: Any = field(default_factory=hashlib.sha256)  # of everything, for sources without cursor


@contextlib.contextmanager
def read(source: SqlSource, name: str, position: str | None) -> Iterator[tuple[Reading, Progress]]:
    """The rows of a source from its position on, streamed. Raises ConfigError or ExtractError, never with a row.

    Rows at the position itself are read again, since others with the same value may have been committed later;
    loading them twice changes nothing.
    """
    engine = sa.create_engine(_address(source, name), hide_parameters=True, poolclass=sa.NullPool)
    progress = Progress(source.cursor is not None, position)
    try:
        with engine.connect() as connection:
            statement = _statement(source, name, connection, position)
            rows = connection.execution_options(stream_results=True, yield_per=_ROWS).execute(statement)
            yield Reading(list(rows.keys()), _blocks(rows, source, name, progress)), progress
    except sa.exc.SQLAlchemyError as error:
        raise ExtractError(f"sources.{name}: {_said(error)}") from None
    finally:
        engine.dispose()


def _address(source: SqlSource, name: str) -> sa.URL:
    given = os.environ.get(source.url_from)
    where = f"sources.{name}.url_from"
    if not given:
        raise ConfigError(Problem(where, f"environment variable {source.url_from} is not set"))
    try:
        url = sa.make_url(given)
    except sa.exc.ArgumentError:
        raise ConfigError(Problem(where, f"{source.url_from} holds no SQLAlchemy URL")) from None
    # SQLAlchemy reads a bare postgresql:// as psycopg 3, which is not installed.
    return url.set(drivername="postgresql+psycopg2") if url.drivername in ("postgresql", "postgres") else url


def _statement(source: SqlSource, name: str, connection: sa.Connection, position: str | None) -> sa.Select[Any]:
    if source.table:
        schema, _, table = source.table.rpartition(".")
        try:
            origin = sa.Table(table, sa.MetaData(), schema=schema or None, autoload_with=connection)
        except sa.exc.NoSuchTableError:
            raise ConfigError(Problem(f"sources.{name}.table", f"there is no {source.table}")) from None
        # As text, so that a dialect's own column types do not change what is read.
        statement, columns = sa.select(origin), {column.name: column for column in origin.columns}
    else:
        inner = sa.text((source.query or "").rstrip().rstrip(";"))
        names = list(
            connection.execute(sa.select(sa.text("*")).select_from(inner.columns().subquery("q")).limit(0)).keys()
        )
        origin = inner.columns(*(sa.column(name) for name in names)).subquery("q")
        statement, columns = sa.select(origin), {column.name: column for column in origin.columns}
    if source.cursor is None:
        return statement
    if source.cursor not in columns:
        raise ConfigError(Problem(f"sources.{name}.cursor", f"there is no column {source.cursor}"))
    cursor = columns[source.cursor]
    if position is not None:
        statement = statement.where(cursor >= _value(json.loads(position)))
    return statement.order_by(cursor)


def _blocks(rows: sa.CursorResult[Any], source: SqlSource, name: str, progress: Progress) -> Iterator[Block]:
    header = list(rows.keys())
    ids = {
        header.index(column_name): (column_name, contract)
        for contract, column in source.columns.items()
        if source.shape.columns[contract] == "id" and not column.number
        for column_name in column.source_columns()
        if column_name in header
    }
    at = None if source.cursor is None else header.index(source.cursor)
    before = json.loads(progress.position) if progress.position else {"value": None, "ties": 0}
    last: Any = None
    ties, number = 0, 1
    for part in rows.partitions(_ROWS):
        numbers, raws, texts, broken = [], [], [], []
        for row in part:
            for place, (column_name, contract) in ids.items():
                if isinstance(row[place], int | float | Decimal) and not isinstance(row[place], bool):
                    raise number_id(f"sources.{name}", column_name, contract)
            values = [as_text(value) for value in row]
            raw = json.dumps(dict(zip(header, values, strict=True)), ensure_ascii=False)
            progress.digest.update(raw.encode("utf-8", "backslashreplace"))
            if at is not None:
                if row[at] is None:
                    raise ExtractError(f"sources.{name}: cursor column {source.cursor} is null in some row")
                ties = ties + 1 if row[at] == last else 1
                last = row[at]
            bad = "nul_byte" if any("\0" in value for value in values) else "field_too_long" * (len(raw) > MAX_FIELD)
            if bad:
                broken.append((number, raw[:MAX_FIELD], bad))
            else:
                numbers.append(number)
                raws.append(raw)
                texts.append(values)
            number += 1
        yield Block(numbers, raws, list(zip(*texts, strict=True)) or [()] * len(header), broken)
    if at is not None and last is not None:
        stored = {"type": type(last).__name__, "value": as_text(last), "ties": ties}
        progress.moved = (stored["value"], ties) != (before["value"], before["ties"])
        progress.position = json.dumps(stored)


def _value(position: dict[str, Any]) -> Any:
    """A stored position as the type the cursor column had."""
    made = {
        "datetime": datetime.fromisoformat,
        "date": date.fromisoformat,
        "int": int,
        "float": float,
        "Decimal": Decimal,
    }.get(position["type"], str)
    return made(position["value"])


def _said(error: sa.exc.SQLAlchemyError) -> str:
    """What the other database said: its first line, without statement, values or address."""
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    return said[0] if said else type(error).__name__
