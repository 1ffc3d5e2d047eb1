"""SIGKILL right before every commit that loading, a run and the evaluation make, one after the other (K1 to K11).

What happens between two commits is lost with the process, so these are all the states a crash can leave behind. Each
is started again twice, and must end as if nobody had disturbed it; only what was being handed over may be in doubt.
REENGAGE_COMMIT_STEP=1 plays every one of them; without it, each fifth, and those that lose a whole step's work.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa

from tasks.store.engine import Database
from tasks.store.migrate import migrate
from tests.flows.test_killed_anywhere import AS_OF, decided, delivered, enrolled, facts, open_shop

PEOPLE = 40
COMMANDS = {
    "ingest": ("ingest", "--as-of", AS_OF),
    "run": ("run", "lapsing_customers", "--as-of", AS_OF),
    "evaluate": ("evaluate", "--as-of", AS_OF),
}
BEFORE = {"ingest": "fresh", "run": "ingest", "evaluate": "run"}
MOST_COMMITS = 100
STEP = int(os.environ.get("REENGAGE_COMMIT_STEP", "5"))
# By command, what the transaction that is about to be lost has written: who is in the segment, whom the ad platform was
# told of, what was measured.
LOST = {
    "K3": ("run", "campaign.enrolments", "true"),
    "K10": ("run", "campaign.audience_requests", "state = 'done'"),
    "K11": ("evaluate", "campaign.outcomes", "true"),
}
# What is imported at its first use, so that no process has to.
WARM = ("flows.ingest", "flows.reengage", "flows.evaluate", "great_expectations", "tasks.validate", "phonenumbers")


def nursery(orders: Connection, environment: dict[str, str], said: Path) -> None:
    """Fork a process for each command; answer how it ended: its exit code, or minus the signal."""
    os.environ.update(environment)
    for module in WARM:
        importlib.import_module(module)
    while True:
        try:
            url, words, last = orders.recv()
        except EOFError:
            return
        pid = os.fork()
        if pid == 0:
            _command(url, words, last, said)
        orders.send(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _command(url: str, words: tuple[str, ...], last: int | str | None, said: Path) -> NoReturn:
    """Run a command line, killed right before its `last` commit, or before that of the work that LOST names."""
    from flows.__main__ import main

    commits = 0

    def count(connection: sa.Connection) -> None:
        nonlocal commits
        commits += 1
        if commits == last or (isinstance(last, str) and _has_written(connection, *LOST[last][1:])):
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "commit", count)
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ["REENGAGE_DATABASE_URL"] = url
    sys.argv = ["reengage", *words]
    code: Any = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    sys.stdout.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _has_written(connection: sa.Connection, table: str, condition: str) -> bool:
    """Whether a transaction sees such rows; a login that may not look has written none."""
    may_look = connection.execute(sa.text(f"select has_table_privilege('{table}', 'select')")).scalar_one()
    rows = sa.text(f"select exists (select from {table} where {condition})")
    return may_look and connection.execute(rows).scalar_one()


class Runner:
    """Copies databases and runs commands on them."""

    def __init__(self, make_database: Callable[..., Database], line: Connection, said: Path) -> None:
        self.make_database, self.line, self.said = make_database, line, said

    def copy(self, original: Database) -> Database:
        """A database with the same content."""
        made = self.make_database()
        for one in (made, original):
            one.dispose()
        admin = sa.create_engine(made.url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with admin.connect() as connection:
            connection.exec_driver_sql(f"drop database {made.name}")
            connection.exec_driver_sql(f"create database {made.name} template {original.name}")
        migrate(made, business_zone="UTC")  # nothing to apply; makes this database's logins
        made.dispose()
        return made

    def run(self, database: Database, command: str, last: int | str | None = None) -> int:
        """How a command ended that was killed right before its `last` commit, if it came that far; or a key of LOST."""
        self.line.send((database.url.render_as_string(hide_password=False), COMMANDS[command], last))
        return self.line.recv()

    def must(self, database: Database, command: str) -> None:
        """Run a command that nothing happens to."""
        assert self.run(database, command) == 0, self.said.read_text(errors="replace")[-3000:]


@pytest.fixture(scope="module")
def runner(make_database: Callable[..., Database], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder, said = tmp_path_factory.mktemp("commits"), tmp_path_factory.mktemp("said") / "said.txt"
    open_shop(folder, PEOPLE)
    home = make_database().home
    environment = {"REENGAGE_CONFIG": str(folder), "REENGAGE_HOME": str(home), "COLUMNS": "200"}
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=nursery, args=(theirs, environment, said), daemon=True)
    process.start()
    theirs.close()
    yield Runner(make_database, ours, said)
    ours.close()
    process.join(10)
    process.kill()


@pytest.fixture(scope="module")
def quiet(runner: Runner, make_database: Callable[..., Database]) -> dict[str, Database]:
    """What nobody disturbed, before everything and after each command."""
    stages = {"fresh": make_database()}
    for command, before in BEFORE.items():
        stages[command] = runner.copy(stages[before])
        runner.must(stages[command], command)
    assert len(enrolled(stages["run"])) == PEOPLE
    assert len(delivered(stages["run"])) > PEOPLE / 2
    assert audience(stages["run"])
    assert any(figures(stages["evaluate"]).values())
    return stages


def audience(database: Database) -> list[tuple[Any, ...]]:
    """Who is in which audience, as we believe it and as the platform was told."""
    with database.transaction() as connection:
        ours = connection.execute(
            sa.text(
                "select platform, audience, customer_id, desired, applied from campaign.audience_members order by 3"
            )
        )
        theirs = connection.execute(sa.text("select platform, audience, person_sha256 from outbox.audience_members"))
        return [tuple(row) for row in ours] + sorted(tuple(row) for row in theirs)


def figures(database: Database) -> dict[str, list[str]]:
    """Every row the dashboard reads."""
    with database.transaction() as connection:
        names = sa.inspect(connection).get_table_names(schema="evaluation")
        return {
            name: sorted(connection.execute(sa.text(f"select cast(t as text) from evaluation.{name} as t")).scalars())
            for name in names
        }


@pytest.mark.parametrize("command", COMMANDS)
def test_killed_before_a_commit_and_started_twice_the_work_is_done_once(
    runner: Runner, quiet: dict[str, Database], command: str
) -> None:
    for last in range(1, MOST_COMMITS, STEP):
        database = runner.copy(quiet[BEFORE[command]])
        ended = runner.run(database, command, last)
        assert ended in (0, -signal.SIGKILL), runner.said.read_text(errors="replace")[-3000:]
        started_twice_it_ends_as_if_undisturbed(runner, database, command, quiet[command], last)
        database.dispose()
        if ended == 0:
            break

    assert (ended, last > STEP) == (0, True), "it was killed at least once, and met its end at last"


@pytest.mark.parametrize("row", LOST)
def test_killed_before_a_steps_work_is_committed_nothing_of_it_is_seen(
    runner: Runner, quiet: dict[str, Database], row: str
) -> None:
    command, table, condition = LOST[row]
    before = quiet[BEFORE[command]]
    database = runner.copy(before)

    assert runner.run(database, command, row) == -signal.SIGKILL, runner.said.read_text(errors="replace")[-3000:]

    with database.transaction() as connection:
        assert not _has_written(connection, table, condition)
    assert figures(database) == figures(before)
    if row == "K10":
        assert len(audience(database)) == len(audience(quiet[command])), "the platform was told, and that was not noted"
    started_twice_it_ends_as_if_undisturbed(runner, database, command, quiet[command], row)
    database.dispose()


def started_twice_it_ends_as_if_undisturbed(
    runner: Runner, database: Database, command: str, undisturbed: Database, last: int | str
) -> None:
    for _ in range(2):
        runner.must(database, command)

    assert facts(database) == facts(undisturbed), last
    assert enrolled(database) == enrolled(undisturbed), last
    assert audience(database) == audience(undisturbed), last
    assert set(delivered(database).values()) <= {1}, last
    expected, found = decided(undisturbed), decided(database)
    in_doubt = {person for person, (state, _) in found.items() if state in ("unknown", "in_flight")}
    assert {p: d for p, d in found.items() if p not in in_doubt} == {
        p: d for p, d in expected.items() if p not in in_doubt
    }, last
    if command == "evaluate":
        assert figures(database) == figures(undisturbed), last
