"""Evaluation figures against plain loops over the same rows, and the promises of the rebuild."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tasks import measure
from tasks.rules.errors import Superseded
from tasks.store import evaluation
from tasks.store.workspace import Workspace
from tests.evaluation_world import START, Goal, Recomputation, World, random_world, write_campaign

WINDOWS = (1, 24, 100, 168, 720)
AS_OF = START + timedelta(days=45)
GOALS = {"alpha": Goal(), "beta": Goal("booked", (("plan", "gold"),)), "gone": Goal()}
TABLES = (
    "data_as_of", "attributed_cells", "attributed", "attributed_cells_by_place", "attributed_by_place",
    "reached_people", "converted_people", "all_people", "incremental_cells", "incremental",
    "incremental_cells_by_place", "incremental_by_place", "past_arms", "people", "sends", "leads", "retargeted_leads",
    "retargets_by_hour", "send_costs", "qualified_leads", "buying_months", "buying_gaps", "bought_again", "places",
)  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path, make_workspace: Callable[..., Workspace]) -> Workspace:
    """A simulated database; alpha wants purchases in EUR, beta an event, `gone` has no folder any more."""
    campaigns = tmp_path / "config" / "campaigns"
    write_campaign(campaigns, "alpha", "currency: EUR")
    write_campaign(campaigns, "beta", "goal: {event: booked, where: {plan: gold}}")
    return make_workspace(config=tmp_path / "config", mode="simulated")


def _measured(work: Workspace, world: World, as_of: datetime = AS_OF) -> None:
    with work.database.transaction() as connection:
        world.write(connection)
    measure.campaigns(work, as_of)


def _rows(work: Workspace, table: str, schema: str = "evaluation") -> list[dict[str, Any]]:
    with work.database.transaction() as connection:
        found = connection.execute(sa.select(sa.text("*")).select_from(sa.table(table, schema=schema)))
        return sorted((dict(row) for row in found.mappings()), key=repr)


def _sum(rows: list[dict[str, Any]], value: str, **where: object) -> Decimal:
    chosen = [row for row in rows if all(row[name] == wanted for name, wanted in where.items())]
    return sum((Decimal(row[value]) for row in chosen), Decimal(0))


@pytest.mark.parametrize("seed", range(6))
def test_attributed_figures_equal_plain_loops_for_any_window(shop: Workspace, seed: int) -> None:
    world = random_world(seed)
    _measured(shop, world)
    truth = Recomputation(world, AS_OF, GOALS)
    buckets, cells = _rows(shop, "attributed"), _rows(shop, "attributed_cells")
    converted = _rows(shop, "converted_people")
    enrolments = {row["enrolment_id"]: row for row in world.enrolments}
    by_key = {send["send_key"]: send for send in truth.sends}

    for hours in WINDOWS:
        within = [row for row in buckets if row["hours"] < hours]
        credited = truth.credited(hours)
        for campaign in GOALS:
            mine = [entry for entry in credited if entry[0]["campaign"] == campaign]
            goals = {send["send_key"] for send, _, is_goal in mine if is_goal}
            assert _sum(within, "conversions", campaign=campaign) == len(goals)
            people = {truth.person_of(by_key[key]["customer_id"]) for key in goals}
            chosen = [row for row in converted if row["grain"] == "campaign" and row["hours"] < hours]
            assert _sum(chosen, "people", campaign=campaign) == len(people)
            for currency in ("EUR", "USD"):
                bought = [e for e in mine if e[1].get("currency") == currency]
                per_send: dict[str, Decimal] = {}
                for send, purchase, _ in bought:
                    per_send[send["send_key"]] = per_send.get(send["send_key"], Decimal(0)) + purchase["amount"]
                pre = {
                    key: truth.pre_revenue(
                        enrolments[by_key[key]["enrolment_id"]], "EUR" if campaign == "alpha" else None
                    )
                    for key in per_send
                }
                where = {"campaign": campaign, "currency": currency}
                assert _sum(within, "purchases", **where) == len(bought)
                assert _sum(within, "revenue", **where) == sum(per_send.values())
                assert _sum(within, "revenue_squares", **where) == sum(t * t for t in per_send.values())
                assert _sum(within, "revenue_by_pre", **where) == sum(per_send[k] * pre[k] for k in per_send)

    for campaign in GOALS:
        mine = [send for send in truth.sends if send["campaign"] == campaign]
        assert _sum(cells, "sends", campaign=campaign) == len(mine)
        for step, channel in {(send["step"], send["channel"]) for send in mine}:
            count = sum(1 for send in mine if (send["step"], send["channel"]) == (step, channel))
            assert _sum(cells, "sends", campaign=campaign, step=step, channel=channel) == count


@pytest.mark.parametrize("seed", range(6))
def test_incremental_figures_equal_plain_loops_by_assigned_arm(shop: Workspace, seed: int) -> None:
    world = random_world(seed)
    _measured(shop, world)
    truth = Recomputation(world, AS_OF, GOALS)
    buckets, cells = _rows(shop, "incremental"), _rows(shop, "incremental_cells")

    for hours in WINDOWS:
        for campaign in GOALS:
            currency_of_pre = "EUR" if campaign == "alpha" else None
            for version in ("v1", "v2"):
                for arm in ("treated", "holdout"):
                    where = {"campaign": campaign, "experiment_version": version, "arm": arm}
                    mine = [u for u in truth.units if all(u[name] == value for name, value in where.items())]
                    ends = {u["enrolment_id"]: _end_of_day(u["enrolled_at"]) for u in mine}
                    ripe = [u for u in mine if ends[u["enrolment_id"]] + timedelta(hours=hours) <= AS_OF]
                    days = {u["enrolled_at"].date() for u in ripe}
                    inside = [c for c in cells if c["enrolled_until"] + timedelta(hours=hours) <= AS_OF]
                    within = [b for b in buckets if b["hours"] < hours and b["enrolled_on"] in days]
                    followed = [truth.followed(unit, hours) for unit in ripe]

                    assert _sum(inside, "people", **where) == len(ripe)
                    assert _sum(inside, "pre_revenue", **where) == sum(
                        truth.pre_revenue(unit, currency_of_pre) for unit in ripe
                    )
                    assert _sum(within, "conversions", **where) == sum(goal for _, goal in followed)
                    for currency in ("EUR", "USD"):
                        totals = [
                            sum((row["amount"] for row in bought if row["currency"] == currency), Decimal(0))
                            for bought, _ in followed
                        ]
                        assert _sum(within, "revenue", **where, currency=currency) == sum(totals)
                        assert _sum(within, "revenue_squares", **where, currency=currency) == sum(
                            total * total for total in totals
                        )
                        assert _sum(within, "revenue_by_pre", **where, currency=currency) == sum(
                            total * truth.pre_revenue(unit, currency_of_pre)
                            for total, unit in zip(totals, ripe, strict=True)
                        )


def _end_of_day(at: datetime) -> datetime:
    return datetime(at.year, at.month, at.day, tzinfo=UTC) + timedelta(days=1)


def test_figures_by_place_add_up_to_those_without_it_up_to_a_week(shop: Workspace) -> None:
    _measured(shop, random_world(11))

    for grain in ("attributed", "incremental"):
        plain = [row for row in _rows(shop, grain) if row["hours"] < evaluation.MAX_WINDOW_HOURS_BY_PLACE]
        by_place = _rows(shop, f"{grain}_by_place")
        assert {row["country"] for row in by_place} == {"DE", "AT"}
        for value in ("conversions", "purchases", "revenue", "revenue_squares", "revenue_by_pre"):
            for campaign in GOALS:
                assert _sum(by_place, value, campaign=campaign) == _sum(plain, value, campaign=campaign)
        people = "sends" if grain == "attributed" else "people"
        assert _sum(_rows(shop, f"{grain}_cells_by_place"), people) == _sum(_rows(shop, f"{grain}_cells"), people)


def test_outcomes_hold_one_row_per_person_with_revenue_per_currency(shop: Workspace) -> None:
    world = random_world(3)
    _measured(shop, world)
    truth = Recomputation(world, AS_OF, GOALS)

    outcomes = {row["enrolment_id"]: row for row in _rows(shop, "outcomes", "campaign")}

    assert set(outcomes) == {unit["enrolment_id"] for unit in truth.units}
    for unit in truth.units:
        bought, goal = truth.followed(unit, 720)
        row = outcomes[unit["enrolment_id"]]
        assert row["purchases"] == len(bought)
        assert (row["converted_at"] is not None) == goal
        for currency in ("EUR", "USD"):
            total = sum((r["amount"] for r in bought if r["currency"] == currency), Decimal(0))
            assert Decimal(str(row["revenue"].get(currency, 0))) == pytest.approx(total)


def test_a_purchase_at_the_instant_of_the_send_or_a_window_later_is_not_credited(shop: Workspace) -> None:
    world = World()
    enrolment = world.enrol("alpha", world.customer("c1"), START)
    sent = START + timedelta(hours=9)
    world.send(enrolment, sent)
    world.buy("c1", sent, "1.00")
    world.buy("c1", sent + timedelta(microseconds=1), "2.00")
    world.buy("c1", sent + timedelta(hours=24) - timedelta(microseconds=1), "4.00")
    world.buy("c1", sent + timedelta(hours=24), "8.00")
    _measured(shop, world)

    buckets = _rows(shop, "attributed")

    assert _sum([row for row in buckets if row["hours"] < 24], "revenue") == Decimal("6.00")
    assert _sum([row for row in buckets if row["hours"] < 25], "revenue") == Decimal("14.00")


def test_a_purchase_is_credited_once_over_campaigns_to_the_last_send_before_it(shop: Workspace) -> None:
    world = World()
    world.customer("c1")
    early, late = world.enrol("alpha", "c1", START), world.enrol("beta", "c1", START)
    world.send(early, START + timedelta(hours=1))
    world.send(late, START + timedelta(hours=3))
    world.buy("c1", START + timedelta(hours=2), "5.00")
    world.buy("c1", START + timedelta(hours=3), "7.00")
    world.buy("c1", START + timedelta(hours=4), "11.00")
    _measured(shop, world)

    buckets = _rows(shop, "attributed")

    assert _sum(buckets, "revenue", campaign="alpha") == Decimal("12.00")
    assert _sum(buckets, "revenue", campaign="beta") == Decimal("11.00")
    assert _sum(buckets, "revenue") <= sum(row["amount"] for row in world.purchases)


def test_two_sends_at_one_instant_share_no_purchase(shop: Workspace) -> None:
    world = World()
    enrolment = world.enrol("alpha", world.customer("c1"), START)
    for step in ("1.email", "1.push"):
        world.send(enrolment, START + timedelta(hours=1), step=step, channel=step.split(".")[1])
    world.buy("c1", START + timedelta(hours=2), "5.00")
    _measured(shop, world)

    assert _sum(_rows(shop, "attributed"), "purchases") == 1


def test_a_sale_by_either_name_of_a_merged_person_counts_once_in_the_earlier_arm(shop: Workspace) -> None:
    world = World()
    world.customer("c1")
    world.alias("guest:1", "c1")
    world.enrol("alpha", "guest:1", START, arm="holdout")
    world.enrol("alpha", "c1", START + timedelta(days=1), arm="treated")
    world.buy("c1", START + timedelta(days=2), "5.00")
    world.buy("guest:1", START + timedelta(days=3), "6.00")
    _measured(shop, world)

    cells = _rows(shop, "incremental_cells")

    assert [(row["arm"], row["people"]) for row in cells] == [("holdout", 1)]
    assert _sum(_rows(shop, "incremental"), "revenue", arm="holdout") == Decimal("11.00")


def test_everyone_enrolled_stands_in_exactly_one_place(shop: Workspace) -> None:
    world = random_world(5)
    _measured(shop, world)
    truth = Recomputation(world, AS_OF, GOALS)

    people = _rows(shop, "people")

    for campaign in GOALS:
        enrolled = {truth.person_of(e["customer_id"]) for e in world.enrolments if e["campaign"] == campaign}
        reached = {truth.person_of(send["customer_id"]) for send in truth.sends if send["campaign"] == campaign}
        assert _sum(people, "people", campaign=campaign) == len(enrolled)
        assert _sum(people, "people", campaign=campaign, standing="reached") == len(reached)
        assert _sum(people, "people", campaign=campaign, state="accepted") == len(reached)


def test_a_step_that_expired_is_explained_by_what_held_it_up(shop: Workspace) -> None:
    world = World()
    enrolment = world.enrol("alpha", world.customer("c1"), START)
    world.decide(enrolment, "suppressed", "no_consent", until=START + timedelta(days=7))
    world.decide(enrolment, "expired", at=START + timedelta(days=7))
    _measured(shop, world)

    [row] = _rows(shop, "people")

    assert (row["standing"], row["state"], row["reason"]) == ("not_reached", "expired", "no_consent")


def test_what_happened_after_as_of_is_not_measured(shop: Workspace) -> None:
    world = World()
    world.customer("c1")
    enrolment = world.enrol("alpha", "c1", START)
    world.enrol("alpha", world.customer("c2"), START + timedelta(days=2))
    world.send(enrolment, START + timedelta(hours=1))
    world.buy("c1", START + timedelta(hours=2), "5.00")
    world.buy("c1", START + timedelta(hours=4), "6.00")
    _measured(shop, world, START + timedelta(hours=3))

    assert _sum(_rows(shop, "attributed"), "revenue") == Decimal("5.00")
    assert _sum(_rows(shop, "incremental"), "revenue") == Decimal("5.00")
    assert _sum(_rows(shop, "people"), "people") == 1


def test_measuring_the_same_moment_again_changes_no_row_and_a_detour_leaves_no_trace(shop: Workspace) -> None:
    _measured(shop, random_world(7))
    first = {table: _rows(shop, table) for table in TABLES} | {"outcomes": _rows(shop, "outcomes", "campaign")}

    measure.campaigns(shop, AS_OF)
    again = {table: _rows(shop, table) for table in TABLES} | {"outcomes": _rows(shop, "outcomes", "campaign")}
    measure.campaigns(shop, AS_OF - timedelta(days=20))
    measure.campaigns(shop, AS_OF)
    after = {table: _rows(shop, table) for table in TABLES} | {"outcomes": _rows(shop, "outcomes", "campaign")}

    assert again == first
    assert after == first


def test_old_tables_stay_readable_while_measuring_and_a_crash_changes_nothing(shop: Workspace) -> None:
    _measured(shop, random_world(8))
    before = {table: _rows(shop, table) for table in TABLES}
    dashboard = shop.database.role_engine("dashboard")
    seen = {}

    def die_in_the_middle() -> None:
        with shop.database.transaction() as connection:
            evaluation.measure(shop, connection, AS_OF - timedelta(days=30))
            with dashboard.connect() as reader:
                for table in TABLES:
                    found = reader.execute(sa.select(sa.text("*")).select_from(sa.table(table)))
                    seen[table] = sorted((dict(row) for row in found.mappings()), key=repr)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        die_in_the_middle()

    dashboard.dispose()
    assert seen == before
    assert {table: _rows(shop, table) for table in TABLES} == before


def test_a_second_evaluation_at_once_ends_as_superseded(shop: Workspace) -> None:
    with shop.database.transaction() as connection:
        evaluation.measure(shop, connection, AS_OF)
        ended: list[BaseException] = []

        def second() -> None:
            try:
                measure.campaigns(shop, AS_OF)
            except Superseded as error:
                ended.append(error)

        other = threading.Thread(target=second)
        other.start()
        other.join(30)

    assert len(ended) == 1


def test_the_dashboard_login_reads_aggregates_and_nothing_else(shop: Workspace) -> None:
    engine = shop.database.role_engine("dashboard")
    live = ("experiments", "open_sends", "loads", "load_totals", "validations", "audiences", "holds", "runs")
    with engine.connect() as reader:
        for table in (*TABLES, *live):
            reader.execute(sa.select(sa.text("*")).select_from(sa.table(table)))
        known = sa.inspect(reader)
        relations = [*known.get_table_names("evaluation"), *known.get_view_names("evaluation")]
        names = {column["name"] for table in relations for column in known.get_columns(table, schema="evaluation")}
    for table in ("campaign.sends", "core.customers", "facts.purchases", "raw.quarantine"):
        schema, name = table.split(".")
        with engine.connect() as reader, pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            reader.execute(sa.select(sa.text("1")).select_from(sa.table(name, schema=schema)))
    engine.dispose()

    assert names.isdisjoint({"customer_id", "person_id", "send_key", "email", "phone", "address", "order_id", "raw"})


def test_live_views_count_what_is_open_and_what_is_in_doubt_by_the_hour(shop: Workspace) -> None:
    world = World()
    for number in range(3):
        enrolment = world.enrol("alpha", world.customer(f"c{number}"), START)
        world.send(enrolment, None, state="unknown", claimed_at=START + timedelta(hours=2, minutes=10 * number))
    with shop.database.transaction() as connection:
        world.write(connection)

    assert _rows(shop, "open_sends") == [
        {
            "campaign": "alpha", "channel": "email", "state": "unknown", "since": START + timedelta(hours=2),
            "sends": 3,
        }
    ]  # fmt: skip
