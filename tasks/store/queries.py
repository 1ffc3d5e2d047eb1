"""SQL files as callables: one statement per file, introduced by its own header (the SQL contract)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from config.settings import CHECKOUT
from tasks.rules.contract import GROUNDS, Column, Contract, Param, read
from tasks.rules.errors import Problem, SqlContractError

# Where the files are and what their names begin with: `segments/lapsing_customers`.
FOLDERS = {
    **{f"sql/{folder}": folder for folder in ("core", "segments", "milestones", "eligibility", "ledger", "evaluation")},
    "dashboards/queries": "dashboards",
}

_BOUND_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "text": sa.Text(),
    "int": sa.Integer(),
    "bigint": sa.BigInteger(),
    "smallint": sa.SmallInteger(),
    "numeric": sa.Numeric(),
    "double precision": sa.Double(),
    "real": sa.Float(),
    "boolean": sa.Boolean(),
    "date": sa.Date(),
    "timestamptz": sa.DateTime(timezone=True),
    "timestamp": sa.DateTime(),
    "time": sa.Time(),
    "interval": sa.types.NullType(),  # a timedelta, or words such as '12 hours', as PostgreSQL reads them
    "jsonb": postgresql.JSONB(none_as_null=True),
    "json": postgresql.JSON(none_as_null=True),
    "uuid": sa.Uuid(),
    "bytea": sa.LargeBinary(),
}


@dataclass(frozen=True)
class Query:
    """One SQL file with the promise its header makes."""

    name: str
    path: Path
    contract: Contract = field(repr=False)

    @property
    def purpose(self) -> str:
        """The header's sentence."""
        return self.contract.purpose

    @property
    def params(self) -> dict[str, Param]:
        """Declared parameters by name."""
        return self.contract.params

    @property
    def returns(self) -> dict[str, Column]:
        """Promised columns by name."""
        return self.contract.returns

    @property
    def sql(self) -> str:
        """The statement as written, without its header."""
        return self.contract.sql

    @property
    def where(self) -> str:
        """The file as messages name it."""
        return shown(self.path)

    def at_line(self, line: int) -> str:
        """`file:line` of a line of the statement (1 is its first)."""
        return f"{self.where}:{self.contract.first_line + line - 1}"

    def values(self, **given: Any) -> dict[str, Any]:
        """Every parameter's value, defaults applied; SqlContractError names all that is missing, surplus or wrong."""
        problems = [Problem(self.where, f"has no parameter `{name}`") for name in given if name not in self.params]
        values = {}
        for name, param in self.params.items():
            if name not in given and param.required:
                problems.append(Problem(self.where, f"needs the parameter `{name}`: {param.meaning}"))
                continue
            try:
                values[name] = param.read(given.get(name, param.default))
            except ValueError as error:
                problems.append(Problem(self.where, f"the parameter `{name}` {error}"))
        if problems:
            raise SqlContractError(*problems)
        return values

    def __call__(self, **given: Any) -> sa.TextClause:
        """The statement with every parameter bound; a missing, surplus or wrong one raises SqlContractError."""
        bound = [
            sa.bindparam(name, value, type_=_bound_type(self.params[name].type))
            for name, value in self.values(**given).items()
        ]
        return sa.text(self._escaped).bindparams(*bound)

    def prepared(self, connection: sa.Connection, **given: Any) -> sa.TextClause:
        """The same as a statement whose plan this session keeps: for those that take longer to plan than to run.

        Only where a plan that knows no value is a good one, which the transaction says by `plan_cache_mode`.
        """
        values = self.values(**given)
        known: set[str] = connection.info.setdefault("prepared", set())  # it lives as long as the session
        if self._plan_name not in known:
            connection.execute(sa.text(self._preparing))
            known.add(self._plan_name)
        bound = [sa.bindparam(name, value, type_=_bound_type(self.params[name].type)) for name, value in values.items()]
        arguments = ", ".join(f"cast(:{name} as {self.params[name].type})" for name in values)
        return sa.text(f'execute "{self._plan_name}"{_in_brackets(arguments)}').bindparams(*bound)

    @cached_property
    def _plan_name(self) -> str:
        """No two texts share one: sessions outlive the files they were prepared from."""
        return f"{self.name} {sha256(self.sql.encode()).hexdigest()[:8]}"

    @cached_property
    def _preparing(self) -> str:
        places = {name: f"${place}" for place, name in enumerate(self.params, start=1)}
        text = "".join(
            places[token.text[1:]] if token.kind == "parameter" else token.text.replace(":", "\\:")
            for token in self.contract.tokens
        )
        types = ", ".join(param.type for param in self.params.values())
        return f'prepare "{self._plan_name}"{_in_brackets(types)} as {text}'

    @cached_property
    def _escaped(self) -> str:
        """For sa.text(): it takes any `:name` for a parameter, also in strings and comments, unless escaped."""
        return "".join(
            token.text if token.kind == "parameter" else token.text.replace(":", "\\:")
            for token in self.contract.tokens
        )


class Queries(Mapping[str, Query]):
    """Every SQL file of the checkout by `folder/name`, such as `segments/lapsing_customers`."""

    def __init__(self, queries: dict[str, Query], findings: dict[str, list[Problem]]) -> None:
        self._queries = queries
        self._findings = findings

    @classmethod
    def load(cls, root: Path = CHECKOUT) -> Queries:
        """Read and check every file. A file at fault raises its findings when it is asked for, and in `verify()`."""
        queries: dict[str, Query] = {}
        findings: dict[str, list[Problem]] = {}
        for folder, prefix in FOLDERS.items():
            for path in sorted((root / folder).glob("*.sql")):
                name = f"{prefix}/{path.stem}"
                query, problems = load_query(path, name)
                if query and not problems:
                    queries[name] = query
                else:
                    findings[name] = problems
        return cls(queries, findings)

    @property
    def problems(self) -> list[Problem]:
        """Everything that is wrong with any file."""
        return [problem for found in self._findings.values() for problem in found]

    def verify(self) -> None:
        """Raise one SqlContractError with the findings of all files."""
        if self.problems:
            raise SqlContractError(*self.problems)

    def __getitem__(self, name: str) -> Query:
        if name in self._findings:
            raise SqlContractError(*self._findings[name])
        if name not in self._queries:
            folder = name.partition("/")[0]
            near = [known for known in self._queries if known.startswith(f"{folder}/")]
            known = f"; there are: {', '.join(near)}" if near else ""
            raise SqlContractError(Problem(name, f"there is no such SQL file{known}"))
        return self._queries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._queries or name in self._findings

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)


def load_query(path: Path, name: str) -> tuple[Query | None, list[Problem]]:
    """One file and what is wrong with it; `name` is `folder/name`."""
    where = shown(path)
    folder, _, stem = name.partition("/")
    if not stem.replace("_", "a").isalnum() or not stem.isascii() or stem != stem.lower():
        return None, [Problem(where, "file names are lower case letters, digits and underscores")]
    if path.resolve().parent != path.parent.resolve():  # a link would let a file from elsewhere in (H10)
        return None, [Problem(where, "is a link out of its folder; put the file itself here")]
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return None, [Problem(where, f"cannot be read: {error.__class__.__name__}")]
    contract, problems = read(text, where, GROUNDS[folder])
    return (Query(name, path, contract) if contract else None), problems


def shown(path: Path) -> str:
    """A path as messages name it: from the checkout when it lies there."""
    return str(path.relative_to(CHECKOUT)) if path.is_relative_to(CHECKOUT) else str(path)


def _in_brackets(words: str) -> str:
    return f" ({words})" if words else ""  # PostgreSQL takes no empty ones


def _bound_type(kind: str) -> sa.types.TypeEngine[Any]:
    if kind.endswith("[]"):
        return postgresql.ARRAY(_BOUND_TYPES[kind[:-2]])
    return _BOUND_TYPES[kind]
