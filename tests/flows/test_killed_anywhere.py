"""SIGKILL at any moment of loading, choosing, planning and sending: two restarts give what one quiet run gives.

Commands run as a person runs them, in processes of their own, and are killed at random wall times (K1 to K11).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import CHECKOUT
from tasks.store.engine import Database

PEOPLE = 400
LATE_ON = date(2026, 6, 1)
AS_OF = "2026-06-01T12:00:00+00:00"
COMMANDS = (
    ("ingest", "--as-of", AS_OF),
    ("run", "lapsing_customers", "--as-of", AS_OF),
    ("evaluate", "--as-of", AS_OF),
)


@dataclass(frozen=True)
class World:
    """A shop's files and configuration, and databases to play them in."""

    config: Path
    make_database: Callable[..., Database]

    def start(self, database: Database, *words: str) -> subprocess.Popen[bytes]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("REENGAGE_", "PREFECT_"))}
        given = {
            "REENGAGE_CONFIG": str(self.config),
            "REENGAGE_HOME": str(database.home),
            "REENGAGE_DATABASE_URL": database.url.render_as_string(hide_password=False),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "flows", *words],
            cwd=CHECKOUT, env=kept | given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, database: Database, *words: str) -> float:
        """Run a command to its end; answers how long it took."""
        begun = time.monotonic()
        process = self.start(database, *words)
        said = process.communicate(timeout=300)[0].decode()
        assert process.returncode == 0, said
        return time.monotonic() - begun

    def kill(self, database: Database, after: float, *words: str) -> None:
        """Run a command and kill it after some seconds, unless it was faster."""
        process = self.start(database, *words)
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate()


def open_shop(folder: Path, people: int) -> None:
    """Configuration and files of a shop where everybody is late on the same day, and some may be shown ads."""
    shutil.copytree(CHECKOUT / "config" / "campaigns", folder / "campaigns")
    shutil.copytree(CHECKOUT / "config" / "suites", folder / "suites")
    (folder / "reengage.yaml").write_text("mode: simulated\ntime_zone: UTC\n")
    places = {"customers": "customer_id", "purchases": "order_id", "consents": "consent_id"}
    (folder / "sources.yaml").write_text(json.dumps({"sources": {n: source(folder, n) for n in places}}))
    dice = random.Random(7)
    names = [f"{number:04}" for number in range(people)]
    write(folder / "customers.csv", "customer_id,email,phone,country,time_zone,updated_at",
          (f"{p},p{p}@example.com,+4930123{p},DE,Europe/Berlin,2025-01-01T00:00:00Z" for p in names))  # fmt: skip
    granted = "marketing,granted,express,form,2025-01-01T00:00:00Z"
    consents = [f"c{p},{p},{dice.choice(('email', 'email', 'sms'))},{granted}" for p in names if dice.random() < 0.9]
    consents += [f"m{p},{p},meta,{granted}" for p in names[::3]]
    write(
        folder / "consents.csv",
        "consent_id,customer_id,channel,purpose,status,basis,source,occurred_at",
        iter(consents),
    )
    write(
        folder / "purchases.csv", "order_id,customer_id,purchased_at,amount,currency,status,updated_at", orders(names)
    )


@pytest.fixture(scope="module")
def world(make_database: Callable[..., Database], tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("killed")
    open_shop(folder, PEOPLE)
    return World(folder, make_database)


def source(folder: Path, name: str) -> dict[str, Any]:
    header = {
        "customers": "customer_id email phone country time_zone updated_at",
        "consents": "consent_id customer_id channel purpose status basis source occurred_at",
        "purchases": "order_id customer_id purchased_at amount currency status updated_at",
    }[name]
    return {"entity": name, "kind": "file", "place": str(folder / f"{name}.csv"),
            "columns": {column: column for column in header.split()}}  # fmt: skip


def orders(people: list[str]) -> Iterator[str]:
    """Two purchases each, thirty days apart, so that everybody is late on one day by thirty and eight days."""
    last = LATE_ON - timedelta(days=38)
    for person in people:
        for number, day in enumerate((last - timedelta(days=30), last)):
            yield f"o{person}{number},{person},{day}T10:00:00Z,10.00,EUR,paid,{day}T10:00:00Z"


def write(path: Path, header: str, lines: Iterator[str]) -> None:
    path.write_text("\n".join([header, *lines]) + "\n")


def table(name: str, *columns: str) -> sa.Select[Any]:
    schema, _, plain = name.partition(".")
    found = sa.table(plain, *map(sa.column, columns), schema=schema)
    return sa.select(found).order_by(*found.c)


def facts(database: Database) -> list[list[tuple[Any, ...]]]:
    with database.transaction() as connection:
        return [
            [tuple(row) for row in connection.execute(query)]
            for query in (
                table("core.customers", "customer_id", "email_canonical", "phone_e164"),
                table("core.purchases", "order_id", "customer_id", "purchased_at", "amount", "status"),
                table("core.purchase_days", "customer_id", "day", "number", "first_day"),
                table("core.consents", "consent_id", "customer_id", "channel", "status"),
                table("raw.loads", "source", "state", "lines_in", "accepted"),
            )
        ]


def enrolled(database: Database) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        query = table("campaign.enrolments", "campaign", "customer_id", "episode", "arm", "variant")
        return [tuple(row) for row in connection.execute(query)]


def decided(database: Database) -> dict[str, tuple[Any, ...]]:
    decisions = sa.table(
        "decisions", *map(sa.column, ("customer_id", "state", "reason", "superseded_at")), schema="campaign"
    )
    with database.transaction() as connection:
        rows = connection.execute(
            sa.select(decisions.c.customer_id, decisions.c.state, decisions.c.reason).where(
                decisions.c.superseded_at.is_(None)
            )
        ).all()
    found = {row.customer_id: (row.state, row.reason) for row in rows}
    assert len(found) == len(rows), "one decision in force per person"
    return found


def delivered(database: Database) -> dict[str, int]:
    messages = sa.table("messages", sa.column("send_key"), schema="outbox")
    with database.transaction() as connection:
        counted = sa.select(messages.c.send_key, sa.func.count().label("count")).group_by(messages.c.send_key)
        return {row[0]: row[1] for row in connection.execute(counted)}


@pytest.fixture(scope="module")
def quiet(world: World) -> tuple[Database, list[float]]:
    """What nobody disturbed, and how long each command took."""
    database = world.make_database()
    seconds = [world.run(database, *words) for words in COMMANDS]
    assert len(enrolled(database)) == PEOPLE
    assert len(delivered(database)) > PEOPLE / 2
    return database, seconds


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_and_started_twice_again_the_work_is_done_once(world: World, quiet, seed: int):
    undisturbed, seconds = quiet
    dice = random.Random(seed)
    database = world.make_database()

    for words, usual in zip(COMMANDS, seconds, strict=True):
        world.kill(database, usual * dice.uniform(0.35, 1.0), *words)
        for _ in range(1 if words[0] == "evaluate" else 2):
            world.run(database, *words)

    assert facts(database) == facts(undisturbed)
    assert enrolled(database) == enrolled(undisturbed)
    assert set(delivered(database).values()) == {1}, "nothing was accepted twice"
    expected, found = decided(undisturbed), decided(database)
    in_doubt = {person for person, (state, _) in found.items() if state in ("unknown", "in_flight")}
    assert len(in_doubt) <= 100, "a worker has at most one batch in doubt"
    assert {p: d for p, d in found.items() if p not in in_doubt} == {
        p: d for p, d in expected.items() if p not in in_doubt
    }
