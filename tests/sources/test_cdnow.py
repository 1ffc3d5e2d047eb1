"""The CDNOW example: a made-up file of its format with answers worked out by hand, and the real one when it is here.

The 400 people of tests/data/cdnow_sample.txt, number i from 1 to 400, each have five lines k = 0 to 4:
- the day of line k is 1 January 1997 + (i mod 50) days + k x gap, with gap = 10 + 5 x (i mod 5) days;
- the dollars are 10 x (k + 1) and (i mod 100) cents;
- where 10 divides i, line 4 is line 3 once more, to the letter (40 people);
- where i mod 20 = 1, line 0 cost nothing (20 people).
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.settings import CHECKOUT
from tasks import pull
from tasks.rules.errors import ModeError
from tasks.store import segments
from tasks.store.workspace import Workspace

SAMPLE = CHECKOUT / "tests" / "data" / "cdnow_sample.txt"
REAL = Path(os.environ.get("REENGAGE_CDNOW") or CHECKOUT.parent / "shared" / "data" / "cdnow_purchases.txt")
EXAMPLE = CHECKOUT / "config" / "examples" / "cdnow"
ZONE = "America/New_York"


@pytest.fixture
def example(make_workspace, tmp_path, monkeypatch):
    def make(file: Path) -> Workspace:
        shutil.copy(file, tmp_path / "cdnow.txt")
        monkeypatch.setenv("REENGAGE_CDNOW", str(tmp_path / "cdnow*.txt"))
        return make_workspace(config=EXAMPLE, time_zone=ZONE)

    return make


def _pull(work: Workspace, day: str = "1998-07-01") -> list[pull.Load]:
    moment = work.instant(day)
    assert moment is not None
    return pull.source(work, "cdnow_purchases", moment)


def _one(work: Workspace, statement: str) -> tuple:
    with work.database.transaction() as connection:
        return tuple(connection.execute(sa.text(statement)).one())


TOTALS = """
select
    count(*), count(distinct customer_id), sum(amount), count(*) filter (where amount = 0), min(currency), max(status)
from core.purchases
"""


def test_every_line_of_the_sample_is_a_purchase(example):
    work = example(SAMPLE)

    [load] = _pull(work)

    assert (load.state, load.lines_in, load.accepted) == ("merged", 2000, 2000)
    assert load.report["ignored_columns"] == ["number_of_cds"]
    # 400 x 150.00 + 5 x 198.00 in cents - 40 x 10.00 for the repeated lines - 208.20 for those that cost nothing:
    # the cents i mod 100 add up to 4 x 49.50 = 198.00; 20 x 10.00 + 4 x (0.01 + 0.21 + 0.41 + 0.61 + 0.81) = 208.20.
    assert _one(work, TOTALS) == (2000, 400, Decimal("60381.80"), 20, "USD", "paid")
    # A purchase day is a day, so the repeated lines make no other one.
    assert _one(work, "select count(*), max(number) from core.purchase_days") == (1960, 5)


def test_days_are_days_of_the_shop_and_ids_keep_their_zeros(example):
    work = example(SAMPLE)
    _pull(work)

    # Number 12: 1 January + 12 days, then every 20 days, from midnight in New York (UTC - 5; - 4 from 6 April on).
    rows = "select string_agg(day::text, ' ' order by day) from core.purchase_days where customer_id = '00012'"
    assert _one(work, rows) == ("1997-01-13 1997-02-02 1997-02-22 1997-03-14 1997-04-03",)
    first = "select min(purchased_at) at time zone 'UTC' from core.purchases where customer_id = '00012'"
    assert str(_one(work, first)[0]) == "1997-01-13 05:00:00"


def test_delivering_the_file_again_adds_nothing_whatever_its_line_ends_and_order(example, tmp_path):
    work = example(SAMPLE)
    _pull(work)

    header, *lines = SAMPLE.read_text().splitlines()
    (tmp_path / "cdnow_again.txt").write_text("\n".join([header, *sorted(lines)]) + "\n", newline="\n")
    [load] = _pull(work)

    assert (load.accepted, load.duplicate) == (0, 2000)
    assert _one(work, "select count(*) from core.purchases") == (2000,)


@pytest.mark.parametrize(
    ("day", "late"),
    [
        # Late from the last day + gap + 8 days on. With r = i mod 50 there are 8 people for each r, and they are late
        # from day r + 48 (r = 0, 10, 20, 30, 40: four days and gap 10), r + 58 (r = 5, 15 ..: five days, gap 10),
        # r + 83 (r mod 5 = 1: gap 15), r + 108, r + 133 and r + 158 (r mod 5 = 2, 3, 4).
        ("1997-02-17", 0),  # day 47
        ("1997-02-18", 8),  # day 48: r = 0
        ("1997-03-01", 16),  # day 59: r = 0, 10
        ("1997-04-01", 80),  # day 90: r = 0, 10, 20, 30, 40 and 5, 15, 25 and 1, 6
        ("1998-06-30", 400),
    ],
)
def test_who_is_late_by_their_own_rhythm(example, day, late):
    work = example(SAMPLE)
    _pull(work)

    assert segments.preview(work, "lapsing_customers", {}, work.instant(day)).count == late


def test_made_up_contacts_reach_everybody_and_adding_them_again_changes_nothing(example):
    work = example(SAMPLE)
    _pull(work)
    moment = work.instant("1998-07-01")

    done = pull.sample_contacts(work, moment)
    again = pull.sample_contacts(work, moment)

    assert done.people == 400
    assert [load.state for load in done.loads] == ["merged", "merged"]
    assert done.loads[0].accepted == 400
    assert again.people == 0
    people = "select count(*) filter (where email like '%@example.com'), count(*) from core.customers"
    written, everybody = _one(work, people)
    assert 350 <= written < everybody == 400
    assert _one(work, "select count(*) from core.customers where email is null and phone_e164 is null") == (0,)
    bases = "select array_agg(distinct basis order by basis), max(occurred_at) <= '1998-07-02' from core.consents"
    assert _one(work, bases) == (["express", "inquiry", "soft_opt_in", None], True)
    without = "select count(*) from core.customers where customer_id not in (select customer_id from core.consents)"
    assert _one(work, without) == (done.without_consent,)
    assert 40 <= done.without_consent <= 120


def test_made_up_contacts_are_refused_where_people_may_be_real(make_workspace):
    work = make_workspace(mode="live")

    with pytest.raises(ModeError, match="is not simulated"):
        pull.sample_contacts(work, None)


@pytest.mark.skipif(not REAL.is_file(), reason="the CDNOW file is not here (REENGAGE_CDNOW names it)")
def test_every_line_of_the_real_file_is_a_purchase_and_delivering_it_again_adds_nothing(example, tmp_path):
    lines = [line.split() for line in REAL.read_text().splitlines()[1:]]
    work = example(REAL)

    [load] = _pull(work)

    assert (load.lines_in, load.accepted) == (69_659, 69_659)
    totals = (69_659, 23_570, sum(Decimal(line[3]) for line in lines), sum(Decimal(line[3]) == 0 for line in lines))
    assert _one(work, TOTALS) == (*totals, "USD", "paid")
    days = {(line[0], date.fromisoformat(line[1])) for line in lines}
    assert _one(work, "select count(*) from core.purchase_days") == (len(days),)
    for day in ("1997-03-15", "1997-10-01", "1998-06-30"):
        late = segments.preview(work, "lapsing_customers", {}, work.instant(day)).count
        assert late == _late(days, date.fromisoformat(day)) > 0
    shutil.copy(REAL, tmp_path / "cdnow_again.txt")
    [again] = _pull(work)
    assert (again.accepted, again.duplicate) == (0, 69_659)


def _late(bought: set[tuple[str, date]], today: date) -> int:
    """How many repeat buyers are at least 8 days beyond their average gap, told from whole days only."""
    days = defaultdict(list)
    for customer, day in bought:
        if day <= today:
            days[customer].append(day)
    late = 0
    for theirs in days.values():
        gaps, first, last = len(theirs) - 1, min(theirs), max(theirs)
        late += gaps > 0 and (today - last).days * gaps >= (last - first).days + 8 * gaps
    return late
