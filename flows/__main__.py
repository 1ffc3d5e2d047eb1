"""The `reengage` command line: every command is in flows/commands, this file lists them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from config.errors import ConfigError, ReengageError
from flows.commands import (
    campaign,
    check,
    database,
    demo,
    dispatch,
    doctor,
    erase,
    evaluate,
    hooks,
    ingest,
    pause,
    quarantine,
    rehearse,
    replies,
    run,
    sample,
    segment,
    sends,
    simulate,
    test,
    up,
    why,
)
from flows.commands.console import errors

# Everything we ship keeps quiet towards the outside; set before any of the libraries is imported.
for variable in ("PREFECT_SERVER_ANALYTICS_ENABLED", "GX_ANALYTICS_ENABLED", "STREAMLIT_BROWSER_GATHER_USAGE_STATS"):
    os.environ.setdefault(variable, "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

app = typer.Typer(
    name="reengage",
    help="Re-engagement as code: who, may we, what, and what came of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

GROUPS = {
    "db": database.app,
    "campaign": campaign.app,
    "segment": segment.app,
    "sends": sends.app,
    "replies": replies.app,
    "quarantine": quarantine.app,
    "sample": sample.app,
}
COMMANDS = {
    "demo": demo.demo,
    "up": up.up,
    "run": run.run,
    "dispatch": dispatch.dispatch,
    "plan": run.plan,
    "simulate": simulate.simulate,
    "why": why.why,
    "pause": pause.pause,
    "resume": pause.resume,
    "ingest": ingest.ingest,
    "hooks": hooks.hooks,
    "evaluate": evaluate.evaluate,
    "erase": erase.erase,
    "doctor": doctor.doctor,
    "check": check.check,
    "test": test.test,
    "test-send": rehearse.send_test,
}

for name, group in GROUPS.items():
    app.add_typer(group, name=name)
for name, command in COMMANDS.items():
    app.command(name=name)(command)


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Configuration folder (REENGAGE_CONFIG).")] = None,
) -> None:
    """Options that stand before the command."""
    context.obj = {"config": config} if config else {}


# What PostgreSQL answers when a schema, a table, a column or a function is not there.
NOT_MIGRATED = frozenset({"3F000", "42P01", "42703", "42883"})


def main() -> None:
    """Run the command line; 0 done, 1 the run failed, 2 wrong usage or configuration."""
    try:
        app()
    except ConfigError as error:
        errors.print(f"[bold red]{len(error.problems)} problem(s) to fix[/bold red]")
        for problem in error.problems:
            errors.print(f"  {problem}", markup=False, soft_wrap=True)  # a path stays whole, for grep too
        sys.exit(error.exit_code)
    except ReengageError as error:
        errors.print(str(error), markup=False)
        sys.exit(error.exit_code)
    except Exception as error:
        # The database's own words can quote a row; only its first line is fit to be shown.
        if "sqlalchemy" not in sys.modules:
            raise
        from sqlalchemy.exc import DBAPIError

        from tasks.store.engine import scrubbed

        if not isinstance(error, DBAPIError):
            raise
        errors.print(f"the database refused: {scrubbed(error)}", markup=False)
        if getattr(error.orig, "pgcode", None) in NOT_MIGRATED:
            errors.print("its schema is missing or older than this version: reengage db migrate", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
