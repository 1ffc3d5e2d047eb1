"""Legal sending hours and how long implied consent counts, in the database, where plan and claim look them up."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

import sqlalchemy as sa

from config.legal import load_legal_windows
from tasks.rules import legal
from tasks.store.workspace import Workspace


def refresh(work: Workspace, connection: sa.Connection) -> bool:
    """Read the table of legal windows when its file is another than last time; answers whether it was.

    Raises ConfigError when the file cannot be read or has a fault: nothing leaves then (I21).
    """
    path = work.settings.legal_windows
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    if digest and connection.execute(work.queries["ledger/legal_known"]()).scalar() == digest:
        return False
    table = load_legal_windows(path)
    connection.execute(
        work.queries["ledger/legal_store"](
            windows=[asdict(window) for window in legal.windows(table)],
            implied=[asdict(rule) for rule in legal.implied_consents(table)],
            sha256=digest,
        )
    )
    return True
