"""Does a campaign agree with the segment it names? Pure: names and headers in, findings out."""

from __future__ import annotations

from collections.abc import Iterator

from config.campaign import Campaign
from tasks.rules.contract import ADS_PARAM, CONVERSATION, DELTA_PARAMS, RESERVED_PARAMS, Contract
from tasks.rules.errors import Problem


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
