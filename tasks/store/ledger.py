"""The send ledger: intent is committed before bytes leave, and what was not answered is never sent again.

Reliability section 4 in one place. Every function runs in the caller's transaction; each change of a send also moves
its decision in force, except that a row which is being handed over keeps the one it had.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid4

import sqlalchemy as sa

from config.campaign import Campaign, PauseWhen
from config.providers import OUTBOX
from tasks.rules import timing, whatsapp
from tasks.rules.content import CONTROL
from tasks.rules.keyed import pads
from tasks.rules.legal import quiet_week
from tasks.rules.reports import whatsapp_name
from tasks.store import planning, segments
from tasks.store.queries import Queries

Answer = Literal["accepted", "refused", "busy", "unreached", "misconfigured", "unanswered", "not_started", "returned"]


@dataclass(frozen=True)
class Limits:
    """Bounds of one worker; `batch` is how many messages it claims at once, None what suits the provider.

    Decisions and leases use the database's clock only; a machine whose own is further off than `most_skew` is not
    trusted with messages (R8), and a lease outlasts a call by twice that. Raises ValueError when it does not.

    `heed_every` is how long it goes on before it looks again at what was reported of messages that left.
    """

    batch: int | None = None
    lease: timedelta = timedelta(seconds=150)
    call_timeout: timedelta = timedelta(seconds=20)
    most_skew: timedelta = timedelta(seconds=60)
    heed_every: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        if self.lease <= self.call_timeout + 2 * self.most_skew:
            message = (
                f"a lease of {_seconds(self.lease)} must be longer than a call ({_seconds(self.call_timeout)}) and "
                f"twice the skew of clocks that is allowed ({_seconds(self.most_skew)})"
            )
            raise ValueError(message)
        if self.time_to_call <= timedelta(0):
            message = (
                f"a lease of {_seconds(self.lease)} must be longer than two calls ({_seconds(self.call_timeout)} each) "
                f"and the skew of clocks that is allowed ({_seconds(self.most_skew)}), or no call would ever start"
            )
            raise ValueError(message)

    @property
    def time_to_call(self) -> timedelta:
        """How old a claim may be when a call starts, so that the call ends within the lease on either clock."""
        return self.lease - 2 * self.call_timeout - self.most_skew


@dataclass(frozen=True)
class Clock:
    """The decision clock: a simulated moment, or None for the database's own."""

    at: datetime | None

    @property
    def is_simulated(self) -> bool:
        """Whether decisions are made for a stated moment."""
        return self.at is not None


class Claimed(NamedTuple):
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
    deliver_by: datetime
    address: str
    platform: str | None  # of a push token: apns, fcm or webpush
    address_hmac: str
    attempt_no: int
    busy_tries: int  # attempts that met a busy provider which did not say for how long: each makes the next wait longer
    provider_caps: int  # attempts that met the provider's own limit for this person
    consent_id: str | None  # the consent it rests on
    consent_load_id: int | None  # which version of it: the load that brought it
    goes_alone: bool  # a call that took others along was refused for the sake of one of them

    @property
    def step_no(self) -> int:
        """Number of the step, also of a sub-step such as `2.push`."""
        return int(self.step.partition(".")[0])


@dataclass(frozen=True)
class Claim:
    """The outcome of one claim: rows to hand over under one fencing token, and how many ended or wait, by reason."""

    token: UUID
    rows: tuple[Claimed, ...]
    others: tuple[tuple[str, str | None, str], ...]  # state, reason, campaign
    locked: int


@dataclass(frozen=True)
class Pin:
    """What a claimed row will say and in which call; only its key when it could not be rendered."""

    send_key: str
    attempt_id: str | None = None
    batch_id: UUID | None = None
    payload_sha256: str | None = None
    template_version: str | None = None


@dataclass(frozen=True)
class Missed:
    """A message that certainly nobody got, and why."""

    send_key: str
    campaign: str
    state: str
    reason: str | None


@dataclass(frozen=True)
class Reported:
    """What reports mean for a campaign: why it was paused, and which channels must halt for everybody."""

    campaign: str
    reason: str | None
    halted: frozenset[str]


@dataclass(frozen=True)
class Rest:
    """A provider that is left alone until a moment, or was and has not answered since.

    `reason` is asked (it said for how long), busy or unreached; `failures` counts rests in a row nobody asked for.
    """

    provider: str
    is_resting: bool
    rests_until: datetime
    reason: str
    failures: int


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
    provider_caps: int = 0


class Ledger:
    """Statements of the ledger under one clock and the definitions of the campaigns that could be read.

    `providers` names who delivers a channel; the outbox delivers all others. `plays` names the campaign that a timeline
    of the past plays under another name: under caps, what it really sent and what left later is not counted.
    """

    def __init__(
        self,
        queries: Queries,
        campaigns: Mapping[str, Campaign],
        *,
        clock: Clock,
        business_zone: str,
        address_key: str,
        providers: Mapping[str, str],
        limits: Limits,
        plays: str | None = None,
    ) -> None:
        self._queries = queries
        self._clock = clock
        self._limits = limits
        self._campaigns = campaigns
        self._names = sorted(campaigns)
        self._contenders = _contenders(campaigns.values())
        self._definitions = [_definition(campaign, queries, business_zone, plays) for campaign in campaigns.values()]
        self._ways = [way for campaign in campaigns.values() for way in _ways(campaign, providers)]
        self._asked = [channel for campaign in campaigns.values() for channel in _asked(campaign)]
        self._key = address_key
        self._inner_pad, self._outer_pad = pads(address_key)

    def purpose(self, campaign: str) -> str:
        """The purpose a campaign's consents must name."""
        return self._campaigns[campaign].purpose

    def pause_when(self, campaign: str) -> PauseWhen:
        """When a campaign switches itself off."""
        return self._campaigns[campaign].pause_when

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

    def message_id(self, provider: str, provider_message_id: str | None) -> str | None:
        """What the ledger calls a message of a provider by: its own id, or our name where that holds the number."""
        if provider_message_id is None or provider not in whatsapp.PROVIDERS:
            return provider_message_id
        return whatsapp_name(self._key, provider_message_id)

    def claim(
        self,
        connection: sa.Connection,
        batch: int,
        channels: Iterable[str] | None = None,
        resting: Iterable[str] = (),
    ) -> Claim:
        """Take the next due rows, of some channels only or of any that does not rest.

        Those that may leave are ours until the lease ends, the others end or wait.
        """
        query = self._queries
        connection.execute(query["ledger/send_limits"]())
        locked = connection.execute(
            query["ledger/claim_lock"](
                campaigns=self._names,
                channels=None if channels is None else sorted(channels),
                resting=sorted(resting),
                contenders=self._contenders,
                at=self._clock.at,
                batch=batch,
            )
        ).all()
        token = uuid4()
        if not locked:
            return Claim(token, (), (), 0)
        decided = connection.execute(
            query["ledger/claim"].prepared(
                connection,
                send_keys=[row.send_key for row in locked],
                moments=[row.moment for row in locked],
                persons=[row.person_id for row in locked],
                campaigns=self._definitions,
                ways=self._ways,
                inner_pad=self._inner_pad,
                outer_pad=self._outer_pad,
                token=token,
                lease=self._limits.lease,
            )
        ).all()
        # What leaves keeps its decision until the answer, or the end of the lease, gives it another: that it is being
        # handed over is for the ledger alone to say.
        staying = [row for row in decided if row.state != "in_flight"]
        taken_back = [row for row in staying if row.state == "suppressed" and row.reason not in DROPPED]
        self._follow(
            connection,
            [row.send_key for row in staying],
            is_claim=True,
            gates=self._gates(connection, taken_back),
            moments={row.send_key: row.decided_at.isoformat() for row in staying},
        )
        rows = tuple(Claimed._make(_columns(row)) for row in decided if row.state == "in_flight")
        others = tuple((row.state, row.reason, row.campaign) for row in staying)
        return Claim(token, rows, others, len(locked))

    def pin(self, connection: sa.Connection, claim: Claim, pins: Sequence[Pin]) -> None:
        """Open an attempt for each rendered row, in the claim's transaction; the others are rejected."""
        rows = {row.send_key: row for row in claim.rows}
        unrendered = connection.execute(
            self._queries["ledger/claim_pin"].prepared(
                connection,
                pins=[
                    {
                        "send_key": pin.send_key,
                        "attempt_id": pin.attempt_id,
                        "batch_id": str(pin.batch_id) if pin.batch_id else None,
                        "payload_sha256": pin.payload_sha256,
                        "template_version": pin.template_version,
                        "address_hmac": rows[pin.send_key].address_hmac,
                        "decided_at": rows[pin.send_key].decided_at.isoformat(),
                        "attempt_no": rows[pin.send_key].attempt_no,
                        "channel": rows[pin.send_key].channel,
                        "provider": rows[pin.send_key].provider,
                        "consent_id": rows[pin.send_key].consent_id,
                        "consent_load_id": rows[pin.send_key].consent_load_id,
                    }
                    for pin in pins
                ],
            )
        ).scalars()
        self._follow(connection, list(unrendered), is_claim=True)

    def take_turn(self, connection: sa.Connection, provider: str, seconds: float, longest_wait: float) -> float | None:
        """Seconds to wait for a turn of so many `seconds` at a provider that all processes share.

        None, and no turn taken, when the wait would be longer than `longest_wait` seconds.
        """
        return connection.execute(
            self._queries["ledger/take_turn"](provider=provider, seconds=seconds, longest_wait=longest_wait)
        ).scalar_one_or_none()

    def turn_wait(self, connection: sa.Connection, provider: str) -> float:
        """Seconds until every turn taken at a provider, by whatever process, is over."""
        return connection.execute(self._queries["ledger/turn_wait"](provider=provider)).scalar_one()

    def rests(self, connection: sa.Connection) -> list[Rest]:
        """Providers that rest, and those whose last rest nothing has ended yet."""
        return [Rest(**row) for row in connection.execute(self._queries["ledger/rests"]()).mappings()]

    def begin_rest(self, connection: sa.Connection, provider: str, reason: str, asked: float | None) -> None:
        """Leave a provider alone in every process: for the seconds it `asked` for, up to a day, or longer each time."""
        connection.execute(
            self._queries["ledger/rest_begin"](
                provider=provider,
                reason=reason if asked is None else "asked",
                asked_seconds=None if asked is None else timing.busy_wait(0, "", asked).total_seconds(),
                first_seconds=timing.FIRST_WAIT.total_seconds(),
                longest_seconds=timing.LONGEST_REST.total_seconds(),
            )
        ).one()

    def end_rest(self, connection: sa.Connection, provider: str) -> None:
        """A provider answers again."""
        connection.execute(self._queries["ledger/rest_end"](provider=provider))

    def pause(self, connection: sa.Connection, campaign: str, reason: str) -> None:
        """Switch a campaign off; the next claim obeys, what is planned stays planned."""
        connection.execute(self._queries["ledger/pause"](campaign=campaign, state="paused", reason=reason)).one()

    def pause_reported(self, connection: sa.Connection, since: datetime) -> list[Reported]:
        """Switch off campaigns for what was reported of their messages (P18, C10); answers which, and what must halt.

        Channels halt for reports of messages accepted after `since` only.
        """
        asked = [
            {
                "campaign": campaign.name,
                "complaints": campaign.pause_when.complaints if _writes_emails(campaign) else None,
                "errors": campaign.pause_when.errors,
                "at_least": campaign.pause_when.at_least,
            }
            for campaign in self._campaigns.values()
        ]
        rows = connection.execute(
            self._queries["ledger/pause_reported"](
                campaigns=asked,
                at=self._clock.at,
                since=since,
                window_size=REPORTS_OF,
                certain=CERTAIN_COMPLAINTS,
            )
        )
        found = [Reported(row.campaign, row.reason, frozenset(row.halted or ())) for row in rows]
        for one in found:
            if one.reason:
                self.pause(connection, one.campaign, one.reason)
        return found

    def owns(self, connection: sa.Connection, token: UUID, send_keys: Sequence[str]) -> bool:
        """Whether every row is still in flight under this token with time left; asked right before the call (K15)."""
        owned = connection.execute(
            self._queries["ledger/claim_holds"].prepared(connection, send_keys=list(send_keys), token=token)
        )
        return owned.scalar_one() == len(send_keys)

    def record(self, connection: sa.Connection, token: UUID, replies: Sequence[Reply]) -> list[tuple[str, str | None]]:
        """Write down what was answered; answers (state, reason) of the rows that were still ours."""
        connection.execute(self._queries["ledger/send_limits"]())
        recorded = connection.execute(
            self._queries["ledger/record"].prepared(
                connection,
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

    def look_up(self, connection: sa.Connection, providers: Collection[str]) -> int:
        """Ask our own inbox what is there of what these providers left in doubt; counts what it says.

        They drop a repeat under the same send key, so a look is as good as a report (class A).
        """
        found = connection.execute(
            self._queries["ledger/inbox_doubts"](
                providers=sorted(providers), at=self._clock.at, call_timeout=self._limits.call_timeout
            )
        )
        return len(found.all())

    def settle(self, connection: sa.Connection) -> int:
        """Settle doubts by what providers reported; counts them."""
        return self._moved(
            connection, self._queries["ledger/settle"](at=self._clock.at, call_timeout=self._limits.call_timeout)
        )

    def abandon(self, connection: sa.Connection) -> int:
        """Give up on doubts past their horizon; counts them."""
        return self._moved(connection, self._queries["ledger/abandon"](at=self._clock.at))

    def resolve(self, connection: sa.Connection, send_key: str, *, was_accepted: bool) -> bool:
        """Settle one doubt by what a person found out; False when no such message is in doubt."""
        kind = "accepted" if was_accepted else "not_accepted"
        noted = connection.execute(
            self._queries["ledger/sends_resolve"](send_key=send_key, kind=kind, at=self._clock.at)
        ).first()
        if noted is None:
            return False
        self.settle(connection)
        return True

    def missed(self, connection: sa.Connection, campaign: str | None, since: datetime) -> list[Missed]:
        """What certainly nobody got, though neither the person nor the address is the reason."""
        rows = connection.execute(
            self._queries["ledger/sends_missed"](
                campaign=campaign, since=since, final_reasons=sorted(ADDRESS_IS_DEAD | PERSON_SAID_NO)
            )
        )
        return [Missed(**row) for row in rows.mappings()]

    def resend(self, connection: sa.Connection, missed: Sequence[Missed]) -> int:
        """Plan again what certainly nobody got; counts them. The claim asks every question anew."""
        planned = 0
        for name in sorted({row.campaign for row in missed} & self._campaigns.keys()):
            wait = self._campaigns[name].expires_after.total_seconds()
            keys = [row.send_key for row in missed if row.campaign == name]
            statement = self._queries["ledger/sends_resend"](send_keys=keys, at=self._clock.at, wait_seconds=wait)
            planned += self._moved(connection, statement)
        return planned

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

    def _gates(self, connection: sa.Connection, decided: Sequence[sa.Row[Any]]) -> dict[str, Any]:
        if not decided:
            return {}
        asked = connection.execute(
            self._queries["ledger/claim_gates"](
                send_keys=[row.send_key for row in decided],
                moments=[row.decided_at for row in decided],
                channels=self._asked,
                inner_pad=self._inner_pad,
                outer_pad=self._outer_pad,
            )
        )
        return {row.send_key: row.gates for row in asked}

    def _follow(
        self,
        connection: sa.Connection,
        send_keys: Sequence[str],
        *,
        is_claim: bool,
        gates: Mapping[str, Any] | None = None,
        moments: Mapping[str, str] | None = None,
    ) -> None:
        if send_keys:
            connection.execute(
                self._queries["ledger/decide_moved"].prepared(
                    connection,
                    send_keys=list(send_keys),
                    at=self._clock.at,
                    is_claim=is_claim,
                    moments=moments or {},
                    gates=gates or {},
                    run_id=None,
                )
            )

    def _receipt(self, reply: Reply) -> dict[str, Any]:
        # "Again at once" is no wait: the next one is as long as if nothing had been said.
        asked = reply.retry_after if reply.retry_after and reply.retry_after > 0 else None
        is_over = reply.answer == "accepted"
        wait = None if is_over else timing.busy_wait(reply.busy_tries, reply.attempt_id, asked).total_seconds()
        return {
            "send_key": reply.send_key,
            "attempt_id": reply.attempt_id,
            "outcome": reply.answer,
            "reason": reply.reason,
            "delay_seconds": wait,
            "retry_after_seconds": asked,
            "has_another_channel": reply.has_another_channel,
            # What was certainly not sent is tried until it expires; only this person's own limit ends it sooner.
            "is_exhausted": reply.reason == PROVIDER_CAP and reply.provider_caps > 0,
            "provider_message_id": reply.provider_message_id,
            "status_code": reply.status_code,
            "error_class": reply.error_class,
        }


# Complaints and failures are a share of so many messages, the newest ones, and of the last day's.
# With fewer emails a share of complaints says little, yet so many people who complain would be too many among the whole
# number as well.
REPORTS_OF = 1_000
CERTAIN_COMPLAINTS = 5
# The provider lets this person have no more for now: tried once more, a day later (P17).
PROVIDER_CAP = "provider_cap"
# Refusals that say the address itself is at an end, not this message.
ADDRESS_IS_DEAD = frozenset({"invalid_address", "token_invalid", "opted_out", "unsubscribed", "hard_bounce"})
# Refusals in which a person speaks: they hold for the address, whatever it is.
PERSON_SAID_NO = frozenset({"opted_out", "unsubscribed"})
# Rules that drop a message for good, whatever the channels would answer.
DROPPED = frozenset({"quiet", "outside_free_window", "needs_template"})
# Where the address is a device's token, which another person's app may get one day (C21).
TOKEN_CHANNELS = frozenset({"push", "webpush"})


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():g} s"


_columns = attrgetter(*Claimed._fields)


def _definition(campaign: Campaign, queries: Queries, business_zone: str, plays: str | None) -> dict[str, Any]:
    """A campaign as the claim needs it; JSON, since the statement takes all campaigns at once."""
    quiet = campaign.quiet_hours
    return {
        "campaign": campaign.name,
        "purpose": campaign.purpose,
        "zone": campaign.zone(business_zone),
        "starts_on": campaign.period.start.isoformat() if campaign.period.start else None,
        "ends_on": campaign.period.end.isoformat() if campaign.period.end else None,
        "open_minutes": quiet_week(quiet.start, quiet.end) if quiet else None,
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
        "retargeting": _retargeting(campaign, queries),
        "plays": plays,
    }


def _writes_emails(campaign: Campaign) -> bool:
    return any(use.name == "email" for use in campaign.channels)


def _retargeting(campaign: Campaign, queries: Queries) -> dict[str, Any] | None:
    """What the claim asks about conversations; None for a campaign that is not about them."""
    if campaign.retargeting is None:
        return None
    return {
        "when_ad_paused": campaign.retargeting.when_ad_paused,
        "after_free_window": campaign.retargeting.after_free_window,
        "follows_replies": campaign.retargeting.anchor == "latest_message",
        "reply_quiet_seconds": campaign.retargeting.min_quiet_after_reply.total_seconds(),
        "ads": list(campaign.ads),
        "min_silence": str(silence) if (silence := segments.min_silence(queries, campaign)) is not None else None,
        "offsets": [step.send_after.total_seconds() for step in campaign.steps],
    }


def _contenders(campaigns: Iterable[Campaign]) -> list[str]:
    """Campaigns whose messages take room under somebody's caps; none where nobody has a cap or nobody else does."""
    marketing = [campaign for campaign in campaigns if campaign.purpose != "transactional"]
    if len(marketing) < 2 or not any(campaign.caps for campaign in marketing):
        return []
    return sorted(campaign.name for campaign in marketing)


def _asked(campaign: Campaign) -> list[dict[str, Any]]:
    """What each channel of a campaign is asked about a person, as planning asks it."""
    return [
        {
            "campaign": campaign.name,
            "purpose": campaign.purpose,
            "channel": use.name,
            "bases": list(use.consent),
            "place": place,
            "needs_zone": planning.needs_zone(campaign, use.name),
            "categories": planning.price_categories(campaign),
        }
        for place, use in enumerate(campaign.channels)
    ]


def _ways(campaign: Campaign, providers: Mapping[str, str]) -> list[dict[str, Any]]:
    """How each step and variant may travel, in the campaign's order."""
    return [
        {
            "campaign": campaign.name,
            "step": step,
            "variant": variant,
            "channel": use.name,
            "provider": providers.get(use.name, OUTBOX),
            "bases": list(use.consent),
            "place": place,
            "has_template": campaign.messages_for(step, variant)[use.name].template is not None,
            "category": (
                campaign.price_category(campaign.messages_for(step, variant)[use.name])
                if use.name == planning.PRICED
                else None
            ),
        }
        for step in range(1, len(campaign.steps) + 1)
        for variant in [arm.name for arm in campaign.variants] or [CONTROL]
        for place, use in enumerate(campaign.channels)
        if use.name in campaign.messages_for(step, variant)
    ]
