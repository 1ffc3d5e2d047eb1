"""SQL files as callables: one statement per file, introduced by its own header (the SQL contract)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from config.settings import CHECKOUT
from tasks.rules.errors import Problem, SqlContractError

FOLDERS = (("sql", ("core", "segments", "eligibility", "ledger", "evaluation")), ("dashboards", ("queries",)))


@dataclass(frozen=True)
class Query:
    """One SQL file with the promise its header makes."""

    name: str
    path: Path
    purpose: str
    params: dict[str, Any]
    sql: str
    returns: dict[str, str] = field(default_factory=dict)

    def __call__(self, **given: Any) -> sa.TextClause:
        """The statement with every parameter bound; a missing or surplus one raises SqlContractError."""
        return sa.text(self.sql).bindparams(**given)


class Queries(Mapping[str, Query]):
    """Every SQL file of the checkout by `folder/name`, such as `segments/lapsing_customers`."""

    def __init__(self, queries: dict[str, Query]) -> None:
        self._queries = queries

    @classmethod
    def load(cls, root: Path = CHECKOUT) -> "Queries":
        found = {}
        for top, folders in FOLDERS:
            for folder in folders:
                for path in sorted((root / top / folder).glob("*.sql")):
                    name = f"{'dashboards' if top == 'dashboards' else folder}/{path.stem}"
                    found[name] = _read(name, path)
        return cls(found)

    def __getitem__(self, name: str) -> Query:
        if name not in self._queries:
            raise SqlContractError(Problem(name, "there is no such SQL file"))
        return self._queries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)


def _read(name: str, path: Path) -> Query:
    text = path.read_text("utf-8")
    header = re.match(r"\s*/\*(.*?)\*/", text, re.S)
    if not header:
        raise SqlContractError(Problem(str(path), "must open with a comment that says what it is for"))
    purpose, _, fields = header[1].strip().partition("\n\n")
    declared = yaml.safe_load(re.sub(r"^(\s+\w+:) (.*)$", r"\1 '\2'", fields, flags=re.M)) or {}
    return Query(name, path, purpose, declared.get("params") or {}, text[header.end() :].strip().rstrip(";"))
