"""Does a campaign agree with the segment it names, and with the other campaigns? Pure: definitions in, findings out.

`segment_problems` tells what is wrong, the others what is allowed and seldom meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import combinations
from typing import Any

from config.campaign import Campaign, show_duration
from tasks.rules import cadence
from tasks.rules.contract import ADS_PARAM, CONVERSATION, DELTA_PARAMS, RESERVED_PARAMS, SILENCE_PARAM, Contract
from tasks.rules.errors import Problem

_LENGTH = re.compile(r"(\d+)\s*(m|min|mins|minute|minutes|h|hr|hour|hours|d|day|days)")
_DAY = timedelta(days=1)
_CLOCK = re.compile(r"(\d+):(\d\d)(?::00)?")


def segment_problems(campaign: Campaign, segment: Contract, where: str) -> Iterator[Problem]:
    """Parameters of a campaign against its segment's header, in both directions; `where` is the campaign's file."""
    for name, value in campaign.params.items():
        at = f"{where}: params.{name}"
        declared = segment.params.get(name)
        if name in (*RESERVED_PARAMS, *DELTA_PARAMS):
            yield Problem(at, "is given by every run itself; leave it out")
        elif name == ADS_PARAM:
            yield Problem(at, "is given from the campaign's `ads:`; name them there")
        elif declared is None:
            known = ", ".join(sorted(set(segment.params) - {*RESERVED_PARAMS, *DELTA_PARAMS, ADS_PARAM})) or "none"
            yield Problem(at, f"the segment {campaign.segment} has no such parameter; it has: {known}")
        else:
            try:
                declared.read(value)
            except ValueError as error:
                yield Problem(at, str(error))
    if campaign.ads and ADS_PARAM not in segment.params:
        yield Problem(f"{where}: ads", f"the segment {campaign.segment} has no parameter {ADS_PARAM}; leave them out")
    if campaign.retargeting and CONVERSATION not in segment.returns:
        yield Problem(
            f"{where}: retargeting",
            f"the segment {campaign.segment} returns no {CONVERSATION}; only conversations are retargeted",
        )
    if CONVERSATION in segment.returns and not campaign.retargeting:
        yield Problem(
            f"{where}: retargeting", f"the segment {campaign.segment} returns conversations; write `retargeting: {{}}`"
        )
    for name, declared in segment.params.items():
        if declared.required and name not in (*RESERVED_PARAMS, *campaign.params):
            yield Problem(
                f"{where}: params", f"the segment {campaign.segment} needs {name} ({declared.type}): {declared.meaning}"
            )


def late_steps(campaign: Campaign, segment: Contract, where: str) -> Iterator[Problem]:
    """Steps of retargeting that leave later than they say: somebody must be silent for longer, or is found later."""
    if campaign.retargeting is None:
        return
    silence = _least_silence(campaign, segment)
    quiet = campaign.retargeting.min_quiet_after_reply
    longest = max(silence, quiet)
    why = f"min_quiet_after_reply ({show_duration(quiet)})"
    if silence > quiet:
        why = f"{SILENCE_PARAM} of {campaign.segment} ({show_duration(silence)}), before which nobody is found"
    for number, step in enumerate(campaign.steps):
        if step.send_after < longest:
            yield Problem(
                f"{where}: steps.{number}.send_after",
                f"{show_duration(step.send_after)} is less than {why}: this step leaves {show_duration(longest)} after "
                "the person's last message at the earliest",
            )
    found, first = silence + cadence.period(campaign), campaign.steps[0].send_after
    if cadence.period(campaign) >= _DAY and found > first:
        yield Problem(
            f"{where}: cadence",
            f"{campaign.cadence} is too rare for a first step after {show_duration(first)}: somebody who falls silent "
            f"is found up to {found / timedelta(hours=1):g} hours after their last message, and written to then",
        )


def shared_ads(campaigns: Iterable[tuple[str, Campaign]]) -> Iterator[Problem]:
    """Ads of several campaigns, each with its file: their leads have the steps of all of them (R3)."""
    retargeting = [(where, campaign) for where, campaign in campaigns if campaign.retargeting]
    for (_, one), (where, other) in combinations(retargeting, 2):
        ads = sorted(set(one.ads) & set(other.ads)) if one.ads and other.ads else sorted({*one.ads, *other.ads})
        if (one.ads and other.ads and not ads) or not _meet(one, other):
            continue
        named = ", ".join(ads) or "every ad that has a bot"
        if one.ads and not other.ads:
            named = f"every ad that has a bot, and so {named},"
        yield Problem(
            f"{where}: ads",
            f"{named} is among the ads of {one.name} as well: a lead may get {len(one.steps)} messages of that "
            f"campaign and {len(other.steps)} of this one. Caps count both, but hold messages back rather than drop "
            "them; name an ad in one campaign only",
        )


def _meet(one: Campaign, other: Campaign) -> bool:
    """Whether two campaigns are on together on some day."""
    starts = max(campaign.period.start or date.min for campaign in (one, other))
    return starts <= min(campaign.period.end or date.max for campaign in (one, other))


def _least_silence(campaign: Campaign, segment: Contract) -> timedelta:
    """How long the segment waits before it finds somebody; nothing where it does not, or in words that are not read."""
    declared = segment.params.get(SILENCE_PARAM)
    given: Any = campaign.params.get(SILENCE_PARAM, declared.default if declared else None)
    if isinstance(given, timedelta):
        return given
    words = given.strip() if isinstance(given, str) else ""
    if found := _LENGTH.fullmatch(words):
        unit = {"m": "minutes", "h": "hours", "d": "days"}[found[2][0]]
        return timedelta(**{unit: int(found[1])})
    if found := _CLOCK.fullmatch(words):
        return timedelta(hours=int(found[1]), minutes=int(found[2]))
    return timedelta(0)
