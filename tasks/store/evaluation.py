"""What came of it: outcomes per person, then buckets of hours that answer any window (architecture, Evaluation)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from config.campaign import Campaign
from tasks.rules.errors import Superseded
from tasks.store import turn
from tasks.store.workspace import Workspace

# Under a language or country filter there are many more cells, so windows are shorter there.
MAX_WINDOW_HOURS_BY_PLACE: Final = 168

# In order: what the statements share, then the tables. Each name is a file of sql/evaluation.
_SHARED: Final = (
    "work_memory", "measured_campaigns", "measured_people", "followed_purchases", "incremental_entries",
    "measured_sends", "attributed_entries", "measured_leads", "measured_retargets",
    "measured_buying",
)  # fmt: skip
_TABLES: Final = (
    "outcomes", "outcomes_gone", "clear",
    "attributed_cells", "attributed", "attributed_cells_by_place", "attributed_by_place",
    "reached_people", "converted_people", "all_people",
    "incremental_cells", "incremental", "incremental_cells_by_place", "incremental_by_place",
    "past_arms", "people", "sends", "reports", "leads", "retargeted_leads", "retargets_by_hour", "send_costs",
    "qualified_leads", "buying_months", "buying_gaps", "bought_again", "places", "data_as_of",
)  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """Where one campaign's people stand, each counted once."""

    campaign: str
    enrolled: int
    reached: int
    in_doubt: int
    to_come: int
    not_reached: int
    held_out: int


def measure(work: Workspace, connection: sa.Connection, as_of: datetime) -> list[Standing]:
    """Build the evaluation tables anew as at a moment, inside the caller's transaction.

    Readers see the old tables until that transaction commits, and the same moment again gives the same rows (K11,
    I11). Raises Superseded when another process is measuring.
    """
    take_turn(work, connection)
    given = {
        "as_of": as_of,
        "max_window_hours": work.settings.pipeline.max_window_hours,
        "max_window_hours_by_place": MAX_WINDOW_HOURS_BY_PLACE,
        "campaigns": [_rule(campaign) for campaign in work.campaigns.values()],
    }
    for name in _SHARED + _TABLES:
        query = work.queries[f"evaluation/{name}"]
        connection.execute(query(**{param: given[param] for param in query.params}))
    rows = connection.execute(work.queries["evaluation/counts"]())
    return [Standing(row.campaign, *(int(people) for people in row[1:])) for row in rows]


def take_turn(work: Workspace, connection: sa.Connection) -> None:
    """Be the only one who measures until the end of the transaction; raises Superseded when another process is."""
    if not turn.take(connection, work.queries["evaluation/lock"]()):
        raise Superseded("evaluate: another run is doing this work")


def _rule(campaign: Campaign) -> dict[str, object]:
    """What the statements need of a campaign: its goal, the currency its people are compared in, whose leads it has."""
    return {
        "campaign": campaign.name,
        "goal_event": campaign.goal.event,
        "goal_where": campaign.goal.where,
        "currency": campaign.currency,
        "is_retargeting": campaign.retargeting is not None,
        "ads": list(campaign.ads),
    }
