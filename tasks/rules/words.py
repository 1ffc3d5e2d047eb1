"""Every reason code of decisions, ledger and audiences in words: one list, for the dashboard and the command line."""

from __future__ import annotations

from typing import Final

REASONS: Final = {
    "no_consent": "No consent on any channel",
    "no_address": "Consent given, but no usable address or device",
    "no_channel": "None of the campaign's channels can be used",
    "suppressed_address": "Address is on the do-not-write list",
    "zone_unknown": "Time zone unknown, so quiet hours cannot be kept",
    "other_channel": "A text message is the last resort, and another channel can be used",
    "capped": "Already written to as often as allowed",
    "quiet": "Quiet hours",
    "spacing": "Too soon after the step before",
    "outside_free_window": "Outside the free messaging window",
    "goal": "Came back before the message left",
    "stop_event": "Came back before the message left",
    "campaign_paused": "Campaign paused or not begun",
    "campaign_ended": "Campaign ended first",
    "merged": "Turned out to be someone already in the campaign",
    "left_segment": "No longer in the segment",
    "step_removed": "The campaign no longer has this step",
    "gate": "Held back by the data gate",
    "longest_stay": "Was in the audience for as long as the campaign allows",
    "audience_dropped": "The campaign no longer names this audience",
    "episode_over": "The occasion is over",
    # answers of a provider, and none
    "content": "The message could not be written for this person",
    "busy": "The provider was busy",
    "misconfigured": "The provider does not know us: its account or key is wrong",
    "refused": "The provider refused the message for good",
    "invalid_address": "The provider says the address does not exist",
    "hard_bounce": "The provider says the address does not exist",
    "token_invalid": "App removed or device gone",
    "opted_out": "The person said no to their carrier",
    "unsubscribed": "The person unsubscribed at the provider",
    "unanswered": "The provider's answer was lost, so the message may have arrived",
    "lease_ended": "The sender stopped before it heard an answer, so the message may have arrived",
    "not_accepted": "The provider says the message never came; it is tried again",
}


def reason(code: str) -> str:
    """A reason in words; a code of a provider that we have no words for is shown without its underscores."""
    return REASONS.get(code, code.replace("_", " ").capitalize())
