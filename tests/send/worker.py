"""A dispatching process that can be made to end or stop at a named point, for the crash tests.

`python -m multiprocessing`'s fork server imports this once; each worker is a process of its own that can be killed.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from config.settings import Settings
from tasks import reconcile, send
from tasks.channels.base import OutgoingMessage
from tasks.channels.outbox import Conduct, Outbox
from tasks.store.engine import MOST_IDLE
from tasks.store.ledger import Limits
from tasks.store.workspace import Workspace

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["tests.send.worker"])

KILLED = 137


@dataclass(frozen=True)
class Orders:
    """What a worker does: where, as of when, in which batches, and where it ends (`crash_at`) or stops (`stop_at`).

    `moods` are what the provider does, one for each message by its key and channel; none: it accepts. `environment` is
    what the process finds besides what it was started with: the server it is forked from may be older than a test.
    """

    url: str
    home: Path
    config: Path
    at: datetime | None
    crash_at: str | None = None
    on_pass: int = 1
    stop_at: str | None = None
    die_on: int | None = None
    seconds_per_message: float = 0
    moods: tuple[Conduct, ...] = ()
    most_idle: timedelta = MOST_IDLE
    limits: Limits = field(default_factory=lambda: Limits(batch=5))
    environment: Mapping[str, str] = field(default_factory=dict)


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
    work.database.most_idle = orders.most_idle
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

    def conduct(message: OutgoingMessage) -> Conduct:
        nonlocal seen
        seen += 1
        time.sleep(orders.seconds_per_message)
        if seen == orders.die_on:
            return Conduct.DIE
        if not orders.moods:
            return Conduct.ACCEPT
        return orders.moods[zlib.crc32(f"{message.send_key}{message.channel}".encode()) % len(orders.moods)]

    return conduct


@contextlib.contextmanager
def started(orders: Orders, barrier: Any = None, *, target: Callable[..., None] = run) -> Iterator[BaseProcess]:
    """A worker that is killed when the block ends, should it still live."""
    process = context.Process(target=target, args=(orders, barrier) if barrier else (orders,))
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


def dispatch_to_providers(orders: Orders) -> None:
    """The process: dispatch once to the providers that the configuration names."""
    os.environ.update(orders.environment)
    settings = Settings(
        config=orders.config,
        home=orders.home,
        database_url=SecretStr(orders.url),
        time_zone="UTC",
        mode="live",
        _env_file=None,
    )
    send.due(Workspace(settings), limits=orders.limits)


def freeze_with_rows_locked(orders: Orders) -> None:
    """The process: lock every message of the ledger, and the database's mode, and stop in the middle."""
    work = Workspace(Settings(home=orders.home, database_url=SecretStr(orders.url), _env_file=None))
    work.database.most_idle = orders.most_idle
    with work.database.transaction() as connection:
        connection.execute(work.queries["ledger/mode_lock"]())
        connection.execute(sa.text("select from campaign.sends for update"))
        os.kill(os.getpid(), signal.SIGSTOP)


def wait_until_stopped(process: BaseProcess) -> None:
    """Until the worker has stopped itself."""
    for _ in range(600):
        status = Path(f"/proc/{process.pid}/stat").read_text("ascii")
        if status.rpartition(")")[2].split()[0] == "T":
            return
        time.sleep(0.1)
    raise TimeoutError("the worker never stopped")
