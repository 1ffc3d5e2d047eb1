"""SQL cut into the pieces PostgreSQL's own scanner would see, without losing a character."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Token:
    """One piece of SQL; joining the texts of all of them gives the file back."""

    kind: str
    text: str
    line: int

    @property
    def name(self) -> str:
        """The word as PostgreSQL reads it: folded to lower case unless quoted."""
        return self.text[1:-1].replace('""', '"') if self.kind == "quoted" else self.text.lower()


_TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<string>[eE]'(?:[^'\\]|\\.|'')*' | (?:[bBxXnN])?'(?:[^']|'')*')
    | (?P<unicode>[uU]&(?:'|"))
    | (?P<dollar>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<cast>::)
    | (?P<assign>:=)
    | (?P<parameter>:[^\W\d]\w*)
    | (?P<quoted_parameter>:['"][^\W\d]\w*['"])
    | (?P<positional>\$\d+)
    | (?P<number>\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<space>\s+)
    | (?P<mark>.)
    """,
    re.VERBOSE | re.DOTALL,
)
QUIET = frozenset({"comment", "space"})


def tokens(sql: str, first_line: int = 1) -> list[Token]:
    """SQL as PostgreSQL's own scanner would cut it: names inside comments and strings are not parameters."""
    found, position, line = [], 0, first_line
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:  # cannot be: `mark` takes any character
            break
        kind = match.lastgroup if match.lastgroup != "tag" else "dollar"
        end = match.end()
        if kind == "block":
            kind, end = "comment", _end_of_comment(sql, position)
        text = sql[position:end]
        found.append(Token(str(kind), text, line))
        line += text.count("\n")
        position = end
    return found


def _end_of_comment(sql: str, start: int) -> int:
    depth = 0
    for mark in re.finditer(r"/\*|\*/", sql[start:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return start + mark.end()
    return len(sql)


def loud(found: Iterable[Token]) -> list[Token]:
    """Without comments and blanks."""
    return [token for token in found if token.kind not in QUIET]
