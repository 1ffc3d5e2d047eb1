"""The gate: every landed line is accepted, a duplicate, quarantined, parked or erased, and only then are facts.

Lines are routed by sets, in SQL. The statements meet four names of the session: `landing` (the load's partition),
`checked` (its judged lines), `stored` (the facts of the same entity) and, for grouped orders, `lines`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from tasks.rules.contact import canonical_email, guest_id, keyed_hash
from tasks.rules.errors import GateError
from tasks.store import contacts, cycle
from tasks.store.queries import Queries

# One load is merged at a time: customers, guests and cancellations reach over the entities.
MERGE_LOCK = 7_345_009
CLOCK_SKEW = timedelta(minutes=5)
INQUIRY_DAYS = 30
LONGEST_INQUIRY_DAYS = 180
# From here on the first purchases are worth building the indexes afterwards.
MANY_LINES = 50_000


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
    "messages": _entity("message_id conversation_id direction sender sent_at text kind"),
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
class _Load:
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
        return self.options.get("group") is not None

    @property
    def stamp_is_made(self) -> bool:
        return bool(self.options.get("content_excludes"))

    def may_have(self, column: str) -> bool:
        """Whether a line may have a value there; lines that come again may keep one of an earlier mapping."""
        mapped = self.options.get("mapped")
        return mapped is None or column in mapped or bool(self.options.get("again"))

    @property
    def landed(self) -> str:
        return f"{self.entity}_{self.load_id}"

    @property
    def checked(self) -> str:
        return f"checked_{self.load_id}"


def check(connection: sa.Connection, queries: Queries, load_id: int, key: str) -> None:
    """Judge every line of a landed load into the unlogged table raw.checked_<load_id>; may be repeated.

    `key` is the suppression key: erased people are known by a keyed hash only. Nothing in `core` is touched.
    """
    load = _load(connection, load_id)
    _clear_views(connection)
    connection.execute(sa.text(f"drop table if exists raw.{load.checked}"))
    _view_landing(connection, load)
    if load.options.get("key") == "generated":
        _generate_keys(connection, load)
    _read_lines(connection, queries, load)
    _view_checked(connection, load)
    connection.execute(sa.text(f"analyze raw.{load.checked}"))
    if not load.grouped:
        connection.execute(sa.text("set local work_mem = '128MB'"))  # the load's keys in memory, once
        connection.execute(queries["core/gate_repeats"](stamp_is_made=load.stamp_is_made))
        connection.execute(sa.text("set local work_mem to default"))
    _drop_erased(connection, queries, load, key)
    _clear_views(connection)


def merge(connection: sa.Connection, queries: Queries, load_id: int, key: str) -> Counts:
    """Bring a checked load into `core` and count what became of its lines, in the caller's one transaction.

    Safe to repeat and independent of order and batching. Lines parked earlier are applied when their customer comes.
    """
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MERGE_LOCK)))
    counts = _merge_alone(connection, queries, load_id, key)
    _apply_parked(connection, queries, key)
    return counts


def _merge_alone(connection: sa.Connection, queries: Queries, load_id: int, key: str) -> Counts:
    load = _load(connection, load_id)
    if load.state not in {"landed", "held"}:
        raise GateError(f"load {load_id} of {load.source} is {load.state}; only a landed or held load is merged")
    _clear_views(connection)
    _view_landing(connection, load)
    _view_checked(connection, load)
    _view_stored(connection, load)
    report = _merge_lines(connection, queries, load, key)
    counts = _settle(connection, queries, load, report)
    _clear_views(connection)
    connection.execute(sa.text(f"drop table raw.{load.landed}, raw.{load.checked}"))
    return counts


def land_again(
    connection: sa.Connection,
    queries: Queries,
    load_id: int,
    why: str,
    lines: Sequence[Mapping[str, Any]],
    as_of: datetime | None = None,
) -> int:
    """Land lines kept earlier (raw, broken, fields) as a new load like the one that brought them; returns its id."""
    again = connection.execute(queries["core/loads_again"](load_id=load_id, object=why, as_of=as_of)).scalar_one()
    load = _load(connection, again)
    connection.execute(
        sa.text(f"create table raw.{load.landed} partition of raw.{load.entity} for values in ({again})")
    )
    landing = sa.Table(load.landed, sa.MetaData(), schema="raw", autoload_with=connection)
    names = [column.name for column in landing.columns]
    kept = {"load_id", "line_no", "raw", "broken"}
    for line in lines:
        unknown = line["fields"].keys() - set(names) | (line["fields"].keys() & kept)
        if unknown:
            raise GateError(f"{load.entity} has no column {', '.join(sorted(unknown))}; it has {', '.join(names[4:])}")
    connection.execute(
        sa.insert(landing),
        [
            {name: line["fields"].get(name) for name in names}
            | {"load_id": again, "line_no": number, "raw": line["raw"], "broken": line["broken"]}
            for number, line in enumerate(lines, 1)
        ],
    )
    loads = _loads()
    connection.execute(sa.update(loads).where(loads.c.load_id == again).values(lines_in=len(lines)))
    return again


def set_zone(connection: sa.Connection, load_id: int, zone: str | None) -> None:
    """Name the zone of a landed load's times without one, when its source has learnt it since."""
    loads = _loads()
    connection.execute(sa.update(loads).where(loads.c.load_id == load_id).values(time_zone=zone))


def _loads() -> sa.TableClause:
    names = (*HISTORY_KEYS, "accepted", "duplicate", "quarantined", "parked", "erased", "report", "merged_at", "reason")
    return sa.table("loads", *(sa.column(name) for name in names), schema="raw")


def _load(connection: sa.Connection, load_id: int) -> _Load:
    loads = _loads()
    columns = [loads.c[name] for name in HISTORY_KEYS]
    row = connection.execute(sa.select(*columns).where(loads.c.load_id == load_id).with_for_update()).mappings().first()
    if row is None:
        raise GateError(f"there is no load {load_id}")
    return _Load(**row)


# ------------------------------------------------------------------------------------------------ the session's names


def _clear_views(connection: sa.Connection) -> None:
    connection.execute(sa.text("drop view if exists pg_temp.landing, pg_temp.checked, pg_temp.stored"))


def _view(connection: sa.Connection, name: str, query: sa.Select[Any]) -> None:
    # SQLAlchemy 2.0 has no statement for it, and Prefect's scheduler does not work on 2.1.
    text = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    connection.exec_driver_sql(f"create temporary view {name} as {text}")


def _view_landing(connection: sa.Connection, load: _Load) -> None:
    landed = sa.table(load.landed, schema="raw")
    _view(connection, "landing", sa.select(sa.literal_column("*")).select_from(landed))


def _view_checked(connection: sa.Connection, load: _Load) -> None:
    _view(connection, "checked", _versions(sa.table(load.checked, schema="raw"), load))


def _view_stored(connection: sa.Connection, load: _Load) -> None:
    facts = sa.table(load.entity, schema="core")
    query = _versions(facts, load)
    if load.entity == "customers":
        query = query.where(sa.literal_column("not t.is_bare"))  # nothing was ever said about them
    _view(connection, "stored", query)


def _versions(table: sa.TableClause, load: _Load) -> sa.Select[Any]:
    """Rows with the key, stamp and content that tell versions apart, under the same names for every entity."""
    entity = ENTITIES[load.entity]
    source = sa.table(table.name, *(sa.column(name) for name in (*entity.key, *entity.content)), schema=table.schema)
    named = source.alias("t")
    content = [named.c[name] for name in entity.content]
    if load.entity == "checkouts":  # a guest's checkout came without a customer
        came_as_guest = "t.guest_id is not null" if table.schema == "core" else "starts_with(t.customer_id, 'guest:')"
        came_with = sa.case((sa.literal_column(came_as_guest), sa.null()), else_=named.c.customer_id)
        content = [came_with if column.name == "customer_id" else column for column in content]
    stamp = sa.literal_column(f"t.{entity.stamp}" if entity.stamp else "cast(null as timestamptz)")
    columns: list[sa.ColumnElement[Any]] = [
        sa.literal_column("t.*"),
        entity.key_of(named).label("key"),
        stamp.label("stamp"),
        sa.cast(sa.func.row(*content), sa.Text).label("content"),
    ]
    return sa.select(*columns).select_from(named)


# -------------------------------------------------------------------------------------------------------------- check


def _generate_keys(connection: sa.Connection, load: _Load) -> None:
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


def _read_lines(connection: sa.Connection, queries: Queries, load: _Load) -> None:
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
                _create_as(connection, f"create unlogged table raw.{load.checked} as", lines)
        except sa.exc.DataError:
            if careful:
                raise
        else:
            break
    if json_column:
        connection.execute(sa.text("set local max_parallel_workers_per_gather to default"))


def _any_value(connection: sa.Connection, load: _Load, column: str) -> bool:
    landed = sa.table(load.landed, sa.column(column), schema="raw")
    return bool(connection.execute(sa.select(sa.exists().where(landed.c[column].is_not(None)))).scalar())


def _create_as(connection: sa.Connection, head: str, query: sa.TextClause) -> None:
    """A table made of a statement's rows: such a statement may read in parallel, an insert may not."""
    connection.execute(sa.text(f"{head} {query.text}").bindparams(**query.compile().params))


def _drop_erased(connection: sa.Connection, queries: Queries, load: _Load, key: str) -> None:
    """Mark the lines of erased people. Their ids are kept as keyed hashes only, so every id of the load is hashed."""
    if "customer_id" not in (*ENTITIES[load.entity].key, *ENTITIES[load.entity].content):
        return
    erased = sa.table("erased", sa.column("customer_hash"), schema="raw")
    hashes = set(connection.execute(sa.select(erased.c.customer_hash)).scalars())
    if not hashes:
        return
    checked = sa.table("checked", sa.column("customer_id"))
    people = sa.select(checked.c.customer_id).where(checked.c.customer_id.is_not(None)).distinct()
    connection.execute(sa.text("drop table if exists pg_temp.erased_customers"))
    connection.execute(sa.text("create temporary table erased_customers (customer_id text not null) on commit drop"))
    gone = [
        (person,)
        for person in connection.execute(people.execution_options(yield_per=contacts.BATCH)).scalars()
        if keyed_hash(key, person) in hashes
    ]
    contacts.copy_rows(connection, "erased_customers", gone)
    connection.execute(queries["core/gate_erased"]())


# -------------------------------------------------------------------------------------------------------------- merge


def _merge_lines(connection: sa.Connection, queries: Queries, load: _Load, key: str) -> dict[str, Any]:
    entity, report = ENTITIES[load.entity], {}
    parameters = {"as_of": load.as_of, "load_id": load.load_id}
    if entity.customer == "parked":
        connection.execute(queries["core/gate_known"]())
    if load.entity == "checkouts":
        _know_guests(connection, queries, key)
    _drop_erased(connection, queries, load, key)

    last_quarantined = _last_quarantined(connection)
    # A load is small beside what is stored: its keys are looked up, and its groups fit in memory.
    connection.execute(sa.text("set local random_page_cost = 1.1; set local work_mem = '128MB'"))
    is_first, known = not _has_rows(connection, load.entity), 0
    if not is_first:
        known = connection.execute(queries["core/gate_compare"](stamp_is_made=load.stamp_is_made)).scalar_one()
    if known:
        connection.execute(queries["core/gate_displaced"](source=load.source, entity=load.entity))
        if load.grouped:
            connection.execute(queries["core/gate_spread"]())
    if entity.customer == "bare":
        if is_first and load.lines_in >= MANY_LINES and not _has_rows(connection, "customers"):
            connection.execute(sa.text("truncate core.customers"))  # as in _fill_purchases: no write-ahead log
        report["bare_customers"] = connection.execute(queries["core/gate_bare_customers"](**parameters)).rowcount

    if load.entity == "purchases":
        report |= _merge_purchases(connection, queries, load, is_first=is_first, known=known)
    else:
        connection.execute(queries[f"core/merge_{load.entity}"](load_id=load.load_id))
    connection.execute(sa.text("set local random_page_cost to default; set local work_mem to default"))
    if load.entity == "conversations":
        connection.execute(queries["core/milestones"]())
    if load.entity in {"checkouts", "conversations"}:
        _write_inquiries(connection, queries, load)
    if load.entity in {"checkouts", "customers"}:
        report |= _meet_guests(connection, queries, load)

    connection.execute(queries["core/gate_quarantine"](load_id=load.load_id, source=load.source, entity=load.entity))
    if load.entity == "consents":
        connection.execute(queries["core/gate_block"](after=last_quarantined))
    if entity.customer == "parked":
        connection.execute(queries["core/gate_park"](load_id=load.load_id, entity=load.entity))
    return report


def _merge_purchases(
    connection: sa.Connection, queries: Queries, load: _Load, *, is_first: bool, known: int
) -> dict[str, Any]:
    """Purchases with what cancels them, then the purchase days of everyone touched."""
    connection.execute(sa.text("drop table if exists pg_temp.touched_customers, pg_temp.cancel_targets"))
    connection.execute(
        sa.text("create temporary table touched_customers (customer_id text primary key) on commit drop")
    )
    connection.execute(sa.text("create temporary table cancel_targets (order_id text not null) on commit drop"))
    if is_first and load.lines_in >= MANY_LINES:  # purchase days are written for everybody then
        _fill_purchases(connection, queries, load)
    else:
        connection.execute(queries["core/purchases_touched"]())
        if known:
            connection.execute(queries["core/purchases_touched_before"]())
        connection.execute(queries["core/merge_purchases"](load_id=load.load_id))
    if not is_first or load.may_have("cancels"):
        connection.execute(queries["core/cancel_targets"]())
        connection.execute(sa.text("analyze cancel_targets"))
        connection.execute(queries["core/cancel_link"]())
    unlinked = connection.execute(queries["core/cancel_unlinked"](prefix=load.options.get("cancellation_prefix")))
    report = {"unlinked_cancellations": unlinked.scalar_one()}
    connection.execute(sa.text("set local random_page_cost to default; set local work_mem to default"))
    cycle.refresh(connection, queries)
    return report


def _fill_purchases(connection: sa.Connection, queries: Queries, load: _Load) -> None:
    """The first load: fill the bare table and build its indexes by sorting, in the same transaction.

    A table emptied in the transaction that fills it needs no write-ahead log where the server keeps a minimal one.
    """
    indexes = connection.execute(queries["core/table_indexes"](relation="purchases")).mappings().all()
    connection.execute(sa.text("truncate core.purchases"))
    for index in indexes:
        connection.execute(sa.text(index["drop"]))
    connection.execute(queries["core/fill_purchases"](load_id=load.load_id))
    connection.execute(sa.text("set local maintenance_work_mem = '256MB'"))
    for index in indexes:
        connection.execute(sa.text(index["create"]))
    connection.execute(sa.text("analyze core.purchases"))


def _know_guests(connection: sa.Connection, queries: Queries, key: str) -> None:
    """Checkouts that name an email and no customer belong to the guest of that email."""
    connection.execute(sa.text("drop table if exists pg_temp.came_as_guest"))
    connection.execute(
        sa.text(
            "create temporary table came_as_guest "
            "(email text not null, guest_id text not null, email_canonical text not null) on commit drop"
        )
    )
    checked = sa.table("checked", *(sa.column(name) for name in ("email", "customer_id", "verdict")))
    emails = (
        sa.select(checked.c.email)
        .where(checked.c.customer_id.is_(None), checked.c.email.is_not(None), checked.c.verdict == "accepted")
        .distinct()
    )
    guests = []
    for email in connection.execute(emails.execution_options(yield_per=contacts.BATCH)).scalars():
        canonical, _ = canonical_email(email)
        if canonical:
            guests.append((email, guest_id(key, canonical), canonical))
    if guests:
        contacts.copy_rows(connection, "came_as_guest", guests)
        connection.execute(queries["core/guests_assign"]())


def _meet_guests(connection: sa.Connection, queries: Queries, load: _Load) -> dict[str, Any]:
    """Describe guests nobody claims, derive changed contacts, and hand claimed guests over with their history."""
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
    claimed = list(connection.execute(queries["core/guests_claimed"](as_of=load.as_of)).scalars())
    if claimed:
        connection.execute(queries["core/guests_moved"](guests=claimed))
    return {"contacts_derived": derived, "guests_merged": len(claimed)}


def _write_inquiries(connection: sa.Connection, queries: Queries, load: _Load) -> None:
    days = min(int(load.options.get("inquiry_days", INQUIRY_DAYS)), LONGEST_INQUIRY_DAYS)
    connection.execute(queries[f"core/inquiry_{load.entity}"](days=days, load_id=load.load_id))
    connection.execute(queries["core/inquiry_withdrawn"](entity=load.entity))


def _has_rows(connection: sa.Connection, entity: str) -> bool:
    facts = sa.table(entity, sa.column("load_id"), schema="core")
    return bool(connection.execute(sa.select(sa.exists(sa.select(facts.c.load_id)))).scalar())


def _last_quarantined(connection: sa.Connection) -> int:
    quarantine = sa.table("quarantine", sa.column("quarantine_id"), schema="raw")
    return connection.execute(sa.select(sa.func.coalesce(sa.func.max(quarantine.c.quarantine_id), 0))).scalar_one()


def _settle(connection: sa.Connection, queries: Queries, load: _Load, report: dict[str, Any]) -> Counts:
    """Count the lines and close the load."""
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
    report |= {"reasons": reasons}
    if load.entity == "purchases":
        report["orders"] = orders
    if trimmed:
        report["trimmed_ids"] = trimmed
    if repeated_time:
        report["times_that_happened_twice"] = repeated_time
    loads = _loads()
    lines_in = sum(counts.values())
    connection.execute(
        sa.update(loads)
        .where(loads.c.load_id == load.load_id)
        .values(
            **counts,
            lines_in=lines_in,
            state="merged",
            reason=None,
            merged_at=sa.func.clock_timestamp(),
            report=loads.c.report.op("||")(sa.cast(report, JSONB)),
        )
    )
    return Counts(lines_in=lines_in, report=report, **counts)


def _apply_parked(connection: sa.Connection, queries: Queries, key: str) -> None:
    """Land parked lines of people who are known now again, one load per load that brought them."""
    for waiting in connection.execute(queries["core/parked_ready"]()).mappings().all():
        kept = connection.execute(queries["core/parked_taken"](**waiting)).mappings()
        lines = [dict(line) for line in kept]
        again = land_again(connection, queries, waiting["load_id"], "parked lines whose customer came", lines)
        check(connection, queries, again, key)
        _merge_alone(connection, queries, again, key)
