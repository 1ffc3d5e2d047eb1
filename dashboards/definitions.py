"""Which queries a page reads, found in its own code, so that what explains the page cannot forget one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent


def queries_of(file: Path) -> list[str]:
    """Names of the queries that a page reads, in the order in which its code does, sections that it imports last."""
    found: dict[str, None] = {}
    pending, seen = [file], set()
    while pending:
        one = pending.pop(0)
        if one in seen:
            continue
        seen.add(one)
        tree = ast.parse(one.read_text("utf-8"))
        found |= dict.fromkeys(_read(tree))
        pending += _sections(tree)
    return list(found)


def _read(tree: ast.AST) -> Iterator[str]:
    """First arguments of every `read("...")`."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        if isinstance(call.func, ast.Name) and call.func.id == "read" and call.args:
            yield ast.literal_eval(call.args[0])


def _sections(tree: ast.AST) -> Iterator[Path]:
    """Files of this package that the code imports from; what all pages have in common says nothing about one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("dashboards."):
            name = node.module.removeprefix("dashboards.")
            path = PACKAGE / f"{name.replace('.', '/')}.py"
            if name != "components" and path.is_file():
                yield path
