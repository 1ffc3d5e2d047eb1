"""The inbox as the app fetches it: a list of messages, and a note that one was read.

Whoever holds a person's token reads that person's inbox, so the app's own server makes it (`inbox_token`) and hands it
to a signed-in person only. It holds under every key that is still listed.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flows.receiver.desk import Desk
from tasks.rules.keyed import opens_inbox
from tasks.store import inbox
from tasks.store.inbox import InboxMessage

HOOK: Final = "inbox"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def routes(desk: Desk) -> list[Route]:
    """What the app asks: GET /inbox/<customer>/<token>, and POST /inbox/<customer>/<token>/read/<message>."""
    counter = _Counter(desk)
    return [
        Route("/inbox/{rest:path}", counter.show, methods=["GET"]),
        Route("/inbox/{rest:path}", counter.read, methods=["POST"]),
    ]


class _Counter:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def show(self, request: Request) -> Response:
        """Every message that has not expired, newest first."""
        self.desk.admit(request)
        customer_id, token = _last(request, 2)
        if not self._opens(token, customer_id):
            return await self._refused(request)
        queries = self.desk.work.queries
        found = await self.desk.stored(
            lambda connection: inbox.listed(connection, queries, customer_id, self.desk.moment(connection))
        )
        return _answer({"messages": [_shown(message) for message in found]})

    async def read(self, request: Request) -> Response:
        """Note that a message was read; a second time changes nothing."""
        self.desk.admit(request)
        customer_id, token, verb, message = _last(request, 4)
        if verb != "read" or not self._opens(token, customer_id):
            return await self._refused(request)
        try:
            message_id = UUID(message)
        except ValueError:
            return _answer({"error": "no such message"}, 404)
        queries = self.desk.work.queries
        read_at = await self.desk.stored(
            lambda connection: inbox.read(connection, queries, customer_id, message_id, self.desk.moment(connection))
        )
        if read_at is None:
            return _answer({"error": "no such message"}, 404)
        return _answer({"read_at": read_at.isoformat()})

    def _opens(self, token: str, customer_id: str) -> bool:
        keys = [key.get_secret_value() for key in self.desk.work.settings.unsubscribe_keys]
        return bool(customer_id) and opens_inbox(keys, token, customer_id)

    async def _refused(self, request: Request) -> Response:
        await self.desk.refuse(request, HOOK, "bad_token")
        return _answer({"error": "this link opens no inbox"}, 403)


def _last(request: Request, count: int) -> list[str]:
    """The last parts of an address, as it came: an id may hold a slash, which is %2F there and only there."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    door, *parts = raw.decode("ascii", "replace").split("/")[-count - 1 :]
    return [unquote(part, errors="replace") for part in parts] if door == "inbox" else [""] * count


def _shown(message: InboxMessage) -> dict[str, Any]:
    return {
        "id": str(message.message_id),
        "title": message.title,
        "text": message.text,
        "link": message.link,
        "created_at": message.created_at.isoformat(),
        "expires_at": message.expires_at.isoformat(),
        "is_read": message.read_at is not None,
        "read_at": message.read_at.isoformat() if message.read_at else None,
    }


def _answer(body: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(body, status, _HEADERS)
