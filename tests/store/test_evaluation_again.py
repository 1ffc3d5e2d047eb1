"""Evaluation after the facts have changed: refunds of goals, another currency, merges; nothing old may remain."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tasks import measure
from tasks.store.workspace import Workspace
from tests.evaluation_world import START, Goal, Recomputation, World, insert, random_world, write_campaign

AS_OF = START + timedelta(days=45)
GOALS = {"alpha": Goal(), "beta": Goal("booked", (("plan", "gold"),)), "gone": Goal()}
TABLES = (
    "attributed_cells", "attributed", "attributed_cells_by_place", "attributed_by_place", "reached_people",
    "converted_people", "all_people", "incremental_cells", "incremental", "incremental_cells_by_place",
    "incremental_by_place",
    "people", "sends",
)  # fmt: skip
CURRENCIES = ("EUR", "USD", "JPY")


@pytest.fixture
def make_shop(tmp_path: Path, make_workspace: Callable[..., Workspace]) -> Callable[[], Workspace]:
    campaigns = tmp_path / "config" / "campaigns"
    write_campaign(campaigns, "alpha", "currency: EUR")
    write_campaign(campaigns, "beta", "goal: {event: booked, where: {plan: gold}}")
    return lambda: make_workspace(config=tmp_path / "config", mode="simulated")


def table(work: Workspace, name: str, schema: str = "evaluation") -> list[dict[str, Any]]:
    with work.database.transaction() as connection:
        found = connection.execute(sa.select(sa.text("*")).select_from(sa.table(name, schema=schema)))
        return sorted((dict(row) for row in found.mappings()), key=repr)


def everything(work: Workspace) -> dict[str, list[dict[str, Any]]]:
    found = {name: table(work, name) for name in TABLES}
    return {**found, "outcomes": table(work, "outcomes", "campaign")}


def change(work: Workspace, world: World, dice: random.Random) -> None:
    """Goals are refunded or cancelled, others come to life, a third currency appears, two people turn out to be one."""
    with work.database.transaction() as connection:
        for row in world.purchases:
            if dice.random() < 0.4:
                row["status"] = dice.choice(["paid", "refunded"])
                row["cancelled_by"] = dice.choice([None, None, "o-later"])
                connection.execute(
                    sa.text("update core.purchases set status = :status, cancelled_by = :cancelled_by"
                            " where order_id = :order_id"),
                    row,
                )  # fmt: skip
        known = len(world.purchases)
        for send in world.sends[::7]:
            if send["accepted_at"]:
                at = send["accepted_at"] + timedelta(hours=dice.choice([1, 30]))
                world.buy(send["customer_id"], at, Decimal(dice.randint(1, 900)), currency="JPY")
        insert(connection, "core.purchases", world.purchases[known:])
        twice = [row["customer_id"] for row in world.customers][-2:]
        if twice[0] not in {row["customer_id"] for row in world.aliases}:
            world.alias(twice[0], twice[1])
            insert(connection, "core.aliases", world.aliases[-1:])


def total(rows: list[dict[str, Any]], value: str, **where: object) -> Decimal:
    return sum((Decimal(r[value]) for r in rows if all(r[name] == one for name, one in where.items())), Decimal(0))


def check(work: Workspace, world: World, as_of: datetime) -> None:
    """Revenue and goals of every campaign, window and currency against plain loops over the rows."""
    truth = Recomputation(world, as_of, GOALS)
    attributed = table(work, "attributed")
    outcomes = {row["enrolment_id"]: row for row in table(work, "outcomes", "campaign")}
    for hours in (24, 168, 720):
        credited = truth.credited(hours)
        inside = [row for row in attributed if row["hours"] < hours]
        for campaign in GOALS:
            for currency in CURRENCIES:
                wanted = sum(
                    row["amount"]
                    for send, row, _ in credited
                    if send["campaign"] == campaign and row.get("currency") == currency
                )
                assert total(inside, "revenue", campaign=campaign, currency=currency) == wanted
            goals = {send["send_key"] for send, _, is_goal in credited if is_goal and send["campaign"] == campaign}
            assert total(inside, "conversions", campaign=campaign) == len(goals)
    assert set(outcomes) == {unit["enrolment_id"] for unit in truth.units}
    for unit in truth.units:
        bought, goal = truth.followed(unit, 720)
        row = outcomes[unit["enrolment_id"]]
        assert (row["purchases"], row["converted_at"] is not None) == (len(bought), goal)
        for currency in CURRENCIES:
            spent = sum((one["amount"] for one in bought if one["currency"] == currency), Decimal(0))
            assert Decimal(str(row["revenue"].get(currency, 0))) == pytest.approx(spent)
            before = truth.pre_revenue(unit, currency)
            assert Decimal(str(row["pre_revenue"].get(currency, 0))) == pytest.approx(before)


@pytest.mark.parametrize("seed", range(3))
def test_after_refunds_another_currency_and_a_merge_everything_is_as_if_measured_for_the_first_time(
    make_shop: Callable[[], Workspace], seed: int
) -> None:
    world, dice = random_world(seed + 50), random.Random(seed)
    shop, fresh = make_shop(), make_shop()
    with shop.database.transaction() as connection:
        world.write(connection)
    measure.campaigns(shop, AS_OF)
    check(shop, world, AS_OF)
    first = everything(shop)

    change(shop, world, dice)
    later = AS_OF + timedelta(days=3)
    measure.campaigns(shop, later)
    check(shop, world, later)
    second = everything(shop)
    measure.campaigns(shop, later)

    assert everything(shop) == second != first
    with fresh.database.transaction() as connection:
        world.write(connection)
    measure.campaigns(fresh, later)
    assert everything(fresh) == second


def test_a_goal_that_is_refunded_is_no_conversion_any_more_in_any_campaign_it_counted_for(
    make_shop: Callable[[], Workspace],
) -> None:
    shop, world = make_shop(), World()
    world.customer("c1")
    for campaign in ("alpha", "gone"):
        world.send(world.enrol(campaign, "c1", START), START + timedelta(hours=2 if campaign == "alpha" else 3))
    world.buy("c1", START + timedelta(hours=4), "20.00")
    world.buy("c1", START + timedelta(hours=5), "7.00", currency="USD")
    with shop.database.transaction() as connection:
        world.write(connection)
    measure.campaigns(shop, AS_OF)
    before = [(row["campaign"], row["converted_at"], row["revenue"]) for row in table(shop, "outcomes", "campaign")]

    with shop.database.transaction() as connection:
        connection.execute(sa.text("update core.purchases set status = 'refunded'"))
    measure.campaigns(shop, AS_OF)

    both = {"EUR": 20, "USD": 7}
    assert before == [(name, START + timedelta(hours=4), both) for name in ("alpha", "gone")]
    after = [(row["converted_at"], row["purchases"], row["revenue"]) for row in table(shop, "outcomes", "campaign")]
    assert after == [(None, 0, {})] * 2
    for name in ("attributed", "incremental", "converted_people"):
        assert table(shop, name) == []
