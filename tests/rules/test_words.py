"""Every reason that can be written has words, and the dashboard and the command line have the same ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dashboards import words as dashboard
from flows.commands import why
from tasks.rules.words import REASONS
from tasks.store import ledger

ROOT = Path(__file__).parents[2]
LITERAL = re.compile(r"(?:\bthen|\belse|\breason\s*=|coalesce\([a-z_.]+,|^)\s*'([a-z_]+)'", re.MULTILINE)
# What stands in the same places and is no reason: states, arms, verbs of the claim that it translates itself.
NO_REASONS = {
    "accepted", "cancelled", "expired", "holdout", "in_flight", "planned", "rejected", "retry_wait", "suppressed",
    "treated", "unknown", "active", "clear", "viable", "closed", "not_started", "quiet_dropped", "control",
    # scopes and resolutions of refusals, kinds of reports and of providers, an encoding
    "all", "marketing", "refusal", "no_refusal", "delivered", "inbox", "operator", "hex",
    # what became of a page that an ad platform was told
    "waiting", "done",
    # what a message costs
    "free", "charged", "no_price",
}  # fmt: skip
# Outcomes of an attempt that become the reason of its send.
OUTCOMES = {"busy", "misconfigured", "unanswered", "refused", "unreached"}


def written() -> set[str]:
    found = set(OUTCOMES) | set(ledger.ADDRESS_IS_DEAD)
    for path in [*(ROOT / "sql/ledger").glob("*.sql"), *(ROOT / "sql/eligibility").glob("*.sql")]:
        text = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
        found |= set(LITERAL.findall(text))
    return found - NO_REASONS


def test_the_walk_finds_codes_of_planning_claiming_recording_and_audiences():
    assert written() >= {
        "other_channel", "step_removed", "no_channel", "longest_stay", "episode_over", "content", "lease_ended",
        "not_accepted", "gate", "campaign_paused", "capped", "spacing", "quiet", "goal", "merged", "left_segment",
        "zone_unknown", "suppressed_address", "no_address", "no_consent", "campaign_ended", "stop_event",
    }  # fmt: skip


@pytest.mark.parametrize("code", sorted(written()))
def test_every_reason_that_can_be_written_has_words_in_both_places(code):
    assert code in REASONS
    assert dashboard.why("suppressed", code) == REASONS[code]
    assert why.in_a_sentence(code)[1:] == REASONS[code][1:]


def test_every_state_of_a_decision_has_words_for_why():
    schema = (ROOT / "sql/migrations/004_campaign.sql").read_text("utf-8")
    (listed,) = re.findall(r"create table campaign\.decisions.*?state in \((.*?)\)", schema, flags=re.DOTALL)
    assert set(re.findall(r"'([a-z_]+)'", listed)) == set(why.STATES)
