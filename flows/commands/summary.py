"""What `reengage demo` says at the end: who was reached, who was not and why, and whether it helped."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from config.campaign import QUALIFIED, Campaign
from config.settings import CHECKOUT
from dashboards import words
from flows.commands.console import console
from tasks.rules import statistics

if TYPE_CHECKING:
    from tasks.store.workspace import Workspace

Rows = Sequence[Any]
Read = Callable[..., Rows]
ATTRIBUTION_HOURS = 24
MOST_REASONS = 6


def show(work: Workspace, until: datetime, *, hours: int, seconds: float) -> None:
    """Print the summary of every campaign that enrolled anybody, as evaluated at `until`, and how to go on.

    Lift is that within `hours`.
    """
    with work.database.transaction() as connection:

        def read(name: str, **given: Any) -> Rows:
            return connection.execute(work.queries[f"dashboards/{name}"](**given)).all()

        awake = [row.campaign for row in read("campaigns") if row.campaign in work.campaigns]
        for campaign in awake:
            console.print(f"\n[bold]{words.title(campaign)}[/bold], up to {_day(work, until)}")
            _people(read, campaign)
            if work.campaigns[campaign].retargeting:
                _retargets(read("retargets", campaign=campaign))
            _lift(read, work.campaigns[campaign], hours)
            _credited(read, campaign)
            _audiences(read, campaign)
        in_doubt = sum(
            row.sends for campaign in awake for row in read("open_sends", campaign=campaign) if row.state == "unknown"
        )
        campaign = next(iter(awake or work.campaigns), "CAMPAIGN")
        someone = _someone(connection, campaign)
        lines = connection.execute(work.queries["evaluation/lines"]()).one()
    console.print(
        f"\n  In doubt {in_doubt:,} · {lines.quarantined:,} of {lines.lines_in:,} lines set aside by the data gate · "
        f"took {seconds:.0f} seconds"
    )
    _how_to_go_on(work, campaign, someone, until)


def _people(read: Read, campaign: str) -> None:
    rows = read("people", campaign=campaign)
    standing = {name: sum(row.people for row in rows if row.standing == name) for name in words.STANDINGS}
    by_channel = [
        f"{words.channel(row.value)} {row.reached:,}"
        for row in sorted(
            read("attributed_people", campaign=campaign, hours=ATTRIBUTION_HOURS), key=lambda r: -r.reached
        )
        if row.grain == "channel"
    ]
    _line(sum(standing.values()), "people enrolled")
    _line(standing["reached"], "reached", " · ".join(by_channel))
    _line(standing["not_reached"], "not reached")
    reasons: dict[str, int] = {}
    for row in rows:
        if row.standing == "not_reached":
            reason = words.why(row.state, row.reason)
            reasons[reason] = reasons.get(reason, 0) + row.people
    for reason, people in sorted(reasons.items(), key=lambda entry: -entry[1])[:MOST_REASONS]:
        console.print(f"            {people:>7,}  {reason}", style="dim")
    if standing["to_come"]:
        _line(standing["to_come"], "still to come")
    _line(standing["holdout"], "held out, to measure what the messages do")


def _retargets(rows: Rows) -> None:
    """Each counts what came before the next one left."""
    if rows:
        console.print("\n  What each retarget brought")
    for row in rows:
        followed = f"{row.answered:,} answered, {row.qualified:,} qualified"
        console.print(f"    {words.order(row.retarget)} {row.leads:>6,} leads: {followed}")


def _lift(read: Read, campaign: Campaign, hours: int) -> None:
    arms = {row.arm: row for row in read("arms", campaign=campaign.name, hours=hours)}
    treated, held_out = arms.get("treated"), arms.get("holdout")
    if not treated or not held_out or not treated.people or not held_out.people:
        console.print(f"\n  Nobody is {hours} hours past enrolment in both groups yet, so there is nothing to compare.")
        return
    what = "Qualified" if campaign.goal.event == QUALIFIED else "Came back"
    console.print(f"\n  {what} within {hours} hours of being enrolled")
    for name, arm in (("treated", treated), ("held out", held_out)):
        share = words.percent(float(arm.conversions) / float(arm.people))
        console.print(f"    {name:<9} {share:>7}   ({int(arm.conversions):,} of {int(arm.people):,})")
    lift = statistics.newcombe(
        int(treated.conversions), int(treated.people), int(held_out.conversions), int(held_out.people)
    )
    if lift.excludes_zero:
        verdict = "the messages bring people back" if lift.low > 0 else "the messages keep people away"
    else:
        verdict = "not enough people yet to be sure"
    console.print(
        f"    [bold]{words.points(lift.estimate)} points[/bold] "
        f"(95 % sure: {words.points(lift.low)} to {words.points(lift.high)}): {verdict}"
    )


def _credited(read: Read, campaign: str) -> None:
    totals = read("attributed_totals", campaign=campaign, hours=ATTRIBUTION_HOURS)
    if totals:
        purchases = sum(int(row.purchases) for row in totals)
        money = " · ".join(words.money(float(row.revenue), row.currency) for row in totals[:3])
        others = len(totals) - 3
        more = f" and {others} more {'currency' if others == 1 else 'currencies'}" if others > 0 else ""
        console.print(f"\n  Bought within {ATTRIBUTION_HOURS} hours of a message: {purchases:,} purchases")
        console.print(f"    {money}{more}")


def _audiences(read: Read, campaign: str) -> None:
    sizes = [f"{words.channel(row.platform)} {row.applied:,}" for row in read("audiences", campaign=campaign)]
    if sizes:
        console.print(f"  In ad audiences now: {' · '.join(sizes)}")


def _line(count: int, what: str, more: str = "") -> None:
    console.print(f"    [bold]{count:>7,}[/bold]  {what}{f'   {more}' if more else ''}")


def _day(work: Workspace, moment: datetime) -> str:
    return moment.astimezone(work.settings.business_zone).strftime("%-d %B %Y, %H:%M")


def _how_to_go_on(work: Workspace, campaign: str, someone: str | None, until: datetime) -> None:
    folder = work.settings.config.resolve()
    shown = folder.relative_to(CHECKOUT) if folder.is_relative_to(CHECKOUT) else folder
    program = "reengage" if shutil.which("reengage") else os.path.relpath(sys.argv[0])
    console.print("\n  Where to look next (all of this stays until the next demo)")
    for command, what in (
        ("up", "the dashboard, and every flow run in Prefect"),
        (f"plan {campaign}", "who would be written to next, and why not the others"),
        (f"why {someone} {campaign}" if someone else "", "every gate for one person"),
        ("sends list", "the ledger, message by message"),
        ("quarantine list", "the lines that the data gate set aside"),
        (
            f"segment preview {work.campaigns[campaign].segment} --as-of {until:%Y-%m-%d}" if work.campaigns else "",
            "who is late, straight from the SQL",
        ),
    ):
        if command:
            console.print(f"    {program} --config {shown} [bold]{command}[/bold]", soft_wrap=True)
            console.print(f"        {what}", style="dim")


def _someone(connection: sa.Connection, campaign: str) -> str | None:
    """A person whose case is worth a look: one who could not be written to."""
    columns = (sa.column("customer_id"), sa.column("state"), sa.column("campaign"))
    decisions = sa.table("decisions", *columns, schema="campaign")
    return connection.execute(
        sa.select(sa.func.min(decisions.c.customer_id)).where(
            decisions.c.state == "suppressed", decisions.c.campaign == campaign
        )
    ).scalar()
