"""When the law lets a text arrive: decided by the claim, to the minute, on the recipient's wall clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from config.legal import load_legal_windows
from config.settings import CHECKOUT
from tasks.channels.base import OutgoingMessage
from tasks.channels.outbox import Conduct
from tasks.rules.errors import ConfigError
from tasks.rules.legal import quiet_week, windows
from tasks.store.engine import Database
from tests.send.stage import NOON, Stage

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SMS = {"channels": ["sms"], "steps": [{"send_after": "9h", "messages": {"sms": {"file": "sms.txt"}}}]}
TEMPLATE = {"file": "sms.txt", "template": {"name": "news", "language": "en"}}
WHATSAPP = {"channels": ["whatsapp"], "steps": [{"send_after": "9h", "messages": {"whatsapp": TEMPLATE}}]}
NIGHT = {"start": "21:00", "end": "08:00"}


def text_to(
    stage: Stage, due: datetime, zones: Sequence[str], areas: Sequence[str] | None, channel: str = "sms"
) -> str:
    """A planned text for somebody who may be in these zones and under these laws."""
    stage.person("ann", channels=(channel,), zones=zones, granted_at=due - timedelta(days=400))
    stage.run_sql("update core.customers set legal_areas = :areas", areas=None if areas is None else list(areas))
    return stage.plan(stage.enrol("ann", anchor=due - 9 * HOUR), due=due, channel=channel)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize("campaign", [SMS, WHATSAPP], ids=["sms", "whatsapp"])
@pytest.mark.parametrize(
    ("zones", "areas", "due", "opens"),
    [
        # a place nobody knows: 10:00 to 20:00
        (["UTC"], [], "2026-03-10T09:59:59Z", "2026-03-10T10:00Z"),
        (["UTC"], [], "2026-03-10T19:59:59Z", "2026-03-10T19:59:59Z"),
        (["UTC"], [], "2026-03-10T20:00Z", "2026-03-11T10:00Z"),
        (["UTC"], None, "2026-03-10T20:00Z", "2026-03-11T10:00Z"),
        (["Europe/Lisbon"], ["PT"], "2026-03-10T20:00Z", "2026-03-11T10:00Z"),
        # the United States: 21:00:00 is closed, the second before is not
        (["America/New_York"], ["US-NY"], "2026-03-10T20:59:59-04:00", "2026-03-10T20:59:59-04:00"),
        (["America/New_York"], ["US-NY"], "2026-03-10T21:00:00-04:00", "2026-03-11T08:00-04:00"),
        (["America/New_York"], ["US-FL"], "2026-03-10T20:00:00-04:00", "2026-03-11T08:00-04:00"),
        (["America/New_York"], ["US-FLORIDA"], "2026-03-10T19:59:00-04:00", "2026-03-10T19:59:00-04:00"),
        (["America/New_York"], ["US-CT"], "2026-03-10T08:59:59-04:00", "2026-03-10T09:00-04:00"),
        (["America/Chicago"], ["US-TX"], "2026-03-14T21:00-05:00", "2026-03-15T12:00-05:00"),  # into a Sunday
        (["America/Chicago"], ["US-TX"], "2026-03-15T21:00-05:00", "2026-03-16T09:00-05:00"),
        (["America/Chicago"], ["US-OK"], "2026-03-10T07:59-05:00", "2026-03-10T08:00-05:00"),
        # no Sundays: from Saturday evening to Monday morning
        (["America/Chicago"], ["US-AL"], "2026-03-14T20:00-05:00", "2026-03-16T08:00-05:00"),
        (["Europe/Paris"], ["FR"], "2026-03-08T12:00+01:00", "2026-03-09T08:00+01:00"),
        # a state that is not known may be the strictest, and a region nobody named is not known
        (["America/New_York"], ["US"], "2026-03-10T09:59-04:00", "2026-03-10T10:00-04:00"),
        (["America/New_York"], ["US-ZZ"], "2026-03-10T18:00-04:00", "2026-03-11T10:00-04:00"),
        # several places: all of them must be open, in every zone
        (["America/New_York"], ["US-NY", "CA"], "2026-03-10T20:30-04:00", "2026-03-11T10:00-04:00"),
        (["America/New_York", "America/Denver"], ["US-NY", "US-WA"], "2026-03-10T08:00-04:00", "2026-03-10T14:00Z"),
        # zones of half and quarter hours
        (["Asia/Kolkata"], ["IN"], "2026-03-10T21:00+05:30", "2026-03-11T09:00+05:30"),
        (["Asia/Kolkata"], ["IN"], "2026-03-11T08:59:59+05:30", "2026-03-11T09:00+05:30"),
        (["Asia/Kathmandu"], ["NP"], "2026-03-10T20:00+05:45", "2026-03-11T10:00+05:45"),
        # the night the clocks go forward is an hour shorter, the night they go back an hour longer
        (["America/New_York"], ["US-NY"], "2026-03-07T21:00-05:00", "2026-03-08T12:00Z"),
        (["America/New_York"], ["US-NY"], "2026-10-31T21:00-04:00", "2026-11-01T13:00Z"),
        (["Europe/Berlin"], ["DE"], "2026-03-28T20:00+01:00", "2026-03-29T08:00Z"),
        (["Europe/Berlin"], ["DE"], "2026-10-24T20:00+02:00", "2026-10-25T09:00Z"),
        # half an hour of summer time: it ends on 2026-04-05 and begins on 2026-10-04
        (["Australia/Lord_Howe"], ["AU"], "2026-04-04T20:00+11:00", "2026-04-05T10:00+10:30"),
        (["Australia/Lord_Howe"], ["AU"], "2026-10-03T20:00+10:30", "2026-10-04T10:00+11:00"),
    ],
)  # fmt: skip
def test_a_text_waits_for_the_first_moment_the_law_allows_though_the_campaign_names_no_quiet_hours(
    make_stage: Callable[..., Stage],
    campaign: dict[str, Any],
    zones: list[str],
    areas: list[str] | None,
    due: str,
    opens: str,
) -> None:
    stage = make_stage(**campaign)
    moment, opening = utc(due), utc(opens)
    key = text_to(stage, moment, zones, areas, campaign["channels"][0])

    stage.dispatch(moment)

    if opening > moment:
        assert stage.end(key) == ("planned", "quiet")
        assert stage.send(key)["not_before"] == opening
        stage.dispatch(opening - MINUTE)
        assert stage.outbox() == {}
        stage.dispatch(opening)
    assert stage.send(key)["accepted_at"] == opening
    assert stage.decisions_follow_the_ledger()


def test_the_campaigns_own_hours_and_the_laws_must_both_be_open(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(quiet_hours={"start": "12:00", "end": "19:00"}, **SMS)
    moment = utc("2026-03-10T12:00Z")
    key = text_to(stage, moment, ["UTC"], ["US-FL"])

    stage.dispatch(moment)
    assert stage.send(key)["not_before"] == utc("2026-03-10T19:00Z")

    stage.run_sql("update core.customers set legal_areas = array['US-RI']")
    stage.dispatch(utc("2026-03-10T19:00Z"))
    assert stage.send(key)["not_before"] == utc("2026-03-11T09:00Z"), "open in the morning under both"


def test_hours_that_are_never_open_together_end_the_message(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(quiet_hours={"start": "08:00", "end": "22:00"}, **SMS)
    key = text_to(stage, NOON, ["UTC"], ["US-FL"])

    stage.dispatch()

    assert stage.end(key) == ("suppressed", "quiet")


def test_an_email_needs_no_legal_hour(stage: Stage) -> None:
    key = stage.planned("ann", zones=[], due=NOON + 11 * HOUR)

    stage.dispatch(NOON + 11 * HOUR)

    assert stage.end(key) == ("accepted", None)


@pytest.mark.parametrize(
    ("areas", "end"),
    [(["US-FL"], ("accepted", None)), ([], ("planned", "quiet"))],
)
def test_what_a_purchase_brings_with_it_may_come_at_night_where_the_law_says_so(
    make_stage: Callable[..., Stage], areas: list[str], end: tuple[str, str | None]
) -> None:
    stage = make_stage(purpose="transactional", **SMS)
    night = utc("2026-03-10T23:00Z")
    key = text_to(stage, night, ["UTC"], areas)
    stage.run_sql("update core.consents set purpose = 'transactional'")

    stage.dispatch(night)

    assert stage.end(key) == end


@pytest.mark.parametrize("zones", [[], ["Mars/Phobos"]])
@pytest.mark.parametrize("campaign", [SMS, WHATSAPP], ids=["sms", "whatsapp"])
def test_nobody_is_texted_whose_zone_is_not_known(
    make_stage: Callable[..., Stage], campaign: dict[str, Any], zones: list[str]
) -> None:
    stage = make_stage(**campaign)
    key = text_to(stage, NOON, zones, ["US-FL"], campaign["channels"][0])

    stage.dispatch()

    assert stage.end(key) == ("suppressed", "zone_unknown")


# -------------------------------------------------------------------------------------------- the table


def own_table(stage: Stage, text: str) -> None:
    (stage.folder / "reengage.yaml").write_text("legal_windows: hours.yaml\n", "utf-8")
    (stage.folder / "hours.yaml").write_text(text, "utf-8")
    stage.work.settings.__dict__.pop("pipeline", None)  # read once per process; this is the next one


HOURS = """
checked: 2026-01-01
default: {source: made up for this test, dated: 2026-01-01, hours: "HOURS"}
"""


def test_another_table_is_read_at_the_next_dispatch(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(**SMS)
    own_table(stage, HOURS.replace("HOURS", "15:00-16:00"))
    key = text_to(stage, NOON, ["UTC"], ["US-FL"])

    stage.dispatch()
    assert stage.send(key)["not_before"] == NOON + 3 * HOUR

    own_table(stage, HOURS.replace("HOURS", "22:30-15:30"))
    stage.dispatch(NOON + 3 * HOUR)
    assert stage.send(key)["accepted_at"] == NOON + 3 * HOUR, "a window may cross midnight"


@pytest.mark.parametrize("broken", ["", "checked: 2026-01-01", HOURS])
def test_nothing_leaves_while_the_table_cannot_be_read(make_stage: Callable[..., Stage], broken: str) -> None:
    stage = make_stage(**SMS)
    own_table(stage, broken)
    key = text_to(stage, NOON, ["UTC"], ["US-FL"])

    with pytest.raises(ConfigError):
        stage.dispatch()

    assert stage.end(key) == ("planned", None)


def test_before_any_table_was_read_a_text_leaves_between_ten_and_eight_only(database: Database) -> None:
    shipped = {
        window.open_minutes
        for window in windows(load_legal_windows(CHECKOUT / "config/legal_windows.yaml"))
        if window.area == "*"
    }
    with database.transaction() as connection:
        seeded = connection.execute(sa.text("select cast(open_minutes as text) from campaign.legal_windows")).scalars()

        assert shipped == set(seeded) == {quiet_week(time(20), time(10))}


# -------------------------------------------------------------------------------------------- how long a text may take


def deliver_by(stage: Stage, at: datetime) -> datetime:
    """What the provider was told: after this moment the message must not arrive."""
    seen: list[OutgoingMessage] = []

    def note(message: OutgoingMessage) -> Conduct:
        seen.append(message)
        return Conduct.ACCEPT

    stage.dispatch(at, conduct=note)
    (message,) = seen
    return message.deliver_by


@pytest.mark.parametrize(
    ("campaign", "zones", "areas", "due", "ends"),
    [
        (SMS, ["America/New_York"], ["US-FL"], "2026-03-10T12:00-04:00", "2026-03-10T20:00-04:00"),
        (SMS, ["America/New_York"], ["US-FL"], "2026-03-10T19:59:59-04:00", "2026-03-10T20:00-04:00"),
        (SMS, ["America/New_York", "America/Los_Angeles"], ["US-NY"], "2026-03-10T12:00-04:00", "2026-03-11T01:00Z"),
        # the campaign's hours end first
        ({**SMS, "quiet_hours": {"start": "18:00", "end": "09:00"}}, ["UTC"], ["US-FL"], "2026-03-10T12:00Z",
         "2026-03-10T18:00Z"),
        # clocks that go back in between make the day longer: 12:00 to 18:00 is seven hours before Sunday's 03:00
        ({**SMS, "quiet_hours": {"start": "04:00", "end": "05:00"}}, ["Europe/Berlin"], ["DE"],
         "2026-10-24T19:30+02:00", "2026-10-24T18:00Z"),
    ],
)  # fmt: skip
def test_a_text_may_be_tried_until_the_next_quiet_moment_only(
    make_stage: Callable[..., Stage], campaign: dict[str, Any], zones: list[str], areas: list[str], due: str, ends: str
) -> None:
    stage = make_stage(**campaign)
    text_to(stage, utc(due), zones, areas)

    assert deliver_by(stage, utc(due)) == utc(ends)


def test_a_push_may_be_tried_until_quiet_hours_begin_and_an_email_until_it_expires(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage(quiet_hours=NIGHT)
    stage.planned("ann", channels=("push",), channel="push", zones=["Europe/Berlin"])
    assert deliver_by(stage, NOON) == utc("2026-03-10T20:00Z")

    stage = make_stage()
    key = stage.planned("bob")
    assert deliver_by(stage, NOON) == stage.send(key)["expires_at"]


def test_what_expires_before_the_next_quiet_moment_may_be_tried_until_then(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(**SMS)
    key = text_to(stage, NOON, ["UTC"], ["US-FL"])
    stage.run_sql("update campaign.sends set expires_at = :at", at=NOON + HOUR)

    assert deliver_by(stage, NOON) == NOON + HOUR == stage.send(key)["expires_at"]


def test_live_nothing_is_claimed_so_late_that_handing_over_could_reach_into_quiet_hours(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage(mode="live", **SMS)
    now: datetime = stage.one("select clock_timestamp()")
    soon = (now + MINUTE).replace(second=0, microsecond=0)
    own_table(stage, HOURS.replace("HOURS", f"{soon + 20 * HOUR:%H:%M}-{soon:%H:%M}"))
    key = text_to(stage, now - HOUR, ["UTC"], [])

    stage.dispatch(None)

    assert stage.end(key) == ("planned", "quiet"), "open for less than a lease"
    assert stage.send(key)["not_before"] == soon + 20 * HOUR


def test_the_next_quiet_moment_equals_an_independent_scan_of_the_wall_clocks(stage: Stage) -> None:
    chance = random.Random(11)
    zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu"]
    changes = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 8), (3, 29), (4, 4), (10, 3), (10, 25))]
    for _ in range(60):
        chosen = chance.sample(zones, chance.choice([1, 1, 2]))
        moment = chance.choice(changes) + timedelta(seconds=chance.randrange(-86400, 2 * 86400))
        start, end = time(chance.randrange(24), chance.choice([0, 15, 30])), time(chance.randrange(24), 45)
        found = stage.one(
            "select campaign.next_quiet(:at, :zones, cast(:open_minutes as int4multirange))",
            at=moment, zones=chosen, open_minutes=quiet_week(start, end),
        )  # fmt: skip
        expected = moment
        while not any(_is_within(expected.astimezone(ZoneInfo(zone)).time(), start, end) for zone in chosen):
            expected = expected.replace(second=0, microsecond=0) + MINUTE
        assert found == expected, (chosen, moment, start, end)


def _is_within(clock: time, start: time, end: time) -> bool:
    return start <= clock < end if start < end else clock >= start or clock < end


def test_what_is_always_open_is_never_quiet(stage: Stage) -> None:
    week = "{[0,10080)}"
    assert stage.one("select campaign.next_quiet(:at, array['UTC'], cast(:week as int4multirange))",
                     at=NOON, week=week) is None  # fmt: skip
    assert stage.one("select campaign.next_open(:at, array['UTC'], '{}')", at=NOON) is None
