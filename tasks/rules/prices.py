"""WhatsApp's prices as the rows that a price is looked up in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from config.prices import EVERYWHERE, WhatsappPrices


@dataclass(frozen=True)
class PriceRow:
    """One price: `place` is a country or `*`; of those that fit, the least `nearness` counts, then the newest."""

    place: str
    category: str
    valid_from: date
    nearness: int
    currency: str
    price: Decimal
    is_example: bool


def price_rows(table: WhatsappPrices, *, with_examples: bool) -> list[PriceRow]:
    """Every price of a table with its regions spelled out; made-up ones only where nothing is real either."""
    found = []
    for entry in table.prices:
        if entry.is_example and not with_examples:
            continue
        if entry.place in table.regions:
            places, nearness = sorted(set(table.regions[entry.place])), 2
        else:
            places, nearness = [entry.place], 3 if entry.place == EVERYWHERE else 1
        found += [
            PriceRow(place, entry.category, entry.valid_from, nearness, entry.currency, entry.price, entry.is_example)
            for place in places
        ]
    return found
