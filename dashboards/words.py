"""What codes and figures are called in front of a reader who does not know the code."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from config.campaign import QUALIFIED, Campaign
from tasks.rules.statistics import wilson
from tasks.rules.words import reason

MINUS: Final = "\N{MINUS SIGN}"


class Figure(str):
    """Words for a reader that remember the number they say, and its currency where it is an amount.

    A page shows the words; a spreadsheet gets the number.
    """

    __slots__ = ("currency", "value")
    value: Any
    currency: str | None

    def __new__(cls, said: str, value: Any, currency: str | None = None) -> Self:
        """The words, what they say, and in which currency."""
        made = super().__new__(cls, said)
        made.value, made.currency = value, currency
        return made


# When a state says it all.
STATES: Final = {
    "planned": "Planned, due later",
    "retry_wait": "Waiting to be tried again",
    "in_flight": "Being sent right now",
    "waiting": "Waiting for the next run",
    "suppressed": "May not be written to",
    "rejected": "Refused by the provider",
    "abandoned": "In doubt for too long, given up",
    "expired": "No way to send in time",
    "cancelled": "Cancelled before sending",
}

STANDINGS: Final = {
    "reached": "Reached",
    "to_come": "Still to come",
    "in_doubt": "In doubt",
    "not_reached": "Not reached",
    "holdout": "Held out",
}

LOADS: Final = {
    "merged": "Taken in",
    "held": "Held back by the data gate",
    "landed": "Waiting for its checks",
    "failed": "Failed",
}

CAUSES: Final = {
    "gate": "Held back by the data gate",
    "paused": "Paused",
    "ended": "Ended",
    "everything": "All campaigns are switched off",
}

# Reasons that a campaign gives when it switches itself off; whatever else is said of a pause a person said.
SUSPENSIONS: Final = frozenset({"error_rate", "complaint_rate", "template"})

OUTCOMES: Final = {
    "failed": "Broken, and stops its load",
    "warned": "Broken, as a warning",
    "passed": "Met",
    "not_enough_history": "Too early to tell",
}

CHANNELS: Final = {
    "email": "Email", "push": "Push", "webpush": "Web push", "inbox": "App inbox", "sms": "SMS", "whatsapp": "WhatsApp",
    "meta": "Meta", "tiktok": "TikTok", "google": "Google", "outbox": "Outbox",
}  # fmt: skip

MILESTONES: Final = {
    "lead": "Lead",
    "deep_conversation": "Deep conversation",
    "qualified": "Qualified",
    "qualified_before": "Had qualified before",
}

REPORTS: Final = {
    "accepted": "Accepted",
    "delivered": "Delivered",
    "opened": "Opened by people",
    "machine_opened": "By machines only",
    "clicked": "Clicked",
    "failed": "Did not arrive",
    "complained": "Called spam",
    "unsubscribed": "Unsubscribed",
    "replied": "Replied",
}


def why(state: str, code: str) -> str:
    """Why nothing left, or not yet: the reason, else what the state says."""
    return reason(code) if code else STATES.get(state, state.replace("_", " ").capitalize())


def message(name: str, via: str) -> str:
    """A step and the channel it went by."""
    return step(name) if "." in name else f"{step(name)}, {channel(via)}"


def title(name: str) -> str:
    """A name from a file as a heading."""
    return name.replace("_", " ").capitalize()


def channel(name: str) -> str:
    """A channel or platform as people write it."""
    return CHANNELS.get(name, title(name))


def step(name: str) -> str:
    """A step's key as words: `1`, or `1.email` when every viable channel gets one."""
    number, _, via = name.partition(".")
    return f"Message {number}, {channel(via)}" if via else f"Message {number}"


def order(number: int) -> str:
    """Which of a lead's retargets: 1st, 2nd or 3rd."""
    return {1: "1st", 2: "2nd", 3: "3rd"}[number]


def count(value: float) -> Figure:
    """A count of people or things."""
    return Figure(f"{int(value):,}", int(value))


def percent(share: float, digits: int = 1) -> Figure:
    """A share of one as percent."""
    return Figure(f"{100 * share:.{digits}f} %", round(float(share), 6))


def points(difference: float) -> Figure:
    """A difference of shares in percentage points, with its sign."""
    return Figure(f"{100 * difference:+.1f}".replace("-", MINUS), round(100 * float(difference), 6))


def amount(value: float | Decimal) -> Figure:
    """An amount whose currency stands beside it."""
    return Figure(f"{value:,.2f}".replace("-", MINUS), value)


def money(amount: float | Decimal, currency: str, digits: int = 2) -> Figure:
    """An amount with its currency."""
    return Figure(f"{currency} {amount:,.{digits}f}".replace("-", MINUS), amount, currency)


def signed_money(amount: float | Decimal, currency: str) -> Figure:
    """A difference of amounts with its sign."""
    return Figure(f"{'+' if amount >= 0 else MINUS}{currency} {abs(amount):,.2f}", amount, currency)


def moment(at: datetime, zone: str) -> Figure:
    """An instant on the shop's wall clock."""
    local = at.astimezone(ZoneInfo(zone))
    return Figure(f"{local.day} {local:%B %Y, %H:%M}", local.isoformat(timespec="minutes"))


def day(on: date) -> Figure:
    """A day of the shop's calendar."""
    return Figure(f"{on.day} {on:%B %Y}", f"{on:%Y-%m-%d}")


def age(length: timedelta) -> str:
    """How long ago, in the largest unit that says enough."""
    hours = int(length.total_seconds() // 3600)
    if hours < 1:
        return "under an hour"
    if hours < 48:
        return f"{hours} h"
    return f"{hours // 24} days"


def hours(window: int) -> str:
    """A window in words."""
    return "1 hour" if window == 1 else f"{window:,} hours"


def goal_verb(campaign: Campaign | None) -> str:
    """What people did who reached a campaign's goal; of one whose file is gone nobody knows which goal it had."""
    return _GOALS.get(campaign.goal.event, _ANY_GOAL) if campaign else _ANY_GOAL


def goal_title(campaign: Campaign | None) -> str:
    """What people are called who reached a campaign's goal."""
    return f"People who {goal_verb(campaign)}"


_ANY_GOAL: Final = "reached the goal"
_GOALS: Final = {"purchase": "bought", QUALIFIED: "qualified"}


def rate(successes: float, n: float) -> str:
    """A share of people with its 95 % interval."""
    found = wilson(int(successes), int(n))
    return f"{percent(found.estimate)} ({percent(found.low)} to {percent(found.high)})"
