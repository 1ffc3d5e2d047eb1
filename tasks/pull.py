"""Step: bring in what is new of one source: land it, let the gate judge it, merge what passes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from config.errors import ConfigError, Problem
from config.sources import ENTITIES, AnySource, FileSource, ReportSource, SqlSource, WhatsappSource
from tasks import validate
from tasks.rules import whatsapp, words
from tasks.rules.errors import GateError, ModeError, Superseded
from tasks.sources import contacts, files, landing
from tasks.sources import reports as archives
from tasks.sources import sql as databases
from tasks.sources.mapping import ExtractError
from tasks.step import going_on, say, show_table, step
from tasks.store import gate, milestones, mode, reports, turn
from tasks.store.engine import MOST_IDLE_PATIENT
from tasks.store.gate import MERGE_LOCK
from tasks.store.workspace import Workspace

RECEIVED = reports.CHATS
COUNTS = ("lines_in", "accepted", "duplicate", "quarantined", "parked", "erased")
# What stories say where they go on without it.
RECEIVED_WAIT = "received messages wait for the next run"
MILESTONES_WAIT = "milestones wait for the next ingest"
_BUSY = "received messages: another load is at work; they wait for the next run"
_LOCK_TIMEOUT = "55P03"


@dataclass(frozen=True)
class Load:
    """One load after its turn: what it was, how it ended, and where its lines went."""

    load_id: int
    source: str
    entity: str
    object: str
    state: str
    reason: str | None
    lines_in: int
    accepted: int
    duplicate: int
    quarantined: int
    parked: int
    erased: int
    report: dict[str, Any]

    def row(self) -> dict[str, Any]:
        """For tables: what its report says is told in words."""
        names = ("load_id", "source", "entity", "object", "state", *COUNTS, "reason")
        return {**{name: getattr(self, name) for name in names}, "reported": self.reported}

    @property
    def reported(self) -> str:
        """What is worth knowing beside where its lines went, in words: counts and names of columns only."""
        return words.reported(self.report)


def in_order(work: Workspace, names: Sequence[str] = ()) -> list[str]:
    """Sources to pull, people before what they did, so that little has to wait for its customer.

    Raises ConfigError naming each source that does not exist.
    """
    unknown = [name for name in names if name not in work.sources]
    if unknown:
        known = ", ".join(work.sources) or "none"
        raise ConfigError(*(Problem(name, f"no such source; there are: {known}") for name in unknown))
    ranks = {entity: rank for rank, entity in enumerate(ENTITIES)}
    return sorted(names or work.sources, key=lambda name: (ranks.get(work.sources[name].entity, len(ranks)), name))


@step(name="pull {name}", tags=["ingest"])
def source(work: Workspace, name: str, as_of: datetime, found: AnySource | None = None) -> list[Load]:
    """Land and merge what is new of one source; safe to run again at any point, also after a crash.

    Loads that were landed before are finished first, held ones are checked again. A load the gate does not believe
    ends as held, an extract that cannot be used as failed; both hold the campaigns that read it, and neither stops
    the loads after it. Raises Superseded when another run pulls this source. `found` is a source that stands in no
    file. A source that has brought nothing for longer than its fresh_within is told with its last load, as stale.
    """
    if found is None:
        in_order(work, [name])
        found = work.sources[name]
    with _alone(work, name):
        loads = [_settle(work, load_id, as_of) for load_id in _waiting(work, name)]
        loads += _new(work, name, found, as_of)
        loads += [] if loads else _silent(work, name, found, as_of)
    for load in loads:
        say(sentence(load))
    if not loads:
        say(f"{name}: nothing new")
    show_table(f"ingest-{name.replace('_', '-')}", [load.row() for load in loads], f"{name}: loads of this run")
    return loads


@step(name="derive milestones", tags=["ingest"])
def derive(work: Workspace) -> int:
    """Derive the milestones of every conversation that loads have changed; gives how many.

    Safe to run again at any point. Raises SqlContractError when the analysts' rule cannot be used.
    """
    return milestones.derive(work)


@step(name="take in received messages", tags=["ingest"])
def received(work: Workspace, as_of: datetime) -> list[Load]:
    """Bring in the WhatsApp messages that the receiver has taken since the last time, through the same gate as files.

    Safe to run at any time and before what is due: while another load is being landed or merged it leaves them to the
    next run, and milestones that cannot be derived at once to the next ingest.
    """
    loads = []
    with _alone(work, RECEIVED):
        try:
            for load_id in _waiting(work, RECEIVED):
                loads.append(_merge(work, load_id, at_once=True))  # noqa: PERF401 - keeps those before
            taken = work.database.repeated(lambda connection: _take_received(work, connection, as_of))
            loads += [_load(work, taken)] if taken else []
        except Superseded as why:
            say(str(why))
    for load in loads:
        say(sentence(load))
    if loads:
        with going_on(MILESTONES_WAIT):
            milestones.derive_meanwhile(work)
    return loads


def _take_received(work: Workspace, connection: sa.Connection, as_of: datetime) -> int | None:
    """Land and merge in one transaction: until then the claim sees that they wait.

    Line by line they are judged as any; a few minutes of a night are no extract that could keep promises.
    """
    if not connection.execute(work.queries["core/received_any"]()).scalar_one():
        return None
    with _at_once(connection):
        rows = connection.execute(work.queries["core/received_taken"]()).all()
        told = [whatsapp.Told(row.raw, row.fields) for row in rows]
        taken = landing.chats(connection, work.queries, RECEIVED, reports.LIVE, None, as_of, work.keywords, told)
        gate.check(connection, work.queries, taken, _key(work))
        gate.merge(connection, work.queries, taken, _key(work))
        return taken


@contextlib.contextmanager
def _at_once(connection: sa.Connection) -> Iterator[None]:
    """What waits for no other load: Superseded where one is merged, or holds a lock for longer than a few seconds."""
    connection.execute(sa.text("set local lock_timeout = '5s'"))
    if not connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(MERGE_LOCK))).scalar_one():
        raise Superseded(_BUSY)
    try:
        yield
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != _LOCK_TIMEOUT:
            raise
        raise Superseded(_BUSY) from None


@step(name="release load {load_id}", tags=["ingest"])
def release(work: Workspace, load_id: int) -> Load:
    """Merge a held load all the same, because a person says so, and let go of the campaigns it holds.

    For an extract that could not be read there is nothing to merge: only the hold ends. Raises GateError for a load
    that is neither held nor failed, ConfigError when there is none with that number.
    """
    row = _row(work, load_id)
    with work.database.transaction() as connection:
        holding = connection.execute(work.queries["core/hold_count"](load_id=load_id)).scalar_one()
    if not (row.state in ("held", "failed") or holding):
        raise GateError(f"load {load_id} is {row.state} and holds no campaign; there is nothing to release")
    with _alone(work, row.source):
        if row.state == "held":
            with work.database.transaction() as connection:
                connection.execute(
                    work.queries["core/load_state"](load_id=load_id, state="landed", reason=None, released=True)
                )
            _merge(work, load_id)
            with going_on(MILESTONES_WAIT):
                milestones.derive(work)
        else:
            with work.database.transaction() as connection:
                connection.execute(work.queries["core/hold_remove"](load_id=load_id))
    return _load(work, load_id)


@step(name="read load {load_id} again", tags=["ingest"])
def again(work: Workspace, load_id: int, as_of: datetime) -> list[Load]:
    """Leave out a held load and read its extract anew, as it is by now and under today's mapping; gives what came.

    What it holds goes on waiting until a good load of the source has come. A database with a cursor is read from its
    beginning: rows that are known add nothing. Raises GateError for a load that is not held or whose lines do not come
    from a file or a database, ConfigError when there is none with that number or its source has gone.
    """
    row = _row(work, load_id)
    [name] = in_order(work, [row.source])
    if not isinstance(work.sources[name], FileSource | SqlSource):
        raise GateError(f"load {load_id} is of an archive of webhooks, whose reports are counted already; release it")
    with _alone(work, name), work.database.transaction() as connection:
        gate.leave_out(connection, work.queries, load_id, "left out, to be read again")
        connection.execute(work.queries["core/object_forget"](load_id=load_id))
        connection.execute(work.queries["core/watermark_forget"](source=name))
    return source(work, name, as_of)


def _row(work: Workspace, load_id: int) -> sa.Row[Any]:
    with work.database.transaction() as connection:
        row = connection.execute(work.queries["core/load_show"](load_id=load_id)).one_or_none()
    if row is None:
        raise ConfigError(Problem(str(load_id), "no such load; ingest names the loads that are held"))
    return row


@dataclass(frozen=True)
class Sample:
    """Made-up contacts that were brought in: how many people, how many of them agreed to nothing, the loads."""

    people: int
    without_consent: int
    loads: list[Load]


@step(name="sample contacts", tags=["ingest"])
def sample_contacts(work: Workspace, as_of: datetime | None) -> Sample:
    """Bring in made-up contacts for people without, through the same gate as any file.

    Raises ModeError unless the database is simulated: in a live one they would be written to as if they were real.
    """
    at = mode.clock(work, as_of, decides=False)
    with work.database.transaction(most_idle=MOST_IDLE_PATIENT) as connection:
        if mode.peek(work, connection) != "simulated":
            raise ModeError(
                f"database {work.database.name} is not simulated; made-up people have no place beside real ones "
                "(set REENGAGE_MODE=simulated, or mode: simulated in reengage.yaml, for a database to play with)"
            )
        rows = connection.execute(work.queries["core/sample_people"](as_of=at))
        people = (contacts.Person(row.customer_id, row.first_at) for row in rows)
        written = contacts.write(people, work.settings.home / "sample" / work.database.name, at)
    if not written.people:
        return Sample(0, 0, [])
    loads = source(work, "sample_customers", at, written.customers)
    loads += source(work, "sample_consents", at, written.consents)
    return Sample(written.people, written.without_consent, loads)


@contextlib.contextmanager
def _alone(work: Workspace, name: str) -> Iterator[None]:
    """One process at a time pulls a source; the lock ends with the connection, however that ends."""
    with turn.hold(work, f"pull/{name}") as taken:
        if not taken:
            raise Superseded(f"{name}: another run is pulling this source")
        yield


def _waiting(work: Workspace, name: str) -> list[int]:
    with work.database.transaction() as connection:
        return list(connection.execute(work.queries["core/load_list"](source=name)).scalars())


def _new(work: Workspace, name: str, found: AnySource, as_of: datetime) -> list[Load]:
    if isinstance(found, ReportSource | WhatsappSource):
        taken = _take_archives(work, name, found, as_of)
        return [_settle(work, load_id, as_of) if is_landed else _load(work, load_id) for load_id, is_landed in taken]
    landed = (
        _land_files(work, name, found, as_of) if isinstance(found, FileSource) else _land_sql(work, name, found, as_of)
    )
    # One object after the other, so that a first load of a year of files never lies in raw as a whole.
    return [_settle(work, load_id, as_of) if fits else _load(work, load_id) for load_id, fits in landed]


def _land_files(work: Workspace, name: str, found: FileSource, as_of: datetime) -> Iterator[tuple[int, bool]]:
    queries = work.queries
    for entry in _objects(work, name, found):
        extract = landing.Extract(name, found, entry.key, entry.etag, as_of, _key(work), work.keywords)
        try:
            with work.database.transaction(most_idle=MOST_IDLE_PATIENT) as connection:
                load_id = landing.begin(connection, queries, extract)
                with files.read(found, entry) as reading:
                    landing.fill(connection, queries, extract, load_id, reading)
                connection.execute(
                    queries["core/object_seen"](source=name, key=entry.key, etag=entry.etag, load_id=load_id)
                )
        except ExtractError as error:
            yield _failed(work, name, found, extract.object, extract.etag, as_of, str(error)), False
        else:
            yield load_id, True


def _objects(work: Workspace, name: str, found: FileSource | ReportSource | WhatsappSource) -> Iterator[files.Object]:
    with work.database.transaction() as connection:
        seen = connection.execute(work.queries["core/object_list"](source=name))
        known = {(row.key, row.etag) for row in seen}
    return files.new_objects(found, name, work.settings.folder("sources").parent, known)


def _take_archives(
    work: Workspace, name: str, found: ReportSource | WhatsappSource, as_of: datetime
) -> Iterator[tuple[int, bool]]:
    """Loads of archives, and whether the gate has to judge them.

    Reports need no gate: each line is judged by itself, and its effects are those of a webhook. Messages of WhatsApp
    are facts, and land like those of any file.
    """
    with work.database.transaction() as connection:
        at = as_of if mode.peek(work, connection) == "simulated" else None
    for entry in _objects(work, name, found):
        try:
            loads = work.database.repeated(
                lambda connection, entry=entry: _take_archive(work, connection, name, found, entry, as_of, at)
            )
        except ExtractError as error:
            yield _failed(work, name, found, entry.key, entry.etag, as_of, str(error)), False
        else:
            yield from loads


def _take_archive(
    work: Workspace,
    connection: sa.Connection,
    name: str,
    found: ReportSource | WhatsappSource,
    entry: files.Object,
    as_of: datetime,
    at: datetime | None,
) -> list[tuple[int, bool]]:
    """One object in one transaction, so that it is taken whole and once (K1)."""
    queries, key = work.queries, _key(work)
    # Fetched before the first statement begins the transaction, which must not wait for a bucket.
    with entry.open() as file:
        fetched = replace(entry, open=lambda: contextlib.nullcontext(file))
        load_id = reports.open_load(
            connection, queries, source=name, provider=found.provider, entry=entry.key, etag=entry.etag, as_of=as_of
        )
        counted = reports.Counted()
        with archives.read(fetched) as blocks:
            for block in blocks:
                counted += reports.take_lines(
                    connection,
                    queries,
                    found.provider,
                    load_id,
                    block,
                    key=key,
                    at=at,
                    revoke_all=work.settings.pipeline.revoke_all,
                )
        reports.close_load(connection, queries, load_id, counted)
        connection.execute(queries["core/object_seen"](source=name, key=entry.key, etag=entry.etag, load_id=load_id))
        if isinstance(found, ReportSource):
            return [(load_id, False)]
        with archives.read(fetched) as blocks:
            lines = (line for block in blocks for line in block if not line.broken)
            told = (message for line in lines for message in whatsapp.messages(line.raw, found.provider, key))
            landed = landing.chats(connection, queries, name, entry.key, entry.etag, as_of, work.keywords, told)
        return [(load_id, False), (landed, True)]


def _land_sql(work: Workspace, name: str, found: SqlSource, as_of: datetime) -> Iterator[tuple[int, bool]]:
    queries = work.queries
    extract = landing.Extract(name, found, found.table or "query", None, as_of, _key(work), work.keywords)
    try:
        with work.database.transaction(most_idle=MOST_IDLE_PATIENT) as connection:
            position = connection.execute(queries["core/watermark_read"](source=name)).scalar()
            known = {row.etag for row in connection.execute(queries["core/object_list"](source=name))}
            load_id = landing.begin(connection, queries, extract)
            with databases.read(found, name, position) as (reading, progress):
                landing.fill(connection, queries, extract, load_id, reading)
            _note_progress(connection, work, extract, load_id, progress, known)
    except landing.NothingNew:
        return
    except ExtractError as error:
        yield _failed(work, name, found, extract.object, None, as_of, str(error)), False
    else:
        yield load_id, True


def _note_progress(
    connection: sa.Connection,
    work: Workspace,
    extract: landing.Extract,
    load_id: int,
    progress: databases.Progress,
    known: set[str],
) -> None:
    """Move the watermark, or remember the content of a source without cursor; NothingNew undoes the whole load."""
    if progress.has_cursor:
        if not progress.moved:
            raise landing.NothingNew
        moved = work.queries["core/watermark_move"]
        connection.execute(moved(source=extract.name, position=progress.position, load_id=load_id))
        return
    digest = progress.digest.hexdigest()
    if digest in known:
        raise landing.NothingNew
    seen = work.queries["core/object_seen"]
    connection.execute(seen(source=extract.name, key=extract.object, etag=digest, load_id=load_id))


def _failed(
    work: Workspace, name: str, found: AnySource, entry: str, etag: str | None, as_of: datetime, reason: str
) -> int:
    """Remember an extract that cannot be used, and hold who would have read it (R15)."""
    with work.database.transaction() as connection:
        load_id = connection.execute(
            work.queries["core/load_failed"](
                source=name,
                entity=found.entity,
                object=entry,
                etag=etag,
                incremental=found.delivers == "incremental",
                as_of=as_of,
                reason=reason,
            )
        ).scalar_one()
        validate.hold(work, connection, load_id, name, found.entity, reason)
    return load_id


def _settle(work: Workspace, load_id: int, as_of: datetime) -> Load:
    """Check a landed or held load and merge it, or hold it."""
    load = _load(work, load_id)
    with work.database.transaction() as connection:
        gate.check(connection, work.queries, load_id, _key(work))
    with work.database.transaction() as connection:
        released = connection.execute(work.queries["core/load_show"](load_id=load_id)).one().released_at is not None
    verdict = validate.load(work, load_id, as_of)
    if verdict.passed or released:
        return _merge(work, load_id, checked=True)
    with work.database.transaction() as connection:
        connection.execute(
            work.queries["core/load_state"](load_id=load_id, state="held", reason=verdict.reason, released=False)
        )
        held = validate.hold(work, connection, load_id, load.source, load.entity, verdict.reason)
    say(f"{load.source}: load {load_id} is held and holds {', '.join(held) or 'no campaign'}")
    return _load(work, load_id)


def _merge(work: Workspace, load_id: int, *, checked: bool = False, at_once: bool = False) -> Load:
    def do(connection: sa.Connection) -> None:
        with _at_once(connection) if at_once else contextlib.nullcontext():
            if not checked:
                gate.check(connection, work.queries, load_id, _key(work))
            gate.merge(connection, work.queries, load_id, _key(work))
            connection.execute(work.queries["core/hold_remove"](load_id=load_id))

    work.database.repeated(do)
    return _load(work, load_id)


def _silent(work: Workspace, name: str, found: AnySource, as_of: datetime) -> list[Load]:
    """The last load of a source that has stopped delivering, which nothing new would ever tell; or nothing."""
    if found.fresh_within is None:
        return []
    with work.database.transaction() as connection:
        last = connection.execute(work.queries["core/load_last"](source=name)).one_or_none()
        if last is None or as_of - last.as_of <= found.fresh_within:
            return []
        reason = validate.silent(work, connection, last.load_id, last.as_of, found, name, as_of)
    return [replace(_load(work, last.load_id), state="stale", reason=reason)]


def _key(work: Workspace) -> str:
    """What keys the hashes of guests, of erased people, and of WhatsApp's messages."""
    return work.settings.suppression_key.get_secret_value()


def _load(work: Workspace, load_id: int) -> Load:
    with work.database.transaction() as connection:
        row = connection.execute(work.queries["core/load_show"](load_id=load_id)).one()
    return Load(**{name: getattr(row, name) for name in Load.__dataclass_fields__})


def sentence(load: Load) -> str:
    """What became of a load and why, without a word of any line."""
    beside = f"; {load.reported}" if load.reported else ""
    if load.state != "merged":
        return f"{load.source}: load {load.load_id} {load.state}: {load.reason}{beside}"
    parts = [f"{getattr(load, name):,} {name}" for name in COUNTS[1:] if getattr(load, name)]
    return f"{load.source}: {load.lines_in:,} lines, {', '.join(parts) or 'none'}{beside}"
