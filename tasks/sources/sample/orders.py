"""What people buy unasked, each at their own rhythm, and orders as the shop exports them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from tasks.sources.sample.people import People
from tasks.sources.sample.scenery import OPENS_AT, PER_EURO, PRODUCTS
from tasks.sources.sample.writing import instants, seconds, write_csv

# As far as the rhythms reach: days after OPENS_AT, and purchases of one person.
FUTURE_DAYS = 120
MOST_PURCHASES = 60


@dataclass(frozen=True)
class Orders:
    """Purchases by customer index and instant (seconds since 1970), in order of time."""

    customer: np.ndarray
    at: np.ndarray

    def between(self, since: datetime, until: datetime) -> Orders:
        """The purchases after `since` and up to `until`."""
        first, last = np.searchsorted(self.at, [seconds(since), seconds(until)], side="right")
        return Orders(self.customer[first:last], self.at[first:last])


def unasked(people: People) -> Orders:
    """What everyone buys unasked, before and after OPENS_AT: each at their own rhythm, until they drop out."""
    random, size = people.random("rhythms"), people.size
    usual = np.clip(np.exp(random.normal(np.log(44), 0.5, size)), 12, 160)  # days between purchases
    regular = random.uniform(4, 14, size)  # shape: the higher, the steadier
    gaps = random.gamma(regular[:, None], (usual / regular)[:, None], (size, MOST_PURCHASES))
    # A quarter never buys again; the others stop after each purchase with a chance of 5 %.
    stays = random.random((size, MOST_PURCHASES)) < np.where(random.random(size) < 0.25, 0.15, 0.95)[:, None]
    alive = np.concatenate([np.ones((size, 1), bool), np.cumprod(stays, axis=1)[:, :-1].astype(bool)], axis=1)
    days = np.concatenate([np.zeros((size, 1)), np.cumsum(gaps, axis=1)[:, :-1]], axis=1)
    # Whole days from the first purchase, mostly at an hour people are awake at.
    awake = random.random((size, MOST_PURCHASES)) < 0.75
    second = random.integers(0, 86_400, (size, MOST_PURCHASES))
    hour = np.where(awake, 7 * 3600 + second * 14 // 24, second)
    at = people.joined[:, None] // 86_400 * 86_400 + np.rint(days).astype(np.int64) * 86_400 + hour
    keep = alive & (at <= seconds(OPENS_AT + timedelta(days=FUTURE_DAYS)))
    customer, _ = np.nonzero(keep)
    at = at[keep]
    order = np.lexsort((customer, at))
    return Orders(customer[order], at[order])


def write_history(folder: Path, people: People, bought: Orders) -> int:
    """Write all orders of two years in one file, with a few lines as no shop should export them."""
    return _write(folder / "orders" / "orders_history.csv.gz", people, people.random("orders"), bought,
                  extra=_bad_lines(people))  # fmt: skip


def write_day(folder: Path, people: People, label: str, own: Orders, returning: Orders) -> int:
    """Write a day's orders: those made unasked, and those because of a message, which come with its voucher."""
    bought = Orders(np.concatenate([own.customer, returning.customer]), np.concatenate([own.at, returning.at]))
    random = people.random("orders", int("".join(mark for mark in label if mark.isdigit())))
    return _write(folder / "orders" / f"orders_{label}.csv", people, random, bought, because=returning.at.size)


def _write(
    path: Path, people: People, random: np.random.Generator, bought: Orders, *, because: int = 0,
    extra: list[str] | None = None,
) -> int:  # fmt: skip
    """One line per product of an order, the way shops export; the order's columns repeat on every line.

    The last `because` orders were made because of a message.
    """
    customer, at = bought.customer, bought.at
    count = at.size
    reacts = np.arange(count) >= count - because
    numbers = [
        f"{'R' if reaction else 'A'}{second:010d}{who:07d}"
        for reaction, second, who in zip(reacts.tolist(), at.tolist(), customer.tolist(), strict=True)
    ]
    fate = random.random(count)
    status = np.where(fate < 0.03, "cancelled", np.where(fate < 0.05, "returned", "complete"))
    changed = np.minimum(at + random.integers(60, 5 * 86_400, count), max(seconds(OPENS_AT) - 60, at.max(initial=0)))
    lines = random.choice([1, 2, 3], count, p=[0.62, 0.28, 0.10])
    order = np.repeat(np.arange(count), lines)
    product = random.integers(len(PRODUCTS), size=order.size)
    quantity = random.choice([1, 2, 3], order.size, p=[0.8, 0.15, 0.05])
    currency = people.currencies[customer]
    rate = np.array([PER_EURO[name] for name in currency])
    price = np.rint(np.array([price for _, _, price in PRODUCTS])[product] * rate[order] * 100) / 100
    table = {
        "order_no": pa.array(numbers).take(pa.array(order)),
        "customer_no": pa.array(people.ids).take(pa.array(customer[order])),
        "ordered_at": instants(at[order]),
        "status": pa.array(status).take(pa.array(order)),
        "currency": pa.array(currency).take(pa.array(order)),
        "product_no": pa.array([number for number, _, _ in PRODUCTS]).take(pa.array(product)),
        "product": pa.array([name for _, name, _ in PRODUCTS]).take(pa.array(product)),
        "quantity": pa.array(quantity),
        "unit_price": [f"{value:.2f}" for value in price],
        "line_total": [f"{value:.2f}" for value in price * quantity],
        "coupon": pa.array(["", "COMEBACK10"]).take(pa.array(reacts[order].astype(np.int8))),
        "changed_at": instants(np.maximum(changed, at)[order]),
    }
    return write_csv(path, table, extra=extra or ())


def _bad_lines(people: People) -> list[str]:
    """Lines as real exports have them now and then; the data gate must tell them from the good ones."""
    whole = '"{}","{}","{}","{}","EUR","P100","Coffee beans 1 kg",1,"18.90","{}","","{}"'
    random = people.random("bad")
    found = []
    for number in range(max(people.size // 4000, 1)):
        who = people.ids[int(random.integers(people.size))]
        moment = (OPENS_AT - timedelta(days=int(random.integers(2, 300)))).strftime("%Y-%m-%d %H:%M:%SZ")
        found += [
            whole.format(f"X{number}1", who, "2026-02-31 10:00:00Z", "complete", "18.90", moment),
            whole.format(f"X{number}2", who, moment, "complete", "eighteen", moment),
            whole.format(f"X{number}3", who, moment, "complete", "-18.90", moment),
            whole.format(f"X{number}4", "", moment, "complete", "18.90", moment),
            whole.format(f"X{number}5", who, moment, "vanished", "18.90", moment),
        ]
    return found
