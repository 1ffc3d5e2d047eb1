"""`reengage test-send`: see a campaign's messages as they would arrive, before anyone else does."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Annotated
from uuid import uuid4

import typer

from flows.commands.console import AsOf, console, workspace


def send_test(
    context: typer.Context,
    campaign: Annotated[str, typer.Argument(help="The campaign's name.")],
    to: Annotated[
        str,
        typer.Option(
            help="An entry of REENGAGE_TEST_RECIPIENTS: an email, a number, apns:TOKEN, fcm:TOKEN, "
            "webpush:SUBSCRIPTION, or customer:ID for that person's own addresses and newest device."
        ),
    ],
    step: Annotated[int | None, typer.Option(help="One step; all of them when left out.")] = None,
    channel: Annotated[str | None, typer.Option(help="One channel; all of them when left out.")] = None,
    customer: Annotated[
        str | None, typer.Option(help="Render for this customer; a made-up person when left out.")
    ] = None,
    as_of: AsOf = None,
) -> None:
    """Render one or all steps and send them to whom the list of testers names, outside ledger and evaluation."""
    from config.providers import OUTBOX
    from tasks.channels.base import OutgoingMessage
    from tasks.channels.factory import open_sender, providers
    from tasks.rules.words import reason
    from tasks.store.mode import clock, peek
    from tasks.store.rehearsal import rehearse, variant_shown, ways

    work = workspace(context)
    moment = clock(work, work.instant(as_of), writes=False)
    found = work.campaign(campaign)
    reached = ways(work, to, moment, found.purpose)
    rehearsed = rehearse(work, found, moment, customer_id=customer, step=step, channel=channel)
    with work.database.transaction() as connection:
        mode = peek(work, connection)
    delivers = providers(work, mode)
    with contextlib.ExitStack() as stack:
        senders = {}
        for name in {delivers.get(channel, OUTBOX) for channel in reached}:
            senders[name] = open_sender(work, name, mode=mode)
            stack.callback(senders[name].close)
        for message in rehearsed:
            content = message.content
            marked = {
                name: f"[test] {text}" if name in ("subject", "title") else text
                for name, text in content.fields.items()
            }
            console.rule(
                f"step {message.step} {content.channel} {variant_shown(message)}".strip(), align="left", style="dim"
            )
            for name, text in marked.items():
                typer.echo(f"{name}: {text}")
            way = reached.get(content.channel)
            if way is None:
                console.print("not sent: --to names no way to be reached on this channel", style="dim")
                continue
            attempt = str(uuid4())
            outgoing = OutgoingMessage(
                attempt_id=attempt,
                send_key=f"test-{attempt}",
                channel=content.channel,
                address=way.address,
                platform=way.platform,
                decided_at=moment,
                fields=marked,
                campaign=campaign,
                deliver_by=moment + timedelta(days=1),
                purpose=found.purpose,
            )
            provider = delivers.get(content.channel, OUTBOX)
            receipt = senders[provider].send([outgoing])[0]
            by = "the outbox" if provider == OUTBOX else provider
            told = f" ({reason(receipt.reason)})" if receipt.reason else ""
            console.print(f"{receipt.outcome} by {by}{told}", style="dim")
