"""A dispatching process that can be made to end or stop at a named point, for the crash tests.

`python -m multiprocessing`'s fork server imports this once; each worker is a process of its own that can be killed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from config.settings import Settings
from tasks import reconcile, send
from tasks.channels.base import OutgoingMessage
from tasks.channels.outbox import Conduct, Outbox
from tasks.store.ledger import Limits
from tasks.store.workspace import Workspace

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["tests.send.worker"])

KILLED = 137


@dataclass(frozen=True)
class Orders:
    """What a worker does: where, as of when, in which batches, and where it ends (`crash_at`) or stops (`stop_at`)."""

    url: str
    home: Path
    config: Path
    at: datetime | None
    crash_at: str | None = None
    on_pass: int = 1
    stop_at: str | None = None
    die_on: int | None = None
    seconds_per_message: float = 0
    limits: Limits = field(default_factory=lambda: Limits(batch=5))


def run(orders: Orders, barrier: Any = None) -> None:
    """The process: dispatch once, as the flow does, and leave with exit code 0."""
    settings = Settings(
        config=orders.config,
        home=orders.home,
        database_url=SecretStr(orders.url),
        time_zone="UTC",
        mode="simulated" if orders.at else "live",
        _env_file=None,
    )
    work = Workspace(settings)
    work.queries  # noqa: B018 - read and checked before the barrier, so that the workers start together
    passes: dict[str, int] = {}

    def watch(point: str) -> None:
        passes[point] = passes.get(point, 0) + 1
        if passes[point] != orders.on_pass:
            return
        if point == orders.crash_at:
            os._exit(KILLED)
        if point == orders.stop_at:
            os.kill(os.getpid(), signal.SIGSTOP)

    outbox = Outbox(work.database.url, work.queries["ledger/outbox_accept"], conduct=_conduct(orders))
    if barrier is not None:
        barrier.wait()
    reconcile.doubts(work, orders.at, limits=orders.limits)
    send.due(work, orders.at, limits=orders.limits, senders={"outbox": outbox}, watch=watch)
    work.close()


def _conduct(orders: Orders) -> Callable[[OutgoingMessage], Conduct]:
    seen = 0

    def conduct(_: OutgoingMessage) -> Conduct:
        nonlocal seen
        seen += 1
        time.sleep(orders.seconds_per_message)
        return Conduct.DIE if seen == orders.die_on else Conduct.ACCEPT

    return conduct


@contextlib.contextmanager
def started(orders: Orders, barrier: Any = None) -> Iterator[BaseProcess]:
    """A worker that is killed when the block ends, should it still live."""
    process = context.Process(target=run, args=(orders, barrier))
    process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            process.kill()
        process.join()


def finish(orders: Orders) -> int:
    """Run a worker to its end; answers the exit code."""
    with started(orders) as process:
        process.join(120)
        if process.exitcode is None:
            raise TimeoutError("the worker did not end within two minutes")
        return process.exitcode


def wait_until_stopped(process: BaseProcess) -> None:
    """Until the worker has stopped itself."""
    for _ in range(600):
        status = Path(f"/proc/{process.pid}/stat").read_text("ascii")
        if status.rpartition(")")[2].split()[0] == "T":
            return
        time.sleep(0.1)
    raise TimeoutError("the worker never stopped")
