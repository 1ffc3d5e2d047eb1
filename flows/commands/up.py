"""`reengage up`: the Prefect server with every deployment and schedule, a worker and the dashboard, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Annotated
from urllib.parse import urlsplit

import typer

from flows.commands.console import console, program, workspace

LOOK_EVERY_SECONDS = 1.0


def up(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(help="Port of the Prefect server; default: that of REENGAGE_API_URL.")
    ] = None,
) -> None:
    """Start the Prefect server with every deployment and schedule, a worker and the dashboard; Ctrl-C stops all."""
    from flows import server
    from tasks.store import mode
    from tasks.store.migrate import migrate

    work = workspace(context)
    settings = work.settings
    migrate(work.database, business_zone=str(settings.business_zone))
    with work.database.transaction() as connection:
        is_simulated = mode.peek(work, connection) == "simulated"
    database = server.prefect_database(work.database)
    prefect_port = server.free_port(port or urlsplit(settings.api_url).port or 4200)
    dashboard_port = server.free_port(settings.dashboard_port)

    with _until_told() as told, contextlib.ExitStack() as children:

        def keep(child: server.Child) -> server.Child:
            children.callback(child.stop)
            return child

        console.print("starting the Prefect server (the first time it makes its tables, about 20 seconds) ...")
        prefect = keep(server.start_prefect(settings, database, prefect_port))
        dashboard = keep(server.start_dashboard(settings, dashboard_port))
        prefect.wait_for(f"http://{server.LOOPBACK}:{prefect_port}/api/health", told)
        if not told.is_set():
            console.print("registering deployments and schedules ...")
            os.environ.update(server.environment(settings, prefect_port))
            from flows import deployments  # Prefect reads the environment when it is imported

            deployments.register(settings, prefect_port, schedules=not is_simulated)
        worker = keep(server.start_worker(settings, prefect_port))
        dashboard.wait_for(f"http://{server.LOOPBACK}:{dashboard_port}/_stcore/health", told)
        if not told.is_set():
            psql = f"{work.database.name} ({program(work)} db psql)"
            _say_where(prefect_port, dashboard_port, psql, is_simulated=is_simulated)
        server.watch((prefect, dashboard, worker), told, LOOK_EVERY_SECONDS)
        console.print("stopping ...")
    console.print("stopped; the database keeps running (reengage db stop)")


def _say_where(prefect_port: int, dashboard_port: int, database: str, *, is_simulated: bool) -> None:
    console.print()
    console.print(f"  dashboard       http://127.0.0.1:{dashboard_port}", style="bold")
    console.print(f"  Prefect         http://127.0.0.1:{prefect_port}", style="bold")
    console.print(f"  database        {database}", markup=False, soft_wrap=True)
    if is_simulated:
        console.print("  The database is simulated: schedules are off, start a run by hand and give it an as_of.")
    console.print("\n  Ctrl-C stops all of it.\n")


@contextlib.contextmanager
def _until_told() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, so that children are stopped in order and none is left behind."""
    told = threading.Event()

    def tell(_number: int, _frame: FrameType | None) -> None:
        told.set()

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
