"""What an ad platform must be able to do; membership is state, so telling it again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Platform(Protocol):
    """A client of one ad platform; raises the ProviderErrors of tasks/rules/errors.py."""

    def add(self, audience: str, identities: Sequence[str]) -> None:
        """Put people, by their hashed identities, into an audience."""
        ...

    def remove(self, audience: str, identities: Sequence[str]) -> None:
        """Take people out of an audience."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
