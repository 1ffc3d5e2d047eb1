"""Hostile statements: refused when the file is read, and, past the reader, by the analyst's login."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tasks.rules.contract import GROUNDS, read
from tasks.store.engine import Database
from tasks.store.migrate import migrate, role_statements
from tasks.store.queries import Queries

HEADER = """/*
People for a test.

owner: tests
grain: one row per customer
returns:
  customer_id: text unique - who
  anchor_at: timestamptz - from when
  episode: text - which occasion
*/
"""
NO_PRIVILEGE, READ_ONLY = "42501", "25006"
HARMLESS = "select customer_id, created_at as anchor_at, 'x' as episode from facts.customers"

# statement -> what the reader says, and whether the analyst's login refuses it when the reader is bypassed:
# True by privilege or the read-only transaction, "error" because it is not even valid there, False not at all.
HOSTILE = [
    # H1: a second statement
    ("select 1; drop table core.customers", "second statement", True),
    (f"{HARMLESS}; select 2", "second statement", False),
    (f"{HARMLESS}; set statement_timeout = 0; select pg_sleep(0)", "second statement", False),
    # H2: statements that write, and commands
    ("with gone as (delete from facts.customers returning *) select * from gone", "delete", True),
    ("with made as (insert into facts.ads (ad_id) values ('x') returning *) select * from made", "insert", True),
    ("with moved as (update facts.ads set status = 'x' returning *) select * from moved", "update", True),
    ("select customer_id into stolen from facts.customers", "select into", True),
    ("select customer_id from facts.customers for update", "for update", True),
    ("select customer_id from facts.customers for key share", "for update", True),
    ("copy (select 1) to '/tmp/stolen'", "must be one select", True),
    ("copy (select 1) to program 'id'", "must be one select", True),
    ("do $$ begin perform 1; end $$", "must be one select", True),
    ("call pg_sleep(1)", "must be one select", "error"),
    ("prepare stolen as select 1", "must be one select", False),
    ("explain analyze select 1", "must be one select", False),
    ("insert into facts.customers (customer_id) values ('x')", "must be one select", True),
    ("create temporary table stolen as select 1", "must be one select", True),
    ("create view facts.stolen as select 1", "must be one select", True),
    ("truncate core.customers", "must be one select", True),
    ("lock table core.customers", "must be one select", True),
    ("table core.customers", "must be one select", True),
    ("values (1)", "must be one select", False),
    ("set role reengage", "must be one select", True),
    # H3: out of the read-only transaction
    ("set statement_timeout = 0", "must be one select", False),
    ("rollback; begin read write; create temporary table stolen (a int)", "second statement", True),
    ("begin; set transaction read write; create temporary table stolen (a int)", "second statement", True),
    # H4: functions that do more than compute
    ("select set_config('statement_timeout', '0', false)", "set_config()", False),
    ("select pg_sleep(0)", "pg_sleep()", False),
    ('select "pg_sleep"(0)', "pg_sleep()", False),
    ("select pg_sleep /* a comment between */ (0)", "pg_sleep()", False),
    ("select pg_catalog.pg_sleep(0)", "without a schema", False),
    ("select pg_advisory_lock(42)", "pg_advisory_lock()", True),
    ("select pg_try_advisory_xact_lock(42)", "pg_try_advisory_xact_lock()", True),
    ("select lo_from_bytea(0, 'abc')", "lo_from_bytea()", True),
    ("select lo_create(0)", "lo_create()", True),
    ("select lo_import('/etc/passwd')", "lo_import()", True),
    ("select pg_notify('channel', 'text')", "pg_notify()", True),
    ("select pg_logical_emit_message(false, 'a', 'b')", "pg_logical_emit_message()", True),
    ("select query_to_xml('select 1', true, true, '')", "query_to_xml()", True),
    ("select table_to_xml('facts.customers', true, true, '')", "table_to_xml()", True),
    ("select nextval('raw.loads_load_id_seq')", "nextval()", True),
    ("select current_setting('server_version')", "current_setting()", False),
    ("select pg_read_file('/etc/passwd')", "pg_read_file()", True),
    ("select pg_ls_dir('/')", "pg_ls_dir()", True),
    ("select pg_terminate_backend(1)", "pg_terminate_backend()", False),
    ("select * from dblink('host=localhost', 'select 1') as stolen (a int)", "dblink()", "error"),
    ("with pg_sleep (x) as (select 1) select pg_sleep(0) from pg_sleep", "pg_sleep()", False),
    ("select version()", "version()", False),
    ("select current_user", "depends on who asks", False),
    ("select 1 from facts.ads, rows from (pg_sleep(0)) as waited", "pg_sleep()", False),
    ("select 1 union table core.customers", "reads core.customers", True),
    # H5: what is not in `facts`
    ("select * from core.customers", "reads core.customers", True),
    ("select * from raw.quarantine", "reads raw.quarantine", True),
    ("select * from campaign.sends", "reads campaign.sends", True),
    ("select * from outbox.messages", "reads outbox.messages", True),
    ("select * from evaluation.data_as_of", "reads evaluation.data_as_of", True),
    ("select * from information_schema.columns", "reads information_schema.columns", False),
    ("select * from pg_catalog.pg_class", "reads pg_catalog.pg_class", False),
    ("select rolpassword from pg_authid", "names are always qualified", True),
    ("select * from pg_am where exists (with pg_am as (select 1) select * from pg_am)", "facts.pg_am", False),
    ("select cast('core.customers' as regclass)", "cast to regclass", True),
    # H8: the clock and chance
    ("select now()", "now()", False),
    ("select current_date", "current_date", False),
    ("select LOCALTIME", "localtime", False),
    ("select random()", "random()", False),
    ("select clock_timestamp()", "clock_timestamp()", False),
    ("select cast('now' as timestamptz)", "the clock's time", False),
    ("select cast($$now$$ as date)", "the clock's time", False),
    ("select timestamptz 'tomorrow'", "the clock's time", False),
    ("select cast('{now}' as timestamptz[])", "the clock's time", False),
    ("select lower(cast('[now,)' as tstzrange))", "the clock's time", False),
    ("select at from jsonb_to_record('{\"at\": \"now\"}') as r (at timestamptz)", "the clock's time", False),
    ("select age(created_at) from facts.customers", "age()", False),
    ("select * from facts.customers tablesample system (1)", "tablesample", "error"),
    # H9: names that another object could shadow
    ("select * from customers", "names are always qualified", False),
    # strings that hide what they say
    ("select U&'\\0041'", "U&", False),
    ("select 'never closed", "never closed", "error"),
    ("select 1 /* never closed", "never closed", "error"),
]  # fmt: skip


@pytest.fixture(scope="module")
def analyst(make_database: Callable[..., Database]) -> Iterator[sa.Engine]:
    database = make_database()
    engine = database.role_engine("analyst")
    yield engine
    engine.dispose()
    database.dispose()


@pytest.mark.parametrize(("statement", "words"), [(text, words) for text, words, _ in HOSTILE])
def test_the_reader_refuses_with_file_and_line(statement, words):
    _, problems = read(HEADER + statement, "sql/segments/hostile.sql", GROUNDS["segments"])

    assert any(words.lower() in problem.what.lower() for problem in problems), problems
    assert all(problem.where == "sql/segments/hostile.sql:11" for problem in problems)


def test_the_reader_accepts_the_harmless_one():
    assert read(HEADER + HARMLESS, "x.sql", GROUNDS["segments"])[1] == []


@pytest.mark.parametrize(("statement", "refused"), [(text, refused) for text, _, refused in HOSTILE if refused])
def test_the_login_refuses_what_the_reader_would_have(analyst, statement, refused):
    with pytest.raises(sa.exc.DBAPIError) as error, analyst.connect() as connection:
        connection.exec_driver_sql(statement.replace("%", "%%"))

    assert refused == "error" or error.value.orig.pgcode in (NO_PRIVILEGE, READ_ONLY)


@pytest.mark.parametrize("statement", [text for text, _, refused in HOSTILE if not refused])
def test_nothing_is_listed_as_allowed_by_the_login_that_is_refused(analyst, statement):
    """So that the list says what only the reader stands against."""
    with analyst.connect() as connection:
        connection.exec_driver_sql(statement.replace("%", "%%"))


@pytest.mark.parametrize("role", ["analyst", "dashboard"])
def test_a_login_reads_its_own_schema_and_no_other(make_database, role):
    database = make_database()
    own, other = {"analyst": ("facts", "evaluation"), "dashboard": ("evaluation", "facts")}[role]
    engine = database.role_engine(role)
    with database.transaction() as connection:
        views = {schema: sa.inspect(connection).get_view_names(schema)[0] for schema in (own, other)}

    with engine.connect() as connection:
        connection.exec_driver_sql(f"select * from {own}.{views[own]}")
        shown = connection.exec_driver_sql("show temp_file_limit").scalar()
    with pytest.raises(sa.exc.DBAPIError, match="permission denied"), engine.connect() as connection:
        connection.exec_driver_sql(f"select * from {other}.{views[other]}")

    assert shown == "2GB"
    engine.dispose()


def test_a_query_that_fills_the_disk_is_ended(make_database):
    database = make_database()
    with database.alone() as connection:
        connection.exec_driver_sql(f"alter role {database.role_name('analyst')} set temp_file_limit = '1MB'")
    engine = database.role_engine("analyst")

    with pytest.raises(sa.exc.DBAPIError, match="temp_file_limit"), engine.connect() as connection:
        connection.exec_driver_sql(
            "select count(*) from (select generate_series(1, 3000000) as n order by n desc) as a"
        )
    engine.dispose()


def test_roles_may_be_made_again_and_the_pipeline_keeps_its_functions(database):
    migrate(database)

    with database.transaction() as connection:
        connection.exec_driver_sql("select pg_advisory_xact_lock(1), lo_unlink(lo_create(0))")
        printed = role_statements(database, connection, administrator=True)
    assert not [statement for statement in printed if "lo_create" in statement], "taken away once"


@pytest.mark.parametrize("name", ["../../secrets.sql", "Upper.sql", "a-b.sql", "with space.sql"])
def test_a_file_of_another_name_is_refused(tmp_path: Path, name: str):
    folder = tmp_path / "sql" / "segments"
    folder.mkdir(parents=True)
    (folder / name).write_text(HEADER + HARMLESS)

    queries = Queries.load(tmp_path)

    assert list(queries) == []
    assert len(queries.problems) == (0 if ".." in name else 1)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path):
    folder = tmp_path / "sql" / "segments"
    folder.mkdir(parents=True)
    (tmp_path / "secrets.sql").write_text(HEADER + HARMLESS)
    (folder / "secrets.sql").symlink_to(tmp_path / "secrets.sql")

    assert [problem.what for problem in Queries.load(tmp_path).problems] == [
        "is a link out of its folder; put the file itself here"
    ]
