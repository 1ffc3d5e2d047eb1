"""A made-up shop, written as the files its export would be: what `reengage demo` and the tests load.

Everything follows from the seed: who the customers are, their rhythms, and what they would buy by themselves. What a
simulated day adds depends on one thing more, the messages that reached somebody: as in a real shop, some of those
people come back because of it, by the known share EFFECT, so the evaluation has something to recover. All people,
addresses (example.com and its siblings) and numbers are invented.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet

# 1 June 2026, 00:00 in Berlin: the history ends here and the first simulated day begins. A Monday.
OPENS_AT = datetime(2026, 5, 31, 22, tzinfo=UTC)
HISTORY_DAYS = 730
FUTURE_DAYS = 120
MOST_PURCHASES = 60
# Share of the people reached who come back because of the message, and how long they take on average.
EFFECT = {"email": 0.19, "push": 0.16, "sms": 0.22}
HOURS_TO_RETURN = 16.0
# Share of the people reached by email who unsubscribe.
UNSUBSCRIBES = 0.004


class Place(NamedTuple):
    """Where a customer lives; `mobile` is a national number, # stands for any digit."""

    country: str
    region: str
    zone: str
    language: str
    currency: str
    code: str
    mobile: str
    weight: float


PLACES = (
    Place("DE", "BE", "Europe/Berlin", "de", "EUR", "49", "1512#######", 26),
    Place("DE", "BY", "Europe/Berlin", "de", "EUR", "49", "1761#######", 12),
    Place("AT", "9", "Europe/Vienna", "de", "EUR", "43", "6641######", 6),
    Place("CH", "ZH", "Europe/Zurich", "de", "CHF", "41", "791######", 4),
    Place("FR", "IDF", "Europe/Paris", "fr", "EUR", "33", "612######", 9),
    Place("ES", "MD", "Europe/Madrid", "es", "EUR", "34", "612######", 6),
    Place("IT", "25", "Europe/Rome", "it", "EUR", "39", "3471######", 6),
    Place("NL", "NH", "Europe/Amsterdam", "nl", "EUR", "31", "612######", 4),
    Place("PL", "14", "Europe/Warsaw", "pl", "PLN", "48", "512######", 4),
    Place("GB", "ENG", "Europe/London", "en", "GBP", "44", "7400######", 6),
    Place("PT", "11", "Europe/Lisbon", "pt", "EUR", "351", "912######", 2),
    Place("US", "NY", "America/New_York", "en", "USD", "1", "212555####", 5),
    Place("US", "IL", "America/Chicago", "en", "USD", "1", "312555####", 2),
    Place("US", "CA", "America/Los_Angeles", "en", "USD", "1", "415555####", 3),
    Place("BR", "SP", "America/Sao_Paulo", "pt", "BRL", "55", "1198#######", 2),
    Place("BR", "AM", "America/Manaus", "pt", "BRL", "55", "9298#######", 0.5),
    Place("IN", "KA", "Asia/Kolkata", "en", "INR", "91", "98450#####", 1.5),
    Place("JP", "13", "Asia/Tokyo", "ja", "JPY", "81", "9012######", 1),
)
PER_EURO = {"EUR": 1.0, "CHF": 0.95, "PLN": 4.3, "GBP": 0.85, "USD": 1.1, "BRL": 6.0, "INR": 95.0, "JPY": 165.0}
FIRST_NAMES = [
    "Anna",
    "Ben",
    "Clara",
    "David",
    "Emma",
    "Felix",
    "Greta",
    "Hugo",
    "Ida",
    "Jonas",
    "Karla",
    "Leon",
    "Mia",
    "Noah",
    "Olga",
    "Paul",
    "Rosa",
    "Samuel",
    "Tilda",
    "Viktor",
    "Adele",
    "Bruno",
    "Chiara",
    "Diego",
    "Elif",
    "Farid",
    "Giulia",
    "Hana",
    "Iwona",
    "Jack",
    "Kofi",
    "Lucia",
    "Mateus",
    "Nadia",
    "Oscar",
    "Priya",
    "Rafael",
    "Sofia",
    "Tomasz",
    "Yuki",
]
LAST_NAMES = [
    "Albrecht",
    "Bauer",
    "Costa",
    "Dubois",
    "Ebert",
    "Fischer",
    "Garcia",
    "Huber",
    "Ivanova",
    "Jansen",
    "Keller",
    "Lopez",
    "Moreau",
    "Nowak",
    "Oliveira",
    "Peters",
    "Quinn",
    "Rossi",
    "Schmidt",
    "Tanaka",
    "Ulrich",
    "Vogel",
    "Weber",
    "Young",
    "Zimmer",
    "Almeida",
    "Bianchi",
    "Carvalho",
    "Dietrich",
    "Eriksen",
    "Fontaine",
    "Gruber",
    "Hofmann",
    "Iyer",
    "Jones",
    "Kowalska",
    "Lindner",
    "Meyer",
    "Novak",
    "Patel",
]
PRODUCTS = (
    ("P100", "Coffee beans 1 kg", 18.90),
    ("P101", "Espresso beans 500 g", 11.50),
    ("P110", "Green tea 250 g", 9.80),
    ("P111", "Herbal tea box", 7.40),
    ("P120", "Filter papers", 3.20),
    ("P130", "Stoneware mug", 14.00),
    ("P131", "Travel cup", 21.50),
    ("P140", "Hand grinder", 59.00),
    ("P150", "Chocolate bar", 4.60),
    ("P160", "Oat biscuits", 5.10),
    ("P170", "Gift box", 34.00),
    ("P180", "Milk frother", 27.90),
)
DOMAINS = ("example.com", "example.org", "example.net")
CHECKOUT_FAILURES = ("card_declined", "mandatory_field_missing", "security_confirmation_failed")
PAGES = ("/", "/coffee", "/tea", "/mugs", "/gifts", "/sale", "/cart", "/checkout", "/account")

# One stream of random numbers per subject, so that a change in one leaves the others as they were.
_STREAMS = {
    name: number
    for number, name in enumerate(
        ("people", "rhythms", "orders", "consents", "tokens", "checkouts", "events", "chats", "visits", "days", "bad")
    )
}


@dataclass(frozen=True)
class Delivered:
    """A message that reached an address; all the shop knows of the campaign."""

    channel: str
    address: str
    at: datetime


@dataclass(frozen=True)
class _People:
    """Columns about the customers, one entry each."""

    place: np.ndarray
    email: list[str | None]
    phone: list[str | None]
    e164: list[str | None]
    first_name: list[str | None]
    last_name: list[str]
    states_zone: np.ndarray
    states_language: np.ndarray
    states_country: np.ndarray


@dataclass(frozen=True)
class _Orders:
    """Purchases by customer index and instant (seconds since 1970), in order of time."""

    customer: np.ndarray
    at: np.ndarray

    def between(self, since: datetime, until: datetime) -> np.ndarray:
        """Positions of the purchases after `since` and up to `until`."""
        first, last = np.searchsorted(self.at, [_seconds(since), _seconds(until)], side="right")
        return np.arange(first, last)


class SampleShop:
    """One shop of made-up customers; the same seed and number give the same files, byte for byte."""

    def __init__(self, folder: Path, *, customers: int = 20_000, seed: int = 1) -> None:
        if customers < 1:
            message = "a shop needs at least one customer"
            raise ValueError(message)
        self.folder = folder
        self.size = customers
        self.seed = seed

    def write_history(self) -> dict[str, int]:
        """Write two years of files up to OPENS_AT; returns how many rows each kind has."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return {
            "customers": self._write_customers(),
            "consents": self._write_consents(),
            "push_tokens": self._write_push_tokens(),
            "orders": self._write_history(),
            "checkouts": self._write_checkouts(),
            "events": self._write_events(),
            "conversations": self._write_conversations(),
            "ads": self._write_ads(),
            "visits": self._write_visits(),
        }

    def write_day(self, since: datetime, until: datetime, delivered: Iterable[Delivered]) -> dict[str, int]:
        """Write what happened after `since` and up to `until`, as new files; `delivered` is everything so far."""
        label = until.astimezone(UTC).strftime("%Y-%m-%dT%H%M")
        reactions = self._reactions(delivered)
        returning = _Orders(reactions["customer"], reactions["at"])
        back, own = returning.between(since, until), self._orders.between(since, until)
        bought = _Orders(
            np.concatenate([self._orders.customer[own], returning.customer[back]]),
            np.concatenate([self._orders.at[own], returning.at[back]]),
        )
        written = {"orders": self._write_orders(label, bought, own.size)}
        written["events"] = self._write_day_events(label, since, until)
        written["consents"] = self._write_day_consents(label, since, until, reactions["unsubscribes"])
        return written

    @cached_property
    def ids(self) -> list[str]:
        """Customer ids: text with leading zeros, as many shops have them."""
        return [f"{number:07d}" for number in range(1, self.size + 1)]

    def _random(self, stream: str, *more: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, _STREAMS[stream], *more])

    @cached_property
    def _people(self) -> _People:
        random, size = self._random("people"), self.size
        weights = np.array([place.weight for place in PLACES])
        place = random.choice(len(PLACES), size, p=weights / weights.sum())
        first, last = random.integers(len(FIRST_NAMES), size=size), random.integers(len(LAST_NAMES), size=size)
        domain, digits = random.integers(len(DOMAINS), size=size), random.integers(0, 10, (size, 8))
        email_u, phone_u, name_u, style = (random.random(size) for _ in range(4))
        emails: list[str | None] = []
        phones: list[str | None] = []
        e164s: list[str | None] = []
        for i in range(size):
            home = PLACES[place[i]]
            name = f"{FIRST_NAMES[first[i]]}.{LAST_NAMES[last[i]]}.{i + 1}".lower()
            emails.append(None if email_u[i] < 0.06 else f"{name}@{DOMAINS[domain[i]]}")
            if 0.06 <= email_u[i] < 0.065:
                emails[-1] = f"{name} at example.com"  # not an address: the channel is not viable
            elif email_u[i] > 0.93:
                emails[-1] = f"{name}@{DOMAINS[domain[i]]}".title()  # written with capitals
            number, e164 = _mobile(home, digits[i], style[i]) if phone_u[i] < 0.72 else (None, None)
            phones.append(number)
            e164s.append(e164)
        return _People(
            place=place,
            email=emails,
            phone=phones,
            e164=e164s,
            first_name=[None if name_u[i] < 0.08 else FIRST_NAMES[first[i]] for i in range(size)],
            last_name=[LAST_NAMES[number] for number in last],
            states_zone=random.random(size) < 0.55,
            states_language=random.random(size) < 0.95,
            states_country=random.random(size) < 0.96,
        )

    @cached_property
    def _joined(self) -> np.ndarray:
        """When each customer came first, in seconds since 1970."""
        days = self._random("rhythms", 1).random(self.size) ** 0.8 * (HISTORY_DAYS - 10)
        return _seconds(_EARLIEST) + (days * 86_400).astype(np.int64)

    @cached_property
    def _orders(self) -> _Orders:
        """What everyone buys unasked, before and after OPENS_AT: each at their own rhythm, until they drop out."""
        random, size = self._random("rhythms"), self.size
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
        at = self._joined[:, None] // 86_400 * 86_400 + np.rint(days).astype(np.int64) * 86_400 + hour
        keep = alive & (at <= _seconds(OPENS_AT + timedelta(days=FUTURE_DAYS)))
        customer, _ = np.nonzero(keep)
        at = at[keep]
        order = np.lexsort((customer, at))
        return _Orders(customer[order], at[order])

    @cached_property
    def _currencies(self) -> np.ndarray:
        return np.array([place.currency for place in PLACES])[self._people.place]

    def _write_customers(self) -> int:
        people, homes = self._people, [PLACES[number] for number in self._people.place]
        changed = np.minimum(self._joined + 86_400 * 20, _seconds(OPENS_AT) - 3600)
        table = {
            "Customer No": self.ids,
            "E-Mail": people.email,
            "Phone": people.phone,
            "First Name": people.first_name,
            "Last Name": people.last_name,
            "Language": _where(people.states_language, [home.language for home in homes]),
            "Country": _where(people.states_country, [home.country for home in homes]),
            "Region": _where(people.states_country, [home.region for home in homes]),
            "Time Zone": _where(people.states_zone, [home.zone for home in homes]),
            "Customer Since": _instants(self._joined),
            "Last Changed": _instants(changed),
        }
        return _write_csv(self.folder / "customers" / "customers.csv", table)

    def _write_history(self) -> int:
        rows = self._orders.between(_EARLIEST, OPENS_AT)
        bought = _Orders(self._orders.customer[rows], self._orders.at[rows])
        return self._write_orders("history", bought, rows.size, bad=True)

    def _write_orders(self, label: str, bought: _Orders, own: int, *, bad: bool = False) -> int:
        """One line per product of an order, the way shops export; the order's columns repeat on every line.

        The first `own` orders were made unasked, the others because of a message and with its voucher.
        """
        random = self._random("orders", *(() if bad else (_day_number(label),)))
        customer, at = bought.customer, bought.at
        count = at.size
        because = np.arange(count) >= own
        numbers = [
            f"{'R' if reacts else 'A'}{second:010d}{who:07d}"
            for reacts, second, who in zip(because.tolist(), at.tolist(), customer.tolist(), strict=True)
        ]
        fate = random.random(count)
        status = np.where(fate < 0.03, "cancelled", np.where(fate < 0.05, "returned", "complete"))
        changed = np.minimum(
            at + random.integers(60, 5 * 86_400, count), max(_seconds(OPENS_AT) - 60, at.max(initial=0))
        )
        lines = random.choice([1, 2, 3], count, p=[0.62, 0.28, 0.10])
        order = np.repeat(np.arange(count), lines)
        product = random.integers(len(PRODUCTS), size=order.size)
        quantity = random.choice([1, 2, 3], order.size, p=[0.8, 0.15, 0.05])
        rate = np.array([PER_EURO[currency] for currency in self._currencies[customer]])
        price = np.rint(np.array([price for _, _, price in PRODUCTS])[product] * rate[order] * 100) / 100
        table = {
            "order_no": pa.array(numbers).take(pa.array(order)),
            "customer_no": pa.array(self.ids).take(pa.array(customer[order])),
            "ordered_at": _instants(at[order]),
            "status": pa.array(status).take(pa.array(order)),
            "currency": pa.array(self._currencies[customer]).take(pa.array(order)),
            "product_no": pa.array([number for number, _, _ in PRODUCTS]).take(pa.array(product)),
            "product": pa.array([name for _, name, _ in PRODUCTS]).take(pa.array(product)),
            "quantity": pa.array(quantity),
            "unit_price": [f"{value:.2f}" for value in price],
            "line_total": [f"{value:.2f}" for value in price * quantity],
            "coupon": pa.array(["", "COMEBACK10"]).take(pa.array(because[order].astype(np.int8))),
            "changed_at": _instants(np.maximum(changed, at)[order]),
        }
        path = self.folder / "orders" / f"orders_{label}.csv{'.gz' if bad else ''}"
        return _write_csv(path, table, extra=self._bad_order_lines() if bad else ())

    def _bad_order_lines(self) -> list[str]:
        """Lines as real exports have them now and then; the data gate must tell them from the good ones."""
        whole = '"{}","{}","{}","{}","EUR","P100","Coffee beans 1 kg",1,"18.90","{}","","{}"'
        random = self._random("bad")
        found = []
        for number in range(max(self.size // 4000, 1)):
            who = self.ids[int(random.integers(self.size))]
            moment = (OPENS_AT - timedelta(days=int(random.integers(2, 300)))).strftime("%Y-%m-%d %H:%M:%SZ")
            found += [
                whole.format(f"X{number}1", who, "2026-02-31 10:00:00Z", "complete", "18.90", moment),
                whole.format(f"X{number}2", who, moment, "complete", "eighteen", moment),
                whole.format(f"X{number}3", who, moment, "complete", "-18.90", moment),
                whole.format(f"X{number}4", "", moment, "complete", "18.90", moment),
                whole.format(f"X{number}5", who, moment, "vanished", "18.90", moment),
            ]
        return found

    @cached_property
    def _grants(self) -> dict[str, np.ndarray]:
        """Who agreed to what on which basis: a column of words per channel; empty means no consent was ever given."""
        random, size = self._random("consents"), self.size
        never = random.random(size) < 0.10  # people without any consent
        shares = {
            "email": (("express", 0.52), ("soft_opt_in", 0.26)),
            "push": (("express", 0.70),),
            "webpush": (("express", 0.05),),
            "sms": (("express", 0.40), ("soft_opt_in", 0.05)),
            "whatsapp": (("express", 0.06),),
            "meta": (("express", 0.45),),
            "tiktok": (("express", 0.30),),
            "google": (("express", 0.50),),
        }
        granted = {}
        for channel, bases in shares.items():
            u = random.random(size)
            words, low = np.full(size, "", dtype="<U12"), 0.0
            for basis, share in bases:
                words[(u >= low) & (u < low + share) & ~never] = basis
                low += share
            granted[channel] = words
        granted["push"][~self._has_token] = ""
        return granted

    def _write_consents(self) -> int:
        random, rows = self._random("consents", 1), []
        opened = _seconds(OPENS_AT)
        for number, (channel, words) in enumerate(self._grants.items()):
            who = np.nonzero(words != "")[0]
            at = np.minimum(self._joined[who] + random.integers(60, 86_400, who.size), opened - 86_400)
            withdrawn = random.random(who.size) < 0.06
            until = at + ((opened - 3600 - at) * random.random(who.size)).astype(np.int64)
            platform = channel in ("meta", "tiktok", "google")
            for i, person in enumerate(who.tolist()):
                key = f"C{number}{person + 1:07d}"
                ads = ("true", "true") if platform else ("", "")
                rows.append(
                    (key, self.ids[person], channel, "marketing", "granted", words[person], *ads, "checkout", at[i])
                )
                if withdrawn[i]:
                    rows.append(
                        (
                            f"{key}W",
                            self.ids[person],
                            channel,
                            "marketing",
                            "withdrawn",
                            "",
                            "",
                            "",
                            "account",
                            until[i],
                        )
                    )
        return self._write_consent_rows("history", rows)

    def _write_consent_rows(self, label: str, rows: Sequence[tuple[Any, ...]]) -> int:
        columns = list(zip(*rows, strict=True)) if rows else [[] for _ in _CONSENT_COLUMNS]
        table: dict[str, Any] = {
            name: [str(value) for value in column] for name, column in zip(_CONSENT_COLUMNS, columns, strict=True)
        }
        table["occurred_at"] = _instants(np.array(columns[-1], dtype=np.int64))
        return _write_csv(self.folder / "consents" / f"consents_{label}.csv", table)

    @cached_property
    def _has_token(self) -> np.ndarray:
        return self._random("tokens").random(self.size) < 0.5

    def _endpoint(self, person: int) -> str:
        return f"https://push.example.com/device/{self.seed}-{person + 1:07d}"

    def _write_push_tokens(self) -> int:
        random, who = self._random("tokens", 1), np.nonzero(self._has_token)[0]
        inactive = random.random(who.size) < 0.12
        kind = random.choice(["fcm", "apns"], who.size, p=[0.6, 0.4])
        table = {
            "token_id": [f"T{person + 1:07d}" for person in who.tolist()],
            "customer_no": [self.ids[person] for person in who.tolist()],
            "endpoint": [self._endpoint(person) for person in who.tolist()],
            "platform": pa.array(kind),
            "active": ["false" if off else "true" for off in inactive],
            "updated_at": _instants(np.minimum(self._joined[who] + 7200, _seconds(OPENS_AT) - 3600)),
        }
        return _write_csv(self.folder / "push_tokens" / "push_tokens.csv", table)

    def _write_checkouts(self) -> int:
        """Recent baskets that became no order: some by customers, some by visitors who left only an email."""
        random, count = self._random("checkouts"), max(self.size // 8, 4)
        who, u = random.integers(self.size, size=count), random.random((count, 4))
        rows = []
        for i in range(count):
            person, guest = int(who[i]), u[i, 0] < 0.15
            opened = OPENS_AT - timedelta(seconds=int(3600 + u[i, 1] * 45 * 86_400))
            number, name, price = PRODUCTS[int(u[i, 2] * len(PRODUCTS))]
            status = "email_entered" if guest or u[i, 3] < 0.5 else "failed" if u[i, 3] < 0.8 else "opened"
            home = PLACES[self._people.place[person]]
            rows.append(
                {
                    "id": f"K{i + 1:07d}",
                    "customer": None if guest else self.ids[person],
                    "visitor": f"v-{self.seed}-{i}",
                    "email": f"guest.{i + 1}@{DOMAINS[i % 3]}" if guest else None,
                    "status": status,
                    "failure": CHECKOUT_FAILURES[i % 3] if status == "failed" else None,
                    "amount": f"{price * PER_EURO[home.currency]:.2f}",
                    "currency": home.currency,
                    "language": home.language,
                    "country": home.country,
                    "items": [{"product_id": number, "name": name, "quantity": 1, "unit_price": price}],
                    "opened_at": _iso(opened),
                    "updated_at": _iso(opened + timedelta(minutes=9)),
                }
            )
        return _write_lines(self.folder / "checkouts" / "checkouts.jsonl", rows)

    def _write_events(self) -> int:
        random, count = self._random("events"), self.size
        who, ago = random.integers(self.size, size=count), random.random(count)
        kind = random.choice(["app_opened", "product_viewed", "added_to_cart", "newsletter_clicked"], count)
        at = _seconds(OPENS_AT) - 600 - (ago * 60 * 86_400).astype(np.int64)
        rows = _event_rows("E", at, [self.ids[person] for person in who.tolist()], kind.tolist())
        extra = ['{"id": "E-broken", "customer": "0000001", "event": "app_opened", "time": '] if self.size > 1 else []
        return _write_lines(self.folder / "events" / "events_history.jsonl.gz", rows, extra)

    def _write_day_events(self, label: str, since: datetime, until: datetime) -> int:
        """People who buy by themselves look around before."""
        rows = self._orders.between(since, until)
        at = np.maximum(self._orders.at[rows] - 900, _seconds(since) + 1)
        who = [self.ids[person] for person in self._orders.customer[rows].tolist()]
        return _write_lines(
            self.folder / "events" / f"events_{label}.jsonl", _event_rows("D", at, who, ["product_viewed"] * len(who))
        )

    def _write_conversations(self) -> int:
        """WhatsApp chats that began with an ad, and their messages."""
        random, count = self._random("chats"), max(self.size // 25, 2)
        who = random.choice(self.size, min(count, self.size), replace=False)
        u = random.random((who.size, 4))
        chats, messages = [], []
        for i, person in enumerate(who.tolist()):
            opened = OPENS_AT - timedelta(seconds=int(3 * 86_400 + u[i, 0] * 60 * 86_400))
            milestone = "lead" if u[i, 1] < 0.5 else "deep_conversation" if u[i, 1] < 0.8 else "qualified"
            reached = opened + timedelta(minutes=5 if milestone == "lead" else 40)
            chat = f"W{i + 1:06d}"
            chats.append(
                {
                    "id": chat,
                    "customer": self.ids[person],
                    "channel": "whatsapp",
                    "account": "shop-main",
                    "ad": f"AD{int(u[i, 2] * 8) + 1:03d}",
                    "bot": "welcome-bot",
                    "opened_at": _iso(opened),
                    "milestone": milestone,
                    "milestone_at": _iso(reached),
                    "updated_at": _iso(reached),
                }
            )
            said = (("inbound", "customer", 0), ("outbound", "bot", 1), ("inbound", "customer", 6))
            messages += [
                {
                    "id": f"{chat}-{number}",
                    "conversation": chat,
                    "direction": direction,
                    "sender": sender,
                    "sent_at": _iso(opened + timedelta(minutes=minutes)),
                    "text": "Hello, is this still available?"
                    if sender == "customer"
                    else "Yes! Which one do you like?",
                    "kind": "text",
                }
                for number, (direction, sender, minutes) in enumerate(said, 1)
            ]
        _write_lines(self.folder / "messages" / "messages.jsonl", messages)
        return _write_lines(self.folder / "conversations" / "conversations.jsonl", chats)

    def _write_ads(self) -> int:
        rows = [
            (f"AD{n:03d}", "Spring coffee" if n < 5 else "Tea time", "active" if n % 3 else "paused")
            for n in range(1, 9)
        ]
        table = {
            "ad_id": [row[0] for row in rows],
            "campaign_name": [row[1] for row in rows],
            "bot_id": ["welcome-bot"] * len(rows),
            "status": [row[2] for row in rows],
            "updated_at": _instants(np.full(len(rows), _seconds(OPENS_AT) - 86_400 * 40)),
        }
        return _write_csv(self.folder / "ads" / "ads.csv", table)

    def _write_visits(self) -> int:
        random, count = self._random("visits"), self.size
        who, page = random.integers(self.size, size=count), random.integers(len(PAGES), size=count)
        at = _seconds(OPENS_AT) - 60 - (random.random(count) * 30 * 86_400).astype(np.int64)
        known = random.random(count) < 0.7
        homes = [PLACES[self._people.place[person]] for person in who.tolist()]
        wide = random.random(count) < 0.45
        table = {
            "visit_id": [f"V{i + 1:08d}" for i in range(count)],
            "session_id": [f"S{i // 3 + 1:08d}" for i in range(count)],
            "visitor_id": [f"cookie-{person}" for person in who.tolist()],
            "customer_no": _where(known, [self.ids[person] for person in who.tolist()]),
            "page_url": [f"https://shop.example.com{PAGES[number]}" for number in page.tolist()],
            "source_type": pa.array(random.choice(["direct", "search engine", "website"], count)),
            "country": [home.country for home in homes],
            "language": [home.language for home in homes],
            "device": pa.array(np.where(wide, "computer", "mobile")),
            "window_width": pa.array(np.where(wide, 1440, 390)),
            "window_height": pa.array(np.where(wide, 900, 844)),
            "viewed_at": _instants(at),
            "left_at": _instants(at + 45),
        }
        path = self.folder / "visits" / "visits.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        arrow_parquet.write_table(pa.table(table), path)
        return count

    @cached_property
    def _by_address(self) -> dict[str, int]:
        """Who reads what is sent to an address."""
        people, found = self._people, {}
        for person in range(self.size):
            for address in (people.email[person], people.e164[person], self._endpoint(person)):
                if address:
                    found[address.lower()] = person
        return found

    def _reactions(self, delivered: Iterable[Delivered]) -> dict[str, Any]:
        """Who comes back and who unsubscribes because of a message; the same messages always give the same answer."""
        draws: dict[int, np.ndarray] = {}
        returning, unsubscribes = [], []
        for message in delivered:
            person = self._by_address.get(message.address.lower())
            if person is None:
                continue
            day = message.at.toordinal()
            if day not in draws:
                draws[day] = self._random("days", day).random((self.size, 3))
            u, lag, leaves = draws[day][person]
            if u < EFFECT.get(message.channel, 0):
                hours = 0.3 - HOURS_TO_RETURN * np.log1p(-lag)
                returning.append((_seconds(message.at) + int(hours * 3600), person))
            elif message.channel == "email" and leaves < UNSUBSCRIBES:
                unsubscribes.append((_seconds(message.at) + 1800, person))
        returning.sort()
        return {
            "at": np.array([at for at, _ in returning], dtype=np.int64),
            "customer": np.array([person for _, person in returning], dtype=np.int64),
            "unsubscribes": sorted(unsubscribes),
        }

    def _write_day_consents(
        self, label: str, since: datetime, until: datetime, unsubscribes: Sequence[tuple[int, int]]
    ) -> int:
        """Who unsubscribed because of a message, and who agreed to something of their own accord."""
        rows: list[tuple[Any, ...]] = [
            (
                f"U{at}{person + 1:07d}",
                self.ids[person],
                "email",
                "marketing",
                "withdrawn",
                "",
                "",
                "",
                "email link",
                at,
            )
            for at, person in unsubscribes
            if _seconds(since) < at <= _seconds(until)
        ]
        random = self._random("days", _seconds(until))
        first, last = _seconds(since) + 1, _seconds(until)
        for _ in range(int(self.size / 800 * (last - first) / 86_400) + 1):
            person, at = int(random.integers(self.size)), int(random.integers(first, last))
            channel = ("email", "sms", "push")[int(random.integers(3))]
            key = f"N{at}{person + 1:07d}"
            rows.append((key, self.ids[person], channel, "marketing", "granted", "express", "", "", "account", at))
        return self._write_consent_rows(label, rows)


_EARLIEST = OPENS_AT - timedelta(days=HISTORY_DAYS)
_CONSENT_COLUMNS = (
    "consent_id", "customer_no", "channel", "purpose", "status", "basis", "ad_user_data", "ad_personalization",
    "source", "occurred_at",
)  # fmt: skip


def _mobile(home: Place, digits: np.ndarray, style: float) -> tuple[str, str]:
    """A mobile number as the customer typed it, and the same as E.164."""
    left = iter(digits.tolist())
    national = "".join(str(next(left)) if mark == "#" else mark for mark in home.mobile)
    e164 = f"+{home.code}{national}"
    if style < 0.5:
        return e164, e164
    if style < 0.75 and home.zone.startswith("Europe/"):  # elsewhere 00 does not lead abroad
        return f"00{home.code} {national[:3]} {national[3:]}", e164
    return f"+{home.code} {national[:3]} {national[3:]}", e164


def _event_rows(prefix: str, at: np.ndarray, who: Sequence[str], kinds: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{prefix}{second}-{person}",
            "customer": person,
            "event": kind,
            "time": second,
            "properties": {"product_id": PRODUCTS[second % len(PRODUCTS)][0], "platform": "app"},
        }
        for second, person, kind in zip(at.tolist(), who, kinds, strict=True)
    ]


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _day_number(label: str) -> int:
    return int("".join(mark for mark in label if mark.isdigit()))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _instants(seconds: np.ndarray) -> pa.Array:
    return pa.array(seconds.astype("datetime64[s]"), pa.timestamp("s", tz="UTC"))


def _where(kept: np.ndarray, values: Sequence[str]) -> list[str | None]:
    return [value if keep else None for keep, value in zip(kept, values, strict=True)]


def _write_csv(path: Path, table: dict[str, Any], extra: Sequence[str] = ()) -> int:
    """One CSV file (gzip by its name) with `extra` lines as they are at the end; returns its rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = pa.table(table)
    sink = pa.BufferOutputStream()
    arrow_csv.write_csv(rows, sink)
    content = sink.getvalue().to_pybytes() + "".join(f"{line}\n" for line in extra).encode()
    # A fixed time stamp in the gzip header keeps the bytes a function of the seed.
    path.write_bytes(gzip.compress(content, compresslevel=1, mtime=0) if path.suffix == ".gz" else content)
    return rows.num_rows + len(extra)


def _write_lines(path: Path, rows: Sequence[dict[str, Any]], extra: Sequence[str] = ()) -> int:
    """One JSON Lines file (gzip by its name) with `extra` lines as they are at the end; returns its rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows]
    content = "".join(f"{line}\n" for line in (*lines, *extra)).encode()
    path.write_bytes(gzip.compress(content, compresslevel=1, mtime=0) if path.suffix == ".gz" else content)
    return len(lines) + len(extra)
