"""What a person types to dispatch, to look into the ledger, and to stop everything."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from config.errors import ConfigError
from flows.commands import dispatch, pause, sends
from tasks.channels.outbox import Conduct
from tasks.rules.errors import CampaignError, ModeError
from tests.send.stage import NOON, Stage

cli = typer.Typer()
cli.command()(dispatch.dispatch)
cli.command()(pause.pause)
cli.command()(pause.resume)
cli.add_typer(sends.app, name="sends")

AT_NOON = NOON.isoformat()


@pytest.fixture
def call(stage: Stage) -> Callable[..., Result]:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, list(arguments), obj={"workspace": stage.work})

    return call


@pytest.fixture
def ask(call: Callable[..., Result]) -> Callable[..., dict[str, Any]]:
    def ask(*arguments: str) -> dict[str, Any]:
        result = call(*arguments, "--json")
        assert result.exit_code == 0, result.exception
        return json.loads(result.output)

    return ask


def test_dispatch_hands_over_what_is_due_and_says_how_many(stage: Stage, call: Callable[..., Result]) -> None:
    key = stage.planned("ann")

    result = call("dispatch", "--as-of", AT_NOON)

    assert result.exit_code == 0, result.exception
    assert "1 accepted" in result.output
    assert stage.outbox() == {key: 1}


def test_dispatch_needs_a_moment_in_a_simulated_database(stage: Stage, call: Callable[..., Result]) -> None:
    stage.planned("ann")

    assert isinstance(call("dispatch").exception, ModeError)
    assert stage.outbox() == {}


@pytest.mark.parametrize("which", [["back"], []], ids=["one campaign", "everything"])
def test_pause_stops_and_resume_lets_go(stage: Stage, call: Callable[..., Result], which: list[str]) -> None:
    key = stage.planned("ann")

    assert call("pause", *which).exit_code == 0
    call("dispatch", "--as-of", AT_NOON)
    assert stage.end(key) == ("planned", "campaign_paused")

    assert call("resume", *which).exit_code == 0
    call("dispatch", "--as-of", AT_NOON)
    assert stage.outbox() == {key: 1}


def test_resuming_one_campaign_while_everything_is_paused_says_so(call: Callable[..., Result]) -> None:
    call("pause")

    assert "everything is paused" in call("resume", "back").output


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_campaign_that_is_not_there_is_neither_paused_nor_resumed(call: Callable[..., Result], verb: str) -> None:
    result = call(verb, "bakc")

    assert isinstance(result.exception, CampaignError)
    assert "back" in str(result.exception)


def test_the_list_filters_and_counts_doubts_with_their_age(
    stage: Stage, ask: Callable[..., dict[str, Any]], call: Callable[..., Result]
) -> None:
    stage.planned("ann")
    stage.planned("bob", channels=("sms",), channel="sms")
    stage.planned("cat", due=NOON + timedelta(days=2))
    stage.dispatch(conduct=lambda message: Conduct.DROP if message.channel == "email" else Conduct.ACCEPT)
    later = (NOON + timedelta(hours=5)).isoformat()

    assert ask("sends", "list", "--as-of", later)["count"] == 3
    doubt = ask("sends", "list", "--state", "unknown", "--as-of", later)["rows"]
    assert [(row["customer_id"], row["hours_in_doubt"]) for row in doubt] == [("ann", "5.0")]
    assert [row["customer_id"] for row in ask("sends", "list", "--channel", "sms", "--as-of", later)["rows"]] == ["bob"]
    assert ask("sends", "list", "--campaign", "other", "--as-of", later)["count"] == 0
    shown = call("sends", "list", "--as-of", later).output
    assert "1 in doubt, the oldest for 5.0 hours" in shown
    assert "ann@example.com" not in shown


def test_show_tells_every_attempt_and_report_of_one_message(
    stage: Stage, ask: Callable[..., dict[str, Any]], call: Callable[..., Result]
) -> None:
    key = stage.planned("ann", channels=("email", "sms"))
    stage.dispatch(conduct=lambda message: Conduct.REFUSE if message.channel == "email" else Conduct.ACCEPT)
    stage.run_sql(
        "insert into campaign.provider_events (provider, event_key, attempt_id, kind, occurred_at)"
        " select 'outbox', '1', attempt_id, 'delivered', :at from campaign.attempts where channel = 'sms'",
        at=NOON,
    )

    row = ask("sends", "show", key[:16])["rows"][0]

    assert (row["send_key"], row["state"], row["channel"]) == (key, "accepted", "sms")
    assert [(a["channel"], a["outcome"], a["reports"]) for a in row["attempts"]] == [
        ("email", "refused", None),
        ("sms", "accepted", "delivered"),
    ]
    assert "+49" not in call("sends", "show", key).output


def test_show_refuses_a_key_that_names_nothing_or_too_much(stage: Stage, call: Callable[..., Result]) -> None:
    stage.planned("ann")
    stage.planned("bob")

    assert isinstance(call("sends", "show", "zzz").exception, ConfigError)
    assert "more than one" in str(call("sends", "show", "").exception)
