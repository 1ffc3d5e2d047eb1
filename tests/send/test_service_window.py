"""Words of our own reach a person on WhatsApp inside their service window only, whatever the campaign (C15)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tasks.channels.outbox import Conduct
from tests.send.stage import NOON, Stage
from tests.send.test_hours import HOURS, TEMPLATE, own_table
from tests.send.test_retargeting import DAY, HOUR, MINUTE, Leads, steps
from tests.send.test_whatsapp_costs import asked

WORDS = {"file": "sms.txt"}
EMAIL = {"subject": "Hello", "file": "email.html"}


@pytest.fixture
def shop(make_stage: Callable[..., Stage]) -> Callable[..., Leads]:
    """The campaign `back` with words of its own on WhatsApp, over people who need not be leads, at any hour."""

    def make(**fields: Any) -> Leads:
        stage = make_stage(**{"voucher": None, "channels": ["whatsapp"], "steps": steps("9h", message=WORDS), **fields})
        own_table(stage, HOURS.replace("HOURS", "00:00-24:00"))
        return Leads(stage)

    return make


def due(world: Leads, *channels: str, said_at: datetime | None = None, at: datetime = NOON, step: str = "1") -> str:
    """A planned message to ann, who wrote at a moment or never; answers its key."""
    if said_at:
        world.lead("ann", "v1", said_at)
        for channel in channels:
            world.stage.consent("ann", channel, "granted", said_at - DAY)
    else:
        world.stage.person("ann", channels=("whatsapp", *channels))
    return world.stage.plan(world.stage.enrol("ann", anchor=at - 9 * HOUR), step=step, channel="whatsapp", due=at)


@pytest.mark.parametrize(
    ("said_at", "end"),
    [
        (None, ("suppressed", "needs_template")),
        (NOON - DAY, ("suppressed", "needs_template")),
        (NOON - DAY + timedelta(seconds=1), ("accepted", None)),
        (NOON, ("accepted", None)),
        (NOON + MINUTE, ("suppressed", "needs_template")),  # said later
    ],
)
def test_words_of_our_own_leave_for_a_day_after_the_persons_last_message(
    shop: Callable[..., Leads], said_at: datetime | None, end: tuple[str, str | None]
) -> None:
    world = shop()
    key = due(world, said_at=said_at)

    world.stage.dispatch(NOON)

    assert world.stage.end(key) == end
    assert world.stage.outbox().total() == (end[0] == "accepted")
    assert world.stage.decisions_follow_the_ledger()


def test_a_template_needs_no_window(shop: Callable[..., Leads]) -> None:
    world = shop(steps=steps("9h", message=TEMPLATE))
    key = due(world)

    world.stage.dispatch(NOON)

    assert world.stage.end(key) == ("accepted", None)


def test_a_chat_on_the_website_opens_no_window_on_whatsapp(shop: Callable[..., Leads]) -> None:
    world = shop()
    key = due(world, said_at=NOON - HOUR)
    world.stage.run_sql("update core.conversations set channel = 'web'")

    world.stage.dispatch(NOON)

    assert world.stage.end(key) == ("suppressed", "needs_template")


def test_the_answer_of_the_bot_keeps_no_window_open(shop: Callable[..., Leads]) -> None:
    world = shop()
    key = due(world, said_at=NOON - 2 * DAY)
    world.says("v1", NOON - HOUR, sender="bot")

    world.stage.dispatch(NOON)

    assert world.stage.end(key) == ("suppressed", "needs_template")


@pytest.mark.parametrize(
    ("said_at", "granted", "channel"),
    [
        (NOON - HOUR, "email", "whatsapp"),
        (NOON - 2 * DAY, "email", "email"),
        (None, "email", "email"),
        (None, "sms", None),  # no message on the one channel that is left
    ],
)
def test_outside_the_window_the_next_viable_channel_is_used(
    shop: Callable[..., Leads], said_at: datetime | None, granted: str, channel: str | None
) -> None:
    messages = {"whatsapp": WORDS, "email": EMAIL}
    world = shop(channels=["whatsapp", "email"], steps=[{"send_after": "9h", "messages": messages}])
    key = due(world, granted, said_at=said_at)

    world.stage.dispatch(NOON)

    if channel:
        assert (world.stage.end(key), world.stage.send(key)["channel"]) == (("accepted", None), channel)
    else:
        assert world.stage.end(key) == ("suppressed", "needs_template")
    assert world.stage.decisions_follow_the_ledger()


def test_what_another_channel_refused_ends_as_refused_outside_the_window(shop: Callable[..., Leads]) -> None:
    messages = {"whatsapp": WORDS, "email": EMAIL}
    world = shop(channels=["email", "whatsapp"], steps=[{"send_after": "9h", "messages": messages}])
    world.stage.person("ann", channels=("email", "whatsapp"))
    key = world.stage.plan(world.stage.enrol("ann"))

    world.stage.dispatch(NOON, conduct=Conduct.REFUSE)

    assert world.stage.end(key)[0] == "rejected"
    assert world.stage.one("select array_agg(channel) from campaign.attempts") == ["email"]
    assert world.stage.decisions_follow_the_ledger()


def test_a_channel_of_its_own_is_not_replaced_by_another(shop: Callable[..., Leads]) -> None:
    messages = {"whatsapp": WORDS, "email": EMAIL}
    world = shop(channels=["whatsapp", "email"], reach="all_viable", steps=[{"send_after": "9h", "messages": messages}])
    key = due(world, "email", step="1.whatsapp")

    world.stage.dispatch(NOON)

    assert world.stage.end(key) == ("suppressed", "needs_template")


def test_live_the_window_must_outlast_the_handing_over(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(mode="live", channels=["whatsapp"], steps=steps("9h", message=WORDS), voucher=None)
    own_table(stage, HOURS.replace("HOURS", "00:00-24:00"))
    now = stage.one("select clock_timestamp()")
    key = due(Leads(stage), said_at=now - DAY + MINUTE, at=now - HOUR)

    stage.dispatch(None)

    assert stage.end(key) == ("suppressed", "needs_template"), "open for less than a lease"


def test_a_plan_tells_which_messages_would_need_a_template_by_then(shop: Callable[..., Leads]) -> None:
    world = shop(
        segment="partial_leads", retargeting={"after_free_window": True},
        steps=steps("12h", "23h", message=WORDS),
    )  # fmt: skip
    world.ad(at=NOON - 30 * DAY)
    world.lead("ann", "v1", NOON - 9 * DAY)
    world.says("v1", NOON - 16 * HOUR)  # the second step leaves 11 hours after the first, which is late

    rows = asked(world, "plan", "back", "--as-of", NOON.isoformat())

    told = [(row["step"], row["reason"], row["people"], row["cost"]) for row in rows if row["what"] == "cost"]
    assert told == [
        ("1", "free", 1, None),
        ("2", "not sent on WhatsApp: no template, and silent for a day by then", 1, None),
    ]
