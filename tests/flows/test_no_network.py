"""After installation nothing asks the network: the main path in a process that may reach this machine only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import CHECKOUT
from tasks.store import embedded

# Read by every Python process below the one we start, before any of its own code. A refused attempt is written down
# too, since a library may catch the error and go on.
GUARD = """
import ipaddress, os, sys

NAMES = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")


def is_here(host):
    if isinstance(host, bytes):
        host = host.decode()
    if host in (None, "", "localhost"):
        return True
    try:
        at = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return at.is_loopback or at.is_unspecified


def refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path, or nothing: no network
    elif event in NAMES:
        host = arguments[0][0] if isinstance(arguments[0], tuple) else arguments[0]
    else:
        return
    if not is_here(host):
        with open(os.environ["NO_NETWORK_LOG"], "a") as log:
            log.write(f"{event} {host} by {sys.argv[:3]}\\n")
        raise ConnectionRefusedError(f"{event} to {host}: this process may reach this machine only")


sys.addaudithook(refuse)
with open(os.environ["NO_NETWORK_LOG"] + ".guarded", "a") as guarded:
    guarded.write(f"{os.getpid()}\\n")
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A state folder with a PostgreSQL of its own, as on a fresh machine."""
    folder = Path(tempfile.mkdtemp(prefix="reengage-alone-"))
    folder.chmod(0o755)
    yield folder
    embedded.stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A child that cannot reach beyond this machine; so cannot its own children."""
    guard = home / "guard"
    guard.mkdir(exist_ok=True)
    (guard / "sitecustomize.py").write_text(GUARD, "utf-8")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REENGAGE_", "PREFECT_", "GX_", "STREAMLIT_")) and name != "DO_NOT_TRACK"
    }
    given = {
        "PYTHONPATH": str(guard),
        "NO_NETWORK_LOG": str(home / "asked"),
        "REENGAGE_HOME": str(home),
        **{name: value for name, value in os.environ.items() if name == "REENGAGE_PG_BIN"},
    }
    return subprocess.run(
        [sys.executable, *words], cwd=CHECKOUT, env=kept | given, capture_output=True, text=True, timeout=400,
        check=False,
    )  # fmt: skip


def asked(home: Path) -> list[str]:
    """What the guarded processes asked of the outside."""
    log = home / "asked"
    return log.read_text("utf-8").splitlines() if log.exists() else []


def test_the_demo_and_every_look_at_it_ask_nothing_of_the_network(home: Path) -> None:
    done = run(home, "-m", "flows", "demo", "--customers", "500", "--days", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    shop = ("-m", "flows", "--config", "config/examples/shop")
    looks = (("doctor",), ("plan", "lapsing_customers"))
    for words in looks:
        looked = run(home, *shop, *words)
        assert looked.returncode == 0, looked.stdout + looked.stderr

    assert asked(home) == []
    guarded = (home / "asked.guarded").read_text("utf-8").split()
    assert len(guarded) > 1 + len(looks), "the Prefect server is guarded too"


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "import socket; socket.getaddrinfo('example.com', 443)",
        "import urllib.request; urllib.request.urlopen('http://example.com', timeout=1)",
    ],
)
def test_the_guard_refuses_the_outside_and_writes_it_down(home: Path, attempt: str) -> None:
    tried = run(home, "-c", attempt)

    assert tried.returncode != 0
    assert "may reach this machine only" in tried.stderr
    assert len(asked(home)) == 1
