"""What a retarget does to leads is known in the sample shop; from what the pipeline stored it is found again."""

from __future__ import annotations

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from scipy.stats import binomtest

from config.settings import CHECKOUT
from flows.commands import demo
from flows.dispatch import dispatch
from flows.ingest import ingest
from flows.reengage import reengage
from flows.story import using
from tasks import measure
from tasks.sources.sample.leads import COMES_BACK_A_DAY, NO_EFFECT, RETARGETING, Reaction
from tasks.sources.sample.scenery import OPENS_AT
from tasks.sources.sample.shop import Delivered, SampleShop
from tasks.store import embedded
from tasks.store.workspace import Workspace

DAYS = 5
OF_CHATS = ["shop_customers", "shop_conversations", "shop_messages"]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Before quiet hours end, so that retargets leave together in the morning.
MORNING = 7 * HOUR
ENDS_AT = OPENS_AT + DAYS * DAY + 10 * HOUR
NEVER = ENDS_AT + 1000 * DAY


@dataclass(frozen=True)
class Retarget:
    """One accepted retarget, and the hours that answers to it are looked for in."""

    order: int
    customer: str
    at: datetime
    until: datetime


@dataclass(frozen=True)
class Shown:
    """What the queries of the page on partial leads answer, without what is zero."""

    per_order: Counter[tuple[int, str]]
    standing: Counter[tuple[int, str]]
    by_day: Counter[tuple[int, date, str]]
    by_hour: Counter[tuple[int, int, str]]


@dataclass(frozen=True)
class Stored:
    """What the pipeline stored of a play, in plain collections."""

    sends: dict[str, list[tuple[int, datetime]]]  # per customer: order and moment, in order of time
    wrote: dict[str, list[datetime]]
    deep: dict[str, datetime]
    qualified: dict[str, datetime]
    held_out: dict[str, datetime]  # when enrolled
    zone: ZoneInfo
    shown: Shown

    def retargets(self) -> Iterator[Retarget]:
        """Those with a day to answer in, to people who had not qualified; an answer belongs to the last one before."""
        for customer, sent in self.sends.items():
            ends = [at for _, at in sent[1:]] + [ENDS_AT]
            for (order, at), end in zip(sent, ends, strict=True):
                if at + DAY <= ENDS_AT and self.qualified.get(customer, ENDS_AT) > at:
                    yield Retarget(order, customer, at, min(end, at + DAY))

    def counted(self) -> Shown:
        """What the page should say, by plain loops: whatever happens belongs to the retarget before it (A7)."""
        found = Shown(Counter(), Counter(), Counter(), Counter())
        for customer, sent in self.sends.items():
            deep, qualified = (reached.get(customer, NEVER) for reached in (self.deep, self.qualified))
            ends = [at for _, at in sent[1:]] + [ENDS_AT]
            for (order, at), end in zip(sent, ends, strict=True):
                first = min((said for said in self.wrote[customer] if said > at), default=NEVER)
                happened = (("retargeted", at), ("first_responses", first), ("qualified", qualified))
                for what, moment in happened:
                    if what == "retargeted" or at < moment <= end:
                        local = moment.astimezone(self.zone)
                        found.per_order[order, what] += 1
                        found.by_day[order, local.date(), what] += 1
                        if what != "qualified":
                            found.by_hour[order, local.hour, what] += 1
                reached = (
                    "qualified_before" if qualified <= at
                    else "qualified" if qualified <= end
                    else "deep_conversation" if deep <= end
                    else "lead"
                )  # fmt: skip
                found.standing[order, reached] += 1
        return found

    def has_qualified(self, customer: str, since: datetime, until: datetime) -> bool:
        at = self.qualified.get(customer)
        return at is not None and since < at <= until

    def has_answered(self, customer: str, since: datetime, until: datetime) -> bool:
        return any(since < at <= until for at in self.wrote[customer])

    def a_day_unasked(self) -> float:
        """Share of silent people who write on a day though nobody wrote to them: those held out."""
        days = came = 0.0
        for customer, enrolled_at in self.held_out.items():
            came_at = min([at for at in self.wrote[customer] if at > enrolled_at], default=None)
            came += came_at is not None
            days += ((came_at or ENDS_AT) - enrolled_at) / DAY
        return came / days


def rows(connection: sa.Connection, text: str) -> Sequence[sa.Row]:
    return connection.execute(sa.text(text)).all()


@pytest.fixture
def play(server: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stored]]:
    """Play some days of chats only, and read what was stored."""
    before = os.environ.get("REENGAGE_SHOP")
    home = tmp_path_factory.mktemp("known_effect")
    opened = demo.open_workspace("known_effect", home=home, database_url=SecretStr(server.url("postgres")))
    work = Workspace(opened.settings.model_copy(update={"config": eager(home)}))

    def run(effect: Sequence[Reaction]) -> Stored:
        shop = SampleShop(home / "shop", customers=20, seed=3, leads_a_day=240, retargeting=effect)
        played = demo.Play(work, shop)
        played.make_database()
        with using(work):
            played.write_history()
            ingest.fn(sources=["shop_ads", *OF_CHATS], as_of=OPENS_AT)
            since = OPENS_AT
            for at in [*(OPENS_AT + day * DAY + MORNING for day in range(DAYS)), ENDS_AT]:
                hear(work, shop, since, at)
                since = at
        measure.campaigns(work, ENDS_AT)
        with work.database.transaction() as connection:
            return read(work, connection)

    try:
        yield run
    finally:
        work.close()
        opened.close()
        os.environ.pop("REENGAGE_SHOP", None)
        if before is not None:
            os.environ["REENGAGE_SHOP"] = before


def eager(folder: Path) -> Path:
    """The shop's configuration with steps so early that all of a day leave together, which is quickly played."""
    shop = folder / "config" / "examples" / "shop"
    shutil.copytree(demo.SHOP, shop)
    shutil.copytree(CHECKOUT / "config" / "suites", folder / "config" / "suites")
    file = shop / "campaigns" / "partial_leads" / "campaign.yaml"
    text = file.read_text()
    for usual, early in (("20h", "4h"), ("44h", "20h"), ("68h", "44h")):
        assert f"send_after: {usual}" in text
        text = text.replace(f"send_after: {usual}", f"send_after: {early}")
    file.write_text(text)
    return shop


def hear(work: Workspace, shop: SampleShop, since: datetime, at: datetime) -> None:
    """Send what was due before, load what was said meanwhile, choose and plan."""
    dispatch.fn(as_of=at - timedelta(minutes=5))
    with work.database.transaction() as connection:
        sent = connection.execute(work.queries["ledger/outbox_delivered"]()).all()
    shop.write_talks(since, at, [Delivered(row.channel, row.address, row.at) for row in sent])
    ingest.fn(sources=OF_CHATS, as_of=at)
    reengage.fn("partial_leads", as_of=at)


def read(work: Workspace, connection: sa.Connection) -> Stored:
    sends: dict[str, list[tuple[int, datetime]]] = defaultdict(list)
    wrote: dict[str, list[datetime]] = defaultdict(list)
    for customer, step, at in rows(
        connection,
        "select customer_id, step, accepted_at from campaign.sends"
        " where campaign = 'partial_leads' and state = 'accepted' order by accepted_at",
    ):
        sends[customer].append((int(step), at))
    for customer, at in rows(
        connection,
        "select c.customer_id, m.sent_at from core.messages m join core.conversations c using (conversation_id)"
        " where m.sender = 'customer'",
    ):
        wrote[customer].append(at)
    deep, qualified = (
        rows(
            connection,
            "select c.customer_id, min(m.milestone_at) from core.milestones m join core.conversations c"
            f" using (conversation_id) where m.milestone = '{milestone}' group by 1",
        )
        for milestone in ("deep_conversation", "qualified")
    )
    held_out = rows(
        connection,
        "select customer_id, enrolled_at from campaign.enrolments where campaign = 'partial_leads' and arm = 'holdout'",
    )
    return Stored(
        sends, wrote, dict(map(tuple, deep)), dict(map(tuple, qualified)), dict(map(tuple, held_out)),
        work.settings.business_zone, page(work, connection),
    )  # fmt: skip


def page(work: Workspace, connection: sa.Connection) -> Shown:
    """The answers of the page's queries as counts."""

    def asked(name: str, **days: date) -> Sequence[sa.Row]:
        return connection.execute(work.queries[f"dashboards/{name}"](campaign="partial_leads", **days)).all()

    return Shown(
        +Counter({
            (row.retarget, what): int(getattr(row, column))
            for row in asked("retargets")
            for what, column in (("retargeted", "leads"), ("first_responses", "answered"), ("qualified", "qualified"))
        }),
        +Counter({(row.retarget, row.milestone): row.leads for row in asked("retargeted_leads")}),
        +Counter({
            (row.retarget, row.day, what): int(getattr(row, what))
            for row in asked("retargets_by_day")
            for what in ("retargeted", "first_responses", "qualified")
        }),
        +Counter({
            (row.retarget, row.hour, what): int(getattr(row, what))
            for row in asked("retargets_by_hour", first_day=date.min, last_day=date.max)
            for what in ("retargeted", "first_responses")
        }),
    )  # fmt: skip


def added(
    stored: Stored, orders: Sequence[int], happened: Callable[[str, datetime, datetime], bool], unasked: float
) -> tuple[float, float]:
    """Bounds (99.9 %) of the share that these retargets moved, beside those who would have come anyway."""
    cases = [one for one in stored.retargets() if one.order in orders]
    came = sum(happened(one.customer, one.at, one.until) for one in cases)
    anyway = unasked * sum((one.until - one.at) / DAY for one in cases) / len(cases)
    interval = binomtest(came, len(cases)).proportion_ci(0.999, method="wilson")
    return interval.low - anyway, interval.high - anyway


def test_each_retargets_known_effect_is_found_again_and_nobody_held_out_feels_it(play: Callable[..., Stored]):
    stored = play(RETARGETING)
    unasked = stored.a_day_unasked()

    for order, effect in enumerate(RETARGETING, 1):
        low, high = added(stored, [order], stored.has_qualified, unasked / 2)
        assert 0 < low <= effect.qualifies <= high
        low, high = added(stored, [order], stored.has_answered, unasked)
        assert 0 < low <= effect.qualifies + effect.replies <= high
    assert stored.shown == stored.counted()  # and the page says so
    assert len(stored.held_out) > 100
    assert not stored.held_out.keys() & stored.sends.keys()
    assert abs(unasked - COMES_BACK_A_DAY) < 0.01


def test_without_an_effect_none_is_found(play: Callable[..., Stored]):
    stored = play(NO_EFFECT)
    assert stored.shown == stored.counted()
    unasked = stored.a_day_unasked()
    least = min(effect.qualifies for effect in RETARGETING)

    for happened, share in ((stored.has_qualified, unasked / 2), (stored.has_answered, unasked)):
        for order in (1, 2, 3):
            low, high = added(stored, [order], happened, share)
            assert low <= 0 <= high
        low, high = added(stored, [1, 2, 3], happened, share)
        assert low <= 0 <= high < least
