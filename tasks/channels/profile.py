"""What a provider's answers mean, as data beside each sender: no answer is interpreted anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, NoReturn

from tasks.rules.errors import Busy, Misconfigured, ProviderError, Refused, Unanswered, WrongTemplate

Verdict = Literal["busy", "refused", "misconfigured", "unanswered"]


@dataclass(frozen=True)
class Meaning:
    """What one answer says: certainly not accepted (busy, refused, misconfigured), or not known (unanswered).

    `reason` is a stable code of tasks/rules/words.py; `busy` may be tried again no sooner than `wait` seconds.
    """

    verdict: Verdict
    reason: str | None = None
    wait: float | None = None


BUSY: Final = Meaning("busy")
REFUSED: Final = Meaning("refused", "refused")
HALT: Final = Meaning("misconfigured")
TEMPLATE: Final = Meaning("misconfigured", "template")  # concerns one campaign, and no other
UNANSWERED: Final = Meaning("unanswered")

# What HTTP itself says, unless a provider's own page says otherwise. A 5xx may come after the message was taken.
STATUSES: Final[Mapping[int, Meaning]] = MappingProxyType(
    {
        400: REFUSED, 401: HALT, 402: HALT, 403: HALT, 404: HALT, 405: HALT, 408: UNANSWERED, 409: REFUSED,
        410: REFUSED, 413: REFUSED, 415: HALT, 422: REFUSED, 429: BUSY,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Profile:
    """One provider: what it takes at once, how fast, what it reports back, and what its answers mean.

    `echo` is the name under which later reports give our attempt's id back, None = nothing ever does. `rate` is in
    messages a second (or in what a `Weighing` sender counts) over all processes, None = as fast as it answers. `codes`
    are the provider's own error codes and win over `statuses`.
    """

    provider: str
    channels: frozenset[str]
    drops_repeats: bool = False  # under the same send key, so that a look there settles a doubt
    echo: str | None = None
    batch: int = 1
    calls_in_flight: int = 8
    rate: float | None = None
    codes: Mapping[str, Meaning] = field(default_factory=dict)
    statuses: Mapping[int, Meaning] = field(default_factory=dict)

    @property
    def repeats(self) -> Literal["A", "B", "C"]:
        """How a doubt ends, never by a repeat: A = by a look, B = by a report, C = it can only be given up."""
        if self.drops_repeats:
            return "A"
        return "B" if self.echo else "C"

    def echoed(self, attempt_id: str) -> dict[str, str]:
        """The attempt's id as a request names it for later reports; empty where none give it back."""
        return {self.echo: attempt_id} if self.echo else {}

    def judge(self, status: int | None, codes: Iterable[str | int | None] = ()) -> Meaning:
        """What an answer means: by its first known code, else by its status; an unknown one is no answer at all."""
        for code in codes:
            if code is not None and (known := self.codes.get(str(code))) is not None:
                return known
        if status is None:
            return UNANSWERED
        found = self.statuses.get(status) or STATUSES.get(status)
        if found is None:
            return REFUSED if 400 <= status < 500 else UNANSWERED
        return found

    def fail(self, meaning: Meaning, words: str, *, retry_after: float | None = None) -> NoReturn:
        """Raise what a whole call's answer means; `words` name provider and code and hold nothing of a person."""
        raise self.failure(meaning, words, retry_after=retry_after)

    def failure(self, meaning: Meaning, words: str, *, retry_after: float | None = None) -> ProviderError:
        """The error of a whole call's answer: Busy, Refused, Misconfigured, WrongTemplate or Unanswered."""
        told = f"{self.provider}: {words}"
        if meaning.verdict == "busy":
            return Busy(told, retry_after if retry_after is not None else meaning.wait)
        if meaning.verdict == "refused":
            return Refused(told, meaning.reason or "refused")
        if meaning.verdict == "misconfigured":
            return WrongTemplate(told) if meaning == TEMPLATE else Misconfigured(told)
        return Unanswered(told)
