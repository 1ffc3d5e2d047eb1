"""The mapping of one source applied to blocks of rows, column by column: what it names is changed, nothing else."""

from __future__ import annotations

import itertools
import json
import math
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from config.errors import ReengageError
from config.sources import Column, FileSource, SqlSource
from tasks.rules import whatsapp
from tasks.sources import timestamps

Values = Sequence[str]  # the empty text is null
Change = Callable[[str], str]
Maker = Callable[[Sequence[Values], int], Iterable[str]]

_PLAIN_NUMBER = re.compile(r"\s*([+-]?\d+)(?:\.0*)?\s*")
# What a spreadsheet or a float made of an id: 9.5, 1.2E+11, 17850,0.
_MANGLED_NUMBER = re.compile(r"\s*[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?\s*", re.IGNORECASE)
_LONGEST_FACTOR = 14  # two of them fit the 28 digits that Decimal multiplies exactly
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")


class ExtractError(ReengageError):
    """An extract as a whole cannot be used (a column is missing, a file is cut short); nothing of it is loaded."""


@dataclass
class Block:
    """Some lines of an extract: physical line numbers, raw lines and the source's columns, all of one length."""

    numbers: Sequence[int]
    raws: Sequence[str]
    columns: Sequence[Values]
    broken: list[tuple[int, str, str]] = field(default_factory=list)  # line number, raw line, reason code
    delimiter: str | None = None  # the columns are the raw lines split at it, and nothing else


@dataclass(frozen=True)
class Reading:
    """An extract being read: its header (None = an empty file) and blocks; JSON tells the columns it `seen` last."""

    header: list[str] | None
    blocks: Iterator[Block]
    seen: set[str] | None = None


class Mapper:
    """Contract columns of one source in COPY order, made from the source's columns by position."""

    def __init__(self, source: FileSource | SqlSource, as_of: datetime, key: str) -> None:
        self._source = source
        self._as_of = as_of
        self._key = key
        self._made: list[Maker] = []
        self.takes_all = False
        # What is mapped; the rest is null without being written.
        self.names = [name for name in source.shape.columns if name in source.columns or self._is_made(name)]

    def bind(self, header: Sequence[str], where: str) -> dict[str, list[str]]:
        """Find every mapped column in the header; says what is ignored or absent, for the load report.

        Raises ExtractError when a column that the contract requires is missing or stands there twice.
        """
        positions = {name: place for place, name in enumerate(header)}
        wanted = {name for column in self._source.columns.values() for name in column.source_columns()}
        self.refuse_lacking(positions.keys(), where)
        twice = sorted({name for name in wanted if list(header).count(name) > 1})
        if twice:
            raise ExtractError(f"{where}: column {', '.join(twice)} stands there twice; nothing was loaded")
        taken = {positions[place]: name for name in self.names if (place := self._untouched(name)) in positions}
        # Bound to a header whose every column lands as it stands, the order of `names` is the header's.
        self.takes_all = len(taken) == len(self.names) == len(header)
        if self.takes_all:
            self.names = [taken[place] for place in range(len(header))]
        self._made = [self._maker(name, positions) for name in self.names]
        return {
            "ignored_columns": [name for name in header if name not in wanted][:50],
            "missing_columns": self.missing(positions.keys()),
        }

    def missing(self, there: Collection[str], but_for: Collection[str] = ()) -> list[str]:
        """Source columns that the mapping reads and the extract does not have, `but_for` contract columns aside."""
        return sorted(
            {
                name
                for contract, column in self._source.columns.items()
                for name in column.source_columns()
                if name not in there and contract not in but_for
            }
        )

    def refuse_lacking(self, there: Collection[str], where: str, but_for: Collection[str] = ()) -> None:
        """Raise ExtractError when a source column that the contract requires is not among those that are there.

        `but_for` are contract columns that may be absent all the same.
        """
        lacking = sorted(
            {
                name
                for contract, column in self._source.columns.items()
                for name in column.source_columns()
                if name not in there and contract in self._source.shape.required and contract not in but_for
            }
        )
        if lacking:
            # Where none fits, the first line is no header but a person's own line, which must not be quoted.
            named = {name for column in self._source.columns.values() for name in column.source_columns()}
            is_header = not named.isdisjoint(there)
            raise ExtractError(
                f"{where}: column {', '.join(lacking)} is missing; nothing was loaded. There are: "
                + (
                    ", ".join(sorted(there)[:50])
                    if is_header
                    else "none of the columns that the mapping names; a file without a header line needs `header:`"
                )
            )

    def apply(self, block: Block) -> list[Iterable[str]]:
        """The block's contract columns, in the order of `names`."""
        return [make(block.columns, len(block.numbers)) for make in self._made]

    @classmethod
    def again(cls, source: FileSource | SqlSource, kept: Mapping[str, str | None]) -> dict[str, str | None]:
        """Contract columns mapped earlier, under today's mapping: constants, words, times and decimal commas.

        Only what may be applied twice: a value that was understood then stays as it is.
        """
        mapper = cls(source, datetime.min.replace(tzinfo=UTC), "")  # no fallback and no name is made again
        fresh = dict(kept)
        for name, column in source.columns.items():
            value = kept.get(name)
            if column.constant is not None:
                fresh[name] = column.constant
            elif value is not None and column.column is not None:
                kind = source.shape.columns[name]
                is_words = bool(column.words) and not (column.prefixes or column.without_prefix or column.number)
                if is_words or kind == "time" or (kind == "number" and "," in value):
                    change = mapper._change(column, name)
                    fresh[name] = change(value) if change else value
        return fresh

    def _maker(self, name: str, positions: dict[str, int]) -> Maker:
        if self._is_made(name):
            return self._with_fallback(self._source.columns.get(name), positions)
        made = self._column(self._source.columns[name], name, positions)
        return self._named(made) if name in whatsapp.NAMED else made

    def _untouched(self, name: str) -> str | None:
        """The source column that a contract column is, unchanged."""
        column = self._source.columns.get(name)
        if self._is_made(name) or name in whatsapp.NAMED or column is None or self._change(column, name):
            return None
        return column.column

    def _is_made(self, name: str) -> bool:
        return name == "updated_at" and bool(self._source.missing_updated_at)

    def _named(self, made: Maker) -> Maker:
        """Ids of messages by our names where they are WhatsApp's, which hold a number."""
        key = self._key
        return lambda columns, count: (whatsapp.named(key, value) for value in made(columns, count))

    def _column(self, column: Column, name: str, positions: dict[str, int]) -> Maker:
        constant = column.constant
        if constant is not None:
            return lambda _, count: itertools.repeat(constant, count)
        places = [positions[wanted] for wanted in column.source_columns() if wanted in positions]
        if len(places) < len(column.source_columns()):  # an optional column that this extract does not have
            return lambda _, count: itertools.repeat("", count)
        if column.product is not None:
            plain = self._plain_number()
            return lambda columns, _: itertools.starmap(
                lambda *factors: _product(factors, plain), zip(*(columns[at] for at in places), strict=True)
            )
        if column.parts is not None:
            names = list(column.parts)
            return lambda columns, _: (
                _item(names, values) for values in zip(*(columns[at] for at in places), strict=True)
            )
        change = self._change(column, name)
        place = places[0]
        if change is None:
            return lambda columns, _: columns[place]
        changed = change
        return lambda columns, _: (changed(value) if value else "" for value in columns[place])

    def _change(self, column: Column, name: str) -> Change | None:
        kind = self._source.shape.columns[name]
        if kind == "time":
            return timestamps.reader(column.format)
        if kind == "number":
            return self._plain_number()
        if column.number:
            return lambda value: _written_number(value, column.number or "")
        if column.without_prefix:
            prefix = column.without_prefix
            return lambda value: value.strip().removeprefix(prefix) if value.strip().startswith(prefix) else ""
        if column.prefixes:
            return lambda value: _by_prefix(value.strip(), column.prefixes)
        if column.words:
            return lambda value: column.words.get(value.strip(), value)
        return None

    def _plain_number(self) -> Change | None:
        if self._source.decimal == ".":
            return None
        return lambda value: value.replace(".", "").replace(",", ".")

    def _with_fallback(self, column: Column | None, positions: dict[str, int]) -> Maker:
        other = self._source.missing_updated_at or ""
        if other == "as_of":
            stamp = self._as_of.isoformat()

            def fallback(_: Sequence[Values], count: int) -> Iterable[str]:
                return itertools.repeat(stamp, count)
        else:
            fallback = self._column(self._source.columns[other], other, positions)
        if column is None:
            return fallback
        own = self._column(column, "updated_at", positions)
        return lambda columns, count: (
            mine or theirs for mine, theirs in zip(own(columns, count), fallback(columns, count), strict=True)
        )


def _written_number(value: str, pattern: str) -> str:
    """An id that arrived as a number, as the mapping writes it; one that is no number at all stays as it came.

    A number that is not whole is nobody's id: the bar makes the gate refuse it. NaN is how a column of floats says
    that there is nothing.
    """
    found = _PLAIN_NUMBER.fullmatch(value)
    if found:
        return found[1] if pattern == "plain" else found[1].zfill(len(pattern))
    if value.strip().lower() == "nan":
        return ""
    return f"{value.strip()} | no whole number" if _MANGLED_NUMBER.fullmatch(value) else value


def _by_prefix(value: str, prefixes: dict[str, str]) -> str:
    """The word of the longest prefix that fits; the value itself when none does."""
    fitting = [prefix for prefix in prefixes if value.startswith(prefix)]
    return prefixes[max(fitting, key=len)] if fitting else value


def _product(factors: Sequence[str], plain: Change | None) -> str:
    """The exact product, or the factors as text for the gate to refuse when one of them cannot be read."""
    if not any(factors):
        return ""
    made = [(plain(factor) if plain else factor).strip() for factor in factors]
    if not all(_DECIMAL.fullmatch(factor) and len(factor) <= _LONGEST_FACTOR for factor in made):
        return " * ".join(factor or "?" for factor in made)
    return format(math.prod(map(Decimal, made)), "f")


def _item(names: Sequence[str], values: Sequence[str]) -> str:
    """One line's item as a JSON array of one object."""
    return json.dumps([{name: value for name, value in zip(names, values, strict=True) if value}], ensure_ascii=False)


def number_id(where: str, name: str, contract: str) -> ExtractError:
    """What to say when an id arrives as a number: its leading zeros would be lost without a word."""
    return ExtractError(
        f"{where}: column {name} holds numbers, but {contract} is text; say how to write it in sources.yaml, such as "
        f"{contract}: {{column: {name}, number: plain}}, or zeros as wide as the id: number: '00000'"
    )


# json writes no exact numbers: they are written as marked texts, and the marks and quotes taken off afterwards.
_MARK: Final = secrets.token_hex(8)
_EXACT: Final = re.compile(f'"{_MARK}([^"]+)"')


def _nested(value: Any) -> str:
    return f"{_MARK}{value}" if isinstance(value, Decimal) else str(value)


def as_text(value: Any) -> str:
    """A value of JSON, Parquet or a database as the text that lands: nothing is rounded, nested values stay JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else str(value)
    if isinstance(value, dict | list | tuple):
        text = json.dumps(value, ensure_ascii=False, default=_nested)
        return _EXACT.sub(r"\1", text) if _MARK in text else text
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat else str(value)
