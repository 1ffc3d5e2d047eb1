"""A provider on loopback: judges what it is sent by the provider's own model, remembers it, and misbehaves on demand.

`accepted` is the honest count: what a test compares with the ledger. A faulty answer after acceptance (dropped, late,
garbled, a 500 that lies) leaves the message in `accepted`, as it would at a real provider.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Mode(StrEnum):
    """How the provider treats one request."""

    ACCEPT = "accept"
    DROP_AFTER = "accept, then drop the connection"
    DROP_BEFORE = "drop the connection, nothing accepted"
    HANG = "accept, and never answer"
    SLOW = "accept, and drip the answer"
    MALFORMED = "accept, and answer with garbage"
    LIE_500 = "accept, and answer 500"
    BUSY = "429 without Retry-After"
    BUSY_120 = "429 with Retry-After 120"
    ERROR_500 = "500"
    ERROR_502 = "502"
    ERROR_503 = "503"
    BAD_400 = "400"
    UNKNOWN_401 = "401"


@dataclass(frozen=True)
class Request:
    """What arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What goes back; `body` as bytes or JSON."""

    status: int
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Accepted:
    """One message the provider took: our key for it, and the request it came in."""

    key: str
    request: Request
    at: float


Judge = Callable[[Request], Answer | None]  # an answer refuses the request; None: it is as published
Keys = Callable[[Request], Sequence[str]]  # our attempt ids or addresses in a request
Say = Callable[[Request], Answer]  # the provider's own way to say yes


class Loopback:
    """A provider at `url`; `conduct` says how each request is treated (a Mode, or what picks one)."""

    def __init__(
        self, *, judge: Judge, keys: Keys, yes: Say, no: Callable[[int], Answer] | None = None, seconds: float = 0
    ) -> None:
        self.judge, self.keys, self.yes = judge, keys, yes
        self.no = no or (lambda status: Answer(status, {"errors": [{"message": f"told to say {status}"}]}))
        self.seconds = seconds  # how long every answer takes
        self.conduct: Mode | Callable[[Request], Mode] = Mode.ACCEPT
        self.accepted: list[Accepted] = []
        self.requests: list[Request] = []
        self.refused: list[Answer] = []
        self.unread = 0  # connections that were dropped before anything was read
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[Loopback]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join(5)

    @property
    def keys_accepted(self) -> list[str]:
        """Every key in the order it was taken; one that stands there twice was sent twice."""
        return [one.key for one in self.accepted]

    def treat(self, request: Request) -> tuple[Mode, Answer]:
        """Judge and remember one request."""
        mode = self.conduct(request) if callable(self.conduct) else self.conduct
        with self._lock:
            self.requests.append(request)
        refusals = {
            Mode.BUSY: 429, Mode.BUSY_120: 429, Mode.ERROR_500: 500, Mode.ERROR_502: 502, Mode.ERROR_503: 503,
            Mode.BAD_400: 400, Mode.UNKNOWN_401: 401,
        }  # fmt: skip
        if mode is Mode.DROP_BEFORE:
            return mode, Answer(0)
        if status := refusals.get(mode):
            answer = self.no(status)
            if mode is Mode.BUSY_120:
                answer = Answer(answer.status, answer.body, {**answer.headers, "Retry-After": "120"})
            return mode, answer
        if refusal := self.judge(request):
            with self._lock:
                self.refused.append(refusal)
            return Mode.ACCEPT, refusal
        with self._lock:
            self.accepted += [Accepted(key, request, time.time()) for key in self.keys(request)]
        if mode is Mode.LIE_500:
            return mode, self.no(500)
        return mode, self.yes(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], provider: Loopback) -> None:
        self.provider = provider
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        provider = self.server.provider
        if provider.conduct is Mode.DROP_BEFORE:
            provider.unread += 1
            self.close_connection = True
            self.connection.close()
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        request = Request(self.command, self.path, dict(self.headers.items()), body)
        mode, answer = provider.treat(request)
        if provider.seconds:
            time.sleep(provider.seconds)
        if mode in (Mode.DROP_AFTER, Mode.DROP_BEFORE):
            self.close_connection = True
            self.connection.close()
            return
        if mode is Mode.HANG:
            provider.released.wait(120)
            self.close_connection = True
            return
        raw = b'{"this is not' if mode is Mode.MALFORMED else answer.raw
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Type" not in answer.headers:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        for chunk in [raw[n : n + 1] for n in range(len(raw))] if mode is Mode.SLOW else [raw]:
            self.wfile.write(chunk)
            self.wfile.flush()
            if mode is Mode.SLOW:
                time.sleep(min(0.05, 1 / len(raw)))

    do_POST = do_GET = do_PUT = do_DELETE = _handle  # noqa: N815 - names given by http.server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
