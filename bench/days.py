"""A day with new purchases on a short and on a long history, and who became late in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median

import sqlalchemy as sa

from bench.loading import load, write_day
from bench.place import Place, settle, statement, timed
from bench.report import Figure
from tasks.store import cycle
from tasks.store.workspace import Workspace

LAST_DAY = date(2026, 6, 1)
PURCHASES = 10_000
DAYS = 5
SCANS = 15
CUSTOMERS_PER_PURCHASE = 1 / 4.557


@dataclass
class History:
    """A database with so many purchases."""

    work: Workspace
    purchases: int
    people: int


def build(place: Place, purchases: int, say: Callable[[str], None]) -> History:
    """A history written straight into core by SQL (bench/sql/history.sql), then its purchase days by our own code.

    Indexes are built after the rows, as a restore would, or ten million rows would take most of an hour.
    """
    work = place.workspace(f"history_{purchases}")
    began = time.perf_counter()
    with work.database.transaction() as connection:
        connection.execute(sa.text("set local work_mem = '256MB'"))
        connection.execute(sa.text("set local maintenance_work_mem = '512MB'"))
        connection.execute(sa.text("select setseed(0.42)"))
        indexes = connection.execute(work.queries["core/table_indexes"](relation="purchases")).mappings().all()
        for index in indexes:
            connection.execute(sa.text(index["drop"]))
        customers = round(purchases * CUSTOMERS_PER_PURCHASE)
        connection.execute(statement("history", customers=customers, last_day=LAST_DAY))
        for index in indexes:
            connection.execute(sa.text(index["create"]))
        connection.execute(sa.text("analyze core.purchases"))
        connection.execute(statement("people"))
        connection.execute(sa.text("create temporary table touched_customers (customer_id text primary key)"))
        cycle.refresh(connection, work.queries)
        connection.execute(sa.text("drop table touched_customers"))
        rows = connection.execute(sa.text("select count(*) from core.purchases")).scalar_one()
        people = connection.execute(sa.text("select count(*) from core.customers")).scalar_one()
    settle(work)
    say(f"a history of {rows:,} purchases of {people:,} customers took {time.perf_counter() - began:,.0f} s")
    return History(work, rows, people)


def a_day(number: int) -> tuple[date, datetime]:
    """The day after the history so many days on, and the morning after it, when a run asks."""
    day = LAST_DAY + timedelta(days=number)
    return day, datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, hours=6)


def newly_late(work: Workspace, as_of: datetime) -> list[sa.Row]:
    """Everyone who became late in the day before as_of, fetched."""
    segment = work.queries["segments/lapsing_customers"]
    with work.database.transaction() as connection:
        asked = segment(as_of=as_of, time_zone="UTC", became_late_after=as_of - timedelta(days=1))
        return list(connection.execute(asked))


def one_day(history: History, number: int) -> tuple[float, dict[str, float], int]:
    """Seconds of one day (load, SQL gate, merge, cycle, newly late), by phase, and how many became late."""
    day, as_of = a_day(number)
    path = history.work.settings.config / "purchases" / f"{day}.csv"
    write_day(history.work, path, day, PURCHASES)
    began = time.perf_counter()
    spent = load(history.work, as_of)
    loaded = time.perf_counter()
    late = len(newly_late(history.work, as_of))
    ended = time.perf_counter()
    return ended - began, {**spent, "newly late": ended - loaded}, late


def days(short: History, long: History) -> list[Figure]:
    """The same day on both histories, in turn; and the day on the long one by full recomputation."""
    figures: dict[str, list[float]] = {"short": [], "long": []}
    phases: dict[str, list[dict[str, float]]] = {"short": [], "long": []}
    late = {"short": 0, "long": 0}
    for number in range(DAYS + 1):
        for name, history in (("short", short), ("long", long)):
            seconds, spent, late[name] = one_day(history, number)
            if number:  # the first day warms the caches of both
                figures[name].append(seconds)
                phases[name].append(spent)
    query, rebuild = _recomputed(long)
    kept = ("merge and cycle", "newly late")
    rest = median(
        seconds - sum(spent[phase] for phase in kept) for seconds, spent in zip(*_both(figures, phases), strict=True)
    )
    day, ratio = median(figures["long"]), median(figures["long"]) / median(figures["short"])
    shown = [
        Figure(f"a day on {long.purchases:,} purchases against {short.purchases:,}", ratio, "x", 1.5),
        Figure("that day by full recomputation against kept days", (rest + rebuild) / day, "x", 10, at_least=True,
               note="purchase days of everybody rebuilt and stored"),
        Figure("and without storing anything: one query over all purchases", (rest + query) / day, "x"),
        Figure(f"a day on {short.purchases:,} ({late['short']:,} newly late), seconds", median(figures["short"]), "s"),
        Figure(f"a day on {long.purchases:,} ({late['long']:,} newly late), seconds", day, "s"),
    ]  # fmt: skip
    for name, history in (("short", short), ("long", long)):
        for phase in phases[name][0]:
            if phase != "great expectations":
                middle = median(spent[phase] for spent in phases[name])
                shown.append(Figure(f"of it {phase}, on {history.purchases:,}", middle, "s"))
    shown.append(Figure("recomputation by one query over all purchases, seconds", query, "s"))
    shown.append(Figure("recomputation of all purchase days, stored, seconds", rebuild, "s"))
    return shown


def _both(figures: dict[str, list[float]], phases: dict[str, list[dict[str, float]]]) -> tuple[list, list]:
    return figures["long"], phases["long"]


def _recomputed(history: History) -> tuple[float, float]:
    """Seconds of finding the newly late by one query over everything, and of rebuilding every purchase day."""
    _, as_of = a_day(DAYS)
    work = history.work

    def query() -> None:
        with work.database.transaction() as connection:
            connection.execute(statement("full_recompute", as_of=as_of)).all()

    def rebuild() -> None:
        with work.database.transaction() as connection:
            connection.execute(sa.text("truncate core.purchase_days"))
            connection.execute(sa.text("create temporary table touched_customers (customer_id text) on commit drop"))
            cycle.refresh(connection, work.queries)

    return min(timed(query) for _ in range(2)), timed(rebuild)


def scans(history: History) -> list[Figure]:
    """One day's newly late against a bare index range scan that returns as many rows, in turn."""
    work, (_, as_of) = history.work, a_day(DAYS)
    until = as_of.replace(tzinfo=None) - timedelta(days=8)
    ours, bare = [], []
    rows = len(newly_late(work, as_of))

    def scan() -> None:
        with work.database.transaction() as connection:
            connection.execute(statement("bare_scan", until=until, people=rows)).all()

    for number in range(SCANS + 1):
        pair = (timed(lambda: newly_late(work, as_of)), timed(scan))
        if number:
            ours.append(pair[0])
            bare.append(pair[1])
    ratio = median(one / other for one, other in zip(ours, bare, strict=True))
    return [
        Figure(f"newly late of a day ({rows:,} rows) against a bare index range scan", ratio, "x", 3),
        Figure("newly late, milliseconds", median(ours) * 1000, "ms"),
        Figure("bare index range scan, milliseconds", median(bare) * 1000, "ms"),
    ]
