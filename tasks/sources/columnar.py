"""Parquet files in record batches, as columns of text."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import IO, Any

from config.sources import FileSource
from tasks.sources.lines import MAX_FIELD
from tasks.sources.mapping import Block, ExtractError, Reading, as_text, number_id

_ROWS = 25_000


def parquet(file: IO[bytes], source: FileSource, where: str) -> Reading:
    """The rows of one Parquet file. Raises ExtractError when it is none, or when an id arrives as a number."""
    import pyarrow as pa  # 100 ms and 50 MB that no other format needs
    import pyarrow.parquet as pq

    try:
        opened = pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError):
        raise ExtractError(f"{where} is no Parquet file or is cut short; nothing was loaded") from None
    schema = opened.schema_arrow
    kinds = dict(zip(schema.names, schema.types, strict=True))
    for contract, column in source.columns.items():
        for name in column.source_columns():
            kind = kinds.get(name)
            numeric = kind is not None and any(
                test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
            )
            if numeric and source.shape.columns[contract] == "id" and not column.number:
                raise number_id(where, name, contract)
    return Reading(list(schema.names), _blocks(opened, where))


def _blocks(opened: Any, where: str) -> Iterator[Block]:
    import pyarrow as pa  # 100 ms and 50 MB that no other format needs

    number = 1
    try:
        for batch in opened.iter_batches(batch_size=_ROWS):
            columns = [_text(column) for column in batch.columns]
            yield _checked(range(number, number + batch.num_rows), columns)
            number += batch.num_rows
    except (pa.ArrowInvalid, OSError):
        raise ExtractError(f"{where} is damaged after row {number - 1:,}; nothing was loaded") from None


def _text(column: Any) -> list[str]:
    import pyarrow as pa  # 100 ms and 50 MB that no other format needs

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [as_text(value) for value in column.to_pylist()]
    try:
        return [value or "" for value in column.cast(pa.large_string()).to_pylist()]
    except UnicodeDecodeError:
        return [as_text(value) for value in column.cast(pa.large_binary()).to_pylist()]


def _checked(numbers: range, columns: list[list[str]]) -> Block:
    """Columns with a raw line made of them; rows that hold NUL, or too much, are broken."""
    raws = list(map("\t".join, zip(*columns, strict=True)))
    good = [len(raw) <= MAX_FIELD and "\0" not in raw for raw in raws]
    if all(good):
        return Block(numbers, raws, columns)
    broken = [
        (number, raw.replace("\0", "\\x00")[:MAX_FIELD], "nul_byte" if "\0" in raw else "field_too_long")
        for number, raw, fine in zip(numbers, raws, good, strict=True)
        if not fine
    ]
    kept = [list(itertools.compress(column, good)) for column in columns]
    return Block(list(itertools.compress(numbers, good)), list(itertools.compress(raws, good)), kept, broken)
