"""The demo on a small shop in one process: three days end to end, judged by the outbox and by the shop's own files."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from flows.commands import demo, summary
from flows.commands.console import console
from flows.story import using
from tasks.rules.errors import DatabaseError
from tasks.sources.sample import OPENS_AT
from tasks.store import embedded
from tasks.store.engine import Database

DAYS = 3


@pytest.fixture(scope="module")
def played(server: embedded.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[demo.Play]:
    # A database of this module's own, beside the one that the flows of the session are played in.
    work = demo.open_workspace(
        "demo_in_process", home=tmp_path_factory.mktemp("demo"), database_url=SecretStr(server.url("postgres"))
    )
    before = os.environ.get("REENGAGE_SHOP")
    play = demo.Play(work, customers=500, seed=5)
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


def test_every_enrolled_person_ends_in_exactly_one_decision(played: demo.Play):
    enrolments = table("enrolments", "campaign", "enrolment_id", "arm")
    decisions = table("decisions", "campaign", "enrolment_id", "state", "superseded_at")
    with played.work.database.transaction() as connection:
        arms = dict(connection.execute(sa.select(enrolments.c.enrolment_id, enrolments.c.arm)).all())
        decided = Counter(
            connection.execute(sa.select(decisions.c.enrolment_id).where(decisions.c.superseded_at.is_(None))).scalars()
        )

    assert set(decided) == set(arms)
    assert set(decided.values()) == {1}
    assert set(arms.values()) == {"treated", "holdout"}


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

    for words in ("people enrolled", "not reached", "No consent on any channel", "held out", "points",
                  "In ad audiences now", "In doubt 0", "up", "quarantine list", "took 12 seconds"):  # fmt: skip
        assert words in said
    with played.work.database.transaction() as connection:
        addresses = connection.execute(sa.select(sa.column("address")).select_from(table("messages", "outbox")))
        assert not [address for address in addresses.scalars() if address in said]


def test_the_demo_ends_on_the_morning_after_its_last_day(played: demo.Play):
    assert played.ends_at(DAYS) == OPENS_AT + timedelta(days=DAYS, hours=6)


def test_a_database_that_is_not_a_demos_is_never_overwritten(server: embedded.Server, tmp_path_factory):
    other = Database(server.url("demo_of_someone"), tmp_path_factory.mktemp("other"))
    other.create_if_missing()
    with other.transaction() as connection:
        sa.Table("customers", sa.MetaData(), sa.Column("email", sa.Text)).create(connection)
    work = demo.open_workspace("demo_of_someone", home=other.home, database_url=SecretStr(server.url("postgres")))

    with pytest.raises(DatabaseError, match="is not a demo's"):
        demo.Play(work, customers=20, seed=1).make_database()

    work.close()
    with other.transaction() as connection:
        assert sa.inspect(connection).get_table_names() == ["customers"]
    other.dispose()
