"""Purchase days and lapsing customers against an independent computation, over thousands of random histories (A15).

The oracle knows orders as plain lists, averages as fractions and days from zoneinfo; it shares nothing with the SQL.
"""

from __future__ import annotations

import csv
import io
import math
import random
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from config.sources import Column, FileSource
from tasks.sources import landing, lines
from tasks.store import gate
from tasks.store.queries import Queries

HISTORIES = 240  # in each zone, each loaded three times
LOADINGS = ("in order", "backwards", "at random")
BATCHES = 6
INSTANTS = 5

# Where clocks change by day, at midnight, by half an hour, and where a whole day is missing; from when.
ZONES = {
    "UTC": date(2025, 1, 1),
    "Europe/Berlin": date(2025, 1, 1),
    "America/New_York": date(2025, 1, 1),
    "America/Sao_Paulo": date(2017, 1, 1),
    "America/Havana": date(2024, 1, 1),
    "Asia/Beirut": date(2024, 1, 1),
    "Australia/Lord_Howe": date(2024, 1, 1),
    "Asia/Kathmandu": date(2024, 1, 1),
    "Pacific/Apia": date(2011, 3, 1),
}

COLUMNS = ("order_id", "customer_id", "purchased_at", "amount", "currency", "status", "updated_at", "cancels")
SOURCE = FileSource(
    kind="file", entity="purchases", place="orders/*.csv", columns={name: Column(column=name) for name in COLUMNS}
)
database_row = sa.table("database", sa.column("business_zone"), schema="campaign")
purchase_days = sa.table(
    "purchase_days",
    *map(sa.column, ("customer_id", "day", "number", "first_day", "at", "next_day", "next_at")),
    schema="core",
)


@dataclass(frozen=True)
class Version:
    """One delivered state of an order."""

    order: str
    customer: str
    at: datetime
    status: str
    updated_at: datetime
    cancels: str | None = None


def _moment(dice: random.Random, zone: ZoneInfo, day: date) -> datetime:
    """A moment of a day, often near its midnight, where a wrong zone or a wrong day shows."""
    hour = dice.choice([0, 0, 1, 2, 22, 23, 23, dice.randrange(24)])
    local = datetime(day.year, day.month, day.day, hour, dice.randrange(60), dice.randrange(60), tzinfo=zone)
    return local.replace(fold=dice.randrange(2)).astimezone(UTC)


def _history(dice: random.Random, zone: ZoneInfo, start: date, name: str) -> list[Version]:
    """Deliveries of one or two customers: repeats, corrections, refunds, cancellations, an order changing hands."""
    people = [name, f"{name}-b"]
    versions: list[Version] = []
    day, gap = start + timedelta(days=dice.randrange(200)), dice.choice([1, 3, 7, 20, 60])
    for number in range(dice.randrange(1, 10)):
        order, updated = f"{name}/{number}", _moment(dice, zone, day)
        first = Version(order, people[dice.random() < 0.15], _moment(dice, zone, day), "paid", updated)
        versions.append(first)
        while dice.random() < 0.35:
            updated += timedelta(hours=dice.randrange(1, 500))
            change = dice.randrange(6)
            last = versions[-1]
            versions.append(
                replace(
                    last,
                    updated_at=updated,
                    status=dice.choice(["paid", "refunded", "cancelled"]) if change < 3 else last.status,
                    at=_moment(dice, zone, day + timedelta(days=dice.randrange(-40, 41))) if change == 3 else last.at,
                    customer=people[dice.randrange(2)] if change == 4 else last.customer,
                )
            )
        if dice.random() < 0.1:
            versions.append(Version(f"{order}/c", first.customer, updated, "cancelled", updated, cancels=order))
        day += timedelta(days=dice.choice([0, 0, gap, gap, max(gap + dice.randrange(-5, 25), 0), dice.randrange(90)]))
    return versions


def _final(versions: list[Version]) -> list[Version]:
    """What counts after everything was delivered: newest version of each order, paid and not cancelled by another."""
    newest: dict[str, Version] = {}
    for version in versions:
        if version.order not in newest or version.updated_at > newest[version.order].updated_at:
            newest[version.order] = version
    cancelled = {version.cancels for version in newest.values()}
    return [version for version in newest.values() if version.status == "paid" and version.order not in cancelled]


def _first_moment(day: date, zone: ZoneInfo) -> datetime:
    """The first instant whose day in the zone is `day` or later, by halving."""
    base = datetime(day.year, day.month, day.day, tzinfo=UTC)
    low, high = -2 * 86_400_000_000, 2 * 86_400_000_000
    while high - low > 1:
        middle = (low + high) // 2
        reached = (base + timedelta(microseconds=middle)).astimezone(zone).date() >= day
        low, high = (low, middle) if reached else (middle, high)
    return base + timedelta(microseconds=high)


def _lapsing(moments: list[datetime], zone: ZoneInfo, as_of: datetime, margin: Fraction) -> tuple | None:
    """What a patient person with a calendar would say about one customer."""
    days = sorted({moment.astimezone(zone).date() for moment in moments if moment <= as_of})
    if len(days) < 2:
        return None
    average = Fraction((days[-1] - days[0]).days, len(days) - 1)
    since = (as_of.astimezone(zone).date() - days[-1]).days
    if since < average + margin:
        return None
    anchor = _first_moment(days[-1] + timedelta(days=math.ceil(average + margin)), zone)
    return anchor, days[-1].isoformat(), since, average, len(days)


def _load(connection: sa.Connection, queries: Queries, batch: list[Version], number: int) -> None:
    """One file of deliveries through the real path: landed, judged, merged, refreshed."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(SOURCE.columns)
    for version in batch:
        times = version.at.isoformat(), "1.00", "EUR", version.status, version.updated_at.isoformat()
        writer.writerow((version.order, version.customer, *times, version.cancels or ""))
    extract = landing.Extract("orders", SOURCE, f"{number}.csv", str(number), datetime(2030, 1, 1, tzinfo=UTC), "a key")
    load_id = landing.begin(connection, queries, extract)
    reading = lines.read(io.BytesIO(text.getvalue().encode()), SOURCE, extract.object)
    landing.fill(connection, queries, extract, load_id, reading)
    gate.check(connection, queries, load_id, "key")
    counts = gate.merge(connection, queries, load_id, "key")
    assert counts.lines_in == counts.accepted + counts.duplicate == len(batch)


@dataclass
class Loaded:
    """A database with every history of one zone in it, and what the oracle counts."""

    engine: sa.Engine
    queries: Queries
    zone: ZoneInfo
    counted: dict[str, list[datetime]]

    def ask(self, as_of: datetime, **params: object) -> dict[str, tuple]:
        segment = self.queries["segments/lapsing_customers"]
        with self.engine.begin() as connection:
            rows = connection.execute(segment(as_of=as_of, time_zone=self.zone.key, **params)).mappings().all()
        found = {
            row["customer_id"]: (
                row["anchor_at"], row["episode"], row["days_since_last"], row["average_gap_days"], row["purchase_days"]
            )
            for row in rows
        }  # fmt: skip
        assert len(found) == len(rows), "someone is in twice"
        return found

    def expect(self, as_of: datetime, margin: Fraction = Fraction(8)) -> dict[str, tuple]:
        answers = {customer: _lapsing(moments, self.zone, as_of, margin) for customer, moments in self.counted.items()}
        return {customer: answer for customer, answer in answers.items() if answer}

    def instants(self, seed: int, margin: Fraction = Fraction(8)) -> list[datetime]:
        """Moments that matter to someone: just before and at a purchase or the start of being late."""
        dice = random.Random(seed)
        people = sorted(customer for customer, moments in self.counted.items() if len(moments) > 2)
        chosen = []
        while len(chosen) < INSTANTS:
            moments = sorted(self.counted[dice.choice(people)])
            at = dice.choice(moments[1:])
            if len(chosen) % 2:
                found = _lapsing(moments, self.zone, at + timedelta(days=400), margin)
                at = found[0] if found else at
            chosen.append(at - timedelta(microseconds=dice.randrange(2)))
        return chosen


@pytest.fixture(scope="module", params=ZONES)
def loaded(request, make_database):
    """Every history of a zone, delivered in three orders: in order, backwards, at random; in six loads."""
    zone = ZoneInfo(request.param)
    database, queries = make_database(), Queries.load()
    dice = random.Random(request.param)
    batches: dict[int, list[Version]] = defaultdict(list)
    counted: dict[str, list[datetime]] = {}
    for number in range(HISTORIES):
        seed = dice.random()
        for position, loading in enumerate(LOADINGS):
            versions = _history(random.Random(seed), zone, ZONES[request.param], f"{number}{loading[0]}")
            for version in _final(versions):
                counted.setdefault(version.customer, []).append(version.at)
            sent = versions + dice.sample(versions, len(versions) // 3)  # some deliveries come twice
            if loading == "backwards":
                sent.reverse()
            elif loading == "at random":
                dice.shuffle(sent)
            cuts = sorted(dice.randrange(len(sent) + 1) for _ in range(BATCHES - 1)) if position else [len(sent) // 2]
            for index, version in enumerate(sent):
                batches[sum(index >= cut for cut in cuts)].append(version)
    with database.transaction() as connection:
        connection.execute(sa.update(database_row).values(business_zone=zone.key))
    for number, batch in sorted(batches.items()):
        with database.transaction() as connection:
            _load(connection, queries, batch, number)
    yield Loaded(database.engine, queries, zone, counted)
    database.dispose()


def test_there_are_two_thousand_histories():
    assert HISTORIES * len(ZONES) >= 2000


def test_purchase_days_are_those_of_the_calendar(loaded):
    expected = set()
    for customer, moments in loaded.counted.items():
        earliest: dict[date, datetime] = {}
        for moment in sorted(moments):
            earliest.setdefault(moment.astimezone(loaded.zone).date(), moment)
        days = list(earliest)
        for number, day in enumerate(days, start=1):
            following = days[number] if number < len(days) else None
            expected.add((customer, day, number, days[0], earliest[day], following, earliest.get(following)))

    with loaded.engine.begin() as connection:
        kept = {tuple(row) for row in connection.execute(sa.select(purchase_days))}

    assert kept == expected


def test_lapsing_customers_are_those_of_the_calendar_at_any_moment(loaded):
    for as_of in loaded.instants(1):
        expected = loaded.expect(as_of)
        assert expected, "nobody is late: this instant proves nothing"

        found = loaded.ask(as_of)

        assert found.keys() == expected.keys()
        for customer, (anchor, episode, since, average, number) in expected.items():
            shown = found[customer]
            assert shown[:3] == (anchor, episode, since)
            assert shown[4] == number
            assert abs(Fraction(shown[3]) - average) <= Fraction(1, 2_000_000)


@pytest.mark.parametrize("margin", ["0", "0.25", "7.5", "8.3333333"])
def test_any_margin_is_compared_exactly(loaded, margin):
    for as_of in loaded.instants(2, Fraction(margin)):
        expected = loaded.expect(as_of, Fraction(margin))

        found = loaded.ask(as_of, margin_days=margin)

        assert {customer: row[:2] for customer, row in found.items()} == {
            customer: row[:2] for customer, row in expected.items()
        }


def test_the_newly_late_are_those_who_became_late_in_between(loaded):
    for as_of in loaded.instants(3):
        for earlier in (as_of - timedelta(days=1), as_of - timedelta(days=40, microseconds=1)):
            expected = {customer for customer, row in loaded.expect(as_of).items() if row[0] > earlier}

            found = loaded.ask(as_of, became_late_after=earlier)

            assert found.keys() == expected


def test_who_went_long_ago_and_who_came_too_seldom_are_left_out(loaded):
    for as_of in loaded.instants(4):
        expected = {
            customer
            for customer, (_, _, since, average, number) in loaded.expect(as_of).items()
            if since - average <= Fraction("30.5") and number >= 3
        }

        found = loaded.ask(as_of, max_days_late="30.5", min_purchase_days=3)

        assert found.keys() == expected


def test_every_order_of_delivery_gives_the_same_days(loaded):
    with loaded.engine.begin() as connection:
        rows = connection.execute(sa.select(purchase_days)).all()

    by_loading: dict[str, set] = defaultdict(set)
    for customer, *rest in rows:
        name = customer.removesuffix("-b")
        by_loading[name[-1]].add((name[:-1], customer.endswith("-b"), *rest))

    assert by_loading["i"] == by_loading["b"] == by_loading["a"]
