"""`reengage sample`: made-up contacts for people without, in simulated databases only."""

from __future__ import annotations

import typer

from flows.commands.console import AsOf, Json, console, show_rows, workspace

app = typer.Typer(help="Made-up data, in simulated databases only.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Made-up data, in simulated databases only."""


@app.command()
def contacts(context: typer.Context, as_of: AsOf = None, json: Json = False) -> None:
    """Give people without any address made-up ones under example.com, and consents of every kind and of none."""
    from tasks import pull  # Prefect and the database are not needed to print help

    work = workspace(context)
    done = pull.sample_contacts(work, work.instant(as_of))
    rows = [
        {
            "people": done.people,
            "without_consent": done.without_consent,
            **{f"{load.entity}_accepted": load.accepted for load in done.loads},
        }
    ]
    columns = ["people", "without_consent", "customers_accepted", "consents_accepted"]
    show_rows(rows, columns, json=json, arguments={"as_of": work.instant(as_of)})
    if not done.people and not json:
        console.print("everybody has an address or a consent already")
