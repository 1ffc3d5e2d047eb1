"""Campaigns that name one audience share it: who is wanted by any of them is in, whatever the others say."""

from __future__ import annotations

import pytest

from config.campaign import Campaign
from tests.planning_world import BASICS, DAY, NOON, Shop, campaign
from tests.platforms.test_audiences import HOUR, calls, hashed, members

SHARED = [{"name": "meta", "audience": "win back"}]


@pytest.fixture
def shop(make_workspace) -> Shop:
    return Shop(make_workspace(mode="simulated"))


def sync(shop: Shop, found: Campaign, at=NOON) -> None:
    """Choose and sync without planning: the other campaign has no message files."""
    from tasks import choose
    from tasks import sync as step
    from tasks.store import runs

    with runs.begin(shop.work, "reengage", found, at) as run:
        choose.members(run)
        step.audiences(run)


def one(**changes) -> Campaign:
    return campaign(**{"platforms": SHARED, "holdout": 0.0, **changes})


def other(**changes) -> Campaign:
    given = {**BASICS, "platforms": SHARED, "holdout": 0.0, **changes}
    return Campaign.model_validate({"name": "other", **given})


def test_who_one_campaign_lets_go_stays_while_another_wants_them(shop):
    shop.lapses("1")
    shop.consents("1", "meta")
    sync(shop, one())
    sync(shop, other())

    sync(shop, other(period={"end": "2026-06-09"}), NOON + DAY)
    assert members(shop) == hashed("1@example.com")

    sync(shop, one(period={"end": "2026-06-09"}), NOON + DAY)
    assert members(shop) == set()


def test_a_withdrawal_takes_a_person_out_of_a_shared_audience(shop):
    shop.lapses("1")
    shop.consents("1", "meta")
    sync(shop, one())
    sync(shop, other())
    shop.consents("1", "meta", "withdrawn", at="2026-06-09")

    sync(shop, one(), NOON + HOUR)
    sync(shop, other(), NOON + HOUR)

    assert members(shop) == set()


def test_campaigns_that_share_an_audience_do_not_take_people_from_each_other_run_after_run(shop):
    shop.lapses("1")
    shop.consents("1", "meta")
    for _ in range(2):
        sync(shop, one())
        sync(shop, other())
    before, told = shop.state(), calls(shop)

    sync(shop, one())
    sync(shop, other())

    assert shop.state() == before
    assert calls(shop) == told


def test_an_audience_a_campaign_no_longer_names_is_left_for_the_new_one(shop):
    shop.lapses("1")
    shop.consents("1", "meta")
    sync(shop, one())

    sync(shop, one(platforms=[{"name": "meta", "audience": "new name"}]), NOON + HOUR)

    held = shop.rows("select audience from outbox.audience_members")
    assert [row["audience"] for row in held] == ["new name"]
