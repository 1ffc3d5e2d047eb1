"""The Prefect server and its companions as children of ours: their settings, their start, their end.

Imports nothing of Prefect, so that the environment can be set before Prefect reads it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from config.settings import CHECKOUT, Settings
from dashboards import serve
from tasks.rules.errors import ReengageError
from tasks.store.engine import Database

LOOPBACK = "127.0.0.1"
READY_SECONDS = 120
STOP_SECONDS = 15
POOL = "reengage"


def environment(settings: Settings, port: int) -> dict[str, str]:
    """What every process that talks to our Prefect server must find in its environment, flows included.

    The interface is the first one (V1): the newer one calls an outside host even when analytics are off. A heartbeat
    every 30 seconds lets the automation tell dead runs from long ones.
    """
    ours = {"database": settings.database, "mode": settings.mode, "time_zone": settings.time_zone}
    return {
        **{f"REENGAGE_{name.upper()}": str(value) for name, value in ours.items() if value},
        "PREFECT_HOME": str(settings.home.resolve() / "prefect"),
        "PREFECT_API_URL": f"http://{LOOPBACK}:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_CLI_COLORS": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
        "REENGAGE_CONFIG": str(settings.config.resolve()),
        "REENGAGE_HOME": str(settings.home.resolve()),
        "REENGAGE_CHECKOUT": str(CHECKOUT),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")])),
    }


def prefect_database(database: Database) -> str | None:
    """Address of Prefect's own database, made beside ours when missing; None where our login may not make one."""
    beside = Database(database.url.set(database="prefect").render_as_string(hide_password=False), database.home)
    try:
        beside.create_if_missing()
        with beside.transaction() as connection:
            connection.execute(sa.select(1))
    except sa.exc.DBAPIError:
        return None
    finally:
        beside.dispose()
    return beside.url.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def free_port(wanted: int = 0) -> int:
    """The wanted port of this machine's own address when nobody listens there, else a free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ReengageError(f"no free port on {LOOPBACK}")


@dataclass
class Child:
    """One program that we started: it writes to its own log and ends with its whole family."""

    name: str
    command: Sequence[str]
    log: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(cls, name: str, command: Sequence[str], log_folder: Path, env: Mapping[str, str]) -> Child:
        """Start a program in a process group of its own, with `env` on top of our environment."""
        log_folder.mkdir(parents=True, exist_ok=True)
        log = log_folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                cwd=CHECKOUT,
                start_new_session=True,
            )
        return cls(name, command, log, process)

    @property
    def is_running(self) -> bool:
        """Whether the program has not ended yet."""
        return self.process.poll() is None

    def stop(self) -> None:
        """Ask the program and its children to end, and end them when they do not within 15 seconds."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        # Flow runs that a worker left behind, or a program that does not listen.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def expect_running(self) -> None:
        """Raise ReengageError with the end of the program's log when it has ended."""
        if self.is_running:
            return
        last_words = "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])
        raise ReengageError(f"{self.name} ended ({self.process.returncode}); {self.log} says:\n{last_words}")

    def wait_for(self, address: str, told: threading.Event | None = None, seconds: float = READY_SECONDS) -> None:
        """Wait until the program answers at an address, or `told` to stop; raises ReengageError when it ends first."""
        told = told or threading.Event()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.expect_running()
            if told.wait(0.2) or answers(address):
                return
        raise ReengageError(f"{self.name} gives no answer after {seconds:.0f} seconds; see {self.log}")


def watch(children: Sequence[Child], told: threading.Event, every: float) -> None:
    """Stay until `told` to stop; raises ReengageError when one of the children ends by itself."""
    while not told.wait(every):
        for child in children:
            child.expect_running()


def answers(address: str) -> bool:
    """Whether a program answers with success at a loopback address."""
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310 - a loopback address of ours
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


def start_prefect(settings: Settings, database: str | None, port: int) -> Child:
    """Start the Prefect server, its history in `database` or, without one, in a file of the state folder."""
    env = environment(settings, port)
    if database:
        env["PREFECT_API_DATABASE_CONNECTION_URL"] = database
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)]
    return Child.start("prefect-server", command, settings.home / "logs", env)


def start_worker(settings: Settings, port: int) -> Child:
    """Start a worker that takes the deployments' runs, one process per run; makes its work pool when missing."""
    command = [
        sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--limit", "4",
        "--install-policy", "never",
    ]  # fmt: skip
    return Child.start("prefect-worker", command, settings.home / "logs", environment(settings, port))


def start_dashboard(settings: Settings, port: int) -> Child:
    """Start the dashboard, on loopback unless the settings name a login; it sends nothing to the outside."""
    command = serve.command(port, str(settings.dashboard_address))
    return Child.start("dashboard", command, settings.home / "logs", environment(settings, 0))


def deploy(settings: Settings, port: int, *, schedules: bool) -> None:
    """Register every deployment of prefect.yaml; raises ReengageError with what Prefect says when it cannot.

    Schedules are on or off from the beginning: one that is on for a moment may have made a run by then.
    """
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=CHECKOUT,
        env={**os.environ, **environment(settings, port), "REENGAGE_SCHEDULES": str(schedules).lower()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ReengageError(f"prefect deploy --all failed:\n{(done.stdout + done.stderr).strip()[-2000:]}")
