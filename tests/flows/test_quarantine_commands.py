"""`reengage quarantine` from the first look to the replay, as a data engineer types it, with its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import CHECKOUT
from flows.__main__ import main
from tasks.store.engine import Database

EARLY = """
sources:
  orders:
    entity: purchases
    kind: file
    place: orders*.csv
    delimiter: ";"
    columns:
      order_id: Nr
      customer_id: {column: Kunde, number: "00000"}
      purchased_at: Am
      amount: Summe
      currency: {constant: EURO}
      status: {column: Status, words: {bezahlt: paid}}
      updated_at: Am
"""
CORRECTED = (
    EARLY.replace('delimiter: ";"', 'delimiter: ";"\n    decimal: ","\n    time_zone: Europe/Berlin')
    .replace("constant: EURO", "constant: EUR")
    .replace("{bezahlt: paid}", "{bezahlt: paid, storniert: cancelled}")
    .replace("purchased_at: Am", 'purchased_at: {column: Am, format: [iso, "%d.%m.%Y"]}')
    .replace("updated_at: Am", 'updated_at: {column: Am, format: [iso, "%d.%m.%Y"]}')
)
LINES = """Nr;Kunde;Am;Summe;Status
A1;7;2026-05-01T10:00:00+02:00;10,50;bezahlt
A2;8;2026-05-02 10:00:00;20,00;bezahlt
A3;8.0;03.05.2026;1.234,50;storniert
A4;9;2026-05-04;7;bezahlt
A5;9.5;2026-05-05;7;bezahlt
"""


@dataclass(frozen=True)
class Shell:
    """A shell in a configuration folder, with a database of its own."""

    folder: Path
    database: Database
    type: Callable[..., tuple[int, str, str]]

    def ask(self, *words: str) -> dict[str, Any]:
        """What a command that works answers as JSON."""
        code, said, complaint = self.type(*words, "--json")
        assert code == 0, complaint
        return json.loads(said)

    def all(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        with self.database.transaction() as connection:
            return [tuple(row) for row in connection.execute(sa.text(statement))]


@pytest.fixture
def open_shell(make_database, tmp_path, monkeypatch, capsys) -> Callable[[str], Shell]:
    """A shell with this mapping and the file of orders."""

    def open_shell(mapping: str) -> Shell:
        database = make_database()
        folder = tmp_path / database.name
        folder.mkdir()
        (folder / "sources.yaml").write_text(mapping)
        suites = CHECKOUT / "config" / "suites"
        (folder / "reengage.yaml").write_text(f"mode: simulated\ntime_zone: UTC\nsuites: {suites}\n")
        (folder / "orders.csv").write_text(LINES)
        monkeypatch.setenv("REENGAGE_DATABASE_URL", database.url.render_as_string(hide_password=False))
        monkeypatch.setenv("REENGAGE_HOME", str(database.home))
        monkeypatch.setenv("REENGAGE_CONFIG", str(folder))

        def type_in(*words: str) -> tuple[int, str, str]:
            monkeypatch.setattr("sys.argv", ["reengage", *words])
            with pytest.raises(SystemExit) as ended:
                main()
            said = capsys.readouterr()
            return int(ended.value.code or 0), said.out, said.err

        return Shell(folder, database, type_in)

    return open_shell


@pytest.fixture
def shell(open_shell) -> Shell:
    """The file was loaded under a mapping that understood nothing of it."""
    found = open_shell(EARLY)
    row = found.ask("ingest", "--as-of", "2026-06-01")["rows"][0]
    assert (row["state"], row["accepted"], row["quarantined"]) == ("merged", 0, 5)
    return found


FACTS = "select order_id, customer_id, purchased_at, amount, currency, status from core.purchases order by order_id"


def test_a_corrected_mapping_and_a_replay_give_what_a_clean_first_load_gives(shell: Shell, open_shell) -> None:
    (shell.folder / "sources.yaml").write_text(CORRECTED)

    # What arrives under the new mapping is read by it, too: the file is not asked for again.
    assert shell.ask("ingest", "--as-of", "2026-06-02")["rows"] == []
    [row] = shell.ask("quarantine", "replay", "--source", "orders", "--as-of", "2026-06-02")["rows"]

    assert row == {
        "source": "orders", "load_id": "1", "replayed_as": "2", "lines": 5, "accepted": 4, "duplicate": 0,
        "quarantined": 1, "parked": 0, "erased": 0,
    }  # fmt: skip
    replayed = shell.all(FACTS)
    days = shell.all("select * from core.purchase_days order by customer_id, number")
    # Nobody knows whose order A5 is: 9.5 is no number of a customer, under any mapping.
    [waiting] = shell.ask("quarantine", "list")["rows"]
    assert (waiting["reason"], waiting["column_name"]) == ("invalid_id", "customer_id")

    clean = open_shell(CORRECTED)
    assert clean.ask("ingest", "--as-of", "2026-06-02")["rows"][0]["accepted"] == 4
    assert clean.all(FACTS) == replayed
    assert clean.all("select * from core.purchase_days order by customer_id, number") == days
    assert [(order, who, str(amount), status) for order, who, _, amount, _, status in replayed] == [
        ("A1", "00007", "10.50", "paid"),
        ("A2", "00008", "20.00", "paid"),
        ("A3", "00008", "1234.50", "cancelled"),
        ("A4", "00009", "7.00", "paid"),
    ]


def test_replaying_without_a_corrected_mapping_changes_nothing_but_the_numbers(shell: Shell) -> None:
    before = [row["reason"] for row in shell.ask("quarantine", "list")["rows"]]

    [row] = shell.ask("quarantine", "replay", "--every", "--as-of", "2026-06-02")["rows"]

    assert (row["lines"], row["quarantined"]) == (5, 5)
    assert [row["reason"] for row in shell.ask("quarantine", "list")["rows"]] == before
    assert len(shell.ask("quarantine", "list", "--replayed")["rows"]) == 10


def test_the_list_is_filtered_and_tells_ids_as_text_and_nothing_of_the_lines(shell: Shell) -> None:
    answer = shell.ask("quarantine", "list", "--reason", "invalid_id", "--entity", "purchases")

    assert answer["arguments"] == {
        "source": None, "entity": "purchases", "reason": "invalid_id", "replayed": False,
    }  # fmt: skip
    [row] = answer["rows"]
    assert answer["count"] == 1
    assert (row["quarantine_id"], row["load_id"], row["line_no"], row["replayed_at"]) == ("5", "1", 6, None)
    assert shell.ask("quarantine", "list", "--reason", "nosuch") == {
        "arguments": {"source": None, "entity": None, "reason": "nosuch", "replayed": False}, "count": 0, "rows": [],
    }  # fmt: skip
    code, said, _ = shell.type("quarantine", "list")
    assert code == 0
    assert "invalid id" in said or "invalid_id" in said
    assert "9.5" not in said


def test_one_line_is_shown_as_it_came(shell: Shell) -> None:
    [row] = shell.ask("quarantine", "show", "3")["rows"]

    assert (row["quarantine_id"], row["load_id"], row["replay_load_id"]) == ("3", "1", None)
    assert row["raw"] == "A3;8.0;03.05.2026;1.234,50;storniert"
    assert row["fields"]["customer_id"] == "00008"
    code, said, _ = shell.type("quarantine", "show", "3")
    assert (code, "raw: A3;8.0;03.05.2026;1.234,50;storniert" in said) == (0, True)


WRONG = {
    ("show", "99"): "99: no such line in quarantine",
    ("replay", "98", "99"): "98: is not waiting in quarantine",
    ("replay", "97"): "1 problem(s) to fix",
    ("replay",): "name lines, a filter",
    ("replay", "--corrected", "nosuch.jsonl"): "nosuch.jsonl: cannot be read",
}


def test_what_was_typed_wrong_ends_with_2_and_says_what(shell: Shell) -> None:
    for words, complaint in WRONG.items():
        code, said, complained = shell.type("quarantine", *words)

        assert (code, said) == (2, "")
        assert complaint in " ".join(complained.split())
    assert shell.all("select count(*) from raw.loads") == [(1,)]


def test_lines_corrected_by_hand_are_taken_with_the_ids_that_the_list_tells(shell: Shell) -> None:
    (shell.folder / "sources.yaml").write_text(CORRECTED)
    [row] = shell.ask("quarantine", "list", "--reason", "invalid_id")["rows"]
    corrected = shell.folder / "corrected.jsonl"
    corrected.write_text(json.dumps({"quarantine_id": row["quarantine_id"], "customer_id": "00009"}))

    answer = shell.ask("quarantine", "replay", "--corrected", str(corrected), "--as-of", "2026-06-02")

    assert answer["arguments"]["quarantine_ids"] == []
    assert [row["accepted"] for row in answer["rows"]] == [1]
    assert shell.all("select order_id, customer_id from core.purchases") == [("A5", "00009")]
    code, said, _ = shell.type("quarantine", "replay", "--reason", "invalid_id", "--as-of", "2026-06-02")
    assert (code, said.strip()) == (0, "nothing to replay")
    assert shell.type("quarantine", "replay", row["quarantine_id"], "--as-of", "2026-06-02")[0] == 2
