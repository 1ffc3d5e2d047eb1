"""A campaign's messages for one person, before launch: outside the ledger, outside the evaluation (B11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from config.campaign import Campaign, Channel
from tasks.rules.content import CONTROL, Content, Person, unsubscribe_url
from tasks.rules.errors import CampaignError, Problem
from tasks.store import segments
from tasks.store.workspace import SEGMENT_KEYS, Workspace

SAMPLE = Person("sample", first_name="Alex", last_name="Example", language="en", country="DE")
_SAMPLE_VALUES: dict[str, Any] = {
    "int": 42,
    "bigint": 42,
    "smallint": 42,
    "numeric": 42,
    "double precision": 42.0,
    "real": 42.0,
    "boolean": True,
    "date": date(2026, 1, 31),
    "timestamptz": datetime(2026, 1, 31, 12, tzinfo=UTC),
}


@dataclass(frozen=True)
class Rehearsed:
    """One rendered message with where it stands in the campaign."""

    step: int
    variant: str
    content: Content


def rehearse(
    work: Workspace,
    campaign: Campaign,
    as_of: datetime,
    *,
    customer_id: str | None = None,
    step: int | None = None,
    channel: Channel | None = None,
) -> list[Rehearsed]:
    """Render one or all steps, every variant and channel, for a real person or a made-up one.

    The unsubscribe link is the made-up person's in any case, so that trying it ends nobody's consent. Raises
    CampaignError when there is no such customer, step or message.
    """
    templates = work.templates(campaign)
    person, evidence = _real(work, campaign, customer_id, as_of) if customer_id else (SAMPLE, _sample(work, campaign))
    wanted = [
        version
        for version in templates.versions()
        if step in (None, version.step) and channel in (None, version.channel)
    ]
    if not wanted:
        raise CampaignError(
            Problem(campaign.name, f"has no message for step {step or 'any'} on {channel or 'any channel'}")
        )
    key = work.settings.unsubscribe_keys[0].get_secret_value()
    return [
        Rehearsed(
            version.step,
            version.variant,
            templates.render(
                version.step,
                version.variant,
                version.channel,
                person,
                evidence,
                unsubscribe=unsubscribe_url(
                    work.settings.public_url, key, SAMPLE.customer_id, version.channel, campaign.purpose
                ),
            ),
        )
        for version in wanted
    ]


def variant_shown(rehearsed: Rehearsed) -> str:
    """The variant as a reader wants to see it: nothing when there is only one."""
    return "" if rehearsed.variant == CONTROL else rehearsed.variant


def _sample(work: Workspace, campaign: Campaign) -> dict[str, Any]:
    """Made-up values for the segment's columns, by type."""
    returns = work.queries[f"segments/{campaign.segment}"].returns
    return {
        name: _SAMPLE_VALUES.get(column.type, "sample") for name, column in returns.items() if name not in SEGMENT_KEYS
    }


def _real(work: Workspace, campaign: Campaign, customer_id: str, as_of: datetime) -> tuple[Person, Mapping[str, Any]]:
    """A customer's own values; made-up ones for the segment's columns when the person is not in it at `as_of`."""
    with work.database.engine.connect() as connection:
        row = connection.execute(work.queries["core/person"](customer_id=customer_id)).mappings().one_or_none()
        if row is None:
            raise CampaignError(Problem(customer_id, "there is no such customer"))
        segments.stage(work, connection, campaign.segment, campaign.params, as_of, only=[customer_id])
        staged = sa.table(segments.TABLE, sa.column("evidence"))
        evidence = connection.execute(sa.select(staged.c.evidence)).scalar()
        connection.rollback()
    return Person(**row), evidence or _sample(work, campaign)
