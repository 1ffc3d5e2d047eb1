"""A source's clock may be minutes ahead: a consent dated after it was known never undoes a withdrawal in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tasks.rules.reports import Parsed, Reply, Report
from tasks.store import reports
from tests.send.stage import NOON, Stage
from tests.store.landing import good, load

KEY = "change-me"
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
AHEAD = NOON + 4 * MINUTE
CHANNELS = ("email", "sms")
TEXTS = {"channels": ["sms"], "steps": [{"send_after": "9h", "messages": {"sms": {"file": "sms.txt"}}}]}


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """A campaign by text, and Ann, of whom no consent is known."""
    stage = make_stage(**TEXTS)
    stage.person("ann", channels=[])
    return stage


def consents(stage: Stage, *, known_at: datetime = NOON, **changed: str | None) -> None:
    """A load of one consent of Ann's as a source delivers it, its logical time `known_at`."""
    line = good("consents", **{"customer_id": "ann", "channel": "sms", **changed})
    assert load(stage.work.database, stage.work.queries, "consents", [line], as_of=known_at).accepted == 1


def granted(stage: Stage, at: datetime = AHEAD, **changed: Any) -> None:
    consents(stage, occurred_at=at.isoformat(), **changed)


def unsubscribe(stage: Stage, at: datetime, channel: str = "sms") -> int:
    """Ann's click on her link; answers how many rows it wrote."""
    click = stage.work.queries["ledger/unsubscribe"](
        request_id=uuid4(), customer_id="ann", channels=[channel], purposes=["marketing"], at=at
    )
    with stage.work.database.transaction() as connection:
        return len(connection.execute(click).all())


def stop(stage: Stage, at: datetime) -> None:
    """Ann's STOP by text."""
    phone = stage.one("select phone_e164 from core.customers where customer_id = 'ann'")
    take(stage, Parsed(replies=(Reply("sms_aws", "sms", f"stop-{at}", at, None, "STOP", phone),)), at)


def reported(stage: Stage, at: datetime) -> None:
    """The carrier tells that Ann wants no more texts; nothing is said about the number itself."""
    phone = stage.one("select phone_e164 from core.customers where customer_id = 'ann'")
    told = Report("sms_aws", "sms", f"out-{at}", "unsubscribed", at, withdraws=True, address=phone)
    take(stage, Parsed((told,)), at)


def withdrawn_in_a_file(stage: Stage, at: datetime) -> None:
    consents(stage, known_at=at + MINUTE, consent_id="n2", status="withdrawn", occurred_at=at.isoformat())


def take(stage: Stage, parsed: Parsed, at: datetime) -> None:
    with stage.work.database.transaction() as connection:
        reports.take(connection, stage.work.queries, parsed, key=KEY, at=at)


def in_force(stage: Stage, at: datetime, channel: str = "sms") -> bool:
    found = stage.rows("select channel from campaign.consents_in_force(array['ann'], :at, 'marketing')", at=at)
    return channel in {row["channel"] for row in found}


def ends(stage: Stage, at: datetime) -> tuple[str, str | None]:
    """What becomes of a text to Ann that is due at `at`."""
    key = stage.plan(stage.enrol("ann", anchor=at - timedelta(hours=9)), channel="sms", due=at)
    stage.dispatch(at)
    return stage.end(key)


WITHDRAWALS = {
    "the link": unsubscribe, "STOP": stop, "a carrier": reported, "a file": withdrawn_in_a_file,
}  # fmt: skip


@pytest.mark.parametrize("how", WITHDRAWALS)
def test_a_withdrawal_ends_a_grant_that_was_known_though_dated_later(stage: Stage, how: str) -> None:
    granted(stage)

    WITHDRAWALS[how](stage, NOON + MINUTE)

    assert ends(stage, NOON + 10 * MINUTE) == ("suppressed", "no_consent")
    assert [in_force(stage, at) for at in (NOON, NOON + MINUTE, AHEAD, AHEAD + MINUTE)] == [True, False, False, False]


@pytest.mark.parametrize("how", WITHDRAWALS)
def test_a_grant_that_comes_after_the_withdrawal_restores(stage: Stage, how: str) -> None:
    granted(stage, NOON - 10 * MINUTE, known_at=NOON)
    WITHDRAWALS[how](stage, NOON + MINUTE)

    granted(stage, NOON + 7 * MINUTE, known_at=NOON + 3 * MINUTE, consent_id="n3")

    assert ends(stage, NOON + 10 * MINUTE) == ("accepted", None)
    assert [in_force(stage, NOON + minutes * MINUTE) for minutes in (0, 1, 2, 3, 7)] == [True, False, False, True, True]


def test_what_is_delivered_again_later_is_no_later_word(stage: Stage) -> None:
    granted(stage)
    unsubscribe(stage, NOON + MINUTE)

    line = good("consents", customer_id="ann", channel="sms", occurred_at=AHEAD.isoformat())
    again = load(stage.work.database, stage.work.queries, "consents", [line], as_of=NOON + 20 * MINUTE)
    reworded = [line | {"wording": f"words {number}"} for number in range(200)]  # some win over what is stored
    load(stage.work.database, stage.work.queries, "consents", reworded, as_of=NOON + 20 * MINUTE)
    stage.run_sql("delete from core.consent_blocks")

    assert again.duplicate == 1
    assert stage.one("select wording from core.consents where consent_id = 'n1'") is not None
    assert not in_force(stage, NOON + 30 * MINUTE)


def test_a_withdrawal_dated_ahead_counts_at_once(stage: Stage) -> None:
    granted(stage, NOON - timedelta(days=9))

    consents(stage, consent_id="n2", status="withdrawn", occurred_at=AHEAD.isoformat())

    assert [in_force(stage, at) for at in (NOON - SECOND, NOON, AHEAD)] == [True, False, False]


def test_of_two_that_one_load_dates_ahead_the_withdrawal_counts(stage: Stage) -> None:
    consents(stage, consent_id="n2", status="withdrawn", occurred_at=(NOON + MINUTE).isoformat())

    granted(stage)

    assert not in_force(stage, AHEAD + MINUTE)


def test_a_second_click_writes_nothing_and_the_first_writes_in_spite_of_an_older_withdrawal(stage: Stage) -> None:
    unsubscribe(stage, NOON - timedelta(days=1))
    granted(stage)

    assert [unsubscribe(stage, NOON + MINUTE), unsubscribe(stage, NOON + 2 * MINUTE)] == [1, 0]


def test_analysts_see_a_grant_when_it_was_known(stage: Stage) -> None:
    granted(stage)

    assert stage.one("select occurred_at from facts.consents") == NOON
