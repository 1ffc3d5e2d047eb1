"""Two planners and four dispatchers at once on 2,000 people, in processes of their own (R1).

The planners go round the lock that would let only one of them work: the ledger's own keys must do.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from config.settings import Settings
from tasks import choose, plan, send
from tasks.store import mode, runs
from tasks.store.ledger import Limits
from tasks.store.workspace import Workspace
from tests.channels import mail_send
from tests.evaluation_world import insert
from tests.planning_world import Shop
from tests.send import live
from tests.send.live import EMAIL
from tests.send.stage import Stage

PEOPLE, PLANNERS, DISPATCHERS = 2_000, 2, 4
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["tests.send.worker"])


def planner(settings: Settings, barrier: Any) -> None:
    """Choose and plan, as a run would that nothing keeps from working beside another one.

    Where both decide about the same person first, the database refuses one of them whole; it tries again.
    """
    work = Workspace(settings)
    campaign = work.campaign("back")
    barrier.wait(60)
    for _ in range(5):
        at = mode.clock(work, None)
        with work.database.transaction() as connection:
            stored = mode.settle(work, connection)
            opened = work.queries["ledger/run_begin"](flow="reengage", campaign="back", as_of=at, config_sha256="")
            run_id = connection.execute(opened).scalar_one()
        run = runs.Run(work, run_id, "reengage", campaign, at, stored, "")
        with contextlib.suppress(sa.exc.IntegrityError):
            choose.members(run)
            plan.messages(run)
            break
    else:
        raise RuntimeError("the planner never came through")
    work.close()


def dispatcher(settings: Settings, barrier: Any, is_planned: Any) -> None:
    """Hand over whatever is due until everything is planned and nothing is left."""
    work = Workspace(settings)
    work.queries  # noqa: B018 - read before the barrier, so that all start together
    barrier.wait(60)
    while True:
        was_planned = is_planned.is_set()
        sent = send.due(work, limits=Limits(batch=40))
        if was_planned and not sent.counts:
            break
        is_planned.wait(0.2)
    work.close()


@pytest.fixture
def shop(make_stage: Callable[..., Stage]) -> Stage:
    """People who are all late since yesterday, and whose message is due today."""
    steps = [{**live.STEPS[0], "send_after": "1m"}]
    stage = make_stage(mode="live", **live.CAMPAIGN | {"steps": steps})
    live.configure(stage.folder, {})
    now = stage.one("select clock_timestamp()")
    people = [f"p{number:04}" for number in range(PEOPLE)]
    bought = [now - timedelta(days=days) for days in (69, 39)]
    stage.run_sql(
        "insert into core.customers (customer_id, email_canonical, country, time_zones)"
        " select id, id || '@example.com', 'DE', array['Europe/Berlin'] from unnest(cast(:people as text[])) as id",
        people=people,
    )
    with stage.work.database.transaction() as connection:
        insert(connection, "core.consents", [
            {"consent_id": p, "customer_id": p, "channel": EMAIL, "purpose": "marketing", "status": "granted",
             "basis": "express", "occurred_at": bought[0]}
            for p in people
        ])  # fmt: skip
        insert(connection, "core.purchases", [
            {"order_id": f"{p}{number}", "customer_id": p, "status": "paid", "amount": 20, "currency": "EUR",
             "purchased_at": at, "updated_at": at, "load_id": 1}
            for p in people for number, at in enumerate(bought)
        ])  # fmt: skip
        Shop(stage.work)._refresh(connection, people)  # what a load does after its purchases
    return stage


def test_two_planners_and_four_dispatchers_plan_and_send_everything_once(shop: Stage) -> None:
    with live.sendgrid().running() as provider:
        provider.judge = lambda _: None  # what requests look like is judged elsewhere
        live.configure(shop.folder, {EMAIL: provider.url}, calls_in_flight=2)
        settings = shop.work.settings.model_copy(update={"sendgrid_api_key": SecretStr(mail_send.KEY)})
        barrier, is_planned = context.Barrier(PLANNERS + DISPATCHERS), context.Event()
        planners = [context.Process(target=planner, args=(settings, barrier)) for _ in range(PLANNERS)]
        dispatchers = [context.Process(target=dispatcher, args=(settings, barrier, is_planned))
                       for _ in range(DISPATCHERS)]  # fmt: skip
        try:
            for process in (*planners, *dispatchers):
                process.start()
            for process in planners:
                process.join(180)
            is_planned.set()
            for process in dispatchers:
                process.join(180)
        finally:
            for process in (*planners, *dispatchers):
                process.kill()
        assert [process.exitcode for process in (*planners, *dispatchers)] == [0] * (PLANNERS + DISPATCHERS)

        assert shop.one("select count(*) from campaign.enrolments") == PEOPLE
        assert shop.states() == {"accepted": PEOPLE}
        of_attempt = {
            str(row["attempt_id"]): row["send_key"]
            for row in shop.rows("select attempt_id, send_key from campaign.attempts")
        }
        taken = Counter(of_attempt[attempt] for attempt in provider.keys_accepted)
        assert len(taken) == PEOPLE
        assert set(taken.values()) == {1}
        assert shop.decisions_follow_the_ledger()
