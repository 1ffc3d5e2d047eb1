"""How long a busy provider is left alone (P2, P3)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tasks.rules.timing import LONGEST_ASKED_WAIT, LONGEST_WAIT, busy_wait


@pytest.mark.parametrize(("tries", "minutes"), [(0, 1), (1, 2), (3, 8), (6, 60), (500, 60)])
def test_the_wait_doubles_up_to_an_hour_with_at_most_half_taken_off(tries: int, minutes: int) -> None:
    waits = {busy_wait(tries, f"attempt {number}") for number in range(200)}

    assert timedelta(minutes=minutes) / 2 <= min(waits) < max(waits) <= timedelta(minutes=minutes) <= LONGEST_WAIT
    assert len(waits) == 200, "messages that were refused together do not return together"


def test_the_wait_of_one_attempt_is_always_the_same() -> None:
    assert busy_wait(2, "attempt") == busy_wait(2, "attempt")


@pytest.mark.parametrize(
    ("asked", "kept"), [(120.0, timedelta(seconds=120)), (1e9, LONGEST_ASKED_WAIT), (-5.0, timedelta(0))]
)
def test_what_the_provider_asks_for_is_kept_within_a_day(asked: float, kept: timedelta) -> None:
    assert busy_wait(5, "attempt", asked) == kept
