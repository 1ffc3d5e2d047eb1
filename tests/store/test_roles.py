"""The analyst's and the dashboard's logins where the pipeline's own login is no superuser."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tasks.store import embedded
from tasks.store.engine import ROLES, Database
from tasks.store.migrate import migrate, role_statements

_numbers = itertools.count(1)


@pytest.fixture
def owned_by(server: embedded.Server, tmp_path: Path) -> Iterator[Callable[[str], Database]]:
    """A fresh database whose owner has these rights and no others."""
    admin = sa.create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    made: list[tuple[str, Database]] = []

    def make(rights: str) -> Database:
        name = f"owned_{next(_numbers)}"
        with admin.connect() as connection:
            connection.exec_driver_sql(f"create role owner_of_{name} login password 'secret' {rights}")
            connection.exec_driver_sql(f"create database {name} owner owner_of_{name}")
        url = sa.make_url(server.url(name)).set(username=f"owner_of_{name}", password="secret")
        made.append((name, Database(url.render_as_string(hide_password=False), tmp_path)))
        return made[-1][1]

    yield make
    for name, database in made:
        database.dispose()
        with admin.connect() as connection:
            connection.exec_driver_sql(f"drop database {name} with (force)")
            for role in ROLES:
                connection.exec_driver_sql(f"drop role if exists {database.role_name(role)}")
            connection.exec_driver_sql(f"drop role owner_of_{name}")


def administered(server: embedded.Server, database: Database) -> None:
    with database.transaction() as connection:
        printed = role_statements(database, connection, administrator=True)
    admin = sa.create_engine(server.url(database.name), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        for statement in printed:
            connection.exec_driver_sql(statement)


def may_read(database: Database) -> bool:
    engine = database.role_engine("analyst")
    with engine.connect() as connection:
        answer = connection.exec_driver_sql("select count(*) from facts.customers").scalar()
    engine.dispose()
    return answer == 0


def test_a_login_that_may_create_roles_migrates_as_often_as_it_likes(owned_by):
    database = owned_by("createrole")

    assert migrate(database).roles_made
    assert migrate(database).roles_made
    assert may_read(database)


def test_a_plain_login_leaves_the_roles_to_an_administrator_and_keeps_its_own_functions(owned_by, server):
    database = owned_by("")
    assert not migrate(database).roles_made

    administered(server, database)

    assert may_read(database)
    assert not migrate(database).roles_made
    with database.transaction() as connection:
        connection.exec_driver_sql("select pg_advisory_xact_lock(1)")
        connection.exec_driver_sql("create temporary table kept (a int)")
        connection.exec_driver_sql("do $$ begin perform 1; end $$")


def test_logins_that_somebody_else_made_stop_no_migration(owned_by, server):
    database = owned_by("createrole")
    migrate(database)
    administered(server, database)

    again = migrate(database)

    assert again.fresh == ()
    assert may_read(database)
