"""Unsubscribing: one click of a mail program, or a plain page; no login, no cookie, no redirect (C6, C7, C9).

Opening the page changes nothing, because programs that check links open them. The token belongs to one person, channel
and purpose (H23) and holds under every key that is still listed.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from html import escape
from typing import Final, get_args
from urllib.parse import parse_qs, unquote
from uuid import uuid4

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from config.campaign import Channel, Purpose
from config.settings import Sender
from flows.receiver.desk import Desk, body_of
from tasks.rules import signatures

HOOK: Final = "unsubscribe"
LONGEST_FORM: Final = 16 * 1024
PLATFORMS: Final = ("meta", "tiktok", "google")
EVERYTHING: Final = (*get_args(Channel), *PLATFORMS)
MARKETING: Final = ("marketing", "retargeting")

_MESSAGES: Final = {
    "email": "emails",
    "push": "push messages",
    "webpush": "browser messages",
    "inbox": "messages in the app",
    "sms": "text messages",
    "whatsapp": "WhatsApp messages",
}
_STYLE: Final = """
body {font: 1.05rem/1.6 system-ui, sans-serif; color: #1f2d33; background: #f4f6f7; margin: 0; padding: 2rem 1rem}
main {max-width: 34rem; margin: 0 auto; background: #fff; border: 1px solid #dfe5e8; border-radius: 10px; padding: 2rem}
h1 {font-size: 1.4rem; line-height: 1.3; margin: 0 0 1rem}
p {margin: 0 0 1.2rem}
button {font: inherit; width: 100%; padding: .8rem 1rem; margin: 0 0 .8rem; border-radius: 8px; cursor: pointer}
button {border: 1px solid #2b6777; background: #2b6777; color: #fff}
button.second {background: #fff; color: #2b6777}
button:focus-visible {outline: 3px solid #d9a441; outline-offset: 2px}
footer {color: #5b6b72; font-size: .85rem; margin: 1.4rem 0 0; padding: 1rem 0 0; border-top: 1px solid #dfe5e8}
"""
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; style-src 'sha256-"
        + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
        + "'"
    ),
}


@dataclass(frozen=True)
class _Link:
    """A link whose token fits."""

    customer_id: str
    channel: str
    purpose: str


def routes(desk: Desk) -> list[Route]:
    """The page and what its buttons and mail programs post to."""
    page = _Page(desk)
    return [
        Route("/unsubscribe/{link:path}", page.show, methods=["GET"]),
        Route("/unsubscribe/{link:path}", page.withdraw, methods=["POST"]),
    ]


class _Page:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def show(self, request: Request) -> Response:
        """What may be stopped here; looking stores nothing, and is counted for nobody."""
        link = self._link(request)
        if link is None:
            return await self._refused(request)
        what = _words(link)
        return self._answer(
            f"Stop {what}?",
            f"<p>This ends {what} from {escape(self._sender.name)} to you. Nothing has changed yet.</p>"
            + _form(_button("one", f"Stop {what}") + _everything(link)),
        )

    async def withdraw(self, request: Request) -> Response:
        """Take back the consent, whatever posts here: a mail program's one click, or a button of the page.

        Counted for nobody: a large mail provider posts its readers' clicks from few addresses.
        """
        link = self._link(request)
        if link is None:
            return await self._refused(request)
        form = parse_qs((await body_of(request, LONGEST_FORM)).decode("utf-8", "replace"))
        is_everything = form.get("which") == ["all"] and link.purpose in MARKETING
        channels = list(EVERYTHING) if is_everything else [link.channel]
        purposes = list(MARKETING) if link.purpose in MARKETING else [link.purpose]

        def do(connection: sa.Connection) -> None:
            connection.execute(
                self.desk.work.queries["ledger/unsubscribe"](
                    request_id=uuid4(),
                    customer_id=link.customer_id,
                    channels=channels,
                    purposes=purposes,
                    at=self.desk.moment(connection),
                )
            )

        await self.desk.stored(do)
        what = "marketing messages, on any channel" if is_everything else _words(link)
        return self._answer(
            "Done",
            f"<p>You will get no more {what} from {escape(self._sender.name)}. "
            "A message that left just before this may still reach you.</p>"
            + ("" if is_everything else _form(_everything(link))),
        )

    @property
    def _sender(self) -> Sender:
        return self.desk.work.settings.pipeline.sender

    def _link(self, request: Request) -> _Link | None:
        """The link behind an address, or None when its token fits nobody.

        Read from the address as it came: an id may hold a slash, which is %2F there, unless a proxy wrote it out.
        """
        raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        parts = raw.decode("ascii", "replace").partition(f"/{HOOK}/")[2].rstrip("/").rsplit("/", 3)
        try:
            customer_id, channel, purpose, token = (unquote(part, errors="strict") for part in parts)
        except (ValueError, UnicodeDecodeError):
            return None
        if channel not in get_args(Channel) or purpose not in get_args(Purpose):
            return None
        keys = [key.get_secret_value() for key in self.desk.work.settings.unsubscribe_keys]
        fits = signatures.unsubscribe_is_genuine(keys, token, customer_id, channel, purpose)
        return _Link(customer_id, channel, purpose) if fits else None

    async def _refused(self, request: Request) -> Response:
        await self.desk.refuse(request, HOOK, "bad_token")
        return self._answer(
            "This link does not work",
            "<p>It may have been cut short on its way. Please open it from the message again, or copy it whole. "
            "Nothing has changed.</p>",
            403,
        )

    def _answer(self, title: str, body: str, status: int = 200) -> Response:
        sender = self._sender
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
            f"<body><main><h1>{escape(title)}</h1>{body}"
            f"<footer>{escape(sender.name)}, {escape(sender.postal_address)}</footer></main></body></html>"
        )
        return HTMLResponse(page, status, _HEADERS)


def _words(link: _Link) -> str:
    kind = "marketing" if link.purpose in MARKETING else "service"
    return f"{kind} {_MESSAGES[link.channel]}"


def _everything(link: _Link) -> str:
    if link.purpose not in MARKETING:
        return ""
    return _button("all", "Stop all marketing, on every channel", "second")


def _button(which: str, words: str, kind: str = "first") -> str:
    return f'<button name="which" value="{which}" class="{kind}">{escape(words)}</button>'


def _form(buttons: str) -> str:
    # No address: the form posts to where the page is, which holds the token.
    return f'<form method="post">{buttons}</form>' if buttons else ""
