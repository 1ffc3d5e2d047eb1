"""From a user's files to clean facts: the mapping, the landing, and what is new and what is not."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import threading
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from config.errors import ConfigError
from tasks import pull
from tasks.rules.errors import Superseded
from tasks.sources import columnar, files, landing
from tasks.sources.mapping import Mapper
from tasks.store import quarantine
from tests.exports import AS_OF, HEADER, PURCHASES, Exports, order


@pytest.fixture
def exports(tmp_path, make_workspace):
    def make(sources: str = PURCHASES, **given: str) -> Exports:
        return Exports(tmp_path, make_workspace, sources, **given)

    return make


def _lines(*rows: str) -> str:
    return "\n".join([HEADER, *rows]) + "\n"


def test_a_file_becomes_purchases(exports):
    shop = exports()
    shop.write("orders.csv", _lines(order(1), order(2, amount="0"), order(3, amount="1e400")))

    [load] = shop.pull()

    assert (load.state, load.lines_in, load.accepted, load.quarantined) == ("merged", 3, 2, 1)
    assert shop.all("select order_id, customer_id, purchased_at, amount, currency, status from core.purchases") == [
        ("A1", "C1", datetime(2026, 5, 31, 10, tzinfo=UTC), Decimal("10.00"), "EUR", "paid"),
        ("A2", "C2", datetime(2026, 5, 31, 10, tzinfo=UTC), Decimal("0.00"), "EUR", "paid"),
    ]


def test_one_new_file_a_day_is_read_once_each(exports):
    shop = exports()
    shop.write("orders_1.csv", _lines(order(1)))
    assert [load.accepted for load in shop.pull()] == [1]
    shop.write("orders_2.csv", _lines(order(2), order(3)))

    again = shop.pull()

    assert [(load.object.rpartition("/")[2], load.accepted) for load in again] == [("orders_2.csv", 2)]
    assert shop.pull() == []


def test_a_file_with_new_content_is_read_again_and_one_that_was_only_touched_is_not(exports):
    shop = exports()
    path = shop.write("orders.csv", _lines(order(1)))
    shop.pull()

    os.utime(path, (1, 1))
    assert shop.pull() == []
    shop.write("orders.csv", _lines(order(1), order(2)))
    [load] = shop.pull()

    assert (load.accepted, load.duplicate) == (1, 1)


def test_columns_may_come_in_any_order_and_further_ones_are_ignored_and_told(exports):
    shop = exports()
    shop.write(
        "orders.csv",
        "status,extra,currency,amount,purchased_at,customer_id,order_id\npaid,x,EUR,5,2026-05-01T00:00:00Z,C,A\n",
    )

    [load] = shop.pull()

    assert load.accepted == 1
    assert load.report["ignored_columns"] == ["extra"]


@pytest.mark.parametrize("header", ["order_id,customer_id,amount,currency,status", HEADER + ",amount"])
def test_a_required_column_that_is_missing_or_doubled_fails_the_extract_and_holds_the_campaign(exports, header):
    shop = exports()
    shop.write("orders.csv", header + "\n" + ",".join("x" for _ in header.split(",")) + "\n")

    [load] = shop.pull()

    assert (load.state, load.lines_in) == ("failed", 0)
    assert "nothing was loaded" in load.reason
    assert shop.all("select campaign, load_id from campaign.holds") == [("lapsing_customers", load.load_id)]
    assert shop.all("select count(*) from raw.objects") == [(0,)]
    assert shop.all("select count(*) from pg_class where relname like 'purchases\\_%' and relkind = 'r'") == [(0,)]


def test_a_failed_extract_is_tried_again_without_another_row_and_its_hold_ends_with_a_good_one(exports):
    shop = exports()
    shop.write("orders.csv", "order_id\nA1\n")
    [first] = shop.pull()
    [second] = shop.pull()
    assert first.load_id == second.load_id

    shop.write("orders.csv", _lines(order(1)))
    [good] = shop.pull()

    assert good.state == "merged"
    assert shop.all("select count(*) from campaign.holds") == [(0,)]


def test_an_empty_file_and_a_header_alone_are_loads_without_lines(exports):
    shop = exports()
    shop.write("orders_a.csv", "")
    shop.write("orders_b.csv", HEADER + "\n")

    assert [(load.state, load.lines_in) for load in shop.pull()] == [("merged", 0), ("merged", 0)]


@pytest.mark.parametrize(
    "odd",
    [
        {"E2": "plain"},
        {"E2": "tab\there"},
        {"E2": "back\\slash"},
        {"E2": "\\N"},
        {"E2": ""},
        {"E2": "ünï\u2028code"},
        {"E1": "", "E2": "", "E3": ""},
        {"E2": '"quoted, with a comma"'},
        {"E2": "one,field,too,many"},
    ],
    ids=str,
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_whose_every_column_is_mapped_lands_field_by_field(exports, odd, delimiter):
    shop = exports(f"""
        sources:
          events:
            kind: file
            entity: events
            place: events.csv
            delimiter: "{delimiter.encode("unicode_escape").decode()}"
            columns: {{event_id: id, customer_id: who, name: name, occurred_at: at}}
        """)
    rows = [("2026-05-01T00:00:00Z", odd.get(event, "Charged"), event, "C") for event in ("E1", "E2", "E3")]
    lines = [delimiter.join(row) for row in rows]
    shop.write("events.csv", "\n".join([delimiter.join(("at", "name", "id", "who")), *lines]) + "\n")
    source = shop.work.sources["events"]

    [entry] = files.new_objects(source, "events", shop.folder, set())
    with shop.work.database.transaction() as connection, files.read(source, entry) as reading:
        extract = landing.Extract("events", source, entry.key, entry.etag, AS_OF, "a key")
        load_id = landing.begin(connection, shop.work.queries, extract)
        assert landing.fill(connection, shop.work.queries, extract, load_id, reading) == len(rows)

    landed = shop.landed("events", load_id)
    assert [(row["line_no"], row["raw"]) for row in landed] == list(enumerate(lines, 2))
    for row, line in zip(landed, lines, strict=True):
        fields = next(csv.reader([line], delimiter=delimiter))
        good = len(fields) == len(rows[0])
        at, name, event, who = (field or None for field in fields) if good else (None, None, None, None)
        assert row["broken"] == (None if good else "wrong_field_count")
        assert (row["occurred_at"], row["name"], row["event_id"], row["customer_id"]) == (at, name, event, who)
        assert row["properties"] is None


def test_any_text_survives_the_way_into_the_database(exports):
    nasty = [
        "tab\there",
        "back\\slash",
        "\\N",
        "\\.",
        'quo"te',
        "new\nline",
        "car\rriage",
        "ünï\u2028code",
        "null",
        "{}",
    ]
    shop = exports("""
        sources:
          events:
            kind: file
            entity: events
            format: jsonl
            place: events.jsonl
            columns: {event_id: id, customer_id: who, name: name, occurred_at: at}
        """)
    rows = [{"id": f"E{n}", "who": "C", "name": text, "at": "2026-05-01T00:00:00Z"} for n, text in enumerate(nasty)]
    shop.write("events.jsonl", "\n".join(json.dumps(row) for row in rows))
    source = shop.work.sources["events"]

    [entry] = files.new_objects(source, "events", shop.folder, set())
    with shop.work.database.transaction() as connection, files.read(source, entry) as reading:
        extract = landing.Extract("events", source, entry.key, entry.etag, AS_OF, "a key")
        load_id = landing.begin(connection, shop.work.queries, extract)
        assert landing.fill(connection, shop.work.queries, extract, load_id, reading) == len(nasty)

    landed = shop.landed("events", load_id)
    assert [row["name"] for row in landed] == nasty
    assert [row["raw"] for row in landed] == [json.dumps(row) for row in rows]
    assert [row["line_no"] for row in landed] == list(range(1, len(nasty) + 1))


def test_lines_that_cannot_be_read_go_to_quarantine_with_their_raw_line(exports):
    shop = exports()
    good = "".join(order(number) + "\n" for number in range(100))
    shop.write("orders.csv", (HEADER + "\n" + good).encode() + b"A\xff,C\nB\x00,C\nshort\n" + b'A"1,C,"x\n')

    [load] = shop.pull()

    assert (load.lines_in, load.accepted, load.quarantined) == (104, 100, 4)
    assert shop.all("select line_no, reason, raw from raw.quarantine order by line_no") == [
        (102, "invalid_utf8", "A\\xff,C"),
        (103, "nul_byte", "B\\x00,C"),
        (104, "wrong_field_count", "short"),
        (105, "truncated_line", 'A"1,C,"x'),
    ]


def test_gzip_is_recognised_and_a_cut_one_fails_the_extract(exports):
    shop = exports()
    packed = gzip.compress(_lines(*(order(number) for number in range(2_000))).encode())
    shop.write("orders_1.csv", packed[: len(packed) // 2])
    shop.write("orders_2.csv", packed)

    cut, whole = shop.pull()

    assert (cut.state, cut.lines_in) == ("failed", 0)
    assert "cut short" in cut.reason
    assert (whole.state, whole.accepted) == ("merged", 2_000)


def test_a_place_that_is_not_there_or_a_folder_is_a_configuration_error(exports):
    shop = exports(PURCHASES.replace("orders*.csv", "nowhere.csv"))
    with pytest.raises(ConfigError, match=r"sources\.orders\.place: .*nowhere\.csv cannot be read"):
        shop.pull()
    (shop.folder / "nowhere.csv").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        shop.pull()
    with pytest.raises(ConfigError, match="no such source; there are: orders"):
        pull.in_order(shop.work, ["others"])


def test_people_come_before_what_they_did(exports):
    template = "{kind: file, place: x, entity: %s, columns: %s}"
    customers = template % ("customers", "{customer_id: a}")
    tokens = template % (
        "push_tokens",
        "{token_id: a, customer_id: a, endpoint: a, platform: a, active: a, updated_at: a}",
    )
    events = template % ("events", "{event_id: a, customer_id: a, name: a, occurred_at: a}")
    shop = exports(f"sources:\n  a_tokens: {tokens}\n  b_events: {events}\n  c_people: {customers}\n")

    assert pull.in_order(shop.work) == ["c_people", "b_events", "a_tokens"]


def test_what_landed_before_a_crash_is_finished_by_the_next_run_without_reading_again(exports):
    shop = exports()
    path = shop.write("orders.csv", _lines(order(1)))
    source = shop.work.sources["orders"]
    [entry] = files.new_objects(source, "orders", shop.folder, set())
    with shop.work.database.transaction() as connection, files.read(source, entry) as reading:
        extract = landing.Extract("orders", source, entry.key, entry.etag, AS_OF, "a key")
        load_id = landing.begin(connection, shop.work.queries, extract)
        landing.fill(connection, shop.work.queries, extract, load_id, reading)
        seen = shop.work.queries["core/object_seen"]
        connection.execute(seen(source="orders", key=entry.key, etag=entry.etag, load_id=load_id))
    path.write_text("something else entirely", "utf-8")
    os.truncate(path, 0)
    path.unlink()

    [load] = shop.pull()

    assert (load.load_id, load.state, load.accepted) == (load_id, "merged", 1)


def test_a_file_that_grows_while_it_is_read_is_left_for_the_next_run(exports):
    shop = exports()
    path = shop.write("orders.csv", _lines(order(1)))
    source = shop.work.sources["orders"]
    [entry] = files.new_objects(source, "orders", shop.folder, set())

    with pytest.raises(Exception, match="changed while it was read"), files.read(source, entry):
        path.write_text(_lines(order(1), order(2)), "utf-8")


def test_two_runs_of_one_source_at_once_do_the_work_once(exports):
    shop = exports()
    for number in range(5):
        shop.write(f"orders_{number}.csv", _lines(order(number)))
    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    def run() -> None:
        barrier.wait()
        try:
            outcomes.extend(load.state for load in shop.pull())
        except Superseded:
            outcomes.append("superseded")

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # The second either met the lock or came after the first and found nothing new.
    assert Counter(outcomes)["merged"] == 5
    assert shop.all("select count(*) from raw.loads") == [(5,)]


ONLINE_RETAIL = """
sources:
  receipts:
    entity: purchases
    kind: file
    place: receipts_*.csv
    encoding: cp1252
    time_zone: Europe/London
    group: order_id
    missing_updated_at: purchased_at
    columns:
      order_id: InvoiceNo
      customer_id: {column: CustomerID, number: plain}
      purchased_at: {column: InvoiceDate, format: "%m/%d/%Y %H:%M"}
      amount: {product: [Quantity, UnitPrice]}
      currency: {constant: GBP}
      status: {column: InvoiceNo, prefixes: {C: cancelled, "": paid}}
      cancels: {column: InvoiceNo, without_prefix: C}
      items: {parts: {product_id: StockCode, name: Description, quantity: Quantity, unit_price: UnitPrice}}
"""
RECEIPTS = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,"WHITE HEART, T-LIGHT",6,12/1/2010 8:26,2.55,17850.0,United Kingdom
536365,71053,CAFÉ LANTERN,6,12/1/2010 8:26,3.39,17850.0,United Kingdom
536366,22633,HAND WARMER,6,12/1/2010 8:28,1.85,17850.0,United Kingdom
C536365,85123A,"WHITE HEART, T-LIGHT",-6,12/2/2010 9:00,2.55,17850.0,United Kingdom
536367,84879,BIRD ORNAMENT,32,12/1/2010 8:34,1.69,13047.0,United Kingdom
536367,POST,POSTAGE,one,12/1/2010 8:34,1.00,13047.0,United Kingdom
"""


def test_several_lines_of_an_order_become_one_purchase_with_its_amount_summed(exports):
    shop = exports(ONLINE_RETAIL)
    shop.write("receipts_1.csv", RECEIPTS.encode("cp1252"))

    [load] = shop.pull("receipts")

    # 536367 has a line that cannot be read, so neither of its lines is believed.
    assert (load.lines_in, load.accepted, load.quarantined, load.report["orders"]) == (6, 4, 2, 4)
    assert shop.all(
        "select order_id, customer_id, amount, status, cancelled_by from core.purchases order by purchased_at, order_id"
    ) == [
        ("536365", "17850", Decimal("35.64"), "paid", "C536365"),
        ("536366", "17850", Decimal("11.10"), "paid", None),
        ("C536365", "17850", Decimal("-15.30"), "cancelled", None),
    ]
    assert shop.all("select purchased_at from core.purchases where order_id = '536365'") == [
        (datetime(2010, 12, 1, 8, 26, tzinfo=UTC),)
    ]
    [(items,)] = shop.all("select items from core.purchases where order_id = '536365'")
    assert {item["name"] for item in items} == {"WHITE HEART, T-LIGHT", "CAFÉ LANTERN"}
    assert shop.all("select count(*) from core.purchase_days where customer_id = '17850'") == [(1,)]


PREFIXED = PURCHASES.replace(
    "status: status", "status: {column: order_id, prefixes: {C: cancelled, CR: refunded, CP: paid, '': paid}}"
)


def test_cancellations_that_only_their_number_tells_are_counted_as_unlinked(exports):
    shop = exports(PREFIXED)
    numbers = ["536365", "C536365", "CR7", "CP8", "X9"]
    lines = [order(1).replace("A1", number) for number in numbers]
    shop.write("orders.csv", _lines(*lines))

    [load] = shop.pull()

    assert (load.accepted, load.report["unlinked_cancellations"]) == (5, 2)
    assert dict(shop.all("select order_id, status from core.purchases")) == {
        "536365": "paid", "C536365": "cancelled", "CR7": "refunded", "CP8": "paid", "X9": "paid",
    }  # fmt: skip


def test_an_order_that_another_column_says_is_cancelled_is_no_unlinked_cancellation(exports):
    shop = exports(
        PURCHASES.replace("status: status", "status: {column: status, prefixes: {paid: paid, c: cancelled}}")
    )
    shop.write("orders.csv", _lines(order(1), order(2).replace("A2", "c2").replace("paid", "cancelled by the shop")))

    [load] = shop.pull()

    assert (load.accepted, load.report["unlinked_cancellations"]) == (2, 0)


LINKED = PREFIXED.rstrip() + "\n      cancels: {column: order_id, without_prefix: C}\n"


def test_what_a_mapping_gives_travels_with_the_load_and_a_column_it_learns_counts_from_then_on(exports):
    shop = exports(PREFIXED)
    shop.write("orders_1.csv", _lines(order(1), order(1).replace("A1", "CA1"), order(2)))
    shop.pull()
    (shop.folder / "sources.yaml").write_text(LINKED)
    del shop.work.sources
    shop.write("orders_2.csv", _lines(order(2).replace("A2", "CA2"), order(3), order(3).replace("A3", "CA3")))

    [load] = shop.pull()

    first = ["order_id", "customer_id", "purchased_at", "amount", "currency", "status", "updated_at"]
    assert shop.all("select options -> 'mapped' from raw.loads order by load_id") == [(first,), ([*first, "cancels"],)]
    assert load.report["unlinked_cancellations"] == 0
    assert shop.all("select order_id, cancelled_by from core.purchases where order_id like 'A%' order by 1") == [
        ("A1", None), ("A2", "CA2"), ("A3", "CA3"),
    ]  # fmt: skip


def test_an_updated_at_that_stands_in_for_a_missing_one_counts_as_mapped(exports):
    fallback = "entity: purchases\n    missing_updated_at: as_of"
    shop = exports(PURCHASES.replace("      updated_at: purchased_at\n", "").replace("entity: purchases", fallback))

    assert shop.work.sources["orders"].options()["mapped"][-1] == "updated_at"


def test_a_line_that_comes_again_keeps_what_an_earlier_mapping_gave_it(exports):
    shop = exports(LINKED)
    shop.write("orders.csv", _lines(order(1), order(1).replace("A1", "CA1").replace("10.00", "ten")))
    assert shop.pull()[0].quarantined == 1
    (shop.folder / "sources.yaml").write_text(PREFIXED)
    del shop.work.sources
    source = shop.work.sources["orders"]

    with shop.work.database.transaction() as connection:
        [again] = quarantine.replay(
            connection, shop.work.queries, "key", quarantine.Choice(), corrections={1: {"amount": "10.00"}},
            renew=lambda _, kept: Mapper.again(source, kept),
        )  # fmt: skip

    assert again.counts.accepted == 1
    assert shop.all("select order_id, cancelled_by from core.purchases order by 1") == [("A1", "CA1"), ("CA1", None)]


def test_an_export_delivered_again_with_one_day_more_adds_only_that_day(exports):
    shop = exports(ONLINE_RETAIL)
    shop.write("receipts_1.csv", RECEIPTS.encode("cp1252"))
    shop.pull("receipts")

    shop.write("receipts_2.csv", (RECEIPTS + "536370,1,X,1,12/3/2010 8:00,5,17850.0,UK\n").encode("cp1252"))
    [load] = shop.pull("receipts")

    assert (load.accepted, load.duplicate, load.quarantined) == (1, 4, 2)


def test_numbers_with_a_decimal_comma_and_words_of_the_shop_are_written_as_the_contract_has_them(exports):
    shop = exports(
        PURCHASES.replace("entity: purchases", "entity: purchases\n    decimal: ','\n    delimiter: ';'")
        .replace("status: status", "status: {column: status, words: {bezahlt: paid, storniert: cancelled}}")
        .replace("purchased_at: purchased_at", "purchased_at: {column: purchased_at, format: '%d.%m.%Y'}", 1)
        .replace("updated_at: purchased_at", "updated_at: {column: purchased_at, format: '%d.%m.%Y'}")
        .replace("entity: purchases", "entity: purchases\n    time_zone: Europe/Berlin", 1)
    )
    shop.write(
        "orders.csv", HEADER.replace(",", ";") + "\nA;C;1.5.2026;1.234,50;EUR;bezahlt\nB;C;2.5.2026;7;EUR;storniert\n"
    )

    [load] = shop.pull()

    assert load.accepted == 2
    assert shop.all("select order_id, amount, status, purchased_at from core.purchases order by 1") == [
        ("A", Decimal("1234.50"), "paid", datetime(2026, 4, 30, 22, tzinfo=UTC)),
        ("B", Decimal("7.00"), "cancelled", datetime(2026, 5, 1, 22, tzinfo=UTC)),
    ]


def test_an_export_without_updated_at_may_take_the_time_of_its_load(exports):
    shop = exports(
        PURCHASES.replace("      updated_at: purchased_at\n", "").replace(
            "entity: purchases", "entity: purchases\n    missing_updated_at: as_of"
        )
    )
    shop.write("orders_1.csv", _lines(order(1), order(2)))
    shop.pull(as_of=datetime(2026, 6, 1, tzinfo=UTC))
    shop.write("orders_2.csv", _lines(order(1, amount="12.00"), order(2)))

    [load] = shop.pull(as_of=datetime(2026, 6, 2, tzinfo=UTC))

    # The newer delivery wins where it differs, and is a duplicate where it does not.
    assert (load.accepted, load.duplicate) == (1, 1)
    assert shop.all("select amount from core.purchases order by order_id") == [(Decimal("12.00"),), (Decimal("10.00"),)]


PARQUET = PURCHASES.replace("kind: file", "kind: file\n    format: parquet").replace("orders*.csv", "orders.parquet")


def _table(**columns):
    given = {
        "order_id": pa.array(["A1", "A2", None]),
        "customer_id": pa.array(["007", "008", "009"]).dictionary_encode(),
        "purchased_at": pa.array([datetime(2026, 5, 1, 10, tzinfo=UTC)] * 3, pa.timestamp("ns", "Europe/Berlin")),
        "amount": pa.array([Decimal("1.10"), Decimal("22.00"), Decimal("3.00")], pa.decimal128(12, 2)),
        "currency": pa.array(["EUR", "EUR", "EUR"]),
        "status": pa.array(["paid", "paid", "paid"]),
    }
    return pa.table(given | columns)


def test_parquet_of_many_rows_is_held_a_part_at_a_time(exports):
    """However many rows its writer put together."""
    shop, rows = exports(PARQUET), 60_000
    numbers = pa.array([f"A{number}" for number in range(rows)])
    pq.write_table(pa.table({"order_id": numbers, "customer_id": numbers}), shop.folder / "orders.parquet")
    source = shop.work.sources["orders"]

    with (shop.folder / "orders.parquet").open("rb") as file:
        parts = [len(block.numbers) for block in columnar.parquet(file, source, "orders.parquet").blocks]

    assert sum(parts) == rows
    assert max(parts) <= 25_000


def test_parquet_is_read_in_batches_with_its_types_kept(exports):
    shop = exports(PARQUET)
    pq.write_table(_table(), shop.folder / "orders.parquet", row_group_size=2)

    [load] = shop.pull(as_of=AS_OF)

    assert (load.lines_in, load.accepted, load.quarantined) == (3, 2, 1)
    assert shop.all("select order_id, customer_id, purchased_at, amount from core.purchases order by 1") == [
        ("A1", "007", datetime(2026, 5, 1, 10, tzinfo=UTC), Decimal("1.10")),
        ("A2", "008", datetime(2026, 5, 1, 10, tzinfo=UTC), Decimal("22.00")),
    ]


def test_ids_that_are_numbers_need_the_mapping_to_say_how_to_write_them(exports):
    shop = exports(PARQUET)
    pq.write_table(_table(customer_id=pa.array([7, 8, 9])), shop.folder / "orders.parquet")
    [load] = shop.pull()
    assert load.state == "failed"
    assert "column customer_id holds numbers" in load.reason

    mapping = (shop.folder / "sources.yaml").read_text()
    (shop.folder / "sources.yaml").write_text(
        mapping.replace("customer_id: customer_id", "customer_id: {column: customer_id, number: '00000'}")
    )
    del shop.work.sources
    [load] = shop.pull()

    assert load.state == "merged"
    assert shop.all("select customer_id from core.purchases order by 1") == [("00007",), ("00008",)]


def test_an_id_that_a_spreadsheet_mangled_is_nobodys_id(exports):
    shop = exports(PURCHASES.replace("customer_id: customer_id", "customer_id: {column: customer_id, number: '00000'}"))
    written = ["7", " 8.0 ", "000009", "C536365", "9.5", "1.2E+11", '"17850,5"', ".5", "nan", "12345678"]
    lines = [order(number).replace(f",C{number},", f",{value},") for number, value in enumerate(written)]
    shop.write("orders.csv", _lines(*lines, *(order(number) for number in range(100, 160))))

    [load] = shop.pull()

    assert (load.state, load.accepted, load.quarantined) == ("merged", 65, 5)
    assert shop.all("select customer_id from core.purchases where length(order_id) = 2 order by 1") == [
        ("000009",), ("00007",), ("00008",), ("12345678",), ("C536365",),
    ]  # fmt: skip
    assert shop.all("select line_no, reason, column_name from raw.quarantine order by 1") == [
        *((number, "invalid_id", "customer_id") for number in (6, 7, 8, 9)), (10, "missing_id", "customer_id"),
    ]  # fmt: skip
    # Reading them again under the same mapping makes nobody of them either.
    kept = {row[0]: row[1] for row in shop.all("select line_no, fields ->> 'customer_id' from raw.quarantine")}
    assert Mapper.again(shop.work.sources["orders"], {"customer_id": kept[6]})["customer_id"] == kept[6]


def test_an_optional_id_that_is_mangled_is_refused_too_and_one_that_is_not_there_is_none(exports):
    shop = exports("""
        sources:
          visits:
            kind: file
            entity: visits
            format: parquet
            place: visits.parquet
            columns: {visit_id: id, session_id: id, customer_id: {column: who, number: plain}, page_url: page,
                      viewed_at: at}
        """)
    table = pa.table(
        {
            "id": ["a", "b", "c", "d"],
            "who": pa.array([7.0, 9.5, float("nan"), None], pa.float64()),
            "page": ["https://shop.example.com/"] * 4,
            "at": ["2026-05-01T10:00:00Z"] * 4,
        }
    )
    pq.write_table(table, shop.folder / "visits.parquet")

    [load] = shop.pull("visits")

    assert (load.accepted, load.quarantined) == (3, 1)
    assert shop.all("select visit_id, customer_id from core.visits order by 1") == [
        ("a", "7"),
        ("c", None),
        ("d", None),
    ]
    assert shop.all("select line_no, reason, column_name from raw.quarantine") == [(2, "invalid_id", "customer_id")]


def test_a_parquet_file_that_is_none_fails_the_extract(exports):
    shop = exports(PARQUET)
    shop.write("orders.parquet", b"PAR1 no")

    [load] = shop.pull()

    assert load.state == "failed"
    assert "no Parquet file" in load.reason


def test_a_json_export_without_a_required_field_fails_as_a_whole(exports):
    shop = exports("""
        sources:
          events:
            kind: file
            entity: events
            format: jsonl
            place: events.jsonl
            columns: {event_id: id, customer_id: who, name: name, occurred_at: at}
        """)
    shop.write("events.jsonl", '{"id": "1", "who": "C", "name": "x"}\n{"id": "2", "who": "C", "name": "x"}\n')

    [load] = shop.pull("events")

    assert load.state == "failed"
    assert "column at is missing" in load.reason


PEOPLE = """
sources:
  people:
    kind: file
    entity: customers
    format: {format}
    place: people.{format}
    columns: {{customer_id: id, email: mail.work, phone: tel, updated_at: at}}
"""


def _json_people(shop: Exports, count: int, *more: dict, at: str = "2026-05-01T10:00:00Z") -> None:
    rows = [{"id": str(number), "tel": None, "at": at} for number in range(count - len(more))]
    shop.write("people.jsonl", "\n".join(json.dumps(row) for row in [*rows, *more]))


def test_lines_of_json_may_lack_what_one_of_them_has_and_a_small_file_what_none_has(exports):
    shop = exports(PEOPLE.format(format="jsonl"))

    _json_people(shop, 101)
    [load] = shop.pull("people")
    assert (load.state, load.reason) == ("held", "expect_table_columns_to_match_set: missing mail.work")
    pull.release(shop.work, load.load_id)

    _json_people(shop, 102, {"id": "x", "at": None, "mail": {"work": "x@example.com"}, "more": 1})
    [load] = shop.pull("people")
    assert (load.state, load.reported) == ("merged", "")

    _json_people(shop, 100)
    [load] = shop.pull("people")
    assert (load.state, load.reported) == ("merged", "columns of the mapping that are missing: mail.work")
    noted = f"load_id = {load.load_id} and outcome = 'warned'"
    assert set(shop.all(f"select expectation, severity, observed from raw.validations where {noted}")) == {
        ("expect_table_columns_to_match_set", "warning", "missing mail.work")
    }


def test_a_parquet_file_without_a_mapped_column_is_held(exports):
    shop = exports(PEOPLE.format(format="parquet"))
    columns = {"id": ["1"], "tel": ["030"], "mail": ["a@example.com"], "at": ["2026-05-01T10:00:00Z"]}
    pq.write_table(pa.table(columns), shop.folder / "people.parquet")

    [load] = shop.pull("people")

    assert load.state == "held"
    assert load.reason == "expect_table_columns_to_match_set: missing mail.work, not in the mapping: mail"


def test_a_file_without_its_header_is_refused_without_quoting_the_person_in_its_first_line(exports):
    shop = exports("""
        sources:
          people: {kind: file, entity: customers, place: "people.csv", columns: {customer_id: id, email: mail}}
        """)
    shop.write("people.csv", "7,ann@example.com\n8,bob@example.com\n")

    [load] = shop.pull("people")

    assert (load.state, "column id is missing" in load.reason, "header:" in load.reason) == ("failed", True, True)
    assert "ann@example.com" not in str(shop.all("select * from raw.loads"))


def test_a_json_export_of_withdrawals_only_needs_no_basis(exports):
    shop = exports("""
        sources:
          consents:
            kind: file
            entity: consents
            format: jsonl
            place: consents.jsonl
            columns:
              {consent_id: id, customer_id: who, channel: to, purpose: why, status: is, basis: basis, source: from,
               occurred_at: at}
        """)
    line = {"id": "1", "who": "C", "to": "email", "why": "marketing", "is": "withdrawn", "from": "x"}
    line["at"] = "2026-01-05T10:00:00Z"
    for basis in ({"basis": None}, {}):
        shop.write("consents.jsonl", json.dumps(line | {"id": f"of {basis}"} | basis))

        [load] = shop.pull("consents")

        assert (load.state, load.parked, load.quarantined) == ("merged", 1, 0)

    # A grant needs one, and says so line by line; what every line needs is still asked of the file as a whole.
    shop.write("consents.jsonl", json.dumps(line | {"is": "granted"}))
    [load] = shop.pull("consents")
    assert (load.state, load.quarantined) == ("merged", 1)
    assert shop.all("select reason, column_name from raw.quarantine") == [("missing_value", "basis")]
    shop.write("consents.jsonl", json.dumps({name: value for name, value in line.items() if name != "why"}))
    [load] = shop.pull("consents")
    assert (load.state, "column why is missing" in load.reason) == ("failed", True)


def test_a_delimited_export_of_consents_has_a_column_for_the_basis(exports):
    shop = exports("""
        sources:
          consents:
            kind: file
            entity: consents
            place: consents.csv
            columns:
              {consent_id: id, customer_id: who, channel: to, purpose: why, status: is, basis: basis, source: from,
               occurred_at: at}
        """)
    shop.write("consents.csv", "id,who,to,why,is,from,at\n1,C,email,marketing,withdrawn,x,2026-01-05T10:00:00Z\n")

    [load] = shop.pull("consents")

    assert (load.state, "column basis is missing" in load.reason) == ("failed", True)


def _bucket_files(bucket: str, ending: str = "csv", **objects: str | bytes):
    import boto3

    client = boto3.client("s3")
    if bucket not in [entry["Name"] for entry in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=bucket)
    for name, content in objects.items():
        body = content.encode() if isinstance(content, str) else content
        client.put_object(Bucket=bucket, Key=f"daily/{name}.{ending}", Body=body)


@pytest.fixture
def bucket_server(monkeypatch):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield
    server.stop()


@pytest.mark.usefixtures("bucket_server")
def test_new_objects_of_a_bucket_are_read_once_and_again_when_their_etag_changes(exports):
    shop = exports(PURCHASES.replace("orders*.csv", "s3://exports/daily/orders_*.csv"))
    _bucket_files("exports", orders_1=_lines(order(1)), orders_2=_lines(order(2)), others=_lines(order(3)))

    assert [load.object for load in shop.pull()] == [
        "s3://exports/daily/orders_1.csv",
        "s3://exports/daily/orders_2.csv",
    ]
    assert shop.pull() == []
    _bucket_files("exports", orders_2=_lines(order(2), order(4)))
    [load] = shop.pull()

    assert (load.accepted, load.duplicate) == (1, 1)


@pytest.mark.usefixtures("bucket_server")
def test_parquet_files_of_a_bucket_are_read_and_one_that_is_cut_short_fails_alone(exports):
    shop = exports(PARQUET.replace("orders.parquet", "s3://exports/daily/orders_*.parquet"))
    whole = io.BytesIO()
    pq.write_table(_table(), whole, row_group_size=2)
    _bucket_files("exports", "parquet", orders_1=whole.getvalue()[:-20], orders_2=whole.getvalue())

    cut, load = shop.pull()

    assert (cut.state, cut.object) == ("failed", "s3://exports/daily/orders_1.parquet")
    assert "no Parquet file or is cut short" in cut.reason
    assert (load.state, load.lines_in, load.accepted, load.quarantined) == ("merged", 3, 2, 1)
    assert shop.all("select order_id, customer_id, purchased_at, amount from core.purchases order by 1") == [
        ("A1", "007", datetime(2026, 5, 1, 10, tzinfo=UTC), Decimal("1.10")),
        ("A2", "008", datetime(2026, 5, 1, 10, tzinfo=UTC), Decimal("22.00")),
    ]
    # Tried again as long as it is there; mended, it is a load like any other and everything in it is known.
    assert [load.state for load in shop.pull()] == ["failed"]
    _bucket_files("exports", "parquet", orders_1=whole.getvalue())
    [mended] = shop.pull()
    assert (mended.state, mended.accepted, mended.duplicate, mended.quarantined) == ("merged", 0, 2, 1)


@pytest.mark.usefixtures("bucket_server")
def test_gzip_in_a_bucket_is_recognised_by_its_content_and_damage_fails_the_extract(exports):
    shop = exports(PURCHASES.replace("orders*.csv", "s3://packed/daily/*"))
    packed = gzip.compress(_lines(*(order(number) for number in range(2000))).encode())
    _bucket_files("packed", "csv.gz", orders_1=packed)
    _bucket_files("packed", "csv", orders_2=gzip.compress(_lines(order(5000)).encode()))  # no name says so
    _bucket_files("packed", "gz", orders_3=packed[:-40])

    first, second, third = shop.pull()

    assert (first.object, first.accepted) == ("s3://packed/daily/orders_1.csv.gz", 2000)
    assert (second.object, second.accepted) == ("s3://packed/daily/orders_2.csv", 1)
    assert (third.state, "cut short or damaged gzip" in third.reason) == ("failed", True)
    assert shop.all("select count(*) from core.purchases") == [(2001,)]


@pytest.fixture
def other_database(make_database, monkeypatch):
    database = make_database()
    monkeypatch.setenv("CRM_URL", database.url.render_as_string(hide_password=False))
    with database.transaction() as connection:
        connection.execute(sa.text("create table public.people (id integer, mail text, changed timestamptz)"))
    return database


def _people(database, *rows):
    with database.transaction() as connection:
        statement = sa.text("insert into public.people values (:id, :mail, :changed)")
        connection.execute(statement, [dict(zip(("id", "mail", "changed"), row, strict=True)) for row in rows])


CRM = """
sources:
  crm:
    entity: customers
    kind: sql
    url_from: CRM_URL
    table: people
    cursor: changed
    columns:
      customer_id: {column: id, number: plain}
      email: mail
      updated_at: changed
"""


def test_a_table_is_read_from_its_cursor_on_and_rows_of_the_same_moment_are_not_lost(exports, other_database):
    first, second = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)
    shop = exports(CRM)
    _people(other_database, (1, "a@example.com", first), (2, "b@example.com", second))
    [load] = shop.pull("crm")
    assert load.accepted == 2
    assert shop.pull("crm") == []

    _people(other_database, (3, "c@example.com", second))  # committed late, with a moment already read
    [load] = shop.pull("crm")

    assert (load.lines_in, load.accepted, load.duplicate) == (2, 1, 1)
    assert shop.pull("crm") == []
    assert shop.all("select customer_id, email from core.customers order by 1") == [
        ("1", "a@example.com"),
        ("2", "b@example.com"),
        ("3", "c@example.com"),
    ]


def test_a_table_that_lost_a_mapped_column_is_held_and_read_again_from_its_beginning(exports, other_database):
    first, second = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)
    shop = exports(CRM)
    _people(other_database, (1, "a@example.com", first))
    assert [load.state for load in shop.pull("crm")] == ["merged"]
    with other_database.transaction() as connection:
        connection.execute(sa.text("alter table public.people rename column mail to e_mail"))
        connection.execute(sa.text("update public.people set changed = :at"), {"at": second})
    [load] = shop.pull("crm")
    assert load.reason == "expect_table_columns_to_match_set: missing mail, not in the mapping: e_mail"

    (shop.folder / "sources.yaml").write_text(CRM.replace("email: mail", "email: e_mail"))
    del shop.work.sources
    [again] = pull.again(shop.work, load.load_id, AS_OF)

    assert (again.state, again.accepted) == ("merged", 1)
    assert shop.all("select email, updated_at from core.customers") == [("a@example.com", second)]
    assert shop.pull("crm") == []


def test_a_query_without_cursor_is_read_whole_and_lands_only_when_something_changed(exports, other_database):
    shop = exports(
        CRM.replace("table: people", "query: select * from people where id < 9;\n    delivers: full").replace(
            "    cursor: changed\n", ""
        )
    )
    _people(other_database, (1, "a@example.com", datetime(2026, 5, 1, tzinfo=UTC)), (9, "z", None))

    [load] = shop.pull("crm")
    assert (load.accepted, load.lines_in) == (1, 1)
    assert shop.pull("crm") == []
    _people(other_database, (2, "b@example.com", datetime(2026, 5, 2, tzinfo=UTC)))
    [load] = shop.pull("crm")

    assert (load.accepted, load.duplicate) == (1, 1)


def test_numeric_ids_of_a_database_fail_the_extract_unless_mapped(exports, other_database):
    shop = exports(CRM.replace("{column: id, number: plain}", "id"))
    _people(other_database, (1, "a@example.com", datetime(2026, 5, 1, tzinfo=UTC)))

    [load] = shop.pull("crm")

    assert load.state == "failed"
    assert "column id holds numbers" in load.reason
    assert shop.all("select count(*) from raw.watermarks") == [(0,)]


def test_an_sqlite_file_is_a_database_too(exports, tmp_path, monkeypatch):
    monkeypatch.setenv("CRM_URL", f"sqlite:///{tmp_path}/crm.db")
    engine = sa.create_engine(f"sqlite:///{tmp_path}/crm.db")
    with engine.begin() as connection:
        connection.execute(sa.text("create table people (id integer, mail text, changed timestamp)"))
        connection.execute(sa.text("insert into people values (1, 'a@example.com', '2026-05-01 10:00:00')"))
    engine.dispose()
    shop = exports(CRM.replace("entity: customers", "entity: customers\n    time_zone: UTC"))

    [load] = shop.pull("crm")

    assert (load.state, load.accepted) == ("merged", 1)
    assert shop.pull("crm") == []


def test_an_unreachable_database_fails_the_extract_without_telling_its_password(exports, monkeypatch):
    monkeypatch.setenv("CRM_URL", "postgresql://u:hunter2@127.0.0.1:1/x")
    shop = exports(CRM)

    [load] = shop.pull("crm")

    assert load.state == "failed"
    assert "hunter2" not in load.reason
    monkeypatch.delenv("CRM_URL")
    with pytest.raises(ConfigError, match="environment variable CRM_URL is not set"):
        shop.pull("crm")
