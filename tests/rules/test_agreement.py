"""A campaign's parameters against its segment's header, in both directions."""

from __future__ import annotations

from config.campaign import Retargeting, load_campaign
from config.settings import CHECKOUT
from tasks.rules.agreement import segment_problems
from tasks.rules.contract import GROUNDS, Contract, read

CAMPAIGN = load_campaign(CHECKOUT / "config" / "campaigns" / "lapsing_customers")


def segment(params: str) -> Contract:
    found, _ = read(f"/*\nWho.\nparams:\n{params}*/\nselect 1", "x.sql", GROUNDS["segments"])
    assert found is not None
    return found


def findings(params: dict[str, object], header: str) -> list[str]:
    campaign = CAMPAIGN.model_copy(update={"params": params})
    return [str(problem) for problem in segment_problems(campaign, segment(header), "campaign.yaml")]


def test_what_the_header_declares_may_be_given():
    header = (
        "  as_of: timestamptz - when\n  time_zone: text - where\n  days: int = 8 - how many\n  word: text - which\n"
    )

    assert findings({"days": 9, "word": "x"}, header) == []
    assert findings({"word": "x"}, header) == []


def test_an_unknown_a_missing_a_wrong_and_a_reserved_parameter_are_found_together():
    header = "  as_of: timestamptz - when\n  days: int = 8 - how many\n  word: text - which\n"

    assert findings({"dais": 9, "days": "nine", "as_of": "2026-01-01", "became_late_after": None}, header) == [
        "campaign.yaml: params.dais: the segment lapsing_customers has no such parameter; it has: days, word",
        "campaign.yaml: params.days: must be a whole number",
        "campaign.yaml: params.as_of: is given by every run itself; leave it out",
        "campaign.yaml: params.became_late_after: is given by every run itself; leave it out",
        "campaign.yaml: params: the segment lapsing_customers needs word (text): which",
    ]


def test_the_campaign_that_ships_agrees_with_its_segment():
    path = CHECKOUT / "sql" / "segments" / "lapsing_customers.sql"
    contract, problems = read(path.read_text(), "lapsing_customers.sql", GROUNDS["segments"])

    assert problems == []
    assert contract is not None
    assert list(segment_problems(CAMPAIGN, contract, "x")) == []


def about_conversations(**changed: object) -> list[str]:
    found, _ = read(
        "/*\nWho.\nparams:\n  ads: text[] = null - which\nreturns:\n  conversation_id: text - where\n*/\nselect 1",
        "x.sql",
        GROUNDS["segments"],
    )
    assert found is not None
    campaign = CAMPAIGN.model_copy(update={"params": {}, **changed})
    return [str(problem) for problem in segment_problems(campaign, found, "campaign.yaml")]


def test_only_conversations_are_retargeted_and_conversations_only_so():
    assert about_conversations(retargeting=Retargeting(), ads=("1",)) == []
    (finding,) = about_conversations()
    assert finding.startswith("campaign.yaml: retargeting: the segment lapsing_customers returns conversations")
    plain = "  word: text = 'x' - which\n"
    campaign = CAMPAIGN.model_copy(update={"params": {}, "retargeting": Retargeting(), "ads": ("1",)})
    found = [str(problem) for problem in segment_problems(campaign, segment(plain), "campaign.yaml")]
    assert found == [
        "campaign.yaml: ads: the segment lapsing_customers has no parameter ads; leave them out",
        (
            "campaign.yaml: retargeting: the segment lapsing_customers returns no conversation_id; only conversations "
            "are retargeted"
        ),
    ]


def test_ads_are_named_by_the_campaign_and_not_among_the_parameters():
    assert about_conversations(params={"ads": ["1"]}, retargeting=Retargeting()) == [
        "campaign.yaml: params.ads: is given from the campaign's `ads:`; name them there"
    ]
