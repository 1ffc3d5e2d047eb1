"""A day with new purchases on a short and on a long history, and who became late in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from statistics import median

import sqlalchemy as sa
import sqlalchemy.event

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

    @cached_property
    def clock(self) -> CycleClock:
        """What the purchase cycle costs in it."""
        return CycleClock(self.work)


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


class CycleClock:
    """Seconds spent in the statement that refreshes purchase days, which runs inside the merge."""

    def __init__(self, work: Workspace) -> None:
        self.seconds = 0.0
        self._began = 0.0
        self._statement = work.queries["core/cycle_refresh"].sql
        sa.event.listen(work.database.engine, "before_cursor_execute", self._before)
        sa.event.listen(work.database.engine, "after_cursor_execute", self._after)

    def _before(self, *_seen: object) -> None:
        self._began = time.perf_counter()

    def _after(self, _connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement == self._statement:
            self.seconds += time.perf_counter() - self._began


def one_day(history: History, number: int) -> tuple[dict[str, float], int]:
    """Seconds of one day by phase (load, SQL gate, merge, cycle, newly late), and how many became late.

    A checkpoint comes first, as it does between two real days: the first change of a page costs its whole image.
    """
    work, (day, as_of) = history.work, a_day(number)
    write_day(work, work.settings.config / "purchases" / f"{day}.csv", day, PURCHASES)
    with work.database.alone() as connection:
        connection.execute(sa.text("checkpoint"))
    cycle_clock = history.clock
    cycle_clock.seconds = 0.0
    spent = load(work, as_of)
    loaded = time.perf_counter()
    late = len(newly_late(work, as_of))
    spent["newly late"] = time.perf_counter() - loaded
    spent["cycle"] = cycle_clock.seconds
    spent["merge"] = spent.pop("merge and cycle") - cycle_clock.seconds
    del spent["great expectations"]
    return spent, late


def days(short: History, long: History) -> list[Figure]:
    """The same day on both histories, in turn; and the day on the long one by full recomputation."""
    spent: dict[int, list[dict[str, float]]] = {short.purchases: [], long.purchases: []}
    late: dict[int, int] = {}
    for number in range(DAYS + 1):
        for history in (short, long):
            phases, late[history.purchases] = one_day(history, number)
            if number:  # the first day warms the caches of both
                spent[history.purchases].append(phases)
    query, bare_query, rebuild = _recomputed(long)
    of_a_day = {size: median(sum(phases.values()) for phases in found) for size, found in spent.items()}
    day = of_a_day[long.purchases]
    rest = median(phases["landing"] + phases["gate"] + phases["merge"] for phases in spent[long.purchases])
    shown = [
        Figure(f"a day on {long.purchases:,} against {short.purchases:,}", day / of_a_day[short.purchases], "x", 1.5),
        Figure("that day with all purchase days worked out and stored", (rest + rebuild) / day, "x", 10, at_least=True),
        Figure("that day with one query over the bare table", (rest + bare_query) / day, "x", 10, at_least=True),
        Figure("that day with one query over our covering index", (rest + query) / day, "x"),
    ]
    for size, found in spent.items():
        shown.append(Figure(f"a day on {size:,} ({late[size]:,} newly late)", of_a_day[size], "s"))
        shown += [
            Figure(f"of it {phase}, on {size:,}", median(phases[phase] for phases in found), "s") for phase in found[0]
        ]
    shown.append(Figure("the query over the bare table alone", bare_query, "s"))
    shown.append(Figure("the query over our covering index alone", query, "s"))
    shown.append(Figure("every purchase day worked out and stored again, alone", rebuild, "s"))
    return shown


def _recomputed(history: History) -> tuple[float, float, float]:
    """Seconds of finding the newly late by one query over everything, with and without the index that we keep on
    purchases for their days, and of rebuilding every purchase day.
    """
    _, as_of = a_day(DAYS)
    work = history.work

    def query(*, has_index: bool = True) -> None:
        with work.database.transaction() as connection:
            if not has_index:
                for kind in ("indexscan", "indexonlyscan", "bitmapscan"):
                    connection.execute(sa.text(f"set local enable_{kind} = off"))
            connection.execute(statement("full_recompute", as_of=as_of)).all()

    def rebuild() -> None:
        with work.database.transaction() as connection:
            connection.execute(sa.text("truncate core.purchase_days"))
            connection.execute(sa.text("create temporary table touched_customers (customer_id text) on commit drop"))
            cycle.refresh(connection, work.queries)

    with_index, bare = (
        min(timed(lambda has_index=has_index: query(has_index=has_index)) for _ in range(2))
        for has_index in (True, False)
    )
    return with_index, bare, timed(rebuild)


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
