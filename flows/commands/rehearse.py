"""`reengage test-send`: see a campaign's messages as they would arrive, before anyone else does."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

import typer

from flows.commands.console import AsOf, console, workspace


def send_test(
    context: typer.Context,
    campaign: Annotated[str, typer.Argument(help="The campaign's name.")],
    to: Annotated[str, typer.Option(help="Where to: an address listed in REENGAGE_TEST_RECIPIENTS.")],
    step: Annotated[int | None, typer.Option(help="One step; all of them when left out.")] = None,
    channel: Annotated[str | None, typer.Option(help="One channel; all of them when left out.")] = None,
    customer: Annotated[
        str | None, typer.Option(help="Render for this customer; a made-up person when left out.")
    ] = None,
    as_of: AsOf = None,
) -> None:
    """Render one or all steps and send them to an allow-listed address, outside ledger and evaluation."""
    from config.errors import ConfigError, Problem
    from tasks.channels.base import OutgoingMessage
    from tasks.channels.factory import OUTBOX, open_sender
    from tasks.store.mode import clock, peek
    from tasks.store.rehearsal import rehearse, variant_shown

    work = workspace(context)
    allowed = {address.strip().lower() for address in work.settings.test_recipients}
    if to.strip().lower() not in allowed:
        raise ConfigError(Problem("--to", "is not in REENGAGE_TEST_RECIPIENTS; add it there first"))
    moment = clock(work, work.instant(as_of), writes=False)
    rehearsed = rehearse(work, work.campaign(campaign), moment, customer_id=customer, step=step, channel=channel)
    with work.database.transaction() as connection:
        mode = peek(work, connection)
    sender = open_sender(work, OUTBOX, mode=mode)
    try:
        for message in rehearsed:
            content = message.content
            marked = {
                name: f"[test] {text}" if name in ("subject", "title") else text
                for name, text in content.fields.items()
            }
            attempt = str(uuid4())
            outgoing = OutgoingMessage(
                attempt_id=attempt,
                send_key=f"test-{attempt}",
                channel=content.channel,
                address=to.strip(),
                decided_at=moment,
                fields=marked,
            )
            receipt = sender.send([outgoing])[0]
            console.rule(
                f"step {message.step} {content.channel} {variant_shown(message)}".strip(), align="left", style="dim"
            )
            for name, text in marked.items():
                typer.echo(f"{name}: {text}")
            console.print(f"{receipt.outcome} by the outbox", style="dim")
    finally:
        sender.close()
