"""Ad audiences: who should be in (desired), who is in (applied), and the difference still to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from config.campaign import Campaign
from tasks.rules.keyed import pads
from tasks.store.planning import answer_into_eligible
from tasks.store.queries import Queries
from tasks.store.workspace import Workspace


@dataclass(frozen=True)
class Pending:
    """What one audience still has to be told; counts only."""

    platform: str
    audience: str
    removes: int
    adds: int


@dataclass(frozen=True)
class Member:
    """One person of a page; contact and identity live in memory only."""

    customer_id: str
    identity: str | None = None
    email: str | None = None
    phone: str | None = None
    contact_sha256: str | None = None
    is_shared: bool = False  # another campaign wants them in the same audience


def audience_name(campaign: Campaign, platform: str) -> str:
    """The audience's name on a platform: its own, else the campaign's."""
    named = next((use.audience for use in campaign.platforms if use.name == platform), None)
    return named or campaign.name


def desire(
    work: Workspace, connection: sa.Connection, campaign: Campaign, as_of: datetime, *, may_add: bool
) -> list[Pending]:
    """Bring the desired membership up to date and say what is to be told; safe to repeat.

    In are people of open episodes who are not held out, whose consent for the platform and a contact are there now,
    for at most audience_max_days. `may_add` is False for a paused or held campaign, and between runs: then people
    only leave (A18, I16).
    """
    queries = work.queries
    names = [use.name for use in campaign.platforms]
    found = _audiences(queries, connection, campaign)
    if not found:
        return []
    inner_pad, outer_pad = pads(work.settings.suppression_key.get_secret_value())
    connection.execute(queries["ledger/plan_memory"]())
    connection.execute(
        queries["ledger/audience_people"](
            campaign=campaign.name,
            as_of=as_of,
            max_days=campaign.audience_max_days,
            goal_event=campaign.goal.event,
            goal_where=campaign.goal.where,
            stop_event=campaign.stop_event.event,
            stop_where=campaign.stop_event.where,
            members_only=not may_add,
        )
    )
    connection.execute(
        queries["ledger/audience_ways"](
            as_of=as_of, purpose=campaign.purpose, platforms=names, inner_pad=inner_pad, outer_pad=outer_pad
        )
    )
    connection.execute(queries["ledger/plan_eligible"]())
    for use in campaign.platforms:
        given: dict[str, Any] = {"bases": list(use.consent)}
        if use.name == "google":
            given |= {"as_of": as_of, "purpose": campaign.purpose}
        answer_into_eligible(queries, connection, use.name, **given)
    connection.execute(sa.text("analyze audience_people (person_id), eligible (person_id, channel)"))
    for platform, audience in found:
        where = {"platform": platform, "audience": audience, "campaign": campaign.name, "as_of": as_of}
        is_named = platform in names and audience == audience_name(campaign, platform)
        connection.execute(queries["ledger/audience_leave"](**where, is_named=is_named))
        if may_add and is_named:
            connection.execute(queries["ledger/audience_join"](**where))
    return pending(queries, connection, campaign.name)


def pending(queries: Queries, connection: sa.Connection, campaign: str) -> list[Pending]:
    """What each audience of a campaign still has to be told."""
    rows = connection.execute(queries["ledger/audience_pending"](campaign=campaign))
    return [Pending(row.platform, row.audience, row.removes, row.adds) for row in rows]


def campaigns(queries: Queries, connection: sa.Connection) -> list[str]:
    """Names of all campaigns that have people in audiences, also of those whose folder is gone."""
    return sorted({row.campaign for row in connection.execute(queries["ledger/audience_campaigns"]())})


def abandon(queries: Queries, connection: sa.Connection, campaign: str, as_of: datetime) -> list[Pending]:
    """Everyone leaves the audiences of a campaign that is no more."""
    connection.execute(queries["ledger/audience_abandon"](campaign=campaign, as_of=as_of))
    return pending(queries, connection, campaign)


def page(
    queries: Queries, connection: sa.Connection, campaign: str, audience: Pending, verb: str, size: int
) -> list[Member]:
    """The next people to `remove` from or `add` to an audience."""
    file = "ledger/audience_page_out" if verb == "remove" else "ledger/audience_page_in"
    rows = connection.execute(
        queries[file](platform=audience.platform, audience=audience.audience, campaign=campaign, page=size)
    )
    return [Member(**row) for row in rows.mappings()]


def told(
    queries: Queries,
    connection: sa.Connection,
    campaign: str,
    audience: Pending,
    verb: str,
    members: Sequence[Member],
    as_of: datetime,
) -> None:
    """Record that a platform took a page; the next run goes on after it."""
    where = {"platform": audience.platform, "audience": audience.audience, "campaign": campaign, "as_of": as_of}
    if verb == "remove":
        connection.execute(
            queries["ledger/audience_out"](customer_ids=[member.customer_id for member in members], **where)
        )
        return
    rows = [{"customer_id": m.customer_id, "identity": m.identity, "contact_sha256": m.contact_sha256} for m in members]
    connection.execute(queries["ledger/audience_in"](members=rows, **where))


def _audiences(queries: Queries, connection: sa.Connection, campaign: Campaign) -> list[tuple[str, str]]:
    """The campaign's audiences, and those it once filled and no longer names: people leave those too."""
    now = {(use.name, audience_name(campaign, use.name)) for use in campaign.platforms}
    rows = connection.execute(queries["ledger/audience_campaigns"]())
    filled = {(row.platform, row.audience) for row in rows if row.campaign == campaign.name}
    return sorted({(str(platform), audience) for platform, audience in now | filled})
