"""`reengage pause` and `reengage resume`: a campaign, or everything; the next claim obeys."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from config.errors import ConfigError, Problem
from flows.commands.console import console, workspace

Which = Annotated[str | None, typer.Argument(help="The campaign; everything when left out.")]
Why = Annotated[str | None, typer.Option("--reason", help="Why, for whoever looks.")]
EVERYTHING = "*"


def pause(context: typer.Context, campaign: Which = None, reason: Why = None) -> None:
    """Stop a campaign, or everything, at the next claim, also in the middle of a run; nothing planned is lost."""
    _switch(context, campaign, "paused", reason)


def resume(
    context: typer.Context,
    campaign: Which = None,
    reason: Why = None,
    provider: Annotated[
        str | None, typer.Option(help="Call this provider again although it asked to be left alone; switch nothing.")
    ] = None,
) -> None:
    """Let a paused campaign go on, or lift the pause of everything (campaigns paused by name stay paused)."""
    if provider is None:
        _switch(context, campaign, "active", reason)
    elif campaign is not None or reason is not None:
        raise typer.BadParameter("a rest has no campaign and no reason", param_hint="--provider")
    else:
        _call_again(context, provider)


def _call_again(context: typer.Context, provider: str) -> None:
    work = workspace(context)
    with work.database.transaction() as connection:
        lifted = connection.execute(work.queries["ledger/rest_lift"](provider=provider)).one_or_none()
        resting = [row.provider for row in connection.execute(work.queries["ledger/rests"]()) if row.is_resting]
    if lifted is None:
        left = f"; resting: {', '.join(sorted(resting))}" if resting else "; nobody does"
        raise ConfigError(Problem(provider, f"does not rest{left}"))
    console.print(f"{provider} is called again by the next dispatch, with one message first")


def _switch(
    context: typer.Context, campaign: str | None, state: Literal["paused", "active"], reason: str | None
) -> None:
    work = workspace(context)
    with work.database.transaction() as connection:
        if campaign is not None:
            # A folder with problems may be switched all the same, and one that is gone may be resumed; a name that is
            # neither is a slip of the hand.
            known = {path.parent.name for path in work.settings.folder("campaigns").glob("*/campaign.yaml")}
            before = connection.execute(work.queries["ledger/campaign_state"](campaign=campaign)).one()
            if campaign not in known and not (state == "active" and before.is_paused):
                work.campaign(campaign)
        connection.execute(work.queries["ledger/pause"](campaign=campaign or EVERYTHING, state=state, reason=reason))
        paused = connection.execute(work.queries["ledger/paused"]()).scalars().all()
    what = campaign or "everything"
    console.print(f"{what} is {'paused; planned messages wait' if state == 'paused' else 'active'}")
    if state == "paused" or not paused:
        return
    if campaign is None:
        console.print(f"but for what is paused by name: {', '.join(paused)}; `reengage resume NAME` lets it go on")
    elif EVERYTHING in paused:
        console.print("but everything is paused: `reengage resume` lifts that")
