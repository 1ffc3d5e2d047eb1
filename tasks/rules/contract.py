"""The SQL contract: what a file's header promises, and whether its statement may do what it does.

Pure: text in, a `Contract` or findings out. The database is asked separately (tasks/store/segments.py).
"""

# ruff: noqa: TRY004 - a value of the wrong type comes from a file a person wrote: one error for both

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import cached_property
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

import sqlglot
from sqlglot import exp

from tasks.rules.errors import Problem

# Given by whoever runs a segment, never by a campaign.
RESERVED_PARAMS = ("as_of", "time_zone")
# Given by a run that asks only for what is new; a segment that can tell declares it, null by default.
DELTA_PARAM = "became_late_after"


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
    "dashboards": Ground(reads="evaluation"),
}


# ---------------------------------------------------------------------------------------------- tokens


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
_QUIET = {"comment", "space"}


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


# ---------------------------------------------------------------------------------------------- header


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
        """The value as its declared type; text is read where a file could not say it otherwise. ValueError if not."""
        if value is None:
            if not self.nullable:
                raise ValueError("must have a value; it may be left out only if its header says `= null` or `nullable`")
            return None
        return _read(self.type, value)


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
        tree = sqlglot.parse_one(self.sql, read="postgres")
        return frozenset(f"{table.db or '?'}.{table.name}" for table in _tables(tree))


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
    scanned = list(_statement_problems(found, where))
    problems = [*reader.problems, *scanned]
    while found and (found[-1].kind in _QUIET or found[-1].text == ";"):
        found.pop()
    sql = "".join(token.text for token in found)
    if not sql:
        return None, [*problems, Problem(f"{where}:{first_line}", "has no statement below its header")]
    problems += _parameter_problems(found, reader.params, reader.unread, where)
    problems += _clock_problems(found, where, ground)
    if ground.reads and not scanned:
        problems += _select_problems(sql, found, where, ground)
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
            default = None if match[3] in (None, "null") else _read(kind, _unquoted(match[3]))
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
    return f" with one of the types {', '.join(_TYPES)}" if match else ""


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


# ----------------------------------------------------------------------------------------------- types

# The name a header uses -> what PostgreSQL's format_type says.
_TYPES: Final = {
    "text": "text",
    "int": "integer",
    "bigint": "bigint",
    "smallint": "smallint",
    "numeric": "numeric",
    "double precision": "double precision",
    "real": "real",
    "boolean": "boolean",
    "date": "date",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "time": "time without time zone",
    "interval": "interval",
    "jsonb": "jsonb",
    "json": "json",
    "uuid": "uuid",
    "bytea": "bytea",
}
_SYNONYMS = {
    "integer": "int", "int4": "int", "int8": "bigint", "int2": "smallint", "bool": "boolean", "decimal": "numeric",
    "float8": "double precision", "timestamp with time zone": "timestamptz", "varchar": "text",
    **{full: short for short, full in _TYPES.items()},
}  # fmt: skip


def canonical_type(name: str) -> str | None:
    """A type as headers name it (`timestamptz`), without length or precision; None when it is not one of ours."""
    plain = re.sub(r"\s*\([^)]*\)", "", name.strip().lower())
    plain, array = (plain[:-2], "[]") if plain.endswith("[]") else (plain, "")
    plain = plain if plain in _TYPES else _SYNONYMS.get(plain, "")
    return plain + array if plain else None


def _read(kind: str, value: Any) -> Any:
    if kind.endswith("[]"):
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise ValueError(f"must be a list of {kind[:-2]}")
        return [item if item is None else _read(kind[:-2], item) for item in value]
    reader = _READERS.get(kind)
    return reader(value) if reader else value


def _whole(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value.strip()):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a whole number")
    return value


def _decimal(value: Any) -> Decimal | int | float:
    if isinstance(value, str):
        try:
            value = Decimal(value.strip())
        except InvalidOperation:
            raise ValueError("must be a number") from None
    if isinstance(value, bool) or not isinstance(value, Decimal | int | float):
        raise ValueError("must be a number")
    return value


def _truth(value: Any) -> bool:
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _day(value: Any) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("must be a date such as 2026-01-31") from None
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError("must be a date such as 2026-01-31")
    return value


def _instant(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("must be an instant such as 2026-01-31T18:00:00+00:00") from None
    if not isinstance(value, datetime):
        raise ValueError("must be an instant such as 2026-01-31T18:00:00+00:00")
    if value.tzinfo is None:
        raise ValueError("must be an instant with its zone, such as 2026-01-31T18:00:00+00:00")
    return value


def _length(value: Any) -> timedelta | str:
    if not isinstance(value, timedelta | str):
        raise ValueError("must be a length of time such as '12 hours'")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text (in quotes, when it looks like a number or a date)")
    return value


def _json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("must be JSON") from None


def _uuid(value: Any) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(str(value))
    except ValueError:
        raise ValueError("must be a UUID") from None


def _clock_time(value: Any) -> time:
    try:
        return value if isinstance(value, time) else time.fromisoformat(str(value))
    except ValueError:
        raise ValueError('must be a time of day such as "21:00"') from None


_READERS: Final = {
    "text": _text,
    "int": _whole,
    "bigint": _whole,
    "smallint": _whole,
    "numeric": _decimal,
    "double precision": _decimal,
    "real": _decimal,
    "boolean": _truth,
    "date": _day,
    "timestamptz": _instant,
    "time": _clock_time,
    "interval": _length,
    "uuid": _uuid,
    "jsonb": _json,
    "json": _json,
}


# ------------------------------------------------------------------------------- checks on the tokens


def _loud(found: Sequence[Token]) -> list[Token]:
    return [token for token in found if token.kind not in _QUIET]


def _statement_problems(found: Sequence[Token], where: str) -> Iterator[Problem]:
    words = _loud(found)
    for token, following in pairwise(words):
        if token.text == ";" and following.text != ";":
            yield Problem(f"{where}:{following.line}", "has a second statement; one file holds exactly one")
            break
    for token in words:
        if token.text.startswith(("'", '"')) and token.kind == "mark":
            yield Problem(f"{where}:{token.line}", "has a quote that is never closed")
            break
        if token.kind == "unicode":
            yield Problem(f"{where}:{token.line}", "U& strings hide what they say; write the characters themselves")
    for token in found:
        if token.kind == "comment" and token.text.startswith("/*") and not token.text.endswith("*/"):
            yield Problem(f"{where}:{token.line}", "has a comment that is never closed")


def _parameter_problems(
    found: Sequence[Token], params: dict[str, Param], unread: set[str], where: str
) -> Iterator[Problem]:
    used: set[str] = set(unread)
    previous: Token | None = None
    for token, following in [*pairwise(found), *([(found[-1], None)] if found else [])]:
        at = f"{where}:{token.line}"
        if token.kind == "quoted_parameter":
            yield Problem(at, f"write :{token.text[2:-1]} without quotes; its value is bound with its type")
        elif token.kind == "positional":
            yield Problem(at, f"{token.text} is not a parameter here; declare a name and write :name")
        elif token.kind == "parameter":
            name = token.text[1:]
            if previous and previous.kind in ("word", "number", "quoted"):
                yield Problem(at, f"{previous.text}{token.text} reads as one name; put a blank before {token.text}")
            if following and following.kind == "cast":
                yield Problem(at, f"write cast(:{name} as ...) instead of :{name}::...")
            if name not in params and name not in used:
                yield Problem(at, f":{name} is not declared under `params:` in the header")
            used.add(name)
        previous = token
    for name in params:
        if name not in used:
            yield Problem(f"{where}:1", f"the parameter `{name}` is declared and never used")


_CLOCK_CALLS = frozenset({
    "now", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday", "random", "random_normal",
    "gen_random_uuid", "uuidv4", "uuidv7", "setseed", "pg_postmaster_start_time", "pg_conf_load_time",
})  # fmt: skip
_CLOCK_WORDS = frozenset({"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"})
_CLOCK_TEXT = re.compile(r"(?:'|\$\w*\$)\s*(now|today|tomorrow|yesterday)\b[\s\d:]*(?:'|\$\w*\$)", re.IGNORECASE)


def _clock_problems(found: Sequence[Token], where: str, ground: Ground) -> Iterator[Problem]:
    words = _loud(found)
    for position, token in enumerate(words):
        following = words[position + 1] if position + 1 < len(words) else None
        called = following is not None and following.text == "("
        before = words[position - 1].text if position else ""
        at = f"{where}:{token.line}"
        if token.kind in ("word", "quoted") and token.name in ground.clock:
            continue
        if token.kind == "word" and token.name in _CLOCK_WORDS and before not in (".", "as"):
            yield Problem(at, f"{token.name} asks the clock; the time is a parameter, such as :as_of")
        elif token.kind in ("word", "quoted") and called and token.name in _CLOCK_CALLS:
            yield Problem(at, f"{token.name}() gives another answer each time; the time is a parameter, such as :as_of")
        elif (
            token.kind in ("word", "quoted") and called and token.name == "age" and not _has_comma(words, position + 1)
        ):
            yield Problem(at, "age() of one value asks the clock; give both, such as age(:as_of, at)")
        elif token.kind in ("string", "dollar") and _CLOCK_TEXT.fullmatch(token.text):
            yield Problem(at, f"{token.text} reads as the clock's time once it is cast; use a parameter")


def _has_comma(words: Sequence[Token], opening: int) -> bool:
    depth = 0
    for token in words[opening:]:
        depth += (token.text in "([") - (token.text in ")]")
        if depth == 1 and token.text == ",":
            return True
        if depth == 0:
            break
    return False


# --------------------------------------------------- checks on what analysts and dashboards may write

# Functions that compute from what they are given: no side effect, no clock, no catalog, no server file, no SQL
# hidden in a string (reliability finding 6 and H4).
FUNCTIONS: Final = frozenset(
    """
    abs acos asin atan atan2 cbrt ceil ceiling cos degrees div erf erfc exp factorial floor gcd lcm ln log log10 mod pi
    power radians round scale sign sin sqrt tan trim_scale trunc width_bucket
    ascii bit_length btrim char_length character_length chr concat concat_ws encode decode format initcap left length
    lower lpad ltrim md5 normalize octet_length overlay position quote_literal regexp_count regexp_instr regexp_like
    regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr replace
    reverse right rpad rtrim sha256 split_part starts_with string_to_array string_to_table strpos substr substring
    to_hex translate trim unistr upper
    age date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days justify_hours
    justify_interval make_date make_interval make_time make_timestamp make_timestamptz to_char to_date to_number
    to_timestamp timezone
    array_agg array_append array_cat array_dims array_length array_lower array_ndims array_position array_positions
    array_prepend array_remove array_replace array_to_string array_upper cardinality trim_array unnest array_fill
    array_sort array_reverse generate_series generate_subscripts
    any_value avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every json_agg jsonb_agg
    json_object_agg jsonb_object_agg max min mode percentile_cont percentile_disc regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop
    var_samp variance range_agg range_intersect_agg grouping
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
    array_to_json json_array_length jsonb_array_length json_array_elements jsonb_array_elements
    json_array_elements_text jsonb_array_elements_text json_build_array jsonb_build_array json_build_object
    jsonb_build_object json_each jsonb_each json_each_text jsonb_each_text json_extract_path jsonb_extract_path
    json_extract_path_text jsonb_extract_path_text json_object jsonb_object json_object_keys jsonb_object_keys
    jsonb_path_exists jsonb_path_match jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_pretty
    jsonb_set jsonb_insert json_strip_nulls jsonb_strip_nulls json_typeof jsonb_typeof json_to_record jsonb_to_record
    json_to_recordset jsonb_to_recordset row_to_json to_json to_jsonb
    coalesce greatest least nullif num_nonnulls num_nulls cast exists row array
    int4range int8range numrange daterange tsrange tstzrange isempty lower_inc lower_inf upper_inc upper_inf
    range_merge multirange tstzmultirange datemultirange
    hashtext hashtextextended uuid_extract_timestamp
""".split()  # noqa: SIM905 - a list to be read
)

# Words that may stand before a parenthesis without calling anything.
_WORDS_BEFORE_PARENTHESIS = frozenset(
    """
    all and any array as between by case cube cross distinct else end except exists filter from full group having ilike
    in inner intersect interval is join lateral left like limit materialized not null offset on only or order ordinality
    outer over partition recursive return rollup row rows select sets similar some symmetric then union using values
    when where window with within
    numeric decimal varchar char character timestamp timestamptz time timetz bit dec float precision
""".split()  # noqa: SIM905 - a list to be read
)

# Casting to these lets a string name an object of the database; whatever is not listed is refused.
_CAST_TYPES = frozenset({
    "text", "varchar", "char", "nchar", "bpchar", "name", "int", "bigint", "smallint", "decimal", "numeric", "double",
    "float", "real", "boolean", "date", "timestamp", "timestamptz", "time", "timetz", "interval", "json", "jsonb",
    "uuid", "bytea", "varbinary", "array", "binary", "int4range", "int8range", "numrange", "daterange", "tsrange",
    "tstzrange", "tstzmultirange", "datemultirange",
})  # fmt: skip

_REFUSED_NODES: Final = (
    (exp.Insert, "insert"), (exp.Update, "update"), (exp.Delete, "delete"), (exp.Merge, "merge"),
    (exp.Into, "select into"), (exp.Lock, "for update / for share"), (exp.Create, "create"), (exp.Drop, "drop"),
    (exp.Copy, "copy"), (exp.Set, "set"), (exp.Command, "this command"), (exp.Transaction, "begin"),
    (exp.Commit, "commit"), (exp.Rollback, "rollback"), (exp.TableSample, "tablesample (another answer each time)"),
)  # fmt: skip


def _select_problems(sql: str, found: Sequence[Token], where: str, ground: Ground) -> Iterator[Problem]:
    words = _loud(found)
    first = words[0]
    if first.name not in ("select", "with"):
        yield Problem(f"{where}:{first.line}", f"must be one select (or with ... select), not `{first.text}`")
        return
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="postgres") if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        yield Problem(*_syntax_problem(error, where, first.line))
        return
    if len(trees) != 1 or not isinstance(trees[0], exp.Query) or isinstance(trees[0], exp.Table):
        yield Problem(f"{where}:{first.line}", "must be exactly one select")
        return
    yield from _node_problems(trees[0], words, where)
    yield from _relation_problems(trees[0], words, where, str(ground.reads))
    yield from _function_problems(trees[0], words, where)


def _syntax_problem(error: Exception, where: str, first_line: int) -> tuple[str, str]:
    details = (getattr(error, "errors", None) or [{}])[0]
    line = first_line + int(details.get("line") or 1) - 1
    near = str(details.get("highlight") or "").strip()
    said = str(details.get("description") or "cannot be read").rstrip(".")
    return f"{where}:{line}", f"is not SQL that can be read: {said}" + (f" near `{near}`" if near else "")


def _node_problems(tree: exp.Expr, words: Sequence[Token], where: str) -> Iterator[Problem]:
    for node in tree.walk():
        for kind, name in _REFUSED_NODES:
            if isinstance(node, kind):
                line = _line_of(words, name.split()[0], words[0].line)
                yield Problem(f"{where}:{line}", f"{name} is not allowed here: a file of this folder only reads")
        if isinstance(node, exp.Cast):
            kind = node.to
            name = kind.this.value.lower() if isinstance(kind.this, exp.DataType.Type) else str(kind.this).lower()
            if name not in _CAST_TYPES:
                shown = kind.sql("postgres").lower()
                yield Problem(
                    f"{where}:{_line_of(words, shown, words[0].line)}", f"a cast to {shown} is not allowed here"
                )


def _line_of(words: Sequence[Token], name: str, otherwise: int) -> int:
    return next((token.line for token in words if token.name == name), otherwise)


def _tables(tree: exp.Expr) -> list[exp.Table]:
    """Tables that are really tables: not CTEs in scope, not functions in `from`."""
    return [
        table
        for table in tree.find_all(exp.Table)
        if not isinstance(table.this, exp.Func) and table.name and not (not table.db and _is_cte(table))
    ]


def _is_cte(table: exp.Table) -> bool:
    """Whether an unqualified name is a CTE visible where it stands (a CTE elsewhere in the file does not count)."""
    inside: exp.Expr = table
    ancestor = table.parent
    while ancestor is not None:
        clause = inside if isinstance(inside, exp.With) else ancestor.args.get("with_")
        if isinstance(clause, exp.With):
            for cte in clause.expressions:
                own = _contains(cte, table)
                if own and not clause.recursive:
                    break
                if _folded(cte.args["alias"].this) == _folded(table.this):
                    return True
                if own:
                    break
        inside, ancestor = ancestor, ancestor.parent
    return False


def _contains(node: exp.Expr, inner: exp.Expr) -> bool:
    current: exp.Expr | None = inner
    while current is not None:
        if current is node:
            return True
        current = current.parent
    return False


def _folded(identifier: exp.Expr) -> str:
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()


def _relation_problems(tree: exp.Expr, words: Sequence[Token], where: str, schema: str) -> Iterator[Problem]:
    for table in _tables(tree):
        line = _line_of(words, table.name.lower(), words[0].line)
        if table.catalog or (table.db and table.db.lower() != schema):
            shown = ".".join(part for part in (table.catalog, table.db, table.name) if part)
            yield Problem(f"{where}:{line}", f"reads {shown}; files of this folder read the schema `{schema}` only")
        elif not table.db:
            yield Problem(f"{where}:{line}", f"write {schema}.{table.name}: names are always qualified")


# Words that ask who is connected, to what: the same file must answer the same to everyone.
_SESSION_WORDS = frozenset(
    {"current_user", "session_user", "system_user", "user", "current_role", "current_catalog", "current_schema"}
)


def _function_problems(tree: exp.Expr, words: Sequence[Token], where: str) -> Iterator[Problem]:
    for before, token in pairwise(words):
        if token.kind == "word" and token.name in _SESSION_WORDS and before.text.lower() not in (".", "as"):
            yield Problem(
                f"{where}:{token.line}", f"{token.name} depends on who asks; a file answers everyone the same"
            )
    declared = _column_lists(tree)
    calls: dict[str, list[Token]] = {}
    for position, token in enumerate(words[:-1]):
        if token.kind not in ("word", "quoted") or words[position + 1].text != "(":
            continue
        before = words[position - 1].text if position else ""
        if before == ".":
            yield Problem(f"{where}:{token.line}", f"call {token.name}() without a schema in front")
        elif token.kind == "word" and token.name in _WORDS_BEFORE_PARENTHESIS:
            continue
        calls.setdefault(token.name, []).append(token)
    for name, places in calls.items():
        # `with days (day) as` and `as item (product_id)` look like calls; they are as many as the parser found.
        if name in FUNCTIONS or declared.count(name) == len(places):
            continue
        yield Problem(f"{where}:{places[0].line}", f"{name}() is not on the list of functions a file here may call")


def _column_lists(tree: exp.Expr) -> list[str]:
    aliases = [_folded(alias.this) for alias in tree.find_all(exp.TableAlias) if alias.this and alias.columns]
    windows = [_folded(window.this) for window in tree.find_all(exp.Window) if isinstance(window.this, exp.Identifier)]
    return aliases + windows
