"""SendGrid's HTTP client as we need it: it tells whether a byte has left, follows no redirect, knows a yes by its head.

The library's own would follow a redirect with a GET that carries our key and no message, and a connection that never
came about looks to it much like an answer that was lost.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPSConnection
from typing import IO, Any
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from python_http_client import Client

LONGEST_CONNECT = 3.0  # seconds, of a call's whole time


class NoConnection(ConnectionError):
    """There was no connection, or no TLS on it: certainly no byte of the request has left."""


class Direct(Client):
    """One base address; every call opens its own connection, so threads may share a client."""

    def __init__(self, *, opener: OpenerDirector | None = None, **given: Any) -> None:
        super().__init__(**given)
        self._opener = opener or _opener()

    def _build_client(self, name: str | None = None) -> Direct:
        return Direct(
            opener=self._opener,
            host=self.host,
            version=self._version,
            request_headers=self.request_headers,
            url_path=[*self._url_path, name] if name else self._url_path,
            append_slash=self.append_slash,
            timeout=self.timeout,
        )

    def _make_request(self, opener: Any, request: Request, timeout: float | None = None) -> _Heard:  # noqa: ARG002
        """Raises NoConnection (as reason of an URLError), the library's HTTPError for a no, or what broke the call."""
        with super()._make_request(self._opener, request, timeout=timeout) as response:
            return _Heard(response)


class _Heard:
    """An answer whose head was read; its body is empty when it broke off, since a yes stays a yes."""

    def __init__(self, response: Any) -> None:
        self._status, self._headers = response.getcode(), response.info()
        try:
            self._body = response.read()
        except (OSError, HTTPException):
            self._body = b""

    def getcode(self) -> int:
        return self._status

    def read(self) -> bytes:
        return self._body

    def info(self) -> Message:
        return self._headers


def _reach(connection: HTTPConnection, connect: Callable[[], None]) -> None:
    whole = connection.timeout
    connection.timeout = min(whole or LONGEST_CONNECT, LONGEST_CONNECT)
    try:
        connect()
    except OSError as error:
        raise NoConnection(type(error).__name__) from error
    connection.sock.settimeout(whole)


class _Plain(HTTPConnection):
    def connect(self) -> None:
        _reach(self, super().connect)


class _Secure(HTTPSConnection):
    def connect(self) -> None:
        _reach(self, super().connect)


class _OpenPlain(HTTPHandler):
    def http_open(self, req: Request) -> Any:
        return self.do_open(_Plain, req)


class _OpenSecure(HTTPSHandler):
    def __init__(self) -> None:
        super().__init__()
        self._trust = ssl.create_default_context()  # made once: reading the machine's certificates takes its time

    def https_open(self, req: Request) -> Any:
        return self.do_open(_Secure, req, context=self._trust)


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """None: the redirect is the answer."""


def _opener() -> OpenerDirector:
    return build_opener(_OpenPlain, _OpenSecure, _NoRedirect)
