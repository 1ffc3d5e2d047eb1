"""What a person types to run a campaign, to see what a run would do, and to ask why."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from flows.commands import run as commands
from flows.commands import why
from tasks import send
from tasks.channels.outbox import Conduct, Outbox
from tasks.rules import assignment
from tasks.rules.errors import ModeError
from tasks.store.workspace import Workspace
from tests.planning_world import Shop

cli = typer.Typer()
cli.command(name="run")(commands.run)
cli.command(name="plan")(commands.plan)
cli.command(name="why")(why.why)

MORNING, AT_NOON, NEXT_NOON = "2026-06-09T06:00:00Z", "2026-06-09T12:00:00Z", "2026-06-10T12:00:00Z"
CAMPAIGN = "lapsing_customers"


@pytest.fixture
def shop(make_workspace: Callable[..., Workspace]) -> Shop:
    return Shop(make_workspace(mode="simulated"))


@pytest.fixture
def call(shop: Shop) -> Callable[..., Result]:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, list(arguments), obj={"workspace": shop.work})

    return call


@pytest.fixture
def ask(call: Callable[..., Result]) -> Callable[..., dict[str, Any]]:
    def ask(*arguments: str) -> dict[str, Any]:
        result = call(*arguments, "--json")
        assert result.exit_code == 0, result.exception
        return json.loads(result.output)

    return ask


def people(shop: Shop, arm: str, count: int) -> list[str]:
    """Ids the formula puts into an arm of the committed campaign."""
    found = shop.work.campaign(CAMPAIGN)
    salt = shop.work.settings.salt.get_secret_value()
    ids = (f"{number}" for number in range(1000))
    return [one for one in ids if assignment.assign(found, salt, one).arm == arm][:count]


def outbox(shop: Shop) -> list[dict[str, Any]]:
    return shop.rows("select * from outbox.messages order by message_id")


def test_a_run_chooses_plans_syncs_and_sends_and_a_second_one_sends_nothing(shop, ask):
    reached, silent = people(shop, "treated", 2)
    for customer in (reached, silent):
        shop.lapses(customer)
    for channel in ("email", "meta"):
        shop.consents(reached, channel)

    first = ask("run", CAMPAIGN, "--as-of", AT_NOON)
    second = ask("run", CAMPAIGN, "--as-of", AT_NOON)

    told = {(row["what"], row["channel"] or row["reason"]): row["people"] for row in first["rows"]}
    assert told["enrol", "treated"] == 2
    assert told["message", "email"] == 1
    assert told["no message", "no_consent"] == 1
    assert told["audience add", "meta"] == 1
    assert told["dispatch", "accepted"] == 1
    assert [row["address"] for row in outbox(shop)] == [f"{reached}@example.com"]
    assert "COMEBACK10" in json.dumps(outbox(shop)[0]["content"])
    assert not [row for row in second["rows"] if row["what"] == "dispatch"]
    assert first["arguments"]["as_of"] == "2026-06-09T12:00:00Z"


def test_what_became_due_since_the_last_run_leaves_at_its_own_moment(shop, ask):
    (customer,) = people(shop, "treated", 1)
    shop.lapses(customer)
    shop.consents(customer, "email")
    ask("run", CAMPAIGN, "--as-of", MORNING)
    assert outbox(shop) == []
    shop.buys(customer, "2026-06-09")  # at 10:00, an hour after the message was due

    ask("run", CAMPAIGN, "--as-of", NEXT_NOON)

    assert [row["at"] for row in outbox(shop)] == [datetime(2026, 6, 9, 9, tzinfo=UTC)]
    assert shop.rows("select close_reason from campaign.enrolments") == [{"close_reason": "goal"}]
    assert shop.decided()[customer, "1"] == ("accepted", None, "email")


def test_a_purchase_between_plan_and_due_cancels_the_message(shop, ask):
    (customer,) = people(shop, "treated", 1)
    shop.lapses(customer)
    shop.consents(customer, "email")
    ask("run", CAMPAIGN, "--as-of", MORNING)
    shop.buys(customer, "2026-06-09")
    shop._run("update core.purchases set purchased_at = '2026-06-09 07:00Z' where purchased_at >= '2026-06-09'", [{}])

    ask("run", CAMPAIGN, "--as-of", AT_NOON)

    assert outbox(shop) == []
    assert shop.decided()[customer, "1"] == ("cancelled", "stop_event", "email")


@pytest.mark.parametrize("command", [("plan",), ("run", "--dry-run")])
def test_a_plan_says_what_would_happen_and_stores_nothing(shop, ask, command):
    reached, silent = people(shop, "treated", 2)
    (held,) = people(shop, "holdout", 1)
    for customer in (reached, silent, held):
        shop.lapses(customer)
    for channel in ("email", "meta"):
        shop.consents(reached, channel)
        shop.consents(held, channel)
    before = shop.state()

    answer = ask(command[0], CAMPAIGN, *command[1:], "--as-of", AT_NOON)

    told = {(row["what"], row["channel"], row["reason"]): row["people"] for row in answer["rows"]}
    assert told["message", "email", None] == 1
    assert told["no message", None, "no_consent"] == 1
    assert told["held out", None, None] == 1
    (added,) = [row for row in answer["rows"] if row["what"] == "audience add"]
    assert (added["channel"], added["audience"], added["people"]) == ("meta", CAMPAIGN, 1)
    assert told["voucher", None, "COMEBACK10"] == 1
    assert shop.state() == before
    assert shop.rows("select * from campaign.runs") == []
    assert outbox(shop) == []


def test_a_plan_shows_who_leaves_and_joins_by_the_name_of_the_audience_and_tells_nobody(shop, call, ask):
    buyer, stays = people(shop, "treated", 2)
    for customer in (buyer, stays):
        shop.lapses(customer)
        shop.consents(customer, "meta")
    ask("run", CAMPAIGN, "--as-of", MORNING)
    shop.buys(buyer, "2026-06-09")  # at 10:00
    (joins,) = [one for one in people(shop, "treated", 3) if one not in (buyer, stays)]
    shop.lapses(joins)
    shop.consents(joins, "meta")
    before, told = shop.state(), shop.rows("select * from outbox.audience_calls")

    shown = call("plan", CAMPAIGN, "--as-of", AT_NOON).output
    rows = [row for row in ask("plan", CAMPAIGN, "--as-of", AT_NOON)["rows"] if row["what"].startswith("audience")]

    assert "What ad audiences would be told" in shown
    (line,) = [line.split() for line in shown.splitlines() if line.split()[:1] == ["meta"]]
    assert line == ["meta", CAMPAIGN, "1", "1"]
    assert [(row["what"], row["channel"], row["audience"], row["people"]) for row in rows] == [
        ("audience remove", "meta", CAMPAIGN, 1), ("audience add", "meta", CAMPAIGN, 1),
    ]  # fmt: skip
    assert shop.state() == before
    assert shop.rows("select * from outbox.audience_calls") == told


def test_a_plan_counts_of_an_audience_what_the_run_then_counts(shop, call, ask):
    buyer, kept, reachable, without, bad = people(shop, "treated", 5)
    for customer in (buyer, kept):
        shop.lapses(customer)
        shop.consents(customer, "meta")
    ask("run", CAMPAIGN, "--as-of", MORNING)
    shop._run(  # of a campaign that names the same audience
        "insert into campaign.audience_members (platform, audience, campaign, customer_id, desired, applied,"
        " desired_at, applied_at, contact_sha256, applied_contact_sha256, identifiers)"
        " select platform, audience, 'other',"
        " customer_id, true, true, desired_at, applied_at, contact_sha256, applied_contact_sha256, identifiers"
        " from campaign.audience_members where customer_id = :kept", [{"kept": kept}],
    )  # fmt: skip
    shop.buys(buyer, "2026-06-09")
    shop.buys(kept, "2026-06-09")
    shop.lapses(reachable)
    shop.lapses(without, email_canonical=None)
    shop.lapses(bad, email_canonical=None)
    shop._run("update core.customers set email_reason = 'invalid_email' where customer_id = :bad", [{"bad": bad}])
    for customer in (reachable, without, bad):
        shop.consents(customer, "meta")
    told = shop.rows("select * from outbox.audience_calls")

    def counted(command: str) -> set[tuple[Any, ...]]:
        rows = ask(command, CAMPAIGN, "--as-of", AT_NOON)["rows"]
        return {(r["what"], r["channel"], r["reason"], r["people"]) for r in rows if r["what"].startswith("audience")}

    shown = call("plan", CAMPAIGN, "--as-of", AT_NOON).output
    planned, done = counted("plan"), counted("run")

    assert planned == {
        ("audience remove", "meta", None, 1),
        ("audience kept", "meta", None, 1),
        ("audience add", "meta", None, 1),
        ("audience refused", "meta", "no_address", 1),
        ("audience refused", "meta", "invalid_email", 1),
    }
    assert done == planned
    assert "1 kept for another campaign" in " ".join(shown.split())
    assert "Not a valid email address: 1" in " ".join(shown.split())
    calls = shop.rows("select verb, people from outbox.audience_calls order by call_id")[len(told) :]
    assert calls == [{"verb": "remove", "people": 1}, {"verb": "add", "people": 1}]
    why = {row["because"].partition(": ")[2] for row in ask("why", bad, CAMPAIGN)["rows"] if "audience" in row["gate"]}
    assert why == {"not a valid email address"}


def test_a_plan_says_that_an_audience_which_had_to_be_deleted_waits_for_people(shop, call, ask):
    (customer,) = people(shop, "treated", 1)
    shop.lapses(customer)
    shop.consents(customer, "meta")
    shop._run(
        "insert into campaign.deleted_audiences values ('meta', :campaign, 'outbox', :at, :at, 1200)",
        [{"campaign": CAMPAIGN, "at": datetime(2026, 6, 8, tzinfo=UTC)}],
    )

    (row,) = [row for row in ask("plan", CAMPAIGN, "--as-of", AT_NOON)["rows"] if row["what"] == "audience add"]

    assert (row["people"], row["reason"]) == (1, "added once 1,200 belong in it")
    assert "added once 1,200 belong in it" in call("plan", CAMPAIGN, "--as-of", AT_NOON).output
    assert [row for row in ask("run", CAMPAIGN, "--as-of", AT_NOON)["rows"] if "audience" in row["what"]] == []


def test_a_plan_and_a_run_say_that_the_data_gate_holds_the_campaign(shop, ask):
    (customer,) = people(shop, "treated", 1)
    shop.lapses(customer)
    shop.consents(customer, "email")
    held = {"campaign": CAMPAIGN}
    shop._run("insert into campaign.holds (campaign, load_id, reason) values (:campaign, 1, 'gate')", [held])

    for command in ("plan", "run"):
        rows = ask(command, CAMPAIGN, "--as-of", AT_NOON)["rows"]
        assert [row["reason"] for row in rows if row["what"] == "campaign"] == ["held (data gate)"]
    assert outbox(shop) == []


def test_a_run_that_comes_late_ends_quietly(shop, call, ask):
    ask("run", CAMPAIGN, "--as-of", AT_NOON)

    result = call("run", CAMPAIGN, "--as-of", MORNING)

    assert result.exit_code == 0
    assert "later than" in " ".join(result.output.split())
    [row] = ask("run", CAMPAIGN, "--as-of", MORNING)["rows"]
    assert row["what"] == "superseded"
    assert "later than" in row["reason"]


def test_a_run_that_comes_late_sends_nothing_first(shop, call, ask):
    (customer,) = people(shop, "treated", 1)
    shop.lapses(customer)
    shop.consents(customer, "email")
    ask("run", CAMPAIGN, "--as-of", MORNING)
    held = {"campaign": CAMPAIGN}
    shop._run("insert into campaign.holds (campaign, load_id, reason) values (:campaign, 1, 'gate')", [held])
    ask("run", CAMPAIGN, "--as-of", NEXT_NOON)
    shop._run("delete from campaign.holds where campaign = :campaign", [held])
    before = shop.state()

    result = call("run", CAMPAIGN, "--as-of", AT_NOON)

    assert "later than" in " ".join(result.output.split())
    assert outbox(shop) == []
    assert shop.state() == before
    states = shop.rows("select state from campaign.runs where flow = 'reengage' order by run_id")
    assert [row["state"] for row in states] == ["completed", "completed", "superseded"]


def test_a_live_database_shows_a_plan_for_another_moment_and_refuses_to_run_for_it(make_workspace):
    live = Shop(make_workspace(mode="live"))
    live.lapses("1")
    context = {"obj": {"workspace": live.work}}

    planned = CliRunner().invoke(cli, ["plan", CAMPAIGN, "--as-of", AT_NOON, "--json"], **context)
    refused = CliRunner().invoke(cli, ["run", CAMPAIGN, "--as-of", AT_NOON], **context)

    found = {row["what"]: row["people"] for row in json.loads(planned.output)["rows"]}
    assert found["found"] == 1
    assert isinstance(refused.exception, ModeError)
    assert live.rows("select * from campaign.runs") == []


def gates(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["gate"], row["answer"]) for row in answer["rows"]]


def test_why_lists_every_gate_in_order_for_someone_who_is_written_to(shop, ask):
    (customer,) = people(shop, "treated", 1)
    shop.lapses(customer, phone_e164="+491701234567")
    shop.consents(customer, "sms")
    shop.consents(customer, "meta")
    ask("run", CAMPAIGN, "--as-of", AT_NOON)

    answer = ask("why", customer, CAMPAIGN, "--as-of", AT_NOON)

    assert gates(answer) == [
        ("segment", "yes"), ("enrolment", "yes"), ("experiment", "treated"), ("episode", "open"),
        ("email: consent", "no"), ("push: consent", "no"),
        ("sms: consent", "yes"), ("sms: address", "yes"), ("sms: not suppressed", "yes"), ("sms: zone known", "yes"),
        ("channel", "sms"), ("timing", "due"), ("decision", "accepted"), ("meta audience lapsing_customers", "in"),
    ]  # fmt: skip
    assert "days_since_last 68" in answer["rows"][0]["because"]
    assert "basis express" in answer["rows"][6]["because"]


def test_why_answers_for_a_past_moment_from_what_was_decided_then(shop, ask):
    (customer,) = people(shop, "treated", 1)
    shop.lapses(customer)
    ask("run", CAMPAIGN, "--as-of", MORNING)
    shop.consents(customer, "email", at="2026-06-09")
    ask("run", CAMPAIGN, "--as-of", AT_NOON)

    then = ask("why", customer, CAMPAIGN, "--as-of", "2026-06-09T08:00:00Z")
    now = ask("why", customer, CAMPAIGN, "--as-of", AT_NOON)

    assert ("decision", "suppressed") in gates(then)
    assert ("decision", "accepted") in gates(now)


def test_why_says_which_channel_refused_before_the_one_that_took_the_message(shop, ask):
    customer, alone = people(shop, "treated", 2)
    for one in (customer, alone):
        shop.lapses(one, phone_e164="+491701234567")
        shop.consents(one, "push")
        shop.token(one)
    shop.consents(customer, "sms")
    ask("run", CAMPAIGN, "--as-of", MORNING)
    outbox_that = Outbox(
        shop.work.database.url,
        shop.work.queries["ledger/outbox_accept"],
        conduct=lambda message: Conduct.REFUSE if message.channel == "push" else Conduct.ACCEPT,
    )
    send.due(shop.work, datetime.fromisoformat(AT_NOON), CAMPAIGN, senders={"outbox": outbox_that})

    told = {row["gate"]: row for row in ask("why", customer, CAMPAIGN, "--as-of", AT_NOON)["rows"]}
    before = {row["gate"]: row for row in ask("why", customer, CAMPAIGN, "--as-of", MORNING)["rows"]}
    refused = {row["gate"]: row for row in ask("why", alone, CAMPAIGN, "--as-of", AT_NOON)["rows"]}

    assert told["channel"]["answer"] == "sms"
    assert told["channel"]["because"] == "push refused: invalid_address; next viable: sms"
    assert before["channel"]["because"] == "the first viable one in the campaign's order"
    assert refused["channel"]["because"] == "push refused: invalid_address; no other is viable"
    assert refused["decision"]["answer"] == "rejected"


def test_why_says_that_another_channel_became_impossible_before_the_message_left(shop, ask):
    (customer,) = people(shop, "treated", 1)
    shop.lapses(customer, phone_e164="+491701234567")
    for channel in ("email", "sms"):
        shop.consents(customer, channel)
    ask("run", CAMPAIGN, "--as-of", MORNING)
    shop.consents(customer, "email", "withdrawn", at="2026-06-09T07:00:00")
    send.due(shop.work, datetime.fromisoformat(AT_NOON), CAMPAIGN)

    told = {row["gate"]: row for row in ask("why", customer, CAMPAIGN, "--as-of", AT_NOON)["rows"]}

    assert told["channel"]["answer"] == "sms"
    assert told["channel"]["because"].endswith("not any more; next viable: sms")


def test_why_dates_a_wait_by_the_moment_it_began_when_days_are_played_at_once(shop, ask):
    (customer,) = people(shop, "treated", 1)
    shop.lapses(customer, time_zones=["Pacific/Auckland"])  # 09:00 UTC is 21:00 there: quiet until 20:00 UTC
    shop.consents(customer, "email")
    ask("run", CAMPAIGN, "--as-of", MORNING)
    ask("run", CAMPAIGN, "--as-of", NEXT_NOON)

    def decided(at: str) -> tuple[str, str]:
        row = next(row for row in ask("why", customer, CAMPAIGN, "--as-of", at)["rows"] if row["gate"] == "decision")
        return row["answer"], row["because"]

    assert decided("2026-06-09T08:59:00Z")[1].startswith("a message is planned; voucher")
    waits = decided("2026-06-09T15:00:00Z")
    assert waits[0] == "planned"
    assert "quiet hours" in waits[1]
    assert "decided 2026-06-09 09:00 UTC" in waits[1]
    assert decided("2026-06-09T20:00:00Z")[0] == "accepted"


def test_why_says_that_a_person_is_held_out_and_nothing_about_channels(shop, ask):
    (customer,) = people(shop, "holdout", 1)
    shop.lapses(customer)
    shop.consents(customer, "email")
    ask("run", CAMPAIGN, "--as-of", AT_NOON)

    answer = ask("why", customer, CAMPAIGN, "--as-of", AT_NOON)

    assert gates(answer)[2:] == [("experiment", "holdout"), ("episode", "open"), ("decision", "holdout")]


def test_why_tells_strangers_from_people_the_segment_did_not_return(shop, ask):
    shop.customer("5")
    ask("run", CAMPAIGN, "--as-of", AT_NOON)

    stranger = ask("why", "nobody", CAMPAIGN, "--as-of", AT_NOON)
    outside = ask("why", "5", CAMPAIGN, "--as-of", AT_NOON)

    assert stranger["rows"][0]["because"] == "there is no such customer"
    assert "did not return this person" in outside["rows"][0]["because"]


def test_why_finds_a_person_under_an_earlier_id(shop, ask):
    (customer,) = people(shop, "treated", 1)
    shop.lapses(customer)
    ask("run", CAMPAIGN, "--as-of", AT_NOON)
    shop.customer("merged")
    shop.merges(customer, "merged")

    answer = ask("why", customer, CAMPAIGN, "--as-of", AT_NOON)

    assert answer["arguments"]["person"] == "merged"
    assert ("segment", "yes") in gates(answer)
