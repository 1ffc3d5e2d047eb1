"""Requests to addresses that other people name: they reach public addresses only, and never wait without end.

A web push subscription comes from a browser, so whoever writes it could point it at a machine in our own network or
at a cloud's metadata service (H19). Names are looked up once, and the connection goes to the address that was judged,
so a name that answers differently the second time gains nothing. An answer must arrive whole within the read timeout,
so one that drips cannot hold a worker.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import httpcore
import httpx

Resolve = Callable[..., list[tuple[Any, ...]]]

# Ways to write an IPv4 address in an IPv6 one, and ranges that Python's registry calls global but lead inside.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_NEVER: Final = tuple(ipaddress.IPv6Network(net) for net in ("64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"))
# Of several addresses of one name so many are tried: each may cost a whole connect timeout.
_MOST_TRIED: Final = 2


class Inside(Exception):
    """The address is not a public one; nothing was sent to it."""


def is_public(address: str) -> bool:
    """Whether an address belongs to a machine of the open internet."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.scope_id is not None or any(found in network for network in _NEVER):
            return False
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found in _NAT64:
            found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found.is_global and not found.is_multicast and not found.is_reserved


class Outward(httpx.BaseTransport):
    """An httpx transport to public addresses; `inside` are (host, port) of our own network that are reached too.

    Raises Inside before anything is sent, else httpx's own errors.
    """

    def __init__(
        self,
        *,
        inside: Iterable[tuple[str, int]] = (),
        connections: int = 10,
        resolve: Resolve = socket.getaddrinfo,
        may_reach: Callable[[str], bool] = is_public,
    ) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=connections,
            keepalive_expiry=5,
            retries=0,
            network_backend=_Vetted(frozenset(inside), resolve, may_reach),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One request, without redirects or retries."""
        url = request.url
        try:
            answer = self._pool.handle_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        except _FAILURES as error:
            raise _as_httpx(error) from error
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    def close(self) -> None:
        """Let go of connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._answer.iter_stream()
        except _FAILURES as error:
            raise _as_httpx(error) from error

    def close(self) -> None:
        self._answer.close()


class _Vetted(httpcore.NetworkBackend):
    """Connections to judged addresses only."""

    def __init__(self, inside: frozenset[tuple[str, int]], resolve: Resolve, may_reach: Callable[[str], bool]) -> None:
        self._plain = httpcore.SyncBackend()
        self._inside = inside
        self._resolve = resolve
        self._may_reach = may_reach

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *args: Any, **more: Any) -> _Bounded:
        reached = [host] if (host, port) in self._inside else self._judged(host, port)
        failure: Exception | None = None
        for address in reached[:_MOST_TRIED]:
            try:
                return _Bounded(self._plain.connect_tcp(address, port, timeout, *args, **more))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("the name has no address")

    def _judged(self, host: str, port: int) -> list[str]:
        try:
            found = self._resolve(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name cannot be looked up") from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not all(self._may_reach(address) for address in addresses):
            raise Inside
        return addresses


class _Bounded(httpcore.NetworkStream):
    """A connection on which the read timeout counts from the end of a request to the end of its answer."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._asked_at = time.monotonic()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if timeout is not None:
            timeout -= time.monotonic() - self._asked_at
            if timeout <= 0:
                raise httpcore.ReadTimeout
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)
        self._asked_at = time.monotonic()

    def start_tls(self, *args: Any, **more: Any) -> _Bounded:
        return _Bounded(self._stream.start_tls(*args, **more))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


_FAILURES: Final = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)


def _as_httpx(error: Exception) -> httpx.TransportError:
    """The same error in httpx's own family, where the names are the same."""
    return getattr(httpx, type(error).__name__, httpx.TransportError)(type(error).__name__)
