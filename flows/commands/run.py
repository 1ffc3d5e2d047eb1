"""`reengage run` and `reengage plan`: one campaign from choosing to sending, or what that would do."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.commands.console import All, AsOf, Json, console, show_rows, workspace
from tasks.rules.words import KEPT
from tasks.rules.words import reason as in_words

if TYPE_CHECKING:
    from config.campaign import Campaign
    from tasks.store.audiences import Deleted, Pending
    from tasks.store.planning import Cost
    from tasks.store.workspace import Workspace

Name = Annotated[str, typer.Argument(help="The campaign's name.", metavar="CAMPAIGN")]
COLUMNS = ("what", "step", "channel", "reason", "people", "new")
COST_COLUMNS = ("cost", "currency")
AUDIENCE_COLUMNS = ("platform", "audience", "remove", "add", "note")


def run(
    context: typer.Context,
    campaign: Name,
    as_of: AsOf = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen; store and send nothing.")] = False,
    json: Json = False,
) -> None:
    """Choose and plan, let the audiences follow, then hand over what is due of this campaign. Safe to run twice."""
    from flows.reengage import reengage as story  # Prefect takes a second to import
    from flows.story import using
    from tasks import send
    from tasks.rules.errors import Superseded
    from tasks.store import mode, runs

    work = workspace(context)
    moment = work.instant(as_of)
    if dry_run:
        _show_plan(work, work.campaign(campaign), moment, json=json, all_rows=True)
        return
    found = work.campaign(campaign)
    at = mode.clock(work, moment)
    sent, superseded = None, []
    try:
        with using(work):
            if moment is not None:
                # Simulated: what was due since the last run leaves first, as the dispatches in between would have
                # sent it; nothing leaves before the run that decided it, and nothing for a run that comes too late.
                earlier = None if runs.is_late(work, "reengage", found, at) else send.due(work, at, campaign)
                counts = story.fn(campaign, as_of=at)
                sent = send.due(work, at, campaign)
                if earlier:
                    sent.counts += earlier.counts
            else:
                counts = story.fn(campaign)
                sent = send.due(work, None, campaign)
    except Superseded as why:
        if not json:
            console.print(str(why), markup=False)
            return
        counts, superseded = {}, [{"what": "superseded", "reason": str(why)}]
    rows = [
        *superseded,
        *_counted(counts),
        *({"what": "dispatch", "reason": name, "people": n} for name, n in _sent(sent)),
    ]
    title = f"{found.name} as of {at:%Y-%m-%d %H:%M} UTC"
    show_rows(
        rows,
        COLUMNS[:-1],
        title=title,
        json=json,
        all_rows=True,
        arguments={"campaign": campaign, "as_of": at, "dry_run": False},
    )


def plan(context: typer.Context, campaign: Name, as_of: AsOf = None, json: Json = False, all_rows: All = False) -> None:
    """Show what a run would do now: whom it enrols, what leaves on which channel, who gets nothing and why."""
    work = workspace(context)
    _show_plan(work, work.campaign(campaign), work.instant(as_of), json=json, all_rows=all_rows)


def _show_plan(work: Workspace, campaign: Campaign, as_of: datetime | None, *, json: bool, all_rows: bool) -> None:
    from tasks.channels import factory
    from tasks.plan import templates
    from tasks.platforms import factory as platforms
    from tasks.store import audiences, choosing, legal, planning, prices, runs

    versions = templates(work, campaign).versions()
    with runs.rehearse(work, campaign, as_of) as (rehearsal, connection):
        legal.refresh(work, connection)
        prices.refresh(work, connection)
        chosen = choosing.choose(rehearsal, connection)
        providers = factory.providers(work, rehearsal.mode)
        planned = planning.plan(rehearsal, connection, versions, providers, everybody=True)
        costs = planning.costs(rehearsal, connection)
        may_add = chosen.standing.is_on and not chosen.standing.is_held
        wanted = audiences.desire(work, connection, campaign, rehearsal.as_of, rehearsal.run_id, may_add=may_add)
        told = [
            (audience, audiences.deleted(work.queries, connection, audience, provider))
            for audience in wanted
            for provider in [platforms.provider(work, audience.platform, rehearsal.mode)]
        ]
    rows = _counted({"choose": chosen.counts()})
    for row in planned.rows:
        what = {"planned": "message", "suppressed": "no message", "holdout": "held out"}.get(row["state"], row["state"])
        rows.append({**row, "what": what, "new": row["changed"]})
    if campaign.voucher:
        rows.append({"what": "voucher", "reason": campaign.voucher.code, "people": planned.states.get("planned", 0)})
    rows += map(_cost, costs)
    if json:
        rows += [row for audience, deleted in told for row in _changes(audience, deleted)]
    at = rehearsal.as_of
    show_rows(
        rows,
        (*COLUMNS, "audience", *COST_COLUMNS) if json else (*COLUMNS, *COST_COLUMNS) if costs else COLUMNS,
        title=f"{campaign.name} as of {at:%Y-%m-%d %H:%M} UTC; nothing was stored",
        json=json,
        all_rows=all_rows,
        arguments={"campaign": campaign.name, "as_of": at},
    )
    if told and not json:
        changes = [_change(audience, deleted) for audience, deleted in told]
        show_rows(changes, AUDIENCE_COLUMNS, title="What ad audiences would be told", all_rows=True)


def _change(audience: Pending, deleted: Deleted | None) -> dict[str, Any]:
    """Who would leave and join one audience, and who belongs in it and was just found not to be tellable."""
    notes = [f"{in_words(why)}: {people:,}" for why, people in sorted(audience.refused.items())]
    if audience.kept:
        notes.append(f"{audience.kept:,} {KEPT}")
    if waits := _waits(deleted):
        notes.append(waits)
    return {
        "platform": audience.platform, "audience": audience.audience, "remove": audience.removes,
        "add": audience.adds, "note": "; ".join(notes),
    }  # fmt: skip


def _changes(audience: Pending, deleted: Deleted | None) -> list[dict[str, Any]]:
    """The same as rows of counts."""
    counts = [
        ("removed", None, audience.removes),
        (KEPT, None, audience.kept),
        ("added", _waits(deleted), audience.adds),
        *(("refused", why, people) for why, people in sorted(audience.refused.items())),
    ]
    where = {"channel": audience.platform, "audience": audience.audience}
    return [
        {"what": _AUDIENCE[what], **where, "reason": why, "people": people} for what, why, people in counts if people
    ]


def _waits(deleted: Deleted | None) -> str | None:
    """What the people wait for who come in, after an audience had to be deleted."""
    return f"added once {deleted.enough:,} belong in it" if deleted and deleted.waits else None


def _cost(row: Cost) -> dict[str, Any]:
    """What planned WhatsApp messages would cost, of one step and currency; without a price there is no amount."""
    why = {
        "free": "free",
        "charged": "billable, at an example price" if row.is_example else "billable",
        "no_price": f"billable, no price: {row.country or 'country not known'}",
        "outside_free_window": "not sent: outside the free window",
        "needs_template": "not sent on WhatsApp: no template, and silent for a day by then",
    }[row.standing]
    return {
        "what": "cost", "step": row.step, "channel": "whatsapp", "reason": why, "people": row.people,
        "cost": row.cost, "currency": row.currency,
    }  # fmt: skip


def _counted(counts: dict[str, Any]) -> list[dict[str, Any]]:
    """The counts of a run as rows."""
    chosen, rows = counts.get("choose", {}), []
    if chosen:
        standing = chosen["standing"]
        rows.append({"what": "campaign", "reason": "held (data gate)" if standing == "held" else standing})
        rows.append({"what": "found", "people": chosen["found"]})
        rows.append({"what": "enrol", "reason": "treated", "people": chosen["enrolled"] - chosen["holdout"]})
        rows.append({"what": "enrol", "reason": "holdout", "people": chosen["holdout"]})
        if outside := chosen.get("outside_free_window"):
            rows.append({"what": "exclude", "reason": "outside_free_window", "people": outside})
        if chosen.get("forgotten"):
            rows.append({"what": "not enrolled", "reason": "older than the ledger", "people": chosen["forgotten"]})
        rows += [{"what": "close", "reason": why, "people": n} for why, n in sorted(chosen["closed"].items())]
    planned = counts.get("plan", {})
    rows += [{"what": "message", "channel": way, "people": n} for way, n in sorted(planned.get("planned", {}).items())]
    rows += [
        {"what": "no message", "reason": why, "people": n} for why, n in sorted(planned.get("suppressed", {}).items())
    ]
    for what, people in sorted(counts.get("audiences", {}).items()):
        platform, _, done = what.partition(" ")
        done, _, why = done.partition(": ")
        rows.append({"what": _AUDIENCE[done], "channel": platform, "reason": why or None, "people": people})
    return rows


# What a sync counts, in the words of a plan.
_AUDIENCE = {
    "removed": "audience remove",
    "removed with the audience": "audience deleted",
    KEPT: "audience kept",
    "added": "audience add",
    "told anew": "audience told anew",
    "refused": "audience refused",
}


def _sent(sent: Any) -> list[tuple[str, int]]:
    return sorted(sent.counts.items()) if sent else []
