"""Bring a database to the schema of this checkout: sql/migrations in order, each applied once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from config.settings import CHECKOUT
from tasks.rules.errors import DatabaseError
from tasks.store.engine import ROLES, Database, Role, scrubbed

MIGRATIONS = CHECKOUT / "sql" / "migrations"
# One number for everyone who migrates, so that two processes started together do it once.
MIGRATION_LOCK = 7_345_001
_NO_PRIVILEGE = "42501"

_applied = sa.Table(
    "migrations",
    sa.MetaData(schema="raw"),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
)
_database = sa.table("database", sa.column("one"), sa.column("business_zone"), schema="campaign")
_roles = sa.table("pg_roles", sa.column("rolname"), sa.column("rolsuper"), sa.column("rolcreaterole"))
_functions = sa.table("pg_proc", sa.column("oid"), sa.column("proname"), sa.column("prokind"))
# What every login may call unless it is taken away: large objects are written even in a read-only transaction, locks
# and notifications reach other sessions, and the xml functions run SQL that is hidden in a string (finding 6).
_NOT_FOR_EVERYONE = (
    r"^lo_|^loread$|^lowrite$|^pg_(try_)?advisory_|^pg_notify$|^pg_logical_emit_message$|^pg_export_snapshot$"
    r"|^(query|cursor|table|schema|database)_to_xml|^ts_stat$|^ts_rewrite$"
)


class _Signature(sa.types.UserDefinedType[str]):
    """A function's name with its argument types, as grants name it."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "regprocedure"


@dataclass(frozen=True)
class Applied:
    """What a migration run did: the files applied now and how many were there before."""

    fresh: tuple[str, ...]
    known: int
    roles_made: bool


def migrate(
    database: Database, folder: Path = MIGRATIONS, *, business_zone: str = "UTC", roles: bool = True
) -> Applied:
    """Apply every migration that is not there yet, each in its own transaction, then make the two roles.

    A scratch database needs no roles, which would stay on the server after it is dropped.

    A fresh database remembers its business zone, since purchase days are cut by it. Raises DatabaseError when an
    applied file has changed since: write a new one instead.
    """
    with database.alone() as lock:
        lock.execute(sa.select(sa.func.pg_advisory_lock(MIGRATION_LOCK)))
        try:
            fresh, known = _apply(database, folder)
            _remember_zone(database, business_zone)
        finally:
            lock.execute(sa.select(sa.func.pg_advisory_unlock(MIGRATION_LOCK)))
    return Applied(fresh, known, roles and _make_roles(database))


def pending(database: Database, folder: Path = MIGRATIONS) -> list[str]:
    """Names of the migrations that are not applied."""
    with database.transaction() as connection:
        known = _known(connection)
    return [path.name for path in sorted(folder.glob("*.sql")) if path.name not in known]


def _apply(database: Database, folder: Path) -> tuple[tuple[str, ...], int]:
    with database.transaction() as connection:
        connection.execute(sa.schema.CreateSchema("raw", if_not_exists=True))
        _applied.create(connection, checkfirst=True)
        known = _known(connection)
    fresh = []
    for path in sorted(folder.glob("*.sql")):
        text = path.read_text("utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        if path.name in known:
            if known[path.name] != digest:
                raise DatabaseError(
                    f"{path.name} was applied to this database in another version; migrations are never edited "
                    "after they have run: restore the file and add a new one (or recreate a throw-away database)"
                )
            continue
        try:
            with database.transaction() as connection:
                connection.exec_driver_sql(text.replace("%", "%%"))
                connection.execute(sa.insert(_applied).values(name=path.name, sha256=digest))
        except sa.exc.DBAPIError as error:
            raise DatabaseError(f"sql/migrations/{path.name}: {scrubbed(error)}") from error
        fresh.append(path.name)
    return tuple(fresh), len(known)


def _remember_zone(database: Database, zone: str) -> None:
    with database.transaction() as connection:
        connection.execute(insert(_database).values(one=True, business_zone=zone).on_conflict_do_nothing())
        kept = connection.execute(sa.select(_database.c.business_zone)).scalar_one()
    if kept != zone:
        raise DatabaseError(
            f"this database cuts purchase days in {kept}, the configuration says {zone}; set REENGAGE_TIME_ZONE={kept} "
            "or load into a fresh database"
        )


def _known(connection: sa.Connection) -> dict[str, str]:
    if not sa.inspect(connection).has_table(_applied.name, schema=_applied.schema):
        return {}
    return {row.name: row.sha256 for row in connection.execute(sa.select(_applied))}


def _make_roles(database: Database) -> bool:
    """Make or refresh the two logins where the pipeline may; False where only an administrator may."""
    try:
        with database.transaction() as connection:
            may = connection.execute(_of_this_login(_roles.c.rolsuper | _roles.c.rolcreaterole)).scalar()
            if not may:
                return False
            for statement in role_statements(database, connection):
                connection.exec_driver_sql(statement.replace("%", "%%"))
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "pgcode", None) == _NO_PRIVILEGE:  # such as a login that somebody else made
            return False
        # Not the error itself: it repeats the statement, with a password.
        raise DatabaseError(f"making the analyst's and the dashboard's logins: {scrubbed(error)}") from None
    return True


def role_statements(database: Database, connection: sa.Connection, *, administrator: bool = False) -> list[str]:
    """The statements that make the analyst's and the dashboard's logins, for `db roles` and for `migrate`.

    Some of them only a superuser may run; `administrator` asks for those too when this login is none.

    The analyst reads views in `facts`, the dashboard reads `evaluation`; neither may create, lock rows, write,
    or fill the disk (reliability findings 6 and H1 to H9).
    """
    quote = connection.dialect.identifier_preparer.quote
    schema: dict[Role, str] = {"analyst": "facts", "dashboard": "evaluation"}
    name_of_database = quote(database.name)
    superuser = administrator or connection.execute(_of_this_login(_roles.c.rolsuper)).scalar()
    pipeline = quote(connection.execute(sa.select(sa.func.current_user())).scalar_one())
    statements = [
        f"revoke create, temporary on database {name_of_database} from public",
        "revoke create on schema public from public",
    ]
    if superuser:
        statements += [f"grant create, temporary on database {name_of_database} to {pipeline}"]
        statements += _taken_from_everyone(connection, pipeline)
    for role in ROLES:
        name, reads = quote(database.role_name(role)), schema[role]
        known = connection.execute(
            sa.select(_roles.c.rolname).where(_roles.c.rolname == database.role_name(role))
        ).scalar()
        # Without being asked roles may do none of this; only a superuser may say so again of one that is there.
        modest = " nosuperuser nocreatedb nocreaterole" if superuser or not known else ""
        login = f"login password '{database.role_password(role)}' connection limit 20{modest}"
        statements += [
            f"{'alter' if known else 'create'} role {name} {login}",
            f"alter role {name} set default_transaction_read_only = on",
            f"alter role {name} set statement_timeout = '60s'",
            f"alter role {name} set lock_timeout = '5s'",
            f"alter role {name} set idle_in_transaction_session_timeout = '120s'",
            f"alter role {name} set search_path = {reads}",
            f"alter role {name} set timezone = 'UTC'",
            f"grant connect on database {name_of_database} to {name}",
            f"grant usage on schema {reads} to {name}",
            f"grant select on all tables in schema {reads} to {name}",
            f"alter default privileges in schema {reads} grant select on tables to {name}",
        ]
        if superuser:  # only a superuser may bound temporary files for another role
            statements.append(f"alter role {name} set temp_file_limit = '2GB'")
    return statements


def _taken_from_everyone(connection: sa.Connection, pipeline: str) -> list[str]:
    """Built-in functions that every login of this database may call and no analyst needs; the pipeline keeps them."""
    open_to_all = sa.func.has_function_privilege("public", _functions.c.oid, "execute")
    found = connection.execute(
        sa.select(sa.cast(sa.cast(_functions.c.oid, _Signature()), sa.Text))
        .where(_functions.c.proname.regexp_match(_NOT_FOR_EVERYONE), _functions.c.prokind == "f", open_to_all)
        .order_by(_functions.c.oid)
    )
    names = ", ".join(str(signature) for signature in found.scalars())
    statements = ["revoke usage on language plpgsql from public", f"grant usage on language plpgsql to {pipeline}"]
    if names:
        statements += [
            f"revoke execute on function {names} from public",
            f"grant execute on function {names} to {pipeline}",
        ]
    return statements


def _of_this_login(answer: sa.ColumnElement[bool]) -> sa.Select[tuple[bool]]:
    return sa.select(answer).where(_roles.c.rolname == sa.func.current_user())
