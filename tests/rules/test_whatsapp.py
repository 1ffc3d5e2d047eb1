"""What is read of webhook bodies: every message with whom, where and what, and never a crash."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.rules import whatsapp
from tasks.rules.reports import whatsapp_name
from tests.chats import ACCOUNT, OPENED, at, body, echo, echoes, from_ad, message

KEY = "a key"


def read(given: Any, provider: str = "whatsapp_cloud") -> list[dict[str, str | None]]:
    raw = given if isinstance(given, bytes) else json.dumps(given).encode()
    return [dict(told.fields) for told in whatsapp.messages(raw, provider, KEY)]


def one(given: Any) -> dict[str, str | None]:
    (found,) = read(given)
    return {name: value for name, value in found.items() if value is not None}


def test_a_click_on_an_ad_names_the_ad_and_a_post_names_none() -> None:
    assert one(body(message("wamid.1", OPENED, "Hi", **from_ad("7")))) == {
        "message_id": whatsapp_name(KEY, "wamid.1"), "direction": "inbound", "sender": "customer",
        "sent_at": OPENED.isoformat(), "text": "Hi", "kind": "text", "writer_id": "4915112345678",
        "wa_id": "4915112345678",
        "phone": "+4915112345678", "account": ACCOUNT, "referral": "ad", "ad_id": "7",
    }  # fmt: skip
    post = one(body(message("wamid.1", OPENED, **from_ad("7", "post"))))
    assert (post["referral"], post.get("ad_id")) == ("post", None)


@pytest.mark.parametrize(
    ("wa_id", "user_id", "writer"),
    [
        ("4915112345678", None, ("4915112345678", "4915112345678", "+4915112345678")),
        ("4915112345678", "DE.1", ("DE.1", "4915112345678", "+4915112345678")),
        (None, "DE.1", ("DE.1", None, None)),
        ("DE.1", "DE.1", ("DE.1", None, None)),  # the id stands where the number did
        ("DE.1", None, ("DE.1", None, None)),
        ("5215512345678", None, ("5215512345678", "5215512345678", "+525512345678")),  # as registered once
    ],
)
def test_a_person_is_known_by_the_scoped_id_else_by_the_number(
    wa_id: str | None, user_id: str | None, writer: tuple[str, ...]
) -> None:
    found = one(body(message("wamid.1", OPENED, wa_id=wa_id, user_id=user_id)))

    assert (found["writer_id"], found.get("wa_id"), found.get("phone")) == writer


def test_the_contact_of_a_body_tells_the_id_that_a_message_leaves_out() -> None:
    given = body(message("wamid.1", OPENED), contacts=[{"wa_id": "4915112345678", "user_id": "DE.1"}])

    assert one(given)["writer_id"] == "DE.1"


def test_an_echo_is_to_the_person_and_ours() -> None:
    found = one(echoes(echo("wamid.1", at(1), to_user_id="DE.1")))

    assert (found["writer_id"], found["wa_id"], found["sender"]) == ("DE.1", "4915112345678", "agent")


def test_of_statuses_the_sending_is_a_message_and_nothing_else() -> None:
    status = {"id": "wamid.1", "timestamp": str(int(OPENED.timestamp())), "recipient_id": "4915112345678"}
    words = ("sent", "delivered", "read", "failed")

    found = read(body(statuses=[status | {"status": word} for word in words]))
    group = read(body(statuses=[status | {"status": "sent", "recipient_type": "group"}]))

    assert [(one["kind"], one["sender"], one["direction"]) for one in found] == [("sent", "bot", "outbound")]
    assert group == []


def test_the_step_of_a_bot_is_what_was_pressed() -> None:
    pressed = [
        {"type": "interactive", "interactive": {"list_reply": {"id": "express", "title": "Express"}}},
        {"type": "interactive", "interactive": {"nfm_reply": {"name": "flow", "response_json": '{"name": "Ann"}'}}},
        {"type": "button", "button": {"payload": "YES", "text": "Yes"}},
    ]

    found = read(body(*(message(f"wamid.{n}", OPENED, None, **one) for n, one in enumerate(pressed))))

    assert [(one["bot_node"], one["text"]) for one in found] == [
        ("express", "Express"), ("flow", None), ("YES", "Yes"),
    ]  # fmt: skip


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b'{"entry": 5}', b"\xff", b'{"entry": [{"changes": [7]}]}'])
@pytest.mark.parametrize("provider", whatsapp.PROVIDERS)
def test_what_is_no_body_holds_no_message(raw: bytes, provider: str) -> None:
    assert read(raw, provider) == []


def test_signs_that_no_database_takes_are_left_out() -> None:
    told = whatsapp.messages(
        json.dumps(body(message("wamid.1", OPENED, "a\0b\ud800c"))).encode(), "whatsapp_cloud", KEY
    )

    assert told[0].fields["text"] == "ab?c"
    assert "\0" not in told[0].raw
    told[0].raw.encode()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
PARTS = ("id", "from", "from_user_id", "timestamp", "type", "text", "referral", "edit", "revoke", "interactive",
         "reaction", "group_id", "errors")  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(PARTS), ANYTHING), ANYTHING, ANYTHING)
def test_no_value_anywhere_is_a_crash(odd: dict[str, Any], contacts: Any, whole: Any) -> None:
    given = body(message("wamid.1", OPENED), statuses=[odd], history=[{"threads": [{"messages": [odd]}]}])
    given["entry"][0]["changes"][0]["value"] |= {"contacts": contacts, "messages": [odd, whole]}

    for provider in whatsapp.PROVIDERS:
        found = read(given, provider) + read(whole, provider)
        assert all(value is None or isinstance(value, str) for line in found for value in line.values())
