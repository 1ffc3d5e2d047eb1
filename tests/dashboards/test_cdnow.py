"""The CDNOW example from its file to the dashboard: nobody can be written to, and with made-up contacts people are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
import streamlit as st
from typer.testing import CliRunner

from config.settings import CHECKOUT
from flows.__main__ import app
from tasks.store.engine import Database
from tests.dashboards.looking import opened

CAMPAIGN = "lapsing_customers"
# From the hand-computed rhythms of tests/sources/test_cdnow.py: so many are late on 1 April 1997.
LATE = 80


@pytest.fixture
def database(make_database: Callable[..., Database], tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database of its own, which commands and the page find through the environment, and the made-up file."""
    database = make_database("America/New_York")
    st.cache_resource.clear()
    monkeypatch.setenv("REENGAGE_DATABASE_URL", database.url.render_as_string(hide_password=False))
    monkeypatch.setenv("REENGAGE_HOME", str(database.home))
    monkeypatch.setenv("REENGAGE_CONFIG", str(CHECKOUT / "config" / "examples" / "cdnow"))
    monkeypatch.setenv("REENGAGE_CDNOW", str(CHECKOUT / "tests" / "data" / "cdnow_sample.txt"))
    yield database
    st.cache_resource.clear()
    database.dispose()


def _tell(*command: str) -> list[dict[str, Any]]:
    made = CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False)
    assert made.exit_code == 0, made.output
    return json.loads(made.stdout)["rows"]


def _people(rows: list[dict[str, Any]], what: str) -> dict[str, int]:
    return {row["reason"] or row["channel"]: row["people"] for row in rows if row["what"] == what}


def test_the_campaign_is_played_on_the_rhythms_of_the_file(database: Database) -> None:
    assert [row["accepted"] for row in _tell("ingest", "--as-of", "1998-07-01")] == [2000]

    silent = _tell("run", CAMPAIGN, "--as-of", "1997-04-01")
    enrolled = _people(silent, "enrol")
    assert enrolled["treated"] + enrolled["holdout"] == LATE
    assert _people(silent, "no message") == {"no_consent": enrolled["treated"]}
    assert _tell("evaluate", "--as-of", "1997-04-01")[0]["not_reached"] == enrolled["treated"]
    assert dict(_tables("lapsing")["Why"]["People"]) == {"No consent on any channel": str(enrolled["treated"])}
    # Beside a warning that is about a column.
    broken = _tables("data_quality")["Broken expectation"]
    assert broken.loc["Table columns to match set", "Seen"].endswith("number\\_of\\_cds")

    _tell("sample", "contacts", "--as-of", "1998-07-01")
    runs = [_tell("run", CAMPAIGN, "--as-of", day) for day in ("1997-04-02", "1997-04-03")]
    sent = sum(_people(rows, "dispatch")["accepted"] for rows in runs)

    assert sent > LATE / 4
    with database.transaction() as connection:
        messages = connection.execute(
            sa.text(
                "select count(*), count(*) filter (where address like '%@example.com' or address like '+1%55501%') "
                "from outbox.messages"
            )
        ).one()
    assert tuple(messages) == (sent, sent)


def _tables(page_name: str) -> dict[str, Any]:
    """A page's tables by the names of their first columns."""
    page = opened(page_name, campaign=CAMPAIGN)
    return {table.value.index.name: table.value for table in page.table}
