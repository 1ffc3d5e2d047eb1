"""Purchase histories for tests of how customers buy, and the same figures by plain loops over days."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from tasks.store import cycle
from tasks.store.queries import Queries
from tests.evaluation_world import insert

DAY = timedelta(days=1)
FIRST = datetime(2025, 1, 10, tzinfo=UTC)


def purchase(number: int, customer: str, at: datetime, dice: random.Random) -> dict[str, Any]:
    return {
        "order_id": f"o{number:06}", "customer_id": customer, "purchased_at": at, "amount": Decimal(10),
        "currency": "EUR", "status": dice.choice(["paid", "paid", "paid", "paid", "refunded", "cancelled"]),
        "cancelled_by": dice.choice([None] * 7 + ["o-other"]), "updated_at": at, "load_id": 1,
    }  # fmt: skip


def histories(seed: int, people: int = 40, days: int = 420) -> list[dict[str, Any]]:
    """Rhythms from a few days to months, several purchases a day, some undone, often close to midnight."""
    dice = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for person in range(people):
        at = FIRST + timedelta(hours=dice.randint(0, days * 12))
        gap = dice.choice([4, 15, 40, 90])
        for _ in range(dice.randint(0, 14)):
            rows.append(purchase(len(rows), f"c{person:03}", at, dice))
            hours = dice.choice([0, 1, 22, 23])
            at += timedelta(days=dice.choice([0, gap, gap, 2 * gap, 5 * gap]), hours=hours, minutes=dice.randint(0, 59))
    return rows


def refresh(connection: sa.Connection, queries: Queries, customers: Iterable[str]) -> None:
    """The purchase days of these customers, as a load brings them up to date."""
    cycle.begin(connection)
    since = datetime(1970, 1, 1, tzinfo=UTC)
    for customer in sorted(set(customers)):
        connection.execute(
            sa.text("insert into touched_customers (customer_id, since) values (:customer, :since)"),
            {"customer": customer, "since": since},
        )
    cycle.refresh(connection, queries)


def write(connection: sa.Connection, queries: Queries, rows: list[dict[str, Any]]) -> None:
    """Purchases and the days they make."""
    insert(connection, "core.purchases", rows)
    refresh(connection, queries, {row["customer_id"] for row in rows})


@dataclass(frozen=True)
class Buying:
    """One month."""

    month: date
    until: date
    buyers: int
    first_buyers: int
    with_rhythm: int
    late: int
    became_late: int
    gaps: Counter[int]
    again: Counter[int]


def bought(rows: Iterable[dict[str, Any]], as_of: datetime, zone: str, margin: int = 8) -> list[Buying]:
    """Every month from the first purchase to a moment."""
    there = ZoneInfo(zone)
    days: dict[str, set[date]] = {}
    for row in rows:
        if row["status"] == "paid" and row["cancelled_by"] is None and row["purchased_at"] <= as_of:
            days.setdefault(row["customer_id"], set()).add(row["purchased_at"].astimezone(there).date())
    people = [sorted(found) for found in days.values()]
    if not people:
        return []
    today, month = as_of.astimezone(there).date(), min(found[0] for found in people).replace(day=1)
    months = []
    while month <= today:
        after = (month + 31 * DAY).replace(day=1)
        months.append(_month(people, month, after, min(after - DAY, today), margin))
        month = after
    return months


def _month(people: list[list[date]], month: date, after: date, until: date, margin: int) -> Buying:
    inside = [[day for day in days if month <= day < after] for days in people]
    again: Counter[int] = Counter()
    gaps: Counter[int] = Counter()
    for days, mine in zip(people, inside, strict=True):
        gaps.update((day - before).days for before, day in pairwise(days) if day in mine)
        later = [day for day in days if day >= after]
        if mine and later:
            again[(later[0] - mine[-1]).days] += 1
    calendar = [month + n * DAY for n in range((until - month).days + 1)]
    return Buying(
        month, until, sum(1 for mine in inside if mine), sum(1 for days in people if month <= days[0] < after),
        sum(1 for days in people if len([day for day in days if day <= until]) > 1),
        sum(1 for days in people if is_late([day for day in days if day <= until], until, margin)),
        # at the start of a day, and not yet at the start of the one before
        sum(
            is_late([d for d in days if d < day], day, margin)
            and not is_late([d for d in days if d < day - DAY], day - DAY, margin)
            for days in people
            for day in calendar
        ),
        gaps, again,
    )  # fmt: skip


def is_late(days: list[date], on: date, margin: int) -> bool:
    """Longer since the last day than the average and the margin."""
    if len(days) < 2:
        return False
    average = Fraction((days[-1] - days[0]).days, len(days) - 1)
    return (on - days[-1]).days >= average + margin


def quartile(gaps: Counter[int], part: int) -> int:
    """The least number of days that so many quarters of the gaps do not exceed."""
    listed = sorted(gaps.elements())
    return next(days for place, days in enumerate(listed, 1) if 4 * place >= part * len(listed))
