"""Who is held out and who gets which variant: a published formula, so that anyone can check it (I14).

u = first 8 bytes, big-endian, of sha256("<salt>|<experiment>|<customer>") / 2^64. The experiment is
`<campaign>/holdout` or `<campaign>/variant/messages`. A person is held out when u < share; variants take
consecutive intervals of their own u in file order. sql/ledger/enrol.sql computes the same for a whole set.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from config.campaign import Campaign

ONLY_VARIANT = "control"
# Above every u: the last variant takes what rounding leaves, and u itself may round up to 1.
_BEYOND = 2.0


@dataclass(frozen=True)
class Assignment:
    """Where the formula puts a person."""

    arm: str
    variant: str
    assigned_u: float
    variant_u: float


def draw(salt: str, experiment: str, customer_id: str) -> float:
    """The published number of a person in an experiment, in [0, 1]; the customer id is taken without outer blanks."""
    digest = hashlib.sha256(f"{salt}|{experiment}|{customer_id.strip()}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def holdout_experiment(campaign: str) -> str:
    """The experiment that decides who is never written to."""
    return f"{campaign}/holdout"


def variant_experiment(campaign: str) -> str:
    """The experiment that decides which messages a person gets."""
    return f"{campaign}/variant/messages"


def variant_bounds(campaign: Campaign) -> list[dict[str, Any]]:
    """Each variant and the u below which it takes people, in file order; one called control when there is no test."""
    bounds, upper = [], 0.0
    for variant in campaign.variants:
        upper += variant.share
        bounds.append({"name": variant.name, "upper": upper})
    bounds = bounds or [{"name": ONLY_VARIANT, "upper": _BEYOND}]
    bounds[-1]["upper"] = _BEYOND
    return bounds


def version(campaign: Campaign, salt: str) -> str:
    """Name of the experiment's version: changes with share, variants or salt, never with anything else (I14)."""
    variants = [[variant.name, variant.share] for variant in campaign.variants]
    text = json.dumps([campaign.name, campaign.holdout, variants, salt])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def assign(campaign: Campaign, salt: str, customer_id: str) -> Assignment:
    """Arm and variant of one person at a first enrolment."""
    assigned_u = draw(salt, holdout_experiment(campaign.name), customer_id)
    variant_u = draw(salt, variant_experiment(campaign.name), customer_id)
    return Assignment(
        arm="holdout" if assigned_u < campaign.holdout else "treated",
        variant=next(bound["name"] for bound in variant_bounds(campaign) if variant_u < bound["upper"]),
        assigned_u=assigned_u,
        variant_u=variant_u,
    )
