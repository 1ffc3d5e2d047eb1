"""Does a campaign agree with the segment it names? Pure: names and headers in, findings out."""

from __future__ import annotations

from collections.abc import Iterator

from config.campaign import Campaign
from tasks.rules.contract import DELTA_PARAM, RESERVED_PARAMS, Contract
from tasks.rules.errors import Problem


def segment_problems(campaign: Campaign, segment: Contract, where: str) -> Iterator[Problem]:
    """Parameters of a campaign against its segment's header, in both directions; `where` is the campaign's file."""
    for name, value in campaign.params.items():
        at = f"{where}: params.{name}"
        declared = segment.params.get(name)
        if name in (*RESERVED_PARAMS, DELTA_PARAM):
            yield Problem(at, "is given by every run itself; leave it out")
        elif declared is None:
            known = ", ".join(sorted(set(segment.params) - {*RESERVED_PARAMS, DELTA_PARAM})) or "none"
            yield Problem(at, f"the segment {campaign.segment} has no such parameter; it has: {known}")
        else:
            try:
                declared.read(value)
            except ValueError as error:
                yield Problem(at, str(error))
    for name, declared in segment.params.items():
        if declared.required and name not in (*RESERVED_PARAMS, *campaign.params):
            yield Problem(
                f"{where}: params", f"the segment {campaign.segment} needs {name} ({declared.type}): {declared.meaning}"
            )
