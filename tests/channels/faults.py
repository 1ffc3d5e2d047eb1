"""What a sender of one message at a time must make of each way a provider can misbehave."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tasks.channels.base import OutgoingMessage, Receipt, Sender
from tasks.rules.errors import Busy, Misconfigured, ProviderError, Refused, Unanswered
from tests.channels.loopback import Loopback, Mode

NOON: Final = datetime(2026, 3, 10, 12, tzinfo=UTC)
CANARY: Final = "Zwetschgenkuchen"  # words of a message that may stand in no log and no error

# Only a readable no says that nothing was accepted; whatever else follows the request's bytes leaves that open.
MEANS: Final[dict[Mode, type[ProviderError] | str]] = {
    Mode.ACCEPT: "accepted",
    Mode.DROP_AFTER: Unanswered,
    Mode.DROP_BEFORE: Unanswered,
    Mode.HANG: Unanswered,
    Mode.SLOW: "accepted",
    Mode.MALFORMED: "accepted",
    Mode.LIE_500: Unanswered,
    Mode.BUSY: Busy,
    Mode.BUSY_120: Busy,
    Mode.ERROR_500: Unanswered,
    Mode.ERROR_502: Unanswered,
    Mode.ERROR_503: Unanswered,
    Mode.BAD_400: Refused,
    Mode.UNKNOWN_401: Misconfigured,
}
TAKEN: Final = (Mode.ACCEPT, Mode.DROP_AFTER, Mode.HANG, Mode.SLOW, Mode.MALFORMED, Mode.LIE_500)


def outgoing(channel: str, address: str, *, seconds: float = 3600, **changes: Any) -> OutgoingMessage:
    """A message claimed at noon that may arrive for `seconds`; `changes` are fields of OutgoingMessage."""
    given: dict[str, Any] = {
        "attempt_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "send_key": "a" * 64,
        "channel": channel,
        "address": address,
        "decided_at": NOON,
        "fields": {"text": f"Hello, {CANARY}"},
        "campaign": "back",
        "deliver_by": NOON + timedelta(seconds=seconds),
    }
    return OutgoingMessage(**given | changes)


def noon() -> float:
    """This machine's clock, at the moment of the claim."""
    return NOON.timestamp()


def outcome(sender: Sender, messages: Sequence[OutgoingMessage]) -> list[Receipt] | ProviderError:
    """What came back, or what was raised."""
    try:
        return sender.send(messages)
    except ProviderError as error:
        return error


def is_as_it_must_be(mode: Mode, provider: Loopback, sender: Sender, message: OutgoingMessage) -> None:
    """One send under one fault: what the caller is told, what the provider holds, and that it was asked once."""
    provider.conduct = lambda _: mode
    said = outcome(sender, [message])

    means = MEANS[mode]
    if isinstance(means, str):
        assert isinstance(said, list)
        assert [(one.attempt_id, one.outcome) for one in said] == [(message.attempt_id, means)]
        assert (said[0].provider_message_id is None) == (mode is Mode.MALFORMED)
    else:
        assert type(said) is means
        assert message.address not in str(said)
        assert CANARY not in str(said)
    if mode in (Mode.BUSY, Mode.BUSY_120):
        assert said.retry_after == (120 if mode is Mode.BUSY_120 else None)
    assert provider.keys_accepted == ([message.attempt_id] if mode in TAKEN else [])
    assert len(provider.requests) == 1
