"""Legal sending hours and how long implied consent counts: `legal_windows.yaml`, data with a source for each entry."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from config.campaign import Channel, Purpose
from config.errors import ConfigError, problems_of
from config.settings import read_yaml

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
DAYS: tuple[Day, ...] = get_args(Day)
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
CLOSED = "closed"


def _parse_hours(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value == CLOSED:
        return (0, 0)
    found = _HOURS.fullmatch(value)
    if not found:
        message = "must be `closed` or two times of day such as 08:00-21:00"
        raise ValueError(message)
    start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if start == end or end > 24 * 60:
        message = "begins and ends at the same time, or ends after 24:00"
        raise ValueError(message)
    return start, end


# First open minute of the day and first one that is closed again; an end before the start lies on the next day, and two
# equal ones mean a closed day.
Hours = Annotated[tuple[int, int], BeforeValidator(_parse_hours)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Rule(_Part):
    """When texts may arrive, by whose word."""

    source: str = Field(min_length=10, description="where this was read")
    dated: date = Field(description="when it was read")
    channels: tuple[Channel, ...] = Field(("sms", "whatsapp"), min_length=1, description="channels it binds")
    purposes: tuple[Purpose, ...] = Field(("marketing", "retargeting"), min_length=1, description="purposes it binds")
    hours: Hours = Field(description="open hours of a day on the recipient's wall clock")
    days: dict[Day, Hours] = Field({}, description="days that differ")


class Area(Rule):
    """The rule of a country, or of a region of one."""

    area: str = Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$", description="ISO 3166: DE, or US-FL")
    regions: dict[str, str] = Field({}, description="a country's regions, code and name, where the region matters")

    @property
    def country(self) -> str:
        """The country it lies in, or is."""
        return self.area.partition("-")[0]


class ImpliedConsent(_Part):
    """How long consent that was not expressed counts in a country, by whose word."""

    area: str = Field(pattern=r"^[A-Z]{2}$", description="ISO 3166: CA")
    source: str = Field(min_length=10, description="where this was read")
    dated: date = Field(description="when it was read")
    purposes: tuple[Purpose, ...] = Field(("marketing", "retargeting"), min_length=1, description="purposes it binds")
    soft_opt_in: int | None = Field(None, ge=1, le=120, description="months from the last paid purchase")
    inquiry: int | None = Field(None, ge=1, le=120, description="months from the inquiry")


# A table of somebody's own that says nothing of implied consent does not mean that there is no such law.
CANADA = ImpliedConsent(
    area="CA",
    source="Canada's anti-spam law (CASL), S.C. 2010, c. 23, s. 10(9) and 10(10), as the CRTC's guide tells it",
    dated=date(2026, 11, 21),
    soft_opt_in=24,
    inquiry=6,
)


class LegalWindows(_Part):
    """Every rule we know of, and the one for places we know nothing about."""

    checked: date = Field(description="when somebody last went through all of it")
    default: Rule = Field(description="for every place without an entry of its own")
    areas: tuple[Area, ...] = Field((), description="countries and regions")
    implied_consents: tuple[ImpliedConsent, ...] = Field(
        (CANADA,), description="countries where consent that was not expressed ends by itself"
    )

    @model_validator(mode="after")
    def _fits(self) -> LegalWindows:
        named = [entry.area for entry in self.areas]
        countries = {entry.area: entry for entry in self.areas if entry.area == entry.country}
        faults = [f"{area} appears twice" for area in sorted({area for area in named if named.count(area) > 1})]
        faults += [
            f"{entry.area} is not among the regions of {entry.country}"
            for entry in self.areas
            if entry.area not in countries
            and (
                entry.country not in countries
                or entry.area.removeprefix(f"{entry.country}-") not in countries[entry.country].regions
            )
        ]
        implied = [rule.area for rule in self.implied_consents]
        faults += [
            f"implied_consents: {area} appears twice" for area in sorted({a for a in implied if implied.count(a) > 1})
        ]
        faults += [f"{entry.area}: a region has no regions" for entry in self.areas
                   if entry.regions and entry.area not in countries]  # fmt: skip
        if not {"sms", "whatsapp"} <= set(self.default.channels):
            faults.append("default must bind sms and whatsapp: a place nobody named is not a place without a law")
        if faults:
            raise ValueError("; ".join(faults))
        return self


def load_legal_windows(path: Path) -> LegalWindows:
    """The table of a file. Raises ConfigError with every problem and its path."""
    try:
        return LegalWindows.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ConfigError(*problems_of(error, str(path))) from None
