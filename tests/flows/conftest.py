"""One real Prefect server for the session, started as `reengage up` does, and a day of a small shop played on it."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect import settings as prefect_settings
from pydantic import SecretStr

from flows import server as prefect_server
from flows.commands import demo
from flows.story import using
from tasks.sources.sample.shop import SampleShop
from tasks.store import embedded
from tasks.store.engine import Database
from tasks.store.workspace import Workspace

# A person nobody could invent by chance: whatever of them turns up in Prefect's database has leaked.
CANARY = {
    "email": "zz-canary-email@example.com",
    "phone": "+4915127779998",
    "first_name": "Zzcanaryfirst",
    "last_name": "Zzcanarylast",
    "endpoint": "https://push.example.com/device/zz-canary-token",
    "said": "zz canary words of a message",
}


@dataclass(frozen=True)
class PrefectServer:
    """A running server and the database that holds everything it was ever told."""

    port: int
    database: str
    log: Path

    def rows(self) -> Iterator[str]:
        """Every row of every table as text."""
        engine = sa.create_engine(self.database, poolclass=sa.NullPool)
        with engine.connect() as connection:
            for table in sa.inspect(connection).get_table_names():
                yield from connection.execute(sa.select(sa.cast(sa.table(table).table_valued(), sa.Text))).scalars()


@pytest.fixture(scope="session")
def prefect(server: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A server with its own database in the session's PostgreSQL; fails where a dependency keeps it from starting."""
    home = tmp_path_factory.mktemp("prefect")
    work = demo.open_workspace(home=home, database_url=SecretStr(server.url("demo")))
    work.database.create_if_missing()
    address = prefect_server.prefect_database(work.database)
    assert address is not None
    port = prefect_server.free_port()
    child = prefect_server.start_prefect(work.settings, address, port)
    try:
        child.wait_for(f"http://127.0.0.1:{port}/api/health")
        yield PrefectServer(port, server.url("prefect"), child.log)
    finally:
        child.stop()
        work.close()


@pytest.fixture(scope="session")
def talking_to(prefect: PrefectServer) -> Iterator[PrefectServer]:
    """This process talks to the server, as a flow run's process does."""
    changed = {
        prefect_settings.PREFECT_API_URL: f"http://127.0.0.1:{prefect.port}/api",
        prefect_settings.PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
    }
    with prefect_settings.temporary_settings(changed):
        yield prefect


@pytest.fixture
def server_url(make_database: Callable[..., Database]) -> str:
    """Address of a fresh migrated database."""
    return make_database().url.render_as_string(hide_password=False)


@dataclass(frozen=True)
class Played:
    """A small shop after one day through Prefect."""

    work: Workspace
    play: demo.Play
    prefect: PrefectServer


@pytest.fixture(scope="session")
def played(
    talking_to: PrefectServer, server: embedded.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    """One simulated day of a shop with 300 customers and the canary among them, every flow through Prefect."""
    home = tmp_path_factory.mktemp("played")
    before = os.environ.get("REENGAGE_SHOP")
    work = demo.open_workspace(home=home, database_url=SecretStr(server.url("demo")))
    play = demo.Play(work, SampleShop(home / "shop", customers=300, seed=11), port=talking_to.port)
    play.make_database()
    try:
        with using(work):
            play.write_history()
            plant(play.shop.folder)
            play.load_history()
            play.play(0, through_prefect=True, each_flow_once=True)
            play.play(1, through_prefect=True)
            yield Played(work, play, talking_to)
    finally:
        work.close()
        os.environ.pop("REENGAGE_SHOP")
        if before is not None:
            os.environ["REENGAGE_SHOP"] = before


def plant(shop: Path) -> None:
    """Add the canary: late by her own rhythm, with consents, and with lines that cannot be read."""
    who = f"{CANARY['email']},{CANARY['phone']},{CANARY['first_name']},{CANARY['last_name']}"
    add(
        shop / "customers" / "customers.csv",
        f"9999999,{who},de,DE,BE,Europe/Berlin,2026-01-01 10:00:00Z,2026-01-02 10:00:00Z",
    )
    add(
        shop / "push_tokens" / "push_tokens.csv",
        f"T9999999,9999999,{CANARY['endpoint']},fcm,true,2026-01-02 10:00:00Z",
        f"T9999998,9999999,{CANARY['endpoint']},pager,true,2026-01-02 10:00:00Z",
    )
    add(
        shop / "consents" / "consents_history.csv",
        "C99999991,9999999,email,marketing,granted,express,,,checkout,2026-01-02 10:00:00Z",
        "C99999992,9999999,meta,marketing,granted,express,true,true,checkout,2026-01-02 10:00:00Z",
        f"C99999993,{CANARY['email']},email,marketing,maybe,express,,,{CANARY['said']},2026-01-02 10:00:00Z",
    )
    line = '"{}","9999999","{}","complete","EUR","P100","{}",1,"18.90","{}","","{}"'
    days = ("2026-03-20 10:00:00Z", "2026-04-21 10:00:00Z", "2026-04-21 11:00:00Z")
    add(
        shop / "orders" / "orders_history.csv.gz",
        *(line.format(f"Z{n}", day, CANARY["said"], "18.90", day) for n, day in enumerate(days)),
        line.format("Z9", "2026-04-21 10:00:00Z", CANARY["said"], CANARY["email"], "2026-04-21 10:00:00Z"),
    )


def add(path: Path, *lines: str) -> None:
    """Lines at the end of a file, packed or not."""
    text = "".join(f"{line}\n" for line in lines).encode()
    with path.open("ab") as file:
        file.write(gzip.compress(text) if path.suffix == ".gz" else text)
