"""`reengage ingest`: bring in what is new; release a load that the data gate holds, or read its extract again."""

from __future__ import annotations

from typing import Annotated

import typer

from config.errors import ConfigError, Problem
from flows.commands.console import All, AsOf, Json, console, errors, show_rows, workspace

_COLUMNS = (
    "load_id", "source", "entity", "object", "state", "lines_in", "accepted", "duplicate", "quarantined", "parked",
    "erased", "reason", "reported",
)  # fmt: skip
# What fits 80 columns; a load that is not merged is told below the table.
_SHOWN = ("load_id", "source", "lines_in", "accepted")
_SHOWN_WHERE_ANY = ("duplicate", "quarantined", "parked", "erased")


def ingest(
    context: typer.Context,
    sources: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE ...]", help="Sources; none = all.")] = None,
    as_of: AsOf = None,
    release: Annotated[
        int | None, typer.Option(metavar="LOAD", help="Merge this held load all the same and end what it holds.")
    ] = None,
    again: Annotated[
        int | None, typer.Option(metavar="LOAD", help="Leave out this held load and read what it came from again.")
    ] = None,
    json: Json = False,
    all_rows: All = False,
) -> None:
    """Bring in what is new of the sources: land it, let the gate judge it, merge what passes."""
    from tasks import pull  # Prefect and the database are not needed to print help
    from tasks.step import going_on
    from tasks.store import mode

    work = workspace(context)
    given = {
        "sources": sources or [],
        "as_of": work.instant(as_of),
        "release": release and str(release),
        "again": again and str(again),
    }
    if release is not None and again is not None:
        raise ConfigError(Problem("--again", "a load is released or read again, not both"))
    failures: list[str] = []
    if release is not None:
        loads = [pull.release(work, release)]
    elif again is not None:
        loads = pull.again(work, again, mode.clock(work, work.instant(as_of), decides=False))
        with going_on(pull.MILESTONES_WAIT, failures):
            pull.derive(work)
    else:
        names = pull.in_order(work, sources or [])
        at = mode.clock(work, work.instant(as_of), decides=False)
        loads = []
        if not sources:
            with going_on(pull.RECEIVED_WAIT, failures):
                loads += pull.received(work, at)
        for name in names:
            with console.status(f"{name} ...") if not json else errors.status(f"{name} ..."):
                loads += pull.source(work, name, at)
        with going_on(pull.MILESTONES_WAIT, failures):
            pull.derive(work)
    rows = [{**load.row(), "object": load.object.rpartition("/")[2]} for load in loads]
    if json or rows:
        columns = _COLUMNS if json else (*_SHOWN, *(name for name in _SHOWN_WHERE_ANY if any(r[name] for r in rows)))
        show_rows(rows, columns, json=json, all_rows=all_rows or not json, arguments=given)
    else:
        console.print("nothing new" if work.sources else f"no sources in {work.settings.folder('sources')}")
    if not json:
        for load in loads:
            if load.reason:
                console.print(f"load {load.load_id} of {load.source} is {load.state}: {load.reason}", markup=False)
            if load.reported:
                console.print(f"load {load.load_id} of {load.source}: {load.reported}", markup=False)
        if any(load.state != "merged" for load in loads):
            console.print(
                "Campaigns that read it wait. Mend the source or its mapping and ingest again (what is held: reengage "
                "ingest --again LOAD), or take it as it is: reengage ingest --release LOAD"
            )
    for failure in failures:
        errors.print(failure, markup=False)
    # Released is what was asked for, also where there was nothing to merge.
    if failures or (release is None and any(load.state != "merged" for load in loads)):
        raise typer.Exit(1)
