"""Codes in words, one list for the dashboard and the command line: reasons of decisions, ledger and audiences, and what
a load reports beside its lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

REASONS: Final = {
    "no_consent": "No consent on any channel",
    "no_address": "Consent given, but no usable address or device",
    "invalid_email": "Not a valid email address",
    "invalid_phone": "Not a valid phone number",
    "control_character": "The contact or name has characters that no address may have",
    "shared_contact": "Shares an email or phone number with somebody who has to be out",
    "no_channel": "None of the campaign's channels can be used",
    "suppressed_address": "Address is on the do-not-write list",
    "zone_unknown": "Time zone unknown, so quiet hours cannot be kept",
    "marketing_not_delivered": "WhatsApp delivers no marketing templates to the country of the person's number",
    "other_channel": "A text message is the last resort, and another channel can be used",
    "capped": "Already written to as often as allowed",
    "quiet": "Quiet hours, the campaign's or the law's",
    "spacing": "Too soon after the step before",
    "outside_free_window": "Outside the free messaging window",
    "replied": "The customer wrote since; the step counts from their newest message",
    "reply_quiet": "Too soon after a message of the customer",
    "newer_lead": "The person has begun another conversation since; the next choosing says which one goes on",
    "ad_paused": "The ad is paused",
    "no_bot": "No bot is known of for the ad",
    "goal": "Came back before the message left",
    "stop_event": "Came back before the message left",
    "campaign_paused": "Campaign paused or not begun",
    "campaign_ended": "Campaign ended first",
    "merged": "Turned out to be someone already in the campaign",
    "not_in_segment": "Not in the campaign's segment",
    "not_from_an_ad": "No conversation of theirs began with an ad",
    "other_ad": "None of the ads they came from is the campaign's",
    "has_qualified": "Has qualified already",
    "wrote_lately": "Wrote too shortly before to count as silent",
    "silent_too_long": "Silent for more than 72 hours when first seen, and the campaign takes no backlog",
    "older_than_ledger": "The occasion began before what the ledger remembers",
    "left_segment": "No longer in the segment",
    "step_removed": "The campaign no longer has this step",
    "gate": "Held back by the data gate",
    "longest_stay": "Was in the audience for as long as the campaign allows",
    "audience_dropped": "The campaign no longer names this audience",
    "erased": "The person asked to be forgotten",
    "episode_over": "The occasion is over",
    # what ad platforms say of a person or an audience
    "no_identifier": "No email or phone number that can be read",
    "invalid_identifier": "The platform cannot read an identifier",
    "rejected": "The platform does not take this person",
    "nobody": "Nobody of the page can be taken",
    "audience_too_small": "The platform lets nobody go while the audience would become too small",
    "audience_blocked": "The platform has blocked the audience",
    "unknown_audience": "The platform does not know the audience any more",
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
    "error_rate": "Paused by itself: too many messages were refused or lost, or reported as failed",
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


# What a sync counts of people whom one campaign lets go and another wants in the same audience.
KEPT: Final = "kept for another campaign"


def reason(code: str) -> str:
    """A reason in words; a code of a provider that we have no words for is shown without its underscores."""
    return REASONS.get(code, code.replace("_", " ").capitalize())


# What a load reports (raw.loads.report), in the order it is told; columns by their names, everything else by its count.
REPORTED: Final = {
    "missing_columns": "columns of the mapping that are missing",
    "ignored_columns": "columns that the mapping does not read",
    "orders": "orders",
    "unlinked_cancellations": "cancellations without their order",
    "trimmed_ids": "lines with blanks around an id",
    "times_that_happened_twice": "lines with a time that a clock change repeats, read as the first",
    "bare_customers": "customers known by their id only",
    "guests_merged": "guests who turned out to be customers",
    "writers_linked": "people of WhatsApp who turned out to be customers",
    "writers_with_several_customers": "numbers of WhatsApp that several customers have",
}
_MOST_NAMES = 10
_LONGEST_NAME = 60


def reported(report: Mapping[str, Any]) -> str:
    """What a load reports, in words; what is nothing is left out."""
    told = ((words, report.get(name)) for name, words in REPORTED.items())
    return "; ".join(
        f"{words}: {names(value) if isinstance(value, list) else f'{value:,}'}" for words, value in told if value
    )


def names(columns: Iterable[str]) -> str:
    """Names of columns of an extract, on one line and not too many; an index that was written along has none."""
    shown = [" ".join(name.split())[:_LONGEST_NAME] or "(no name)" for name in columns]
    more = len(shown) - _MOST_NAMES
    return ", ".join(shown[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
