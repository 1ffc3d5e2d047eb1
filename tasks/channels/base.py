"""What a channel is given and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from tasks.channels.profile import Profile

# The provider checked the message and delivers nothing, as its options say: not sent, and no other channel is tried.
SANDBOX = "sandbox"

# returned: the provider refused the call as a whole for the sake of another message in it, or it did not fit into the
# call. This message was certainly not accepted and may go again at once, in a call of its own.
Outcome = Literal["accepted", "refused", "busy", "returned"]


@dataclass(frozen=True)
class OutgoingMessage:
    """One message on its way to one person; `attempt_id` travels with it, so that later reports find the attempt.

    `fields` are those of tasks/rules/content.py. After `deliver_by` (decision clock) it must not arrive any more:
    the step has expired, or the person's next quiet hours begin. `platform` is a push token's: apns, fcm, webpush;
    `purpose` the campaign's.
    """

    attempt_id: str
    send_key: str
    channel: str
    address: str
    decided_at: datetime  # decision clock of the claim: what the caller says the time is
    fields: Mapping[str, str]
    campaign: str
    deliver_by: datetime
    platform: str | None = None
    purpose: str = "marketing"

    def seconds_left(self, wall_clock: float) -> float:
        """How long it may take to arrive, from the later of this machine's clock (seconds since 1970) and the claim."""
        return self.deliver_by.timestamp() - max(wall_clock, self.decided_at.timestamp())


@dataclass(frozen=True)
class Receipt:
    """The provider's answer about one message; `reason` is a code of tasks/rules/words.py, `retry_after` in seconds.

    Refused for SANDBOX: the provider looked at it and delivers nothing, because we asked for that.
    """

    attempt_id: str
    outcome: Outcome
    provider_message_id: str | None = None
    reason: str | None = None
    retry_after: float | None = None
    status_code: int | None = None


class Sender(Protocol):
    """A provider of one or more channels. `send` may be called from several threads at once."""

    @property
    def profile(self) -> Profile:
        """What this provider takes at once, how fast, and what its answers mean."""
        ...

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        """Hand over at most `profile.batch` messages (`in_calls`) in one call, once, without any retry of its own.

        Answers about every message. Raises Busy, Refused or Misconfigured when certainly none was accepted,
        Unanswered when that is not known.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class Dividing(Protocol):
    """A sender that cannot take just any messages in one call."""

    def calls(self, messages: Sequence[OutgoingMessage]) -> list[list[OutgoingMessage]]:
        """The messages in as few calls as the provider's rules allow, each fit for one `send`; none is left out."""
        ...


@runtime_checkable
class Weighing(Protocol):
    """A sender whose provider does not count messages against its rate, but what they are made of."""

    def weight(self, message: OutgoingMessage) -> int:
        """What one message counts against `profile.rate`."""
        ...


def in_calls(sender: Sender, messages: Sequence[OutgoingMessage]) -> list[list[OutgoingMessage]]:
    """Messages divided into calls: as the sender says, or else in chunks of `profile.batch`."""
    if isinstance(sender, Dividing):
        return sender.calls(messages)
    size = sender.profile.batch
    return [list(messages[start : start + size]) for start in range(0, len(messages), size)]
