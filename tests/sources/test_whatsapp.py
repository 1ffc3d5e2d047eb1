"""Archives of WhatsApp webhooks: every kind of message becomes part of somebody's conversation, whatever it is."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest

from config.errors import ConfigError
from config.settings import CHECKOUT
from tasks import pull
from tests.chats import ACCOUNT, OPENED, at, body, echo, echoes, from_ad, message, plain, wamid
from tests.exports import AS_OF, Exports

SOURCES = """
keywords:
  price: [price, "Preis*", cuánto]
  qualified: [book a call]
sources:
  chats: {kind: whatsapp, place: chats*.jsonl*}
  shop_customers:
    entity: customers
    kind: file
    place: customers*.csv
    columns: {customer_id: id, phone: phone, updated_at: at}
"""
EXAMPLES = CHECKOUT.parent / "shared" / "data" / "whatsapp_webhook_examples.json"


@pytest.fixture
def archive(tmp_path, make_workspace) -> Exports:
    return Exports(tmp_path, make_workspace, SOURCES)


def lines(*bodies: Any) -> str:
    return "".join((one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)) + "\n" for one in bodies)


def shown(archive: Exports, statement: str) -> list[tuple[Any, ...]]:
    """Rows in the order of what stands in them, with WhatsApp's ids of messages."""
    return sorted(plain(archive.all(statement), archive.work.settings.suppression_key.get_secret_value()), key=repr)


def counts(load: pull.Load) -> tuple[str, int, int, int, int]:
    assert load.state == "merged", load.reason
    return load.entity, load.lines_in, load.accepted, load.duplicate, load.quarantined


def test_a_click_on_an_ad_opens_a_conversation_of_a_person_who_may_be_reached_there(archive: Exports) -> None:
    archive.write(
        "chats_1.jsonl",
        lines(
            body(message("wamid.1", OPENED, "Hello! Can I get more info?", **from_ad("ad-7"))),
            body(message("wamid.2", at(2), "What is the PRICE?")),
            echoes(echo("wamid.3", at(3))),
        ),
    )

    loads = archive.pull("chats")

    assert [counts(load) for load in loads] == [("reports", 3, 3, 0, 0), ("messages", 3, 3, 0, 0)]
    assert shown(archive, "select conversation_id, customer_id, channel, account, ad_id, opened_at, milestone from"
                 " facts.conversations") == [
        ("wamid.1", "4915112345678", "whatsapp", ACCOUNT, "ad-7", OPENED, "lead")
    ]  # fmt: skip
    assert shown(archive, "select conversation_id, direction, sender, kind, keywords from facts.messages") == [
        ("wamid.1", "inbound", "customer", "text", ["price"]),
        ("wamid.1", "inbound", "customer", "text", []),
        ("wamid.1", "outbound", "agent", "text", []),
    ]  # fmt: skip
    assert archive.all("select customer_id, phone_e164, is_bare from core.customers") == [
        ("4915112345678", "+4915112345678", True)
    ]
    assert archive.all("select customer_id, channel, purpose, basis, occurred_at, expires_at from core.consents") == [
        ("4915112345678", "whatsapp", "retargeting", "inquiry", OPENED, OPENED + timedelta(days=30))
    ]


def test_a_line_counts_once_as_a_report_and_each_message_in_it_once_as_a_message(archive: Exports) -> None:
    two = body(message("wamid.1", OPENED), message("wamid.2", at(1)))
    archive.write("chats_1.jsonl", lines(two, two, "no json", body(message("wamid.3", at(2))), body(field="account")))

    reports, messages = archive.pull("chats")

    assert counts(reports) == ("reports", 5, 3, 1, 1)
    assert counts(messages) == ("messages", 5, 3, 2, 0)


def test_the_same_again_adds_nothing_and_an_object_is_taken_once(archive: Exports) -> None:
    first = lines(body(message("wamid.1", OPENED, **from_ad())), body(message("wamid.2", at(1))))
    archive.write("chats_1.jsonl", first)
    archive.pull("chats")
    assert archive.pull("chats") == []
    archive.write("chats_2.jsonl.gz", gzip.compress(first.encode()))

    assert [counts(load)[2:] for load in archive.pull("chats")] == [(0, 2, 0), (0, 2, 0)]
    assert archive.all("select count(*) from core.messages") == [(2,)]


def test_every_kind_of_message_is_kept_with_its_kind(archive: Exports) -> None:
    kinds = {
        "image": {"image": {"caption": "my garden", "id": "1"}},
        "location": {"location": {"latitude": 1, "longitude": 2}},
        "order": {"order": {"text": "please", "product_items": []}},
        "unsupported": {"errors": [{"code": 131051}]},
        "button": {"button": {"payload": "TALK", "text": "Talk to us"}},
        "interactive": {"interactive": {"type": "button_reply", "button_reply": {"id": "step-3", "title": "Yes"}}},
        "reaction": {"reaction": {"message_id": "wamid.9", "emoji": "👍"}},
        "system": {"system": {"type": "user_changed_number", "wa_id": "12195555358"}},
        "hologram": {"hologram": {"deep": [1, {"x": None}]}},
    }
    bodies = [
        body(message(f"wamid.{kind}", at(number), None, type=kind, **content))
        for number, (kind, content) in enumerate(kinds.items())
    ]
    archive.write("chats_1.jsonl", lines(*bodies, body(message("wamid.none", at(30), None, type=None))))

    _, load = archive.pull("chats")

    assert counts(load) == ("messages", 10, 10, 0, 0)
    found = shown(
        archive,
        "select shown.kind, text, shown.bot_node, shown.conversation_id, is_customer_message"
        " from core.messages inner join facts.messages as shown using (message_id)",
    )
    assert {(kind, text, node) for kind, text, node, *_ in found} == {
        ("image", "my garden", None), ("location", None, None), ("order", None, None), ("unsupported", None, None),
        ("button", "Talk to us", "TALK"), ("interactive", "Yes", "step-3"), ("reaction", "👍", None),
        ("system", None, None), ("hologram", None, None), ("unknown", None, None),
    }  # fmt: skip
    assert {conversation for *_, conversation, _ in found} == {"wamid.image"}
    assert {kind for kind, *_, speaks in found if not speaks} == {"system"}


def test_an_edit_keeps_its_words_and_a_revoked_message_loses_them_whichever_comes_first(archive: Exports) -> None:
    now = {"type": "text", "text": {"body": "two"}}
    changed = message("wamid.2", at(1), None, type="edit", edit={"original_message_id": "wamid.1", "message": now})
    back = message("wamid.4", at(3), None, type="revoke", revoke={"original_message_id": "wamid.3"})
    archive.write("chats_1.jsonl", lines(body(message("wamid.1", OPENED, "one")), body(changed), body(back)))
    archive.write("chats_2.jsonl", lines(body(message("wamid.3", at(2), "secret price"))))
    archive.write("chats_3.jsonl", lines(body(message("wamid.5", at(4), "oops"))))
    late = message("wamid.6", at(5), None, type="revoke", revoke={"original_message_id": "wamid.5"})
    archive.write("chats_4.jsonl", lines(body(late), body(message("wamid.5", at(4), "oops"))))

    loads = archive.pull("chats")

    assert shown(archive, "select message_id, kind, text from core.messages") == [
        ("wamid.1", "text", "one"), ("wamid.2", "edit", "two"), ("wamid.3", "text", None), ("wamid.4", "revoke", None),
        ("wamid.5", "text", None), ("wamid.6", "revoke", None),
    ]  # fmt: skip
    assert counts(loads[-1]) == ("messages", 2, 1, 1, 0)
    spoken = shown(archive, "select message_id from facts.messages where is_customer_message")
    assert [name for (name,) in spoken] == ["wamid.1", "wamid.3", "wamid.5"]


def test_what_is_said_in_a_group_is_kept_and_is_nobodys_conversation(archive: Exports) -> None:
    archive.write("chats_1.jsonl", lines(body(message("wamid.1", OPENED, group_id="Y2FwaV9ncm91cDox"))))

    _, load = archive.pull("chats")

    assert counts(load) == ("messages", 1, 1, 0, 0)
    assert archive.all("select conversation_id, group_id from core.messages") == [(None, "Y2FwaV9ncm91cDox")]
    for table in ("conversations", "customers", "consents", "writers"):
        assert archive.all(f"select count(*) from core.{table}") == [(0,)]


def test_the_past_and_what_our_bot_sent_belong_to_the_conversation(archive: Exports) -> None:
    past = [
        message("wamid.1", OPENED, "hi"),
        echo("wamid.2", at(1), "hello"),
        echo("wamid.0", at(-1), "are you there?"),
    ]
    status = {"id": "wamid.3", "status": "sent", "timestamp": str(int(at(2).timestamp())),
              "recipient_id": "4915112345678"}  # fmt: skip
    ours = status | {"id": "wamid.4", "biz_opaque_callback_data": "7b9f5a52-93f0-4b3e-8a4e-000000000001"}
    archive.write(
        "chats_1.jsonl",
        lines(
            body(statuses=[status, status | {"status": "delivered"}, ours]),
            body(field="history", history=[{"threads": [{"id": "4915112345678", "messages": past}]}]),
        ),
    )

    archive.pull("chats")

    assert shown(archive, "select message_id, direction, sender, kind, conversation_id from core.messages") == [
        ("wamid.0", "outbound", "agent", "text", None),
        ("wamid.1", "inbound", "customer", "text", "wamid.1"),
        ("wamid.2", "outbound", "agent", "text", "wamid.1"),
        ("wamid.3", "outbound", "bot", "sent", "wamid.1"),
        ("wamid.4", "outbound", "campaign", "sent", "wamid.1"),
    ]  # fmt: skip


def test_an_echo_says_more_of_a_message_than_its_status_whichever_comes_first(archive: Exports) -> None:
    status = {"id": "wamid.2", "status": "sent", "timestamp": str(int(at(2).timestamp())),
              "recipient_id": "4915112345678"}  # fmt: skip
    archive.write("chats_1.jsonl", lines(body(statuses=[status]), echoes(echo("wamid.1", at(1)))))
    archive.write("chats_2.jsonl", lines(body(statuses=[status | {"id": "wamid.1"}]), echoes(echo("wamid.2", at(2)))))

    loads = archive.pull("chats")

    assert [counts(load)[1:] for load in loads if load.entity == "messages"] == [(2, 2, 0, 0), (2, 1, 1, 0)]
    assert archive.all("select kind, sender from core.messages") == [("text", "agent")] * 2


def test_a_person_without_a_number_is_somebody_too(archive: Exports) -> None:
    hidden = {"wa_id": None, "user_id": "US.13491208655302741918"}
    archive.write("chats_1.jsonl", lines(body(message("wamid.1", OPENED, **hidden, **from_ad("ad-1")))))

    archive.pull("chats")

    assert archive.all("select customer_id, phone_e164 from core.customers") == [("US.13491208655302741918", None)]
    assert archive.all("select customer_id, ad_id from core.conversations") == [("US.13491208655302741918", "ad-1")]


def test_a_number_and_an_id_that_come_together_are_one_person_and_that_of_the_shop(archive: Exports) -> None:
    number, hidden = {"wa_id": "4915112345678"}, {"wa_id": None, "user_id": "DE.77"}
    archive.write("chats_1.jsonl", lines(body(message("wamid.1", OPENED, **number, **from_ad("ad-1")))))
    archive.write("chats_2.jsonl", lines(body(message("wamid.2", at(hours=1), **hidden, **from_ad("ad-2")))))
    archive.pull("chats")
    assert archive.all("select count(distinct customer_id) from core.conversations") == [(2,)]
    archive.write("chats_3.jsonl", lines(body(message("wamid.3", at(hours=2), **hidden | number))))

    archive.pull("chats")

    assert archive.all("select distinct customer_id from core.conversations") == [("DE.77",)]
    assert archive.all("select alias_id, customer_id from core.aliases") == [("4915112345678", "DE.77")]
    assert archive.all("select customer_id, phone_e164 from core.customers") == [("DE.77", "+4915112345678")]

    archive.write("customers_1.csv", "id,phone,at\nC1,+49 151 12345678,2026-05-01T00:00:00Z\n")
    [load] = archive.pull("shop_customers")

    assert load.report["writers_linked"] == 2
    for table in ("core.conversations", "core.consents", "core.customers"):
        assert archive.all(f"select distinct customer_id from {table}") == [("C1",)]
    assert archive.all("select alias_id, customer_id from core.aliases order by 1") == [
        ("4915112345678", "C1"), ("DE.77", "C1"),
    ]  # fmt: skip
    assert ("wamid.3", "wamid.2") in shown(archive, "select message_id, conversation_id from core.messages")


def test_a_number_that_two_customers_have_links_nobody_and_is_counted(archive: Exports) -> None:
    archive.write("chats_1.jsonl", lines(body(message("wamid.1", OPENED, **from_ad()))))
    archive.write("customers_1.csv", "id,phone,at\nC1,+49 151 12345678,2026-05-01T00:00:00Z\n")
    archive.pull("chats")
    archive.pull("shop_customers")
    assert archive.all("select customer_id from core.conversations") == [("C1",)]
    archive.write("customers_2.csv", "id,phone,at\nC2,+4915112345678,2026-05-02T00:00:00Z\n")

    [load] = archive.pull("shop_customers")

    assert load.report["writers_with_several_customers"] == 1
    assert archive.all("select customer_id from core.conversations") == [("4915112345678",)]
    assert archive.all("select count(*) from core.aliases") == [(0,)]
    assert archive.all("select customer_id from core.consents") == [("4915112345678",)]


def test_a_late_message_finds_its_place_and_a_long_silence_ends_a_conversation(archive: Exports) -> None:
    archive.write("chats_1.jsonl", lines(body(message("wamid.9", at(days=40))), body(message("wamid.5", at(days=9)))))
    archive.pull("chats")
    assert shown(archive, "select conversation_id from core.conversations") == [("wamid.5",), ("wamid.9",)]
    archive.write("chats_2.jsonl", lines(body(message("wamid.1", OPENED, **from_ad("ad-1")))))

    archive.pull("chats")

    assert shown(archive, "select message_id, conversation_id from core.messages") == [
        ("wamid.1", "wamid.1"), ("wamid.5", "wamid.1"), ("wamid.9", "wamid.9"),
    ]  # fmt: skip
    consents = shown(archive, "select consent_id from core.consents")
    assert consents == [("inquiry:conversation:wamid.1",), ("inquiry:conversation:wamid.9",)]


def test_a_message_without_a_time_or_a_person_waits_in_quarantine(archive: Exports) -> None:
    archive.write(
        "chats_1.jsonl",
        lines(
            body(message("wamid.1", OPENED, timestamp="soon")),
            body(message("wamid.2", OPENED, wa_id=None)),
            body(message("wamid.3", OPENED)),
        ),
    )

    _, load = archive.pull("chats")

    assert counts(load) == ("messages", 3, 1, 0, 2)
    assert archive.all("select reason, column_name from raw.quarantine where entity = 'messages' order by line_no") == [
        ("missing_value", "sent_at"), ("missing_id", "conversation_id"),
    ]  # fmt: skip


def test_bodies_wrapped_by_amazon_are_read_alike(tmp_path, make_workspace) -> None:
    archive = Exports(
        tmp_path, make_workspace, "sources: {chats: {kind: whatsapp, provider: whatsapp_aws, place: chats.jsonl}}"
    )
    entry = body(message("wamid.1", OPENED, **from_ad("ad-1")))["entry"][0]
    event = {"whatsAppWebhookEntry": json.dumps(entry), "aws_account_id": "1"}
    wrapped = {"Type": "Notification", "TopicArn": "x", "Message": json.dumps(event), "Timestamp": OPENED.isoformat()}
    archive.write("chats.jsonl", lines(wrapped, event))

    _, messages = archive.pull("chats")

    assert counts(messages) == ("messages", 2, 1, 1, 0)
    assert archive.all("select ad_id from core.conversations") == [("ad-1",)]


def test_stop_holds_for_somebody_without_a_number(archive: Exports) -> None:
    from tasks.store import replies

    archive.write("chats_1.jsonl", lines(body(message("wamid.1", OPENED, "STOP", wa_id=None, user_id="DE.77"))))
    archive.pull("chats")

    with archive.work.database.transaction() as connection:
        read = replies.judge_loads(connection, archive.work.queries, key="k", revoke_all=True)

    assert read == 1
    assert archive.all("select distinct customer_id from core.consents where status = 'withdrawn'") == [("DE.77",)]


def test_a_damaged_archive_fails_as_a_whole(archive: Exports) -> None:
    archive.write("chats_1.jsonl.gz", gzip.compress(lines(body(message("wamid.1", OPENED))).encode())[:-9])

    [load] = archive.pull("chats")

    assert load.state == "failed"
    assert archive.all("select count(*) from core.messages") == [(0,)]
    assert archive.all("select count(*) from campaign.replies") == [(0,)]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("sources: {x: {kind: whatsapp, place: x, provider: sms_aws}}", "provider"),
        ("sources: {x: {kind: whatsapp, place: x, columns: {a: b}}}", "columns"),
        ("keywords: {price: ['  ']}", "keywords.price"),
        ("keywords: {'Price list': [price]}", "keywords"),
    ],
)
def test_a_wrong_source_or_keyword_is_a_finding(tmp_path, make_workspace, text: str, finding: str) -> None:
    shop = Exports(tmp_path, make_workspace, text)

    with pytest.raises(ConfigError, match=finding):
        pull.in_order(shop.work)


def test_what_meta_publishes_as_examples_becomes_messages(archive: Exports) -> None:
    if not EXAMPLES.exists():
        pytest.skip("the WhatsApp examples are not here")
    examples = json.loads(EXAMPLES.read_text("utf-8"))
    told = [one["entry"][0]["changes"][0]["value"].get("messages", []) for one in examples.values()]
    for number, [found] in enumerate(one for one in told if one):  # several share an id, as nothing real does
        found["id"] = wamid("15551234567", number)
    archive.write("chats_1.jsonl", lines(*examples.values()))

    reports, messages = archive.pull("chats", AS_OF)

    assert counts(reports) == ("reports", 16, 16, 0, 0)
    assert counts(messages) == ("messages", 13, 13, 0, 0)
    assert dict(archive.all("select kind, count(*) from core.messages group by kind")) == {
        "text": 3, "reaction": 1, "image": 1, "location": 1, "contacts": 1, "unsupported": 1, "button": 1,
        "interactive": 2, "order": 1, "system": 1,
    }  # fmt: skip
    assert archive.all("select ad_id from core.conversations where ad_id is not null") == [("120226305854810726",)]
