"""What every route of the receiver shares: the database, the clock, Amazon's certificates, bodies within bounds."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from flows.receiver.allowance import Allowance, client_of
from tasks.store import reports
from tasks.store.workspace import Workspace

T = TypeVar("T")

LONGEST_BODY: Final = 4 * 1024 * 1024  # Meta sends up to 3 MB, the others less
LONGEST_WAIT: Final = 30.0  # seconds for a whole body: whoever drips one holds memory and a connection
# Below the engine's pool, so that a burst waits here instead of in the pool's queue.
MOST_AT_ONCE: Final = 10
# Requests a minute of one client. An inbox is opened by the app of its owner; many can share one address.
MOST_PAGES: Final = 300
MOST_REFUSED: Final = 60

_END: Final = {"Connection": "close"}

Fetch = Callable[[str], bytes]  # what Amazon serves at an address; raises Unreachable


class Unreachable(Exception):
    """Amazon's certificates or confirmations cannot be had right now."""


def wall_clock() -> datetime:
    """This machine's time, for the freshness of signatures only; everything stored takes the database's."""
    return datetime.now(UTC)


def fetched(url: str) -> bytes:
    """What Amazon serves at an address: no redirect, at most 100 kB, five seconds."""
    import httpx

    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells whole addresses, and theirs hold a secret
    try:
        with httpx.Client(timeout=5, follow_redirects=False) as client, client.stream("GET", url) as answer:
            if answer.status_code != httpx.codes.OK:
                raise Unreachable
            body = b""
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > 100_000:
                    raise Unreachable
            return body
    except httpx.HTTPError:
        raise Unreachable from None


@dataclass
class Desk:
    """One receiver's means; tests give their own clock and their own Amazon."""

    work: Workspace
    now: Callable[[], datetime] = wall_clock
    fetch: Fetch = fetched
    clock: Callable[[], float] = time.monotonic
    certificates: dict[str, bytes] = field(default_factory=dict)
    limiter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(MOST_AT_ONCE))

    pages: Allowance = field(init=False)
    refusals: Allowance = field(init=False)

    def __post_init__(self) -> None:
        self.pages = Allowance(MOST_PAGES, clock=self.clock)
        self.refusals = Allowance(MOST_REFUSED, clock=self.clock)

    @property
    def key(self) -> str:
        """What keys the hashes of addresses."""
        return self.work.settings.suppression_key.get_secret_value()

    async def stored(self, do: Callable[[sa.Connection], T]) -> T:
        """What `do` answers once its transaction is committed; repeated where PostgreSQL says nothing was done."""
        return await self.aside(lambda: self.work.database.repeated(do))

    async def aside(self, do: Callable[[], T]) -> T:
        """Work that waits (database, network), beside the event loop."""
        return await anyio.to_thread.run_sync(do, limiter=self.limiter)

    def admit(self, request: Request) -> None:
        """Let a client open one more inbox; ends as 429 when it has opened too many."""
        _too_many(self.pages.wait(client_of(request)))

    async def refuse(self, request: Request, hook: str, reason: str, status: int = 401) -> Response:
        """Turn a request away; a counter is all that stays of it (P13).

        A client that is turned away too often costs no transaction any more and is told 429; what it can prove is
        believed all the same, since proof is looked at first.
        """
        _too_many(self.refusals.wait(client_of(request)))
        await self.stored(lambda connection: reports.refuse(connection, self.work.queries, hook, reason))
        return PlainTextResponse("not accepted\n", status)

    def moment(self, connection: sa.Connection) -> datetime | None:
        """None in a live database, whose clock decides; in a simulated one the last moment it has seen."""
        if connection.execute(self.work.queries["ledger/mode"]()).one().mode != "simulated":
            return None
        at: Any = connection.execute(self.work.queries["ledger/clock"]()).one().last_as_of
        return at


def _too_many(seconds: float) -> None:
    if seconds:
        raise HTTPException(429, "too many requests\n", headers={"Retry-After": str(math.ceil(seconds))})


async def body_of(request: Request, longest: int = LONGEST_BODY, seconds: float = LONGEST_WAIT) -> bytes:
    """The raw bytes of a request, exactly as they came: signatures are over them.

    Longer ones end as 413, those that take longer than `seconds` as 408, and their connections with them.
    """
    pieces, size = [], 0
    try:
        with anyio.fail_after(seconds):
            async for piece in request.stream():
                size += len(piece)
                if size > longest:
                    raise HTTPException(413, headers=_END)
                pieces.append(piece)
    except TimeoutError:
        raise HTTPException(408, headers=_END) from None
    return b"".join(pieces)
