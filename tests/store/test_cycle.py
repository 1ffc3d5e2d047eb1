"""Purchase days follow the purchases; what was written, what was left alone, and who is told."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from tasks.store import changes, cycle
from tasks.store.queries import Queries

purchases = sa.table(
    "purchases",
    *map(sa.column, ("order_id", "customer_id", "purchased_at", "amount", "currency", "status", "updated_at")),
    sa.column("load_id"),
    schema="core",
)
touched = sa.table("touched_customers", sa.column("customer_id"))
touched_since = sa.table("touched_customers", sa.column("customer_id"), sa.column("since"))
days = sa.table(
    "purchase_days",
    *map(sa.column, ("customer_id", "day", "number", "next_day", "expected_on", "xmin")),
    schema="core",
)
DAYS = {"cycle"}
NEW_YEAR = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def queries():
    return Queries.load()


def buy(connection, queries, customer, *after_days, order=""):
    """Purchases of one customer, so many days after new year, and the refresh that follows them."""
    rows = [
        {
            "order_id": f"{customer}{order}{day}", "customer_id": customer, "amount": 1, "currency": "EUR",
            "purchased_at": NEW_YEAR + timedelta(days=day), "status": "paid", "updated_at": NEW_YEAR, "load_id": 1,
        }
        for day in after_days
    ]  # fmt: skip
    connection.execute(sa.insert(purchases), rows)
    return refresh(connection, queries, customer)


def refresh(connection, queries, *customers):
    connection.exec_driver_sql("create temporary table touched_customers (customer_id text primary key) on commit drop")
    connection.execute(sa.insert(touched), [{"customer_id": customer} for customer in customers])
    return cycle.refresh(connection, queries)


def kept(database, customer):
    with database.transaction() as connection:
        rows = connection.execute(sa.select(days).where(days.c.customer_id == customer).order_by(days.c.day))
        return rows.mappings().all()


def test_only_days_that_differ_are_written_again(database, queries):
    with database.transaction() as connection:
        buy(connection, queries, "a", 0, 10, 20)
    before = kept(database, "a")

    with database.transaction() as connection:
        changed = buy(connection, queries, "a", 30)

    after = kept(database, "a")
    assert changed == 1
    assert [row["xmin"] for row in after[:2]] == [row["xmin"] for row in before[:2]]
    assert after[2]["xmin"] != before[2]["xmin"]
    assert [row["number"] for row in after] == [1, 2, 3, 4]


def test_a_change_reaches_every_day_after_it_and_the_last_one_before(database, queries):
    with database.transaction() as connection:
        buy(connection, queries, "a", 0, 10, 20, 30)
    before = kept(database, "a")

    with database.transaction() as connection:
        connection.exec_driver_sql(
            "create temporary table touched_customers (customer_id text primary key, since timestamptz not null) "
            "on commit drop"
        )
        moved = NEW_YEAR + timedelta(days=25)
        connection.execute(sa.update(purchases).where(purchases.c.order_id == "a20").values(purchased_at=moved))
        changed_from = NEW_YEAR + timedelta(days=20)
        connection.execute(sa.insert(touched_since), [{"customer_id": "a", "since": changed_from}])
        cycle.refresh(connection, queries)

    after = kept(database, "a")
    assert [(row["day"], row["number"], row["next_day"]) for row in after] == [
        (date(2026, 1, 1), 1, date(2026, 1, 11)),
        (date(2026, 1, 11), 2, date(2026, 1, 26)),
        (date(2026, 1, 26), 3, date(2026, 1, 31)),
        (date(2026, 1, 31), 4, None),
    ]
    assert after[0]["xmin"] == before[0]["xmin"]
    assert after[3]["xmin"] == before[3]["xmin"]


def test_a_refresh_of_people_whose_purchases_did_not_change_writes_nothing(database, queries):
    with database.transaction() as connection:
        buy(connection, queries, "a", 0, 10, 20)
    before = kept(database, "a")

    with database.transaction() as connection:
        changed = refresh(connection, queries, "a")

    assert changed == 0
    assert kept(database, "a") == before


def test_a_purchase_day_goes_with_its_last_counted_purchase(database, queries):
    with database.transaction() as connection:
        buy(connection, queries, "a", 0, 10, 20)
    with database.transaction() as connection:
        connection.execute(sa.update(purchases).where(purchases.c.order_id == "a10").values(status="refunded"))
        changed = refresh(connection, queries, "a")

    assert changed == 1
    assert [(row["number"], str(row["day"])) for row in kept(database, "a")] == [(1, "2026-01-01"), (2, "2026-01-21")]


def test_nobody_is_expected_after_one_day_and_a_third_of_a_day_is_kept_exactly(database, queries):
    with database.transaction() as connection:
        buy(connection, queries, "a", 0, 10, 20, 31)

    expected = [row["expected_on"] for row in kept(database, "a")]

    assert expected[0] is None
    assert expected[1] == datetime(2026, 1, 21)  # noqa: DTZ001 - a day with its fraction has no zone
    # 31 days in 3 gaps: 10 days and 8 hours after 1 February
    assert expected[3] == datetime(2026, 2, 11, 8)  # noqa: DTZ001


def test_an_average_without_end_is_rounded_up_to_the_next_microsecond(database, queries):
    with database.transaction() as connection:
        buy(connection, queries, "a", 0, 1, 2, 3, 4, 5, 6, 10)

    # 10 days in 7 gaps: 1 day and 3/7, 37,028.571428571... seconds
    assert kept(database, "a")[-1]["expected_on"] == datetime(2026, 1, 12, 10, 17, 8, 571429)  # noqa: DTZ001


def test_whose_days_changed_is_known_and_nobody_else(database, queries):
    with database.transaction() as connection:
        buy(connection, queries, "first", 0)
    with database.transaction() as connection:
        buy(connection, queries, "a", 0)
    with database.transaction() as connection:
        since = changes.horizon(connection, queries)
        buy(connection, queries, "b", 0, 10)

    with database.transaction() as connection:
        assert changes.changed_since(connection, queries, DAYS, since) == ["b"]


def test_a_first_load_changes_everybody(database, queries):
    with database.transaction() as connection:
        since = changes.horizon(connection, queries)
    with database.transaction() as connection:
        buy(connection, queries, "a", 0)

    with database.transaction() as connection:
        assert changes.changed_since(connection, queries, DAYS, since) is None


def test_more_changes_than_a_run_wants_to_look_at_mean_everybody(database, queries):
    with database.transaction() as connection:
        buy(connection, queries, "first", 0)
    with database.transaction() as connection:
        since = changes.horizon(connection, queries)
        buy(connection, queries, "a", 0)
    with database.transaction() as connection:
        buy(connection, queries, "b", 0)

    with database.transaction() as connection:
        assert changes.changed_since(connection, queries, DAYS, since, at_most=2) == ["a", "b"]
        assert changes.changed_since(connection, queries, DAYS, since, at_most=1) is None


def test_a_load_that_was_under_way_when_a_run_began_is_not_missed_by_the_next(database, queries):
    with database.transaction() as connection:
        buy(connection, queries, "first", 0)
    with database.engine.connect() as loading, loading.begin():
        buy(loading, queries, "slow", 0, 10)
        with database.transaction() as run:
            since = changes.horizon(run, queries)
            assert changes.changed_since(run, queries, DAYS, since) == []

    with database.transaction() as run:
        assert changes.changed_since(run, queries, DAYS, since) == ["slow"]


def test_two_loads_that_meet_in_one_customer_see_each_other(database, queries):
    with database.transaction() as connection:
        buy(connection, queries, "a", 0)
    second_began = threading.Event()

    def load_second():
        with database.transaction() as connection:
            connection.execute(sa.select(1))
            second_began.set()
            buy(connection, queries, "a", 20, order="second")

    with database.engine.connect() as first:
        with first.begin():
            buy(first, queries, "a", 10, order="first")
            thread = threading.Thread(target=load_second)
            thread.start()
            assert second_began.wait(10)
            thread.join(0.3)
            assert thread.is_alive(), "the second load did not wait for the first"
        thread.join(10)

    assert [row["number"] for row in kept(database, "a")] == [1, 2, 3]


def test_the_newly_late_are_found_through_the_two_small_indexes(database, queries):
    segment = queries["segments/lapsing_customers"]
    with database.transaction() as connection:
        buy(connection, queries, "a", 0, 10, 20)
        connection.exec_driver_sql("set local enable_seqscan = off")
        asked = segment.values(as_of=NEW_YEAR, time_zone="UTC", became_late_after=NEW_YEAR - timedelta(days=1))
        explain = sa.text(f"explain {segment.sql}").bindparams(**asked)
        plan = "\n".join(connection.execute(explain).scalars())

    assert "purchase_days_open" in plan
    assert "purchase_days_overdue" in plan
