"""Planning asks about everybody by sets what the claim asks about one person by a function: the answers are equal."""

import random
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tasks.rules.keyed import pads
from tests.evaluation_world import insert
from tests.planning_world import NOON, Shop

CHANNELS = ("email", "push", "sms", "whatsapp", "inbox", "webpush")
MOMENTS = [NOON + timedelta(days=days) for days in (-183, -90, -60, -30, -1, 0, 1)]
# 24 months before the day of NOON begin with that day
BOUGHT = [NOON.replace(hour=0) - timedelta(days=days) for days in (731, 730, 100, -1)]
ASK_EACH = """
    select
        people.person_id, people.has_zone, reach.channel, reach.bases, reach.address_hmac,
        reach.address is not null as has_address, reach.is_suppressed,
        reach.channel = 'whatsapp' and coalesce(people.phone_country = 'US', false) as is_undelivered
    from people
    cross join lateral campaign.reach(
        people.person_id, people.ids, :as_of, :purpose, :inner_pad, :outer_pad
    ) as reach
    order by people.person_id, reach.channel
"""


def talk_and_devices(shop: Shop, rng: random.Random, number: int) -> list[str]:
    """Somebody with former ids, a history of consents and some devices; gives all their ids."""
    ids = [f"p{number}", *(f"p{number}/{former}" for former in range(rng.choice([0, 0, 1, 2])))]
    if rng.random() < 0.9:
        phone = rng.choice([None, f"+4917{number:08}"])
        shop.customer(ids[0], email_canonical=rng.choice([None, f"{number}@example.com"]), phone_e164=phone)
    for _ in range(rng.randrange(12)):
        shop.consents(
            rng.choice(ids), rng.choice(CHANNELS), rng.choice(["granted", "granted", "withdrawn"]),
            basis=rng.choice(["express", "express", "soft_opt_in", "inquiry"]), known_at=rng.choice(MOMENTS),
            occurred_at=rng.choice(MOMENTS), expires_at=rng.choice([None, None, *MOMENTS]),
            purpose=rng.choice(["marketing", "retargeting"]),
        )  # fmt: skip
    for _ in range(rng.randrange(4)):
        shop.token(rng.choice(ids), active=rng.random() < 0.7, platform=rng.choice(["fcm", "apns", "webpush"]))
    return ids


def imply(shop: Shop, rng: random.Random, number: int, purpose: str) -> list[str]:
    """Somebody who never said expressly that they may be written to; gives their one id."""
    name = shop.customer(f"n{number}", phone_e164=f"+4930{number:08}")
    for channel in rng.sample(CHANNELS, 4):
        shop.consents(name, channel, basis=rng.choice(["soft_opt_in", "inquiry"]), purpose=purpose,
                      occurred_at=rng.choice(MOMENTS[:-1]))  # fmt: skip
    return [name]


def live_somewhere(connection: sa.Connection, rng: random.Random, everyone: list[list[str]]) -> None:
    """Some live in Canada or have a number of a country, and some have bought, lately or long ago."""
    for number, ids in enumerate(everyone):
        place = {
            "id": ids[0],
            "areas": rng.choice([None, [], ["DE"], ["CA"], ["CA-ON"], ["US", "CA"]]),
            "country": rng.choice([None, "DE", "CA"]),
            "phone_country": rng.choice([None, "CA", "DE"]),
        }
        connection.execute(
            sa.text("update core.customers set legal_areas = :areas, country = :country, phone_country = :phone_country"
                    " where customer_id = :id"), place,
        )  # fmt: skip
        insert(connection, "core.purchases", [
            {
                "order_id": f"o{number}/{purchase}", "customer_id": rng.choice(ids), "amount": 20, "currency": "EUR",
                "status": rng.choice(["paid", "paid", "refunded"]), "cancelled_by": rng.choice([None, None, "o"]),
                "purchased_at": rng.choice(BOUGHT), "updated_at": NOON, "load_id": 1,
            }
            for purchase in range(rng.randrange(3))
        ])  # fmt: skip


def stand_in_the_way(connection: sa.Connection, rng: random.Random, everyone: list[list[str]]) -> None:
    """Lines of consent nobody could read, and replies nobody has read yet."""
    load = {"source": "consents", "entity": "consents", "object": "a.csv", "as_of": NOON}
    insert(connection, "raw.loads", [load])
    for number, ids in enumerate(everyone):
        if rng.random() < 0.15:
            block = {"id": rng.choice(ids), "channel": rng.choice([None, *CHANNELS])}
            connection.execute(
                sa.text(
                    "with line as (insert into raw.quarantine (load_id, source, entity, line_no, raw, fields, reason)"
                    " select max(load_id), 'consents', 'consents', 1, '', '{}', 'invalid_date' from raw.loads"
                    " returning quarantine_id)"
                    " insert into core.consent_blocks select quarantine_id, :id, :channel from line"
                ),
                block,
            )
        if rng.random() < 0.15:
            reply = {"reply_id": f"r{number}", "provider": "sms_aws", "channel": "sms", "occurred_at": NOON}
            insert(connection, "campaign.replies", [reply])
            hold = {"reply_id": f"r{number}", "customer_id": rng.choice(ids), "channel": rng.choice(CHANNELS)}
            insert(connection, "campaign.reply_holds", [hold])


@pytest.mark.parametrize("purpose", ["marketing", "retargeting"])
def test_planning_knows_of_everybody_what_the_claim_knows_of_each(make_workspace, purpose):
    shop, rng = Shop(make_workspace(mode="simulated")), random.Random(purpose)
    places = random.Random(f"{purpose} places")
    everyone = [imply(shop, places, number, purpose) for number in range(40)]
    everyone += [talk_and_devices(shop, rng, number) for number in range(150)]
    inner_pad, outer_pad = pads(shop.work.settings.suppression_key.get_secret_value())
    given = {"as_of": NOON, "purpose": purpose, "inner_pad": inner_pad, "outer_pad": outer_pad}
    seen: Counter[tuple[str, bool]] = Counter()

    with shop.work.database.transaction() as connection:
        connection.execute(
            sa.text("create temporary table people (person_id text, ids text[], has_zone boolean, phone_country text)")
        )
        connection.execute(
            sa.text("insert into people values (:person_id, :ids, :has_zone, :phone_country)"),
            [
                {
                    "person_id": ids[0],
                    "ids": ids,
                    "has_zone": rng.random() < 0.5,
                    "phone_country": places.choice(["US", "US", "DE", None]),
                }
                for ids in everyone[:-10]
            ],
        )
        insert(connection, "campaign.whatsapp_undelivered", [
            {"country": "US", "category": "marketing", "since": NOON},
            {"country": "DE", "category": "marketing", "since": NOON + timedelta(seconds=1)},
        ])  # fmt: skip
        live_somewhere(connection, places, everyone)
        stand_in_the_way(connection, rng, everyone)
        insert(connection, "core.suppressions", [
            {
                "channel": row.channel, "address_hmac": row.address_hmac,
                "scope": rng.choice(["all", "marketing", "retargeting"]),
                "reason": rng.choice(["stop_word", "hard_bounce"]), "suppressed_at": rng.choice(MOMENTS[:-1]),
            }
            for row in connection.execute(sa.text(ASK_EACH), given)
            if row.address_hmac and rng.random() < 0.5
        ])  # fmt: skip
        each = connection.execute(sa.text(ASK_EACH), given).all()
        without_the_law = connection.begin_nested()
        connection.execute(sa.text("delete from campaign.implied_consents"))
        anywhere = connection.execute(sa.text(ASK_EACH), given).all()
        without_the_law.rollback()
        connection.execute(shop.work.queries["ledger/plan_ids"]())
        asked = {name: given[name] for name in ("as_of", "purpose")}
        connection.execute(shop.work.queries["ledger/people_consented"](channels=list(CHANNELS), **asked))
        connection.execute(
            shop.work.queries["ledger/plan_ways"](channels=list(CHANNELS), categories=["marketing"], **given)
        )
        ways = connection.execute(sa.text("select * from ways")).all()

    answers = [
        sorted((row.person_id, row.channel, row.has_zone, *sorted(row.bases), row.has_address, row.is_suppressed,
                row.is_undelivered)
               for row in rows)
        for rows in (ways, each)
    ]  # fmt: skip
    assert answers[0] == answers[1]
    for row, elsewhere in zip(each, anywhere, strict=True):
        seen["lapsed", row.bases != elsewhere.bases] += 1
        seen["consented", bool(row.bases)] += 1
        seen["suppressed", row.is_suppressed] += 1
        seen["undelivered", row.is_undelivered] += 1
    assert min(seen.values()) > 20, seen
