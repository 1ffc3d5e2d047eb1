"""Fixtures of the ledger's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.store.workspace import Workspace
from tests.send.stage import Stage, write_campaign


@pytest.fixture
def make_stage(make_workspace: Callable[..., Workspace], tmp_path: Path) -> Callable[..., Stage]:
    """A stage with the campaign `back`; changes are fields of its campaign.yaml."""

    def make(mode: str = "simulated", **changes: Any) -> Stage:
        folder = tmp_path / "config"
        write_campaign(folder, **changes)
        return Stage(make_workspace(config=folder, mode=mode), folder)

    return make


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """The plain stage: one campaign, one step, no quiet hours, no caps."""
    return make_stage()
