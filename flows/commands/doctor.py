"""`reengage doctor`: what data and credentials each campaign needs, and whether they are there."""

from __future__ import annotations

import typer

from flows.commands.console import All, AsOf, Json, console, show_rows, workspace


def doctor(context: typer.Context, as_of: AsOf = None, json: Json = False, all_rows: All = False) -> None:
    """Say what data and credentials each campaign needs, and whether they are there."""
    from tasks.store import mode
    from tasks.store.migrate import pending
    from tasks.store.readiness import needs

    work = workspace(context)
    if pending(work.database):
        console.print("the database is not set up yet: reengage db migrate")
        raise typer.Exit(1)
    answers = needs(work, mode.clock(work, work.instant(as_of), writes=False))
    rows = [{"campaign": a.campaign, "need": a.need, "there": a.there, "detail": a.detail} for a in answers]
    show_rows(rows, ["campaign", "need", "there", "detail"], json=json, all_rows=all_rows or not json)
    if any(answer.there == "no" for answer in answers):
        raise typer.Exit(1)
