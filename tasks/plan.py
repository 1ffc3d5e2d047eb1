"""Plan what leaves when, and say for everyone else why not."""

from __future__ import annotations

from config.campaign import Campaign
from tasks.channels import factory
from tasks.rules.content import Templates, segment_variables
from tasks.step import say, show_table, step
from tasks.store import legal, planning, prices
from tasks.store.planning import Planned
from tasks.store.runs import Run
from tasks.store.segments import FIRST_COLUMNS
from tasks.store.workspace import Workspace


@step(name="plan messages", tags=["plan"], retries=2)
def messages(run: Run) -> Planned:
    """Decide every open step anew: one decision each, an intent where we may; one transaction, safe to repeat."""
    if run.campaign is None:
        raise TypeError("planning is for one campaign")
    versions = templates(run.work, run.campaign).versions()
    providers = factory.providers(run.work, run.mode)
    with run.work.database.transaction() as connection:  # of its own, or a long plan would keep others waiting for it
        legal.refresh(run.work, connection)
        prices.refresh(run.work, connection)
    planned = run.work.database.repeated(lambda connection: planning.plan(run, connection, versions, providers))
    run.counts["plan"] = planned.counts()
    told = ", ".join(f"{people:,} {state}" for state, people in sorted(planned.states.items()))
    say(f"{run.campaign.name}: {told or 'nobody to plan for'}; {planned.changed:,} decisions are new")
    show_table(
        f"planned-{run.campaign.name.replace('_', '-')}", list(planned.rows), "What holds for every step, and why"
    )
    return planned


def templates(work: Workspace, campaign: Campaign) -> Templates:
    """The campaign's messages, read and linted; CampaignError with all findings stops the run before any send."""
    returns = work.queries[f"segments/{campaign.segment}"].returns
    extra = {name: column.nullable for name, column in returns.items() if name not in FIRST_COLUMNS}
    folder = work.settings.folder("campaigns") / campaign.name
    return Templates.load(campaign, folder, segment_variables(extra), work.settings.pipeline.sender)
