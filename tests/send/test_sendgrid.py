"""A live dispatch through SendGrid, from the claim to the ledger, with SendGrid on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.channels import mail_send
from tests.channels.loopback import Loopback, Request
from tests.send.stage import Stage

PEOPLE = 130


@pytest.fixture
def provider() -> Iterator[Loopback]:
    with mail_send.provider().running() as running:
        yield running


@pytest.fixture
def live(make_stage, provider, monkeypatch) -> Stage:
    """A live stage whose emails go to SendGrid, with more people than one request takes."""
    monkeypatch.setenv("REENGAGE_SENDGRID_API_KEY", mail_send.KEY)
    stage = make_stage(mode="live")
    options = {"provider": "email_sendgrid", "endpoint": provider.url, "calls_in_flight": 1}
    (stage.folder / "reengage.yaml").write_text(json.dumps({"providers": [options]}), "utf-8")
    now = stage.one("select clock_timestamp()")
    for number in range(PEOPLE):
        stage.planned(f"p{number}", due=now - timedelta(minutes=1))
    return stage


def attempts(stage: Stage, state: str) -> list[str]:
    return sorted(
        str(row["attempt_id"])
        for row in stage.rows(
            "select attempts.attempt_id from campaign.attempts join campaign.sends using (send_key)"
            " where sends.state = :state",
            state=state,
        )
    )


def test_everyone_is_written_to_once_in_as_few_requests_as_sendgrid_takes(live, provider):
    live.dispatch(None)
    live.dispatch(None)

    assert provider.refused == []
    assert live.states() == {"accepted": PEOPLE}
    assert sorted(provider.keys_accepted) == attempts(live, "accepted")
    assert len(provider.requests) == 2
    assert {row["provider_message_id"][:8] for row in live.rows("select provider_message_id from campaign.sends")} == {
        "request-"
    }


def test_one_person_whom_sendgrid_does_not_take_costs_nobody_else_their_message(live, provider):
    def judge(request: Request):
        for number, one in enumerate(request.json["personalizations"]):
            if one["to"][0]["email"] in ("p3@example.com", "p77@example.com"):
                return mail_send.refusal(400, f"personalizations.{number}.to.0.email")
        return mail_send.judge(request)

    provider.judge = judge
    for _ in range(3):
        live.dispatch(None)

    assert live.states() == {"accepted": PEOPLE - 2, "rejected": 2}
    assert len(set(provider.keys_accepted)) == len(provider.keys_accepted) == PEOPLE - 2
    reasons = live.rows("select customer_id, reason from campaign.sends where state = 'rejected' order by customer_id")
    assert [(row["customer_id"], row["reason"]) for row in reasons] == [
        ("p3", "invalid_address"),
        ("p77", "invalid_address"),
    ]
