"""Clear up doubts: end leases, settle by what providers reported, give up at the horizon; never by a resend."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from tasks.channels import PROFILES
from tasks.step import say, step
from tasks.store import mode, reports
from tasks.store.ledger import Clock, Ledger, Limits
from tasks.store.workspace import Workspace


@dataclass(frozen=True)
class Settled:
    """How many sends came into doubt, were settled by reports, and were given up."""

    leases_ended: int
    settled: int
    abandoned: int


@step(name="settle doubts", tags=("send",))
def doubts(work: Workspace, as_of: datetime | None = None, *, limits: Limits = Limits()) -> Settled:  # noqa: B008
    """Put to effect the reports that waited, then settle what is in doubt, of all campaigns; safe at any time."""
    at = mode.clock(work, as_of) if as_of is None else as_of

    def settle(connection: sa.Connection) -> Settled:
        stored = mode.settle(work, connection)
        ledger = Ledger(
            work.queries,
            {},
            clock=Clock(at if stored == "simulated" else None),
            business_zone=str(work.settings.business_zone),
            address_key=work.settings.suppression_key.get_secret_value(),
            providers={},
            limits=limits,
        )
        reports.catch_up(connection, work.queries, key=work.settings.suppression_key.get_secret_value())
        ended = ledger.end_leases(connection)
        ledger.look_up(connection, [name for name, one in PROFILES.items() if one.repeats == "A"])
        return Settled(ended, ledger.settle(connection), ledger.abandon(connection))

    settled = work.database.repeated(settle)
    if any((settled.leases_ended, settled.settled, settled.abandoned)):
        say(
            f"doubts: {settled.leases_ended:,} leases ended, {settled.settled:,} settled by reports, "
            f"{settled.abandoned:,} given up"
        )
    return settled
