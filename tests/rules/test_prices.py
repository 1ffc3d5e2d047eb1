"""The table of WhatsApp's prices: what it may say, and the rows a price is looked up in."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from config.errors import ConfigError
from config.prices import load_whatsapp_prices
from config.settings import CHECKOUT
from tasks.rules.prices import price_rows

OURS = CHECKOUT / "config" / "whatsapp_prices.yaml"
ENTRY = "source: our contract, dated: 2026-01-01"


def table(tmp_path: Path, *prices: str, more: str = "") -> Path:
    path = tmp_path / "prices.yaml"
    listed = "".join(f"  - {{{price}, {ENTRY}}}\n" for price in prices)
    path.write_text(f"checked: 2026-01-01\n{more}\n" + (f"prices:\n{listed}" if prices else ""))
    return path


def price(place: str, category: str = "marketing", amount: str = "0.10", valid_from: str = "2026-01-01") -> str:
    return f'place: "{place}", category: {category}, currency: EUR, price: {amount}, valid_from: {valid_from}'


def test_ours_has_no_price_that_a_live_database_would_take():
    found = load_whatsapp_prices(OURS)

    assert price_rows(found, with_examples=False) == []
    assert {row.is_example for row in price_rows(found, with_examples=True)} == {True}
    assert all(entry.source for entry in (*found.prices, *found.not_delivered, *found.free_in_service_window))


def test_a_region_is_spelled_out_and_the_nearest_place_is_the_country(tmp_path):
    more = "regions: {south: [BR, CL]}"
    found = load_whatsapp_prices(table(tmp_path, price("BR"), price("south"), price("*"), more=more))

    rows = price_rows(found, with_examples=False)

    assert [(row.place, row.nearness) for row in rows] == [("BR", 1), ("BR", 2), ("CL", 2), ("*", 3)]


def test_an_amount_is_what_was_written_to_its_last_digit(tmp_path):
    (row,) = price_rows(load_whatsapp_prices(table(tmp_path, price("DE", amount="0.1131"))), with_examples=False)

    assert row.price == Decimal("0.1131")


@pytest.mark.parametrize(
    ("prices", "more", "told"),
    [
        ([price("south")], "", "there is no region south"),
        ([price("DE"), price("DE", amount="0.2")], "", "price DE, marketing, 2026-01-01 appears twice"),
        ([], "regions: {south: [BR], east: [BR]}", "BR is in several regions"),
        ([price("Germany")], "", "place"),
        ([price("DE", category="promotion")], "", "category"),
        ([price("DE", amount="-0.1")], "", "price"),
        ([price("DE", amount=".nan")], "", "price"),
        (
            [],
            "not_delivered: ["
            + ", ".join([f"{{country: US, category: marketing, since: 2025-04-01, {ENTRY}}}"] * 2)
            + "]",
            "not_delivered US, marketing appears twice",
        ),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_file(tmp_path, prices, more, told):
    path = table(tmp_path, *prices, more=more)

    with pytest.raises(ConfigError, match=told) as caught:
        load_whatsapp_prices(path)

    assert str(path) in str(caught.value)
