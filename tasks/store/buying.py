"""How customers buy: sums over everybody's purchase days, which loads keep up to date once they are made (B12)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import sqlalchemy as sa

from tasks.store import evaluation, filling
from tasks.store.cycle import REFRESH_LOCK
from tasks.store.workspace import Workspace

# Who is late is said by this segment, with the margin of its header.
SEGMENT: Final = "segments/lapsing_customers"
_MARGIN_DAYS: Final = Decimal(8)


def fill(work: Workspace, connection: sa.Connection) -> bool:
    """Sum up everybody's purchase days where nobody has yet, the margin is another, or a first load came since.

    Reads them all, once; every load then adds what it changes. Loads wait until the transaction ends. Answers whether
    it was due; raises Superseded when it is and another process is measuring.
    """
    margin = _margin_days(work)
    due = work.queries["core/buying_is_due"](margin_days=margin)
    if not connection.execute(due).scalar_one():
        return False
    evaluation.take_turn(work, connection)
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(REFRESH_LOCK)))
    with filling.emptied(connection, work.queries, "buying"):
        connection.execute(work.queries["evaluation/work_memory"]())
        connection.execute(sa.text("set local enable_memoize = off"))  # no two rows are alike
        connection.execute(work.queries["core/buying_fill"](margin_days=margin))
    return True


def _margin_days(work: Workspace) -> Decimal:
    """The segment's own; where analysts took it away, what it was."""
    if SEGMENT in list(work.queries) and "margin_days" in work.queries[SEGMENT].params:
        default = work.queries[SEGMENT].params["margin_days"].default
        if default is not None:
            return Decimal(str(default))
    return _MARGIN_DAYS
