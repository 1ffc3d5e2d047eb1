"""Webhook bodies of WhatsApp as Meta writes them, for tests; people, numbers and words are made up."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.rules.reports import whatsapp_name

OPENED = datetime(2026, 4, 6, 9, tzinfo=UTC)  # a Monday
ACCOUNT = "106540352242922"
# What messages of tests are called by WhatsApp.
IDS = (
    *(f"wamid.{place}" for place in (*range(10), "image", "none")),
    *(f"{letter}{number}" for letter in "abm" for number in range(1, 10)),
)


def wamid(number: str, place: int = 1) -> str:
    """An id as WhatsApp makes it: the person's number and a random part, in base64."""
    digits, random = number.lstrip("+").encode(), f"{place:020X}".encode()
    return "wamid." + base64.b64encode(
        b"\x1c\x18" + bytes([len(digits)]) + digits + b"\x15\x02\x00\x12\x18\x14" + random + b"\x00"
    ).decode()  # fmt: skip


def plain(found: Any, key: str) -> Any:
    """What was found, with WhatsApp's ids in place of our names of messages, wherever these stand."""
    if isinstance(found, str):
        for one in IDS:
            found = found.replace(whatsapp_name(key, one), one)
        return found
    if isinstance(found, dict):
        return {plain(name, key): plain(value, key) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return type(found)(plain(value, key) for value in found)
    return found


def at(minutes: float = 0, hours: float = 0, days: float = 0) -> datetime:
    """A moment after the first message of most tests."""
    return OPENED + timedelta(minutes=minutes, hours=hours, days=days)


def message(
    message_id: str,
    sent_at: datetime,
    text: str | None = "hello",
    *,
    wa_id: str | None = "4915112345678",
    user_id: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """One inbound message; `changes` replace or add what Meta would write."""
    found: dict[str, Any] = {"id": message_id, "timestamp": str(int(sent_at.timestamp())), "type": "text"}
    found |= {"from": wa_id} if wa_id else {}
    found |= {"from_user_id": user_id} if user_id else {}
    found |= {"text": {"body": text}} if text is not None else {}
    return found | changes


def from_ad(ad_id: str = "120226305854810726", kind: str = "ad") -> dict[str, Any]:
    """What the first message of a click-to-WhatsApp ad carries besides."""
    return {"referral": {"source_id": ad_id, "source_type": kind, "headline": "Chat with us", "ctwa_clid": "x"}}


def echo(message_id: str, sent_at: datetime, text: str = "Hi, how can we help?", **changes: Any) -> dict[str, Any]:
    """One message that an agent of ours wrote."""
    return {
        "from": "15550783881", "to": "4915112345678", "id": message_id, "timestamp": str(int(sent_at.timestamp())),
        "type": "text", "text": {"body": text},
    } | changes  # fmt: skip


def body(*messages: dict[str, Any], field: str = "messages", account: str = ACCOUNT, **value: Any) -> dict[str, Any]:
    """A whole body; `value` adds to what stands beside the messages."""
    people = {
        (one.get("from"), one.get("from_user_id")): {
            name: given for name, given in (("wa_id", one.get("from")), ("user_id", one.get("from_user_id"))) if given
        }
        for one in messages
    }
    content = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": account},
        **({"contacts": list(people.values()), "messages": list(messages)} if messages else {}),
        **value,
    }
    changes = [{"value": content, "field": field}]
    return {"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": changes}]}


def echoes(*messages: dict[str, Any]) -> dict[str, Any]:
    """A body of what our agents wrote."""
    return body(field="smb_message_echoes", message_echoes=list(messages))
