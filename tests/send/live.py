"""A live stage whose emails go to SendGrid and whose other messages go to WhatsApp, both on loopback."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from tasks.store import reports
from tasks.store.ledger import Limits
from tests.channels import mail_send, test_whatsapp_cloud
from tests.channels.loopback import Answer, Loopback
from tests.send.stage import EVIDENCE, Stage

EMAIL, WHATSAPP = "email", "whatsapp"
TOKEN: Final = "a-token"
PROVIDERS: Final = {EMAIL: "email_sendgrid", WHATSAPP: "whatsapp_cloud"}
CHANNELS: Final = tuple(PROVIDERS)
BRIEF: Final = Limits(lease=timedelta(seconds=130), call_timeout=timedelta(seconds=8))
# Calls are cut off after a second, so that a provider that hangs costs a test no more than that.
HURRIED: Final = Limits(lease=timedelta(seconds=125), call_timeout=timedelta(seconds=1))
STEPS: Final = [
    {
        "send_after": "9h",
        "messages": {
            EMAIL: {"subject": "Hello", "file": "email.html"},
            WHATSAPP: {"file": "whatsapp.txt", "template": {"name": "come_back", "language": "en"}},
        },
    }
]
CROWD: Final = Path(__file__).with_name("crowd.sql")
CAMPAIGN: Final[dict[str, Any]] = {"channels": list(CHANNELS), "steps": STEPS}


def sendgrid() -> Loopback:
    """SendGrid, counting our keys."""
    return mail_send.provider()


def meta() -> Loopback:
    """WhatsApp's Cloud API, counting our keys."""
    return Loopback(
        judge=test_whatsapp_cloud.judge,
        keys=lambda request: [request.json["biz_opaque_callback_data"]],
        yes=test_whatsapp_cloud.yes,
        no=lambda status: Answer(status, {"error": {"message": "told so", "type": "x", "code": -status}}),
    )


def configure(folder: Path, urls: dict[str, str], campaign: str = "back", **options: Any) -> None:
    """Name the providers in reengage.yaml, with one call at a time, and give the campaign its WhatsApp text."""
    given = {"calls_in_flight": 1, **options}
    providers = [{"provider": PROVIDERS[channel], "endpoint": url, **given} for channel, url in urls.items()]
    for provider in providers:
        if provider["provider"] == PROVIDERS[WHATSAPP]:
            provider["phone_number_id"] = test_whatsapp_cloud.NUMBER
    (folder / "reengage.yaml").write_text(json.dumps({"providers": providers}), "utf-8")
    (folder / "campaigns" / campaign / "whatsapp.txt").write_text("Hello {{ voucher.code }}", "utf-8")


def zone_where_it_is_noon(hours_behind: int = 0) -> str:
    """Nobody is written to at night, and a test may run at any time; or a zone so many hours behind that one."""
    west = datetime.now(UTC).hour - 12 + hours_behind  # these names count the other way round
    return f"Etc/GMT{west - 24 if west > 12 else west:+d}"  # there is none beyond twelve: a day ahead, same wall clock


def due(stage: Stage, *people: str, channel: str = EMAIL, channels: tuple[str, ...] = ()) -> list[str]:
    """Messages that are due for reachable people; answers their keys."""
    at = stage.one("select clock_timestamp()") - timedelta(minutes=1)
    return [
        stage.planned(
            person, channel=channel, channels=channels or (channel,), zones=(zone_where_it_is_noon(),), due=at
        )
        for person in people
    ]


def crowd(stage: Stage, people: Sequence[Mapping[str, Any]]) -> list[str]:
    """Many people with a message each that is due, in one statement; answers their keys."""
    statement = sa.text(CROWD.read_text("utf-8")).bindparams(
        sa.bindparam("people", type_=JSONB), sa.bindparam("evidence", type_=JSONB)
    )
    given = {"people": list(people), "zone": zone_where_it_is_noon(), "evidence": EVIDENCE}
    with stage.work.database.transaction() as connection:
        return list(connection.execute(statement, given).scalars())


def pass_time(stage: Stage) -> None:
    """Let every wait, every lease and every provider's rest be over."""
    stage.run_sql("update campaign.rests set rests_until = least(rests_until, clock_timestamp() - interval '1 s')")
    stage.run_sql(
        "update campaign.sends set not_before = least(not_before, clock_timestamp() - interval '1 s'),"
        " lease_until = least(lease_until, clock_timestamp() - interval '1 h')"
    )


def attempts(stage: Stage, key: str) -> list[str]:
    """Ids of a message's attempts, the first one first: what the provider was told."""
    rows = stage.rows("select attempt_id from campaign.attempts where send_key = :key order by attempt_no", key=key)
    return [str(row["attempt_id"]) for row in rows]


def hear(
    stage: Stage,
    attempt_id: str,
    kind: str = "delivered",
    *,
    channel: str = EMAIL,
    address: str = "",
    code: int | None = None,
    at: int | None = None,
) -> None:
    """A genuine webhook of the provider about an attempt arrives; `kind` is a word of theirs, `code` one of Meta's.

    It tells of the second `at` (since 1970); of now when that is left out.
    """
    at = at or int(stage.one("select extract(epoch from clock_timestamp())"))
    if channel == EMAIL:
        told: Any = [
            {"email": address or "ann@example.com", "event": kind, "timestamp": at, "sg_message_id": "m.0",
             "sg_event_id": "e", "attempt_id": attempt_id, **({"type": "bounce"} if kind == "bounce" else {})}
        ]  # fmt: skip
    else:
        status = {"id": f"wamid.{attempt_id}", "status": kind, "timestamp": str(at), "recipient_id": "4930",
                  "biz_opaque_callback_data": attempt_id, "errors": [{"code": code}] if code else []}  # fmt: skip
        change = {"field": "messages", "value": {"messaging_product": "whatsapp", "statuses": [status]}}
        told = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    with stage.work.database.transaction() as connection:
        reports.take_body(
            connection, stage.work.queries, PROVIDERS[channel], PROVIDERS[channel], json.dumps(told).encode(),
            key=stage.work.settings.suppression_key.get_secret_value(), at=None,
        )  # fmt: skip
