"""What came back, kept once and put to effect: reports of providers, replies, lines that could not be read.

Everything runs in the caller's transaction, so a webhook is acknowledged only after all of it is committed, and may be
repeated: the same reports again, late or in another order, change nothing (P11, P12, K12).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from tasks.rules import whatsapp
from tasks.rules.contact import canonical_email
from tasks.rules.keyed import keyed_hash, pads
from tasks.rules.reports import PARSERS, Parsed, Reply, Report
from tasks.store import judging
from tasks.store.ledger import Clock, Ledger, Limits
from tasks.store.queries import Queries
from tasks.store.replies import Answer, judge

ENTITY: Final = "reports"  # what loads and quarantine call them
LIVE: Final = "live"
CHATS: Final = "received"  # the source that loads of messages taken live are called by
LONGEST_LINE: Final = 1_000_000
_ALL: Final = None


@dataclass(frozen=True)
class Line:
    """One line of an archive: its place, its bytes, and the reason code when it cannot even be looked at."""

    line_no: int
    raw: bytes
    broken: str | None = None


@dataclass(frozen=True)
class Taken:
    """What was new: names of reports and replies that were not known, and how many of the given ones were.

    Of `erased` replies nothing is kept but a stop's effect: their writers asked to be forgotten.
    """

    event_keys: tuple[str, ...]
    reply_ids: tuple[str, ...]
    known: int
    erased: frozenset[str] = frozenset()

    @property
    def fresh(self) -> int:
        """How many reports and replies were not known."""
        return len(self.event_keys) + len(self.reply_ids)


@dataclass(frozen=True)
class Counted:
    """Where lines went: each is in exactly one (I5)."""

    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    erased: int = 0

    def __add__(self, other: Counted) -> Counted:
        return Counted(
            self.accepted + other.accepted,
            self.duplicate + other.duplicate,
            self.quarantined + other.quarantined,
            self.erased + other.erased,
        )


def take(
    connection: sa.Connection,
    queries: Queries,
    parsed: Parsed,
    *,
    key: str,
    at: datetime | None,
    revoke_all: bool = True,
) -> Taken:
    """Keep what one or more bodies hold and put it to effect; `at` is the simulated moment, None the clock's.

    `revoke_all`: a refusal by text holds for every text channel and purpose (C14).
    """
    event_keys = _insert(connection, queries, parsed.reports, key, at)
    reply_ids = _replies(connection, queries, parsed.replies, key, at)
    written = {reply.reply_id: Answer(reply.reply_id, reply.text, reply.address) for reply in parsed.replies}
    judge(connection, queries, [written[name] for name in reply_ids], key=key, revoke_all=revoke_all)
    known = len(parsed.reports) + len(parsed.replies) - len(event_keys) - len(reply_ids)
    if event_keys or reply_ids:
        fresh = set(event_keys)
        _match(connection, queries, event_keys)
        _people(connection, queries, [report for report in parsed.reports if report.event_key in fresh])
        _apply(connection, queries, [*event_keys, *reply_ids], key)
        _settle(connection, queries, key, at)
    erased = _forget(connection, queries, [reply for reply in parsed.replies if reply.reply_id in set(reply_ids)], key)
    return Taken(tuple(event_keys), tuple(name for name in reply_ids if name not in erased), known, erased)


def catch_up(connection: sa.Connection, queries: Queries, *, key: str) -> None:
    """Put to effect what waited for its message: a report may be faster than the provider's answer (P11)."""
    _match(connection, queries, _ALL)
    _apply(connection, queries, _ALL, key)


def take_lines(
    connection: sa.Connection,
    queries: Queries,
    provider: str,
    load_id: int,
    lines: Sequence[Line],
    *,
    key: str,
    at: datetime | None,
    revoke_all: bool = True,
) -> Counted:
    """Take lines of an archive; one that cannot be read whole goes to quarantine, what can be read of it counts."""
    parsed = [Parsed(broken=(line.broken,)) if line.broken else PARSERS[provider](line.raw, key) for line in lines]
    together = Parsed(
        tuple(report for one in parsed for report in one.reports),
        tuple(reply for one in parsed for reply in one.replies),
        tuple(reason for one in parsed for reason in one.broken),
    )
    taken = take(connection, queries, together, key=key, at=at, revoke_all=revoke_all)
    fresh = {*taken.event_keys, *taken.reply_ids}
    accepted, erased, bad = 0, 0, []
    forgotten = judging.erased_hashes(connection) if together.broken else frozenset()
    for line, one in zip(lines, parsed, strict=True):
        names = {report.event_key for report in one.reports} | {reply.reply_id for reply in one.replies}
        is_fresh = bool(names & fresh)
        fresh -= names  # the same event in a later line of the file is known by then
        if one.broken and judging.names_erased(key, forgotten, kept(line.raw)):
            erased += 1
        elif one.broken:
            bad.append({"line_no": line.line_no, "raw": kept(line.raw), "reason": one.broken[0]})
        elif is_fresh:
            accepted += 1
        elif names and names <= taken.erased:
            erased += 1
    if bad:
        connection.execute(queries["ledger/reports_quarantine"](load_id=load_id, lines=bad))
    return Counted(accepted, len(lines) - accepted - len(bad) - erased, len(bad), erased)


def open_load(
    connection: sa.Connection,
    queries: Queries,
    *,
    source: str,
    provider: str,
    entry: str,
    etag: str | None,
    as_of: datetime | None,
) -> int:
    """The load that lines of reports belong to."""
    opened = queries["ledger/reports_open"](source=source, object=entry, etag=etag, as_of=as_of, provider=provider)
    return connection.execute(opened).scalar_one()


def close_load(connection: sa.Connection, queries: Queries, load_id: int, counted: Counted) -> None:
    """Write down where the lines of a load went."""
    connection.execute(queries["ledger/reports_counted"](load_id=load_id, **asdict(counted)))


def take_body(
    connection: sa.Connection,
    queries: Queries,
    provider: str,
    hook: str,
    body: bytes,
    *,
    key: str,
    at: datetime | None,
    revoke_all: bool = True,
) -> Taken:
    """Take a body that came live; genuine as it is, what cannot be read of it waits in quarantine as a line would.

    What erased people write is counted, and so is a body with something unreadable that names one. Messages of WhatsApp
    are kept besides, for the load that makes conversations of them (tasks/pull.py).
    """
    parsed = PARSERS[provider](body, key)
    taken = take(connection, queries, parsed, key=key, at=at, revoke_all=revoke_all)
    told = whatsapp.messages(body, provider, key) if provider in whatsapp.PROVIDERS else []
    hashes = judging.erased_hashes(connection) if told or parsed.broken else frozenset()
    _keep_messages(connection, queries, told, key, hashes)
    is_erased = bool(parsed.broken) and judging.names_erased(key, hashes, kept(body))
    if taken.erased or is_erased:
        refuse(connection, queries, hook, judging.ERASED)
    if parsed.broken and not is_erased:
        load_id = open_load(connection, queries, source=hook, provider=provider, entry=LIVE, etag=None, as_of=at)
        line = {"line_no": 1, "raw": kept(body), "reason": parsed.broken[0]}
        connection.execute(queries["ledger/reports_quarantine"](load_id=load_id, lines=[line]))
        close_load(connection, queries, load_id, Counted(quarantined=1))
    return taken


def _keep_messages(
    connection: sa.Connection, queries: Queries, told: Sequence[whatsapp.Told], key: str, hashes: Collection[str]
) -> None:
    """Messages of a body wait for the next load, but for those of people who asked to be forgotten."""
    waiting = [
        {"raw": one.raw, "fields": one.fields}
        for one in told
        if not any(keyed_hash(key, name) in hashes for name in (one.fields["writer_id"], one.fields["wa_id"]) if name)
    ]
    if waiting:
        connection.execute(queries["core/received_keep"](messages=waiting))


def refuse(connection: sa.Connection, queries: Queries, hook: str, reason: str) -> None:
    """Count a request of which nothing else is kept."""
    connection.execute(queries["ledger/hook_refused"](hook=hook, reason=reason))


def kept(raw: bytes) -> str:
    """Bytes as a quarantined line keeps them: what is no text as escapes, at most a megabyte."""
    return raw[:LONGEST_LINE].decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def _insert(
    connection: sa.Connection, queries: Queries, reports: Sequence[Report], key: str, at: datetime | None
) -> list[str]:
    if not reports:
        return []
    rows = [_row(report, key) for report in reports]
    return [row.event_key for row in connection.execute(queries["ledger/reports_insert"](reports=rows, at=at))]


def _row(report: Report, key: str) -> dict[str, Any]:
    address = _canonical(report.channel, report.address) if _ends_address(report) else None
    return {
        "provider": report.provider,
        "channel": report.channel,
        "event_key": report.event_key,
        "kind": report.kind,
        "occurred_at": report.occurred_at.isoformat() if report.occurred_at else None,
        "attempt_id": report.attempt_id,
        "provider_message_id": report.provider_message_id,
        "reason": report.reason,
        "is_machine": report.is_machine,
        "suppresses": report.suppresses,
        "withdraws": report.withdraws,
        "ends_token": report.ends_token,
        "billable": report.billable,
        "price_category": report.price_category,
        "address_hmac": keyed_hash(key, address) if address else None,
    }


def _replies(
    connection: sa.Connection, queries: Queries, replies: Sequence[Reply], key: str, at: datetime | None
) -> list[str]:
    if not replies:
        return []
    rows = [
        {
            "reply_id": reply.reply_id,
            "provider": reply.provider,
            "channel": reply.channel,
            "occurred_at": reply.occurred_at.isoformat() if reply.occurred_at else None,
            "in_reply_to": reply.in_reply_to,
            "text": reply.text,
            "address": reply.address,
            "address_hmac": keyed_hash(key, reply.address) if reply.address else None,
            "writer_id": reply.writer_id,
            "is_said": reply.is_said,
        }
        for reply in replies
    ]
    return list(connection.execute(queries["ledger/reports_replies"](replies=rows, at=at)).scalars())


def _forget(connection: sa.Connection, queries: Queries, replies: Sequence[Reply], key: str) -> frozenset[str]:
    rows = [
        {
            "reply_id": reply.reply_id,
            "address": reply.address,
            "writer_hash": keyed_hash(key, reply.writer_id) if reply.writer_id else None,
        }
        for reply in replies
        if reply.address or reply.writer_id
    ]
    if not rows:
        return frozenset()
    return frozenset(connection.execute(queries["ledger/replies_erased"](replies=rows)).scalars())


def _match(connection: sa.Connection, queries: Queries, event_keys: Sequence[str] | None) -> None:
    keys = None if event_keys is None else list(event_keys)
    connection.execute(queries["ledger/reports_match"](event_keys=keys))


def _people(connection: sa.Connection, queries: Queries, reports: Sequence[Report]) -> None:
    rows = [
        {
            "provider": report.provider,
            "event_key": report.event_key,
            "channel": report.channel,
            "address": _canonical(report.channel, report.address),
            "writer_id": report.writer_id,
        }
        for report in reports
        if _ends_address(report)
    ]
    if rows:
        connection.execute(queries["ledger/reports_people"](addresses=rows))


def _apply(connection: sa.Connection, queries: Queries, event_keys: Sequence[str] | None, key: str) -> None:
    keys = None if event_keys is None else list(event_keys)
    inner_pad, outer_pad = pads(key)
    connection.execute(queries["ledger/reports_apply"](event_keys=keys, inner_pad=inner_pad, outer_pad=outer_pad))


def _settle(connection: sa.Connection, queries: Queries, key: str, at: datetime | None) -> None:
    """Settle what is in doubt by the reports that are there, which needs no campaign's definition."""
    ledger = Ledger(queries, {}, clock=Clock(at), business_zone="UTC", address_key=key, providers={}, limits=Limits())
    ledger.settle(connection)


def _ends_address(report: Report) -> bool:
    return report.suppresses is not None or report.withdraws or report.ends_token


def _canonical(channel: str, address: str | None) -> str | None:
    """An address in the form the suppression list hashes; only reports that end one pay for it."""
    if address is None:
        return None
    return canonical_email(address)[0] if channel == "email" else address
