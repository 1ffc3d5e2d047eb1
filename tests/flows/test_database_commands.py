"""`reengage db` as it is typed, on a server of its own: every subcommand in a process that logs in by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.settings import CHECKOUT
from tasks.store import embedded

Typed = Callable[..., str]


@pytest.fixture
def db() -> Iterator[Typed]:
    """Types `reengage db ...` in a state folder with nothing in it yet; answers what it printed."""
    home = Path(tempfile.mkdtemp(prefix="reengage-db-"))
    home.chmod(0o755)
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REENGAGE_", "PG")) or name == "REENGAGE_PG_BIN"
    } | {"REENGAGE_HOME": str(home), "COLUMNS": "200"}

    def typed(*words: str, given: str = "") -> str:
        command = [sys.executable, "-m", "flows", "db", *words]
        done = subprocess.run(
            command, cwd=CHECKOUT, env=environ, input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield typed
    embedded.stop(home)
    shutil.rmtree(home, ignore_errors=True)


def test_a_database_is_started_migrated_asked_and_stopped_from_the_command_line(db: Typed) -> None:
    assert "is stopped" in db("status")
    assert "127.0.0.1" in db("start")
    assert "to apply: reengage db migrate" in db("status")
    assert "0 were there" in db("migrate")
    assert "0 applied" in db("migrate")
    assert "schema is up to date" in db("status")
    assert db("url").startswith("postgresql://")
    assert "grant select" in db("roles")
    assert db("stop").strip() == "stopped"
    assert "is stopped" in db("status")
    assert db("stop").strip() == "no embedded server was running"


def test_the_address_that_other_tools_are_given_reads_the_evaluation_and_nothing_else(db: Typed) -> None:
    db("migrate")
    address = sa.make_url(db("url", "--role", "dashboard").strip())

    assert address.drivername == "postgresql"
    reader = sa.create_engine(address.set(drivername="postgresql+psycopg2"), poolclass=sa.NullPool)
    with reader.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from evaluation.people").scalar() == 0
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            connection.exec_driver_sql("select count(*) from core.customers")


def test_psql_logs_in_without_its_password_among_the_arguments(db: Typed) -> None:
    db("migrate")
    password = db("url").split(":")[2].partition("@")[0]
    if not (embedded._binaries(Path(pg) if (pg := os.environ.get("REENGAGE_PG_BIN")) else None) / "psql").exists():
        pytest.skip("psql is not among the server's programs")
    shown = db("psql", given="\\pset tuples_only on\nselect 40 + 2;\n\\! cat /proc/$PPID/cmdline\n")
    assert "42" in shown
    assert "psql\0postgresql://" in shown
    assert password not in shown
