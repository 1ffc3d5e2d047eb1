"""The first load of many purchases takes a quicker way to the same facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.store import gate, merging
from tasks.store.engine import Database
from tasks.store.queries import Queries
from tests.store.conftest import OneTransaction
from tests.store.landing import KEY, good, land, load, rows

MANY = merging.MANY_LINES
MAPPED = ["order_id", "customer_id", "purchased_at", "amount", "currency", "status", "updated_at"]
FILLED = ("purchases", "customers", "purchase_days")
# Every 5000th line cancels: the order after it, the order before it, nothing we know, or nothing it names.
LINES = """
    insert into raw.purchases_{load_id}
        (load_id, line_no, raw, order_id, customer_id, purchased_at, amount, currency, status, updated_at, cancels)
    select {load_id}, n, 'line', 'o' || n % {orders}, 'c' || n % 1000, '2026-01-0' || n % 7 + 1 || ' 00:00:00+00',
        case when n % 9001 = 0 then 'x' else (n % 7)::text end, 'EUR',
        case when n % 5000 = 0 then 'cancelled' else 'paid' end, '2026-01-08T00:00:00Z',
        case when {linked} and n % 5000 = 0 then 'o' || n + (array[1, -1, {orders}])[n / 5000 % 4] end
    from generate_series({first}, {last}) as n
"""
INDEXES = sa.text(
    "select indexdef from pg_indexes where schemaname = 'core' and tablename = any (:tables) order by indexdef"
)
FILES = sa.text("select relname, pg_relation_filenode(oid) from pg_class where oid = any (cast(:tables as regclass[]))")


def bring(
    connection: sa.Connection, queries: Queries, ranges: Sequence[tuple[int, int]], *, linked: bool, **options: Any
) -> dict[str, Any]:
    """Load lines in so many loads; gives the facts, the indexes, what was counted, and which tables were emptied."""
    files = {"tables": [f"core.{table}" for table in FILLED]}
    before = dict(connection.execute(FILES, files).tuples().all())
    counted = dict.fromkeys(("unlinked_cancellations", "bare_customers"), 0)
    for first, last in ranges:
        load_id = land(connection, "purchases", [], **options)
        given = {"load_id": load_id, "orders": MANY - 1, "first": first, "last": last, "linked": linked}
        connection.execute(sa.text(LINES.format(**given)))
        connection.execute(sa.text(f"update raw.loads set lines_in = {last - first + 1} where load_id = {load_id}"))
        gate.check(connection, queries, load_id, KEY)
        counts = gate.merge(connection, queries, load_id, KEY)
        assert counts.lines_in == last - first + 1
        for name in counted:
            counted[name] += counts.report[name]
    database = OneTransaction(connection)
    return {
        "facts": {table: rows(database, f"core.{table}", "load_id", "contact_derived_at") for table in FILLED},
        "quarantine": sorted(row["reason"] for row in rows(database, "raw.quarantine")),
        "indexes": connection.execute(INDEXES, {"tables": list(FILLED)}).scalars().all(),
        "counted": counted,
        "emptied": {name for name, file in connection.execute(FILES, files).tuples() if before[name] != file},
    }


@pytest.mark.parametrize(
    ("linked", "options"),
    [(True, {}), (True, {"mapped": [*MAPPED, "cancels"]}), (False, {}), (False, {"mapped": MAPPED})],
    ids=["linked", "linked and said so", "without links", "without links and said so"],
)
def test_a_large_first_load_gives_what_small_ones_give_and_keeps_every_index(
    shared_database: Database, queries: Queries, linked: bool, options: dict[str, Any]
) -> None:
    states = []
    for ranges in ([(1, MANY)], [(1, 10), (11, MANY)]):
        with shared_database.engine.connect() as connection:
            outer = connection.begin()
            before = connection.execute(INDEXES, {"tables": list(FILLED)}).scalars().all()
            states.append(bring(connection, queries, ranges, linked=linked, **options))
            assert states[-1]["indexes"] == before
            outer.rollback()

    quick, slow = states
    assert quick["emptied"] == set(FILLED)
    assert "purchases" not in slow["emptied"]
    assert "customers" not in slow["emptied"]
    for told in ("facts", "quarantine", "counted"):
        assert quick[told] == slow[told], told
    assert len(quick["facts"]["purchases"]) == MANY - 1 - MANY // 9001
    assert {row["is_bare"] for row in quick["facts"]["customers"]} == {True}
    assert len(quick["facts"]["customers"]) == 1000
    cancelled = sum(row["cancelled_by"] is not None for row in quick["facts"]["purchases"])
    assert bool(cancelled) == linked
    assert quick["quarantine"] == ["conflicting_version", *["not_a_number"] * (MANY // 9001)]


def test_a_large_first_load_beside_known_customers_leaves_them_as_they_are(
    undone: OneTransaction, queries: Queries
) -> None:
    load(undone, queries, "customers", [good("customers", customer_id="c1")])

    with undone.transaction() as connection:
        state = bring(connection, queries, [(1, MANY)], linked=False, mapped=MAPPED)

    assert state["emptied"] == {"purchases", "purchase_days"}
    assert [row["email"] for row in state["facts"]["customers"] if not row["is_bare"]] == ["ann@example.com"]
    assert len(state["facts"]["customers"]) == 1000


@pytest.mark.parametrize(
    ("options", "is_linked"),
    [
        ({}, True),
        ({"mapped": [*MAPPED, "cancels"]}, True),
        ({"mapped": MAPPED, "again": 1}, True),  # kept under an earlier mapping, which may have had the column
        ({"mapped": MAPPED}, False),
    ],
    ids=["mapping unknown", "mapped", "not mapped, lines kept earlier", "not mapped"],
)
def test_links_are_left_out_only_where_the_mapping_gives_none(
    undone: OneTransaction, queries: Queries, options: dict[str, Any], is_linked: bool
) -> None:
    lines = [good("purchases"), good("purchases", order_id="o2", status="cancelled", cancels="o1")]

    load(undone, queries, "purchases", lines, **options)

    found = {row["order_id"]: row["cancelled_by"] for row in rows(undone, "core.purchases")}
    assert found == {"o1": "o2" if is_linked else None, "o2": None}


@pytest.mark.parametrize("column", ["purchased_at", "updated_at"])
@pytest.mark.parametrize(
    ("spelt", "reason"),
    [
        ("2026-02-30 10:00:00+00", "invalid_date"),  # looks like an instant and is none: everything is read again
        ("2026-05-01T24:00:00Z", "invalid_date"),
        ("2026-05-01 10:00:60+00", "invalid_date"),
        ("0044-03-15 00:00:00+00", "year_out_of_range"),
        ("3000-01-01 00:00:00+00", "year_out_of_range"),
        ("2026-05-01 10:00:00 PM+00", "invalid_date"),
        ("2026-05-01  0:00:00+00", "invalid_date"),
        ("2026-05-01TT0:00:00Z", "invalid_date"),
        ("1969-12-31 10:00:00+00", "sentinel_date"),
    ],
)
def test_what_only_looks_like_an_instant_in_utc_is_refused_as_ever(
    undone: OneTransaction, queries: Queries, column: str, spelt: str, reason: str
) -> None:
    lines = [good("purchases"), good("purchases", order_id="o2", **{column: spelt})]

    counts = load(undone, queries, "purchases", lines)

    assert (counts.accepted, counts.quarantined) == (1, 1)
    assert [(row["reason"], row["column_name"]) for row in rows(undone, "raw.quarantine")] == [(reason, column)]
