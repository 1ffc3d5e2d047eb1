"""How customers buy, month by month, against plain loops over the purchases: at any moment, after any change."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from tasks import erase, measure
from tasks.store import buying
from tasks.store.workspace import Workspace
from tests.buying_world import FIRST, Buying, bought, histories, purchase, refresh, write
from tests.evaluation_world import insert

ZONE = "Europe/Berlin"
END = FIRST + timedelta(days=430)
TABLES = ("buying_months", "buying_gaps", "bought_again")


@pytest.fixture
def shop(tmp_path, make_workspace: Callable[..., Workspace]) -> Workspace:
    (tmp_path / "config" / "campaigns").mkdir(parents=True)
    return make_workspace(config=tmp_path / "config", time_zone=ZONE, mode="simulated")


def rows(work: Workspace, name: str) -> list[dict[str, Any]]:
    with work.database.transaction() as connection:
        found = connection.execute(sa.select(sa.text("*")).select_from(sa.table(name, schema="evaluation")))
        return sorted((dict(row) for row in found.mappings()), key=repr)


def measured(work: Workspace, as_of: datetime) -> list[Buying]:
    measure.campaigns(work, as_of)
    gaps, again = rows(work, "buying_gaps"), rows(work, "bought_again")
    return [
        Buying(
            **row,
            gaps=Counter({one["days"]: one["purchase_days"] for one in gaps if one["month"] == row["month"]}),
            again=Counter({one["days"]: one["people"] for one in again if one["month"] == row["month"]}),
        )
        for row in sorted(rows(work, "buying_months"), key=lambda row: row["month"])
    ]


def change(work: Workspace, known: list[dict[str, Any]], dice: random.Random) -> None:
    """A load: purchases are undone or come back, others change hands, late and new ones arrive."""
    touched: set[str] = set()
    with work.database.transaction() as connection:
        for row in dice.sample(known, len(known) // 4):
            touched.add(row["customer_id"])
            row["status"] = dice.choice(["paid", "refunded"])
            if dice.random() < 0.2:
                row["customer_id"] = f"c{dice.randint(0, 44):03}"
            if dice.random() < 0.3:
                row["purchased_at"] += timedelta(days=dice.randint(-9, 9))
            touched.add(row["customer_id"])
            connection.execute(
                sa.text(
                    "update core.purchases set status = :status, customer_id = :customer_id,"
                    " purchased_at = :purchased_at where order_id = :order_id"
                ),
                row,
            )
        fresh = [
            purchase(
                len(known) + n, f"c{dice.randint(0, 44):03}", FIRST + timedelta(hours=dice.randint(0, 430 * 24)), dice
            )
            for n in range(40)
        ]
        insert(connection, "core.purchases", fresh)
        known += fresh
        refresh(connection, work.queries, touched | {row["customer_id"] for row in fresh})


@pytest.mark.parametrize("seed", range(4))
def test_every_figure_is_what_plain_loops_count_at_any_moment(shop: Workspace, seed: int) -> None:
    known, dice = histories(seed), random.Random(seed)
    with shop.database.transaction() as connection:
        write(connection, shop.queries, known)

    moments = [dice.choice(known)["purchased_at"] for _ in range(6)]
    midnight = datetime(2025, 10, 25, 22, tzinfo=UTC)  # in Berlin, on the day on which clocks go back
    for as_of in (
        END,
        *moments,
        midnight,
        midnight - timedelta(microseconds=1),
        moments[0] - timedelta(microseconds=1),
    ):
        assert measured(shop, as_of) == bought(known, as_of, ZONE)


@pytest.mark.parametrize("seed", range(4))
def test_what_loads_change_is_added_and_taken_away_and_all_adds_up_to_the_same(shop: Workspace, seed: int) -> None:
    known, dice = histories(seed + 10), random.Random(seed)
    with shop.database.transaction() as connection:
        write(connection, shop.queries, known)
    assert measured(shop, END) == bought(known, END, ZONE)

    for _ in range(3):
        change(shop, known, dice)
        as_of = FIRST + timedelta(hours=dice.randint(100 * 24, 430 * 24))
        with shop.database.transaction() as connection:
            assert not buying.fill(shop, connection)
        assert measured(shop, as_of) == bought(known, as_of, ZONE)
    assert measured(shop, END) == bought(known, END, ZONE)

    kept = {name: rows(shop, name) for name in TABLES}
    with shop.database.transaction() as connection:
        connection.execute(sa.text("delete from core.buying_filled"))
    measure.campaigns(shop, END)
    assert {name: rows(shop, name) for name in TABLES} == kept


def test_everybody_is_added_up_again_after_a_first_load_and_when_the_margin_is_another(shop: Workspace) -> None:
    measure.campaigns(shop, END)
    assert rows(shop, "buying_months") == []

    known = histories(3)
    with shop.database.transaction() as connection:
        write(connection, shop.queries, known)  # into an empty table, so all at once
    assert measured(shop, END) == bought(known, END, ZONE)

    with shop.database.transaction() as connection:
        connection.execute(sa.text("update core.buying_filled set margin_days = 30"))
        assert buying.fill(shop, connection)
        kept = connection.execute(sa.text("select margin_days from core.buying_filled")).scalar_one()
    assert kept == Decimal(8)
    assert measured(shop, END) == bought(known, END, ZONE)


def test_who_is_late_is_who_the_segment_finds(shop: Workspace) -> None:
    known = histories(5)
    with shop.database.transaction() as connection:
        write(connection, shop.queries, known)

    for as_of in (END, FIRST + timedelta(days=200, hours=13)):
        months = measured(shop, as_of)
        with shop.database.transaction() as connection:
            found = shop.queries["segments/lapsing_customers"](as_of=as_of, time_zone=ZONE)
            late = connection.execute(found).all()

        assert months[-1].late == len(late) > 0


def test_what_an_erased_person_bought_stays_and_nobody_waits_for_them_any_more(shop: Workspace) -> None:
    known = [row for row in histories(6) if row["purchased_at"] <= END]
    with shop.database.transaction() as connection:
        write(connection, shop.queries, known)
        insert(
            connection, "core.customers", [{"customer_id": row} for row in sorted({r["customer_id"] for r in known})]
        )
    before = measured(shop, END)
    gone = [row["customer_id"] for row in known[:: len(known) // 6]]

    for customer in sorted(set(gone)):
        assert erase.person(shop, customer, END).is_complete

    after, later = measured(shop, END), END + timedelta(days=200)
    assert after[:-1] == before[:-1]
    assert (after[-1].buyers, after[-1].gaps) == (before[-1].buyers, before[-1].gaps)
    left = [row for row in known if row["customer_id"] not in gone]
    for shown, as_of in ((after, END), (measured(shop, later), later)):
        kept = bought(left, as_of, ZONE)[-1]
        assert (shown[-1].with_rhythm, shown[-1].late) == (kept.with_rhythm, kept.late)


def test_a_refund_takes_a_purchase_out_of_every_figure(shop: Workspace) -> None:
    dice = random.Random(1)
    known = [
        purchase(n, "c1", datetime(2026, month, 5, 12, tzinfo=UTC), dice) | {"status": "paid", "cancelled_by": None}
        for n, month in enumerate((1, 2, 3))
    ]
    with shop.database.transaction() as connection:
        write(connection, shop.queries, known)
    end = datetime(2026, 3, 31, 12, tzinfo=UTC)
    assert [(month.buyers, month.first_buyers, sum(month.again.values())) for month in measured(shop, end)] == [
        (1, 1, 1), (1, 0, 1), (1, 0, 0),
    ]  # fmt: skip

    with shop.database.transaction() as connection:
        connection.execute(sa.text("update core.purchases set status = 'refunded' where order_id = 'o000001'"))
        refresh(connection, shop.queries, ["c1"])

    january, february, march = measured(shop, end)
    assert (january.again, february.buyers, march.gaps) == (Counter({59: 1}), 0, Counter({59: 1}))
