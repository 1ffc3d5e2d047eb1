"""The only place that opens clients that send: what may not be called does not exist (I13)."""

from __future__ import annotations

from collections.abc import Mapping

from config.providers import OUTBOX
from config.settings import Mode
from tasks.channels import SENDERS
from tasks.channels.base import Sender
from tasks.rules.errors import Misconfigured, ModeError
from tasks.store import runs
from tasks.store.workspace import Workspace


def providers(work: Workspace, mode: Mode | None) -> Mapping[str, str]:
    """Who delivers each channel that has a provider; the outbox delivers all others, and everything unless live."""
    return work.settings.pipeline.provider_names() if mode == "live" else {}


def open_sender(work: Workspace, provider: str, *, mode: Mode | None, timeout: float = 20) -> Sender:
    """The client of a provider, with a timeout in seconds and without retries of its own (findings 1 and 3).

    Raises ModeError in a dry run, and in a database that is not live for anything but the outbox; Misconfigured when
    there is no such provider, reengage.yaml does not name it, or a key of it is missing.
    """
    if runs.is_rehearsed():
        raise ModeError("a dry run opens no client: nothing can be sent")
    if mode != "live" and provider != OUTBOX:
        raise ModeError(f"this database is not live: it delivers to the outbox only, not to {provider}")
    if provider not in SENDERS:
        raise Misconfigured(f"there is no provider {provider}; there are: {', '.join(SENDERS)}")
    if provider == OUTBOX:
        return SENDERS[provider](work, None, timeout)
    pipeline = work.settings.pipeline
    options = next((known for known in pipeline.providers if known.provider == provider), None)
    if options is None:
        raise Misconfigured(f"{provider} is not among the providers of reengage.yaml")
    missing = [name for name in options.secrets if getattr(work.settings, name) is None]
    if missing:
        raise Misconfigured(f"{provider} needs {', '.join(f'REENGAGE_{name.upper()}' for name in missing)}")
    return SENDERS[provider](work, options, timeout)
