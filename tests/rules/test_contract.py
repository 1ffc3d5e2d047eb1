"""A SQL file's header and statement, read and compared."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.contract import GROUNDS, Contract, read, tokens

HEADER = """/*
Who is late?

A second paragraph: with a colon, and :names that mean nothing.

owner: retention
grain: one row per customer
params:
  as_of: timestamptz - the moment the question is asked
  days: int = 30 - days: how many
  share: numeric = 0.5 - a share
  country: text = null - only this country
  word: text = 'a - b' - a text with a dash
  since: date = 2026-01-31 - from this day
returns:
  customer_id: text unique - who
  anchor_at: timestamptz - from when
  episode: text - which occasion
  spent: numeric(14, 2) nullable - how much
*/
"""
STATEMENT = """select
    customer_id,
    purchased_at as anchor_at,
    order_id as episode,
    amount as spent
from facts.purchases
where purchased_at <= :as_of and purchased_at > :as_of - make_interval(days => :days)
    and amount > :share and (:country is null or coupon_code = :word) and purchased_at > :since
"""


def findings(text: str, ground: str = "segments") -> list[str]:
    return [str(problem) for problem in read(text, "x.sql", GROUNDS[ground])[1]]


def contract(text: str, ground: str = "segments") -> Contract:
    found, problems = read(text, "x.sql", GROUNDS[ground])
    assert problems == []
    assert found is not None
    return found


def test_the_header_is_read_as_it_stands():
    found = contract(HEADER + STATEMENT)

    assert found.purpose.startswith("Who is late?\n\nA second paragraph: with a colon")
    assert (found.owner, found.grain) == ("retention", "one row per customer")
    assert {name: (p.type, p.required, p.default) for name, p in found.params.items()} == {
        "as_of": ("timestamptz", True, None),
        "days": ("int", False, 30),
        "share": ("numeric", False, Decimal("0.5")),
        "country": ("text", False, None),
        "word": ("text", False, "a - b"),
        "since": ("date", False, date(2026, 1, 31)),
    }
    assert found.params["days"].meaning == "days: how many"
    assert {name: (c.type, c.unique, c.nullable) for name, c in found.returns.items()} == {
        "customer_id": ("text", True, False),
        "anchor_at": ("timestamptz", False, False),
        "episode": ("text", False, False),
        "spent": ("numeric", False, True),
    }
    assert found.relations == {"facts.purchases"}


def test_names_in_comments_strings_and_casts_are_not_parameters():
    text = """/* Odd but right. */
select ':a', E'it\\'s :b', $$ :c $$, $tag$ :d $$ $tag$, "col:e", 'x'::text, '12:30', -- :f
    /* :g /* nested :h */ */ 1
"""
    assert contract(text, "core").params == {}


def test_every_finding_is_in_one_report_with_its_line():
    broken = HEADER.replace("  days: int = 30", "  days: whole = 30").replace("owner: retention\n", "")
    statement = STATEMENT.replace(":country", ":nation").replace("from facts.purchases", "from core.purchases, now()")

    found = findings(broken + statement)

    assert found == [
        "x.sql:1: the header has no `owner:`",
        "x.sql:1: the parameter `country` is declared and never used",
        "x.sql:9: " + found[2].partition(": ")[2],
        "x.sql:25: now() gives another answer each time; the time is a parameter, such as :as_of",
        "x.sql:25: reads core.purchases; files of this folder read the schema `facts` only",
        "x.sql:25: now() is not on the list of functions a file here may call",
        "x.sql:27: :nation is not declared under `params:` in the header",
    ]
    assert "cannot read `days: whole = 30" in found[2]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("/*\nWho", "-- Who", "must open with a comment"),
        ("Who is late?\n\nA second paragraph: with a colon, and :names that mean nothing.\n\n", "", "plain sentence"),
        ("grain: one row per customer", "notes: none", "no `grain:`"),
        ("  customer_id: text unique - who\n", "", "`returns:` must have `customer_id: text unique"),
        ("customer_id: text unique", "customer_id: text", "must be declared as `customer_id: text unique"),
        ("customer_id: text unique", "customer_id: bigint unique", "must be declared as `customer_id: text unique"),
        ("anchor_at: timestamptz", "anchor_at: timestamptz nullable", "must be declared as `anchor_at: timestamptz"),
        ("days: int = 30", "days: int = thirty", "the default of `days` must be a whole number"),
        ("days: int = 30", "Days: int = 30", "must be lower case"),
        ("  share: numeric = 0.5 - a share\n", "  days: int - again\n", "`days` is declared twice"),
        ("returns:", "params:\nreturns:", "appears twice"),
        ("  as_of: timestamptz - the moment", "  as_of timestamptz the moment", "cannot read"),
        (":as_of and", ":as_of::date and", "write cast(:as_of as ...)"),
        (":as_of and", ":'as_of' and", "without quotes"),
        (":as_of and", "$1 and", "is not a parameter here"),
        ("> :share", "> 1:share", "put a blank before"),
        ("order_id as episode", "order_id as episode from (", "is not SQL that can be read"),
        ("order_id as episode", "cast(order_id as regclass) as episode", "a cast to regclass"),
    ],
)
def test_a_mistake_is_named(old, new, words):
    text = HEADER + STATEMENT
    assert old in text

    assert any(words in finding for finding in findings(text.replace(old, new))), findings(text.replace(old, new))


@pytest.mark.parametrize(
    "statement",
    [
        "with a (x, y) as (select 1, 2), b as materialized (select * from a) select x from b",
        "with recursive days (day) as (select 1 union all select day + 1 from days where day < 9) select day from days",
        "select count(*) filter (where a) over w from facts.events window w as (partition by name)",
        "select array(select 1), (array[1, 2, 3])[1:2], row (1, 2), exists (select 1), numeric '1', interval '1 day'",
        "select cast(1 as numeric(14, 2)), extract(day from at), at at time zone 'UTC' from facts.purchase_days",
        "select i.v ->> 'sku' from facts.purchases as p cross join lateral jsonb_array_elements(p.items) as i (v)",
        "select 1 from facts.events where exists (with e as (select 1) select 1 from e) group by rollup (at)",
        "(select 1) union all (select 2)",
    ],
)
def test_ordinary_sql_passes(statement):
    lines = [
        line for line in findings("/*\nOdd.\n*/\n" + statement) if "header" not in line and "`returns:`" not in line
    ]

    assert [line for line in lines if "must be" not in line or "one select" in line] == (
        ["x.sql:4: must be one select (or with ... select), not `(`"] if statement.startswith("(") else []
    )


def test_a_cte_hides_a_name_only_where_it_is_in_scope():
    inside = "with people as (select 1) select * from people where exists (select 1 from people)"
    before = "with a as (select * from people), people as (select 1) select * from a, people"

    assert not [line for line in findings(HEADER + inside) if "qualified" in line]
    assert [line for line in findings(HEADER + before) if "write facts.people" in line]


def test_our_own_statements_may_write_and_leave_out_most_of_the_header():
    text = """/*
Close a run.

params:
  run_id: bigint - the run
*/
update campaign.runs set finished_at = clock_timestamp() where run_id = :run_id
"""
    assert findings(text, "ledger") == []
    assert findings(text, "core") == []
    assert len(findings(text, "evaluation")) == 1, "only the ledger and core may ask the clock"


@given(st.text(alphabet="ab1_:'\"$-/*\\\n ;(.é", max_size=60))
def test_tokens_give_the_text_back_whatever_it_is(text):
    found = tokens(text)

    assert "".join(token.text for token in found) == text
    line = 1
    for token in found:
        assert token.line == line
        line += token.text.count("\n")


@pytest.mark.parametrize(
    ("kind", "given_value", "read_value"),
    [
        ("int", "5", 5),
        ("numeric", "1.50", Decimal("1.50")),
        ("boolean", "TRUE", True),
        ("date", "2026-01-31", date(2026, 1, 31)),
        ("timestamptz", "2026-01-31T00:00:00Z", datetime(2026, 1, 31, tzinfo=UTC)),
        ("text[]", ("a", "b"), ["a", "b"]),
        ("jsonb", '{"a": 1}', {"a": 1}),
        ("text", "5", "5"),
    ],
)
def test_values_are_read_by_their_declared_type(kind, given_value, read_value):
    param = contract(f"/*\nX.\nparams:\n  v: {kind} - v\n*/\nselect :v", "core").params["v"]

    assert param.read(given_value) == read_value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", 1.5), ("int", True), ("int", "x"), ("numeric", "x"), ("boolean", 1), ("date", "31.1.2026"),
        ("timestamptz", datetime(2026, 1, 1)), ("timestamptz", "2026-01-01T00:00:00"), ("text", 5), ("text[]", "ab"),  # noqa: DTZ001
        ("jsonb", "{"), ("uuid", "x"), ("date", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(kind, value):
    param = contract(f"/*\nX.\nparams:\n  v: {kind} - v\n*/\nselect :v", "core").params["v"]

    with pytest.raises(ValueError, match="must be"):
        param.read(value)
