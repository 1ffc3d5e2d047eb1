"""How a person is reached. SENDERS is the one list of providers; tasks/channels/factory.py opens them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tasks.channels.base import Sender
from tasks.channels.outbox import Outbox
from tasks.store.workspace import Workspace

# Each is opened with a workspace and the longest call in seconds.
SENDERS: Final[dict[str, Callable[[Workspace, float], Sender]]] = {"outbox": Outbox.open}
