"""How every command prints: tables for people, one JSON object for scripts."""

from __future__ import annotations

import json as json_module
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from tasks.store.workspace import Workspace

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

# The same options wherever a command takes them.
AsOf = Annotated[str | None, typer.Option("--as-of", help="Decide as at this moment: a date, or ISO 8601 with a zone.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
All = Annotated[bool, typer.Option("--all", help="With --json: every row instead of the first 100.")]
SHOWN_ROWS = 100
SHOWN_DECIMALS = 4  # of numbers without end; JSON has all of them


def workspace(context: typer.Context) -> Workspace:
    """The workspace of this invocation, with the folder given before the command."""
    from tasks.store.workspace import Workspace  # SQLAlchemy and pydantic are not needed to print help

    if context.obj is None or "workspace" not in context.obj:
        given = dict(context.obj or {})
        context.obj = {"workspace": Workspace.open(**given)}
    return context.obj["workspace"]


def program(work: Workspace) -> str:
    """How to call us again on the same database: with its folder, where that is not the one we take by ourselves."""
    from config.settings import CHECKOUT, Settings

    folder = work.settings.config.resolve()
    if folder == Settings.model_fields["config"].default.resolve():
        return "reengage"
    shown = folder.relative_to(CHECKOUT) if folder.is_relative_to(CHECKOUT) else folder
    return f"reengage --config {shlex.quote(str(shown))}"


def show_rows(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    title: str = "",
    json: bool = False,
    all_rows: bool = False,
    arguments: Mapping[str, Any] | None = None,
    count: int | None = None,
) -> None:
    """Print rows as a table, or as {arguments, count, rows} with ids as text and instants in UTC (ISO 8601)."""
    rows = list(rows)
    shown = rows if all_rows else rows[:SHOWN_ROWS]
    total = len(rows) if count is None else count
    if json:
        answer = {
            "arguments": plain(arguments or {}),
            "count": total,
            "rows": [{name: plain(row.get(name), name) for name in columns} for row in shown],
        }
        typer.echo(json_module.dumps(answer, ensure_ascii=False))
        return
    headers = [name.replace("_", " ") for name in columns]
    cells = [[_printable(_cell(row.get(name), name)) for name in columns] for row in shown]
    table = Table(
        title=Text(_printable(title)) if title else None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
    )
    for header, width in zip(headers, _widths(headers, cells, console.width), strict=True):
        table.add_column(Text(header), width=width, overflow="fold")
    for line in cells:
        table.add_row(*map(Text, line))  # what people wrote is no markup
    console.print(table)
    if total > len(shown):
        console.print(f"{total - len(shown):,} more; --json --all prints every row")


def _widths(headers: Sequence[str], cells: Sequence[Sequence[str]], room: int) -> list[int]:
    """How wide each column is, so that as few words as possible break and none is cut off."""
    by_column = [[header, *(line[index] for line in cells)] for index, header in enumerate(headers)]
    natural = [max(cell_len(line) for text in column for line in text.split("\n")) for column in by_column]
    widths = [max(cell_len(word) for text in column for word in text.split() or [""]) for column in by_column]
    room -= 3 * len(widths) + 1  # the blanks around and between
    while sum(widths) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    for _ in range(room - sum(widths)):
        neediest = max(range(len(widths)), key=lambda index: natural[index] / max(widths[index], 1))
        if natural[neediest] <= widths[neediest]:
            break
        widths[neediest] += 1
    return widths


def plain(value: Any, name: str = "") -> Any:
    """A value as JSON carries it: instants in UTC, money and ids as text. What is an id shows in its `name`."""
    if _is_id(value, name):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value.tzinfo else value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, name) for inner in value]
    return value


def _is_id(value: Any, name: str) -> bool:
    return isinstance(value, int) and name.endswith(("_id", "_ids"))


def _cell(value: Any, name: str = "") -> str:
    if value is None:
        return ""
    if _is_id(value, name):
        return str(value)  # it is typed again, so it has no thousands commas
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal) and value.is_finite() and len(f"{value:f}".partition(".")[2]) > SHOWN_DECIMALS:
        return f"{value:.{SHOWN_DECIMALS}f}".rstrip("0").rstrip(".")
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    if isinstance(value, list | tuple):
        return ", ".join(_cell(inner) for inner in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_cell(inner)}" for name, inner in value.items())
    return str(value)


def _printable(text: str) -> str:
    """What people wrote moves no cursor and sets no colour: control characters are shown as �."""
    text = text.expandtabs(1)
    return "".join(char if char == "\n" or unicodedata.category(char) != "Cc" else "�" for char in text)
