"""A load as the gate meets it: its entity, its row in raw.loads, and four names of the session for its lines.

`landing` is the load's partition, `checked` its judged lines, `stored` the facts of the same entity and, for grouped
orders, `lines` what the partition's lines say one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from tasks.rules.errors import GateError


@dataclass(frozen=True)
class Entity:
    """What the gate must know of an entity beyond its SQL: key, the stamp that orders versions, the content."""

    key: tuple[str, ...]
    stamp: str | None
    content: tuple[str, ...]
    customer: str | None = None  # what an unknown one leads to: "bare" row, "parked" line

    def key_of(self, table: sa.FromClause) -> sa.ColumnElement[Any]:
        """The key as one text."""
        if len(self.key) == 1:
            return table.c[self.key[0]]
        return sa.func.concat_ws("|", *(table.c[name] for name in self.key))


def _entity(
    columns: str, *, stamp: str | None = None, customer: str | None = None, key: tuple[str, ...] | None = None
) -> Entity:
    names = columns.split()
    key = key or (names[0],)
    return Entity(key, stamp, tuple(name for name in names if name not in {*key, stamp}), customer)


ENTITIES: dict[str, Entity] = {
    "customers": _entity(
        "customer_id email phone first_name last_name language country region time_zone created_at updated_at",
        stamp="updated_at",
    ),
    "purchases": _entity(
        "order_id customer_id purchased_at amount currency status coupon_code items updated_at cancels",
        stamp="updated_at",
        customer="bare",
    ),
    "checkouts": _entity(
        "checkout_id customer_id visitor_id email first_name last_name status failure_reason amount currency language "
        "country items coupon_code opened_at updated_at",
        stamp="updated_at",
        customer="bare",
    ),
    "events": _entity("event_id customer_id name occurred_at properties", customer="parked"),
    "conversations": _entity(
        "conversation_id customer_id channel account ad_id bot_id opened_at milestone milestone_at updated_at",
        stamp="updated_at",
        customer="bare",
    ),
    "messages": _entity(
        "message_id conversation_id direction sender sent_at text kind bot_node writer_id wa_id account group_id "
        "referral ad_id about_id"
    ),
    "ads": _entity("ad_id campaign_name bot_id status updated_at", key=("ad_id", "updated_at")),
    "consents": _entity(
        "consent_id customer_id channel purpose status basis ad_user_data ad_personalization source wording "
        "occurred_at expires_at",
        customer="parked",
    ),
    "push_tokens": _entity(
        "token_id customer_id endpoint platform active updated_at", stamp="updated_at", customer="parked"
    ),
    "visits": _entity(
        "visit_id session_id visitor_id customer_id page_url previous_url referrer keyword source_type city country "
        "language device window_width window_height visit_number custom viewed_at left_at"
    ),
}
# A status says less of a message than the message itself, whichever comes first.
_MESSAGE_STAMP: Final = "case when t.kind = 'sent' then timestamptz '-infinity' else timestamptz 'epoch' end"
# What counts for the customer that an id of WhatsApp turned out to be, and remembers the id.
LINKED: Final = frozenset({"conversations", "events", "purchases"})
JSON_COLUMNS = {"purchases": "items", "checkouts": "items", "events": "properties", "visits": "custom"}
HISTORY_KEYS = ("load_id", "source", "entity", "state", "as_of", "time_zone", "options", "lines_in")


@dataclass(frozen=True)
class Counts:
    """What became of a load's source lines; lines_in is always the sum of the others."""

    lines_in: int = 0
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    parked: int = 0
    erased: int = 0
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """A row of raw.loads; what its options mean to the gate."""

    load_id: int
    source: str
    entity: str
    state: str
    as_of: datetime
    time_zone: str | None
    options: Mapping[str, Any]
    lines_in: int

    @property
    def grouped(self) -> bool:
        """Whether several lines may be one order."""
        return self.options.get("group") is not None

    @property
    def stamp_is_made(self) -> bool:
        """Whether the export has no stamp of its own, so that the load's time stands for it."""
        return bool(self.options.get("content_excludes"))

    def may_have(self, column: str) -> bool:
        """Whether a line may have a value there; lines that come again may keep one of an earlier mapping."""
        mapped = self.options.get("mapped")
        return mapped is None or column in mapped or bool(self.options.get("again"))

    @property
    def landed(self) -> str:
        """Name of its partition in `raw`."""
        return f"{self.entity}_{self.load_id}"

    @property
    def checked(self) -> str:
        """Name of its judged lines in `raw`."""
        return f"checked_{self.load_id}"


def loads_table() -> sa.TableClause:
    """raw.loads."""
    names = (*HISTORY_KEYS, "accepted", "duplicate", "quarantined", "parked", "erased", "report", "merged_at", "reason")
    return sa.table("loads", *(sa.column(name) for name in names), schema="raw")


def open_load(connection: sa.Connection, load_id: int) -> Load:
    """A load by its number, locked until the transaction ends. Raises GateError when there is none."""
    loads = loads_table()
    columns = [loads.c[name] for name in HISTORY_KEYS]
    row = connection.execute(sa.select(*columns).where(loads.c.load_id == load_id).with_for_update()).mappings().first()
    if row is None:
        raise GateError(f"there is no load {load_id}")
    return Load(**row)


# ------------------------------------------------------------------------------------------------ the session's names


def clear_views(connection: sa.Connection) -> None:
    """Forget the names of the load before."""
    connection.execute(sa.text("drop view if exists pg_temp.landing, pg_temp.checked, pg_temp.stored"))


def _view(connection: sa.Connection, name: str, query: sa.Select[Any]) -> None:
    # SQLAlchemy 2.0 has no statement for it, and Prefect's scheduler does not work on 2.1.
    text = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    connection.exec_driver_sql(f"create temporary view {name} as {text}")


def view_landing(connection: sa.Connection, load: Load) -> None:
    """Call the load's partition `landing`."""
    landed = sa.table(load.landed, schema="raw")
    _view(connection, "landing", sa.select(sa.literal_column("*")).select_from(landed))


def view_checked(connection: sa.Connection, load: Load) -> None:
    """Call its judged lines `checked`."""
    _view(connection, "checked", _versions(sa.table(load.checked, schema="raw"), load))


def view_stored(connection: sa.Connection, load: Load) -> None:
    """Call the facts of its entity `stored`."""
    facts = sa.table(load.entity, schema="core")
    query = _versions(facts, load)
    if load.entity == "customers":
        query = query.where(sa.literal_column("not t.is_bare"))  # nothing was ever said about them
    if load.entity == "conversations":
        query = query.where(sa.literal_column("not t.is_derived"))  # made of messages
    _view(connection, "stored", query)


def _versions(table: sa.TableClause, load: Load) -> sa.Select[Any]:
    """Rows with the key, stamp and content that tell versions apart, under the same names for every entity."""
    entity = ENTITIES[load.entity]
    source = sa.table(table.name, *(sa.column(name) for name in (*entity.key, *entity.content)), schema=table.schema)
    named = source.alias("t")
    content = [named.c[name] for name in entity.content]
    stamp = sa.literal_column(f"t.{entity.stamp}" if entity.stamp else "cast(null as timestamptz)")
    if load.entity == "checkouts":  # a guest's checkout came without a customer
        came_as_guest = "t.guest_id is not null" if table.schema == "core" else "starts_with(t.customer_id, 'guest:')"
        came_with = sa.case((sa.literal_column(came_as_guest), sa.null()), else_=named.c.customer_id)
        content = [came_with if column.name == "customer_id" else column for column in content]
    if load.entity in LINKED and table.schema == "core":
        came_with = sa.func.coalesce(sa.literal_column("t.came_as"), named.c.customer_id)
        content = [came_with if column.name == "customer_id" else column for column in content]
    if load.entity == "messages":  # found by us where the message tells its writer
        came_with = sa.case((named.c.writer_id.is_not(None), sa.null()), else_=named.c.conversation_id)
        content = [came_with if column.name == "conversation_id" else column for column in content]
        stamp = sa.literal_column(_MESSAGE_STAMP)
    columns: list[sa.ColumnElement[Any]] = [
        sa.literal_column("t.*"),
        entity.key_of(named).label("key"),
        stamp.label("stamp"),
        sa.cast(sa.func.row(*content), sa.Text).label("content"),
    ]
    return sa.select(*columns).select_from(named)
