"""What every test may ask for: a real PostgreSQL database of its own, and a workspace on it."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from config.settings import CHECKOUT, Settings
from flows.commands.console import console
from tasks.store import embedded
from tasks.store.engine import Database
from tasks.store.migrate import migrate
from tasks.store.workspace import Workspace

_numbers = itertools.count(1)

# The only reasons for which a test may be skipped, by their beginnings; any other reason is a failure.
LISTED_SKIPS = (
    "no chromium",  # `make test` installs it where it may
    "needs root",  # only root's server runs as another user
    "the CDNOW file is not here",  # public data, never part of the project
    "SendGrid's published description is not here",  # public data too
    "the WhatsApp examples are not here",  # published by Meta, never part of the project
    "psql is not among",  # the wheel has it, some system folders do not
)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A skip must give a listed reason."""
    _fail_unlisted((yield).get_result(), item)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """So must a file that is skipped as a whole, such as one whose import is not there."""
    _fail_unlisted((yield).get_result(), collector)


def _fail_unlisted(report: pytest.TestReport | pytest.CollectReport, node: pytest.Item | pytest.Collector) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(LISTED_SKIPS):
            report.outcome = "failed"
            report.longrepr = f"{node.nodeid} was skipped for a reason that tests/conftest.py does not list: {reason}"


@pytest.fixture(scope="session", autouse=True)
def _state_folder() -> Iterator[None]:
    """Whatever a test starts without saying where keeps to a folder of its own, and is stopped at the end."""
    home = Path(tempfile.mkdtemp(prefix="reengage-home-"))
    home.chmod(0o755)
    os.environ["REENGAGE_HOME"] = str(home)
    yield
    embedded.stop(home)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _shipped_configuration() -> Iterator[None]:
    """What a user is given is not written by tests: each that writes has a folder of its own."""
    before = _files_of(CHECKOUT / "config")
    yield
    changed = sorted(dict(before.items() ^ _files_of(CHECKOUT / "config").items()))
    assert not changed, f"changed while the tests ran, by one of them or by hand: {changed}"


def _files_of(folder: Path) -> dict[str, int]:
    """Every file below a folder and when it was written, but for what Python keeps there."""
    return {
        str(path.relative_to(CHECKOUT)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture
def wide_console() -> Iterator[None]:
    """Tables that need not break their words, however narrow the terminal was when the console was made."""
    before, console.width = console.width, 200
    yield
    console.width = before


@pytest.fixture(scope="session")
def server() -> Iterator[embedded.Server]:
    """One embedded server for the whole session (REENGAGE_PG_BIN runs the same tests on other binaries)."""
    home = Path(tempfile.mkdtemp(prefix="reengage-tests-"))
    home.chmod(0o755)
    pg_bin = os.environ.get("REENGAGE_PG_BIN")
    try:
        started = embedded.start(home, Path(pg_bin) if pg_bin else None)
        admin = sa.create_engine(started.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with admin.connect() as connection:  # nothing of this server is kept, so it need not wait for the disk
            connection.exec_driver_sql("alter system set fsync = off")
            connection.exec_driver_sql("select pg_reload_conf()")
        yield started
    finally:
        embedded.stop(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def make_database(
    server: embedded.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Database]]:
    """Fresh migrated databases, copied from one template per business zone; dropped at the end."""
    home = tmp_path_factory.mktemp("roles")
    templates: dict[str, str] = {}
    made: list[Database] = []

    def make(business_zone: str = "UTC") -> Database:
        if business_zone not in templates:
            template = Database(server.url(f"template_{len(templates)}"), home)
            template.create_if_missing()
            migrate(template, business_zone=business_zone)
            template.dispose()
            templates[business_zone] = template.name
        database = Database(server.url(f"test_{next(_numbers)}"), home)
        admin = sa.create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with admin.connect() as connection:
            connection.exec_driver_sql(
                f"create database {database.name} template {templates[business_zone]} strategy file_copy"
            )
        made.append(database)
        migrate(database, business_zone=business_zone)  # nothing to apply; makes this database's logins
        database.dispose()  # a pool left open by every test would use up the server's connections
        return database

    yield make
    for database in made:
        database.dispose()


@pytest.fixture
def database(make_database: Callable[..., Database]) -> Iterator[Database]:
    """A fresh migrated database, business zone UTC."""
    database = make_database()
    yield database
    database.dispose()


@pytest.fixture
def make_workspace(make_database: Callable[..., Database], tmp_path: Path) -> Iterator[Callable[..., Workspace]]:
    """A workspace on a fresh database: `make_workspace(mode="simulated", config=folder, time_zone="UTC")`."""
    opened: list[Workspace] = []

    def make(config: Path = CHECKOUT / "config", time_zone: str = "UTC", **given: object) -> Workspace:
        database = make_database(time_zone)
        url = SecretStr(database.url.render_as_string(hide_password=False))
        settings = Settings(
            config=config, home=database.home, database_url=url, time_zone=time_zone, _env_file=None, **given
        )
        opened.append(Workspace(settings))
        return opened[-1]

    yield make
    for work in opened:
        work.close()
