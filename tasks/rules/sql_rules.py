"""What every statement keeps to: one to a file, parameters as declared, no clock but where its folder has one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

from tasks.rules.errors import Problem
from tasks.rules.sql_tokens import Token, loud


def statement_problems(found: Sequence[Token], where: str) -> Iterator[Problem]:
    """More than one statement, and strings or comments that are never closed or hide what they say."""
    words = loud(found)
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


def parameter_problems(
    found: Sequence[Token], params: Collection[str], unread: set[str], where: str
) -> Iterator[Problem]:
    """Parameters that the header does not declare, that nothing uses, or that are not written as `:name`."""
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
# The word alone, or as an entry of an array, a range or JSON, which are cast entry by entry.
_CLOCK_TEXT = re.compile(
    r"""(?:'|\$\w*\$) (?:.*[\[({,:"])? \s* (now|today|tomorrow|yesterday)\b [\s\d:]* (?:[\])},"].*)? (?:'|\$\w*\$)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


def clock_problems(found: Sequence[Token], where: str, allowed: frozenset[str]) -> Iterator[Problem]:
    """Whatever answers otherwise each time; `allowed` are functions of the clock and chance the folder may call."""
    words = loud(found)
    for position, token in enumerate(words):
        following = words[position + 1] if position + 1 < len(words) else None
        called = following is not None and following.text == "("
        before = words[position - 1].text if position else ""
        at = f"{where}:{token.line}"
        if token.kind in ("word", "quoted") and token.name in allowed:
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
