"""What prefect.yaml promises, on paper and on a real server; and that the server's pages ask nobody outside."""

from __future__ import annotations

import importlib
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client

from config.settings import CHECKOUT
from flows import deployments, server
from tests.flows.conftest import Played, PrefectServer

ON_PAPER: list[dict[str, Any]] = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())["deployments"]
PAGES = ("dashboard", "runs", "flows", "deployments", "work-pools", "automations", "events", "artifacts", "variables")


def story(deployment: dict[str, Any]) -> Flow[..., Any]:
    module, _, name = deployment["entrypoint"].rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("deployment", ON_PAPER, ids=lambda deployment: deployment["name"])
def test_every_deployment_loads_and_its_parameters_fit(deployment: dict[str, Any]):
    flow = story(deployment)

    assert isinstance(flow, Flow)
    given = {"campaign": "lapsing_customers"} if deployment["name"] == "reengage" else deployment.get("parameters", {})
    assert flow.validate_parameters(given)


@pytest.mark.parametrize("deployment", ON_PAPER, ids=lambda deployment: deployment["name"])
def test_every_parameter_of_a_form_says_what_it_is_for(deployment: dict[str, Any]):
    fields = story(deployment).parameters.properties

    assert fields
    assert [name for name, field in fields.items() if not field.get("description")] == []


def test_what_runs_by_the_clock_runs_one_at_a_time_in_utc_and_reengage_has_neither_clock_nor_limit():
    for deployment in ON_PAPER:
        if deployment["name"] == "reengage":
            assert "schedules" not in deployment
            assert "concurrency_limit" not in deployment
        else:
            assert [schedule["timezone"] for schedule in deployment["schedules"]] == ["UTC"]
            assert [schedule["active"] for schedule in deployment["schedules"]] == ["{{ $REENGAGE_SCHEDULES }}"]
            assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}


def test_every_flow_of_the_folder_has_a_deployment():
    deployed = {deployment["entrypoint"] for deployment in ON_PAPER}

    assert deployed == {
        f"flows.{name}.{name}" for name in ("tick", "ingest", "reengage", "dispatch", "evaluate", "retain")
    }


@pytest.fixture(scope="module")
def registered(played: Played) -> Iterator[PrefectServer]:
    """Everything that `reengage up` registers, with its schedules off."""
    settings = played.work.settings
    changed = server.environment(settings, played.prefect.port)
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        deployments.register(settings, played.prefect.port, schedules=False)
        yield played.prefect
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def test_registering_twice_leaves_one_of_everything_and_no_schedule_on_where_time_is_played(registered: PrefectServer):
    with get_client(sync_client=True) as client:
        found = {deployment.name: deployment for deployment in client.read_deployments()}
        dead_runs = client.read_automations_by_name(deployments.dead_runs().name)
        started_by_clock = [run.name for run in client.read_flow_runs() if run.auto_scheduled]

    assert registered
    assert started_by_clock == []
    assert set(found) == {deployment["name"] for deployment in ON_PAPER}
    assert len(dead_runs) == 1
    assert dead_runs[0].trigger.within.total_seconds() == 90
    assert not any(schedule.active for deployment in found.values() for schedule in deployment.schedules)
    for deployment in found.values():
        limit = deployment.global_concurrency_limit
        assert (limit.limit if limit else None) == (None if deployment.name == "reengage" else 1)
        assert deployment.pull_steps == [
            {"prefect.deployments.steps.set_working_directory": {"directory": str(CHECKOUT)}}
        ]


def test_a_schedule_makes_runs(registered: PrefectServer):
    """Prefect 3.8 makes none on SQLAlchemy 2.1, and nothing but its log says so."""

    def switch(client: SyncPrefectClient, *, active: bool) -> None:
        found = client.read_deployment_by_name("evaluate/evaluate")
        client.update_deployment_schedule(found.id, found.schedules[0].id, active=active)

    made, deadline = [], time.monotonic() + 60
    with get_client(sync_client=True) as client:
        switch(client, active=True)
        try:
            while not made and time.monotonic() < deadline:
                time.sleep(0.5)
                made = [run for run in client.read_flow_runs() if run.auto_scheduled]
        finally:
            switch(client, active=False)

    assert registered
    assert {run.expected_start_time.minute for run in made} == {7}


def test_where_time_is_real_every_schedule_is_registered_on(registered: PrefectServer, played: Played):
    settings, port = played.work.settings, registered.port
    try:
        server.deploy(settings, port, schedules=True)
        with get_client(sync_client=True) as client:
            found = [schedule.active for deployment in client.read_deployments() for schedule in deployment.schedules]
    finally:
        server.deploy(settings, port, schedules=False)

    assert found == [True] * 6


def test_no_page_of_the_server_asks_anything_of_the_outside(registered: PrefectServer):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no chromium on this machine")
    from playwright.sync_api import sync_playwright

    with get_client(sync_client=True) as client:
        run = next(run for run in client.read_flow_runs() if run.state_name == "Completed")
    asked: list[str] = []
    with sync_playwright() as play:
        # Every name but this machine's own ends nowhere, so a request that is not seen here cannot leave either.
        arguments = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        browser = play.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        for place in (*PAGES, f"runs/flow-run/{run.id}"):
            page.goto(f"http://127.0.0.1:{registered.port}/{place}", wait_until="networkidle")
        assert run.name in page.content()
        browser.close()

    hosts = {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
