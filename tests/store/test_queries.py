"""SQL files as callables, against a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.rules.errors import SqlContractError
from tasks.store.engine import Database
from tasks.store.queries import Queries, Query, load_query

QUERIES = Queries.load()


@pytest.fixture(scope="module")
def connection(make_database: Callable[..., Database]) -> Iterator[sa.Connection]:
    with make_database().transaction() as connection:
        yield connection


def query(folder: Path, text: str, name: str = "core/x") -> Query:
    path = folder / "x.sql"
    path.write_text(text)
    found, problems = load_query(path, name)
    assert problems == []
    assert found is not None
    return found


def test_every_file_of_the_checkout_keeps_its_contract():
    assert [str(problem) for problem in QUERIES.problems] == []
    assert "segments/lapsing_customers" in QUERIES


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", "it's :here, 100 % \\ of it"),
        ("int", 5),
        ("bigint", 2**40),
        ("numeric", Decimal("1.50")),
        ("double precision", 1.5),
        ("boolean", True),
        ("date", date(2026, 1, 31)),
        ("timestamptz", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("time", time(21)),
        ("interval", timedelta(hours=3)),
        ("jsonb", {"a": [1, None, "'"]}),
        ("uuid", UUID(int=7)),
        ("text[]", ["a", "b,'", "{}", 'q"']),
        ("text[]", []),
        ("int[]", [1, 2]),
        ("timestamptz[]", [datetime(2026, 1, 31, tzinfo=UTC)]),
    ],
)
def test_a_value_arrives_as_its_declared_type(connection, tmp_path, kind, value):
    asked = query(tmp_path, f"/*\nX.\nparams:\n  v: {kind} - v\n*/\nselect cast(:v as {kind}) as v, :v is null as gone")

    for statement in (asked, partial(asked.prepared, connection)):
        assert connection.execute(statement(v=value)).one() == (value, False)
        assert connection.execute(statement(v=None)).one() == (None, True)


def test_colons_and_percent_signs_outside_parameters_survive(connection, tmp_path):
    asked = query(
        tmp_path,
        """/* Odd: :v */
select ':v' as a, '10:20' as b, E'\\\\:v' as c, $$:v 100%$$ as d, 'x'::text as e, (array[1, 2, 3])[1:2] as f -- :v
""",
    )

    assert connection.execute(asked()).one() == (":v", "10:20", "\\:v", ":v 100%", "x", [1, 2])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.text(alphabet="ab_:\\%'\" $1;-/*\n", max_size=30))
def test_any_string_literal_reaches_the_database_as_written(connection, tmp_path, text):
    quoted = "'" + text.replace("'", "''") + "'"

    asked = query(tmp_path, f"/* X. */\nselect {quoted}, $q${text.replace('$', '')}$q$ /* {text.replace('/', '')} */")

    assert connection.execute(asked()).one() == (text, text.replace("$", ""))


def test_all_that_is_wrong_with_a_call_is_said_at_once(tmp_path):
    header = "/*\nX.\nparams:\n  a: int - the first\n  b: int - the second\n  c: int = 3 - the third\n*/\n"
    asked = query(tmp_path, f"{header}select :a, :b, :c")

    with pytest.raises(SqlContractError) as refused:
        asked(b="two", d=4)

    assert [problem.what for problem in refused.value.problems] == [
        "has no parameter `d`",
        "needs the parameter `a`: the first",
        "the parameter `b` must be a whole number",
    ]
    assert asked.values(a=1, b=2) == {"a": 1, "b": 2, "c": 3}


def test_an_analyst_file_takes_null_only_where_its_header_says_so(tmp_path):
    header = """/*
X.
owner: a
grain: b
params:
  days: int - required
  country: text = null - may be null
returns:
  n: int - n
*/
"""
    asked = query(tmp_path, f"{header}select 1 as n where :country is null and :days > 1", "dashboards/x")

    assert asked.values(days=2)["country"] is None
    with pytest.raises(SqlContractError, match="`days` must have a value"):
        asked(days=None)


def test_a_file_at_fault_stops_who_asks_for_it_and_nobody_else(tmp_path):
    folder = tmp_path / "sql" / "ledger"
    folder.mkdir(parents=True)
    (folder / "good.sql").write_text("/* Fine. */ select 1")
    (folder / "bad.sql").write_text("/* Not fine. */ select now(), :x")

    queries = Queries.load(tmp_path)

    assert list(queries) == ["ledger/good"]
    assert len(queries.problems) == 2
    with pytest.raises(SqlContractError, match="now\\(\\)"):
        queries["ledger/bad"]
    with pytest.raises(SqlContractError, match="there are: ledger/good"):
        queries["ledger/other"]
    with pytest.raises(SqlContractError):
        queries.verify()


def plans(connection: sa.Connection) -> list[str]:
    return list(connection.execute(sa.text("select name from pg_prepared_statements order by name")).scalars())


def test_a_prepared_statement_answers_the_same_and_is_planned_once_a_session(database, tmp_path):
    asked = query(
        tmp_path,
        "/*\nX.\nparams:\n  words: text - w\n  numbers: int[] - n\n  at: timestamptz - a\n*/\n"
        "select :words || ':50% $1' as told, cardinality(:numbers) as size, :at + interval '1 h' as later",
    )
    given = {"words": "it's :words", "numbers": [1, 2, 3], "at": datetime(2026, 10, 25, 1, tzinfo=UTC)}
    with database.engine.connect() as one, database.engine.connect() as other:
        expected = one.execute(asked(**given)).one()
        assert one.execute(asked.prepared(one, **given)).one() == expected
        one.rollback()  # takes back what was done, and no plan
        assert one.execute(asked.prepared(one, **given | {"words": "x"})).one().told == "x:50% $1"
        assert len(plans(one)) == 1
        assert plans(other) == []


def test_another_text_of_the_same_name_is_another_plan(connection, tmp_path):
    for number in (1, 2):
        asked = query(tmp_path, f"/* X. */\nselect {number} as number")
        assert connection.execute(asked.prepared(connection)).scalar_one() == number


def test_a_session_that_was_ended_takes_its_plans_with_it(database, tmp_path):
    asked = query(tmp_path, "/*\nX.\nparams:\n  number: int - n\n*/\nselect :number as number")
    with database.engine.connect() as connection:
        connection.execute(asked.prepared(connection, number=1))
        mine = connection.execute(sa.text("select pg_backend_pid()")).scalar_one()
        connection.rollback()
        with database.engine.connect() as other:
            other.execute(sa.text("select pg_terminate_backend(:pid)"), {"pid": mine})
        with pytest.raises(sa.exc.OperationalError):
            connection.execute(asked.prepared(connection, number=2))
    with database.engine.connect() as connection:
        assert connection.execute(asked.prepared(connection, number=3)).scalar_one() == 3


def test_a_plan_outlives_a_change_of_the_table_it_reads(database, tmp_path):
    with database.transaction() as connection:
        connection.execute(sa.text("create table core.changing (number int); insert into core.changing values (1)"))
    asked = query(tmp_path, "/* X. */\nselect number from core.changing")
    with database.engine.connect() as connection:
        assert connection.execute(asked.prepared(connection)).scalar_one() == 1
        connection.commit()
        with database.transaction() as other:
            other.execute(sa.text("alter table core.changing add column more int"))
        assert connection.execute(asked.prepared(connection)).scalar_one() == 1
