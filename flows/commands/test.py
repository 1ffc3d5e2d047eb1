"""`reengage test`: run the analysts' cases, no Python needed."""

# ruff: noqa: PT028 - a command of this name, not a test

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.console import All, Json, console, show_rows, workspace


def test(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One SQL file, such as lapsing_customers; none = all.")] = None,
    json: Json = False,
    all_rows: All = False,
) -> None:
    """Run the cases under tests/sql on a scratch database; exit 1 when one fails."""
    from tasks.store import cases

    work = workspace(context)
    found = cases.load(work.root, name)
    with cases.scratch(work) as database:
        outcomes = list(cases.run_all(database, work.queries, found))
    failed = [outcome for outcome in outcomes if outcome.findings]
    if json:
        rows = [
            {
                "query": outcome.case.query,
                "case": outcome.case.name,
                "where": outcome.case.where,
                "passed": not outcome.findings,
                "findings": outcome.findings,
            }
            for outcome in outcomes
        ]
        columns = ["query", "case", "where", "passed", "findings"]
        show_rows(rows, columns, json=True, all_rows=all_rows, arguments={"name": name})
    else:
        for outcome in failed:
            console.print(f"[bold red]failed[/bold red] {outcome.case.where}: {outcome.case.name}", soft_wrap=True)
            for finding in outcome.findings:
                console.print(f"    {finding}", markup=False, soft_wrap=True)
        seconds = sum(outcome.seconds for outcome in outcomes)
        console.print(f"{len(outcomes) - len(failed)} of {len(outcomes)} cases passed in {seconds:.1f} s")
    if failed:
        raise typer.Exit(1)
