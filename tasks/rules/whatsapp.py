"""Messages of WhatsApp conversations, read from raw webhook bodies of Meta's Cloud API or Amazon's wrapping of them.

Pure: bytes in, columns of `messages` out. Whatever kind of message comes is kept under its kind, also one that nobody
has heard of; what is no message at all is told by tasks/rules/reports.py, which reads the same bodies. Sources: Meta's
webhook reference (messages, smb_message_echoes, history) and its page on business-scoped user ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from tasks.rules.bodies import json_of, list_of, moment_of_seconds, object_of, phone_of_wa_id, text_of
from tasks.rules.reports import through_sns, whatsapp_name, whatsapp_text

PROVIDERS: Final = ("whatsapp_cloud", "whatsapp_aws")
# The columns of a message as it lands, in order.
FIELDS: Final = (
    "message_id", "direction", "sender", "sent_at", "text", "kind", "bot_node", "writer_id", "wa_id", "phone",
    "account", "group_id", "referral", "ad_id", "about_id",
)  # fmt: skip
LONGEST_TEXT: Final = 20_000  # characters; WhatsApp takes 4,096
_LONGEST_WORD: Final = 100
# How WhatsApp's own ids of messages begin, and the columns of files where one may stand.
_OWN_ID: Final = "wamid."
NAMED: Final = ("message_id", "conversation_id")


@dataclass(frozen=True)
class Told:
    """One message as a body tells it: the text that stands there, and the columns that can be read of it.

    Messages are called by our names (tasks/rules/reports.py, whatsapp_name); WhatsApp's ids stay in the text.
    """

    raw: str = field(repr=False)
    fields: Mapping[str, str | None] = field(repr=False)


def named(key: str, value: str) -> str:
    """An id as a file tells it: one of WhatsApp's own by our name, any other as it is."""
    plain = value.strip()
    return whatsapp_name(key, plain) if plain.startswith(_OWN_ID) else value


def messages(body: bytes, provider: str, key: str) -> list[Told]:
    """Every message of a body: written by people, echoed from our own agents, of the past, and sent as a status says.

    A person is known by the business-scoped user id, where there is none by the wa_id. `sent` tells of a message that
    our bot sent: Meta echoes nothing of the platform's own messages but their statuses. `key` makes the names.
    """
    return [told for entry in _entries(body, provider) for told in _of_entry(entry, key)]


def _entries(body: bytes, provider: str) -> Iterator[Any]:
    if provider == "whatsapp_aws":
        yield from through_sns(body, _wrapped)
    else:
        yield from list_of(object_of(json_of(body)).get("entry"))


def _wrapped(event: Mapping[str, Any]) -> Iterator[Any]:
    inner = event.get("whatsAppWebhookEntry")
    yield json_of(inner.encode("utf-8", "replace")) if isinstance(inner, str) else inner


def _of_entry(entry: Any, key: str) -> Iterator[Told]:
    for change in list_of(object_of(entry).get("changes")):
        value = object_of(object_of(change).get("value"))
        account = text_of(object_of(value.get("metadata")).get("phone_number_id"))
        people = _people(value.get("contacts"))
        for message in _known(value.get("messages")):
            yield _told(message, account, _from(message, people), key, is_ours=False)
        for message in _objects(value.get("message_echoes")):
            yield _told(message, account, _to(message), key, is_ours=True)
        for part in _objects(value.get("history")):
            for thread in _objects(part.get("threads")):
                yield from _of_thread(thread, account, key)
        for status in _known(value.get("statuses")):
            if status.get("status") == "sent" and status.get("recipient_type") != "group":
                yield _sent(status, account, key)


def _of_thread(thread: Mapping[str, Any], account: str | None, key: str) -> Iterator[Told]:
    """Messages of the past: a thread is named by the person's number."""
    number = text_of(thread.get("id"))
    person = _Person(text_of(object_of(thread.get("context")).get("user_id")), number)
    for message in _objects(thread.get("messages")):
        yield _told(message, account, person, key, is_ours=text_of(message.get("from")) != number)


@dataclass(frozen=True)
class _Person:
    bsuid: str | None
    wa_id: str | None

    @property
    def columns(self) -> dict[str, str | None]:
        # A hidden number may be told as the user id itself.
        number = None if self.wa_id == self.bsuid or not phone_of_wa_id(self.wa_id) else self.wa_id
        writer = self.bsuid or self.wa_id
        return {"writer_id": writer, "wa_id": number, "phone": phone_of_wa_id(number)}


def _people(contacts: Any) -> dict[str, _Person]:
    """Both ids of each contact of a body, by either of them."""
    found: dict[str, _Person] = {}
    for contact in _objects(contacts):
        person = _Person(text_of(contact.get("user_id")), text_of(contact.get("wa_id")))
        found |= {name: person for name in (person.bsuid, person.wa_id) if name}
    return found


def _from(message: Mapping[str, Any], people: Mapping[str, _Person]) -> _Person:
    bsuid, number = text_of(message.get("from_user_id")), text_of(message.get("from"))
    known = people.get(bsuid or "") or people.get(number or "")
    if known is None and not (bsuid or number) and len(set(people.values())) == 1:
        known = next(iter(people.values()))
    return _Person(bsuid or (known.bsuid if known else None), number or (known.wa_id if known else None))


def _to(message: Mapping[str, Any]) -> _Person:
    return _Person(text_of(message.get("to_user_id")), text_of(message.get("to")))


def _told(message: Mapping[str, Any], account: str | None, person: _Person, key: str, *, is_ours: bool) -> Told:
    kind = _kind(message)
    referral = object_of(message.get("referral"))
    source = _word(referral.get("source_type")) if referral else None
    about = object_of(message.get(kind or "")).get("original_message_id")
    return _line(
        message,
        message_id=_name(message.get("id"), key),
        direction="outbound" if is_ours else "inbound",
        sender="agent" if is_ours else "customer",
        sent_at=_moment(message),
        text=(text_of(whatsapp_text(message)) or "")[:LONGEST_TEXT] or None,
        kind=kind,
        bot_node=_node(message),
        **person.columns,
        account=account,
        group_id=text_of(message.get("group_id")),
        referral=(source or "unknown") if referral and not is_ours else None,
        ad_id=text_of(referral.get("source_id")) if source == "ad" and not is_ours else None,
        about_id=_name(about, key) or _name(object_of(message.get("reaction")).get("message_id"), key),
    )


def _sent(status: Mapping[str, Any], account: str | None, key: str) -> Told:
    """A message that left for somebody; ours where it carries the id of an attempt, else the bot's."""
    person = _Person(text_of(status.get("recipient_user_id")), text_of(status.get("recipient_id")))
    return _line(
        status,
        message_id=_name(status.get("id"), key),
        direction="outbound",
        sender="campaign" if _is_uuid(status.get("biz_opaque_callback_data")) else "bot",
        sent_at=_moment(status),
        kind="sent",
        **person.columns,
        account=account,
    )


def _line(message: Mapping[str, Any], **columns: str | None) -> Told:
    raw = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    return Told(raw.encode("utf-8", "replace").decode(), dict.fromkeys(FIELDS) | columns)


def _name(value: Any, key: str) -> str | None:
    message_id = text_of(value)
    return whatsapp_name(key, message_id) if message_id else None


def _kind(message: Mapping[str, Any]) -> str:
    for kind in ("edit", "revoke"):  # also where the message keeps the type that it had
        if isinstance(message.get(kind), dict):
            return kind
    return _word(message.get("type")) or "unknown"


def _node(message: Mapping[str, Any]) -> str | None:
    """The step of a bot that a person has answered: the id of the button, the list's row or the form."""
    interactive = object_of(message.get("interactive"))
    places = [
        object_of(interactive.get("button_reply")).get("id"),
        object_of(interactive.get("list_reply")).get("id"),
        object_of(interactive.get("nfm_reply")).get("name"),
        object_of(message.get("button")).get("payload"),
    ]
    found = next((text for text in map(text_of, places) if text), None)
    return found[: 2 * _LONGEST_WORD] if found else None


def _moment(message: Mapping[str, Any]) -> str | None:
    at = moment_of_seconds(message.get("timestamp"))
    return at.isoformat() if at else None


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (item for item in list_of(value) if isinstance(item, dict))


def _known(value: Any) -> Iterator[Mapping[str, Any]]:
    """Those with an id; of the others the same body's reports say that they are none."""
    yield from (item for item in _objects(value) if text_of(item.get("id")))


def _word(value: Any) -> str | None:
    text = text_of(value)
    return text.strip().lower()[:_LONGEST_WORD] or None if text else None


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(UUID(value))
    except ValueError:
        return False
