"""A campaign's parameters against its segment's header, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pytest

from config.campaign import Campaign, Period, Retargeting, load_campaign
from config.settings import CHECKOUT
from tasks.rules.agreement import late_steps, segment_problems, shared_ads
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


# ------------------------------------------------------------------------------- what is allowed, and not what it seems


RETARGETS = load_campaign(CHECKOUT / "config" / "campaigns" / "partial_leads")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def late(
    *offsets: timedelta, quiet: timedelta = HOUR, silence: object = None, cadence: str = "every 5 minutes"
) -> list[str]:
    campaign = RETARGETS.model_copy(
        update={
            "steps": tuple(RETARGETS.steps[0].model_copy(update={"send_after": offset}) for offset in offsets),
            "retargeting": Retargeting(min_quiet_after_reply=quiet),
            "cadence": cadence,
            "params": {} if silence is None else {"min_silence": silence},
        }
    )
    contract = segment("  min_silence: interval = '30 minutes' - how long\n")
    return [str(problem) for problem in late_steps(campaign, contract, "campaign.yaml")]


def test_a_step_that_is_due_while_nobody_may_be_written_to_is_told():
    assert late(HOUR, 3 * HOUR) == []
    assert late(30 * MINUTE, quiet=10 * MINUTE) == []
    quiet = (
        "is less than min_quiet_after_reply (1h): this step leaves 1h after the person's last message at the earliest"
    )
    assert late(10 * MINUTE, 20 * MINUTE, 4 * HOUR) == [
        f"campaign.yaml: steps.0.send_after: 10m {quiet}",
        f"campaign.yaml: steps.1.send_after: 20m {quiet}",
    ]
    (silence,) = late(10 * MINUTE, quiet=5 * MINUTE)
    assert "10m is less than min_silence of partial_leads (30m), before which nobody is found" in silence
    assert silence.endswith("this step leaves 30m after the person's last message at the earliest")


@pytest.mark.parametrize("silence", ["2 hours", "2h", "120 minutes", "02:00", "02:00:00", timedelta(hours=2)])
def test_silences_are_read_as_people_write_them(silence: object):
    (told,) = late(90 * MINUTE, silence=silence)
    assert "min_silence of partial_leads (2h)" in told
    assert late(2 * HOUR, silence=silence) == []


def test_a_silence_in_other_words_is_left_to_the_database():
    assert late(90 * MINUTE, silence="2 hours 3 minutes 1 second ago") == []


def test_a_cadence_too_rare_for_the_first_step_is_told():
    assert late(25 * HOUR, 26 * HOUR, cadence="daily") == []  # found half an hour and a day after, at the latest
    assert late(12 * HOUR, cadence="every 15 minutes") == []
    (daily,) = late(12 * HOUR, 14 * HOUR, cadence="daily")
    assert daily.startswith("campaign.yaml: cadence: daily is too rare for a first step after 12h: somebody who falls")
    assert daily.endswith("found up to 24.5 hours after their last message, and written to then")
    (rarer,) = late(71 * HOUR, cadence="every 14 days from 2026-01-05")
    assert "found up to 336.5 hours after" in rarer


def shared(*campaigns: tuple[str, Sequence[str]], **changed: object) -> list[str]:
    read = [
        (f"{name}/campaign.yaml", RETARGETS.model_copy(update={"name": name, "ads": tuple(ads), **changed}))
        for name, ads in campaigns
    ]
    return [str(problem) for problem in shared_ads(read)]


def test_an_ad_of_two_campaigns_is_told_with_both():
    assert shared(("one", ["1", "2"]), ("two", ["3"])) == []
    (one_of_them,) = shared(("one", ["1", "2"]), ("two", ["2", "3"]))
    assert one_of_them.startswith(
        "two/campaign.yaml: ads: 2 is among the ads of one as well: a lead may get 3 messages"
    )
    assert "3 of this one. Caps count both, but hold messages back rather than drop them" in one_of_them
    (all_of_them,) = shared(("one", ["1"]), ("two", []))
    assert all_of_them.startswith("two/campaign.yaml: ads: every ad that has a bot, and so 1, is among the ads of one")
    (other,) = shared(("one", []), ("two", ["1"]))
    assert other.startswith("two/campaign.yaml: ads: 1 is among the ads of one")
    (both,) = shared(("one", []), ("two", []))
    assert both.startswith("two/campaign.yaml: ads: every ad that has a bot is among the ads of one as well")


def test_campaigns_that_are_never_on_together_share_nothing():
    spring = RETARGETS.model_copy(update={"name": "one", "period": Period(end=date(2026, 5, 31))})
    summer = RETARGETS.model_copy(update={"name": "two", "period": Period(start=date(2026, 6, 1))})
    letters: Campaign = CAMPAIGN

    assert list(shared_ads([("one", spring), ("two", summer), ("three", letters)])) == []
