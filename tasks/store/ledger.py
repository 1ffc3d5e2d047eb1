"""The send ledger: intent is committed before bytes leave, and what was not answered is never sent again.

Reliability section 4 in one place. Every function runs in the caller's transaction; each change of a send also moves
its decision in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import sqlalchemy as sa

from config.campaign import Campaign
from tasks.rules import timing
from tasks.rules.content import CONTROL
from tasks.rules.keyed import pads
from tasks.store.queries import Queries

Answer = Literal["accepted", "refused", "busy", "misconfigured", "unanswered", "not_started"]


@dataclass(frozen=True)
class Limits:
    """Bounds of one worker; what is in doubt at any moment is at most workers times `batch` (I3)."""

    batch: int = 100
    lease: timedelta = timedelta(seconds=90)
    call_timeout: timedelta = timedelta(seconds=20)
    most_tries: int = 8

    def __post_init__(self) -> None:
        if self.time_to_call <= timedelta(0):
            message = "a lease must be longer than two calls, or no call would ever end within it"
            raise ValueError(message)

    @property
    def time_to_call(self) -> timedelta:
        """How old a claim may be when a call starts, so that the call ends within the lease."""
        return self.lease - 2 * self.call_timeout


@dataclass(frozen=True)
class Clock:
    """The decision clock: a simulated moment, or None for the database's own."""

    at: datetime | None

    @property
    def is_simulated(self) -> bool:
        """Whether decisions are made for a stated moment."""
        return self.at is not None


@dataclass(frozen=True)
class Claimed:
    """A row this worker may hand over once, with everything the message needs; lives in memory only."""

    send_key: str
    campaign: str
    step: str
    variant: str
    channel: str
    provider: str
    decided_at: datetime
    person_id: str
    first_name: str | None
    last_name: str | None
    language: str | None
    country: str | None
    evidence: Mapping[str, Any]
    voucher_code: str | None
    address: str
    address_hmac: str
    attempt_no: int
    busy_tries: int

    @property
    def step_no(self) -> int:
        """Number of the step, also of a sub-step such as `2.push`."""
        return int(self.step.partition(".")[0])


@dataclass(frozen=True)
class Claim:
    """The outcome of one claim: rows to hand over under one fencing token, and how many ended or wait, by reason."""

    token: UUID
    rows: tuple[Claimed, ...]
    others: tuple[tuple[str, str | None], ...]
    locked: int


@dataclass(frozen=True)
class Pin:
    """What a claimed row will say: the hash of its content, or None when it could not be rendered."""

    send_key: str
    payload_sha256: str | None
    template_version: str | None


@dataclass(frozen=True)
class Reply:
    """What became of one attempt."""

    send_key: str
    attempt_id: str
    answer: Answer
    reason: str | None = None
    retry_after: float | None = None
    provider_message_id: str | None = None
    status_code: int | None = None
    error_class: str | None = None
    has_another_channel: bool = False
    busy_tries: int = 0


class Ledger:
    """Statements of the ledger under one clock and the definitions of the campaigns that could be read."""

    def __init__(
        self,
        queries: Queries,
        campaigns: Mapping[str, Campaign],
        *,
        clock: Clock,
        business_zone: str,
        address_key: str,
        provider: str,
        limits: Limits,
    ) -> None:
        self._queries = queries
        self._clock = clock
        self._limits = limits
        self._campaigns = campaigns
        self._names = sorted(campaigns)
        self._definitions = [_definition(campaign, business_zone) for campaign in campaigns.values()]
        self._ways = [way for campaign in campaigns.values() for way in _ways(campaign, provider)]
        self._inner_pad, self._outer_pad = pads(address_key)

    def purpose(self, campaign: str) -> str:
        """The purpose a campaign's consents must name."""
        return self._campaigns[campaign].purpose

    def variant(self, row: Claimed) -> str:
        """Whose words a row gets: its own variant's, or everyone's when the campaign has no message test any more."""
        return row.variant if self._campaigns[row.campaign].variants else CONTROL

    def has_another_channel(self, row: Claimed) -> bool:
        """Whether a refused message may try the next channel; the claim then asks which one is viable."""
        if "." in row.step:  # under all_viable each channel is a sub-step of its own
            return False
        return any(
            way["campaign"] == row.campaign
            and (way["step"], way["variant"]) == (row.step_no, self.variant(row))
            and way["channel"] != row.channel
            for way in self._ways
        )

    def claim(self, connection: sa.Connection, resting: Iterable[str] = ()) -> Claim:
        """Take the next due rows: those that may leave are ours until the lease ends, the others end or wait."""
        query = self._queries
        connection.execute(query["ledger/send_limits"]())
        locked = connection.execute(
            query["ledger/claim_lock"](
                campaigns=self._names, resting=sorted(resting), at=self._clock.at, batch=self._limits.batch
            )
        ).all()
        token = uuid4()
        if not locked:
            return Claim(token, (), (), 0)
        decided = connection.execute(
            query["ledger/claim"](
                send_keys=[row.send_key for row in locked],
                moments=[row.moment for row in locked],
                campaigns=self._definitions,
                ways=self._ways,
                inner_pad=self._inner_pad,
                outer_pad=self._outer_pad,
                token=token,
                lease=self._limits.lease,
            )
        ).all()
        self._follow(connection, [row.send_key for row in decided], is_claim=True)
        rows = tuple(_claimed(row) for row in decided if row.state == "in_flight")
        others = tuple((row.state, row.reason) for row in decided if row.state != "in_flight")
        return Claim(token, rows, others, len(locked))

    def pin(self, connection: sa.Connection, claim: Claim, pins: Sequence[Pin]) -> dict[str, str]:
        """Open an attempt for each rendered row, in the claim's transaction; answers attempt ids by send key."""
        rows = {row.send_key: row for row in claim.rows}
        opened = connection.execute(
            self._queries["ledger/claim_pin"](
                pins=[
                    {
                        "send_key": pin.send_key,
                        "payload_sha256": pin.payload_sha256,
                        "template_version": pin.template_version,
                        "address_hmac": rows[pin.send_key].address_hmac,
                        "decided_at": rows[pin.send_key].decided_at.isoformat(),
                    }
                    for pin in pins
                ],
                batch_id=uuid4(),
            )
        ).all()
        unrendered = [pin.send_key for pin in pins if pin.payload_sha256 is None]
        self._follow(connection, unrendered, is_claim=True)
        return {row.send_key: str(row.attempt_id) for row in opened}

    def owns(self, connection: sa.Connection, token: UUID, send_keys: Sequence[str]) -> bool:
        """Whether every row is still in flight under this token with time left; asked right before the call (K15)."""
        owned = connection.execute(self._queries["ledger/claim_holds"](send_keys=list(send_keys), token=token))
        return owned.scalar_one() == len(send_keys)

    def record(self, connection: sa.Connection, token: UUID, replies: Sequence[Reply]) -> list[tuple[str, str | None]]:
        """Write down what was answered; answers (state, reason) of the rows that were still ours."""
        connection.execute(self._queries["ledger/send_limits"]())
        recorded = connection.execute(
            self._queries["ledger/record"](
                receipts=[self._receipt(reply) for reply in replies],
                token=token,
                is_simulated=self._clock.is_simulated,
            )
        ).all()
        self._follow(connection, [row.send_key for row in recorded], is_claim=self._clock.is_simulated)
        self._bury(connection, [row for row in recorded if row.address_hmac and row.reason in ADDRESS_IS_DEAD])
        return [(row.state, row.reason) for row in recorded]

    def end_leases(self, connection: sa.Connection) -> int:
        """Put rows in doubt whose worker went silent; counts them."""
        return self._moved(connection, self._queries["ledger/sweep"]())

    def settle(self, connection: sa.Connection) -> int:
        """Settle doubts by what providers reported; counts them."""
        return self._moved(
            connection, self._queries["ledger/settle"](at=self._clock.at, call_timeout=self._limits.call_timeout)
        )

    def abandon(self, connection: sa.Connection) -> int:
        """Give up on doubts past their horizon; counts them."""
        return self._moved(connection, self._queries["ledger/abandon"](at=self._clock.at))

    def expire(self, connection: sa.Connection, campaign: str | None = None) -> int:
        """End rows that waited too long; counts them."""
        return self._moved(connection, self._queries["ledger/sends_expire"](at=self._clock.at, campaign=campaign))

    def explain_holds(self, connection: sa.Connection, campaign: str | None = None) -> int:
        """Say on due rows of held or paused campaigns why they wait, or take it back; counts them."""
        return self._moved(connection, self._queries["ledger/sends_hold"](at=self._clock.at, campaign=campaign))

    def mark_played(self, connection: sa.Connection) -> None:
        """Simulated databases: remember up to which moment these campaigns' sends have been played."""
        connection.execute(self._queries["ledger/sends_played"](campaigns=self._names, at=self._clock.at))

    def _bury(self, connection: sa.Connection, recorded: Sequence[sa.Row[Any]]) -> None:
        """Never use these addresses again: a token is switched off, any other address and any wish is suppressed."""
        gone = [row for row in recorded if row.channel in TOKEN_CHANNELS and row.reason not in PERSON_SAID_NO]
        if gone:
            tokens = [{"send_key": r.send_key, "channel": r.channel, "address_hmac": r.address_hmac} for r in gone]
            connection.execute(
                self._queries["ledger/record_token_gone"](
                    tokens=tokens, inner_pad=self._inner_pad, outer_pad=self._outer_pad
                )
            )
        dead = [
            {"channel": row.channel, "address_hmac": row.address_hmac, "reason": row.reason}
            for row in recorded
            if row not in gone
        ]
        if dead:
            connection.execute(self._queries["ledger/record_suppress"](addresses=dead, at=self._clock.at))

    def _moved(self, connection: sa.Connection, statement: sa.TextClause) -> int:
        connection.execute(self._queries["ledger/send_limits"]())
        keys = connection.execute(statement).scalars().all()
        self._follow(connection, keys, is_claim=False)
        return len(keys)

    def _follow(self, connection: sa.Connection, send_keys: Sequence[str], *, is_claim: bool) -> None:
        if send_keys:
            connection.execute(
                self._queries["ledger/decide_moved"](
                    send_keys=list(send_keys), at=self._clock.at, is_claim=is_claim, run_id=None
                )
            )

    def _receipt(self, reply: Reply) -> dict[str, Any]:
        # "Again at once" is no wait: it would be asked again for ever, so it counts as a try like any other.
        asked = reply.retry_after if reply.retry_after and reply.retry_after > 0 else None
        wait = timing.busy_wait(reply.busy_tries, reply.attempt_id, asked)
        return {
            "send_key": reply.send_key,
            "attempt_id": reply.attempt_id,
            "outcome": reply.answer,
            "reason": reply.reason,
            "delay_seconds": wait.total_seconds(),
            "retry_after_seconds": asked,
            "has_another_channel": reply.has_another_channel,
            "is_exhausted": asked is None and reply.busy_tries + 1 >= self._limits.most_tries,
            "provider_message_id": reply.provider_message_id,
            "status_code": reply.status_code,
            "error_class": reply.error_class,
        }


# Refusals that say the address itself is at an end, not this message.
ADDRESS_IS_DEAD = frozenset({"invalid_address", "token_invalid", "opted_out", "unsubscribed", "hard_bounce"})
# Refusals in which a person speaks: they hold for the address, whatever it is.
PERSON_SAID_NO = frozenset({"opted_out", "unsubscribed"})
# Where the address is a device's token, which another person's app may get one day (C21).
TOKEN_CHANNELS = frozenset({"push", "webpush"})


def _claimed(row: Any) -> Claimed:
    return Claimed(
        send_key=row.send_key,
        campaign=row.campaign,
        step=row.step,
        variant=row.variant,
        channel=row.channel,
        provider=row.provider,
        decided_at=row.decided_at,
        person_id=row.person_id,
        first_name=row.first_name,
        last_name=row.last_name,
        language=row.language,
        country=row.country,
        evidence=row.evidence,
        voucher_code=row.voucher_code,
        address=row.address,
        address_hmac=row.address_hmac,
        attempt_no=row.attempt_no,
        busy_tries=row.busy_tries,
    )


def _definition(campaign: Campaign, business_zone: str) -> dict[str, Any]:
    """A campaign as the claim needs it; JSON, since the statement takes all campaigns at once."""
    quiet = campaign.quiet_hours
    return {
        "campaign": campaign.name,
        "purpose": campaign.purpose,
        "zone": campaign.zone(business_zone),
        "starts_on": campaign.period.start.isoformat() if campaign.period.start else None,
        "ends_on": campaign.period.end.isoformat() if campaign.period.end else None,
        "quiet_start": quiet.start.isoformat() if quiet else None,
        "quiet_end": quiet.end.isoformat() if quiet else None,
        "on_quiet": quiet.on_quiet if quiet else None,
        "unknown_zone": quiet.unknown_zone if quiet else None,
        "caps": [
            {"messages": cap.messages, "seconds": cap.per.total_seconds(), "channel": cap.channel}
            for cap in campaign.caps
        ],
        "stop_event": campaign.stop_event.event,
        "stop_where": campaign.stop_event.where,
        "goal_event": campaign.goal.event,
        "goal_where": campaign.goal.where,
        "voucher_code": campaign.voucher.code if campaign.voucher else None,
        "has_test": bool(campaign.variants),
    }


def _ways(campaign: Campaign, provider: str) -> list[dict[str, Any]]:
    """How each step and variant may travel, in the campaign's order."""
    return [
        {
            "campaign": campaign.name,
            "step": step,
            "variant": variant,
            "channel": use.name,
            "provider": provider,
            "bases": list(use.consent),
            "place": place,
        }
        for step in range(1, len(campaign.steps) + 1)
        for variant in [arm.name for arm in campaign.variants] or [CONTROL]
        for place, use in enumerate(campaign.channels)
        if use.name in campaign.messages_for(step, variant)
    ]
