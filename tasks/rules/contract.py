"""The SQL contract: what a file's header promises, and whether its statement may do what it does.

Pure: text in, a `Contract` or findings out. The database is asked separately (tasks/store/segments.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, Final

from tasks.rules import select_rules, sql_rules
from tasks.rules.errors import Problem
from tasks.rules.sql_tokens import QUIET, Token, tokens
from tasks.rules.sql_types import TYPES, canonical_type, read_value

# Given by whoever runs a segment, never by a campaign.
RESERVED_PARAMS = ("as_of", "time_zone")
# Given by a run that asks only for what is new; a segment that can tell declares one of them, null by default. A run
# looks back so much further than the last one: days begin at midnight, silences at any instant.
DELTA_PARAMS: Final = {"became_late_after": timedelta(days=1), "fell_silent_after": timedelta(hours=1)}
# Given from the campaign's own `ads`, so that they are named once.
ADS_PARAM = "ads"
# How long people must have been silent: the claim and `reengage check` ask a segment over conversations for it.
SILENCE_PARAM = "min_silence"
# A segment that returns this column returns conversations: campaigns over it may retarget (R1).
CONVERSATION = "conversation_id"


@dataclass(frozen=True)
class Ground:
    """What the files of one folder may do."""

    reads: str | None = None  # the one schema they may read, with the full contract; None: our own statements
    clock: frozenset[str] = frozenset()  # clock and chance functions allowed here
    returns: tuple[str, ...] = ()  # columns every file must return, as a header would declare them


_LEDGER_CLOCK = frozenset({"clock_timestamp", "gen_random_uuid"})
GROUNDS: Final[dict[str, Ground]] = {
    "core": Ground(clock=_LEDGER_CLOCK),
    "ledger": Ground(clock=_LEDGER_CLOCK),
    "eligibility": Ground(),
    "evaluation": Ground(),
    "segments": Ground(reads="facts", returns=("customer_id: text unique", "anchor_at: timestamptz", "episode: text")),
    "milestones": Ground(
        reads="facts", returns=("conversation_id: text", "milestone: text", "milestone_at: timestamptz")
    ),
    "dashboards": Ground(reads="evaluation"),
}


@dataclass(frozen=True)
class Param:
    """A value the caller gives, as the header declares it."""

    name: str
    type: str
    required: bool
    nullable: bool
    default: Any
    meaning: str
    line: int

    def read(self, value: Any) -> Any:
        """The value as its declared type; ValueError says what it must be."""
        if value is None:
            if not self.nullable:
                raise ValueError("must have a value; it may be left out only if its header says `= null` or `nullable`")
            return None
        return read_value(self.type, value)


@dataclass(frozen=True)
class Column:
    """A column the statement returns, as the header promises it."""

    name: str
    type: str
    unique: bool
    nullable: bool
    meaning: str
    line: int


@dataclass(frozen=True)
class Contract:
    """A file that keeps the rules: its header and its one statement."""

    purpose: str
    owner: str | None
    grain: str | None
    params: dict[str, Param]
    returns: dict[str, Column]
    sql: str
    first_line: int  # of the statement in its file
    tokens: tuple[Token, ...] = field(repr=False)
    ground: Ground = field(repr=False)

    @cached_property
    def relations(self) -> frozenset[str]:
        """Every table or view the statement reads, as schema.name; CTEs are not among them."""
        return select_rules.relations(self.sql)


_HEADER = re.compile(r"\s*/\*(.*?)\*/", re.DOTALL)
_SECTION = re.compile(r"^(owner|grain|params|returns):[ \t]*(.*)$")
_ENTRY = re.compile(r"^[ ]+([^\W\d]\w*):[ \t]+(\S.*)$")
_TYPE = r"(?:double precision|timestamp with time zone|[a-z]\w*)(?:\s*\(\s*\d+(?:\s*,\s*\d+)?\s*\))?(?:\[\])?"
_PARAM = re.compile(rf"^({_TYPE})(\s+nullable)?(?:\s+=\s+('(?:[^']|'')*'|.+?))?\s+-\s+(.+)$")
_COLUMN = re.compile(rf"^({_TYPE})((?:\s+(?:unique|nullable))*)\s+-\s+(.+)$")
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


def read(text: str, where: str, ground: Ground) -> tuple[Contract | None, list[Problem]]:
    """A file's contract and everything that is wrong with it; no contract when the header cannot be read."""
    header = _HEADER.match(text)
    if not header:
        return None, [Problem(f"{where}:1", "must open with a comment (/* ... */) that says what it is for")]
    reader = _HeaderReader(where, text.count("\n", 0, header.start(1)) + 1, ground)
    reader.read(header[1])
    first_line = text.count("\n", 0, header.end()) + 1
    body = text[header.end() :]
    blank = len(body) - len(body.lstrip())
    first_line += body[:blank].count("\n")
    body = body.strip()
    found = tokens(body, first_line)
    scanned = list(sql_rules.statement_problems(found, where))
    problems = [*reader.problems, *scanned]
    while found and (found[-1].kind in QUIET or found[-1].text == ";"):
        found.pop()
    sql = "".join(token.text for token in found)
    if not sql:
        return None, [*problems, Problem(f"{where}:{first_line}", "has no statement below its header")]
    problems += sql_rules.parameter_problems(found, reader.params, reader.unread, where)
    problems += sql_rules.clock_problems(found, where, ground.clock)
    if ground.reads and not scanned:
        problems += select_rules.select_problems(sql, found, where, ground.reads)
    contract = Contract(
        purpose=reader.purpose,
        owner=reader.owner,
        grain=reader.grain,
        params=reader.params,
        returns=reader.returns,
        sql=sql,
        first_line=first_line,
        tokens=tuple(found),
        ground=ground,
    )
    return contract, sorted(problems, key=lambda problem: int(problem.where.rpartition(":")[2]))


class _HeaderReader:
    """Reads a header line by line, so that every finding has its line."""

    def __init__(self, where: str, first_line: int, ground: Ground) -> None:
        self.where, self.first_line, self.ground = where, first_line, ground
        self.problems: list[Problem] = []
        self.purpose = ""
        self.owner: str | None = None
        self.grain: str | None = None
        self.params: dict[str, Param] = {}
        self.unread: set[str] = set()  # declared, but not so that they can be read: one finding is enough
        self.returns: dict[str, Column] = {}

    def read(self, header: str) -> None:
        section, words, seen = "", [], set()
        for number, line in enumerate(header.splitlines()):
            start = _SECTION.match(line)
            if start:
                section = start[1]
                if section in seen:
                    self._note(number, f"`{section}:` appears twice")
                seen.add(section)
                if section in ("owner", "grain"):
                    setattr(self, section, start[2].strip() or None)
                elif start[2].strip():
                    self._note(number, f"`{section}:` is followed by one indented line for each")
            elif not section:
                words.append(line.strip())
            elif line.strip():
                self._entry(number, section, line)
        self.purpose = "\n".join(words).strip()
        self._complete()

    def _complete(self) -> None:
        if not self.purpose:
            self._note(0, "the header must begin with one plain sentence that says what the file is for")
        if not self.ground.reads:
            return
        for name in ("owner", "grain"):
            if not getattr(self, name):
                self._note(0, f"the header has no `{name}:`")
        if not self.returns:
            self._note(0, "the header has no `returns:` with the columns of the answer")
        for line in self.ground.returns:
            name, kind, *flags = line.replace(":", "").split()
            column = self.returns.get(name)
            if column is None:
                self._note(0, f"`returns:` must have `{line} - meaning`")
            elif column.type != kind or column.unique != bool(flags) or column.nullable:
                self._note(0, f"`{name}` must be declared as `{line} - meaning`")
        if self.ground.returns and list(self.returns)[: len(self.ground.returns)] != [
            line.split(":")[0] for line in self.ground.returns
        ]:
            names = ", ".join(line.split(":")[0] for line in self.ground.returns)
            self._note(0, f"the first columns must be {names}, in this order")

    def _entry(self, number: int, section: str, line: str) -> None:
        entry = _ENTRY.match(line)
        if section in ("owner", "grain") or not entry:
            self._note(number, f"cannot read `{line.strip()}`; write `  name: type - meaning` below `{section}:`")
            return
        name, rest = entry[1], entry[2].strip()
        known: dict[str, Any] = self.params if section == "params" else self.returns
        if name in known:
            self._note(number, f"`{name}` is declared twice")
        if not _NAME.match(name):
            self._note(number, f"`{name}` must be lower case letters, digits and underscores")
        if section == "params":
            self._param(number, name, rest)
        else:
            self._column(number, name, rest)

    def _param(self, number: int, name: str, rest: str) -> None:
        match = _PARAM.match(rest)
        kind = canonical_type(match[1]) if match else None
        if not match or kind is None:
            self.unread.add(name)
            self._note(
                number, f"cannot read `{name}: {rest}`; write `name: type = default - meaning`{_types_hint(match)}"
            )
            return
        try:
            default = None if match[3] in (None, "null") else read_value(kind, _unquoted(match[3]))
        except ValueError as error:
            self._note(number, f"the default of `{name}` {error}")
            default = None
        # Our own statements are called by us alone, with null wherever a column may be null.
        nullable = bool(match[2]) or match[3] == "null" or not self.ground.reads
        self.params[name] = Param(name, kind, match[3] is None, nullable, default, match[4], self.first_line + number)

    def _column(self, number: int, name: str, rest: str) -> None:
        match = _COLUMN.match(rest)
        kind = canonical_type(match[1]) if match else None
        if not match or kind is None:
            shape = "`name: type [unique] [nullable] - meaning`"
            self._note(number, f"cannot read `{name}: {rest}`; write {shape}{_types_hint(match)}")
            return
        flags = match[2].split()
        line = self.first_line + number
        self.returns[name] = Column(name, kind, "unique" in flags, "nullable" in flags, match[3], line)

    def _note(self, number: int, what: str) -> None:
        self.problems.append(Problem(f"{self.where}:{self.first_line + number}", what))


def _types_hint(match: re.Match[str] | None) -> str:
    return f" with one of the types {', '.join(TYPES)}" if match else ""


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
