"""A campaign's messages for one person, before launch: outside the ledger, outside the evaluation (B11)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import sqlalchemy as sa

from config.campaign import Campaign, Channel
from tasks.rules.contact import canonical_email
from tasks.rules.content import CONTROL, Content, Person, unsubscribe_url
from tasks.rules.errors import CampaignError, ConfigError, Problem
from tasks.rules.keyed import pads
from tasks.store import segments
from tasks.store.workspace import SEGMENT_KEYS, Workspace

_DEVICES: Final = {"apns": "push", "fcm": "push", "webpush": "webpush"}
_CUSTOMER: Final = "customer"
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


@dataclass(frozen=True)
class Way:
    """Where messages of one channel go; the platform is a device's: apns, fcm, webpush."""

    address: str
    platform: str | None = None


def ways(work: Workspace, to: str, as_of: datetime, purpose: str) -> dict[str, Way]:
    """Ways by channel to somebody of REENGAGE_TEST_RECIPIENTS; a channel that the entry does not serve is not there.

    `to` is an email, a number, `apns:TOKEN`, `fcm:TOKEN`, `webpush:SUBSCRIPTION`, or `customer:ID`, whose own addresses
    and newest device are meant. Raises ConfigError when it is not on the list, or is none of these.
    """
    wanted, allowed = to.strip(), {entry.strip() for entry in work.settings.test_recipients}
    kind, _, rest = wanted.partition(":")
    is_address = kind not in _DEVICES and kind != _CUSTOMER
    if wanted not in allowed and not (is_address and wanted.lower() in {entry.lower() for entry in allowed}):
        raise ConfigError(Problem("--to", "is not in REENGAGE_TEST_RECIPIENTS; add it there first"))
    if kind in _DEVICES:
        return {_DEVICES[kind]: Way(rest, kind)}
    if kind == _CUSTOMER:
        return _ways_of(work, rest, as_of, purpose)
    if email := canonical_email(wanted)[0]:
        return {"email": Way(email)}
    if re.fullmatch(r"\+[1-9][0-9]{6,14}", wanted):
        return {"sms": Way(wanted), "whatsapp": Way(wanted)}
    known = ", ".join(f"{name}:..." for name in (*_DEVICES, _CUSTOMER))
    raise ConfigError(
        Problem("--to", f"is no email and no number such as +491701234567; devices and people are {known}")
    )


def _ways_of(work: Workspace, customer_id: str, as_of: datetime, purpose: str) -> dict[str, Way]:
    inner_pad, outer_pad = pads(work.settings.suppression_key.get_secret_value())
    asked = work.queries["ledger/rehearse_ways"](
        customer_id=customer_id, as_of=as_of, purpose=purpose, inner_pad=inner_pad, outer_pad=outer_pad
    )
    with work.database.transaction() as connection:
        found = {row.channel: Way(row.address, row.platform) for row in connection.execute(asked)}
    if not found:
        raise ConfigError(Problem("--to", "names no customer who is there"))
    return found


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
        asked = segments.params_of(work.queries[f"segments/{campaign.segment}"], campaign)
        segments.stage(work, connection, campaign.segment, asked, as_of, only=[customer_id])
        staged = sa.table(segments.TABLE, sa.column("evidence"))
        evidence = connection.execute(sa.select(staged.c.evidence)).scalar()
        connection.rollback()
    return Person(**row), evidence or _sample(work, campaign)
