"""Two processes that take the same rows in opposite order: PostgreSQL ends one transaction, and that begins again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
import sqlalchemy as sa

from tasks import choose, sync
from tasks.platforms.base import Person, Size, Taken
from tasks.store import runs
from tests.planning_world import DAY, NOON, Shop, campaign


@pytest.fixture
def shop(make_workspace) -> Shop:
    return Shop(make_workspace(mode="simulated"))


def until_somebody_waits(shop: Shop) -> None:
    """For a lock in this database."""
    waiting = (
        "select count(*) as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    )
    for _ in range(600):
        if shop.rows(waiting) != [{"count": 0}]:
            return
        time.sleep(0.05)
    raise TimeoutError("nobody came to wait for a lock")


def test_choosing_begins_again_where_an_erasure_takes_the_same_rows_the_other_way_round(shop):
    """Choosing ends an episode and then its messages. An erasure stops messages first, so that none leaves."""
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign())
    shop.buys("1", "2026-06-10")
    work, later = shop.work, NOON + DAY

    with runs.begin(work, "reengage", campaign(), later) as run, ThreadPoolExecutor(1) as beside:
        with work.database.transaction() as erasing:
            erasing.execute(sa.text("select from campaign.sends where customer_id = '1' for update"))
            chosen = beside.submit(choose.members, run)
            until_somebody_waits(shop)
            erasing.execute(work.queries["ledger/erase_stop"](ids=["1"], at=later))
        chosen.result(60)

    assert [(row["state"], row["reason"]) for row in shop.sends().values()] == [("cancelled", "erased")]
    assert shop.rows("select close_reason from campaign.enrolments") == [{"close_reason": "erased"}]


class Interrupted:
    """An audience at a platform; once it was told, something happens before that is written down."""

    page: ClassVar[int] = 10_000

    def __init__(self, happens: Callable[[], None]) -> None:
        self.happens = happens
        self.calls: list[tuple[str, int]] = []

    def find(self, name: str) -> str:
        return name

    def add(self, _audience: str, people: Sequence[Person]) -> Taken:
        self.calls.append(("add", len(people)))
        return Taken()

    def remove(self, _audience: str, people: Sequence[Person]) -> Taken:
        self.calls.append(("remove", len(people)))
        self.happens()
        return Taken()

    def size(self, _audience: str) -> Size:
        return Size()

    def close(self) -> None:
        """Nothing is open."""


def test_an_audience_is_told_once_where_another_run_takes_its_members_in_another_order(shop):
    for customer in "123":
        shop.lapses(customer)
        shop.consents(customer, "meta")
    shop.run(campaign())
    for customer in "123":
        shop.consents(customer, "meta", "withdrawn", at="2026-06-09")
    work, others = shop.work, []

    def takes_the_last() -> None:
        other = work.database.engine.connect()
        last = "select from campaign.audience_members where ctid = (select max(ctid) from campaign.audience_members)"
        other.execute(sa.text(f"{last} for update"))

        def takes_all() -> None:
            until_somebody_waits(shop)
            other.execute(sa.text("select from campaign.audience_members for update"))
            other.rollback()
            other.close()

        others.append(threading.Thread(target=takes_all))
        others[0].start()

    platform = Interrupted(takes_the_last)
    with runs.begin(work, "reengage", campaign(), NOON + DAY) as run:
        sync.audiences(run, connect=lambda *_: platform)
    others[0].join(60)

    assert platform.calls == [("remove", 3)]
    members = shop.rows("select distinct desired, applied from campaign.audience_members")
    assert members == [{"desired": False, "applied": False}]
