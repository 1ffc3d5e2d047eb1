"""Judging the lines of a landed load: each is read once, by sets, in SQL."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from tasks.rules.contact import keyed_hash
from tasks.rules.keywords import Keywords
from tasks.store import contacts
from tasks.store.loads import ENTITIES, JSON_COLUMNS, Load
from tasks.store.queries import Queries

CLOCK_SKEW = timedelta(minutes=5)
# Reason code of a landed line that was blanked because its person asked to be forgotten, and its verdict.
ERASED: Final = "erased"
# What stands before the ids of things, so that they are no customer's.
CONVERSATION: Final = "conversation:"
VISITOR: Final = "visitor:"
_ERASING: Final = ("customer_id", "conversation_id", "visitor_id", "writer_id", "wa_id")
_EMAIL: Final = re.compile(r"[^\s\"',;:<>()\[\]|=]{1,64}@[\w.-]{3,250}")
_PHONE: Final = re.compile(r"\+?\d[\d ()/-]{5,24}\d")


def generate_keys(connection: sa.Connection, load: Load) -> None:
    """A row without a number of its own is known by its line and its place among the load's identical lines."""
    key = ENTITIES[load.entity].key[0]
    landed = sa.table(load.landed, *(sa.column(name) for name in ("line_no", "raw", "broken", key)), schema="raw")
    line = sa.func.btrim(landed.c.raw)
    ordinal = sa.func.row_number().over(partition_by=line, order_by=landed.c.line_no)
    bytes_of = sa.func.convert_to(sa.func.concat(line, "|", ordinal), "UTF8")
    numbered = (
        sa.select(landed.c.line_no, sa.func.encode(sa.func.sha256(bytes_of), "hex").label("made"))
        .where(landed.c.broken.is_(None))
        .subquery()
    )
    connection.execute(sa.update(landed).where(landed.c.line_no == numbered.c.line_no).values({key: numbered.c.made}))


def read_lines(connection: sa.Connection, queries: Queries, load: Load) -> None:
    """Read the lines quickly; where a value that looked like a time is none, read again looking at every character."""
    parameters: dict[str, Any] = {"latest": load.as_of + CLOCK_SKEW, "zone": load.time_zone}
    if load.entity == "purchases":
        parameters["grouped"] = load.grouped
    json_column = JSON_COLUMNS.get(load.entity)
    if json_column and load.may_have(json_column) and _any_value(connection, load, json_column):
        # reading JSON needs an exception block, which parallel workers cannot have
        connection.execute(sa.text("set local max_parallel_workers_per_gather = 0"))
    for careful in (False, True):
        lines = queries[f"core/check_{load.entity}"](careful=careful, **parameters)
        try:
            with connection.begin_nested():
                if load.grouped:
                    connection.execute(sa.text("drop table if exists pg_temp.lines"))
                    _create_as(connection, "create temporary table lines on commit drop as", lines)
                    connection.execute(sa.text("analyze lines"))
                    lines = queries["core/gate_group"]()
                # autovacuum that looks at a table holds up whoever drops it
                _create_as(
                    connection, f"create unlogged table raw.{load.checked} with (autovacuum_enabled = off) as", lines
                )
        except sa.exc.DataError:
            if careful:
                raise
        else:
            break
    if json_column:
        connection.execute(sa.text("set local max_parallel_workers_per_gather to default"))


def note_keywords(connection: sa.Connection, queries: Queries, load: Load) -> None:
    """Which keyword groups the texts of a load's messages have a word of; memory is bounded by one batch."""
    keywords = Keywords(load.options.get("keywords") or {})
    if load.entity != "messages" or not keywords:
        return
    connection.execute(sa.text("drop table if exists pg_temp.found_keywords"))
    connection.execute(queries["core/keywords_create"]())
    landed = sa.table("landing", sa.column("line_no"), sa.column("text"))
    texts = sa.select(landed.c.line_no, landed.c.text).where(landed.c.text.is_not(None))
    for batch in connection.execute(texts.execution_options(yield_per=contacts.BATCH)).partitions():
        found = ((str(row.line_no), keywords.found(row.text)) for row in batch)
        rows = [(line_no, "{" + ",".join(names) + "}") for line_no, names in found if names]
        if rows:
            contacts.copy_rows(connection, "found_keywords", rows)
    connection.execute(queries["core/keywords_store"]())


def mark_repeats(connection: sa.Connection, queries: Queries, load: Load) -> None:
    """Of several lines with one key one stands; a load without such lines is read once."""
    connection.execute(sa.text("drop table if exists pg_temp.repeated_keys"))
    # A million different keys are sorted in half the time that a hash of them takes to leave memory, and in parallel:
    # the numbers that workers hand over are small.
    settings = {"enable_hashagg": "off", "work_mem": "'64MB'", "parallel_tuple_cost": "0"}
    for name, value in settings.items():
        connection.execute(sa.text(f"set local {name} = {value}"))
    head = "create temporary table repeated_keys on commit drop as"
    repeated = _create_as(connection, head, queries["core/gate_repeated"]())
    for name in settings:
        connection.execute(sa.text(f"set local {name} to default"))
    if repeated:
        connection.execute(sa.text("analyze repeated_keys"))
        connection.execute(queries["core/gate_repeats"](stamp_is_made=load.stamp_is_made))


def _any_value(connection: sa.Connection, load: Load, column: str) -> bool:
    landed = sa.table(load.landed, sa.column(column), schema="raw")
    return bool(connection.execute(sa.select(sa.exists().where(landed.c[column].is_not(None)))).scalar())


def _create_as(connection: sa.Connection, head: str, query: sa.TextClause) -> int:
    """A table made of a statement's rows, and how many: such a statement may read in parallel, an insert may not."""
    return connection.execute(sa.text(f"{head} {query.text}").bindparams(**query.compile().params)).rowcount


def drop_erased(connection: sa.Connection, queries: Queries, load: Load, key: str) -> None:
    """Mark the lines of erased people. They are known by keyed hashes only, so every id of the load is hashed.

    Besides ids, lines are known by their conversation, by a browser where they name nobody, and by an address that
    stands in a line nobody could read.
    """
    hashes = erased_hashes(connection)
    if not hashes:
        return
    names = {*ENTITIES[load.entity].key, *ENTITIES[load.entity].content}
    checked = sa.table("checked", *(sa.column(name) for name in (*_ERASING, "line_no", "verdict", "reason")))
    if "customer_id" in names:
        _mark_erased(connection, queries, key, hashes, checked, checked.c.customer_id)
    if load.entity == "messages":
        _mark_erased(connection, queries, key, hashes, checked, checked.c.conversation_id, CONVERSATION)
        _mark_erased(connection, queries, key, hashes, checked, checked.c.writer_id)
        _mark_erased(connection, queries, key, hashes, checked, checked.c.wa_id)
    if "visitor_id" in names:
        _mark_erased(
            connection, queries, key, hashes, checked, checked.c.visitor_id, VISITOR, checked.c.customer_id.is_(None)
        )
    _drop_unread(connection, queries, key, hashes, checked)


def _mark_erased(
    connection: sa.Connection,
    queries: Queries,
    key: str,
    hashes: Collection[str],
    checked: sa.TableClause,
    column: sa.ColumnElement[Any],
    prefix: str = "",
    where: sa.ColumnElement[bool] | None = None,
) -> None:
    narrowed = sa.and_(column.is_not(None), sa.true() if where is None else where)
    values = connection.execute(
        sa.select(column).where(narrowed).distinct().execution_options(yield_per=contacts.BATCH)
    )
    gone = [value for value in values.scalars() if keyed_hash(key, f"{prefix}{value}") in hashes]
    if gone:
        theirs = sa.select(checked.c.line_no).where(narrowed, column.in_(gone))
        connection.execute(queries["core/gate_erased"](lines=list(connection.execute(theirs).scalars())))


def _drop_unread(
    connection: sa.Connection, queries: Queries, key: str, hashes: Collection[str], checked: sa.TableClause
) -> None:
    """Lines that go to quarantine keep their text, so none may name somebody who is erased; nor those blanked here."""
    landing = sa.table("landing", sa.column("line_no"), sa.column("raw"))
    bad = (
        sa.select(landing.c.line_no, landing.c.raw, checked.c.reason)
        .select_from(landing)
        .join(checked, checked.c.line_no == landing.c.line_no)
        .where(checked.c.verdict == "quarantined")
    )
    gone = [
        row.line_no
        for row in connection.execute(bad.execution_options(yield_per=contacts.BATCH))
        if row.reason == ERASED or names_erased(key, hashes, row.raw)
    ]
    if gone:
        connection.execute(queries["core/gate_erased"](lines=gone))


def erased_hashes(connection: sa.Connection) -> frozenset[str]:
    """Keyed hashes of everybody who asked to be forgotten."""
    erased = sa.table("erased", sa.column("customer_hash"), schema="raw")
    return frozenset(connection.execute(sa.select(erased.c.customer_hash)).scalars())


def names_erased(key: str, hashes: Collection[str], line: str) -> bool:
    """Whether an address of somebody erased stands in a line that could not be read."""
    return bool(hashes) and any(keyed_hash(key, text) in hashes for text in _addresses_in(line))


def _addresses_in(line: str) -> Iterator[str]:
    """What could be an email or a phone number in a line that could not be read, as the hashes are made of it."""
    for found in _EMAIL.findall(line):
        yield found.lower()
    for found in _PHONE.findall(line):
        digits = re.sub(r"\D", "", found)
        yield digits
        yield digits.removeprefix("00")


def forget_conversations(connection: sa.Connection, queries: Queries, load: Load, key: str) -> None:
    """Conversations of erased people take their messages along, those that came before and those to come."""
    checked = sa.table("checked", sa.column("conversation_id"), sa.column("verdict"))
    found = sa.select(checked.c.conversation_id).where(
        checked.c.verdict == ERASED, checked.c.conversation_id.is_not(None)
    )
    gone = list(connection.execute(found).scalars())
    if gone:
        connection.execute(queries["core/gate_erased_conversations"](conversations=gone))
        hashes = [keyed_hash(key, f"{CONVERSATION}{one}") for one in gone]
        connection.execute(queries["core/erase_remember"](hashes=hashes, at=load.as_of))
