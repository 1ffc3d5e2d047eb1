"""How far each conversation has come, where its source does not say: the analysts' rule, applied to what has changed.

The rule is a select over `facts` (sql/milestones/conversations.sql) and runs on the analysts' login, after the loads
that changed something are committed. It answers with moments of the events themselves, so the milestones of any past
moment are those it would have had with what is known today, also when a message comes late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from tasks.rules.errors import Problem, SqlContractError
from tasks.store import segments, silences
from tasks.store.engine import wait_longer
from tasks.store.queries import Query
from tasks.store.workspace import Workspace

RULE = "milestones/conversations"
COLUMNS = ("conversation_id", "milestone", "milestone_at")
BATCH = 5_000
SECONDS = 300.0
# Where something that is due waits for it.
SECONDS_MEANWHILE = 30.0
# One derivation at a time: an older one must not write after a newer one.
_LOCK = 7_345_013


def derive(work: Workspace) -> int:
    """Derive the milestones of every conversation that has changed, or of all when the rule has; gives how many.

    Safe to repeat and to interrupt. Raises SqlContractError when the rule does not keep its header's promise.
    """
    query = work.queries[RULE]
    derived = 0
    while work.database.repeated(lambda connection: _any_waiting(work, connection, query)):
        count = work.database.repeated(lambda connection: _batch(work, connection, query))
        if not count:
            break
        derived += count
    return derived


def derive_meanwhile(work: Workspace) -> int:
    """Derive one batch of what has changed, for runs with something more urgent to do; gives how many.

    Does nothing while another derivation runs, and leaves what another rule changes to `derive`. Raises
    SqlContractError as `derive` does.
    """
    query = work.queries[RULE]
    return work.database.repeated(lambda connection: _batch(work, connection, query, meanwhile=True))


def _any_waiting(work: Workspace, connection: sa.Connection, query: Query) -> bool:
    """Whether there is anything to derive; when the rule is another one, everything is."""
    queries, sha256 = work.queries, segments.fingerprint(query, {})
    if not connection.execute(queries["core/milestones_waiting"](sha256=sha256)).scalar_one():
        return False
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    connection.execute(queries["core/milestones_rule"](sha256=sha256))
    return True


def _batch(work: Workspace, connection: sa.Connection, query: Query, *, meanwhile: bool = False) -> int:
    queries, seconds = work.queries, SECONDS_MEANWHILE if meanwhile else SECONDS
    # Waits for the analysts' rule; until that has answered it holds nothing but its turn.
    wait_longer(connection, timedelta(seconds=seconds + 60))
    if not meanwhile:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    elif not connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK))).scalar_one():
        return 0
    batch = connection.execute(queries["core/milestones_batch"](at_most=BATCH)).all()
    if not batch:
        return 0
    ids = [row.conversation_id for row in batch]
    found = segments.answer(work, query, {"conversations": ids}, seconds=seconds)
    _refuse_gaps(query, found)
    # Before anything is written: a load that has this turn waits for what is written here.
    if not silences.wait(connection, patiently=not meanwhile):
        return 0
    silences.begin(connection, changed=ids)
    connection.execute(
        queries["core/milestones_store"](
            conversations=ids,
            changes=[row.change_no for row in batch],
            reached=[{**row, "milestone_at": row["milestone_at"].isoformat()} for row in found],
        )
    )
    silences.refresh(connection, queries)
    return len(batch)


def _refuse_gaps(query: Query, found: Sequence[Mapping[str, Any]]) -> None:
    empty = {name: sum(row.get(name) is None for row in found) for name in COLUMNS}
    problems = [
        Problem(query.at_line(1), f"{count:,} row(s) have no {name}; nothing was derived")
        for name, count in empty.items()
        if count
    ]
    if problems:
        raise SqlContractError(*problems)
