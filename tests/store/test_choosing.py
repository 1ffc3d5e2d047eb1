"""Whom a run enrols, with which arm, and which episodes it closes."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from config.campaign import Campaign
from tasks import choose
from tasks.rules import assignment
from tasks.store import runs
from tests.planning_world import DAY, LATE_FROM, NOON, Shop, campaign, two_steps


@pytest.fixture
def shop(make_workspace) -> Shop:
    return Shop(make_workspace(mode="simulated"))


def enrolled(shop: Shop) -> dict[str, dict]:
    return {row["customer_id"]: row for row in shop.rows("select * from campaign.enrolments")}


def test_a_customer_is_enrolled_once_per_episode(shop):
    shop.lapses("1")

    shop.run(campaign())
    shop.run(campaign(), NOON + DAY)

    (row,) = shop.rows("select * from campaign.enrolments")
    assert (row["customer_id"], row["episode"]) == ("1", "2026-04-02")
    assert (row["anchor_at"], row["enrolled_at"]) == (LATE_FROM, NOON)


def test_a_new_purchase_begins_a_new_episode_after_the_old_one(shop):
    shop.lapses("1")
    shop.run(campaign())
    shop.buys("1", "2026-06-10")

    shop.run(campaign(), NOON + 2 * DAY)
    shop.run(campaign(), NOON + 120 * DAY)

    rows = shop.rows("select episode, close_reason from campaign.enrolments order by enrolment_id")
    assert [tuple(row.values()) for row in rows] == [("2026-04-02", "goal"), ("2026-06-10", None)]


def test_arm_and_variant_follow_the_published_formula(shop):
    people = [f"p{number:04}" for number in range(300)]
    with shop.work.database.transaction() as connection:
        connection.execute(
            sa.text(
                "insert into core.customers (customer_id, time_zones) select 'p' || to_char(n, 'FM0000'), '{UTC}' "
                "from generate_series(0, 299) as n"
            )
        )
        connection.execute(
            sa.text(
                "insert into core.purchases (order_id, customer_id, purchased_at, amount, currency, status, "
                "updated_at, load_id) select customer_id || m, customer_id, timestamptz '2026-02-01 10:00Z' + "
                "m * interval '60 days', 1, 'EUR', 'paid', now(), 1 from core.customers, generate_series(0, 1) as m"
            )
        )
        shop._refresh(connection, people)
    variants = [{"name": "plain", "share": 0.5}, {"name": "warm", "share": 0.3}, {"name": "short", "share": 0.2}]
    found = campaign(holdout=0.2, variants=variants)
    salt = shop.work.settings.salt.get_secret_value()

    shop.run(found)

    rows = enrolled(shop)
    assert sorted(rows) == people
    for customer_id, row in rows.items():
        wanted = assignment.assign(found, salt, customer_id)
        assert (row["arm"], row["variant"], row["assigned_u"], row["variant_u"]) == (
            wanted.arm, wanted.variant, wanted.assigned_u, wanted.variant_u,
        )  # fmt: skip
    assert {row["variant"] for row in rows.values()} == {"plain", "warm", "short"}
    assert {row["arm"] for row in rows.values()} == {"treated", "holdout"}


def test_a_held_out_person_gets_no_message_and_enters_no_audience(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.consents("1", "meta")

    shop.run(campaign(holdout=0.999999999))

    assert shop.decided() == {("1", "1"): ("holdout", None, None)}
    assert shop.sends() == {}
    assert shop.rows("select * from campaign.audience_members") == []


def test_the_arm_is_kept_in_the_next_episode_and_drawn_anew_in_a_new_version(shop):
    shop.lapses("1")
    shop.run(campaign(holdout=0.5))
    first = enrolled(shop)["1"]
    shop.buys("1", "2026-06-10")
    shop.run(campaign(holdout=0.5), NOON + 120 * DAY)
    shop.buys("1", "2026-10-20")
    shop.run(campaign(holdout=0.6), NOON + 300 * DAY)

    rows = shop.rows("select * from campaign.enrolments order by enrolment_id")
    assert [row["first_in_experiment"] for row in rows] == [True, False, True]
    assert rows[1]["arm"] == first["arm"]
    assert rows[1]["experiment_version"] == first["experiment_version"] != rows[2]["experiment_version"]


def test_the_share_to_be_held_out_is_noted_once_for_each_version(shop):
    shop.lapses("1")
    shop.run(campaign(holdout=0.5))
    shop.run(campaign(holdout=0.5), NOON + DAY)
    shop.buys("1", "2026-06-10")
    shop.run(campaign(holdout=0.6), NOON + 120 * DAY)

    noted = shop.rows("select experiment_version, holdout from campaign.experiments order by holdout")
    versions = shop.rows("select experiment_version from campaign.enrolments order by enrolment_id")
    assert [row["holdout"] for row in noted] == [0.5, 0.6]
    assert [row["experiment_version"] for row in noted] == [row["experiment_version"] for row in versions]


def test_a_merged_person_is_not_enrolled_again_and_the_earlier_episode_stands(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign())
    shop.lapses("2")
    shop.consents("2", "email")
    shop.run(campaign(), NOON + timedelta(hours=1))
    shop.merges("1", "2")

    shop.run(campaign(), NOON + timedelta(hours=2))

    rows = enrolled(shop)
    assert (rows["1"]["close_reason"], rows["2"]["close_reason"]) == (None, "merged")
    assert shop.sends()["1", "1"]["state"] == "planned"
    assert (shop.sends()["2", "1"]["state"], shop.sends()["2", "1"]["reason"]) == ("cancelled", "merged")
    assert shop.decided()["2", "1"][:2] == ("cancelled", "merged")


def test_a_merged_person_keeps_the_arm_of_the_first_enrolment(shop):
    salt = shop.work.settings.salt.get_secret_value()
    found = campaign(holdout=0.5)
    ids = [str(number) for number in range(40)]
    held = next(one for one in ids if assignment.assign(found, salt, one).arm == "holdout")
    treated = next(one for one in ids if assignment.assign(found, salt, one).arm == "treated")
    shop.lapses(held)
    shop.run(found)
    shop.buys(held, "2026-06-10")
    shop.customer(treated)
    shop.merges(held, treated)

    shop.run(found, NOON + 120 * DAY)

    rows = enrolled(shop)
    assert rows[treated]["episode"] == "2026-06-10"
    assert (rows[treated]["arm"], rows[treated]["first_in_experiment"]) == ("holdout", False)


def test_a_purchase_closes_the_episode_and_cancels_what_was_planned(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign(steps=two_steps()))
    shop.buys("1", "2026-06-09")

    shop.run(campaign(steps=two_steps()), NOON + DAY)

    assert enrolled(shop)["1"]["close_reason"] == "goal"
    assert {key: (row["state"], row["reason"]) for key, row in shop.sends().items()} == {
        ("1", "1"): ("cancelled", "stop_event"),
        ("1", "2"): ("cancelled", "stop_event"),
    }
    assert set(shop.decided().values()) == {("cancelled", "stop_event", "email")}


def test_an_episode_of_an_earlier_purchase_day_that_arrives_late_is_left(shop):
    shop.lapses("1")
    shop.run(campaign())
    shop.buys("1", "2026-05-01")  # before the anchor: no stop event, but another rhythm

    shop.run(campaign(), NOON + timedelta(hours=1))

    assert enrolled(shop)["1"]["close_reason"] == "left_segment"


def test_who_comes_back_into_the_segment_with_the_same_occasion_goes_on(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign())
    shop.run(campaign(params={"margin_days": 20}), NOON + timedelta(hours=1))
    assert shop.sends()["1", "1"]["state"] == "cancelled"

    shop.run(campaign(), NOON + timedelta(hours=2))

    assert enrolled(shop)["1"]["closed_at"] is None
    assert shop.sends()["1", "1"]["state"] == "planned"
    assert shop.decided()["1", "1"] == ("planned", None, "email")


@pytest.mark.parametrize(
    ("period", "standing", "people"),
    [
        ({"start": "2026-06-10"}, "not started", 0),
        ({"start": "2026-06-09", "end": "2026-06-09"}, "active", 1),
        ({"end": "2026-06-08"}, "over", 0),
    ],
)
def test_the_period_counts_both_days_in_the_campaigns_zone(shop, period, standing, people):
    shop.lapses("1")

    run = shop.run(campaign(period=period))

    assert run.counts["choose"]["standing"] == standing
    assert len(enrolled(shop)) == people


def test_the_end_of_the_period_closes_what_is_open(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.consents("1", "meta")
    shop.run(campaign(period={"end": "2026-06-09"}))

    shop.run(campaign(period={"end": "2026-06-09"}), NOON + DAY)

    assert enrolled(shop)["1"]["close_reason"] == "campaign_ended"
    assert shop.sends()["1", "1"]["reason"] == "campaign_ended"
    assert shop.rows("select * from outbox.audience_members") == []


def test_a_paused_campaign_enrols_nobody(shop):
    shop.lapses("1")
    shop._run("insert into campaign.campaigns (campaign, state) values ('*', 'paused')", [{}])

    run = shop.run(campaign())

    assert run.counts["choose"]["standing"] == "paused"
    assert enrolled(shop) == {}


def test_a_changed_segment_or_parameter_forces_a_full_pass_and_one_runs_weekly(shop):
    shop.lapses("1")
    passes = [
        shop.run(campaign(), NOON).counts["choose"]["full_pass"],
        shop.run(campaign(), NOON + DAY).counts["choose"]["full_pass"],
        shop.run(campaign(params={"margin_days": 9}), NOON + 2 * DAY).counts["choose"]["full_pass"],
        shop.run(campaign(params={"margin_days": 9}), NOON + 3 * DAY).counts["choose"]["full_pass"],
        shop.run(campaign(params={"margin_days": 9}), NOON + 9 * DAY).counts["choose"]["full_pass"],
    ]

    assert passes == [True, False, True, False, True]


def random_history(rng: random.Random) -> list[tuple[int, str, str]]:
    """(day of arrival, customer, purchase day): rhythms, late rows and people who come back."""
    rows = []
    for number in range(40):
        customer, day = f"c{number}", rng.randrange(0, 30)
        gap = rng.randrange(3, 15)
        for _ in range(rng.randrange(1, 6)):
            arrival = day + (rng.randrange(0, 8) if rng.random() < 0.3 else 0)
            rows.append(
                (arrival, customer, (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat())
            )
            day += max(1, gap + rng.randrange(-2, 20))
    return rows


def play(
    shop: Shop, found: Campaign, history: list[tuple[int, str, str]], *, always_full: bool
) -> set[tuple[str, str]]:
    """Fifty days, one run a day; purchases arrive on their day of arrival."""
    customers = sorted({row[1] for row in history})
    for customer in customers:
        shop.customer(customer)
    shop.buys(customers[0], "2026-01-01")  # the first load of all is a full pass in any case
    for day in range(50):
        for _, customer, bought in [row for row in history if row[0] == day]:
            shop.buys(customer, bought)
        at = datetime(2026, 3, 1, 23, tzinfo=UTC) + timedelta(days=day)
        if always_full:
            shop._run("update campaign.runs set segment_sha256 = 'another' where campaign = 'lapsing_customers'", [{}])
        with runs.begin(shop.work, "reengage", found, at) as run:
            assert choose.members(run).full_pass == (always_full or day % 7 == 0)
    return {(row["customer_id"], row["episode"]) for row in shop.rows("select * from campaign.enrolments")}


def test_deltas_and_full_passes_enrol_the_same_people(make_workspace):
    history = random_history(random.Random(7))
    found = campaign(params={"margin_days": 2, "max_days_late": 30})

    by_delta = play(Shop(make_workspace(mode="simulated")), found, history, always_full=False)
    by_full = play(Shop(make_workspace(mode="simulated")), found, history, always_full=True)

    assert by_delta == by_full
    assert len(by_full) > 15
