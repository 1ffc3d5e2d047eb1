"""Tables as CSV files: what a spreadsheet reads is what the page says, and nothing in it runs."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from dashboards import words
from dashboards.spreadsheet import as_csv, harmless


def read(written: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(written.decode("utf-8-sig"), newline="")))


def test_figures_are_written_as_numbers_and_currencies_beside_them():
    rows = [
        ["Früh", words.count(1234), words.percent(0.125), words.money(Decimal("1234.50"), "EUR"), words.points(-0.031)],
        ["Spät", words.count(0), words.percent(0), words.signed_money(Decimal(-2), "USD"), words.points(0.02)],
    ]

    assert read(as_csv(["Wann", "People", "Share", "Revenue", "Points"], rows)) == [
        ["Wann", "People", "Share", "Revenue", "Revenue, currency", "Points"],
        ["Früh", "1234", "0.125", "1234.50", "EUR", "-3.1"],
        ["Spät", "0", "0.0", "-2", "USD", "2.0"],
    ]


def test_moments_and_days_are_written_so_that_they_sort():
    at = datetime(2026, 4, 4, 6, tzinfo=UTC)

    assert read(as_csv(["At", "On"], [[words.moment(at, "Europe/Berlin"), words.day(date(2026, 4, 4))]]))[1] == [
        "2026-04-04T08:00+02:00", "2026-04-04",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "evil",
    ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1", "-", '=HYPERLINK("http://x")', "-cmd|' /C calc'!A0"],
)
def test_what_a_spreadsheet_would_run_begins_with_an_apostrophe(evil: str):
    assert harmless(evil) == f"'{evil}"
    assert read(as_csv([evil, "x"], [[evil, "y"]])) == [[f"'{evil}", "x"], [f"'{evil}", "y"]]


@pytest.mark.parametrize(
    "good", ["-3", "-3.5", "12", "1 = 1", "a@b", "", "Meta, win_back *again*", "\N{MINUS SIGN}1.0"]
)
def test_numbers_and_plain_words_stay_as_they_are(good: str):
    assert harmless(good) == good


def test_it_opens_as_utf_8_in_spreadsheets():
    assert as_csv(["a"], []).startswith(b"\xef\xbb\xbf")
