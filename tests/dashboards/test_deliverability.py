"""The page of deliverability and consent without a browser: what came back, what is open, what did not leave."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from dashboards import words
from tasks import measure
from tasks.store.workspace import Workspace
from tests.dashboards.looking import asked, columns, opened, said, tables
from tests.evaluation_world import START, World, insert, random_world

AS_OF = START + timedelta(days=45)


def _measured(work: Workspace, world: World) -> None:
    with work.database.transaction() as connection:
        world.write(connection)
    measure.campaigns(work, AS_OF)


def test_what_providers_reported_is_counted_once_per_message_and_people_apart_from_machines(shop: Workspace) -> None:
    world, at = World(), START + timedelta(hours=1)
    facts: dict[str, dict[str, Any]] = {
        "silent": {},
        "delivered": {"delivered_at": at},
        "read": {"opened_at": at, "machine_opened_at": at},
        "fetched": {"delivered_at": at, "machine_opened_at": at},
        "clicked": {"clicked_at": at, "replied_at": at},
        "gone": {"bounced_at": at, "failed_at": at},
        "angry": {"delivered_at": at, "complained_at": at, "unsubscribed_at": at},
        "later": {"delivered_at": AS_OF + timedelta(hours=1), "opened_at": AS_OF + timedelta(hours=1)},
    }
    keys = {name: world.send(world.enrol("alpha", world.customer(name), START), at)["send_key"] for name in facts}
    world.send(world.enrol("beta", world.customer("other"), START), at)
    with shop.database.transaction() as connection:
        world.write(connection)
        for name, fact in facts.items():
            if fact:
                insert(connection, "campaign.message_reports", [{"send_key": keys[name], **fact}])
    measure.campaigns(shop, AS_OF)

    assert tables(opened("deliverability", campaign="alpha"))["Message"]["Message 1, Email"] == [
        "8", "5", "2", "1", "1", "1", "1", "1", "1",
    ]  # fmt: skip
    assert "No provider has reported anything about these messages yet" in said(
        opened("deliverability", campaign="beta")
    )


def test_each_channel_has_its_column_over_all_campaigns_with_shares_of_what_was_accepted(shop: Workspace) -> None:
    world, at = World(), START + timedelta(hours=1)
    sent = [
        world.send(world.enrol(campaign, world.customer(f"c{number}"), START), at, channel=channel)
        for number, (campaign, channel) in enumerate(
            [("alpha", "email"), ("alpha", "email"), ("beta", "email"), ("beta", "sms"), ("alpha", "email")]
        )
    ]
    with shop.database.transaction() as connection:
        world.write(connection)
        for row in sent[:3]:
            insert(connection, "campaign.message_reports", [{"send_key": row["send_key"], "delivered_at": at}])
    measure.campaigns(shop, AS_OF)

    every, one = opened("deliverability"), opened("deliverability", campaign="beta")

    assert columns(every, "Messages") == ["Email", "SMS"]
    assert tables(every)["Messages"]["Accepted"] == ["4", "1"]
    assert tables(every)["Messages"]["Delivered"] == ["3 (75.0 %)", "0 (0.0 %)"]
    assert tables(one)["Messages"]["Accepted"] == ["1", "1"]
    by_campaign = {name.split("](")[0].lstrip("["): cells[:2] for name, cells in tables(every)["Campaign"].items()}
    assert by_campaign == {"Alpha": ["3", "2"], "Beta": ["2", "1"]}
    assert "Message" not in tables(every)


def test_the_address_keeps_the_campaign_and_nothing_when_all_are_shown(shop: Workspace) -> None:
    _measured(shop, random_world(24))

    every = opened("deliverability")
    one = opened("deliverability", campaign="beta")
    back = one.selectbox(key="campaign").set_value(None).run()

    assert asked(every) == {}
    assert tables(back) == tables(every)
    assert asked(back) == {}
    assert tables(opened("deliverability", campaign="nobody")) == tables(every)


def test_what_is_in_doubt_is_told_with_its_age_and_over_all_campaigns(shop: Workspace) -> None:
    world = World()
    for number, (campaign, hours) in enumerate((("alpha", 2), ("alpha", 3), ("alpha", 30), ("beta", 2))):
        enrolment = world.enrol(campaign, world.customer(f"c{number}"), START)
        world.send(enrolment, None, state="unknown", claimed_at=AS_OF - timedelta(hours=hours))
    with shop.database.transaction() as connection:
        connection.execute(shop.queries["ledger/mode_store"](mode="simulated"))
    _measured(shop, world)

    alpha, every = (tables(opened("deliverability", **query))["In doubt for"] for query in ({"campaign": "alpha"}, {}))

    assert alpha["1 to 6 hours"][1] == "2"
    assert alpha["1 to 3 days"][1] == "1"
    assert every["1 to 6 hours"][1] == "3"


def test_why_open_messages_wait_and_a_channel_that_stands_still_are_told(shop: Workspace) -> None:
    world = World()
    for number, (channel, reason) in enumerate((("email", "quiet"), ("email", "quiet"), ("sms", "misconfigured"))):
        enrolment = world.enrol("alpha", world.customer(f"c{number}"), START)
        world.send(enrolment, None, state="planned", channel=channel, reason=reason)
    _measured(shop, world)

    page = opened("deliverability")

    assert tables(page)["Waits because"]["Quiet hours, the campaign's or the law's"] == ["Email", "2"]
    assert "SMS stands still" in page.error[0].value


def test_messages_that_did_not_leave_and_people_closed_to_us_are_what_plain_loops_count(shop: Workspace) -> None:
    world = random_world(26)
    _measured(shop, world)

    page = opened("deliverability", campaign="alpha")

    final = ("suppressed", "rejected", "cancelled", "expired", "abandoned")
    expected = Counter(
        (words.why(send["state"], send["reason"] or ""), words.channel(send["channel"]))
        for send in world.sends
        if send["campaign"] == "alpha" and send["state"] in final and send["planned_at"] <= AS_OF
    )
    found = [table.value for table in page.table if table.value.index.name == "Did not leave because"]
    assert sum(expected.values()) > 0
    assert {(str(why), row.iloc[0]): int(row.iloc[1]) for frame in found for why, row in frame.iterrows()} == expected
    shown = opened("lapsing", campaign="alpha")
    missed = {why: cells[0] for why, cells in tables(page)["Could not be written to because"].items()}
    assert sum(int(number) for number in missed.values()) == int(
        next(metric.value for metric in shown.metric if metric.label == "Not reached")
    )


def test_before_anything_was_sent_every_part_says_so(shop: Workspace) -> None:
    before = said(opened("deliverability"))
    measure.campaigns(shop, AS_OF)
    after = said(opened("deliverability"))

    assert "Nothing has been measured yet" in before
    assert "No message is open" in after
    assert "no message has been accepted by a provider yet" in after
    assert "No message was held back for good" in after
