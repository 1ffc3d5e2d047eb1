"""A small stage for the ledger: people, enrolments and planned sends put straight into the tables."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tasks import send
from tasks.channels.base import OutgoingMessage, Sender
from tasks.channels.outbox import Conduct, Outbox
from tasks.store.ledger import DROPPED
from tasks.store.workspace import Workspace

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
EMAIL = '<a href="{{ unsubscribe_url }}">Unsubscribe</a> {{ sender.postal_address }} WORDS'

EVIDENCE = {
    "days_since_last": 70,
    "average_gap_days": 30.5,
    "days_late": 9,
    "purchase_days": 3,
    "last_purchase_on": "2026-01-01",
}

CAMPAIGN: dict[str, Any] = {
    "segment": "lapsing_customers",
    "channels": ["email", "push", "sms"],
    "steps": [
        {
            "send_after": "9h",
            "messages": {
                "email": {"subject": "Hello", "file": "email.html"},
                "push": {"title": "Hello", "file": "push.txt", "link": "https://shop.example.com/"},
                "sms": {"file": "sms.txt"},
            },
        }
    ],
    "voucher": {"code": "COMEBACK10"},
}


def two_steps(first: str = "9h", second: str = "21h") -> list[dict[str, Any]]:
    messages = CAMPAIGN["steps"][0]["messages"]
    return [{"send_after": first, "messages": messages}, {"send_after": second, "messages": messages}]


def write_campaign(folder: Path, name: str = "back", **changes: Any) -> None:
    """A campaign folder under `folder`/campaigns; a change to None leaves the field out."""
    home = folder / "campaigns" / name
    home.mkdir(parents=True, exist_ok=True)
    given = {key: value for key, value in {**CAMPAIGN, **changes}.items() if value is not None}
    (home / "campaign.yaml").write_text(json.dumps(given), "utf-8")  # JSON is YAML
    words = "{{ voucher.code }}" if given.get("voucher") else "Hello"
    (home / "email.html").write_text(EMAIL.replace("WORDS", words), "utf-8")
    (home / "push.txt").write_text(words, "utf-8")
    (home / "sms.txt").write_text(words, "utf-8")


def at_most(steps: int) -> Callable[[str], None]:
    """Watches a dispatch: one that would claim and call for ever fails instead."""
    taken = itertools.count(1)

    def watch(point: str) -> None:
        if point in ("claimed", "calling"):
            assert next(taken) <= steps, "the same messages are claimed or called again and again"

    return watch


@dataclass
class Stage:
    """Puts people and rows on the stage and asks what became of them."""

    work: Workspace
    folder: Path
    numbers: Counter[str] = field(default_factory=Counter)

    def run_sql(self, statement: str, **values: Any) -> sa.CursorResult[Any]:
        with self.work.database.transaction() as connection:
            result = connection.execute(sa.text(statement), values)
            return result.freeze()() if result.returns_rows else result  # rows outlive the transaction

    def rows(self, statement: str, **values: Any) -> list[Mapping[str, Any]]:
        with self.work.database.transaction() as connection:
            return [dict(row) for row in connection.execute(sa.text(statement), values).mappings()]

    def one(self, statement: str, **values: Any) -> Any:
        with self.work.database.transaction() as connection:
            return connection.execute(sa.text(statement), values).scalar_one()

    def person(
        self,
        customer_id: str,
        *,
        channels: Sequence[str] = ("email",),
        zones: Sequence[str] = ("UTC",),
        granted_at: datetime = NOON - timedelta(days=400),
    ) -> str:
        """A customer with addresses everywhere and express consent for `channels`."""
        self.run_sql(
            "insert into core.customers (customer_id, email, email_canonical, phone_e164, first_name, time_zones)"
            " values (:id, :email, :email, :phone, 'Ann', :zones)",
            id=customer_id,
            email=f"{customer_id}@example.com",
            phone=f"+4930{int(hashlib.sha256(customer_id.encode()).hexdigest()[:6], 16):08d}",
            zones=list(zones),
        )
        self.run_sql(
            "insert into core.push_tokens (token_id, customer_id, endpoint, platform, active, updated_at,"
            " load_id) values (:id, :id, 'endpoint-' || :id, 'fcm', true, :at, 0)",
            id=customer_id,
            at=granted_at,
        )
        for channel in channels:
            self.consent(customer_id, channel, "granted", granted_at)
        return customer_id

    def consent(self, customer_id: str, channel: str, status: str, at: datetime, basis: str = "express") -> None:
        self.numbers["consent"] += 1
        self.run_sql(
            "insert into core.consents (consent_id, customer_id, channel, purpose, status, basis, occurred_at)"
            " values (:id, :customer, :channel, 'marketing', :status, :basis, :at)",
            id=f"c{self.numbers['consent']}",
            customer=customer_id,
            channel=channel,
            status=status,
            basis=basis if status == "granted" else None,
            at=at,
        )

    def purchase(self, customer_id: str, at: datetime, status: str = "paid") -> None:
        self.numbers["order"] += 1
        self.run_sql(
            "insert into core.purchases (order_id, customer_id, purchased_at, amount, currency, status,"
            " updated_at, load_id) values (:id, :customer, :at, 10, 'EUR', :status, :at, 0)",
            id=f"o{self.numbers['order']}",
            customer=customer_id,
            at=at,
            status=status,
        )

    def enrol(self, customer_id: str, campaign: str = "back", anchor: datetime = NOON - timedelta(hours=9)) -> int:
        self.numbers["episode"] += 1
        return self.one(
            "with run as (insert into campaign.runs (flow, campaign, as_of, state)"
            " values ('reengage', :campaign, :at, 'completed') returning run_id)"
            " insert into campaign.enrolments (campaign, customer_id, episode, anchor_at, enrolled_at, run_id,"
            " experiment_version, arm, variant, assigned_u, variant_u, first_in_experiment, segment_sha256,"
            " config_sha256, evidence) select :campaign, :customer, :episode, :at, :at, run_id, 'v1', 'treated',"
            " 'control', 0.5, 0.5, true, '', '', cast(:evidence as jsonb) from run returning enrolment_id",
            campaign=campaign,
            customer=customer_id,
            episode=f"e{self.numbers['episode']}",
            at=anchor,
            evidence=json.dumps(EVIDENCE),
        )

    def plan(
        self,
        enrolment: int,
        step: str = "1",
        *,
        due: datetime = NOON,
        channel: str = "email",
        expires: datetime | None = None,
        priority: int = 0,
        planned_at: datetime | None = None,
    ) -> str:
        """A planned send with its decision; answers its key."""
        return self.one(
            "with sent as (insert into campaign.sends (send_key, enrolment_id, campaign, customer_id, episode, step,"
            " variant, arm, channel, provider, template_version, due_at, not_before, expires_at, priority, state,"
            " planned_at) select encode(sha256(convert_to(concat_ws('|', 'v1', campaign, customer_id, episode, :step),"
            " 'UTF8')), 'hex'), enrolment_id, campaign, customer_id, episode, :step, variant, arm, :channel, 'outbox',"
            " 'v', :due, :due, :expires, :priority, 'planned', :planned from campaign.enrolments"
            " where enrolment_id = :enrolment returning *), decided as (insert into campaign.decisions (enrolment_id,"
            " campaign, customer_id, episode, step, state, channel, decided_at) select enrolment_id, campaign,"
            " customer_id, episode, step, state, channel, planned_at from sent) select send_key from sent",
            enrolment=enrolment,
            step=step,
            channel=channel,
            due=due,
            expires=expires or due + timedelta(days=7),
            priority=priority,
            planned=planned_at or due - timedelta(hours=1),
        )

    def planned(self, customer_id: str, campaign: str = "back", **changes: Any) -> str:
        """A reachable customer, enrolled and planned for noon."""
        person = {key: changes.pop(key) for key in ("channels", "zones", "granted_at") if key in changes}
        self.person(customer_id, **person)
        return self.plan(self.enrol(customer_id, campaign), **changes)

    def send(self, key: str) -> Mapping[str, Any]:
        return self.rows("select * from campaign.sends where send_key = :key", key=key)[0]

    def end(self, key: str) -> tuple[str, str | None]:
        row = self.send(key)
        return row["state"], row["reason"]

    def states(self) -> Counter[str]:
        return Counter(row["state"] for row in self.rows("select state from campaign.sends"))

    def outbox(self) -> Counter[str]:
        """Messages the outbox holds, by send key: the judge."""
        return Counter(row["send_key"] for row in self.rows("select send_key from outbox.messages"))

    def dispatch(
        self, at: datetime | None = NOON, campaign: str | None = None, conduct: Any = None, **given: Any
    ) -> send.Sent:
        if conduct is not None:
            given["senders"] = {"outbox": self.outbox_that(conduct)}
        given.setdefault("watch", at_most(100 + 20 * self.one("select count(*) from campaign.sends")))
        return send.due(self.work, at, campaign, **given)

    def outbox_that(self, conduct: Conduct | Callable[[OutgoingMessage], Conduct], timeout: float = 1) -> Sender:
        chosen = (lambda _: conduct) if isinstance(conduct, Conduct) else conduct
        return Outbox(
            self.work.database.url, self.work.queries["ledger/outbox_accept"], timeout=timeout, conduct=chosen
        )

    def decisions_follow_the_ledger(self) -> bool:
        return not self.rows(
            "select from campaign.sends left join campaign.decisions on decisions.enrolment_id = sends.enrolment_id"
            " and decisions.step = sends.step and decisions.superseded_at is null"
            " where sends.state <> 'in_flight' and (decisions.state, decisions.reason, decisions.channel)"
            " is distinct from (sends.state, sends.reason,"
            " case when sends.state <> 'suppressed' or sends.reason = any(:dropped) then sends.channel end)",
            dropped=sorted(DROPPED),
        )
