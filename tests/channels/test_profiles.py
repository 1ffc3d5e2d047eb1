"""One profile for each provider, and what it says about repeats agrees with what can come back."""

from __future__ import annotations

from typing import get_args

import pytest

from config import providers
from tasks.channels import PROFILES, SENDERS
from tasks.channels.profile import Profile
from tasks.rules.reports import ECHOES

OPTIONS = {
    get_args(one.model_fields["provider"].annotation)[0]: one for one in get_args(get_args(providers.Provider)[0])
}


def profile(name: str) -> Profile:
    return PROFILES[name]


def test_every_provider_of_the_configuration_has_a_sender_and_every_sender_a_provider():
    assert set(SENDERS) == {*OPTIONS, providers.OUTBOX}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_profile_is_its_providers_own(name: str):
    assert profile(name).provider == name
    assert profile(name).channels == {OPTIONS[name].channel}


def test_how_doubts_of_each_provider_end():
    """A: a look settles it. B: a later report names the attempt. C: nothing ever does, and it is given up."""
    assert {name: found.repeats for name, found in PROFILES.items() if found.repeats != "B"} == {
        "inbox": "A", "push_sns": "C", "webpush_vapid": "C",
    }  # fmt: skip


@pytest.mark.parametrize("name", ECHOES)
def test_what_a_request_calls_the_attempt_is_what_reports_are_read_by(name: str):
    assert profile(name).echoed("7") == {ECHOES[name]: "7"}
