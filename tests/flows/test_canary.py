"""A made-up person and made-up keys go through everything, with every error there is; then every sink is searched.

Sinks: what processes print at DEBUG, files of the state folder, all that Prefect keeps, the database server's log, the
evaluation, and every column of ours that holds words made for people to read.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from config.settings import CHECKOUT
from flows import server as flow_server
from tasks.store import embedded
from tasks.store.engine import Database
from tests import chats
from tests.channels import mail_send
from tests.channels.loopback import Answer, Loopback, Mode, Request
from tests.flows.conftest import PrefectServer
from tests.send.live import zone_where_it_is_noon
from tests.spellings import spellings

PEOPLE = 7
PHONE = "+4915127779{:03}"
EMAIL = "zzcanary.person{}@example.com"
FIRST, LAST, SAID, DEVICE = "Zzcanaryfirst", "Zzcanarylast", "zzcanary words of a message", "zzcanary-device-token"
SECRETS = {
    "REENGAGE_SENDGRID_API_KEY": "SG.zzcanarysendgrid.key",
    "REENGAGE_WHATSAPP_TOKEN": "zzcanary-whatsapp-token",
    "REENGAGE_WHATSAPP_APP_SECRET": "zzcanary-app-secret",
    "REENGAGE_SUPPRESSION_KEY": "zzcanary-suppression-key",
    "REENGAGE_UNSUBSCRIBE_KEYS": '["zzcanary-unsubscribe-key"]',
    "REENGAGE_SALT": "zzcanary-salt",
    "AWS_ACCESS_KEY_ID": "AKIAZZCANARY",
    "AWS_SECRET_ACCESS_KEY": "zzcanary-amazon-secret",
}
CANARIES = (
    "zzcanary", "SG.zzcanarysendgrid", "AKIAZZCANARY", FIRST, LAST, SAID, DEVICE,
    *(EMAIL.format(number) for number in range(PEOPLE)), *(PHONE.format(number) for number in range(PEOPLE)),
    *(PHONE.format(number).lstrip("+") for number in range(PEOPLE)),
)  # fmt: skip
KEY = ec.generate_private_key(ec.SECP256R1())
EVENT_KEY = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()


NEEDLES = sorted({spelling for canary in CANARIES for spelling in spellings(canary)})


def leaks(sink: str, text: str) -> list[str]:
    """Lines of a sink that say something of the canary."""
    low = text.lower()
    if not any(needle in low for needle in NEEDLES):
        return []
    return [f"{sink}: {line[:300]}" for line in text.splitlines() if any(needle in line.lower() for needle in NEEDLES)]


# --------------------------------------------------------------------------------------------------------------- world


def bad_mood() -> Loopback:
    """SendGrid on a bad day: whom it refuses it quotes, and it says no in every way there is."""
    seen: dict[str, int] = {}

    def addresses(request: Request) -> list[str]:
        return [one["to"][0]["email"] for one in request.json["personalizations"]]

    def quoting(status: int, request: Request, field: str | None = None) -> Answer:
        said = f"no to {' '.join(addresses(request))} {request.body.decode()[:2000]}"
        return Answer(status, {"errors": [{"message": said, "field": field}]}, {"X-Said": addresses(request)[0]})

    def judge(request: Request) -> Answer | None:
        people = addresses(request)
        if len(people) > 1:
            return quoting(400, request, "personalizations")
        who = people[0]
        seen[who] = seen.get(who, 0) + 1
        if who == EMAIL.format(1):
            return quoting(400, request, "personalizations.0.to.0.email")
        if who == EMAIL.format(2):
            return quoting(500, request)
        if who == EMAIL.format(4) and seen[who] == 1:
            return quoting(401, request)
        if who == EMAIL.format(5):
            return quoting(429, request)
        return None

    def conduct(request: Request) -> Mode:
        who = addresses(request)
        return {
            EMAIL.format(3): Mode.DROP_AFTER, EMAIL.format(6): Mode.MALFORMED
        }.get(who[0] if len(who) == 1 else "", Mode.ACCEPT)  # fmt: skip

    provider = Loopback(judge=judge, keys=mail_send.attempts, yes=mail_send.accepted, no=mail_send.refusal)
    provider.conduct = conduct
    return provider


def write_shop(folder: Path, endpoint: str) -> None:
    """A configuration and its files: people who are late, lines that cannot be read, a load that cannot be believed."""
    shutil.copytree(CHECKOUT / "config" / "campaigns" / "lapsing_customers", folder / "campaigns" / "lapsing_customers")
    shutil.copytree(CHECKOUT / "config" / "suites", folder / "suites")
    campaign = folder / "campaigns" / "lapsing_customers" / "campaign.yaml"
    campaign.write_text(campaign.read_text().replace("holdout: 0.1", "holdout: 0"))
    provider = {"provider": "email_sendgrid", "endpoint": endpoint, "calls_in_flight": 1, "event_key": EVENT_KEY}
    (folder / "reengage.yaml").write_text(json.dumps({"mode": "live", "time_zone": "UTC", "providers": [provider]}))
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    past = f"{today - timedelta(days=300):%Y-%m-%dT%H:%M:%SZ}"
    files = {
        "customers": [
            *(
                f"zz{n},{EMAIL.format(n)},{PHONE.format(n)},{FIRST},{LAST},de,DE,{zone_where_it_is_noon()},{past}"
                for n in range(PEOPLE)
            ),
            f",{EMAIL.format(0)},,{FIRST},{LAST},,,,{past}",
            f"zz8,{EMAIL.format(0)},,{FIRST},{LAST},,,,2026-02-30 10:00:00{SAID}+00",
            f"zz9,{EMAIL.format(0)},,{FIRST},{LAST},,,,{SAID}",
            f"zz9,{EMAIL.format(0)}",
        ],
        "purchases": [
            *(
                f"o{n}{k},zz{n},{today - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ},10.00,EUR,paid,{past}"
                for n in range(PEOPLE)
                for k, days in enumerate((70, 40))
            ),
            f"o99,zz1,{past},{EMAIL.format(1)},EUR,paid,{past}",
            f"o98,zz1,{past},1.00,{SAID},paid,{past}",
        ],
        "consents": [
            *(
                f"c{n}{channel},zz{n},{channel},marketing,granted,express,{SAID},true,true,{past}"
                for n in range(PEOPLE)
                for channel in ("email", "push", "meta", "google")
            ),
            f"c99,{EMAIL.format(1)},{SAID},marketing,maybe,express,{SAID},,,{past}",
        ],
        "push_tokens": [
            *(f"t{n},zz{n},{DEVICE}-{n},fcm,true,{past}" for n in range(PEOPLE)),
            f"t99,zz1,{DEVICE},pager,true,{past}",
        ],
        "conversations": [f"v1,zz1,whatsapp,{past},lead,{past},{past}"],
        "messages": [f"m1,v1,inbound,customer,{past},{SAID}", f"m2,v1,sideways,customer,{past},{SAID}"],
        "visits": [f"w{n},s1,zz1,https://example.com/?mail={EMAIL.format(1)},{SAID}" for n in range(40)],
        "events": [f'e{n},zz1,signed,{past},"{{{SAID}"' for n in range(40)],
    }
    columns = {
        "customers": "customer_id email phone first_name last_name language country time_zone updated_at",
        "purchases": "order_id customer_id purchased_at amount currency status updated_at",
        "consents": "consent_id customer_id channel purpose status basis source ad_user_data ad_personalization "
        "occurred_at",
        "push_tokens": "token_id customer_id endpoint platform active updated_at",
        "conversations": "conversation_id customer_id channel opened_at milestone milestone_at updated_at",
        "messages": "message_id conversation_id direction sender sent_at text",
        "visits": "visit_id session_id customer_id page_url viewed_at",
        "events": "event_id customer_id name occurred_at properties",
    }
    sources = {}
    for name, lines in files.items():
        header = columns[name].split()
        (folder / f"{name}.csv").write_text("\n".join([",".join(header), *lines]) + "\n")
        sources[name] = {"entity": name, "kind": "file", "place": f"{name}.csv", "columns": {c: c for c in header}}
    (folder / "reports.jsonl").write_text(
        json.dumps(
            [{"email": EMAIL.format(0), "event": "bounce", "timestamp": 1, "sg_message_id": "m", "reason": SAID}]
        )
        + f"\n{{{EMAIL.format(1)} {SAID}\n"
    )
    talk = chats.body(
        chats.message(chats.wamid(PHONE.format(5)), today - timedelta(days=9), SAID, wa_id=PHONE.format(5).lstrip("+")),
        chats.message(chats.wamid(PHONE.format(5), 2), today - timedelta(days=8), SAID, wa_id=PHONE.format(5)[1:]),
    )
    (folder / "chats.jsonl").write_text(json.dumps(talk) + f"\n{{{PHONE.format(5)} {SAID}\n")
    sources["chats"] = {"kind": "whatsapp", "place": "chats.jsonl"}
    sources["mail_reports"] = {"kind": "reports", "provider": "email_sendgrid", "place": "reports.jsonl"}
    (folder / "sources.yaml").write_text(json.dumps({"sources": sources}))


@dataclass(frozen=True)
class Day:
    """What a day left behind."""

    database: Database
    home: Path
    said: str
    provider: Loopback

    def rows(self, statement: str) -> list[Mapping[str, Any]]:
        with self.database.transaction() as connection:
            return [dict(row) for row in connection.execute(sa.text(statement)).mappings()]


@pytest.fixture(scope="module")
def lived(prefect: PrefectServer, make_database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """One live day with a receiver beside it."""
    database: Database = make_database()
    home = tmp_path_factory.mktemp("canary-home")
    shutil.copy(database.home / "roles.json", home)  # the logins were made elsewhere
    config = tmp_path_factory.mktemp("canary-config")
    with bad_mood().running() as provider:
        write_shop(config, provider.url)
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("REENGAGE_", "PREFECT_"))},
            **SECRETS,
            "PREFECT_HOME": str(home / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{prefect.port}/api",
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
            "PREFECT_LOGGING_LEVEL": "DEBUG",
            "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG",
            "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "results"),
            "REENGAGE_CONFIG": str(config),
            "REENGAGE_HOME": str(home),
            "REENGAGE_DATABASE_URL": database.url.render_as_string(hide_password=False),
            "PYTHONPATH": str(CHECKOUT),
            "COLUMNS": "300",
        }
        said = _run([sys.executable, "-m", "tests.flows.canary_day"], env)
        said += _hear_back(env, database)
        yield Day(database, home, said, provider)


def _run(command: list[str], env: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400, check=False
    )
    return done.stdout.decode(errors="replace")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _chat(attempt: object) -> bytes:
    """What people wrote over WhatsApp, one refusal among it, and what became of messages, in Meta's words."""
    number = PHONE.format(4).lstrip("+")
    written = [
        {"from": number, "id": chats.wamid(number, place), "timestamp": str(int(time.time())), "type": "text",
         "text": {"body": text}}
        for place, text in enumerate((SAID, f"please stop {SAID}", "STOP"))
    ]  # fmt: skip
    became = [
        {"id": chats.wamid(number, 9), "status": status, "timestamp": str(int(time.time())), "recipient_id": number,
         "biz_opaque_callback_data": str(attempt),
         "errors": [{"code": 131026, "title": SAID, "error_data": {"details": f"{SAID} {number}"}}]}
        for status in ("failed", SAID)
    ]  # fmt: skip
    value = {"contacts": [{"wa_id": number, "profile": {"name": FIRST}}], "messages": written, "statuses": became}
    return json.dumps({"entry": [{"id": "1", "changes": [{"value": value}]}]}).encode()


def _hear_back(env: Mapping[str, str], database: Database) -> str:
    """Reports, genuine and forged, and links, right and wrong, against the real command; what it said."""
    port = flow_server.free_port()
    program = "import logging; logging.basicConfig(level=logging.DEBUG); from flows.__main__ import main; main()"
    receiver = subprocess.Popen(
        [sys.executable, "-c", program, "hooks", "--port", str(port)], cwd=CHECKOUT, env=env,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.extend(receiver.stdout or ()), daemon=True)
    reader.start()
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not _listens(port):
            assert receiver.poll() is None, b"".join(heard).decode()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        with database.transaction() as connection:
            attempt = connection.execute(sa.text("select attempt_id from campaign.attempts limit 1")).scalar_one()
        events = [
            {"email": EMAIL.format(3), "event": kind, "timestamp": int(time.time()), "sg_message_id": SAID,
             "attempt_id": str(attempt), "reason": f"{SAID} {EMAIL.format(3)}", "type": "bounce"}
            for kind in ("delivered", "bounce", "open", SAID)
        ]  # fmt: skip
        for body in (json.dumps(events).encode(), f"{{{SAID} {EMAIL.format(3)}".encode(), b"\xff" + SAID.encode()):
            stamp = str(int(time.time()))
            signature = base64.b64encode(KEY.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
            for signed in (signature, "zzcanary"):
                httpx.post(
                    f"{url}/hooks/sendgrid", content=body,
                    headers={"X-Twilio-Email-Event-Webhook-Signature": signed,
                             "X-Twilio-Email-Event-Webhook-Timestamp": stamp},
                )  # fmt: skip
        for chat in (_chat(attempt), f"{{{SAID} {PHONE.format(4)}".encode(), b"\xff" + SAID.encode()):
            for secret in (SECRETS["REENGAGE_WHATSAPP_APP_SECRET"], "zzcanary"):
                signature = hmac.new(secret.encode(), chat, hashlib.sha256).hexdigest()
                httpx.post(
                    f"{url}/hooks/whatsapp", content=chat, headers={"X-Hub-Signature-256": f"sha256={signature}"}
                )
        for path in ("hooks/whatsapp", "hooks/sns/ses", f"unsubscribe/{quote(EMAIL.format(3))}", f"{SAID}/x?y={SAID}"):
            httpx.post(f"{url}/{path}", content=f'{{"a": "{SAID}"}}'.encode())
            httpx.get(f"{url}/{path}")
    finally:
        receiver.terminate()
        receiver.wait(30)
        reader.join(10)
    return b"".join(heard).decode(errors="replace")


# --------------------------------------------------------------------------------------------------------------- sinks


def test_the_day_met_every_kind_of_trouble(lived: Day):
    """Else the searches below would prove nothing."""
    states = {row["state"] for row in lived.rows("select distinct state from campaign.sends")}
    outcomes = {row["outcome"] for row in lived.rows("select distinct outcome from campaign.attempts")}

    assert {"accepted", "unknown"} <= states, lived.said[-3000:]
    assert {"accepted", "refused", "unanswered", "returned", "misconfigured", "busy"} <= outcomes
    assert lived.rows("select 1 from raw.quarantine where raw like '%zzcanary%'")
    assert {row["state"] for row in lived.rows("select distinct state from raw.loads")} >= {"merged", "held"}
    assert lived.rows("select 1 from outbox.messages where address like '%zzcanary%'")
    assert lived.rows("select 1 from campaign.audience_members where applied")
    assert {row["kind"] for row in lived.rows("select kind from campaign.provider_events")} >= {"delivered", "bounced"}
    assert lived.rows("select 1 from campaign.refused_hooks")
    assert {row["verdict"] for row in lived.rows("select verdict from campaign.replies")} == {"none", "unclear", "stop"}
    assert lived.rows("select 1 from core.suppressions where reason = 'stop_word'")
    assert len(lived.rows("select 1 from raw.quarantine where source = 'hooks/whatsapp'")) == 2
    assert "DEBUG" in lived.said
    assert len(lived.rows("select 1 from campaign.erasures where completed_at is not null")) == 1


def test_nothing_that_was_printed_or_logged_says_who(lived: Day):
    assert leaks("printed", lived.said) == []


def test_the_log_of_the_prefect_server_does_not_say_who(prefect: PrefectServer, lived: Day):
    assert leaks(prefect.log.name, prefect.log.read_text(errors="replace")) == []


def test_no_file_of_the_state_folder_says_who(lived: Day):
    files = [path for path in lived.home.rglob("*") if path.is_file()]

    found = [leak for path in files for leak in leaks(path.name, path.read_bytes().decode("latin-1"))]

    assert found == []


def test_nothing_prefect_keeps_says_who(lived: Day, prefect: PrefectServer):
    rows = list(prefect.rows())

    assert any("lapsing_customers" in row for row in rows)
    assert [leak for row in rows for leak in leaks("prefect", row)] == []


def test_the_log_of_the_database_server_does_not_say_who(lived: Day, server: embedded.Server):
    logs = [path for path in server.data.rglob("*.log") if path.is_file()]

    assert logs
    assert [leak for path in logs for leak in leaks(path.name, path.read_text(errors="replace"))] == []


def leaks_of(lived: Day, schema: str) -> list[str]:
    """Rows of a schema's tables and views that say something of the canary."""
    found = lived.rows(f"select table_name from information_schema.tables where table_schema = '{schema}'")
    names = [f"{schema}.{row['table_name']}" for row in found]
    assert len(names) > 10
    rows = ((name, row["row"]) for name in names for row in lived.rows(f"select cast(t as text) as row from {name} t"))
    return [leak for name, row in rows for leak in leaks(name, row)]


def test_nothing_the_dashboard_can_read_says_who(lived: Day):
    assert leaks_of(lived, "evaluation") == []


def test_nothing_analysts_can_read_says_who(lived: Day):
    assert lived.rows("select 1 from facts.messages inner join facts.conversations using (conversation_id)"
                      " where customer_id = 'zz5'")  # fmt: skip
    assert leaks_of(lived, "facts") == []


@pytest.mark.parametrize(
    "words",
    [
        "raw.loads", "raw.objects", "raw.watermarks", "raw.validations", "campaign.runs", "campaign.campaigns",
        "campaign.holds", "campaign.decisions", "campaign.sends", "campaign.refused_hooks", "campaign.rates",
        "campaign.erasures", "core.suppressions",
    ],
)  # fmt: skip
def test_words_made_for_people_to_read_do_not_say_who(lived: Day, words: str):
    rows = lived.rows(f"select cast(t as text) as row from {words} as t")

    assert [leak for row in rows for leak in leaks(words, row["row"])] == []
