"""What a platform says later, refuses, loses or does by halves: membership ends as it should, and people see why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest

from tasks import sync
from tasks.platforms import identity
from tasks.platforms.base import Outcome, Person, Size, Taken
from tasks.rules.errors import Busy, Misconfigured, Unanswered
from tasks.store import audiences, runs
from tests.planning_world import DAY, NOON, Shop, campaign

MINUTE = timedelta(minutes=1)
LATER = NOON + DAY  # somebody bought before it


class Elsewhere:
    """An ad platform of our own making, which keeps its audiences and does as a test says."""

    page: ClassVar[int] = 3

    def __init__(self) -> None:
        self.audiences: dict[str, set[str]] = {}
        self.calls: list[tuple[str, int]] = []
        self.later: dict[str, Callable[[], None]] = {}  # requests that are only taken, and what they do
        self.is_slow = False
        self.outcome = Outcome("done")
        self.refuses: dict[str, str] = {}  # email -> why
        self.fails: list[BaseException | None] = []  # one per call that tells; None: it passes
        self.is_taken_all_the_same = False
        self.partly: list[bool] = []
        self.says = Size(1000, 2000, 0.5, is_usable=True)

    def find(self, name: str) -> str | None:
        return name if name in self.audiences else None

    def create(self, name: str, first: Sequence[Person]) -> str:
        assert first
        self.calls.append(("create", len(first)))
        self.audiences[name] = set()
        return name

    def add(self, audience: str, people: Sequence[Person]) -> Taken:
        return self._told("add", audience, people, self.audiences[audience].update)

    def remove(self, audience: str, people: Sequence[Person]) -> Taken:
        return self._told("remove", audience, people, self.audiences[audience].difference_update)

    def ask(self, request: str) -> Outcome:
        if self.outcome.state == "done":
            self.later.pop(request)()
        return self.outcome

    def size(self, audience: str) -> Size:
        self.calls.append(("size", len(self.audiences[audience])))
        return self.says

    def close(self) -> None:
        """There is nothing to let go of."""

    def _told(self, verb: str, audience: str, people: Sequence[Person], act: Callable[[set[str]], Any]) -> Taken:
        self.calls.append((verb, len(people)))
        assert len(people) <= self.page
        emails = [person["email"] for person in people]
        refused = {place: self.refuses[email] for place, email in enumerate(emails) if email in self.refuses}
        taken = set(emails) - set(self.refuses)
        error = self.fails.pop(0) if self.fails else None
        if error and not self.is_taken_all_the_same:
            raise error
        if self.is_slow:
            number = f"r{len(self.calls)}"
            self.later[number] = lambda: act(taken)
            return Taken(number)
        act(taken)
        if error:
            raise error
        return Taken(refused=refused, is_partial=bool(self.partly and self.partly.pop(0)))


class Whole(Elsewhere):
    """One that takes a whole audience at once; `meanwhile` happens before it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] = lambda: None

    def replace(self, audience: str, people: Iterable[Person]) -> Taken:
        told = {person["email"] for person in people}
        self.calls.append(("replace", len(told)))
        self.meanwhile()
        self.audiences[audience] = told
        return Taken()


@pytest.fixture
def shop(make_workspace: Callable[..., Any]) -> Shop:
    """Five people who lapsed and may be told Meta about."""
    found = Shop(make_workspace(mode="simulated"))
    for number in "12345":
        found.lapses(number)
        found.consents(number, "meta")
    found.run(campaign(platforms=[]))
    return found


def hashed(*people: str) -> set[str]:
    return {identity.identifiers("meta", identity.Contact(f"{number}@example.com"))["email"] for number in people}


def run(shop: Shop, platform: Elsewhere, at: datetime = NOON, **given: Any) -> dict[str, int]:
    with runs.begin(shop.work, "reengage", campaign(**given), at) as begun:
        return sync.audiences(begun, connect=lambda run, name: platform)


def dispatch(shop: Shop, platform: Elsewhere, at: datetime) -> dict[str, int]:
    with runs.begin(shop.work, "dispatch", None, at) as begun:
        return sync.removals(begun, connect=lambda run, name: platform)


def seen(shop: Shop) -> dict[str, Any]:
    (row,) = shop.rows("select * from evaluation.audiences")
    return row


def test_an_audience_is_made_once_and_found_by_its_name_afterwards(shop):
    platform = Elsewhere()

    run(shop, platform)
    shop._run("delete from campaign.audiences", [{}])
    shop.buys("1", "2026-06-10")
    dispatch(shop, platform, LATER + MINUTE)

    assert platform.audiences == {"lapsing_customers": hashed("2", "3", "4", "5")}
    assert [call for call in platform.calls if call[0] != "size"] == [
        ("create", 3), ("add", 3), ("add", 2), ("remove", 1),
    ]  # fmt: skip


def test_an_unchanged_audience_is_told_nothing(shop):
    platform = Elsewhere()
    run(shop, platform)
    told = list(platform.calls)

    assert run(shop, platform, NOON + MINUTE) == {}

    assert platform.calls == told


def test_what_is_only_taken_is_in_flight_until_the_platform_says_what_became_of_it(shop):
    platform = Elsewhere()
    platform.is_slow = True
    run(shop, platform)
    assert (seen(shop)["applied"], seen(shop)["in_flight"]) == (5, 5)

    dispatch(shop, platform, NOON + 29 * MINUTE)
    assert seen(shop)["in_flight"] == 5  # not asked yet
    platform.outcome = Outcome("waiting")
    dispatch(shop, platform, NOON + 30 * MINUTE)
    assert seen(shop)["in_flight"] == 5
    platform.outcome = Outcome("done", 3, 2)
    dispatch(shop, platform, NOON + 60 * MINUTE)

    assert (seen(shop)["applied"], seen(shop)["in_flight"]) == (5, 0)
    assert platform.audiences["lapsing_customers"] == hashed(*"12345")
    told = shop.rows("select state, received, matched from campaign.audience_requests order by request_id")
    assert told == [{"state": "done", "received": 3, "matched": 2}] * 2


def test_what_failed_afterwards_is_told_again(shop):
    platform = Elsewhere()
    platform.is_slow = True
    run(shop, platform)
    platform.outcome = Outcome("failed", words="no such list")
    dispatch(shop, platform, NOON + 30 * MINUTE)
    assert (seen(shop)["to_add"], seen(shop)["in_flight"]) == (5, 0)
    platform.is_slow = False

    run(shop, platform, NOON + 31 * MINUTE)

    assert platform.audiences["lapsing_customers"] == hashed(*"12345")
    states = shop.rows("select state, words from campaign.audience_requests order by request_id")
    assert states[:2] == [{"state": "failed", "words": "no such list"}] * 2


def test_a_platform_that_took_a_page_and_says_no_more_within_a_day_is_believed(shop):
    platform = Elsewhere()
    platform.is_slow = True
    run(shop, platform)
    platform.outcome = Outcome("waiting")
    dispatch(shop, platform, NOON + DAY - MINUTE)
    assert seen(shop)["in_flight"] == 5

    dispatch(shop, platform, NOON + DAY + 30 * MINUTE)

    assert (seen(shop)["applied"], seen(shop)["in_flight"]) == (5, 0)
    states = shop.rows("select state, words from campaign.audience_requests")
    assert states == [{"state": "done", "words": "no answer within a day"}] * 2


def test_who_was_told_to_leave_and_did_not_is_told_again(shop):
    platform = Elsewhere()
    run(shop, platform)
    shop.buys("1", "2026-06-10")
    platform.is_slow = True
    dispatch(shop, platform, LATER + MINUTE)
    assert (seen(shop)["applied"], seen(shop)["in_flight"]) == (4, 1)
    platform.outcome = Outcome("failed")
    dispatch(shop, platform, LATER + 60 * MINUTE)
    assert seen(shop)["to_remove"] == 1
    platform.is_slow = False

    dispatch(shop, platform, LATER + 61 * MINUTE)

    assert platform.audiences["lapsing_customers"] == hashed(*"2345")
    assert seen(shop)["to_remove"] == 0


def test_a_buyer_whose_coming_in_is_not_answered_leaves_at_once_and_once_more_after_it(shop):
    platform = Elsewhere()
    platform.is_slow = True
    run(shop, platform)
    shop.buys("1", "2026-06-10")
    platform.is_slow = False  # the removal overtakes what waits

    dispatch(shop, platform, LATER + 30 * MINUTE)
    assert hashed("1") <= platform.audiences["lapsing_customers"], "the addition came after the removal"
    assert seen(shop)["oldest_removal_at"] == LATER + 30 * MINUTE
    dispatch(shop, platform, LATER + 35 * MINUTE)

    assert platform.audiences["lapsing_customers"] == hashed(*"2345")
    assert seen(shop)["oldest_removal_at"] is None


def test_who_is_refused_is_seen_with_the_reason_and_asked_again_with_another_contact_only(shop):
    platform = Elsewhere()
    (bad,) = hashed("2")
    platform.refuses = {bad: "invalid_identifier"}

    counts = run(shop, platform)
    told = list(platform.calls)
    run(shop, platform, NOON + MINUTE)

    assert counts == {"meta added": 4, "meta refused: invalid_identifier": 1}
    assert platform.calls == told
    assert (seen(shop)["refused"], seen(shop)["to_add"]) == (1, 0)
    (refused,) = shop.rows("select verb, reason, people from evaluation.refused_members")
    assert refused == {"verb": "add", "reason": "invalid_identifier", "people": 1}
    shop._run("update core.customers set email_canonical = 'new@example.com' where customer_id = '2'", [{}])

    run(shop, platform, NOON + 2 * MINUTE)

    assert len(platform.audiences["lapsing_customers"]) == 5
    assert shop.rows("select * from evaluation.refused_members") == []


def test_who_may_not_leave_is_told_at_every_sync_and_seen(shop):
    platform = Elsewhere()
    run(shop, platform)
    shop.buys("1", "2026-06-10")
    (bad,) = hashed("1")
    platform.refuses = {bad: "list_is_locked"}

    for number in (1, 2):
        dispatch(shop, platform, LATER + number * MINUTE)

    assert platform.calls[-2:] == [("remove", 1)] * 2
    (refused,) = shop.rows("select verb, reason, people from evaluation.refused_members")
    assert refused == {"verb": "remove", "reason": "list_is_locked", "people": 1}
    assert seen(shop)["oldest_removal_at"] == LATER + MINUTE


def test_an_old_contact_that_may_not_leave_is_seen_and_has_an_age(shop):
    platform = Elsewhere()
    run(shop, platform)
    shop._run("update core.customers set email_canonical = 'new@example.com' where customer_id = '1'", [{}])
    (old,) = hashed("1")
    platform.refuses = {old: "list_is_locked"}

    for number in (1, 2):
        run(shop, platform, NOON + number * MINUTE)

    assert (seen(shop)["wanted"], seen(shop)["applied"], seen(shop)["to_remove"]) == (5, 5, 1)
    assert seen(shop)["oldest_removal_at"] == NOON + MINUTE
    (refused,) = shop.rows("select verb, reason, people from evaluation.refused_members")
    assert refused == {"verb": "remove", "reason": "list_is_locked", "people": 1}

    platform.refuses = {}
    run(shop, platform, NOON + 3 * MINUTE)
    assert old not in platform.audiences["lapsing_customers"]
    assert (seen(shop)["to_remove"], seen(shop)["oldest_removal_at"]) == (0, None)


def test_who_was_told_to_leave_has_an_age_until_the_platform_says_they_are_out(shop):
    platform = Elsewhere()
    run(shop, platform)
    shop.buys("1", "2026-06-10")
    platform.is_slow = True
    dispatch(shop, platform, LATER)
    assert platform.audiences["lapsing_customers"] == hashed(*"12345")
    row = seen(shop)
    assert (row["to_remove"], row["leaving"], row["oldest_removal_at"]) == (0, 1, LATER)

    dispatch(shop, platform, LATER + 30 * MINUTE)

    assert platform.audiences["lapsing_customers"] == hashed(*"2345")
    row = seen(shop)
    assert (row["to_remove"], row["leaving"], row["oldest_removal_at"]) == (0, 0, None)


def test_who_is_not_taken_and_belongs_in_no_more_is_refused_no_more(shop):
    platform = Elsewhere()
    (bad,) = hashed("2")
    platform.refuses = {bad: "invalid_identifier"}
    run(shop, platform)
    shop.buys("2", "2026-06-10")

    dispatch(shop, platform, LATER)

    assert shop.rows("select * from evaluation.refused_members") == []


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_page_whose_answer_was_lost_is_told_again(shop, is_taken):
    platform = Elsewhere()
    platform.fails = [None, Unanswered("no answer")]
    platform.is_taken_all_the_same = is_taken
    with pytest.raises(Unanswered):
        run(shop, platform)

    run(shop, platform, NOON + MINUTE)

    assert platform.audiences["lapsing_customers"] == hashed(*"12345")
    assert [call for call in platform.calls if call[0] == "add"] == [("add", 3), ("add", 2), ("add", 2)]


class Dies(BaseException):
    """The process ends: nothing after the call happens."""


@pytest.mark.parametrize("by", [run, dispatch])
@pytest.mark.parametrize("ends", [Unanswered("no answer"), Dies()], ids=["unanswered", "dies"])
def test_who_may_be_in_by_a_page_without_an_answer_and_buys_is_told_to_leave(shop, by, ends):
    platform = Elsewhere()
    platform.fails = [None, ends]
    platform.is_taken_all_the_same = True
    with pytest.raises(type(ends)):
        run(shop, platform)
    assert platform.audiences["lapsing_customers"] == hashed(*"12345")
    shop.buys("4", "2026-06-10")

    by(shop, platform, LATER)
    assert platform.audiences["lapsing_customers"] == hashed(*"1235")

    run(shop, platform, LATER + MINUTE)
    assert platform.audiences["lapsing_customers"] == hashed(*"1235")
    assert (seen(shop)["applied"], seen(shop)["to_remove"], seen(shop)["in_flight"]) == (4, 0, 0)
    calls = list(platform.calls)
    run(shop, platform, LATER + 2 * MINUTE)
    assert platform.calls == calls, "it is settled"


def test_who_may_be_in_is_told_to_leave_until_the_platform_has_heard_it(shop):
    platform = Elsewhere()
    platform.fails = [None, Dies()]
    platform.is_taken_all_the_same = True
    with pytest.raises(Dies):
        run(shop, platform)
    shop.buys("4", "2026-06-10")
    platform.fails, platform.is_taken_all_the_same = [Unanswered("no answer")], False
    with pytest.raises(Unanswered):
        dispatch(shop, platform, LATER)

    dispatch(shop, platform, LATER + MINUTE)

    assert platform.audiences["lapsing_customers"] == hashed(*"1235")


def test_a_page_that_was_certainly_not_taken_recalls_nobody(shop):
    platform = Elsewhere()
    platform.fails = [None, Busy("elsewhere: not now")]
    with pytest.raises(Busy):
        run(shop, platform)
    shop.buys("4", "2026-06-10")

    dispatch(shop, platform, LATER)

    assert [call for call in platform.calls if call[0] == "remove"] == []


def test_ids_of_any_kind_come_in_and_go_out(shop):
    hostile = ["\\.", "\\N", 'a"b\\', "tab\there", "two\nlines\r", "ünï,{cöde}", "null", "' or 1=1 --"]
    for number, customer in enumerate(hostile):
        shop.lapses(customer, email_canonical=f"hostile{number}@example.com")
        shop.consents(customer, "meta")
    shop.run(campaign(platforms=[]))
    platform = Elsewhere()

    run(shop, platform)
    told = {f"hostile{number}" for number in range(len(hostile))}
    assert platform.audiences["lapsing_customers"] == hashed(*"12345", *told)
    kept = shop.rows("select customer_id, identifiers, contact_sha256, applied_contact_sha256 as known"
                     " from campaign.audience_members where applied")  # fmt: skip
    assert {row["customer_id"] for row in kept} == {*"12345", *hostile}
    assert {row["identifiers"]["email"] for row in kept} == platform.audiences["lapsing_customers"]
    assert all(row["contact_sha256"] == row["known"] for row in kept)
    for customer in hostile:
        shop.consents(customer, "meta", "withdrawn", at="2026-06-09")
    run(shop, platform, LATER)

    assert platform.audiences["lapsing_customers"] == hashed(*"12345")
    assert (seen(shop)["applied"], seen(shop)["to_remove"]) == (5, 0)


def test_who_buys_while_their_page_is_read_ahead_leaves_with_the_next_sync(shop):
    platform = Elsewhere()
    add = platform.add

    def first_page_takes_long(audience: str, people: Sequence[Person]) -> Taken:
        platform.add = add
        shop.buys("5", "2026-06-10")
        dispatch(shop, platform, LATER + MINUTE)
        return add(audience, people)

    platform.add = first_page_takes_long
    run(shop, platform, LATER)

    dispatch(shop, platform, LATER + 2 * MINUTE)

    assert platform.audiences["lapsing_customers"] == hashed(*"1234")
    assert (seen(shop)["applied"], seen(shop)["to_remove"]) == (4, 0)


@pytest.mark.parametrize("doubt", ["a lost answer", "taken by halves"])
def test_where_a_platform_takes_all_at_once_a_doubt_ends_with_everybody_told_anew(shop, doubt):
    platform = Whole()
    if doubt == "a lost answer":
        platform.fails = [Unanswered("no answer")]
        with pytest.raises(Unanswered):
            run(shop, platform)
    else:
        platform.partly = [True]
        run(shop, platform)
    platform.audiences["lapsing_customers"] = hashed("5") | {"somebody who left long ago"}

    counts = run(shop, platform, NOON + MINUTE)
    told = list(platform.calls)
    run(shop, platform, NOON + 2 * MINUTE)

    assert platform.audiences["lapsing_customers"] == hashed(*"12345")
    assert counts["meta told anew"] == 5
    assert platform.calls == told, "once was enough"
    assert (seen(shop)["applied"], seen(shop)["to_add"]) == (5, 0)


def test_who_buys_while_everybody_is_told_anew_leaves_all_the_same(shop):
    platform = Whole()
    platform.partly = [True]
    run(shop, platform)

    def buys() -> None:
        shop.buys("1", "2026-06-10")
        dispatch(shop, platform, LATER + 2 * MINUTE)

    platform.meanwhile = buys
    run(shop, platform, LATER + MINUTE)
    assert hashed("1") <= platform.audiences["lapsing_customers"]  # what was told anew came after the removal

    dispatch(shop, platform, LATER + 3 * MINUTE)

    assert platform.audiences["lapsing_customers"] == hashed(*"2345")


def test_what_keeps_an_audience_from_being_told_is_seen_in_the_platforms_words_until_it_works_again(shop):
    platform = Elsewhere()
    platform.fails = [Misconfigured("meta: Error validating access token: Session has expired")]
    with pytest.raises(Misconfigured):
        run(shop, platform)
    assert seen(shop)["trouble"] == "meta: Error validating access token: Session has expired"
    platform.fails = [Busy("meta: too many calls")]
    with pytest.raises(Busy):
        run(shop, platform, NOON + MINUTE)
    assert (seen(shop)["trouble"], seen(shop)["trouble_since"]) == ("meta: too many calls", NOON)

    run(shop, platform, NOON + 2 * MINUTE)

    assert (seen(shop)["trouble"], seen(shop)["applied"]) == (None, 5)


def test_the_size_is_kept_once_a_day(shop):
    platform = Elsewhere()
    run(shop, platform)
    run(shop, platform, NOON + MINUTE)
    platform.says = Size(words="too small to say", is_usable=False)
    run(shop, platform, NOON + DAY)

    assert [call for call in platform.calls if call[0] == "size"] == [("size", 5)] * 2
    sizes = shop.rows("select least, most, match_rate, is_usable, words from evaluation.audience_sizes"
                      " order by measured_on")  # fmt: skip
    assert sizes == [
        {"least": 1000, "most": 2000, "match_rate": 0.5, "is_usable": True, "words": ""},
        {"least": None, "most": None, "match_rate": None, "is_usable": False, "words": "too small to say"},
    ]
    assert seen(shop)["is_usable"] is False


def test_where_only_the_outbox_was_told_before_everybody_is_told_anew(shop):
    run(shop, Elsewhere())
    with shop.work.database.transaction() as connection:  # the platform is named from here on
        (told,) = audiences.of_campaign(shop.work.queries, connection, "lapsing_customers")
        audiences.forget(shop.work.queries, connection, told, "meta")
    shop.lapses("6")
    shop.consents("6", "meta")
    shop.run(campaign(platforms=[]), NOON + MINUTE)
    platform = Elsewhere()

    run(shop, platform, NOON + 2 * MINUTE)
    run(shop, platform, NOON + 3 * MINUTE)

    assert platform.audiences["lapsing_customers"] == hashed(*"123456")


def test_people_at_a_platform_that_is_no_longer_named_are_not_forgotten(shop):
    there, outbox = Elsewhere(), Elsewhere()
    run(shop, there)
    shop._run("update campaign.audiences set provider = 'meta'", [{}])  # as it is where nobody names meta any more
    shop.buys("1", "2026-06-10")

    dispatch(shop, outbox, LATER)
    run(shop, outbox, LATER + MINUTE)

    assert outbox.audiences == {}
    (trouble,) = shop.rows("select words from campaign.audience_troubles")
    assert "meta is no longer among the ad_platforms of reengage.yaml" in trouble["words"]
    assert seen(shop)["to_remove"] == 1

    shop._run("update campaign.audiences set provider = 'outbox'", [{}])  # named again
    dispatch(shop, there, LATER + 2 * MINUTE)

    assert there.audiences["lapsing_customers"] == hashed(*"2345")
    assert shop.rows("select words from campaign.audience_troubles") == []
