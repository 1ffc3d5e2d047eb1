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
from tasks import reconcile
from tasks.channels.outbox import Conduct
from tasks.rules.errors import CampaignError, ModeError
from tasks.store.ledger import Limits
from tests.send.stage import NOON, Stage, write_campaign

cli = typer.Typer()
cli.command()(dispatch.dispatch)
cli.command()(pause.pause)
cli.command()(pause.resume)
cli.add_typer(sends.app, name="sends")

AT_NOON = NOON.isoformat()
LATER = (NOON + timedelta(hours=12)).isoformat()


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


def test_lifting_the_pause_of_everything_names_what_is_paused_by_itself(call: Callable[..., Result]) -> None:
    call("pause")
    call("pause", "back")

    assert "paused by name: back;" in call("resume").output
    call("resume", "back")
    assert call("resume").output.strip() == "everything is active"


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


@pytest.mark.parametrize("option", ["--state", "--channel"])
def test_a_filter_that_nothing_can_match_is_wrong_usage(call: Callable[..., Result], option: str) -> None:
    result = call("sends", "list", option, "sent", "--as-of", AT_NOON)

    assert result.exit_code == 2
    assert "there is no sent; there are: " in " ".join(result.output.replace("│", " ").split())


def test_the_list_fits_eighty_columns_one_line_for_each_message(stage: Stage, call: Callable[..., Result]) -> None:
    keys = [stage.planned("guest:" + "0123456789abcdef" * 4), stage.planned("ann")]
    stage.run_sql("update campaign.sends set state = 'suppressed', reason = 'suppressed_address'")

    shown = call("sends", "list", "--as-of", NOON.isoformat()).output.splitlines()

    assert "back" in shown[0]
    assert max(len(line.rstrip()) for line in shown) <= 80
    for key, name in zip(keys, ("guest:012345678…", "ann"), strict=True):
        [line] = [line for line in shown if line.strip().startswith(key[:8])]
        assert line.split()[1:] == [name, "1", "email", "suppressed", "(suppressed_address)"]


def test_the_list_of_several_campaigns_fits_eighty_columns_too(stage: Stage, call: Callable[..., Result]) -> None:
    write_campaign(stage.folder, "a_campaign_with_a_long_name")
    keys = [stage.planned("guest:" + "0123456789abcdef" * 4, "a_campaign_with_a_long_name"), stage.planned("ann")]

    shown = call("sends", "list", "--as-of", NOON.isoformat()).output.splitlines()

    assert max(len(line.rstrip()) for line in shown) <= 80
    lines = [line.split() for line in shown if line.strip().startswith((keys[0][:8], keys[1][:8]))]
    assert sorted(line[1:] for line in lines) == [
        ["a_campaign_with…", "guest:012345678…", "1", "email", "planned"], ["back", "ann", "1", "email", "planned"],
    ]  # fmt: skip


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


def test_a_doubt_is_settled_by_what_somebody_found_out(stage: Stage, call: Callable[..., Result]) -> None:
    took, lost = stage.planned("ann"), stage.planned("bob")
    stage.dispatch(conduct=Conduct.DROP)
    stage.run_sql("update campaign.sends set lease_until = lease_until - interval '1 hour'")

    assert call("sends", "resolve", took[:12], "--accepted", "--as-of", LATER).exit_code == 0
    assert "retry wait now" in call("sends", "resolve", lost, "--not-accepted", "--as-of", LATER).output

    assert stage.end(took) == ("accepted", None)
    assert stage.end(lost) == ("retry_wait", "not_accepted")
    assert stage.decisions_follow_the_ledger()
    assert isinstance(call("sends", "resolve", took, "--accepted", "--as-of", LATER).exception, ConfigError)


def test_what_was_given_up_cannot_be_declared_never_sent(stage: Stage, call: Callable[..., Result]) -> None:
    key = stage.planned("ann")
    stage.dispatch(conduct=Conduct.DROP)
    reconcile.doubts(stage.work, NOON + timedelta(days=2))

    refused = call("sends", "resolve", key, "--not-accepted", "--as-of", LATER)

    assert isinstance(refused.exception, ConfigError)
    assert stage.end(key)[0] == "abandoned"


def test_only_what_certainly_nobody_got_is_planned_again(stage: Stage, call: Callable[..., Result]) -> None:
    refused = stage.planned("ann")
    doubtful, accepted, gone = stage.planned("bob"), stage.planned("cid"), stage.planned("dan")
    moods = {refused: Conduct.REFUSE, doubtful: Conduct.DROP, gone: Conduct.REFUSE}
    stage.dispatch(conduct=lambda message: moods.get(message.send_key, Conduct.ACCEPT), limits=Limits(batch=1))
    stage.run_sql("update campaign.sends set reason = 'template_broken' where send_key = :key", key=refused)
    stage.run_sql("delete from core.suppressions")

    counted = call("sends", "resend-missed", "--as-of", LATER)
    assert "1" in counted.output
    assert stage.end(refused)[0] == "rejected", "without --yes nothing changes"
    assert "1 planned again" in call("sends", "resend-missed", "back", "--yes", "--as-of", LATER).output

    assert stage.end(refused)[0] == "planned"
    stage.dispatch(NOON + timedelta(days=1))
    assert stage.outbox() == {refused: 1, doubtful: 1, accepted: 1}
    assert "nothing was missed" in call("sends", "resend-missed", "--as-of", LATER).output


def test_what_was_once_in_doubt_is_not_certainly_missed_whatever_somebody_said_of_it(
    stage: Stage, call: Callable[..., Result]
) -> None:
    key = stage.planned("ann")
    stage.dispatch(conduct=Conduct.DROP)  # the provider has it
    stage.run_sql("update campaign.sends set lease_until = lease_until - interval '1 hour'")
    assert call("sends", "resolve", key, "--not-accepted", "--as-of", LATER).exit_code == 0
    stage.dispatch(NOON + timedelta(hours=13), conduct=Conduct.REFUSE)
    stage.run_sql("update campaign.sends set reason = 'template_broken'")
    stage.run_sql("delete from core.suppressions")
    assert stage.end(key)[0] == "rejected"

    told = call("sends", "resend-missed", "back", "--yes", "--as-of", (NOON + timedelta(hours=14)).isoformat())

    assert "nothing was missed" in told.output
    assert stage.end(key)[0] == "rejected"
    assert stage.outbox() == {key: 1}
