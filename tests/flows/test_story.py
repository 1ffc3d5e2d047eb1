"""What a story and its steps do with failures: what may be recorded, and what may be tried again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from flows import server
from flows.story import named
from tasks.rules.errors import Busy, ConfigError, DatabaseError, Problem, ReengageError, Superseded
from tasks.step import _may_pass, _retry, discreet
from tasks.store.engine import Database


class Failed:
    """A state as Prefect hands it to a retry condition."""

    def __init__(self, data: object) -> None:
        self.data = data


def test_an_error_of_python_is_reduced_to_its_kind_and_place():
    @discreet
    def breaks() -> None:
        raise KeyError("ann@example.com")

    with pytest.raises(ReengageError) as caught:
        breaks()

    assert str(caught.value).startswith("KeyError at tests/flows/test_story.py:")
    assert caught.value.__suppress_context__


def test_an_error_of_the_database_is_told_without_the_row(database: Database):
    @discreet
    def breaks() -> None:
        with database.transaction() as connection:
            connection.execute(sa.text("create temp table people (email text primary key)"))
            for _ in range(2):
                connection.execute(sa.text("insert into people values (:email)"), {"email": "ann@example.com"})

    with pytest.raises(DatabaseError) as caught:
        breaks()

    assert "duplicate key value violates unique constraint" in str(caught.value)
    assert "ann@example.com" not in str(caught.value)


def test_our_own_errors_pass_as_they_are():
    @discreet
    def breaks() -> None:
        raise Superseded("another run is doing this work")

    with pytest.raises(Superseded, match="another run is doing this work"):
        breaks()


@pytest.mark.parametrize(
    ("error", "may"),
    [
        (DatabaseError("gone"), True),
        (Busy("throttled"), True),
        (ConfigError(Problem("here", "wrong")), False),
        (Superseded("done already"), False),
    ],
)
def test_only_what_repeating_may_cure_is_tried_again(error: ReengageError, may: bool):
    assert _may_pass(None, None, Failed(error)) is may


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (Busy("throttled"), 10),
        (Busy("throttled", 0.5), 10),
        (Busy("throttled", 120), 120),
        (Busy("throttled", 300), 300),
        (Busy("throttled", 301), None),
        (DatabaseError("gone"), 10),
        (Superseded("done already"), None),
    ],
)
def test_a_provider_that_asks_for_time_gets_it_up_to_a_bound(error: ReengageError, waits: float | None):
    task = SimpleNamespace(retry_delay_seconds=99)

    assert _retry(10, 300)(task, None, Failed(error)) is (waits is not None)

    if waits:
        assert task.retry_delay_seconds == waits


def test_a_run_is_named_for_what_it_is_about_and_for_another_moment_when_it_has_one():
    assert named("lapsing_customers", None) == "lapsing_customers"
    assert named("lapsing_customers", "2026-06-01T04:00:00+00:00") == "lapsing_customers as of 2026-06-01 04:00"


def test_a_taken_port_gives_way_to_a_free_one():
    import socket

    with socket.socket() as taken:
        taken.bind((server.LOOPBACK, 0))
        taken.listen()
        wanted = taken.getsockname()[1]

        assert server.free_port(wanted) != wanted
    assert server.free_port(wanted) == wanted


def test_a_child_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path):
    child = server.Child.start("talker", [sys.executable, "-c", "print('no such table'); exit(3)"], tmp_path, {})

    with pytest.raises(ReengageError, match=r"talker ended \(3\).*\n.*no such table"):
        child.wait_for("http://127.0.0.1:9/", seconds=30)


def test_stopping_a_child_ends_its_children_too(tmp_path: Path):
    program = (
        "import subprocess, sys, time; subprocess.Popen(['sleep', '300']); print('ready', flush=True); time.sleep(300)"
    )
    child = server.Child.start("parent", [sys.executable, "-c", program], tmp_path, {})
    while "ready" not in child.log.read_text():
        child.expect_running()

    child.stop()

    listed = subprocess.run(["ps", "-eo", "pgid,stat"], capture_output=True, text=True, check=True).stdout.splitlines()
    alive = [line for line in listed if line.split()[0] == str(child.process.pid) and "Z" not in line.split()[1]]
    assert alive == []


def test_up_serves_everything_and_stops_everything_when_told(tmp_path: Path, server_url: str):
    home = tmp_path / "home"
    env = {
        **os.environ,
        "REENGAGE_HOME": str(home),
        "REENGAGE_DATABASE_URL": server_url,
        "REENGAGE_DASHBOARD_PORT": "0",
        "COLUMNS": "200",
    }
    log = tmp_path / "up.log"
    with log.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "flows", "up", "--port", str(server.free_port())],
            env=env, stdout=output, stderr=output, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    try:
        while "Ctrl-C stops all of it" not in log.read_text():
            assert up.poll() is None, log.read_text()
        places = {line.split()[0]: line.split()[1] for line in log.read_text().splitlines() if "http://" in line}
        for name, place in (("dashboard", "/_stcore/health"), ("Prefect", "/api/health")):
            with urllib.request.urlopen(places[name] + place, timeout=30) as answer:
                assert answer.status == 200
    finally:
        up.send_signal(signal.SIGTERM)
        code = up.wait(60)

    assert code == 0, log.read_text()
    assert not any(server.answers(f"{places[name]}/api/health") for name in places)
    assert "stopped" in log.read_text()
