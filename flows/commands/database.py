"""`reengage db`: where the database is, start, stop, migrate, roles, psql."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from flows.commands.console import console, workspace

app = typer.Typer(help="The database: where it is, start, stop, migrate, roles, psql.", no_args_is_help=True)


@app.command()
def url(
    context: typer.Context,
    role: Annotated[
        Literal["analyst", "dashboard"] | None, typer.Option(help="With the login of this role, which only reads.")
    ] = None,
) -> None:
    """Print the database's address (with its password: keep it to yourself)."""
    database = workspace(context).database
    address = database.role_url(role) if role else database.url
    # what psql and every other tool understands
    typer.echo(address.set(drivername="postgresql").render_as_string(hide_password=False))


@app.command()
def start(context: typer.Context) -> None:
    """Start the embedded server, or say which other database is used."""
    work = workspace(context)
    console.print(f"database {work.database.name} at {work.database.url.host}:{work.database.url.port}")


@app.command()
def stop(context: typer.Context) -> None:
    """Stop the embedded server; its data stay."""
    from tasks.store import embedded

    stopped = embedded.stop(workspace(context).settings.home)
    console.print("stopped" if stopped else "no embedded server was running")


@app.command()
def status(context: typer.Context) -> None:
    """Say whether the embedded server runs, where its files are and what is not migrated yet."""
    from tasks.store import embedded, migrate

    work = workspace(context)
    if work.settings.database_url:
        console.print(f"database {work.database.name} at {work.database.url.host} (REENGAGE_DATABASE_URL)")
    else:
        server = embedded.status(work.settings.home)
        if server is None:
            console.print("the embedded server is stopped; any command that needs it starts it")
            return
        console.print(f"PostgreSQL {server.version} on 127.0.0.1:{server.port}, files in {server.data}")
    waiting = migrate.pending(work.database)
    console.print(f"{len(waiting)} migration(s) to apply: reengage db migrate" if waiting else "schema is up to date")


@app.command(name="migrate")
def migrate_command(context: typer.Context) -> None:
    """Bring the schema up to date and make the analyst's and the dashboard's logins."""
    from tasks.store.migrate import migrate

    work = workspace(context)
    done = migrate(work.database, business_zone=str(work.settings.business_zone))
    console.print(f"{len(done.fresh)} applied, {done.known} were there")
    if not done.roles_made:
        console.print("this login may not make roles: have an administrator run what `reengage db roles` prints")


@app.command()
def roles(context: typer.Context) -> None:
    """Print the statements that make the analyst's and the dashboard's logins."""
    from tasks.store.migrate import role_statements

    database = workspace(context).database
    with database.transaction() as connection:
        for statement in role_statements(database, connection, administrator=True):
            typer.echo(f"{statement};")


@app.command()
def psql(context: typer.Context) -> None:
    """Open psql on the database."""
    database = workspace(context).database
    # `set` takes None as unchanged, and a password in the arguments could be read by everybody on the machine
    address = database.url.set(drivername="postgresql")._replace(password=None).render_as_string()
    os.environ["PGPASSWORD"] = str(database.url.password or "")
    from tasks.store import embedded

    server = embedded.status(workspace(context).settings.home)
    program = str(server.bin / "psql") if server else "psql"
    os.execvp(program, [program, address])  # noqa: S606 - the point of this command
