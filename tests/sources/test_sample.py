"""The sample shop: the same seed gives the same files, and the known effect is really in them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import phonenumbers

from config.settings import CHECKOUT
from config.sources import load_sources
from tasks.sources.sample import EFFECT, OPENS_AT, PLACES, Delivered, SampleShop

DAY = timedelta(days=1)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def orders(path: Path) -> list[dict[str, str]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(content.decode().splitlines()))


def test_the_same_seed_gives_the_same_files_byte_for_byte_and_another_seed_others(tmp_path: Path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        shop = SampleShop(tmp_path / name, customers=300, seed=seed)
        shop.write_history()
        sent = [Delivered("email", address, OPENS_AT) for address in shop._people.email if address]
        shop.write_day(OPENS_AT, OPENS_AT + 2 * DAY, sent)
        time.sleep(0.01)  # a gzip header with the time of day would differ by now

    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a") != digests(tmp_path / "c")


def test_every_file_of_the_shop_is_named_in_its_source_mapping_and_the_other_way_round(tmp_path: Path):
    SampleShop(tmp_path, customers=50).write_history()
    sources = load_sources(CHECKOUT / "config" / "examples" / "shop" / "sources.yaml")

    mapped = {name: source.place.removeprefix("${REENGAGE_SHOP}/") for name, source in sources.items()}
    found = {name: set(tmp_path.glob(place)) for name, place in mapped.items()}

    assert all(found.values()), found
    assert set().union(*found.values()) == {path for path in tmp_path.rglob("*") if path.is_file()}
    assert {source.entity for source in sources.values()} == {
        "customers", "purchases", "checkouts", "events", "conversations", "messages", "ads", "consents",
        "push_tokens", "visits",
    }  # fmt: skip


def test_every_phone_number_is_valid_where_its_owner_lives(tmp_path: Path):
    people = SampleShop(tmp_path, customers=2_000)._people

    given = [
        (place, text, e164) for place, text, e164 in zip(people.place, people.phone, people.e164, strict=True) if e164
    ]
    for place, text, e164 in given:
        number = phonenumbers.parse(text, PLACES[place].country)
        assert phonenumbers.is_valid_number(number), text
        assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == e164

    assert {PLACES[place].country for place, _, _ in given} == {place.country for place in PLACES}


def test_history_ends_where_the_first_day_begins_and_days_do_not_overlap(tmp_path: Path):
    shop = SampleShop(tmp_path, customers=400)
    shop.write_history()
    shop.write_day(OPENS_AT, OPENS_AT + DAY, [])
    shop.write_day(OPENS_AT + DAY, OPENS_AT + 2 * DAY, [])

    history, first, second = sorted(
        (tmp_path / "orders").iterdir(), key=lambda path: ("history" not in path.name, path)
    )
    edge = OPENS_AT.strftime("%Y-%m-%d %H:%M:%SZ")
    good = [line["ordered_at"] for line in orders(history) if not line["order_no"].startswith("X")]
    numbers = [{line["order_no"] for line in orders(path)} for path in (history, first, second)]

    assert max(good) <= edge < min(line["ordered_at"] for line in orders(first))
    assert not numbers[0] & numbers[1]
    assert not numbers[1] & numbers[2]
    assert all(numbers)


def test_people_reached_come_back_by_the_known_share_and_nobody_else_does_because_of_it(tmp_path: Path):
    shop = SampleShop(tmp_path, customers=6_000, seed=3)
    sent = [Delivered("email", address.upper(), OPENS_AT) for address in shop._people.email[:4_000] if address]
    reached = {person for person in range(4_000) if shop._people.email[person]}
    shop.write_day(OPENS_AT, OPENS_AT + 10 * DAY, [*sent, Delivered("email", "stranger@example.com", OPENS_AT)])

    lines = [line for path in (tmp_path / "orders").iterdir() for line in orders(path)]
    back = {int(line["customer_no"]) - 1 for line in lines if line["coupon"] == "COMEBACK10"}

    assert back <= reached
    assert abs(len(back) / len(reached) - EFFECT["email"]) < 0.025
    assert len({line["order_no"] for line in lines if not line["coupon"]}) > len(back)


def test_a_message_brings_nobody_back_before_it_was_sent(tmp_path: Path):
    shop = SampleShop(tmp_path, customers=500)
    at = datetime(2026, 6, 2, 9, tzinfo=UTC)
    sent = [Delivered("email", address, at) for address in shop._people.email if address]

    early = shop._reactions(sent)

    assert early["at"].size
    assert early["at"].min() > at.timestamp()
