"""The demo on a small shop in one process: three days end to end, judged by the outbox and by the shop's own files."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from config.sources import load_sources
from flows.commands import demo, summary
from flows.commands.console import console
from flows.story import using
from tasks.rules.errors import DatabaseError
from tasks.sources.sample.scenery import OPENS_AT
from tasks.sources.sample.shop import SampleShop
from tasks.store import embedded
from tasks.store.engine import Database
from tasks.store.workspace import Workspace

DAYS = 3
ARMS = ("treated", "holdout")
CURRENCIES = ("EUR", "USD", "GBP", "SEK")


@pytest.fixture(scope="module")
def played(server: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[demo.Play]:
    # A database of this module's own, beside the one that the flows of the session are played in.
    work = demo.open_workspace(
        "demo_in_process", home=tmp_path_factory.mktemp("demo"), database_url=SecretStr(server.url("postgres"))
    )
    before = os.environ.get("REENGAGE_SHOP")
    play = demo.Play(work, SampleShop(work.settings.home / "shop", customers=500, seed=5, leads_a_day=12))
    play.make_database()
    try:
        with using(work):
            play.write_history()
            play.load_history()
            for day in range(DAYS):
                play.play(day, through_prefect=False)
            play.look_back(DAYS)
        yield play
    finally:
        work.close()
        os.environ.pop("REENGAGE_SHOP")
        if before is not None:
            os.environ["REENGAGE_SHOP"] = before


def table(name: str, schema: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns), schema=schema)


def test_nothing_reaches_anyone_twice_and_nobody_held_out(played: demo.Play):
    messages = table("messages", "outbox", "send_key", "address")
    sends = table("sends", "campaign", "send_key", "arm", "state")
    with played.work.database.transaction() as connection:
        keys = connection.execute(sa.select(messages.c.send_key)).scalars().all()
        arms = connection.execute(sa.select(sends.c.arm).distinct()).scalars().all()
        accepted = connection.execute(sa.select(sends.c.send_key).where(sends.c.state == "accepted")).scalars().all()

    assert keys
    assert len(keys) == len(set(keys))
    assert set(keys) == set(accepted)
    assert arms == ["treated"]


def test_every_step_of_every_enrolled_person_ends_in_exactly_one_decision(played: demo.Play):
    enrolments = table("enrolments", "campaign", "enrolment_id", "campaign", "arm")
    decisions = table("decisions", "campaign", "enrolment_id", "step", "superseded_at")
    with played.work.database.transaction() as connection:
        enrolled = connection.execute(sa.select(enrolments)).all()
        decided = Counter(
            connection.execute(
                sa.select(decisions.c.enrolment_id, decisions.c.step).where(decisions.c.superseded_at.is_(None))
            ).all()
        )
    steps = {name: len(campaign.steps) for name, campaign in played.work.campaigns.items()}

    assert steps == {"lapsing_customers": 1, "partial_leads": 3}
    assert set(decided) == {(row.enrolment_id, str(n + 1)) for row in enrolled for n in range(steps[row.campaign])}
    assert set(decided.values()) == {1}
    assert {(row.campaign, row.arm) for row in enrolled} == {(name, arm) for name in steps for arm in ARMS}


def test_every_day_enrols_and_the_purchases_of_the_files_are_the_purchases_of_the_database(played: demo.Play):
    enrolments, purchases = table("enrolments", "campaign", "enrolled_at"), table("purchases", "core", "order_id")
    with played.work.database.transaction() as connection:
        days = {at.date() for at in connection.execute(sa.select(enrolments.c.enrolled_at)).scalars()}
        stored = set(connection.execute(sa.select(purchases.c.order_id)).scalars())
    written = set()
    for path in (played.shop.folder / "orders").glob("*.csv"):
        written |= {line["order_no"] for line in csv.DictReader(path.read_text().splitlines())}

    assert len(days) == DAYS
    assert written
    assert written <= stored


def test_who_was_written_to_comes_back_with_the_voucher_and_not_before_the_message(played: demo.Play):
    purchases = table("purchases", "core", "customer_id", "purchased_at", "coupon_code")
    sends = table("sends", "campaign", "customer_id", "accepted_at", "state")
    with played.work.database.transaction() as connection:
        back = connection.execute(
            sa.select(purchases.c.customer_id, purchases.c.purchased_at).where(purchases.c.coupon_code.is_not(None))
        ).all()
        sent = dict(
            connection.execute(
                sa.select(sends.c.customer_id, sa.func.min(sends.c.accepted_at))
                .where(sends.c.state == "accepted")
                .group_by(sends.c.customer_id)
            ).all()
        )

    assert back
    assert all(row.purchased_at > sent[row.customer_id] for row in back)


def test_the_summary_says_who_was_reached_and_why_not_and_how_to_go_on(played: demo.Play):
    with console.capture() as captured:
        summary.show(played.work, played.ends_at(DAYS), hours=48, seconds=12)
    said = captured.get()

    for words in ("Lapsing customers", "Partial leads", "people enrolled", "not reached", "No consent on any channel",
                  "held out", "points", "1st", "answered", "qualified", "In ad audiences now", "In doubt 0", "up",
                  "quarantine list", "took 12 seconds"):  # fmt: skip
        assert words in said
    with played.work.database.transaction() as connection:
        addresses = connection.execute(sa.select(sa.column("address")).select_from(table("messages", "outbox")))
        assert not [address for address in addresses.scalars() if address in said]


def test_no_amount_of_the_summary_breaks_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(console, "width", 80)
    totals = [SimpleNamespace(currency=currency, revenue=1234567.89, purchases=251) for currency in CURRENCIES]

    with console.capture() as captured:
        summary._credited(lambda _name, **_given: totals, "lapsing_customers")

    shown = " · ".join(f"{currency} 1,234,567.89" for currency in CURRENCIES[:3])
    assert f"{shown} and 1 more currency" in captured.get()


def test_a_campaign_that_nobody_was_enrolled_in_is_left_out_of_the_summary(played: demo.Play, tmp_path: Path):
    shutil.copytree(demo.SHOP, tmp_path / "shop")
    shutil.copytree(tmp_path / "shop/campaigns/partial_leads", tmp_path / "shop/campaigns/asleep")
    work = Workspace(played.work.settings.model_copy(update={"config": tmp_path / "shop"}))

    with console.capture() as captured:
        summary.show(work, played.ends_at(DAYS), hours=48, seconds=12)
    said = captured.get()
    work.close()

    assert "asleep" in work.campaigns
    assert "Partial leads" in said
    assert "Asleep" not in said


def test_leads_are_retargeted_up_to_three_times_and_the_summary_counts_what_followed(played: demo.Play):
    sends = table("sends", "campaign", "campaign", "customer_id", "step", "state", "accepted_at")
    with played.work.database.transaction() as connection:
        rows = connection.execute(
            sa.select(sends.c.step, sends.c.customer_id, sends.c.accepted_at)
            .where(sends.c.campaign == "partial_leads", sends.c.state == "accepted")
            .order_by(sends.c.accepted_at)
        ).all()
        told = connection.execute(played.work.queries["dashboards/retargets"](campaign="partial_leads")).all()
    said: dict[str, list[tuple[str, str]]] = {}
    for path in (played.shop.folder / "messages").glob("leads_*.jsonl"):
        for line in path.read_text().splitlines():
            message = json.loads(line)
            if message["sender"] == "customer":
                customer = message["conversation"].removeprefix("C-")
                said.setdefault(customer, []).append((message["sent_at"], message["kind"]))
    expected = []
    for number in "123":
        people = answered = qualified = 0
        for step, customer, at in rows:
            if step != number:
                continue
            later = [row.accepted_at for row in rows if row.customer_id == customer and row.accepted_at > at]
            until = min([*later, played.ends_at(DAYS)])
            kinds = [kind for sent_at, kind in said[customer] if at < datetime.fromisoformat(sent_at) <= until]
            people, answered, qualified = people + 1, answered + bool(kinds), qualified + ("order" in kinds)
        expected.append((int(number), people, answered, qualified))

    assert [tuple(row) for row in told] == expected
    assert all(people for _, people, _, _ in expected)
    assert sum(qualified for *_, qualified in expected) > 0


def test_the_demo_ends_on_the_morning_after_its_last_day(played: demo.Play):
    assert played.ends_at(DAYS) == OPENS_AT + timedelta(days=DAYS, hours=6)


def test_the_smallest_shop_sells_something_every_day(tmp_path: Path):
    freshness = load_sources(demo.SHOP / "sources.yaml")["shop_orders"].fresh_within
    assert freshness
    ingests = [OPENS_AT, *(OPENS_AT + day * demo.DAY + demo.DELIVERY for day in range(5))]
    for seed in range(20):
        shop = SampleShop(tmp_path, customers=demo.FEWEST_CUSTOMERS, seed=seed)
        sold = [shop._unasked.between(at - freshness, at).at.size for at in ingests]
        assert min(sold) > 0, f"seed {seed} of the smallest shop would hold its own campaigns"


def test_a_database_that_is_not_a_demos_is_never_overwritten(server: embedded.Server, tmp_path_factory):
    other = Database(server.url("demo_of_someone"), tmp_path_factory.mktemp("other"))
    other.create_if_missing()
    with other.transaction() as connection:
        sa.Table("customers", sa.MetaData(), sa.Column("email", sa.Text)).create(connection)
    work = demo.open_workspace("demo_of_someone", home=other.home, database_url=SecretStr(server.url("postgres")))

    with pytest.raises(DatabaseError, match="is not a demo's"):
        demo.Play(work, SampleShop(other.home / "shop", customers=20)).make_database()

    work.close()
    with other.transaction() as connection:
        assert sa.inspect(connection).get_table_names() == ["customers"]
    other.dispose()
