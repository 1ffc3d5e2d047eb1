"""Forgetting a person: every table that can hold one, what becomes of its rows, and what keeps them from coming back.

The same list says of each table how long it is kept where nobody asks (tasks/store/retention.py).

Three transactions, each repeatable: stop what is to come and remember by keyed hash who it was; clear every table;
close the receipt when ad platforms, open calls and running flows have nothing of the person left (I19, K13).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import quote
from uuid import UUID

import sqlalchemy as sa

from tasks.rules.contact import GUEST, guest_id
from tasks.rules.errors import ConfigError, Problem
from tasks.rules.keyed import keyed_hash, pads
from tasks.store import silences
from tasks.store.gate import MERGE_LOCK
from tasks.store.judging import CONVERSATION, ERASED, VISITOR
from tasks.store.loads import ENTITIES
from tasks.store.workspace import Workspace

How = Literal["deleted", "blanked", "renamed", "cleared", "remembered", "nobody"]
AD_PLATFORMS: Final = ("meta", "tiktok", "google")
LEAST_TRACE: Final = 7
# Columns of judged lines that are made of landed ones.
_READ_FROM: Final = frozenset({"belongs_to", "keywords"})


@dataclass(frozen=True)
class Holder:
    """A table and what erasing a person does to its rows.

    deleted: the rows go. blanked: their content goes, the line still counts. renamed: they stay for figures measured
    before, under a random name. cleared: columns are emptied. remembered: keyed hashes that keep somebody out.
    nobody: no row is about a person. Every column that could hold text is named, but for deleted and blanked rows.

    Where nobody asks, a row that can hold a person, or what it says about them, goes after `period`, a kind of config's
    Retention. Without one, `stays` says why.
    """

    how: How
    renamed: str = ""
    cleared: str = ""
    harmless: str = ""
    period: str = ""
    stays: str = ""

    @property
    def columns(self) -> frozenset[str]:
        """Every column that somebody has thought about."""
        return frozenset(f"{self.renamed} {self.cleared} {self.harmless}".split())


# Why a table has no period of its own.
_SHOPS: Final = "what the shop itself keeps of its customers: who is gone from there is erased here"
_PROOF: Final = "proof of consent, as long as a message that rested on it may be disputed"
_IDENTITY: Final = "says whose the facts are, which stay"
_FACTS: Final = "made of the facts, and goes with them"
_LASTING: Final = "must outlast everything else, so that nobody comes back; names nobody"
_FIGURES: Final = "only figures are made of it, under a random name that leads back to nobody"

# Every table of the schema; a test compares this with the catalog, so that a new table or column is thought about.
TABLES: Final[dict[str, Holder]] = {
    "raw.migrations": Holder("nobody", harmless="name sha256"),
    "raw.loads": Holder("nobody", harmless="source entity object etag time_zone options state reason report"),
    "raw.objects": Holder("nobody", harmless="source key etag"),
    "raw.watermarks": Holder("nobody", harmless="source position"),
    "raw.quarantine": Holder("deleted", period="quarantine"),
    "raw.parked": Holder("deleted", period="parked"),
    "raw.received_messages": Holder("deleted", period="received"),
    "raw.validations": Holder(
        "nobody", harmless="source entity expectation column_name severity outcome observed expected"
    ),
    "raw.erased": Holder("remembered", harmless="customer_hash", stays=_LASTING),
    **{f"raw.{entity}": Holder("blanked", period="landing") for entity in ENTITIES},
    **{f"core.{name}": Holder("deleted", stays=_SHOPS) for name in ("customers", "purchases", "conversations")},
    "core.checkouts": Holder(
        "deleted",
        stays="like purchases: a guest is known by nothing else, and a consent by inquiry rests on its checkout",
    ),
    **{
        f"core.{name}": Holder("deleted", stays=_IDENTITY)
        for name in ("aliases", "guests", "guest_claims", "writers", "writer_numbers")
    },
    **{
        f"core.{name}": Holder("deleted", stays=_FACTS)
        for name in (
            "purchase_days", "purchase_days_changed", "milestones", "leads", "silences_changed",
            "conversations_changed", "people_changed",
        )
    },
    **{f"core.{name}": Holder("deleted", stays=_PROOF) for name in ("consents", "replaced_consents")},
    "core.consent_blocks": Holder("deleted", stays="counts as a withdrawal until the line is believed"),
    "core.events": Holder("deleted", period="events"),
    "core.visits": Holder("deleted", period="visits"),
    "core.messages": Holder("deleted", period="messages"),
    "core.push_tokens": Holder("deleted", period="push_tokens"),
    "core.aged": Holder("nobody", harmless="entity"),
    "core.purchase_days_filled": Holder("nobody"),
    "core.buying": Holder("nobody", harmless="what"),
    "core.buying_filled": Holder("nobody"),
    "core.people_filled": Holder("nobody"),
    "core.ways_changed": Holder("deleted", stays="a week and a day: no sync of audiences asks for more"),
    "core.ways_filled": Holder("nobody"),
    "core.milestone_rule": Holder("nobody", harmless="sha256"),
    "core.silences_filled": Holder("nobody"),
    "core.ads": Holder("nobody", harmless="ad_id campaign_name bot_id status"),
    "core.suppressions": Holder("remembered", harmless="address_hmac channel scope reason", stays=_LASTING),
    "campaign.database": Holder("nobody", harmless="mode business_zone"),
    "campaign.campaigns": Holder("nobody", harmless="campaign state reason"),
    "campaign.runs": Holder("nobody", harmless="flow campaign state segment_sha256 config_sha256 counts"),
    "campaign.holds": Holder("nobody", harmless="campaign reason"),
    "campaign.experiments": Holder("nobody", harmless="campaign experiment_version"),
    "campaign.zones": Holder("nobody", harmless="name"),
    "campaign.rates": Holder("nobody", harmless="provider"),
    "campaign.rests": Holder("nobody", harmless="provider reason"),
    "campaign.sensitive_columns": Holder("nobody", harmless="column_name keys shown_because"),
    "campaign.refused_hooks": Holder("nobody", harmless="hook reason"),
    "campaign.judged_loads": Holder("nobody"),
    "campaign.legal_windows": Holder("nobody", harmless="area channel purpose open_minutes"),
    "campaign.implied_consents": Holder("nobody", harmless="area purpose basis"),
    "campaign.legal_source": Holder("nobody", harmless="sha256"),
    "campaign.whatsapp_prices": Holder("nobody", harmless="place category currency"),
    "campaign.whatsapp_free": Holder("nobody", harmless="category"),
    "campaign.whatsapp_undelivered": Holder("nobody", harmless="country category"),
    "campaign.whatsapp_source": Holder("nobody", harmless="sha256 webhook_accounts file_accounts"),
    "campaign.enrolments": Holder(
        "renamed",
        renamed="customer_id episode",
        cleared="evidence",
        harmless="campaign experiment_version arm variant segment_sha256 config_sha256 close_reason language country",
        period="ledger",
    ),
    "campaign.decisions": Holder(
        "renamed",
        renamed="customer_id episode",
        cleared="gates",
        harmless="campaign step state reason channel",
        period="ledger",
    ),
    "campaign.sends": Holder(
        "renamed",
        renamed="send_key customer_id episode",
        cleared="payload_sha256 voucher_code provider_message_id",
        harmless="campaign step variant arm channel provider template_version state reason claim_token purpose"
        " price_category price_country",
        period="ledger",
    ),
    "campaign.attempts": Holder(
        "renamed",
        renamed="send_key",
        cleared="payload_sha256 address_hmac provider_message_id consent_id",
        # attempt_id is random; reports that come later still find their message by it
        harmless="attempt_id batch_id channel provider outcome error_class reason template_version",
        period="attempts",
    ),
    "campaign.message_reports": Holder(
        "renamed", renamed="send_key", harmless="failed_reason price_category", period="ledger"
    ),
    "campaign.provider_events": Holder(
        "cleared",
        cleared="address_hmac provider_message_id",
        harmless="provider event_key attempt_id kind channel reason suppresses price_category",
        period="provider_events",
    ),
    "campaign.erased_people": Holder("renamed", renamed="customer_id", harmless="language country", stays=_FIGURES),
    "campaign.erased_purchases": Holder(
        "renamed", renamed="customer_id order_id", harmless="currency coupon_code", stays=_FIGURES
    ),
    "campaign.erased_events": Holder(
        "renamed", renamed="customer_id event_id", harmless="name properties", stays=_FIGURES
    ),
    "campaign.erased_conversations": Holder(
        "renamed",
        renamed="conversation_id",
        harmless="ad_id said_at enrolments language country",
        stays=_FIGURES,
    ),
    "campaign.erasures": Holder(
        "remembered",
        cleared="person pseudonym",
        harmless="receipt_id customer_hashes counts",
        stays="the receipt; the person in it is gone once it is complete",
    ),
    **{
        f"campaign.{name}": Holder("deleted", period="ledger")
        for name in ("audience_members", "outcomes", "voucher_events")
    },
    "campaign.audiences": Holder("nobody", harmless="platform audience provider external_id"),
    "campaign.audience_uses": Holder("nobody", harmless="campaign platform audience"),
    "campaign.audience_looks": Holder("nobody", harmless="campaign rules_sha256 definition"),
    "campaign.deleted_audiences": Holder("nobody", harmless="platform audience provider"),
    "campaign.audience_requests": Holder("nobody", harmless="platform audience campaign verb external_id state words"),
    "campaign.audience_sizes": Holder("nobody", harmless="platform audience words"),
    "campaign.audience_troubles": Holder("nobody", harmless="platform audience campaign words"),
    "campaign.replies": Holder("deleted", period="replies"),
    "campaign.reply_holds": Holder("deleted", stays="holds somebody until their reply is resolved"),
    "campaign.inbox_messages": Holder("deleted", period="inbox"),
    "outbox.messages": Holder("deleted", period="outbox"),
    "outbox.audience_calls": Holder("nobody", harmless="platform audience verb"),
    "outbox.audience_members": Holder("deleted", stays="a member leaves with the audience, as at a platform"),
}  # fmt: skip
# Columns of the aggregates in `evaluation`: none is about one person.
AGGREGATED: Final = frozenset(
    {
        "arm", "business_zone", "campaign", "category", "channel", "conversions", "country", "currency",
        "experiment_version", "grain", "kind", "language", "milestone", "reason", "standing", "state", "step", "value",
        "variant", "what",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Erasure:
    """One erasure that is not complete; `person` is what the rest is found by and lives as long as it is needed."""

    receipt_id: UUID
    person: Mapping[str, Any] = field(repr=False)
    pseudonym: str = field(repr=False)


@dataclass(frozen=True)
class Receipt:
    """What was done and what is left; names nobody."""

    receipt_id: UUID
    requested_at: datetime
    completed_at: datetime | None
    counts: Mapping[str, int]
    waits_for: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the person is left."""
        return self.completed_at is not None


def begin(work: Workspace, connection: sa.Connection, customer_id: str, at: datetime) -> Receipt | Erasure:
    """Stop everything that is to come for a person and remember by keyed hash who it was, in one transaction.

    Goes on with an erasure that was begun; answers the receipt when nothing is known of somebody erased before.
    Raises ConfigError when nothing ever was.
    """
    key = work.settings.suppression_key.get_secret_value()
    queries = work.queries
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MERGE_LOCK)))
    own_hash = keyed_hash(key, customer_id)
    begun = connection.execute(queries["ledger/erase_open"](receipt_id=None, customer_hash=own_hash)).first()
    inner_pad, outer_pad = pads(key)
    found = queries["core/erase_who"](customer_id=customer_id, inner_pad=inner_pad, outer_pad=outer_pad)
    who = connection.execute(found).one()
    if begun is None and not who.is_known:
        known = receipts(work, connection, customer_hash=own_hash)
        if not known:
            raise ConfigError(
                Problem("CUSTOMER", "nothing is known of a customer with this id, under no name of theirs")
            )
        return known[0]
    person = begun.person if begun else {"customer_id": who.customer_id, "ids": []}
    belongings = connection.execute(queries["core/erase_belongings"](ids=list(who.ids))).mappings().one()
    person = _together(person, {str(name): values for name, values in belongings.items()})
    person["ids"] = sorted({*person["ids"], *who.ids})
    names = set(_names_to_remember(key, person, connection))
    hashes = sorted({keyed_hash(key, text) for text in names} | _hashed_emails(names))
    if begun:
        receipt_id = begun.receipt_id
    else:
        opened = queries["ledger/erase_begin"](
            customer_hashes=[keyed_hash(key, one) for one in person["ids"]], person=person
        )
        receipt_id = connection.execute(opened).scalar_one()
    connection.execute(queries["core/erase_remember"](hashes=hashes, at=at))
    connection.execute(queries["core/erase_suppress"](addresses=_addresses(key, person), at=at))
    stopped = connection.execute(queries["ledger/erase_stop"](ids=person["ids"], at=at)).one()
    if stopped.send_keys:
        connection.execute(
            queries["ledger/decide_moved"](
                send_keys=list(stopped.send_keys), at=at, is_claim=False, moments={}, gates={}, run_id=None
            )
        )
    _note(work, connection, receipt_id, stopped.counts)
    return unfinished(work, connection, receipt_id)[0]


def clear(work: Workspace, connection: sa.Connection, erasure: Erasure) -> bool:
    """Take a person out of every table, in one transaction; False while a worker holds a message to them.

    What measured figures are made of stays under a random name. Safe to repeat: it finds what came in between.
    """
    queries = work.queries
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MERGE_LOCK)))
    if not unfinished(work, connection, erasure.receipt_id):
        return True
    person, ids = erasure.person, erasure.person["ids"]
    waits = connection.execute(queries["ledger/erase_waiting"](receipt_id=erasure.receipt_id, ids=ids)).one()
    if waits.in_flight:
        return False
    key = work.settings.suppression_key.get_secret_value()
    kept = {"ids": ids, "pseudonym": erasure.pseudonym}
    hours = work.settings.pipeline.max_window_hours
    wanted = [campaign.goal for campaign in work.campaigns.values()]
    goals = [{"event": goal.event, "properties": goal.where} for goal in wanted]
    counted = [campaign.ads for campaign in work.campaigns.values() if campaign.retargeting]
    coupons = sorted({str(goal.where["coupon_code"]) for goal in wanted if "coupon_code" in goal.where})
    connection.execute(queries["core/erase_kept_people"](customer_id=person["customer_id"], **kept))
    connection.execute(queries["core/erase_kept_purchases"](hours=hours, coupons=coupons, **kept))
    connection.execute(queries["core/erase_kept_events"](hours=hours, goals=goals, **kept))
    connection.execute(
        queries["core/erase_kept_conversations"](
            ads=sorted({ad for ads in counted for ad in ads}), is_any_ad=not all(counted), **kept
        )
    )
    # A derivation that has read the person before would write of them again.
    silences.wait(connection)
    counts: Counter[str] = Counter()
    addresses = [
        *person["canonical_emails"],
        *person["e164_phones"],
        *person["app_endpoints"],
        *person["web_endpoints"],
    ]
    for statement in (
        queries["core/erase_kept_lines"](
            ids=ids,
            addresses=_traces(person),
            conversations=person["conversations"],
            visitors=person["visitors"],
            **_patterns(person),
        ),
        queries["core/erase_facts"](
            ids=ids, emails=person["emails"], conversations=person["conversations"], visitors=person["visitors"]
        ),
        queries["ledger/erase_told"](
            ids=ids, addresses=addresses, address_hmacs=[keyed_hash(key, address) for address in addresses]
        ),
        queries["ledger/erase_rename"](**kept),
        queries["core/erase_noted"](ids=ids),  # the statements before have noted whose consents they deleted
    ):
        counts.update(connection.execute(statement).one().counts)
    counts.update(_blank_lines(connection, person))
    _note(work, connection, erasure.receipt_id, counts, is_cleared=True)
    return True


def close(work: Workspace, connection: sa.Connection, erasure: Erasure) -> Receipt:
    """Complete the receipt when nothing waits, after one more look at every table; else say what it waits for."""
    queries = work.queries
    if not unfinished(work, connection, erasure.receipt_id):
        return receipts(work, connection, receipt_id=erasure.receipt_id)[0]
    found = queries["ledger/erase_waiting"](receipt_id=erasure.receipt_id, ids=erasure.person["ids"])
    waits = {str(name): count for name, count in connection.execute(found).mappings().one().items() if count}
    if not waits and clear(work, connection, erasure):
        _note(work, connection, erasure.receipt_id, {}, is_cleared=True, is_complete=True)
    (receipt,) = receipts(work, connection, receipt_id=erasure.receipt_id)
    return Receipt(receipt.receipt_id, receipt.requested_at, receipt.completed_at, receipt.counts, waits)


def unfinished(work: Workspace, connection: sa.Connection, receipt_id: UUID | None = None) -> list[Erasure]:
    """Erasures that were begun and are not complete, locked for this transaction."""
    rows = connection.execute(work.queries["ledger/erase_open"](receipt_id=receipt_id, customer_hash=None))
    return [Erasure(row.receipt_id, row.person, row.pseudonym) for row in rows]


def receipts(
    work: Workspace, connection: sa.Connection, *, receipt_id: UUID | None = None, customer_hash: str | None = None
) -> list[Receipt]:
    """Receipts, newest first."""
    rows = connection.execute(work.queries["ledger/erase_list"](receipt_id=receipt_id, customer_hash=customer_hash))
    return [Receipt(row.receipt_id, row.requested_at, row.completed_at, row.counts) for row in rows]


def _note(
    work: Workspace,
    connection: sa.Connection,
    receipt_id: UUID,
    counts: Mapping[str, int],
    *,
    is_cleared: bool = False,
    is_complete: bool = False,
) -> None:
    (receipt,) = receipts(work, connection, receipt_id=receipt_id)
    total = Counter(receipt.counts)
    total.update(counts)
    connection.execute(
        work.queries["ledger/erase_cleared"](
            receipt_id=receipt_id,
            counts={name: count for name, count in sorted(total.items()) if count},
            is_cleared=is_cleared,
            is_complete=is_complete,
        )
    )


def _together(known: Mapping[str, Any], found: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What was known and what is found now: by the second look the first has deleted most of it."""
    return {**known, **{name: sorted({*known.get(name, ()), *values}) for name, values in found.items()}}


def _names_to_remember(key: str, person: Mapping[str, Any], connection: sa.Connection) -> Iterable[str]:
    """What may never come back: every id and address, the guest of an email, WhatsApp's own id for a number.

    An address that somebody else has too stays theirs.
    """
    guests = {guest_id(key, email): email for email in person["canonical_emails"]}
    ids = {*person["ids"], *guests}
    claimed = _claimed_by_others(connection, person["ids"], ids)
    shared = _shared(connection, person) | {email for guest, email in guests.items() if guest in claimed}
    yield from (one for one in ids if one not in claimed and guests.get(one) not in shared)
    yield from (email for email in person["canonical_emails"] if email not in shared)
    for phone in person["e164_phones"]:
        if phone not in shared:
            yield phone
            yield phone.lstrip("+")
    yield from (f"{CONVERSATION}{one}" for one in person["conversations"])
    yield from (f"{VISITOR}{one}" for one in person["visitors"])


def _hashed_emails(ids: Iterable[str]) -> set[str]:
    """Keyed hashes of the emails that guests are named by; of an email somebody had before nothing else is known."""
    return {one.removeprefix(GUEST) for one in ids if one.startswith(GUEST)}


def _claimed_by_others(connection: sa.Connection, own: Iterable[str], ids: Iterable[str]) -> set[str]:
    claims = sa.table("guest_claims", sa.column("guest_id"), sa.column("customer_id"), schema="core")
    others = sa.select(claims.c.guest_id).where(claims.c.guest_id.in_(ids), claims.c.customer_id.not_in(own))
    return set(connection.execute(others).scalars())


def _shared(connection: sa.Connection, person: Mapping[str, Any]) -> set[str]:
    names = ("customer_id", "email_canonical", "phone_e164")
    customers = sa.table("customers", *(sa.column(name) for name in names), schema="core")
    others = customers.c.customer_id.not_in(person["ids"])
    found: set[str] = set()
    for column, addresses in (("email_canonical", "canonical_emails"), ("phone_e164", "e164_phones")):
        theirs = sa.select(customers.c[column]).where(others, customers.c[column].in_(person[addresses]))
        found |= set(connection.execute(theirs).scalars())
    return found


def _addresses(key: str, person: Mapping[str, Any]) -> list[dict[str, str]]:
    """Keyed hash and channel of every address, as campaign.reach and the audiences look them up."""
    by_email = ("email", *AD_PLATFORMS)
    channels = {
        "canonical_emails": by_email,
        "e164_phones": ("sms", "whatsapp", *AD_PLATFORMS),
        "app_endpoints": ("push",),
        "web_endpoints": ("webpush",),
    }
    hashed = [(keyed_hash(key, one), used_by) for name, used_by in channels.items() for one in person[name]]
    hashed += [(one, by_email) for one in _hashed_emails(person["ids"])]
    return [{"address_hmac": one, "channel": channel} for one, used_by in hashed for channel in used_by]


def _traces(person: Mapping[str, Any]) -> list[str]:
    """Addresses as they may stand in a line, in lower case; what is too short stands in others by chance."""
    emails = [*person["emails"], *(quote(email) for email in person["emails"])]
    found = [*emails, *person["phones"], *person["app_endpoints"], *person["web_endpoints"]]
    return sorted({text.lower() for text in found if len(text) >= LEAST_TRACE})


def _pattern(text: str) -> str:
    """A regular expression of PostgreSQL for a text that is no part of a longer word or address."""
    return rf"(?<![[:alnum:]._%+-]){re.escape(text)}(?![[:alnum:]_-]|\.[[:alnum:]])"


def _patterns(person: Mapping[str, Any]) -> dict[str, list[str]]:
    names = (name.lower().partition("\n")[::2] for name in person["names"])
    return {
        "traces": [_pattern(trace) for trace in _traces(person)],
        "names": [f"{_pattern(first)}\n{_pattern(last)}" for first, last in names],
    }


def _blank_lines(connection: sa.Connection, person: Mapping[str, Any]) -> dict[str, int]:
    """Empty a person's lines in loads that are not merged: the lines still count, as erased, and say nothing."""
    lines: Counter[str] = Counter()
    tables = sa.inspect(connection).get_table_names(schema="raw")
    for name in sorted(tables):
        found = re.fullmatch(r"([a-z_]+)_(\d+)", name)
        if not found or found[1] not in ENTITIES:
            continue
        entity = found[1]
        landing = sa.Table(name, sa.MetaData(), schema="raw", autoload_with=connection)
        content = [column for column in landing.c if column.name not in ("load_id", "line_no", "raw", "broken")]
        blank: dict[str, Any] = {column.name: None for column in content} | {"raw": "", "broken": ERASED}
        numbers = list(
            connection.execute(
                sa.update(landing).where(_is_about(landing, person)).values(blank).returning(landing.c.line_no)
            ).scalars()
        )
        lines[f"raw.{entity}"] += len(numbers)
        if f"checked_{found[2]}" in tables:
            checked = sa.Table(f"checked_{found[2]}", sa.MetaData(), schema="raw", autoload_with=connection)
            named = {column.name for column in content} | _READ_FROM
            blank = {column.name: None for column in checked.c if column.name in named}
            theirs = checked.c.line_no.in_(numbers)
            for whose in {"customer_id", "writer_id"} & set(checked.c.keys()):
                theirs |= checked.c[whose].in_(person["ids"])
            connection.execute(
                sa.update(checked)
                .where(theirs)
                .values(blank | {"verdict": ERASED, "reason": None, "column_name": None})
            )
    return lines


def _is_about(landing: sa.Table, person: Mapping[str, Any]) -> sa.ColumnElement[bool]:
    """By the line's own ids; where it names nobody, or could not be read, by what stands in it."""
    line = sa.func.lower(landing.c.raw)
    patterns = _patterns(person)
    said = [line.regexp_match(trace) for trace in patterns["traces"]]
    for name in patterns["names"]:
        first, _, last = name.partition("\n")
        said.append(line.regexp_match(first) & line.regexp_match(last))
    tests, names_nobody = [], landing.c.broken.is_not(None)
    if "customer_id" in landing.c:
        customer = sa.func.raw.trimmed(landing.c.customer_id)
        tests += [customer.in_(person["ids"]), sa.func.lower(customer).in_(_traces(person))]
        names_nobody |= customer.is_(None)
    else:
        names_nobody = sa.true()
    if "conversation_id" in landing.c:
        tests.append(sa.func.raw.trimmed(landing.c.conversation_id).in_(person["conversations"]))
    if "writer_id" in landing.c:
        writer, number = sa.func.raw.trimmed(landing.c.writer_id), sa.func.raw.trimmed(landing.c.wa_id)
        tests += [writer.in_(person["ids"]), number.in_(person["ids"]), number.in_(_traces(person))]
    if "visitor_id" in landing.c:
        tests.append(names_nobody & sa.func.raw.trimmed(landing.c.visitor_id).in_(person["visitors"]))
    return sa.or_(*tests, names_nobody & sa.or_(sa.false(), *said))
