"""Forgetting a person: nothing of them is left anywhere, nothing brings them back, and no figure changes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from config.settings import CHECKOUT, Retention
from flows.__main__ import app
from tasks import erase, measure, sync
from tasks.platforms import identity
from tasks.rules.contact import guest_id
from tasks.rules.errors import ConfigError
from tasks.rules.keyed import keyed_hash
from tasks.store import erasure, gate, runs
from tasks.store.erasure import Holder
from tasks.store.workspace import Workspace
from tests.evaluation_world import START, World, insert, random_world, write_campaign
from tests.store import landing

AS_OF = START + timedelta(days=45)
WHO = "zz-person"
EMAIL = "zz.canary@example.com"
PHONE = "+4915127779998"
TOKEN = "zz-device-token"
# Whatever says one of these, in any spelling, says who it was.
TELLING = ("zz-", "zz.", "zzfirst", "zzlast", "zz words", EMAIL, PHONE.lstrip("+"))
FIGURES = (
    "attributed_cells", "attributed", "attributed_cells_by_place", "attributed_by_place", "reached_people",
    "converted_people", "all_people", "incremental_cells", "incremental", "incremental_cells_by_place",
    "incremental_by_place",
    "people", "sends", "reports", "send_costs", "qualified_leads", "buying_months", "buying_gaps",
    "bought_again", "places",
)  # fmt: skip


@pytest.fixture
def work(tmp_path: Path, make_workspace: Callable[..., Workspace]) -> Workspace:
    folder = tmp_path / "config"
    write_campaign(folder / "campaigns", "alpha", "currency: EUR")
    write_campaign(folder / "campaigns", "beta", "goal: {event: booked, where: {plan: gold}}")
    write_campaign(folder / "campaigns", "gamma", "goal: {event: purchase, where: {coupon_code: COMEBACK10}}")
    return make_workspace(config=folder, mode="simulated")


def rows(work: Workspace, statement: str, **values: Any) -> list[Mapping[str, Any]]:
    with work.database.transaction() as connection:
        return [dict(row) for row in connection.execute(sa.text(statement), values).mappings()]


def tables(work: Workspace) -> list[str]:
    """Every table of ours that can hold rows, partitions of landing tables instead of their parents."""
    return [
        row["name"]
        for row in rows(
            work,
            "select format('%I.%I', relnamespace::regnamespace, relname) as name from pg_class where relkind = 'r'"
            " and relnamespace::regnamespace::text in ('raw', 'core', 'campaign', 'evaluation', 'outbox', 'public')",
        )
    ]


def everything(work: Workspace) -> dict[str, list[str]]:
    return {
        name: [row["row"] for row in rows(work, f"select cast(t as text) as row from {name} as t")]
        for name in tables(work)
    }


def spellings(text: str) -> set[str]:
    """A text as logs and links may write it; of short ones base64 says nothing."""
    coded = {base64.b64encode(text.encode()).decode().rstrip("=")[:-1].lower()} if len(text) > 8 else set()
    return {text.lower(), quote(text).lower()} | coded


def telling(work: Workspace, *more: str) -> dict[str, str]:
    """Tables with a row that says who it was."""
    needles = {spelling for text in (*TELLING, *more) for spelling in spellings(text) if len(spelling) > 2}
    return {
        name: row
        for name, found in everything(work).items()
        for row in found
        if any(needle in row.lower() for needle in needles)
    }


def key_of(work: Workspace) -> str:
    return work.settings.suppression_key.get_secret_value()


def populate(work: Workspace) -> dict[str, Any]:
    """A person in every table that can hold one, beside somebody else who must stay."""
    key, at = key_of(work), START
    guest = guest_id(key, EMAIL)
    world = World()
    for name, mail, phone in ((WHO, EMAIL, PHONE), ("other", "other@example.com", "+493012345678")):
        world.customers.append(
            {
                "customer_id": name, "email": mail.upper(), "email_canonical": mail, "phone": phone,
                "phone_e164": phone, "first_name": f"{name[:2]}first", "last_name": f"{name[:2]}last",
                "language": "de", "country": "DE", "contact_derived_at": at,
            }
        )  # fmt: skip
    world.alias("zz-old-id", WHO)
    world.alias(guest, WHO)
    for who in (WHO, "zz-old-id", "other"):
        first = world.enrol("alpha", who, at + timedelta(days=1), episode=f"zz-episode-{who}")
        world.send(first, at + timedelta(days=2))
        for step, state in (("2", "unknown"), ("3", "planned"), ("4", "retry_wait")):
            world.send(first, None, step=step, state=state)
        world.buy(who, at + timedelta(days=3), "25.00", coupon_code="ZZ-PERSONAL")
        world.happen(who, "booked", at + timedelta(days=3), plan="gold", said="zz words")
    for purchase in world.purchases:
        purchase["order_id"] = f"zz-order-{purchase['order_id']}" if purchase["customer_id"] != "other" else "order-9"
        purchase["items"] = {"name": "zz words"}
    with work.database.transaction() as connection:
        world.write(connection)
        connection.execute(sa.text('update campaign.enrolments set evidence = \'{"said": "zz words"}\''))
        connection.execute(sa.text("update campaign.decisions set gates = '[\"zz words\"]'"))
        connection.execute(
            sa.text("update campaign.sends set provider_message_id = 'zz-wamid', voucher_code = 'ZZ-CODE'")
        )
        insert_personal(connection, key, guest, at)
    key_of_send = rows(work, "select send_key from campaign.sends where customer_id = :who", who=WHO)
    with work.database.transaction() as connection:
        land_lines(connection, work, key)
    return {"guest": guest, "send_keys": [row["send_key"] for row in key_of_send]}


def insert_personal(connection: sa.Connection, key: str, guest: str, at: Any) -> None:
    """One row about the person in every other table."""
    stamped = {"updated_at": at, "load_id": 1}
    insert(connection, "core.guests", [{"guest_id": guest, "email_canonical": EMAIL}])
    insert(connection, "core.guest_claims", [{"guest_id": guest, "customer_id": WHO}])
    checkout = {"status": "submitted", "opened_at": at, "visitor_id": "zz-browser"} | stamped
    insert(connection, "core.checkouts", [
        {"checkout_id": "zz-k1", "customer_id": WHO, "guest_id": guest, "email": EMAIL, "first_name": "zzfirst"}
        | checkout,
        {"checkout_id": "zz-k2", "customer_id": None, "guest_id": None, "email": EMAIL.upper(), "first_name": None}
        | checkout,
    ])  # fmt: skip
    none = {"writer_id": None, "wa_id": None, "group_id": None}
    talk = {"channel": "whatsapp", "milestone": "lead", "milestone_at": at, "opened_at": at} | stamped
    insert(connection, "core.conversations", [{"conversation_id": "zz-talk", "customer_id": WHO} | talk])
    insert(connection, "core.milestones", [{"conversation_id": "zz-talk", "milestone": "lead", "milestone_at": at}])
    insert(connection, "core.messages", [{
        "message_id": "zz-m1", "conversation_id": "zz-talk", "direction": "inbound", "sender": "customer",
        "sent_at": at, "text": "zz words", "load_id": 1, **none,
    }, {
        "message_id": "zz-m0", "conversation_id": None, "direction": "inbound", "sender": "customer",
        "sent_at": at, "text": "zz words", "load_id": 1, "writer_id": "zz-old-id", "wa_id": PHONE.lstrip("+"),
        "group_id": "G1",
    }])  # fmt: skip
    insert(connection, "core.writers", [{"writer_id": "zz-old-id", "customer_id": WHO}])
    insert(connection, "core.writer_numbers", [
        {"writer_id": "zz-old-id", "wa_id": PHONE.lstrip("+"), "phone": PHONE, "last_at": at}
    ])  # fmt: skip
    insert(connection, "core.conversations_changed", [{"conversation_id": "zz-talk"}])
    insert(connection, "raw.received_messages", [
        {"writer_id": "zz-old-id", "wa_id": None, "raw": "zz words", "fields": {"text": "zz words"}}
    ])  # fmt: skip
    for channel in ("email", "meta"):
        insert(connection, "core.consents", [{
            "consent_id": f"zz-{channel}", "customer_id": WHO, "channel": channel, "purpose": "marketing",
            "status": "granted", "basis": "express", "source": "zz words", "occurred_at": at, "load_id": 1,
        }])  # fmt: skip
    connection.execute(
        sa.text("insert into core.replaced_consents select clock_timestamp(), consents.* from core.consents")
    )
    insert(connection, "core.push_tokens", [
        {"token_id": "zz-t", "customer_id": WHO, "endpoint": TOKEN, "platform": "fcm", "active": True} | stamped
    ])  # fmt: skip
    insert(connection, "core.visits", [
        {"visit_id": f"zz-v{n}", "session_id": "zz-s", "visitor_id": "zz-browser", "customer_id": who,
         "page_url": "https://example.com/?q=zz-", "viewed_at": at, "load_id": 1}
        for n, who in enumerate((WHO, None))
    ])  # fmt: skip
    insert(connection, "core.purchase_days", [
        {"customer_id": WHO, "day": at.date(), "number": 1, "first_day": at.date(), "at": at}
    ])  # fmt: skip
    insert(connection, "core.purchase_days_changed", [{"customer_id": WHO}])
    insert(connection, "core.people_changed", [{"customer_id": WHO}])
    insert(connection, "core.ways_changed", [{"customer_id": WHO}])
    insert(connection, "core.leads", [
        {"conversation_id": "zz-talk", "customer_id": WHO, "ad_id": "ad1", "opened_at": at, "said_at": at}
    ])  # fmt: skip
    insert(connection, "core.silences_changed", [{"customer_id": WHO}])
    (send_key,) = connection.execute(
        sa.text("select send_key from campaign.sends where customer_id = :who and state = 'accepted'"), {"who": WHO}
    ).scalars()
    attempt = str(uuid.uuid4())
    insert(connection, "campaign.attempts", [{
        "attempt_id": attempt, "send_key": send_key, "attempt_no": 1, "batch_id": str(uuid.uuid4()),
        "channel": "email", "provider": "outbox", "payload_sha256": "zz-hash", "address_hmac": keyed_hash(key, EMAIL),
        "decided_at": at, "outcome": "accepted", "provider_message_id": "zz-wamid",
    }])  # fmt: skip
    insert(connection, "campaign.provider_events", [{
        "provider": "outbox", "event_key": "e1", "attempt_id": attempt, "kind": "opened", "occurred_at": at,
        "address_hmac": keyed_hash(key, EMAIL), "provider_message_id": "zz-wamid",
    }])  # fmt: skip
    insert(connection, "campaign.message_reports", [{"send_key": send_key, "opened_at": at + timedelta(days=3)}])
    insert(connection, "campaign.voucher_events", [
        {"send_key": send_key, "campaign": "alpha", "customer_id": WHO, "code": "ZZ-CODE", "occurred_at": at}
    ])  # fmt: skip
    insert(connection, "campaign.replies", [
        {"reply_id": f"r{n}", "provider": "whatsapp_cloud", "channel": "whatsapp", "customer_id": who,
         "text": "zz words",
         "address_hmac": keyed_hash(key, PHONE), "occurred_at": at}
        for n, who in enumerate((WHO, None))
    ])  # fmt: skip
    insert(connection, "campaign.reply_holds", [{"reply_id": "r0", "customer_id": WHO, "channel": "sms"}])
    insert(connection, "campaign.inbox_messages", [{
        "send_key": send_key, "attempt_id": attempt, "customer_id": WHO, "campaign": "alpha", "title": "zz words",
        "text": "zz words", "created_at": at, "expires_at": at + timedelta(days=9),
    }])  # fmt: skip
    known = dict(identity.identifiers("meta", identity.Contact(EMAIL)))
    who = known["email"]
    insert(connection, "campaign.audience_uses", [
        {"campaign": "alpha", "platform": platform, "audience": "alpha"} for platform in ("meta", "tiktok")
    ])  # fmt: skip
    insert(connection, "campaign.audience_members", [
        {"platform": "meta", "audience": "alpha", "campaign": "alpha", "customer_id": WHO, "desired": True,
         "applied": True, "desired_at": at, "contact_sha256": "c", "applied_contact_sha256": "c", "identifiers": known},
        {"platform": "tiktok", "audience": "alpha", "campaign": "alpha", "customer_id": "zz-old-id", "desired": True,
         "applied": False, "desired_at": at, "contact_sha256": "c", "applied_contact_sha256": None,
         "identifiers": sa.null()},
    ])  # fmt: skip
    insert(connection, "outbox.audience_members", [{"platform": "meta", "audience": "alpha", "person_sha256": who}])
    insert(connection, "outbox.messages", [
        {"attempt_id": attempt, "send_key": send_key, "channel": "email", "address": EMAIL, "content": {"a": "zz-"}},
        {"attempt_id": "test-send", "send_key": "none", "channel": "push", "address": TOKEN, "content": {"a": "zz-"}},
    ])  # fmt: skip


def land_lines(connection: sa.Connection, work: Workspace, key: str) -> None:
    """Lines in quarantine, parked, and of a load that is not merged."""
    load_id = landing.land(connection, "customers", [landing.good("customers", customer_id="other", email="o@x.de")])
    fields = [
        {"customer_id": WHO}, {"customer_id": EMAIL}, {}, {"conversation_id": "zz-talk"},
        {"first_name": "zzfirst", "last_name": "zzlast"},
    ]  # fmt: skip
    lines = [f"a line with {EMAIL}, zz words", "zz-", f'{{"{quote(EMAIL)}"}}', "zz-talk", "zzfirst;zzlast"]
    insert(connection, "raw.quarantine", [
        {"load_id": load_id, "source": "s", "entity": "consents", "line_no": n, "raw": line, "fields": named,
         "reason": "unknown_value"}
        for n, (line, named) in enumerate(zip(lines, fields, strict=True))
    ])  # fmt: skip
    connection.execute(
        sa.text("insert into core.consent_blocks select quarantine_id, 'zz-old-id', null from raw.quarantine limit 1")
    )
    insert(connection, "raw.parked", [
        {"load_id": load_id, "entity": "events", "customer_id": "zz-old-id", "line_no": 1, "raw": "zz words",
         "fields": {}}
    ])  # fmt: skip
    held = {
        "customers": [
            landing.good("customers", customer_id=WHO, email=EMAIL),
            landing.good("customers", customer_id="fine", email=f"x{EMAIL}"),
            {"raw": f"broken {EMAIL}", "broken": "invalid_utf8"},
        ],
        "messages": [
            landing.good("messages", message_id="zz-m2", conversation_id="zz-talk", text="zz words"),
            landing.good("messages", message_id="m3", conversation_id="v9"),
            landing.good("messages", message_id="zz-m4", conversation_id=None, writer_id="zz-old-id"),
        ],
        "visits": [landing.good("visits", visit_id="zz-v3", visitor_id="zz-browser")],
    }
    for entity, given in held.items():
        gate.check(connection, work.queries, landing.land(connection, entity, given), key)


def figures(work: Workspace) -> dict[str, list[str]]:
    measure.campaigns(work, AS_OF)
    return {
        name: sorted(row["row"] for row in rows(work, f"select cast(t as text) as row from evaluation.{name} as t"))
        for name in FIGURES
    }


def test_nothing_of_an_erased_person_is_left_in_any_table(work: Workspace):
    made = populate(work)
    before = {name: len(found) for name, found in everything(work).items()}
    populated = {name for name, holder in erasure.TABLES.items() if holder.how == "deleted" and before.get(name)}
    assert populated == {name for name, holder in erasure.TABLES.items() if holder.how == "deleted"} - {
        "campaign.outcomes"
    }

    receipt = erase.person(work, "zz-old-id", AS_OF)

    assert receipt.is_complete
    others = {row["name"] for row in rows(work, "select customer_id as name from core.customers")}
    kept_own = rows(work, "select * from campaign.enrolments where customer_id = 'other'")
    assert "other" in others
    assert kept_own
    # What is left of the words is the other person's own.
    with work.database.transaction() as connection:
        for table, column in (
            ("enrolments", "evidence = '{}', episode = 'e'"),
            ("decisions", "gates = '[]', episode = 'e'"),
            ("sends", "provider_message_id = null, voucher_code = null, episode = 'e'"),
        ):
            connection.execute(sa.text(f"update campaign.{table} set {column} where customer_id = 'other'"))
        connection.execute(sa.text("update core.purchases set items = null, coupon_code = null"))
        connection.execute(sa.text("update core.events set properties = null"))
        connection.execute(sa.text("update raw.customers set email = null, raw = '' where customer_id = 'fine'"))
        connection.execute(sa.text(f"update {checked_of(work, 'fine')} set email = null where customer_id = 'fine'"))
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in (EMAIL, PHONE.lstrip("+"), PHONE, WHO)]
    assert telling(work, made["guest"], *made["send_keys"], *hashes) == {}
    assert rows(work, "select count(*) as n from outbox.audience_members")[0]["n"] == 0


def checked_of(work: Workspace, customer_id: str) -> str:
    for name in tables(work):
        columns = {row["column_name"] for row in rows(
            work, "select column_name from information_schema.columns where table_schema || '.' || table_name = :name",
            name=name)}  # fmt: skip
        if name.startswith("raw.checked_") and "customer_id" in columns:
            found = rows(work, f"select 1 from {name} where customer_id = :id", id=customer_id)
            if found:
                return name
    raise AssertionError(customer_id)


def test_lines_that_were_landed_before_count_as_erased_and_the_others_are_merged(work: Workspace):
    populate(work)
    erase.person(work, WHO, AS_OF)
    waiting = rows(work, "select load_id, entity from raw.loads where state = 'landed' and source = 'test' order by 1")

    with work.database.transaction() as connection:
        counts = {}
        for row in waiting[1:]:
            gate.check(connection, work.queries, row["load_id"], key_of(work))  # as a held load is judged again
            counts[row["entity"]] = gate.merge(connection, work.queries, row["load_id"], key_of(work))

    assert [(entity, found.lines_in, found.accepted, found.erased) for entity, found in counts.items()] == [
        ("customers", 3, 1, 2), ("messages", 3, 1, 2), ("visits", 1, 0, 1),
    ]  # fmt: skip
    assert telling(work).keys() <= {"core.customers", *(f"campaign.{n}" for n in ("enrolments", "decisions", "sends")),
                                    "core.purchases", "core.events"}  # fmt: skip


@pytest.mark.parametrize(
    ("entity", "line"),
    [
        ("customers", {"customer_id": WHO, "email": EMAIL}),
        ("purchases", {"customer_id": "zz-old-id"}),
        ("checkouts", {"customer_id": None, "email": EMAIL.upper()}),
        ("checkouts", {"customer_id": None, "visitor_id": "zz-browser"}),
        ("events", {"customer_id": WHO}),
        ("conversations", {"customer_id": PHONE.lstrip("+")}),
        ("conversations", {"customer_id": PHONE}),
        ("messages", {"conversation_id": "zz-talk", "text": "zz words"}),
        ("consents", {"customer_id": WHO, "status": "maybe"}),
        ("push_tokens", {"customer_id": "zz-old-id"}),
        ("visits", {"visitor_id": "zz-browser"}),
        ("customers", {"customer_id": None, "email": EMAIL, "raw": f"x;{EMAIL};y"}),
        ("customers", {"raw": f"\\x ff;{PHONE};y", "broken": "invalid_utf8"}),
    ],
)
def test_delivering_them_again_brings_nothing_back(work: Workspace, entity: str, line: dict[str, Any]):
    populate(work)
    erase.person(work, WHO, AS_OF)
    before = facts_kept(work)
    given = line if "broken" in line else landing.good(entity, **line)

    counts = landing_load(work, entity, [given])

    assert (counts.lines_in, counts.erased) == (1, 1)
    assert facts_kept(work) == before


def facts_kept(work: Workspace) -> dict[str, int]:
    """How many rows each table has; a load of purchases writes everybody's purchase days when there are none."""
    counted = {name: len(found) for name, found in everything(work).items()}
    return {name: count for name, count in counted.items() if not name.startswith(("raw.", "core.purchase_days"))}


def landing_load(work: Workspace, entity: str, lines: list[dict[str, Any]]) -> Any:
    with work.database.transaction() as connection:
        load_id = landing.land(connection, entity, lines)
        gate.check(connection, work.queries, load_id, key_of(work))
        return gate.merge(connection, work.queries, load_id, key_of(work))


def test_messages_that_came_before_their_erased_conversation_go_with_it(work: Workspace):
    populate(work)
    erase.person(work, WHO, AS_OF)
    landing_load(
        work, "messages", [landing.good("messages", message_id="m9", conversation_id="zz-new", text="zz words")]
    )

    landing_load(work, "conversations", [landing.good("conversations", conversation_id="zz-new", customer_id=WHO)])
    again = landing_load(work, "messages", [landing.good("messages", message_id="m10", conversation_id="zz-new")])

    assert rows(work, "select * from core.messages") == []
    assert again.erased == 1


def test_a_conversation_that_turns_out_to_be_theirs_is_no_lead_of_whoever_it_stood_for(work: Workspace):
    populate(work)
    erase.person(work, WHO, AS_OF)
    landing_load(work, "conversations", [landing.good("conversations", ad_id="ad")])
    landing_load(work, "messages", [landing.good("messages")])
    assert rows(work, "select conversation_id from core.leads") == [{"conversation_id": "v1"}]

    handed = landing.good("conversations", ad_id="ad", customer_id=WHO, updated_at="2026-05-02T00:00:00Z")
    assert landing_load(work, "conversations", [handed]).erased == 1

    assert rows(work, "select * from core.messages") == []
    assert rows(work, "select * from core.leads") == []


def test_their_addresses_stay_on_the_list_of_whom_nobody_writes_to(work: Workspace):
    populate(work)

    erase.person(work, WHO, AS_OF)

    found = {(row["address_hmac"], row["channel"]) for row in rows(work, "select * from core.suppressions")}
    key = key_of(work)
    assert {(keyed_hash(key, EMAIL), "email"), (keyed_hash(key, PHONE), "sms"), (keyed_hash(key, TOKEN), "push"),
            (keyed_hash(key, EMAIL), "meta")} <= found  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_no_figure_changes_however_many_people_are_erased(work: Workspace, seed: int):
    world = random_world(seed)
    for row in (*world.sends, *world.decisions):
        if row["state"] == "planned":  # what has not left is cancelled, as it should
            row["state"], row["reason"] = "cancelled", "goal"
    with work.database.transaction() as connection:
        world.write(connection)
    before = figures(work)
    everybody = [row["customer_id"] for row in world.customers]

    for customer in (*everybody[:12], "guest:027"):
        assert erase.person(work, customer, AS_OF).is_complete

    assert figures(work) == before
    left = {row["customer_id"] for row in rows(work, "select customer_id from campaign.enrolments")}
    assert not left & {*everybody[:12], everybody[27], "guest:027"}


def test_only_what_figures_are_made_of_is_kept(work: Workspace):
    world = World()
    world.customer(WHO, "de", "DE")
    first = world.enrol("beta", WHO, START)
    world.send(first, START + timedelta(days=1))
    world.buy(WHO, START - timedelta(days=31), "1.00")
    world.buy(WHO, START + timedelta(days=2), "2.00", coupon_code="ZZ-PERSONAL")
    world.buy(WHO, START + timedelta(days=3), "3.00", coupon_code="COMEBACK10")
    world.buy(WHO, START + timedelta(days=4), "4.00", status="refunded")
    world.happen(WHO, "booked", START + timedelta(days=2), plan="gold", note="zz words")
    world.happen(WHO, "booked", START + timedelta(days=2), plan="tin")
    world.happen(WHO, "signed in", START + timedelta(days=2))
    with work.database.transaction() as connection:
        world.write(connection)

    erase.person(work, WHO, AS_OF)

    kept = rows(work, "select amount, coupon_code from campaign.erased_purchases order by amount")
    assert [(str(row["amount"]), row["coupon_code"]) for row in kept] == [("2.00", None), ("3.00", "COMEBACK10")]
    assert [row["properties"] for row in rows(work, "select * from campaign.erased_events")] == [{"plan": "gold"}]


def test_somebody_who_was_in_no_campaign_leaves_nothing_at_all(work: Workspace):
    world = World()
    world.customer(WHO, "de", "DE")
    world.buy(WHO, START)
    with work.database.transaction() as connection:
        world.write(connection)

    erase.person(work, WHO, AS_OF)

    for table in ("core.customers", "core.purchases", "campaign.erased_people", "campaign.erased_purchases"):
        assert rows(work, f"select * from {table}") == []


def test_erased_people_are_in_no_view_that_segments_read(work: Workspace):
    populate(work)
    erase.person(work, WHO, AS_OF)
    views = rows(work, "select table_name as name from information_schema.views where table_schema = 'facts'")

    shown = {
        view["name"]: row["row"]
        for view in views
        for row in rows(work, f"select cast(t as text) as row from facts.{view['name']} as t")
        if "erased:" in row["row"]
    }

    assert views
    assert shown == {}


def test_what_was_planned_is_cancelled_and_what_is_in_doubt_is_never_sent(work: Workspace):
    populate(work)

    erase.person(work, WHO, AS_OF)

    found = rows(
        work, "select state, reason, enrolment_id from campaign.sends where starts_with(customer_id, 'erased:')"
    )
    assert sorted({(row["state"], row["reason"]) for row in found}, key=str) == [
        ("accepted", None), ("cancelled", "erased"), ("unknown", None),
    ]  # fmt: skip
    assert (
        rows(work, "select 1 from campaign.enrolments where starts_with(customer_id, 'erased:') and closed_at is null")
        == []
    )
    in_force = rows(work, "select state, reason from campaign.decisions where superseded_at is null and"
                          " starts_with(customer_id, 'erased:') and state in ('planned', 'retry_wait')")  # fmt: skip
    assert in_force == []


def test_a_message_that_is_being_handed_over_is_waited_for(work: Workspace):
    populate(work)
    statement = "update campaign.sends set state = :state where customer_id = :who and step = '2'"
    with work.database.transaction() as connection:
        connection.execute(sa.text(statement), {"who": WHO, "state": "in_flight"})

    first = erase.person(work, WHO, AS_OF)
    with work.database.transaction() as connection:
        connection.execute(sa.text(statement), {"who": WHO, "state": "unknown"})
    with runs.begin(work, "dispatch", None, AS_OF) as run:
        assert erase.unfinished(run) == 0

    assert (first.is_complete, dict(first.waits_for)) == (False, {"in_flight": 1})
    assert rows(work, "select 1 from core.customers where customer_id = :who", who=WHO) == []
    assert [row["completed_at"] is not None for row in rows(work, "select * from campaign.erasures")] == [True]


def test_an_ad_platform_that_did_not_confirm_keeps_the_receipt_open(work: Workspace):
    populate(work)
    with work.database.transaction() as connection:
        connection.execute(sa.text("alter table outbox.audience_calls rename to closed_for_now"))

    first = erase.person(work, WHO, AS_OF)
    left = rows(work, "select customer_id, identifiers from campaign.audience_members")
    with work.database.transaction() as connection:
        connection.execute(sa.text("alter table outbox.closed_for_now rename to audience_calls"))
    with runs.begin(work, "dispatch", None, AS_OF) as run:
        sync.removals(run)
        erase.unfinished(run)

    assert dict(first.waits_for) == {"audiences": 1}
    assert left == [{"customer_id": WHO, "identifiers": identity.identifiers("meta", identity.Contact(EMAIL))}]
    assert rows(work, "select * from campaign.audience_members") == []
    assert rows(work, "select * from outbox.audience_members") == []
    assert rows(work, "select person, pseudonym from campaign.erasures") == [{"person": None, "pseudonym": None}]


def test_a_run_that_may_have_read_the_person_before_is_waited_for(work: Workspace):
    populate(work)
    begun = "insert into campaign.runs (flow, campaign, as_of) values ('reengage', 'alpha', :at) returning run_id"
    with work.database.transaction() as connection:
        run_id = connection.execute(sa.text(begun), {"at": AS_OF}).scalar_one()
    first = erase.person(work, WHO, AS_OF)
    with work.database.transaction() as connection:  # it enrols whom it has read
        connection.execute(
            sa.text("insert into campaign.enrolments (campaign, customer_id, episode, anchor_at, enrolled_at, run_id,"
                    " experiment_version, arm, variant, assigned_u, variant_u, first_in_experiment, segment_sha256,"
                    " config_sha256) values ('beta', :who, 'zz-late', :at, :at, :run, 'v1', 'treated', 'control', 0.5,"
                    " 0.5, true, '', '')"),
            {"who": WHO, "at": AS_OF, "run": run_id},
        )  # fmt: skip
        connection.execute(sa.text("update campaign.runs set state = 'completed' where run_id = :run"), {"run": run_id})

    second = erase.person(work, WHO, AS_OF)

    assert (first.is_complete, dict(first.waits_for)) == (False, {"runs": 1})
    assert second.receipt_id == first.receipt_id
    assert second.is_complete
    assert rows(work, "select 1 from campaign.enrolments where customer_id = :who", who=WHO) == []


def test_erasing_twice_gives_the_same_receipt_and_somebody_unknown_is_an_error(work: Workspace):
    populate(work)
    first = erase.person(work, WHO, AS_OF)

    second = erase.person(work, "zz-old-id", AS_OF)

    assert second.receipt_id == first.receipt_id
    with pytest.raises(ConfigError, match="nothing is known"):
        erase.person(work, "nobody", AS_OF)


def test_who_shares_an_email_keeps_the_guest_and_their_own_lines(work: Workspace):
    populate(work)
    with work.database.transaction() as connection:
        connection.execute(sa.text("update core.customers set email_canonical = :mail where customer_id = 'other'"),
                           {"mail": EMAIL})  # fmt: skip

    erase.person(work, WHO, AS_OF)
    counts = landing_load(work, "checkouts", [landing.good("checkouts", customer_id=None, email=EMAIL)])

    assert counts.accepted == 1
    assert rows(work, "select customer_id from core.checkouts") == [{"customer_id": "other"}]


@pytest.mark.parametrize("guest_came", [False, True])
@pytest.mark.parametrize("shared_by", [None, "who has it now", "who had it too"])
def test_the_guest_of_an_email_they_had_before_goes_too_unless_somebody_else_has_it(
    work: Workspace, shared_by: str | None, guest_came: bool
):
    new, later = "zz-new@example.com", "2026-05-03T10:00:00Z"
    landing_load(work, "customers", [landing.good("customers", customer_id=WHO, email=EMAIL)])
    landing_load(work, "customers", [landing.good("customers", customer_id=WHO, email=new, updated_at=later)])
    if shared_by:
        landing_load(work, "customers", [landing.good("customers", customer_id="zzz", email=EMAIL)])
    if shared_by == "who had it too":
        landing_load(
            work, "customers", [landing.good("customers", customer_id="zzz", email="o@x.de", updated_at=later)]
        )
    line = landing.good("checkouts", customer_id=None, email=EMAIL)
    if guest_came:
        landing_load(work, "checkouts", [line])

    erase.person(work, WHO, AS_OF)
    counts = landing_load(work, "checkouts", [line, {"raw": f"broken {EMAIL}", "broken": "invalid_utf8"}])

    assert (counts.erased, counts.accepted, counts.quarantined) == ((0, 1, 1) if shared_by else (2, 0, 0))
    assert [row["customer_id"] for row in rows(work, "select customer_id from core.checkouts")] == (
        ["zzz"] if shared_by else []
    )
    suppressed = {row["address_hmac"] for row in rows(work, "select address_hmac from core.suppressions")}
    assert (keyed_hash(key_of(work), EMAIL) in suppressed) == (shared_by is None or guest_came)
    assert rows(work, "select 1 from core.guest_claims where customer_id = :who", who=WHO) == []


def environment(work: Workspace) -> dict[str, str]:
    assert work.settings.database_url
    return {
        "REENGAGE_CONFIG": str(work.settings.config),
        "REENGAGE_HOME": str(work.settings.home),
        "REENGAGE_MODE": "simulated",
        "REENGAGE_TIME_ZONE": "UTC",
        "REENGAGE_DATABASE_URL": work.settings.database_url.get_secret_value(),
    }


POINTS = ("stopped", "told", "cleared", "completed")


@pytest.mark.parametrize("point", POINTS)
def test_killed_in_the_middle_and_started_twice_again_the_end_is_the_same(work: Workspace, point: str):
    populate(work)
    program = (
        "import os, signal, sys; from tasks import erase; from tasks.store.workspace import Workspace; "
        "work = Workspace.open(); "
        "stop = lambda point: os.kill(os.getpid(), signal.SIGKILL) if point == sys.argv[1] else None; "
        "erase.person(work, sys.argv[2], work.instant(sys.argv[3]), watch=stop)"
    )
    # The one that goes on is killed, too, where anything is left to do.
    for ended in (-signal.SIGKILL, 0 if point == "completed" else -signal.SIGKILL):
        killed = subprocess.run(
            [sys.executable, "-c", program, point, WHO, AS_OF.isoformat()], cwd=CHECKOUT,
            env=os.environ | environment(work), check=False,
            capture_output=True,
        )  # fmt: skip
        assert killed.returncode == ended, killed.stderr.decode()

    receipt = erase.person(work, WHO, AS_OF)

    assert receipt.is_complete
    assert len(rows(work, "select * from campaign.erasures")) == 1
    own = ("other", "fine", "")
    left = {name for name in telling(work) if not name.startswith("raw.checked")}
    assert left <= {"campaign.enrolments", "campaign.decisions", "campaign.sends", "core.purchases", "core.events"} | {
        name for name in left if name.startswith("raw.customers_")
    }
    assert rows(work, "select 1 from campaign.sends where customer_id like 'zz%'") == []
    assert rows(work, "select 1 from raw.customers where customer_id is not null and customer_id <> all(:own)",
                own=list(own)) == []  # fmt: skip


def test_the_command_prints_a_receipt_that_names_nobody(work: Workspace):
    populate(work)
    runner = CliRunner(env=environment(work))

    done = runner.invoke(app, ["erase", WHO, "--as-of", AS_OF.isoformat(), "--json"])
    listed = runner.invoke(app, ["erase", "--list", "--json"])

    assert done.exit_code == 0, done.output
    (receipt,) = json.loads(done.output)["rows"]
    assert receipt["state"] == "complete"
    assert receipt["counts"]["core.customers"] == 1
    assert [row["receipt_id"] for row in json.loads(listed.output)["rows"]] == [receipt["receipt_id"]]
    assert "zz" not in done.output + listed.output


# ----------------------------------------------------------------------------------------------------------- registry


TEXTUAL = ("text", "character varying", "character", "jsonb", "json", "uuid", "bytea", "ARRAY", "USER-DEFINED", "xml")


def catalog(work: Workspace) -> dict[str, set[str]]:
    """Columns that could hold text, by table; landing partitions stand in for nobody but their parent."""
    found = rows(
        work,
        "select columns.table_schema || '.' || columns.table_name as name, column_name, data_type"
        " from information_schema.columns inner join information_schema.tables using (table_schema, table_name)"
        " inner join pg_class on pg_class.oid = format('%I.%I', table_schema, table_name)::regclass"
        " where columns.table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'"
        " and not relispartition",
    )
    known: dict[str, set[str]] = {row["name"]: set() for row in found}
    for row in found:
        if row["data_type"] in TEXTUAL:
            known[row["name"]].add(row["column_name"])
    return known


def unnamed(found: Mapping[str, set[str]], registry: Mapping[str, Holder] = erasure.TABLES) -> dict[str, set[str]]:
    """What nobody has thought about."""
    missing = {}
    for name, columns in found.items():
        if name.startswith("evaluation."):
            left = columns - erasure.AGGREGATED
        elif name not in registry:
            left = {"the whole table"}
        elif not is_ended(registry[name]):
            left = {"how long it is kept"}
        elif registry[name].how in ("deleted", "blanked"):
            left = set()
        else:
            left = columns - registry[name].columns
        if left:
            missing[name] = left
    return missing


def is_ended(holder: Holder) -> bool:
    """Whether somebody has said how long a table that can hold a person is kept, and said it once."""
    if holder.how == "nobody":
        return True
    return holder.period in Retention.model_fields if holder.period else len(holder.stays.split()) > 3


def test_every_table_and_column_that_could_hold_a_person_is_named(work: Workspace):
    assert unnamed(catalog(work)) == {}
    assert erasure.TABLES.keys() - catalog(work).keys() == set()


def test_a_new_table_and_a_new_column_are_noticed(work: Workspace):
    with work.database.transaction() as connection:
        connection.execute(sa.text("create table campaign.friends (customer_id text)"))
        connection.execute(sa.text("alter table campaign.runs add column asked_by text"))

    assert unnamed(catalog(work)) == {"campaign.friends": {"the whole table"}, "campaign.runs": {"asked_by"}}


@pytest.mark.parametrize("holder", [Holder("deleted"), Holder("deleted", period="years"), Holder("deleted", stays="")])
def test_a_table_without_a_period_is_noticed(work: Workspace, holder: Holder):
    registry = {**erasure.TABLES, "core.visits": holder}

    assert unnamed(catalog(work), registry) == {"core.visits": {"how long it is kept"}}


def test_every_period_ends_some_table_and_none_has_both_a_period_and_a_reason_to_stay():
    holders = erasure.TABLES.values()

    assert {holder.period for holder in holders} - {""} == set(Retention.model_fields)
    assert [name for name, holder in erasure.TABLES.items() if holder.period and holder.stays] == []


def test_columns_that_the_registry_names_exist(work: Workspace):
    found = catalog(work)

    surplus = {name: holder.columns - found[name] for name, holder in erasure.TABLES.items() if name in found}

    assert {name: left for name, left in surplus.items() if left - {"open_minutes"}} == {}


def test_the_purchase_cycle_of_the_rest_is_untouched(work: Workspace):
    populate(work)
    before = rows(work, "select * from core.purchases where customer_id = 'other'")

    erase.person(work, WHO, AS_OF)

    assert rows(work, "select * from core.purchases") == before
