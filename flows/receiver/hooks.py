"""Webhooks of providers: believed only with a signature, stored before they are acknowledged.

An answer of 2xx says that everything in the body is committed. Whatever hinders that is a 503, and the provider comes
again; what comes twice is kept once (K12). Forged and stale requests leave a counter (P13).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from config.campaign import Channel
from config.providers import EmailSendgrid, EmailSes, PushSns, SmsAws, WhatsappAws
from flows.receiver.desk import Desk, body_of
from tasks.rules import signatures
from tasks.store import reports

_MOST_CERTIFICATES = 32
# The last part of the address, the channel it is about, and the options that name its topics.
SNS: Final[Mapping[str, tuple[Channel, type[EmailSes | PushSns | SmsAws | WhatsappAws]]]] = {
    "ses": ("email", EmailSes),
    "sms": ("sms", SmsAws),
    "whatsapp": ("whatsapp", WhatsappAws),
    "push": ("push", PushSns),
}


def routes(desk: Desk) -> list[Route]:
    """Every address that providers report to."""
    post = ["POST"]
    return [
        Route("/hooks/sendgrid", _Sendgrid(desk).receive, methods=post),
        *(Route(f"/hooks/sns/{name}", _Sns(desk, name).receive, methods=post) for name in SNS),
        Route("/hooks/whatsapp", _Whatsapp(desk).verify, methods=["GET"]),
        Route("/hooks/whatsapp", _Whatsapp(desk).receive, methods=post),
    ]


async def _take(desk: Desk, provider: str, hook: str, body: bytes) -> Response:
    def do(connection: sa.Connection) -> None:
        reports.take_body(
            connection,
            desk.work.queries,
            provider,
            hook,
            body,
            key=desk.key,
            at=desk.moment(connection),
            revoke_all=desk.work.settings.pipeline.revoke_all,
        )

    await desk.stored(do)
    return Response(status_code=200)


class _Sendgrid:
    """SendGrid's event webhook, signed with the key that its settings page shows."""

    hook = "hooks/sendgrid"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def receive(self, request: Request) -> Response:
        desk = self.desk
        options = desk.work.settings.pipeline.provider("email")
        if not isinstance(options, EmailSendgrid) or not options.event_key:
            return await desk.refuse(request, self.hook, "not_configured", 403)
        body = await body_of(request)
        signature = request.headers.get("X-Twilio-Email-Event-Webhook-Signature", "")
        timestamp = request.headers.get("X-Twilio-Email-Event-Webhook-Timestamp", "")
        if not signatures.sendgrid_is_genuine(body, signature, timestamp, options.event_key):
            return await desk.refuse(request, self.hook, "forged")
        if not signatures.sendgrid_is_fresh(timestamp, desk.now()):
            return await desk.refuse(request, self.hook, "stale")
        return await _take(desk, "email_sendgrid", self.hook, body)


class _Sns:
    """One SNS destination. Anybody can have Amazon sign a message of their own topic, so ours are named."""

    def __init__(self, desk: Desk, name: str) -> None:
        self.desk = desk
        self.hook = f"hooks/sns/{name}"
        self.channel, self.kind = SNS[name]

    @property
    def _topics(self) -> tuple[str, ...]:
        options = self.desk.work.settings.pipeline.provider(self.channel)
        return options.topics if isinstance(options, self.kind) else ()

    async def receive(self, request: Request) -> Response:
        desk, topics = self.desk, self._topics
        if not topics:
            return await desk.refuse(request, self.hook, "not_configured", 403)
        body = await body_of(request)
        try:
            envelope = json.loads(body)
        except (ValueError, RecursionError):
            envelope = None
        if not isinstance(envelope, dict):
            return await desk.refuse(request, self.hook, "forged")
        if envelope.get("TopicArn") not in topics:
            return await desk.refuse(request, self.hook, "unknown_topic", 403)
        url = signatures.certificate_url(envelope)
        if url is None:
            return await desk.refuse(request, self.hook, "forged")
        certificate = await self._certificate(url)
        now = desk.now()
        if not signatures.sns_is_genuine(envelope, certificate, now):
            return await desk.refuse(request, self.hook, "forged")
        if not signatures.sns_is_fresh(envelope, now):
            return await desk.refuse(request, self.hook, "stale")
        if envelope["Type"] == "Notification":
            return await _take(desk, _PROVIDERS[self.kind], self.hook, body)
        if envelope["Type"] == "SubscriptionConfirmation":
            return await self._confirm(request, envelope)
        return Response(status_code=200)  # somebody took the destination away; there is nothing to store

    async def _certificate(self, url: str) -> bytes:
        known = self.desk.certificates
        if url not in known:
            found = await self.desk.aside(lambda: self.desk.fetch(url))
            if len(known) >= _MOST_CERTIFICATES:
                known.clear()
            known[url] = found
        return known[url]

    async def _confirm(self, request: Request, envelope: Mapping[str, Any]) -> Response:
        """Say yes to a topic that the configuration names; the address was signed and is Amazon's."""
        url = envelope["SubscribeURL"]
        if not signatures.is_amazon_url(url):
            return await self.desk.refuse(request, self.hook, "forged")
        await self.desk.aside(lambda: self.desk.fetch(url))
        return Response(status_code=200)


_PROVIDERS: Final = {EmailSes: "email_ses", PushSns: "push_sns", SmsAws: "sms_aws", WhatsappAws: "whatsapp_aws"}


class _Whatsapp:
    """Meta's webhook: verified once by a word of ours, then signed with the app's secret.

    The signature covers no time, so an old request sent again cannot be told by it; it adds nothing, because each
    event is kept once.
    """

    hook = "hooks/whatsapp"

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def verify(self, request: Request) -> Response:
        word = self.desk.work.settings.whatsapp_verify_token
        given = request.query_params
        if word is None:
            return await self.desk.refuse(request, self.hook, "not_configured", 403)
        fits = hmac.compare_digest(
            word.get_secret_value().encode(), given.get("hub.verify_token", "").encode("utf-8", "replace")
        )
        if given.get("hub.mode") != "subscribe" or not fits:
            return await self.desk.refuse(request, self.hook, "forged", 403)
        return PlainTextResponse(given.get("hub.challenge", "")[:200])

    async def receive(self, request: Request) -> Response:
        secret = self.desk.work.settings.whatsapp_app_secret
        if secret is None:
            return await self.desk.refuse(request, self.hook, "not_configured", 403)
        body = await body_of(request)
        signature = request.headers.get("X-Hub-Signature-256", "")
        if not signatures.meta_is_genuine(body, signature, secret.get_secret_value()):
            return await self.desk.refuse(request, self.hook, "forged")
        return await _take(self.desk, "whatsapp_cloud", self.hook, body)
