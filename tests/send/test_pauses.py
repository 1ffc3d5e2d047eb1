"""A campaign switches itself off when too much of what it sends fails or is called spam; people do at any time.

What is reported while messages leave is in test_fault_matrix (P18).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from prefect.logging import get_logger
from typer.testing import CliRunner

from flows.__main__ import app
from tasks.channels.base import OutgoingMessage
from tasks.channels.outbox import Conduct
from tasks.store.ledger import Limits
from tests.channels import mail_send
from tests.channels.loopback import Mode, Request
from tests.send import live
from tests.send.stage import NOON, Stage, write_campaign

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def command(stage: Stage, *words: str) -> str:
    settings = stage.work.settings
    assert settings.database_url
    environment = {
        "REENGAGE_CONFIG": str(settings.config),
        "REENGAGE_DATABASE_URL": settings.database_url.get_secret_value(),
        "REENGAGE_HOME": str(settings.home),
    }
    result = CliRunner().invoke(app, [*words], env=environment)
    assert result.exit_code == 0, result.output
    return result.stdout


def state(stage: Stage, campaign: str = "back") -> tuple[str, str | None]:
    found = stage.rows("select state, reason from campaign.campaigns where campaign = :name", name=campaign)
    return (found[0]["state"], found[0]["reason"]) if found else ("active", None)


# ------------------------------------------------------------------------------------------------ complaints


def emails(
    stage: Stage, number: int, complaints: int, *, at: datetime = NOON - DAY, campaign: str = "back", bounced: int = 0
) -> None:
    """So many accepted emails, a second apart up to `at`; the last ones bounced, those before were complained about."""
    stage.numbers["emails"] += 1
    name = f"{campaign}-{stage.numbers['emails']}"
    enrolment = stage.enrol(name, campaign)
    stage.run_sql(
        "insert into campaign.sends (send_key, enrolment_id, campaign, customer_id, episode, step, variant, arm,"
        " channel, provider, template_version, due_at, not_before, expires_at, state, planned_at, accepted_at)"
        " select :name || number, :enrolment, :campaign, :name, 'e', '1', 'control', 'treated', 'email', 'outbox', 'v',"
        " :at, :at, :at, 'accepted', :at, cast(:at as timestamptz) - make_interval(secs => number)"
        " from generate_series(1, :number) as number",
        name=name, enrolment=enrolment, campaign=campaign, at=at, number=number,
    )  # fmt: skip
    stage.run_sql(
        "insert into campaign.message_reports (send_key, delivered_at, bounced_at, complained_at)"
        " select :name || number, :at, case when number <= :bounced then cast(:at as timestamptz) end,"
        " case when number > :bounced and number <= :bounced + :complaints then cast(:at as timestamptz) end"
        " from generate_series(1, :number) as number",
        name=name, at=at, number=number, bounced=bounced, complaints=complaints,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("number", "complaints", "bounced", "is_paused"),
    [
        (1000, 2, 0, True),  # 0.2 percent of a thousand
        (1000, 1, 0, False),
        (999, 4, 0, False),  # too few emails to say
        (999, 5, 0, True),  # so many complaints are too many among whatever number
        (20, 5, 0, True),
        (20, 4, 0, False),
        (1001, 2, 0, True),
        (1001, 2, 2, False),  # 999 arrived
        (0, 0, 0, False),
    ],
)
def test_complaints_about_the_newest_emails_switch_a_campaign_off(
    stage: Stage, number: int, complaints: int, bounced: int, is_paused: bool
) -> None:
    emails(stage, number, complaints, bounced=bounced)
    key = stage.planned("ann")

    sent = stage.dispatch()

    if is_paused:
        assert state(stage) == ("paused", "complaint_rate")
        assert stage.end(key) == ("planned", "campaign_paused")
        assert "complained" in str(sent.problems[0])
    else:
        assert state(stage)[0] == "active"
        assert stage.end(key) == ("accepted", None)


def test_only_the_newest_thousand_count_and_only_the_campaigns_own(stage: Stage) -> None:
    write_campaign(stage.folder, "other")
    emails(stage, 1000, 0)
    emails(stage, 400, 4, at=NOON - 2 * DAY)
    emails(stage, 1000, 9, campaign="other")

    stage.dispatch()

    assert (state(stage)[0], state(stage, "other")) == ("active", ("paused", "complaint_rate"))


def test_the_threshold_is_the_campaigns(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(pause_when={"complaints": 0.003})
    emails(stage, 1000, 2)
    stage.dispatch()
    assert state(stage)[0] == "active"

    emails(stage, 1, 1)
    stage.dispatch(NOON + HOUR)
    assert state(stage) == ("paused", "complaint_rate")


def test_who_resumes_a_campaign_forgives_what_was_complained_about(stage: Stage) -> None:
    emails(stage, 1000, 9)
    key = stage.planned("ann")
    stage.dispatch()
    command(stage, "resume", "back")

    stage.dispatch(NOON + HOUR)
    assert (state(stage)[0], stage.end(key)) == ("active", ("accepted", None))

    emails(stage, 10, 5, at=stage.one("select clock_timestamp()") + HOUR)
    stage.dispatch(NOON + 2 * HOUR)
    assert state(stage) == ("paused", "complaint_rate")


@pytest.mark.parametrize(
    ("complaints", "hours_ago", "is_paused"),
    [
        (5, 2, True),  # of 2,500 in a day
        (4, 2, False),
        (9, 24, False),  # a day later they say nothing about what leaves now
    ],
)
def test_of_a_day_with_more_than_a_thousand_emails_all_count(
    stage: Stage, complaints: int, hours_ago: int, is_paused: bool
) -> None:
    """While a long run goes on, complaints are about emails that the newest thousand have left behind."""
    emails(stage, 1000, complaints, at=NOON - hours_ago * HOUR)
    emails(stage, 1500, 0, at=NOON - HOUR)

    stage.dispatch()

    assert state(stage) == (("paused", "complaint_rate") if is_paused else ("active", None))


# ------------------------------------------------------------------------------------------------ errors


def test_a_campaign_of_whose_messages_too_many_fail_switches_itself_off_in_the_middle_of_a_run(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage(pause_when={"errors": 0.5, "at_least": 10}, channels=["email", "push"], steps=[
        {"send_after": "9h", "messages": {"email": {"subject": "Hello", "file": "email.html"}}}
    ])  # fmt: skip
    for number in range(30):
        stage.planned(f"c{number:02}")

    sent = stage.dispatch(conduct=Conduct.REFUSE, limits=Limits(batch=5))

    assert state(stage) == ("paused", "error_rate")
    assert stage.states() == {"rejected": 10, "planned": 20}
    assert "refused or lost" in str(sent.problems[0])
    command(stage, "resume", "back")
    stage.dispatch(NOON + HOUR)
    assert stage.states() == {"rejected": 10, "accepted": 20}


@pytest.mark.parametrize(("failing", "is_paused"), [(5, False), (6, True)])
def test_the_share_of_errors_must_be_exceeded(make_stage: Callable[..., Stage], failing: int, is_paused: bool) -> None:
    stage = make_stage(pause_when={"errors": 0.25, "at_least": 20})
    bad = {f"c{number:02}@example.com" for number in range(failing)}
    for number in range(20):
        stage.planned(f"c{number:02}")

    stage.dispatch(conduct=lambda message: Conduct.REFUSE if message.address in bad else Conduct.ACCEPT)

    assert state(stage)[0] == ("paused" if is_paused else "active")


@pytest.mark.parametrize(
    ("number", "bounced", "is_paused"), [(50, 11, True), (50, 10, False), (49, 49, False), (1200, 201, True)]
)
def test_what_is_reported_as_failed_counts_as_an_error_of_its_campaign(
    stage: Stage, number: int, bounced: int, is_paused: bool
) -> None:
    """Of the newest thousand: 201 of 1,000 is more than a fifth, of 1,200 it would not be."""
    write_campaign(stage.folder, "other")
    emails(stage, number, 0, bounced=bounced)
    emails(stage, 1000, 0, campaign="other")

    sent = stage.dispatch()

    assert state(stage) == (("paused", "error_rate") if is_paused else ("active", None))
    assert state(stage, "other") == ("active", None)
    assert ["reported as failed" in str(problem) for problem in sent.problems] == [True] * is_paused


@pytest.mark.parametrize(("failed", "is_paused"), [(401, True), (400, False)])
def test_of_a_day_with_more_than_a_thousand_messages_all_failures_count(
    stage: Stage, failed: int, is_paused: bool
) -> None:
    emails(stage, 1000, 0, at=NOON - 2 * HOUR, bounced=failed)
    emails(stage, 1000, 0, at=NOON - HOUR)

    stage.dispatch()

    assert state(stage) == (("paused", "error_rate") if is_paused else ("active", None))


@pytest.mark.parametrize(("reason", "is_paused"), [("undeliverable", True), ("provider_cap", False)])
def test_a_persons_own_limit_at_the_provider_is_no_error_of_the_campaign(
    stage: Stage, reason: str, is_paused: bool
) -> None:
    emails(stage, 100, 0)
    stage.run_sql(
        "update campaign.message_reports set failed_at = delivered_at, failed_reason = :reason", reason=reason
    )

    stage.dispatch()

    assert state(stage) == (("paused", "error_rate") if is_paused else ("active", None))


def test_who_resumes_a_campaign_forgives_what_failed(stage: Stage) -> None:
    emails(stage, 100, 0, bounced=100)
    key = stage.planned("ann")
    stage.dispatch()
    assert stage.end(key) == ("planned", "campaign_paused")
    command(stage, "resume", "back")

    stage.dispatch(NOON + HOUR)

    assert (state(stage)[0], stage.end(key)) == ("active", ("accepted", None))


# ------------------------------------------------------------------------------------------------ by hand


@pytest.mark.parametrize("which", [["back"], []], ids=["a campaign", "everything"])
def test_a_pause_in_the_middle_of_a_run_lets_the_claim_end_and_the_next_one_obeys(
    stage: Stage, which: list[str]
) -> None:
    for number in range(12):
        stage.planned(f"c{number:02}")
    seen: list[str] = []

    def pause(message: OutgoingMessage) -> Conduct:
        seen.append(message.send_key)
        if len(seen) == 2:
            command(stage, "pause", *which, "--reason", "a mistake in the words")
        return Conduct.ACCEPT

    stage.dispatch(conduct=pause, limits=Limits(batch=4))
    assert stage.states() == {"accepted": 4, "planned": 8}
    assert state(stage, *which or ["*"]) == ("paused", "a mistake in the words")

    stage.dispatch(NOON + HOUR)
    assert stage.states() == {"accepted": 4, "planned": 8}

    command(stage, "resume", *which)
    stage.dispatch(NOON + 2 * HOUR)
    assert stage.states() == {"accepted": 12}
    assert set(stage.outbox().values()) == {1}


@pytest.mark.parametrize("which", [["back"], []], ids=["a campaign", "everything"])
def test_live_a_pause_lets_no_more_leave_than_the_lanes_hold_by_then(
    make_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, which: list[str]
) -> None:
    """Several calls at once: the promise is what the dispatch said could be in doubt, one claim in each lane."""
    monkeypatch.setenv("REENGAGE_SENDGRID_API_KEY", mail_send.KEY)
    monkeypatch.setenv("REENGAGE_WHATSAPP_TOKEN", live.TOKEN)
    with live.sendgrid().running() as sendgrid, live.meta().running() as meta:
        stage = make_stage(mode="live", **live.CAMPAIGN)
        live.configure(stage.folder, {live.EMAIL: sendgrid.url, live.WHATSAPP: meta.url}, calls_in_flight=4)
        for channel in live.CHANNELS:
            live.due(stage, *(f"{channel}{number:02}" for number in range(30)), channel=channel)
        at_first = threading.Event()

        def pause(request: Request) -> Mode:
            if not at_first.is_set():
                at_first.set()
                change = stage.work.queries["ledger/pause"](
                    campaign=(which or ["*"])[0], state="paused", reason="words"
                )
                with stage.work.database.transaction() as connection:
                    connection.execute(change)
            return Mode.ACCEPT

        sendgrid.conduct = meta.conduct = pause
        sent = stage.dispatch(None, limits=Limits(batch=3))
        taken = len(sendgrid.keys_accepted) + len(meta.keys_accepted)

        assert 0 < taken <= sent.most_in_doubt < 60
        assert stage.states() == {"accepted": taken, "planned": 60 - taken}
        stage.dispatch(None, limits=Limits(batch=3))
        assert stage.states() == {"accepted": taken, "planned": 60 - taken}


def test_how_much_can_be_in_doubt_is_said_before_anything_is_claimed(stage: Stage) -> None:
    """Whoever finds a worker that was killed reads it there: that worker said nothing at its end."""
    told: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: told.append(record.getMessage())
    stage.planned("ann")

    get_logger("reengage").addHandler(listener)
    try:
        sent = stage.dispatch(watch=told.append)
    finally:
        get_logger("reengage").removeHandler(listener)

    bound = f"dispatch of all campaigns: no more than {sent.most_in_doubt:,} can be in doubt when this worker dies"
    assert sent.most_in_doubt > 0
    assert told.index(bound) < told.index("claiming")
    assert sum("in doubt" in line for line in told) == 1


@pytest.mark.parametrize(
    "said",
    [
        "insert into campaign.campaigns (campaign, state) values ('back', 'paused')",
        "insert into campaign.campaigns (campaign, state) values ('*', 'paused')",
        "insert into campaign.holds (campaign, load_id, reason) values ('back', 1, 'test')",
    ],
    ids=["a campaign", "everything", "a gate"],
)
def test_what_is_said_after_the_rows_were_found_is_heard_by_the_claim_itself(stage: Stage, said: str) -> None:
    key = stage.planned("ann")
    heard: list[str] = []

    def speak(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "pg_try_advisory_xact_lock" in statement and not heard:
            heard.append(said)
            stage.run_sql(said)

    sa.event.listen(stage.work.database.engine, "after_cursor_execute", speak)
    try:
        stage.dispatch()
    finally:
        sa.event.remove(stage.work.database.engine, "after_cursor_execute", speak)

    assert heard
    assert stage.end(key)[0] == "planned"
    assert stage.outbox() == {}
