"""Planning and dispatching of one campaign at the same time, in a live database."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tasks import plan, send
from tasks.channels.base import OutgoingMessage, Receipt
from tasks.channels.outbox import PROFILE
from tasks.store import runs
from tasks.store.ledger import Limits
from tests.planning_world import BASICS, Shop, campaign
from tests.send.live import zone_where_it_is_noon

PEOPLE = 240
CHANNELS = [{"name": "email", "consent": ["express"]}, {"name": "sms", "consent": ["express"]}]


class BusyProvider:
    """Puts every message off for a moment, so that the same rows are claimed again and again, until all is done."""

    profile = PROFILE

    def __init__(self, done: threading.Event) -> None:
        self.done = done

    def send(self, messages: list[OutgoingMessage]) -> list[Receipt]:
        if self.done.is_set():
            return [Receipt(message.attempt_id, "accepted") for message in messages]
        return [Receipt(message.attempt_id, "busy", retry_after=0.1) for message in messages]

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def shop(make_workspace) -> Shop:
    """Everyone became late two days ago, so that what is planned is due at once."""
    shop = Shop(make_workspace(mode="live"))
    today = datetime.now(UTC)
    by_day = zone_where_it_is_noon()  # so that no quiet hours hold anything
    days = [(today - timedelta(days=ago)).date().isoformat() for ago in (131, 71)]
    for number in range(PEOPLE):
        customer = shop.customer(f"p{number}", phone_e164=f"+4917012{number:05}", time_zones=[by_day])
        shop.consents(customer, "email")
        shop.consents(customer, "sms")
        shop.buys(customer, *days)
    return shop


def one_decision_per_step_says_what_the_ledger_says(shop: Shop) -> bool:
    return not shop.rows(
        "select from campaign.sends left join campaign.decisions on decisions.enrolment_id = sends.enrolment_id"
        " and decisions.step = sends.step and decisions.superseded_at is null"
        " where (decisions.state, decisions.reason, decisions.channel)"
        " is distinct from (sends.state, sends.reason, sends.channel)"
    )


def test_plans_and_dispatches_at_the_same_time_neither_fail_nor_disagree(shop):
    shop.run(campaign(holdout=0.0), None)
    done = threading.Event()

    def dispatch() -> Counter[str]:
        counts: Counter[str] = Counter()
        while not done.is_set():
            sent = send.due(shop.work, None, "lapsing_customers", limits=Limits(batch=40),
                            senders={"outbox": BusyProvider(done)})  # fmt: skip
            counts.update(sent.counts)
        return counts

    with ThreadPoolExecutor(2) as workers:
        dispatches = [workers.submit(dispatch) for _ in range(2)]
        try:
            for turn in range(12):
                first = CHANNELS if turn % 2 else CHANNELS[::-1]
                found = campaign(channels=first, voucher={**BASICS["voucher"], "code": f"COME{turn}"}, holdout=0.0)
                with runs.begin(shop.work, "reengage", found, None) as run:
                    plan.messages(run)
        finally:
            done.set()
        claimed = dispatches[0].result() + dispatches[1].result()

    assert claimed
    assert one_decision_per_step_says_what_the_ledger_says(shop)
