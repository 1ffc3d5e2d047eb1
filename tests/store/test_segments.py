"""Segments run as the analyst, under a deadline, and stage only what their header promises."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import CHECKOUT
from tasks.rules.errors import SqlContractError
from tasks.store import segments
from tasks.store.engine import Database
from tasks.store.queries import Queries
from tasks.store.workspace import Workspace

QUERIES = Queries.load()
AS_OF = datetime(2026, 6, 1, tzinfo=UTC)

HEADER = """/*
People for a test.

owner: tests
grain: one row per customer
params:
  as_of: timestamptz - the moment the question is asked
  country: text = null - only this country
returns:
  customer_id: text unique - who
  anchor_at: timestamptz - from when
  episode: text - which occasion
{columns}*/
"""
STATEMENT = """select
    customer_id,
    created_at as anchor_at,
    coalesce(region, 'none') as episode
from facts.customers
where created_at <= :as_of
    and (cast(:country as text) is null or country = :country)
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """Write a segment into a checkout's `sql` of this test alone."""
    shutil.copytree(CHECKOUT / "sql", tmp_path / "sql")

    def write(statement: str = STATEMENT, columns: str = "", name: str = "people") -> None:
        lines = "".join(f"  {line}\n" for line in columns.splitlines())
        (tmp_path / "sql" / "segments" / f"{name}.sql").write_text(HEADER.format(columns=lines) + statement)

    return write


@pytest.fixture
def work(make_workspace: Callable[..., Workspace], tmp_path: Path) -> Iterator[Workspace]:
    work = Workspace(make_workspace().settings, root=tmp_path)
    yield work
    work.close()


@pytest.fixture
def people(work: Workspace) -> list[tuple[str, str]]:
    """Customers with ids a COPY could misread."""
    given = [("1", "DE"), ("002", "DE"), ("tab\there", "FR"), ("back\\slash\\N", "FR"), ("line\nbreak", "FR")]
    with work.database.transaction() as connection:
        customers = sa.Table("customers", sa.MetaData(), schema="core", autoload_with=connection)
        connection.execute(
            sa.insert(customers),
            [
                {"customer_id": name, "country": country, "created_at": datetime(2026, 1, 1, 12, tzinfo=UTC)}
                for name, country in given
            ],
        )
    return given


@pytest.fixture(scope="module")
def dashboard(make_database: Callable[..., Database]) -> Iterator[sa.Engine]:
    engine = make_database().role_engine("dashboard")
    yield engine
    engine.dispose()


def staged(work: Workspace, *, read: Callable[[sa.Connection], Any] | None = None, **given: Any) -> Any:
    with work.database.transaction() as connection:
        answer = segments.stage(work, connection, "people", given.pop("params", {}), AS_OF, **given)
        return read(connection) if read else answer


def rows(connection: sa.Connection) -> Any:
    return connection.exec_driver_sql("select * from segment_rows order by customer_id").all()


def test_rows_arrive_as_they_are_with_their_evidence(work, write, people):
    statement = STATEMENT.replace(
        "as episode", "as episode, cast(1234567890123456789.10 as numeric) as spent, country, null::int as nothing"
    )
    write(statement, "spent: numeric - a\ncountry: text - b\nnothing: int nullable - c")

    found = staged(work, read=rows)

    assert sorted(row.customer_id for row in found) == sorted(name for name, _ in people)
    assert {row.anchor_at for row in found} == {datetime(2026, 1, 1, 12, tzinfo=UTC)}
    assert {row.evidence["country"] for row in found} == {"DE", "FR"}
    assert {row.evidence["nothing"] for row in found} == {None}
    with work.database.transaction() as connection:
        segments.stage(work, connection, "people", {}, AS_OF)
        exact = connection.exec_driver_sql("select distinct evidence ->> 'spent' from segment_rows").scalars().all()
    assert exact == ["1234567890123456789.10"]


def test_parameters_of_a_campaign_narrow_the_segment(work, write, people):
    write()

    assert staged(work).count == 5
    assert staged(work, params={"country": "DE"}).count == 2


def test_only_asks_about_the_named_customers(work, write, people):
    write()

    found = staged(work, only=["002", "tab\there", "nobody"], read=rows)

    assert [row.customer_id for row in found] == ["002", "tab\there"]
    assert staged(work, only=[]).count == 0


def test_only_lets_the_planner_use_the_index_behind_the_view(work, write, people):
    write("""with counted as (
    select customer_id, max(at) as anchor_at, count(*) as days
    from facts.purchase_days
    where at <= :as_of and cast(:country as text) is null
    group by customer_id
)
select customer_id, anchor_at, cast(days as text) as episode from counted
""")
    query = work.queries["segments/people"]
    asked = segments._streamed(query, {"as_of": AS_OF, "country": None}, ["1", "2"], 100)
    with segments.analyst_connection(work, 10) as (analyst, _):
        text = asked.compile(analyst, compile_kwargs={"literal_binds": True}).string
        plan = "\n".join(analyst.exec_driver_sql("explain " + text.replace("%", "%%")).scalars())

    assert re.search(r"Index Cond: .*customer_id = ANY", plan), plan


def test_staging_twice_in_a_transaction_keeps_the_last_answer_only(work, write, people):
    write()
    with work.database.transaction() as connection:
        segments.stage(work, connection, "people", {}, AS_OF)
        segments.stage(work, connection, "people", {"country": "DE"}, AS_OF)

        assert len(rows(connection)) == 2


def test_the_fingerprint_follows_file_and_parameters_and_not_the_time(work, write, people):
    write()
    first = staged(work)
    query = work.queries["segments/people"]

    assert first.sha256 == segments.fingerprint(query, {"as_of": "whenever", "country": None})
    assert first.sha256 != segments.fingerprint(query, {"country": "DE"})
    assert segments.fingerprint(query, {"country": 8}) == segments.fingerprint(query, {"country": Decimal("8.0")})
    path = query.path
    path.write_text(path.read_text().replace("People for", "Folk for"))
    assert first.sha256 != segments.fingerprint(query, {})


@pytest.mark.parametrize(
    ("change", "columns", "line", "words"),
    [
        (("created_at as anchor_at", "cast(null as timestamptz) as anchor_at"), "", 11, "no anchor_at"),
        (("    customer_id,", "    'same' as customer_id,"), "", 10, "repeat a customer_id"),
        (("    customer_id,", "    nullif(customer_id, '1') as customer_id,"), "", 10, "no customer_id"),
        (("coalesce(region, 'none')", "region"), "", 12, "no episode"),
        (("'none'", "'a|b'"), "", 12, "a | in customer_id or episode"),
        (("created_at as anchor_at", "cast(created_at as date) as anchor_at"), "", 11, "returns date"),
        (("as episode", "as episode, country"), "", 14, "the header does not promise"),
        ((", 'none'", ", 'none'"), "days_late: int - a", 13, "does not return it"),
        (("region", "regoin"), "", 17, 'column "regoin" does not exist'),
        (
            ("'none') as episode", "'none') as episode, 1 / 0 as days_late"),
            "days_late: int - a",
            15,
            "division by zero",
        ),
        (("customer_id,", "customer_id, cast(country as int) as days_late,"), "days_late: int - a", 15, "integer"),
    ],
)
def test_a_broken_promise_is_refused_with_its_line_and_nobody_is_staged(
    work, write, people, change, columns, line, words
):
    write(STATEMENT.replace(*change), columns)

    with pytest.raises(SqlContractError) as refused:
        staged(work)

    assert len(refused.value.problems) == 1
    assert f"people.sql:{line}" in str(refused.value)
    assert words in str(refused.value)
    assert "DE" not in str(refused.value), "a value of a row is personal data"
    with work.database.transaction() as connection:
        assert not sa.inspect(connection).has_table("segment_rows")


def test_too_many_rows_are_refused(work, write, people):
    write()

    with pytest.raises(SqlContractError, match="more than 4 rows"):
        staged(work, most_rows=4)
    assert staged(work, most_rows=5).count == 5


@pytest.mark.parametrize("endless", ["generate_series(1, 1000000000000)", "generate_series(1, 1e12)"])
def test_a_segment_without_end_is_stopped_at_its_deadline(work, write, people, endless):
    write(f"""select cast(max(a.n) as text) as customer_id, :as_of as anchor_at, 'x' || :country as episode
from {endless} as a (n) cross join {endless} as b (n)
""")
    began = time.monotonic()

    with pytest.raises(SqlContractError, match=r"took longer than 0\.5 s"):
        staged(work, seconds=0.5)

    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "hostile",
    [
        "select pg_sleep(60)",
        "set statement_timeout = 0; select pg_sleep(60)",
        "set statement_timeout = 0; select pg_sleep(60); select pg_sleep(60)",
        "rollback; begin read write; set statement_timeout = 0; select pg_sleep(60)",
    ],
)
def test_the_watchdog_stops_a_statement_that_reset_its_own_timeout(work, hostile):
    began = time.monotonic()

    with (
        pytest.raises(sa.exc.DBAPIError, match=r"statement timeout|user request|terminating connection"),
        segments.analyst_connection(work, 0.5) as (connection, _),
    ):
        connection.exec_driver_sql(hostile)

    assert time.monotonic() - began < 10


def test_check_asks_the_database_without_running_the_segment(work, write):
    write("""select customer_id, created_at as anchor_at, country as episode, cast(:as_of as text) as asked
from facts.customers, generate_series(1, 1000000000) where :country is not null""")

    found = segments.check(work, "people")

    assert [str(problem).rpartition(": ")[2] for problem in found] == [
        "returns asked, which the header does not promise"
    ]


def test_preview_counts_and_stores_nothing(work, write, people):
    write()

    shown = segments.preview(work, "people", {"country": "FR"}, AS_OF, limit=2)

    assert shown.count == 3
    assert [row["episode"] for row in shown.rows] == ["none", "none"]
    assert shown.first_anchor == shown.last_anchor == datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_relations_are_what_the_segment_reads(work, write):
    write("""with customers as (select * from facts.purchase_days)
select customer_id, at as anchor_at, '' as episode from customers
where at < :as_of and exists (select 1 from facts.events as e where e.name = :country)""")

    assert segments.relations(work.queries["segments/people"]) == {"facts.purchase_days", "facts.events"}


@pytest.mark.parametrize("name", sorted(name for name in QUERIES if name.startswith("dashboards/")))
def test_a_dashboard_query_returns_what_its_header_promises(dashboard, name):
    query = QUERIES[name]
    values = query.values(**segments.sample_values(query))

    with dashboard.connect() as connection:
        assert [str(problem) for problem in segments.describe(connection, query, values)] == []
