"""Web push with a VAPID key (RFC 8030, 8291, 8292): one encrypted message a call, to the browser's own push service.

There is no account anywhere: whom a message is posted to is written in each subscription. So no answer says anything
about other people's messages, and none halts the channel or slows it down; that our key is the one that pages
subscribe with is checked when the sender is opened.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from config.providers import WebpushVapid
from tasks import http
from tasks.channels import clients
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.profile import BUSY, REFUSED, Meaning, Profile
from tasks.rules.errors import Misconfigured, Refused, Unreached
from tasks.store.workspace import Workspace

LONGEST_TEXT: Final = 3993  # bytes before encryption: one record of 4,096 with its head, delimiter and tag (RFC 8291)
LONGEST_LIFE: Final = 28 * 24 * 3600  # seconds; push services keep nothing longer
_KEY_LIFE: Final = 12 * 3600  # seconds a signature is good for; at most a day (RFC 8292)
_POINT, _SECRET = 65, 16  # bytes of an uncompressed point on P-256 and of an authentication secret

_GONE: Final = Meaning("refused", "token_invalid")
_OTHER_KEY: Final = Meaning("refused", "key_mismatch")

# Nothing reports back, so what was not answered can only be given up.
PROFILE: Final = Profile(
    provider="webpush_vapid",
    channels=frozenset({"webpush"}),
    statuses={
        404: _GONE, 410: _GONE,
        401: _OTHER_KEY, 403: _OTHER_KEY,  # the browser subscribed under another key
        413: Meaning("refused", "content"),
        406: BUSY,  # how Windows throttles
        405: REFUSED, 402: REFUSED, 415: REFUSED,
        **dict.fromkeys(range(300, 400), REFUSED),  # not followed (H19), so certainly not accepted
    },
)  # fmt: skip


@dataclass(frozen=True)
class Subscription:
    """What a browser gave when it subscribed: where to post to, and whom to encrypt for."""

    endpoint: Any  # an httpx.URL: one reader of addresses for the judgement and for the request
    keys: Mapping[str, str]

    @property
    def origin(self) -> str:
        """The push service, as the signature names it."""
        return f"{self.endpoint.scheme}://{self.endpoint.netloc.decode('ascii')}"

    @classmethod
    def read(cls, text: str, inside: Sequence[str] = ()) -> Subscription:
        """From its JSON. Raises Refused when it is no subscription, or cannot lead to a push service (H19)."""
        import httpx

        try:
            given = json.loads(text)
            endpoint, point, secret = given["endpoint"], _bytes(given["keys"]["p256dh"]), _bytes(given["keys"]["auth"])
            found = cls(httpx.URL(endpoint), {"p256dh": _text(point), "auth": _text(secret)})
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError, httpx.InvalidURL):
            raise Refused(f"{PROFILE.provider}: not a subscription", "token_invalid") from None
        is_whole = (len(point), point[:1], len(secret)) == (_POINT, b"\x04", _SECRET)
        port = found.endpoint.port
        if not is_whole or not (port is None or 0 < port <= 65_535):
            raise Refused(f"{PROFILE.provider}: not a subscription", "token_invalid")
        url = found.endpoint
        is_elsewhere = url.scheme != "https" and found.origin not in inside
        if is_elsewhere or not url.host or ":" in url.host or url.userinfo:
            raise Refused(f"{PROFILE.provider}: the subscription leads to no push service", "forbidden_address")
        return found


class WebpushVapidSender:
    """Hands over one message at a time; `seconds` bound a call, `wall_clock` gives seconds since 1970.

    Raises Misconfigured when the private key is not that of the public key which pages subscribe with.
    """

    profile = PROFILE

    def __init__(
        self,
        client: Any,
        options: WebpushVapid,
        private_key: str,
        *,
        seconds: float = 20,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._options = options
        self._signer = _signer(private_key, options.public_key)
        self._seconds = seconds
        self._wall_clock = wall_clock

    @classmethod
    def open(cls, work: Workspace, options: WebpushVapid, timeout: float) -> WebpushVapidSender:
        """Web push under the key of the settings, with a timeout in seconds."""
        key = work.settings.vapid_private_key
        client = clients.outward(
            timeout=timeout,
            inside=[_place(origin) for origin in options.private_services],
            connections=options.calls_in_flight or PROFILE.calls_in_flight,
        )
        return cls(client, options, key.get_secret_value() if key else "", seconds=timeout)

    def send(self, messages: Sequence[OutgoingMessage]) -> list[Receipt]:
        """Encrypt and post one message, once. One that could no longer arrive in time does not leave."""
        from tasks.channels.outward import Inside

        (message,) = messages
        subscription = Subscription.read(message.address, self._options.private_services)
        now = self._wall_clock()
        left = message.seconds_left(now)
        if left <= 0:
            return [Receipt(message.attempt_id, "busy", retry_after=1)]
        body = _encrypted(subscription, message)
        headers = {
            **self._signer.sign(
                {"aud": subscription.origin, "sub": self._options.subject, "exp": int(now) + _KEY_LIFE}
            ),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(min(int(left), LONGEST_LIFE)),
        }
        try:
            answer = http.call(
                PROFILE.provider, self._client, subscription.endpoint, body=body, headers=headers, seconds=self._seconds
            )
        except Inside:
            raise Refused(f"{PROFILE.provider}: the subscription leads inside", "forbidden_address") from None
        except Unreached:  # one browser's push service, which others need not have
            return [Receipt(message.attempt_id, "busy", reason="unreached")]
        if answer.is_yes:
            return [Receipt(message.attempt_id, "accepted", status_code=answer.status)]
        meaning = PROFILE.judge(answer.status)
        if meaning.verdict == "busy":
            return [Receipt(message.attempt_id, "busy", retry_after=answer.retry_after, status_code=answer.status)]
        raise PROFILE.failure(meaning, f"status {answer.status}")

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()


def _encrypted(subscription: Subscription, message: OutgoingMessage) -> bytes:
    """Title, text and link as JSON, readable by that browser only."""
    from pywebpush import WebPusher

    told = {name: message.fields[name] for name in ("title", "text", "link") if name in message.fields}
    plain = json.dumps(told, ensure_ascii=False).encode()
    if len(plain) > LONGEST_TEXT:
        raise Refused(f"{PROFILE.provider}: more than {LONGEST_TEXT:,} bytes", "content")
    try:
        pusher = WebPusher({"endpoint": str(subscription.endpoint), "keys": subscription.keys})
        return pusher.encode(plain, "aes128gcm")["body"]
    except ValueError:  # a point that is not on the curve
        raise Refused(f"{PROFILE.provider}: not a subscription", "token_invalid") from None


def _signer(private_key: str, public_key: str) -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from py_vapid import Vapid02

    told = f"{PROFILE.provider}: REENGAGE_VAPID_PRIVATE_KEY"
    try:
        signer = Vapid02.from_string(private_key)
        point = signer.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    except Exception:  # noqa: BLE001 - of three libraries; whatever it is quotes the key
        raise Misconfigured(f"{told} is no private key in base64url, raw or DER") from None
    try:
        is_ours = _bytes(public_key) == point
    except ValueError:
        is_ours = False
    if not is_ours:
        raise Misconfigured(f"{told} does not belong to `public_key` of {PROFILE.provider} in reengage.yaml")
    signer.conf = {"no-strict": True}  # its own pattern refuses a `subject` that is a page's address
    return signer


def _bytes(text: str) -> bytes:
    """From base64url, padded or not; strictly: what is no key must not become another one."""
    return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _place(origin: str) -> tuple[str, int]:
    where = urlsplit(origin)
    return where.hostname or "", where.port or (443 if where.scheme == "https" else 80)
