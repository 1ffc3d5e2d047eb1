"""Step: bring in what is new of one source: land it, let the gate judge it, merge what passes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from config.errors import ConfigError, Problem
from config.sources import ENTITIES, FileSource, SqlSource
from tasks import validate
from tasks.rules.errors import GateError, ModeError, Superseded
from tasks.sources import contacts, files, landing
from tasks.sources import sql as databases
from tasks.sources.mapping import ExtractError
from tasks.step import say, show_table, step
from tasks.store import gate, mode
from tasks.store.workspace import Workspace

COUNTS = ("lines_in", "accepted", "duplicate", "quarantined", "parked", "erased")


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
        """For tables: everything but the report."""
        names = ("load_id", "source", "entity", "object", "state", *COUNTS, "reason")
        return {name: getattr(self, name) for name in names}


def in_order(work: Workspace, names: Sequence[str] = ()) -> list[str]:
    """Sources to pull, people before what they did, so that little has to wait for its customer.

    Raises ConfigError naming each source that does not exist.
    """
    unknown = [name for name in names if name not in work.sources]
    if unknown:
        known = ", ".join(work.sources) or "none"
        raise ConfigError(*(Problem(name, f"no such source; there are: {known}") for name in unknown))
    ranks = {entity: rank for rank, entity in enumerate(ENTITIES)}
    return sorted(names or work.sources, key=lambda name: (ranks[work.sources[name].entity], name))


@step(name="pull {name}", tags=["ingest"])
def source(work: Workspace, name: str, as_of: datetime, found: FileSource | SqlSource | None = None) -> list[Load]:
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
        say(_sentence(load))
    if not loads:
        say(f"{name}: nothing new")
    show_table(f"ingest-{name.replace('_', '-')}", [load.row() for load in loads], f"{name}: loads of this run")
    return loads


@step(name="release load {load_id}", tags=["ingest"])
def release(work: Workspace, load_id: int) -> Load:
    """Merge a held load all the same, because a person says so, and let go of the campaigns it holds.

    For an extract that could not be read there is nothing to merge: only the hold ends. Raises GateError for a load
    that is neither held nor failed.
    """
    with work.database.transaction() as connection:
        row = connection.execute(work.queries["core/load_show"](load_id=load_id)).one_or_none()
        holding = connection.execute(work.queries["core/hold_count"](load_id=load_id)).scalar_one()
    if row is None or not (row.state in ("held", "failed") or holding):
        state = "does not exist" if row is None else f"is {row.state}"
        raise GateError(f"load {load_id} {state} and holds no campaign; there is nothing to release")
    with _alone(work, row.source):
        if row.state == "held":
            with work.database.transaction() as connection:
                connection.execute(
                    work.queries["core/load_state"](load_id=load_id, state="landed", reason=None, released=True)
                )
            _merge(work, load_id)
        else:
            with work.database.transaction() as connection:
                connection.execute(work.queries["core/hold_remove"](load_id=load_id))
    return _load(work, load_id)


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
    with work.database.transaction() as connection:
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
    lock = f"pull/{name}"
    with work.database.alone() as connection:
        if not connection.execute(work.queries["ledger/run_try_lock"](lock=lock)).scalar_one():
            raise Superseded(f"{name}: another run is pulling this source")
        try:
            yield
        finally:
            with contextlib.suppress(sa.exc.DBAPIError):  # the connection is gone, and the lock with it
                connection.execute(work.queries["ledger/run_unlock"](lock=lock))


def _waiting(work: Workspace, name: str) -> list[int]:
    with work.database.transaction() as connection:
        return list(connection.execute(work.queries["core/load_list"](source=name)).scalars())


def _new(work: Workspace, name: str, found: FileSource | SqlSource, as_of: datetime) -> list[Load]:
    landed = (
        _land_files(work, name, found, as_of) if isinstance(found, FileSource) else _land_sql(work, name, found, as_of)
    )
    # One object after the other, so that a first load of a year of files never lies in raw as a whole.
    return [_settle(work, load_id, as_of) if fits else _load(work, load_id) for load_id, fits in landed]


def _land_files(work: Workspace, name: str, found: FileSource, as_of: datetime) -> Iterator[tuple[int, bool]]:
    queries = work.queries
    with work.database.transaction() as connection:
        known = {(row.key, row.etag) for row in connection.execute(queries["core/object_list"](source=name))}
    folder = work.settings.folder("sources").parent
    for entry in files.new_objects(found, name, folder, known):
        extract = landing.Extract(name, found, entry.key, entry.etag, as_of)
        try:
            with work.database.transaction() as connection:
                load_id = landing.begin(connection, queries, extract)
                with files.read(found, entry) as reading:
                    landing.fill(connection, queries, extract, load_id, reading)
                connection.execute(
                    queries["core/object_seen"](source=name, key=entry.key, etag=entry.etag, load_id=load_id)
                )
        except ExtractError as error:
            yield _failed(work, extract, str(error)), False
        else:
            yield load_id, True


def _land_sql(work: Workspace, name: str, found: SqlSource, as_of: datetime) -> Iterator[tuple[int, bool]]:
    queries = work.queries
    extract = landing.Extract(name, found, found.table or "query", None, as_of)
    try:
        with work.database.transaction() as connection:
            position = connection.execute(queries["core/watermark_read"](source=name)).scalar()
            known = {row.etag for row in connection.execute(queries["core/object_list"](source=name))}
            load_id = landing.begin(connection, queries, extract)
            with databases.read(found, name, position) as (reading, progress):
                landing.fill(connection, queries, extract, load_id, reading)
            _note_progress(connection, work, extract, load_id, progress, known)
    except landing.NothingNew:
        return
    except ExtractError as error:
        yield _failed(work, extract, str(error)), False
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


def _failed(work: Workspace, extract: landing.Extract, reason: str) -> int:
    """Remember an extract that cannot be used, and hold who would have read it (R15)."""
    found = extract.source
    with work.database.transaction() as connection:
        load_id = connection.execute(
            work.queries["core/load_failed"](
                source=extract.name,
                entity=found.entity,
                object=extract.object,
                etag=extract.etag,
                incremental=found.delivers == "incremental",
                as_of=extract.as_of,
                reason=reason,
            )
        ).scalar_one()
        validate.hold(work, connection, load_id, extract.name, found.entity, reason)
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


def _merge(work: Workspace, load_id: int, *, checked: bool = False) -> Load:
    with work.database.transaction() as connection:
        if not checked:
            gate.check(connection, work.queries, load_id, _key(work))
        gate.merge(connection, work.queries, load_id, _key(work))
        connection.execute(work.queries["core/hold_remove"](load_id=load_id))
    return _load(work, load_id)


def _silent(work: Workspace, name: str, found: FileSource | SqlSource, as_of: datetime) -> list[Load]:
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
    """What keys the hashes of guests and of erased people."""
    return work.settings.suppression_key.get_secret_value()


def _load(work: Workspace, load_id: int) -> Load:
    with work.database.transaction() as connection:
        row = connection.execute(work.queries["core/load_show"](load_id=load_id)).one()
    return Load(**{name: getattr(row, name) for name in Load.__dataclass_fields__})


def _sentence(load: Load) -> str:
    if load.state != "merged":
        return f"{load.source}: load {load.load_id} {load.state}: {load.reason}"
    parts = [f"{getattr(load, name):,} {name}" for name in COUNTS[1:] if getattr(load, name)]
    return f"{load.source}: {load.lines_in:,} lines, {', '.join(parts) or 'none'}"
