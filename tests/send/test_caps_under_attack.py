"""Frequency caps with several campaigns and several dispatching processes at once; the outbox's own rows judge."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.channels.outbox import Conduct
from tasks.store.ledger import Clock, Ledger, Limits
from tests.send.stage import NOON, Stage, write_campaign
from tests.send.worker import Orders, context, started

WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)
PEOPLE = 25
ONE_OVERALL = [{"messages": 1, "per": "7d"}]
ONE_EACH = [{"messages": 1, "per": "7d", "channel": "email"}, {"messages": 1, "per": "7d", "channel": "push"}]
# Mostly accepted; some refused, so that the next channel is tried; some accepted with the answer lost.
MOODS = (Conduct.ACCEPT, Conduct.ACCEPT, Conduct.ACCEPT, Conduct.REFUSE, Conduct.DROP)


def crowd(stage: Stage, caps: list[dict[str, Any]], now: datetime, moments: list[datetime]) -> None:
    """Two campaigns that want to write to the same people, each by email and by push, at each of the moments.

    Half of them are known by another id in the second campaign.
    """
    write_campaign(stage.folder, "other", caps=caps)
    for number in range(PEOPLE):
        customer = stage.person(f"c{number:02}", channels=("email", "push"), granted_at=now - timedelta(days=400))
        other = customer
        if number % 2:
            other = f"guest-{number}"
            stage.run_sql("insert into core.aliases values (:alias, :id, 'email', :at)", alias=other, id=customer,
                          at=now - timedelta(days=300))  # fmt: skip
        for campaign, name in (("back", customer), ("other", other)):
            for at in moments:
                for channel in ("email", "push"):
                    enrolment = stage.enrol(name, campaign, anchor=at - 9 * HOUR)
                    stage.plan(enrolment, due=at, channel=channel, expires=moments[-1] + timedelta(days=60))


def attack(stage: Stage, at: datetime | None, *, workers: int = 2, batch: int = 3) -> None:
    """Processes released together dispatch until nothing is due."""
    settings = stage.work.settings
    assert settings.database_url
    orders = Orders(
        settings.database_url.get_secret_value(),
        settings.home,
        settings.config,
        at,
        moods=MOODS,
        limits=Limits(batch=batch),
    )
    barrier = context.Barrier(workers)
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(started(orders, barrier)) for _ in range(workers)]
        for process in processes:
            process.join(180)
            assert process.exitcode == 0


def taken(stage: Stage) -> dict[str, list[tuple[datetime, str]]]:
    """When and by which channel the outbox took something, by person, whatever our ledger believes."""
    found: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for row in stage.rows(
        "select coalesce(aliases.customer_id, sends.customer_id) as person, messages.channel,"
        " coalesce(messages.at, messages.received_at) as at"
        " from outbox.messages inner join campaign.sends using (send_key)"
        " left join core.aliases on aliases.alias_id = sends.customer_id order by 3"
    ):
        found[row["person"]].append((row["at"], row["channel"]))
    return found


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "simulated"])
def test_two_campaigns_and_two_processes_never_write_to_a_person_more_often_than_one_cap_allows(
    make_stage: Callable[..., Stage], is_live: bool
) -> None:
    stage = make_stage(mode="live" if is_live else "simulated", caps=ONE_OVERALL)
    now = stage.one("select clock_timestamp()") if is_live else NOON
    crowd(stage, ONE_OVERALL, now, [now - HOUR])

    attack(stage, None if is_live else now)

    found = taken(stage)
    assert {person: len(messages) for person, messages in found.items() if len(messages) > 1} == {}
    assert len(found) > PEOPLE * 3 / 4, "hardly anyone was written to"
    assert stage.one("select count(*) from campaign.sends where state in ('accepted', 'unknown')") == len(found)


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "simulated"])
def test_a_cap_per_channel_holds_for_each_channel_alone(make_stage: Callable[..., Stage], is_live: bool) -> None:
    stage = make_stage(mode="live" if is_live else "simulated", caps=ONE_EACH)
    now = stage.one("select clock_timestamp()") if is_live else NOON
    crowd(stage, ONE_EACH, now, [now - HOUR])

    attack(stage, None if is_live else now)

    channels = [sorted(channel for _, channel in messages) for messages in taken(stage).values()]
    assert all(found in (["email"], ["push"], ["email", "push"]) for found in channels), channels
    assert channels.count(["email", "push"]) > PEOPLE / 2, "hardly anyone was written to by both"


def test_over_weeks_played_by_three_processes_no_rolling_period_holds_more_than_the_cap(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage(caps=ONE_OVERALL)
    crowd(stage, ONE_OVERALL, NOON, [NOON + timedelta(days=days) for days in (0, 2, 5)])

    for days in (1, 6, 8, 13, 15, 22):
        attack(stage, NOON + timedelta(days=days), workers=3)

    found = taken(stage)
    assert max(len(messages) for messages in found.values()) >= 3, "the cap never left room again"
    for person, messages in found.items():
        times = [at for at, _ in messages]
        assert all(later - earlier >= WEEK for earlier, later in pairwise(times)), (person, times)


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "simulated"])
def test_under_attack_the_more_important_message_has_the_room_wherever_it_could_leave(
    make_stage: Callable[..., Stage], is_live: bool
) -> None:
    stage = make_stage(mode="live" if is_live else "simulated", caps=ONE_OVERALL)
    now = stage.one("select clock_timestamp()") if is_live else NOON
    crowd(stage, ONE_OVERALL, now, [now - HOUR])
    stage.run_sql("update campaign.sends set priority = 7 where campaign = 'other'")

    attack(stage, None if is_live else now, workers=3, batch=2)

    left = stage.rows(
        "select coalesce(aliases.customer_id, sends.customer_id) as person, campaign from outbox.messages"
        " inner join campaign.sends using (send_key)"
        " left join core.aliases on aliases.alias_id = sends.customer_id"
    )
    refused = stage.rows(
        "select coalesce(aliases.customer_id, sends.customer_id) as person from campaign.sends"
        " left join core.aliases on aliases.alias_id = sends.customer_id"
        " where campaign = 'other' group by 1 having bool_and(state = 'rejected')"
    )
    assert len(left) > PEOPLE * 3 / 4, "hardly anyone was written to"
    assert {row["person"] for row in left if row["campaign"] == "back"} <= {row["person"] for row in refused}


def test_who_becomes_somebody_else_between_lock_and_claim_is_left_to_the_next_dispatch(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage(caps=ONE_OVERALL)
    write_campaign(stage.folder, "other", caps=ONE_OVERALL)
    stage.person("ann")
    stage.person("guest-1")
    guest = stage.plan(stage.enrol("guest-1", "other"), due=NOON - HOUR)
    ann = stage.plan(stage.enrol("ann"))
    settings = stage.work.settings
    other = Ledger(
        stage.work.queries,
        {"back": stage.work.campaign("back")},
        clock=Clock(NOON),
        business_zone="UTC",
        address_key=settings.suppression_key.get_secret_value(),
        providers={},
        limits=Limits(),
    )
    theirs = stage.work.database.engine.connect()
    seen: list[int] = []

    def merge(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        """The first claim has locked guest-1; now guest-1 turns out to be ann, whom another dispatch claims."""
        if "pg_try_advisory_xact_lock" in statement and not seen:
            seen.append(1)
            stage.run_sql("insert into core.aliases values ('guest-1', 'ann', 'email', :at)", at=NOON)
            assert [row.send_key for row in other.claim(theirs, batch=100).rows] == [ann]

    sa.event.listen(stage.work.database.engine, "after_cursor_execute", merge)
    try:
        stage.dispatch(limits=Limits(batch=1))
        theirs.commit()
    finally:
        sa.event.remove(stage.work.database.engine, "after_cursor_execute", merge)
        theirs.close()

    assert seen
    assert stage.outbox() == {}
    assert (stage.end(guest)[0], stage.end(ann)[0]) == ("planned", "in_flight")
    stage.dispatch()
    assert stage.end(guest) == ("planned", "capped")
