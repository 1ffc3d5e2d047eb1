"""Columns that say who somebody is are marked in the catalog; no view for analysts or the dashboard rests on one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from config.errors import ConfigError
from config.settings import CHECKOUT, Settings
from flows.__main__ import app
from tasks.store import readiness, segments
from tasks.store.engine import Database
from tasks.store.queries import Queries
from tasks.store.workspace import Workspace
from tests.store import landing
from tests.store.conftest import OneTransaction

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)

# Which columns each view of a schema rests on, in its list or in a condition, also through functions' arguments.
RESTS_ON = """
    select distinct
        views.relnamespace::regnamespace || '.' || views.relname as view,
        used.relnamespace::regnamespace || '.' || used.relname || '.' || attributes.attname as column,
        col_description(used.oid, attributes.attnum) as comment
    from pg_class as views
    inner join pg_rewrite on pg_rewrite.ev_class = views.oid
    inner join pg_depend
        on pg_depend.objid = pg_rewrite.oid and pg_depend.classid = 'pg_rewrite'::regclass
    inner join pg_class as used on used.oid = pg_depend.refobjid and used.oid <> views.oid
    inner join pg_attribute as attributes
        on attributes.attrelid = used.oid and attributes.attnum = pg_depend.refobjsubid
    where views.relkind in ('v', 'm') and views.relnamespace::regnamespace::text in ('facts', 'evaluation')
"""
MARKED = """
    select relations.relnamespace::regnamespace || '.' || relations.relname || '.' || attributes.attname as column
    from pg_description
    inner join pg_class as relations on relations.oid = pg_description.objoid
    inner join pg_attribute as attributes
        on attributes.attrelid = relations.oid and attributes.attnum = pg_description.objsubid
    where pg_description.description like 'sensitive:%'
"""
# Names that a sensitive column goes by; one that is new is to be marked before anybody can rest a view on it.
TELLING = (
    "email", "email_canonical", "phone", "phone_e164", "first_name", "last_name", "endpoint", "wording", "evidence",
    "address", "address_hmac", "identity", "person_sha256", "provider_message_id", "gates",
)  # fmt: skip


@pytest.fixture
def database(undone: OneTransaction) -> OneTransaction:
    return undone


def rows(database: Database | OneTransaction, statement: str) -> list[Mapping[str, Any]]:
    with database.transaction() as connection:
        return [dict(row) for row in connection.execute(sa.text(statement)).mappings()]


def sensitive_views(database: OneTransaction) -> list[tuple[str, str]]:
    return [
        (row["view"], row["column"])
        for row in rows(database, RESTS_ON)
        if (row["comment"] or "").startswith("sensitive:") or row["column"].startswith("outbox.")
    ]


def test_no_view_for_analysts_or_the_dashboard_rests_on_a_sensitive_column(database: OneTransaction):
    assert len(rows(database, RESTS_ON)) > 100
    assert sensitive_views(database) == []


def test_a_view_that_shows_an_email_or_asks_about_one_would_be_found(database: OneTransaction):
    with database.transaction() as connection:
        connection.execute(sa.text("create view facts.leak as select email as colour from core.customers"))
        connection.execute(
            sa.text("create view evaluation.leak as select count(*) from core.messages where text like '%no%'")
        )

    assert set(sensitive_views(database)) == {
        ("facts.leak", "core.customers.email"), ("evaluation.leak", "core.messages.text")
    }  # fmt: skip


def test_every_column_that_goes_by_a_telling_name_is_marked(database: OneTransaction):
    marked = {row["column"] for row in rows(database, MARKED)}
    found = rows(
        database,
        "select table_schema || '.' || table_name || '.' || column_name as column, column_name"
        " from information_schema.columns inner join information_schema.tables using (table_schema, table_name)"
        " where table_type = 'BASE TABLE' and table_schema in ('core', 'campaign', 'outbox')",
    )

    named = {row["column"] for row in found if row["column_name"] in TELLING}

    assert named - marked - {"core.suppressions.address_hmac"} == set()  # that list is for nobody but the claim


def test_views_for_analysts_rest_on_clean_facts_and_what_was_done_only(database: OneTransaction):
    schemas = {row["column"].partition(".")[0] for row in rows(database, RESTS_ON) if row["view"].startswith("facts.")}

    assert schemas <= {"core", "campaign", "facts"}


# ------------------------------------------------------------------------------- what the configuration hides

READS = """/*
People by what they said in an event.

owner: tests
grain: one row per customer
params:
  as_of: timestamptz - the moment the question is asked
returns:
  customer_id: text unique - who
  anchor_at: timestamptz - when
  episode: text - which
  said: jsonb nullable - properties
  page: text nullable - page
  lines: jsonb nullable - what was bought
*/
select events.customer_id, events.occurred_at as anchor_at, events.event_id as episode, events.properties as said,
    (select visits.page_url from facts.visits) as page, (select purchases.items from facts.purchases) as lines
from facts.events
where events.occurred_at <= :as_of
"""
REASON = "age is needed to keep minors out; agreed with counsel on 2026-05-04"


class Shop:
    """A workspace whose reengage.yaml changes, and what a segment sees under the analysts' login."""

    def __init__(self, root: Path, make_workspace: Callable[..., Workspace]) -> None:
        shutil.copytree(CHECKOUT / "sql", root / "sql")
        (root / "sql/segments/by_event.sql").write_text(READS)
        self.folder = root / "config"
        self.folder.mkdir()
        self.work = Workspace(make_workspace(config=self.folder).settings, root=root)

    def configured(self, sensitive: list[dict[str, Any]]) -> Workspace:
        (self.folder / "reengage.yaml").write_text(json.dumps({"sensitive": sensitive}))
        self.work.settings.__dict__.pop("pipeline", None)
        return self.work

    def sees(self) -> dict[str, Any]:
        [row] = segments.preview(self.work, "by_event", {}, AS_OF).rows
        return {name: row[name] for name in ("said", "page", "lines")}

    def record(self) -> list[Mapping[str, Any]]:
        return rows(self.work.database, "select * from campaign.sensitive_columns order by recorded_at, column_name")


@pytest.fixture
def shop(tmp_path: Path, make_workspace: Callable[..., Workspace]) -> Iterator[Shop]:
    """One person with an event, a visit and a purchase."""
    shop = Shop(tmp_path, make_workspace)
    database, queries = shop.work.database, shop.work.queries
    items = '[{"name": "test kit", "quantity": 1}, {"name": "tea"}, "x"]'
    for entity, changes in (
        ("customers", {}),
        ("events", {"properties": '{"plan": "gold", "diagnosis": "flu", "age": 17}'}),
        ("visits", {"page_url": "https://example.com/clinic", "customer_id": "c1"}),
        ("purchases", {"items": items}),
    ):
        landing.load(database, queries, entity, [landing.good(entity, **changes)])
    yield shop
    shop.work.close()


def test_segments_do_not_see_what_is_called_sensitive_from_their_next_run_on(shop: Shop):
    everything = shop.sees()
    assert everything["said"] == {"plan": "gold", "diagnosis": "flu", "age": 17}
    assert (everything["page"], everything["lines"][0]["name"]) == ("https://example.com/clinic", "test kit")

    shop.configured([
        {"column": "events.properties", "keys": ["diagnosis", "age"]},
        {"column": "purchases.items", "keys": ["name"]},
        {"column": "visits.page_url"},
    ])  # fmt: skip

    assert shop.sees() == {"said": {"plan": "gold"}, "page": None, "lines": [{"quantity": 1}, {}, "x"]}
    shop.configured([{"column": "events.properties"}])
    assert shop.sees() == everything | {"said": None}


def test_a_reason_in_writing_shows_it_and_stays_on_record(shop: Shop):
    shop.configured([{"column": "events.properties", "keys": ["age"]}])
    assert "age" not in shop.sees()["said"]

    shop.configured([{"column": "events.properties", "keys": ["age"], "shown_because": REASON}])
    assert shop.sees()["said"]["age"] == 17
    shop.configured([])
    shop.sees()
    shop.sees()

    hidden, shown = shop.record()
    assert (hidden["keys"], hidden["shown_because"], hidden["ended_at"] is None) == (["age"], None, False)
    assert (shown["shown_because"], shown["ended_at"] is None) == (REASON, False)
    assert hidden["ended_at"] <= shown["ended_at"]


def test_doctor_and_check_say_what_segments_see_and_why(shop: Shop):
    work = shop.configured([
        {"column": "visits.keyword"},
        {"column": "events.properties", "keys": ["age"], "shown_because": REASON},
    ])  # fmt: skip

    before = {need.need: need for need in readiness.needs(work, AS_OF)}
    shop.sees()
    after = {need.need: need for need in readiness.needs(work, AS_OF)}

    assert before["sensitive: visits.keyword"].detail == "segments do not see it from their next run on"
    hidden, shown = after["sensitive: visits.keyword"], after["sensitive: events.properties (age)"]
    assert (hidden.there, hidden.detail[:30]) == ("yes", "segments do not see it since 2")
    assert (shown.there, shown.detail.endswith(f"because: {REASON}")) == ("warning", True)
    said = CliRunner().invoke(app, ["--config", str(shop.folder), "check"])
    assert f"segments see events.properties (age), because: {REASON}" in said.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("entry", "finding"),
    [
        ({"column": "customers.email"}, "sensitive.0.column"),
        ({"column": "visits.keyword", "keys": ["age"]}, "has no keys"),
        ({"column": "visits.keyword", "shown_because": "  ok  "}, "at least 10"),
        ({"column": "events.properties", "keys": [""]}, "at least 1"),
    ],
)
def test_a_switch_without_a_reason_and_other_mistakes_are_findings(tmp_path: Path, entry: Any, finding: str):
    (tmp_path / "reengage.yaml").write_text(json.dumps({"sensitive": [entry]}))

    with pytest.raises(ConfigError, match=finding):
        _ = Settings(config=tmp_path, _env_file=None).pipeline


# --------------------------------------------------------------------------- addresses in links and free values

LINKS = {
    "https://shop.example.com/p/17?utm_source=mail&q=red+shoes": None,
    "https://shop.example.com/order?no=1234567890&page=+2&hotel=123456789&mobile=true": None,
    "https://shop.example.com/@brand/post": None,
    "https://shop.example.com/pkg@1.2.3": None,
    "https://shop.example.com/?u=Ann.Lee%2Bnews%40example.co.uk&x=1": "https://shop.example.com/?u=[email]&x=1",
    "/reset/ann@example.com/go#ann@example.com": "/reset/[email]/go#[email]",
    "https://ann:secret@shop.example.com/x": "https://shop.example.com/x",
    "https://ann@example.com:secret@shop.example.com/x": "https://shop.example.com/x",
    "?to=%2B49%20170%201234567": "?to=[phone]",
    "?to=+491701234567;a=b": "?to=[phone];a=b",
    "?a=1&userPhone=0170%20123%204567#top": "?a=1&userPhone=[phone]#top",
    "?tel=01701234567&customer_tel=(030)1234567&hotel=1234567": "?tel=[phone]&customer_tel=[phone]&hotel=1234567",
    "mailto:ann@example.com": "mailto:[email]",
}


@pytest.mark.parametrize("link", LINKS)
def test_addresses_in_links_do_not_reach_facts(database: OneTransaction, queries: Queries, link: str):
    landing.load(database, queries, "visits", [landing.good("visits", page_url=link, previous_url=link, referrer=link)])

    [visit] = rows(database, "select page_url, previous_url, referrer from facts.visits")

    assert set(visit.values()) == {LINKS[link] or link}
    again = "select count(*) as changed from core.visits where raw.link_without_addresses(page_url) <> page_url"
    assert rows(database, again) == [{"changed": 0}]


NASTY = [
    {"said": 'mail me\nann@example.com\tor \u0001bob@example.com, \\ann@example.com "cy@example.com"'},
    {"ann@example.com": [{"deep": ["x/ann@example.com", "ünn@example.com"]}]},
    "ann%40example.com",
    {"link": "https://x.example.com/?a=ann@example.com", "n": 12345678901234567890, "plain": "a @ b"},
]  # fmt: skip


@pytest.mark.parametrize("value", NASTY, ids=range(len(NASTY)))
def test_emails_in_properties_do_not_reach_facts_and_what_is_left_is_json(
    database: OneTransaction, queries: Queries, value: Any
):
    landing.load(database, queries, "customers", [landing.good("customers")])
    counts = landing.load(database, queries, "events", [landing.good("events", properties=json.dumps(value))])

    [event] = rows(database, "select properties from facts.events")

    assert counts.accepted == 1
    assert not re.search(r"[\w%]@|%40", json.dumps(event["properties"], ensure_ascii=False))
    assert json.dumps(event["properties"]).count("[email]") == json.dumps(value).replace("%40", "@").count("@example")
    if isinstance(value, dict) and "plain" in value:
        assert event["properties"] == value | {"link": "https://x.example.com/?a=[email]"}


def test_free_words_of_visits_and_checkouts_hold_no_emails_either(database: OneTransaction, queries: Queries):
    words = "card of ann@example.com declined"
    landing.load(database, queries, "customers", [landing.good("customers")])
    landing.load(database, queries, "visits", [landing.good("visits", keyword=words, custom=json.dumps([words]))])
    landing.load(database, queries, "checkouts", [landing.good("checkouts", failure_reason=words)])

    [visit] = rows(database, "select keyword, custom from facts.visits")
    [checkout] = rows(database, "select failure_reason from facts.checkouts")

    clean = "card of [email] declined"
    assert (visit["keyword"], visit["custom"], checkout["failure_reason"]) == (clean, [clean], clean)


def test_the_same_line_again_is_a_duplicate_though_its_address_is_gone(database: OneTransaction, queries: Queries):
    line = landing.good("visits", page_url="https://example.com/?u=ann@example.com")
    landing.load(database, queries, "visits", [line])

    assert landing.load(database, queries, "visits", [line]).duplicate == 1
