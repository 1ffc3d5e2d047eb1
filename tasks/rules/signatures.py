"""Whether what arrives was sent by whom it says: signatures over raw bytes, compared in constant time; pure.

Sources: SendGrid's signed event webhook, Amazon's page on verifying SNS messages, Meta's page on webhook payloads.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from tasks.rules import content

# SendGrid signs anew, with a fresh time, whenever it tries again (for up to a day), so the window can be small.
SENDGRID_WINDOW: Final = timedelta(minutes=10)
# SNS repeats a notification with its first time; it gives up on a destination long before this.
SNS_WINDOW: Final = timedelta(hours=24)
_AHEAD: Final = timedelta(minutes=10)

_AMAZON_HOST = re.compile(r"sns\.[a-z]{2}[a-z0-9-]{1,30}\.amazonaws\.com(\.cn)?")
# Amazon's own host answers other paths and queries with what strangers may have put there.
_CERTIFICATE_PATH = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem")
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


def sendgrid_is_genuine(body: bytes, signature: str, timestamp: str, public_key: str) -> bool:
    """Whether SendGrid signed these very bytes; the line end after the JSON is one of them."""
    from sendgrid import EventWebhook  # half a second that only the receiver spends

    try:
        return EventWebhook(public_key).verify_signature(body.decode("utf-8"), signature, timestamp)
    except (ValueError, TypeError):  # not UTF-8, not base64, no key
        return False


def sendgrid_is_fresh(timestamp: str, now: datetime) -> bool:
    """Whether a signature was made within the last minutes."""
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return False
    return abs(now.timestamp() - int(timestamp)) <= SENDGRID_WINDOW.total_seconds()


def meta_is_genuine(body: bytes, signature: str, app_secret: str) -> bool:
    """Whether Meta signed these very bytes: `sha256=` and HMAC-SHA256 under the app's secret."""
    wanted = "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace"))


def is_amazon_url(url: Any) -> bool:
    """Whether an address is Amazon's SNS itself, over TLS: the only place certificates and confirmations come from."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or any(mark in url for mark in "\\ "):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and parts.username is None
        and parts.password is None
        and port in (None, 443)
        and _AMAZON_HOST.fullmatch(parts.hostname or "") is not None
    )


def certificate_url(envelope: Mapping[str, Any]) -> str | None:
    """Where the certificate behind an SNS signature lies, or None when it is not at Amazon's."""
    url = envelope.get("SigningCertURL")
    if not isinstance(url, str) or not is_amazon_url(url):
        return None
    parts = urlsplit(url)
    is_whole = _CERTIFICATE_PATH.fullmatch(parts.path) and not parts.query and not parts.fragment
    return url if is_whole else None


def sns_is_genuine(envelope: Mapping[str, Any], certificate: bytes, now: datetime) -> bool:
    """Whether the key of this certificate (PEM), valid now, signed the envelope; versions 1 (SHA-1) and 2 (SHA-256)."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA1, SHA256

    digest = {"1": SHA1(), "2": SHA256()}.get(str(envelope.get("SignatureVersion")))  # noqa: S303 - Amazon's version 1
    signed = _signed_text(envelope)
    if digest is None or signed is None:
        return False
    try:
        found = x509.load_pem_x509_certificate(certificate)
        signature = base64.b64decode(str(envelope.get("Signature")), validate=True)
    except (ValueError, binascii.Error):
        return False
    key = found.public_key()
    if not isinstance(key, rsa.RSAPublicKey) or not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        return False
    try:
        key.verify(signature, signed, padding.PKCS1v15(), digest)
    except InvalidSignature:
        return False
    return True


def sns_is_fresh(envelope: Mapping[str, Any], now: datetime) -> bool:
    """Whether a notification was published within the time in which SNS still tries."""
    try:
        at = datetime.fromisoformat(str(envelope.get("Timestamp")))
    except ValueError:
        return False
    return at.tzinfo is not None and now - SNS_WINDOW <= at <= now + _AHEAD


def _signed_text(envelope: Mapping[str, Any]) -> bytes | None:
    kind = envelope.get("Type")
    names = {
        "Notification": _NOTIFICATION,
        "SubscriptionConfirmation": _CONFIRMATION,
        "UnsubscribeConfirmation": _CONFIRMATION,
    }.get(kind if isinstance(kind, str) else "")
    if names is None:
        return None
    lines: list[str] = []
    for name in names:
        value = envelope.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str):
            return None
        lines += [name, value]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def unsubscribe_is_genuine(keys: list[str], token: str, customer_id: str, channel: str, purpose: str) -> bool:
    """Whether a link's token was made for exactly this person, channel and purpose under one of our keys."""
    given = token.encode("utf-8", "replace")
    # Every key is tried, whichever fits, so that the time tells nothing about them.
    fits = [
        hmac.compare_digest(content.unsubscribe_token(key, customer_id, channel, purpose).encode(), given)
        for key in keys
    ]
    return any(fits)
