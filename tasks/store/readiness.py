"""What each campaign needs, and whether it is there: data, ways to reach people, credentials, keys (B10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from config.campaign import Campaign, Goal
from config.settings import Settings
from config.sources import load_sources
from tasks.store import segments
from tasks.store.workspace import Workspace

Answer = Literal["yes", "no", "warning"]

# Views that no source fills directly, and the entity they are made of.
MADE_OF = {"purchase_days": "purchases", "milestones": "conversations"}


@dataclass(frozen=True)
class Need:
    """One thing a campaign needs; `detail` says what was found, or what to do."""

    campaign: str
    need: str
    there: Answer
    detail: str


def needs(work: Workspace, as_of: datetime) -> list[Need]:
    """The needs of every campaign and of the installation; counts only, never a person."""
    path = work.settings.folder("sources")
    fed = {source.entity for source in load_sources(path).values()} if path.exists() else set()
    with work.database.transaction() as connection:
        rows = connection.execute(work.queries["core/data_at_hand"](as_of=as_of)).mappings().all()
    found = {(row["kind"], row["name"]): row for row in rows}
    people = {key: row["people"] or 0 for key, row in found.items()}
    answers = []
    for campaign in work.campaigns.values():
        for entity in entities(work, campaign):
            has_rows = ("entity", entity) in found and found["entity", entity]["found"]
            answers.append(_entity(campaign.name, entity, has_rows=has_rows, has_source=entity in fed))
        for name, kind in [(use.name, "channel") for use in campaign.channels] + [
            (use.name, "platform") for use in campaign.platforms
        ]:
            answers.append(
                _reach(campaign.name, kind, name, people.get(("address", name), 0), people.get(("consent", name), 0))
            )
            answers.append(_credentials(campaign.name, kind, name, work.settings))
    return answers + list(_keys(work.settings))


def entities(work: Workspace, campaign: Campaign) -> list[str]:
    """Entities of the input contract that a campaign's segment, stop event and goal read."""
    relations = {
        relation.removeprefix("facts.") for relation in segments.relations(work.queries[f"segments/{campaign.segment}"])
    }
    read = {MADE_OF.get(relation, relation) for relation in relations}
    read |= {_entity_of(goal) for goal in (campaign.goal, campaign.stop_event)}
    return sorted(read)


def _entity_of(goal: Goal) -> str:
    return "purchases" if goal.event == "purchase" else "events"


def _entity(campaign: str, entity: str, *, has_rows: bool, has_source: bool) -> Need:
    if has_rows:
        return Need(campaign, f"data: {entity}", "yes", "there")
    if has_source:
        return Need(campaign, f"data: {entity}", "no", "mapped, not loaded yet: reengage ingest")
    return Need(campaign, f"data: {entity}", "no", f"map a source for {entity} in sources.yaml, then reengage ingest")


def _reach(campaign: str, kind: str, name: str, addresses: int, consents: int) -> Need:
    detail = f"{addresses:,} people with an address, {consents:,} with a consent"
    need = f"{kind}: {name}"
    if addresses and consents:
        return Need(campaign, need, "yes", detail)
    return Need(campaign, need, "no", f"{detail}: nobody can be reached here; load customers and consents")


def _credentials(campaign: str, kind: str, name: str, settings: Settings) -> Need:
    need = f"credentials: {name}"
    if settings.wanted_mode == "simulated":
        return Need(campaign, need, "yes", "simulated: the outbox takes everything, nothing leaves")
    return Need(
        campaign, need, "warning", f"this version delivers every {kind} to the outbox; no provider is connected"
    )


def _keys(settings: Settings) -> Iterator[Need]:
    """Keys that must not stay as shipped once real people are written to."""
    for name in ("salt", "suppression_key", "unsubscribe_keys"):
        value, shipped = getattr(settings, name), type(settings).model_fields[name].default
        variable = f"REENGAGE_{name.upper()}"
        if value != shipped:
            yield Need("(all)", f"key: {variable}", "yes", "set")
        elif settings.wanted_mode == "simulated":
            yield Need("(all)", f"key: {variable}", "yes", "as shipped, good enough for a simulated database")
        else:
            yield Need(
                "(all)", f"key: {variable}", "no", "as shipped: set your own before the first live run, and keep it"
            )
