"""`reengage replies`: what people answered that reads like a refusal, until somebody has read it."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.console import SHOWN_ROWS, All, AsOf, Json, console, show_rows, workspace

app = typer.Typer(help="Answers that may be refusals: read them, and settle each.", no_args_is_help=True)

LISTED = ("reply_id", "channel", "occurred_at", "held", "text", "resolution")
SHORT_NAME = 8


@app.command(name="list")
def list_command(
    context: typer.Context,
    resolved: Annotated[bool, typer.Option("--resolved", help="Those already settled too.")] = False,
    json: Json = False,
    all_rows: All = False,
) -> None:
    """List answers that read like a refusal, oldest first; the people who wrote them are held meanwhile."""
    work = workspace(context)
    with work.database.transaction() as connection:
        rows = connection.execute(
            work.queries["ledger/replies_list"](resolved=resolved, most=None if all_rows else SHOWN_ROWS)
        ).mappings().all()  # fmt: skip
    found = rows[0]["found"] if rows else 0
    if json:
        show_rows(rows, LISTED, json=True, all_rows=all_rows, arguments={"resolved": resolved}, count=found)
        return
    if not rows:
        console.print("nothing waits to be read")
        return
    short = [
        {
            "reply": row["reply_id"][:SHORT_NAME],
            "channel": row["channel"],
            "written": f"{row['occurred_at']:%Y-%m-%d %H:%M}",
            "text": row["text"],
            "resolution": (row["resolution"] or "").replace("_", " "),
        }
        for row in rows
    ]
    columns = ("reply", "channel", "written", "text", *(("resolution",) if resolved else ()))
    show_rows(short, columns, all_rows=all_rows, count=found)


@app.command()
def resolve(
    context: typer.Context,
    reply: Annotated[str, typer.Argument(help="The reply's name, or enough of its beginning.")],
    refusal: Annotated[
        bool, typer.Option("--refusal/--no-refusal", help="What you read: they want no more, or something else.")
    ],
    as_of: AsOf = None,
) -> None:
    """Settle an answer: a refusal is a withdrawal from when it was written, anything else lets the person go."""
    from config.errors import ConfigError, Problem
    from tasks.store import mode, replies

    work = workspace(context)
    with work.database.transaction() as connection:
        stored = mode.settle(work, connection)
    moment = mode.clock(work, work.instant(as_of))
    with work.database.transaction() as connection:
        held = replies.resolve(
            connection,
            work.queries,
            reply,
            is_refusal=refusal,
            revoke_all=work.settings.pipeline.revoke_all,
            at=moment if stored == "simulated" else None,
        )
    if held is None:
        raise ConfigError(
            Problem(reply, "names no answer that waits, or more than one; `reengage replies list` shows them")
        )
    people = "nobody was held" if not held else f"{held:,} {'person' if held == 1 else 'people'} held"
    console.print(f"{people}; " + ("withdrawn: nothing more is sent" if refusal else "free again at the next plan"))
