"""The analysts' cases, all of them, and how a failing one reads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from config.settings import CHECKOUT
from tasks.rules.errors import ConfigError
from tasks.store import cases
from tasks.store.engine import Database
from tasks.store.queries import Queries

QUERIES = Queries.load()
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(scope="module")
def scratch(make_database: Callable[..., Database]) -> tuple[Database, cases.Tables]:
    database = make_database()
    return database, cases.Tables(database)


@pytest.mark.parametrize("case", cases.load(CHECKOUT), ids=lambda case: f"{case.query}: {case.name}")
def test_case(scratch, case):
    database, tables = scratch

    assert cases.run(database, QUERIES, case, tables) == []


def written(folder: Path, text: str, query: str = "segments/lapsing_customers") -> list[cases.Case]:
    path = folder / "tests" / "sql" / f"{query}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return cases.load(folder)


def findings(scratch: tuple[Database, cases.Tables], case: cases.Case) -> list[str]:
    database, tables = scratch
    return cases.run(database, QUERIES, case, tables)


GIVEN = """
  given:
    core.purchases:
      - {customer_id: "0042", purchased_at: 2026-02-01}
      - {customer_id: "0042", purchased_at: 2026-04-02}
"""


def test_a_failing_case_says_which_value_differs(scratch, tmp_path):
    text = f"""
- case: too early
  params: {{as_of: 2026-06-09}}{GIVEN}  expect:
    - {{customer_id: "0042", days_since_last: 67, days_late: 8, episode: "2026-04-02"}}
"""
    (case,) = written(tmp_path, text)

    assert case.where.endswith("lapsing_customers.yaml:2")
    assert findings(scratch, case) == ['{customer_id: "0042"}: days_since_last is 68, expected 67']


def test_rows_too_many_and_too_few_are_named(scratch, tmp_path):
    text = f"""
- case: someone else
  params: {{as_of: 2026-06-09}}{GIVEN}  expect:
    - {{customer_id: "0043"}}
"""
    (case,) = written(tmp_path, text)
    missing, surplus = findings(scratch, case)

    assert missing == 'expected, not returned: {customer_id: "0043"}'
    assert surplus.startswith('returned, not expected: {customer_id: "0042", anchor_at: "2026-06-09T00:00:00+00:00"')


def test_a_column_that_does_not_come_out_is_named(scratch, tmp_path):
    text = f"""
- case: another name
  params: {{as_of: 2026-06-09}}{GIVEN}  expect:
    - {{customer_id: "0042", days_over: 8}}
"""
    (case,) = written(tmp_path, text)

    assert findings(scratch, case)[0].startswith("expects days_over, which is not among the columns: customer_id, ")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("core.purchases: [{customer_id: 42, purchased_at: 2026-02-01}]", 'is text: write it in quotes, "42"'),
        ("core.purchases: [{customer_id: '42', bought_at: 2026-02-01}]", "core.purchases has no column bought_at"),
        ("core.orders: [{customer_id: '42'}]", "there is no table core.orders"),
        ("core.purchases: [{customer_id: '42', purchased_at: yesterday}]", "cannot read 'yesterday'"),
        ("core.purchases: [{customer_id: '42', purchased_at: 2026-02-01, status: maybe}]", "check constraint"),
    ],
)
def test_given_rows_that_cannot_be_are_refused_in_words(scratch, tmp_path, given, words):
    (case,) = written(tmp_path, f"- case: x\n  params: {{as_of: 2026-06-09}}\n  given:\n    {given}\n  expect: []\n")

    assert len(findings(scratch, case)) == 1
    assert words in findings(scratch, case)[0]


def test_a_wrong_parameter_is_a_failing_case(scratch, tmp_path):
    (case,) = written(tmp_path, "- case: x\n  params: {as_of: 2026-06-09, marginn: 3}\n  expect: []\n")

    assert findings(scratch, case) == ["sql/segments/lapsing_customers.sql: has no parameter `marginn`"]


def test_a_file_that_is_no_list_of_cases_is_refused_with_every_finding(tmp_path):
    with pytest.raises(ConfigError) as refused:
        written(
            tmp_path, "- case: a\n  expects: []\n- params: {}\n- case: c\n  given: {core.purchases: 3}\n  expect: []\n"
        )

    assert [str(problem).rpartition("lapsing_customers.yaml:")[2] for problem in refused.value.problems] == [
        "1: `expects` is not one of case, params, given, expect",
        "1: `expect:` must be a list of rows {column: value}; [] expects none",
        "3: each case begins with `- case: what it shows`",
        "4: `given:` must hold tables such as core.purchases:, each a list of rows {column: value}",
    ]


def test_cases_leave_nothing_behind(scratch, tmp_path):
    text = f"- case: a\n  params: {{as_of: 2026-06-09}}{GIVEN}  expect: []\n"
    (case,) = written(tmp_path, text)
    database, tables = scratch

    assert findings(scratch, case) == findings(scratch, case) != []
    with database.transaction() as connection:
        assert connection.execute(tables["core.purchases"].select()).all() == []


def test_every_expected_row_needs_a_row_of_its_own():
    row = {"customer_id": "1", "n": 1}

    assert cases.compare([{"customer_id": "1"}], [row], BERLIN) == []
    assert cases.compare([{"customer_id": "1"}, {"customer_id": "1"}], [row], BERLIN) == [
        'expected, not returned: {customer_id: "1"}'
    ]
    assert len(cases.compare([], [row, row], BERLIN)) == 2


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        (1.1, Decimal("1.10"), True),
        (1, Decimal("1.01"), False),
        ("1", 1, False),
        (1, "1", False),
        (True, True, True),
        (1, True, False),
        (None, None, True),
        (None, 0, False),
        ("2026-01-01T00:00:00+01:00", datetime(2025, 12, 31, 23, tzinfo=UTC), True),
        ("2026-01-01", datetime(2025, 12, 31, 23, tzinfo=UTC), True),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC), False),
        (["a"], ["a"], True),
        ({"a": 1}, {"a": 2}, False),
    ],
)
def test_values_are_compared_as_people_mean_them(expected, found, same):
    assert (cases.compare([{"x": expected}], [{"x": found}], BERLIN) == []) is same


def test_expected_rows_find_their_row_even_when_an_earlier_one_could_take_it():
    expected = [{"customer_id": "1"}, {"customer_id": "1", "n": 1}]
    found = [{"customer_id": "1", "n": 1}, {"customer_id": "1", "n": 2}]

    assert cases.compare(expected, found, BERLIN) == []
