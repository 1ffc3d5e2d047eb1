"""`reengage check`: everything under config/ and sql/, all findings in one report."""

from __future__ import annotations

import typer

from flows.commands.console import Json, console, show_rows, workspace


def check(context: typer.Context, json: Json = False) -> None:
    """Check everything under config/ and sql/; every finding in one report, exit 2 when something is wrong."""
    from tasks.rules.errors import ConfigError
    from tasks.store.review import review

    work = workspace(context)
    answer = review(work)
    if json:
        rows = [
            {"kind": kind, "where": problem.where, "what": problem.what}
            for kind, found in (("error", answer.problems), ("warning", answer.warnings))
            for problem in found
        ]
        show_rows(rows, ["kind", "where", "what"], json=True, all_rows=True, arguments=answer.read)
        if answer.problems:
            raise typer.Exit(2)
        return
    for problem in answer.warnings:
        console.print(f"warning: {problem}", markup=False)
    if answer.problems:
        raise ConfigError(*answer.problems)
    read = ", ".join(f"{what} {count:,}" for what, count in answer.read.items() if what not in ("settings", "messages"))
    console.print(f"nothing to fix: {read}")
    for entry in work.settings.pipeline.sensitive:
        if entry.shown_because:
            console.print(f"segments see {entry.what}, because: {entry.shown_because}", markup=False)
