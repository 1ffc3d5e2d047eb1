"""`reengage sends`: what the ledger holds, message by message."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.commands.console import SHOWN_ROWS, All, AsOf, Json, console, show_rows, workspace

app = typer.Typer(help="The send ledger: list messages, show one with its attempts.", no_args_is_help=True)

LISTED = (
    "send_key", "campaign", "customer_id", "step", "channel", "state", "reason", "due_at", "not_before", "claimed_at",
    "accepted_at", "hours_in_doubt",
)  # fmt: skip
# What fits a terminal; --json tells everything.
SHOWN = ("send_key", "campaign", "customer_id", "step", "channel", "state", "reason", "due_at", "hours_in_doubt")
ATTEMPTED = ("attempt_no", "channel", "outcome", "reason", "decided_at", "reports")
SHORT_KEY = 12


@app.command(name="list")
def list_command(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="Such as planned, accepted, unknown (in doubt).")] = None,
    campaign: Annotated[str | None, typer.Option(help="One campaign.")] = None,
    channel: Annotated[str | None, typer.Option(help="One channel.")] = None,
    as_of: AsOf = None,
    json: Json = False,
    all_rows: All = False,
) -> None:
    """List messages, newest first, with how many are in doubt and for how long."""
    from tasks.store import mode

    work = workspace(context)
    at = mode.clock(work, work.instant(as_of), writes=False)
    with work.database.transaction() as connection:
        rows = connection.execute(
            work.queries["ledger/sends_list"](
                state=state, campaign=campaign, channel=channel, at=at, most=None if all_rows else SHOWN_ROWS
            )
        ).mappings().all()  # fmt: skip
        counts = connection.execute(work.queries["ledger/sends_counts"](campaign=campaign, at=at)).mappings().all()
    found = rows[0]["found"] if rows else 0
    if json:
        arguments = {"state": state, "campaign": campaign, "channel": channel, "as_of": at}
        show_rows(rows, LISTED, json=True, all_rows=all_rows, arguments=arguments, count=found)
        return
    if not rows:
        console.print("no message matches")
        return
    short = [{**row, "send_key": row["send_key"][:SHORT_KEY]} for row in rows]
    shown = [name for name in SHOWN if name != "hours_in_doubt" or any(row[name] is not None for row in rows)]
    show_rows(short, shown, all_rows=all_rows, count=found)
    for row in counts:
        words = row["state"].replace("_", " ") + (f" ({row['reason']})" if row["reason"] else "")
        console.print(f"{row['messages']:>9,}  {words}")
    doubts = [row for row in counts if row["oldest_doubt_hours"] is not None]
    if doubts:
        oldest = max(row["oldest_doubt_hours"] for row in doubts)
        total = sum(row["messages"] for row in doubts)
        console.print(f"{total:,} in doubt, the oldest for {oldest} hours; reports of the provider settle them")


@app.command()
def show(
    context: typer.Context,
    send_key: Annotated[str, typer.Argument(help="The key, or enough of its beginning.")],
    json: Json = False,
) -> None:
    """Show one message with every attempt and what the provider reported."""
    from config.errors import ConfigError, Problem

    work = workspace(context)
    with work.database.transaction() as connection:
        rows = connection.execute(work.queries["ledger/sends_show"](send_key=send_key)).mappings().all()
    keys = {row["send_key"] for row in rows}
    if len(keys) != 1:
        raise ConfigError(
            Problem(send_key, "no such message" if not keys else "begins more than one key; give more of it")
        )
    attempts = [
        {name: row[name if name in ("attempt_no", "reports") else f"attempt_{name}"] for name in ATTEMPTED}
        for row in rows
        if row["attempt_no"] is not None
    ]
    send = {name: value for name, value in rows[0].items() if name != "reports" and not name.startswith("attempt_")}
    if json:
        show_rows([{**send, "attempts": attempts}], (*send, "attempts"), json=True, arguments={"send_key": send_key})
        return
    show_rows([{"field": name.replace("_", " "), "value": value} for name, value in send.items()], ("field", "value"))
    show_rows(attempts, ATTEMPTED, title="attempts")
