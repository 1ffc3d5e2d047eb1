"""The family of errors, by what the caller does next.

ReengageError
  x ConfigError          a file or setting is wrong                  -> stop, fix the file (exit 2)
    x CampaignError      a campaign asks for what does not exist     -> stop, fix the folder
    x SqlContractError   a query and its header disagree             -> stop, fix the SQL file
  x DatabaseError        the database cannot be reached or prepared  -> stop, read what it says
  x ModeError            this database may not do that (live, simulated, dry run)
  x GateError            the data broke a promise                    -> held before sending
  x Superseded           another run is doing this work              -> end quietly
  x ProviderError        someone else's system said no
    + Busy               throttled, certainly not accepted           -> retry later (carries retry_after)
      + Unreached        no connection came about                    -> retry later, it counts as no try
    + Refused            this message or person, for good            -> record, go on
    + Misconfigured      our key or our account                      -> halt the channel, tell a human
      + WrongTemplate    a template that a campaign names            -> pause the campaign, tell a human
    + Unanswered         no answer: accepted or not is not known     -> in doubt, never a blind resend
"""

from __future__ import annotations

from config.errors import ConfigError, Problem, ReengageError

__all__ = [
    "Busy",
    "CampaignError",
    "ConfigError",
    "DatabaseError",
    "GateError",
    "Misconfigured",
    "ModeError",
    "Problem",
    "ProviderError",
    "ReengageError",
    "Refused",
    "SqlContractError",
    "Superseded",
    "Unanswered",
    "Unreached",
    "WrongTemplate",
]


class CampaignError(ConfigError):
    """A campaign folder is wrong or asks for what does not exist."""


class SqlContractError(ConfigError):
    """A SQL file and its header disagree, or the file does what its folder may not."""


class DatabaseError(ReengageError):
    """The database cannot be found, reached, started or prepared."""


class ModeError(ReengageError):
    """What was asked is not allowed in this database (live, simulated) or in a dry run."""

    exit_code = 2


class GateError(ReengageError):
    """A load broke a promise of its suite; it stays in raw until it passes or is released."""


class Superseded(ReengageError):
    """Another run holds the lock for this work and does it; nothing is lost by ending."""

    exit_code = 0


class ProviderError(ReengageError):
    """Someone else's system did not do what was asked; carries the provider's own words, scrubbed."""


class Busy(ProviderError):
    """Throttled or closed: certainly not accepted, so it may be tried again."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class Unreached(Busy):
    """No connection came about, or no TLS on it: certainly no byte has left, and it says nothing about the message."""


class Refused(ProviderError):
    """This message or person is refused for good; `reason` is a stable code for the ledger."""

    def __init__(self, message: str, reason: str) -> None:
        self.reason = reason
        super().__init__(message)


class Misconfigured(ProviderError):
    """Our key or account is wrong: the channel halts and a human is told."""


class WrongTemplate(Misconfigured):
    """A template kept at the provider is missing, paused or does not fit: its campaign pauses, all others go on."""


class Unanswered(ProviderError):
    """The answer was lost: the provider may have accepted, so the ledger holds it in doubt."""
