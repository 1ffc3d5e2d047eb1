"""Every reason code of decisions, ledger and audiences in words: one list, for the dashboard and the command line."""

from __future__ import annotations

from typing import Final

REASONS: Final = {
    "no_consent": "No consent on any channel",
    "no_address": "Consent given, but no usable address or device",
    "no_channel": "None of the campaign's channels can be used",
    "suppressed_address": "Address is on the do-not-write list",
    "zone_unknown": "Time zone unknown, so quiet hours cannot be kept",
    "marketing_not_delivered": "WhatsApp delivers no marketing templates to the country of the person's number",
    "other_channel": "A text message is the last resort, and another channel can be used",
    "capped": "Already written to as often as allowed",
    "quiet": "Quiet hours",
    "spacing": "Too soon after the step before",
    "outside_free_window": "Outside the free messaging window",
    "replied": "The customer wrote since; the step counts from their newest message",
    "reply_quiet": "Too soon after a message of the customer",
    "ad_paused": "The ad is paused",
    "no_bot": "No bot is known of for the ad",
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
    "erased": "The person asked to be forgotten",
    "episode_over": "The occasion is over",
    # answers of a provider, and none
    "content": "The message could not be written for this person",
    "busy": "The provider was busy",
    "unreached": "The provider could not be reached; it is tried again",
    "misconfigured": "The provider does not know us: its account or key is wrong",
    "refused": "The provider refused the message for good",
    "invalid_address": "The provider says the address does not exist",
    "hard_bounce": "The provider says the address does not exist",
    "token_invalid": "App removed or device gone",
    "sandbox": "The provider only checked the message, as its options say",
    "opted_out": "The person said no to their carrier",
    "stop_word": "The person answered stop",
    "blocked_number": "Our account at the provider blocks this number",
    "country_closed": "Our number may not write to that country",
    "too_expensive": "A text to that country costs more than we allow",
    "unsubscribed": "The person unsubscribed at the provider",
    "provider_cap": "The provider brings this person no more marketing for now",
    "provider_pair": "Too many messages to this person in a short time",
    "undeliverable": "The person cannot be reached there, or uses an app that is too old",
    "key_mismatch": "The browser subscribed under another key than ours",
    "forbidden_address": "The subscription does not lead to a push service",
    "needs_template": "The person was silent for a day: WhatsApp then takes approved templates only",
    "error_rate": "Paused by itself: too many messages of a run were refused or lost",
    "template": "Paused by itself: the provider does not take a template that the campaign names",
    "complaint_rate": "Paused by itself: too many recipients complained",
    "complained": "The person called a message spam",
    "soft_bounce": "The mailbox was full or closed for now",
    "blocked": "The recipient's network or device turned the message away",
    "unreachable": "The device was off or out of reach",
    "too_late": "The message could not be delivered in time",
    "unanswered": "The provider's answer was lost, so the message may have arrived",
    "lease_ended": "The sender stopped before it heard an answer, so the message may have arrived",
    "not_accepted": "The provider says the message never came; it is tried again",
}


def reason(code: str) -> str:
    """A reason in words; a code of a provider that we have no words for is shown without its underscores."""
    return REASONS.get(code, code.replace("_", " ").capitalize())
