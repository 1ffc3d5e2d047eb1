"""Contacts derived once when they change: phone parsing is the dearest thing a load does per person."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from zoneinfo import available_timezones

import sqlalchemy as sa

from tasks.rules.contact import Contact, derive
from tasks.store.queries import Queries

BATCH = 5_000


def refresh(connection: sa.Connection, queries: Queries, as_of: datetime) -> int:
    """Derive the contacts of every customer marked for it; returns how many. Memory is bounded by one batch."""
    waiting = connection.execute(queries["core/contacts_waiting"]().execution_options(yield_per=BATCH)).mappings()
    first = waiting.fetchmany(1)
    if not first:
        waiting.close()
        return 0
    zones = _known_zones(connection)
    connection.execute(sa.text("drop table if exists derived_contacts"))
    connection.execute(queries["core/contacts_create"]())
    count = 0
    for people in _batches(first, waiting):
        rows = []
        for person in people:
            contact = {name: value for name, value in person.items() if name != "customer_id"}
            found = derive(Contact(**contact), zones)
            rows.append(
                (
                    person["customer_id"], found.email_canonical, found.email_reason, found.phone_e164,
                    found.phone_reason, "{" + ",".join(found.time_zones) + "}",
                    "{" + ",".join(found.legal_areas) + "}", found.phone_country,
                )
            )  # fmt: skip
        copy_rows(connection, "derived_contacts", rows)
        count += len(rows)
    connection.execute(sa.text("analyze derived_contacts"))
    connection.execute(queries["core/contacts_store"](as_of=as_of))
    connection.execute(sa.text("drop table derived_contacts"))
    return count


def copy_rows(connection: sa.Connection, table: str, rows: Iterable[Iterable[str | None]]) -> None:
    """Rows of text into a temporary table by COPY; None is null, an empty text stays one."""
    buffer = io.StringIO()
    for row in rows:
        quoted = ("" if value is None else '"' + value.replace('"', '""') + '"' for value in row)
        buffer.write(",".join(quoted) + "\n")
    buffer.seek(0)
    with connection.connection.cursor() as cursor:  # ty: ignore[invalid-context-manager] - psycopg2's has both
        cursor.copy_expert(f"copy {table} from stdin (format csv)", buffer)


def _batches(first: Iterable[sa.RowMapping], rest: sa.MappingResult) -> Iterator[list[sa.RowMapping]]:
    batch = list(first)
    for rows in rest.partitions(BATCH):
        yield [*batch, *rows]
        batch = []
    if batch:
        yield batch


def _known_zones(connection: sa.Connection) -> frozenset[str]:
    """Zones that both Python and this server can read: the claim compares wall clocks in SQL."""
    names = connection.execute(sa.select(sa.table("pg_timezone_names", sa.column("name")).c.name)).scalars()
    return frozenset(names) & available_timezones()
