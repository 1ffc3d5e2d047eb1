"""Emails for the senders' tests, fit and unfit ones, and what each conduct of a provider must come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from config.settings import Sender as Writer
from tasks.channels.base import OutgoingMessage
from tasks.rules.errors import Busy, Misconfigured, Refused, Unanswered
from tests.channels.loopback import Mode

WRITER = Writer(name="Grüße & Söhne", email="hello@example.com", reply_to="answers@example.com")
AT = datetime(2026, 6, 8, 12, tzinfo=UTC)
FRAME = (
    "<html>\n<body>\n<h1>Sale</h1>\n<p>Hello {name}!</p>\n{filler}\n<a href='{link}'>Unsubscribe</a>\n</body></html>"
)

# What a provider does to one call, and what must come of it: an outcome or an error, and how many it accepted.
EXPECTED: dict[Mode, tuple[str | type[Exception], int]] = {
    Mode.ACCEPT: ("accepted", 1),
    Mode.DROP_AFTER: (Unanswered, 1),
    Mode.DROP_BEFORE: (Unanswered, 0),
    Mode.HANG: (Unanswered, 1),
    Mode.SLOW: ("accepted", 1),
    Mode.MALFORMED: ("accepted", 1),
    Mode.LIE_500: (Unanswered, 1),
    Mode.BUSY: (Busy, 0),
    Mode.BUSY_120: (Busy, 0),
    Mode.ERROR_500: (Unanswered, 0),
    Mode.ERROR_502: (Unanswered, 0),
    Mode.ERROR_503: (Unanswered, 0),
    Mode.BAD_400: (Refused, 0),
    Mode.UNKNOWN_401: (Misconfigured, 0),
}


def letter(number: int, *, filler: str = "<p>Everything must go.</p>", **changes: Any) -> OutgoingMessage:
    """A message to person `number`; `changes` are of its attributes, `fields` of single fields (None: left out)."""
    link = f"https://shop.example/unsubscribe/{number}/email/marketing/token-{number}"
    fields: dict[str, str | None] = {
        "subject": f"Hello person {number} äöü",
        "html": FRAME.format(name=f"person {number}", link=link, filler=filler),
        "list_unsubscribe": link,
    }
    fields |= changes.pop("fields", {})
    given: dict[str, Any] = {
        "attempt_id": f"00000000-0000-4000-8000-{number:012d}",
        "send_key": f"key-{number}",
        "channel": "email",
        "address": f"person.{number}@example.com",
        "decided_at": AT,
        "campaign": "lapsing_customers",
        "deliver_by": AT + timedelta(hours=8),
    }
    return OutgoingMessage(**given | changes, fields={name: text for name, text in fields.items() if text is not None})


def templated(number: int, name: str = "d-0123456789abcdef", **changes: Any) -> OutgoingMessage:
    """A message whose template is kept at the provider."""
    fields = {"template": name, "template_language": "en", "parameters": f'{{"first_name": "Ünal {number}"}}'}
    return letter(number, fields=fields | changes.pop("fields", {}), **changes)


# What must never leave, each with its reason.
UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "a line break in the subject": ({"fields": {"subject": "Sale\r\nBcc: eve@example.com"}}, "content"),
    "a line feed in the subject": ({"fields": {"subject": "Sale\nBcc: eve@example.com"}}, "content"),
    "a Unicode line break in the subject": ({"fields": {"subject": "Sale\u2028Bcc: eve@example.com"}}, "content"),
    "a line break in the address": ({"address": "ann@example.com\r\nBcc: eve@example.com"}, "invalid_address"),
    "a second address": ({"address": "ann@example.com, eve@example.com"}, "invalid_address"),
    "a name in the address": ({"address": "Ann <ann@example.com>"}, "invalid_address"),
    "no address": ({"address": "not an address"}, "invalid_address"),
    "an empty address": ({"address": ""}, "invalid_address"),
    "an address beyond ASCII": ({"address": "änn@example.com"}, "invalid_address"),
    "a line break in a header": (
        {"fields": {"list_unsubscribe": "https://shop.example/u\r\nBcc: eve@example.com"}},
        "content",
    ),
    "a header that ends its own link": ({"fields": {"list_unsubscribe": "https://shop.example/>, <x"}}, "content"),
    "a link without https": ({"fields": {"list_unsubscribe": "http://shop.example/u"}}, "content"),
    "a header too long for a line": (
        {"fields": {"list_unsubscribe": f"https://shop.example/{'u' * 990}"}},
        "content",
    ),
    "a line break in the campaign": ({"campaign": "sale\r\nX-One: two"}, "content"),
    "no subject": ({"fields": {"subject": None}}, "content"),
    "no words": ({"fields": {"html": ""}}, "content"),
    "a line break in a template's name": ({"fields": {"template": "d-1\r\n", "parameters": "{}"}}, "content"),
    "parameters that are no object": ({"fields": {"template": "d-1", "parameters": "[1]"}}, "content"),
}
