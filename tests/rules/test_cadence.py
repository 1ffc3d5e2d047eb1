"""When a campaign is due: checked against wall clocks written out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from config.campaign import Campaign
from tasks.rules.cadence import due_slot, newest_slot

BERLIN = "Europe/Berlin"


def campaign(**given: Any) -> Campaign:
    return Campaign.model_validate(
        {
            "name": "one",
            "segment": "lapsing_customers",
            "channels": ["email"],
            "steps": [{"send_after": "9h", "messages": {"email": {"subject": "Hello", "file": "email.html"}}}],
            "at": "06:00",
            "time_zone": BERLIN,
            **given,
        }
    )


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN), fold=fold).astimezone(UTC)


def test_a_daily_campaign_is_due_from_its_time_of_day_on_and_not_a_minute_before():
    yesterday = berlin("2026-06-01T06:00")

    early = due_slot(campaign(), "UTC", last=yesterday, now=berlin("2026-06-02T05:59"))
    sharp = due_slot(campaign(), "UTC", last=yesterday, now=berlin("2026-06-02T06:00"))

    assert early is None
    assert sharp == berlin("2026-06-02T06:00")


def test_a_complete_run_at_or_after_the_slot_settles_it():
    now = berlin("2026-06-02T18:00")

    assert due_slot(campaign(), "UTC", last=berlin("2026-06-02T06:00"), now=now) is None
    assert due_slot(campaign(), "UTC", last=berlin("2026-06-02T06:03"), now=now) is None
    assert due_slot(campaign(), "UTC", last=berlin("2026-06-02T05:59"), now=now) == berlin("2026-06-02T06:00")


def test_missed_runs_are_owed_once_as_the_newest_of_them():
    slot = due_slot(campaign(), "UTC", last=berlin("2026-05-20T06:00"), now=berlin("2026-06-02T03:00"))

    assert slot == berlin("2026-06-01T06:00")


def test_a_campaign_that_never_ran_is_due_at_once():
    assert due_slot(campaign(), "UTC", last=None, now=berlin("2026-06-02T03:00")) == berlin("2026-06-01T06:00")


def test_the_campaigns_own_zone_counts_and_the_business_zone_only_without_one():
    now = datetime(2026, 6, 2, 3, tzinfo=UTC)  # 05:00 in Berlin, 12:00 in Tokyo

    assert newest_slot(campaign(), "Asia/Tokyo", now) == datetime(2026, 6, 1, 4, tzinfo=UTC)
    assert newest_slot(campaign(time_zone=None), "Asia/Tokyo", now) == datetime(2026, 6, 1, 21, tzinfo=UTC)


def test_a_weekly_campaign_runs_on_mondays():
    monday = berlin("2026-06-01T06:00")

    assert newest_slot(campaign(cadence="weekly"), "UTC", berlin("2026-06-01T05:59")) == monday - timedelta(days=7)
    for day in range(1, 8):
        now = berlin(f"2026-06-0{day}T12:00")
        assert newest_slot(campaign(cadence="weekly"), "UTC", now) == monday


def test_every_14_days_counts_from_the_day_named_and_not_before_it():
    cadence = campaign(cadence="every 14 days from 2026-01-05")

    assert newest_slot(cadence, "UTC", berlin("2026-01-05T05:59")) is None
    assert newest_slot(cadence, "UTC", berlin("2026-01-05T06:00")) == berlin("2026-01-05T06:00")
    assert newest_slot(cadence, "UTC", berlin("2026-01-18T23:59")) == berlin("2026-01-05T06:00")
    assert newest_slot(cadence, "UTC", berlin("2026-01-19T06:00")) == berlin("2026-01-19T06:00")
    assert newest_slot(cadence, "UTC", berlin("2026-06-09T07:00")) == berlin("2026-06-08T06:00")


@pytest.mark.parametrize(("minutes", "expected"), [(15, "10:45"), (5, "10:55")])
def test_short_cadences_fall_on_whole_multiples_in_zones_with_half_hours_too(minutes: int, expected: str):
    kolkata = ZoneInfo("Asia/Kolkata")
    now = datetime(2026, 6, 1, 10, 57, 30, tzinfo=kolkata)

    slot = newest_slot(campaign(cadence=f"every {minutes} minutes", time_zone="Asia/Kolkata"), "UTC", now)

    assert slot is not None
    assert slot.astimezone(kolkata).strftime("%H:%M:%S") == f"{expected}:00"


def test_a_time_that_clocks_skip_runs_once_after_the_gap():
    spring = campaign(at="02:30")  # 29 March 2026: 02:00 becomes 03:00

    assert newest_slot(spring, "UTC", berlin("2026-03-29T03:29")) == berlin("2026-03-28T02:30")
    assert newest_slot(spring, "UTC", berlin("2026-03-29T03:30")) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert newest_slot(spring, "UTC", berlin("2026-03-30T02:30")) == berlin("2026-03-30T02:30")


def test_a_time_that_comes_twice_runs_at_its_first_coming_only():
    autumn = campaign(at="02:30")  # 25 October 2026: 03:00 becomes 02:00
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    assert due_slot(autumn, "UTC", last=berlin("2026-10-24T02:30"), now=first) == first
    assert due_slot(autumn, "UTC", last=first, now=first + timedelta(hours=1)) is None
    assert due_slot(autumn, "UTC", last=first, now=first + timedelta(hours=3)) is None


def test_a_day_is_never_skipped_and_never_run_twice_over_a_year_of_ticks():
    for zone in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"):
        daily, last, slots = campaign(time_zone=zone, at="02:15"), None, []
        now = datetime(2026, 1, 1, tzinfo=UTC)
        while now < datetime(2027, 1, 1, tzinfo=UTC):
            if slot := due_slot(daily, "UTC", last=last, now=now):
                slots.append(slot)
                last = now
            now += timedelta(minutes=25)

        days = [slot.astimezone(ZoneInfo(zone)).date() for slot in slots]
        assert len(days) == len(set(days))
        assert (days[-1] - days[0]).days == len(days) - 1


def test_outside_its_period_a_campaign_is_never_due():
    june = campaign(period={"start": "2026-06-01", "end": "2026-06-03"})

    assert due_slot(june, "UTC", last=None, now=berlin("2026-05-31T23:59")) is None
    assert due_slot(june, "UTC", last=None, now=berlin("2026-06-01T05:59")) is None
    assert due_slot(june, "UTC", last=None, now=berlin("2026-06-01T06:00")) == berlin("2026-06-01T06:00")
    assert due_slot(june, "UTC", last=None, now=berlin("2026-06-03T23:59")) == berlin("2026-06-03T06:00")
    assert due_slot(june, "UTC", last=None, now=berlin("2026-06-04T00:00")) is None
    often = campaign(cadence="every 5 minutes", period={"start": "2026-06-01", "end": "2026-06-03"})
    assert due_slot(often, "UTC", last=None, now=berlin("2026-06-03T23:59")) == berlin("2026-06-03T23:55")
    assert due_slot(often, "UTC", last=None, now=berlin("2026-06-04T00:00")) is None
