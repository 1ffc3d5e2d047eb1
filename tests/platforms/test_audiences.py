"""Ad audiences follow the segment under consent; buyers and whoever withdrew leave first."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.settings import CHECKOUT, Settings
from tasks import choose, sync
from tasks.platforms import factory
from tasks.platforms.base import Person, Platform, Taken
from tasks.rules.errors import ModeError
from tasks.rules.keyed import keyed_hash
from tasks.store import runs
from tasks.store.workspace import Workspace
from tests.planning_world import DAY, NOON, Shop, campaign
from tests.send.worker import context

HOUR = timedelta(hours=1)


@pytest.fixture
def shop(make_workspace) -> Shop:
    return Shop(make_workspace(mode="simulated"))


def members(shop: Shop, platform: str = "meta") -> set[str]:
    """Who the platform itself says is in, as hashes."""
    found = shop.rows("select person_sha256 from outbox.audience_members where platform = :platform", platform=platform)
    return {row["person_sha256"] for row in found}


def calls(shop: Shop) -> list[tuple]:
    found = shop.rows("select platform, verb, people from outbox.audience_calls order by call_id")
    return [tuple(row.values()) for row in found]


def hashed(*emails: str) -> set[str]:
    return {hashlib.sha256(email.encode()).hexdigest() for email in emails}


def dispatch_removals(shop: Shop, at) -> None:
    with runs.begin(shop.work, "dispatch", None, at) as run:
        sync.removals(run)


def test_people_with_consent_and_contact_are_added_in_the_same_run(shop):
    for customer in "123":
        shop.lapses(customer)
    shop.consents("1", "meta")
    shop.consents("2", "email")
    shop.consents("3", "meta", "withdrawn")

    run = shop.run(campaign())

    assert members(shop) == hashed("1@example.com")
    assert run.counts["audiences"] == {"meta added": 1}


def test_a_phone_number_is_contact_enough_and_nobody_without_contact_is_added(shop):
    shop.lapses("1", email_canonical=None, phone_e164="+491701234567")
    shop.lapses("2", email_canonical=None)
    shop.consents("1", "meta")
    shop.consents("2", "meta")

    shop.run(campaign())

    assert members(shop) == hashed("491701234567")


def test_an_unchanged_audience_is_not_told_anything(shop):
    shop.lapses("1")
    shop.consents("1", "meta")
    shop.run(campaign())

    shop.run(campaign(), NOON + DAY)

    assert calls(shop) == [("meta", "add", 1)]


@pytest.mark.parametrize("reason", ["stop_event", "no_consent", "longest_stay", "campaign_ended", "suppressed_address"])
def test_who_no_longer_belongs_there_leaves_in_the_next_run(shop, reason):
    shop.lapses("1")
    shop.consents("1", "meta")
    shop.run(campaign())
    found, at = campaign(), NOON + DAY
    if reason == "stop_event":
        shop.buys("1", "2026-06-10")
    if reason == "no_consent":
        shop.consents("1", "meta", "withdrawn", at="2026-06-10")
    if reason == "longest_stay":
        at = NOON + 30 * DAY
    if reason == "campaign_ended":
        found = campaign(period={"end": "2026-06-09"})
    if reason == "suppressed_address":
        key = keyed_hash(shop.work.settings.suppression_key.get_secret_value(), "1@example.com")
        shop._run("insert into core.suppressions values (:key, 'meta', 'marketing', 'asked', :at)",
                  [{"key": key, "at": NOON}])  # fmt: skip

    shop.run(found, at)

    assert members(shop) == set()
    (row,) = shop.rows("select * from campaign.audience_members")
    assert (row["desired"], row["applied"], row["reason"], row["identifiers"]) == (False, False, reason, None)


def test_a_buyer_leaves_with_the_next_dispatch_without_waiting_for_a_run(shop):
    shop.lapses("1")
    shop.lapses("2")
    shop.consents("1", "meta")
    shop.consents("2", "meta")
    shop.run(shop.work.campaign("lapsing_customers"))
    shop.buys("1", "2026-06-10")
    shop.lapses("3")
    shop.consents("3", "meta")

    dispatch_removals(shop, NOON + DAY)

    assert members(shop) == hashed("2@example.com")


def test_people_of_a_campaign_that_is_over_leave_with_the_next_dispatch(make_workspace, tmp_path):
    config = Path(shutil.copytree(CHECKOUT / "config", tmp_path / "config"))
    shop = Shop(make_workspace(mode="simulated", config=config))
    shop.lapses("1")
    shop.consents("1", "meta")
    shop.run(shop.work.campaign("lapsing_customers"))
    file = config / "campaigns" / "lapsing_customers" / "campaign.yaml"
    file.write_text(file.read_text() + "\nperiod: {end: 2026-06-10}\n")

    dispatch_removals(shop, NOON + HOUR)
    assert members(shop) == hashed("1@example.com")
    dispatch_removals(shop, NOON + 2 * DAY)

    assert members(shop) == set()
    (row,) = shop.rows("select desired, reason from campaign.audience_members")
    assert (row["desired"], row["reason"]) == (False, "campaign_ended")


def test_people_of_a_deleted_campaign_leave_their_audiences(shop):
    shop.lapses("1")
    shop.consents("1", "meta")
    shop.run(campaign())
    for table in ("members", "uses"):
        shop._run(f"update campaign.audience_{table} set campaign = 'deleted'", [{}])

    dispatch_removals(shop, NOON + HOUR)

    assert members(shop) == set()


def test_a_paused_campaign_adds_nobody_and_still_lets_people_go(shop):
    shop.lapses("1")
    shop.consents("1", "meta")
    shop.run(campaign())
    shop._run("insert into campaign.campaigns (campaign, state) values ('lapsing_customers', 'paused')", [{}])
    shop.lapses("2")
    shop.consents("2", "meta")
    shop.consents("1", "meta", "withdrawn", at="2026-06-09")

    shop.run(campaign(), NOON + HOUR)

    assert members(shop) == set()
    assert calls(shop) == [("meta", "add", 1), ("meta", "remove", 1)]


def test_a_changed_contact_makes_a_new_member_of_the_same_person(shop):
    shop.lapses("1")
    shop.consents("1", "meta")
    shop.run(campaign())
    shop._run("update core.customers set email_canonical = 'new@example.com'", [{}])

    shop.run(campaign(), NOON + HOUR)

    assert members(shop) == hashed("new@example.com")
    assert calls(shop) == [("meta", "add", 1), ("meta", "remove", 1), ("meta", "add", 1)]


@pytest.mark.parametrize(
    ("platform", "is_told"), [("meta", True), ("google", False), ("tiktok", False)], ids=lambda given: str(given)
)
@pytest.mark.parametrize("change", ["first_name = 'Bo'", "last_name = 'Smith'", "country = 'FR'"])
def test_a_changed_name_or_country_is_told_anew_where_people_are_known_by_them(shop, platform, is_told, change):
    shop.lapses("1")
    shop.consents("1", platform, ad_user_data=True, ad_personalization=True)
    found = campaign(platforms=[platform])
    shop.run(found)
    (before,) = shop.rows("select identifiers from campaign.audience_members")
    shop._run(f"update core.customers set {change}", [{}])

    shop.run(found, NOON + HOUR)

    told = [(platform, "add", 1), (platform, "remove", 1), (platform, "add", 1)]
    assert calls(shop) == (told if is_told else told[:1])
    (after,) = shop.rows("select identifiers from campaign.audience_members")
    assert (before != after) == is_told
    shop.run(found, NOON + 2 * HOUR)
    assert calls(shop) == (told if is_told else told[:1])


def test_a_name_in_other_letters_of_the_same_is_no_change(shop):
    shop.lapses("1")
    shop.consents("1", "meta")
    shop._run("update core.customers set first_name = 'Ann'", [{}])
    shop.run(campaign())
    shop._run("update core.customers set first_name = 'ANN'", [{}])

    shop.run(campaign(), NOON + HOUR)

    assert calls(shop) == [("meta", "add", 1)]


def test_every_removal_of_all_platforms_comes_before_the_first_addition(shop):
    found = campaign(platforms=["meta", "tiktok"])
    for customer in "12":
        shop.lapses(customer)
    for platform in ("meta", "tiktok"):
        shop.consents("1", platform)
    shop.run(found)
    for platform in ("meta", "tiktok"):
        shop.consents("1", platform, "withdrawn", at="2026-06-09")
        shop.consents("2", platform)

    shop.run(found, NOON + HOUR)

    assert [verb for _, verb, _ in calls(shop)[2:]] == ["remove", "remove", "add", "add"]


class DiesAfter:
    """The outbox platform, whose caller is killed after some calls, before it can note the last one."""

    def __init__(self, inner: Platform, left: Iterator[int]) -> None:
        self.inner = inner
        self.left = left  # calls that still pass, of all clients together

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def add(self, audience: str, people: Sequence[Person]) -> Taken:
        taken = self.inner.add(audience, people)
        if next(self.left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return taken


def sync_page_by_page(settings: Settings, calls_left: int | None = None) -> None:
    """A run of its own that tells a page of one person at a time; killed after some calls."""
    left = itertools.count(-1 if calls_left is None else calls_left, -1)
    with closing(Workspace(settings)) as work, runs.begin(work, "reengage", campaign(), NOON) as run:
        choose.members(run)
        sync.audiences(run, page=1, connect=lambda run, name: DiesAfter(sync.connect(run, name), left))


def test_killed_after_three_of_ten_pages_and_started_twice_the_membership_is_equal(shop):
    for number in range(10):
        shop.lapses(f"{number}")
        shop.consents(f"{number}", "meta")
    process = context.Process(target=sync_page_by_page, args=(shop.work.settings, 2))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(members(shop)) == 3
    assert len(shop.rows("select from campaign.audience_members where applied")) == 3, "noted before it is told"

    for _ in range(2):
        sync_page_by_page(shop.work.settings)

    assert members(shop) == hashed(*(f"{number}@example.com" for number in range(10)))
    assert len(shop.rows("select from campaign.audience_members where applied")) == 10
    assert [people for _, _, people in calls(shop)] == [1] * 11, "only the page that has no answer is told again"


def google(shop: Shop, customer: str, country: str | None, **ads) -> None:
    shop.lapses(customer, country=country)
    shop.consents(customer, "google", **ads)


@pytest.mark.parametrize("country", ["DE", "RE", "UK", "US", None])
def test_google_wants_both_ad_consents_of_everybody_wherever_they_live(shop, country):
    google(shop, "1", country, ad_user_data=True, ad_personalization=True)
    google(shop, "2", country, ad_user_data=True, ad_personalization=False)
    google(shop, "3", country, ad_user_data=True)
    google(shop, "4", country, ad_user_data=False, ad_personalization=False)
    google(shop, "5", country)

    shop.run(campaign(platforms=["google"]))

    assert members(shop, "google") == hashed("1@example.com")


def test_who_takes_one_of_googles_consents_back_leaves(shop):
    google(shop, "1", "US", ad_user_data=True, ad_personalization=True)
    shop.run(campaign(platforms=["google"]))
    assert members(shop, "google") == hashed("1@example.com")
    shop.consents("1", "google", at="2026-06-09", ad_user_data=True, ad_personalization=False)

    shop.run(campaign(platforms=["google"]), NOON + HOUR)

    assert members(shop, "google") == set()
    assert shop.rows("select reason from campaign.audience_members") == [{"reason": "no_consent"}]


def test_a_merged_person_is_a_member_once(shop):
    shop.lapses("1")
    shop.consents("1", "meta")
    shop.run(campaign())
    shop.customer("2")
    shop.merges("1", "2")

    shop.run(campaign(), NOON + HOUR)

    assert members(shop) == hashed("2@example.com")


def test_a_simulated_database_opens_no_other_client_than_the_outbox(shop):
    with pytest.raises(ModeError, match="outbox only"):
        factory.open_platform(shop.work, "meta", "meta", mode="simulated")
