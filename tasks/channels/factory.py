"""The only place that opens clients that send: what may not be called does not exist (I13)."""

from __future__ import annotations

from config.settings import Mode
from tasks.channels import SENDERS
from tasks.channels.base import Sender
from tasks.rules.errors import Misconfigured, ModeError
from tasks.store.workspace import Workspace

OUTBOX = "outbox"


def open_sender(
    work: Workspace, provider: str, *, mode: Mode | None, timeout: float = 20, dry_run: bool = False
) -> Sender:
    """The client of a provider, with a timeout in seconds and without retries of its own (findings 1 and 3).

    Raises ModeError in a dry run, and in a database that is not live for anything but the outbox; Misconfigured when
    there is no such provider.
    """
    if dry_run:
        raise ModeError("a dry run opens no client: nothing can be sent")
    if mode != "live" and provider != OUTBOX:
        raise ModeError(f"this database is not live: it delivers to the outbox only, not to {provider}")
    if provider not in SENDERS:
        raise Misconfigured(f"there is no provider {provider}; there are: {', '.join(SENDERS)}")
    return SENDERS[provider](work, timeout)
