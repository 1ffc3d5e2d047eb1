"""Mobile push over Amazon SNS platform endpoints (Publish to a TargetArn).

An address is an endpoint's ARN or, where reengage.yaml names platform applications, a device token whose endpoint is
found or made. Nothing of ours comes back from SNS, so what was not answered can never be settled: it counts as sent.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from config.providers import PushSns
from tasks.channels import clients
from tasks.channels.amazon import CODES, Answer, Service
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.profile import HALT, REFUSED, UNANSWERED, Meaning, Profile
from tasks.rules.errors import Busy, Misconfigured, Refused, Unanswered
from tasks.store.workspace import Workspace

LONGEST_PAYLOAD = 4096  # bytes; Apple's and Google's limit of one notification, far below SNS's 262,144 for all of them
LONGEST_LIFE = 1_209_600  # seconds; SNS keeps a push for at most two weeks

_GONE: Final = Meaning("refused", "token_invalid")

PROFILE: Final = Profile(
    provider="push_sns",
    channels=frozenset({"push"}),
    rate=300,  # the smallest quota of Publish; most regions have more
    codes={
        **CODES,
        "EndpointDisabled": _GONE,
        "NotFound": _GONE,
        "InvalidParameter": REFUSED,
        "ParameterValueInvalid": REFUSED,
        "ValidationException": REFUSED,
        "PlatformApplicationDisabled": HALT,
        "InternalError": UNANSWERED,
        # a device token that Apple or Google never gave out; any other no while an endpoint is made is about us
        "create_platform_endpoint InvalidToken": _GONE,
        "create_platform_endpoint InvalidParameter": HALT,
        "create_platform_endpoint NotFound": HALT,
    },
)

_EXISTS: Final = re.compile(r"Endpoint (arn:\S+) already exists with the same Token")
_NO_ENDPOINT: Final = re.compile(r"No endpoint found for the target arn", re.IGNORECASE)
_BAD_TOKEN: Final = re.compile(r"Invalid parameter: Token\b")
# Both names of Google's service are in use for it; an attribute of another platform than the endpoint's says nothing.
_TTL_OF: Final = ("APNS", "APNS_SANDBOX", "FCM", "GCM")


class PushSnsSender:
    """Hands over one push at a time; `wall_clock` (seconds since 1970) says how long it still may take.

    Remembers the endpoints of the last `remembered` device tokens, so that most pushes are one request.
    """

    profile = PROFILE

    def __init__(
        self,
        client: Any,
        options: PushSns,
        *,
        wall_clock: Callable[[], float] = time.time,
        remembered: int = 10_000,
    ) -> None:
        self._service = Service(client, PROFILE)
        self._options = options
        self._wall_clock = wall_clock
        self._remembered = remembered
        self._endpoints: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def open(cls, work: Workspace, options: PushSns, timeout: float) -> PushSnsSender:  # noqa: ARG003 - boto3 has its keys
        """The pushes of reengage.yaml's provider, with a timeout in seconds."""
        client = clients.amazon(
            "sns",
            region=options.region,
            endpoint=options.endpoint,
            timeout=timeout,
            connections=options.calls_in_flight or PROFILE.calls_in_flight,
        )
        return cls(client, options)

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        """Publish one push, once. One that could no longer arrive in time does not leave: the ledger decides anew."""
        (message,) = messages
        left = message.seconds_left(self._wall_clock())
        if left < 1:
            return [Receipt(message.attempt_id, "busy", retry_after=max(left, 0) + 1)]
        words = payload(message)
        life = {"DataType": "String", "StringValue": str(min(int(left), LONGEST_LIFE))}
        arguments = {
            "TargetArn": self._endpoint(message),
            "MessageStructure": "json",
            "Message": words,
            "MessageAttributes": {f"AWS.SNS.MOBILE.{platform}.TTL": life for platform in _TTL_OF},
        }
        answer = self._service.ask("publish", arguments)
        if not answer.is_yes:
            failure = self._service.failure(_sharper(answer))
            if isinstance(failure, Refused):
                self._forget(message.address)
            raise failure
        return [Receipt(message.attempt_id, "accepted", answer.fields.get("MessageId"), status_code=answer.status)]

    def close(self) -> None:
        """Let go of connections."""
        self._service.close()

    def _endpoint(self, message: OutgoingMessage) -> str:
        """The ARN a message goes to. An endpoint that exists is left as it is: if disabled, its app is gone."""
        if message.address.startswith("arn:"):
            return message.address
        application = self._options.applications.get(message.platform or "")
        if application is None and self._options.applications:
            raise Refused(f"{PROFILE.provider}: no application for this kind of device", "no_address")
        if application is None:
            raise Misconfigured(
                f"{PROFILE.provider}: push_tokens hold device tokens of {message.platform or 'an unknown platform'}, "
                "so its applications in reengage.yaml must name that platform's ARN"
            )
        key = application, message.address
        with self._lock:
            if key in self._endpoints:
                self._endpoints.move_to_end(key)
                return self._endpoints[key]
        found = self._found_or_made(application, message.address)
        with self._lock:
            self._endpoints[key] = found
            while len(self._endpoints) > self._remembered:
                self._endpoints.popitem(last=False)
        return found

    def _found_or_made(self, application: str, token: str) -> str:
        wanted = {"PlatformApplicationArn": application, "Token": token}
        try:
            answer = self._service.ask("create_platform_endpoint", wanted)
            if exists := _EXISTS.search(answer.message):
                return exists[1]
            if not answer.is_yes:
                raise self._service.failure(_sharper(answer))
        except Unanswered as lost:  # no push was under way yet, and making an endpoint twice makes one
            raise Busy(f"{lost}, while an endpoint was looked up") from None
        if endpoint := answer.fields.get("EndpointArn"):
            return endpoint
        raise Busy(f"{PROFILE.provider}: the answer that names an endpoint could not be read")

    def _forget(self, token: str) -> None:
        with self._lock:
            for application in self._options.applications.values():
                self._endpoints.pop((application, token), None)


def payload(message: OutgoingMessage) -> str:
    """The words for whichever platform the endpoint turns out to be of: a JSON object whose values are JSON texts.

    SNS asks for `default`, which other platforms show. Raises Refused when a notification is empty or too long.
    """
    text, title, link = (message.fields.get(name, "").strip() for name in ("text", "title", "link"))
    if not text:
        raise Refused(f"{PROFILE.provider}: the push has no text", "content")
    shown = {"title": title, "body": text} if title else {"body": text}
    ours = {"attempt_id": message.attempt_id} | ({"link": link} if link else {})  # for the app, which may report it
    apple = _json({"aps": {"alert": shown}, **ours})
    google = _json({"fcmV1Message": {"message": {"notification": shown, "data": ours}}})
    if max(len(apple.encode()), len(google.encode())) > LONGEST_PAYLOAD:
        raise Refused(f"{PROFILE.provider}: the push is longer than {LONGEST_PAYLOAD} bytes", "content")
    return _json({"default": text, "APNS": apple, "APNS_SANDBOX": apple, "GCM": google})


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _sharper(answer: Answer) -> Answer:
    """SNS says InvalidParameter also of endpoints and tokens that are gone; only its text tells."""
    if answer.code == "InvalidParameter" and _NO_ENDPOINT.search(answer.message):
        return replace(answer, code="NotFound")
    if answer.code == "InvalidParameter" and _BAD_TOKEN.search(answer.message):
        return replace(answer, code="InvalidToken")
    return answer
