"""The clock of retargeting, to the minute: whom a step reaches, when, and why not (R11-R17, A1-A5, A8)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tasks import choose, measure, plan
from tasks.rules import assignment
from tasks.rules.errors import ConfigError
from tasks.store import runs, silences, simulating
from tests.evaluation_world import insert
from tests.send.stage import Stage
from tests.send.test_hours import HOURS, own_table

SIX = datetime(2026, 4, 1, 6, tzinfo=UTC)
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
TEMPLATE = {"file": "sms.txt", "template": {"name": "come_back", "language": "en"}}


def steps(*offsets: str, message: dict[str, Any] = TEMPLATE) -> list[dict[str, Any]]:
    return [{"send_after": offset, "messages": {"whatsapp": message}} for offset in offsets]


@dataclass
class Leads:
    """Conversations with people from ads, and the campaign `back` over them."""

    stage: Stage
    number: int = 0

    def lead(self, customer: str, talk: str, at: datetime = SIX, *, ad: str = "ad1", zone: str = "UTC") -> None:
        """Somebody clicks on an ad and writes; the bot answers a minute later."""
        if not self.stage.rows("select from core.customers where customer_id = :id", id=customer):
            self.stage.person(customer, channels=("whatsapp",), zones=(zone,), granted_at=at - 400 * DAY)
        with self.stage.work.database.transaction() as connection:
            row = {"conversation_id": talk, "customer_id": customer, "channel": "whatsapp", "ad_id": ad}
            insert(connection, "core.conversations", [
                row | {"opened_at": at, "milestone": "lead", "milestone_at": at, "updated_at": at, "load_id": 1}
            ])  # fmt: skip
        self.reaches(talk, "lead", at)
        self.says(talk, at)
        self.says(talk, at + MINUTE, sender="bot")

    def reaches(self, talk: str, milestone: str, at: datetime) -> None:
        with self.stage.work.database.transaction() as connection:
            insert(connection, "core.milestones", [
                {"conversation_id": talk, "milestone": milestone, "milestone_at": at}
            ])  # fmt: skip
            self._refresh(connection, talk)

    def says(self, talk: str, *times: datetime, sender: str = "customer") -> None:
        with self.stage.work.database.transaction() as connection:
            for at in times:
                self.number += 1
                insert(connection, "core.messages", [{
                    "message_id": f"m{self.number}", "conversation_id": talk, "sender": sender, "sent_at": at,
                    "direction": "inbound" if sender == "customer" else "outbound", "load_id": 1,
                }])  # fmt: skip
            self._refresh(connection, talk)

    def ad(self, status: str = "active", at: datetime = SIX - 30 * DAY, *, ad: str = "ad1", bot: str | None = "bot"):
        with self.stage.work.database.transaction() as connection:
            insert(connection, "core.ads", [
                {"ad_id": ad, "updated_at": at, "campaign_name": "Spring", "bot_id": bot, "status": status,
                 "load_id": 1}
            ])  # fmt: skip
            connection.execute(  # as core/ads_noted notes them
                sa.text("insert into core.silences_changed (customer_id) select distinct customer_id"
                        " from core.conversations where ad_id = :ad on conflict (customer_id) do update"
                        " set changed_at = excluded.changed_at"),
                {"ad": ad},
            )  # fmt: skip

    def run(self, *times: datetime) -> None:
        """Choose and plan, then hand over what is due, at each moment."""
        for at in times:
            with runs.begin(self.stage.work, "reengage", self.stage.work.campaign("back"), at) as run:
                choose.members(run)
                plan.messages(run)
            self.stage.dispatch(at)

    def sent(self, talk: str = "v1") -> list[tuple[str, datetime]]:
        """Steps that left, and when."""
        return [
            (row["step"], row["accepted_at"])
            for row in self.stage.rows(
                "select step, accepted_at from campaign.sends where episode = :talk and state = 'accepted'"
                " order by accepted_at", talk=talk,
            )
        ]  # fmt: skip

    def ends(self, talk: str = "v1") -> dict[str, tuple[str, str | None]]:
        """State and reason of every step."""
        found = self.stage.rows("select step, state, reason from campaign.sends where episode = :talk", talk=talk)
        return {row["step"]: (row["state"], row["reason"]) for row in found}

    def send(self, step: str = "1", talk: str = "v1") -> Any:
        (row,) = self.stage.rows("select * from campaign.sends where episode = :t and step = :s", t=talk, s=step)
        return row

    def merges(self, alias: str, customer: str, *talks: str) -> None:
        """`alias` turns out to be `customer`; conversations follow, as the gate moves them."""
        with self.stage.work.database.transaction() as connection:
            row = {"alias_id": alias, "customer_id": customer, "reason": "phone", "merged_at": SIX}
            insert(connection, "core.aliases", [row])
            for talk in talks:
                connection.execute(
                    sa.text("update core.conversations set customer_id = :id where conversation_id = :talk"),
                    {"id": customer, "talk": talk},
                )
                self._refresh(connection, talk)

    def closed(self) -> dict[str, str | None]:
        """Why each episode is over; None while it is open."""
        found = self.stage.rows("select episode, close_reason from campaign.enrolments")
        return {row["episode"]: row["close_reason"] for row in found}

    def _refresh(self, connection: sa.Connection, talk: str) -> None:
        silences.begin(connection)
        touched = sa.table("touched_conversations", sa.column("conversation_id"))
        connection.execute(sa.insert(touched).values(conversation_id=talk))
        changed = sa.table("changed_conversations", sa.column("conversation_id"))
        connection.execute(sa.insert(changed).values(conversation_id=talk))
        silences.refresh(connection, self.stage.work.queries)


@pytest.fixture
def leads(make_stage: Callable[..., Stage]) -> Callable[..., Leads]:
    """A campaign over leads; what a test changes of its `retargeting` group are keywords."""

    def make(offsets: Sequence[str] = ("12h", "14h", "24h"), *, fields: dict[str, Any] | None = None, **changed: Any):
        message = {"segment": "partial_leads", "channels": ["whatsapp"], "steps": steps(*offsets), "voucher": None}
        stage = make_stage(**{**message, "retargeting": changed, **(fields or {})})
        own_table(stage, HOURS.replace("HOURS", "00:00-24:00"))
        made = Leads(stage)
        made.ad()
        return made

    return make


# ------------------------------------------------------------------------------------------------------ the plain clock


def test_steps_count_from_the_silence_and_not_from_each_other(leads: Callable[..., Leads]) -> None:
    world = leads()
    world.lead("ann", "v1")

    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 2 * DAY)

    assert world.sent() == [("1", SIX + 12 * HOUR), ("2", SIX + 14 * HOUR), ("3", SIX + DAY)]  # R15


def test_twelve_and_thirteen_hours_after_six_are_eighteen_and_nineteen(leads: Callable[..., Leads]) -> None:
    world = leads(("12h", "13h"))
    world.lead("ann", "v1")

    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 12 * HOUR - timedelta(seconds=1))
    assert world.sent() == []  # never early (I9)

    world.stage.dispatch(SIX + 12 * HOUR)
    world.stage.dispatch(SIX + 13 * HOUR)
    assert world.sent() == [("1", SIX + 12 * HOUR), ("2", SIX + 13 * HOUR)]  # R14


def test_what_the_bot_says_moves_nothing(leads: Callable[..., Leads]) -> None:
    world = leads(("12h",))
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.says("v1", SIX + 3 * HOUR, SIX + 11 * HOUR, sender="bot")

    world.run(SIX + 11 * HOUR + 30 * MINUTE, SIX + 13 * HOUR)

    assert world.sent() == [("1", SIX + 12 * HOUR)]


def test_after_an_outage_the_gap_is_kept_and_one_step_leaves_per_dispatch(leads: Callable[..., Leads]) -> None:
    world = leads()
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    with world.stage.work.database.transaction() as connection:  # nothing ran until 20:00 of that day
        connection.execute(sa.text("update campaign.sends set not_before = greatest(not_before, :at)"),
                           {"at": SIX + 14 * HOUR})  # fmt: skip

    world.stage.dispatch(SIX + 14 * HOUR)
    assert world.sent() == [("1", SIX + 14 * HOUR)]

    world.stage.dispatch(SIX + 2 * DAY)
    assert world.sent() == [("1", SIX + 14 * HOUR), ("2", SIX + 16 * HOUR), ("3", SIX + 26 * HOUR)]  # A2b


def test_the_backlog_is_enrolled_written_to_at_a_price_and_never_two_steps_at_once(
    leads: Callable[..., Leads],
) -> None:
    world = leads(after_free_window=True)
    world.lead("ann", "v1")
    later = SIX + 20 * DAY

    world.run(later)
    for hours in (1, 2, 11, 12):
        world.stage.dispatch(later + hours * HOUR)

    assert world.sent() == [("1", later), ("2", later + 2 * HOUR), ("3", later + 12 * HOUR)]  # R16
    assert world.send()["billable"] is True


def test_the_backlog_outside_the_free_window_ends_with_that_reason_and_is_told_beforehand(
    leads: Callable[..., Leads],
) -> None:
    world = leads(("12h",))
    world.lead("ann", "v1")
    world.lead("bob", "v2", SIX + 20 * DAY - 5 * HOUR)
    later = SIX + 20 * DAY

    with runs.begin(world.stage.work, "reengage", world.stage.work.campaign("back"), later) as run:
        chosen = choose.members(run)
        plan.messages(run)
    world.stage.dispatch(later + DAY)

    assert (chosen.new, chosen.outside_free_window) == (2, 1)
    assert world.ends() == {"1": ("suppressed", "outside_free_window")}
    assert world.sent("v2") == [("1", SIX + 20 * DAY + 7 * HOUR)]


def test_without_backlog_whoever_was_silent_for_three_days_when_first_seen_is_left_alone(
    leads: Callable[..., Leads],
) -> None:
    world = leads(("12h",), backlog=False)
    world.lead("ann", "v1", SIX)
    world.lead("bob", "v2", SIX + MINUTE)

    world.run(SIX + 72 * HOUR)

    assert [row["episode"] for row in world.stage.rows("select episode from campaign.enrolments")] == ["v2"]


# ------------------------------------------------------------------------------------------------------ windows, price


def test_a_send_in_the_free_window_is_free_and_the_window_ends_on_its_minute(leads: Callable[..., Leads]) -> None:
    world = leads(("12h", "71h", "72h"))
    world.lead("ann", "v1")  # answered at 06:01, so the window ends three days later at 06:01
    world.says("v1", SIX + 2 * MINUTE)  # due for the last time at 06:02

    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 5 * DAY)

    assert [step for step, _ in world.sent()] == ["1", "2"]
    assert world.send("2")["billable"] is False
    assert world.ends()["3"] == ("suppressed", "outside_free_window")


def test_words_of_our_own_in_the_service_window_are_free_and_outside_it_they_do_not_leave(
    leads: Callable[..., Leads],
) -> None:
    words = {"fields": {"steps": steps("12h", "23h", message={"file": "sms.txt"})}}
    world = leads(after_free_window=True, **words)
    world.lead("ann", "v1", SIX - 4 * DAY)
    world.says("v1", SIX)

    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 12 * HOUR)
    assert (world.sent(), world.send()["billable"]) == ([("1", SIX + 12 * HOUR)], False)

    world.stage.run_sql("update campaign.sends set not_before = :at where step = '2'", at=SIX + DAY)
    world.stage.dispatch(SIX + DAY)
    assert world.ends()["2"] == ("suppressed", "needs_template")


# ------------------------------------------------------------------------------------------------------ replies


@pytest.mark.parametrize(
    ("anchor", "second"), [("latest_message", SIX + 29 * HOUR), ("before_first_retarget", SIX + 16 * HOUR)]
)
def test_a_reply_between_two_steps(leads: Callable[..., Leads], anchor: str, second: datetime) -> None:
    world = leads(("12h", "14h"), anchor=anchor)
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 12 * HOUR)
    reply = SIX + 15 * HOUR
    world.stage.run_sql("update campaign.sends set not_before = :at where step = '2'", at=reply)  # a dispatch was late
    world.says("v1", reply)

    world.stage.dispatch(reply + 10 * MINUTE)  # before any choosing has seen the reply
    world.run(reply + HOUR, reply + 14 * HOUR)

    assert world.sent() == [("1", SIX + 12 * HOUR), ("2", second)]  # R17


# When somebody writes, and when the three steps leave, in hours after the silence began; without it after 12, 20, 30.
REPLIES = [
    ("latest_message", 5, (17, 25, 35)),
    ("before_first_retarget", 5, (17, 25, 35)),
    ("latest_message", 15, (12, 35, 45)),
    ("before_first_retarget", 15, (12, 20, 30)),
    ("latest_message", 22, (12, 20, 52)),
    ("before_first_retarget", 22, (12, 20, 30)),
    ("latest_message", 33, (12, 20, 30)),
    ("before_first_retarget", 33, (12, 20, 30)),
]


@pytest.mark.parametrize(("anchor", "reply", "leaves"), REPLIES)
def test_a_reply_before_between_or_after_three_steps_moves_what_has_not_left_by_the_setting(
    leads: Callable[..., Leads], anchor: str, reply: int, leaves: tuple[int, int, int]
) -> None:
    world = leads(("12h", "20h", "30h"), anchor=anchor)
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + reply * HOUR)
    world.says("v1", SIX + reply * HOUR)

    world.run(SIX + (reply + 1) * HOUR)
    world.stage.dispatch(SIX + 3 * DAY)
    world.run(SIX + 10 * DAY)  # whoever answered after the last step is written to no more

    assert world.sent() == [(str(number), SIX + after * HOUR) for number, after in enumerate(leaves, 1)]


def test_a_late_step_and_a_reply_make_the_next_one_no_later_than_its_own_time(leads: Callable[..., Leads]) -> None:
    world = leads(("12h", "14h"))
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.stage.run_sql("update campaign.sends set not_before = :at where step = '1'", at=SIX + 14 * HOUR)
    world.stage.dispatch(SIX + 14 * HOUR)
    world.says("v1", SIX + 15 * HOUR)

    world.run(SIX + 16 * HOUR)
    world.stage.dispatch(SIX + 29 * HOUR)

    assert world.sent() == [("1", SIX + 14 * HOUR), ("2", SIX + 29 * HOUR)]  # A2b, A4


@pytest.mark.parametrize("anchor", ["latest_message", "before_first_retarget"])
def test_a_reply_before_the_first_step_moves_it_in_both_settings(leads: Callable[..., Leads], anchor: str) -> None:
    world = leads(("12h", "13h"), anchor=anchor)
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.says("v1", SIX + 5 * HOUR)

    world.stage.dispatch(SIX + 12 * HOUR)
    assert world.ends()["1"] == ("planned", "replied")
    world.run(SIX + 13 * HOUR)
    world.stage.dispatch(SIX + 2 * DAY)

    assert world.sent() == [("1", SIX + 17 * HOUR), ("2", SIX + 18 * HOUR)]
    assert world.stage.one("select anchor_at from campaign.enrolments") == SIX + 5 * HOUR


def test_an_hour_of_quiet_after_a_reply_ends_on_the_minute(leads: Callable[..., Leads]) -> None:
    world = leads(("12h", "14h"), anchor="before_first_retarget", min_quiet_after_reply="1h")
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 12 * HOUR)
    world.says("v1", SIX + 13 * HOUR + 30 * MINUTE)

    world.stage.dispatch(SIX + 14 * HOUR)
    assert world.ends()["2"] == ("planned", "reply_quiet")
    world.stage.dispatch(SIX + 14 * HOUR + 30 * MINUTE)

    assert world.sent()[1:] == [("2", SIX + 14 * HOUR + 30 * MINUTE)]


def test_a_reply_in_another_conversation_keeps_the_quiet_as_well(leads: Callable[..., Leads]) -> None:
    world = leads(("12h",))
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.lead("ann", "v2", SIX + 11 * HOUR + 30 * MINUTE, ad="ad2")

    world.stage.dispatch(SIX + 12 * HOUR)
    assert world.ends()["1"] == ("planned", "reply_quiet")


def test_a_late_message_that_is_older_than_the_last_one_changes_nothing(leads: Callable[..., Leads]) -> None:
    world = leads(("12h",))
    world.lead("ann", "v1")
    world.says("v1", SIX + 2 * HOUR)
    world.run(SIX + 3 * HOUR)
    world.says("v1", SIX + HOUR)

    world.run(SIX + 4 * HOUR)
    world.stage.dispatch(SIX + DAY)

    assert world.sent() == [("1", SIX + 14 * HOUR)]


def test_a_late_message_that_is_newer_moves_a_step_even_when_choosing_has_not_seen_it(
    leads: Callable[..., Leads],
) -> None:
    world = leads(("12h",))
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.says("v1", SIX + 30 * MINUTE)  # delivered late

    world.stage.dispatch(SIX + DAY)

    assert world.sent() == [("1", SIX + 12 * HOUR + 30 * MINUTE)]


def test_a_replan_moves_what_has_not_left_and_writes_nothing_twice(leads: Callable[..., Leads]) -> None:
    world = leads(("12h", "14h"))
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.says("v1", SIX + 2 * HOUR)

    world.run(SIX + 3 * HOUR)
    before = world.stage.rows("select * from campaign.sends order by step")
    world.run(SIX + 3 * HOUR)

    assert [row["due_at"] for row in before] == [SIX + 14 * HOUR, SIX + 16 * HOUR]
    assert world.stage.rows("select * from campaign.sends order by step") == before


# ------------------------------------------------------------------------------------------------------ qualification


def test_who_qualifies_between_plan_and_claim_is_not_written_to(leads: Callable[..., Leads]) -> None:
    world = leads()
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 12 * HOUR)
    world.reaches("v1", "qualified", SIX + 14 * HOUR)

    world.stage.dispatch(SIX + 14 * HOUR)
    assert world.ends()["2"] == ("cancelled", "stop_event")
    world.run(SIX + 15 * HOUR, SIX + 2 * DAY)

    assert [step for step, _ in world.sent()] == ["1"]  # R11
    assert world.ends()["3"] == ("cancelled", "stop_event")
    assert world.stage.one("select close_reason from campaign.enrolments") == "goal"


def test_a_qualification_that_is_told_late_counts_though_it_lies_before_the_last_message(
    leads: Callable[..., Leads],
) -> None:
    world = leads(("12h",))
    world.lead("ann", "v1")
    world.says("v1", SIX + 2 * HOUR)
    world.run(SIX + 3 * HOUR)
    world.reaches("v1", "qualified", SIX + HOUR)

    world.stage.dispatch(SIX + DAY)

    assert world.ends() == {"1": ("cancelled", "stop_event")}


def test_a_qualification_is_credited_to_the_last_step_before_it(leads: Callable[..., Leads]) -> None:
    world = leads(("12h", "14h"))
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 14 * HOUR)
    world.reaches("v1", "qualified", SIX + 16 * HOUR)

    measure.campaigns(world.stage.work, SIX + 2 * DAY)

    found = world.stage.rows("select step, hours, conversions from evaluation.attributed where campaign = 'back'")
    assert [tuple(row.values()) for row in found if row["conversions"]] == [("2", 2, 1)]  # A7


# ------------------------------------------------------------------------------------------------------ ads


def test_a_paused_ad_sends_nothing_and_resumed_it_obeys_the_gaps(leads: Callable[..., Leads]) -> None:
    world = leads()
    world.lead("ann", "v1")
    world.ad("paused", SIX + 2 * HOUR)
    world.run(SIX + 3 * HOUR)

    world.stage.dispatch(SIX + 16 * HOUR)
    assert world.sent() == []
    assert world.ends()["1"] == ("planned", "ad_paused")

    world.ad("active", SIX + 20 * HOUR)
    for hours in (19, 20, 21, 22, 31, 32):
        world.stage.dispatch(SIX + hours * HOUR)
    assert world.sent() == [("1", SIX + 20 * HOUR), ("2", SIX + 22 * HOUR), ("3", SIX + 32 * HOUR)]  # A8


def test_the_checkbox_writes_on_while_the_ad_is_paused(leads: Callable[..., Leads]) -> None:
    world = leads(("12h",), when_ad_paused=True)
    world.lead("ann", "v1")
    world.ad("paused", SIX + 2 * HOUR)

    world.run(SIX + 3 * HOUR)
    world.stage.dispatch(SIX + DAY)

    assert world.sent() == [("1", SIX + 12 * HOUR)]  # R8


@pytest.mark.parametrize("ads", [[], ["ad1"]], ids=["no ads named", "the ad named"])
def test_an_ad_that_loses_its_bot_holds_whatever_the_checkbox_says(leads: Callable[..., Leads], ads: list[str]) -> None:
    world = leads(("12h",), fields={"ads": ads}, when_ad_paused=True)
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.ad("active", SIX + 2 * HOUR, bot=None)

    world.run(SIX + 3 * HOUR, SIX + 13 * HOUR)
    assert world.closed() == {"v1": None}
    assert world.ends() == {"1": ("planned", "no_bot")}  # R2

    world.ad("active", SIX + 14 * HOUR, bot="another")
    world.run(SIX + 15 * HOUR)
    assert world.sent() == [("1", SIX + 14 * HOUR)]


def test_an_ad_that_no_load_has_told_of_holds_until_its_bot_is_known(leads: Callable[..., Leads]) -> None:
    world = leads(("12h",), fields={"ads": ["ad1", "new"]})
    world.lead("ann", "v1", ad="new")
    world.run(SIX + HOUR, SIX + 13 * HOUR)
    assert world.ends() == {"1": ("planned", "no_bot")}  # R2

    world.ad("active", SIX + 14 * HOUR, ad="new")
    world.run(SIX + 15 * HOUR)
    assert world.sent() == [("1", SIX + 14 * HOUR)]


def test_a_bot_that_only_the_conversation_tells_of_is_one(leads: Callable[..., Leads]) -> None:
    world = leads(("12h",), fields={"ads": ["ad1", "new"]})
    world.lead("ann", "v1", ad="new")
    world.stage.run_sql("update core.conversations set bot_id = 'bot'")

    world.run(SIX + HOUR, SIX + 13 * HOUR)

    assert world.sent() == [("1", SIX + 12 * HOUR)]


def test_an_ad_that_never_had_a_bot_is_an_error_of_the_file(leads: Callable[..., Leads]) -> None:
    world = leads(("12h",), fields={"ads": ["ad1", "ad2"]})
    world.lead("ann", "v1")
    world.ad("active", SIX - 2 * DAY, ad="ad2", bot=None)
    world.ad("paused", SIX - DAY, ad="ad2", bot=None)
    world.ad("active", SIX + 2 * HOUR, ad="ad2", bot="late")

    with pytest.raises(ConfigError, match=r"back.campaign\.yaml: ads: ad ad2 never had a bot"):
        world.run(SIX + HOUR)
    assert world.closed() == {}

    world.run(SIX + 3 * HOUR)
    assert world.closed() == {"v1": None}


def test_live_what_waits_for_an_ad_is_asked_again_a_quarter_of_an_hour_later(leads: Callable[..., Leads]) -> None:
    world = leads(("12h",), fields={"mode": "live"})
    now = world.stage.one("select clock_timestamp()")
    silent = now - 12 * HOUR - MINUTE
    world.lead("ann", "v1", silent)
    world.ad("paused", now - HOUR)
    enrolment = world.stage.enrol("ann", anchor=silent)
    world.stage.run_sql("update campaign.enrolments set episode = 'v1'")
    world.stage.plan(enrolment, channel="whatsapp", due=silent + 12 * HOUR)

    world.stage.dispatch(None)

    assert world.ends() == {"1": ("planned", "ad_paused")}
    assert 15 * MINUTE <= world.send()["not_before"] - now < 16 * MINUTE


def test_a_second_click_begins_an_episode_of_its_own_with_three_steps_of_its_own(leads: Callable[..., Leads]) -> None:
    world = leads(("12h", "14h"))
    world.ad(ad="ad2")
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 12 * HOUR)
    click = SIX + 13 * HOUR
    world.lead("ann", "v2", click, ad="ad2")

    world.run(click + 40 * MINUTE)
    world.stage.dispatch(SIX + 3 * DAY)

    assert [step for step, _ in world.sent("v1")] == ["1"]
    assert world.ends("v1")["2"] == ("cancelled", "left_segment")
    assert world.sent("v2") == [("1", click + 12 * HOUR), ("2", click + 14 * HOUR)]  # A5


# When ann clicks again, in hours after the first silence began, and what the step of that silence, due after 13, then
# waits for. Choosing ran after 11 hours 40 minutes and does not run again; a person is silent for half an hour first.
CLICKS = [
    (11.9, "ad1", ("planned", "newer_lead")),
    (11.5, "ad1", ("planned", "newer_lead")),  # not silent yet when choosing looked
    (11.9, "ad2", ("planned", "newer_lead")),
    (11.9, "ad3", ("accepted", None)),  # has no bot: not one of the campaign's
    (12.5, "ad1", ("planned", "reply_quiet")),
]


@pytest.mark.parametrize(("hours", "ad", "end"), CLICKS)
def test_a_step_waits_for_the_next_choosing_when_its_person_has_begun_another_lead(
    leads: Callable[..., Leads], hours: float, ad: str, end: tuple[str, str | None]
) -> None:
    world = leads(("13h",), fields={"cadence": "daily"})
    world.ad(ad="ad2")
    world.ad(ad="ad3", bot=None)
    world.lead("ann", "v1")
    chosen = SIX + 11 * HOUR + 40 * MINUTE
    if SIX + hours * HOUR < chosen:
        world.lead("ann", "v2", SIX + hours * HOUR, ad=ad)
        world.run(chosen)
    else:
        world.run(chosen)
        world.lead("ann", "v2", SIX + hours * HOUR, ad=ad)

    world.stage.dispatch(SIX + 13 * HOUR)

    assert world.ends() == {"1": end}
    assert world.stage.decisions_follow_the_ledger()


def test_the_next_choosing_ends_what_waited_for_it_and_the_newer_lead_has_steps_of_its_own(
    leads: Callable[..., Leads],
) -> None:
    world = leads(("13h",), fields={"cadence": "daily"})
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    click = SIX + 11 * HOUR
    world.lead("ann", "v2", click)
    world.stage.dispatch(SIX + 13 * HOUR)

    world.run(SIX + DAY)
    world.stage.dispatch(SIX + 3 * DAY)

    assert (world.closed(), world.ends()) == (
        {"v1": "left_segment", "v2": None}, {"1": ("cancelled", "left_segment")}
    )  # fmt: skip
    assert (world.sent(), world.sent("v2")) == ([], [("1", click + 13 * HOUR)])  # A5


def test_a_click_that_is_told_late_holds_a_step_although_choosing_has_run_since(leads: Callable[..., Leads]) -> None:
    world = leads(("13h",), fields={"cadence": "daily"})
    world.lead("ann", "v1")
    world.run(SIX + 11 * HOUR)
    world.lead("ann", "v2", SIX + 9 * HOUR)

    world.stage.dispatch(SIX + 13 * HOUR)

    assert world.ends() == {"1": ("planned", "newer_lead")}


def test_a_step_of_the_conversation_last_written_in_waits_for_no_other(leads: Callable[..., Leads]) -> None:
    world = leads(("3h",), fields={"cadence": "daily"})
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.lead("ann", "v2", SIX + HOUR)
    world.says("v1", SIX + 2 * HOUR)

    world.stage.dispatch(SIX + 5 * HOUR)

    assert world.sent() == [("1", SIX + 5 * HOUR)]


def test_a_segment_that_keeps_the_older_lead_is_believed(leads: Callable[..., Leads]) -> None:
    world = leads(("13h",))
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.lead("ann", "v2", SIX + 9 * HOUR)
    world.run(SIX + 12 * HOUR)
    world.stage.run_sql("update campaign.enrolments set closed_at = null, close_reason = null where episode = 'v1'")
    back = "update campaign.sends set state = 'planned', reason = null, settled_at = null where episode = 'v1'"
    world.stage.run_sql(back)

    world.stage.dispatch(SIX + 13 * HOUR)

    assert world.sent() == [("1", SIX + 13 * HOUR)]


# ------------------------------------------------------------------------------------------------------ people merged


def test_of_two_leads_of_one_person_the_one_the_segment_names_goes_on_and_the_other_may_come_back(
    leads: Callable[..., Leads],
) -> None:
    world = leads(("12h",))
    world.lead("ann", "v1")
    world.lead("bob", "v2", SIX + HOUR)
    world.run(SIX + 2 * HOUR)
    world.merges("ann", "bob", "v1")

    world.run(SIX + 3 * HOUR)
    assert world.closed() == {"v1": "left_segment", "v2": None}
    world.stage.dispatch(SIX + 13 * HOUR)
    assert (world.sent("v1"), world.sent("v2")) == ([], [("1", SIX + 13 * HOUR)])

    world.says("v1", SIX + 14 * HOUR)
    world.run(SIX + 15 * HOUR)
    assert world.closed() == {"v1": None, "v2": "left_segment"}
    world.stage.dispatch(SIX + 26 * HOUR)
    assert world.sent("v1") == [("1", SIX + 26 * HOUR)]


def test_a_lead_whose_person_writes_while_two_merge_is_written_to_when_silent_again(
    leads: Callable[..., Leads],
) -> None:
    world = leads(("12h",))
    world.lead("ann", "v1")
    world.lead("bob", "v2", SIX + HOUR)
    world.run(SIX + 2 * HOUR)
    world.merges("ann", "bob", "v1")
    world.says("v2", SIX + 3 * HOUR)

    world.run(SIX + 3 * HOUR + MINUTE)
    assert world.closed() == {"v1": None, "v2": "left_segment"}
    world.run(SIX + 4 * HOUR, SIX + 15 * HOUR)

    assert world.closed() == {"v1": "left_segment", "v2": None}
    assert world.sent("v2") == [("1", SIX + 15 * HOUR)]


def test_who_was_held_out_first_is_not_written_to_in_another_conversation(leads: Callable[..., Leads]) -> None:
    world = leads(("12h",))
    world.lead("ann", "v1")
    world.lead("bob", "v2", SIX + HOUR)
    world.run(SIX + 2 * HOUR)
    world.stage.run_sql("update campaign.enrolments set arm = 'holdout' where episode = 'v1'")
    world.merges("ann", "bob", "v1")

    world.run(SIX + 3 * HOUR)

    assert world.closed() == {"v1": "left_segment", "v2": "merged"}
    assert world.ends("v2") == {"1": ("cancelled", "merged")}


# ----------------------------------------------------------------------------------------------- hours kept quiet


@pytest.mark.parametrize(
    ("zone", "due", "leaves"),
    [
        # across midnight
        ("UTC", "2026-04-01T22:30+00:00", "2026-04-02T08:00+00:00"),
        ("UTC", "2026-04-01T20:59+00:00", "2026-04-01T20:59+00:00"),
        ("UTC", "2026-04-01T21:00+00:00", "2026-04-02T08:00+00:00"),
        # the night the clocks go forward is an hour shorter, the night they go back an hour longer
        ("Europe/Berlin", "2026-03-28T23:00+01:00", "2026-03-29T08:00+02:00"),
        ("Europe/Berlin", "2026-10-24T23:00+02:00", "2026-10-25T08:00+01:00"),
        ("America/New_York", "2026-03-07T22:00-05:00", "2026-03-08T08:00-04:00"),
    ],
)
def test_nothing_leaves_in_the_dnd_interval(leads: Callable[..., Leads], zone: str, due: str, leaves: str) -> None:
    world = leads(("12h",), fields={"quiet_hours": {"start": "21:00", "end": "08:00"}})
    silent = datetime.fromisoformat(due).astimezone(UTC) - 12 * HOUR
    world.stage.run_sql("update core.ads set updated_at = :at", at=silent - DAY)
    world.lead("ann", "v1", silent, zone=zone)

    world.run(silent + HOUR)
    world.stage.dispatch(silent + 3 * DAY)

    assert world.sent() == [("1", datetime.fromisoformat(leaves))]


def test_holding_a_step_out_of_the_free_window_ends_it(leads: Callable[..., Leads]) -> None:
    world = leads(("12h", "66h"), fields={"quiet_hours": {"start": "23:00", "end": "08:00"}})
    world.lead("ann", "v1")  # the window ends at 06:01 of the fourth day; the second step is due at midnight before it

    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 66 * HOUR)

    assert world.ends()["2"] == ("suppressed", "outside_free_window")


# ------------------------------------------------------------------------------------------------------ simulate


def test_a_timeline_tells_what_leaves_what_not_and_why_and_stores_nothing(leads: Callable[..., Leads]) -> None:
    world = leads(("12h", "14h", "24h"), anchor="before_first_retarget")
    world.lead("ann", "v1")
    world.says("v1", SIX + 13 * HOUR + 30 * MINUTE)
    world.ad("paused", SIX + 20 * HOUR)
    work = world.stage.work
    campaign = work.campaign("back")
    before = world.stage.rows("select count(*) from campaign.runs")

    lines = simulating.timeline(
        work, campaign, "ann", SIX, SIX + 30 * HOUR, 15 * MINUTE, plan.templates(work, campaign).versions(), {}
    )

    told = [(line.at, line.what, line.step, line.reason) for line in lines]
    assert (SIX, "customer wrote", None, None) in told
    assert (SIX + 12 * HOUR, "accepted", "1", None) in told
    assert (SIX + 14 * HOUR + 30 * MINUTE, "accepted", "2", None) in told
    assert (SIX + 20 * HOUR, "ad paused", None, None) in told
    assert ("planned", "3", "ad_paused") in [line[1:] for line in told]
    assert world.stage.rows("select from campaign.enrolments") == []
    assert world.stage.rows("select count(*) from campaign.runs") == before
    assert not world.stage.outbox()


def told(world: Leads, customer: str, until: datetime) -> list[simulating.Happening]:
    work = world.stage.work
    campaign = work.campaign("back")
    words = plan.templates(work, campaign).versions()
    return simulating.timeline(work, campaign, customer, SIX, until, 15 * MINUTE, words, {})


def test_a_timeline_has_the_arm_the_campaign_itself_draws_or_has_drawn(leads: Callable[..., Leads]) -> None:
    world = leads(("12h",), fields={"holdout": 0.5})
    salt = world.stage.work.settings.salt.get_secret_value()

    def is_held_out(campaign: str, customer: str) -> bool:
        return assignment.draw(salt, assignment.holdout_experiment(campaign), customer) < 0.5

    people = [f"p{number}" for number in range(100)]
    ann = next(one for one in people if not is_held_out("back", one) and is_held_out("~back", one))
    world.lead(ann, "v1")
    assert "enrolled, treated" in [line.what for line in told(world, ann, SIX + HOUR)]

    world.run(SIX + HOUR)
    world.stage.run_sql("update campaign.enrolments set arm = 'holdout'")
    assert "enrolled, holdout" in [line.what for line in told(world, ann, SIX + HOUR)]


@pytest.mark.parametrize(
    ("other_left", "step"), [(None, "accepted"), (SIX + DAY, "accepted"), (SIX + 6 * HOUR, "capped")]
)
def test_a_timeline_counts_under_caps_what_others_had_sent_by_then(
    leads: Callable[..., Leads], other_left: datetime | None, step: str
) -> None:
    world = leads(("12h",), fields={"caps": [{"messages": 1, "per": "7d"}]})
    world.lead("ann", "v1")
    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 12 * HOUR)
    assert world.sent() == [("1", SIX + 12 * HOUR)]
    if other_left:
        world.stage.plan(world.stage.enrol("ann", "other"), due=other_left)
        left = "update campaign.sends set state = 'accepted', claimed_at = :at, accepted_at = :at"
        world.stage.run_sql(f"{left} where campaign = 'other'", at=other_left)

    lines = told(world, "ann", SIX + 13 * HOUR)

    assert step in [line.reason or line.what for line in lines if line.step == "1" and line.at == SIX + 12 * HOUR]


# ------------------------------------------------------------------------------------------------------ deltas


@pytest.mark.parametrize("seed", [1, 2])
def test_runs_that_look_at_who_changed_leave_open_exactly_whom_a_look_at_everybody_finds(
    leads: Callable[..., Leads], seed: int
) -> None:
    world, dice = leads(("4h", "20h")), random.Random(seed)
    work, segment = world.stage.work, world.stage.work.queries["segments/partial_leads"]
    world.ad(ad="ad2", bot=None)
    people = [f"p{number}" for number in range(12)]
    talks: list[str] = []
    passes = []
    for turn in range(14):
        at = SIX + turn * 3 * HOUR + dice.randrange(60) * MINUTE
        for customer in dice.sample(people, 4):
            said = at - dice.randrange(1, 300) * MINUTE  # some arrive hours late
            if dice.random() < 0.5 or not talks:
                talks.append(f"{customer}-{turn}")
                world.lead(customer, talks[-1], said, ad=dice.choice(["ad1", "ad1", "ad2"]))
            else:
                world.says(dice.choice(talks), said, sender=dice.choice(["customer", "bot"]))
        if dice.random() < 0.5:
            world.reaches(dice.choice(talks), "qualified", at - dice.randrange(200) * MINUTE)
        with runs.begin(work, "reengage", work.campaign("back"), at) as run:
            passes.append(choose.members(run).full_pass)
        with work.database.transaction() as connection:
            everybody = {(row.customer_id, row.episode) for row in connection.execute(segment(as_of=at))}
        found = world.stage.rows("select customer_id, episode from campaign.enrolments where closed_at is null")
        assert {(row["customer_id"], row["episode"]) for row in found} == everybody

    assert passes[0]
    assert not all(passes[1:]), "every run looked at everybody: this proves nothing"
