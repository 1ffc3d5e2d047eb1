"""Every figure of `evaluation` says in the database what it is, to whoever reads it with the dashboard's login."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from config.settings import CHECKOUT
from tasks.store.engine import Database
from tasks.store.migrate import MIGRATIONS

READABLE = """
    select relations.relname as relation, columns.attname as column_name,
        case when columns.attnum is null
            then obj_description(relations.oid, 'pg_class')
            else col_description(relations.oid, columns.attnum)
        end as said
    from pg_class as relations
    left join lateral (
        select attname, attnum from pg_attribute where attrelid = relations.oid and attnum > 0 and not attisdropped
        union all
        select null, null
    ) as columns on true
    where relations.relnamespace = cast('evaluation' as regnamespace)
        and relations.relkind in ('r', 'p', 'v', 'm', 'f')
        and has_table_privilege(relations.oid, 'select')
    order by 1, 2 nulls first
"""


@pytest.fixture(scope="module")
def said(make_database) -> dict[str, str]:
    """What is said of `relation` and of `relation.column`; empty where nothing is."""
    database: Database = make_database()
    engine = database.role_engine("dashboard")
    with engine.connect() as connection:
        rows = connection.execute(sa.text(READABLE))
        found = {".".join(filter(None, (row.relation, row.column_name))): (row.said or "").strip() for row in rows}
    engine.dispose()
    return found


def test_every_table_view_and_column_says_what_it_is(said):
    assert {"attributed", "attributed.revenue", "audiences", "audiences.applied"} <= set(said)
    assert not [name for name, words in said.items() if not words]


def test_no_column_is_said_to_be_about_one_person(said):
    names = {name.partition(".")[2] for name in said}

    assert not names & {"customer_id", "person_id", "conversation_id", "send_key", "enrolment_id", "email", "phone"}
    for name, words in said.items():
        assert not words.startswith("sensitive:"), name
        assert not re.search(r"@|\+?\d{5,}|\b(Anna|Ben|Jane|John|Maria)\b", words), name


def test_names_that_other_tools_were_told_stay(said):
    for path in MIGRATIONS.glob("*_comments*.sql"):
        text = path.read_text("utf-8")
        told = re.findall(r"comment on (?:table|view|column) evaluation\.([\w.]+) is", text)
        for relations, column in re.findall(r"((?:'[{\w,}]+'\s+)*'[\w,]*\}'),\s+'(\w+)'", text):
            told += [f"{relation}.{column}" for relation in re.findall(r"\w+", re.sub(r"'\s+'", "", relations))]
        assert told
        assert set(told) <= set(said), set(told) - set(said)


def test_the_page_about_them_names_tables_that_are_there(said):
    page = (CHECKOUT / "docs/dashboard.md").read_text("utf-8")
    section = page.partition("### What is in there")[2].partition("###")[0]
    first_cells = "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("|"))

    named = re.findall(r"`(\w+)`", first_cells)
    assert len(named) >= 25
    assert set(named) <= set(said)


def test_what_is_said_can_be_read_whole_beside_the_name(said):
    assert not [name for name, words in said.items() if not 3 <= len(words) <= 400 or "\n" in words or "  " in words]
