"""Start what is due: one re-engage run for each campaign whose own cadence asks for one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment

from tasks.rules.cadence import due_slot
from tasks.rules.errors import ConfigError, Problem
from tasks.step import say, show_table, step
from tasks.store.workspace import Workspace

DEPLOYMENT = "reengage/reengage"
# A slot whose run failed is tried again by the next ticks, so often at most.
MOST_ATTEMPTS = 3


@dataclass(frozen=True)
class Due:
    """What a tick found: campaigns with the slot they owe a run for, and folders that could not be read."""

    slots: dict[str, datetime]
    unreadable: tuple[Problem, ...]


@step(name="ask which campaigns are due", retries=2)
def due(work: Workspace, now: datetime) -> Due:
    """Every campaign whose cadence asks for a run since its last complete one; paused and ended ones are left out."""
    slots, problems, rows = {}, [], []
    zone = str(work.settings.business_zone)
    for path in sorted(work.settings.folder("campaigns").glob("*/campaign.yaml")):
        name = path.parent.name
        try:
            campaign = work.campaign(name)
        except ConfigError as error:  # one broken folder must not stop the others (I21)
            problems += error.problems
            rows.append({"campaign": name, "why": "its folder has problems", "slot": None})
            continue
        with work.database.transaction() as connection:
            state = connection.execute(work.queries["ledger/campaign_state"](campaign=name)).one()
            last = connection.execute(work.queries["ledger/run_latest"](flow="reengage", campaign=name)).scalar_one()
        slot = due_slot(campaign, zone, last=last, now=now)
        if state.is_paused or state.is_ended:
            why, slot = "paused" if state.is_paused else "ended", None
        else:
            why = f"due ({campaign.cadence})" if slot else "not due"
        if slot:
            slots[name] = slot
        rows.append({"campaign": name, "why": why, "slot": slot.isoformat() if slot else None})
    say(f"{len(slots)} of {len(rows)} campaigns are due" + (f": {', '.join(slots)}" if slots else ""))
    show_table("due-campaigns", rows, "Which campaigns were due, and why not")
    return Due(slots, tuple(problems))


@step(name="start {campaign}", tags=["start"], retries=2)
def reengage(campaign: str, slot: datetime, as_of: datetime | None) -> str:
    """Ask for the campaign's run. Safe to run twice: a slot has one run, and a new one only when that one failed."""
    given = {"campaign": campaign} | ({"as_of": as_of.isoformat()} if as_of else {})
    for attempt in range(1, MOST_ATTEMPTS + 1):
        # Called from a step, which is not a coroutine, it answers with the run itself.
        run = cast(
            "FlowRun",
            run_deployment(
                DEPLOYMENT,
                parameters=given,
                flow_run_name=campaign,
                timeout=0,
                tags=["reengage", campaign],
                idempotency_key=f"{campaign}/{slot.isoformat()}/{attempt}",
                as_subflow=False,
            ),
        )
        if run.state is None or not run.state.is_final():
            say(f"{campaign}: a run is under way for {slot.isoformat()}")
            return str(run.id)
    say(f"{campaign}: {MOST_ATTEMPTS} runs for {slot.isoformat()} ended without completing it; see their logs")
    return str(run.id)
