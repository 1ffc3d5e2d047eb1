"""Archived reports of providers, line by line: one webhook body or one event each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import IO

from tasks.sources.files import Object, unpacked
from tasks.store.reports import LONGEST_LINE, Line

BLOCK = 500  # lines taken at once
_LONGEST_READ = LONGEST_LINE + 1


@contextlib.contextmanager
def read(entry: Object) -> Iterator[Iterator[list[Line]]]:
    """The lines of one object in blocks, blank ones left out. Raises ExtractError when it is damaged."""
    with unpacked(entry) as file:
        yield _blocks(file)


def _blocks(file: IO[bytes]) -> Iterator[list[Line]]:
    block: list[Line] = []
    for line in _lines(file):
        block.append(line)
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block


def _lines(file: IO[bytes]) -> Iterator[Line]:
    number = 0
    while raw := file.readline(_LONGEST_READ):
        number += 1
        if len(raw) >= _LONGEST_READ and not raw.endswith(b"\n"):
            while (rest := file.readline(_LONGEST_READ)) and not rest.endswith(b"\n"):
                continue
            yield Line(number, raw[:LONGEST_LINE], "field_too_long")
        elif raw.strip():
            yield Line(number, raw.rstrip(b"\r\n"))
