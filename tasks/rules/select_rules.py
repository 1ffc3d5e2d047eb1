"""What analysts and dashboards may write: one select that reads one schema and computes from what it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import sqlglot
from sqlglot import exp

from tasks.rules.errors import Problem
from tasks.rules.sql_tokens import Token, loud

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


def select_problems(sql: str, found: Sequence[Token], where: str, schema: str) -> Iterator[Problem]:
    """Whatever is not one select over `schema`; `found` are the statement's tokens, which know the lines."""
    words = loud(found)
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
    yield from _relation_problems(trees[0], words, where, schema)
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


def relations(sql: str) -> frozenset[str]:
    """Every table or view a statement reads, as schema.name; CTEs are not among them."""
    return frozenset(f"{table.db or '?'}.{table.name}" for table in _tables(sqlglot.parse_one(sql, read="postgres")))


def _tables(tree: exp.Expr) -> list[exp.Table]:
    """Tables that are really tables: not CTEs in scope, not functions in `from`."""
    return [
        table
        for table in tree.find_all(exp.Table)
        if not isinstance(table.this, exp.Func) and table.name and not (not table.db and _is_cte(table))
    ]


def _is_cte(table: exp.Table) -> bool:
    """Whether an unqualified name is a CTE visible where it stands (a CTE elsewhere in the file does not count)."""
    within = {id(table)}
    ancestor = table.parent
    while ancestor is not None:
        clause = ancestor.args.get("with_")
        if isinstance(clause, exp.With):
            for cte in clause.expressions:
                own = id(cte) in within
                if own and not clause.recursive:
                    break
                if _folded(cte.args["alias"].this) == _folded(table.this):
                    return True
                if own:
                    break
        within.add(id(ancestor))
        ancestor = ancestor.parent
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
