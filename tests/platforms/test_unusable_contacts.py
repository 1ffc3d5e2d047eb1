"""Who is wanted and has no contact that can be told is counted with the reason, and comes in once they have one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tasks import sync
from tasks.rules import contact
from tasks.rules.words import REASONS
from tasks.store import contacts, runs
from tasks.store.workspace import Workspace
from tests.planning_world import DAY, NOON, Shop, campaign
from tests.platforms.test_sync import Elsewhere, dispatch, hashed, run, seen

MINUTE = timedelta(minutes=1)
AUDIENCE = "lapsing_customers"


@pytest.fixture
def shop(make_workspace: Callable[..., Workspace]) -> Shop:
    """Five who agreed and are enrolled; three of them cannot be told, each for a reason of their own."""
    found = Shop(make_workspace(mode="simulated"))
    for number in "12345":
        found.lapses(number)
        found.consents(number, "meta")
    found._run("update core.customers set email = email_canonical", [{}])
    _change(found, "3", email="a@b", phone=None)
    _change(found, "4", email=None, phone="12")
    _change(found, "5", email=None, phone=None)
    found.run(campaign(platforms=[]))
    return found


def _change(shop: Shop, customer: str, *, email: str | None, phone: str | None, name: str | None = None) -> None:
    """As a load does that brings another contact."""
    change = (
        "update core.customers set email = :email, phone = :phone, first_name = :name, contact_derived_at = null"
        " where customer_id = :customer"
    )
    with shop.work.database.transaction() as connection:
        connection.execute(sa.text(change), {"email": email, "phone": phone, "name": name, "customer": customer})
        contacts.refresh(connection, shop.work.queries, NOON)


def refused(shop: Shop) -> dict[str, int]:
    found = shop.rows("select reason, people from evaluation.refused_members where verb = 'add'")
    return {row["reason"]: row["people"] for row in found}


def test_they_are_counted_as_wanted_and_refused_with_the_reason(shop: Shop):
    platform = Elsewhere()

    counts = run(shop, platform)

    assert platform.audiences[AUDIENCE] == hashed("1", "2")
    assert counts == {
        "meta added": 2,
        "meta refused: invalid_email": 1,
        "meta refused: invalid_phone": 1,
        "meta refused: no_address": 1,
    }
    assert refused(shop) == {"invalid_email": 1, "invalid_phone": 1, "no_address": 1}
    row = seen(shop)
    assert (row["wanted"], row["applied"], row["to_add"], row["to_remove"], row["refused"]) == (5, 2, 0, 0, 3)


def test_an_unchanged_state_moves_nobody_and_tells_nothing(shop: Shop):
    platform = Elsewhere()
    run(shop, platform)
    told, before = list(platform.calls), shop.state()

    assert run(shop, platform, NOON + MINUTE) == {}
    assert dispatch(shop, platform, NOON + 2 * MINUTE) == {}
    assert run(shop, platform, NOON + 8 * DAY) == {}, "also when everybody is looked at"

    assert [call for call in platform.calls if call[0] != "size"] == [call for call in told if call[0] != "size"]
    assert shop.state() == before


def test_they_come_in_once_they_have_a_contact(shop: Shop):
    platform = Elsewhere()
    run(shop, platform)
    _change(shop, "3", email="3@example.com", phone=None)

    assert run(shop, platform, NOON + MINUTE) == {"meta added": 1}

    assert platform.audiences[AUDIENCE] == hashed("1", "2", "3")
    assert refused(shop) == {"invalid_phone": 1, "no_address": 1}


def test_another_reason_takes_the_place_of_the_one_before(shop: Shop):
    platform = Elsewhere()
    run(shop, platform)
    _change(shop, "5", email="5@example.com", phone=None, name="An\nn")

    run(shop, platform, NOON + MINUTE)

    assert refused(shop) == {"invalid_email": 1, "invalid_phone": 1, "control_character": 1}


@pytest.mark.parametrize("by", [run, dispatch])
def test_who_is_in_and_loses_the_contact_leaves_and_is_refused_from_then_on(shop: Shop, by: Callable[..., Any]):
    platform = Elsewhere()
    run(shop, platform)
    _change(shop, "1", email="nobody", phone=None)

    counts = by(shop, platform, NOON + MINUTE)

    assert counts == {"meta removed": 1, "meta refused: invalid_email": 1}
    assert platform.audiences[AUDIENCE] == hashed("2")
    assert refused(shop) == {"invalid_email": 2, "invalid_phone": 1, "no_address": 1}
    assert (seen(shop)["wanted"], seen(shop)["applied"]) == (5, 1)
    assert by(shop, platform, NOON + 2 * MINUTE) == {}

    _change(shop, "1", email="1@example.com", phone=None)
    run(shop, platform, NOON + 3 * MINUTE)
    assert platform.audiences[AUDIENCE] == hashed("1", "2")


def test_an_old_contact_that_may_not_leave_is_what_is_refused_until_it_has(shop: Shop):
    platform = Elsewhere()
    run(shop, platform)
    _change(shop, "1", email=None, phone=None)
    (old,) = hashed("1")
    platform.refuses = {old: "list_is_locked"}
    run(shop, platform, NOON + MINUTE)
    found = shop.rows("select verb, reason from evaluation.refused_members where people = 1 order by verb, reason")
    assert {"verb": "remove", "reason": "list_is_locked"} in found

    platform.refuses = {}
    run(shop, platform, NOON + 2 * MINUTE)

    assert platform.audiences[AUDIENCE] == hashed("2")
    assert refused(shop) == {"invalid_email": 1, "invalid_phone": 1, "no_address": 2}


def test_who_buys_is_refused_no_more(shop: Shop):
    platform = Elsewhere()
    run(shop, platform)
    for customer in "345":
        shop.buys(customer, "2026-06-10")

    dispatch(shop, platform, NOON + DAY)

    assert refused(shop) == {}
    assert seen(shop)["wanted"] == 2


def test_nobody_is_refused_whom_a_paused_campaign_would_not_take_in(shop: Shop):
    shop._run("insert into campaign.campaigns (campaign, state) values ('lapsing_customers', 'paused')", [{}])

    assert run(shop, Elsewhere()) == {}

    assert refused(shop) == {}


def test_an_audience_that_had_to_be_deleted_counts_only_people_who_can_be_told(shop: Shop):
    run(shop, Elsewhere())
    shop._run(
        "insert into campaign.deleted_audiences (platform, audience, provider, begun_at, deleted_at, enough)"
        " values ('meta', 'lapsing_customers', 'outbox', now(), now(), 3)", [{}],
    )  # fmt: skip

    with runs.begin(shop.work, "reengage", campaign(), NOON + MINUTE) as begun:
        asked = begun.work.queries["ledger/audience_deleted"](platform="meta", audience=AUDIENCE, provider="outbox")
        with shop.work.database.transaction() as connection:
            assert connection.execute(asked).one().wanted == 2
        sync.audiences(begun, connect=lambda run, name: Elsewhere())


def test_every_reason_that_a_contact_cannot_be_used_for_has_words():
    given = set(re.findall(r'None, "(\w+)"', inspect.getsource(contact)))

    assert given == {"invalid_email", "invalid_phone", "control_character"}
    assert given | {"no_address", "shared_contact"} <= set(REASONS)
