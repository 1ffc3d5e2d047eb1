"""Hand over what is due: claim, commit, call once, record; whatever happens in between, nothing leaves twice."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby
from typing import TypeVar

import sqlalchemy as sa
from jinja2 import TemplateError

from config.campaign import Campaign
from tasks.channels import factory
from tasks.channels.base import OutgoingMessage, Receipt, Sender
from tasks.rules.content import Content, Person, Templates, unsubscribe_url
from tasks.rules.errors import Busy, ConfigError, DatabaseError, Misconfigured, Problem, Refused, Unanswered
from tasks.step import say, show_table, step
from tasks.store import mode
from tasks.store.ledger import Claim, Claimed, Clock, Ledger, Limits, Pin, Reply
from tasks.store.workspace import Workspace

T = TypeVar("T")
MOST_IDLE = 3
# Decisions and leases use the database's clock only; a machine this far off is not trusted with messages (R8).
MOST_SKEW = timedelta(seconds=60)


@dataclass
class Sent:
    """What one dispatch did, in counts by state and reason; never about a person."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    halted: dict[str, str] = field(default_factory=dict)
    was_stopped: bool = False

    @property
    def in_words(self) -> str:
        """One line for the log."""
        told = ", ".join(f"{count:,} {name}" for name, count in sorted(self.counts.items()))
        return told or "nothing was due"


def pass_by(_: str) -> None:
    """What happens at the named points of a dispatch: nothing; crash tests end the process there."""


@step(name="send due messages", tags=("send",))
def due(
    work: Workspace,
    as_of: datetime | None = None,
    campaign: str | None = None,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    senders: Mapping[str, Sender] | None = None,
    watch: Callable[[str], None] = pass_by,
    wall_clock: Callable[[], float] = time.time,
) -> Sent:
    """Dispatch everything that is due, of one campaign or all; safe to run twice, at once, and after any crash.

    Live, the database's clock decides and `as_of` says nothing. In a simulated database every row leaves at its own
    due or not_before moment up to `as_of`, as dispatches in between would have sent it. `watch` is called with the
    name of each point passed: claiming, claimed, calling, answered, recorded. Raises DatabaseError when this
    machine's `wall_clock` (seconds since 1970) and the database's are too far apart, and Misconfigured, after
    everything else was handed over, when a provider does not know us.
    """
    at = mode.clock(work, as_of) if as_of is None else as_of
    with work.database.transaction() as connection:
        stored = mode.settle(work, connection)
    if abs(work.database.now().timestamp() - wall_clock()) > MOST_SKEW.total_seconds():
        raise DatabaseError(
            f"this machine's clock and the database's are more than {MOST_SKEW.total_seconds():.0f} s apart: nothing "
            "was claimed; put the clocks right and dispatch again"
        )
    clock = Clock(at if stored == "simulated" else None)
    sent = Sent()
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(_stopping())
        campaigns, templates = _readable(work, campaign, sent)
        ledger = Ledger(
            work.queries,
            campaigns,
            clock=clock,
            business_zone=str(work.settings.business_zone),
            address_key=work.settings.suppression_key.get_secret_value(),
            provider=factory.OUTBOX,
            limits=limits,
        )
        if senders is None:
            sender = factory.open_sender(work, factory.OUTBOX, mode=stored, timeout=limits.call_timeout.total_seconds())
            stack.callback(sender.close)
            senders = {factory.OUTBOX: sender}
        dispatch = Dispatch(work, ledger, templates, senders, clock, limits, watch, stop, sent)
        dispatch.until_nothing_is_due(campaign)
    said = f"dispatch {campaign or 'of all campaigns'}: {sent.in_words}"
    say(f"{said} (in batches of {limits.batch}: no more than that can be in doubt when a worker dies)")
    show_table("dispatch", [{"what": name, "messages": count} for name, count in sorted(sent.counts.items())],
               "What became of the messages that were due")  # fmt: skip
    for problem in sent.problems:
        say(f"left out, its messages stay planned: {problem}")
    if sent.halted:
        raise Misconfigured(
            "; ".join(f"{channel} halted: {reason}" for channel, reason in sorted(sent.halted.items()))
            + ". Nothing was rejected; the messages stay planned until this is put right"
        )
    return sent


@dataclass
class Dispatch:
    """One worker's loop over claims; one provider call at a time, so a worker's doubt is at most one batch."""

    work: Workspace
    ledger: Ledger
    templates: Mapping[str, Templates]
    senders: Mapping[str, Sender]
    clock: Clock
    limits: Limits
    watch: Callable[[str], None]
    stop: threading.Event
    sent: Sent
    resting: set[str] = field(default_factory=set)

    @cached_property
    def versions(self) -> dict[tuple[str, int, str, str], str]:
        """Which words each campaign, step, variant and channel is made of, for the ledger."""
        return {
            (name, version.step, version.variant, version.channel): version.sha256
            for name, templates in self.templates.items()
            for version in templates.versions()
        }

    def until_nothing_is_due(self, campaign: str | None) -> None:
        """End leases, then claim and hand over batch by batch; what waited too long expires at the end."""
        self._count("in doubt (lease ended)", self._in_transaction(self.ledger.end_leases))
        self._in_transaction(lambda connection: self.ledger.explain_holds(connection, campaign))
        idle = 0
        while not self.stop.is_set() and idle < MOST_IDLE:
            found, moved = self._one_batch()
            if not found:
                break
            # A batch that moves nothing: its campaign was paused in between, or this machine is too slow for its lease.
            idle = 0 if moved else idle + 1
        if self.stop.is_set():
            self.sent.was_stopped = True
            return
        self._count("expired", self._in_transaction(lambda connection: self.ledger.expire(connection, campaign)))
        if self.clock.is_simulated:
            self._in_transaction(self.ledger.mark_played)

    def _one_batch(self) -> tuple[bool, bool]:
        claimed_at = time.monotonic()
        claim, letters = self._in_transaction(self._claim)
        self.watch("claimed")
        for state, reason in claim.others:
            self._count(f"{state} ({reason})" if reason else state, 1)
        self._count("rejected (content)", len(claim.rows) - len(letters))
        moved = len(claim.others) + len(claim.rows) - len(letters)
        for channel, group in groupby(sorted(letters, key=_channel), key=_channel):
            moved += self._hand_over(channel, list(group), claim, claimed_at)
        return bool(claim.locked), bool(moved)

    def _claim(self, connection: sa.Connection) -> tuple[Claim, list[Letter]]:
        claim = self.ledger.claim(connection, self.resting)
        if not claim.rows:
            return claim, []
        contents = {row.send_key: self._render(row) for row in claim.rows}
        attempts = self.ledger.pin(connection, claim, [self._pin(row, contents[row.send_key]) for row in claim.rows])
        self.watch("claiming")
        return claim, [
            Letter(row, attempts[row.send_key], content)
            for row in claim.rows
            if (content := contents[row.send_key]) is not None
        ]

    def _pin(self, row: Claimed, content: Content | None) -> Pin:
        if content is None:
            return Pin(row.send_key, None, None)
        variant = self.ledger.variant(row)
        version = self.versions[row.campaign, row.step_no, variant, row.channel]
        return Pin(row.send_key, content.sha256, version)

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

    def _hand_over(self, channel: str, letters: Sequence[Letter], claim: Claim, claimed_at: float) -> int:
        """Call once and record; answers how many messages were handed over."""
        keys = [letter.row.send_key for letter in letters]
        if channel in self.resting or not self._may_call(claim, keys, claimed_at):
            replies = [Reply(letter.row.send_key, letter.attempt_id, "not_started") for letter in letters]
        else:
            replies = self._call(channel, letters)
        recorded = self._in_transaction(lambda connection: self.ledger.record(connection, claim.token, replies))
        self.watch("recorded")
        for state, reason in recorded:
            self._count(f"{state} ({reason})" if reason else "put back" if state == "planned" else state, 1)
        if lost := len(replies) - len(recorded):
            self._count("answered after the lease", lost)
        return sum(reply.answer != "not_started" for reply in replies)

    def _may_call(self, claim: Claim, keys: Sequence[str], claimed_at: float) -> bool:
        if self.stop.is_set() or time.monotonic() - claimed_at > self.limits.time_to_call.total_seconds():
            return False
        return self._in_transaction(lambda connection: self.ledger.owns(connection, claim.token, keys))

    def _call(self, channel: str, letters: Sequence[Letter]) -> list[Reply]:
        messages = [letter.message for letter in letters]
        self.watch("calling")
        try:
            receipts = self.senders[letters[0].row.provider].send(messages)
        except Busy as busy:
            if not self.clock.is_simulated and busy.retry_after is not None:
                self.resting.add(channel)  # the whole channel slows down, not one batch of it
            return [_all(letter, "busy", busy, retry_after=busy.retry_after) for letter in letters]
        except Refused as refused:
            return [self._refused(letter, refused.reason, None) for letter in letters]
        except Misconfigured as wrong:
            self.resting.add(channel)
            self.sent.halted[channel] = str(wrong)
            return [_all(letter, "misconfigured", wrong) for letter in letters]
        except Unanswered as lost:
            return [_all(letter, "unanswered", lost) for letter in letters]
        except Exception as unexpected:  # noqa: BLE001 - bytes may have left: in doubt is the only safe answer
            return [_all(letter, "unanswered", unexpected) for letter in letters]
        self.watch("answered")
        answers = {receipt.attempt_id: receipt for receipt in receipts}
        return [self._reply(letter, answers.get(letter.attempt_id)) for letter in letters]

    def _reply(self, letter: Letter, receipt: Receipt | None) -> Reply:
        if receipt is None:
            return Reply(letter.row.send_key, letter.attempt_id, "unanswered", error_class="NoReceipt")
        if receipt.outcome == "refused":
            return self._refused(letter, receipt.reason or "refused", receipt.status_code)
        return Reply(
            letter.row.send_key,
            letter.attempt_id,
            receipt.outcome,
            reason=receipt.reason,
            retry_after=receipt.retry_after,
            provider_message_id=receipt.provider_message_id,
            status_code=receipt.status_code,
            busy_tries=letter.row.busy_tries,
        )

    def _refused(self, letter: Letter, reason: str, status_code: int | None) -> Reply:
        return Reply(
            letter.row.send_key,
            letter.attempt_id,
            "refused",
            reason=reason,
            status_code=status_code,
            has_another_channel=self.ledger.has_another_channel(letter.row),
        )

    def _in_transaction(self, do: Callable[[sa.Connection], T]) -> T:
        """One transaction of the ledger, repeated where PostgreSQL says it did nothing; never around a call."""
        return self.work.database.repeated(do)

    def _count(self, name: str, number: int) -> None:
        if number:
            self.sent.counts[name] += number


@dataclass(frozen=True)
class Letter:
    """A claimed row with its attempt and its words."""

    row: Claimed
    attempt_id: str
    content: Content

    @property
    def message(self) -> OutgoingMessage:
        """What the provider is given."""
        row = self.row
        return OutgoingMessage(
            self.attempt_id, row.send_key, row.channel, row.address, row.decided_at, self.content.fields
        )


def _channel(letter: Letter) -> str:
    return letter.row.channel


def _all(letter: Letter, answer: str, error: Exception, retry_after: float | None = None) -> Reply:
    return Reply(
        letter.row.send_key,
        letter.attempt_id,
        answer,  # ty: ignore[invalid-argument-type]
        retry_after=retry_after,
        error_class=type(error).__name__,
        busy_tries=letter.row.busy_tries,
    )


def _readable(work: Workspace, wanted: str | None, sent: Sent) -> tuple[dict[str, Campaign], dict[str, Templates]]:
    """Campaigns whose folder can be read and whose messages pass the lint; others are left out and told (I21)."""
    folder = work.settings.folder("campaigns")
    names = [wanted] if wanted else sorted(path.parent.name for path in folder.glob("*/campaign.yaml"))
    campaigns, templates = {}, {}
    for name in names:
        try:
            campaign = work.campaign(name)
            templates[name] = work.templates(campaign)
        except ConfigError as error:
            if wanted:
                raise
            sent.problems += error.problems
            continue
        campaigns[name] = campaign
    return campaigns, templates


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Set when the process is asked to end: stop claiming, finish the call, record, leave (R19)."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGTERM, lambda _signal, _frame: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
