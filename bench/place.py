"""Where the benches run: a server, databases and files of their own in a temporary folder, gone at the end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from config.settings import CHECKOUT, Settings
from tasks.store import embedded
from tasks.store.engine import Database
from tasks.store.migrate import migrate
from tasks.store.workspace import Workspace

SQL = Path(__file__).parent / "sql"
MEGABYTE = 2**20

SOURCES = """\
sources:
  purchases:
    kind: file
    entity: purchases
    place: purchases/*.csv
    columns:
      order_id: order_id
      customer_id: customer_id
      purchased_at: purchased_at
      amount: amount
      currency: currency
      status: status
      updated_at: updated_at
  messages:
    kind: file
    entity: messages
    place: messages/*.csv
    columns:
      message_id: message_id
      conversation_id: conversation_id
      direction: direction
      sender: sender
      sent_at: sent_at
      text: text
      kind: kind
"""
COLUMNS = ("order_id", "customer_id", "purchased_at", "amount", "currency", "status", "updated_at")


@dataclass
class Place:
    """A server and a folder for one run of the benches."""

    folder: Path
    server: embedded.Server

    def workspace(self, name: str, **given: Any) -> Workspace:
        """A workspace on a fresh migrated database, with a configuration folder of its own."""
        config = self.folder / name
        (config / "purchases").mkdir(parents=True)
        (config / "sources.yaml").write_text(SOURCES)
        for name_of_folder in ("campaigns", "suites"):
            shutil.copytree(CHECKOUT / "config" / name_of_folder, config / name_of_folder)
        database = Database(self.server.url(name), self.folder)
        database.create_if_missing()
        migrate(database, business_zone="UTC")
        database.dispose()
        return open_workspace(self.folder, name, **given)

    def drop(self, work: Workspace) -> None:
        """Remove a workspace's database."""
        name = work.database.name
        work.close()
        with Database(self.server.url("postgres"), self.folder).alone() as connection:
            connection.execute(sa.text(f"drop database {name} with (force)"))


def open_workspace(folder: Path, name: str, **given: Any) -> Workspace:
    """The workspace `name` of a place, also from another process; the environment's own settings are left aside.

    `given` settings win over a bench's own.
    """
    server = embedded.status(folder)
    if server is None:
        message = f"no server runs in {folder}"
        raise RuntimeError(message)
    return Workspace(
        Settings(
            **{
                "config": folder / name,
                "home": folder,
                "database_url": SecretStr(server.url(name)),
                "time_zone": "UTC",
                "mode": "simulated",
                "suppression_key": SecretStr("bench"),
                "_env_file": None,
                **given,
            }
        )
    )


@contextlib.contextmanager
def open_place(pg_bin: Path | None) -> Iterator[Place]:
    """A place for one run; the server is stopped and every file is removed at the end, also after an error."""
    folder = Path(tempfile.mkdtemp(prefix="reengage-bench-"))
    folder.chmod(0o755)
    try:
        yield Place(folder, embedded.start(folder, pg_bin))
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)


def statement(name: str, **given: Any) -> sa.TextClause:
    """A statement of bench/sql with its parameters bound."""
    text = (SQL / f"{name}.sql").read_text("utf-8")
    return sa.text(text[text.index("*/") + 2 :]).bindparams(**given)


def timed(call: Any) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def settle(work: Workspace) -> None:
    """What autovacuum and the checkpointer do in quiet hours, done now and not while a clock runs."""
    with work.database.alone() as connection:
        connection.execute(sa.text("vacuum (analyze) core.purchases, core.customers, core.purchase_days"))
        connection.execute(sa.text("checkpoint"))


@dataclass
class Worker:
    """A process that is told what to do line by line, and answers with one line of JSON at the end."""

    process: subprocess.Popen[str]
    errors: Path

    def wait_for(self, word: str) -> None:
        """Wait until it has printed this word."""
        for line in self.process.stdout or ():
            if line.strip() == word:
                return
        self._fail()

    def tell(self, word: str) -> None:
        """Send it a line."""
        if self.process.stdin:
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What it printed last, once it has ended."""
        lines = (self.process.stdout.read() if self.process.stdout else "").splitlines()
        if self.process.wait() != 0:
            self._fail()
        self.errors.unlink()
        return json.loads(lines[-1])

    def _fail(self) -> None:
        self.process.wait()
        message = f"{self.process.args} failed: {self.errors.read_text()[-2000:]}"
        raise RuntimeError(message)


def process(module: str, *words: str) -> Worker:
    """Start a module of the benches in a process of its own."""
    command = [sys.executable, "-m", module, *words]
    with tempfile.NamedTemporaryFile("w", prefix="reengage-bench-errors-", delete=False) as errors:
        started = subprocess.Popen(
            command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    return Worker(started, Path(errors.name))


def in_a_process(module: str, *words: str) -> dict[str, Any]:
    """Run a module of the benches in a process of its own; what it prints last is its answer."""
    command: Sequence[str] = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, cwd=CHECKOUT, env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"{module} failed: {done.stderr[-2000:]}"
        raise RuntimeError(message)
    return json.loads(done.stdout.splitlines()[-1])
