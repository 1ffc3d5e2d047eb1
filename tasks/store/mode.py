"""Live or simulated: decided once per database, and whose clock a decision uses (architecture section 4)."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from config.settings import Mode
from tasks.rules.errors import ModeError
from tasks.store.workspace import Workspace


def settle(work: Workspace, connection: sa.Connection) -> Mode:
    """The database's mode, stored now if nothing decided it yet; for commands that choose or send.

    Raises ModeError when the settings ask for the other mode: a simulated database never becomes live, since its
    ledger says people were written to who never were; a live one never becomes simulated, since it would stop.
    """
    stored: Mode | None = connection.execute(work.queries["ledger/mode"]()).one().mode
    if stored is None:  # once decided it never changes, and nobody need wait for anybody
        stored = connection.execute(work.queries["ledger/mode_lock"]()).one().mode
    wanted = work.settings.wanted_mode
    if stored is None:
        stored = wanted or "live"
        connection.execute(work.queries["ledger/mode_store"](mode=stored))
    _refuse_other(stored, wanted, work)
    return stored


def peek(work: Workspace, connection: sa.Connection) -> Mode | None:
    """The stored mode, else what the settings ask for, else None: nothing is stored (ingest, plan, why)."""
    stored: Mode | None = connection.execute(work.queries["ledger/mode"]()).one().mode
    if stored is not None:
        _refuse_other(stored, work.settings.wanted_mode, work)
    return stored or work.settings.wanted_mode


def clock(work: Workspace, as_of: datetime | None, *, decides: bool = True, writes: bool = True) -> datetime:
    """The decision clock of a command or flow, in UTC: the database's when live, `as_of` when simulated.

    `decides` settles the mode (choosing, sending); ingest passes False. `writes` is False for commands that store
    nothing (plan, why, preview): they may look at any moment, and in a simulated database without `as_of` they look
    at the last one it has seen. Raises ModeError where the mode does not allow the `as_of` given, or none.
    """
    with work.database.transaction() as connection:
        mode = settle(work, connection) if decides and writes else peek(work, connection)
        row = connection.execute(work.queries["ledger/clock"]()).one()
    if as_of is not None:
        if mode == "live" and writes:
            raise ModeError(
                f"database {work.database.name} is live: it decides by its own clock and takes no --as-of; "
                "plan, why and preview may look at another moment"
            )
        return as_of.astimezone(UTC)
    if mode != "simulated":
        return row.at.astimezone(UTC)
    if not writes and row.last_as_of is not None:
        return row.last_as_of.astimezone(UTC)
    raise ModeError(
        f"database {work.database.name} is simulated: say which moment it is, such as --as-of 2026-01-31 "
        "or --as-of 2026-01-31T09:00:00Z"
    )


def _refuse_other(stored: Mode, wanted: Mode | None, work: Workspace) -> None:
    if wanted is None or wanted == stored:
        return
    if stored == "simulated":
        reason = "it can never become live, because its ledger records messages nobody received"
    else:
        reason = "it holds real sends; play in another database"
    raise ModeError(
        f"database {work.database.name} is {stored} and the settings say {wanted}: {reason}. "
        "Name another database (REENGAGE_DATABASE or REENGAGE_DATABASE_URL), "
        f"or set the mode to {stored} (REENGAGE_MODE, or `mode:` in reengage.yaml)"
    )
