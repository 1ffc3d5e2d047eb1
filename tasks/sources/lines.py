"""Text files line by line, in blocks: delimited text and JSON Lines, whatever their line ends and encoding.

The common case, a block whose every line is one good record, is taken apart as a whole; a block with anything else
in it line by line, so that one bad line costs one line.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from operator import methodcaller
from typing import IO, Any

from config.sources import FileSource
from tasks.sources.mapping import Block, ExtractError, Reading, as_text

MAX_FIELD = 1_048_576  # characters of one field; also what is kept of a line that is too long
_BLOCK_BYTES = 1 << 20
_MAX_LINE_BYTES = 16 * MAX_FIELD

# The csv module's limit is the process's, not the reader's; nothing else here parses CSV.
csv.field_size_limit(MAX_FIELD)


def read(file: IO[bytes], source: FileSource, where: str) -> Reading:
    """The records of one text file. Raises ExtractError when its header cannot be read."""
    chunks = _chunks(file, source.encoding)
    return _json_lines(chunks, source) if source.format == "jsonl" else _delimited(chunks, source, where)


@dataclass(frozen=True)
class _Chunk:
    """Whole physical lines without their ends; `bad` gives the reason code of those that are no text."""

    first: int
    lines: list[str]
    bad: dict[int, str]
    last: bool  # the file ends here
    open_end: bool  # ... and its last line has no line end


def _chunks(file: IO[bytes], encoding: str) -> Iterator[_Chunk]:
    """Physical lines in chunks, numbered from 1; line ends (LF, CRLF, CR) and byte order mark removed."""
    wide = encoding.startswith(("utf-16", "utf-32"))
    data = _transcoded(file, encoding) if wide else iter(lambda: file.read(_BLOCK_BYTES), b"")
    encoding = "utf-8" if wide or encoding == "utf-8-sig" else encoding
    number = 1
    for position, (piece, oversized, last) in enumerate(_pieces(data)):
        text = piece.removeprefix(codecs.BOM_UTF8) if position == 0 and encoding == "utf-8" else piece
        if oversized:
            kept = text.decode(encoding, "backslashreplace").replace("\0", "\\x00")
            yield _Chunk(number, [kept], {0: "field_too_long"}, last, open_end=False)
            number += 1
            continue
        chunk = _decoded(text, encoding, number, last=last)
        number += len(chunk.lines)
        yield chunk


def _pieces(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool, bool]]:
    """Bytes cut at line ends, as (bytes, whether they are the beginning of a line that is too long, last)."""
    rest, skipping = b"", False
    for data in blocks:
        whole = rest + data
        if skipping:
            # Only the end of the line is of interest; a CR that ends the data may have its LF in the next.
            end = _first_end(whole)
            if not end:
                rest = whole[-1:] if whole.endswith(b"\r") else b""
                continue
            whole, skipping = whole[end:], False
        end = _last_end(whole)
        rest = whole[end:]
        if end:
            yield whole[:end], False, False
        if len(rest) > _MAX_LINE_BYTES:
            yield rest[:MAX_FIELD], True, False
            rest, skipping = b"", True
    yield (b"" if skipping else rest), False, True


def _first_end(data: bytes) -> int:
    ends = [at for at in (data.find(b"\n"), data.find(b"\r", 0, -1)) if at >= 0]
    if not ends:
        return 0
    return min(ends) + (2 if data[min(ends) : min(ends) + 2] == b"\r\n" else 1)


def _last_end(data: bytes) -> int:
    # Looking for a lone CR in every block would cost a second scan of files that have none.
    end = data.rfind(b"\n") + 1
    return end or data.rfind(b"\r", 0, -1) + 1


def _transcoded(file: IO[bytes], encoding: str) -> Iterator[bytes]:
    """UTF-16 and UTF-32 as UTF-8, so that line ends are single bytes."""
    decoder = codecs.getincrementaldecoder(encoding)("backslashreplace")
    while data := file.read(_BLOCK_BYTES):
        yield decoder.decode(data).encode("utf-8", "backslashreplace")
    yield decoder.decode(b"", final=True).encode("utf-8", "backslashreplace")


def _decoded(data: bytes, encoding: str, number: int, *, last: bool) -> _Chunk:
    bad: dict[int, str] = {}
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    open_end = bool(data) and not data.endswith(b"\n")
    try:
        lines = data.decode(encoding).split("\n")
    except UnicodeDecodeError:
        lines = []
        for position, line in enumerate(data.split(b"\n")):
            try:
                lines.append(line.decode(encoding))
            except UnicodeDecodeError:
                lines.append(line.decode(encoding, "backslashreplace"))
                bad[position] = "invalid_utf8"
    if not open_end:
        lines.pop()
    if b"\0" in data:
        for position, line in enumerate(lines):
            if "\0" in line:
                lines[position] = line.replace("\0", "\\x00")
                bad.setdefault(position, "nul_byte")
    return _Chunk(number, lines, bad, last, open_end)


def _delimited(chunks: Iterator[_Chunk], source: FileSource, where: str) -> Reading:
    split = _Whitespace() if source.delimiter == "whitespace" else _Csv(source.delimiter, source.quote)
    header = None if source.header is None else list(source.header)
    if header is None:
        header, chunks = _header(chunks, split, where)
    if header is None:
        return Reading(None, iter(()))
    return Reading([name.strip() for name in header], _records(chunks, split, len(header)))


def _header(
    chunks: Iterator[_Chunk], split: _Whitespace | _Csv, where: str
) -> tuple[list[str] | None, Iterator[_Chunk]]:
    """The first line that is not blank, split; then everything after it."""
    for chunk in chunks:
        for position, line in enumerate(chunk.lines):
            if not line.strip():
                continue
            if position in chunk.bad:
                raise ExtractError(f"{where}: the header line cannot be read ({chunk.bad[position]})")
            rest = replace(
                chunk,
                first=chunk.first + position + 1,
                lines=chunk.lines[position + 1 :],
                bad={at - position - 1: code for at, code in chunk.bad.items() if at > position},
            )
            return split.header(line), itertools.chain([rest], chunks)
    return None, chunks


class _Whitespace:
    """Fields separated by runs of blanks; there are no quotes and no empty fields."""

    def header(self, line: str) -> list[str]:
        return line.split()

    def columns(self, lines: list[str], width: int) -> Sequence[Sequence[str]] | None:
        """Every line as one record, column by column, or None when they are not that simple."""
        rows = [line.split() for line in lines]
        return list(zip(*rows, strict=True)) if set(map(len, rows)) == {width} else None

    def one(self, lines: Sequence[str], at: int) -> tuple[list[str] | str, int]:
        row = lines[at].split()
        return ("field_too_long" if any(len(value) > MAX_FIELD for value in row) else row), 1


class _Csv:
    """Delimited fields with quotes, which may hold delimiters and line ends."""

    def __init__(self, delimiter: str, quote: str) -> None:
        self._options: dict[str, Any] = {"delimiter": delimiter, "strict": True}
        self._options |= {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
        self._delimiter = delimiter
        self._quote = quote
        self._count = methodcaller("count", delimiter)

    def header(self, line: str) -> list[str]:
        forgiving: dict[str, Any] = {**self._options, "strict": False}
        return next(csv.reader([line], **forgiving))

    def columns(self, lines: list[str], width: int) -> Sequence[Sequence[str]] | None:
        """Every line as one record, column by column, or None when they are not that simple."""
        text = self._delimiter.join(lines)
        if width > 1 and not (self._quote and self._quote in text):
            # Without quotes a field is what stands between delimiters: one split of the block instead of a list
            # per line, three times as fast as the csv module.
            if set(map(self._count, lines)) != {width - 1}:
                return None
            return _Split(text, self._delimiter, width)
        try:
            rows = list(csv.reader(lines, **self._options))
        except csv.Error:
            return None
        if len(rows) != len(lines) or set(map(len, rows)) != {width}:
            return None
        return list(zip(*rows, strict=True))

    def one(self, lines: Sequence[str], at: int) -> tuple[list[str] | str, int]:
        """The record that begins at a line and how many lines it takes; instead of fields, a reason code.

        `unfinished` means that a quote was still open at the last of the lines.
        """
        taken = 0

        def tap() -> Iterator[str]:
            nonlocal taken
            for position in range(at, len(lines)):
                taken += 1
                yield lines[position] + "\n"

        try:
            return next(csv.reader(tap(), **self._options)), taken
        except csv.Error as error:
            if "field larger" in str(error):
                # A short line whose field runs on and on has a quote that nobody closed.
                return ("field_too_long" if len(lines[at]) > MAX_FIELD else "truncated_line"), 1
            return ("unfinished" if "unexpected end" in str(error) else "malformed_quotes"), 1


class _Split(Sequence[Sequence[str]]):
    """The columns of lines without quotes, taken apart when the first of them is asked for."""

    def __init__(self, text: str, delimiter: str, width: int) -> None:
        self._text = text
        self._width = width
        self.delimiter = delimiter

    @cached_property
    def _fields(self) -> list[str]:
        return self._text.split(self.delimiter)

    def __getitem__(self, place: Any) -> Any:
        return self._fields[range(self._width)[place] :: self._width]

    def __len__(self) -> int:
        return self._width


def _records(chunks: Iterator[_Chunk], split: _Whitespace | _Csv, width: int) -> Iterator[Block]:
    carried: list[str] = []  # lines of a record whose quote was open at the end of the chunk before
    carried_bad: dict[int, str] = {}
    for chunk in chunks:
        lines, bad, first = chunk.lines, chunk.bad, chunk.first
        if carried:
            first -= len(carried)
            bad = carried_bad | {at + len(carried): code for at, code in bad.items()}
            lines = carried + lines
            carried, carried_bad = [], {}
        if not lines:
            continue
        columns = None if bad or max(map(len, lines)) > MAX_FIELD else split.columns(lines, width)
        if columns is not None:
            delimiter = columns.delimiter if isinstance(columns, _Split) else None
            yield Block(range(first, first + len(lines)), lines, columns, delimiter=delimiter)
            continue
        block, left = _one_by_one(replace(chunk, lines=lines, bad=bad, first=first), split, width)
        carried = lines[left:]
        carried_bad = {at - left: code for at, code in bad.items() if at >= left}
        yield block


def _one_by_one(chunk: _Chunk, split: _Whitespace | _Csv, width: int) -> tuple[Block, int]:
    """A chunk whose lines are not all one good record each; also says from which line on it is unfinished."""
    numbers: list[int] = []
    raws: list[str] = []
    rows: list[list[str]] = []
    broken: list[tuple[int, str, str]] = []
    lines, at = chunk.lines, 0
    while at < len(lines):
        if at not in chunk.bad and not lines[at].strip():
            at += 1
            continue
        row, taken = (chunk.bad[at], 1) if at in chunk.bad else split.one(lines, at)
        if row == "unfinished":
            if not chunk.last and sum(map(len, lines[at:])) <= MAX_FIELD:
                break
            row = "truncated_line"
        code = next((chunk.bad[inner] for inner in range(at, at + taken) if inner in chunk.bad), None)
        if code is None and isinstance(row, str):
            code = row
        elif code is None and len(row) != width:
            cut = chunk.last and chunk.open_end and at + taken == len(lines) and len(row) < width
            code = "truncated_line" if cut else "wrong_field_count"
        raw = "\n".join(lines[at : at + taken])[:MAX_FIELD]
        if code is not None:
            broken.append((chunk.first + at, raw, code))
        else:
            numbers.append(chunk.first + at)
            raws.append(raw)
            rows.append(list(row))
        at += taken
    return Block(numbers, raws, list(zip(*rows, strict=True)) or [()] * width, broken), at


def _json_lines(chunks: Iterator[_Chunk], source: FileSource) -> Reading:
    """JSON Lines have no header: the columns are what the mapping names, and `seen` tells which were there."""
    wanted = list(dict.fromkeys(name for column in source.columns.values() for name in column.source_columns()))
    ids = {
        name
        for contract, column in source.columns.items()
        if source.shape.columns[contract] == "id" and not column.number
        for name in column.source_columns()
    }
    seen: set[str] = set()
    return Reading(wanted, _json_blocks(chunks, wanted, ids, seen), seen)


def _json_blocks(chunks: Iterator[_Chunk], wanted: list[str], ids: set[str], seen: set[str]) -> Iterator[Block]:
    # Numbers keep the digits they were written with: a float would round an amount. NaN and its like are no JSON: they
    # stay numbers, which the gate refuses by name.
    decode = json.JSONDecoder(parse_float=Decimal, parse_constant=Decimal).decode
    paths = [(name, name.split(".")) for name in wanted]
    for chunk in chunks:
        numbers, raws, rows, broken = [], [], [], []
        for position, line in enumerate(chunk.lines):
            if position not in chunk.bad and not line.strip():
                continue
            number, raw = chunk.first + position, line[:MAX_FIELD]
            row: list[str] | str = chunk.bad.get(position, "field_too_long" if len(line) > MAX_FIELD else "")
            row = row or _json_row(line, decode, paths, ids, seen)
            if row == "malformed_json" and chunk.last and chunk.open_end and position == len(chunk.lines) - 1:
                row = "truncated_line"
            if isinstance(row, str):
                broken.append((number, raw, row))
                continue
            numbers.append(number)
            raws.append(raw)
            rows.append(row)
        yield Block(numbers, raws, list(zip(*rows, strict=True)) or [()] * len(wanted), broken)


_ABSENT = object()
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def _json_row(
    line: str, decode: Callable[[str], Any], paths: list[tuple[str, list[str]]], ids: set[str], seen: set[str]
) -> list[str] | str:
    """The wanted values of one JSON object as text, or the reason code of a line that is none."""
    try:
        found = decode(line)
    except (ValueError, RecursionError):
        return "malformed_json"
    if not isinstance(found, dict):
        return "malformed_json"
    values: list[str] = []
    for name, path in paths:
        value: Any = found[name] if name in found else _inner(found, path)
        if value is _ABSENT:
            value = None
        else:
            seen.add(name)  # null is an answer too
        if name in ids and isinstance(value, int | Decimal) and not isinstance(value, bool):
            return "id_is_number"
        text = as_text(value)
        if "\0" in text:
            return "nul_byte"
        if not text.isascii() and _LONE_SURROGATE.search(text):
            return "invalid_utf8"
        values.append(text)
    return values


def _inner(found: Any, path: list[str]) -> Any:
    for part in path:
        if not isinstance(found, dict) or part not in found:
            return _ABSENT
        found = found[part]
    return found
