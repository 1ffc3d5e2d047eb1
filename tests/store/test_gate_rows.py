"""The kinds of bad row a shop's exports hold (reliability 3.3), each with its verdict, and the rest still loads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.store import gate
from tasks.store.queries import Queries
from tests.store.conftest import OneTransaction
from tests.store.landing import AS_OF, AT, KEY, good, land, load, rows


@pytest.fixture
def database(undone: OneTransaction) -> OneTransaction:
    """An empty database; what a test does is undone."""
    return undone


@dataclass(frozen=True)
class Row:
    """A line that differs from a good one, and what must become of it."""

    entity: str
    changed: dict[str, str | None]
    verdict: str
    reason: str | None = None
    column: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def bought(verdict: str, reason: str | None = None, column: str | None = None, **changed: str | None) -> Row:
    """A purchase without a source zone."""
    return Row("purchases", changed, verdict, reason, column)


def agreed(verdict: str, reason: str | None = None, column: str | None = None, **changed: str | None) -> Row:
    """A consent."""
    return Row("consents", changed, verdict, reason, column)


BERLIN = {"time_zone": "Europe/Berlin"}
DEEP = "[" * 10_000 + "]" * 10_000

ROWS = {
    "4 decimal comma": bought("quarantined", "not_a_number", "amount", amount="12,50"),
    "4 words for a number": bought("quarantined", "not_a_number", "amount", amount="twelve"),
    "5 null customer": bought("quarantined", "missing_id", "customer_id", customer_id=None),
    "5 null key": bought("quarantined", "missing_id", "order_id", order_id=None),
    "6 empty key": bought("quarantined", "missing_id", "order_id", order_id="   "),
    "7 blanks around an id": bought("accepted", customer_id=" c1 ", order_id="\to1\r"),
    "7 a bar in an id": bought("quarantined", "invalid_id", "order_id", order_id="o|1"),
    "7 an id too long for an index": bought("quarantined", "id_too_long", "order_id", order_id="x" * 201),
    "10 negative paid": bought("quarantined", "negative_amount", "amount", amount="-0.01"),
    "10 negative cancelled": bought("accepted", amount="-12.50", status="cancelled"),
    "11 zero": bought("accepted", amount="0"),
    "12 NaN": bought("quarantined", "not_finite", "amount", amount="NaN"),
    "12 infinity": bought("quarantined", "not_finite", "amount", amount="-Infinity"),
    "13 too large": bought("quarantined", "amount_overflow", "amount", amount="1000000000000"),
    "13 rounds up to too large": bought("quarantined", "amount_overflow", "amount", amount="999999999999.995"),
    "13 the largest": bought("accepted", amount="999999999999.99"),
    "13 thousands of digits": bought("quarantined", "not_a_number", "amount", amount="9" * 5000),
    "14 unknown currency": bought("quarantined", "unknown_currency", "currency", currency="EURO"),
    "14 no currency": bought("quarantined", "missing_value", "currency", currency=None),
    "14 small letters": bought("accepted", currency=" eur "),
    "15 no zone": bought("quarantined", "naive_timestamp", "purchased_at", purchased_at="2026-05-01 10:00:00"),
    "15 a day without a zone": bought("quarantined", "naive_timestamp", "purchased_at", purchased_at="2026-05-01"),
    "15 the source's zone": Row("purchases", {"purchased_at": "2026-05-01 10:00:00"}, "accepted", options=BERLIN),
    "15 a day in the source's zone": Row("purchases", {"purchased_at": "2026-05-01"}, "accepted", options=BERLIN),
    "16 30 February": bought("quarantined", "invalid_date", "purchased_at", purchased_at="2026-02-30T10:00:00Z"),
    "16 29 February of no leap year": bought(
        "quarantined", "invalid_date", "purchased_at", purchased_at="2025-02-29T10:00:00Z"
    ),
    "16 29 February": bought("accepted", purchased_at="2024-02-29T10:00:00Z"),
    "16 25 o'clock": bought("quarantined", "invalid_date", "purchased_at", purchased_at="2026-05-01T25:00:00Z"),
    "16 61 minutes": bought("quarantined", "invalid_date", "purchased_at", purchased_at="2026-05-01T10:61:00Z"),
    "16 letters in a date": bought(
        "quarantined", "not_a_timestamp", "purchased_at", purchased_at="2026-05-1x 10:00:00Z"
    ),
    "16 no date at all": bought("quarantined", "not_a_timestamp", "purchased_at", purchased_at="yesterday"),
    "16 words PostgreSQL would read": bought("quarantined", "not_a_timestamp", "purchased_at", purchased_at="now"),
    "17 six minutes ahead": bought(
        "quarantined", "future_timestamp", "purchased_at", purchased_at="2026-06-01T00:05:01Z"
    ),
    "17 a clock that is five minutes ahead": bought("accepted", purchased_at="2026-06-01T00:05:00Z"),
    "17 updated in the future": bought(
        "quarantined", "future_timestamp", "updated_at", updated_at="2026-07-01T00:00:00Z"
    ),
    "18 1970": bought("quarantined", "sentinel_date", "purchased_at", purchased_at="1970-01-01T00:00:00Z"),
    "18 1900": bought("quarantined", "sentinel_date", "purchased_at", purchased_at="1900-01-01 00:00:00+00"),
    "18 1970 west of Greenwich": bought(
        "quarantined", "sentinel_date", "purchased_at", purchased_at="1970-01-01T00:00:00-08:00"
    ),
    "19 year 58000": bought(
        "quarantined", "year_out_of_range", "purchased_at", purchased_at="58012-03-01T00:00:00+00:00"
    ),
    "19 milliseconds": bought("quarantined", "year_out_of_range", "purchased_at", purchased_at="1777629600000"),
    "20 a time that the clock skipped": Row(
        "purchases", {"purchased_at": "2026-03-29 02:30:00"}, "quarantined", "nonexistent_local_time", "purchased_at",
        BERLIN,
    ),
    "20 a time that the clock repeated": Row(
        "purchases", {"purchased_at": "2025-10-26 02:30:00"}, "accepted", options=BERLIN
    ),
    "20 half an hour repeated": Row(
        "purchases", {"purchased_at": "2026-04-05 01:45:00"}, "accepted", options={"time_zone": "Australia/Lord_Howe"}
    ),
    "21 bad email": Row("customers", {"email": "ann@"}, "accepted"),
    "22 line break in an email": Row("customers", {"email": "ann@example.com\r\nBcc: eve@example.com"}, "accepted"),
    "23 bad phone": Row("customers", {"phone": "12"}, "accepted"),
    "25 unknown status of a consent": agreed("quarantined", "unknown_status", "status", status="maybe"),
    "25 unknown channel": agreed("quarantined", "unknown_channel", "channel", channel="pigeon"),
    "25 unknown purpose": agreed("quarantined", "unknown_value", "purpose", purpose="fun"),
    "25 a grant on no basis": agreed("quarantined", "missing_value", "basis", basis=None),
    "25 a withdrawal needs no basis": agreed("accepted", status="withdrawn", basis=None),
    "25 unknown status of a purchase": bought("quarantined", "unknown_status", "status", status="shipped"),
    "25 capital letters": bought("accepted", status=" Paid "),
    "27 not UTF-8": bought("quarantined", "invalid_utf8", None, broken="invalid_utf8", raw=r"o1,c1,\xff"),
    "28 NUL": bought("quarantined", "nul_byte", None, broken="nul_byte", raw=r"o1,c1,\x00"),
    "29 a field of 1 MB": bought("quarantined", "field_too_long", None, coupon_code="x" * 1_048_576),
    "30 malformed JSON": bought("quarantined", "malformed_json", "items", items='[{"name": '),
    "30 10,000 deep": bought("quarantined", "malformed_json", "items", items=DEEP),
    "30 a NUL in JSON": bought("quarantined", "malformed_json", "items", items=r'["\u0000"]'),
    "30 good JSON": bought("accepted", items='[{"name": "[[[ a \\" }"}]'),
    "31 unknown zone": Row("customers", {"time_zone": "Mars/Phobos"}, "accepted"),
    "32 event of an unknown customer": Row("events", {"customer_id": "c9"}, "parked"),
    "32 consent of an unknown customer": agreed("parked", customer_id="c9"),
    "32 push token of an unknown customer": Row("push_tokens", {"customer_id": "c9"}, "parked"),
    "33 an erased person": bought("erased", customer_id="gone"),
    "33 a bad line of an erased person": bought("erased", customer_id=" gone ", amount="x"),
    "35 truncated": bought("quarantined", "truncated_line", None, broken="truncated_line", raw="o1,c"),
}  # fmt: skip
OTHER_KEY = {
    "purchases": "order_id", "customers": "customer_id", "consents": "consent_id", "events": "event_id",
    "push_tokens": "token_id",
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_every_kind_of_row_gets_its_verdict_and_the_rest_still_loads(
    database: OneTransaction, queries: Queries, name: str
) -> None:
    row = ROWS[name]
    load(database, queries, "customers", [good("customers")])
    _erase(database, "gone")
    broken = "broken" in row.changed
    line = row.changed if broken else good(row.entity, updated_at=None) | good(row.entity) | row.changed
    line = {column: value for column, value in line.items() if column in good(row.entity) | row.changed}
    beside = good(row.entity, **{OTHER_KEY[row.entity]: "beside"})
    if row.entity == "customers":
        line["updated_at"] = "2026-05-02T10:00:00Z"
    with database.transaction() as connection:
        load_id = land(connection, row.entity, [line, beside], **row.options)

    with database.transaction() as connection:
        gate.check(connection, queries, load_id, KEY)
        found = connection.execute(
            sa.text(f"select verdict, reason, column_name from raw.checked_{load_id} where line_no = 2")
        ).one()
    with database.transaction() as connection:
        counts = gate.merge(connection, queries, load_id, KEY)

    assert tuple(found) == (row.verdict, row.reason, row.column)
    sums = {verdict: getattr(counts, verdict) for verdict in ("accepted", "duplicate", "quarantined", "parked")}
    expected = dict.fromkeys(sums, 0) | {"accepted": 1}
    if row.verdict != "erased":
        expected[row.verdict] = expected.get(row.verdict, 0) + 1
    assert sums | {"erased": counts.erased} == expected | {"erased": int(row.verdict == "erased")}
    assert counts.lines_in == 2
    kept = [(one["reason"], one["raw"]) for one in rows(database, "raw.quarantine") if one["load_id"] == load_id]
    raw = line.get("raw") or json.dumps(line)
    assert kept == ([(row.reason, raw)] if row.verdict == "quarantined" else [])


def test_a_time_the_clock_repeated_is_its_first_pass_and_flagged(database: OneTransaction, queries: Queries) -> None:
    counts = load(database, queries, "purchases", [good("purchases", purchased_at="2025-10-26 02:30:00")], **BERLIN)

    assert rows(database, "core.purchases")[0]["purchased_at"] == datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    assert counts.report["times_that_happened_twice"] == 1


def test_half_an_hour_repeated_is_its_first_pass(database: OneTransaction, queries: Queries) -> None:
    line = good("purchases", purchased_at="2026-04-05 01:45:00")

    load(database, queries, "purchases", [line], time_zone="Australia/Lord_Howe")

    assert rows(database, "core.purchases")[0]["purchased_at"] == datetime(2026, 4, 4, 14, 45, tzinfo=UTC)


def test_blanks_around_ids_are_trimmed_and_counted(database: OneTransaction, queries: Queries) -> None:
    counts = load(database, queries, "purchases", [good("purchases", order_id=" 0042 ", customer_id=" 007")])

    stored = rows(database, "core.purchases")[0]
    assert (stored["order_id"], stored["customer_id"]) == ("0042", "007")
    assert counts.report["trimmed_ids"] == 1


def test_a_number_of_any_common_spelling_is_read(database: OneTransaction, queries: Queries) -> None:
    spelt = ["12.5", "12.500", "12", "+12.5", " 12.50 ", ".5", "12.345", "00012.5"]
    lines = [good("purchases", order_id=f"o{number}", amount=text) for number, text in enumerate(spelt)]

    load(database, queries, "purchases", lines)

    amounts = [str(row["amount"]) for row in rows(database, "core.purchases")]
    assert amounts == ["12.50", "12.50", "12.00", "12.50", "12.50", "0.50", "12.35", "12.50"]


def test_an_instant_of_any_common_spelling_is_read(database: OneTransaction, queries: Queries) -> None:
    spelt = [
        AT, "2026-05-01 10:00:00+00", "2026-05-01T12:00:00+02:00", "2026-05-01T12:00:00.000+0200",
        "2026-05-01 05:00:00.000000-05:00", "2026-05-01T10:00Z", "2026-05-01 10:00:00 Z", "2026-05-01t10:00:00z",
        "2026-05-01 15:30:00+05:30", " 2026-05-01T10:00:00Z ", "2026-05-01 10:00:00.000+00",
    ]  # fmt: skip
    lines = [good("purchases", order_id=f"o{number:02}", purchased_at=text) for number, text in enumerate(spelt)]

    counts = load(database, queries, "purchases", lines)

    assert counts.accepted == len(spelt)
    assert {row["purchased_at"] for row in rows(database, "core.purchases")} == {datetime(2026, 5, 1, 10, tzinfo=UTC)}


def test_every_hour_is_told_quickly(database: OneTransaction) -> None:
    spelled = [f"2026-05-01{mark}{hour:02}:00:00.5+02:00" for hour in range(24) for mark in " T"]
    plain = sa.select(*(sa.func.raw.is_plain_instant(text) for text in spelled))

    with database.transaction() as connection:
        told = connection.execute(plain).one()

    assert [text for text, quickly in zip(spelled, told, strict=True) if not quickly] == []


@pytest.mark.parametrize(
    ("spelt", "read"),
    [
        ("2026-04-29T10:00:00Z", datetime(2026, 4, 29, 10, tzinfo=UTC)),
        ("2026-04-30T10:00:00+00", datetime(2026, 4, 30, 10, tzinfo=UTC)),
        ("2026-03-31 10:00:00+00:00", datetime(2026, 3, 31, 10, tzinfo=UTC)),
        ("2024-02-29T10:00:00Z", datetime(2024, 2, 29, 10, tzinfo=UTC)),
        ("2026-05-01T23:59:59.5Z", datetime(2026, 5, 1, 23, 59, 59, 500_000, tzinfo=UTC)),
        ("2026-05-01 10:00:00.000001+00:00", datetime(2026, 5, 1, 10, 0, 0, 1, tzinfo=UTC)),
        ("2026-05-01T10:00:00.25-03:30", datetime(2026, 5, 1, 13, 30, 0, 250_000, tzinfo=UTC)),
        ("2026-05-01T10:00:00+14:00", datetime(2026, 4, 30, 20, tzinfo=UTC)),
        ("2026-05-01T10:00:00-01:20", datetime(2026, 5, 1, 11, 20, tzinfo=UTC)),
        ("1970-02-01T10:00:00Z", datetime(1970, 2, 1, 10, tzinfo=UTC)),
        *(
            (refused, None)
            for refused in (
                "2026-04-31T10:00:00Z", "2026-02-29T10:00:00Z", "2026-00-10T10:00:00Z", "2026-05-00T10:00:00Z",
                "2026-05-01T24:00:00Z", "2026-05-01T10:60:00Z", "2026-05-01T10:00:60Z", "2026-05-01T 1:00:00Z",
                "2026-05-01T10:00:00+1", "2026-05-01T10:00:00+15:00", "2026-05-01T10:00:00.Z",
                "2026-05-01T10:00:00.1.2Z", "2026-05-01T10:00:005Z", "2026-05-01T10:00:0 Z", "202--05-01T10:00:00Z",
                "2026-05-01T10:00:00+00:0", "2026-05-01T10:00:00Z5",
            )
        ),
    ],
)  # fmt: skip
def test_the_quick_reading_of_a_time_is_that_of_the_careful_one(
    database: OneTransaction, spelt: str, read: datetime | None
) -> None:
    quick, careful = (sa.func.raw.instant(spelt, None, how) for how in (False, True))

    with database.transaction() as connection:
        found = connection.execute(sa.select(quick, careful)).one()

    assert tuple(found) == (read, read)


def test_one_bad_time_among_many_does_not_spoil_the_quick_reading_of_the_others(
    database: OneTransaction, queries: Queries
) -> None:
    bad = "2026-05-1x 10:00:00Z"
    lines = [good("purchases", order_id=f"o{n}", purchased_at=bad if n == 7 else AT) for n in range(20)]

    counts = load(database, queries, "purchases", lines)

    assert (counts.accepted, counts.quarantined) == (19, 1)


def test_an_empty_load_is_merged_with_nothing(database: OneTransaction, queries: Queries) -> None:
    counts = load(database, queries, "purchases", [])

    assert counts.lines_in == 0


def test_a_future_time_is_judged_by_the_run_and_not_by_the_wall_clock(
    database: OneTransaction, queries: Queries
) -> None:
    line = good("purchases", purchased_at="2030-01-01T00:00:00Z", updated_at="2030-01-01T00:00:00Z")

    early = load(database, queries, "purchases", [line], as_of=AS_OF)
    late = load(database, queries, "purchases", [line], as_of=datetime(2030, 1, 2, tzinfo=UTC))

    assert (early.quarantined, late.accepted) == (1, 1)


def _erase(database: OneTransaction, customer_id: str) -> None:
    from tasks.rules.contact import keyed_hash

    with database.transaction() as connection:
        connection.execute(
            sa.text("insert into raw.erased (customer_hash, erased_at) values (:hash, :at)"),
            {"hash": keyed_hash(KEY, customer_id), "at": AS_OF},
        )
