"""What every way to WhatsApp shares: the message as Meta's Cloud API takes it, and what Meta's error codes mean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.profile import BUSY, HALT, REFUSED, TEMPLATE, UNANSWERED, Meaning, Profile
from tasks.rules.reports import WHATSAPP_ACCOUNT, WHATSAPP_TEMPLATE

LONGEST_TEXT = 4096  # characters of a text message
_E164 = re.compile(r"\+?([1-9][0-9]{6,14})")
_DAY = 24 * 3600.0
_NORTH_AMERICA = 1

# Busy with a reason is about one person, and no ground to slow down for others.
_CAPPED: Final = Meaning("busy", "provider_cap", _DAY)
_PAIR: Final = Meaning("busy", "provider_pair")
_TOO_LONG: Final = Meaning("refused", "content")

# Codes of Meta's error object in an answer; `100/33` is code and subcode. In a report that comes after a yes they mean
# what tasks/rules/reports.py says.
# Halts are what a person must put right for everybody; what concerns one person or one country refuses only that.
CODES: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        # throttled, or closed for maintenance
        "4": BUSY, "80007": BUSY, "130429": BUSY, "131016": BUSY, "131057": BUSY,
        "131056": _PAIR,  # too much from this number to this person in a short time
        "131049": _CAPPED,  # this person gets no more marketing for now, from anyone (P17, C17)
        # it may have been taken
        "1": UNANSWERED, "2": UNANSWERED, "131000": UNANSWERED,
        # this person
        "131050": Meaning("refused", "unsubscribed"),  # stopped marketing from this business
        "131026": Meaning("refused", "undeliverable"),  # not on WhatsApp, or an app too old
        "131021": REFUSED,  # our own number
        "131062": REFUSED,  # known by a business-scoped id only
        "130472": Meaning("refused", "provider_cap"),  # an experiment of Meta's keeps marketing from this person
        "137000": REFUSED,
        "131047": Meaning("refused", "needs_template"),  # silent for a day: approved templates only (C15)
        "130497": Meaning("refused", "country_closed"),
        # this message; what a template makes of one person's values can be too long
        "100": REFUSED, "131009": REFUSED, "131051": REFUSED, "135000": REFUSED, "132005": _TOO_LONG,
        **{str(code): TEMPLATE for code in WHATSAPP_TEMPLATE},
        "100/33": HALT,
        **{str(code): HALT for code in WHATSAPP_ACCOUNT},
    }
)  # fmt: skip


def refusal(message: OutgoingMessage, *, us_marketing: bool) -> str | None:
    """Why a message is not even tried, as a reason code; None when it may leave.

    `us_marketing` allows marketing templates to numbers of the United States, which Meta takes none of (C17).
    """
    number = _E164.fullmatch(message.address)
    if number is None:
        return "invalid_address"
    fields = message.fields
    if "template" not in fields:
        return None if fields.get("text", "").strip() and len(fields["text"]) <= LONGEST_TEXT else "content"
    if not all(text.strip() for text in _parameters(fields).values()):
        return "content"  # Meta takes no empty parameter
    if not us_marketing and message.purpose != "transactional" and _is_american(number[1]):
        return "marketing_not_delivered"
    return None


def request(profile: Profile, message: OutgoingMessage) -> dict[str, Any]:
    """The JSON of one message that `refusal` has nothing against: an approved template where the campaign names one.

    Parameters whose names are numbers are given by position, others by name. The attempt's id comes back in every
    status report.
    """
    fields = message.fields
    envelope: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": message.address.removeprefix("+"),
        **profile.echoed(message.attempt_id),
    }
    if "template" not in fields:
        return {**envelope, "type": "text", "text": {"preview_url": False, "body": fields["text"]}}
    template: dict[str, Any] = {
        "name": fields["template"],
        "language": {"code": fields["template_language"], "policy": "deterministic"},
    }
    if parameters := _parameters(fields):
        template["components"] = [{"type": "body", "parameters": _filled(parameters)}]
    return {**envelope, "type": "template", "template": template}


def error_codes(answer: Any) -> list[str]:
    """The codes of an error object, the most exact first; empty where there is none. Its texts may name the person."""
    error = answer.get("error") if isinstance(answer, dict) else None
    code, subcode = (error.get("code"), error.get("error_subcode")) if isinstance(error, dict) else (None, None)
    if not isinstance(code, int):
        return []
    return [f"{code}/{subcode}", str(code)] if isinstance(subcode, int) else [str(code)]


def outcome(
    profile: Profile, message: OutgoingMessage, meaning: Meaning, words: str, *, status: int, retry_after: float | None
) -> Receipt:
    """The receipt when only this person must wait; any other answer raises, as a busy one that holds for everybody."""
    if meaning.verdict != "busy" or meaning.reason is None:
        raise profile.failure(meaning, words, retry_after=retry_after)
    wait = meaning.wait if retry_after is None else max(retry_after, meaning.wait or 0)
    return Receipt(message.attempt_id, "busy", reason=meaning.reason, retry_after=wait, status_code=status)


def _parameters(fields: Mapping[str, str]) -> dict[str, str]:
    return json.loads(fields.get("parameters") or "{}")


def _filled(parameters: Mapping[str, str]) -> list[dict[str, str]]:
    if all(name.isdecimal() for name in parameters):
        in_order = sorted(parameters.items(), key=lambda item: int(item[0]))
        return [{"type": "text", "text": text} for _, text in in_order]
    return [{"type": "text", "parameter_name": name, "text": text} for name, text in parameters.items()]


def _is_american(digits: str) -> bool:
    """Whether a number belongs to the United States, or to a place of +1 that cannot be told."""
    import phonenumbers  # loads the world's numbering plans

    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return False
    if number.country_code != _NORTH_AMERICA:
        return False
    return phonenumbers.region_code_for_number(number) in ("US", None)
