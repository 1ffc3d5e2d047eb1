"""Claim, commit, call once, record: how due messages leave, over several lanes at once.

A lane is a thread that takes one claim after another for one provider. What can be in doubt when a process dies is
what its lanes have claimed: never more than lanes times the size of a claim (I3).
"""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import accumulate, groupby
from typing import TypeVar
from uuid import UUID, uuid4

import sqlalchemy as sa
from jinja2 import TemplateError

from config.providers import OUTBOX
from tasks.channels.base import SANDBOX, OutgoingMessage, Receipt, Sender, Weighing, in_calls
from tasks.channels.profile import Profile
from tasks.rules.content import Content, Person, Templates, unsubscribe_url
from tasks.rules.errors import Busy, Misconfigured, Problem, Refused, Unanswered, Unreached, WrongTemplate
from tasks.rules.words import REASONS
from tasks.store.ledger import Answer, Claim, Claimed, Clock, Ledger, Limits, Pin, Reply, Rest
from tasks.store.workspace import Workspace

T = TypeVar("T")
MOST_IDLE = 3
# Calls in a row, of one worker, of which a provider took nothing: then it rests, in every process. Each that does not
# come through costs seconds, while a throttle also says no to a few of many.
MOST_UNREACHED = 3
MOST_THROTTLED = 25
# At a provider's rate, what is claimed fits into a part of the time a claim is good for, and is claimed when the turns
# of others leave that much: so hardly anything is claimed only to be put back.
SHARE_CLAIMED, SHARE_QUEUED = 0.4, 0.5
# Claims of providers that take one message a call are small: each of them may be in doubt.
SINGLES_AT_ONCE = 50
# A lane that hands over while the other claims keeps database and network busy at once; more lanes only doubt more.
LANES = 2
# Seconds after which a thread that computes lets another go on. A lane has some twenty answers of the database to wait
# for, and would lose Python's usual 5 ms at each of them while the other lane writes its messages.
TURN = 0.001


@dataclass
class Sent:
    """What one dispatch did, in counts by state and reason; never about a person."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    halted: dict[str, str] = field(default_factory=dict)
    rests: list[Rest] = field(default_factory=list)
    was_stopped: bool = False
    most_in_doubt: int = 0

    @property
    def in_words(self) -> str:
        """One line for the log."""
        told = ", ".join(f"{count:,} {name}" for name, count in sorted(self.counts.items()))
        return "; ".join([told or "nothing was due", *map(_rest_in_words, self.rests)])


@dataclass(frozen=True)
class Lane:
    """What one thread claims: messages of these channels (None = any), so many at once, in so many calls at once."""

    provider: str | None
    channels: frozenset[str] | None
    size: int
    calls: int


@dataclass(frozen=True)
class Letter:
    """A claimed row with its words and the id of the attempt it goes out under."""

    row: Claimed
    attempt_id: str
    content: Content
    purpose: str

    @property
    def message(self) -> OutgoingMessage:
        """What the provider is given."""
        row = self.row
        return OutgoingMessage(
            attempt_id=self.attempt_id,
            send_key=row.send_key,
            channel=row.channel,
            address=row.address,
            decided_at=row.decided_at,
            fields=self.content.fields,
            campaign=row.campaign,
            deliver_by=row.deliver_by,
            platform=row.platform,
            purpose=self.purpose,
        )


@dataclass(frozen=True)
class Call:
    """Letters that leave together, in one request."""

    batch_id: UUID
    letters: Sequence[Letter]
    messages: Sequence[OutgoingMessage]  # as the sender put them together

    @property
    def provider(self) -> str:
        """Who delivers them."""
        return self.letters[0].row.provider

    @property
    def channel(self) -> str:
        """What they are."""
        return self.letters[0].row.channel


def pass_by(_: str) -> None:
    """What happens at the named points of a dispatch: nothing; crash tests end the process there."""


@dataclass
class Dispatch:
    """One worker: its lanes claim, call and record until nothing is due."""

    work: Workspace
    ledger: Ledger
    templates: Mapping[str, Templates]
    senders: Mapping[str, Sender]
    providers: Mapping[str, str]
    clock: Clock
    limits: Limits
    watch: Callable[[str], None]
    stop: threading.Event
    sent: Sent
    resting: set[str] = field(init=False)
    begun_at: datetime = field(init=False)
    heeds_at: float = -math.inf  # when it looks at reports again, in monotonic seconds
    tallies: defaultdict[str, Counter[bool]] = field(default_factory=lambda: defaultdict(Counter))
    broken: set[str] = field(default_factory=set)  # campaigns whose template a provider does not take
    turned_away: Counter[str] = field(default_factory=Counter)  # calls in a row of which a provider took nothing
    left_alone: frozenset[str] = frozenset()  # channels whose provider rests in all processes
    silent: set[str] = field(default_factory=set)  # providers that have taken nothing since their last rest
    weights: dict[str, float] = field(default_factory=dict)  # what a message counted against a rate, the last time
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.resting = set(self.sent.halted)
        self.begun_at = self.work.database.now()

    @cached_property
    def versions(self) -> dict[tuple[str, int, str, str], str]:
        """Which words each campaign, step, variant and channel is made of, for the ledger."""
        return {
            (name, version.step, version.variant, version.channel): version.sha256
            for name, templates in self.templates.items()
            for version in templates.versions()
        }

    @cached_property
    def rates(self) -> dict[str, float | None]:
        """Messages a second that each provider takes from all processes together; None is no limit."""
        wanted = {known.provider: known.rate for known in self.work.settings.pipeline.providers}
        return {name: wanted.get(name) or sender.profile.rate for name, sender in self.senders.items()}

    @property
    def rates_in_words(self) -> str:
        """How fast providers are called whose rate is limited; empty when none is."""
        limited = {} if self.clock.is_simulated else {name: rate for name, rate in self.rates.items() if rate}
        return ", ".join(f"{name} at {rate:g} a second at most" for name, rate in sorted(limited.items()))

    @property
    def most_in_doubt(self) -> int:
        """How many messages can be in doubt when this worker dies (I3)."""
        return sum(lane.size for lane in self.lanes())

    def lanes(self) -> list[Lane]:
        """How this worker divides the work.

        A simulated database has one lane, since messages are decided one moment after the other there.
        """
        if self.clock.is_simulated or set(self.senders) == {OUTBOX}:
            return [Lane(None, None, self.limits.batch or self.senders[OUTBOX].profile.batch, 1)]
        lanes = []
        for name, sender in self.senders.items():
            profile = sender.profile
            channels = self._channels_of(name)
            if not channels:
                continue
            in_flight = self._calls_in_flight(name, profile)
            number = min(LANES, in_flight)
            calls = max(1, in_flight // number)
            size = self.limits.batch or (profile.batch * calls if profile.batch > 1 else SINGLES_AT_ONCE)
            if rate := self.rates[name]:
                size = max(1, min(size, int(rate * self.limits.time_to_call.total_seconds() * SHARE_CLAIMED)))
            lanes += [Lane(name, channels, size, calls)] * number
        return lanes

    def _channels_of(self, provider: str) -> frozenset[str]:
        """Channels whose messages a provider delivers here."""
        known = self.senders[provider].profile.channels if provider in self.senders else ()
        return frozenset(channel for channel in known if self.providers.get(channel, OUTBOX) == provider)

    def _calls_in_flight(self, provider: str, profile: Profile) -> int:
        wanted = {known.provider: known.calls_in_flight for known in self.work.settings.pipeline.providers}
        return wanted.get(provider) or profile.calls_in_flight

    def until_nothing_is_due(self, campaign: str | None) -> None:
        """End leases, then claim and hand over until nothing is due; what waited too long expires at the end."""
        self._count("in doubt (lease ended)", self._in_transaction(self.ledger.end_leases))
        self._heed_reports()
        self._in_transaction(lambda connection: self.ledger.explain_holds(connection, campaign))
        lanes = self.lanes()
        if len(lanes) == 1:
            self._work_off(lanes[0])
        else:
            with _short_turns(), ThreadPoolExecutor(len(lanes), thread_name_prefix="lane") as threads:
                has_moved = True
                while has_moved:  # what let another lane's message of higher priority go first may leave now
                    at_work = [threads.submit(self._work_off, lane) for lane in lanes]
                    moved = [done.result() for done in at_work]
                    has_moved = any(moved)
        if not self.clock.is_simulated:
            found = self._in_transaction(self.ledger.rests)
            self.sent.rests = [rest for rest in found if rest.is_resting and rest.provider in self.senders]
        if self.stop.is_set():
            self.sent.was_stopped = True
            return
        self._count("expired", self._in_transaction(lambda connection: self.ledger.expire(connection, campaign)))
        if self.clock.is_simulated:
            self._in_transaction(self.ledger.mark_played)

    def _work_off(self, lane: Lane) -> bool:
        """Claim and hand over until this lane finds nothing; answers whether anything moved."""
        idle = 0
        has_moved = False
        with ThreadPoolExecutor(lane.calls, thread_name_prefix="call") as callers:
            while not self.stop.is_set() and idle < MOST_IDLE:
                found, moved = self._one_claim(lane, callers)
                if not found:
                    break
                # Nothing moved: its campaign was paused in between, or this machine is too slow for its lease.
                idle = 0 if moved else idle + 1
                has_moved = has_moved or moved
        return has_moved

    def _heed_reports(self) -> None:
        """Pause campaigns and halt channels for what was reported of messages that left, also of this dispatch.

        Now and then, by whichever lane comes first: a dispatch at a provider's rate can last hours. In a simulated
        database only once, since what happens there must not depend on how fast this machine is.
        """
        with self.lock:
            if time.monotonic() < self.heeds_at:
                return
            every = self.limits.heed_every.total_seconds()
            self.heeds_at = math.inf if self.clock.is_simulated else time.monotonic() + every
        for found in self._in_transaction(lambda connection: self.ledger.pause_reported(connection, self.begun_at)):
            if found.reason:
                self._tell_paused(found.campaign, found.reason)
            for channel in found.halted - self._resting():
                who = self.providers.get(channel, OUTBOX)
                self._halt(channel, f"{who} takes messages and reports then that our account or number is at fault")

    def _halt(self, channel: str, why: str) -> None:
        with self.lock:
            self.resting.add(channel)
            self.sent.halted[channel] = why

    def _one_claim(self, lane: Lane, callers: ThreadPoolExecutor) -> tuple[bool, bool]:
        self._wait_for_room(lane)
        self._heed_reports()
        claimed_at = time.monotonic()
        claim, calls = self._in_transaction(lambda connection: self._claim(connection, lane))
        self.watch("claimed")
        letters = sum(len(call.letters) for call in calls)
        for state, reason, _ in claim.others:
            self._count(f"{state} ({reason})" if reason else state, 1)
        self._count("rejected (content)", len(claim.rows) - letters)
        moved = len(claim.others) + len(claim.rows) - letters
        replies = self._hand_over(calls, claim, claimed_at, callers) if calls else []
        self._pause_failing(claim, replies)
        moved += sum(reply.answer != "not_started" for reply in replies)
        return bool(claim.locked), bool(moved)

    def _claim(self, connection: sa.Connection, lane: Lane) -> tuple[Claim, list[Call]]:
        resting, size = self._resting(), lane.size
        if not self.clock.is_simulated:
            rests = self.ledger.rests(connection)
            self.left_alone = frozenset().union(*(self._channels_of(r.provider) for r in rests if r.is_resting))
            resting |= self.left_alone
            size = self._size(lane, {rest.provider for rest in rests if rest.failures})
        claim = self.ledger.claim(connection, batch=size, channels=lane.channels, resting=resting)
        if not claim.rows:
            return claim, []
        rendered = [(row, self._render(row)) for row in claim.rows]
        letters = [
            Letter(row, str(uuid4()), content, self.ledger.purpose(row.campaign))
            for row, content in rendered
            if content is not None
        ]
        calls = list(self._calls(letters))
        pins = [self._pin(letter, call.batch_id) for call in calls for letter in call.letters]
        pins += [Pin(row.send_key) for row, content in rendered if content is None]
        self.ledger.pin(connection, claim, pins)
        self.watch("claiming")
        return claim, calls

    def _size(self, lane: Lane, silent: set[str]) -> int:
        """How much to claim: one message to find out with, while a provider has not been heard since its last rest."""
        name = lane.provider or OUTBOX
        with self.lock:
            self.silent = silent
            if name in silent:
                return 1
            return max(1, int(lane.size / max(1.0, self.weights.get(name, 1.0))))

    def _wait_for_room(self, lane: Lane) -> None:
        """Until the turns that are taken at the lane's provider leave room for a claim; others may be at it."""
        if lane.provider is None or self.rates[lane.provider] is None:
            return
        longest = self.limits.time_to_call.total_seconds() * SHARE_QUEUED
        while not self.stop.is_set() and lane.channels and not lane.channels <= self._resting():
            queued = self._in_transaction(lambda connection: self.ledger.turn_wait(connection, lane.provider or ""))
            if queued <= longest:
                return
            self.stop.wait(queued - longest)

    def _calls(self, letters: Sequence[Letter]) -> Iterator[Call]:
        """The calls that take these letters; what a refused call took along before goes alone now."""
        for _, group in groupby(sorted(letters, key=_way), key=_way):
            together = []
            for letter in group:
                if letter.row.goes_alone:
                    yield Call(uuid4(), [letter], [letter.message])
                else:
                    together.append(letter)
            if not together:
                continue
            by_attempt = {letter.attempt_id: letter for letter in together}
            whole = [letter.message for letter in together]
            sender = self.senders.get(together[0].row.provider)
            if sender is None:  # it could not be opened: its channel rests, and the call will not be made
                yield Call(uuid4(), together, whole)
                continue
            for messages in in_calls(sender, whole):
                yield Call(uuid4(), [by_attempt[message.attempt_id] for message in messages], messages)

    def _pin(self, letter: Letter, batch_id: UUID) -> Pin:
        row = letter.row
        version = self.versions[row.campaign, row.step_no, self.ledger.variant(row), row.channel]
        return Pin(row.send_key, letter.attempt_id, batch_id, letter.content.sha256, version)

    def _render(self, row: Claimed) -> Content | None:
        settings = self.work.settings
        person = Person(row.person_id, row.first_name, row.last_name, row.language, row.country)
        link = unsubscribe_url(
            settings.public_url,
            settings.unsubscribe_keys[0].get_secret_value(),
            row.person_id,
            row.channel,
            self.ledger.purpose(row.campaign),
        )
        try:
            return self.templates[row.campaign].render(
                row.step_no,
                self.ledger.variant(row),
                row.channel,  # ty: ignore[invalid-argument-type] - the ledger holds names of our own channels
                person,
                row.evidence,
                voucher_code=row.voucher_code,
                unsubscribe=link,
            )
        except (TemplateError, KeyError, TypeError, ValueError):
            return None  # this person's values do not fit the template; certainly nothing was sent

    def _hand_over(
        self, calls: Sequence[Call], claim: Claim, claimed_at: float, callers: ThreadPoolExecutor
    ) -> list[Reply]:
        """Make every call of a claim once and record what was answered."""
        keys = [letter.row.send_key for call in calls for letter in call.letters]
        is_ours = self._in_transaction(lambda connection: self.ledger.owns(connection, claim.token, keys))
        ends_at = claimed_at + self.limits.time_to_call.total_seconds()
        starts = self._turns(calls, ends_at) if is_ours else [None] * len(calls)

        def one(call: Call, starts_at: float | None) -> list[Reply]:
            if starts_at is None or not self._may_call(call, starts_at, ends_at):
                return [_reply(letter, "not_started") for letter in call.letters]
            found = self._call(call)
            if any(reply.answer not in ("busy", "unreached") for reply in found):
                self._was_heard(call.provider)
            return found

        answered = [one(calls[0], starts[0])] if len(calls) == 1 else callers.map(one, calls, starts)
        replies = [reply for call in answered for reply in call]
        recorded = self._in_transaction(lambda connection: self.ledger.record(connection, claim.token, replies))
        self.watch("recorded")
        for state, reason in recorded:
            self._count(f"{state} ({reason})" if reason else "put back" if state == "planned" else state, 1)
        if lost := len(replies) - len(recorded):
            self._count("answered after the lease", lost)
        return replies

    def _turns(self, calls: Sequence[Call], ends_at: float) -> list[float | None]:
        """When each call may start (monotonic seconds) at its provider's rate; None: not within this claim."""
        starts: list[float | None] = [time.monotonic()] * len(calls)
        for provider in {call.provider for call in calls}:
            rate = self.rates.get(provider)
            if rate is None or self.clock.is_simulated:
                continue
            mine = [place for place, call in enumerate(calls) if call.provider == provider]
            costs = [self._cost(calls[place]) for place in mine]
            self.weights[provider] = sum(costs) / sum(len(calls[place].letters) for place in mine)
            offsets = list(accumulate((cost / rate for cost in costs), initial=0.0))
            left = ends_at - time.monotonic()
            number = sum(offset <= left for offset in offsets[:-1])  # calls that can start before the claim is too old
            wait = self._take_turn(provider, offsets[number], left - offsets[number - 1]) if number else None
            begins = time.monotonic() + (wait or 0)
            for order, place in enumerate(mine):
                starts[place] = begins + offsets[order] if wait is not None and order < number else None
        return starts

    def _cost(self, call: Call) -> int:
        """What a call counts against the provider's rate."""
        sender = self.senders.get(call.provider)
        if isinstance(sender, Weighing):
            return sum(sender.weight(letter.message) for letter in call.letters)
        return len(call.letters)

    def _take_turn(self, provider: str, seconds: float, longest_wait: float) -> float | None:
        # Every process waits for this one row, so no transaction is open around it in which a worker could hang.
        with self.work.database.alone() as connection:
            return self.ledger.take_turn(connection, provider, seconds, longest_wait)

    def _may_call(self, call: Call, starts_at: float, ends_at: float) -> bool:
        """Right before a call: we are not asked to stop, the provider takes it, and the lease outlasts the call."""
        if (wait := starts_at - time.monotonic()) > 0:
            self.stop.wait(wait)
        resting = self._resting() | self.left_alone
        return not self.stop.is_set() and call.channel not in resting and time.monotonic() <= ends_at

    def _call(self, call: Call) -> list[Reply]:
        letters = call.letters
        self.watch("calling")
        try:
            receipts = self.senders[call.provider].send(call.messages)
        except Busy as busy:
            answer: Answer = "unreached" if isinstance(busy, Unreached) else "busy"
            self._turned_away(call.provider, answer, busy.retry_after)
            return [_reply(letter, answer, busy, retry_after=busy.retry_after) for letter in letters]
        except Refused as refused:
            if len(letters) > 1:  # one of them, or all: alone each gets an answer of its own (P4)
                return [_reply(letter, "returned", refused) for letter in letters]
            return [self._refused(letter, refused.reason, None) for letter in letters]
        except WrongTemplate as wrong:
            with self.lock:
                self.broken |= {letter.row.campaign for letter in letters}
            return [_reply(letter, "misconfigured", wrong) for letter in letters]
        except Misconfigured as wrong:
            self._halt(call.channel, str(wrong))
            return [_reply(letter, "misconfigured", wrong) for letter in letters]
        except Unanswered as lost:
            return [_reply(letter, "unanswered", lost) for letter in letters]
        except Exception as unexpected:  # noqa: BLE001 - bytes may have left: in doubt is the only safe answer
            return [_reply(letter, "unanswered", unexpected) for letter in letters]
        self.watch("answered")
        answers = {receipt.attempt_id: receipt for receipt in receipts}
        return [self._read(letter, answers.get(letter.attempt_id)) for letter in letters]

    def _turned_away(self, provider: str, answer: Answer, asked: float | None) -> None:
        """Let a provider rest that asked for it, or took nothing of several calls in a row (P2, P3, P8).

        The whole channel slows down, not one call of it; in this dispatch to its end, in all others until then.
        """
        if self.clock.is_simulated:
            return
        most = MOST_UNREACHED if answer == "unreached" else MOST_THROTTLED
        channels = self._channels_of(provider)
        with self.lock:
            self.turned_away[provider] += 1
            is_enough = self.turned_away[provider] >= most or provider in self.silent
            if asked is None and (not is_enough or channels <= self.resting):
                return
            self.resting |= channels
        self._in_transaction(lambda connection: self.ledger.begin_rest(connection, provider, answer, asked))

    def _was_heard(self, provider: str) -> None:
        """Whatever it answered, it takes calls."""
        with self.lock:
            del self.turned_away[provider]
            was_silent = provider in self.silent
            self.silent.discard(provider)
        if was_silent:
            self._in_transaction(lambda connection: self.ledger.end_rest(connection, provider))

    def _pause_failing(self, claim: Claim, replies: Sequence[Reply]) -> None:
        """Switch off a campaign of whose messages too many were refused or lost in this run (P18), or whose template
        a provider does not take.
        """
        campaigns = {row.send_key: row.campaign for row in claim.rows}
        # A refusal that the next channel may make up for counts when the claim finds that there is none.
        given_up = [name for state, _, name in claim.others if state == "rejected"]
        with self.lock:
            failing = [(name, "template") for name in sorted(self.broken)]
            self.broken.clear()
            for name in given_up:
                self.tallies[name][False] += 1
            for reply in replies:
                has_ended = reply.answer in ("accepted", "refused", "unanswered") and not reply.has_another_channel
                if has_ended and reply.reason != SANDBOX:
                    self.tallies[campaigns[reply.send_key]][reply.answer == "accepted"] += 1
            for name in {*campaigns.values(), *given_up}:
                bounds, tally = self.ledger.pause_when(name), self.tallies[name]
                if sum(tally.values()) >= bounds.at_least and tally[False] > bounds.errors * sum(tally.values()):
                    failing.append((name, "error_rate"))
                    tally.clear()  # whoever resumes it begins anew
        for name, why in failing:
            self._in_transaction(lambda connection, name=name, why=why: self.ledger.pause(connection, name, why))
            self._tell_paused(name, why)

    def _tell_paused(self, campaign: str, reason: str) -> None:
        with self.lock:
            self.sent.problems.append(
                Problem(campaign, f"{REASONS[reason]}; `reengage resume {campaign}` when put right")
            )

    def _read(self, letter: Letter, receipt: Receipt | None) -> Reply:
        if receipt is None:
            return _reply(letter, "unanswered")
        if receipt.outcome == "refused":
            return self._refused(letter, receipt.reason or "refused", receipt.status_code)
        return Reply(
            letter.row.send_key,
            letter.attempt_id,
            receipt.outcome,
            reason=receipt.reason,
            retry_after=receipt.retry_after,
            provider_message_id=self.ledger.message_id(letter.row.provider, receipt.provider_message_id),
            status_code=receipt.status_code,
            busy_tries=letter.row.busy_tries,
            provider_caps=letter.row.provider_caps,
        )

    def _refused(self, letter: Letter, reason: str, status_code: int | None) -> Reply:
        return Reply(
            letter.row.send_key,
            letter.attempt_id,
            "refused",
            reason=reason,
            status_code=status_code,
            has_another_channel=reason != SANDBOX and self.ledger.has_another_channel(letter.row),
        )

    def _in_transaction(self, do: Callable[[sa.Connection], T]) -> T:
        """One transaction of the ledger, repeated where PostgreSQL says it did nothing; never around a call."""
        return self.work.database.repeated(do)

    def _resting(self) -> set[str]:
        with self.lock:
            return set(self.resting)

    def _count(self, name: str, number: int) -> None:
        if number:
            with self.lock:
                self.sent.counts[name] += number


@contextlib.contextmanager
def _short_turns() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(min(usual, TURN))
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _way(letter: Letter) -> tuple[str, str]:
    return letter.row.provider, letter.row.channel


def _rest_in_words(rest: Rest) -> str:
    why = {"asked": "as it asked", "busy": "since it takes nothing", "unreached": "since it cannot be reached"}
    return f"{rest.provider} rests until {rest.rests_until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, {why[rest.reason]}"


def _reply(letter: Letter, answer: Answer, error: Exception | None = None, retry_after: float | None = None) -> Reply:
    return Reply(
        letter.row.send_key,
        letter.attempt_id,
        answer,
        retry_after=retry_after,
        error_class=type(error).__name__ if error else None,
        busy_tries=letter.row.busy_tries,
    )
