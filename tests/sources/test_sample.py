"""The sample shop: the same seed gives the same files, and the known effect is really in them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import phonenumbers
import pyarrow.parquet as pq

from config.campaign import load_campaign
from config.settings import CHECKOUT
from config.sources import load_sources
from tasks.sources.sample.leads import Reaction
from tasks.sources.sample.people import People
from tasks.sources.sample.scenery import LEAD_ADS, OPENS_AT, PLACES
from tasks.sources.sample.shop import EFFECT, Delivered, SampleShop, react

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


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
        sent = [Delivered("email", address, OPENS_AT) for address in shop.people.described.email if address]
        shop.write_day(OPENS_AT, OPENS_AT + 2 * DAY, sent)
        time.sleep(0.01)  # a gzip header with the time of day would differ by now

    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a") != digests(tmp_path / "c")


def test_as_many_lines_are_told_as_the_files_hold(tmp_path: Path):
    shop = SampleShop(tmp_path, customers=50)
    until = OPENS_AT + DAY

    assert sum(shop.write_history().values()) == lines_below(tmp_path)
    before = lines_below(tmp_path)
    assert shop.write_talks(OPENS_AT, until, []) == lines_below(tmp_path) - before > 0


def lines_below(folder: Path) -> int:
    """Every line of every file that a source reads, headers apart."""
    return sum(lines_in(path) for path in folder.rglob("*") if path.is_file())


def lines_in(path: Path) -> int:
    if path.suffix == ".parquet":
        return pq.read_metadata(path).num_rows
    if ".csv" in path.suffixes:
        return len(orders(path))
    content = path.read_bytes()
    return len((gzip.decompress(content) if path.suffix == ".gz" else content).splitlines())


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
    people = SampleShop(tmp_path, customers=2_000).people.described

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
    sent = [Delivered("email", address.upper(), OPENS_AT) for address in shop.people.described.email[:4_000] if address]
    reached = {person for person in range(4_000) if shop.people.described.email[person]}
    shop.write_day(OPENS_AT, OPENS_AT + 10 * DAY, [*sent, Delivered("email", "stranger@example.com", OPENS_AT)])

    lines = [line for path in (tmp_path / "orders").iterdir() for line in orders(path)]
    back = {int(line["customer_no"]) - 1 for line in lines if line["coupon"] == "COMEBACK10"}

    assert back <= reached
    assert abs(len(back) / len(reached) - EFFECT["email"]) < 0.025
    assert len({line["order_no"] for line in lines if not line["coupon"]}) > len(back)


def test_leads_change_no_other_file_and_their_own_do_not_hang_on_the_order_of_what_was_sent(tmp_path: Path):
    until = OPENS_AT + 2 * DAY
    for name, leads_a_day, turned in (("a", 5, False), ("b", 5, True), ("c", 9, False)):
        shop = SampleShop(tmp_path / name, customers=60, seed=7, leads_a_day=leads_a_day)
        shop.write_history()
        sent = [Delivered("whatsapp", shop.leads.phone(lead), OPENS_AT + lead * HOUR) for lead in range(20)]
        shop.write_day(OPENS_AT, until, sent)
        shop.write_talks(OPENS_AT, until, reversed(sent) if turned else sent)

    found = {name: digests(tmp_path / name) for name in "abc"}
    others = {name: {path: digest for path, digest in found[name].items() if "leads_" not in path} for name in "ac"}

    assert found["a"] == found["b"] != found["c"]
    assert others["a"] == others["c"]
    assert len(others["a"]) < len(found["a"])


def test_leads_have_valid_numbers_of_their_own(tmp_path: Path):
    shop = SampleShop(tmp_path, customers=50, leads_a_day=200)
    numbers = [shop.leads.phone(lead) for lead in range(shop.leads.size)]
    of_customers = {f"+{place.code}{place.mobile.rstrip('#')}" for place in PLACES}

    for number in numbers[:500]:
        assert phonenumbers.is_valid_number(phonenumbers.parse(number))
    assert len(set(numbers)) == len(numbers)
    assert not [number for number in numbers if number.startswith(tuple(of_customers))]


def test_what_a_lead_has_said_stays_whatever_reaches_them_later(tmp_path: Path):
    leads = SampleShop(tmp_path, customers=50, leads_a_day=40, retargeting=(Reaction(0.3, 0.3),) * 3).leads
    dice = random.Random(5)
    changed = 0
    for lead in range(400):
        opened = int(leads.opened_at[lead])
        sent = sorted(opened + dice.randrange(4 * 86_400) for _ in range(3))
        for number, at in enumerate(sent):
            known, later = list(leads.talk(lead, sent[:number])), list(leads.talk(lead, sent))
            assert [line for line in known if line.at < at] == [line for line in later if line.at < at]
            changed += known != later
        lines = list(leads.talk(lead, sent))
        assert len({line.key for line in lines}) == len(lines)
        assert sum(line.kind == "order" for line in lines) <= 1

    assert changed > 400


def test_leads_answer_after_the_retarget_and_not_at_night(tmp_path: Path):
    leads = SampleShop(tmp_path, customers=50, leads_a_day=40, retargeting=(Reaction(0.5, 0.5),)).leads
    hours = set()
    for lead in range(600):
        at = int(leads.opened_at[lead]) + (lead % 24 + 1) * 3600
        first = next((line.at for line in leads.talk(lead, [at]) if line.key == "a1.0"), None)
        if first is not None:
            assert first > at
            hours.add(datetime.fromtimestamp(first, ZoneInfo(leads.home(lead).zone)).hour)

    assert hours == set(range(7, 23))


def test_the_ads_of_leads_are_those_of_the_shops_campaign():
    campaign = load_campaign(CHECKOUT / "config/examples/shop/campaigns/partial_leads")

    assert [ad.ad_id for ad in LEAD_ADS] == list(campaign.ads)
    assert all(ad.bot_id for ad in LEAD_ADS)
    assert {ad.status for ad in LEAD_ADS} == {"active", "paused"}


def test_a_message_brings_nobody_back_before_it_was_sent():
    people = People(500, seed=1)
    at = datetime(2026, 6, 2, 9, tzinfo=UTC)
    sent = [Delivered("email", address, at) for address in people.described.email if address]

    back = react(people, sent).orders

    assert back.at.size
    assert back.at.min() > at.timestamp()
