"""What every email must be before a byte of it leaves, whoever delivers it: one address, one line to a header (H13)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from config.settings import Sender as Writer
from tasks.channels.base import OutgoingMessage
from tasks.rules.errors import Misconfigured

# A line of a header may hold 998 characters (RFC 5322, 2.1.1); Amazon's model takes 995 of a value.
LONGEST_VALUE = 995
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_LINK = re.compile(r"https://[!-;=?-~]+")  # printable ASCII that cannot end the <...> it stands in
# What nearly all addresses are made of; `--` begins the ASCII form of a domain that is longer in its own letters.
_PLAIN = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@((?!.*--)[A-Za-z0-9.-]+)", re.ASCII)
_LONGEST_ADDRESS = 254  # RFC 5321, 4.5.3.1.3


def flaw(message: OutgoingMessage) -> str | None:
    """Why a message cannot be sent to anyone, as a code of tasks/rules/words.py; None when it can."""
    fields = message.fields
    if wire_address(message.address) is None:
        return "invalid_address"
    heads = (fields.get("subject", ""), message.attempt_id, message.campaign, fields.get("template", ""))
    if any(_CONTROL.search(text) for text in heads):
        return "content"
    link = fields.get("list_unsubscribe")
    if link is not None and (not _LINK.fullmatch(link) or len(link) + 2 > LONGEST_VALUE):
        return "content"
    if "template" in fields:
        return None if fields["template"] and parameters(message) is not None else "content"
    return None if fields.get("subject") and fields.get("html") else "content"


def wire_address(address: str) -> str | None:
    """An address as providers take it, its domain in ASCII; None when it is none, or none they can deliver to.

    Of a plain address only the domain needs the full look, and many share one.
    """
    plain = _PLAIN.fullmatch(address) if len(address) <= _LONGEST_ADDRESS else None
    if plain:
        return address if _looked_at(f"a@{plain[1]}") else None
    return _looked_at(address)


@lru_cache(maxsize=4096)
def _looked_at(address: str) -> str | None:
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return None
    return address if address.isascii() else found.ascii_email


def headers(message: OutgoingMessage) -> dict[str, str]:
    """The headers with which a mail program offers to unsubscribe in one click (RFC 8058)."""
    link = message.fields.get("list_unsubscribe")
    if link is None:
        return {}
    return {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def parameters(message: OutgoingMessage) -> Mapping[str, Any] | None:
    """The variables of a template kept at the provider; None when they are not an object."""
    try:
        read = json.loads(message.fields.get("parameters", "{}"))
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def checked(writer: Writer) -> Writer:
    """Who writes, fit for a header. Raises Misconfigured when reengage.yaml says what cannot stand there."""
    for name, address in (("email", writer.email), ("reply_to", writer.reply_to)):
        if address is not None and wire_address(address) is None:
            raise Misconfigured(f"reengage.yaml: sender.{name} is not an email address")
    if _CONTROL.search(writer.name):
        raise Misconfigured("reengage.yaml: sender.name must be one line")
    return writer
