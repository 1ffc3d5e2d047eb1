"""Where ad audiences live. PLATFORMS is the one list of clients; tasks/platforms/factory.py opens them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tasks.platforms.base import Platform
from tasks.platforms.google import GooglePlatform
from tasks.platforms.meta import MetaPlatform
from tasks.platforms.outbox import OutboxPlatform
from tasks.platforms.tiktok import TiktokPlatform
from tasks.store.workspace import Workspace

# Each is opened with a workspace and the name of the ad platform it speaks to, or stands for.
PLATFORMS: Final[dict[str, Callable[[Workspace, str], Platform]]] = {
    "outbox": OutboxPlatform.open,
    "meta": lambda work, _: MetaPlatform.open(work),
    "google": lambda work, _: GooglePlatform.open(work),
    "tiktok": lambda work, _: TiktokPlatform.open(work),
}
