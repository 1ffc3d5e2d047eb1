"""Replies that the receiver has stored and no load has brought in yet hold a retarget (A4)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tasks import pull
from tasks.rules.reports import whatsapp_name
from tasks.store import reports
from tests.chats import body, echo, echoes, from_ad, message
from tests.send.test_retargeting import DAY, HOUR, MINUTE, SIX, Leads, leads

__all__ = ["leads"]


def hears(world: Leads, at: datetime, *bodies: dict[str, Any]) -> None:
    """The receiver takes what comes."""
    work = world.stage.work
    with work.database.transaction() as connection:
        for given in bodies:
            reports.take_body(
                connection, work.queries, "whatsapp_cloud", "hooks/whatsapp", json.dumps(given).encode(),
                key=work.settings.suppression_key.get_secret_value(), at=at,
            )  # fmt: skip


def number_of(world: Leads, customer: str) -> str:
    return world.stage.one("select ltrim(phone_e164, '+') from core.customers where customer_id = :id", id=customer)


def test_a_reply_that_no_load_has_brought_in_holds_what_was_planned_before(leads: Callable[..., Leads]) -> None:
    world = leads(("12h",))
    world.lead("ann", "v1")
    world.lead("bob", "v2")
    world.run(SIX + HOUR)
    said_at = SIX + 11 * HOUR + 30 * MINUTE

    hears(world, said_at, body(message("wamid.1", said_at, wa_id=number_of(world, "ann"))))
    world.stage.dispatch(SIX + 12 * HOUR)
    assert world.ends("v1")["1"] == ("planned", "reply_quiet")
    assert world.send("1", "v1")["not_before"] == said_at + HOUR
    assert world.sent("v2") == [("1", SIX + 12 * HOUR)]

    world.stage.dispatch(SIX + 12 * HOUR + 30 * MINUTE)
    assert world.sent("v1") == [("1", SIX + 12 * HOUR + 30 * MINUTE)]


def test_a_reply_from_a_number_that_two_customers_have_holds_both(leads: Callable[..., Leads]) -> None:
    world = leads(("12h",))
    world.lead("ann", "v1")
    world.lead("bob", "v2")
    world.stage.run_sql("update core.customers set phone_e164 = '+4930123456'")
    world.run(SIX + HOUR)

    hears(world, SIX + 12 * HOUR, body(message("wamid.1", SIX + 12 * HOUR - MINUTE, wa_id="4930123456")))
    world.stage.dispatch(SIX + 12 * HOUR)

    assert world.stage.one("select customer_id from campaign.replies") is None
    assert [world.ends(talk)["1"] for talk in ("v1", "v2")] == [("planned", "reply_quiet")] * 2


@pytest.mark.parametrize(
    "what",
    [
        {"group_id": "Y2FwaV9ncm91cDox"},
        {"type": "edit", "edit": {"original_message_id": "wamid.0", "message": {"text": {"body": "two"}}}},
        {"type": "revoke", "revoke": {"original_message_id": "wamid.0"}},
        {"type": "system", "system": {"type": "user_changed_number"}},
    ],
)
def test_what_is_no_message_to_us_holds_nothing(leads: Callable[..., Leads], what: dict[str, Any]) -> None:
    world = leads(("12h",))
    world.lead("ann", "v1")
    world.run(SIX + HOUR)

    given = message("wamid.1", SIX + 12 * HOUR - MINUTE, wa_id=number_of(world, "ann"), **what)
    hears(world, SIX + 12 * HOUR, body(given))
    world.stage.dispatch(SIX + 12 * HOUR)

    assert world.sent() == [("1", SIX + 12 * HOUR)]


def test_as_long_as_a_message_waits_nothing_leaves_and_then_the_step_counts_from_it(
    leads: Callable[..., Leads],
) -> None:
    world = leads(("12h",))
    work = world.stage.work
    world.stage.person("ann", channels=("whatsapp",), granted_at=SIX - 400 * DAY)
    world.stage.run_sql("update core.customers set phone = phone_e164")
    number = number_of(world, "ann")
    talk = whatsapp_name(work.settings.suppression_key.get_secret_value(), "wamid.1")
    hears(world, SIX, body(message("wamid.1", SIX, wa_id=number, **from_ad("ad1"))))
    hears(world, SIX + MINUTE, echoes(echo("wamid.2", SIX + MINUTE, to=number)))
    pull.received(work, SIX + 2 * MINUTE)
    world.run(SIX + HOUR)

    hears(world, SIX + 11 * HOUR, body(message("wamid.3", SIX + 11 * HOUR, wa_id=number)))
    for minutes in (0, 5, 10):  # quiet was over at noon; a load of hours may keep the message from being brought in
        world.stage.dispatch(SIX + 12 * HOUR + minutes * MINUTE)
        assert world.ends(talk)["1"] == ("planned", "reply_quiet")
    pull.received(work, SIX + 12 * HOUR + 11 * MINUTE)
    world.stage.dispatch(SIX + 12 * HOUR + 15 * MINUTE)
    assert world.ends(talk)["1"] == ("planned", "replied")

    world.stage.dispatch(SIX + 23 * HOUR)
    assert world.sent(talk) == [("1", SIX + 23 * HOUR)]
