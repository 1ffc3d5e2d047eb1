"""Rows of one extract into their landing partition: rows, load, objects and watermark in one transaction (I6)."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2 import sql

from config.errors import ReengageError
from config.sources import FileSource, SqlSource
from tasks.rules import whatsapp
from tasks.rules.errors import DatabaseError
from tasks.rules.whatsapp import Told
from tasks.sources.mapping import Block, Mapper, Reading
from tasks.store.queries import Queries

_READ_BYTES = 1 << 22
_BATCH = 1_000
_LONGEST_RAW = 900_000  # the gate refuses lines of a million bytes
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


class NothingNew(ReengageError):
    """The extract was read and holds nothing that is not known; its transaction is rolled back."""


@dataclass(frozen=True)
class Extract:
    """What is landed: the source, the object's name, and what tells its content from another.

    `key` names WhatsApp's messages.
    """

    name: str
    source: FileSource | SqlSource
    object: str
    etag: str | None
    as_of: datetime
    key: str = field(repr=False)
    keywords: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        """What the gate needs to know of this load."""
        if self.source.entity == "messages":
            return self.source.options() | {"keywords": self.keywords}
        return self.source.options()


def begin(connection: sa.Connection, queries: Queries, extract: Extract) -> int:
    """Open the load of an extract; gives its number."""
    source = extract.source
    return connection.execute(
        queries["core/load_begin"](
            source=extract.name,
            entity=source.entity,
            object=extract.object,
            etag=extract.etag,
            incremental=source.delivers == "incremental",
            as_of=extract.as_of,
            time_zone=source.time_zone,
            options=extract.options(),
        )
    ).scalar_one()


def fill(connection: sa.Connection, queries: Queries, extract: Extract, load_id: int, reading: Reading) -> int:
    """Copy an extract into the partition of its load and attach it; gives the number of lines.

    Memory is bounded by one block. Raises ExtractError when a required column is missing.
    """
    entity = extract.source.entity
    report: dict[str, Any] = {}
    mapper = Mapper(extract.source, extract.as_of, extract.key)
    landing = connection.execute(queries["core/load_partition"](entity=entity, load_id=load_id)).scalar_one()
    lines = 0
    if reading.header is not None:
        report |= mapper.bind(reading.header, extract.object)
        stream = _Stream(mapper, reading.blocks)
        _copy(connection, landing, mapper.names, stream)
        lines = stream.lines
        if reading.seen is not None and stream.good:
            # JSON leaves out what a line does not need, so a file may lack it as a whole.
            sometimes = extract.source.shape.sometimes
            mapper.refuse_lacking(reading.seen, extract.object, but_for=sometimes)
            report["missing_columns"] = mapper.missing(reading.seen, but_for=sometimes)
    connection.execute(queries["core/load_landed"](load_id=load_id, lines_in=lines, report=report))
    connection.execute(queries["core/load_attach"](entity=entity, load_id=load_id))
    return lines


def chats(
    connection: sa.Connection,
    queries: Queries,
    source: str,
    entry: str,
    etag: str | None,
    as_of: datetime,
    keywords: Mapping[str, Sequence[str]],
    told: Iterable[Told],
) -> int:
    """Land messages that webhooks told of as one load, a line each; gives its number."""
    load_id = connection.execute(
        queries["core/load_begin"](
            source=source, entity="messages", object=entry, etag=etag, incremental=True, as_of=as_of, time_zone=None,
            options={"key": "column", "group": None, "content_excludes": [], "keywords": keywords},
        )
    ).scalar_one()  # fmt: skip
    landed = connection.execute(queries["core/load_partition"](entity="messages", load_id=load_id)).scalar_one()
    stream = _Messages(told)
    _copy(connection, landed, whatsapp.FIELDS, stream)
    connection.execute(queries["core/load_landed"](load_id=load_id, lines_in=stream.lines, report={}))
    connection.execute(queries["core/load_attach"](entity="messages", load_id=load_id))
    return load_id


def _copy(connection: sa.Connection, landing: str, names: Sequence[str], stream: _Stream | _Messages) -> None:
    columns = ["line_no", "raw", "broken", *names]
    statement = sql.SQL("copy {} ({}) from stdin (format text, null '', freeze)").format(
        sql.Identifier("raw", landing), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with contextlib.closing(connection.connection.cursor()) as cursor:
        try:
            cursor.copy_expert(statement, stream, _READ_BYTES)
        except psycopg2.Error as error:
            if stream.failure is not None:
                raise stream.failure from error
            # What follows the first line quotes the row.
            raise DatabaseError(f"{landing}: {str(error).splitlines()[0]}") from None


class _Stream:
    """The blocks of an extract as the file COPY reads; an error while reading is kept, since COPY hides it."""

    def __init__(self, mapper: Mapper, blocks: Iterator[Block]) -> None:
        self._mapper = mapper
        self._blocks = blocks
        self._texts = self._made()
        self.lines = 0
        self.good = 0
        self.failure: Exception | None = None

    def read(self, _: int = -1) -> bytes:
        """The next block as COPY text; empty at the end."""
        try:
            return next(self._texts, b"")
        except Exception as error:
            self.failure = error
            raise

    def _made(self) -> Iterator[bytes]:
        for block in self._blocks:
            self.lines += len(block.numbers) + len(block.broken)
            self.good += len(block.numbers)
            if text := self._text(block):
                yield text.encode("utf-8", "backslashreplace")

    def _text(self, block: Block) -> str:
        rows = copy_rows([block.raws, itertools.repeat("", len(block.numbers)), *self._mapper.apply(block)], block)
        if not block.broken:
            return rows
        numbers, raws, codes = zip(*block.broken, strict=True)
        empty = [itertools.repeat("", len(numbers)) for _ in self._mapper.names]
        return rows + copy_rows([raws, codes, *empty], Block(numbers, raws, ()))


class _Messages:
    """Messages told by webhooks as the file COPY reads, numbered as they come."""

    def __init__(self, told: Iterable[Told]) -> None:
        self._told = iter(told)
        self.lines = 0
        self.failure: Exception | None = None

    def read(self, _: int = -1) -> bytes:
        """The next messages as COPY text; empty at the end."""
        try:
            batch = list(itertools.islice(self._told, _BATCH))
        except Exception as error:
            self.failure = error
            raise
        numbers = range(self.lines + 1, self.lines + len(batch) + 1)
        self.lines += len(batch)
        columns = [[one.fields[name] or "" for one in batch] for name in whatsapp.FIELDS]
        raws = [one.raw[:_LONGEST_RAW] for one in batch]
        return copy_rows([raws, itertools.repeat("", len(batch)), *columns], Block(numbers, raws, ())).encode("utf-8")


def copy_rows(columns: Sequence[Iterable[str]], block: Block) -> str:
    """Line numbers and columns as COPY's text format; the empty text is null."""
    if not block.numbers:
        return ""
    values = [column if isinstance(column, list | tuple) else list(column) for column in columns]
    text = _joined(block.numbers, values)
    rows = len(block.numbers)
    # One look at the whole block instead of one at each value: special characters are rare.
    plain = text.count("\t") == rows * len(values) and text.count("\n") == rows
    if plain and "\\" not in text and "\r" not in text:
        return text
    return _joined(block.numbers, [[_SPECIAL.sub(_escape, value) for value in column] for column in values])


def _joined(numbers: Sequence[int], columns: Sequence[Sequence[str]]) -> str:
    return "\n".join(map("\t".join, zip(map(str, numbers), *columns, strict=True))) + "\n"


def _escape(found: re.Match[str]) -> str:
    return _ESCAPED[found[0]]
