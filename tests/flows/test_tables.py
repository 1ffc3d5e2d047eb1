"""How commands print tables: nothing is cut off on a narrow terminal, and what people wrote is shown as it is."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from flows.commands.console import console, show_rows

NARROW = 80
Show = Callable[..., str]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Print rows on a terminal of eighty columns."""
    monkeypatch.setattr(console, "width", NARROW)

    def show(*rows: dict[str, object], title: str = "") -> str:
        with console.capture() as captured:
            show_rows(rows, list(rows[0]), title=title)
        return captured.get()

    return show


def test_words_stay_whole_as_long_as_all_columns_have_room_for_theirs(show: Show) -> None:
    row = {
        "campaign": "lapsing_customers", "state": "active", "segment": "lapsing_customers",
        "cadence": "every 15 minutes", "channels": "email, push, sms, whatsapp",
    }  # fmt: skip

    shown = show(row)

    assert set(" ".join(row.values()).split()) <= set(shown.split())
    assert max(map(len, shown.splitlines())) <= NARROW


def test_what_is_too_long_goes_on_in_the_next_line_and_is_never_cut_off(show: Show) -> None:
    names = [letter * 15 for letter in "ABCDEFGH"]

    shown = show({f"column_{number}": name for number, name in enumerate(names)})

    assert [shown.count(letter) for letter in "ABCDEFGH"] == [15] * 8
    assert max(map(len, shown.splitlines())) <= NARROW


@pytest.mark.parametrize("text", ["[/b]", "STOP [now]", "[bold]x[/bold]", "[link=https://example.com]y[/link]"])
def test_brackets_are_text(show: Show, text: str) -> None:
    shown = show({"text": text}, title=f"{text} in back")

    assert shown.count(text) == 2


def test_what_people_wrote_moves_no_cursor(show: Show) -> None:
    shown = show({"text": "stop\x1b[2J\x07\tnow"}, title="\x1b[2J")

    assert "stop�[2J� now" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (Decimal(21) / 9, "2.3333"), (Decimal("100.000001"), "100"), (Decimal("-0.05125"), "-0.0512"),
        (Decimal("12.50"), "12.50"), (Decimal("0.0416"), "0.0416"), (Decimal("NaN"), "NaN"),
        (Decimal("-Infinity"), "-Infinity"), (Decimal("1" * 40 + ".123456"), "1" * 40 + ".1235"),
    ],
)  # fmt: skip
def test_a_number_without_end_is_rounded_and_an_amount_is_not(show: Show, number: Decimal, told: str) -> None:
    assert show({"number": number}).split()[-1] == told


def test_a_table_without_rows_has_its_headers() -> None:
    with console.capture() as captured:
        show_rows([], ["quarantine_id", "reason"])

    assert "quarantine id   reason" in captured.get()
