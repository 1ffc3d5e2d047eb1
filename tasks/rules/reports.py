"""What providers report about messages and what people answer, read from raw webhook bodies; pure.

One parser per provider: bytes in, reports and replies out. Whatever is no event at all is named as broken and what we
have no word for becomes a report of kind `other`, so nothing that a provider may ever send is a crash or is lost.
Sources: SendGrid's event webhook reference, Amazon's examples of SES, SNS and End User Messaging events, Meta's webhook
reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, get_args
from uuid import UUID

from config.campaign import Channel, PriceCategory
from tasks.rules.bodies import (
    first_of,
    json_of,
    list_of,
    moment_of_iso,
    moment_of_seconds,
    object_of,
    phone_of_wa_id,
    text_of,
)
from tasks.rules.keyed import keyed_hash

Kind = Literal[
    "accepted", "deferred", "delivered", "opened", "clicked", "failed", "bounced", "complained", "unsubscribed",
    "resubscribed", "not_accepted", "other",
]  # fmt: skip
Scope = Literal["all", "marketing"]

LONGEST_REPLY = 5_000
# Under which name requests give each provider our attempt's id, and its reports give it back.
ECHOES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "email_sendgrid": "attempt_id",
        "email_ses": "attempt_id",
        "sms_aws": "attempt_id",
        "whatsapp_aws": "biz_opaque_callback_data",
        "whatsapp_cloud": "biz_opaque_callback_data",
    }
)


@dataclass(frozen=True)
class Report:
    """One thing a provider says about one message; `event_key` is the same however often it is delivered.

    `address` and `writer_id`, the business-scoped id where WhatsApp tells one, stay in memory: they find people and key
    hashes and are never stored. `suppresses` says for what the address must not be written to again, `withdraws` that
    the person spoke, `ends_token` that the device is gone. `billable` and `price_category` are what WhatsApp itself
    says it charges for, and by.
    """

    provider: str
    channel: Channel
    event_key: str
    kind: Kind
    occurred_at: datetime | None = None
    attempt_id: str | None = None
    provider_message_id: str | None = None
    reason: str | None = None
    is_machine: bool = False
    suppresses: Scope | None = None
    withdraws: bool = False
    ends_token: bool = False
    billable: bool | None = None
    price_category: str | None = None
    address: str | None = field(default=None, repr=False)
    writer_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Reply:
    """What a person wrote back; `text`, `address` and `writer_id` are personal data, None where there is none.

    `writer_id` is the business-scoped id that WhatsApp knows the person by. `is_said`: written to us in person, as in
    facts.messages; edits, revocations and what is said in groups are not.
    """

    provider: str
    channel: Channel
    reply_id: str
    occurred_at: datetime | None
    in_reply_to: str | None
    text: str | None = field(repr=False)
    address: str | None = field(repr=False)
    writer_id: str | None = field(default=None, repr=False)
    is_said: bool = True


@dataclass(frozen=True)
class Parsed:
    """Everything one body holds; `broken` are reason codes of the parts that are no event."""

    reports: tuple[Report, ...] = ()
    replies: tuple[Reply, ...] = ()
    broken: tuple[str, ...] = ()


Parse = Callable[[bytes, str], Parsed]
Found = Iterator[Report | Reply | str]


@dataclass(frozen=True)
class _Meaning:
    """What a provider's word means here."""

    kind: Kind
    reason: str | None = None
    suppresses: Scope | None = None
    withdraws: bool = False
    ends_token: bool = False


_ACCEPTED, _DELIVERED, _OTHER = _Meaning("accepted"), _Meaning("delivered"), _Meaning("other")
_HARD_BOUNCE = _Meaning("bounced", "hard_bounce", "all")
_COMPLAINED = _Meaning("complained", "complained", "marketing", withdraws=True)
_UNSUBSCRIBED = _Meaning("unsubscribed", "unsubscribed", withdraws=True)


def _collected(found: Found) -> Parsed:
    parts = list(found)
    return Parsed(
        tuple(part for part in parts if isinstance(part, Report)),
        tuple(part for part in parts if isinstance(part, Reply)),
        tuple(part for part in parts if isinstance(part, str)),
    )


# --------------------------------------------------------------------------------------------- SendGrid


_SENDGRID: Final[Mapping[str, _Meaning]] = MappingProxyType(
    {
        "processed": _ACCEPTED,
        "deferred": _Meaning("deferred"),
        "delivered": _DELIVERED,
        "open": _Meaning("opened"),
        "click": _Meaning("clicked"),
        "spamreport": _COMPLAINED,
        "unsubscribe": _UNSUBSCRIBED,
        "group_unsubscribe": _UNSUBSCRIBED,
        "group_resubscribe": _Meaning("resubscribed"),
    }
)
# Why SendGrid kept a message it had taken: its own lists, by how the reason begins.
_SENDGRID_DROPS: Final = (
    ("bounced", _Meaning("failed", "hard_bounce", "all")),
    ("invalid", _Meaning("failed", "invalid_address")),
    ("spam report", _Meaning("failed", "complained", "marketing", withdraws=True)),
    ("unsubscribed", _Meaning("failed", "unsubscribed", withdraws=True)),
)


def sendgrid(body: bytes, key: str) -> Parsed:
    """SendGrid's event webhook: an array of events, or one event of an archive.

    A repeated delivery carries another sg_event_id, so an event is known by message, kind, second and recipient.
    """
    found = json_of(body)
    if isinstance(found, str):
        return Parsed(broken=(found,))
    return _collected(_sendgrid_event(event, key) for event in (found if isinstance(found, list) else [found]))


def _sendgrid_event(event: Any, key: str) -> Report | str:
    if not isinstance(event, dict) or not text_of(event.get("event")):
        return "not_an_event"
    word, message = text_of(event["event"]), text_of(event.get("sg_message_id"))
    address, attempt_id = text_of(event.get("email")), _attempt(event.get(ECHOES["email_sendgrid"]))
    meaning = _sendgrid_meaning(word or "", event)
    return _report(
        "email_sendgrid",
        "email",
        meaning,
        _key(key, message or event.get("sg_event_id"), word, event.get("timestamp"), attempt_id or address),
        occurred_at=moment_of_seconds(event.get("timestamp")),
        attempt_id=attempt_id,
        # The header of the answer names the request; the messages' own ids begin with it.
        provider_message_id=message.partition(".")[0] if message else None,
        is_machine=word == "open" and event.get("sg_machine_open") is True,
        address=address.strip().lower() if address else None,
    )


def _sendgrid_meaning(word: str, event: Mapping[str, Any]) -> _Meaning:
    if word == "bounce":
        return _Meaning("failed", "blocked") if event.get("type") == "blocked" else _HARD_BOUNCE
    if word == "dropped":
        why = (text_of(event.get("reason")) or "").lower()
        return next((meaning for start, meaning in _SENDGRID_DROPS if why.startswith(start)), _Meaning("failed"))
    return _SENDGRID.get(word, _OTHER)


# -------------------------------------------------------------------------------------------------- SES


_SES: Final[Mapping[str, _Meaning]] = MappingProxyType(
    {
        "send": _ACCEPTED,
        "delivery": _DELIVERED,
        "deliverydelay": _Meaning("deferred"),
        "reject": _Meaning("failed", "refused"),
        "renderingfailure": _Meaning("failed", "content"),
        "open": _Meaning("opened"),
        "click": _Meaning("clicked"),
    }
)
# Apple's mail proxy fetches every picture under this bare name, whether anybody reads or not.
_MACHINES: Final = frozenset({"Mozilla/5.0"})


def ses(body: bytes, key: str) -> Parsed:
    """Amazon SES: event publishing (`eventType`, with our tags) and feedback notifications (`notificationType`)."""
    return _collected(through_sns(body, lambda event: _ses_event(event, key)))


def _ses_event(event: Mapping[str, Any], key: str) -> Found:
    kind = text_of(event.get("eventType")) or text_of(event.get("notificationType"))
    mail = object_of(event.get("mail"))
    if kind is None:
        yield "not_an_event"
        return
    word = re.sub(r"[^a-z]", "", kind.lower())
    detail = object_of(event.get({"deliverydelay": "deliveryDelay", "renderingfailure": "failure"}.get(word, word)))
    tags = object_of(mail.get("tags"))
    at = moment_of_iso(detail.get("timestamp")) or moment_of_iso(mail.get("timestamp"))
    meaning = _ses_meaning(word, detail)
    # A bounce names the recipients it is about; the rest of the message's may be fine.
    people = _ses_recipients(detail) or _addresses(mail.get("destination")) or [None]
    for address in people:
        yield _report(
            "email_ses",
            "email",
            meaning,
            _key(key, mail.get("messageId"), word, detail.get("feedbackId"), detail.get("timestamp"), address),
            occurred_at=at,
            attempt_id=_attempt(first_of(tags.get(ECHOES["email_ses"]))),
            provider_message_id=text_of(mail.get("messageId")),
            is_machine=word == "open" and detail.get("userAgent") in _MACHINES,
            address=address,
        )


def _ses_meaning(word: str, detail: Mapping[str, Any]) -> _Meaning:
    if word == "bounce":
        return _HARD_BOUNCE if detail.get("bounceType") == "Permanent" else _Meaning("failed", "soft_bounce")
    if word == "complaint":
        if detail.get("complaintFeedbackType") == "not-spam":  # somebody took it out of the spam folder
            return _OTHER
        if detail.get("complaintSubType") == "OnAccountSuppressionList":
            return _Meaning("failed", "complained", "marketing", withdraws=True)
        return _COMPLAINED
    if word == "subscription":
        wishes = object_of(detail.get("newTopicPreferences"))
        topics = wishes.get("topicSubscriptionStatus")
        statuses = [object_of(topic).get("subscriptionStatus") for topic in topics] if isinstance(topics, list) else []
        is_out = wishes.get("unsubscribeAll") is True or "OptOut" in statuses
        return _UNSUBSCRIBED if is_out else _Meaning("resubscribed")
    return _SES.get(word, _OTHER)


def _ses_recipients(detail: Mapping[str, Any]) -> list[str]:
    for name in ("bouncedRecipients", "complainedRecipients", "delayedRecipients"):
        if isinstance(detail.get(name), list):
            return _addresses([object_of(recipient).get("emailAddress") for recipient in detail[name]])
    return []


def _addresses(given: Any) -> list[str]:
    found = [text_of(address) for address in given] if isinstance(given, list) else []
    return [address.strip().lower() for address in found if address]


# --------------------------------------------------------------------------------- End User Messaging SMS


_BLOCKED = _Meaning("failed", "blocked")
# Names behind TEXT_, MEDIA_ and RCS_; which of DELIVERED and SUCCESSFUL comes depends on the country.
_SMS: Final[Mapping[str, _Meaning]] = MappingProxyType(
    {
        "PENDING": _ACCEPTED,
        "QUEUED": _ACCEPTED,
        "SENT": _ACCEPTED,
        "SUCCESSFUL": _DELIVERED,
        "DELIVERED": _DELIVERED,
        "READ": _Meaning("opened"),
        "INVALID": _Meaning("bounced", "invalid_address", "all"),
        "INVALID_MESSAGE": _Meaning("failed", "content"),
        "UNREACHABLE": _Meaning("failed", "unreachable"),
        "CARRIER_UNREACHABLE": _Meaning("failed", "unreachable"),
        "BLOCKED": _BLOCKED,
        "CARRIER_BLOCKED": _BLOCKED,
        "SPAM": _BLOCKED,
        "PROTECT_BLOCKED": _BLOCKED,
        "TTL_EXPIRED": _Meaning("failed", "too_late"),
        "FAILED": _Meaning("failed", "refused"),
        "FALLEN_BACK_TO_SMS": _ACCEPTED,
    }
)
_OPTED_OUT = _Meaning("unsubscribed", "opted_out", "all", withdraws=True)


def sms(body: bytes, key: str) -> Parsed:
    """AWS End User Messaging SMS: delivery events, and inbound texts of two-way numbers."""
    return _collected(through_sns(body, lambda event: _sms_event(event, key)))


def _sms_event(event: Mapping[str, Any], key: str) -> Found:
    if "inboundMessageId" in event:
        yield _sms_reply(event, key)
        return
    word = text_of(event.get("eventType")) or text_of(event.get("messageStatus"))
    if word is None:
        yield "not_an_event"
        return
    said = (text_of(event.get("messageStatusDescription")) or "").lower()
    meaning = _SMS.get(re.sub(r"^(TEXT|MEDIA|RCS)_", "", word), _OTHER)
    yield _report(
        "sms_aws",
        "sms",
        _OPTED_OUT if "opted out" in said or "opted-out" in said else meaning,
        _key(key, event.get("messageId"), word, event.get("eventTimestamp")),
        occurred_at=moment_of_seconds(event.get("eventTimestamp"), unit=1000),
        attempt_id=_attempt(object_of(event.get("context")).get(ECHOES["sms_aws"])),
        provider_message_id=text_of(event.get("messageId")),
        address=text_of(event.get("destinationPhoneNumber")),
    )


def _sms_reply(event: Mapping[str, Any], key: str) -> Reply | str:
    reply_id = text_of(event.get("inboundMessageId"))
    if reply_id is None:
        return "not_an_event"
    return Reply(
        "sms_aws",
        "sms",
        _key(key, reply_id),
        moment_of_iso(event.get("timestamp")),
        text_of(event.get("previousPublishedMessageId")),
        _cut(event.get("messageBody")),
        text_of(event.get("originationNumber")),
    )


# --------------------------------------------------------------------------------------------- SNS push


def push(body: bytes, key: str) -> Parsed:
    """Amazon SNS mobile push: application events; a permanent failure says that the endpoint is at an end."""
    return _collected(through_sns(body, lambda event: _push_event(event, key)))


def _push_event(event: Mapping[str, Any], key: str) -> Found:
    word = text_of(event.get("EventType"))
    if word is None:
        yield "not_an_event"
        return
    meaning = _OTHER
    if word == "DeliveryFailure":
        # Wrong credentials of the application fail everybody and say nothing about a device.
        about_token = event.get("FailureType") in ("EndpointDisabled", "InvalidPlatformToken")
        meaning = _Meaning("failed", "token_invalid", ends_token=True) if about_token else _Meaning("failed")
    yield _report(
        "push_sns",
        "push",
        meaning,
        _key(key, event.get("MessageId"), word, event.get("EndpointArn"), event.get("Time")),
        occurred_at=moment_of_iso(event.get("Time")),
        provider_message_id=text_of(event.get("MessageId")),
        address=text_of(event.get("EndpointArn")),
    )


# --------------------------------------------------------------------------------------------- WhatsApp


_WHATSAPP: Final[Mapping[str, _Meaning]] = MappingProxyType(
    {"sent": _ACCEPTED, "delivered": _DELIVERED, "read": _Meaning("opened"), "played": _Meaning("opened")}
)
# Codes of Meta's that are about us, in an answer (tasks/channels/whatsapp.py) and in a status that comes after a yes.
# The template: every message of its campaign would be lost, and no other.
WHATSAPP_TEMPLATE: Final = frozenset(
    {132000, 132001, 132007, 132008, 132012, 132015, 132016, 132018, 132068, 132069}
)  # fmt: skip
# Our account, number or key: every message of the channel would be lost.
WHATSAPP_ACCOUNT: Final = frozenset(
    {
        0, 3, 10, 33, 190, 368, 131005, 131008, 131030, 131031, 131037, 131042, 131045, 131048, 131055, 131063, 131064,
        133010, 133016, *range(200, 300),
    }
)  # fmt: skip
_WHATSAPP_ERRORS: Final[Mapping[int, _Meaning]] = MappingProxyType(
    {
        131049: _Meaning("failed", "provider_cap"),  # Meta's own limit of marketing messages to one person
        130472: _Meaning("failed", "provider_cap"),  # an experiment of Meta's keeps marketing from this person
        131050: _Meaning("failed", "unsubscribed", "marketing", withdraws=True),
        131026: _Meaning("failed", "undeliverable"),
        131047: _Meaning("failed", "needs_template"),
        130497: _Meaning("failed", "country_closed"),
        132005: _Meaning("failed", "content"),
        **dict.fromkeys(WHATSAPP_TEMPLATE, _Meaning("failed", "template")),
        **dict.fromkeys(WHATSAPP_ACCOUNT, _Meaning("failed", "misconfigured")),
    }
)


def whatsapp_cloud(body: bytes, key: str) -> Parsed:
    """WhatsApp Cloud API: statuses of our messages, what people write, wishes about marketing messages."""
    found = json_of(body)
    if not isinstance(found, dict):
        return Parsed(broken=(found if isinstance(found, str) else "not_an_event",))
    entries = found.get("entry")
    if not isinstance(entries, list):
        return Parsed(broken=("not_an_event",))
    return _collected(part for entry in entries for part in _whatsapp_entry(entry, "whatsapp_cloud", key))


def whatsapp_aws(body: bytes, key: str) -> Parsed:
    """AWS End User Messaging Social: Meta's webhook entry as a JSON text inside a notification."""

    def event(found: Mapping[str, Any]) -> Found:
        inner = found.get("whatsAppWebhookEntry")
        entry = json_of(inner.encode("utf-8", "replace")) if isinstance(inner, str) else inner
        if isinstance(entry, dict):
            yield from _whatsapp_entry(entry, "whatsapp_aws", key)
        else:
            yield "not_an_event"

    return _collected(through_sns(body, event))


def _whatsapp_entry(entry: Any, provider: str, key: str) -> Found:
    changes = object_of(entry).get("changes")
    if not isinstance(changes, list):
        yield "not_an_event"
        return
    for change in changes:
        value = object_of(object_of(change).get("value"))
        parts = [
            (_whatsapp_status, value.get("statuses")),
            (_whatsapp_message, value.get("messages")),
            (_whatsapp_wish, value.get("user_preferences")),
            (_whatsapp_message, _written_before(value.get("history"))),
        ]
        known = [(read, items) for read, items in parts if isinstance(items, list)]
        for read, items in known:
            for item in items:
                yield read(item, provider, key) if isinstance(item, dict) else "not_an_event"
        if not known:  # groups, template reviews, account notices
            canonical = json.dumps(change, sort_keys=True)
            yield _report(provider, "whatsapp", _OTHER, _key(key, canonical))


def _written_before(history: Any) -> list[Any] | None:
    """What people wrote before the number came to the platform; threads are named by the person's number."""
    if not isinstance(history, list):
        return None
    threads = [thread for part in history for thread in list_of(object_of(part).get("threads"))]
    return [
        message
        for thread in threads
        for message in list_of(object_of(thread).get("messages"))
        if object_of(message).get("from") == object_of(thread).get("id")
    ]


def _whatsapp_status(status: Mapping[str, Any], provider: str, key: str) -> Report | str:
    message, word = text_of(status.get("id")), text_of(status.get("status"))
    if message is None or word is None:
        return "not_an_event"
    meaning = _WHATSAPP.get(word, _OTHER)
    if word == "failed":
        codes = [object_of(error).get("code") for error in list_of(status.get("errors"))]
        known = (_WHATSAPP_ERRORS[code] for code in codes if isinstance(code, int) and code in _WHATSAPP_ERRORS)
        meaning = next(known, _Meaning("failed", "refused"))
    pricing = object_of(status.get("pricing"))
    category = text_of(pricing.get("category"))
    return _report(
        provider,
        "whatsapp",
        meaning,
        _key(key, message, word),
        occurred_at=moment_of_seconds(status.get("timestamp")),
        attempt_id=_attempt(status.get(ECHOES[provider])),
        provider_message_id=whatsapp_name(key, message),
        billable=pricing["billable"] if isinstance(pricing.get("billable"), bool) else None,
        price_category=category if category in get_args(PriceCategory) else None,
        address=phone_of_wa_id(status.get("recipient_id")),
    )


def _whatsapp_message(message: Mapping[str, Any], provider: str, key: str) -> Report | Reply | str:
    reply_id, kind = text_of(message.get("id")), message.get("type")
    if reply_id is None:
        return "not_an_event"
    quoted = text_of(object_of(message.get("context")).get("id")) or text_of(
        object_of(message.get("reaction")).get("message_id")
    )
    if kind == "system":  # WhatsApp tells about an account; nobody wrote
        return _report(
            provider, "whatsapp", _OTHER, _key(key, reply_id), occurred_at=moment_of_seconds(message.get("timestamp"))
        )
    return Reply(
        provider,
        "whatsapp",
        whatsapp_name(key, reply_id),
        moment_of_seconds(message.get("timestamp")),
        whatsapp_name(key, quoted) if quoted else None,
        _cut(whatsapp_text(message)),
        phone_of_wa_id(message.get("from")),
        _business_scoped(message.get("from_user_id"), message.get("from")),
        _is_said(message),
    )


# Kinds of messages that change another one instead of saying something.
_CHANGES: Final = ("edit", "revoke")


def _is_said(message: Mapping[str, Any]) -> bool:
    changes_another = any(message.get("type") == kind or isinstance(message.get(kind), dict) for kind in _CHANGES)
    return not changes_another and message.get("group_id") is None


def whatsapp_name(key: str, message_id: str) -> str:
    """Our name of a WhatsApp message, by whatever way it comes: its own id holds the person's number in base64.

    The same as a message, as the conversation that it opens, as a reply, and in the ledger.
    """
    return _key(key, message_id)


def _business_scoped(user_id: Any, number: Any) -> str | None:
    """The id that a person is known by beside their number; where the number is hidden it may stand in its place."""
    return text_of(user_id) or (None if phone_of_wa_id(number) else text_of(number))


def whatsapp_text(message: Mapping[str, Any]) -> Any:
    """What was written, or the words of the button that was pressed; None for pictures and places without words.

    Of an edit the words that stand there now.
    """
    message = {**message, **object_of(object_of(message.get("edit")).get("message"))}
    interactive = object_of(message.get("interactive"))
    places = [
        object_of(message.get("text")).get("body"),
        object_of(message.get("button")).get("text"),
        object_of(interactive.get("button_reply")).get("title"),
        object_of(interactive.get("list_reply")).get("title"),
        object_of(message.get("reaction")).get("emoji"),
        *(object_of(message.get(media)).get("caption") for media in ("image", "video", "document")),
    ]
    return next((text for text in places if isinstance(text, str) and text), None)


def _whatsapp_wish(wish: Mapping[str, Any], provider: str, key: str) -> Report:
    said = text_of(wish.get("value"))
    meaning = _Meaning("unsubscribed", "unsubscribed", "marketing", withdraws=True) if said == "stop" else _OTHER
    address = phone_of_wa_id(wish.get("wa_id"))
    writer_id = _business_scoped(wish.get("user_id"), wish.get("wa_id"))
    return _report(
        provider,
        "whatsapp",
        meaning,
        _key(key, address or writer_id, said, wish.get("category"), wish.get("timestamp")),
        occurred_at=moment_of_seconds(wish.get("timestamp")),
        address=address,
        writer_id=writer_id,
    )


PARSERS: Final[Mapping[str, Parse]] = MappingProxyType(
    {
        "email_sendgrid": sendgrid,
        "email_ses": ses,
        "push_sns": push,
        "sms_aws": sms,
        "whatsapp_aws": whatsapp_aws,
        "whatsapp_cloud": whatsapp_cloud,
    }
)


# ----------------------------------------------------------------------------------- what they have in common


# Amazon's first word to a new destination is a sentence instead of an event.
_GREETING: Final = "Successfully validated SNS topic"


def through_sns(body: bytes, read: Callable[[Mapping[str, Any]], Iterator[Any]]) -> Iterator[Any]:
    """The events of a body that may be wrapped in an SNS notification; other SNS messages hold no event."""
    found = json_of(body)
    for item in found if isinstance(found, list) else [found]:
        if isinstance(item, dict) and isinstance(item.get("Message"), str) and "TopicArn" in item:
            inner = json_of(item["Message"].encode("utf-8", "replace")) if item.get("Type") == "Notification" else None
            if isinstance(inner, dict):
                at = item.get("Timestamp")
                yield from (_dated(part, at) for part in read(inner))
            elif item.get("Type") == "Notification" and not item["Message"].startswith(_GREETING):
                yield "not_an_event"
        elif isinstance(item, dict):
            yield from read(item)
        else:
            yield item if isinstance(item, str) else "not_an_event"


def _dated(part: Any, at: Any) -> Any:
    """Inbound texts carry no time of their own: that of their notification stands in."""
    if not isinstance(part, Report | Reply) or part.occurred_at is not None:
        return part
    return replace(part, occurred_at=moment_of_iso(at))


def _report(provider: str, channel: Channel, meaning: _Meaning, event_key: str, **given: Any) -> Report:
    return Report(
        provider,
        channel,
        event_key,
        meaning.kind,
        reason=meaning.reason,
        suppresses=meaning.suppresses,
        withdraws=meaning.withdraws,
        ends_token=meaning.ends_token,
        **given,
    )


def _key(key: str, *parts: Any) -> str:
    """A name of our own: providers' ids can hold an address or, in WhatsApp's, the number in base64."""
    return keyed_hash(key, json.dumps([str(part) if part is not None else None for part in parts]))[:40]


def _cut(value: Any) -> str | None:
    text = text_of(value)
    return text[:LONGEST_REPLY] if text else None


def _attempt(value: Any) -> str | None:
    """Our attempt's id as it was echoed; None for what is none of ours."""
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None
