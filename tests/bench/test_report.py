from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bench.report import Figure, Section, write


def test_a_value_above_its_target_is_missed_and_one_on_it_is_met():
    assert Figure("load", 5.01, "x", 5).missed
    assert not Figure("load", 5.0, "x", 5).missed


def test_a_value_that_must_be_at_least_so_much_is_missed_below_it():
    assert Figure("gain", 9.9, "x", 10, at_least=True).missed
    assert not Figure("gain", 10.0, "x", 10, at_least=True).missed


def test_a_figure_without_target_is_never_missed():
    assert not Figure("seconds", 1e9, "s").missed


AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ORDER = ("Delivery", "First load", "Planning")


def _section(title: str, value: float) -> Section:
    return Section(title, "A file.", ["2 cores"], [Figure("load", value, "x", 5), Figure("seconds", 12, "s")])


def test_the_page_shows_value_target_and_verdict_of_each_figure(tmp_path: Path):
    page = tmp_path / "docs" / "bench.md"

    write(page, ORDER, [_section("First load", 5.5)], AT)

    text = page.read_text()
    assert "- Run 2026-03-01 12:00 UTC\n- 2 cores\n" in text
    assert "## First load" in text
    assert "| load | 5.50 x | at most 5 x | MISSED |" in text
    assert "| seconds | 12.00 s |  |  |" in text


def test_what_did_not_run_this_time_stays_as_it_was_found(tmp_path: Path):
    page = tmp_path / "bench.md"
    write(page, ORDER, [_section("Planning", 4), _section("First load", 5.5), _section("Gone by now", 1)], AT)
    before = page.read_text()

    write(page, ORDER, [_section("First load", 3), _section("Delivery", 2)], AT.replace(day=2))

    text = page.read_text()
    titles = [line for line in text.splitlines() if line.startswith("#")]
    assert titles == ["# The last run of each bench", "## Delivery", "## First load", "## Planning"]
    assert "| load | 3.00 x | at most 5 x | met |" in text
    assert "5.50" not in text
    assert text[text.index("## Planning") :] == before[before.index("## Planning") :]

    write(page, ORDER, [], AT)

    assert page.read_text() == text
