"""`reengage dispatch`: hand over whatever is due, of all campaigns."""

from __future__ import annotations

import typer

from flows.commands.console import AsOf, console, workspace


def dispatch(context: typer.Context, as_of: AsOf = None) -> None:
    """Hand over every message that is due, of all campaigns; safe to run twice, at once, and after any crash."""
    from flows.dispatch import dispatch as story  # Prefect takes a second to import
    from flows.story import using

    work = workspace(context)
    with using(work):
        console.print(story.fn(work.instant(as_of)))
