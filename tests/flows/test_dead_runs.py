"""A run whose process is killed does not stay `Running` for ever: seen on a real server, with a real SIGKILL."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun

from config.settings import CHECKOUT, Settings
from flows import deployments, server
from tests.flows.conftest import PrefectServer

# Shorter than the 30 seconds between two heartbeats of other runs, so that only runs of this test are watched; long
# enough for a run to be seen at work on a busy machine.
SOON = timedelta(seconds=25)
PATIENCE = 180


@pytest.fixture
def watched(talking_to: PrefectServer) -> Iterator[SyncPrefectClient]:
    """A client of the server, which marks runs as crashed some seconds after their only heartbeat."""
    automation = deployments.dead_runs(SOON)
    automation = automation.model_copy(update={"name": "Mark dead runs soon"})
    with get_client(sync_client=True) as client:
        number = client.create_automation(automation)
        yield client
        client.request("DELETE", "/automations/{id}", path_params={"id": number})
    assert talking_to


@pytest.fixture
def start(talking_to: PrefectServer, tmp_path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start a run of the waiting story in a process of its own, as a worker does."""
    started: list[subprocess.Popen[bytes]] = []
    settings = Settings(home=tmp_path, _env_file=None)

    def start(name: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.flows.waiting", name],
            cwd=CHECKOUT,
            env={**os.environ, **server.environment(settings, talking_to.port)},
            stdin=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def until(found: Callable[[], object], what: str) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE} seconds"
        time.sleep(0.25)


def run_named(client: SyncPrefectClient, name: str) -> FlowRun | None:
    found = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])))
    return next(iter(found), None)


def state(client: SyncPrefectClient, name: str) -> str | None:
    found = run_named(client, name)
    return found.state_name if found else None


def heartbeats(client: SyncPrefectClient, run_id: UUID) -> int:
    """How many heartbeats of a run the server has seen."""
    wanted = {
        "filter": {
            "event": {"name": [deployments.HEARTBEAT]},
            "resource": {"id": [f"prefect.flow-run.{run_id}"]},
        }
    }
    return client.request("POST", "/events/filter", json=wanted).json()["total"]


def test_a_run_whose_process_was_killed_ends_as_crashed_and_one_that_ended_is_left_alone(
    watched: SyncPrefectClient, start: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    processes = {name: start(name) for name in ("doomed", "done")}
    for name in processes:
        until(lambda name=name: state(watched, name) == "Running", f"{name} running")
        run = run_named(watched, name)
        assert run is not None
        until(lambda run=run: heartbeats(watched, run.id), f"a heartbeat of {name}")

    processes["done"].communicate(b"go\n")
    processes["doomed"].kill()
    processes["doomed"].wait()
    assert state(watched, "doomed") == "Running"
    until(lambda: state(watched, "doomed") != "Running", "the end of the killed run")

    doomed = run_named(watched, "doomed")
    assert doomed is not None
    assert doomed.state is not None
    assert (doomed.state.name, doomed.state.message) == (
        "Crashed",
        f"no heartbeat for {SOON.seconds} seconds: the process is gone",
    )
    assert state(watched, "done") == "Completed"
