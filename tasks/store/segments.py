"""Run a segment as the analyst, under a deadline, and stage its rows for the pipeline.

The analyst is a login of its own that may read the schema `facts` and nothing else. The statement was read by
tasks/rules/contract.py before; here the database has the second word, and the watchdog the last.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg2
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from config.campaign import Campaign
from tasks.rules.contract import ADS_PARAM, DELTA_PARAMS, RESERVED_PARAMS, SILENCE_PARAM
from tasks.rules.errors import DatabaseError, Problem, SqlContractError
from tasks.store import sensitive
from tasks.store.engine import MOST_IDLE, scrubbed, wait_longer
from tasks.store.queries import Queries, Query
from tasks.store.watchdog import Watchdog

if TYPE_CHECKING:
    from tasks.store.workspace import Workspace

TABLE = "segment_rows"
FIRST_COLUMNS = ("customer_id", "anchor_at", "episode")
# A segment that needs longer, or finds more people, has a mistake in it more often than not.
SECONDS = 300.0
MOST_ROWS = 5_000_000
BATCH = 5_000
PIECE = 1_000_000
QUERY_CANCELED = "57014"


@dataclass(frozen=True)
class Staged:
    """Where a segment's rows wait, how many they are, and what asked for them (file and parameters)."""

    table: str
    count: int
    sha256: str


@dataclass(frozen=True)
class Preview:
    """A look at a segment's answer; nothing was stored."""

    count: int
    first_anchor: datetime | None
    last_anchor: datetime | None
    rows: list[dict[str, Any]]


def stage(
    work: Workspace,
    connection: sa.Connection,
    name: str,
    params: Mapping[str, Any],
    as_of: datetime,
    *,
    only: Sequence[str] | None = None,
    seconds: float = SECONDS,
    most_rows: int = MOST_ROWS,
) -> Staged:
    """Stream a segment's rows into the temporary table `segment_rows` of the pipeline's connection.

    `only` asks about these customers alone. Raises SqlContractError, with nothing staged for good, when the
    segment does not keep its header's promise, reads what it may not, takes too long or finds too many people.
    """
    query = work.queries[f"segments/{name}"]
    values = _values(work, query, params, as_of)
    connection.execute(work.queries["ledger/stage_create"]())
    connection.execute(work.queries["ledger/stage_clear"]())
    wait_longer(connection, timedelta(seconds=seconds) + MOST_IDLE)
    with _as_analyst(work, query, seconds) as analyst:
        _refuse(describe(analyst, query, values))
        rows = analyst.execution_options(stream_results=True, max_row_buffer=BATCH).execute(
            _streamed(query, values, only, most_rows + 1)
        )
        stream = _CopyLines(rows)
        copy = work.queries["ledger/stage_copy"].sql
        with contextlib.closing(connection.connection.cursor()) as cursor:
            stream.copied_by(lambda: cursor.copy_expert(copy, stream, PIECE))
    found = connection.execute(work.queries["ledger/stage_check"]()).one()
    _refuse(_broken_promises(query, found, most_rows))
    connection.execute(work.queries["ledger/stage_analyze"]())
    return Staged(TABLE, found.staged, fingerprint(query, values))


def preview(
    work: Workspace,
    name: str,
    params: Mapping[str, Any],
    as_of: datetime,
    *,
    limit: int | None = 10,
    seconds: float = SECONDS,
) -> Preview:
    """Count a segment's rows and show the first few; nothing is stored."""
    query = work.queries[f"segments/{name}"]
    values = _values(work, query, params, as_of)
    with _as_analyst(work, query, seconds) as analyst:
        _refuse(describe(analyst, query, values))
        answer = _subquery(query, values)
        of_all = sa.select(sa.func.count(), sa.func.min(answer.c.anchor_at), sa.func.max(answer.c.anchor_at))
        count, first, last = analyst.execute(of_all.select_from(answer)).one()
        ordered = sa.select(answer).order_by(answer.c.anchor_at.desc(), answer.c.customer_id)
        rows = [dict(row) for row in analyst.execute(ordered.limit(limit)).mappings()]
    return Preview(count, first, last, rows)


def answer(work: Workspace, query: Query, params: Mapping[str, Any], *, seconds: float) -> list[dict[str, Any]]:
    """Every row that one of the analysts' files returns for a bounded question, run as the analyst.

    Raises SqlContractError when it does not keep its header's promise, reads what it may not, or takes too long.
    """
    values = query.values(**params)
    with _as_analyst(work, query, seconds) as analyst:
        _refuse(describe(analyst, query, values))
        return [dict(row) for row in analyst.execute(query(**values)).mappings()]


def check(work: Workspace, name: str, params: Mapping[str, Any] | None = None) -> list[Problem]:
    """What the database says against a segment under the analyst's login; no row of it is computed."""
    query = work.queries[f"segments/{name}"]
    try:
        values = _values(work, query, {**sample_values(query), **(params or {})}, datetime.now(UTC))
        with _as_analyst(work, query, SECONDS) as analyst:
            return describe(analyst, query, values)
    except SqlContractError as error:
        return list(error.problems)


def sample_values(query: Query) -> dict[str, Any]:
    """Stand-ins for parameters without a default, so that a file can be planned without a campaign or a page."""
    return {name: _SAMPLES.get(declared.type, "1") for name, declared in query.params.items() if declared.required}


def params_of(query: Query, campaign: Campaign) -> dict[str, Any]:
    """What a campaign asks its segment with: its own parameters, and its ads where the segment asks for them."""
    return campaign.params | ({ADS_PARAM: list(campaign.ads)} if ADS_PARAM in query.params else {})


def min_silence(queries: Queries, campaign: Campaign) -> timedelta | str | None:
    """How long a campaign's people must have been silent; None where its segment does not ask, or cannot be read."""
    try:
        declared = queries[f"segments/{campaign.segment}"].params.get(SILENCE_PARAM)
        return declared.read(campaign.params.get(SILENCE_PARAM, declared.default)) if declared else None
    except (SqlContractError, ValueError):
        return None


def relations(query: Query) -> set[str]:
    """The views a segment reads, such as `facts.purchase_days` (for the holds of the data gate)."""
    return set(query.contract.relations)


def fingerprint(query: Query, params: Mapping[str, Any]) -> str:
    """sha256 over the file and its parameters with defaults; what a run says about time is not part of it."""
    run_params = {"as_of", *DELTA_PARAMS}
    asked = {
        name: _canonical(params.get(name, declared.default))
        for name, declared in query.params.items()
        if name not in run_params
    }
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(query.path.read_bytes() + b"\0" + text.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(Decimal(str(value)).normalize())  # 8, 8.0 and a default of 8 are one number
    return value


def describe(analyst: sa.Connection, query: Query, values: Mapping[str, Any]) -> list[Problem]:
    """Promised columns and types against the database's own answer; plans the statement and fetches nothing."""
    answer = analyst.execution_options(stream_results=True).execute(query(**values))
    with contextlib.closing(answer):
        columns: Any = answer.cursor and answer.cursor.description
        returned = {column.name: column.type_code for column in columns}
    problems = []
    for name, promised in query.returns.items():
        if name not in returned:
            problems.append(Problem(f"{query.where}:{promised.line}", f"promises {name}, the query does not return it"))
        elif (kind := _TYPE_NAMES.get(returned[name], "another type")) != promised.type:
            problems.append(
                Problem(
                    f"{query.where}:{promised.line}", f"promises {name} as {promised.type}, the query returns {kind}"
                )
            )
    problems += [
        Problem(query.at_line(1), f"returns {name}, which the header does not promise")
        for name in returned
        if name not in query.returns
    ]
    return problems


# pg_type numbers of the types a header may name; they never change.
_TYPE_NAMES = {
    16: "boolean", 17: "bytea", 20: "bigint", 21: "smallint", 23: "int", 25: "text", 114: "json", 700: "real",
    701: "double precision", 1042: "text", 1043: "text", 1082: "date", 1083: "time", 1114: "timestamp",
    1184: "timestamptz", 1186: "interval", 1700: "numeric", 2950: "uuid", 3802: "jsonb", 1000: "boolean[]",
    1005: "smallint[]", 1007: "int[]", 1009: "text[]", 1016: "bigint[]", 1022: "double precision[]",
    1182: "date[]", 1185: "timestamptz[]", 1231: "numeric[]", 2951: "uuid[]", 3807: "jsonb[]",
}  # fmt: skip

_SAMPLES: dict[str, Any] = {
    "int": 1, "bigint": 1, "smallint": 1, "numeric": Decimal(1), "double precision": 1.0, "real": 1.0,
    "boolean": True, "date": date(2026, 1, 1), "timestamptz": datetime(2026, 1, 1, tzinfo=UTC), "text": "1",
    "timestamp": datetime(2026, 1, 1), "time": time(12), "interval": timedelta(days=1), "jsonb": {}, "json": {},  # noqa: DTZ001
    "uuid": UUID(int=1), "bytea": b"1", "text[]": ["1"], "int[]": [1], "bigint[]": [1],
}  # fmt: skip


def _values(work: Workspace, query: Query, params: Mapping[str, Any], as_of: datetime) -> dict[str, Any]:
    given_by_us = {"as_of": as_of, "time_zone": str(work.settings.business_zone)}
    ours = {name: given_by_us[name] for name in RESERVED_PARAMS if name in query.params}
    return query.values(**{**params, **ours})


def _subquery(query: Query, values: Mapping[str, Any]) -> sa.Subquery:
    return query(**values).columns(*(sa.column(name) for name in query.returns)).subquery("segment")


def _streamed(query: Query, values: Mapping[str, Any], only: Sequence[str] | None, most: int) -> sa.Select[Any]:
    answer = _subquery(query, values)
    extra = [column for column in answer.c if column.name not in FIRST_COLUMNS]
    evidence = sa.func.jsonb_build_object(*itertools.chain(*((sa.literal(c.name, sa.Text), c) for c in extra)))
    rows = sa.select(
        answer.c.customer_id, sa.cast(answer.c.anchor_at, sa.Text), answer.c.episode, sa.cast(evidence, sa.Text)
    )
    if only is not None:
        people = sa.bindparam(None, list(only), type_=postgresql.ARRAY(sa.Text))
        rows = rows.where(answer.c.customer_id == sa.any_(people))
    return rows.limit(most)


def _broken_promises(query: Query, found: sa.Row[Any], most_rows: int) -> list[Problem]:
    said = {
        "without_customer": ("customer_id", "row(s) have no customer_id"),
        "repeated": ("customer_id", "row(s) repeat a customer_id; a segment returns each customer once"),
        "without_anchor": ("anchor_at", "row(s) have no anchor_at"),
        "without_episode": ("episode", "row(s) have no episode"),
        "barred": ("episode", "row(s) have a | in customer_id or episode, which send keys use as a separator"),
    }
    problems = [
        Problem(f"{query.where}:{query.returns[column].line}", f"{getattr(found, count):,} {what}; nobody was enrolled")
        for count, (column, what) in said.items()
        if getattr(found, count)
    ]
    if found.staged > most_rows:
        problems.append(
            Problem(
                query.at_line(1), f"returns more than {most_rows:,} rows, the most a segment may; nobody was enrolled"
            )
        )
    return problems


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise SqlContractError(*problems)


@contextlib.contextmanager
def analyst_connection(work: Workspace, seconds: float) -> Iterator[tuple[sa.Connection, Watchdog]]:
    """A read-only transaction on the analyst's own login that ends at the deadline, whatever it does."""
    engine = work.database.role_engine("analyst", isolation_level="REPEATABLE READ")
    try:
        try:
            connection = engine.connect().execution_options(postgresql_readonly=True)
        except sa.exc.OperationalError as error:
            raise DatabaseError(
                f"cannot log in as the analyst ({scrubbed(error)}); `reengage db migrate` makes the login, or "
                "`reengage db roles` prints what an administrator runs"
            ) from None
        with connection, Watchdog(work.database, connection, seconds) as watchdog:
            # All rows are wanted, not the first few; the watchdog has a second more than the server's own timeout.
            for setting, value in (("statement_timeout", f"{seconds:g}s"), ("cursor_tuple_fraction", "1")):
                connection.execute(sa.select(sa.func.set_config(setting, value, False)))
            yield connection, watchdog
    finally:
        engine.dispose()


@contextlib.contextmanager
def _as_analyst(work: Workspace, query: Query, seconds: float) -> Iterator[sa.Connection]:
    """The analyst's connection; what the database says against the statement becomes a finding with its line."""
    watchdog: Watchdog | None = None
    sensitive.refresh(work)
    try:
        with analyst_connection(work, seconds) as (connection, watchdog):
            yield connection
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "pgcode", None) == QUERY_CANCELED or (watchdog and watchdog.fired):
            what = f"took longer than {seconds:g} s and was stopped; nobody was enrolled"
            raise SqlContractError(Problem(query.at_line(1), what)) from None
        line = re.search(r"^LINE (\d+):", str(error.orig), re.MULTILINE)
        raise SqlContractError(Problem(query.at_line(int(line[1]) if line else 1), scrubbed(error))) from None


class _CopyLines:
    """Rows as the text COPY reads, a batch at a time, so that memory does not grow with the segment."""

    def __init__(self, rows: sa.Result[Any]) -> None:
        self._batches = rows.partitions(BATCH)
        self._waiting, self._at = "", 0
        self._failed: Exception | None = None

    def copied_by(self, copy: Callable[[], None]) -> None:
        """Run the copy that reads this; an error of the reading side is raised as itself."""
        try:
            copy()
        except psycopg2.Error as error:
            if self._failed:
                raise self._failed from None
            raise DatabaseError(f"staging the segment: {type(error).__name__}") from None

    def read(self, size: int) -> str:
        """The next piece, empty at the end; what psycopg2 calls."""
        if self._at == len(self._waiting):
            try:
                batch = next(self._batches, ())
            except sa.exc.DBAPIError as error:
                self._failed = error
                raise
            self._waiting, self._at = _copy_text(batch), 0
        piece = self._waiting[self._at : self._at + size]
        self._at += len(piece)
        return piece


def _copy_text(batch: Sequence[sa.Row[Any]]) -> str:
    with contextlib.suppress(TypeError):  # a null: the slow way
        text = "".join("\t".join(row) + "\n" for row in batch)
        separators = text.count("\t") + text.count("\n")
        if "\\" not in text and "\r" not in text and separators == len(batch) * _STAGED_COLUMNS:
            return text
    return "".join("\t".join(_copied(value) for value in row) + "\n" for row in batch)


_STAGED_COLUMNS = 4
_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _copied(value: str | None) -> str:
    return "\\N" if value is None else value.translate(_COPY_ESCAPES)
