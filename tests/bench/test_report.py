from __future__ import annotations

from bench.report import Figure, write


def test_a_value_above_its_target_is_missed_and_one_on_it_is_met():
    assert Figure("load", 5.01, "x", 5).missed
    assert not Figure("load", 5.0, "x", 5).missed


def test_a_value_that_must_be_at_least_so_much_is_missed_below_it():
    assert Figure("gain", 9.9, "x", 10, at_least=True).missed
    assert not Figure("gain", 10.0, "x", 10, at_least=True).missed


def test_a_figure_without_target_is_never_missed():
    assert not Figure("seconds", 1e9, "s").missed


def test_the_page_shows_value_target_and_verdict_of_each_figure(tmp_path):
    page = tmp_path / "docs" / "bench.md"

    write(page, ["2 cores"], [("First load", "A file.", [Figure("load", 5.5, "x", 5), Figure("seconds", 12, "s")])])

    text = page.read_text()
    assert "- 2 cores" in text
    assert "## First load" in text
    assert "| load | 5.50 x | at most 5 x | MISSED |" in text
    assert "| seconds | 12.00 s |  |  |" in text
