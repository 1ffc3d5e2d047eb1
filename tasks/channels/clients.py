"""Where clients of other people's systems are made, each without retries of its own and with a timeout.

The libraries' defaults would send twice: Amazon's client repeats a call whose answer was lost, and SendGrid's waits
for ever. They also log whole requests at level DEBUG, which would put people into logs, so that is switched off here.
Only tasks/channels/factory.py calls these, after it has made sure that this database may send at all.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.rules.errors import Misconfigured

_TALKATIVE = ("python_http_client", "botocore", "boto3", "urllib3", "httpx", "httpcore", "pywebpush")


def _hush() -> None:
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))


def amazon(service: str, *, region: str, endpoint: str | None, timeout: float, connections: int = 10) -> Any:
    """A boto3 client of one service; `timeout` in seconds bounds a whole read, one attempt is all it makes.

    Raises Misconfigured when boto3 cannot make sense of the keys or profile it finds.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    _hush()
    once = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=min(timeout, 3),
        read_timeout=timeout,
        max_pool_connections=connections,
        user_agent_extra="reengage",
    )
    try:
        return boto3.session.Session().client(service, region_name=region, endpoint_url=endpoint, config=once)
    except (BotoCoreError, ValueError) as error:  # ValueError: the address is none
        told = f"Amazon {service}: {type(error).__name__}; look at its keys, region and endpoint"
        raise Misconfigured(told) from None


def sendgrid(key: str, *, endpoint: str, timeout: float) -> Any:
    """A SendGrid client; `timeout` in seconds."""
    from sendgrid import SendGridAPIClient

    from tasks.channels.direct import Direct

    _hush()
    client = SendGridAPIClient(key, host=endpoint)
    client.client = Direct(host=endpoint, request_headers=client.client.request_headers, version=3, timeout=timeout)
    return client


def http(endpoint: str, *, timeout: float, headers: Mapping[str, str] | None = None, connections: int = 10) -> Any:
    """An httpx client below one base address, without redirects; `timeout` in seconds."""
    import httpx

    _hush()
    return httpx.Client(
        base_url=endpoint,
        timeout=httpx.Timeout(timeout, connect=min(timeout, 3)),
        headers=dict(headers or {}),
        follow_redirects=False,
        trust_env=False,
        transport=httpx.HTTPTransport(retries=0, limits=httpx.Limits(max_connections=connections)),
    )


def outward(*, timeout: float, inside: Sequence[tuple[str, int]] = (), connections: int = 10) -> Any:
    """An httpx client for addresses that others name: it reaches public ones, and these (host, port) `inside`.

    `timeout` in seconds bounds a whole answer.
    """
    import httpx

    from tasks.channels.outward import Outward

    _hush()
    return httpx.Client(
        timeout=httpx.Timeout(timeout, connect=min(timeout, 3)),
        follow_redirects=False,
        trust_env=False,
        transport=Outward(inside=inside, connections=connections),
    )
