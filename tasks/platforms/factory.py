"""The only place that opens clients of ad platforms: what may not be called does not exist (I13)."""

from __future__ import annotations

from config.settings import Mode
from tasks.platforms import PLATFORMS
from tasks.platforms.base import Platform
from tasks.rules.errors import Misconfigured, ModeError
from tasks.store import runs
from tasks.store.workspace import Workspace

OUTBOX = "outbox"


def provider(work: Workspace, platform: str, mode: Mode | None) -> str:
    """Who is told about an ad platform's audiences: the platform where it is named and live, else the outbox."""
    return platform if mode == "live" and work.settings.pipeline.ad_platform(platform) else OUTBOX


def open_platform(work: Workspace, provider: str, platform: str, *, mode: Mode | None) -> Platform:
    """The client that speaks to an ad platform; `provider` is the platform itself, or the outbox in its place.

    Raises ModeError in a dry run, and in a database that is not live for anything but the outbox; Misconfigured when
    there is none.
    """
    if runs.is_rehearsed():
        raise ModeError("a dry run opens no client: no audience can be changed")
    if mode != "live" and provider != OUTBOX:
        raise ModeError(f"this database is not live: it tells the outbox only, not {provider}")
    if provider not in PLATFORMS:
        raise Misconfigured(f"there is no ad platform client {provider}; there are: {', '.join(PLATFORMS)}")
    options = work.settings.pipeline.ad_platform(platform)
    if provider != OUTBOX and options is None:
        raise Misconfigured(f"{platform} is not among the ad_platforms of reengage.yaml")
    missing = [name for name in options.secrets if getattr(work.settings, name) is None] if options else []
    if provider != OUTBOX and missing:
        raise Misconfigured(f"{platform} needs {', '.join(f'REENGAGE_{name.upper()}' for name in missing)}")
    return PLATFORMS[provider](work, platform)
