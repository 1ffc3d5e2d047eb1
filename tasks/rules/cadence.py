"""When a campaign's own cadence makes it due: pure, on the wall clock of the campaign's time zone (B2, A13)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from config.campaign import Campaign

_EVERY_MINUTES = re.compile(r"every (\d+) minutes")
_EVERY_DAYS = re.compile(r"every (\d+) days from (\d{4}-\d{2}-\d{2})")
_WEEK = 7


def due_slot(campaign: Campaign, business_zone: str, *, last: datetime | None, now: datetime) -> datetime | None:
    """The slot a run is owed for at `now`, or None; `last` is the as_of of the last complete run.

    However many slots were missed, only the newest is owed: one run does what they would have done. A slot outside
    the campaign's active period is never owed (A20).
    """
    slot = newest_slot(campaign, business_zone, now)
    if slot is None or (last is not None and last >= slot):
        return None
    return slot


def newest_slot(campaign: Campaign, business_zone: str, now: datetime) -> datetime | None:
    """The latest moment at or before `now` at which the cadence asks for a run, in UTC; None before the first."""
    zone = ZoneInfo(campaign.zone(business_zone))
    if found := _EVERY_MINUTES.fullmatch(campaign.cadence):
        length = timedelta(minutes=int(found[1])).total_seconds()
        # Every zone is a whole number of quarter hours from UTC, so the slots are the same on each wall clock.
        slot = datetime.fromtimestamp(now.timestamp() // length * length, UTC)
        return slot if _is_active(campaign, slot.astimezone(zone).date()) else None
    first, step = _days(campaign.cadence)
    today = day = now.astimezone(zone).date()
    if _moment(day, campaign.at, zone) > now:
        day -= timedelta(days=1)
    day -= timedelta(days=(day - first).days % step)
    if (step > _WEEK and day < first) or not (_is_active(campaign, day) and _is_active(campaign, today)):
        return None
    return _moment(day, campaign.at, zone)


def period(campaign: Campaign) -> timedelta:
    """How long it is from one run of the cadence to the next."""
    if found := _EVERY_MINUTES.fullmatch(campaign.cadence):
        return timedelta(minutes=int(found[1]))
    return timedelta(days=_days(campaign.cadence)[1])


def _days(cadence: str) -> tuple[date, int]:
    """A day on which the cadence runs, and the days from one run to the next; weekly means Mondays."""
    if found := _EVERY_DAYS.fullmatch(cadence):
        return date.fromisoformat(found[2]), int(found[1])
    return date(2024, 1, 1), _WEEK if cadence == "weekly" else 1


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """A local time of day in UTC: one that clocks skip moves on by the gap, one that comes twice is its first."""
    return datetime.combine(day, at, zone).astimezone(UTC)


def _is_active(campaign: Campaign, day: date) -> bool:
    period = campaign.period
    return (period.start is None or day >= period.start) and (period.end is None or day <= period.end)
