"""What a channel is given and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Outcome = Literal["accepted", "refused", "busy"]


@dataclass(frozen=True)
class OutgoingMessage:
    """One message on its way to one person; `attempt_id` travels with it, so that later reports find the attempt."""

    attempt_id: str
    send_key: str
    channel: str
    address: str
    decided_at: datetime  # decision clock of the claim: what the caller says the time is
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Receipt:
    """The provider's answer about one message; `reason` is a stable code, `retry_after` in seconds."""

    attempt_id: str
    outcome: Outcome
    provider_message_id: str | None = None
    reason: str | None = None
    retry_after: float | None = None
    status_code: int | None = None


class Sender(Protocol):
    """A provider of one or more channels."""

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        """Hand over messages in one call, once, without any retry of its own.

        Answers about every message. Raises Busy or Misconfigured when certainly none was accepted, Unanswered when
        that is not known.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
