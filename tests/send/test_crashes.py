"""SIGKILL, SIGSTOP and SIGTERM at named points and at random moments (fault matrix K5 to K9, K14, K15, R1, R19).

The outbox's own rows judge: no key twice, ever; afterwards every intent is final or listed in doubt, and what was
certainly not sent has been sent.
"""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from tasks.store.ledger import Limits
from tests.send.stage import NOON, Stage
from tests.send.worker import KILLED, Orders, context, finish, started, wait_until_stopped

PEOPLE = 12
POINTS = ["claiming", "claimed", "calling", "answered", "recorded"]


@pytest.fixture
def crowd(stage: Stage) -> tuple[Stage, list[str], Orders]:
    """A stage with planned messages and the orders of a worker that sends them in batches of five."""
    keys = [stage.planned(f"c{number:02}") for number in range(PEOPLE)]
    settings = stage.work.settings
    assert settings.database_url
    return stage, keys, Orders(settings.database_url.get_secret_value(), settings.home, settings.config, NOON)


def end_leases(stage: Stage) -> None:
    """Let the time pass that a dead worker's lease still has."""
    stage.run_sql(
        "update campaign.sends set lease_until = clock_timestamp() - interval '1 s' where state = 'in_flight'"
    )


def hold_the_promise(stage: Stage, keys: list[str]) -> dict[str, int]:
    """Nothing twice, everything final or in doubt, nothing certainly unsent left; answers how many ended how."""
    outbox = stage.outbox()
    ends = {key: stage.end(key)[0] for key in keys}
    assert max(outbox.values(), default=0) <= 1
    assert set(ends.values()) <= {"accepted", "unknown"}
    assert {key for key, state in ends.items() if state == "accepted"} <= set(outbox)
    assert stage.decisions_follow_the_ledger()
    return {state: list(ends.values()).count(state) for state in set(ends.values())}


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_named_point_and_restarted_twice(crowd: tuple[Stage, list[str], Orders], point: str) -> None:
    stage, keys, orders = crowd

    assert finish(dataclasses.replace(orders, crash_at=point, on_pass=2)) == KILLED
    for _ in range(2):
        end_leases(stage)
        assert finish(orders) == 0

    in_doubt = {"claiming": 0, "claimed": 5, "calling": 5, "answered": 5, "recorded": 0}[point]
    assert hold_the_promise(stage, keys).get("unknown", 0) == in_doubt
    assert len(stage.outbox()) == PEOPLE - (5 if point in ("claimed", "calling") else 0)


def test_killed_while_the_provider_has_accepted_and_not_answered(crowd: tuple[Stage, list[str], Orders]) -> None:
    stage, keys, orders = crowd

    assert finish(dataclasses.replace(orders, die_on=7)) == KILLED
    for _ in range(2):
        end_leases(stage)
        assert finish(orders) == 0

    assert hold_the_promise(stage, keys) == {"accepted": PEOPLE - 5, "unknown": 5}
    assert len(stage.outbox()) == PEOPLE


@pytest.mark.parametrize(
    ("first", "second"), [("claimed", "answered"), ("recorded", "claiming"), ("calling", "claimed")]
)
def test_killed_twice_in_a_row_at_two_points(crowd: tuple[Stage, list[str], Orders], first: str, second: str) -> None:
    stage, keys, orders = crowd

    assert finish(dataclasses.replace(orders, crash_at=first)) == KILLED
    end_leases(stage)
    assert finish(dataclasses.replace(orders, crash_at=second)) == KILLED
    for _ in range(2):
        end_leases(stage)
        assert finish(orders) == 0

    hold_the_promise(stage, keys)


def test_killed_at_random_moments_and_restarted_twice(crowd: tuple[Stage, list[str], Orders]) -> None:
    stage, keys, orders = crowd
    orders = dataclasses.replace(orders, limits=Limits(batch=2))
    chance = random.Random(20260310)
    interrupted = 0
    for episode in range(8):
        left = len(stage.outbox())
        with started(dataclasses.replace(orders, seconds_per_message=0.02)) as process:
            while process.is_alive() and not stage.states()["in_flight"] and len(stage.outbox()) == left:
                time.sleep(0.005)
            time.sleep(chance.uniform(0.0, 0.25))
            process.kill()
            process.join()
        interrupted += bool(stage.states()["planned"] or stage.states()["in_flight"])
        keys += [stage.plan(stage.enrol(f"c{number:02}")) for number in range(PEOPLE)]
        if episode % 2:
            end_leases(stage)
    for _ in range(2):
        end_leases(stage)
        assert finish(orders) == 0

    assert interrupted > 2, "hardly any worker was killed at work"
    hold_the_promise(stage, keys)


def test_workers_released_together_send_nothing_twice_and_everything_once(
    crowd: tuple[Stage, list[str], Orders],
) -> None:
    stage, keys, orders = crowd
    for number in range(PEOPLE, 150):
        keys.append(stage.planned(f"c{number:03}"))
    barrier = context.Barrier(3)

    with started(orders, barrier) as one, started(orders, barrier) as two, started(orders, barrier) as three:
        for process in (one, two, three):
            process.join(120)
            assert process.exitcode == 0

    assert stage.outbox() == dict.fromkeys(keys, 1)
    assert stage.states() == {"accepted": 150}
    assert stage.one("select count(*) from campaign.attempts") == 150


def test_workers_released_together_keep_one_persons_cap(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(caps=[{"messages": 1, "per": "7d"}])
    stage.person("ann")
    for _ in range(20):
        stage.plan(stage.enrol("ann"))
    settings = stage.work.settings
    assert settings.database_url
    orders = Orders(
        settings.database_url.get_secret_value(),
        settings.home,
        settings.config,
        NOON,
        limits=Limits(batch=1),
    )
    barrier = context.Barrier(3)

    with started(orders, barrier) as one, started(orders, barrier) as two, started(orders, barrier) as three:
        for process in (one, two, three):
            process.join(120)
            assert process.exitcode == 0

    assert stage.states() == {"accepted": 1, "planned": 19}
    assert sum(stage.outbox().values()) == 1


def test_a_worker_that_slept_past_its_lease_before_the_call_does_not_call(
    crowd: tuple[Stage, list[str], Orders],
) -> None:
    stage, keys, orders = crowd

    with started(dataclasses.replace(orders, stop_at="claimed")) as sleeper:
        wait_until_stopped(sleeper)
        end_leases(stage)
        stage.dispatch()
        in_doubt = [key for key in keys if stage.end(key) == ("unknown", "lease_ended")]
        os.kill(sleeper.pid or 0, signal.SIGCONT)
        sleeper.join(60)

    assert len(in_doubt) == 5
    assert not set(in_doubt) & set(stage.outbox())
    assert {stage.end(key)[0] for key in in_doubt} == {"unknown"}
    hold_the_promise(stage, keys)


def test_a_worker_that_slept_past_its_lease_in_the_call_is_refused_by_its_token(
    crowd: tuple[Stage, list[str], Orders],
) -> None:
    stage, keys, orders = crowd

    with started(dataclasses.replace(orders, stop_at="calling")) as sleeper:
        wait_until_stopped(sleeper)
        end_leases(stage)
        stage.dispatch()
        os.kill(sleeper.pid or 0, signal.SIGCONT)
        sleeper.join(60)
    stage.dispatch()

    assert stage.outbox() == dict.fromkeys(keys, 1)
    assert hold_the_promise(stage, keys) == {"accepted": PEOPLE - 5, "unknown": 5}


def test_a_worker_whose_own_clock_says_too_late_puts_its_rows_back(crowd: tuple[Stage, list[str], Orders]) -> None:
    stage, keys, orders = crowd
    brief = Limits(
        batch=5, lease=timedelta(seconds=18), call_timeout=timedelta(seconds=5), most_skew=timedelta(seconds=4)
    )

    with started(dataclasses.replace(orders, stop_at="claimed", limits=brief)) as sleeper:
        wait_until_stopped(sleeper)
        time.sleep(brief.time_to_call.total_seconds() + 0.5)
        os.kill(sleeper.pid or 0, signal.SIGCONT)
        sleeper.join(60)

    assert stage.outbox() == dict.fromkeys(keys, 1)
    assert hold_the_promise(stage, keys) == {"accepted": PEOPLE}
    assert stage.one("select count(*) from campaign.attempts where outcome = 'not_started'") == 5


def test_a_worker_asked_to_end_finishes_its_call_records_it_and_leaves(crowd: tuple[Stage, list[str], Orders]) -> None:
    stage, keys, orders = crowd

    with started(dataclasses.replace(orders, seconds_per_message=0.4)) as worker:
        for _ in range(600):
            if stage.states()["in_flight"]:
                break
            time.sleep(0.05)
        worker.terminate()
        worker.join(60)
        code = worker.exitcode

    assert code == 0
    assert set(stage.states()) == {"accepted", "planned"}
    assert stage.outbox() == {key: 1 for key in keys if stage.end(key)[0] == "accepted"}
