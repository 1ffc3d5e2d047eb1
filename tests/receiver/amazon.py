"""Amazon SNS as far as a destination sees it: a key of its own, its certificate, signed envelopes."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from flows.receiver.desk import Unreachable

TOPIC = "arn:aws:sns:eu-central-1:123456789012:events"
HOST = "https://sns.eu-central-1.amazonaws.com"
CERTIFICATE_URL = f"{HOST}/SimpleNotificationService-0123456789abcdef.pem"
_DIGESTS = {"1": hashes.SHA1(), "2": hashes.SHA256()}


@cache
def _keys(number: int) -> rsa.RSAPrivateKey:
    """Keys take long to make: the tests share a few."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Amazon:
    """One Amazon with its own key; `fetched` lists the addresses it was asked for."""

    made = 0

    def __init__(self) -> None:
        Amazon.made += 1
        self.key = _keys(Amazon.made % 3)
        self.fetched: list[str] = []
        self.is_reachable = True
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        found = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(Amazon.made)
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
            .sign(self.key, hashes.SHA256())
        )
        self.certificate = found.public_bytes(serialization.Encoding.PEM)

    def fetch(self, url: str) -> bytes:
        """What is at an address, in place of the network."""
        self.fetched.append(url)
        if not self.is_reachable:
            raise Unreachable
        return self.certificate if url == CERTIFICATE_URL else b"<ConfirmSubscriptionResponse/>"

    def notification(
        self, message: Any, *, at: datetime, version: str = "2", subject: str | None = None, topic: str = TOPIC
    ) -> dict[str, Any]:
        """A signed notification."""
        text = message if isinstance(message, str) else json.dumps(message)
        found = {"Type": "Notification", "MessageId": "m-1", "TopicArn": topic, "Message": text}
        if subject is not None:
            found["Subject"] = subject
        return self.signed(found, ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"), at, version)

    def confirmation(self, *, at: datetime, topic: str = TOPIC, url: str | None = None) -> dict[str, Any]:
        """A signed request to confirm a subscription."""
        found = {
            "Type": "SubscriptionConfirmation",
            "MessageId": "m-2",
            "Token": "token",
            "TopicArn": topic,
            "Message": "You have chosen to subscribe to the topic",
            "SubscribeURL": url or f"{HOST}/?Action=ConfirmSubscription&TopicArn={topic}&Token=token",
        }
        names = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
        return self.signed(found, names, at, "2")

    def signed(self, envelope: dict[str, Any], names: tuple[str, ...], at: datetime, version: str) -> dict[str, Any]:
        """An envelope with time and signature over the named fields."""
        stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
        full = envelope | {"Timestamp": stamp, "SignatureVersion": version, "SigningCertURL": CERTIFICATE_URL}
        text = "".join(f"{name}\n{full[name]}\n" for name in names if name in full)
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), _DIGESTS[version])
        return full | {"Signature": base64.b64encode(signature).decode()}
