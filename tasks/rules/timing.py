"""When a message may be tried again after a provider was busy."""

from __future__ import annotations

import hashlib
from datetime import timedelta

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
LONGEST_ASKED_WAIT = timedelta(hours=24)
# A provider that takes nothing at all is tried with one message so often, however long that lasts.
LONGEST_REST = timedelta(minutes=15)


def busy_wait(tries: int, seed: str, retry_after: float | None = None) -> timedelta:
    """How long to leave a busy provider alone (P2, P3).

    What the provider asked for counts, up to a day. Else the wait doubles from one minute to one hour, and up to half
    of it is taken off by `seed` (the attempt's id), so that messages that were refused together do not return together.
    """
    if retry_after is not None:
        return min(timedelta(seconds=max(retry_after, 0.0)), LONGEST_ASKED_WAIT)
    whole = min(FIRST_WAIT * 2 ** min(tries, 16), LONGEST_WAIT)
    share = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big") / 2**32
    return whole * (1 - share / 2)
