"""WhatsApp's ids of messages hold the person's number in base64: they go no further than the line they came in."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.settings import CHECKOUT
from tasks import erase, measure, pull
from tasks.rules.reports import whatsapp_name
from tasks.store import reports
from tests.channels import test_whatsapp_cloud
from tests.channels.loopback import Answer, Loopback
from tests.chats import body, echo, echoes, from_ad, message, wamid
from tests.send import live
from tests.send.stage import Stage
from tests.spellings import in_base64, spellings

HIDDEN, STRANGER = "4915112345678", "4915112345679"


@pytest.fixture
def provider() -> Iterator[Loopback]:
    """Meta, with ids of messages as it makes them."""
    made = Loopback(
        judge=test_whatsapp_cloud.judge,
        keys=lambda request: [request.json["biz_opaque_callback_data"]],
        yes=lambda request: Answer(200, {"messages": [{"id": wamid(request.json["to"], 900)}]}),
        no=lambda status: Answer(status, {"error": {"message": "told so", "type": "x", "code": -status}}),
    )
    with made.running():
        yield made


def hears(stage: Stage, *bodies: dict[str, Any]) -> None:
    with stage.work.database.transaction() as connection:
        for given in bodies:
            reports.take_body(
                connection, stage.work.queries, "whatsapp_cloud", "hooks/whatsapp", json.dumps(given).encode(),
                key=stage.work.settings.suppression_key.get_secret_value(), at=None,
            )  # fmt: skip


def rows_of(stage: Stage, *schemas: str) -> dict[str, str]:
    """Every table and view of some schemas as text, in lower case."""
    names = stage.rows(
        "select table_schema || '.' || table_name as name from information_schema.tables"
        " where table_schema = any(:schemas)",
        schemas=list(schemas),
    )
    found = {row["name"]: stage.rows(f"select cast(t as text) as text from {row['name']} as t") for row in names}
    return {name: "\n".join(row["text"] for row in rows).lower() for name, rows in found.items()}


def telling(found: dict[str, str], needles: set[str]) -> list[str]:
    return [name for name, text in found.items() if any(needle in text for needle in needles)]


def conversations(ann: str, opened_at: datetime) -> list[dict[str, Any]]:
    """What three people write, and one of ours answers."""
    at = [opened_at + timedelta(minutes=minute) for minute in range(3)]
    now = {"type": "text", "text": {"body": "two"}}
    edit = {"type": "edit", "edit": {"original_message_id": wamid(ann, 1), "message": now}}
    back = {"type": "revoke", "revoke": {"original_message_id": wamid(HIDDEN, 1)}}
    return [
        body(message(wamid(ann, 1), at[0], "one", wa_id=ann, **from_ad("ad-1"))),
        body(message(wamid(HIDDEN, 1), at[0], "secret", wa_id=HIDDEN, user_id="DE.77", **from_ad("ad-1"))),
        body(message(wamid(STRANGER, 1), at[0], wa_id=STRANGER)),
        echoes(echo(wamid(ann, 2), at[1], to=ann)),
        body(message(wamid(ann, 3), at[2], None, wa_id=ann, **edit)),
        body(message(wamid(HIDDEN, 3), at[2], None, wa_id=HIDDEN, user_id="DE.77", **back)),
    ]


def name_sources(stage: Stage, ann: str, opened_at: datetime) -> None:
    """An archive of webhooks, and a file that knows a conversation by WhatsApp's id."""
    (stage.folder / "suites").symlink_to(CHECKOUT / "config" / "suites")
    columns = {column: column for column in ("conversation_id", "customer_id", "channel", "opened_at", "updated_at")}
    sources = {
        "chats": {"kind": "whatsapp", "place": "chats.jsonl"},
        "talks": {"entity": "conversations", "kind": "file", "place": "talks.csv", "columns": columns},
    }
    (stage.folder / "sources.yaml").write_text(json.dumps({"sources": sources}))
    opened = f"{opened_at:%Y-%m-%dT%H:%M:%SZ}"
    (stage.folder / "talks.csv").write_text(",".join(columns) + f"\n{wamid(ann, 1)},ann,whatsapp,{opened},{opened}\n")


def write_archive(stage: Stage, *bodies: dict[str, Any]) -> None:
    (stage.folder / "chats.jsonl").write_text("".join(json.dumps(one) + "\n" for one in bodies))


def test_no_number_goes_on_with_the_id_of_a_message(
    make_stage: Callable[..., Stage],
    provider: Loopback,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REENGAGE_WHATSAPP_TOKEN", live.TOKEN)
    stage = make_stage(mode="live", **live.CAMPAIGN)
    live.configure(stage.folder, {live.WHATSAPP: provider.url})
    work, key = stage.work, stage.work.settings.suppression_key.get_secret_value()
    (send_key,) = live.due(stage, "ann", channel=live.WHATSAPP)
    stage.run_sql("update core.customers set phone = phone_e164, time_zone = time_zones[1]")
    ann = stage.one("select ltrim(phone_e164, '+') from core.customers")

    # they write, live; ours is accepted, reported by its number alone, and quoted in an answer
    now = datetime.now(UTC).replace(microsecond=0)
    opened_at = now - timedelta(minutes=60)
    said = conversations(ann, opened_at)
    hears(stage, *said)
    pull.received(work, now)
    stage.dispatch(None, limits=live.BRIEF)
    assert stage.end(send_key) == ("accepted", None)
    stamp = str(int(time.time()))
    status = {"id": wamid(ann, 900), "status": "delivered", "timestamp": stamp, "recipient_id": ann}
    answer = message(wamid(ann, 4), datetime.now(UTC), "thanks", wa_id=ann, context={"id": wamid(ann, 900)})
    hears(stage, body(statuses=[status, status | {"status": "sent"}]), body(answer))
    pull.received(work, now + timedelta(minutes=10))

    name = whatsapp_name(key, wamid(ann, 900))
    assert stage.send(send_key)["provider_message_id"] == name
    (told,) = stage.rows("select delivered_at, replied_at from campaign.message_reports")
    assert told["delivered_at"] is not None
    assert told["replied_at"] is not None
    assert stage.one("select sender from core.messages where message_id = :name", name=name) == "bot"
    about = stage.rows(
        "select edits.kind, messages.text from core.messages as edits"
        " inner join core.messages on messages.message_id = edits.about_id order by 1"
    )
    assert [tuple(row.values()) for row in about] == [("edit", "one"), ("revoke", None)]

    # an archive of the same, and a file of the same conversation, add nothing that is new
    name_sources(stage, ann, opened_at)
    write_archive(stage, *said, body(answer))
    before = stage.one("select count(*) from facts.conversations")
    _, again = pull.source(work, "chats", now + timedelta(minutes=11))
    pull.source(work, "talks", now + timedelta(minutes=11))
    assert (again.lines_in, again.accepted, again.duplicate) == (7, 0, 7)
    assert stage.one("select count(*) from facts.conversations") == before == 3
    measure.campaigns(work, now + timedelta(minutes=12))

    coded = {needle for number in (ann, HIDDEN, STRANGER) for needle in in_base64(number)}
    open_to_people = rows_of(stage, "facts", "evaluation")
    assert "facts.messages" in open_to_people
    assert telling(rows_of(stage, "core", "campaign"), coded) == []
    assert telling(open_to_people, coded) == []
    # somebody of whom nothing but the number is known is known by it
    assert telling(open_to_people, spellings(ann) | spellings(HIDDEN)) == []
    assert not any(needle in caplog.text.lower() for needle in coded | spellings(ann) | spellings(HIDDEN))

    # who is forgotten does not come back with the archive
    erase.person(work, "DE.77", None)
    write_archive(stage, *said)
    pull.source(work, "chats", now + timedelta(minutes=14))
    left = rows_of(stage, "raw", "core", "campaign", "facts", "evaluation")
    assert telling(left, spellings(HIDDEN)) == []
