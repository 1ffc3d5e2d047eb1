"""Where clients of other people's systems are made, each without retries of its own and with a timeout.

The libraries' defaults would send twice: Amazon's client repeats a call whose answer was lost, and SendGrid's waits
for ever. Only tasks/channels/factory.py calls these, after it has made sure that this database may send at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.http import hush
from tasks.rules.errors import Misconfigured


def amazon(service: str, *, region: str, endpoint: str | None, timeout: float, connections: int = 10) -> Any:
    """A boto3 client of one service; `timeout` in seconds bounds a whole read, one attempt is all it makes.

    Raises Misconfigured when boto3 cannot make sense of the keys or profile it finds.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    hush()
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

    hush()
    client = SendGridAPIClient(key, host=endpoint)
    client.client = Direct(host=endpoint, request_headers=client.client.request_headers, version=3, timeout=timeout)
    return client


def outward(*, timeout: float, inside: Sequence[tuple[str, int]] = (), connections: int = 10) -> Any:
    """An httpx client for addresses that others name: it reaches public ones, and these (host, port) `inside`.

    `timeout` in seconds bounds a whole answer.
    """
    import httpx

    from tasks.channels.outward import Outward

    hush()
    return httpx.Client(
        timeout=httpx.Timeout(timeout, connect=min(timeout, 3)),
        follow_redirects=False,
        trust_env=False,
        transport=Outward(inside=inside, connections=connections),
    )
