"""What a contact allows, derived once."""

from __future__ import annotations

from zoneinfo import available_timezones

import pytest

from tasks.rules.contact import Contact, canonical_email, derive, guest_id, phone_number, zones_of

ZONES = available_timezones()


@pytest.mark.parametrize(
    ("given", "canonical", "reason"),
    [
        (" Ann@Example.COM ", "ann@example.com", None),
        ("ann@", None, "invalid_email"),
        ("ann@example.com\r\nBcc: eve@example.com", None, "control_character"),
        ("ann@example.com\n", None, "control_character"),
        (None, None, None),
        ("  ", None, None),
    ],
)
def test_an_email_is_canonical_or_says_why_not(given: str | None, canonical: str | None, reason: str | None) -> None:
    assert canonical_email(given) == (canonical, reason)


@pytest.mark.parametrize("changed", [{"first_name": "Ann\r\nBcc: x@y.example"}, {"last_name": "Lee\n"}])
def test_a_line_break_in_a_name_closes_the_email_channel(changed: dict[str, str]) -> None:
    derived = derive(Contact(email="ann@example.com", phone="+49 30 901820", **changed), ZONES)

    assert (derived.email_canonical, derived.email_reason) == (None, "control_character")
    assert derived.phone_e164 == "+4930901820"


@pytest.mark.parametrize(
    ("phone", "country", "expected"),
    [
        ("030 901820", "DE", ("+4930901820", "DE", None)),
        ("+1 212 736 5000", None, ("+12127365000", "US", None)),
        ("030 901820", None, (None, None, "invalid_phone")),
        ("12", "DE", (None, None, "invalid_phone")),
        ("+49 30 901820\r\n", "DE", (None, None, "control_character")),
        (None, "DE", (None, None, None)),
    ],
)
def test_a_phone_is_an_international_number_or_says_why_not(
    phone: str | None, country: str | None, expected: tuple[str | None, ...]
) -> None:
    assert phone_number(phone, country) == expected


def test_the_stated_zone_comes_first_then_the_country_then_the_number() -> None:
    stated = derive(Contact(time_zone="Asia/Tokyo", country="DE", phone="+12127365000"), ZONES)
    country = derive(Contact(country="AT", phone="+12127365000"), ZONES)
    number = derive(Contact(phone="+4930901820"), ZONES)

    assert stated.time_zones == ("Asia/Tokyo",)
    assert country.time_zones == ("Europe/Vienna",)
    assert number.time_zones == ("Europe/Berlin", "Europe/Busingen")


def test_a_zone_nobody_knows_is_not_replaced_by_a_guess() -> None:
    assert derive(Contact(time_zone="Mars/Phobos", country="DE"), ZONES).time_zones == ()


@pytest.mark.parametrize(
    ("country", "region", "zones"),
    [
        ("US", "NY", {"America/New_York"}),
        ("US", "US-TX", {"America/Chicago", "America/Denver"}),
        ("US", "HI", {"Pacific/Honolulu"}),
        ("AU", "Tasmania", {"Australia/Hobart", "Antarctica/Macquarie"}),
        ("AU", "Queensland", {"Australia/Brisbane", "Australia/Lindeman"}),
    ],
)
def test_a_region_narrows_the_zones_of_its_country(country: str, region: str, zones: set[str]) -> None:
    assert set(zones_of(country, region)) <= zones
    assert zones_of(country, region)


def test_an_unknown_region_leaves_every_zone_of_the_country() -> None:
    everywhere = zones_of("US", None)

    assert zones_of("US", "Somewhere") == everywhere
    assert {"America/New_York", "Pacific/Honolulu"} <= set(everywhere)
    assert zones_of("XX", None) == ()


def test_every_american_state_lies_in_zones_that_exist() -> None:
    from tasks.rules.contact import _STATE_ZONES

    assert len(_STATE_ZONES) == 51
    assert {zone for zones in _STATE_ZONES.values() for zone in zones} <= ZONES


def test_a_guest_is_known_by_a_keyed_hash() -> None:
    assert guest_id("key", "ann@example.com") != guest_id("other key", "ann@example.com")
    assert "ann" not in guest_id("key", "ann@example.com")
