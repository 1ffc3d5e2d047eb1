"""The page of one campaign in a real browser, after a real play: files in, messages in the outbox, figures on the page.

What the page says is computed again here from three things only: the input files, the outbox's own rows and the
published assignment formula.
"""

from __future__ import annotations

import csv
import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser
from pydantic import SecretStr

from config.settings import CHECKOUT, Settings
from flows.dispatch import dispatch
from flows.evaluate import evaluate
from flows.ingest import ingest
from flows.reengage import reengage
from flows.story import using
from tasks.store import mode
from tasks.store.engine import Database
from tasks.store.workspace import Workspace
from tests.dashboards.browsing import Reader, chromium, served

FIRST_RUN = datetime(2026, 4, 1, 6, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = 3
LOOKED_BACK_AT = FIRST_RUN + DAYS * DAY
HOLDOUT = 0.3
SALT = "a-salt-of-this-test"
CAMPAIGN = "late_buyers"

SOURCES = """
sources:
  customers:
    entity: customers
    kind: file
    place: FOLDER/customers*.csv
    columns: {customer_id: id, email: email, language: language, country: country, updated_at: changed}
  consents:
    entity: consents
    kind: file
    place: FOLDER/consents*.csv
    columns:
      {consent_id: id, customer_id: customer, channel: channel, purpose: purpose, status: status, basis: basis,
       source: source, occurred_at: at}
  purchases:
    entity: purchases
    kind: file
    place: FOLDER/purchases*.csv
    columns:
      {order_id: id, customer_id: customer, purchased_at: at, amount: amount, currency: currency, status: status,
       updated_at: at}
"""
CAMPAIGN_YAML = f"""
description: Win back repeat buyers who are late.
segment: lapsing_customers
channels: [email]
steps: [{{send_after: 9h, messages: {{email: {{subject: "We miss you", file: email.html}}}}}}]
holdout: {HOLDOUT}
currency: EUR
"""
EMAIL = '<p>Come back. {{ sender.postal_address }} <a href="{{ unsubscribe_url }}">Unsubscribe</a></p>'


def place_of(customer: str) -> tuple[str, str]:
    """The language and the country of a customer of this shop before anybody moves."""
    number = int(customer)
    return ("de", "fr", "")[number % 3], ("AT", "DE")[number % 2]


@dataclass
class Shop:
    """A made-up shop that writes files, and keeps what it wrote for the recomputation."""

    folder: Path
    emails: dict[str, str] = field(default_factory=dict)
    consenting: set[str] = field(default_factory=set)
    purchases: list[tuple[str, datetime, Decimal, str]] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(5))
    orders: int = 0

    def write_history(self) -> None:
        """Customers with a rhythm, some without address or consent, and what they bought so far."""
        for number in range(400):
            customer = f"{number:05}"
            kind = self.dice.random()
            self.emails[customer] = "" if kind < 0.15 else f"p{number}@example.com"
            if kind < 0.7:
                self.consenting.add(customer)
            gap, at = self.dice.randint(4, 15), FIRST_RUN - timedelta(days=self.dice.randint(70, 90))
            while at < FIRST_RUN - timedelta(days=self.dice.randint(2, 35)):
                self._buy(customer, at.replace(hour=self.dice.randint(10, 21)))
                at += timedelta(days=max(1, gap + self.dice.randint(-2, 2)))
        changed = (FIRST_RUN - 30 * DAY).isoformat()
        self._write_customers("customers-0", sorted(self.emails), place_of, changed)
        self._write(
            "consents",
            ["id", "customer", "channel", "purpose", "status", "basis", "source", "at"],
            [
                [f"k{c}", c, "email", "marketing", "granted", "express", "form", changed]
                for c in sorted(self.consenting)
            ],
        )
        self._write_purchases("purchases-0", self.purchases)

    def write_day(self, day: int) -> None:
        """What was bought on one day; whoever can be written to buys more often."""
        fresh = len(self.purchases)
        for customer in sorted(self.consenting):
            if self.emails[customer] and self.dice.random() < 0.12:
                at = (FIRST_RUN + day * DAY).replace(hour=self.dice.randint(10, 21), minute=self.dice.randint(0, 59))
                self._buy(customer, at)
        self._write_purchases(f"purchases-{day + 1}", self.purchases[fresh:])
        # Some move away once they have been enrolled; for the comparison they stay where they were.
        moved = [customer for customer in sorted(self.emails) if int(customer) // 100 == day]
        self._write_customers(
            f"customers-{day + 1}", moved, lambda _: ("it", "CH"), (FIRST_RUN + day * DAY).isoformat()
        )

    def _write_customers(
        self, name: str, customers: list[str], where: Callable[[str], tuple[str, str]], changed: str
    ) -> None:
        lines = [[customer, self.emails[customer], *where(customer), changed] for customer in customers]
        self._write(name, ["id", "email", "language", "country", "changed"], lines)

    def _buy(self, customer: str, at: datetime) -> None:
        amount = Decimal(self.dice.randint(500, 20_000)) / 100
        self.purchases.append((customer, at, amount, self.dice.choice(["EUR", "EUR", "EUR", "USD"])))

    def _write_purchases(self, name: str, rows: list[tuple[str, datetime, Decimal, str]]) -> None:
        lines = []
        for customer, at, amount, currency in rows:
            self.orders += 1
            lines.append([f"o{self.orders}", customer, at.isoformat(), str(amount), currency, "paid"])
        self._write(name, ["id", "customer", "at", "amount", "currency", "status"], lines)

    def _write(self, name: str, header: list[str], rows: list[list[str]]) -> None:
        with (self.folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])


@dataclass
class Truth:
    """The page's figures from the files, the outbox and the formula."""

    shop: Shop
    handed_over: dict[str, datetime]
    enrolled: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for day in range(DAYS):
            at = FIRST_RUN + day * DAY
            for customer in self.shop.emails:
                if customer not in self.enrolled and self._is_late(customer, at):
                    self.enrolled[customer] = at

    def _is_late(self, customer: str, at: datetime) -> bool:
        days = sorted({when.date() for who, when, _, _ in self.shop.purchases if who == customer and when <= at})
        if len(days) < 2:
            return False
        since, span = (at.date() - days[-1]).days, (days[-1] - days[0]).days
        return since * (len(days) - 1) >= span + 8 * (len(days) - 1)

    def place(self, customer: str) -> tuple[str, str]:
        """Where somebody was when they were enrolled: a file of one day is there for the choosing of the next."""
        is_moved = FIRST_RUN + int(customer) // 100 * DAY < self.enrolled[customer]
        return ("it", "CH") if is_moved else place_of(customer)

    def arm(self, customer: str) -> str:
        """By the published formula."""
        digest = hashlib.sha256(f"{SALT}|{CAMPAIGN}/holdout|{customer}".encode()).digest()
        return "holdout" if int.from_bytes(digest[:8], "big") / 2**64 < HOLDOUT else "treated"

    def credited(self, hours: int) -> list[tuple[str, Decimal, str]]:
        """Purchases strictly after the message and strictly within the window."""
        return [
            (who, amount, currency)
            for who, when, amount, currency in self.shop.purchases
            if who in self.handed_over and timedelta(0) < when - self.handed_over[who] < timedelta(hours=hours)
        ]

    def ripe(self, arm: str, hours: int) -> list[str]:
        """People of an arm whose whole enrolment day plus the window has passed."""
        last = LOOKED_BACK_AT - timedelta(hours=hours)
        return [c for c, at in self.enrolled.items() if self.arm(c) == arm and _end_of_day(at.date()) <= last]

    def converted(self, customers: list[str], hours: int) -> int:
        """How many of them bought within the window after enrolment."""
        return sum(
            any(
                who == customer and timedelta(0) < when - self.enrolled[customer] < timedelta(hours=hours)
                for who, when, _, _ in self.shop.purchases
            )
            for customer in customers
        )


def _end_of_day(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY


@dataclass(frozen=True)
class Played:
    """A finished play and the dashboard that shows it."""

    work: Workspace
    truth: Truth
    address: str


@pytest.fixture(scope="module")
def played(make_database: Callable[..., Database], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Three days of a made-up shop through the real flows in a simulated database, and the dashboard on top."""
    chromium()
    root = tmp_path_factory.mktemp("play")
    shop = Shop(root / "export")
    shop.folder.mkdir()
    work = Workspace(_settings(make_database(), _configuration(root, shop.folder)))
    shop.write_history()
    with using(work):
        with work.database.transaction() as connection:
            mode.settle(work, connection)
        for day in range(DAYS):
            at = FIRST_RUN + day * DAY
            ingest.fn(as_of=at - timedelta(hours=1))
            reengage.fn(CAMPAIGN, as_of=at)
            dispatch.fn(as_of=at + timedelta(hours=17))
            shop.write_day(day)
        ingest.fn(as_of=LOOKED_BACK_AT)
        evaluate.fn(as_of=LOOKED_BACK_AT - DAY)
    truth = Truth(shop, _outbox(work, shop))
    with served(work, root) as address:
        yield Played(work, truth, address)
    work.close()


def _configuration(root: Path, export: Path) -> Path:
    folder = root / "config"
    home = folder / "campaigns" / CAMPAIGN
    home.mkdir(parents=True)
    (folder / "reengage.yaml").write_text(f"mode: simulated\nsuites: {CHECKOUT / 'config' / 'suites'}\n")
    (folder / "sources.yaml").write_text(SOURCES.replace("FOLDER", str(export)))
    (home / "campaign.yaml").write_text(CAMPAIGN_YAML)
    (home / "email.html").write_text(EMAIL)
    return folder


def _settings(database: Database, config: Path) -> Settings:
    url = SecretStr(database.url.render_as_string(hide_password=False))
    return Settings(
        config=config, home=database.home, database_url=url, time_zone="UTC", salt=SecretStr(SALT), _env_file=None
    )


def _outbox(work: Workspace, shop: Shop) -> dict[str, datetime]:
    """Who was handed a message when, as the outbox itself kept it."""
    customers = {email: customer for customer, email in shop.emails.items() if email}
    messages = sa.table("messages", sa.column("address"), sa.column("at"), schema="outbox")
    with work.database.transaction() as connection:
        rows = connection.execute(sa.select(messages.c.address, messages.c.at)).all()
    assert len(rows) == len({row.address for row in rows})
    return {customers[row.address]: row.at for row in rows}


def test_the_page_equals_files_outbox_and_formula_and_refresh_shows_newer_data(played: Played, reader: Reader) -> None:
    truth = played.truth
    reader.open(f"{played.address}/lapsing?campaign={CAMPAIGN}")
    reader.settle("Data as of 3 April 2026, 06:00")

    with using(played.work):
        evaluate.fn(as_of=LOOKED_BACK_AT)

    for hours in (24, 36, 1):
        reader.refresh(hours, "4 April 2026, 06:00")
        _same_as_truth(reader, truth, hours)
    assert reader.outside == []


def _same_as_truth(reader: Reader, truth: Truth, hours: int) -> None:
    shown = reader.metrics()
    treated = [customer for customer in truth.enrolled if truth.arm(customer) == "treated"]
    unreached = [customer for customer in treated if customer not in truth.handed_over]
    credited = truth.credited(hours)
    buyers = {who for who, _, _ in credited}
    assert set(truth.handed_over) <= set(treated)
    assert shown["Enrolled"] == f"{len(truth.enrolled):,}"
    assert shown["Reached"] == f"{len(truth.handed_over):,}"
    assert shown["Held out"] == f"{len(truth.enrolled) - len(treated):,}"
    assert shown["Not reached"] == f"{len(unreached):,}"
    assert shown["People who bought"] == f"{len(buyers):,}"
    assert shown["Rate"] == f"{100 * len(buyers) / len(truth.handed_over):.1f} %"
    assert shown["Purchases"] == f"{len(credited):,}"
    for currency in {currency for _, _, currency in credited}:
        revenue = sum((amount for _, amount, c in credited if c == currency), Decimal(0))
        assert shown[f"Revenue, {currency}"] == f"{revenue:,.2f}"
    why = reader.table("Why")
    without_consent = [customer for customer in unreached if customer not in truth.shop.consenting]
    assert why["No consent on any channel"][0] == f"{len(without_consent):,}"
    no_address = [c for c in unreached if c in truth.shop.consenting and not truth.shop.emails[c]]
    assert why["Consent given, but no usable address or device"][0] == f"{len(no_address):,}"
    arms = reader.table("Group")
    for arm, name in (("treated", "Treated"), ("holdout", "Held out")):
        everyone = [customer for customer in truth.enrolled if truth.arm(customer) == arm]
        ripe = truth.ripe(arm, hours)
        counts = [len(ripe), len(everyone) - len(ripe), truth.converted(ripe, hours)]
        assert arms[name][:3] == [f"{number:,}" for number in counts]


@pytest.mark.parametrize("part", [("fr", None), ("it", None), ("unknown", "DE"), (None, "CH"), ("de", "AT")])
@pytest.mark.parametrize("hours", [24, 36])
def test_a_part_of_the_people_equals_files_outbox_and_formula(
    played: Played, reader: Reader, part: tuple[str | None, str | None], hours: int
) -> None:
    truth = played.truth
    with using(played.work):
        evaluate.fn(as_of=LOOKED_BACK_AT)
    asked = "".join(f"&{name}={value}" for name, value in zip(("language", "country"), part, strict=True) if value)

    reader.open(f"{played.address}/lapsing?campaign={CAMPAIGN}&hours={hours}{asked}")

    wanted = ["" if value == "unknown" else value for value in part]
    people = {
        customer
        for customer in truth.enrolled
        if all(value in (None, had) for value, had in zip(wanted, truth.place(customer), strict=True))
    }
    credited = [one for one in truth.credited(hours) if one[0] in people]
    shown = reader.metrics()
    assert shown["Enrolled"] == str(len(people))
    assert shown["Messages"] == str(len(people & set(truth.handed_over)))
    assert shown["Followed by the goal"] == str(len({who for who, _, _ in credited}))
    assert shown["Purchases"] == str(len(credited))
    for currency in {currency for _, _, currency in credited}:
        revenue = sum((amount for _, amount, c in credited if c == currency), Decimal(0))
        assert shown[f"Revenue, {currency}"] == f"{revenue:,.2f}"
    ripe = {arm: [one for one in truth.ripe(arm, hours) if one in people] for arm in ("treated", "holdout")}
    if not all(ripe.values()):  # such as of those who moved, whom the last days enrolled
        assert reader.page.get_by_text("No data").count() == 1
        return
    groups = reader.table("Group")
    for arm, name in (("treated", "Treated"), ("holdout", "Held out")):
        everyone = [customer for customer in people if truth.arm(customer) == arm]
        counts = [len(ripe[arm]), len(everyone) - len(ripe[arm]), truth.converted(ripe[arm], hours)]
        assert groups[name][:3] == [str(number) for number in counts]


def test_the_play_is_worth_looking_at(played: Played) -> None:
    """The figures above are equal for a reason: every kind of person occurs."""
    truth = played.truth

    assert len(truth.handed_over) > 20
    assert len(truth.credited(24)) > 5
    assert min(truth.converted(truth.ripe("treated", 24), 24), len(truth.ripe("holdout", 24))) > 0
    assert len(set(truth.enrolled.values())) == DAYS
    assert {truth.place(customer)[0] for customer in truth.enrolled} == {"de", "fr", "", "it"}


def test_a_shared_link_opens_the_same_window_elsewhere(played: Played, reader: Reader, browser: Browser) -> None:
    with using(played.work):
        evaluate.fn(as_of=LOOKED_BACK_AT)
    reader.open(f"{played.address}/lapsing?campaign={CAMPAIGN}")
    reader.refresh(36, "4 April 2026, 06:00")
    link, shown = reader.page.url, reader.metrics()

    elsewhere = Reader(browser.new_context().new_page())
    elsewhere.open(link)

    assert elsewhere.metrics() == shown
    assert elsewhere.page.get_by_role("spinbutton", name="Attribution window in hours").input_value() == "36"
    elsewhere.page.context.close()


def test_on_paper_the_figures_stand_without_controls(played: Played, reader: Reader) -> None:
    reader.open(f"{played.address}/lapsing?campaign={CAMPAIGN}")

    reader.page.emulate_media(media="print")

    assert not reader.page.get_by_test_id("stSidebar").is_visible()
    assert not reader.page.get_by_role("button", name="Refresh").is_visible()
    assert reader.page.get_by_test_id("stMetric").first.is_visible()
    assert len(reader.page.pdf(format="A4")) > 10_000


def test_no_page_cuts_a_figure_short_on_a_small_laptop(played: Played, reader: Reader) -> None:
    reader.page.set_viewport_size({"width": 1180, "height": 800})
    reader.open(f"{played.address}/lapsing?campaign={CAMPAIGN}")

    cut = reader.page.evaluate(
        "[...document.querySelectorAll('[data-testid=stMetricValue]')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)"
    )

    assert cut == []


def test_the_page_names_no_person(played: Played, reader: Reader) -> None:
    reader.open(f"{played.address}/lapsing?campaign={CAMPAIGN}")
    shown: Any = reader.page.content()

    assert "@example.com" not in shown
    assert all(f">{customer}<" not in shown for customer in played.truth.enrolled)
