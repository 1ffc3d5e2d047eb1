"""WhatsApp over AWS End User Messaging Social (SendWhatsAppMessage): Amazon passes on a message of Meta's Cloud API."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from config.providers import WhatsappAws
from tasks.channels import amazon, clients, whatsapp
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.profile import BUSY, HALT, REFUSED, UNANSWERED, Profile
from tasks.rules.errors import Refused
from tasks.rules.reports import ECHOES
from tasks.store.workspace import Workspace

PROFILE: Final = Profile(
    provider="whatsapp_aws",
    channels=frozenset({"whatsapp"}),
    echo=ECHOES["whatsapp_aws"],
    rate=80,  # a number's, until Meta raises it
    codes={
        **amazon.CODES,
        **whatsapp.CODES,
        "ThrottledRequestException": BUSY,
        "ValidationException": REFUSED,
        "InvalidParametersException": REFUSED,
        "AccessDeniedException": HALT,
        "ResourceNotFoundException": HALT,  # the number is not linked to our account
        "InternalServiceException": UNANSWERED,
        "DependencyException": UNANSWERED,  # Meta may have it
    },
)

# How Meta's error texts begin; where Amazon passes one on, it says more than Amazon's own code.
_OF_META: Final = re.compile(r"\(#([0-9]{1,6})\)")


class WhatsappAwsSender:
    """Hands over one message at a time; `wall_clock` gives seconds since 1970."""

    profile = PROFILE

    def __init__(self, client: Any, options: WhatsappAws, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._service = amazon.Service(client, PROFILE)
        self._options = options
        self._wall_clock = wall_clock

    @classmethod
    def open(cls, work: Workspace, options: WhatsappAws, timeout: float) -> WhatsappAwsSender:  # noqa: ARG003 - boto3 has its keys
        """The number of reengage.yaml, with a timeout in seconds."""
        client = clients.amazon(
            "socialmessaging",
            region=options.region,
            endpoint=options.endpoint,
            timeout=timeout,
            connections=options.calls_in_flight or PROFILE.calls_in_flight,
        )
        return cls(client, options)

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        """Hand over one message, once. Meta takes no time to live: what is too late already is decided anew."""
        (message,) = messages
        if why := whatsapp.refusal(message, us_marketing=self._options.us_marketing):
            raise Refused(f"{PROFILE.provider}: not tried ({why})", why)
        if message.seconds_left(self._wall_clock()) <= 0:
            return [Receipt(message.attempt_id, "busy", retry_after=1)]
        answer = self._service.ask(
            "send_whatsapp_message",
            {
                "originationPhoneNumberId": self._options.phone_number_id,
                "metaApiVersion": self._options.api_version,
                "message": json.dumps(whatsapp.request(PROFILE, message), ensure_ascii=False).encode(),
            },
        )
        if answer.is_yes:
            return [Receipt(message.attempt_id, "accepted", answer.fields.get("messageId"), status_code=answer.status)]
        if meta := _OF_META.search(answer.message):
            answer = replace(answer, reason=meta[1])
        meaning = self._service.meaning(answer)
        return [
            whatsapp.outcome(
                PROFILE, message, meaning, answer.in_codes, status=answer.status, retry_after=answer.retry_after
            )
        ]

    def close(self) -> None:
        """Let go of connections."""
        self._service.close()
