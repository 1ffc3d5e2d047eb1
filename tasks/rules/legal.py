"""Hours in which a person may be written to, as open minutes of a week; whose law applies to somebody. Pure.

A week has 10,080 minutes, the first is Monday 00:00 on the wall clock. A set of them is a whole number with one bit
each: what is open under two rules is their `&`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time
from typing import Final, get_args

from config.campaign import Purpose
from config.legal import DAYS, Area, LegalWindows, Rule

_DAY: Final = 24 * 60
_WEEK: Final = 7 * _DAY
_ALWAYS: Final = (1 << _WEEK) - 1
ANYWHERE: Final = "*"
# A region by code or name; anything else is as good as none.
_PLACE: Final = re.compile(r"[A-Z0-9]{1,3}|[A-Z][A-Z ]{1,40}[A-Z]")


@dataclass(frozen=True)
class Window:
    """Open minutes for one channel and purpose in one area, in PostgreSQL's spelling of an int4multirange."""

    area: str
    channel: str
    purpose: str
    open_minutes: str


@dataclass(frozen=True)
class ImpliedFor:
    """Months before the day of a message in which one basis of consent counts, for one purpose in one area."""

    area: str
    purpose: str
    basis: str
    months: int


def quiet_week(start: time, end: time) -> str:
    """Open minutes of a week with quiet hours [start, end) every day, which may cross midnight (A3)."""
    return _spelled(_ALWAYS & ~_every_day(_minute(start), _minute(end)))


def windows(table: LegalWindows) -> list[Window]:
    """Every row the claim may look up; a region has the strictest of its own rule and its country's.

    A country stands for people of whom the region is not known: the strictest of all its regions.
    """
    found = list(_of_area(ANYWHERE, table.default, [table.default]))
    entries = {entry.area: entry for entry in table.areas}
    for country in [entry for entry in table.areas if entry.area == entry.country]:
        inside = [entry for entry in table.areas if entry.country == country.area]
        found += _of_area(country.area, country, inside)
        for code, name in country.regions.items():
            own = [country, *(entry for entry in [entries.get(f"{country.area}-{code}")] if entry)]
            for area in (f"{country.area}-{code}", f"{country.area}-{name.upper()}"):
                found += _of_area(area, country, own)
    return found


def implied_consents(table: LegalWindows) -> list[ImpliedFor]:
    """Every row that plan and claim may look up."""
    return [
        ImpliedFor(rule.area, purpose, basis, months)
        for rule in table.implied_consents
        for purpose in rule.purposes
        for basis, months in (("soft_opt_in", rule.soft_opt_in), ("inquiry", rule.inquiry))
        if months is not None
    ]


def candidate_areas(
    country: str | None, region: str | None, phone: str | None, phone_region: str | None
) -> tuple[str, ...]:
    """Whose law may apply: the stated country and region, else the number's; none known is any place (C11, C12).

    `country` is a code of ISO 3166 or None, `phone` the number as E.164. Numbers of a service that several countries
    share belong to all of them.
    """
    if country:
        place = (region or "").strip().upper().removeprefix(f"{country}-")
        place = place if _PLACE.fullmatch(place) else ""
        if not place and phone and country == phone_region:
            place = _region_of(phone, country)
        return (f"{country}-{place}" if place else country,)
    if not phone or not phone_region:
        return ()
    shared = _sharing(phone)
    if shared:
        return shared
    place = _region_of(phone, phone_region)
    return (f"{phone_region}-{place}" if place else phone_region,)


def _of_area(area: str, first: Rule, rules: list[Area] | list[Rule]) -> Iterator[Window]:
    """Rows of the channels that the area's own rule binds; a purpose that no rule binds is open all week."""
    channels = sorted({channel for rule in (first, *rules) for channel in rule.channels})
    for channel in channels:
        for purpose in get_args(Purpose):
            minutes = _ALWAYS
            for rule in rules:
                if channel in rule.channels and purpose in rule.purposes:
                    minutes &= _open(rule)
            yield Window(area, channel, purpose, _spelled(minutes))


def _open(rule: Rule) -> int:
    minutes = 0
    for number, day in enumerate(DAYS):
        start, end = rule.days.get(day, rule.hours)
        minutes |= _stretch(number * _DAY, start, end)
    return minutes


def _every_day(start: int, end: int) -> int:
    minutes = 0
    for number in range(7):
        minutes |= _stretch(number * _DAY, start, end)
    return minutes


def _stretch(midnight: int, start: int, end: int) -> int:
    """Minutes from start up to end, over midnight when the end comes first; what passes Sunday begins Monday."""
    length = end - start if end >= start else end + _DAY - start
    bits = ((1 << length) - 1) << (midnight + start)
    return (bits | bits >> _WEEK) & _ALWAYS


def _spelled(minutes: int) -> str:
    ranges, at = [], 0
    while minutes >> at:
        start = at + ((minutes >> at) & -(minutes >> at)).bit_length() - 1
        shut = ~(minutes >> start)
        at = start + (shut & -shut).bit_length() - 1
        ranges.append(f"[{start},{at})")
    return "{" + ",".join(ranges) + "}"


def _minute(clock: time) -> int:
    return clock.hour * 60 + clock.minute


def _region_of(phone: str, country: str) -> str:
    """The state an American number was given out in, by code or name; a hint, since numbers move with people."""
    if country != "US":
        return ""
    import phonenumbers
    from phonenumbers import geocoder  # a second of imports, for numbers without a stated region only

    described = geocoder.description_for_number(phonenumbers.parse(phone), "en", region="US")
    described = described or geocoder.description_for_number(phonenumbers.parse(phone), "en")
    return described.rpartition(",")[2].strip().upper()


def _sharing(phone: str) -> tuple[str, ...]:
    """Countries that share the number's prefix, when it is of a service rather than of a place or a person."""
    import phonenumbers  # loads the world's numbering plans

    number = phonenumbers.parse(phone)
    kinds = phonenumbers.PhoneNumberType
    personal = (kinds.FIXED_LINE, kinds.MOBILE, kinds.FIXED_LINE_OR_MOBILE)
    if phonenumbers.number_type(number) in personal:
        return ()
    codes = phonenumbers.region_codes_for_country_code(number.country_code or 0)
    return tuple(codes) if len(codes) > 1 else ()
