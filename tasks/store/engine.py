"""The database as the pipeline, the analysts and the dashboard reach it: three logins, one place."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import sqlalchemy as sa

from config.settings import CHECKOUT, Settings
from tasks.rules.errors import DatabaseError
from tasks.store import embedded

Role = Literal["analyst", "dashboard"]
ROLES: tuple[Role, ...] = ("analyst", "dashboard")
T = TypeVar("T")
# Serialization failure, deadlock, lock timeout: the transaction did nothing and may be repeated.
REPEATABLE = ("40001", "40P01", "55P03")
# How long a transaction may wait for us between two statements. A process that is stopped, or that hangs, loses its
# session then, and with it the locks that others wait for. Where somebody else's system is waited for, it may be long.
MOST_IDLE = timedelta(seconds=60)
MOST_IDLE_PATIENT = timedelta(hours=2)


class Database:
    """One PostgreSQL database and the logins that use it.

    `transaction()` is the pipeline's own connection. `analyst` may read the schema `facts` only, `dashboard`
    the schema `evaluation` only; both are separate logins and never a SET ROLE (reliability finding 6).
    """

    def __init__(
        self, url: str, home: Path, role_urls: dict[Role, str] | None = None, *, most_idle: timedelta = MOST_IDLE
    ) -> None:
        self.url = sa.make_url(_with_driver(url))
        self.home = home
        self.most_idle = most_idle
        self._role_urls = role_urls or {}

    @classmethod
    def open(cls, settings: Settings) -> Database:
        """The settings' database; starts the embedded server, and creates the database in it, when none is named."""
        role_urls: dict[Role, str] = {}
        for role, url in (("analyst", settings.analyst_url), ("dashboard", settings.dashboard_url)):
            if url:
                role_urls[role] = _with_driver(url.get_secret_value())
        if settings.database_url:
            return cls(settings.database_url.get_secret_value(), settings.home, role_urls)
        server = embedded.start(settings.home, settings.pg_bin)
        database = cls(server.url(settings.database_name), settings.home, role_urls)
        database.create_if_missing()
        return database

    @property
    def name(self) -> str:
        """Name of the database."""
        return str(self.url.database)

    @cached_property
    def engine(self) -> sa.Engine:
        """The pipeline's engine; bind values are hidden from errors, timeouts end half-open connections.

        PostgreSQL ends a session that holds a transaction open and does nothing in it for longer than `most_idle`.
        """
        idle = f" -c idle_in_transaction_session_timeout={int(self.most_idle.total_seconds() * 1000)}"
        return self._engine(self.url, settings=idle, pool_size=5, max_overflow=10)

    @contextlib.contextmanager
    def transaction(self, *, most_idle: timedelta | None = None) -> Iterator[sa.Connection]:
        """One transaction of the pipeline: committed at the end of the block, rolled back on an error.

        One with a `most_idle` of its own may wait so long between two statements, for somebody else's system; it
        must lock nothing that others need.
        """
        with self.engine.begin() as connection:
            if most_idle is not None:
                wait_longer(connection, most_idle)
            yield connection

    def repeated(self, do: Callable[[sa.Connection], T]) -> T:
        """What `do` answers in one transaction, repeated where PostgreSQL says it did nothing (R7).

        Never around a provider's call: `do` may run up to five times.
        """
        for _ in range(4):
            try:
                with self.transaction() as connection:
                    return do(connection)
            except sa.exc.DBAPIError as error:
                if getattr(error.orig, "pgcode", None) not in REPEATABLE:
                    raise
        with self.transaction() as connection:
            return do(connection)

    @contextlib.contextmanager
    def alone(self) -> Iterator[sa.Connection]:
        """A connection outside any transaction (each statement commits), for session locks and CREATE DATABASE."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection

    def role_engine(self, role: Role, **options: Any) -> sa.Engine:
        """A fresh engine under another login; the caller disposes of it."""
        wanted: dict[str, Any] = {"pool_size": 2, "max_overflow": 2, **options}
        return self._engine(self.role_url(role), **wanted)

    def role_url(self, role: Role) -> sa.URL:
        """Address of this database under a role's own login."""
        if given := self._role_urls.get(role):
            return sa.make_url(given)
        return self.url.set(username=self.role_name(role), password=self.role_password(role))

    def role_name(self, role: Role) -> str:
        """Roles belong to the whole server, so their names carry the database's name."""
        return f"reengage_{role}_{self.name}"[:63]

    def role_password(self, role: Role) -> str:
        """The role's password, made once and kept in <home>/roles.json (mode 0600)."""
        path = self.home / "roles.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        name = self.role_name(role)
        if name not in known:
            known[name] = secrets.token_urlsafe(24)
            self.home.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(f".{os.getpid()}")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(known, file, indent=2)
            fresh.replace(path)
        return known[name]

    def create_if_missing(self) -> None:
        """Create the database in its server when it is not there yet."""
        server = sa.create_engine(
            self.url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        with server.connect() as connection:
            names = sa.table("pg_database", sa.column("datname"))
            known = connection.execute(sa.select(names.c.datname).where(names.c.datname == self.name)).scalar()
            if not known:
                quoted = connection.dialect.identifier_preparer.quote(self.name)
                with contextlib.suppress(sa.exc.ProgrammingError):  # another process was faster
                    connection.execute(sa.text(f"create database {quoted} template template0"))

    def drop(self) -> None:
        """Drop this database with everything in it, if it is there; the next use makes an empty one."""
        self.dispose()
        server = sa.create_engine(
            self.url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        with server.connect() as connection:
            quoted = connection.dialect.identifier_preparer.quote(self.name)
            connection.execute(sa.text(f"drop database if exists {quoted} with (force)"))

    def now(self) -> datetime:
        """The database's clock, the only one decisions use."""
        with self.transaction() as connection:
            return connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()

    def dispose(self) -> None:
        """Close the pipeline's connections."""
        if "engine" in self.__dict__:
            self.engine.dispose()

    def _engine(self, url: sa.URL, *, settings: str = "", **options: Any) -> sa.Engine:
        return sa.create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 10,
                "keepalives_idle": 30,
                "tcp_user_timeout": 60_000,
                "application_name": "reengage",
                # A lost machine's session, and the advisory locks it holds, end on the server within a minute.
                "options": (
                    "-c timezone=UTC -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
                    + settings
                ),
            },
            **options,
        )


def wait_longer(connection: sa.Connection, most_idle: timedelta) -> None:
    """Let this transaction wait so long between two statements from now on."""
    limit = f"{most_idle.total_seconds():.0f}s"
    connection.execute(sa.select(sa.func.set_config("idle_in_transaction_session_timeout", limit, True)))


def _with_driver(url: str) -> str:
    """SQLAlchemy reads a bare postgresql:// as psycopg 3, which is not installed."""
    scheme, mark, rest = url.partition("://")
    if not mark or not scheme.startswith("postgres"):
        raise DatabaseError("REENGAGE_DATABASE_URL must look like postgresql://user:password@host:5432/database")
    return f"postgresql+psycopg2://{rest}"


def scrubbed(error: sa.exc.DBAPIError) -> str:
    """What the database said without DETAIL, CONTEXT and the values it quotes, which can be personal data."""
    said = (str(error.orig or error).strip().splitlines() or [type(error).__name__])[0]
    if str(getattr(error.orig, "pgcode", None) or "").startswith("22"):  # a value could not be read: it is quoted
        said = re.sub(r"""(:\s*)?"[^"]*"?""", "", said)
    return said


def place(error: BaseException) -> str:
    """File and line in this checkout where an error came up, without any value."""
    ours = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(CHECKOUT) and ".venv" not in frame.filename
    ]
    if not ours:
        return "an unknown place"
    return f"{Path(ours[-1].filename).relative_to(CHECKOUT)}:{ours[-1].lineno}"
