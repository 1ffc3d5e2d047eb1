"""Columns and keys that segments must not see although they name nobody: health, faith, age and the like (C26)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

FreeForm = Literal[
    "ads.campaign_name",
    "checkouts.coupon_code",
    "checkouts.failure_reason",
    "checkouts.items",
    "events.properties",
    "purchases.coupon_code",
    "purchases.items",
    "visits.city",
    "visits.custom",
    "visits.keyword",
    "visits.page_url",
    "visits.previous_url",
    "visits.referrer",
]
WITH_KEYS = frozenset({"checkouts.items", "events.properties", "purchases.items", "visits.custom"})


class Sensitive(BaseModel):
    """One column that segments do not see, or the keys in it; shown only for a reason in writing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: FreeForm = Field(description="entity and column, such as events.properties")
    keys: tuple[Annotated[str, StringConstraints(min_length=1)], ...] = Field(
        (), description="keys of the object, or of each object of the list; left out: the whole column"
    )
    shown_because: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10)] | None = Field(
        None, description="why segments see it all the same, in a sentence; recorded and shown by `reengage doctor`"
    )

    @model_validator(mode="after")
    def _keys_of_json(self) -> Sensitive:
        if self.keys and self.column not in WITH_KEYS:
            message = f"{self.column} has no keys; leave them out, or name one of {', '.join(sorted(WITH_KEYS))}"
            raise ValueError(message)
        return self

    @property
    def what(self) -> str:
        """What it is about, in words."""
        return f"{self.column} ({', '.join(self.keys)})" if self.keys else self.column
