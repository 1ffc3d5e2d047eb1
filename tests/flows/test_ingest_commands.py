"""`reengage ingest` and `reengage sample contacts` as a data engineer meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.errors import ConfigError
from config.settings import CHECKOUT
from flows.__main__ import app, main
from flows.ingest import ingest
from flows.story import using
from tasks.rules.errors import GateError, ModeError
from tasks.store.workspace import Workspace
from tests.chats import OPENED, body, message


@pytest.fixture
def run(make_database, tmp_path, monkeypatch) -> Callable[..., Result]:
    """The command line on the CDNOW example with the made-up file, and a database of its own."""
    database = make_database("America/New_York")
    monkeypatch.setenv("REENGAGE_DATABASE_URL", database.url.render_as_string(hide_password=False))
    monkeypatch.setenv("REENGAGE_HOME", str(tmp_path))
    monkeypatch.setenv("REENGAGE_CONFIG", str(CHECKOUT / "config" / "examples" / "cdnow"))
    monkeypatch.setenv("REENGAGE_CDNOW", str(CHECKOUT / "tests" / "data" / "cdnow_sample.txt"))
    return lambda *words: CliRunner().invoke(app, list(words), catch_exceptions=False)


def test_ingest_tells_where_every_line_went(run):
    made = run("ingest", "cdnow_purchases", "--as-of", "1998-07-01", "--json")

    assert made.exit_code == 0
    answer = json.loads(made.stdout)
    last_instant = "1998-07-02T03:59:59.999999Z"
    assert answer["arguments"] == {
        "sources": ["cdnow_purchases"], "as_of": last_instant, "release": None, "again": None,
    }  # fmt: skip
    [row] = answer["rows"]
    assert (answer["count"], row["state"], row["lines_in"], row["accepted"]) == (1, "merged", 2000, 2000)
    assert row["object"] == "cdnow_sample.txt"
    assert row["reported"] == (
        "columns that the mapping does not read: number_of_cds; orders: 2,000; customers known by their id only: 400"
    )

    again = run("ingest", "--as-of", "1998-07-01")
    assert (again.exit_code, again.stdout.strip()) == (0, "nothing new")


def test_the_table_of_loads_fits_eighty_columns(run):
    shown = run("ingest", "--as-of", "1998-07-01").stdout.splitlines()

    header = next(line for line in shown if "lines in" in line)
    load = next(line for line in shown if "cdnow_purchases" in line)
    assert header.split() == ["load", "id", "source", "lines", "in", "accepted"]
    assert load.split()[1:] == ["cdnow_purchases", "2,000", "2,000"]
    assert max(map(len, shown)) <= 80


def test_a_simulated_database_wants_to_know_which_day_it_is(run):
    with pytest.raises(ModeError, match="say which moment it is"):
        run("ingest")


def test_a_database_that_was_never_set_up_says_what_to_do(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("REENGAGE_DATABASE_URL", server.url("postgres"))
    monkeypatch.setenv("REENGAGE_HOME", str(tmp_path))
    monkeypatch.setenv("REENGAGE_CONFIG", str(CHECKOUT / "config" / "examples" / "cdnow"))
    monkeypatch.setattr("sys.argv", ["reengage", "ingest", "--as-of", "1998-07-01"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 1
    assert "reengage db migrate" in capsys.readouterr().err


def test_an_unknown_source_is_named_with_those_there_are(run):
    with pytest.raises(ConfigError, match="nosuch: no such source; there are: cdnow_purchases"):
        run("ingest", "nosuch", "--as-of", "1998-07-01")


def test_a_held_load_ends_the_command_as_failed_and_is_merged_on_release(run, tmp_path, monkeypatch):
    bad = "a b c d\n" * 50
    (tmp_path / "bad.txt").write_text("customer_id date number_of_cds dollar_value\n" + bad)
    monkeypatch.setenv("REENGAGE_CDNOW", str(tmp_path / "bad.txt"))

    held = run("ingest", "--as-of", "1998-07-01")
    assert held.exit_code == 1
    assert "load 1 of cdnow_purchases is held" in held.stdout

    released = run("ingest", "--release", "1", "--json")
    assert released.exit_code == 0
    assert json.loads(released.stdout)["rows"][0]["quarantined"] == 50


def test_a_flow_run_that_ends_as_failed_says_why_its_load_is_held(run, tmp_path, monkeypatch):
    (tmp_path / "bad.txt").write_text("customer_id date number_of_cds dollar_value\n" + "a b c d\n" * 50)
    monkeypatch.setenv("REENGAGE_CDNOW", str(tmp_path / "bad.txt"))

    held = r"^cdnow_purchases: load 1 held: .*purchased_at.: 50 of 50"
    with using(Workspace.open()), pytest.raises(GateError, match=held):
        ingest.fn(as_of=datetime(1998, 7, 1, tzinfo=UTC))


SHOP = """
sources:
  orders:
    entity: purchases
    kind: file
    place: orders_*.csv
    group: order_id
    time_zone: America/New_York
    columns:
      order_id: order_id
      customer_id: customer_id
      purchased_at: purchased_at
      amount: amount
      currency: {constant: USD}
      status: {column: order_id, prefixes: {C: cancelled, "": paid}}
      coupon_code: coupon
      updated_at: purchased_at
"""
HEADER = "order_id,customer_id,purchased_at,amount"


@pytest.fixture
def shop(run, tmp_path, monkeypatch) -> Path:
    """The folder of a shop of another kind: several lines an order, cancellations told by their number."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "suites").symlink_to(CHECKOUT / "config" / "suites")
    (folder / "reengage.yaml").write_text("mode: simulated\ntime_zone: America/New_York\n")
    (folder / "sources.yaml").write_text(SHOP)
    monkeypatch.setenv("REENGAGE_CONFIG", str(folder))
    return folder


def test_what_a_load_reports_beside_its_lines_is_told_in_words(run, shop, caplog):
    lines = [
        "1,ann,2025-11-02 01:30:00,10,,red",  # that hour came twice
        "1,ann,2025-11-02 01:30:00,5,,blue",
        "C9, ann ,2025-11-03 10:00:00,-5,,red",
    ]
    (shop / "orders_1.csv").write_text("\n".join([f"{HEADER},coupon,the colour", *lines]))
    told = (
        "columns that the mapping does not read: the colour; orders: 2; cancellations without their order: 1; "
        "lines with blanks around an id: 1; lines with a time that a clock change repeats, read as the first: 2; "
        "customers known by their id only: 1"
    )
    shown = run("ingest", "--as-of", "2026-06-01")

    assert shown.exit_code == 0
    assert f"load 1 of orders: {told}" in " ".join(shown.stdout.split())
    assert f"orders: 3 lines, 3 accepted; {told}" in caplog.messages
    warned = "expect_table_columns_to_match_set: not in the mapping: the colour"
    assert any(f"2 warning(s): {warned}; " in message for message in caplog.messages)


def test_a_load_that_lacks_a_mapped_column_is_held_and_read_again_when_the_mapping_is_mended(run, shop):
    (shop / "orders_1.csv").write_text(f"{HEADER},coupon_code\n1,ann,2025-11-02 10:00:00,10,SUN\n")

    held = run("ingest", "--as-of", "2026-06-01")
    said = " ".join(held.stdout.split())
    assert held.exit_code == 1
    assert "expect_table_columns_to_match_set: missing coupon, not in the mapping: coupon_code" in said
    assert (
        "columns of the mapping that are missing: coupon; columns that the mapping does not read: coupon_code" in said
    )
    assert "reengage ingest --again LOAD" in said

    (shop / "sources.yaml").write_text(SHOP.replace("coupon_code: coupon", "coupon_code: coupon_code"))
    again = run("ingest", "--again", "1", "--as-of", "2026-06-01", "--json")
    assert again.exit_code == 0
    [row] = json.loads(again.stdout)["rows"]
    assert (row["load_id"], row["state"], row["accepted"]) == ("2", "merged", 1)
    assert row["reported"] == "orders: 1; customers known by their id only: 1"

    with pytest.raises(ConfigError, match="released or read again, not both"):
        run("ingest", "--again", "1", "--release", "1", "--as-of", "2026-06-01")


def test_an_extract_that_cannot_be_read_ends_the_command_as_failed(run, shop):
    (shop / "orders_1.csv").write_text("order_id,customer_id,amount\n1,ann,10.00\n")

    made = run("ingest", "--as-of", "2026-06-01")

    assert made.exit_code == 1
    assert "of orders is failed: " in " ".join(made.stdout.split())


def test_sample_contacts_says_how_many_people_it_gave_any(run):
    run("ingest", "--as-of", "1998-07-01")

    made = run("sample", "contacts", "--as-of", "1998-07-01", "--json")

    [row] = json.loads(made.stdout)["rows"]
    assert (row["people"], row["customers_accepted"]) == (400, 400)
    assert 0 < row["without_consent"] < 400


def test_milestones_that_cannot_be_derived_end_the_command_as_failed_after_all_loads(run, tmp_path, monkeypatch):
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "suites").symlink_to(CHECKOUT / "config" / "suites")
    (shop / "reengage.yaml").write_text("mode: simulated\ntime_zone: America/New_York\n")
    (shop / "sources.yaml").write_text("sources: {chats: {kind: whatsapp, place: chats.jsonl}}")
    (shop / "chats.jsonl").write_text(json.dumps(body(message("m1", OPENED))))
    monkeypatch.setenv("REENGAGE_CONFIG", str(shop))
    monkeypatch.setenv("REENGAGE_ANALYST_URL", "postgresql://nobody:wrong@127.0.0.1:1/none")

    made = run("ingest", "--as-of", "2026-06-01", "--json")

    assert made.exit_code == 1
    assert [row["state"] for row in json.loads(made.stdout)["rows"]] == ["merged", "merged"]
    assert "milestones wait for the next ingest: cannot log in as the analyst" in " ".join(made.stderr.split())
