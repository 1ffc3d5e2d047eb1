"""Fixtures of the ledger's tests: one database for all of them, emptied in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from config.settings import Settings
from tasks.store.engine import Database
from tasks.store.workspace import Workspace
from tests.send.stage import Stage, write_campaign

# What the migrations fill; everything else is emptied.
KEPT = (
    "campaign.database", "campaign.zones", "campaign.legal_windows", "campaign.implied_consents",
    "campaign.legal_source", "raw.migrations",
)  # fmt: skip


@pytest.fixture(scope="session")
def ledger_database(make_database: Callable[..., Database]) -> Database:
    """A migrated database for every test of the ledger."""
    return make_database()


@pytest.fixture
def make_stage(ledger_database: Database, tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """An empty stage with the campaign `back`; changes are fields of its campaign.yaml."""
    opened: list[Workspace] = []

    def make(mode: str = "simulated", **changes: Any) -> Stage:
        empty(ledger_database)
        folder = tmp_path / "config"
        write_campaign(folder, **changes)
        settings = Settings(
            config=folder,
            home=ledger_database.home,
            database_url=SecretStr(ledger_database.url.render_as_string(hide_password=False)),
            mode=mode,
            time_zone="UTC",
            _env_file=None,
        )
        opened.append(Workspace(settings))
        return Stage(opened[-1], folder)

    yield make
    for work in opened:
        work.close()


def empty(database: Database) -> None:
    """Empty every table but what the migrations filled, and forget the mode."""
    with database.transaction() as connection:
        tables = connection.execute(
            sa.text(
                "select table_schema || '.' || table_name from information_schema.tables"
                " where table_schema in ('raw', 'core', 'campaign', 'outbox') and table_type = 'BASE TABLE'"
            )
        ).scalars()
        connection.execute(sa.text(f"truncate {', '.join(sorted(set(tables) - set(KEPT)))} restart identity cascade"))
        forget = "update campaign.database set mode = null, decided_at = null, remembers_since = null"
        connection.execute(sa.text(forget))


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """The plain stage: one campaign, one step, no quiet hours, no caps."""
    return make_stage()
