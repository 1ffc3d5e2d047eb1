"""Open minutes of a week, how long implied consent counts, and whose law applies to a person."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from config.legal import CANADA, LegalWindows, load_legal_windows
from config.settings import CHECKOUT
from tasks.rules.legal import candidate_areas, implied_consents, quiet_week, windows

WEEK = 7 * 1440
MONDAY, SATURDAY, SUNDAY = 0, 5 * 1440, 6 * 1440


def table(*areas: dict[str, Any], **default: Any) -> LegalWindows:
    said = {"source": "made up for this test", "dated": "2026-01-01"}
    return LegalWindows.model_validate(
        {
            "checked": "2026-01-01",
            "default": {**said, "hours": "10:00-20:00", **default},
            "areas": [{**said, **area} for area in areas],
        }
    )


def minutes(given: LegalWindows, area: str, channel: str = "sms", purpose: str = "marketing") -> set[int]:
    """Open minutes of one row, from its text."""
    (spelled,) = [w.open_minutes for w in windows(given) if (w.area, w.channel, w.purpose) == (area, channel, purpose)]
    return read(spelled)


def read(spelled: str) -> set[int]:
    bounds = [int(number) for number in spelled.strip("{}[)").replace("),[", ",").split(",") if number]
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    return {minute for start, end in pairs for minute in range(start, end)}


@pytest.mark.parametrize(
    ("start", "end", "first_open", "last_open", "per_day"),
    [("21:00", "08:00", 480, 1259, 780), ("12:00", "14:00", 0, 1439, 1320), ("00:00", "09:30", 570, 1439, 870)],
)
def test_quiet_hours_leave_the_rest_of_every_day_open(
    start: str, end: str, first_open: int, last_open: int, per_day: int
) -> None:
    open_minutes = read(quiet_week(time.fromisoformat(start), time.fromisoformat(end)))

    assert len(open_minutes) == 7 * per_day
    for day in range(7):
        today = {minute - day * 1440 for minute in open_minutes if minute // 1440 == day}
        assert (min(today), max(today)) == (first_open, last_open)


def test_the_last_minute_named_is_closed_and_days_may_differ() -> None:
    given = table({"area": "FR", "hours": "08:00-21:00", "days": {"saturday": "10:00-12:00", "sunday": "closed"}})

    found = minutes(given, "FR")

    assert {MONDAY + 480, MONDAY + 1259, SATURDAY + 600, SATURDAY + 719} <= found
    assert found.isdisjoint({MONDAY + 479, MONDAY + 1260, SATURDAY + 599, SATURDAY + 720})
    assert not any(minute >= SUNDAY for minute in found)


def test_a_window_that_crosses_midnight_ends_on_the_next_day_and_sundays_end_on_monday() -> None:
    found = minutes(table({"area": "AE", "hours": "20:00-02:00"}), "AE")

    assert {MONDAY + 1200, MONDAY + 1439, 1440 + 119, WEEK - 1, 0, 119} <= found
    assert found.isdisjoint({120, 1199, 1440 + 120})


def test_a_region_has_the_strictest_of_its_own_and_its_countrys_hours() -> None:
    given = table(
        {"area": "US", "hours": "08:00-21:00", "regions": {"TX": "Texas", "NY": "New York"}},
        {"area": "US-TX", "hours": "09:00-22:00", "days": {"sunday": "12:00-21:00"}},
    )

    assert minutes(given, "US-TX") == minutes(given, "US-TEXAS")
    assert {minute % 1440 for minute in minutes(given, "US-TX") if minute < SUNDAY} == set(range(540, 1260))
    assert {minute % 1440 for minute in minutes(given, "US-TX") if minute >= SUNDAY} == set(range(720, 1260))
    assert {minute % 1440 for minute in minutes(given, "US-NY")} == set(range(480, 1260))
    assert minutes(given, "US") == minutes(given, "US-TX"), "a region nobody knows may be the strictest one"


def test_what_a_rule_does_not_bind_is_open_there_but_never_where_nothing_is_known() -> None:
    given = table({"area": "DE", "hours": "08:00-20:00"}, purposes=["marketing", "retargeting", "transactional"])

    assert len(minutes(given, "DE", purpose="transactional")) == WEEK
    assert len(minutes(given, "*", purpose="transactional")) == 7 * 600
    assert {w.channel for w in windows(given)} == {"sms", "whatsapp"}


@pytest.mark.parametrize(
    ("contact", "areas"),
    [
        (("US", "FL", None, None), ("US-FL",)),
        (("US", "us-fl", None, None), ("US-FL",)),
        (("US", "Florida", None, None), ("US-FLORIDA",)),
        (("US", "FL", "+12125550123", "US"), ("US-FL",)),  # stated comes before the number
        (("DE", None, "+12125550123", "US"), ("DE",)),
        (("US", None, "+12125550123", "US"), ("US-NY",)),  # New York, NY
        ((None, None, "+13055550123", "US"), ("US-FLORIDA",)),
        ((None, None, "+4930901820", "DE"), ("DE",)),
        (("US", None, None, None), ("US",)),
        (("US", "{1,2}", None, None), ("US",)),
        ((None, None, None, None), ()),
    ],
)
def test_the_law_is_that_of_the_stated_place_else_that_of_the_number(
    contact: tuple[str | None, ...], areas: tuple[str, ...]
) -> None:
    assert candidate_areas(*contact) == areas


def test_a_number_of_a_service_that_many_countries_share_belongs_to_all_of_them() -> None:
    areas = candidate_areas(None, None, "+18005550123", "US")

    assert {"US", "CA", "JM"} <= set(areas)


@pytest.mark.parametrize(
    ("areas", "said"),
    [
        ([{"area": "US-FL", "hours": "08:00-20:00"}], "US-FL is not among the regions of US"),
        ([{"area": "DE", "hours": "08:00-20:00"}] * 2, "DE appears twice"),
        ([{"area": "DE", "hours": "08:00-08:00"}], "begins and ends at the same time"),
        ([{"area": "DE", "hours": "8-20"}], "two times of day"),
        ([{"area": "DE", "hours": "08:00-24:30"}], "after 24:00"),
        ([{"area": "Germany", "hours": "08:00-20:00"}], "pattern"),
        ([{"area": "DE"}], "hours"),
    ],
)
def test_a_table_with_a_fault_is_refused(areas: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        table(*areas)


def test_a_table_that_says_nothing_of_implied_consent_has_what_ours_has() -> None:
    ours = load_legal_windows(CHECKOUT / "config/legal_windows.yaml")

    assert table().implied_consents == ours.implied_consents == (CANADA,)


def test_each_purpose_and_basis_that_a_rule_binds_is_a_row() -> None:
    said = {"area": "FR", "source": "made up for this test", "dated": "2026-01-01", "purposes": ["marketing"]}
    given = LegalWindows.model_validate(
        {**table().model_dump(), "implied_consents": [{**said, "soft_opt_in": 36}, CANADA.model_dump()]}
    )

    found = {(rule.area, rule.purpose, rule.basis, rule.months) for rule in implied_consents(given)}

    assert found == {
        ("FR", "marketing", "soft_opt_in", 36),
        ("CA", "marketing", "soft_opt_in", 24), ("CA", "retargeting", "soft_opt_in", 24),
        ("CA", "marketing", "inquiry", 6), ("CA", "retargeting", "inquiry", 6),
    }  # fmt: skip


def test_a_country_has_one_rule_on_implied_consent() -> None:
    with pytest.raises(ValueError, match="implied_consents: CA appears twice"):
        LegalWindows.model_validate({**table().model_dump(), "implied_consents": [CANADA.model_dump()] * 2})


def test_the_default_binds_both_kinds_of_texts() -> None:
    with pytest.raises(ValueError, match="default must bind sms and whatsapp"):
        table(channels=["sms"])
