"""What people leave behind without buying: checkouts, events, conversations, visits, and the ads they came from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.sources.sample.orders import Orders
from tasks.sources.sample.people import People
from tasks.sources.sample.scenery import DOMAINS, LEAD_ADS, OPENS_AT, PER_EURO, PRODUCTS, Ad
from tasks.sources.sample.writing import instants, iso, seconds, where, write_csv, write_json, write_parquet

CHECKOUT_FAILURES = ("card_declined", "mandatory_field_missing", "security_confirmation_failed")
PAGES = ("/", "/coffee", "/tea", "/mugs", "/gifts", "/sale", "/cart", "/checkout", "/account")


def write_checkouts(folder: Path, people: People) -> int:
    """Recent baskets that became no order: some by customers, some by visitors who left only an email."""
    random, count = people.random("checkouts"), max(people.size // 8, 4)
    who, u = random.integers(people.size, size=count), random.random((count, 4))
    rows = []
    for i in range(count):
        person, guest = int(who[i]), u[i, 0] < 0.15
        opened = OPENS_AT - timedelta(seconds=int(3600 + u[i, 1] * 45 * 86_400))
        number, name, price = PRODUCTS[int(u[i, 2] * len(PRODUCTS))]
        status = "email_entered" if guest or u[i, 3] < 0.5 else "failed" if u[i, 3] < 0.8 else "opened"
        home = people.homes[person]
        rows.append(
            {
                "id": f"K{i + 1:07d}",
                "customer": None if guest else people.ids[person],
                "visitor": f"v-{people.seed}-{i}",
                "email": f"guest.{i + 1}@{DOMAINS[i % 3]}" if guest else None,
                "status": status,
                "failure": CHECKOUT_FAILURES[i % 3] if status == "failed" else None,
                "amount": f"{price * PER_EURO[home.currency]:.2f}",
                "currency": home.currency,
                "language": home.language,
                "country": home.country,
                "items": [{"product_id": number, "name": name, "quantity": 1, "unit_price": price}],
                "opened_at": iso(opened),
                "updated_at": iso(opened + timedelta(minutes=9)),
            }
        )
    return write_json(folder / "checkouts" / "checkouts.jsonl", rows)


def write_events(folder: Path, people: People) -> int:
    """What people did in the app, and one line that was cut off."""
    random, count = people.random("events"), people.size
    who, ago = random.integers(people.size, size=count), random.random(count)
    kind = random.choice(["app_opened", "product_viewed", "added_to_cart", "newsletter_clicked"], count)
    at = seconds(OPENS_AT) - 600 - (ago * 60 * 86_400).astype(np.int64)
    rows = _event_rows("E", at, [people.ids[person] for person in who.tolist()], kind.tolist())
    extra = ['{"id": "E-broken", "customer": "0000001", "event": "app_opened", "time": '] if people.size > 1 else []
    return write_json(folder / "events" / "events_history.jsonl.gz", rows, extra)


def write_day_events(folder: Path, people: People, label: str, since: datetime, own: Orders) -> int:
    """People who buy by themselves look around before."""
    at = np.maximum(own.at - 900, seconds(since) + 1)
    who = [people.ids[person] for person in own.customer.tolist()]
    return write_json(
        folder / "events" / f"events_{label}.jsonl", _event_rows("D", at, who, ["product_viewed"] * len(who))
    )


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


def write_conversations(folder: Path, people: People) -> int:
    """WhatsApp chats that began with an ad, and their messages; returns how many lines."""
    random, count = people.random("chats"), max(people.size // 25, 2)
    who = random.choice(people.size, min(count, people.size), replace=False)
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
                "customer": people.ids[person],
                "channel": "whatsapp",
                "account": "shop-main",
                "ad": f"AD{int(u[i, 2] * 8) + 1:03d}",
                "bot": "welcome-bot",
                "opened_at": iso(opened),
                "milestone": milestone,
                "milestone_at": iso(reached),
                "updated_at": iso(reached),
            }
        )
        turns = (("inbound", "customer", 0), ("outbound", "bot", 1), ("inbound", "customer", 6))
        messages += [
            {
                "id": f"{chat}-{number}",
                "conversation": chat,
                "direction": direction,
                "sender": sender,
                "sent_at": iso(opened + timedelta(minutes=minutes)),
                "text": "Hello, is this still available?" if sender == "customer" else "Yes! Which one do you like?",
                "kind": "text",
            }
            for number, (direction, sender, minutes) in enumerate(turns, 1)
        ]
    said = write_json(folder / "messages" / "messages.jsonl", messages)
    return said + write_json(folder / "conversations" / "conversations.jsonl", chats)


def write_ads(folder: Path) -> int:
    """The ads that conversations began with."""
    since = OPENS_AT - timedelta(days=40)
    ads = [
        Ad(f"AD{number:03d}", "Spring coffee" if number < 5 else "Tea time", "welcome-bot",
           "active" if number % 3 else "paused", since)
        for number in range(1, 9)
    ]  # fmt: skip
    ads += LEAD_ADS
    table = {
        "ad_id": [ad.ad_id for ad in ads],
        "campaign_name": [ad.campaign_name for ad in ads],
        "bot_id": [ad.bot_id for ad in ads],
        "status": [ad.status for ad in ads],
        "updated_at": instants(np.array([seconds(ad.changed_at) for ad in ads])),
    }
    return write_csv(folder / "ads" / "ads.csv", table)


def write_visits(folder: Path, people: People) -> int:
    """Pages seen on the web site, some by people who were logged in."""
    random, count = people.random("visits"), people.size
    who, page = random.integers(people.size, size=count), random.integers(len(PAGES), size=count)
    at = seconds(OPENS_AT) - 60 - (random.random(count) * 30 * 86_400).astype(np.int64)
    known = random.random(count) < 0.7
    homes = [people.homes[person] for person in who.tolist()]
    wide = random.random(count) < 0.45
    table = {
        "visit_id": [f"V{i + 1:08d}" for i in range(count)],
        "session_id": [f"S{i // 3 + 1:08d}" for i in range(count)],
        "visitor_id": [f"cookie-{person}" for person in who.tolist()],
        "customer_no": where(known, [people.ids[person] for person in who.tolist()]),
        "page_url": [f"https://shop.example.com{PAGES[number]}" for number in page.tolist()],
        "source_type": pa.array(random.choice(["direct", "search engine", "website"], count)),
        "country": [home.country for home in homes],
        "language": [home.language for home in homes],
        "device": pa.array(np.where(wide, "computer", "mobile")),
        "window_width": pa.array(np.where(wide, 1440, 390)),
        "window_height": pa.array(np.where(wide, 900, 844)),
        "viewed_at": instants(at),
        "left_at": instants(at + 45),
    }
    return write_parquet(folder / "visits" / "visits.parquet", table)
