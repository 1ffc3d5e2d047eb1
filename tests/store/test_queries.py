"""SQL files as callables, against a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
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

    assert connection.execute(asked(v=value)).one() == (value, False)
    assert connection.execute(asked(v=None)).one() == (None, True)


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
