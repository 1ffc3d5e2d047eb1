"""The receiver as one ASGI application; errors are answered in words that name nobody."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from flows.receiver import desk as desks
from flows.receiver import hooks, inbox, unsubscribe
from flows.receiver.desk import Desk, Fetch, Unreachable
from tasks.rules.errors import DatabaseError
from tasks.store.engine import place
from tasks.store.workspace import Workspace

log = logging.getLogger("reengage.receiver")

# The provider tries again by itself: nothing of its request is stored yet.
_TRY_AGAIN = {"Retry-After": "30"}


def build(
    work: Workspace,
    *,
    now: Callable[[], datetime] = desks.wall_clock,
    fetch: Fetch = desks.fetched,
    clock: Callable[[], float] = time.monotonic,
) -> ASGIApp:
    """The application over one workspace; `now`, `fetch` and `clock` stand for the time, for Amazon and for seconds.

    Whom a request is from is the other end of its connection; only a named proxy is believed about its clients.
    """
    desk = Desk(work, now, fetch, clock)

    async def health(_request: Request) -> Response:
        await desk.aside(work.database.now)
        return JSONResponse({"status": "ok"})

    app = Starlette(
        routes=[Route("/health", health), *hooks.routes(desk), *unsubscribe.routes(desk), *inbox.routes(desk)],
        exception_handlers={
            DatabaseError: _later,
            sa.exc.DBAPIError: _later,
            sa.exc.TimeoutError: _later,
            Unreachable: _later,
        },
    )
    trusted = [str(network) for network in work.settings.trusted_proxies]
    return ProxyHeadersMiddleware(_Discreet(app), trusted_hosts=trusted)


async def _later(_request: Request, error: Exception) -> Response:
    log.warning("%s at %s: answered 503", type(error).__name__, place(error))
    return PlainTextResponse("try again later\n", 503, _TRY_AGAIN)


class _Discreet:
    """Whatever goes wrong is told by kind and place: uvicorn would log the error's own words, which can name people."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - the answer, a plain 500, has been sent already
            log.error("%s at %s", type(error).__name__, place(error))  # noqa: TRY400 - a trace would quote it
