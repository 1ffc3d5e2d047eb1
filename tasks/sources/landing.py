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
    columns = ["broken", "raw", *names, "line_no"]
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
        text = self._whole(block) or copy_rows([block.raws, *self._mapper.apply(block)], block.numbers)
        if not block.broken:
            return text
        numbers, raws, codes = zip(*block.broken, strict=True)
        empty = [itertools.repeat("", len(numbers)) for _ in self._mapper.names]
        rows = copy_rows([raws, *empty], numbers).removesuffix("\n").split("\n")
        return text + "".join(f"{code}{row}\n" for code, row in zip(codes, rows, strict=True))

    def _whole(self, block: Block) -> str | None:
        """The rows of a block whose every field lands as it stands: nothing is taken apart."""
        if block.delimiter in (None, "\t") or not self._mapper.takes_all:
            return None
        fields = "\n".join(block.raws).replace(block.delimiter, "\t").split("\n")
        text = _joined([block.raws, fields], block.numbers)
        return text if _is_plain(text, len(block.numbers), len(self._mapper.names) + 2) else None


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
        return copy_rows([raws, *columns], numbers).encode("utf-8")


def copy_rows(columns: Sequence[Iterable[str]], numbers: Sequence[int]) -> str:
    """An empty column, these columns and the line numbers as COPY's text format; the empty text is null."""
    values = [column if isinstance(column, list | tuple) else list(column) for column in columns]
    text = _joined(values, numbers)
    if _is_plain(text, len(numbers), len(values) + 1):
        return text
    return _joined([[_SPECIAL.sub(_escape, value) for value in column] for column in values], numbers)


def _is_plain(text: str, rows: int, tabs: int) -> bool:
    """Whether no value has a special character: one look at a whole block instead of one at each value."""
    return text.count("\t") == rows * tabs and text.count("\n") == rows and "\\" not in text and "\r" not in text


def _joined(columns: Sequence[Sequence[str]], numbers: Sequence[int]) -> str:
    if not numbers:
        return ""
    width = len(columns) + 1
    cells = [""] * (len(numbers) * width)
    for place, column in enumerate(columns):
        cells[place::width] = column
    cells[width - 1 :: width] = [f"{number}\n" for number in numbers]
    # One join of a whole block is several times cheaper than one a row. It puts a tab between two rows as well, which
    # is what the first column is empty for.
    return "\t" + "\t".join(cells)


def _escape(found: re.Match[str]) -> str:
    return _ESCAPED[found[0]]
