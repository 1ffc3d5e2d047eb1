"""A small shop written straight into core, for tests of choosing, planning and audiences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from config.campaign import Campaign
from tasks import choose, plan, sync
from tasks.store import cycle, runs
from tasks.store.workspace import Workspace
from tests.evaluation_world import insert

# A 60-day buyer whose last purchase was on 2026-04-02 is late from 2026-06-09 on (day 68).
LATE_FROM = datetime(2026, 6, 9, tzinfo=UTC)
NOON = datetime(2026, 6, 9, 12, tzinfo=UTC)
DAY = timedelta(days=1)
BASICS = {
    "segment": "lapsing_customers",
    "channels": [
        {"name": "email", "consent": ["express", "soft_opt_in"]},
        {"name": "push", "consent": ["express"]},
        {"name": "sms", "consent": ["express"]},
    ],
    "platforms": ["meta"],
    "steps": [
        {
            "send_after": "9h",
            "messages": {
                "email": {"subject": "Hello", "file": "email.html"},
                "push": {"title": "Hello", "file": "push.txt"},
                "sms": {"file": "sms.txt"},
            },
        }
    ],
    "voucher": {"code": "COMEBACK10", "percent": 10, "valid_days": 14},
}


def campaign(**changes: Any) -> Campaign:
    """The lapsing campaign with what a test changes; its messages are those of config/campaigns."""
    return Campaign.model_validate({"name": "lapsing_customers", **BASICS, **changes})


def two_steps() -> list[dict[str, Any]]:
    """The same messages after 9 and after 33 hours."""
    return [BASICS["steps"][0], {**BASICS["steps"][0], "send_after": "33h"}]


@dataclass
class Shop:
    """The rows of one test's shop; `work` is on a fresh simulated database."""

    work: Workspace
    numbers: int = 0

    def customer(self, customer_id: str, **contact: Any) -> str:
        """A customer, by default with an email address and a zone."""
        given = {"email_canonical": f"{customer_id.strip()}@example.com", "phone_e164": None, "country": "DE"}
        row = {"customer_id": customer_id, "time_zones": ["UTC"], **given, **contact}
        self._run("insert into core.customers (customer_id, email_canonical, phone_e164, country, time_zones) values "
                  "(:customer_id, :email_canonical, :phone_e164, :country, :time_zones)", [row])  # fmt: skip
        return customer_id

    def buys(self, customer_id: str, *days: str, status: str = "paid") -> None:
        """Purchases on these days (at 10:00 UTC); purchase days are kept in step and the person noted, as by a load."""
        rows = [
            {
                "order_id": f"o{self._next()}", "customer_id": customer_id, "status": status, "amount": 20,
                "purchased_at": datetime.fromisoformat(f"{day}T10:00:00+00:00"), "currency": "EUR",
                "updated_at": NOON, "load_id": 1,
            }
            for day in days
        ]  # fmt: skip
        with self.work.database.transaction() as connection:
            insert(connection, "core.purchases", rows)
            self._refresh(connection, [customer_id])
            connection.execute(self.work.queries["core/people_met"](ids=[customer_id]))

    def lapses(self, customer_id: str, **contact: Any) -> str:
        """A 60-day buyer who is late from LATE_FROM on."""
        self.customer(customer_id, **contact)
        self.buys(customer_id, "2026-02-01", "2026-04-02")
        return customer_id

    def consents(
        self, customer_id: str, channel: str, status: str = "granted", *, basis: str | None = "express",
        at: str = "2026-01-01", **more: Any,
    ) -> None:  # fmt: skip
        """A line of consent history."""
        row = {
            "consent_id": f"k{self._next()}", "customer_id": customer_id, "channel": channel, "purpose": "marketing",
            "status": status, "basis": basis if status == "granted" else None,
            "occurred_at": datetime.fromisoformat(at).replace(tzinfo=UTC), "expires_at": None,
            "ad_user_data": None, "ad_personalization": None, **more,
        }  # fmt: skip
        with self.work.database.transaction() as connection:
            insert(connection, "core.consents", [row])

    def token(self, customer_id: str, *, active: bool = True, platform: str = "fcm") -> None:
        """A push token."""
        number = self._next()
        row = {
            "token_id": f"t{number}", "customer_id": customer_id, "endpoint": f"endpoint{number}",
            "platform": platform, "active": active, "updated_at": NOON, "load_id": 1,
        }  # fmt: skip
        with self.work.database.transaction() as connection:
            insert(connection, "core.push_tokens", [row])

    def merges(self, alias_id: str, customer_id: str) -> None:
        """`alias_id` turns out to be `customer_id`; purchases follow, as the gate moves them."""
        with self.work.database.transaction() as connection:
            row = {"alias_id": alias_id, "customer_id": customer_id, "reason": "email", "merged_at": NOON}
            insert(connection, "core.aliases", [row])
            connection.execute(
                sa.text("update core.purchases set customer_id = :new where customer_id = :old"),
                {"new": customer_id, "old": alias_id},
            )
            self._refresh(connection, [alias_id, customer_id])

    def run(self, found: Campaign, at: datetime = NOON) -> runs.Run:
        """Choose, plan and sync once, as the flow does."""
        with runs.begin(self.work, "reengage", found, at) as run:
            choose.members(run)
            plan.messages(run)
            sync.audiences(run)
        return run

    def rows(self, statement: str, **given: Any) -> list[dict[str, Any]]:
        """What the database holds."""
        with self.work.database.transaction() as connection:
            return [dict(row) for row in connection.execute(sa.text(statement), given).mappings()]

    def decided(self) -> dict[tuple[str, str], tuple[str, str | None, str | None]]:
        """Decisions in force by customer and step: state, reason, channel."""
        found = self.rows("select * from campaign.decisions where superseded_at is null")
        return {(row["customer_id"], row["step"]): (row["state"], row["reason"], row["channel"]) for row in found}

    def sends(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The ledger by customer and step."""
        found = self.rows("select * from campaign.sends")
        return {(row["customer_id"], row["step"]): row for row in found}

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything a rerun may not change."""
        tables = ("enrolments", "decisions", "sends", "audience_members", "voucher_events")
        found = {table: self.rows(f"select * from campaign.{table}") for table in tables}
        return {table: sorted(tuple(map(str, row.values())) for row in rows) for table, rows in found.items()}

    def _refresh(self, connection: sa.Connection, people: Iterable[str]) -> None:
        connection.execute(sa.text("drop table if exists touched_customers"))
        connection.execute(sa.text("create temporary table touched_customers (customer_id text primary key)"))
        insert(connection, "pg_temp.touched_customers", [{"customer_id": one} for one in people])
        cycle.refresh(connection, self.work.queries)

    def _run(self, statement: str, rows: Sequence[dict[str, Any]]) -> None:
        with self.work.database.transaction() as connection:
            connection.execute(sa.text(statement), list(rows))

    def _next(self) -> int:
        self.numbers += 1
        return self.numbers
