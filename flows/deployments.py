"""Tell a Prefect server what we run: work pool, the deployments of prefect.yaml, and what becomes of dead runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.automations import AutomationCore, EventTrigger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import Posture
from prefect.exceptions import ObjectAlreadyExists
from prefect.flow_engine import run_flow

from config.settings import CHECKOUT, Settings
from flows.server import POOL, deploy

HEARTBEAT = "prefect.flow-run.heartbeat"
# Three heartbeats of 30 seconds: a run that missed them all is dead, and its slot must not block the next one.
DEAD_AFTER = timedelta(seconds=90)


def dead_runs(after: timedelta = DEAD_AFTER) -> AutomationCore:
    """What marks a run as crashed whose last heartbeat is so long ago, unless it has ended; Prefect's least is 10 s."""
    ends = {f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")}
    return AutomationCore(
        name="Mark dead runs as crashed",
        description="A run whose process was killed together with its worker would stay `Running` for ever.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            match={"prefect.resource.id": "prefect.flow-run.*"},  # ty: ignore[invalid-argument-type]
            after={HEARTBEAT},
            expect={HEARTBEAT} | ends,
            for_each={"prefect.resource.id"},
            threshold=1,
            within=after,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, message=f"no heartbeat for {after.seconds} seconds: the process is gone"
            )
        ],
    )


def register(settings: Settings, port: int, *, schedules: bool) -> None:
    """Register everything, again and again without harm; `schedules` False registers them all switched off.

    The environment of this process must already name the server (flows.server.environment).
    """
    with get_client(sync_client=True) as client:
        make_pool(client)
        deploy(settings, port, schedules=schedules)
        automation = dead_runs()
        if not client.read_automations_by_name(automation.name):
            client.create_automation(automation)


def make_pool(client: SyncPrefectClient) -> None:
    """The work pool that our deployments name, made when missing."""
    try:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    except ObjectAlreadyExists:
        return


def register_one(flow: Flow[..., Any]) -> None:
    """Register the one deployment that `tick` starts, without the time that reading all of prefect.yaml takes."""
    with get_client(sync_client=True) as client:
        make_pool(client)
        client.create_deployment(
            flow_id=client.create_flow(flow),
            name=flow.name,
            entrypoint=f"flows.{flow.name}.{flow.name}",
            work_pool_name=POOL,
            pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(CHECKOUT)}}],
            parameter_openapi_schema=flow.parameters.model_dump(),
            description=flow.description,
            tags=["reengage"],
        )


def carry_out(flow: Flow[..., Any], flow_run_id: str) -> Any:
    """Carry out a run that a deployment scheduled, in this process; gives what the flow returns."""
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(UUID(flow_run_id))
    parameters = flow.validate_parameters(flow_run.parameters)
    return run_flow(flow, flow_run=flow_run, parameters=parameters)
