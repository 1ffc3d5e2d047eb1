"""What an ad platform must be able to do; membership is state, so telling it again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, Protocol, runtime_checkable

# What a platform may know somebody by: kind -> value in that platform's own form (tasks/platforms/identity.py).
Person = Mapping[str, str]

# Reasons of a Refused that mean the same at every platform.
TOO_SMALL: Final = "audience_too_small"  # nobody may leave: the audience would become too small
NOBODY: Final = "nobody"  # an audience of nobody cannot be told
UNKNOWN: Final = "unknown_audience"  # there is no audience of this id


@dataclass(frozen=True)
class Taken:
    """What a platform said of a page it took."""

    request: str | None = None  # to be asked about later; None: it is settled
    refused: Mapping[int, str] = field(default_factory=dict)  # place in the page -> why, a stable word
    # Some were not taken and nobody says who: the whole audience is told again.
    is_partial: bool = False
    words: str = ""  # the platform's own, without anything about a person


@dataclass(frozen=True)
class Outcome:
    """What became of a request that was taken; counts only."""

    state: Literal["waiting", "done", "partial", "failed"]
    received: int | None = None
    matched: int | None = None
    words: str = ""
    is_too_small: bool = False  # it failed because the audience would have become too small


@dataclass(frozen=True)
class Size:
    """What a platform says of an audience: how many people it found in it, and whether ads can be shown to them."""

    least: int | None = None  # a platform that rounds says between which numbers; None: it does not say yet
    most: int | None = None
    match_rate: float | None = None  # of what it was given, 0 to 1
    is_usable: bool | None = None
    words: str = ""  # the platform's own, such as that it is too small


class Platform(Protocol):
    """A client of one ad platform; raises the ProviderErrors of tasks/rules/errors.py.

    Busy: certainly not taken, may be told again later. Misconfigured: token, account or terms; carries the platform's
    own words. Refused: this audience cannot be told, `reason` says why. Unanswered: taken or not is not known, and
    telling it again is harmless.
    """

    page: ClassVar[int]  # people of one call at most

    def find(self, name: str) -> str | None:
        """The platform's own id of the audience of this name; None when there is none."""
        ...

    def create(self, name: str, first: Sequence[Person]) -> str:
        """Make an audience, not safe to repeat, and give its id; `first` are told again by `add`."""
        ...

    def add(self, audience: str, people: Sequence[Person]) -> Taken:
        """Put people into the audience of this id; who is in stays in."""
        ...

    def remove(self, audience: str, people: Sequence[Person]) -> Taken:
        """Take people out of the audience of this id; who is out stays out."""
        ...

    def ask(self, request: str) -> Outcome:
        """What became of a request."""
        ...

    def size(self, audience: str) -> Size:
        """How large the platform says the audience of this id is."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@runtime_checkable
class Replaces(Protocol):
    """A platform that takes a whole audience at once, which makes who is in it certain again."""

    def replace(self, audience: str, people: Iterable[Person]) -> Taken:
        """Let exactly these people be in the audience of this id; `refused` counts places over all of them."""
        ...


@runtime_checkable
class Deletes(Protocol):
    """A platform that lets nobody go once an audience would become too small, but deletes the audience."""

    smallest: ClassVar[int]  # people it has to find before ads can be shown to an audience

    def delete(self, audience: str) -> None:
        """Delete the audience of this id with everybody in it; one that is gone already is Refused as unknown."""
        ...
