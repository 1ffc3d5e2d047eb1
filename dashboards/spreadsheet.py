"""A table of a page as a CSV file: numbers as numbers, and nothing in it that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

from dashboards.words import Figure

# A cell that begins so is a formula to a spreadsheet: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"\s*[=+\-@]|[\t\r]")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def as_csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """The table as UTF-8 with the mark by which spreadsheets know it; a column of amounts gets one for the currency."""
    priced = {
        position
        for position in range(len(columns))
        if any(isinstance(row[position], Figure) and row[position].currency for row in rows)
    }
    written = io.StringIO(newline="")
    lines = csv.writer(written)
    lines.writerow(_wide(columns, priced, [f"{title}, currency" for title in columns]))
    for row in rows:
        currencies = [getattr(cell, "currency", None) or "" for cell in row]
        lines.writerow(_wide([_value(cell) for cell in row], priced, currencies))
    return written.getvalue().encode("utf-8-sig")


def _wide(cells: Sequence[Any], priced: set[int], beside: Sequence[str]) -> list[str]:
    """Cells as they are written, with one more after each column of amounts."""
    return [
        harmless(str(each))
        for position, cell in enumerate(cells)
        for each in ((cell, beside[position]) if position in priced else (cell,))
    ]


def _value(cell: str) -> Any:
    return cell.value if isinstance(cell, Figure) else cell


def harmless(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula; numbers stay numbers."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
