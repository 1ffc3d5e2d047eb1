"""How much one client may ask for: a bucket each that fills by itself, in memory, for a bounded number of clients."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.requests import Request

MOST_CLIENTS: Final = 10_000
_LONGEST_NAME: Final = 64  # whatever a proxy calls its client


class Allowance:
    """So many requests a minute for each client, all at once if it likes; who came longest ago is forgotten first."""

    def __init__(
        self, per_minute: int, *, most_clients: int = MOST_CLIENTS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_minute = per_minute
        self.most_clients = most_clients
        self.clock = clock
        self.buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when that was so

    def wait(self, client: str) -> float:
        """Take one; 0 when it was there, else the seconds until it will be."""
        now = self.clock()
        left, since = self.buckets.pop(client, (float(self.per_minute), now))
        left = min(float(self.per_minute), left + (now - since) * self.per_minute / 60)
        is_there = left >= 1
        self.buckets[client] = (left - 1 if is_there else left, now)
        while len(self.buckets) > self.most_clients:
            self.buckets.popitem(last=False)
        return 0.0 if is_there else (1 - left) * 60 / self.per_minute


def client_of(request: Request) -> str:
    """Whom a request counts for: an address, or the /64 network of an IPv6 one, which one household has to itself."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:_LONGEST_NAME]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)
