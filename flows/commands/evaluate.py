"""`reengage evaluate`: measure what came of every campaign."""

from __future__ import annotations

from dataclasses import asdict

import typer

from flows.commands.console import AsOf, Json, console, show_rows, workspace

_COLUMNS = ("campaign", "enrolled", "reached", "in_doubt", "to_come", "not_reached", "held_out")


def evaluate(context: typer.Context, as_of: AsOf = None, json: Json = False) -> None:
    """Measure what came of every campaign, for the dashboard; the same moment again gives the same figures."""
    from tasks import measure  # Prefect takes a second to import
    from tasks.store import mode

    work = workspace(context)
    at = mode.clock(work, work.instant(as_of), decides=False)
    standings = measure.campaigns(work, at)
    if json or standings:
        show_rows(
            [asdict(standing) for standing in standings],
            _COLUMNS,
            title="People of every campaign, each counted once",
            json=json,
            all_rows=True,
            arguments={"as_of": at},
        )
    else:
        console.print("measured: nobody is enrolled in any campaign yet")
