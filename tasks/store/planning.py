"""Plan: for each open episode and step one decision with its reason, and an intent in the ledger where we may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from config.campaign import Campaign
from config.providers import OUTBOX
from tasks.rules import assignment
from tasks.rules.content import Version
from tasks.rules.keyed import pads
from tasks.store import runs
from tasks.store.queries import Queries
from tasks.store.runs import Run

# Under all_viable a text message is the last resort: only when neither of these two is viable (A14).
LAST_RESORT = "sms"
# The channel whose messages are charged by category and country, and not delivered everywhere.
PRICED = "whatsapp"
# An unknown zone may not be assumed where writing at night is against the law, whatever the campaign says (A3).
ZONE_NEVER_ASSUMED = ("sms", "whatsapp")

MANY = 1_000  # decisions of one plan


@dataclass(frozen=True)
class Planned:
    """What holds after a plan, per step, state, reason and channel; counts only."""

    rows: tuple[dict[str, Any], ...]
    written: int
    withdrawn: int

    @property
    def states(self) -> dict[str, int]:
        """People per state, over all steps of the episodes looked at."""
        sums: dict[str, int] = {}
        for row in self.rows:
            sums[row["state"]] = sums.get(row["state"], 0) + row["people"]
        return sums

    @property
    def changed(self) -> int:
        """Decisions that are new or different."""
        return sum(row["changed"] for row in self.rows)

    def counts(self) -> dict[str, Any]:
        """For the run's row and the artifact."""
        reasons: dict[str, int] = {}
        channels: dict[str, int] = {}
        for row in self.rows:
            if row["state"] == "suppressed":
                reasons[row["reason"]] = reasons.get(row["reason"], 0) + row["people"]
            if row["state"] == "planned":
                channels[row["channel"]] = channels.get(row["channel"], 0) + row["people"]
        return {
            "steps": self.states,
            "suppressed": reasons,
            "planned": channels,
            "intents_written": self.written,
            "intents_withdrawn": self.withdrawn,
        }


@dataclass(frozen=True)
class Way:
    """One step, or sub-step under all_viable, as one variant sends it."""

    step: str
    variant: str
    send_after_seconds: float
    channels: Sequence[str] = field(default_factory=list)
    is_last_resort: bool = False


def ways(campaign: Campaign) -> list[Way]:
    """Every step (`<n>`, or `<n>.<channel>` under all_viable) of every variant, channels in the campaign's order."""
    found = []
    for variant in variant_names(campaign):
        for number, step in enumerate(campaign.steps, 1):
            messages = campaign.messages_for(number, variant)
            channels = [use.name for use in campaign.channels if use.name in messages]
            after = step.send_after.total_seconds()
            if campaign.reach == "first_viable":
                found.append(Way(str(number), variant, after, channels))
                continue
            found += [Way(f"{number}.{name}", variant, after, [name], name == LAST_RESORT) for name in channels]
    return found


def variant_names(campaign: Campaign) -> list[str]:
    """Variants the campaign has now, in file order; one called control when everyone gets the same."""
    return [bound["name"] for bound in assignment.variant_bounds(campaign)]


def plan(
    run: Run,
    connection: sa.Connection,
    versions: Sequence[Version],
    providers: Mapping[str, str] | None = None,
    *,
    everybody: bool = False,
) -> Planned:
    """Decide every open step anew and keep the intents in step with it, in the caller's transaction.

    `versions` say which words each message is made of (Templates.versions), `providers` who delivers a channel (the
    outbox all others). Episodes with nothing left to decide are looked at with `everybody`, after the campaign's file
    changed, and in a full pass; the decisions are the same. Safe to repeat: with the same input nothing is written, and
    an intent that a crash left out is made.
    """
    campaign, queries = run.campaign, run.work.queries
    if campaign is None:
        raise TypeError("planning is for one campaign")
    connection.execute(queries["ledger/plan_memory"]())
    connection.execute(queries["ledger/plan_lock"](campaign=campaign.name))
    steps = [vars(way) for way in ways(campaign)]
    before = runs.before(run, connection)
    connection.execute(
        queries["ledger/plan_open"](
            campaign=campaign.name,
            everybody=everybody or before is None,
            after_run=before.run_id if before else None,
        )
    )
    connection.execute(sa.text("analyze open_episodes"))
    connection.execute(
        queries["ledger/plan_steps"](
            steps=steps,
            variants=variant_names(campaign),
            expires_after_seconds=campaign.expires_after.total_seconds(),
        )
    )
    connection.execute(sa.text("analyze open_steps (enrolment_id, customer_id, is_open)"))
    _ask(run, connection, campaign)
    connection.execute(queries["ledger/plan_verdicts"](campaign=campaign.name, as_of=run.as_of, steps=steps))
    connection.execute(sa.text("analyze verdicts (enrolment_id, step, state, variant, channel, is_changed)"))
    connection.execute(queries["ledger/plan_decide"](campaign=campaign.name, as_of=run.as_of, run_id=run.run_id))
    written = connection.execute(
        queries["ledger/plan_sends"](
            campaign=campaign.name,
            as_of=run.as_of,
            run_id=run.run_id,
            versions=[
                {
                    "step": str(version.step),
                    "variant": version.variant,
                    "channel": version.channel,
                    "sha256": version.sha256,
                    "provider": (providers or {}).get(version.channel, OUTBOX),
                }
                for version in versions
            ],
            voucher_code=campaign.voucher.code if campaign.voucher else None,
            priority=campaign.priority,
            anchor_moves=campaign.retargeting is not None,
        )
    ).scalar_one()
    withdrawn = connection.execute(queries["ledger/plan_withdraw"](as_of=run.as_of)).scalar_one()
    if written >= MANY:
        # Claims follow at once, sooner than the server looks at what has grown: without this each of them took sixty
        # times as long after a first plan. What somebody else is at is left to them.
        connection.execute(sa.text("analyze (skip_locked) campaign.enrolments, campaign.decisions, campaign.sends"))
    rows = connection.execute(queries["ledger/plan_summary"]()).mappings()
    return Planned(tuple(dict(row) for row in rows), written, withdrawn)


@dataclass(frozen=True)
class Cost:
    """What planned WhatsApp messages of one step would cost; amounts of different currencies are never added.

    `standing` is free, charged, no_price (of `country`), or outside_free_window or needs_template: such a message would
    not leave on WhatsApp.
    """

    step: str
    standing: str
    country: str | None
    currency: str | None
    is_example: bool
    people: int
    cost: Decimal | None


def costs(run: Run, connection: sa.Connection) -> list[Cost]:
    """What the messages just planned in this transaction would cost, each at its own time, on what is known now."""
    campaign = run.campaign
    if campaign is None:
        raise TypeError("planning is for one campaign")
    categories = [
        {
            "step": str(step),
            "variant": variant,
            "category": campaign.price_category(message),
            "has_template": message.template is not None,
        }
        for step in range(1, len(campaign.steps) + 1)
        for variant in variant_names(campaign)
        if (message := campaign.messages_for(step, variant).get(PRICED))
    ]
    if not categories:
        return []
    asked = run.work.queries["ledger/plan_costs"](as_of=run.as_of, categories=categories, pays=pays(campaign))
    return [Cost(**row) for row in connection.execute(asked).mappings()]


def pays(campaign: Campaign) -> bool:
    """Whether its WhatsApp messages leave also where they are charged (R9)."""
    return campaign.retargeting is None or campaign.retargeting.after_free_window


def _ask(run: Run, connection: sa.Connection, campaign: Campaign) -> None:
    """Ask sql/eligibility about everyone a step may still reach, channel by channel."""
    queries, channels = run.work.queries, [use.name for use in campaign.channels]
    inner_pad, outer_pad = pads(run.work.settings.suppression_key.get_secret_value())
    connection.execute(queries["ledger/plan_people"](as_of=run.as_of))
    connection.execute(sa.text("analyze people (person_id)"))
    connection.execute(queries["ledger/plan_ids"]())
    connection.execute(sa.text("analyze people_ids"))
    connection.execute(queries["ledger/people_consented"](as_of=run.as_of, purpose=campaign.purpose, channels=channels))
    connection.execute(sa.text("analyze consented (person_id, channel)"))
    connection.execute(
        queries["ledger/plan_ways"](
            as_of=run.as_of,
            purpose=campaign.purpose,
            channels=channels,
            inner_pad=inner_pad,
            outer_pad=outer_pad,
            categories=price_categories(campaign),
        )
    )
    connection.execute(sa.text("analyze ways (person_id, channel)"))
    connection.execute(queries["ledger/plan_eligible"]())
    for use in campaign.channels:
        answer_into_eligible(
            queries, connection, use.name, bases=list(use.consent), needs_zone=needs_zone(campaign, use.name)
        )
    connection.execute(queries["ledger/plan_offers"](channels=channels))
    connection.execute(sa.text("analyze offers (person_id)"))


def answer_into_eligible(queries: Queries, connection: sa.Connection, name: str, **given: Any) -> None:
    """Keep what sql/eligibility/<name>.sql answers about the people asked about."""
    answer = queries[f"eligibility/{name}"](**given).columns(
        sa.column("person_id"), sa.column("viable"), sa.column("reason"), sa.column("consent")
    )
    asked = answer.subquery("answer")
    eligible = sa.table("eligible", *(sa.column(c) for c in ("person_id", "channel", "viable", "reason", "consent")))
    rows = sa.select(asked.c.person_id, sa.literal(name, sa.Text), asked.c.viable, asked.c.reason, asked.c.consent)
    connection.execute(sa.insert(eligible).from_select(list(eligible.c), rows))


def price_categories(campaign: Campaign) -> list[str]:
    """What WhatsApp charges the campaign's messages by, over all steps and variants."""
    found = {campaign.price_category(message) for _, name, message in campaign.all_messages() if name == PRICED}
    return sorted(found)


def needs_zone(campaign: Campaign, channel: str) -> bool:
    """Whether a person whose time zone is unknown may not be written to on this channel (A3)."""
    if channel in ZONE_NEVER_ASSUMED:
        return True
    return campaign.quiet_hours is not None and campaign.quiet_hours.unknown_zone is None
