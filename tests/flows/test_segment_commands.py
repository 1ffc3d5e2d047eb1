"""What an analyst types: segment new, list, show, check, preview; check; test."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner, Result

from config.settings import CHECKOUT
from flows.commands import check, segment, test
from tasks.rules.errors import ConfigError, ModeError
from tasks.store import cases, embedded
from tasks.store.workspace import Workspace

cli = typer.Typer()
cli.add_typer(segment.app, name="segment")
cli.command(name="check")(check.check)
cli.command(name="test")(test.test)


@pytest.fixture
def work(make_workspace: Callable[..., Workspace], tmp_path: Path) -> Iterator[Workspace]:
    """A checkout of this test alone, to write into."""
    for folder in ("sql", "dashboards/queries", "tests/sql", "config/campaigns"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder)
    work = Workspace(make_workspace(config=tmp_path / "config").settings, root=tmp_path)
    yield work
    work.close()


@pytest.fixture
def run(work: Workspace) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        fresh = Workspace(work.settings, root=work.root)  # a command reads the files as they are now
        return CliRunner().invoke(cli, list(arguments), obj={"workspace": fresh})

    return run


def test_a_new_segment_passes_its_check_and_its_cases_at_once(run, work):
    assert run("segment", "new", "big_spenders").exit_code == 0

    assert "keep what their headers promise" in run("segment", "check", "big_spenders").output
    tested = json.loads(run("test", "big_spenders", "--json").output)
    assert tested["count"] >= 2
    assert all(row["passed"] for row in tested["rows"])
    assert "nothing to fix" in run("check").output
    listed = json.loads(run("segment", "list", "--json").output)
    assert "big_spenders" in [row["segment"] for row in listed["rows"]]
    assert run("segment", "new", "big_spenders").exit_code != 0, "never overwritten"


def test_show_prints_the_header_as_documentation(run):
    shown = run("segment", "show", "lapsing_customers").output

    assert "Repeat buyers who are late by their own rhythm" in shown
    assert "margin_days" in shown
    assert "used by: lapsing_customers" in shown
    rows = json.loads(run("segment", "show", "lapsing_customers", "--json").output)["rows"]
    assert [row["default"] for row in rows if row["name"] == "margin_days"] == ["8"]


def test_preview_shows_people_and_stores_nothing(run, work):
    run("segment", "new", "people")
    with work.database.transaction() as connection:
        purchases = cases.Tables(work.database)["core.purchases"]
        given = {"order_id": "1", "customer_id": "007", "purchased_at": "2026-01-01", "amount": 5}
        row = cases.complete_row(purchases, given, 1, ZoneInfo("UTC"), datetime.now(UTC), "here")
        connection.execute(sa.insert(purchases).values(row))

    def found(*arguments: str) -> dict:
        return json.loads(run("segment", "preview", "people", "--json", *arguments).output)

    assert found("--as-of", "2026-01-30")["count"] == 0
    assert found("--as-of", "2026-01-31")["rows"] == [
        {"customer_id": "007", "anchor_at": "2026-01-31T00:00:00Z", "episode": "1", "last_amount": "5.00"}
    ]
    assert found("--as-of", "2026-01-30", "--param", "days=3")["count"] == 1
    of_none = found("--param", "days=3", "--limit", "0")
    assert (of_none["count"], of_none["rows"]) == (1, [])
    wrong = run("segment", "preview", "people", "--param", "dais=3")
    assert isinstance(wrong.exception, ConfigError)
    assert "has no parameter `dais`" in str(wrong.exception)


def test_in_a_simulated_database_a_preview_looks_at_its_last_moment_not_at_todays_clock(make_workspace):
    work = make_workspace(mode="simulated")
    words = ["segment", "preview", "lapsing_customers", "--json"]

    before_any_run = CliRunner().invoke(cli, words, obj={"workspace": work})
    with work.database.transaction() as connection:
        connection.execute(
            sa.text("insert into campaign.runs (flow, as_of, state) values ('ingest', '2026-02-03', 'completed')")
        )
    after = CliRunner().invoke(cli, words, obj={"workspace": work})

    assert isinstance(before_any_run.exception, ModeError)
    assert json.loads(after.output)["arguments"]["as_of"] == "2026-02-03T00:00:00Z"


def test_check_reports_everything_that_is_wrong_at_once(run, work):
    (work.root / "sql" / "segments" / "broken.sql").write_text("/* Broken. */ select now(), :x from core.customers")
    (work.root / "sql" / "ledger" / "also.sql").write_text("select 1")
    (work.root / "tests" / "sql" / "segments" / "nothing.yaml").write_text("- case: x\n  expect: []\n")
    campaign = work.root / "config" / "campaigns" / "lapsing_customers"
    text = (campaign / "campaign.yaml").read_text()
    (campaign / "campaign.yaml").write_text(text.replace("margin_days: 8", "margin: 8"))
    (campaign / "sms.txt").write_text("{{ days_over }}")

    answer = run("check", "--json")

    said = [f"{row['where']}: {row['what']}" for row in json.loads(answer.output)["rows"]]
    assert answer.exit_code == 2
    for words in (
        "broken.sql:1: now() gives another answer",
        "broken.sql:1: :x is not declared",
        "broken.sql:1: the header has no `owner:`",
        "broken.sql:1: reads core.customers",
        "also.sql:1: must open with a comment",
        "nothing.yaml:1: there is no SQL file segments/nothing",
        "params.margin: the segment lapsing_customers has no such parameter",
        "days_over",
    ):
        assert any(words in line for line in said), (words, said)


def test_a_case_that_fails_ends_the_command_with_its_difference(run, work):
    path = work.root / "tests" / "sql" / "segments" / "lapsing_customers.yaml"
    path.write_text(path.read_text().replace("days_since_last: 68", "days_since_last: 69", 1))

    failed = run("test")

    assert failed.exit_code == 1
    assert re.search(r"lapsing_customers\.yaml:\d+: a 60-day buyer is in on day 68", failed.output)
    assert '{customer_id: "0042"}: days_since_last is 68, expected 69' in failed.output


def test_segment_check_asks_the_database_under_the_analysts_login(run, work):
    path = work.root / "sql" / "segments" / "people.sql"
    run("segment", "new", "people")
    path.write_text(
        path.read_text().replace("order_id as episode", "orderid as episode").replace("    order_id,\n", "")
    )

    answer = run("segment", "check", "--json")

    assert answer.exit_code == 2
    (row,) = json.loads(answer.output)["rows"]
    assert 'column "orderid" does not exist' in row["what"]
    assert row["where"].endswith(f"people.sql:{path.read_text().splitlines().index('    orderid as episode,') + 1}")


@pytest.mark.parametrize("name", ["lapsing_customers", "from_the_readme"])
def test_a_file_runs_in_psql_as_documented(run, work, server: embedded.Server, name):
    program = server.bin / "psql"
    if not program.exists():
        pytest.skip("psql is not among this server's programs")
    if name == "from_the_readme":
        (line,) = re.findall(
            r"^psql .*examples/segment.sql$", (CHECKOUT / "sql" / "README.md").read_text(), re.MULTILINE
        )
    else:
        line = run("segment", "show", name, "--psql").output.strip()
    assert line.startswith('psql "$(reengage db url)" ')
    address = work.database.url.set(drivername="postgresql").render_as_string(hide_password=False)

    words = shlex.split(line.replace('"$(reengage db url)"', address))
    done = subprocess.run(
        [program, "-X", "-v", "ON_ERROR_STOP=1", *words[1:]],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        env={"PGOPTIONS": "-c timezone=UTC"},
    )

    assert done.returncode == 0, done.stderr
    assert "customer_id" in done.stdout
    assert "(0 rows)" in done.stdout
