"""Merging a judged load: its accepted lines become facts, whatever came before, and every line is counted."""

from __future__ import annotations

import contextlib
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from tasks.rules.contact import canonical_email, guest_id, writable_email
from tasks.rules.keyed import pads
from tasks.store import contacts, cycle, filling, judging, loads, silences, writers
from tasks.store.loads import ENTITIES, Counts, Load
from tasks.store.queries import Queries

INQUIRY_DAYS = 30
LONGEST_INQUIRY_DAYS = 180
# From here on the first purchases are worth building the indexes afterwards.
MANY_LINES = 50_000


def merge_lines(connection: sa.Connection, queries: Queries, load: Load, key: str) -> dict[str, Any]:
    """Bring what was accepted into `core`, with all that hangs on it; gives what the load's report says of it."""
    entity, report, met = ENTITIES[load.entity], {}, list[str]()
    parameters = {"as_of": load.as_of, "load_id": load.load_id}
    tells_silences = load.entity in {"conversations", "messages", "customers"}
    if tells_silences:
        silences.begin(connection)
    _settle_whose(connection, queries, load, key)

    # A load is small beside what is stored: its keys are looked up, and its groups fit in memory.
    connection.execute(sa.text("set local random_page_cost = 1.1; set local work_mem = '128MB'"))
    is_first = not _has_rows(connection, load.entity)
    known = 0 if is_first else _compare(connection, queries, load)
    if entity.customer == "bare":
        nobody_yet = is_first and load.lines_in >= MANY_LINES and not _has_rows(connection, "customers")
        with filling.emptied(connection, queries, "customers") if nobody_yet else contextlib.nullcontext():
            report["bare_customers"] = connection.execute(queries["core/gate_bare_customers"](**parameters)).rowcount
    if load.entity == "events":
        connection.execute(queries["core/gate_linked"](**parameters))

    if load.entity == "conversations":
        connection.execute(queries["core/conversations_touched"]())
    if load.entity == "messages":
        connection.execute(queries["core/messages_touched"](known=known > 0))
    if load.entity == "ads":
        connection.execute(queries["core/ads_noted"]())
    if load.entity == "purchases":
        report |= _merge_purchases(connection, queries, load, is_first=is_first, known=known)
    elif load.entity == "events":
        _merge_events(connection, queries, load, known=known)
    else:
        connection.execute(queries[f"core/merge_{load.entity}"](load_id=load.load_id))
    filling.grown(connection, queries, f"core.{load.entity}", load.lines_in)
    connection.execute(sa.text("set local random_page_cost to default; set local work_mem to default"))
    if load.entity == "conversations":
        writers.of_lines(connection, queries, load)
        silences.wait(connection)  # a derivation that has this turn writes milestones too
        connection.execute(queries["core/milestones"]())
    if load.entity in {"checkouts", "conversations"}:
        _write_inquiries(connection, queries, load)
    if load.entity in {"checkouts", "customers"}:
        report |= _meet_guests(connection, queries, load, key, met)
    if load.entity in {"messages", "customers"}:
        report |= _meet_writers(connection, queries, load, met)
    if tells_silences:
        silences.refresh(connection, queries)
    _note_changed(connection, queries, load, met)
    return report


def _compare(connection: sa.Connection, queries: Queries, load: Load) -> int:
    """How many lines have a key that is known; what they replace is kept aside, those that do not win are marked."""
    # New keys lie behind all that is stored, and a merge join would read its way up to them.
    connection.execute(sa.text("set local enable_mergejoin = off"))
    known = connection.execute(queries["core/gate_compare"](stamp_is_made=load.stamp_is_made)).scalar_one()
    connection.execute(sa.text("set local enable_mergejoin to default"))
    if known:
        connection.execute(queries["core/gate_displaced"](source=load.source, entity=load.entity))
        if load.entity == "checkouts":
            connection.execute(queries["core/guests_left"]())
        if load.entity == "customers":
            connection.execute(queries["core/emails_replaced"]())
        if load.entity == "consents":
            connection.execute(queries["core/consents_replaced"]())
        if load.grouped:
            connection.execute(queries["core/gate_spread"]())
    return known


def _settle_whose(connection: sa.Connection, queries: Queries, load: Load, key: str) -> None:
    """Find out whom lines are about, and leave out what is about nobody any more."""
    if ENTITIES[load.entity].customer == "parked":
        connection.execute(queries["core/gate_known"]())
    if load.entity == "checkouts":
        _know_guests(connection, queries, key)
    if load.entity == "customers":
        _start_former_emails(connection)
    judging.drop_erased(connection, queries, load, key)
    if load.entity == "conversations":
        judging.forget_conversations(connection, queries, load, key)
    if load.entity == "messages":
        connection.execute(queries["core/messages_revoked"]())
        connection.execute(queries["core/messages_revoke"]())
    if load.entity in {"visits", "events"}:
        connection.execute(queries[f"core/{load.entity}_aged"]())
    if load.entity in {"messages", "push_tokens"}:
        inner_pad, outer_pad = pads(key)
        connection.execute(queries[f"core/{load.entity}_aged"](inner_pad=inner_pad, outer_pad=outer_pad))


def _merge_purchases(
    connection: sa.Connection, queries: Queries, load: Load, *, is_first: bool, known: int
) -> dict[str, Any]:
    """Purchases with what cancels them, then the purchase days of everyone touched."""
    cycle.begin(connection)
    connection.execute(sa.text("drop table if exists pg_temp.cancel_targets"))
    connection.execute(sa.text("create temporary table cancel_targets (order_id text not null) on commit drop"))
    if is_first and load.lines_in >= MANY_LINES:  # purchase days are written for everybody then
        with filling.emptied(connection, queries, "purchases"):
            connection.execute(queries["core/fill_purchases"](load_id=load.load_id))
    else:
        connection.execute(queries["core/purchases_touched"]())
        if known:
            connection.execute(queries["core/purchases_touched_before"]())
        write = queries["core/merge_purchases" if known else "core/add_purchases"]
        connection.execute(write(load_id=load.load_id))
    writers.of_lines(connection, queries, load)
    if not is_first or load.may_have("cancels"):
        connection.execute(queries["core/cancel_targets"]())
        connection.execute(sa.text("analyze cancel_targets"))
        connection.execute(queries["core/cancel_link"]())
    prefixes = load.options.get("cancellation_prefixes", [])
    unlinked = connection.execute(queries["core/cancel_unlinked"](prefixes=prefixes))
    report = {"unlinked_cancellations": unlinked.scalar_one()}
    connection.execute(sa.text("set local random_page_cost to default; set local work_mem to default"))
    cycle.refresh(connection, queries)
    return report


def _merge_events(connection: sa.Connection, queries: Queries, load: Load, *, known: int) -> None:
    """Events, and whose they were."""
    cycle.begin(connection)
    if known:
        connection.execute(queries["core/events_touched"]())
    connection.execute(queries["core/merge_events"](load_id=load.load_id))
    writers.of_lines(connection, queries, load)


def _know_guests(connection: sa.Connection, queries: Queries, key: str) -> None:
    """Checkouts that name an email and no customer belong to the guest of that email."""
    connection.execute(sa.text("drop table if exists pg_temp.came_as_guest"))
    connection.execute(
        sa.text(
            "create temporary table came_as_guest "
            "(email text not null, guest_id text not null, email_canonical text not null) on commit drop"
        )
    )
    checked = sa.table("checked", *(sa.column(name) for name in ("email", "customer_id")))
    emails = sa.select(checked.c.email).where(checked.c.customer_id.is_(None), checked.c.email.is_not(None)).distinct()
    guests = []
    for email in connection.execute(emails.execution_options(yield_per=contacts.BATCH)).scalars():
        canonical, _ = canonical_email(email)
        if canonical:
            guests.append((email, guest_id(key, canonical), canonical))
    if guests:
        contacts.copy_rows(connection, "came_as_guest", guests)
        connection.execute(queries["core/guests_assign"]())


def _start_former_emails(connection: sa.Connection) -> None:
    connection.execute(sa.text("drop table if exists pg_temp.former_emails"))
    connection.execute(
        sa.text("create temporary table former_emails (customer_id text not null, email_canonical text) on commit drop")
    )


def _remember_emails(connection: sa.Connection, queries: Queries, key: str) -> None:
    """Customers whose email changed claim the guests of all they ever had, whichever version came first."""
    versions = connection.execute(queries["core/emails_not_standing"]().execution_options(yield_per=contacts.BATCH))
    for batch in versions.partitions(contacts.BATCH):
        had = ((row.customer_id, writable_email(row.email, row.first_name, row.last_name)[0]) for row in batch)
        contacts.copy_rows(connection, "former_emails", had)
    inner_pad, outer_pad = pads(key)
    connection.execute(queries["core/emails_remember"](inner_pad=inner_pad, outer_pad=outer_pad))


def _meet_guests(connection: sa.Connection, queries: Queries, load: Load, key: str, met: list[str]) -> dict[str, Any]:
    """Describe guests nobody claims, derive changed contacts, and hand over the history of claimed ones (`met`)."""
    connection.execute(sa.text("drop table if exists pg_temp.described_customers"))
    connection.execute(sa.text("create temporary table described_customers (customer_id text not null) on commit drop"))
    if load.entity == "checkouts":
        connection.execute(queries["core/guests_known"]())
        connection.execute(queries["core/guests_described"](load_id=load.load_id))
    else:
        connection.execute(sa.text("drop table if exists pg_temp.came_as_guest"))
        connection.execute(queries["core/guests_none"]())
        connection.execute(queries["core/customers_described"]())
    derived = contacts.refresh(connection, queries, load.as_of)
    if load.entity == "customers":
        _remember_emails(connection, queries, key)
    claimed = list(connection.execute(queries["core/guests_claimed"](as_of=load.as_of)).scalars())
    if claimed:
        connection.execute(queries["core/guests_moved"](guests=claimed))
    met += claimed
    return {"contacts_derived": derived, "guests_merged": len(claimed)}


def _write_inquiries(connection: sa.Connection, queries: Queries, load: Load) -> None:
    if load.entity == "conversations":
        writers.make_tables(connection)
        connection.execute(queries["core/inquiry_opened"]())
    _write_inquiries_of(connection, queries, load, load.entity)
    connection.execute(queries["core/inquiry_withdrawn"](entity=load.entity))


def _write_inquiries_of(connection: sa.Connection, queries: Queries, load: Load, what: str) -> None:
    days = min(int(load.options.get("inquiry_days", INQUIRY_DAYS)), LONGEST_INQUIRY_DAYS)
    connection.execute(queries[f"core/inquiry_{what}"](days=days, load_id=load.load_id))


def _meet_writers(connection: sa.Connection, queries: Queries, load: Load, met: list[str]) -> dict[str, Any]:
    """Messages that tell their writer make conversations, and customers may turn out to be who wrote (`met`)."""
    meet = writers.of_messages if load.entity == "messages" else writers.of_customers
    report = meet(connection, queries, load)
    met += writers.linked(connection)
    _write_inquiries_of(connection, queries, load, "conversations")
    return report


def _note_changed(connection: sa.Connection, queries: Queries, load: Load, met: list[str]) -> None:
    """Remember whose episodes this load may end, and whose milestones it may change (tasks/store/milestones.py).

    People are noted last and in one statement each, so that two loads never wait for each other.
    """
    if load.entity in {"conversations", "messages", "customers"}:
        connection.execute(queries["core/milestones_of_load"]())
    if load.entity in {"purchases", "events"}:
        connection.execute(queries["core/milestones_of_people"]())
        connection.execute(queries["core/people_filled" if load.lines_in >= MANY_LINES else "core/people_noted"]())
    if met:
        connection.execute(queries["core/people_met"](ids=met))


def _has_rows(connection: sa.Connection, entity: str) -> bool:
    facts = sa.table(entity, sa.column("load_id"), schema="core")
    return bool(connection.execute(sa.select(sa.exists(sa.select(facts.c.load_id)))).scalar())


def newest_quarantined(connection: sa.Connection) -> int:
    """The highest number in quarantine, 0 when it is empty."""
    quarantine = sa.table("quarantine", sa.column("quarantine_id"), schema="raw")
    return connection.execute(sa.select(sa.func.coalesce(sa.func.max(quarantine.c.quarantine_id), 0))).scalar_one()


def settle(
    connection: sa.Connection, queries: Queries, load: Load, report: dict[str, Any], last_quarantined: int
) -> Counts:
    """Count the lines, keep aside what did not become facts, and close the load.

    Lines in quarantine after number `last_quarantined` are this load's doing.
    """
    counts = dict.fromkeys(("accepted", "duplicate", "quarantined", "parked", "erased"), 0)
    reasons: dict[str, int] = {}
    orders = trimmed = repeated_time = 0
    for row in connection.execute(queries["core/gate_counts"]()).mappings():
        counts[row["verdict"]] += row["lines"]
        if row["reason"]:
            reasons[row["reason"]] = reasons.get(row["reason"], 0) + row["lines"]
        orders += row["things"]
        trimmed += row["trimmed"]
        repeated_time += row["repeated_time"]
    named = {"load_id": load.load_id, "entity": load.entity}
    if counts["quarantined"]:
        connection.execute(queries["core/gate_quarantine"](source=load.source, **named))
    if load.entity == "consents":  # also for stored lines that this load contradicts
        connection.execute(queries["core/gate_block"](after=last_quarantined))
    if counts["parked"]:
        connection.execute(queries["core/gate_park"](**named))
    report |= {"reasons": reasons}
    if load.entity == "purchases":
        report["orders"] = orders
    if trimmed:
        report["trimmed_ids"] = trimmed
    if repeated_time:
        report["times_that_happened_twice"] = repeated_time
    table = loads.loads_table()
    lines_in = sum(counts.values())
    connection.execute(
        sa.update(table)
        .where(table.c.load_id == load.load_id)
        .values(
            **counts,
            lines_in=lines_in,
            state="merged",
            reason=None,
            merged_at=sa.func.clock_timestamp(),
            report=table.c.report.op("||")(sa.cast(report, JSONB)),
        )
    )
    return Counts(lines_in=lines_in, report=report, **counts)
