"""WhatsApp over Meta's Cloud API: one message a call, to the number's own address."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from config.providers import WhatsappCloud
from tasks import http
from tasks.channels import whatsapp
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.profile import Profile
from tasks.rules.errors import Refused
from tasks.rules.reports import ECHOES
from tasks.store.workspace import Workspace

# A number sends 80 messages a second until Meta raises it. Nothing drops a repeat; reports echo the attempt's id.
PROFILE: Final = Profile(
    provider="whatsapp_cloud",
    channels=frozenset({"whatsapp"}),
    echo=ECHOES["whatsapp_cloud"],
    rate=80,
    codes=whatsapp.CODES,
)


class WhatsappCloudSender:
    """Hands over one message at a time; `seconds` bound a call, `wall_clock` gives seconds since 1970."""

    profile = PROFILE

    def __init__(
        self,
        client: Any,
        options: WhatsappCloud,
        *,
        seconds: float = 20,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._options = options
        self._seconds = seconds
        self._wall_clock = wall_clock

    @classmethod
    def open(cls, work: Workspace, options: WhatsappCloud, timeout: float) -> WhatsappCloudSender:
        """The number of reengage.yaml, with the token of the settings and a timeout in seconds."""
        token = work.settings.whatsapp_token
        client = http.client(
            options.endpoint,
            timeout=timeout,
            headers={"Authorization": f"Bearer {token.get_secret_value() if token else ''}"},
        )
        return cls(client, options, seconds=timeout)

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        """Hand over one message, once. Meta takes no time to live: what is too late already is decided anew."""
        (message,) = messages
        if why := whatsapp.refusal(message, us_marketing=self._options.us_marketing):
            raise Refused(f"{PROFILE.provider}: not tried ({why})", why)
        if message.seconds_left(self._wall_clock()) <= 0:
            return [Receipt(message.attempt_id, "busy", retry_after=1)]
        answer = http.call(
            PROFILE.provider,
            self._client,
            f"/{self._options.api_version}/{self._options.phone_number_id}/messages",
            body=json.dumps(whatsapp.request(PROFILE, message), ensure_ascii=False).encode(),
            headers={"Content-Type": "application/json"},
            seconds=self._seconds,
        )
        if answer.is_yes:
            return [Receipt(message.attempt_id, "accepted", _message_id(answer.json), status_code=answer.status)]
        codes = whatsapp.error_codes(answer.json)
        meaning = PROFILE.judge(answer.status, codes)
        words = f"status {answer.status}" + (f", code {codes[0]}" if codes else "")
        return [
            whatsapp.outcome(PROFILE, message, meaning, words, status=answer.status, retry_after=answer.retry_after)
        ]

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()


def _message_id(said: Any) -> str | None:
    """Meta's id of the message; None when the yes cannot be read."""
    try:
        found = said["messages"][0]["id"]
    except (TypeError, LookupError):
        return None
    return found if isinstance(found, str) else None
