"""`reengage sends`: what the ledger holds, message by message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from flows.commands.console import SHOWN_ROWS, All, AsOf, Json, console, show_rows, workspace

if TYPE_CHECKING:
    from tasks.store.ledger import Ledger
    from tasks.store.workspace import Workspace

app = typer.Typer(
    help="The send ledger: list messages, show one with its attempts, settle a doubt, try the missed again.",
    no_args_is_help=True,
)

STATES = (
    "planned", "in_flight", "retry_wait", "accepted", "unknown", "abandoned", "rejected", "suppressed", "cancelled",
    "expired",
)  # fmt: skip
LISTED = (
    "send_key", "campaign", "customer_id", "step", "channel", "state", "reason", "due_at", "not_before", "claimed_at",
    "accepted_at", "billable", "hours_in_doubt",
)  # fmt: skip
# What fits 80 columns; --json and `show` tell everything.
SHOWN = ("key", "campaign", "customer", "step", "what_became_of_it")
ATTEMPTED = ("attempt_no", "channel", "outcome", "reason", "decided_at", "reports")
CONSENTED = ("consent_basis", "consent_at", "consent_source", "consent_wording")
SHORT_KEY = 8
SHORT_NAME = 16


def _known(option: str, value: str | None, known: Sequence[str]) -> None:
    """A misspelt filter would match nothing and look like good news."""
    if value is not None and value not in known:
        raise typer.BadParameter(f"there is no {value}; there are: {', '.join(known)}", param_hint=option)


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
    from config.campaign import Channel
    from tasks.store import mode

    _known("--state", state, STATES)
    _known("--channel", channel, get_args(Channel))

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
    short = [
        {
            "key": row["send_key"][:SHORT_KEY],
            "campaign": _short(row["campaign"]),
            "customer": _short(row["customer_id"]),
            "step": row["step"] if "." in row["step"] else f"{row['step']} {row['channel']}",
            "what_became_of_it": _became(row),
        }
        for row in rows
    ]
    campaigns = {row["campaign"] for row in rows}
    columns = [name for name in SHOWN if name != "campaign" or len(campaigns) > 1]
    title = next(iter(campaigns)) if len(campaigns) == 1 else ""
    show_rows(short, columns, title=title, all_rows=all_rows, count=found)
    for row in counts:
        console.print(f"{row['messages']:>9,}  {_state(row)}")
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
    """Show one message with every attempt, the consent it rested on and what the provider reported."""
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
        {
            name: row[name if name in ("attempt_no", "reports") else f"attempt_{name}"]
            for name in (*ATTEMPTED, *CONSENTED)
        }
        for row in rows
        if row["attempt_no"] is not None
    ]
    send = {name: value for name, value in rows[0].items() if name != "reports" and not name.startswith("attempt_")}
    if json:
        show_rows([{**send, "attempts": attempts}], (*send, "attempts"), json=True, arguments={"send_key": send_key})
        return
    show_rows([{"field": name.replace("_", " "), "value": value} for name, value in send.items()], ("field", "value"))
    show_rows(attempts, ATTEMPTED, title="attempts")
    if any(attempt["consent_basis"] for attempt in attempts):
        show_rows(attempts, ("attempt_no", *CONSENTED), title="by consent, as it was in force then")


@app.command()
def resolve(
    context: typer.Context,
    send_key: Annotated[str, typer.Argument(help="The key of a message in doubt, or enough of its beginning.")],
    accepted: Annotated[
        bool, typer.Option("--accepted/--not-accepted", help="What you found out: the provider took it, or never did.")
    ],
    as_of: AsOf = None,
) -> None:
    """Settle a message in doubt by what you found out at the provider; one that never came is tried again."""
    from config.errors import ConfigError, Problem

    work = workspace(context)
    ledger = _ledger(work, work.instant(as_of))
    with work.database.transaction() as connection:
        found = connection.execute(work.queries["ledger/sends_show"](send_key=send_key)).mappings().all()
        keys = {row["send_key"] for row in found}
        if len(keys) != 1 or not ledger.resolve(connection, keys.pop(), was_accepted=accepted):
            raise ConfigError(
                Problem(
                    send_key,
                    "is no message in doubt (`reengage sends list --state unknown` lists those); what was given up "
                    "stays so unless the provider took it",
                )
            )
        row = connection.execute(work.queries["ledger/sends_show"](send_key=send_key)).mappings().first()
    state = row["state"] if row else "settled"
    if state in ("unknown", "abandoned"):
        console.print("noted; it is settled when the lease of its last attempt has ended")
    else:
        console.print(f"{state.replace('_', ' ')} now")


@app.command(name="resend-missed")
def resend_missed(
    context: typer.Context,
    campaign: Annotated[str | None, typer.Argument(help="One campaign; all of them when left out.")] = None,
    since: Annotated[str, typer.Option(help="Ended on or after this day or instant.")] = "2000-01-01",
    yes: Annotated[bool, typer.Option("--yes", help="Plan them again; without it they are only counted.")] = False,
    as_of: AsOf = None,
) -> None:
    """Plan messages again that certainly nobody got: refused or expired, never in doubt, nobody said no."""
    from tasks.rules.words import reason

    work = workspace(context)
    begin = work.instant(since)
    ledger = _ledger(work, work.instant(as_of))
    with work.database.transaction() as connection:
        missed = ledger.missed(connection, campaign, begin)  # ty: ignore[invalid-argument-type] - since is never None
        counts = Counter((row.campaign, row.state, reason(row.reason) if row.reason else "") for row in missed)
        rows = [
            {"campaign": name, "state": state, "why": why, "messages": number}
            for (name, state, why), number in sorted(counts.items())
        ]
        planned = ledger.resend(connection, missed) if yes else 0
    if not rows:
        console.print("nothing was missed")
        return
    show_rows(rows, ("campaign", "state", "why", "messages"))
    console.print(f"{planned:,} planned again" if yes else "add --yes to plan them again")


def _ledger(work: Workspace, at: datetime | None) -> Ledger:
    """The ledger of every campaign, under the decision clock of a command that writes."""
    from tasks.channels import factory
    from tasks.store import mode
    from tasks.store.ledger import Clock, Ledger, Limits

    with work.database.transaction() as connection:
        stored = mode.settle(work, connection)
    moment = mode.clock(work, at)
    return Ledger(
        work.queries,
        work.campaigns,
        clock=Clock(moment if stored == "simulated" else None),
        business_zone=str(work.settings.business_zone),
        address_key=work.settings.suppression_key.get_secret_value(),
        providers=factory.providers(work, stored),
        limits=Limits(),
    )


def _state(row: Mapping[str, Any]) -> str:
    return row["state"].replace("_", " ") + (f" ({row['reason']})" if row["reason"] else "")


def _became(row: Mapping[str, Any]) -> str:
    return _state(row) + (f", {row['hours_in_doubt']} h" if row["hours_in_doubt"] is not None else "")


def _short(name: str) -> str:
    """A name that keeps its column narrow; --json has all of it."""
    return name if len(name) <= SHORT_NAME else f"{name[: SHORT_NAME - 1]}…"
