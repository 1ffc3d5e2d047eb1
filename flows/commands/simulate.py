"""`reengage simulate`: what a campaign does with one customer over time, with the reason of each thing."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer

from flows.commands.console import Json, console, show_rows, workspace

COLUMNS = ("at", "what", "episode", "step", "reason", "detail")


def simulate(
    context: typer.Context,
    campaign: Annotated[str, typer.Argument(help="The campaign's name.")],
    customer: Annotated[str, typer.Option("--customer", help="Whose timeline.")],
    since: Annotated[str, typer.Option("--from", help="From this moment on: a date, or ISO 8601 with a zone.")],
    until: Annotated[str, typer.Option("--to", help="Up to this moment.")],
    every: Annotated[str, typer.Option(help="How often people are chosen, such as 15m, 1h or 1d.")] = "15m",
    json: Json = False,
) -> None:
    """Play choosing, planning and claiming for one customer and print what leaves and what does not, and why.

    Everything is one transaction that is rolled back: nothing is stored, nothing leaves. Rules are today's, facts are
    those known by now.
    """
    from config.errors import ConfigError, Problem
    from tasks.channels import factory
    from tasks.plan import templates
    from tasks.rules.words import reason
    from tasks.store import mode, simulating

    work = workspace(context)
    found = work.campaign(campaign)
    start, end = work.instant(since), work.instant(until)
    length = re.fullmatch(r"(\d+)([mhd])", every)
    if not length or not int(length[1]):
        raise ConfigError(Problem("--every", "must be a whole number with a unit, such as 15m, 1h or 1d"))
    if start is None or end is None or end < start:
        raise ConfigError(Problem("--to", "must not lie before --from"))
    step = int(length[1]) * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[length[2]]
    with work.database.transaction() as connection:
        stored = mode.peek(work, connection) or "live"
        person = simulating.person_id(work, connection, found, customer.strip(), end)
    lines = simulating.timeline(
        work, found, person, start, end, step, templates(work, found).versions(), factory.providers(work, stored)
    )
    rows = [
        {
            "at": line.at,
            "what": line.what,
            "episode": line.episode,
            "step": line.step,
            "reason": line.reason if json or line.reason is None else reason(line.reason),
            "detail": line.detail,
        }
        for line in lines
    ]
    asked = {"campaign": campaign, "customer": customer, "from": start, "to": end, "every": every, "person": person}
    show_rows(rows, COLUMNS, title=f"{campaign} for one customer", json=json, all_rows=True, arguments=asked)
    if not json and person != customer.strip():
        console.print(f"{customer} is the same person as {person}", markup=False)
