"""Where a platform lets nobody go because an audience would become too small, everybody leaves with the audience."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, ClassVar

import pytest

from config.platforms import Meta, Tiktok
from config.settings import Settings
from tasks import choose, http, sync
from tasks.platforms.base import NOBODY, TOO_SMALL, UNKNOWN, Outcome, Person, Platform, Taken
from tasks.platforms.meta import MetaPlatform
from tasks.platforms.tiktok import TiktokPlatform
from tasks.rules.errors import Refused, Unanswered
from tasks.store import runs
from tasks.store.workspace import Workspace
from tests.channels.loopback import Mode
from tests.planning_world import NOON, Shop, campaign
from tests.platforms import meta_server, tiktok_server
from tests.platforms.test_sync import LATER, MINUTE, Elsewhere, Whole, dispatch, hashed, run, seen
from tests.send.worker import context


class SmallMeta(MetaPlatform):
    """Meta where ads need as few people as its server here keeps."""

    smallest: ClassVar[int] = meta_server.SMALLEST


class Small(Whole):
    """A platform of our own that refuses, deletes, and forgets who was in."""

    smallest: ClassVar[int] = 3

    def __init__(self) -> None:
        super().__init__()
        self.keeps_minimum = True
        self.may_not: list[Exception] = []  # what a deletion ends with instead

    def remove(self, audience: str, people: Sequence[Person]) -> Taken:
        if audience not in self.audiences:
            raise Refused("small: no such audience", UNKNOWN)
        left = self.audiences[audience] - {person["email"] for person in people}
        if self.keeps_minimum and len(left) < self.smallest:
            raise Refused("small: the audience would become too small", TOO_SMALL)
        return super().remove(audience, people)

    def delete(self, audience: str) -> None:
        self.calls.append(("delete", len(self.audiences.get(audience, ()))))
        if self.may_not:
            raise self.may_not.pop(0)
        if self.audiences.pop(audience, None) is None:
            raise Refused("small: no such audience", UNKNOWN)


@pytest.fixture
def shop(make_workspace: Callable[..., Any]) -> Shop:
    """Three people who lapsed and may be told Meta about."""
    found = Shop(make_workspace(mode="simulated"))
    come(found, "123")
    return found


@pytest.fixture
def meta() -> Iterator[meta_server.MetaServer]:
    with meta_server.MetaServer().running() as running:
        running.keeps_minimum = True
        yield running


@pytest.fixture
def tiktok() -> Iterator[tiktok_server.Tiktok]:
    with tiktok_server.Tiktok().running() as running:
        running.keeps_minimum = True
        yield running


def come(shop: Shop, numbers: str, at=NOON, platform: str = "meta") -> None:
    for number in numbers:
        shop.lapses(number)
        shop.consents(number, platform)
    with runs.begin(shop.work, "reengage", campaign(), at) as begun:
        choose.members(begun)


def of_meta(url: str) -> MetaPlatform:
    headers = {"Authorization": f"Bearer {meta_server.TOKEN}"}
    options = Meta(platform="meta", endpoint=url, ad_account=meta_server.ACCOUNT, api_version=meta_server.VERSION)
    return SmallMeta(http.client(url, timeout=5, headers=headers), options, seconds=5)


def of_tiktok(ads: tiktok_server.Tiktok) -> TiktokPlatform:
    options = Tiktok(platform="tiktok", endpoint=ads.url, advertiser=ads.advertiser)
    return TiktokPlatform(http.client(ads.url, timeout=5, headers={"Access-Token": ads.token}), options, seconds=5)


def people(server: meta_server.MetaServer) -> set[str]:
    """Who Meta has in any audience."""
    return {one["EMAIL"] for audience in server.audiences.values() for one in audience.people}


def told(shop: Shop, act: Callable[..., dict[str, int]], open_: Callable[[], Platform], at, **given: Any) -> dict:
    """A run or dispatch over a client of its own for each thing it does, as in life."""
    flow = "reengage" if act is sync.audiences else "dispatch"
    with runs.begin(shop.work, flow, campaign(**given) if flow == "reengage" else None, at) as begun:
        return act(begun, connect=lambda run, name: open_())


def test_meta_deletes_an_audience_that_lets_nobody_go_and_makes_it_again_of_enough_people(shop, meta):
    told(shop, sync.audiences, lambda: of_meta(meta.url), NOON)
    (first,) = meta.audiences
    shop.buys("1", "2026-06-10")

    counts = told(shop, sync.removals, lambda: of_meta(meta.url), LATER + MINUTE)

    assert not meta.audiences
    assert counts == {"meta removed with the audience": 3}
    row = seen(shop)
    assert (row["wanted"], row["applied"], row["to_add"], row["to_remove"], row["in_flight"]) == (2, 0, 2, 0, 0)
    assert (row["oldest_removal_at"], row["deleted_at"], row["enough"]) == (None, LATER + MINUTE, 4)
    assert shop.rows("select from campaign.audience_members where identifiers is not null") == []

    come(shop, "4", LATER + 2 * MINUTE)
    told(shop, sync.audiences, lambda: of_meta(meta.url), LATER + 3 * MINUTE)
    assert not meta.audiences, "three are a fifth too few"
    come(shop, "5", LATER + 4 * MINUTE)
    told(shop, sync.audiences, lambda: of_meta(meta.url), LATER + 5 * MINUTE)

    assert people(meta) == hashed(*"2345")
    assert first not in {one.id for one in meta.audiences.values() if one.people == []}
    assert (seen(shop)["applied"], seen(shop)["deleted_at"], seen(shop)["trouble"]) == (4, None, None)


def test_tiktok_deletes_an_audience_that_refuses_a_removal(shop, tiktok):
    given = {"platforms": ["tiktok"]}
    for number in "123":
        shop.consents(number, "tiktok")
    tiktok.keeps_minimum = False
    told(shop, sync.audiences, lambda: of_tiktok(tiktok), NOON, **given)
    assert len(tiktok.audiences) == 1
    tiktok.keeps_minimum = True
    shop.consents("1", "tiktok", "withdrawn", at="2026-06-10")

    told(shop, sync.audiences, lambda: of_tiktok(tiktok), LATER + MINUTE, **given)

    assert not tiktok.audiences
    assert (seen(shop)["to_remove"], seen(shop)["to_add"], seen(shop)["enough"]) == (0, 2, 1000)


def test_tiktok_deletes_an_audience_that_undoes_a_removal_afterwards(shop, tiktok):
    given = {"platforms": ["tiktok"]}
    for number in "123":
        shop.consents(number, "tiktok")
    tiktok.keeps_minimum = False
    told(shop, sync.audiences, lambda: of_tiktok(tiktok), NOON, **given)
    tiktok.count()
    shop.consents("1", "tiktok", "withdrawn", at="2026-06-10")
    told(shop, sync.audiences, lambda: of_tiktok(tiktok), LATER + MINUTE, **given)
    assert (seen(shop)["applied"], seen(shop)["to_remove"]) == (2, 0)
    (audience,) = tiktok.audiences.values()
    audience.error_msg = "The audience size is less than 1,000 after the operation"

    told(shop, sync.removals, lambda: of_tiktok(tiktok), LATER + 60 * MINUTE)

    assert not tiktok.audiences
    assert (seen(shop)["to_remove"], seen(shop)["in_flight"], seen(shop)["trouble"]) == (0, 0, None)


def test_tiktok_is_asked_until_it_tells_of_the_removal_itself(shop, tiktok):
    given = {"platforms": ["tiktok"]}
    for number in "123":
        shop.consents(number, "tiktok")
    tiktok.keeps_minimum = False
    told(shop, sync.audiences, lambda: of_tiktok(tiktok), NOON, **given)
    tiktok.count()
    shop.consents("1", "tiktok", "withdrawn", at="2026-06-10")
    told(shop, sync.audiences, lambda: of_tiktok(tiktok), LATER + MINUTE, **given)
    (audience,) = tiktok.audiences.values()
    audience.history[0]["opt_time"] = "2026-06-09 12:00:00"  # all that it tells of is how people came in

    told(shop, sync.removals, lambda: of_tiktok(tiktok), LATER + 35 * MINUTE)
    asked = shop.rows("select verb, state from campaign.audience_requests where told_at = :at", at=LATER + MINUTE)
    assert {(row["verb"], row["state"]) for row in asked} == {("remove", "waiting"), ("replace", "waiting")}
    audience.error_msg = "The audience size is less than 1,000 after the operation"
    told(shop, sync.removals, lambda: of_tiktok(tiktok), LATER + 120 * MINUTE)

    assert not tiktok.audiences


@pytest.mark.parametrize("server_says", ["used by ad sets", "nothing"])
def test_where_the_audience_is_not_deleted_either_that_is_seen_and_tried_again(shop, meta, server_says):
    told(shop, sync.audiences, lambda: of_meta(meta.url), NOON)
    shop.buys("1", "2026-06-10")
    if server_says == "nothing":
        meta.conduct = Mode.DROP_AFTER
    else:
        meta.in_use = set(meta.audiences)

    with pytest.raises(Unanswered if server_says == "nothing" else Refused):
        told(shop, sync.removals, lambda: of_meta(meta.url), LATER + MINUTE)

    row = seen(shop)
    assert (row["to_remove"], row["oldest_removal_at"], row["deleted_at"]) == (1, LATER + MINUTE, None)
    assert row["trouble"].startswith("meta: ")
    meta.in_use, meta.conduct = set(), Mode.ACCEPT
    told(shop, sync.removals, lambda: of_meta(meta.url), LATER + 2 * MINUTE)
    assert not meta.audiences
    assert (seen(shop)["to_remove"], seen(shop)["trouble"]) == (0, None)


def test_who_an_audience_was_made_of_leaves_also_when_the_page_that_follows_is_refused(shop, tiktok):
    given = {"platforms": ["tiktok"]}
    for number in "123":
        shop.consents(number, "tiktok")
    with pytest.raises(Refused):
        told(shop, sync.audiences, lambda: of_tiktok(tiktok), NOON, **given)
    assert len(tiktok.audiences) == 1

    told(shop, sync.audiences, lambda: of_tiktok(tiktok), NOON + MINUTE, **given)

    assert not tiktok.audiences
    assert (seen(shop)["applied"], seen(shop)["to_add"], seen(shop)["enough"]) == (0, 3, 1000)


class Dies:
    """Meta, whose caller is killed before or after it deletes an audience."""

    def __init__(self, inner: Platform, moment: str) -> None:
        self.inner, self.moment = inner, moment
        self.smallest = meta_server.SMALLEST

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def delete(self, audience: str) -> None:
        if self.moment == "after":
            self.inner.delete(audience)
        os.kill(os.getpid(), signal.SIGKILL)


def dispatch_and_die(settings: Settings, url: str, moment: str) -> None:
    with closing(Workspace(settings)) as work, runs.begin(work, "dispatch", None, LATER + MINUTE) as begun:
        sync.removals(begun, connect=lambda run, name: Dies(of_meta(url), moment))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_around_the_deletion_the_next_dispatch_ends_in_the_same_membership(shop, meta, moment):
    told(shop, sync.audiences, lambda: of_meta(meta.url), NOON)
    shop.buys("1", "2026-06-10")
    process = context.Process(target=dispatch_and_die, args=(shop.work.settings, meta.url, moment))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert (len(meta.audiences), seen(shop)["applied"]) == (1 if moment == "before" else 0, 3)

    for number in (2, 3):
        told(shop, sync.removals, lambda: of_meta(meta.url), LATER + number * MINUTE)

    assert not meta.audiences
    row = seen(shop)
    assert (row["applied"], row["to_add"], row["to_remove"], row["trouble"]) == (0, 2, 0, None)
    assert row["enough"] == 4, "as many as were in it when it had to go"


def test_nobody_is_put_into_an_audience_whose_deletion_is_not_confirmed(shop):
    platform = Small()
    run(shop, platform)
    shop.buys("1", "2026-06-10")
    platform.may_not = [Unanswered("small: no answer")] * 2
    come(shop, "4567", LATER)
    for number in (1, 2):
        with pytest.raises(Unanswered):
            run(shop, platform, LATER + number * MINUTE)
    assert [verb for verb, _ in platform.calls if verb in ("add", "delete")] == ["add", "delete", "delete"]

    run(shop, platform, LATER + 3 * MINUTE)

    assert platform.audiences["lapsing_customers"] == hashed(*"234567"), "they are more than enough"


def test_an_audience_in_doubt_of_which_nobody_is_left_is_deleted(shop):
    platform = Small()
    platform.partly = [True]
    run(shop, platform)
    platform.keeps_minimum = False

    def replace(audience: str, people: Any) -> Taken:
        assert not list(people)
        raise Refused("small: an audience of nobody", NOBODY)

    platform.replace = replace
    for number in "123":
        shop.buys(number, "2026-06-10")
    run(shop, platform, LATER + MINUTE)

    assert platform.audiences == {}
    assert (seen(shop)["applied"], seen(shop)["trouble"]) == (0, None)


def test_what_somebody_deleted_at_the_platform_is_made_again_and_counts_nobody_as_in(shop, meta):
    told(shop, sync.audiences, lambda: of_meta(meta.url), NOON)
    meta.audiences.clear()
    shop.buys("1", "2026-06-10")

    told(shop, sync.removals, lambda: of_meta(meta.url), LATER + MINUTE)
    assert (seen(shop)["applied"], seen(shop)["to_remove"], seen(shop)["trouble"]) == (0, 0, None)
    told(shop, sync.audiences, lambda: of_meta(meta.url), LATER + 2 * MINUTE)

    assert people(meta) == hashed(*"23")


def test_an_audience_that_the_platform_lists_and_says_it_does_not_know_is_not_given_up(shop):
    class Confused(Elsewhere):
        def remove(self, audience: str, people: Sequence[Person]) -> Taken:
            raise Refused("elsewhere: no such audience", UNKNOWN)

    platform = Confused()
    run(shop, platform)
    shop.buys("1", "2026-06-10")

    with pytest.raises(Refused):
        dispatch(shop, platform, LATER + MINUTE)

    assert (seen(shop)["to_remove"], seen(shop)["trouble"]) == (1, "elsewhere: no such audience")


def test_an_audience_just_made_may_be_unknown_for_a_while(shop):
    class Slow(Elsewhere):
        knows = False

        def add(self, audience: str, people: Sequence[Person]) -> Taken:
            if not self.knows:
                self.audiences.pop(audience)
                raise Refused("elsewhere: no such audience", UNKNOWN)
            return super().add(audience, people)

    platform = Slow()
    with pytest.raises(Refused):
        run(shop, platform)
    platform.knows, platform.audiences["lapsing_customers"] = True, set()
    run(shop, platform, NOON + MINUTE)

    assert [verb for verb, _ in platform.calls].count("create") == 1
    assert platform.audiences["lapsing_customers"] == hashed(*"123")


def test_who_a_whole_audience_was_told_without_is_seen_with_the_reason(shop):
    class Picky(Whole):
        def replace(self, audience: str, people: Any) -> Taken:
            emails = [person["email"] for person in people]
            (bad,) = hashed("2")
            self.audiences[audience] = set(emails) - {bad}
            return Taken(refused={emails.index(bad): "invalid_identifier"})

    platform = Picky()
    platform.partly = [True]
    run(shop, platform)

    counts = run(shop, platform, NOON + MINUTE)
    before = list(platform.calls)
    run(shop, platform, NOON + 2 * MINUTE)

    assert counts == {"meta told anew": 2, "meta refused: invalid_identifier": 1}
    assert platform.audiences["lapsing_customers"] == hashed(*"13")
    assert platform.calls == before, "who is refused is not told again"
    assert (seen(shop)["applied"], seen(shop)["refused"], seen(shop)["to_add"]) == (2, 1, 0)
    (refused,) = shop.rows("select verb, reason, people from evaluation.refused_members")
    assert refused == {"verb": "add", "reason": "invalid_identifier", "people": 1}


def test_campaigns_that_share_an_audience_all_begin_anew_with_it(shop):
    platform = Small()
    run(shop, platform)
    shop._run(
        "insert into campaign.audience_members (platform, audience, campaign, customer_id, desired, applied,"
        " desired_at, contact_sha256, applied_contact_sha256, identifiers)"
        " select platform, audience, 'other', customer_id, true, true, desired_at, contact_sha256,"
        " applied_contact_sha256, identifiers from campaign.audience_members where customer_id = '2'",
        [{}],
    )
    shop.buys("1", "2026-06-10")
    with runs.begin(shop.work, "reengage", campaign(), LATER + MINUTE) as begun:
        sync.audiences(begun, connect=lambda run, name: platform)

    rows = shop.rows("select campaign, applied, identifiers from campaign.audience_members where customer_id = '2'")
    out = {"applied": False, "identifiers": None}
    assert rows == [{"campaign": name, **out} for name in ("lapsing_customers", "other")]


def test_a_change_that_was_taken_later_is_not_asked_for_when_its_audience_is_no_more(shop):
    platform = Small()
    platform.is_slow, platform.outcome = True, Outcome("waiting")
    run(shop, platform)
    platform.is_slow = False
    shop.buys("1", "2026-06-10")

    dispatch(shop, platform, LATER + MINUTE)

    assert {row["state"] for row in shop.rows("select state from campaign.audience_requests")} == {"done"}
    assert (seen(shop)["in_flight"], seen(shop)["applied"]) == (0, 0)
