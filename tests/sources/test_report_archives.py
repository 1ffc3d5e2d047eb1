"""Archives of reports: each object once, each line accounted for, and nothing of a bad line lost."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from tasks import pull
from tasks.store import quarantine
from tasks.store.workspace import Workspace
from tests.exports import AS_OF, Exports
from tests.receiver.conftest import Scene
from tests.send.conftest import ledger_database, make_stage
from tests.send.stage import NOON, Stage

__all__ = ["ledger_database", "make_stage"]

SOURCES = """
sources:
  mail_reports: {kind: reports, provider: email_sendgrid, place: mail*.jsonl*}
  chat_reports: {kind: reports, provider: whatsapp_aws, place: chat.jsonl, fresh_within: 36h}
"""


@pytest.fixture
def archive(tmp_path, make_workspace) -> Exports:
    return Exports(tmp_path, make_workspace, SOURCES)


def event(kind: str = "delivered", number: int = 0, **changes: Any) -> dict[str, Any]:
    return {"email": f"x{number}@example.com", "event": kind, "timestamp": 1_773_144_000 + number,
            "sg_message_id": f"m{number}.0"} | changes  # fmt: skip


def lines(*items: Any) -> str:
    return "".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in items)


def counts(load: pull.Load) -> tuple[int, int, int, int]:
    assert load.state == "merged"
    return load.lines_in, load.accepted, load.duplicate, load.quarantined


def test_every_line_is_counted_once_whatever_it_holds(archive: Exports) -> None:
    archive.write(
        "mail_1.jsonl",
        lines(
            event("delivered", 1),  # one event
            [event("open", 2), event("click", 3)],  # one body
            event("delivered", 1, sg_event_id="again"),  # known by now
            "",
            "no json",
            [event("bounce", 4, type="bounce"), {"no": "event"}],  # part of it can be read
            [],
        ),
    )

    [load] = archive.pull("mail_reports")

    assert counts(load) == (6, 2, 2, 2)
    kinds = archive.all("select kind from campaign.provider_events order by kind")
    assert [kind for (kind,) in kinds] == ["bounced", "clicked", "delivered", "opened"]
    assert archive.all("select line_no, entity, reason, raw <> '' from raw.quarantine order by line_no") == [
        (5, "reports", "malformed_json", True),
        (6, "reports", "not_an_event", True),
    ]


def test_an_object_is_taken_once_and_a_new_one_next_time(archive: Exports) -> None:
    archive.write("mail_1.jsonl", lines(event("delivered", 1)))
    assert [counts(load) for load in archive.pull("mail_reports")] == [(1, 1, 0, 0)]
    assert archive.pull("mail_reports") == []
    archive.write("mail_2.jsonl.gz", gzip.compress(lines(event("delivered", 1), event("open", 2)).encode()))

    [load] = archive.pull("mail_reports")

    assert counts(load) == (2, 1, 1, 0)


def test_the_same_archive_in_any_order_and_batching_is_the_same(archive: Exports) -> None:
    found = [event(kind, number) for number in range(700) for kind in ("delivered", "open")]
    archive.write("mail_1.jsonl", lines(*found))
    archive.write("mail_2.jsonl", lines(*reversed(found)))
    archive.write("mail_3.jsonl", lines(found[:100], found[100:]))

    loads = archive.pull("mail_reports")

    assert [counts(load) for load in loads] == [(1400, 1400, 0, 0), (1400, 0, 1400, 0), (2, 0, 2, 0)]
    assert archive.all("select count(*) from campaign.provider_events") == [(1400,)]


def test_damaged_gzip_and_lines_without_end_fail_or_wait_with_a_reason(archive: Exports) -> None:
    whole = gzip.compress(lines(*(event("open", number) for number in range(2000))).encode())
    archive.write("mail_1.jsonl.gz", whole[: len(whole) // 2])
    archive.write("mail_2.jsonl", b"[" + b" " * 1_100_000 + b"]\n" + lines(event("delivered", 1)).encode() + b"{")

    failed, merged = archive.pull("mail_reports")

    assert (failed.state, "cut short" in str(failed.reason)) == ("failed", True)
    assert counts(merged) == (3, 1, 0, 2)
    assert archive.all("select line_no, reason from raw.quarantine order by 1") == [
        (1, "field_too_long"),
        (3, "malformed_json"),
    ]
    assert archive.all("select kind from campaign.provider_events") == [("delivered",)]
    archive.write("mail_1.jsonl.gz", whole)
    [load] = archive.pull("mail_reports")
    assert counts(load) == (2000, 2000, 0, 0)


def test_a_line_that_can_be_read_some_day_is_replayed_like_any_other(archive: Exports) -> None:
    archive.write("mail_1.jsonl", lines("not yet", event("open", 1)))
    archive.pull("mail_reports")
    with archive.work.database.transaction() as connection:
        connection.exec_driver_sql(
            'update raw.quarantine set raw = \'{"event": "delivered", "sg_message_id": "m9.0"}\''
        )
        [answer] = quarantine.replay(connection, archive.work.queries, "change-me", quarantine.Choice())

    assert (answer.source, answer.counts.lines_in, answer.counts.accepted) == ("mail_reports", 1, 1)
    assert archive.all("select count(*) from raw.quarantine where replayed_at is null") == [(0,)]
    assert archive.all("select kind from campaign.provider_events order by 1") == [("delivered",), ("opened",)]


def test_people_come_before_reports_about_them(archive: Exports) -> None:
    assert pull.in_order(archive.work) == ["chat_reports", "mail_reports"]


def test_a_silent_archive_is_told(archive: Exports) -> None:
    archive.write("chat.jsonl", lines({"whatsAppWebhookEntry": '{"changes": []}'}))
    archive.pull("chat_reports")

    [stale] = archive.pull("chat_reports", as_of=AS_OF + timedelta(hours=40))

    assert stale.state == "stale"


@pytest.mark.parametrize(
    ("source", "finding"),
    [
        ("{kind: reports, provider: email_mailgun, place: x}", "provider"),
        ("{kind: reports, place: x}", "provider"),
        ("{kind: reports, provider: email_ses, place: 'ftp://x'}", "must be a path or an s3:// address"),
        ("{kind: reports, provider: email_ses, place: x, columns: {a: b}}", "columns"),
    ],
)
def test_a_wrong_archive_is_a_finding(tmp_path, make_workspace, source: str, finding: str) -> None:
    shop = Exports(tmp_path, make_workspace, f"sources:\n  x: {source}\n")

    with pytest.raises(ConfigError, match=finding):
        pull.in_order(shop.work)


def test_archives_in_a_bucket_settle_doubts_as_the_receiver_would(
    make_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    for name, value in {
        "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    stage = make_stage(mode="simulated")
    scene = Scene(stage)
    attempt = scene.sent("ann", state="unknown")
    (stage.folder / "sources.yaml").write_text(
        "sources: {reports: {kind: reports, provider: email_sendgrid, place: 's3://reports/mail/*.jsonl'}}"
    )
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        bucket = boto3.client("s3")
        bucket.create_bucket(Bucket="reports", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        body = lines([event("bounce", 1, type="bounce", attempt_id=attempt)])
        bucket.put_object(Bucket="reports", Key="mail/2026-03-10.jsonl", Body=body.encode())
        bucket.put_object(Bucket="reports", Key="other/2026-03-10.jsonl", Body=b"not ours")

        loads = [pull.source(stage.work, "reports", NOON + timedelta(hours=hours)) for hours in (1, 2)]
    finally:
        server.stop()

    assert [[counts(load) for load in found] for found in loads] == [[(1, 1, 0, 0)], []]
    assert stage.end(scene.key_of(attempt)) == ("accepted", None)
    assert scene.suppressions() == {("email", "all", "hard_bounce")}
    settled = stage.one("select settled_at from campaign.sends")
    assert settled == NOON + timedelta(hours=1)  # the moment of the run decides in a simulated database


class SlowBucket(BaseHTTPRequestHandler):
    """A bucket of one object that takes its time."""

    BODY = lines(event("delivered", 1)).encode()

    def do_GET(self) -> None:
        if "list-type" in self.path:
            content = b"<ListBucketResult><Contents><Key>mail.jsonl</Key><ETag>&quot;1&quot;</ETag></Contents>"
            content += b"<IsTruncated>false</IsTruncated></ListBucketResult>"
        else:
            time.sleep(3)
            content = self.BODY
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_a_bucket_may_take_longer_than_a_transaction_may_be_idle(
    tmp_path: Path, make_workspace: Callable[..., Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "{kind: reports, provider: email_sendgrid, place: 's3://reports/mail.jsonl'}"
    shop = Exports(tmp_path, make_workspace, f"sources: {{reports: {source}}}")
    shop.work.database.most_idle = timedelta(seconds=1)
    server = ThreadingHTTPServer(("127.0.0.1", 0), SlowBucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    try:
        [load] = shop.pull("reports")
    finally:
        server.shutdown()
        server.server_close()

    assert counts(load) == (1, 1, 0, 0)
