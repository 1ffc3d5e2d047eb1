"""Every figure of `evaluation` says in the database what it is, to whoever reads it with the dashboard's login."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from tasks.store.engine import Database

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


def test_a_column_that_several_tables_have_is_explained_wherever_it_stands_in_words_a_reader_sees_whole(said):
    for name, words in said.items():
        assert 3 <= len(words) <= 400, name
        assert words[0].isupper() or words.split()[0].strip("(,") in PLAIN, f"{name}: {words}"


# Explanations that begin with the values a column may have, which are lower case.
PLAIN = {"live", "reengage", "reached", "planned", "free", "lead", "add", "active", "landed", "critical", "passed",
         "treated"}  # fmt: skip
