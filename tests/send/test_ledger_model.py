"""The ledger against a small model of it: whatever happens in whatever order, both say the same.

The model also knows what no ledger can, whether an unanswered call was taken, and holds the ledger to the promise:
nothing is taken twice as long as nobody says something untrue.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tasks.rules.reports import Parsed, Report
from tasks.store import reports
from tasks.store.ledger import Answer, Claimed, Clock, Ledger, Limits, Pin, Reply
from tests.send.stage import CAMPAIGN, Stage

CHANNELS = ("email", "push")
PEOPLE = ("ann", "bob", "cid")
LIMITS = Limits(lease=timedelta(minutes=10), call_timeout=timedelta(seconds=20))
MESSAGES = {name: CAMPAIGN["steps"][0]["messages"][name] for name in CHANNELS}
ANSWERS: tuple[Answer, ...] = (
    "accepted", "refused", "busy", "unreached", "misconfigured", "unanswered", "not_started", "returned"
)  # fmt: skip


@dataclass
class Attempt:
    """One call that was or may have been made; `is_taken` is known to nobody but the provider."""

    attempt_id: str
    channel: str
    outcome: str | None = None
    reason: str | None = None
    asked: bool = False
    is_taken: bool = False
    is_of_now: bool = True  # since the message was last planned anew


@dataclass
class Message:
    """What the model believes about a message."""

    key: str
    person: str
    channel: str
    state: str = "planned"
    reason: str | None = None
    waits: bool = False
    is_late: bool = False
    lease_is_over: bool = False
    token: UUID | None = None
    attempts: list[Attempt] = field(default_factory=list)
    was_lied_about: bool = False

    @property
    def is_taken_in_doubt(self) -> bool:
        return self.state == "unknown" and self.attempts[-1].is_taken

    @property
    def is_believed_lost(self) -> bool:
        return self.was_lied_about and self.state in ("planned", "retry_wait")

    def tries(self, outcome: str) -> list[Attempt]:
        return [one for one in self.attempts if one.outcome == outcome and one.is_of_now]


@dataclass
class Told:
    """A report that the ledger has and has not settled yet."""

    message: Message
    attempt: Attempt
    is_no: bool


@dataclass(frozen=True)
class Heard:
    """What providers answer to the calls of one claim."""

    answers: list[Answer]
    bounces: bool
    asked: bool
    is_taken: bool

    def why(self, attempt: Attempt, answer: Answer) -> str | None:
        """Why a message was refused; only emails bounce, as a device that is gone would end the push for good."""
        if answer != "refused":
            return None
        return "hard_bounce" if self.bounces and attempt.channel == "email" else "refused"


HEARD = st.builds(
    Heard,
    answers=st.lists(st.sampled_from(ANSWERS), min_size=len(PEOPLE), max_size=len(PEOPLE)),
    bounces=st.sampled_from([False, False, True]), asked=st.booleans(), is_taken=st.booleans(),
)  # fmt: skip


class Model(RuleBasedStateMachine):
    """Rules are what people, providers, workers and time do."""

    make_stage: Callable[..., Stage]

    @initialize()
    def begin(self) -> None:
        self.stage = self.make_stage(
            mode="live", channels=list(CHANNELS), steps=[{"send_after": "9h", "messages": MESSAGES}]
        )
        self.work = self.stage.work
        self.now = self.stage.one("select clock_timestamp()")
        self.key = self.work.settings.suppression_key.get_secret_value()
        self.ledger = Ledger(
            self.work.queries, {"back": self.work.campaign("back")}, clock=Clock(None), business_zone="UTC",
            address_key=self.key, providers={}, limits=LIMITS,
        )  # fmt: skip
        self.messages: dict[str, Message] = {}
        self.consents = {(person, channel): True for person in PEOPLE for channel in CHANNELS}
        self.has_bought: set[str] = set()
        self.dead: set[tuple[str, str]] = set()
        self.is_paused = False
        self.told: list[Told] = []
        self.claims: list[tuple[UUID, dict[str, str]]] = []
        self.names = itertools.count()
        self.times = itertools.count(1)
        self.rows: dict[str, Claimed] = {}
        for person in PEOPLE:
            self.stage.person(person, channels=CHANNELS, granted_at=self.now - timedelta(days=1))
        for person, channel in itertools.product(PEOPLE, CHANNELS):
            self.plan(person, channel)
        self.consent("cid", "push", granted=False)

    def later(self) -> datetime:
        """A moment after everything so far and before the next claim."""
        return self.now + timedelta(microseconds=next(self.times))

    # --- people

    @rule(person=st.sampled_from(PEOPLE), channel=st.sampled_from(CHANNELS))
    def plan(self, person: str, channel: str) -> None:
        if len(self.messages) >= 9:
            return
        due = self.now - timedelta(minutes=1)
        enrolment = self.stage.enrol(person, anchor=self.now - timedelta(hours=1))
        key = self.stage.plan(enrolment, channel=channel, due=due)
        self.messages[key] = Message(key, person, channel)

    @rule(person=st.sampled_from(PEOPLE), channel=st.sampled_from(CHANNELS), granted=st.booleans())
    def consent(self, person: str, channel: str, granted: bool) -> None:
        self.stage.consent(person, channel, "granted" if granted else "withdrawn", self.later())
        self.consents[person, channel] = granted

    @precondition(lambda self: not self.has_bought)
    @rule(person=st.sampled_from(PEOPLE))
    def buy(self, person: str) -> None:
        self.stage.purchase(person, self.later())
        self.has_bought.add(person)

    @precondition(lambda self: not self.is_paused)
    @rule()
    def pause(self) -> None:
        with self.work.database.transaction() as connection:
            self.ledger.pause(connection, "back", "error_rate")
        self.is_paused = True

    @precondition(lambda self: self.is_paused)
    @rule()
    def resume(self) -> None:
        with self.work.database.transaction() as connection:
            connection.execute(self.work.queries["ledger/pause"](campaign="back", state="active", reason=None))
        self.is_paused = False

    # --- workers

    @rule(days=st.lists(HEARD, min_size=2, max_size=4))
    def work_on(self, days: list[Heard]) -> None:
        """Workers that nothing happens to, on days that follow one another."""
        if self.is_paused:
            self.resume()
        for heard in days:
            self.wait()
            self.claim()
            self._record(self.claims[-1], heard)

    @rule(days=st.lists(HEARD, min_size=2, max_size=4), is_taken=st.booleans())
    def work_on_and_die(self, days: list[Heard], is_taken: bool) -> None:
        """The same, and the last of them dies with what it has claimed."""
        self.work_on(days)
        self.wait()
        self.claim()
        self._die(is_taken)

    @rule()
    def claim(self) -> None:
        with self.work.database.transaction() as connection:
            claim = self.ledger.claim(connection, 100)
            # The rows of a claim come in no order, and which of them hears what must not hang on it.
            attempts = {key: str(uuid4()) for key in sorted(row.send_key for row in claim.rows)}
            self.ledger.pin(
                connection, claim, [Pin(key, attempt, uuid4(), "payload", "v") for key, attempt in attempts.items()]
            )
        due: dict[str, list[Message]] = {}
        for message in self.messages.values():
            if message.state in ("planned", "retry_wait") and not message.waits and not self.is_paused:
                due.setdefault(message.person, []).append(message)
        assert claim.locked == len(due), "one message of everybody who has one"
        expected = {}
        for candidates in due.values():
            seen = self.stage.rows(
                "select send_key, state, reason from campaign.sends where send_key = any(:keys)",
                keys=[one.key for one in candidates],
            )
            moved = [row for row in seen if (row["state"], row["reason"]) != self._said(row["send_key"])]
            moved += [row for row in seen if row["send_key"] in attempts and row not in moved]
            assert len(moved) == 1, "decided about one message of the person, and no other"
            expected[moved[0]["send_key"]] = moved[0]
        for key in expected:
            self._decide(self.messages[key], claim.token, attempts.get(key))
        self.rows |= {attempts[row.send_key]: row for row in claim.rows}
        self.claims.append((claim.token, attempts))

    def _said(self, key: str) -> tuple[str, str | None]:
        return self.messages[key].state, self.messages[key].reason

    def _decide(self, message: Message, token: UUID, attempt: str | None) -> None:
        refused = {one.channel: one.reason or "refused" for one in message.tries("refused")}
        ways = sorted(CHANNELS, key=lambda channel: (channel != message.channel, CHANNELS.index(channel)))
        consented = [channel for channel in ways if self.consents[message.person, channel]]
        open_ways = [c for c in consented if (message.person, c) not in self.dead and c not in refused]
        message.token = None
        if message.person in self.has_bought:
            message.state, message.reason = "cancelled", "stop_event"
        elif message.is_late:
            message.state, message.reason = "expired", None
        elif not open_ways and refused:
            message.state, message.reason = "rejected", max(refused.values())
        elif not consented:
            message.state, message.reason = "suppressed", "no_consent"
        elif not open_ways:
            message.state, message.reason = "suppressed", "suppressed_address"
        else:
            message.state, message.reason, message.channel = "in_flight", None, open_ways[0]
            message.token, message.lease_is_over = token, False
            assert attempt is not None, "it could have left"
            message.attempts.append(Attempt(attempt, open_ways[0]))
            return
        assert attempt is None, f"left, though {message.reason}"

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), answers=HEARD)
    def record(self, data: st.DataObject, answers: Heard) -> None:
        """A worker comes back, in time or not, for the first time or once more."""
        self._record(data.draw(st.sampled_from(self.claims[-3:]), label="whose"), answers)

    def _record(self, claim: tuple[UUID, dict[str, str]], heard: Heard) -> None:
        token, attempts = claim
        answers, asked, is_taken = heard.answers, heard.asked, heard.is_taken
        replies, ours = [], []
        for (key, attempt_id), answer in zip(attempts.items(), answers, strict=False):
            message = self.messages[key]
            attempt = next(one for one in message.attempts if one.attempt_id == attempt_id)
            if message.token == token and message.state == "in_flight":
                ours.append((message, attempt, answer))
            row = self.rows[attempt_id]
            why = heard.why(attempt, answer)
            replies.append(
                Reply(
                    key, attempt.attempt_id, answer, reason=why, retry_after=90 if asked and answer == "busy" else None,
                    busy_tries=row.busy_tries, has_another_channel=self.ledger.has_another_channel(row),
                )
            )  # fmt: skip
        with self.work.database.transaction() as connection:
            recorded = self.ledger.record(connection, token, replies)
        self.stage.run_sql(  # it is `wait` that lets waits be over, however slow this machine is
            "update campaign.sends set not_before = not_before + interval '1 day' where state = 'retry_wait'"
            " and reason in ('busy', 'unreached') and not_before > clock_timestamp()"
        )
        assert len(recorded) == len(ours), "only what is still theirs"
        for message, attempt, answer in ours:
            attempt.outcome, message.token = answer, None
            attempt.reason = heard.why(attempt, answer)
            attempt.asked = asked and answer == "busy"
            attempt.is_taken = answer == "accepted" or (answer == "unanswered" and is_taken)
            self._answered(message, attempt)

    def _answered(self, message: Message, attempt: Attempt) -> None:
        match attempt.outcome:
            case "accepted":
                message.state, message.reason = "accepted", None
            case "unanswered":
                message.state, message.reason = "unknown", "unanswered"
            case "refused":
                message.state, message.reason = "planned", attempt.reason  # the other channel may be open
                if attempt.reason == "hard_bounce":
                    self.dead.add((message.person, attempt.channel))
            case "busy" | "unreached":  # certainly not sent: it is tried until it expires
                message.state, message.reason = "retry_wait", attempt.outcome
                message.waits = True
            case "misconfigured":
                message.state, message.reason = "planned", "misconfigured"
            case _:
                message.state, message.reason = "planned", None

    @precondition(lambda self: any(message.state == "in_flight" for message in self.messages.values()))
    @rule(is_taken=st.booleans())
    def end_leases(self, is_taken: bool) -> None:
        """Leases end."""
        self._die(is_taken)

    def _die(self, is_taken: bool) -> None:
        """Whoever has claimed is dead, or will find out too late; its bytes have left or not."""
        self.stage.run_sql(
            "update campaign.sends set lease_until = clock_timestamp() - interval '1 h' where state = 'in_flight'"
        )
        with self.work.database.transaction() as connection:
            ended = self.ledger.end_leases(connection)
        flying = [message for message in self.messages.values() if message.state == "in_flight"]
        assert ended == len(flying)
        for message in flying:
            message.state, message.reason, message.token = "unknown", "lease_ended", None
            message.lease_is_over = True
            message.attempts[-1].outcome = "unanswered"
            message.attempts[-1].is_taken = is_taken

    # --- time

    @rule()
    def wait(self) -> None:
        """Every wait and every lease is over."""
        self.stage.run_sql(
            "update campaign.sends set not_before = least(not_before, due_at) where state = 'retry_wait'"
        )
        self.stage.run_sql("update campaign.sends set lease_until = lease_until - interval '1 h' where"
                           " state = 'unknown'")  # fmt: skip
        for message in self.messages.values():
            message.waits = message.waits and message.state != "retry_wait"
            message.lease_is_over = message.lease_is_over or message.state == "unknown"

    @rule(person=st.sampled_from(PEOPLE), is_noticed=st.booleans())
    def expire(self, person: str, is_noticed: bool) -> None:
        """Somebody's emails have waited too long; the end of a dispatch sees it, or the next claim."""
        self.stage.run_sql(
            "update campaign.sends set expires_at = clock_timestamp() - interval '1 s' where customer_id = :id"
            " and channel = 'email' and state in ('planned', 'retry_wait')",
            id=person,
        )
        for message in self.messages.values():
            message.is_late |= (message.person, message.channel) == (person, "email") and message.state in (
                "planned", "retry_wait"
            )  # fmt: skip
        if not is_noticed:
            return
        with self.work.database.transaction() as connection:
            self.ledger.expire(connection)
        for message in self.messages.values():
            if message.is_late and message.state in ("planned", "retry_wait"):
                message.state, message.reason = "expired", None

    @precondition(lambda self: any(message.state == "unknown" for message in self.messages.values()))
    @rule(person=st.sampled_from(PEOPLE))
    def give_up(self, person: str) -> None:
        """The horizon of somebody's doubts has passed."""
        self.stage.run_sql(
            "update campaign.sends set claimed_at = claimed_at - interval '25 h',"
            " expires_at = clock_timestamp() - interval '1 s' where state = 'unknown' and customer_id = :id",
            id=person,
        )
        with self.work.database.transaction() as connection:
            self.ledger.abandon(connection)
        for message in self.messages.values():
            if message.state == "unknown" and message.person == person:
                message.state = "abandoned"

    # --- what comes back

    @precondition(lambda self: any(one.is_taken for message in self.messages.values() for one in message.attempts))
    @rule(data=st.data(), kind=st.sampled_from(["delivered", "opened", "failed"]))
    def report(self, data: st.DataObject, kind: str) -> None:
        """A provider tells of a message it has taken, at any time, as often as it likes."""
        taken = [(m, one) for m in self.messages.values() for one in m.attempts if one.is_taken]
        self._report(*data.draw(st.sampled_from(taken), label="which"), kind)

    @precondition(lambda self: any(message.is_believed_lost for message in self.messages.values()))
    @rule()
    def report_what_is_believed_lost(self) -> None:
        """A provider tells of messages of which somebody said that they never came."""
        for message in self.messages.values():
            if message.is_believed_lost:
                self._report(message, next(one for one in message.attempts if one.is_taken), "delivered")

    def _report(self, message: Message, attempt: Attempt, kind: str) -> None:
        told = Report("email_sendgrid", "email", f"event-{next(self.names)}", kind, attempt_id=attempt.attempt_id,
                      occurred_at=datetime.now(UTC))  # fmt: skip
        with self.work.database.transaction() as connection:
            reports.take(connection, self.work.queries, Parsed((told,)), key=self.key, at=None)
        self.told.append(Told(message, attempt, is_no=False))
        self._settle()

    @precondition(lambda self: any(message.state in ("unknown", "abandoned") for message in self.messages.values()))
    @rule(data=st.data())
    def resolve(self, data: st.DataObject) -> None:
        """Somebody looks into a doubt, and says what they found."""
        doubts = [message for message in self.messages.values() if message.state in ("unknown", "abandoned")]
        message = data.draw(st.sampled_from(doubts), label="which")
        self._resolve(message, says_taken=message.attempts[-1].is_taken)

    @precondition(lambda self: any(message.is_taken_in_doubt for message in self.messages.values()))
    @rule(is_over=st.booleans(), is_put_right=st.booleans())
    def resolve_wrongly(self, is_over: bool, is_put_right: bool) -> None:
        """Somebody overlooks what the provider has taken, and says it never came; a report may put that right."""
        if is_over:
            self.wait()
        for message in [message for message in self.messages.values() if message.is_taken_in_doubt]:
            self._resolve(message, says_taken=False)
            message.was_lied_about = True
            if is_put_right and message.is_believed_lost:
                self._report(message, message.attempts[-1], "delivered")

    def _resolve(self, message: Message, *, says_taken: bool) -> None:
        with self.work.database.transaction() as connection:
            noted = self.ledger.resolve(connection, message.key, was_accepted=says_taken)
        assert noted is (message.state == "unknown" or says_taken)
        if noted:
            self.told.append(Told(message, message.attempts[-1], is_no=not says_taken))
            self._settle()

    @rule()
    def settle(self) -> None:
        with self.work.database.transaction() as connection:
            self.ledger.settle(connection)
        self._settle()

    def _settle(self) -> None:
        """Signs of life prove acceptance; a no counts for the last attempt, and when its worker must be gone."""
        for message in self.messages.values():
            told = [one for one in self.told if one.message is message]
            if not told or message.state == "in_flight":
                continue
            ripe = [one for one in told if not one.is_no or message.state != "unknown" or message.lease_is_over]
            self.told = [one for one in self.told if one not in ripe]
            yes = [one for one in ripe if not one.is_no]
            if yes and message.state in ("unknown", "abandoned", "planned", "retry_wait"):
                message.state, message.reason = "accepted", None
                for one in {id(one.attempt): one for one in yes}.values():
                    one.attempt.outcome = "accepted"
            elif message.state == "unknown" and any(one.attempt is message.attempts[-1] for one in ripe):
                message.state, message.reason, message.waits = "retry_wait", "not_accepted", False

    @precondition(lambda self: any(message.state in ("rejected", "expired") for message in self.messages.values()))
    @rule()
    def resend(self) -> None:
        """Everybody who certainly got nothing is tried again."""
        with self.work.database.transaction() as connection:
            missed = self.ledger.missed(connection, None, self.now - timedelta(hours=1))
            self.ledger.resend(connection, missed)
        again = [
            message for message in self.messages.values()
            if message.state in ("rejected", "expired") and message.reason != "hard_bounce"
            and not any(one.outcome in ("accepted", "unanswered") for one in message.attempts)
        ]  # fmt: skip
        assert {row.send_key for row in missed} == {message.key for message in again}
        for message in again:
            message.state, message.reason, message.waits, message.is_late = "planned", None, False, False
            for attempt in message.attempts:
                attempt.is_of_now = False

    # --- what must hold

    @invariant()
    def both_say_the_same(self) -> None:
        rows = self.stage.rows("select send_key, state, reason from campaign.sends")
        found = {row["send_key"]: (row["state"], row["reason"]) for row in rows}
        assert found == {key: (message.state, message.reason) for key, message in self.messages.items()}

    @invariant()
    def nothing_is_taken_twice(self) -> None:
        for message in self.messages.values():
            taken = sum(attempt.is_taken for attempt in message.attempts)
            assert taken <= 1 or message.was_lied_about
            if message.state == "accepted":
                assert taken >= 1
            if taken and not message.was_lied_about:
                assert message.state in ("accepted", "unknown", "abandoned")

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            assert self.stage.decisions_follow_the_ledger()


def test_the_ledger_and_its_model_say_the_same_whatever_happens(make_stage: Callable[..., Stage]) -> None:
    machine = type("Played", (Model,), {"make_stage": staticmethod(make_stage)})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=50, stateful_step_count=30, deadline=None, database=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
