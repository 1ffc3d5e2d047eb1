"""Messages that come live make the same conversations as an archive of them, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from config.settings import CHECKOUT
from tasks import pull
from tasks.store import erasure, milestones, replies
from tasks.store.gate import MERGE_LOCK
from tasks.store.workspace import Workspace
from tests.chats import OPENED, at, body, from_ad, message, plain
from tests.receiver.conftest import PROVIDERS, Receiver, Scene
from tests.receiver.test_hooks import meta
from tests.send.conftest import ledger_database, make_stage

__all__ = ["ledger_database", "make_stage"]

CLICK = body(message("wamid.1", OPENED, "Hello!", **from_ad("ad-1")))
ANSWER = body(message("wamid.2", at(1), "How much is it?"))
LATER = datetime.fromisoformat("2026-06-01T12:00:00+00:00")


def post(receiver: Receiver, *bodies: dict[str, Any]) -> None:
    for given in bodies:
        raw = json.dumps(given).encode()
        assert receiver.post("/hooks/whatsapp", raw, **meta(raw)).status_code == 200


def conversations(receiver: Receiver) -> list[tuple[str, str, str | None]]:
    rows = receiver.scene.stage.rows("select conversation_id, customer_id, ad_id from facts.conversations order by 1")
    key = receiver.scene.work.settings.suppression_key.get_secret_value()
    return [plain((row["conversation_id"], row["customer_id"], row["ad_id"]), key) for row in rows]


def test_what_comes_live_is_a_conversation_with_the_next_run(receiver: Receiver) -> None:
    post(receiver, CLICK, ANSWER, CLICK)
    assert conversations(receiver) == []

    [load] = pull.received(receiver.scene.work, LATER)

    assert (load.source, load.lines_in, load.accepted, load.duplicate) == ("received", 3, 2, 1)
    assert conversations(receiver) == [("wamid.1", "4915112345678", "ad-1")]
    said = receiver.scene.stage.rows("select milestone from facts.milestones")
    assert [row["milestone"] for row in said] == ["lead"]
    assert pull.received(receiver.scene.work, LATER) == []


def test_the_archive_of_the_same_adds_nothing(receiver: Receiver) -> None:
    post(receiver, CLICK)
    pull.received(receiver.scene.work, LATER)
    folder = receiver.scene.stage.folder
    (folder / "suites").symlink_to(CHECKOUT / "config" / "suites")
    (folder / "sources.yaml").write_text("sources: {chats: {kind: whatsapp, place: chats.jsonl}}")
    (folder / "chats.jsonl").write_text(json.dumps(CLICK) + "\n" + json.dumps(ANSWER) + "\n")

    reports, messages = pull.source(receiver.scene.work, "chats", LATER)

    assert (reports.accepted, reports.duplicate) == (1, 1)
    assert (messages.accepted, messages.duplicate) == (1, 1)
    assert conversations(receiver) == [("wamid.1", "4915112345678", "ad-1")]
    assert receiver.scene.stage.one("select count(*) from campaign.replies") == 2


def test_messages_wait_while_another_load_is_merged_and_nothing_of_them_is_begun(receiver: Receiver) -> None:
    post(receiver, CLICK)
    [first] = pull.received(receiver.scene.work, LATER)
    post(receiver, ANSWER)
    with receiver.scene.work.database.transaction() as merging:
        merging.execute(sa.select(sa.func.pg_advisory_xact_lock(MERGE_LOCK)))

        assert pull.received(receiver.scene.work, LATER) == []

    [load] = pull.received(receiver.scene.work, LATER)
    assert load.accepted == 1
    assert load.load_id == first.load_id + 1, "numbers that were taken are not given back"


def test_they_wait_while_another_load_is_landed(receiver: Receiver) -> None:
    post(receiver, CLICK)
    with receiver.scene.work.database.transaction() as landing, ThreadPoolExecutor(1) as beside:
        landing.execute(sa.text("lock table raw.messages in access share mode"))  # as a long copy beside it holds
        taking = beside.submit(pull.received, receiver.scene.work, LATER)

        try:
            assert taking.result(timeout=30) == []  # it gives up after five seconds
        finally:
            landing.rollback()  # or this test would wait for what should not have waited

    assert [load.accepted for load in pull.received(receiver.scene.work, LATER)] == [1]


def test_a_dispatch_takes_them_in_first(
    make_scene: Callable[..., Scene], make_receiver: Callable[..., Receiver]
) -> None:
    from flows.dispatch import dispatch
    from flows.story import using

    receiver = make_receiver(make_scene(dict.fromkeys(PROVIDERS)))
    post(receiver, CLICK)

    with using(receiver.scene.work):
        dispatch.fn()

    assert conversations(receiver) == [("wamid.1", "4915112345678", "ad-1")]


def test_beside_what_is_due_no_more_than_one_batch_of_milestones_is_derived(receiver: Receiver) -> None:
    stage = receiver.scene.stage
    stage.run_sql(
        "insert into core.conversations_changed (conversation_id)"
        " select 'earlier ' || number from generate_series(1, :number) as number",
        number=milestones.BATCH + 1,
    )
    post(receiver, CLICK)

    assert [load.accepted for load in pull.received(receiver.scene.work, LATER)] == [1]

    assert stage.one("select count(*) from core.conversations_changed") == 2


def test_neither_milestones_nor_messages_that_cannot_be_read_stop_a_dispatch(
    make_scene: Callable[..., Scene], make_receiver: Callable[..., Receiver]
) -> None:
    from flows.dispatch import dispatch
    from flows.story import using

    receiver = make_receiver(make_scene(dict.fromkeys(PROVIDERS)))
    stage = receiver.scene.stage
    post(receiver, CLICK)
    nobody = SecretStr("postgresql://nobody:wrong@127.0.0.1:1/none")
    work = Workspace(stage.work.settings.model_copy(update={"analyst_url": nobody}))

    with using(work):
        dispatch.fn()
        assert conversations(receiver) == [("wamid.1", "4915112345678", "ad-1")]
        assert stage.rows("select milestone from facts.milestones") == []
        stage.run_sql("insert into raw.received_messages (raw, fields) values ('{}', '{}')")
        dispatch.fn()
    work.close()

    assert stage.one("select count(*) from raw.received_messages") == 1
    assert [row["state"] for row in stage.rows("select state from campaign.runs")] == ["completed", "completed"]


def test_who_is_erased_before_the_next_run_is_not_brought_in_by_it(receiver: Receiver) -> None:
    post(receiver, CLICK)
    pull.received(receiver.scene.work, LATER)
    post(receiver, ANSWER, body(message("wamid.3", at(2), wa_id=None, user_id="DE.5")))

    work = receiver.scene.work
    with work.database.transaction() as connection:
        begun = erasure.begin(work, connection, "4915112345678", LATER)
    with work.database.transaction() as connection:
        assert isinstance(begun, erasure.Erasure)
        assert erasure.clear(work, connection, begun)

    loads = pull.received(receiver.scene.work, LATER + timedelta(hours=1))
    assert [(load.lines_in, load.accepted) for load in loads] == [(1, 1)]
    for table in ("core.messages", "core.conversations", "core.customers"):
        held = receiver.scene.stage.rows(f"select cast(t as text) as row from {table} as t")
        assert not [row for row in held if "4915112345678" in row["row"]], table
    post(receiver, CLICK)
    assert receiver.scene.stage.one("select count(*) from raw.received_messages") == 0
    assert receiver.scene.refused() == {("hooks/whatsapp", "erased"): 1}


def test_a_stop_from_a_number_that_nobody_knew_then_holds_when_it_is_known_whose_it_is(receiver: Receiver) -> None:
    work, stage = receiver.scene.work, receiver.scene.stage
    stage.person("ann")
    number = stage.one("select phone_e164 from core.customers").lstrip("+")
    same = {"user_id": "DE.5"}
    stop = body(message("wamid.2", at(1), "STOP", wa_id="491709999997", **same))
    post(receiver, body(message("wamid.1", OPENED, wa_id=number, **same)), stop)
    post(receiver, body(message("wamid.3", at(2), "please leave me alone", wa_id=None, **same)))
    assert receiver.scene.withdrawn("ann") == set()
    assert stage.one("select text from campaign.replies where address_hmac is null") is None

    pull.received(work, LATER)
    for _ in range(2):
        with work.database.transaction() as connection:
            key = work.settings.suppression_key.get_secret_value()
            replies.judge_loads(connection, work.queries, key=key, revoke_all=True)

    assert len(receiver.scene.withdrawn("ann")) == 6
    found = stage.rows("select customer_id, text, verdict from campaign.replies where verdict <> 'none' order by 3")
    assert [tuple(row.values()) for row in found] == [
        ("ann", "STOP", "stop"), ("ann", "please leave me alone", "unclear"),
    ]  # fmt: skip
    assert stage.one("select count(*) from campaign.replies") == 3
    assert {row["customer_id"] for row in stage.rows("select customer_id from campaign.reply_holds")} == {"ann"}
