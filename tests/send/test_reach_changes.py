"""A campaign that changes between one channel and all viable ones while episodes are open."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tasks import send
from tasks.channels.base import OutgoingMessage
from tasks.channels.outbox import Conduct, Outbox
from tasks.store.ledger import Clock, Ledger, Limits
from tasks.store.workspace import Workspace
from tests.planning_world import NOON, Shop, campaign

HOUR = timedelta(hours=1)
CHANNELS = ("email", "push", "sms")
BOTH_WAYS = [("first_viable", "all_viable"), ("all_viable", "first_viable")]
WAITS = "update campaign.sends set not_before = not_before + interval '1 day'"


@pytest.fixture
def shop(make_workspace: Callable[..., Workspace]) -> Shop:
    return Shop(make_workspace(mode="simulated"))


def reachable(shop: Shop, customer: str, *channels: str) -> None:
    shop.lapses(customer, phone_e164=f"+49170{zlib.crc32(customer.encode()) % 10**7:07}")
    shop.token(customer)
    for channel in channels:
        shop.consents(customer, channel)


def dispatch(shop: Shop, at: datetime, conduct: Callable[[OutgoingMessage], Conduct]) -> None:
    append = shop.work.queries["ledger/outbox_accept"]
    outbox = Outbox(shop.work.database.url, append, timeout=1, conduct=conduct)
    send.due(shop.work, at, "lapsing_customers", senders={"outbox": outbox})
    outbox.close()


def in_force(shop: Shop, at: datetime | None = None) -> dict[str, dict[str, str]]:
    """State by step of the decisions in force at a moment, by person."""
    when = "superseded_at is null" if at is None else "decided_at <= :at and coalesce(superseded_at, 'infinity') > :at"
    found: dict[str, dict[str, str]] = {}
    given = {} if at is None else {"at": at}
    for row in shop.rows(f"select customer_id, step, state from campaign.decisions where {when}", **given):
        found.setdefault(row["customer_id"], {})[row["step"]] = row["state"]
    return found


@pytest.mark.parametrize("reach", BOTH_WAYS)
def test_the_earlier_forms_decisions_make_way_for_the_new_ones(shop: Shop, reach: tuple[Any, Any]) -> None:
    reachable(shop, "both", "email", "push")
    reachable(shop, "nobody")
    shop.run(campaign(reach=reach[0]))
    shop.run(campaign(reach=reach[1]), NOON + HOUR)

    if reach[1] == "all_viable":
        wanted = {"1.email": "planned", "1.push": "planned", "1.sms": "suppressed"}
        unreached = dict.fromkeys(wanted, "suppressed")
    else:
        wanted, unreached = {"1": "planned"}, {"1": "suppressed"}
    assert in_force(shop) == {"both": wanted, "nobody": unreached}
    planned = {step for (_, step), row in shop.sends().items() if row["state"] == "planned"}
    assert planned == {step for step, state in wanted.items() if state == "planned"}


@pytest.mark.parametrize("reach", BOTH_WAYS)
def test_held_out_and_expired_people_change_form_too(shop: Shop, reach: tuple[Any, Any]) -> None:
    reachable(shop, "late")
    for number in range(12):
        reachable(shop, f"c{number}", "email")
    first = campaign(reach=reach[0], holdout=0.5, expires_after="1d")
    shop.run(first)
    shop.run(first, NOON + 30 * HOUR)

    shop.run(campaign(reach=reach[1], holdout=0.5, expires_after="1d"), NOON + 31 * HOUR)

    found = in_force(shop)
    states = {state for steps in found.values() for state in steps.values()}
    assert states == {"holdout", "expired"}
    forms = {step for steps in found.values() for step in steps}
    assert forms == ({"1"} if reach[1] == "first_viable" else {"1.email", "1.push", "1.sms"})


def test_a_campaign_that_changes_back_sends_what_it_took_back(shop: Shop) -> None:
    reachable(shop, "ann", "email")
    for hours, reach in enumerate(("first_viable", "all_viable", "first_viable")):
        shop.run(campaign(reach=reach), NOON + hours * HOUR)

    dispatch(shop, NOON + 3 * HOUR, lambda _: Conduct.ACCEPT)
    shop.run(campaign(), NOON + 4 * HOUR)

    assert in_force(shop) == {"ann": {"1": "accepted"}}
    assert len(shop.rows("select from outbox.messages")) == 1


def test_what_quiet_hours_dropped_stays_dropped(shop: Shop) -> None:
    reachable(shop, "ann", "email")
    shop.run(campaign())
    shop._run("update campaign.sends set state = 'suppressed', reason = 'quiet'", [{}])

    shop.run(campaign(reach="all_viable"), NOON + HOUR)

    assert in_force(shop) == {"ann": {"1": "suppressed"}}


def test_what_was_missed_in_one_form_is_not_sent_beside_the_other(shop: Shop) -> None:
    reachable(shop, "ann", "email", "push")
    shop.run(campaign(expires_after="1d"))
    shop._run("update campaign.sends set state = 'expired', settled_at = now()", [{}])
    shop._run("update campaign.decisions set state = 'expired'", [{}])
    shop.run(campaign(reach="all_viable", expires_after="9d"), NOON + HOUR)
    dispatch(shop, NOON + 2 * HOUR, lambda _: Conduct.ACCEPT)
    assert len(shop.rows("select from outbox.messages")) == 2

    work = shop.work
    ledger = Ledger(
        work.queries, {}, clock=Clock(NOON), business_zone="UTC", address_key="k", providers={}, limits=Limits()
    )
    with work.database.transaction() as connection:
        assert ledger.missed(connection, None, NOON - timedelta(days=365)) == []


@pytest.mark.parametrize("seed", range(4))
def test_however_often_it_changes_a_step_leaves_under_one_form_only_and_everyone_stands_once(
    shop: Shop, seed: int
) -> None:
    chance = random.Random(seed)
    for number in range(16):
        reachable(shop, f"c{number:02}", *(channel for channel in CHANNELS if chance.random() < 0.6))
    moods = [Conduct.ACCEPT, Conduct.REFUSE, Conduct.BUSY, Conduct.DROP]
    asked: list[datetime] = []
    for round_no in range(8):
        at = NOON + round_no * HOUR
        found = campaign(reach=chance.choice(["first_viable", "all_viable"]), holdout=0.1)
        shop.run(found, at)
        asked.append(at)

        forms = {
            (row["enrolment_id"], row["step"].partition(".")[0]): set()
            for row in shop.rows("select enrolment_id, step from campaign.decisions")
        }
        for row in shop.rows("select enrolment_id, step from campaign.decisions where superseded_at is null"):
            forms[row["enrolment_id"], row["step"].partition(".")[0]].add("." in row["step"])
        assert all(len(kinds) == 1 for kinds in forms.values())

        if chance.random() < 0.7:  # few leave each time, so that every state meets a change
            dispatch(
                shop,
                at + HOUR / 2,
                lambda message, salt=round_no: moods[zlib.crc32(f"{message.send_key}{salt}".encode()) % len(moods)],
            )
        late = [{"day": timedelta(days=1)}]
        shop._run(f"{WAITS} where state = 'planned' and abs(hashtext(send_key || {round_no})) % 3 = 0", late)

    left: dict[tuple[Any, str], set[bool]] = {}
    sent = "select enrolment_id, step from campaign.sends inner join outbox.messages using (send_key)"
    for row in shop.rows(sent):
        left.setdefault((row["enrolment_id"], row["step"].partition(".")[0]), set()).add("." in row["step"])
    assert len(left) > 3
    assert all(len(kinds) == 1 for kinds in left.values()), left
    assert shop.rows("select send_key from outbox.messages group by send_key having count(*) > 1") == []
    for at in asked:
        found_then = in_force(shop, at)
        assert len(found_then) == 16
        assert all(len({"." in step for step in steps}) == 1 for steps in found_then.values())
