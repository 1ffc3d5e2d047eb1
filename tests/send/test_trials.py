"""A sample of the random crash-and-fault trials; `python -m tests.send.trials --trials 1000` plays many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.store.engine import Database
from tests.send import trials

SEED, SAMPLE = 11, len(trials.PLAN) + 5


@pytest.fixture
def ready(make_database: Callable[..., Database], tmp_path: Path):
    with trials.ready(make_database(), tmp_path / "config") as found:
        yield found


def test_crashes_and_faults_by_chance_send_nothing_twice_and_leave_nothing_unsent(ready: trials.Trials) -> None:
    for number in range(SAMPLE):
        ready.play(SEED, number)

    assert ready.failures == [], ready.report()
    assert ready.missing() == [], ready.report()
    assert sum(ready.hits.values()) > SAMPLE / 2, ready.report()
    assert ready.ends["accepted"] > SAMPLE, ready.report()
    assert ready.ends["unknown"] > 0, ready.report()
