"""Whoever is to be out leaves, whatever became of an answer, a page, a file or another campaign meanwhile (I16)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from config.campaign import Campaign
from config.settings import CHECKOUT
from tasks import choose, erase, sync
from tasks.platforms.base import Outcome, Person, Taken
from tasks.rules.errors import Busy, Unanswered
from tasks.store import erasure, runs
from tasks.store.workspace import Workspace
from tests.planning_world import DAY, NOON, Shop, campaign
from tests.platforms.test_audiences import dispatch_removals, members
from tests.platforms.test_shared_audiences import one, other
from tests.platforms.test_sync import LATER, MINUTE, Elsewhere, Whole, dispatch, hashed, run, seen

AUDIENCE = "lapsing_customers"


@pytest.fixture
def shop(make_workspace: Callable[..., Workspace]) -> Shop:
    """Five people who are to be in and of whom nobody was told yet."""
    found = Shop(make_workspace(mode="simulated"))
    for number in "12345":
        found.lapses(number)
        found.consents(number, "meta")
    found.run(campaign(platforms=[]))
    return found


@pytest.fixture
def platform(shop: Shop) -> Elsewhere:
    """One that took everybody, though its answer about 4 and 5 was lost."""
    found = Elsewhere()
    found.fails, found.is_taken_all_the_same = [None, Unanswered("no answer")], True
    with pytest.raises(Unanswered):
        run(shop, found)
    found.is_taken_all_the_same = False
    assert found.audiences[AUDIENCE] == hashed(*"12345")
    return found


def _takes_nobody(_: str, __: Sequence[Person]) -> Taken:
    return Taken(is_partial=True)


def test_after_a_lost_answer_also_when_a_dispatch_came_in_between(shop: Shop, platform: Elsewhere):
    dispatch(shop, platform, NOON + MINUTE)
    shop.buys("4", "2026-06-10")

    dispatch(shop, platform, LATER)

    assert platform.audiences[AUDIENCE] == hashed(*"1235")


def test_after_a_lost_answer_also_when_the_page_was_refused_the_second_time(shop: Shop, platform: Elsewhere):
    platform.fails = [Busy("not now")]
    with pytest.raises(Busy):
        run(shop, platform, NOON + MINUTE)
    shop.buys("4", "2026-06-10")

    dispatch(shop, platform, LATER)

    assert platform.audiences[AUDIENCE] == hashed(*"1235")


def test_after_a_lost_answer_whoever_is_wanted_is_told_again_and_then_it_is_quiet(shop: Shop, platform: Elsewhere):
    platform.audiences[AUDIENCE] -= hashed(*"45")  # it had not taken them after all

    run(shop, platform, NOON + MINUTE)

    assert platform.audiences[AUDIENCE] == hashed(*"12345")
    calls = len(platform.calls)
    run(shop, platform, NOON + 2 * MINUTE)
    assert [call for call in platform.calls[calls:] if call[0] in ("add", "remove")] == []


def test_after_a_lost_answer_under_the_contact_they_came_in_with(shop: Shop, platform: Elsewhere):
    shop._run("update core.customers set email_canonical = 'new@example.com' where customer_id = '4'", [{}])
    run(shop, platform, NOON + MINUTE)
    shop.buys("4", "2026-06-10")

    dispatch(shop, platform, LATER)
    run(shop, platform, LATER + MINUTE)

    assert platform.audiences[AUDIENCE] == hashed(*"1235")


def test_a_dispatch_that_began_before_the_page_was_told(shop: Shop):
    platform = Elsewhere()
    add = platform.add

    def meanwhile(audience: str, people: Sequence[Person]) -> Taken:
        platform.add = add
        shop.buys("1", "2026-06-10")
        dispatch(shop, platform, LATER)  # began a minute before the run
        add(audience, people)
        raise Unanswered("no answer")

    platform.add = meanwhile
    with pytest.raises(Unanswered):
        run(shop, platform, LATER + MINUTE)

    dispatch(shop, platform, LATER + 2 * MINUTE)
    run(shop, platform, LATER + 3 * MINUTE)

    assert platform.audiences[AUDIENCE] == hashed(*"2345")


def test_an_erasure_waits_for_whoever_may_be_in(shop: Shop, platform: Elsewhere):
    with runs.begin(shop.work, "erase", None, NOON + MINUTE) as begun:
        opened = shop.work.database.repeated(
            lambda connection: erasure.begin(shop.work, connection, customer_id="4", at=begun.as_of)
        )
        platform.fails = [Unanswered("no answer")] * 2
        with pytest.raises(Unanswered):
            sync.removals(begun, connect=lambda run, name: platform)
        receipt = erase._finish(shop.work, opened, lambda _: None)
    assert not receipt.is_complete
    platform.fails = []

    dispatch(shop, platform, LATER)

    assert platform.audiences[AUDIENCE] == hashed(*"1235")


def test_a_removal_that_a_platform_did_in_part_is_told_again(shop: Shop):
    platform = Elsewhere()
    run(shop, platform)
    shop.buys("1", "2026-06-10")
    shop.buys("2", "2026-06-10")
    platform.is_slow = True
    dispatch(shop, platform, LATER)
    platform.later.popitem()
    platform.audiences[AUDIENCE] -= hashed("2")  # one of the two left
    platform.outcome = Outcome("partial", words="PROCESSING_ERROR (1)")
    dispatch(shop, platform, LATER + 60 * MINUTE)
    platform.is_slow = False

    dispatch(shop, platform, LATER + 61 * MINUTE)

    assert platform.audiences[AUDIENCE] == hashed(*"345")


def test_a_removal_without_an_answer_within_a_day_is_told_again(shop: Shop):
    platform = Elsewhere()
    run(shop, platform)
    shop.buys("1", "2026-06-10")
    platform.is_slow, platform.outcome = True, Outcome("waiting")
    dispatch(shop, platform, LATER)
    dispatch(shop, platform, LATER + DAY + MINUTE)
    platform.is_slow = False

    dispatch(shop, platform, LATER + DAY + 2 * MINUTE)

    assert platform.audiences[AUDIENCE] == hashed(*"2345")


@pytest.mark.parametrize("kind", [Elsewhere, Whole])
def test_a_removal_of_which_nobody_says_who_left_is_told_again(shop: Shop, kind: type[Elsewhere]):
    platform = kind()
    run(shop, platform)
    shop.buys("1", "2026-06-10")
    remove, platform.remove = platform.remove, _takes_nobody
    dispatch(shop, platform, LATER)
    platform.remove = remove
    assert (seen(shop)["to_remove"], seen(shop)["applied"]) == (1, 5)

    dispatch(shop, platform, LATER + MINUTE)

    assert platform.audiences[AUDIENCE] == hashed(*"2345")


def test_people_of_whom_nobody_says_who_came_in_are_told_again(shop: Shop):
    platform = Elsewhere()
    add, platform.add = platform.add, _takes_nobody
    run(shop, platform)
    platform.add = add

    run(shop, platform, NOON + MINUTE)

    assert platform.audiences[AUDIENCE] == hashed(*"12345")


class MadeOf(Whole):
    """As TikTok: an audience is made of its first people; the answer to that is lost once."""

    is_lost = True

    def create(self, name: str, first: Sequence[Person]) -> str:
        super().create(name, first)
        self.audiences[name] = {person["email"] for person in first}
        if self.is_lost:
            self.is_lost = False
            raise Unanswered("no answer")
        return name


@pytest.mark.parametrize("buyers", ["1", "12345"])
def test_who_was_made_into_an_audience_by_a_call_whose_answer_was_lost(shop: Shop, buyers: str):
    platform = MadeOf()
    with pytest.raises(Unanswered):
        run(shop, platform)
    for number in buyers:
        shop.buys(number, "2026-06-10")

    dispatch(shop, platform, LATER)

    assert not platform.audiences[AUDIENCE] & hashed(*buyers)


def test_who_was_made_into_an_audience_that_took_no_page_after_that(shop: Shop):
    platform = MadeOf()
    platform.is_lost, platform.fails = False, [Busy("not now")]
    with pytest.raises(Busy):
        run(shop, platform)
    assert hashed("1") <= platform.audiences[AUDIENCE]
    shop.buys("1", "2026-06-10")

    dispatch(shop, platform, LATER)

    assert not platform.audiences[AUDIENCE] & hashed("1")


def test_whom_another_campaign_wants_and_never_told_the_platform_of(make_workspace: Callable[..., Workspace]):
    shop, platform = Shop(make_workspace(mode="simulated")), Elsewhere()
    for number in "19":
        shop.lapses(number)
        shop.consents(number, "meta")

    def go(found: Campaign, at: datetime) -> None:
        with runs.begin(shop.work, "reengage", found, at) as begun:
            choose.members(begun)
            sync.audiences(begun, connect=lambda run, name: platform)

    go(one(), NOON)
    platform.fails = [Busy("not now")]
    with pytest.raises(Busy):
        go(other(), NOON + MINUTE)
    over = one(period={"end": "2026-06-09"})
    go(over, NOON + DAY)
    shop.buys("1", "2026-06-10")

    go(other(), LATER + MINUTE)
    go(over, LATER + MINUTE)

    assert platform.audiences["win back"] == hashed("9")


def test_while_the_campaigns_file_cannot_be_read(make_workspace: Callable[..., Workspace], tmp_path: Path):
    config = Path(shutil.copytree(CHECKOUT / "config", tmp_path / "config"))
    shop = Shop(make_workspace(mode="simulated", config=config))
    shop.lapses("1")
    shop.consents("1", "meta")
    shop.run(shop.work.campaign(AUDIENCE))
    assert members(shop) == hashed("1")
    file = config / "campaigns" / AUDIENCE / "campaign.yaml"
    file.write_text(file.read_text() + "\nnonsense: 1\n")
    shop.buys("1", "2026-06-10")

    dispatch_removals(shop, NOON + 2 * DAY)

    assert members(shop) == set()


def test_a_paused_campaign_takes_nobody_in_whom_it_wanted_before(shop: Shop):
    platform = Elsewhere()
    platform.fails = [Busy("not now")]
    with pytest.raises(Busy):
        run(shop, platform)
    shop._run("insert into campaign.campaigns (campaign, state) values ('lapsing_customers', 'paused')", [{}])

    run(shop, platform, NOON + MINUTE)

    assert platform.audiences[AUDIENCE] == set()


@pytest.mark.parametrize("first", ["1", "0"], ids=["under the id that goes", "under the id that stays"])
def test_who_turns_out_to_be_somebody_held_out_earlier(shop: Shop, first: str):
    platform = Elsewhere()
    shop.customer("0", email_canonical="0@example.com")
    held, member = ("1", "0") if first == "1" else ("0", "1")
    shop._run(f"update campaign.enrolments set customer_id = '{member}' where customer_id = '1'", [{}])
    shop.consents("0", "meta")
    run(shop, platform, NOON + MINUTE)
    assert hashed(member) <= platform.audiences[AUDIENCE]
    shop._run(
        "insert into campaign.enrolments (campaign, customer_id, episode, anchor_at, enrolled_at, run_id,"
        " experiment_version, arm, variant, assigned_u, variant_u, first_in_experiment, segment_sha256, config_sha256)"
        f" select campaign, '{held}', 'earlier', anchor_at, enrolled_at - interval '1 day', run_id,"
        " experiment_version, 'holdout', variant, assigned_u, variant_u, true, segment_sha256, config_sha256"
        f" from campaign.enrolments where customer_id = '{member}'", [{}],
    )  # fmt: skip
    dispatch(shop, platform, NOON + 2 * MINUTE)
    assert hashed(member) <= platform.audiences[AUDIENCE], "they are two people yet"
    shop.merges("1", "0")

    dispatch(shop, platform, NOON + 3 * MINUTE)

    assert not platform.audiences[AUDIENCE] & hashed("0", "1")
    run(shop, platform, NOON + 4 * MINUTE)
    assert not platform.audiences[AUDIENCE] & hashed("0", "1")
