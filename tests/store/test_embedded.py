"""The embedded server: starts once, keeps its data, survives kill -9, and needs no other user's help."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.settings import CHECKOUT
from tasks.rules.errors import DatabaseError
from tasks.store import embedded


@pytest.fixture
def home():
    folder = Path(tempfile.mkdtemp(prefix="reengage-server-"))
    folder.chmod(0o755)
    yield folder
    embedded.stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


def ask(server: embedded.Server, statement: str):
    engine = sa.create_engine(server.url("postgres"), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        result = connection.exec_driver_sql(statement)
        return result.scalar() if result.returns_rows else None


def test_two_processes_that_start_it_together_get_one_server(home):
    program = (
        "import sys; from pathlib import Path; from tasks.store import embedded; "
        "print(embedded.start(Path(sys.argv[1])).port)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(home)], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ports = {process.communicate(timeout=60)[0].strip() for process in started}
    assert len(ports) == 1
    assert ports == {str(embedded.status(home).port)}


def test_data_survive_a_stop_and_a_kill(home):
    ask(embedded.start(home), "create table kept (n int)")
    assert embedded.stop(home)
    assert embedded.status(home) is None
    server = embedded.start(home)
    ask(server, "insert into kept values (1)")
    postmaster = int((server.data / "postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGKILL)
    assert ask(embedded.start(home), "select count(*) from kept") == 1


def test_the_password_file_is_for_its_owner_only(home):
    embedded.start(home)
    assert stat.S_IMODE((home / "postgres.json").stat().st_mode) == 0o600


def test_a_wrong_password_is_refused(home):
    server = embedded.start(home)
    wrong = sa.create_engine(server.url("postgres").replace(server.password, "guess"), poolclass=sa.NullPool)
    with pytest.raises(sa.exc.OperationalError, match="password"):
        wrong.connect()


def test_a_folder_without_server_programs_is_refused_in_words(home):
    with pytest.raises(DatabaseError, match="REENGAGE_PG_BIN"):
        embedded.start(home, home)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root's server runs as another user")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_as_root_below_a_closed_folder_the_data_go_where_the_server_may_enter(umask: int):
    closed = Path(tempfile.mkdtemp(prefix="reengage-closed-"))
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    home = closed / "state"
    before = os.umask(umask)
    try:
        server = embedded.start(home)
        assert not server.data.is_relative_to(closed)
        assert ask(server, "select 1") == 1
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        shutil.rmtree(home)  # a checkout that is deleted and cloned again finds its server
        assert embedded.start(home).port == server.port
    finally:
        os.umask(before)
        embedded.stop(home)
        shutil.rmtree(server.data.parent, ignore_errors=True)
        shutil.rmtree(closed, ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root's server runs as another user")
def test_as_root_with_programs_in_a_closed_folder_a_copy_of_them_serves(home):
    bin_folder = embedded._binaries(None)
    package = bin_folder.parent.parent
    closed = Path(tempfile.mkdtemp(prefix="reengage-closed-"))
    shutil.copytree(package, closed / package.name, symlinks=True)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)
    try:
        server = embedded.start(home, closed / package.name / bin_folder.parent.name / "bin")
        assert not server.bin.is_relative_to(closed)
        assert ask(server, "select 1") == 1
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        embedded.stop(home)
        shutil.rmtree(server.bin.parents[2], ignore_errors=True)
        shutil.rmtree(closed, ignore_errors=True)


def test_the_servers_folders_can_be_entered_whatever_the_umask_takes_away(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        embedded.make_enterable(tmp_path / "outside" / "digest")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "outside", tmp_path / "outside" / "digest")] == [
        0o711
    ] * 2


@pytest.mark.parametrize(("memory", "megabytes"), [(2**29, 128), (2 * 2**30, 256), (24 * 2**30, 512), (2**40, 512)])
def test_the_server_caches_an_eighth_of_the_memory_within_bounds(memory: int, megabytes: int) -> None:
    assert embedded.shared_buffers(memory) == megabytes
