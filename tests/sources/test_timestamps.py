"""Timestamps of exports as ISO text; what does not fit is left for the gate to name."""

import pytest

from tasks.sources.timestamps import reader


@pytest.mark.parametrize(
    ("pattern", "given", "read"),
    [
        ("%Y%m%d", "19970131", "1997-01-31"),
        ("%Y%m%d", " 19970131 ", "1997-01-31"),
        ("%Y%m%d", "19970230", "1997-02-30"),  # no such day: the gate says so
        ("%Y%m%d", "1997-01-31", "1997-01-31"),
        ("%Y%m%d", "1997013", "1997013"),
        ("%d.%m.%Y %H:%M", "1.2.2026 9:05", "2026-02-01T09:05:00"),
        ("%d.%m.%Y %H:%M", "01.02.2026  09:05", "2026-02-01T09:05:00"),
        ("%m/%d/%Y %H:%M", "12/1/2010 8:26", "2010-12-01T08:26:00"),
        ("%m/%d/%y", "12/1/68", "2068-12-01"),
        ("%m/%d/%y", "12/1/69", "1969-12-01"),
        ("%d %b %Y %I:%M:%S %p", "3 Sep 2026 12:00:01 AM", "2026-09-03T00:00:01"),
        ("%d %b %Y %I:%M:%S %p", "3 Sept 2026 12:00:01 pm", "2026-09-03T12:00:01"),
        ("%d %B %Y", "3 September 2026", "2026-09-03"),
        ("%d %B %Y", "3 Septembre 2026", "3 Septembre 2026"),
        ("%Y-%m-%dT%H:%M:%S.%f%z", "2026-01-02T03:04:05.123456789+0100", "2026-01-02T03:04:05.123456+01:00"),
        ("%Y-%m-%d %H:%M:%S %z", "2026-01-02 03:04:05 Z", "2026-01-02T03:04:05Z"),
        ("epoch_s", "1767225600", "2026-01-01T00:00:00Z"),
        ("epoch_s", "1767225600.25", "2026-01-01T00:00:00.250000Z"),
        ("epoch_ms", "1767225600123", "2026-01-01T00:00:00.123000Z"),
        ("epoch_s", "1767225600123", "1767225600123"),  # the year 57,970: milliseconds taken for seconds
        ("epoch_s", "NaN", "NaN"),
        ("epoch_s", "Infinity", "Infinity"),
        ("epoch_s", "soon", "soon"),
    ],
)
def test_a_format_reads_what_fits_and_leaves_the_rest(pattern, given, read):
    change = reader((pattern,))

    assert change is not None
    assert change(given) == read
    assert change(given) == read  # the second time from memory


def test_the_first_format_that_fits_is_taken():
    change = reader(("%Y%m%d", "%d.%m.%Y", "epoch_s"))

    assert change is not None
    assert [change(text) for text in ("20260131", "31.1.2026", "1767225600", "2026-01-31T10:00:00Z")] == [
        "2026-01-31",
        "2026-01-31",
        "2026-01-01T00:00:00Z",
        "2026-01-31T10:00:00Z",
    ]


def test_iso_needs_no_change():
    assert reader(("iso",)) is None
