"""One decision per open step, and an intent where we may."""

from __future__ import annotations

import hashlib
import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest

from config.settings import CHECKOUT
from tasks.rules.keyed import keyed_hash
from tasks.store import ledger, planning
from tests.planning_world import DAY, LATE_FROM, NOON, Shop, campaign, two_steps

HOUR = timedelta(hours=1)


@pytest.fixture
def shop(make_workspace) -> Shop:
    return Shop(make_workspace(mode="simulated"))


def suppress(shop: Shop, address: str, channel: str, scope: str = "marketing") -> None:
    key = shop.work.settings.suppression_key.get_secret_value()
    row = {"hash": keyed_hash(key, address), "channel": channel, "scope": scope, "at": NOON}
    shop._run("insert into core.suppressions values (:hash, :channel, :scope, 'asked', :at)", [row])


def test_an_intent_holds_everything_the_ledger_needs(shop):
    shop.lapses("1")
    shop.consents("1", "email")

    run = shop.run(campaign(priority=7))

    row = shop.sends()["1", "1"]
    key = hashlib.sha256(b"v1|lapsing_customers|1|2026-04-02|1").hexdigest()
    due = LATE_FROM + 9 * HOUR
    assert (row["send_key"], row["channel"], row["provider"], row["state"]) == (key, "email", "outbox", "planned")
    assert (row["due_at"], row["not_before"], row["planned_at"]) == (due, NOON, NOON)
    assert row["expires_at"] == NOON + 7 * DAY
    assert (row["voucher_code"], row["priority"], row["variant"], row["arm"]) == ("COMEBACK10", 7, "control", "treated")
    assert row["template_version"]
    assert run.counts["plan"]["planned"] == {"email": 1}


def test_every_step_counts_from_the_anchor(shop):
    shop.lapses("1")
    shop.consents("1", "email")

    shop.run(campaign(steps=two_steps()))

    due = {step: row["due_at"] - LATE_FROM for (_, step), row in shop.sends().items()}
    assert due == {"1": 9 * HOUR, "2": 33 * HOUR}


@pytest.mark.parametrize(
    ("channels", "token", "phone", "wanted"),
    [
        (["email", "push", "sms"], True, "+491701234567", "email"),
        (["push", "sms"], True, "+491701234567", "push"),
        (["push", "sms"], False, "+491701234567", "sms"),
        (["sms"], True, "+491701234567", "sms"),
        (["push"], False, None, None),
    ],
)
def test_the_first_viable_channel_gets_the_one_message(shop, channels, token, phone, wanted):
    shop.lapses("1", phone_e164=phone)
    for channel in channels:
        shop.consents("1", channel)
    shop.token("1", active=token)

    shop.run(campaign())

    if wanted:
        assert shop.decided() == {("1", "1"): ("planned", None, wanted)}
        assert shop.sends()["1", "1"]["channel"] == wanted
    else:
        assert shop.decided() == {("1", "1"): ("suppressed", "no_address", None)}
        assert shop.sends() == {}


CONSENT_CASES = {
    "none": ([], False),
    "express": ([("granted", "express", "2026-01-01")], True),
    "soft opt-in is accepted for email": ([("granted", "soft_opt_in", "2026-01-01")], True),
    "inquiry is not accepted": ([("granted", "inquiry", "2026-01-01")], False),
    "withdrawn": ([("granted", "express", "2026-01-01"), ("withdrawn", None, "2026-02-01")], False),
    "withdrawn in the same instant": ([("granted", "express", "2026-02-01"), ("withdrawn", None, "2026-02-01")], False),
    "restored by express": (
        [("granted", "express", "2026-01-01"), ("withdrawn", None, "2026-02-01"), ("granted", "express", "2026-03-01")],
        True,
    ),
    "not restored by soft opt-in": (
        [("granted", "express", "2026-01-01"), ("withdrawn", None, "2026-02-01"),
         ("granted", "soft_opt_in", "2026-03-01")],
        False,
    ),
    "given after now": ([("granted", "express", "2026-07-01")], False),
    "withdrawn after now": ([("granted", "express", "2026-01-01"), ("withdrawn", None, "2026-07-01")], True),
}  # fmt: skip


@pytest.mark.parametrize(("history", "may"), CONSENT_CASES.values(), ids=CONSENT_CASES.keys())
def test_consent_in_force(shop, history, may):
    shop.lapses("1")
    for status, basis, at in history:
        shop.consents("1", "email", status, basis=basis, at=at)

    shop.run(campaign())

    wanted = ("planned", None, "email") if may else ("suppressed", "no_consent", None)
    assert shop.decided() == {("1", "1"): wanted}


def test_consent_expires(shop):
    shop.lapses("1")
    shop.consents("1", "email", basis="soft_opt_in", expires_at=NOON)

    shop.run(campaign())

    assert shop.decided()["1", "1"] == ("suppressed", "no_consent", None)


LAW = """
checked: 2026-01-01
default: {SOURCE, hours: "10:00-20:00"}
implied_consents: [{area: DE, SOURCE, soft_opt_in: MONTHS}]
""".replace("SOURCE", "source: made up for this test, dated: 2026-01-01")


def test_implied_consent_counts_for_as_long_as_the_law_says_now(make_workspace, tmp_path):
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "campaigns").symlink_to(CHECKOUT / "config" / "campaigns")
    (folder / "reengage.yaml").write_text("legal_windows: law.yaml\n")
    shop = Shop(make_workspace(mode="simulated", config=folder))
    shop.lapses("1")  # bought on 2 April last
    shop.consents("1", "email", basis="soft_opt_in")

    (folder / "law.yaml").write_text(LAW.replace("MONTHS", "2"))
    shop.run(campaign())
    assert shop.decided()["1", "1"] == ("suppressed", "no_consent", None)

    (folder / "law.yaml").write_text(LAW.replace("MONTHS", "3"))
    shop.run(campaign(), NOON + HOUR)
    assert shop.decided()["1", "1"] == ("planned", None, "email")


def test_another_purpose_is_no_consent(shop):
    shop.lapses("1")
    shop.consents("1", "email", purpose="transactional")

    shop.run(campaign())

    assert shop.decided()["1", "1"] == ("suppressed", "no_consent", None)


def test_a_withdrawal_under_an_earlier_id_holds_for_the_person(shop):
    shop.customer("old")
    shop.consents("old", "email", "withdrawn", at="2026-03-01")
    shop.lapses("1")
    shop.consents("1", "email", at="2026-01-01")
    shop.merges("old", "1")

    shop.run(campaign())

    assert shop.decided()["1", "1"] == ("suppressed", "no_consent", None)


def test_a_suppressed_address_is_not_written_to(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    suppress(shop, "1@example.com", "email")

    shop.run(campaign())

    assert shop.decided()["1", "1"] == ("suppressed", "suppressed_address", None)


def test_a_person_in_an_unknown_zone_is_not_written_to_where_hours_are_quiet(shop):
    shop.lapses("1", time_zones=[])
    shop.lapses("2", time_zones=["Mars/Phobos"])
    shop.lapses("3")
    for customer in "123":
        shop.consents(customer, "email")

    shop.run(campaign(quiet_hours={"start": "21:00", "end": "08:00"}))

    assert [shop.decided()[customer, "1"][1] for customer in "123"] == ["zone_unknown", "zone_unknown", None]


def test_an_assumed_zone_is_enough_for_email(shop):
    shop.lapses("1", time_zones=[])
    shop.consents("1", "email")

    shop.run(campaign(channels=["email"], steps=[{"send_after": "9h", "messages": {
        "email": {"subject": "Hello", "file": "email.html"}}}],
        quiet_hours={"start": "21:00", "end": "08:00", "unknown_zone": "Europe/Berlin"}))  # fmt: skip

    assert shop.decided()["1", "1"] == ("planned", None, "email")


def test_the_reason_is_that_of_the_channel_that_came_furthest(shop):
    shop.lapses("1", email_canonical=None)
    shop.consents("1", "email")
    shop.lapses("2", phone_e164="+491701234567", email_canonical=None)
    shop.consents("2", "email")
    shop.consents("2", "sms")
    suppress(shop, "+491701234567", "sms")

    shop.run(campaign())

    assert shop.decided()["1", "1"][1] == "no_address"
    assert shop.decided()["2", "1"][1] == "suppressed_address"


def test_a_step_without_a_way_is_decided_again_until_it_expires(shop):
    shop.lapses("1")
    shop.lapses("2")
    shop.run(campaign(expires_after="2d"))
    assert shop.decided()["1", "1"] == ("suppressed", "no_consent", None)

    shop.consents("1", "email", at="2026-06-10")
    shop.run(campaign(expires_after="2d"), NOON + DAY)
    assert shop.decided()["1", "1"] == ("planned", None, "email")
    assert shop.sends()["1", "1"]["not_before"] == NOON + DAY

    shop.run(campaign(expires_after="2d"), NOON + 2 * DAY)
    assert shop.decided()["2", "1"] == ("expired", None, None)
    assert shop.sends()["1", "1"]["state"] == "expired"


def test_a_planned_message_moves_to_the_channel_that_is_viable_now(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.consents("1", "push")
    shop.token("1")
    shop.run(campaign())
    shop.consents("1", "email", "withdrawn", at="2026-06-09")

    shop.run(campaign(), NOON + HOUR)

    (row,) = shop.rows("select * from campaign.sends")
    assert (row["state"], row["channel"]) == ("planned", "push")
    states = shop.rows("select channel, superseded_at from campaign.decisions order by decision_id")
    assert [tuple(row.values()) for row in states] == [("email", NOON + HOUR), ("push", None)]


def test_a_planned_message_is_taken_back_and_planned_again_with_the_consent(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign())
    shop.consents("1", "email", "withdrawn", at="2026-06-09")

    shop.run(campaign(), NOON + HOUR)
    assert (shop.sends()["1", "1"]["state"], shop.sends()["1", "1"]["reason"]) == ("suppressed", "no_consent")

    shop.consents("1", "email", at="2026-06-10")
    shop.run(campaign(), NOON + DAY)
    assert (shop.sends()["1", "1"]["state"], shop.sends()["1", "1"]["reason"]) == ("planned", None)


def test_what_a_rule_dropped_for_good_stays_dropped(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign())
    shop._run("update campaign.sends set state = 'suppressed', reason = 'quiet'", [{}])

    shop.run(campaign(), NOON + HOUR)

    assert shop.sends()["1", "1"]["state"] == "suppressed"
    assert shop.decided()["1", "1"] == ("suppressed", "quiet", "email")


@pytest.mark.parametrize("reason", sorted(ledger.DROPPED))
def test_what_a_rule_dropped_for_good_does_not_come_back_with_the_episode(shop, reason):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign())
    for table in ("sends", "decisions"):
        shop._run(f"update campaign.{table} set state = 'suppressed', reason = :reason", [{"reason": reason}])

    shop.run(campaign(params={"margin_days": 20}), NOON + HOUR)
    assert shop.rows("select close_reason from campaign.enrolments") == [{"close_reason": "left_segment"}]
    assert (shop.sends()["1", "1"]["state"], shop.sends()["1", "1"]["reason"]) == ("suppressed", reason)

    shop.run(campaign(), NOON + 2 * HOUR)
    assert shop.rows("select close_reason from campaign.enrolments") == [{"close_reason": None}]
    assert (shop.sends()["1", "1"]["state"], shop.sends()["1", "1"]["reason"]) == ("suppressed", reason)
    assert shop.decided()["1", "1"] == ("suppressed", reason, "email")


def test_what_was_planned_again_has_the_time_it_was_given_then(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    found = campaign(expires_after="2d")
    shop.run(found)
    shop.run(found, NOON + 2 * DAY)
    key = shop.sends()["1", "1"]["send_key"]
    again = shop.work.queries["ledger/sends_resend"](
        send_keys=[key], at=NOON + 3 * DAY, wait_seconds=(2 * DAY).total_seconds()
    )
    with shop.work.database.transaction() as connection:
        assert connection.execute(again).scalars().all() == [key]

    shop.run(found, NOON + 4 * DAY)
    assert shop.sends()["1", "1"]["state"] == "planned"
    assert shop.decided()["1", "1"] == ("planned", None, "email")

    shop.run(found, NOON + 5 * DAY)
    assert shop.sends()["1", "1"]["state"] == "expired"


def test_under_all_viable_each_channel_is_a_sub_step_and_sms_the_last_resort(shop):
    shop.lapses("1", phone_e164="+491701234567")
    shop.lapses("2", phone_e164="+491701234568")
    for channel in ("email", "push", "sms"):
        shop.consents("1", channel)
    shop.consents("2", "sms")
    shop.token("1")

    shop.run(campaign(reach="all_viable"))

    assert {key: value[:2] for key, value in shop.decided().items()} == {
        ("1", "1.email"): ("planned", None),
        ("1", "1.push"): ("planned", None),
        ("1", "1.sms"): ("suppressed", "other_channel"),
        ("2", "1.email"): ("suppressed", "no_consent"),
        ("2", "1.push"): ("suppressed", "no_consent"),
        ("2", "1.sms"): ("planned", None),
    }
    keys = {row["send_key"] for row in shop.sends().values()}
    assert hashlib.sha256(b"v1|lapsing_customers|1|2026-04-02|1.push").hexdigest() in keys


def test_a_step_taken_out_of_the_campaign_is_cancelled(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign(steps=two_steps()))

    shop.run(campaign(), NOON + HOUR)

    assert shop.decided()["1", "2"] == ("cancelled", "step_removed", "email")
    assert shop.sends()["1", "2"]["state"] == "cancelled"


def test_what_has_left_planning_is_repeated_as_the_ledger_has_it(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign())
    shop._run("update campaign.sends set state = 'unknown', claimed_at = :at", [{"at": NOON}])
    shop.consents("1", "email", "withdrawn", at="2026-06-09")

    shop.run(campaign(), NOON + HOUR)

    assert shop.decided()["1", "1"] == ("unknown", None, "email")
    assert shop.sends()["1", "1"]["state"] == "unknown"


def test_a_rerun_changes_nothing_but_bookkeeping(shop):
    for number in range(6):
        shop.lapses(f"{number}")
    for customer, channel in (("0", "email"), ("1", "push"), ("2", "meta"), ("3", "email"), ("3", "meta")):
        shop.consents(customer, channel)
    found = campaign(holdout=0.3, steps=two_steps())
    shop.run(found)
    before = shop.state()
    calls = shop.rows("select * from outbox.audience_calls")

    shop.run(found)

    assert shop.state() == before
    assert shop.rows("select * from outbox.audience_calls") == calls


def test_an_intent_that_a_crash_left_out_is_made(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign())
    before = shop.state()
    shop._run("delete from campaign.sends", [{}])

    shop.run(campaign())

    assert shop.state()["enrolments"] == before["enrolments"]
    assert set(shop.sends()) == {("1", "1")}


def test_every_way_of_a_campaign_is_listed_once_in_order():
    variants = [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5}]

    first = planning.ways(campaign(steps=two_steps(), variants=variants))
    each = planning.ways(campaign(reach="all_viable"))

    assert [(way.variant, way.step) for way in first] == [("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")]
    assert [(way.step, way.channels, way.is_last_resort) for way in each] == [
        ("1.email", ["email"], False), ("1.push", ["push"], False), ("1.sms", ["sms"], True),
    ]  # fmt: skip


def recomputed(history: list[dict], channel: str, bases: set[str], at: datetime) -> bool:
    """Consent in force, independently of SQL (A21)."""
    known = [row for row in history if row["channel"] == channel and row["occurred_at"] <= at]
    withdrawn = max((row["occurred_at"] for row in known if row["status"] == "withdrawn"), default=None)
    for row in known:
        if row["status"] != "granted" or row["basis"] not in bases:
            continue
        if row["expires_at"] is not None and row["expires_at"] <= at:
            continue
        if withdrawn is None or (row["occurred_at"] > withdrawn and row["basis"] == "express"):
            return True
    return False


def test_decisions_equal_an_independent_recomputation(shop):
    rng = random.Random(11)
    channels = {"email": {"express", "soft_opt_in"}, "push": {"express"}, "sms": {"express"}}
    people, histories, tokens = {}, {}, {}
    moments = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 9)]
    for number in range(120):
        customer = f"c{number}"
        email = f"{customer}@example.com" if rng.random() < 0.7 else None
        phone = f"+4917{number:08}" if rng.random() < 0.5 else None
        zones = rng.choice([["UTC"], ["Europe/Berlin", "Asia/Tokyo"], []])
        people[customer] = (email, phone, zones)
        shop.lapses(customer, email_canonical=email, phone_e164=phone, time_zones=zones)
        histories[customer] = [
            {
                "channel": rng.choice(list(channels)), "status": rng.choice(["granted", "granted", "withdrawn"]),
                "basis": rng.choice(["express", "soft_opt_in", "inquiry"]), "occurred_at": rng.choice(moments),
                "expires_at": rng.choice([None, None, rng.choice(moments)]),
            }
            for _ in range(rng.randrange(0, 6))
        ]  # fmt: skip
        for row in histories[customer]:
            shop.consents(
                customer, row["channel"], row["status"], basis=row["basis"],
                at=row["occurred_at"].replace(tzinfo=None).isoformat(), expires_at=row["expires_at"],
            )  # fmt: skip
        tokens[customer] = rng.random() < 0.5
        shop.token(customer, active=tokens[customer])
    suppressed = {address for (address, _, _) in people.values() if address and rng.random() < 0.1}
    for address in suppressed:
        suppress(shop, address, "email")
    found = campaign(holdout=0.2, quiet_hours={"start": "21:00", "end": "08:00"})

    run = shop.run(found)

    arms = {row["customer_id"]: row["arm"] for row in shop.rows("select * from campaign.enrolments")}
    rank = ["no_consent", "no_address", "suppressed_address", "zone_unknown"]
    decided = shop.decided()
    for customer, (email, phone, zones) in people.items():
        addresses = {"email": email, "push": tokens[customer] or None, "sms": phone}
        picked, reasons = None, []
        for channel, bases in channels.items():
            if not recomputed(histories[customer], channel, bases, NOON):
                reasons.append("no_consent")
            elif not addresses[channel]:
                reasons.append("no_address")
            elif channel == "email" and email in suppressed:
                reasons.append("suppressed_address")
            elif not zones:
                reasons.append("zone_unknown")
            else:
                picked = channel
                break
        wanted = ("planned", None, picked) if picked else ("suppressed", max(reasons, key=rank.index), None)
        if arms[customer] == "holdout":
            wanted = ("holdout", None, None)
        assert decided[customer, "1"] == wanted, customer
    assert sum(run.counts["plan"]["steps"].values()) == len(people)
    assert set(run.counts["plan"]["steps"]) == {"planned", "suppressed", "holdout"}
    assert {
        row["customer_id"] for row in shop.rows("select customer_id from campaign.sends where arm = 'holdout'")
    } == set()


def test_each_step_of_each_run_has_exactly_one_decision_in_force(shop):
    for number in range(8):
        shop.lapses(f"{number}")
    found = campaign(holdout=0.2, steps=two_steps(), expires_after="3d")
    moments = [NOON + number * DAY for number in range(5)]
    for day, at in enumerate(moments):
        if day < 4:
            shop.consents(f"{day}", "email", at="2026-06-08")
            shop.consents(f"{day + 1}", "email", "withdrawn", at="2026-06-08")
        if day == 2:
            shop.buys("3", "2026-06-10")
        shop.run(found, at)

    for at, customer, step in itertools.product(moments, range(8), "12"):
        found_rows = shop.rows(
            "select state from campaign.decisions where customer_id = :customer and step = :step "
            "and decided_at <= :at and (superseded_at is null or superseded_at > :at)",
            customer=f"{customer}", step=step, at=at,
        )  # fmt: skip
        assert len(found_rows) == 1


def test_a_campaign_that_is_not_trusted_keeps_its_plans(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.consents("1", "meta")
    shop._run("insert into campaign.holds (campaign, load_id, reason) values ('lapsing_customers', 1, 'x')", [{}])

    shop.run(campaign())

    assert shop.sends()["1", "1"]["state"] == "planned"
    assert shop.rows("select * from campaign.audience_members") == []


def test_a_step_that_is_gone_is_not_tried_again_either(shop):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign(steps=two_steps()))
    waits = "set state = 'retry_wait', reason = 'busy' where step = '2'"
    shop._run(f"update campaign.sends {waits}", [{}])
    shop._run(f"update campaign.decisions {waits} and superseded_at is null", [{}])

    shop.run(campaign(), NOON + DAY)

    assert shop.decided()["1", "2"][:2] == ("cancelled", "step_removed")
    assert (shop.sends()["1", "2"]["state"], shop.sends()["1", "2"]["reason"]) == ("cancelled", "step_removed")


@pytest.mark.parametrize("reach", [("all_viable", "first_viable"), ("first_viable", "all_viable")])
def test_a_step_that_left_is_not_sent_again_when_a_campaign_changes_how_it_reaches_people(shop, reach):
    shop.lapses("1")
    shop.consents("1", "email")
    shop.run(campaign(reach=reach[0]))
    accepted = "set state = 'accepted'"
    shop._run(f"update campaign.sends {accepted}, accepted_at = not_before", [{}])
    shop._run(f"update campaign.decisions {accepted} where state = 'planned' and superseded_at is null", [{}])

    shop.run(campaign(reach=reach[1]), NOON + HOUR)

    assert [row["state"] for row in shop.sends().values()] == ["accepted"]
