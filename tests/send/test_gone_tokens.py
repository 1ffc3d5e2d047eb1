"""A push token its provider calls invalid is switched off, and not held against whoever gets the device (C21, P15)."""

from __future__ import annotations

from datetime import timedelta

from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.outbox import PROFILE
from tests.send.stage import NOON, Stage


class GoneApp:
    """A push provider that knows only the tokens it is told; it refuses every other one for good."""

    profile = PROFILE

    def __init__(self, *known: str, reason: str = "token_invalid") -> None:
        self.known = known
        self.reason = reason

    def send(self, messages: list[OutgoingMessage]) -> list[Receipt]:
        return [
            Receipt(message.attempt_id, "accepted")
            if message.address in self.known
            else Receipt(message.attempt_id, "refused", reason=self.reason, status_code=410)
            for message in messages
        ]

    def close(self) -> None:
        """Nothing is open."""


def active_tokens(stage: Stage) -> set[str]:
    return {row["token_id"] for row in stage.rows("select token_id from core.push_tokens where active")}


def test_a_token_refused_as_invalid_is_switched_off_and_the_next_one_is_used(stage: Stage) -> None:
    stage.planned("ann", channels=("push",), channel="push")
    stage.run_sql(
        "insert into core.push_tokens (token_id, customer_id, endpoint, platform, active, updated_at, load_id)"
        " values ('older', 'ann', 'endpoint-older', 'fcm', true, :at, 0)",
        at=NOON - timedelta(days=500),
    )
    provider = GoneApp("endpoint-older")
    stage.dispatch(senders={"outbox": provider})
    assert active_tokens(stage) == {"older"}

    later = stage.plan(stage.enrol("ann", anchor=NOON), due=NOON + timedelta(hours=9), channel="push")
    stage.dispatch(NOON + timedelta(hours=9), senders={"outbox": provider})

    assert stage.end(later) == ("accepted", None)


def test_a_device_that_another_person_registers_is_theirs(stage: Stage) -> None:
    stage.planned("ann", channels=("push",), channel="push")
    stage.dispatch(senders={"outbox": GoneApp()})
    key = stage.planned("bob", channels=("push",), channel="push", due=NOON + timedelta(hours=1))
    stage.run_sql("update core.push_tokens set endpoint = 'endpoint-ann' where customer_id = 'bob'")

    stage.dispatch(NOON + timedelta(hours=1), senders={"outbox": GoneApp("endpoint-ann")})

    assert stage.end(key) == ("accepted", None)


def test_whoever_said_no_to_push_stays_on_the_do_not_write_list(stage: Stage) -> None:
    stage.planned("ann", channels=("push",), channel="push")

    stage.dispatch(senders={"outbox": GoneApp(reason="opted_out")})

    assert active_tokens(stage) == {"ann"}
    assert stage.one("select count(*) from core.suppressions where channel = 'push'") == 1


def test_a_provider_that_says_again_at_once_is_not_asked_for_ever(stage: Stage) -> None:
    class AtOnce(GoneApp):
        def send(self, messages: list[OutgoingMessage]) -> list[Receipt]:
            return [Receipt(message.attempt_id, "busy", retry_after=0) for message in messages]

    key = stage.planned("ann")

    stage.dispatch(senders={"outbox": AtOnce()})

    row = stage.send(key)
    assert (row["state"], row["reason"], row["attempt_no"]) == ("retry_wait", "busy", 1)
    assert row["not_before"] > NOON
