"""A sync that looks at those of whom something changed finds what a look at everybody would find (A18, C2, I16)."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from config.campaign import Campaign
from tasks import erase, sync
from tasks.store import audiences, runs
from tasks.store.workspace import Workspace
from tests.chats import OPENED, body, message
from tests.evaluation_world import insert
from tests.planning_world import NOON, Shop, campaign
from tests.platforms.test_sync import Elsewhere
from tests.store.landing import good, load
from tests.store.test_writers import customer, told

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
START = datetime(2026, 6, 9, 7, tzinfo=UTC)
PEOPLE = [f"p{number:02}" for number in range(200)]
PLATFORMS = ["google", "meta", "tiktok"]
COUNTRIES = ["DE", "FR", "US", "CA", None]
MONTHS = {"soft_opt_in": 24, "inquiry": 6}
ALL_BASES = ["express", "soft_opt_in", "inquiry"]


def rules(**changes: Any) -> Campaign:
    """The campaign of these worlds."""
    uses = [
        {"name": "meta"},
        {"name": "google", "consent": ["express", "soft_opt_in"]},
        {"name": "tiktok", "consent": ALL_BASES},
    ]
    given = {"platforms": uses, "audience_max_days": 14, "stop_event": {"event": "visited"}}
    return campaign(**{**given, **changes})


OTHERS = (
    {},
    {"platforms": [{"name": "meta", "audience": "another"}, {"name": "tiktok", "consent": ALL_BASES}]},
    {"platforms": [{"name": "meta", "consent": ALL_BASES}, {"name": "google"}], "audience_max_days": 13},
)

Row = dict[str, Any]
Place = tuple[str, str, str]  # platform, audience, person
KEPT_OUT = {"stop_event", "no_consent", "suppressed_address"}


@dataclass
class Facts:
    """Everything that decides, as the tables hold it; who belongs is found by walking through it."""

    key: str
    tables: Mapping[str, list[Row]]
    at: datetime
    found: Campaign
    alias: dict[str, str] = field(init=False)
    by_person: dict[str, dict[str, list[Row]]] = field(init=False)

    def __post_init__(self) -> None:
        self.alias = {row["alias_id"]: row["customer_id"] for row in self.tables["core.aliases"]}
        self.by_person = {table: defaultdict(list) for table in self.tables}
        for table, rows in self.tables.items():
            for row in rows:
                if "customer_id" in row:
                    self.by_person[table][self.alias.get(row["customer_id"], row["customer_id"])].append(row)

    def belong(self) -> set[Place]:
        """Platform, audience and person, also where the person cannot be told."""
        people = {self.alias.get(one["customer_id"], one["customer_id"]) for one in self.tables["campaign.enrolments"]}
        return {
            (use.name, audiences.audience_name(self.found, use.name), person)
            for person in people
            if self._stays(person)
            for use in self.found.platforms
            if self._may_be_told(person, use.name, set(use.consent))
        }

    def untold(self, out: Mapping[Place, str], wanted: set[Place]) -> dict[Place, str | None]:
        """Why each of the wanted cannot be told; None: they can be. `out` is who is not wanted, and why."""
        return {place: self._why_untold(*place, out) for place in wanted}

    def _why_untold(self, platform: str, audience: str, person: str, out: Mapping[Place, str]) -> str | None:
        known = self._known(person) or {}
        has = {known.get("email_canonical"), known.get("phone_e164")} - {None}
        if not has:
            return known.get("email_reason") or known.get("phone_reason") or "no_address"
        for other in self.tables["core.customers"]:
            if other["customer_id"] == person or other["customer_id"] in self.alias:
                continue
            if has & {other["email_canonical"], other["phone_e164"]} and (
                out.get((platform, audience, other["customer_id"])) in KEPT_OUT
                or any(
                    one["closed_at"] is None and one["arm"] == "holdout"
                    for one in self._theirs("campaign.enrolments", other["customer_id"])
                )
            ):
                return "shared_contact"
        return None

    def _known(self, person: str) -> Row | None:
        return next((row for row in self._theirs("core.customers", person) if row["customer_id"] == person), None)

    def _theirs(self, table: str, person: str) -> list[Row]:
        return self.by_person[table][person]

    def _stays(self, person: str) -> bool:
        standing = sorted(
            (one for one in self._theirs("campaign.enrolments", person) if one["closed_at"] is None),
            key=lambda one: (one["enrolled_at"], one["enrolment_id"]),
        )
        if not standing or standing[0]["arm"] == "holdout":
            return False
        last = [one for one in standing if one["arm"] == "treated"][-1]
        if last["enrolled_at"] + self.found.audience_max_days * DAY <= self.at:
            return False
        since = last["stops_from"] or last["anchor_at"]
        visits = [row["occurred_at"] for row in self._theirs("core.events", person) if row["name"] == "visited"]
        return not any(since <= at <= self.at for at in [*visits, *self._bought(person)])

    def _bought(self, person: str) -> list[datetime]:
        return [
            row["purchased_at"]
            for row in self._theirs("core.purchases", person)
            if row["status"] == "paid" and row["cancelled_by"] is None
        ]

    def _may_be_told(self, person: str, platform: str, accepted: set[str]) -> bool:
        known = self._known(person) or {}
        hashes = {
            hmac.new(self.key.encode(), address.encode(), hashlib.sha256).hexdigest()
            for address in (known.get("email_canonical"), known.get("phone_e164"))
            if address
        }
        if any(
            row["channel"] == platform and row["address_hmac"] in hashes and row["scope"] in ("all", "marketing")
            for row in self.tables["core.suppressions"]
        ):
            return False
        stand_in_the_way = self._theirs("core.consent_blocks", person) + self._theirs("campaign.reply_holds", person)
        if any(row["channel"] in (None, platform) for row in stand_in_the_way):
            return False
        said = sorted(
            (min(row["occurred_at"], row["known_at"] or row["occurred_at"]), row["consent_id"], row)
            for row in self._theirs("core.consents", person)
            if row["channel"] == platform and row["purpose"] == "marketing"
        )
        said = [one for one in said if one[0] <= self.at]
        withdrawn = max((at for at, _, row in said if row["status"] == "withdrawn"), default=None)
        if not any(self._counts(person, row, at, withdrawn, accepted) for at, _, row in said):
            return False
        if platform != "google":
            return True
        last = [row for _, _, row in said if row["status"] == "granted" and row["basis"] in accepted][-1]
        return bool(last["ad_user_data"] and last["ad_personalization"])

    def _counts(self, person: str, row: Row, at: datetime, withdrawn: datetime | None, accepted: set[str]) -> bool:
        if row["status"] != "granted" or row["basis"] not in accepted:
            return False
        if row["expires_at"] is not None and row["expires_at"] <= self.at:
            return False
        if withdrawn is not None and not (row["basis"] == "express" and at > withdrawn):
            return False
        areas = {
            area.split("-")[0]
            for one in self._theirs("core.customers", person)
            for area in one["legal_areas"] or [one["country"], one["phone_country"]]
            if area
        }
        if row["basis"] == "express" or "CA" not in areas:
            return True
        months = MONTHS[row["basis"]]
        midnight = self.at.replace(hour=0, minute=0, second=0, microsecond=0)
        years, month = divmod(midnight.year * 12 + midnight.month - 1 - months, 12)
        begins = midnight.replace(year=years, month=month + 1)
        if row["basis"] == "inquiry":
            return at >= begins
        return any(begins <= bought <= self.at for bought in self._bought(person))


TABLES = (
    "core.aliases", "core.customers", "core.consents", "core.consent_blocks", "core.suppressions", "core.purchases",
    "core.events", "campaign.reply_holds", "campaign.enrolments",
)  # fmt: skip
MEMBERS = (
    "select platform, audience, customer_id, desired, reason, contact_sha256, desired_at"
    " from campaign.audience_members order by 1, 2, 3"
)


@dataclass
class Looked:
    """What a look left behind, and how many people it looked at."""

    members: list[tuple[Any, ...]]
    people: int
    was_full: bool

    def wanted(self) -> set[Place]:
        return {tuple(row[:3]) for row in self.members if row[3]}

    def untold(self) -> dict[Place, str | None]:
        """Why who is wanted cannot be told."""
        assert all((row[4] is None) == (row[5] is not None) for row in self.members if row[3])
        return {tuple(row[:3]): row[4] for row in self.members if row[3]}

    def out(self) -> dict[Place, str]:
        """Who is not wanted, and why."""
        return {tuple(row[:3]): row[4] for row in self.members if not row[3]}


@dataclass
class World:
    """People to whom anything may happen, each time written as the product writes it."""

    work: Workspace
    dice: random.Random
    at: datetime = START
    number: int = 0

    def write(self, statement: str, **given: Any) -> int:
        with self.work.database.transaction() as connection:
            return connection.execute(sa.text(statement), given).rowcount

    def rows(self, statement: str, **given: Any) -> list[Row]:
        with self.work.database.transaction() as connection:
            return [dict(row) for row in connection.execute(sa.text(statement), given).mappings()]

    def one(self, statement: str, **given: Any) -> Any:
        with self.work.database.transaction() as connection:
            return connection.execute(sa.text(statement), given).scalar_one_or_none()

    def next(self) -> str:
        self.number += 1
        return f"x{self.number:05}"

    def run(self, at: datetime) -> int:
        return self.one(
            "insert into campaign.runs (flow, campaign, as_of, state) values ('reengage', 'lapsing_customers', :at,"
            " 'completed') returning run_id", at=at,
        )  # fmt: skip

    def look(
        self, found: Campaign, at: datetime, *, may_add: bool = True, everybody: bool = False, run: int | None = None
    ) -> Looked:
        """One look; at everybody, it leaves nothing behind."""
        run = run or self.run(at)
        with self.work.database.transaction() as connection:
            audiences.desire(self.work, connection, found, at, run, may_add=may_add, everybody=everybody)
            looked = connection.execute(sa.text("select count(*) from people")).scalar_one()
            full_at = connection.execute(
                sa.text("select full_at from campaign.audience_looks where adds = :adds"), {"adds": may_add}
            ).scalar_one()
            members = [tuple(row) for row in connection.execute(sa.text(MEMBERS))]
            if everybody:
                connection.rollback()
        return Looked(members, looked, full_at == at)

    def facts(self, found: Campaign, at: datetime) -> Facts:
        key = self.work.settings.suppression_key.get_secret_value()
        return Facts(key, {table: self.rows(f"select * from {table}") for table in TABLES}, at, found)

    # -------------------------------------------------------------------------------------------- what may happen

    def somebody(self) -> str:
        return self.dice.choice(PEOPLE)

    def soon(self, before: int = 600, after: int = 900) -> datetime:
        return self.at + self.dice.randrange(-before, after) * MINUTE

    def person(self, customer_id: str) -> None:
        country = self.dice.choice(COUNTRIES)
        whose = self.dice.choice([customer_id, customer_id, customer_id, None, self.somebody()])
        email = f"{whose}@example.com" if whose else None
        self.write(
            "insert into core.customers (customer_id, email_canonical, email_reason, country, legal_areas)"
            " values (:id, :email, :no_email, :country, :areas)",
            id=customer_id, country=country, areas=[country] if country and self.dice.random() < 0.7 else None,
            email=email, no_email=None if email else self.dice.choice([None, "x"]),
        )  # fmt: skip

    def consent(self, customer_id: str, channel: str, **given: Any) -> None:
        row = {
            "consent_id": self.next(), "customer_id": customer_id, "channel": channel, "purpose": "marketing",
            "status": "granted", "basis": "express", "occurred_at": START - 100 * DAY, "known_at": None,
            "expires_at": None, "ad_user_data": True, "ad_personalization": True,
        } | given  # fmt: skip
        if row["status"] == "withdrawn":
            row["basis"] = None
        with self.work.database.transaction() as connection:
            insert(connection, "core.consents", [row])

    def grants(self) -> None:
        dice = self.dice
        self.consent(
            self.somebody(), dice.choice(PLATFORMS), basis=dice.choice(ALL_BASES), occurred_at=self.soon(3000, 300),
            ad_user_data=dice.choice([True, True, False, None]), ad_personalization=dice.choice([True, True, False]),
        )  # fmt: skip

    def withdraws(self) -> None:
        self.consent(self.somebody(), self.dice.choice(PLATFORMS), status="withdrawn", occurred_at=self.soon(600, 300))

    def grants_for_a_while(self) -> None:
        at = self.soon(900, 1)
        self.consent(
            self.somebody(), self.dice.choice(PLATFORMS), basis=self.dice.choice(ALL_BASES), occurred_at=at,
            expires_at=self.soon(0, 1500),
        )  # fmt: skip

    def says_something_dated_ahead(self) -> None:
        """Known a little later than now, dated later still; what is withdrawn counts as well."""
        known = self.soon(0, 400) if self.dice.random() < 0.7 else None
        self.consent(
            self.somebody(), self.dice.choice(PLATFORMS), status=self.dice.choice(["granted", "withdrawn"]),
            occurred_at=self.soon(1, 900), known_at=known,
        )  # fmt: skip

    def consent_is_loaded_anew(self) -> None:
        self.write(
            "update core.consents set expires_at = :at, ad_user_data = not coalesce(ad_user_data, false)"
            " where consent_id = (select consent_id from core.consents order by md5(consent_id || :salt) limit 1)",
            at=self.dice.choice([None, self.soon(300, 900)]), salt=self.next(),
        )  # fmt: skip

    def consent_moves_or_goes(self) -> None:
        which = "(select consent_id from core.consents order by md5(consent_id || :salt) limit 1)"
        if self.dice.random() < 0.5:
            self.write(f"delete from core.consents where consent_id = {which}", salt=self.next())
        else:
            self.write(
                f"update core.consents set customer_id = :id where consent_id = {which}",
                id=self.somebody(), salt=self.next(),
            )  # fmt: skip

    def blocks(self) -> None:
        load_id = self.one(
            "insert into raw.loads (source, entity, object, as_of) values ('s', 'consents', 'o', :at)"
            " returning load_id", at=self.at,
        )  # fmt: skip
        self.write(
            "with line as (insert into raw.quarantine (load_id, source, entity, line_no, raw, fields, reason)"
            " values (:load, 's', 'consents', 1, '', '{}', 'unknown_value') returning quarantine_id)"
            " insert into core.consent_blocks select quarantine_id, :id, :channel from line",
            load=load_id, id=self.somebody(), channel=self.dice.choice([None, *PLATFORMS]),
        )  # fmt: skip

    def is_unblocked(self) -> None:
        self.write(
            "delete from core.consent_blocks where quarantine_id ="
            " (select quarantine_id from core.consent_blocks order by md5(quarantine_id || :salt) limit 1)",
            salt=self.next(),
        )

    def is_held(self) -> None:
        self.write(
            "with said as (insert into campaign.replies (reply_id, provider, channel, text, address_hmac, occurred_at)"
            " values (:reply, 'x', 'sms', '', '', :at) returning reply_id)"
            " insert into campaign.reply_holds (reply_id, customer_id, channel) select reply_id, :id, :channel"
            " from said",
            reply=self.next(), at=self.at, id=self.somebody(), channel=self.dice.choice(PLATFORMS),
        )  # fmt: skip

    def is_let_go(self) -> None:
        self.write(
            "delete from campaign.reply_holds where reply_id ="
            " (select reply_id from campaign.reply_holds order by md5(reply_id || :salt) limit 1)",
            salt=self.next(),
        )

    def contact_changes(self) -> None:
        email = self.dice.choice([None, f"{self.next()}@example.com", f"{self.somebody()}@example.com"])
        phone = self.dice.choice([None, None, f"+4930{self.dice.randrange(40):08}"])
        self.write(
            "update core.customers set email_canonical = :email, phone_e164 = :phone, email_reason = :no_email,"
            " phone_reason = :no_phone, first_name = :name where customer_id = :id",
            email=email, phone=phone, id=self.somebody(), no_email=None if email else self.dice.choice([None, "x"]),
            no_phone=None if phone else self.dice.choice([None, "y"]), name=self.dice.choice([None, "Ann", "Bo"]),
        )  # fmt: skip

    def moves(self) -> None:
        country = self.dice.choice(COUNTRIES)
        self.write("update core.customers set country = :to where customer_id = :id", to=country, id=self.somebody())

    def other_law(self) -> None:
        """As when contacts are derived anew."""
        areas = self.dice.choice([None, ["CA"], ["US"], ["CA-QC", "DE"]])
        self.write(
            "update core.customers set legal_areas = :areas where customer_id = :id", areas=areas, id=self.somebody()
        )

    def is_suppressed(self) -> None:
        who = self.rows("select * from core.customers where customer_id = :id", id=self.somebody())
        address = who and (who[0]["email_canonical"] or who[0]["phone_e164"])
        if address:
            key = self.work.settings.suppression_key.get_secret_value()
            self.write(
                "insert into core.suppressions (address_hmac, channel, scope, reason, suppressed_at)"
                " values (:hash, :channel, :scope, 'erased', :at) on conflict do nothing",
                hash=hmac.new(key.encode(), address.encode(), hashlib.sha256).hexdigest(), at=self.at,
                channel=self.dice.choice(PLATFORMS), scope=self.dice.choice(["all", "marketing", "transactional"]),
            )  # fmt: skip

    def is_suppressed_no_more(self) -> None:
        self.write(
            "delete from core.suppressions where address_hmac ="
            " (select address_hmac from core.suppressions order by md5(address_hmac || :salt) limit 1)",
            salt=self.next(),
        )

    def notes(self, connection: sa.Connection, *ids: str) -> None:
        connection.execute(self.work.queries["core/people_met"](ids=list(ids)))

    def buys(self, at: datetime | None = None, who: str | None = None) -> None:
        """Perhaps known already and true later only."""
        who = who or self.somebody()
        row = {
            "order_id": self.next(), "customer_id": who, "purchased_at": at or self.soon(), "amount": 1,
            "currency": "EUR", "status": self.dice.choice(["paid", "paid", "cancelled"]) if at is None else "paid",
            "updated_at": self.at, "load_id": 1,
        }  # fmt: skip
        with self.work.database.transaction() as connection:
            insert(connection, "core.purchases", [row])
            self.notes(connection, who)

    def cancels(self) -> None:
        with self.work.database.transaction() as connection:
            who = connection.execute(
                sa.text(
                    "update core.purchases set cancelled_by = :by where order_id = (select order_id"
                    " from core.purchases order by md5(order_id || :by) limit 1) returning customer_id"
                ),
                {"by": self.next()},
            ).scalar_one_or_none()
            if who:
                self.notes(connection, who)

    def visits(self, at: datetime | None = None, who: str | None = None) -> None:
        who = who or self.somebody()
        row = {
            "event_id": self.next(), "customer_id": who, "name": "visited", "occurred_at": at or self.soon(),
            "load_id": 1,
        }  # fmt: skip
        with self.work.database.transaction() as connection:
            insert(connection, "core.events", [row])
            self.notes(connection, who)

    def meets(self) -> None:
        """Two customers turn out to be one, or one of two whom a third was taken for (as guests_claimed does)."""
        alias, who = self.dice.sample(PEOPLE, 2)
        known = self.rows("select * from core.aliases")
        heads, tails = {row["customer_id"] for row in known}, {row["alias_id"] for row in known}
        if alias in heads or who in tails:
            return
        with self.work.database.transaction() as connection:
            connection.execute(
                sa.text(
                    "insert into core.aliases (alias_id, customer_id, reason, merged_at) values (:a, :c, 'x', :at)"
                    " on conflict (alias_id) do update set customer_id = excluded.customer_id"
                ),
                {"a": alias, "c": who, "at": self.at},
            )
            self.notes(connection, alias)

    def parts(self) -> None:
        """As writers_resolve does when a number turns out to be that of several customers."""
        with self.work.database.transaction() as connection:
            alias = connection.execute(
                sa.text(
                    "delete from core.aliases where alias_id = (select alias_id from core.aliases"
                    " order by md5(alias_id || :salt) limit 1) returning alias_id"
                ),
                {"salt": self.next()},
            ).scalar_one_or_none()
            if alias:
                self.notes(connection, alias)

    def happenings(self) -> list[tuple[Callable[[], None], int]]:
        return [
            (self.grants, 6), (self.withdraws, 3), (self.grants_for_a_while, 4), (self.says_something_dated_ahead, 4),
            (self.consent_is_loaded_anew, 2), (self.consent_moves_or_goes, 2), (self.blocks, 2),
            (self.is_unblocked, 2), (self.is_held, 2), (self.is_let_go, 2), (self.contact_changes, 5),
            (self.moves, 3), (self.other_law, 2), (self.buys, 4), (self.cancels, 2), (self.visits, 3),
            (self.meets, 2), (self.parts, 1),
        ]  # fmt: skip

    def something_happens(self) -> None:
        what, weights = zip(*self.happenings(), strict=True)
        for happening in self.dice.choices(what, weights, k=self.dice.randrange(2, 8)):
            happening()
        if self.dice.random() < 0.1:
            self.dice.choice([self.is_suppressed, self.is_suppressed_no_more])()

    # ----------------------------------------------------------------------------- what choosing does before a sync

    def enrol(self, who: str, at: datetime, run: int, arm: str = "treated", stops_from: datetime | None = None) -> None:
        self.write(
            "insert into campaign.enrolments (campaign, customer_id, episode, anchor_at, enrolled_at, run_id,"
            " experiment_version, arm, variant, assigned_u, variant_u, first_in_experiment, segment_sha256,"
            " config_sha256, evidence, stops_from) values ('lapsing_customers', :who, :episode, :anchor, :at, :run,"
            " 'v1', :arm, 'control', 0.5, 0.5, true, '', '', '{}', :stops_from)",
            who=who, episode=self.next(), anchor=at - HOUR, at=at, run=run, arm=arm, stops_from=stops_from,
        )  # fmt: skip

    def chooses(self, run: int) -> None:
        dice = self.dice
        which = (
            "(select enrolment_id from campaign.enrolments where {} order by md5(enrolment_id || :salt) limit :most)"
        )
        self.write(
            "update campaign.enrolments set closed_at = :at, close_reason = :why where enrolment_id in "
            + which.format("closed_at is null"),
            at=self.at, why=dice.choice(["left_segment", "goal", "merged"]), salt=self.next(), most=dice.randrange(3),
        )  # fmt: skip
        self.write(
            "update campaign.enrolments set closed_at = null, close_reason = null, reopened_by = :run"
            " where enrolment_id in " + which.format("close_reason = 'left_segment'"),
            run=run, salt=self.next(), most=dice.randrange(2),
        )  # fmt: skip
        for who in dice.sample(PEOPLE, dice.randrange(4)):
            arm = "holdout" if dice.random() < 0.2 else "treated"
            self.enrol(who, self.at, run, arm, dice.choice([None, self.soon(600, 1)]))


@pytest.fixture
def world(make_workspace: Callable[..., Workspace]) -> World:
    return World(make_workspace(mode="simulated"), random.Random(0))


def populate(world: World) -> None:
    run = world.run(START - HOUR)
    for who in PEOPLE:
        world.person(who)
        for platform in world.dice.sample(PLATFORMS, 2):
            world.consent(who, platform, basis=world.dice.choice(["express", *ALL_BASES]))
        if world.dice.random() < 0.8:
            world.enrol(who, START - world.dice.randrange(1, 600) * HOUR, run)
        if world.dice.random() < 0.3:  # a purchase, or an inquiry, that lets implied consent count until a midnight
            ago = world.dice.randrange(4) * DAY - 12 * HOUR
            world.buys(datetime(2024, 6, 9, tzinfo=UTC) + ago, who)
            world.consent(who, "tiktok", basis="inquiry", occurred_at=datetime(2025, 12, 9, tzinfo=UTC) + ago)


@pytest.mark.parametrize("seed", range(3))
def test_a_look_at_whom_something_changed_finds_what_a_look_at_everybody_finds(world: World, seed: int) -> None:
    dice = world.dice = random.Random(seed)
    populate(world)
    found, small, full, moved = rules(), [], [], 0
    latest = Looked([], 0, was_full=True)
    was_removal = True
    reasons: set[str] = set()

    for turn in range(26):
        world.something_happens()
        is_removal = dice.random() < 0.3
        at = world.at
        if not is_removal and not was_removal and dice.random() < 0.15:
            at -= dice.randrange(5, 13) * HOUR  # a late run of an earlier moment
        if dice.random() < 0.1:
            found = rules(**dice.choice(OTHERS))
        run = world.run(at)
        if not is_removal and at == world.at:
            world.chooses(run)
        may_add = not is_removal and dice.random() < 0.85  # else paused, or held

        expected = world.look(found, at, may_add=may_add, everybody=True)
        looked = world.look(found, at, may_add=may_add, run=run)

        assert looked.members == expected.members, f"turn {turn}"
        facts = world.facts(found, at)
        belong = facts.belong()
        assert looked.wanted() == (belong if may_add else belong & latest.wanted()), f"turn {turn}"
        untold = facts.untold(looked.out(), looked.wanted())
        assert looked.untold() == untold, f"turn {turn}"
        reasons.update(why for why in untold.values() if why)
        if looked.was_full:
            full.append(looked.people)
        else:
            small.append((looked.people, expected.people))
        moved += len(looked.wanted() ^ latest.wanted())
        latest, was_removal = looked, is_removal or not may_add
        world.at += dice.randrange(10, 420) * MINUTE

    assert world.at < START + 7 * DAY, "a look at everybody in between would prove less"
    assert len(small) >= 10, "everybody was looked at too often: this proves little"
    assert sum(some for some, _ in small) < 0.6 * sum(most for _, most in small), "nearly everybody was looked at"
    assert moved > 60
    assert reasons >= {"no_address", "shared_contact", "x"}


# ------------------------------------------------------------------------------------------------- one thing at a time


def one_of_them(world: World, who: str = "ann", country: str = "DE") -> None:
    """Somebody enrolled who may be told Meta about; a look has taken them in."""
    world.write(
        "insert into core.customers (customer_id, email_canonical, country) values (:id, :id || '@example.com', :to)",
        id=who, to=country,
    )  # fmt: skip
    world.consent(who, "meta")
    run = world.run(START)
    world.enrol(who, START, run)
    assert ("meta", "lapsing_customers", who) in world.look(rules(), START, run=run).wanted()


def test_each_thing_that_moves_somebody_in_or_out_is_noted(world: World) -> None:
    """One after another, each with a look that finds nobody but whom it concerns."""
    one_of_them(world)
    world.write("insert into core.customers (customer_id, email_canonical) values ('bob', 'bob@example.com')")
    world.enrol("bob", START, world.run(START))
    found, at = rules(platforms=["meta"]), START + MINUTE
    world.look(found, at)
    key = world.work.settings.suppression_key.get_secret_value()
    suppressed = hmac.new(key.encode(), b"ann@example.com", hashlib.sha256).hexdigest()
    block = "insert into core.consent_blocks select quarantine_id, 'ann', null from raw.quarantine"
    hold = "insert into campaign.reply_holds (reply_id, customer_id, channel) select reply_id, 'ann', 'meta'"
    world.blocks()
    world.is_held()
    world.write("delete from core.consent_blocks")
    world.write("delete from campaign.reply_holds")
    world.look(found, at)
    consent = "update core.consents set customer_id = :to"
    suppress = (
        "insert into core.suppressions (address_hmac, channel, scope, reason, suppressed_at)"
        " values (:hash, 'meta', 'all', 'erased', now())"
    )
    part = (  # the id that is somebody else's no more is noted by the load
        "with gone as (delete from core.aliases returning alias_id) insert into core.people_changed (customer_id)"
        " select alias_id from gone on conflict (customer_id) do update set changed_at = excluded.changed_at"
    )
    alias = "insert into core.aliases (alias_id, customer_id, reason, merged_at) values ('ann', :to, 'x', now())"

    for what, given, wanted in (
        (consent, {"to": "bob"}, "bob"),
        (consent, {"to": "ann"}, "ann"),
        (block, {}, ""),
        ("delete from core.consent_blocks", {}, "ann"),
        (f"{hold} from campaign.replies", {}, ""),
        ("delete from campaign.reply_holds", {}, "ann"),
        ("update core.customers set email_canonical = null where customer_id = 'ann'", {}, "ann"),
        ("update core.customers set phone_e164 = '+4930123456' where customer_id = 'ann'", {}, "ann"),
        ("update core.customers set email_canonical = 'ann@example.com' where customer_id = 'ann'", {}, "ann"),
        (suppress, {"hash": suppressed}, ""),
        ("delete from core.suppressions", {}, "ann"),
        (alias, {"to": "bob"}, "bob"),
        (part, {}, "ann"),
        ("delete from core.consents", {}, ""),
    ):  # fmt: skip
        at += MINUTE
        world.write(what, **given)
        looked = world.look(found, at)
        assert {who for _, _, who in looked.wanted()} == {wanted} - {""}, what
        assert looked.was_full == ("suppressions" in what), what


def test_what_a_transaction_wrote_that_was_open_during_a_look_is_seen_by_the_next(world: World) -> None:
    one_of_them(world)
    row = {
        "consent_id": "late", "customer_id": "ann", "channel": "meta", "purpose": "marketing", "status": "withdrawn",
        "occurred_at": START,
    }  # fmt: skip
    with world.work.database.engine.connect() as writer, writer.begin():
        insert(writer, "core.consents", [row])
        assert world.look(rules(), START + MINUTE).wanted()

    looked = world.look(rules(), START + 2 * MINUTE)

    assert (looked.wanted(), looked.was_full, looked.people) == (set(), False, 1)


def test_whoever_nothing_changed_of_is_not_looked_at(world: World) -> None:
    one_of_them(world)
    found = rules(platforms=["meta"])  # express consent only, which no law lets lapse at a midnight
    assert world.look(found, START + MINUTE).was_full, "the rules changed"

    assert world.look(found, START + 3 * MINUTE).people == 0
    assert world.look(found, START + 7 * DAY).was_full is False
    assert world.look(found, START + 7 * DAY + MINUTE).was_full


def test_whoever_bought_after_the_moment_of_a_look_that_knew_it_already_leaves_with_the_next(world: World) -> None:
    one_of_them(world)
    one_of_them(world, "bob")
    world.buys(START + 3 * MINUTE, "ann")
    world.visits(START + 3 * MINUTE, "bob")
    assert len(world.look(rules(), START + 2 * MINUTE).wanted()) == 2

    looked = world.look(rules(), START + 3 * MINUTE, may_add=False)

    assert (looked.wanted(), looked.was_full) == (set(), False)


def test_whoever_left_after_the_moment_of_a_slow_run_leaves_again_though_it_takes_them_back(world: World) -> None:
    one_of_them(world)
    world.buys(START + 3 * MINUTE, "ann")
    assert not world.look(rules(), START + 4 * MINUTE, may_add=False).wanted()
    world.look(rules(), START + 2 * MINUTE)

    assert not world.look(rules(), START + 5 * MINUTE, may_add=False).wanted()


def test_an_episode_that_a_run_closed_as_of_before_the_last_dispatch_is_over_for_the_next_one(world: World) -> None:
    """The run was slow, died before its sync, and the campaign is paused."""
    one_of_them(world)
    world.look(rules(), START + 10 * MINUTE, may_add=False)
    world.write("update campaign.enrolments set closed_at = :at, close_reason = 'left_segment'", at=START + MINUTE)

    looked = world.look(rules(), START + 20 * MINUTE, may_add=False)

    assert (looked.wanted(), looked.was_full) == (set(), False)


def test_fifty_thousand_consents_at_once_are_not_noted_one_by_one(world: World) -> None:
    one_of_them(world)
    many = (
        "insert into core.consents (consent_id, customer_id, channel, purpose, status, basis, occurred_at)"
        " select 'c' || n, 'p' || n, 'email', 'marketing', 'granted', 'express', :at from generate_series(1, :n) as n"
    )
    world.write("truncate core.ways_changed")
    world.write(many, at=START, n=49_999)
    assert world.one("select count(*) from core.ways_changed") == 49_999
    world.write("truncate core.ways_changed")
    world.write(many.replace("'c'", "'d'"), at=START, n=50_000)
    assert world.one("select count(*) from core.ways_changed") == 0

    assert world.look(rules(), START + MINUTE).was_full
    assert world.look(rules(), START + 2 * MINUTE).was_full is False


def test_notes_that_nobody_asks_for_any_more_are_forgotten(world: World) -> None:
    one_of_them(world)
    world.write(
        "insert into core.ways_changed (customer_id, changed_at) values"
        " ('old', clock_timestamp() - interval '8 days 1 minute'), ('new', clock_timestamp() - interval '7 days 23:00')"
    )

    world.look(rules(), START + 7 * DAY)

    found = {row["customer_id"] for row in world.rows("select customer_id from core.ways_changed")}
    assert ("old" in found, "new" in found) == (False, True)


def test_a_campaign_whose_folder_comes_back_fills_its_audience_again(world: World) -> None:
    one_of_them(world)
    with world.work.database.transaction() as connection:
        audiences.abandon(world.work.queries, connection, "lapsing_customers", START + MINUTE)

    assert world.look(rules(), START + 2 * MINUTE).wanted() == {("meta", "lapsing_customers", "ann")}


def test_who_is_the_writer_no_more_leaves_an_audience_that_the_writer_brought_them_into(world: World) -> None:
    number = "4915112345678"
    database, queries = world.work.database, world.work.queries
    load(database, queries, "messages", told(body(message("m1", OPENED))))
    load(database, queries, "customers", [customer("C1", f"+{number}")])
    world.consent("C1", "meta")
    run = world.run(START)
    world.enrol(number, START, run)
    assert world.look(rules(), START, run=run).wanted() == {("meta", "lapsing_customers", "C1")}
    world.look(rules(), START + MINUTE)

    load(database, queries, "customers", [customer("C2", f"+{number}")])
    looked = world.look(rules(), START + 2 * MINUTE)

    assert (looked.wanted(), looked.was_full) == (set(), False)


def test_a_withdrawal_as_it_is_loaded_leaves_with_the_next_look(world: World) -> None:
    database, queries = world.work.database, world.work.queries
    load(database, queries, "customers", [good("customers")])
    load(database, queries, "consents", [good("consents", channel="meta")])
    run = world.run(START)
    world.enrol("c1", START, run)
    assert world.look(rules(), START, run=run).wanted()
    world.look(rules(), START + MINUTE)

    load(database, queries, "consents", [good("consents", consent_id="n2", channel="meta", status="withdrawn",
                                              basis=None, occurred_at="2026-05-02T10:00:00Z")])  # fmt: skip
    looked = world.look(rules(), START + 2 * MINUTE)

    assert (looked.wanted(), looked.people, looked.was_full) == (set(), 1, False)


def test_the_next_removals_take_whoever_withdrew_off_the_platform(make_workspace: Callable[..., Workspace]) -> None:
    shop, platform = Shop(make_workspace(mode="simulated")), Elsewhere()
    for number in "12":
        shop.lapses(number)
        shop.consents(number, "meta")
    shop.run(campaign(platforms=[]))
    with runs.begin(shop.work, "reengage", campaign(), NOON) as run:
        sync.audiences(run, connect=lambda run, name: platform)
    with runs.begin(shop.work, "dispatch", None, NOON) as run:  # the campaign's file has other rules
        sync.removals(run, connect=lambda run, name: platform)
    before = shop.rows("select full_at from campaign.audience_looks")
    shop.consents("1", "meta", "withdrawn", at="2026-06-09")

    with runs.begin(shop.work, "dispatch", None, NOON + MINUTE) as run:
        counts = sync.removals(run, connect=lambda run, name: platform)

    assert counts == {"meta removed": 1}
    assert len(platform.audiences["lapsing_customers"]) == 1
    assert shop.rows("select full_at from campaign.audience_looks") == before


def test_an_erased_person_leaves_no_note(world: World) -> None:
    one_of_them(world)
    one_of_them(world, "bob")

    erase.person(world.work, "ann", START + MINUTE)

    assert {row["customer_id"] for row in world.rows("select customer_id from core.ways_changed")} == {"bob"}
    assert world.look(rules(), START + 2 * MINUTE).wanted() == {("meta", "lapsing_customers", "bob")}
