"""One HTTP request and what became of it: the same for every client that speaks HTTP by itself."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from tasks.rules.errors import Busy, Unanswered, Unreached

# An answer is a few hundred bytes; whoever sends more is not read to the end.
LONGEST_ANSWER: Final = 64 * 1024
# They log whole requests at level DEBUG, which would put people into logs.
_TALKATIVE: Final = ("python_http_client", "botocore", "boto3", "urllib3", "httpx", "httpcore", "pywebpush")


def hush() -> None:
    """Keep the libraries that talk to other people's systems from logging what they send."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))


def client(endpoint: str, *, timeout: float, headers: Mapping[str, str] | None = None) -> Any:
    """An httpx client below one base address, without redirects or retries of its own; `timeout` in seconds."""
    import httpx

    from tasks.connections import OwnConnection

    hush()
    return httpx.Client(
        base_url=endpoint,
        timeout=httpx.Timeout(timeout, connect=min(timeout, 3)),
        headers=dict(headers or {}),
        follow_redirects=False,
        trust_env=False,
        transport=OwnConnection(),
    )


@dataclass(frozen=True)
class Answer:
    """What came back; `body` is None when it broke off, came too slowly or was too long."""

    status: int
    headers: Mapping[str, str]  # by lower-case name
    body: bytes | None

    @property
    def is_yes(self) -> bool:
        """Whether the request was taken, readable body or not (P14)."""
        return 200 <= self.status < 300

    @property
    def json(self) -> Any:
        """The body read as JSON; None when it is not."""
        try:
            return json.loads(self.body or b"")
        except (ValueError, RecursionError):
            return None

    @property
    def answered_at(self) -> datetime:
        """When it was answered, to the second: by the provider's own clock where it says so, else by ours."""
        return _moment(self.headers.get("date", "")) or datetime.now(UTC)

    @property
    def retry_after(self) -> float | None:
        """Seconds to leave the provider alone, as it asked: a number, or a date counted from its own clock."""
        asked = self.headers.get("retry-after", "").strip()
        if asked.isdecimal():
            return float(asked[:9])
        until = _moment(asked)
        if until is None:
            return None
        return max((until - self.answered_at).total_seconds(), 0)


def call(
    provider: str,
    client: Any,
    url: Any,
    *,
    method: str = "POST",
    body: bytes | Iterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float,
) -> Answer:
    """Ask once over an httpx client; reading the whole answer takes at most `seconds`. `provider` is for errors.

    Raises Unreached, or Busy where our own connections are all in use, when certainly no byte of the request has left;
    Unanswered when there is no status to read.
    """
    import httpx

    ends_at = time.monotonic() + seconds
    told = {**(headers or {}), "Accept-Encoding": "identity"}
    try:
        with client.stream(method, url, content=body, headers=told) as response:
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, found, _body(response, ends_at))
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise Unreached(f"{provider}: cannot be reached ({type(error).__name__})") from None
    except httpx.PoolTimeout as error:
        raise Busy(f"{provider}: no connection is free ({type(error).__name__})") from None
    except httpx.HTTPError as error:
        raise Unanswered(f"{provider}: no answer ({type(error).__name__})") from None


def _body(response: Any, ends_at: float) -> bytes | None:
    import httpx

    read = bytearray()
    try:
        for piece in response.iter_raw():
            read += piece
            if len(read) > LONGEST_ANSWER or time.monotonic() > ends_at:
                return None
    except httpx.HTTPError:  # the status is known, and it is what counts
        return None
    return bytes(read)


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
