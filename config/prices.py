"""What WhatsApp charges and where it delivers: `whatsapp_prices.yaml`, data with a source for every entry."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from config.campaign import PriceCategory
from config.errors import ConfigError, problems_of
from config.settings import read_yaml

EVERYWHERE: Final = "*"
COUNTRY = r"^[A-Z]{2}$"
Country = Annotated[str, Field(pattern=COUNTRY)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class _Sourced(_Part):
    category: PriceCategory = Field(description="marketing, utility, authentication, or service (no template)")
    source: str = Field(min_length=4, description="where this was read")
    dated: date = Field(description="when it was read")


class FreeInServiceWindow(_Sourced):
    """A category that costs nothing within 24 hours of the person's last message."""

    until: date | None = Field(None, description="first day (UTC) on which it is charged; left out: free for good")


class NotDelivered(_Sourced):
    """A country whose numbers get no templates of a category (C17)."""

    country: Country = Field(description="country of the recipient's number, ISO 3166")
    since: date = Field(description="first day (UTC) of it")


class Price(_Sourced):
    """What one delivered message costs."""

    place: str = Field(pattern=r"^([A-Z]{2}|[a-z][a-z0-9_]*|\*)$", description='a country, a region, or "*"')
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")
    price: Decimal = Field(ge=0, max_digits=12, decimal_places=6, description="of one delivered message")
    valid_from: date = Field(description="first day it holds, in the business time zone")
    is_example: bool = Field(False, description="made up: never a price in a live database")


class WhatsappPrices(_Part):
    """Prices by country and category, what is free, and what is not delivered."""

    checked: date = Field(description="when somebody last went through all of it")
    free_in_service_window: tuple[FreeInServiceWindow, ...] = Field((), description="free after a customer's message")
    not_delivered: tuple[NotDelivered, ...] = Field((), description="countries that get no templates of a category")
    regions: dict[str, tuple[Country, ...]] = Field({}, description="groups of countries that share prices")
    prices: tuple[Price, ...] = Field((), description="prices, each valid from a day on")

    @model_validator(mode="after")
    def _fits(self) -> WhatsappPrices:
        faults = [
            f"there is no region {place}"
            for place in sorted({price.place for price in self.prices})
            if place != EVERYWHERE and not re.fullmatch(COUNTRY, place) and place not in self.regions
        ]
        members = Counter(country for countries in self.regions.values() for country in set(countries))
        faults += [f"{country} is in several regions" for country, count in sorted(members.items()) if count > 1]
        faults += _twice("price", ((price.place, price.category, price.valid_from) for price in self.prices))
        faults += _twice("not_delivered", ((entry.country, entry.category) for entry in self.not_delivered))
        faults += _twice("free_in_service_window", ((entry.category,) for entry in self.free_in_service_window))
        if faults:
            raise ValueError("; ".join(faults))
        return self


def _twice(what: str, keys: Iterable[tuple[object, ...]]) -> list[str]:
    found = Counter(keys)
    return [f"{what} {', '.join(map(str, key))} appears twice" for key, count in found.items() if count > 1]


def load_whatsapp_prices(path: Path) -> WhatsappPrices:
    """The table of a file. Raises ConfigError with every problem and its path."""
    try:
        return WhatsappPrices.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ConfigError(*problems_of(error, str(path))) from None
