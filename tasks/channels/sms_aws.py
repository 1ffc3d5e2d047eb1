"""Texts by AWS End User Messaging SMS, API v2 (SendTextMessage).

botocore lets through what Amazon then refuses (patterns, largest lengths, sizes of maps), so a text is checked here
before it leaves. Without a time to live a text may be tried for three days; ours ends with the message's deliver_by.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from config.providers import E164, SmsAws
from tasks.channels import clients
from tasks.channels.amazon import CODES, Service
from tasks.channels.base import SANDBOX, OutgoingMessage, Receipt
from tasks.channels.profile import BUSY, HALT, UNANSWERED, Meaning, Profile
from tasks.rules.content import LONGEST_TEXT
from tasks.rules.errors import Refused
from tasks.rules.reports import ECHOES
from tasks.store.workspace import Workspace

SHORTEST_LIFE = 5  # seconds; Amazon takes no shorter time to live, and none longer than three days
LONGEST_LIFE = 259_200

_NOT_THERE: Final = Meaning("refused", "country_closed")

# Errors and their reasons as the service's model lists them; a reason wins over the error it comes with.
PROFILE: Final = Profile(
    provider="sms_aws",
    channels=frozenset({"sms"}),
    echo=ECHOES["sms_aws"],
    codes={
        **CODES,
        "ConflictException": HALT,  # how numbers, pools and sets of our account fit together
        "DESTINATION_PHONE_NUMBER_OPTED_OUT": Meaning("refused", "opted_out"),
        "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE": Meaning("refused", "blocked_number"),
        "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION": _NOT_THERE,
        "DESTINATION_PHONE_NUMBER_NOT_VERIFIED": HALT,  # the account is still Amazon's sandbox
        "ValidationException": Meaning("refused", "refused"),
        "INVALID_IDENTITY_FOR_DESTINATION_COUNTRY": _NOT_THERE,
        "DESTINATION_COUNTRY_BLOCKED": _NOT_THERE,
        "COUNTRY_NOT_ENABLED": _NOT_THERE,
        "COUNTRY_CODE_MISMATCH": _NOT_THERE,
        "INTERNATIONAL_SENDING_NOT_SUPPORTED": _NOT_THERE,
        "SENDER_ID_NOT_SUPPORTED": _NOT_THERE,
        "SENDER_ID_NOT_REGISTERED": _NOT_THERE,
        "SENDER_ID_REQUIRES_REGISTRATION": _NOT_THERE,
        "PRICE_OVER_THRESHOLD": Meaning("refused", "too_expensive"),
        "CHANNEL_NOT_ENABLED": HALT,
        "INVALID_ARN": HALT,
        "MISSING_PARAMETER": HALT,
        "PARAMETERS_CANNOT_BE_USED_TOGETHER": HALT,
        "RESOURCE_NOT_ACCESSIBLE": HALT,
        "UNKNOWN_OPERATION": HALT,
        "UNSPECIFIED_PARAMETER_NOT_SUPPORTED": HALT,
        "ServiceQuotaExceededException": HALT,  # MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT: until it is raised
        "AccessDeniedException": HALT,  # ACCOUNT_DISABLED, INSUFFICIENT_ACCOUNT_REPUTATION
        "ResourceNotFoundException": HALT,
        "ThrottlingException": BUSY,
        "InternalServerException": UNANSWERED,
    },
)

_TYPES: Final = {"marketing": "PROMOTIONAL", "retargeting": "PROMOTIONAL", "transactional": "TRANSACTIONAL"}
# The alphabet a part of 160 characters is written in; those of the extension take two places (GSM 03.38).
_GSM: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENSION: Final = frozenset("\f^{}\\[~]|€")


def parts(text: str) -> int:
    """How many texts a phone company counts and bills: 160 characters in one, 153 in each of several.

    One character outside the GSM alphabet makes that 70 and 67, and an emoji takes two.
    """
    if _GSM.union(_GSM_EXTENSION).issuperset(text):
        widths, alone, each = [2 if char in _GSM_EXTENSION else 1 for char in text], 160, 153
    else:
        widths, alone, each = [len(char.encode("utf-16-le")) // 2 for char in text], 70, 67
    if sum(widths) <= alone:
        return 1
    count, room = 1, each
    for width in widths:  # a character is never cut in two
        if width > room:
            count, room = count + 1, each
        room -= width
    return count


class SmsAwsSender:
    """Hands over one text at a time; `wall_clock` (seconds since 1970) says how long it still may live.

    Its rate counts message parts, since that is what Amazon throttles.
    """

    def __init__(self, client: Any, options: SmsAws, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._service = Service(client, PROFILE)
        self._options = options
        self._wall_clock = wall_clock
        self.profile = replace(PROFILE, rate=options.rate or options.usual_rate)

    @classmethod
    def open(cls, work: Workspace, options: SmsAws, timeout: float) -> SmsAwsSender:  # noqa: ARG003 - boto3 has its keys
        """The texts of reengage.yaml's provider, with a timeout in seconds."""
        client = clients.amazon(
            "pinpoint-sms-voice-v2",
            region=options.region,
            endpoint=options.endpoint,
            timeout=timeout,
            connections=options.calls_in_flight or PROFILE.calls_in_flight,
        )
        return cls(client, options)

    def weight(self, message: OutgoingMessage) -> int:
        """How many parts a text makes."""
        return parts(message.fields.get("text", ""))

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        """Hand over one text, once. One that could no longer arrive in time does not leave: the ledger decides anew."""
        (message,) = messages
        left = message.seconds_left(self._wall_clock())
        if left < SHORTEST_LIFE:
            return [Receipt(message.attempt_id, "busy", retry_after=max(left, 0) + 1)]
        answer = self._service.call("send_text_message", self._arguments(message, left))
        if self._options.dry_run:
            return [Receipt(message.attempt_id, "refused", reason=SANDBOX, status_code=200)]
        return [Receipt(message.attempt_id, "accepted", answer.get("MessageId"), status_code=200)]

    def close(self) -> None:
        """Let go of connections."""
        self._service.close()

    def _arguments(self, message: OutgoingMessage, left: float) -> Mapping[str, Any]:
        options = self._options
        if not re.fullmatch(E164, message.address):
            raise Refused(f"{PROFILE.provider}: the number is not in international form", "invalid_address")
        arguments: dict[str, Any] = {
            "DestinationPhoneNumber": message.address,
            "OriginationIdentity": options.origination_identity,
            "MessageBody": self._text(message.fields.get("text", "")),
            "MessageType": options.message_type or _TYPES.get(message.purpose, "PROMOTIONAL"),
            "TimeToLive": min(int(left), LONGEST_LIFE),
            "Context": PROFILE.echoed(message.attempt_id),
        }
        if options.configuration_set:
            arguments["ConfigurationSetName"] = options.configuration_set
        if options.max_price:
            arguments["MaxPrice"] = options.max_price
        if options.dry_run:
            arguments["DryRun"] = True
        return arguments

    def _text(self, text: str) -> str:
        told = f"{PROFILE.provider}: the text"
        if not text.strip():
            raise Refused(f"{told} is blank", "content")
        if len(text) > LONGEST_TEXT:
            raise Refused(f"{told} is longer than {LONGEST_TEXT} characters", "content")
        most = self._options.max_parts
        if most is not None and parts(text) > most:
            raise Refused(f"{told} makes more than {most} parts", "content")
        return text
