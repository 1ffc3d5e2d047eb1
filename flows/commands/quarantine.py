"""`reengage quarantine`: lines that were not believed, and routing them again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.console import All, AsOf, Json, console, show_rows, workspace

app = typer.Typer(help="Lines that were not believed: list, show, replay.", no_args_is_help=True)

_LISTED = (
    "quarantine_id", "load_id", "source", "entity", "line_no", "reason", "column_name", "first_seen_at", "replayed_at",
)  # fmt: skip
# What fits a terminal; --json has the rest.
_SHOWN = ("quarantine_id", "source", "line_no", "reason", "column_name")
_COUNTED = ("source", "load_id", "replayed_as", "lines", "accepted", "duplicate", "quarantined", "parked", "erased")

Source = Annotated[str | None, typer.Option(help="Only lines of this source.")]
Entity = Annotated[str | None, typer.Option(help="Only lines of this entity, such as purchases.")]
Reason = Annotated[str | None, typer.Option(help="Only lines with this reason code.")]


@app.command(name="list")
def list_command(
    context: typer.Context,
    source: Source = None,
    entity: Entity = None,
    reason: Reason = None,
    replayed: Annotated[bool, typer.Option(help="Show those replayed already, too.")] = False,
    json: Json = False,
    all_rows: All = False,
) -> None:
    """List quarantined lines, newest first: where they stood and why, nothing of what stands in them."""
    from flows.commands.console import SHOWN_ROWS
    from tasks.store import quarantine

    work = workspace(context)
    choice = quarantine.Choice(source=source, entity=entity, reason=reason)
    with work.database.transaction() as connection:
        rows = quarantine.listing(
            connection, work.queries, choice, replayed=replayed, at_most=None if all_rows else SHOWN_ROWS
        )
    count = rows[0]["total"] if rows else 0
    arguments = {"source": source, "entity": entity, "reason": reason, "replayed": replayed}
    shown = _LISTED if json else _SHOWN
    show_rows(rows, shown, json=json, all_rows=all_rows, arguments=arguments, count=count)


@app.command()
def show(
    context: typer.Context,
    quarantine_id: Annotated[int, typer.Argument(help="Number of the line, from `list`.")],
    json: Json = False,
) -> None:
    """Show one line as it came, personal data included: mind who looks over your shoulder."""
    from tasks.store import quarantine

    work = workspace(context)
    with work.database.transaction() as connection:
        row = quarantine.show(connection, work.queries, quarantine_id)
    if json:
        show_rows([row], list(row), json=True, arguments={"quarantine_id": quarantine_id})
        return
    for name, value in row.items():
        if name != "fields" and value is not None:
            console.print(f"{name.replace('_', ' ')}: {value}", markup=False)
    for name, value in sorted(row["fields"].items()):
        console.print(f"  {name}: {value}", markup=False)


@app.command()
def replay(
    context: typer.Context,
    quarantine_ids: Annotated[list[int] | None, typer.Argument(help="Numbers of lines, from `list`.")] = None,
    source: Source = None,
    entity: Entity = None,
    reason: Reason = None,
    every: Annotated[bool, typer.Option("--every", help="Every line in quarantine.")] = False,
    corrected: Annotated[
        Path | None,
        typer.Option(help='JSON Lines with corrected values: {"quarantine_id": "7", "amount": "12.50"}.'),
    ] = None,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Route lines again with today's mapping and corrected values; blocks of consents that are read now end.

    Lines are judged as of their own load, or --as-of when that is later. The state becomes that of a clean first load.
    """
    from config.sources import FileSource, SqlSource
    from tasks.sources.mapping import Mapper
    from tasks.store import quarantine

    corrections = quarantine.read_corrections(corrected) if corrected else {}
    if not (quarantine_ids or corrections or source or entity or reason or every):
        raise typer.BadParameter("name lines, a filter, --corrected FILE or --every")
    ids = tuple(dict.fromkeys([*(quarantine_ids or ()), *corrections]))
    work = workspace(context)
    choice = quarantine.Choice(ids, source, entity, reason)
    moment = work.instant(as_of)

    def renew(name: str, fields: Mapping[str, str | None]) -> Mapping[str, str | None]:
        source = work.sources.get(name)
        return Mapper.again(source, fields) if isinstance(source, FileSource | SqlSource) else fields

    with work.database.transaction() as connection:
        answers = quarantine.replay(
            connection,
            work.queries,
            work.settings.suppression_key.get_secret_value(),
            choice,
            corrections=corrections,
            renew=renew,
            zones={name: found.time_zone for name, found in work.sources.items() if found.time_zone},
            as_of=moment,
        )
    rows = [
        {
            "source": answer.source,
            "load_id": answer.load_id,
            "replayed_as": str(answer.again),
            "lines": answer.counts.lines_in,
            **{name: getattr(answer.counts, name) for name in _COUNTED[4:]},
        }
        for answer in answers
    ]
    arguments = {
        "quarantine_ids": list(quarantine_ids or ()), "source": source, "entity": entity, "reason": reason,
        "every": every, "as_of": moment,
    }  # fmt: skip
    if json or rows:
        show_rows(rows, _COUNTED, json=json, all_rows=True, arguments=arguments)
    else:
        console.print("nothing to replay")
