"""Customers who share an address: who has to be out takes it along, and nobody counts as in who is not (I14, I16)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from config.campaign import Campaign
from tasks import choose, sync
from tasks.store import runs
from tasks.store.workspace import Workspace
from tests.planning_world import NOON, Shop, campaign
from tests.platforms.test_shared_audiences import one, other
from tests.platforms.test_sync import LATER, MINUTE, Elsewhere, dispatch, hashed, run, seen

AUDIENCE = "lapsing_customers"


class Known(Elsewhere):
    """A platform that knows people by every identifier, and lets go whoever has one of those it is told."""

    def _told(self, verb: str, audience: str, people: Any, act: Any) -> Any:
        taken = super()._told(verb, audience, people, act)
        for person in people:
            phone = {person[kind] for kind in ("phone",) if kind in person}
            (self.audiences[audience].update if verb == "add" else self.audiences[audience].difference_update)(phone)
        return taken


@pytest.fixture
def shop(make_workspace: Callable[..., Workspace]) -> Shop:
    """1 and 2 share an email, 2 has a phone number besides; 3 has nothing in common with them."""
    found = Shop(make_workspace(mode="simulated"))
    found.lapses("1")
    found.lapses("2", email_canonical="1@example.com", phone_e164="+4915112345678")
    found.lapses("3")
    for number in "123":
        found.consents(number, "meta")
    found.run(campaign(platforms=[]))
    return found


def refused(shop: Shop) -> dict[str, int]:
    found = shop.rows("select reason, people from evaluation.refused_members where verb = 'add'")
    return {row["reason"]: row["people"] for row in found}


def out(shop: Shop, platform: Elsewhere, by: Callable[..., Any], why: str) -> None:
    """Customer 1 has to be out."""
    run(shop, platform)
    assert len(platform.audiences[AUDIENCE]) == 3
    if why == "bought":
        shop.buys("1", "2026-06-10")
    else:
        shop.consents("1", "meta", "withdrawn", at="2026-06-09")
    by(shop, platform, LATER)


@pytest.mark.parametrize("by", [run, dispatch])
@pytest.mark.parametrize("why", ["bought", "withdrew"])
def test_an_address_of_somebody_who_has_to_be_out_is_in_for_nobody(shop: Shop, by: Callable[..., Any], why: str):
    platform = Known()

    out(shop, platform, by, why)

    assert platform.audiences[AUDIENCE] == hashed("3"), "the phone number of 2 has left too"
    assert (seen(shop)["wanted"], seen(shop)["applied"], seen(shop)["to_add"]) == (2, 1, 0)
    assert refused(shop) == {"shared_contact": 1}
    told = len(platform.calls)
    for later in (1, 2):
        by(shop, platform, LATER + later * MINUTE)
    assert [call for call in platform.calls[told:] if call[0] != "size"] == []


def test_who_shares_nothing_any_more_comes_in_again(shop: Shop):
    platform = Known()
    out(shop, platform, dispatch, "bought")
    shop._run("update core.customers set email_canonical = '1b@example.com' where customer_id = '1'", [{}])

    run(shop, platform, LATER + MINUTE)

    assert hashed("1", "3") < platform.audiences[AUDIENCE]
    assert refused(shop) == {}


def test_who_has_an_address_of_their_own_comes_in_with_it(shop: Shop):
    platform = Known()
    out(shop, platform, dispatch, "bought")
    shop._run("update core.customers set email_canonical = '2@example.com' where customer_id = '2'", [{}])

    run(shop, platform, LATER + MINUTE)

    assert hashed("2", "3") < platform.audiences[AUDIENCE]
    assert not platform.audiences[AUDIENCE] & hashed("1")


def test_who_is_out_and_comes_in_again_lets_the_other_in_too(shop: Shop):
    platform = Known()
    run(shop, platform)
    shop.consents("1", "meta", "withdrawn", at="2026-06-09")
    dispatch(shop, platform, LATER)
    shop.consents("1", "meta", at="2026-06-10")

    run(shop, platform, LATER + MINUTE)

    assert len(platform.audiences[AUDIENCE]) == 3
    assert refused(shop) == {}


def test_nobody_is_told_by_an_address_of_somebody_who_is_held_out(shop: Shop):
    shop._run("update campaign.enrolments set arm = 'holdout' where customer_id = '1'", [{}])
    platform = Known()

    run(shop, platform)

    assert platform.audiences[AUDIENCE] == hashed("3")
    assert refused(shop) == {"shared_contact": 1}


def test_an_address_that_leaves_with_a_stay_that_is_over_is_told_again_for_who_is_still_wanted(shop: Shop):
    platform = Known()
    run(shop, platform)
    shop._run(
        "update campaign.enrolments set closed_at = :at, close_reason = 'left_segment' where customer_id = '1'",
        [{"at": NOON + MINUTE}],
    )
    dispatch(shop, platform, NOON + 2 * MINUTE)

    run(shop, platform, NOON + 3 * MINUTE)

    assert hashed("1", "3") < platform.audiences[AUDIENCE]
    assert (seen(shop)["wanted"], seen(shop)["applied"]) == (2, 2)
    told = len(platform.calls)
    run(shop, platform, NOON + 4 * MINUTE)
    assert [call for call in platform.calls[told:] if call[0] != "size"] == [], "once is enough"


def test_an_address_that_leaves_with_a_buyer_is_told_again_for_a_campaign_that_the_buyer_is_not_in(shop: Shop):
    platform = Known()

    def go(found: Campaign, at: datetime) -> None:
        with runs.begin(shop.work, "reengage", found, at) as begun:
            choose.members(begun)
            shop._run("delete from campaign.enrolments where campaign = 'other' and customer_id = '1'", [{}])
            sync.audiences(begun, connect=lambda run, name: platform)

    go(one(), NOON)
    go(other(), NOON + MINUTE)
    assert len(platform.audiences["win back"]) == 3
    shop.buys("1", "2026-06-10")

    go(one(), LATER)
    assert not platform.audiences["win back"] & hashed("1")
    go(other(), LATER + MINUTE)

    assert hashed("1", "3") < platform.audiences["win back"], "2 is wanted there by an address of their own too"
    told = len(platform.calls)
    go(one(), LATER + 2 * MINUTE)
    go(other(), LATER + 3 * MINUTE)
    assert [call for call in platform.calls[told:] if call[0] != "size"] == []


def test_an_address_that_somebody_gives_up_is_told_again_for_who_keeps_it(shop: Shop):
    platform = Known()
    run(shop, platform)
    shop._run("update core.customers set email_canonical = '1b@example.com' where customer_id = '1'", [{}])

    run(shop, platform, NOON + MINUTE)

    assert platform.audiences[AUDIENCE] >= hashed("1", "1b", "3")
    assert (seen(shop)["wanted"], seen(shop)["applied"]) == (3, 3)
