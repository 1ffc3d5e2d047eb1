"""What an answer does: stop is a withdrawal at once, what may be one holds until somebody has read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from tasks.rules.reports import Parsed, Reply
from tasks.store import replies, reports
from tests.send.stage import NOON, Stage

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KEY = "change-me"
CHANNELS = ("email", "sms", "whatsapp")
TEMPLATE = {"file": "sms.txt", "template": {"name": "news", "language": "en"}}
TEXTS = {
    "channels": ["sms", "whatsapp"],
    "steps": [{"send_after": "9h", "messages": {"sms": {"file": "sms.txt"}, "whatsapp": TEMPLATE}}],
}


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """A campaign by text, else by WhatsApp."""
    return make_stage(**TEXTS)


def phone(stage: Stage, customer_id: str) -> str:
    return stage.one("select phone_e164 from core.customers where customer_id = :id", id=customer_id)


def answer(
    stage: Stage,
    text: str,
    address: str | None,
    *,
    channel: str = "sms",
    at: datetime = NOON - HOUR,
    quoted: str | None = None,
    revoke_all: bool = True,
) -> None:
    """A reply comes in, twice as webhooks do."""
    provider: Any = {"sms": "sms_aws", "whatsapp": "whatsapp_cloud"}[channel]
    reply = Reply(provider, channel, f"{text}-{at}", at, quoted, text, address)  # ty: ignore[invalid-argument-type]
    for _ in range(2):
        with stage.work.database.transaction() as connection:
            reports.take(
                connection, stage.work.queries, Parsed(replies=(reply,)), key=KEY, at=None, revoke_all=revoke_all
            )


def due(stage: Stage, name: str, channel: str = "sms", at: datetime = NOON) -> str:
    """A message to somebody on the stage, planned for `at`."""
    return stage.plan(stage.enrol(name, anchor=at - 9 * HOUR), channel=channel, due=at)


def ends(stage: Stage, keys: Sequence[str], at: datetime = NOON) -> list[tuple[str, str | None]]:
    stage.dispatch(at)
    return [stage.end(key) for key in keys]


def in_force(stage: Stage, customer: str, purpose: str = "marketing") -> set[str]:
    found = stage.rows("select channel from campaign.consents_in_force(array[:customer], :at, :purpose)",
                       customer=customer, at=NOON, purpose=purpose)  # fmt: skip
    return {row["channel"] for row in found}


def suppressions(stage: Stage) -> set[tuple[str, str, str]]:
    found = stage.rows("select channel, scope, reason from core.suppressions")
    return {(row["channel"], row["scope"], row["reason"]) for row in found}


def test_stop_ends_every_text_at_the_next_claim(stage: Stage) -> None:
    stage.person("ann", channels=CHANNELS)
    stage.person("bob", channels=CHANNELS)
    ann, bob = due(stage, "ann"), due(stage, "bob")

    answer(stage, "Stop!", phone(stage, "ann"))

    assert ends(stage, [ann, bob]) == [("suppressed", "no_consent"), ("accepted", None)]
    assert in_force(stage, "ann") == {"email"}, "an email is no text"
    assert suppressions(stage) == {("sms", "all", "stop_word"), ("whatsapp", "all", "stop_word")}
    assert stage.one("select count(*) from core.consents where status = 'withdrawn'") == 6, "once, not twice"


def test_without_revoke_all_stop_ends_advertising_on_its_channel(stage: Stage) -> None:
    stage.person("ann", channels=CHANNELS)
    stage.run_sql("insert into core.consents (consent_id, customer_id, channel, purpose, status, basis, occurred_at)"
                  " values ('t', 'ann', 'sms', 'transactional', 'granted', 'express', :at)", at=NOON - DAY)  # fmt: skip
    key = due(stage, "ann")

    answer(stage, "STOP", phone(stage, "ann"), revoke_all=False)

    assert in_force(stage, "ann") == {"email", "whatsapp"}
    assert in_force(stage, "ann", "transactional") == {"sms"}
    assert suppressions(stage) == {("sms", "marketing", "stop_word")}
    stage.dispatch()
    assert (stage.end(key), stage.send(key)["channel"]) == (("accepted", None), "whatsapp")


def test_a_number_that_two_people_share_stops_both(stage: Stage) -> None:
    for name in ("ann", "bob"):
        stage.person(name, channels=CHANNELS)
    stage.run_sql("update core.customers set phone_e164 = '+4930901820'")
    keys = [due(stage, "ann"), due(stage, "bob")]

    answer(stage, "STOP", "+4930901820")

    assert ends(stage, keys) == [("suppressed", "no_consent")] * 2


def test_a_stop_under_a_hidden_number_finds_the_person_it_answers(stage: Stage) -> None:
    stage.person("ann", channels=CHANNELS)
    first = due(stage, "ann", at=NOON - DAY)
    stage.dispatch(NOON - DAY)
    stage.run_sql("update campaign.sends set provider_message_id = 'm-1' where send_key = :key", key=first)
    second = due(stage, "ann")

    answer(stage, "STOP", None, channel="whatsapp", quoted="m-1")

    assert ends(stage, [second]) == [("suppressed", "no_consent")]
    assert suppressions(stage) == {("sms", "all", "stop_word"), ("whatsapp", "all", "stop_word")}


def test_a_stranger_who_says_stop_is_not_written_to_when_they_become_a_customer(stage: Stage) -> None:
    answer(stage, "STOP", "+4930901820")
    stage.person("ann", channels=CHANNELS)
    stage.run_sql("update core.customers set phone_e164 = '+4930901820'")

    assert ends(stage, [due(stage, "ann")]) == [("suppressed", "suppressed_address")]


def test_only_an_express_grant_after_it_restores_and_the_word_start_does_not(stage: Stage) -> None:
    stage.person("ann", channels=CHANNELS)
    answer(stage, "STOP", phone(stage, "ann"), at=NOON - 5 * HOUR)
    answer(stage, "START", phone(stage, "ann"), at=NOON - 4 * HOUR)
    stage.consent("ann", "sms", "granted", NOON - 4 * HOUR, basis="soft_opt_in")
    first = due(stage, "ann")
    assert ends(stage, [first]) == [("suppressed", "no_consent")]

    stage.consent("ann", "sms", "granted", NOON - 3 * HOUR)
    second = due(stage, "ann", at=NOON + HOUR)
    assert ends(stage, [second], NOON + HOUR) == [("accepted", None)]

    answer(stage, "stop.", phone(stage, "ann"), at=NOON + 2 * HOUR)
    third = due(stage, "ann", at=NOON + 3 * HOUR)
    assert ends(stage, [third], NOON + 3 * HOUR) == [("suppressed", "no_consent")]


def test_what_a_carrier_said_about_a_number_outlives_a_new_grant(stage: Stage) -> None:
    stage.person("ann", channels=("sms",))
    answer(stage, "STOP", phone(stage, "ann"), at=NOON - 5 * HOUR)
    stage.run_sql("update core.suppressions set reason = 'opted_out'")
    stage.consent("ann", "sms", "granted", NOON - 3 * HOUR)

    assert ends(stage, [due(stage, "ann")]) == [("suppressed", "suppressed_address")]


# ------------------------------------------------------------------------------------------- to be read by people


def command(stage: Stage, *words: str) -> str:
    settings = stage.work.settings
    assert settings.database_url
    environment = {
        "REENGAGE_CONFIG": str(settings.config),
        "REENGAGE_DATABASE_URL": settings.database_url.get_secret_value(),
        "REENGAGE_HOME": str(settings.home),
        "REENGAGE_TIME_ZONE": "UTC",
    }
    result = CliRunner().invoke(app, ["replies", *words], env=environment)
    assert result.exit_code == 0, result.output
    return result.stdout


def waiting(stage: Stage, *words: str) -> list[dict[str, Any]]:
    return json.loads(command(stage, "list", "--json", *words))["rows"]


def test_what_reads_like_a_refusal_holds_until_somebody_has_read_it(stage: Stage) -> None:
    stage.person("ann", channels=CHANNELS)
    key = due(stage, "ann")
    answer(stage, "please don't text me again", phone(stage, "ann"))

    assert ends(stage, [key]) == [("suppressed", "no_consent")]
    assert in_force(stage, "ann") == {"email"}
    [row] = waiting(stage)
    assert (row["text"], row["held"], row["resolution"]) == ("please don't text me again", 1, None)

    assert "free again" in command(stage, "resolve", row["reply_id"][:8], "--no-refusal", "--as-of",
                                   "2026-03-10T13:00:00+00:00")  # fmt: skip
    assert in_force(stage, "ann") == set(CHANNELS)
    assert waiting(stage) == []
    assert [row["resolution"] for row in waiting(stage, "--resolved")] == ["no_refusal"]
    assert ends(stage, [due(stage, "ann", at=NOON + HOUR)], NOON + HOUR) == [("accepted", None)]


def test_a_refusal_that_was_read_counts_from_when_it_was_written(stage: Stage) -> None:
    stage.person("ann", channels=CHANNELS)
    stage.dispatch(NOON - DAY)
    answer(stage, "no more messages", phone(stage, "ann"), at=NOON - 3 * HOUR)
    [row] = waiting(stage)

    command(stage, "resolve", row["reply_id"], "--refusal", "--as-of", "2026-03-10T12:00:00+00:00")

    assert in_force(stage, "ann") == {"email"}
    at = stage.rows("select distinct occurred_at from core.consents where status = 'withdrawn'")
    assert [row["occurred_at"] for row in at] == [NOON - 3 * HOUR]
    assert stage.one("select count(*) from campaign.reply_holds") == 0
    stage.consent("ann", "sms", "granted", NOON - HOUR)
    assert in_force(stage, "ann") == {"email", "sms"}, "said since then"
    assert ends(stage, [due(stage, "ann")]) == [("accepted", None)]


def test_a_hold_spares_other_channels_where_a_refusal_would(stage: Stage) -> None:
    stage.person("ann", channels=CHANNELS)

    answer(stage, "leave me alone", phone(stage, "ann"), channel="whatsapp", revoke_all=False)

    assert in_force(stage, "ann") == {"email", "sms"}


def test_a_name_that_means_no_answer_or_several_is_refused(stage: Stage) -> None:
    stage.dispatch(NOON - DAY)
    stage.person("ann", channels=CHANNELS)
    for text in ("leave me alone", "no more messages"):
        answer(stage, text, phone(stage, "ann"))

    for name in ("nobody", ""):
        with stage.work.database.transaction() as connection:
            held = replies.resolve(
                connection, stage.work.queries, name, is_refusal=True, revoke_all=True, at=NOON
            )  # fmt: skip
        assert held is None
    assert len(waiting(stage)) == 2


# ------------------------------------------------------------------------------------------- conversations by file


def talk(stage: Stage, load_id: int, *texts: str, sender: str = "customer") -> None:
    """A merged load of messages in a conversation of ann's."""
    stage.run_sql(
        "insert into core.conversations (conversation_id, customer_id, channel, opened_at, milestone, milestone_at,"
        " updated_at, load_id) values ('t', 'ann', 'whatsapp', :at, 'lead', :at, :at, 1) on conflict do nothing",
        at=NOON - DAY,
    )
    stage.run_sql("insert into raw.loads (load_id, source, entity, object, incremental, as_of, options, state)"
                  " overriding system value values (:id, 's', 'messages', 'o', true, :at, '{}', 'landed')",
                  id=load_id, at=NOON)  # fmt: skip
    stage.run_sql("update raw.loads set state = 'merged', lines_in = 0, merged_at = :at where load_id = :id",
                  id=load_id, at=NOON)  # fmt: skip
    for number, text in enumerate(texts):
        stage.run_sql(
            "insert into core.messages (message_id, conversation_id, direction, sender, sent_at, text, load_id)"
            " values (:id, 't', :direction, :sender, :at, :text, :load)",
            id=f"{load_id}-{number}", text=text, load=load_id, at=NOON - HOUR, sender=sender,
            direction="inbound" if sender == "customer" else "outbound",
        )  # fmt: skip


def test_a_stop_in_a_conversation_that_came_by_file_acts_at_the_next_claim(stage: Stage) -> None:
    stage.person("ann", channels=CHANNELS)
    talk(stage, 1, "hello", "when do you open?")
    talk(stage, 2, "reply STOP to end", sender="bot")
    first = due(stage, "ann", at=NOON - 2 * HOUR)
    assert ends(stage, [first], NOON - 2 * HOUR) == [("accepted", None)]
    assert stage.one("select count(*) from campaign.replies") == 0, "only what means something is kept"

    talk(stage, 3, "STOP")
    second = due(stage, "ann")
    assert ends(stage, [second]) == [("suppressed", "no_consent")]
    assert [row["load_id"] for row in stage.rows("select load_id from campaign.judged_loads order by 1")] == [1, 2, 3]


def test_a_message_of_a_file_that_may_be_a_refusal_joins_the_list(stage: Stage) -> None:
    stage.person("ann", channels=CHANNELS)
    talk(stage, 1, "please don't write to me any more")
    stage.dispatch()

    assert [row["text"] for row in waiting(stage)] == ["please don't write to me any more"]
    assert in_force(stage, "ann") == {"email"}
