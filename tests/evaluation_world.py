"""A made-up world for evaluation tests: enrolments, decisions, sends, purchases and events written directly."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

START = datetime(2026, 3, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def insert(connection: sa.Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows into `schema.table`, columns named by the first row; mappings and lists become jsonb."""
    if not rows:
        return
    schema, name = table.split(".")
    columns = [sa.column(key, sa.JSON() if isinstance(value, dict | list) else None) for key, value in rows[0].items()]
    connection.execute(sa.table(name, *columns, schema=schema).insert(), list(rows))


def write_campaign(folder: Path, name: str, *lines: str) -> None:
    """The smallest campaign folder that loads; `lines` are added to its campaign.yaml."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "sms.txt").write_text("Hello. STOP ends this.")
    text = [
        "segment: lapsing_customers", "channels: [sms]",
        "steps: [{send_after: 1h, messages: {sms: {file: sms.txt}}}]", *lines,
    ]  # fmt: skip
    (folder / name / "campaign.yaml").write_text("\n".join(text) + "\n")


@dataclass
class World:
    """Rows of every table the evaluation reads, kept as dicts so that a test can recompute from them."""

    customers: list[dict[str, Any]] = field(default_factory=list)
    aliases: list[dict[str, Any]] = field(default_factory=list)
    enrolments: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    sends: list[dict[str, Any]] = field(default_factory=list)
    purchases: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def customer(self, customer_id: str, language: str | None = None, country: str | None = None) -> str:
        """A customer with a place."""
        self.customers.append({"customer_id": customer_id, "language": language, "country": country})
        return customer_id

    def alias(self, alias_id: str, customer_id: str) -> None:
        """`alias_id` turned out to be `customer_id`."""
        self.aliases.append({"alias_id": alias_id, "customer_id": customer_id, "reason": "email", "merged_at": START})

    def enrol(
        self,
        campaign: str,
        customer_id: str,
        at: datetime,
        *,
        arm: str = "treated",
        variant: str = "control",
        version: str = "v1",
        episode: str | None = None,
        place: tuple[str, str] | None = None,
    ) -> dict[str, Any]:
        """An enrolment; give another episode to enrol the same person again. `place`: language and country then."""
        row = {
            "enrolment_id": len(self.enrolments) + 1, "campaign": campaign, "customer_id": customer_id,
            "episode": episode or at.isoformat(), "anchor_at": at, "enrolled_at": at, "run_id": 1,
            "experiment_version": version, "arm": arm, "variant": variant, "assigned_u": 0.5, "variant_u": 0.5,
            "first_in_experiment": True, "segment_sha256": "s", "config_sha256": "c",
            "language": place and place[0], "country": place and place[1],
        }  # fmt: skip
        self.enrolments.append(row)
        of_one = [
            one for one in self.enrolments
            if (one["campaign"], one["customer_id"], one["experiment_version"]) == (campaign, customer_id, version)
        ]  # fmt: skip
        first = min(of_one, key=lambda one: (one["enrolled_at"], one["enrolment_id"]))
        for one in of_one:
            one["first_in_experiment"] = one is first
        return row

    def send(
        self,
        enrolment: Mapping[str, Any],
        accepted_at: datetime | None,
        *,
        step: str = "1",
        channel: str = "email",
        state: str = "accepted",
        reason: str | None = None,
        claimed_at: datetime | None = None,
    ) -> dict[str, Any]:
        """A row of the ledger and the decision in force beside it."""
        key = "|".join(("v1", enrolment["campaign"], enrolment["customer_id"], enrolment["episode"], step))
        row = {
            "send_key": hashlib.sha256(key.encode()).hexdigest(), "enrolment_id": enrolment["enrolment_id"],
            "campaign": enrolment["campaign"], "customer_id": enrolment["customer_id"],
            "episode": enrolment["episode"], "step": step, "variant": enrolment["variant"], "arm": enrolment["arm"],
            "channel": channel, "provider": "outbox", "template_version": "t", "due_at": enrolment["enrolled_at"],
            "not_before": enrolment["enrolled_at"], "expires_at": enrolment["enrolled_at"] + timedelta(days=7),
            "state": state, "reason": reason, "planned_at": enrolment["enrolled_at"],
            "claimed_at": claimed_at or accepted_at, "accepted_at": accepted_at, "attempt_no": 1, "run_id": 1,
        }  # fmt: skip
        self.sends.append(row)
        self.decide(enrolment, state, reason, step=step)
        return row

    def decide(
        self,
        enrolment: Mapping[str, Any],
        state: str,
        reason: str | None = None,
        *,
        step: str = "1",
        until: datetime | None = None,
        at: datetime | None = None,
    ) -> None:
        """A decision, in force unless it ended at `until`."""
        self.decisions.append(
            {
                "enrolment_id": enrolment["enrolment_id"], "campaign": enrolment["campaign"],
                "customer_id": enrolment["customer_id"], "episode": enrolment["episode"], "step": step,
                "state": state, "reason": reason, "run_id": 1, "decided_at": at or enrolment["enrolled_at"],
                "superseded_at": until,
            }
        )  # fmt: skip

    def buy(
        self,
        customer_id: str,
        at: datetime,
        amount: str | Decimal = "10.00",
        *,
        currency: str = "EUR",
        status: str = "paid",
        cancelled_by: str | None = None,
        coupon_code: str | None = None,
    ) -> None:
        """A purchase; it counts when it is paid and nothing cancels it."""
        number = f"o{len(self.purchases):05}"
        self.purchases.append(
            {
                "order_id": number, "customer_id": customer_id, "purchased_at": at, "amount": Decimal(amount),
                "currency": currency, "status": status, "cancelled_by": cancelled_by, "coupon_code": coupon_code,
                "updated_at": at, "load_id": 1,
            }
        )  # fmt: skip

    def happen(self, customer_id: str, name: str, at: datetime, **properties: object) -> None:
        """An event."""
        number = f"e{len(self.events):05}"
        self.events.append(
            {
                "event_id": number, "customer_id": customer_id, "name": name, "occurred_at": at,
                "properties": properties, "load_id": 1,
            }
        )  # fmt: skip

    def write(self, connection: sa.Connection) -> None:
        """Everything into the database, with the one run it belongs to."""
        run = {"flow": "reengage", "campaign": None, "as_of": START, "state": "completed"}
        insert(connection, "campaign.runs", [run])
        insert(connection, "core.customers", self.customers)
        insert(connection, "core.aliases", self.aliases)
        insert(connection, "core.purchases", self.purchases)
        insert(connection, "core.events", self.events)
        insert(connection, "campaign.enrolments", [_without(row, "enrolment_id") for row in self.enrolments])
        insert(connection, "campaign.sends", self.sends)
        insert(connection, "campaign.decisions", self.decisions)


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def random_world(seed: int, people: int = 60) -> World:
    """A crowded month: quarter-hour instants so that ties happen, aliases, refunds, two currencies, three versions."""
    dice = random.Random(seed)
    world = World()
    names = [
        world.customer(f"c{n:03}", dice.choice(["de", "en", None]), dice.choice(["DE", "AT"])) for n in range(people)
    ]
    for n in range(0, people, 9):
        world.alias(f"guest:{n:03}", names[n])
        names.append(f"guest:{n:03}")
    for name in names:
        for campaign in ("alpha", "beta", "gone"):
            _follow(world, dice, campaign, name)
        for _ in range(dice.randint(0, 12)):
            _shop(world, dice, name)
        for _ in range(dice.randint(0, 3)):
            world.happen(
                name, "booked", _moment(dice, 0, 60), plan=dice.choice(["gold", "tin"]), seats=dice.randint(1, 3)
            )
    return world


def _follow(world: World, dice: random.Random, campaign: str, name: str) -> None:
    version, arm = dice.choice(["v1", "v1", "v2"]), dice.choice(["treated", "treated", "holdout"])
    variant = "control" if arm == "holdout" else dice.choice(["control", "warm"])
    for episode in range(dice.randint(0, 2)):
        enrolment = world.enrol(
            campaign, name, _moment(dice, episode * 10, 30), arm=arm, variant=variant, version=version,
            episode=f"{name}-{episode}",
        )  # fmt: skip
        for step in ("1", "2"):
            state = dice.choice(["accepted", "accepted", "accepted", "suppressed", "unknown", "planned", "cancelled"])
            if arm == "holdout":
                world.decide(enrolment, "holdout", step=step)
            elif state == "suppressed":
                world.decide(enrolment, state, dice.choice(["no_consent", "no_address"]), step=step)
            else:
                at = enrolment["enrolled_at"] + QUARTER * dice.randint(1, 300) if state == "accepted" else None
                reason = "goal" if state == "cancelled" else None
                world.send(enrolment, at, step=step, channel=dice.choice(["email", "sms"]), state=state, reason=reason)


def _shop(world: World, dice: random.Random, name: str) -> None:
    at = _moment(dice, -20, 70)
    accepted = [send["accepted_at"] for send in world.sends if send["customer_id"] == name and send["accepted_at"]]
    if accepted and dice.random() < 0.5:
        # Often at the edges: the very instant of a send, or exactly a window later.
        at = dice.choice(accepted) + timedelta(hours=dice.choice([0, 0, 1, 24, 100, 168, 720]))
    world.buy(
        name, at, Decimal(dice.randint(0, 20_000)) / 100, currency=dice.choice(["EUR", "EUR", "USD"]),
        status=dice.choice(["paid", "paid", "paid", "paid", "refunded", "cancelled"]),
        cancelled_by=dice.choice([None, None, None, None, None, "o-other"]),
        coupon_code=dice.choice([None, "COMEBACK10"]),
    )  # fmt: skip


def _moment(dice: random.Random, first_day: int, days: int) -> datetime:
    return START + timedelta(days=first_day) + QUARTER * dice.randint(0, days * 96)


@dataclass(frozen=True)
class Goal:
    """What counts as success, as the recomputation reads it."""

    event: str = "purchase"
    where: tuple[tuple[str, object], ...] = ()


class Recomputation:
    """The evaluation's answers from the world's rows by plain loops, one window at a time."""

    def __init__(self, world: World, as_of: datetime, goals: Mapping[str, Goal]) -> None:
        self.as_of, self.goals = as_of, goals
        canonical = {row["alias_id"]: row["customer_id"] for row in world.aliases}
        self.person_of = lambda customer: canonical.get(customer, customer)
        self.bought: dict[str, list[dict[str, Any]]] = {}
        for row in world.purchases:
            if row["status"] == "paid" and row["cancelled_by"] is None and row["purchased_at"] <= as_of:
                self.bought.setdefault(self.person_of(row["customer_id"]), []).append(row)
        self.happened: dict[str, list[dict[str, Any]]] = {}
        for row in world.events:
            if row["occurred_at"] <= as_of:
                self.happened.setdefault(self.person_of(row["customer_id"]), []).append(row)
        self.places = {row["customer_id"]: (row["language"] or "", row["country"] or "") for row in world.customers}
        self.enrolments = {row["enrolment_id"]: row for row in world.enrolments}
        self.sends = [row for row in world.sends if row["state"] == "accepted" and row["accepted_at"] <= as_of]
        self.units = self._units(world.enrolments)

    def _units(self, enrolments: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        first: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        for row in enrolments:
            key = (row["campaign"], row["experiment_version"], self.person_of(row["customer_id"]))
            earlier = first.get(key)
            if row["enrolled_at"] <= self.as_of and (
                earlier is None
                or (row["enrolled_at"], row["enrolment_id"]) < (earlier["enrolled_at"], earlier["enrolment_id"])
            ):
                first[key] = row
        return list(first.values())

    def is_in(self, enrolment_id: int, language: str | None, country: str | None) -> bool:
        """Whether an enrolment's person had this language and country; None: any."""
        enrolment = self.enrolments[enrolment_id]
        today = self.places.get(self.person_of(enrolment["customer_id"]), ("", ""))
        had = [
            today[n] if enrolment[name] is None else enrolment[name] for n, name in enumerate(("language", "country"))
        ]
        return all(wanted in (None, one) for wanted, one in zip((language, country), had, strict=True))

    def last_send_before(self, person: str, at: datetime) -> Mapping[str, Any] | None:
        """The one send a purchase of this person at this instant is credited to, over all campaigns."""
        before = [s for s in self.sends if self.person_of(s["customer_id"]) == person and s["accepted_at"] < at]
        return max(before, key=lambda s: (s["accepted_at"], s["send_key"]), default=None)

    def is_goal(self, campaign: str, row: Mapping[str, Any]) -> bool:
        """Whether a purchase or event is this campaign's goal."""
        goal = self.goals.get(campaign, Goal())
        if goal.event == "purchase":
            return "order_id" in row and all(row.get(name) == value for name, value in goal.where)
        return row.get("name") == goal.event and all(row["properties"].get(name) == value for name, value in goal.where)

    def credited(self, hours: int) -> list[tuple[Mapping[str, Any], Mapping[str, Any], bool]]:
        """(send, purchase or event, is it the campaign's goal) within a window after the send."""
        found = []
        for person, rows, at in [
            *((person, rows, "purchased_at") for person, rows in self.bought.items()),
            *((person, rows, "occurred_at") for person, rows in self.happened.items()),
        ]:
            for row in rows:
                send = self.last_send_before(person, row[at])
                if send is not None and row[at] < send["accepted_at"] + timedelta(hours=hours):
                    found.append((send, row, self.is_goal(send["campaign"], row)))
        return found

    def followed(self, unit: Mapping[str, Any], hours: int) -> tuple[list[Mapping[str, Any]], bool]:
        """What one person bought in a window after enrolment, and whether the goal was reached in it."""
        person = self.person_of(unit["customer_id"])
        until = unit["enrolled_at"] + timedelta(hours=hours)
        bought = [r for r in self.bought.get(person, []) if unit["enrolled_at"] < r["purchased_at"] < until]
        events = [r for r in self.happened.get(person, []) if unit["enrolled_at"] < r["occurred_at"] < until]
        return bought, any(self.is_goal(unit["campaign"], row) for row in [*bought, *events])

    def pre_revenue(self, unit: Mapping[str, Any], currency: str | None, hours: int = 720) -> Decimal:
        """Revenue of the person in the period before enrolment."""
        person, since = self.person_of(unit["customer_id"]), unit["enrolled_at"] - timedelta(hours=hours)
        return sum(
            (
                row["amount"]
                for row in self.bought.get(person, [])
                if since < row["purchased_at"] <= unit["enrolled_at"] and currency in (None, row["currency"])
            ),
            Decimal(0),
        )
