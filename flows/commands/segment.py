"""`reengage segment`: write, list, read, check and preview segments; an analyst needs no Python."""

from __future__ import annotations

import re
import shlex
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.console import All, AsOf, Json, console, show_rows, workspace

if TYPE_CHECKING:
    from tasks.store.queries import Query
    from tasks.store.workspace import Workspace

app = typer.Typer(help="Segments: write a new one, list, read, check and preview them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A file of sql/segments, without .sql.")]


@app.command()
def new(context: typer.Context, name: Name) -> None:
    """Write sql/segments/NAME.sql and a case beside it; both pass as they are."""
    from config.errors import ConfigError, Problem

    work = workspace(context)
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
        raise ConfigError(Problem(name, "a segment's name is lower case letters, digits and _, at most 63"))
    statement = work.root / "sql" / "segments" / f"{name}.sql"
    case = work.root / "tests" / "sql" / "segments" / f"{name}.yaml"
    if there := [path for path in (statement, case) if path.exists()]:
        raise ConfigError(*(Problem(str(path), "exists already") for path in there))
    for path in (statement, case):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(work.root / "sql" / "examples" / f"segment{path.suffix}", path)
        console.print(f"wrote {path}", soft_wrap=True)
    console.print(f"next: reengage segment check {name}, reengage test {name}, reengage segment preview {name}")


@app.command(name="list")
def list_command(context: typer.Context, json: Json = False, all_rows: All = False) -> None:
    """List the segments with what they are for, who owns them and which campaigns use them."""
    work = workspace(context)
    users = _users(work)
    rows = [
        {
            "segment": name,
            "purpose": query.purpose.split("\n\n")[0].replace("\n", " "),
            "owner": query.contract.owner,
            "params": len(query.params),
            "campaigns": ", ".join(users.get(name, [])),
        }
        for name, query in _segments(work).items()
    ]
    show_rows(rows, ["segment", "purpose", "owner", "params", "campaigns"], json=json, all_rows=all_rows)


@app.command()
def show(
    context: typer.Context,
    name: Name,
    psql: Annotated[bool, typer.Option("--psql", help="Print the psql command that runs the file instead.")] = False,
    json: Json = False,
    all_rows: All = False,
) -> None:
    """Print a segment's header as documentation: what it is for, what it takes, what it returns."""
    from tasks.store import segments

    work = workspace(context)
    query = work.queries[f"segments/{name}"]
    if psql:
        typer.echo(_psql_command(work, query))
        return
    params = [
        {
            "kind": "parameter",
            "name": param.name,
            "type": param.type,
            "default": "(required)" if param.required else "null" if param.default is None else str(param.default),
            "rules": "",
            "meaning": param.meaning,
        }
        for param in query.params.values()
    ]
    columns = [
        {
            "kind": "column",
            "name": column.name,
            "type": column.type,
            "default": "",
            "rules": " ".join(flag for flag in ("unique", "nullable") if getattr(column, flag)),
            "meaning": column.meaning,
        }
        for column in query.returns.values()
    ]
    if json:
        fields = ["kind", "name", "type", "default", "rules", "meaning"]
        about = {
            "segment": name,
            "purpose": query.purpose,
            "owner": query.contract.owner,
            "grain": query.contract.grain,
            "reads": sorted(segments.relations(query)),
        }
        show_rows(params + columns, fields, json=True, all_rows=all_rows, arguments=about)
        return
    console.print(f"[bold]{name}[/bold]  ({query.where})\n", soft_wrap=True)
    for paragraph in query.purpose.split("\n\n"):  # each as wide as the terminal, and a list as it was written
        is_list = any(line.startswith(("-", " ")) for line in paragraph.split("\n"))
        console.print((paragraph if is_list else paragraph.replace("\n", " ")) + "\n", markup=False)
    console.print(f"owner: {query.contract.owner}", markup=False)
    console.print(f"grain: {query.contract.grain}", markup=False)
    console.print(f"reads: {', '.join(sorted(segments.relations(query)))}")
    console.print(f"used by: {', '.join(_users(work).get(name, [])) or 'no campaign'}\n")
    show_rows(params, ["name", "type", "default", "meaning"], title="takes", all_rows=True)
    show_rows(columns, ["name", "type", "rules", "meaning"], title="returns", all_rows=True)


@app.command()
def check(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One segment; none = all of them.")] = None,
    json: Json = False,
    all_rows: All = False,
) -> None:
    """Check the header, the statement, and what the database says under the analyst's login; runs none of it."""
    from tasks.rules.errors import SqlContractError
    from tasks.store import segments

    work = workspace(context)
    names = [name] if name else sorted(key.partition("/")[2] for key in work.queries if key.startswith("segments/"))
    problems = [] if name else [found for found in work.queries.problems if "sql/segments/" in found.where]
    for each in names:
        problems += segments.check(work, each)
    if json:
        rows = [{"where": problem.where, "what": problem.what} for problem in problems]
        show_rows(rows, ["where", "what"], json=True, all_rows=all_rows, arguments={"segments": names})
        if rows:
            raise typer.Exit(2)
        return
    if problems:
        raise SqlContractError(*problems)
    console.print(f"{len(names)} segment(s) keep what their headers promise")


@app.command()
def preview(
    context: typer.Context,
    name: Name,
    as_of: AsOf = None,
    param: Annotated[list[str] | None, typer.Option(help="A parameter, as name=value; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many rows to show.")] = 10,
    json: Json = False,
    all_rows: All = False,
) -> None:
    """Count who a segment finds and show some of them; nothing is stored, any moment may be asked about."""
    from tasks.store import mode, segments

    work = workspace(context)
    params = _params(param or [])
    moment = mode.clock(work, work.instant(as_of), writes=False)
    found = segments.preview(work, name, params, moment, limit=None if all_rows else limit)
    columns = list(work.queries[f"segments/{name}"].returns)
    arguments = {"segment": name, "as_of": moment, "params": params, "limit": limit}
    title = f"{name}: {found.count:,} customer(s) as of {moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if found.first_anchor and found.last_anchor:
        title += f", anchors from {found.first_anchor:%Y-%m-%d %H:%M} to {found.last_anchor:%Y-%m-%d %H:%M} UTC"
    show_rows(found.rows, columns, title=title, json=json, all_rows=True, arguments=arguments, count=found.count)


def _psql_command(work: Workspace, query: Query) -> str:
    """A line for the shell; psql puts the text after -v name= in the place of :name, so texts carry SQL's quotes."""
    ours = {"as_of": datetime.now(UTC).replace(microsecond=0), "time_zone": work.settings.business_zone}
    values = {name: ours.get(name, param.default) for name, param in query.params.items()}
    words = [f"-v {name}={_shell_quoted(_sql_literal(value))}" for name, value in values.items()]
    return " ".join(['psql "$(reengage db url)"', *words, f"-f {shlex.quote(query.where)}"])


def _shell_quoted(text: str) -> str:
    return f'"{text}"' if "'" in text and not re.search(r'["$`!\\]', text) else shlex.quote(text)


def _sql_literal(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | int | float | Decimal):
        return str(value).lower()
    return "'" + str(value).replace("'", "''") + "'"


def _segments(work: Workspace) -> dict[str, Query]:
    return {key.partition("/")[2]: query for key, query in work.queries.items() if key.startswith("segments/")}


def _users(work: Workspace) -> dict[str, list[str]]:
    users: dict[str, list[str]] = {}
    for campaign in work.campaigns.values():
        users.setdefault(campaign.segment, []).append(campaign.name)
    return users


def _params(given: list[str]) -> dict[str, str | None]:
    from config.errors import ConfigError, Problem

    wrong = [Problem(f"--param {text}", "write name=value") for text in given if "=" not in text]
    if wrong:
        raise ConfigError(*wrong)
    pairs = (text.partition("=") for text in given)
    return {name.strip(): None if value == "null" else value for name, _, value in pairs}
