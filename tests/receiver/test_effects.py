"""What reports and replies do, whatever order they come in and however often."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks import erase, reconcile
from tasks.rules.keyed import keyed_hash
from tasks.rules.reports import PARSERS, Parsed, Reply, Report
from tasks.store import reports
from tests.receiver.conftest import Scene
from tests.send.stage import NOON

KEY = "change-me"
LATER = NOON + timedelta(hours=1)


def report(kind: str, attempt_id: str | None = None, **given: Any) -> Report:
    provider, channel = given.pop("provider", "email_sendgrid"), given.pop("channel", "email")
    key = given.pop("key", f"{kind}-{attempt_id}-{given.get('occurred_at')}")
    return Report(provider, channel, key, kind, **{"attempt_id": attempt_id, "occurred_at": LATER, **given})  # ty: ignore[invalid-argument-type]


def take(scene: Scene, *parts: Report | Reply) -> reports.Taken:
    parsed = Parsed(
        tuple(part for part in parts if isinstance(part, Report)),
        tuple(part for part in parts if isinstance(part, Reply)),
    )
    with scene.work.database.transaction() as connection:
        return reports.take(connection, scene.work.queries, parsed, key=KEY, at=None)


HARD = {"reason": "hard_bounce", "suppresses": "all"}
COMPLAINT = {"reason": "complained", "suppresses": "marketing", "withdraws": True}


def test_a_report_about_a_message_in_doubt_settles_it(scene: Scene) -> None:
    attempt = scene.sent("ann", state="unknown")

    take(scene, report("delivered", attempt))

    assert scene.stage.end(scene.key_of(attempt)) == ("accepted", None)
    assert scene.message(attempt)["delivered_at"] == LATER
    assert scene.message(attempt)["status"] == "delivered"


def test_p11_a_report_before_the_answer_is_recorded_waits_for_it(scene: Scene) -> None:
    """The row is still in flight: the event is kept, no error, and the row ends as accepted."""
    attempt = scene.sent("ann", state="in_flight")

    take(scene, report("delivered", attempt))

    assert scene.stage.end(scene.key_of(attempt))[0] == "in_flight"
    reconcile.doubts(scene.work)  # the lease is over, so the worker is gone
    assert scene.stage.end(scene.key_of(attempt))[0] == "accepted"
    assert scene.message(attempt)["delivered_at"] == LATER


def test_p11_a_status_that_knows_only_the_providers_number_waits_until_the_number_is_known(scene: Scene) -> None:
    attempt = scene.sent("ann", "whatsapp", "whatsapp_cloud")
    status = report("delivered", provider="whatsapp_cloud", channel="whatsapp", provider_message_id="wamid.1")

    take(scene, status)
    assert scene.message(attempt)["status"] == "accepted"
    for table in ("sends", "attempts"):
        scene.stage.run_sql(f"update campaign.{table} set provider_message_id = 'wamid.1'")
    reconcile.doubts(scene.work)

    assert scene.message(attempt)["status"] == "delivered"
    kept = scene.stage.rows("select provider_message_id, applied_at, settled_at from campaign.provider_events")[0]
    assert kept["provider_message_id"] is None  # WhatsApp's ids hold the number, so it stays no longer than needed
    assert kept["applied_at"] is not None


@pytest.mark.parametrize("provider", ["email_ses", "sms_aws", "whatsapp_aws"])
def test_a_report_without_our_echo_finds_its_message_by_the_providers_number(scene: Scene, provider: str) -> None:
    channel = {"email": "email", "sms": "sms", "whatsapp": "whatsapp"}[provider.partition("_")[0]]
    attempt = scene.sent("ann", channel, provider, message_id="number-1")
    other = scene.sent("bob", channel, provider, message_id="number-2")

    take(scene, report("delivered", provider=provider, channel=channel, provider_message_id="number-1"))

    assert scene.message(attempt)["status"] == "delivered"
    assert scene.message(other)["status"] == "accepted"


def test_a_number_that_a_whole_request_shares_finds_nobody_unless_the_address_tells_whom(scene: Scene) -> None:
    """SendGrid numbers requests: without the echo, a bounce must not be laid on somebody else's message."""
    ann, bob = (scene.sent(name, message_id="request-1") for name in ("ann", "bob"))

    take(scene, report("delivered", provider_message_id="request-1"))
    take(scene, report("bounced", provider_message_id="request-1", address="ann@example.com", **HARD))

    assert (scene.message(ann)["status"], scene.message(bob)["status"]) == ("failed", "accepted")
    assert scene.message(ann)["delivered_at"] is None


def test_a_report_nobody_can_place_is_kept_and_looked_at_for_three_days(scene: Scene) -> None:
    take(scene, report("delivered", provider_message_id="nobody's"))
    waiting = "select count(*) from campaign.provider_events where applied_at is null"
    assert scene.stage.one(waiting) == 1

    scene.stage.run_sql("update campaign.provider_events set received_at = received_at - interval '73 hours'")
    reconcile.doubts(scene.work)

    assert scene.stage.one(waiting) == 0
    assert scene.events() == ["delivered"]


def test_an_echo_that_is_none_of_ours_changes_nothing(scene: Scene) -> None:
    take(scene, report("bounced", "0b0f3c1e-6a3e-4f7e-9a43-7c1f0f5c9a10", **HARD))

    assert scene.events() == ["bounced"]
    assert scene.suppressions() == set()


STORY = ("accepted", "delivered", "opened", "clicked", "bounced")


def test_p12_every_order_and_any_number_of_repeats_end_in_the_same_facts(scene: Scene) -> None:
    dice, ends = random.Random(7), set()
    for number, order in enumerate(dice.sample(list(itertools.permutations(STORY)), 12)):
        attempt = scene.sent(f"person{number}", state="unknown")
        for kind in order:
            for _ in range(dice.randint(1, 2)):
                hours = STORY.index(kind)
                extra = HARD if kind == "bounced" else {}
                take(scene, report(kind, attempt, occurred_at=NOON + timedelta(hours=hours), **extra))
        fact = scene.message(attempt)
        ends.add(tuple((name, fact[name]) for name in sorted(fact) if name != "customer_id"))
        assert scene.stage.end(scene.key_of(attempt)) == ("accepted", None)

    assert len(ends) == 1
    assert dict(ends.pop())["status"] == "clicked"
    assert scene.stage.one("select count(*) from campaign.message_reports") == 12
    assert len(scene.events()) == 12 * len(STORY)


def test_p12_delivered_after_bounce_counts_once_each_and_a_bounce_three_days_later_still_suppresses(
    scene: Scene,
) -> None:
    attempt = scene.sent("ann")
    take(scene, report("delivered", attempt, occurred_at=NOON + timedelta(minutes=1)))
    assert scene.suppressions() == set()

    for _ in range(2):
        take(scene, report("bounced", attempt, occurred_at=NOON + timedelta(days=3), **HARD))

    fact = scene.message(attempt)
    assert (fact["status"], fact["delivered_at"], fact["failed_at"]) == (
        "failed", NOON + timedelta(minutes=1), NOON + timedelta(days=3),
    )  # fmt: skip
    assert scene.suppressions() == {("email", "all", "hard_bounce")}
    [suppressed] = scene.stage.rows("select address_hmac from core.suppressions")
    assert suppressed["address_hmac"] == keyed_hash(KEY, "ann@example.com")


def test_status_moves_on_by_rank_only(scene: Scene) -> None:
    attempt, seen = scene.sent("ann"), []
    for kind in ("complained", "opened", "delivered", "clicked"):
        take(scene, report(kind, attempt, **(COMPLAINT if kind == "complained" else {})))
        seen.append(scene.message(attempt)["status"])

    assert seen == ["complained"] * 4


def test_machines_open_apart_from_people(scene: Scene) -> None:
    attempt = scene.sent("ann")

    take(scene, report("opened", attempt, is_machine=True))

    fact = scene.message(attempt)
    assert (fact["opened_at"], fact["machine_opened_at"], fact["status"]) == (None, LATER, "delivered")


def test_the_earliest_time_stands_and_a_time_ahead_of_us_counts_as_now(scene: Scene) -> None:
    attempt = scene.sent("ann")
    for days in (5, 1, 3):
        take(scene, report("opened", attempt, occurred_at=NOON + timedelta(days=days)))
    take(scene, report("unsubscribed", attempt, occurred_at=datetime(2099, 1, 1, tzinfo=UTC), withdraws=True))

    assert scene.message(attempt)["opened_at"] == NOON + timedelta(days=1)
    ahead = "select count(*) from core.consents where status = 'withdrawn' and occurred_at > clock_timestamp()"
    assert scene.stage.one(ahead) == 0
    assert scene.withdrawn("ann") == {("email", "marketing"), ("email", "retargeting")}


def test_a_complaint_ends_marketing_to_the_address_and_withdraws_the_consent(scene: Scene) -> None:
    attempt = scene.sent("ann")

    take(scene, report("complained", attempt, **COMPLAINT))

    assert scene.suppressions() == {("email", "marketing", "complained")}
    assert scene.withdrawn("ann") == {("email", "marketing"), ("email", "retargeting")}


def test_after_an_unsubscribe_a_later_express_grant_restores_the_person(scene: Scene) -> None:
    attempt = scene.sent("ann")
    take(scene, report("unsubscribed", attempt, reason="unsubscribed", withdraws=True))
    in_force = (
        "select count(*) from campaign.consents_in_force(array['ann'], clock_timestamp(), 'marketing')"
        " where channel = 'email'"
    )
    assert scene.stage.one(in_force) == 0

    scene.stage.consent("ann", "email", "granted", LATER + timedelta(days=1))

    assert scene.stage.one(in_force) == 1
    assert scene.suppressions() == set()


def test_an_unsubscribe_that_names_an_address_reaches_everybody_who_has_it(scene: Scene) -> None:
    scene.stage.person("ann", channels=["email"])
    scene.stage.person("twin", channels=["email"])
    scene.stage.run_sql("update core.customers set email_canonical = 'ann@example.com'")

    take(scene, report("unsubscribed", address="Ann@Example.com", reason="unsubscribed", withdraws=True))

    assert scene.withdrawn("ann") == scene.withdrawn("twin") == {("email", "marketing"), ("email", "retargeting")}


def test_an_unsubscribe_of_an_address_nobody_has_waits_for_its_owner(scene: Scene) -> None:
    take(scene, report("unsubscribed", address="new@example.com", reason="unsubscribed", withdraws=True))

    assert scene.suppressions() == {("email", "marketing", "unsubscribed")}


def test_a_withdrawal_holds_for_the_person_the_message_was_merged_into(scene: Scene) -> None:
    attempt = scene.sent("ann")
    scene.stage.person("anna", channels=["email"])
    scene.stage.run_sql(
        "insert into core.aliases (alias_id, customer_id, reason, merged_at) values ('ann', 'anna', 'x', :at)", at=NOON
    )

    take(scene, report("complained", attempt, **COMPLAINT))

    assert scene.withdrawn("anna") == {("email", "marketing"), ("email", "retargeting")}


def test_a_carriers_opt_out_suppresses_the_number_for_texts(scene: Scene) -> None:
    attempt = scene.sent("ann", "sms", "sms_aws")

    take(
        scene,
        report("unsubscribed", attempt, provider="sms_aws", channel="sms", reason="opted_out", suppresses="all",
               withdraws=True),
    )  # fmt: skip

    assert scene.suppressions() == {("sms", "all", "opted_out")}


def test_p17_whatsapps_limit_is_a_note_and_its_stop_is_a_suppression(scene: Scene) -> None:
    capped, stopped = (scene.sent(name, "whatsapp", "whatsapp_cloud") for name in ("ann", "bob"))
    for attempt, code in ((capped, 131049), (stopped, 131050)):
        body = {"entry": [{"changes": [{"value": {"statuses": [
            {"id": f"wamid.{code}", "status": "failed", "timestamp": "1773144000", "errors": [{"code": code}],
             "biz_opaque_callback_data": attempt}]}}]}]}  # fmt: skip
        take(scene, *PARSERS["whatsapp_cloud"](json.dumps(body).encode(), KEY).reports)

    assert scene.stage.end(scene.key_of(capped)) == ("accepted", None)  # nothing that would send it again
    reasons = "select failed_reason from campaign.message_reports order by failed_reason"
    assert [row["failed_reason"] for row in scene.stage.rows(reasons)] == ["provider_cap", "unsubscribed"]
    assert scene.suppressions() == {("whatsapp", "marketing", "unsubscribed")}
    assert scene.withdrawn("ann") == set()
    assert scene.withdrawn("bob") == {("whatsapp", "marketing"), ("whatsapp", "retargeting")}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_what_whatsapp_says_it_charges_is_kept_in_whatever_order_it_comes(scene: Scene, order: tuple[int, ...]) -> None:
    attempt = scene.sent("ann", "whatsapp", "whatsapp_cloud")
    reports = [
        report("accepted", attempt, provider="whatsapp_cloud", channel="whatsapp", key="sent",
               billable=True, price_category="utility"),
        report("delivered", attempt, provider="whatsapp_cloud", channel="whatsapp", key="delivered",
               billable=True, price_category="utility"),
        report("opened", attempt, provider="whatsapp_cloud", channel="whatsapp", key="read"),
    ]  # fmt: skip

    for number in order:
        take(scene, reports[number])

    kept = "select billable, price_category from campaign.message_reports"
    assert scene.stage.rows(kept) == [{"billable": True, "price_category": "utility"}]


@pytest.mark.parametrize("is_known_by", ["our number", "the endpoint"])
def test_a_device_that_is_gone_is_switched_off_unless_it_was_registered_again(scene: Scene, is_known_by: str) -> None:
    scene.sent("ann", "push", "push_sns", message_id="push-1")
    scene.sent("bob", "push", "push_sns", message_id="push-2")
    scene.stage.run_sql("update core.push_tokens set updated_at = :at where customer_id = 'bob'", at=NOON)
    for number, name in ((1, "ann"), (2, "bob")):
        known = (
            {"provider_message_id": f"push-{number}"} if is_known_by == "our number" else
            {"address": f"endpoint-{name}"}
        )  # fmt: skip
        take(
            scene,
            report("failed", provider="push_sns", channel="push", reason="token_invalid", ends_token=True,
                   occurred_at=NOON - timedelta(hours=1), key=name, **known),
        )  # fmt: skip

    active = "select active from core.push_tokens where customer_id = :id"
    assert not scene.stage.one(active, id="ann")
    assert scene.stage.one(active, id="bob")


# -------------------------------------------------------------------------------------------- replies


def reply(text: str, address: str | None, **given: Any) -> Reply:
    return Reply(
        "whatsapp_cloud", "whatsapp", given.pop("id", text), given.pop("at", LATER), given.get("to"), text, address,
        given.get("writer"),
    )  # fmt: skip


def phone(scene: Scene, customer_id: str) -> str:
    return scene.stage.one("select phone_e164 from core.customers where customer_id = :id", id=customer_id)


def test_a_reply_is_kept_with_whom_it_is_from_and_counts_for_the_last_message(scene: Scene) -> None:
    first = scene.sent("ann", "whatsapp", "whatsapp_cloud", at=NOON - timedelta(hours=20))
    last = scene.sent("ann", "whatsapp", "whatsapp_cloud", known=True)
    other = scene.sent("ann", "sms", "sms_aws", known=True)

    for _ in range(2):
        taken = take(scene, reply("thanks", phone(scene, "ann")))

    assert (taken.fresh, taken.known) == (0, 1)
    [kept] = scene.stage.rows("select customer_id, text, address_hmac, verdict from campaign.replies")
    assert (kept["customer_id"], kept["text"], kept["verdict"]) == ("ann", "thanks", "none")
    assert kept["address_hmac"] == keyed_hash(KEY, phone(scene, "ann"))
    statuses = {attempt: scene.message(attempt)["status"] for attempt in (first, last, other)}
    assert statuses == {first: "accepted", last: "replied", other: "accepted"}


def test_a_reply_counts_for_the_message_it_quotes(scene: Scene) -> None:
    first = scene.sent("ann", "whatsapp", "whatsapp_cloud", at=NOON - timedelta(days=9), message_id="wamid.first")
    last = scene.sent("ann", "whatsapp", "whatsapp_cloud", known=True)

    take(scene, reply("yes", None, to="wamid.first"))

    assert (scene.message(first)["status"], scene.message(last)["status"]) == ("replied", "accepted")
    assert scene.stage.one("select customer_id from campaign.replies") == "ann"


def test_a_reply_days_after_the_last_message_is_kept_and_counts_for_none(scene: Scene) -> None:
    attempt = scene.sent("ann", "whatsapp", "whatsapp_cloud", at=NOON - timedelta(days=9))

    take(scene, reply("hello", phone(scene, "ann")))

    assert scene.message(attempt)["status"] == "accepted"
    assert scene.stage.one("select customer_id from campaign.replies") == "ann"


@pytest.mark.parametrize("case", ["a stranger", "a shared number", "a hidden number"])
def test_a_reply_of_nobody_in_particular_is_kept_without_a_name(scene: Scene, case: str) -> None:
    scene.stage.person("ann")
    scene.stage.person("bob")
    scene.stage.run_sql("update core.customers set phone_e164 = '+491701234567'")
    address = {"a stranger": "+491709999999", "a shared number": "+491701234567", "a hidden number": None}[case]

    take(scene, reply("STOP", address))

    [kept] = scene.stage.rows("select customer_id, text, address_hmac from campaign.replies")
    assert (kept["customer_id"], kept["text"]) == (None, "STOP" if address else None)
    assert (kept["address_hmac"] is None) == (address is None)


def on_whatsapp(scene: Scene, customer_id: str, writer_id: str, *numbers: str) -> None:
    """Somebody on the stage is known to WhatsApp under an id and has written from these numbers."""
    scene.stage.run_sql(
        "insert into core.writers (writer_id, customer_id) values (:writer, :customer)",
        writer=writer_id, customer=customer_id,
    )  # fmt: skip
    scene.stage.run_sql(
        "insert into core.aliases (alias_id, customer_id, reason, merged_at) values (:writer, :customer, 'whatsapp',"
        " :at)", writer=writer_id, customer=customer_id, at=NOON,
    )  # fmt: skip
    for number in numbers:
        scene.stage.run_sql(
            "insert into core.writer_numbers (writer_id, wa_id, phone, last_at) values (:writer, :wa_id, :phone, :at)",
            writer=writer_id, wa_id=number.lstrip("+"), phone=number, at=NOON,
        )  # fmt: skip


OTHER_NUMBER = "+491709999998"


@pytest.mark.parametrize(
    ("address", "writer_id"),
    [(None, "DE.77"), ("+491709999997", "DE.77"), (OTHER_NUMBER, None)],
    ids=["a hidden number", "a new number", "a number they wrote from"],
)
def test_a_refusal_from_elsewhere_is_that_of_the_customer(
    scene: Scene, address: str | None, writer_id: str | None
) -> None:
    scene.stage.person("ann")
    scene.stage.person("bob")
    on_whatsapp(scene, "ann", "DE.77", OTHER_NUMBER)
    on_whatsapp(scene, "bob", "DE.78")

    take(scene, reply("STOP", address, writer=writer_id), reply("please leave me alone", address, writer=writer_id))

    purposes = ("marketing", "retargeting", "transactional")
    assert scene.withdrawn("ann") == {(channel, purpose) for channel in ("sms", "whatsapp") for purpose in purposes}
    assert scene.withdrawn("bob") == set()
    held = scene.stage.rows("select distinct customer_id from campaign.reply_holds")
    assert [row["customer_id"] for row in held] == ["ann"]
    kept = scene.stage.rows("select customer_id, text from campaign.replies order by verdict")
    assert [(row["customer_id"], row["text"]) for row in kept] == [("ann", "STOP"), ("ann", "please leave me alone")]


def test_a_wish_without_a_number_is_that_of_whoever_whatsapp_knows_by_the_id(scene: Scene) -> None:
    for name, writer_id in (("ann", "DE.77"), ("bob", "DE.78"), ("eve", "DE.79")):
        scene.stage.person(name)
        on_whatsapp(scene, name, writer_id)
    wish = {"category": "marketing_messages", "value": "stop", "timestamp": 1_773_144_000}
    wishes = [wish | {"user_id": "DE.77"}, wish | {"user_id": "DE.78"}]

    take_body(scene, json.dumps({"entry": [{"changes": [{"value": {"user_preferences": wishes}}]}]}).encode())

    for name in ("ann", "bob"):
        assert scene.withdrawn(name) == {("whatsapp", "marketing"), ("whatsapp", "retargeting")}, name
    assert scene.withdrawn("eve") == set()


# ------------------------------------------------------------------------------ people who are forgotten


def forgotten(scene: Scene, customer_id: str) -> str:
    """Somebody on the stage is erased; answers the number they had."""
    number = phone(scene, customer_id)
    assert erase.person(scene.work, customer_id, None).is_complete
    return number


def whatsapp_body(number: str, *texts: str | None) -> bytes:
    """A body of Meta's; None stands for something that is no message."""
    messages = [
        {"id": f"wamid.{number}.{place}", "from": number.lstrip("+"), "timestamp": "1773144000", "type": "text",
         "text": {"body": text}} if text else {"from": number.lstrip("+")}
        for place, text in enumerate(texts)
    ]  # fmt: skip
    return json.dumps({"entry": [{"changes": [{"value": {"messages": messages}}]}]}).encode()


def take_body(scene: Scene, body: bytes) -> reports.Taken:
    with scene.work.database.transaction() as connection:
        return reports.take_body(
            connection, scene.work.queries, "whatsapp_cloud", "hooks/whatsapp", body, key=KEY, at=None
        )


def test_of_what_an_erased_person_writes_later_nothing_is_kept_but_that_it_came(scene: Scene) -> None:
    scene.sent("ann", "whatsapp", "whatsapp_cloud")
    number = forgotten(scene, "ann")

    taken = take_body(scene, whatsapp_body(number, "my new address is 12 Elm Street", "please leave me alone"))

    assert (taken.fresh, taken.known, len(taken.erased)) == (0, 0, 2)
    assert scene.stage.rows("select * from campaign.replies") == []
    assert scene.refused() == {("hooks/whatsapp", "erased"): 1}


def test_the_stop_of_an_erased_person_still_counts_for_the_number(scene: Scene) -> None:
    scene.stage.person("ann")
    number = forgotten(scene, "ann")
    assert ("sms", "all", "stop_word") not in scene.suppressions()

    take(scene, reply("STOP", number))

    assert {("sms", "all", "stop_word"), ("whatsapp", "all", "stop_word")} <= scene.suppressions()
    assert scene.stage.rows("select * from campaign.replies") == []


def test_who_has_the_number_of_an_erased_person_now_is_heard(scene: Scene) -> None:
    scene.stage.person("ann")
    number = forgotten(scene, "ann")
    scene.stage.person("new")
    scene.stage.run_sql("update core.customers set phone_e164 = :number where customer_id = 'new'", number=number)

    taken = take(scene, reply("when do you open?", number), reply("hello", "+491709999999"))

    assert (taken.fresh, taken.erased) == (2, frozenset())
    kept = scene.stage.rows("select customer_id, text from campaign.replies order by text")
    assert [(row["customer_id"], row["text"]) for row in kept] == [(None, "hello"), ("new", "when do you open?")]


def test_of_an_erased_person_without_a_number_nothing_that_they_wrote_or_write_is_kept(scene: Scene) -> None:
    scene.stage.person("ann")
    on_whatsapp(scene, "ann", "DE.77")
    take(scene, reply("I live at 12 Elm Street", None, writer="DE.77"), reply("hello", None, writer="DE.78"))
    forgotten(scene, "ann")

    taken = take(scene, reply("my new address is 9 Oak Street", None, writer="DE.77"))

    assert (taken.fresh, len(taken.erased)) == (0, 1)
    kept = scene.stage.rows("select customer_id, text from campaign.replies")
    assert [(row["customer_id"], row["text"]) for row in kept] == [(None, None)], "a stranger's, without words"


def test_a_body_that_cannot_be_read_whole_waits_unless_it_names_an_erased_person(scene: Scene) -> None:
    scene.stage.person("ann")
    scene.stage.person("bob")
    number, other = forgotten(scene, "ann"), phone(scene, "bob")

    take_body(scene, whatsapp_body(number, None))
    take_body(scene, whatsapp_body(other, None))

    [waiting] = scene.stage.rows("select raw, reason from raw.quarantine")
    assert other.lstrip("+") in waiting["raw"]
    assert scene.refused() == {("hooks/whatsapp", "erased"): 1}


def test_lines_of_an_archive_about_erased_people_are_counted_as_such(scene: Scene) -> None:
    scene.stage.person("ann")
    number = forgotten(scene, "ann")
    bodies = [whatsapp_body(number, "hello"), whatsapp_body(number, None), whatsapp_body("+491709999999", "hi"),
              whatsapp_body(number, "hello")]  # fmt: skip

    with scene.work.database.transaction() as connection:
        load_id = reports.open_load(
            connection, scene.work.queries, source="chats", provider="whatsapp_cloud", entry="x", etag=None, as_of=NOON
        )
        lines = [reports.Line(line_no, body) for line_no, body in enumerate(bodies, 1)]
        counted = reports.take_lines(connection, scene.work.queries, "whatsapp_cloud", load_id, lines, key=KEY, at=None)
        reports.close_load(connection, scene.work.queries, load_id, counted)

    assert counted == reports.Counted(accepted=1, erased=3)
    [load] = scene.stage.rows("select lines_in, accepted, erased from raw.loads")
    assert (load["lines_in"], load["accepted"], load["erased"]) == (4, 1, 3)
    assert scene.stage.rows("select * from raw.quarantine") == []


# ---------------------------------------------------------------------------- many at once, who may read


def test_reports_from_four_receivers_at_once_count_once(scene: Scene) -> None:
    import threading

    attempts = [scene.sent(f"p{number}", state="unknown") for number in range(20)]
    given = [
        report(kind, attempt, **(HARD if kind == "bounced" else {}))
        for attempt in attempts
        for kind in ("delivered", "opened", "bounced")
    ]
    failures: list[Exception] = []

    def receive(seed: int) -> None:
        mixed = random.Random(seed).sample(given, len(given))
        try:
            for start in range(0, len(mixed), 7):
                parsed = Parsed(tuple(mixed[start : start + 7]))
                scene.work.database.repeated(
                    lambda connection, parsed=parsed: reports.take(
                        connection, scene.work.queries, parsed, key=KEY, at=None
                    )
                )
        except Exception as error:  # noqa: BLE001 - told at the end, whatever it is
            failures.append(error)

    threads = [threading.Thread(target=receive, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(scene.events()) == 60
    assert {scene.message(attempt)["status"] for attempt in attempts} == {"opened"}
    assert scene.stage.states() == {"accepted": 20}
    assert scene.stage.one("select count(*) from campaign.provider_events where applied_at is null") == 0


def test_analysts_read_what_became_of_messages_without_any_address(make_scene: Callable[..., Scene]) -> None:
    scene = make_scene()
    attempt = scene.sent("ann")
    take(scene, report("opened", attempt))
    engine = scene.work.database.role_engine("analyst")
    try:
        with engine.connect() as connection:
            rows = connection.exec_driver_sql("select * from facts.message_reports").mappings().all()
    finally:
        engine.dispose()

    assert [(row["customer_id"], row["status"]) for row in rows] == [("ann", "opened")]
    assert not {"send_key", "provider_message_id", "address_hmac"} & set(rows[0])
