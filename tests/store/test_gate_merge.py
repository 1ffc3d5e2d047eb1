"""What the gate makes of accepted lines: the same facts whatever the order and batches they came in."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from tasks.rules.contact import guest_id
from tasks.rules.errors import GateError
from tasks.store import gate
from tasks.store.engine import Database
from tasks.store.queries import Queries
from tests.store.conftest import OneTransaction
from tests.store.landing import ENTITIES, KEY, good, land, load, rows

LATER = "2026-05-03T10:00:00Z"
GUEST = guest_id(KEY, "ann@example.com")
# Numbers of loads and of quarantine rows, and when a merge happened, are about the delivery and not the facts.
BOOKKEEPING = ("load_id", "quarantine_id", "merged_at", "changed_at", "contact_derived_at")
CORE = (
    "aliases", "guests", "guest_claims", "purchase_days", "milestones", "leads", "consent_blocks",
    *ENTITIES,
)  # fmt: skip


@pytest.fixture
def database(undone: OneTransaction) -> OneTransaction:
    """An empty database; what a test does is undone."""
    return undone


def core(database: OneTransaction) -> dict[str, list[dict[str, Any]]]:
    """All facts."""
    return {table: rows(database, f"core.{table}", *BOOKKEEPING) for table in CORE}


# ------------------------------------------------------------------------------------------------------------ versions


def test_a_newer_version_replaces_and_an_older_one_is_a_duplicate(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "purchases", [good("purchases")])
    newer = load(database, queries, "purchases", [good("purchases", amount="20", updated_at=LATER)])
    older = load(database, queries, "purchases", [good("purchases", amount="15", updated_at="2026-05-02T00:00:00Z")])

    assert (newer.accepted, older.duplicate) == (1, 1)
    assert older.report["reasons"] == {"older_version": 1}
    assert [row["amount"] for row in rows(database, "core.purchases")] == [Decimal("20.00")]


def test_within_a_load_the_newest_version_stands(database: OneTransaction, queries: Queries) -> None:
    lines = [
        good("purchases", amount="1"),
        good("purchases", amount="2", updated_at=LATER),
        good("purchases", amount="2", updated_at=LATER),
    ]

    counts = load(database, queries, "purchases", lines)

    assert counts.report["reasons"] == {"older_version": 1, "repeated": 1}
    assert [row["amount"] for row in rows(database, "core.purchases")] == [Decimal("2.00")]


@pytest.mark.parametrize("batches", [[[0, 1]], [[0], [1]], [[1], [0]]])
def test_of_two_contradicting_versions_one_stands_and_the_other_is_quarantined(
    database: OneTransaction, queries: Queries, batches: list[list[int]]
) -> None:
    lines = [good("purchases", amount="1"), good("purchases", amount="2")]

    for batch in batches:
        load(database, queries, "purchases", [lines[number] for number in batch])

    stands = rows(database, "core.purchases")[0]["amount"]
    fallen = rows(database, "raw.quarantine")
    assert stands == Decimal("2.00")  # of the two contents it has the greater hash
    assert [(row["reason"], Decimal(row["fields"]["amount"])) for row in fallen] == [("conflicting_version", 1)]


def test_without_a_stamp_the_same_content_again_is_a_duplicate_and_other_content_is_news(
    database: OneTransaction, queries: Queries
) -> None:
    made = {"content_excludes": ["updated_at"]}
    load(database, queries, "purchases", [good("purchases")], **made)

    same = load(database, queries, "purchases", [good("purchases", updated_at=LATER)], **made)
    other = load(database, queries, "purchases", [good("purchases", updated_at=LATER, amount="3")], **made)

    assert (same.duplicate, other.accepted) == (1, 1)


def test_a_load_merged_once_is_not_merged_again(database: OneTransaction, queries: Queries) -> None:
    with database.transaction() as connection:
        load_id = land(connection, "purchases", [good("purchases")])
        gate.check(connection, queries, load_id, KEY)
        gate.merge(connection, queries, load_id, KEY)

        with pytest.raises(GateError, match="only a landed or held load"):
            gate.merge(connection, queries, load_id, KEY)


def test_a_load_may_be_checked_twice_and_leaves_no_tables_behind(database: OneTransaction, queries: Queries) -> None:
    with database.transaction() as connection:
        load_id = land(connection, "purchases", [good("purchases")])
        gate.check(connection, queries, load_id, KEY)
        gate.check(connection, queries, load_id, KEY)
        gate.merge(connection, queries, load_id, KEY)

        left = connection.execute(
            sa.text("select to_regclass(:a), to_regclass(:b)"),
            {"a": f"raw.purchases_{load_id}", "b": f"raw.checked_{load_id}"},
        ).one()

    assert tuple(left) == (None, None)
    assert rows(database, "raw.loads")[0]["state"] == "merged"


# ----------------------------------------------------------------------------------------------- keys and orders made


def test_identical_lines_without_a_number_are_different_purchases_once(
    database: OneTransaction, queries: Queries
) -> None:
    line = good("purchases", order_id=None) | {"raw": "c1  1997-01-01  1  11.77"}
    lines = [line, dict(line), line | {"raw": "c1  1997-01-02  1  11.77"}]

    first = load(database, queries, "purchases", lines, key="generated")
    again = load(database, queries, "purchases", lines, key="generated")

    assert (first.accepted, again.duplicate) == (3, 3)
    assert len(rows(database, "core.purchases")) == 3


def test_lines_of_an_order_are_summed_and_counted_in_one_bucket(database: OneTransaction, queries: Queries) -> None:
    lines = [
        good("purchases", amount="10.005", items='[{"name": "hat"}]'),
        good("purchases", amount="-2", items='[{"name": "voucher"}]', purchased_at="2026-05-01T09:00:00Z"),
        good("purchases", order_id="o2", amount="5"),
        good("purchases", order_id="o2", amount="x"),
        good("purchases", order_id="o3", amount="-1"),
        good("purchases", order_id="o4", currency="USD"),
        good("purchases", order_id="o4"),
        good("purchases", order_id=None),
    ]

    counts = load(database, queries, "purchases", lines, group="order_id")
    again = load(database, queries, "purchases", lines[:2], group="order_id")

    stored = rows(database, "core.purchases")
    assert [(row["order_id"], row["amount"], len(row["items"])) for row in stored] == [("o1", Decimal("8.01"), 2)]
    assert stored[0]["purchased_at"] == datetime(2026, 5, 1, 9, tzinfo=UTC)
    assert (counts.lines_in, counts.accepted, counts.quarantined) == (8, 2, 6)
    assert counts.report["reasons"] == {
        "missing_id": 1, "negative_amount": 1, "not_a_number": 2, "order_lines_disagree": 2,
    }  # fmt: skip
    assert counts.report["orders"] == 5
    assert (again.duplicate, again.report["orders"]) == (2, 1)


def test_an_order_exported_again_with_its_lines_in_another_sequence_is_a_duplicate(
    database: OneTransaction, queries: Queries
) -> None:
    items = ['[{"name": "hat"}, {"name": "coat", "size": 3}]', '{"name": "coat", "size": 2}', '["gloves"]', None]
    lines = [good("purchases", amount=f"{number}.5", items=text) for number, text in enumerate(items)]
    load(database, queries, "purchases", lines, group="order_id")
    before = rows(database, "core.purchases")

    for sequence in itertools.permutations(lines):
        again = load(database, queries, "purchases", list(sequence), group="order_id")
        assert (again.duplicate, again.accepted, again.report["reasons"]) == (4, 0, {"repeated": 4})

    assert rows(database, "core.purchases") == before
    assert len(before[0]["items"]) == 4


# -------------------------------------------------------------------------------------------------------- cancellations


CANCELLING = good("purchases", order_id="x1", status="cancelled", amount="-12.50", cancels="o1", updated_at=LATER)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
@pytest.mark.parametrize("apart", [True, False])
def test_a_cancellation_finds_its_order_whichever_comes_first(
    database: OneTransaction, queries: Queries, order: list[int], *, apart: bool
) -> None:
    lines = [[good("purchases"), CANCELLING][number] for number in order]

    for batch in [[line] for line in lines] if apart else [lines]:
        load(database, queries, "purchases", batch)

    assert {row["order_id"]: row["cancelled_by"] for row in rows(database, "core.purchases")} == {
        "o1": "x1", "x1": None,
    }  # fmt: skip
    assert rows(database, "core.purchase_days") == []


def test_a_cancellation_taken_back_lets_the_order_count_again(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "purchases", [good("purchases"), CANCELLING])

    load(database, queries, "purchases", [CANCELLING | {"cancels": None, "updated_at": "2026-05-04T10:00:00Z"}])

    assert rows(database, "core.purchases")[0]["cancelled_by"] is None
    assert len(rows(database, "core.purchase_days")) == 1


def test_cancellations_without_their_order_are_counted(database: OneTransaction, queries: Queries) -> None:
    lines = [
        CANCELLING | {"cancels": "unknown"},
        good("purchases", order_id="C2", status="cancelled", amount="5"),
        good("purchases", order_id="x3", status="cancelled", amount="-5"),
        good("purchases", order_id="o4", status="cancelled"),  # an order that says so of itself
    ]

    counts = load(database, queries, "purchases", lines, cancellation_prefixes=["C"])

    assert counts.accepted == 4
    assert counts.report["unlinked_cancellations"] == 3


# ------------------------------------------------------------------------------------------------------------- people


def test_who_buys_before_being_described_is_a_bare_customer(database: OneTransaction, queries: Queries) -> None:
    counts = load(database, queries, "purchases", [good("purchases")])
    bare = rows(database, "core.customers")[0]

    load(database, queries, "customers", [good("customers", updated_at="2020-01-01T00:00:00Z")])

    described = rows(database, "core.customers")[0]
    assert (counts.report["bare_customers"], bare["is_bare"], described["is_bare"]) == (1, True, False)
    assert described["email_canonical"] == "ann@example.com"


@pytest.mark.parametrize("entity", ["events", "consents", "push_tokens"])
def test_parked_lines_are_applied_when_the_customer_comes(
    database: OneTransaction, queries: Queries, entity: str
) -> None:
    parked = load(database, queries, entity, [good(entity)])
    before = (len(rows(database, "raw.parked")), len(rows(database, f"core.{entity}")))

    load(database, queries, "customers", [good("customers")])

    assert (parked.parked, before) == (1, (1, 0))
    assert rows(database, "raw.parked") == []
    assert len(rows(database, f"core.{entity}")) == 1


def test_a_purchase_brings_the_customer_that_parked_lines_wait_for(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "events", [good("events")])

    load(database, queries, "purchases", [good("purchases")])

    assert len(rows(database, "core.events")) == 1


def guest_checkout(**changed: str | None) -> dict[str, str | None]:
    """A checkout that names an email and no customer."""
    return good("checkouts", customer_id=None, email=" Ann@Example.com ", **changed)


def test_a_checkout_with_an_email_only_belongs_to_a_guest_who_may_be_written_to(
    database: OneTransaction, queries: Queries
) -> None:
    load(database, queries, "checkouts", [guest_checkout(country="DE", first_name="Ann")])

    guest = rows(database, "core.customers")[0]
    consent = rows(database, "core.consents")[0]
    assert (guest["customer_id"], guest["email_canonical"], guest["time_zones"]) == (
        GUEST, "ann@example.com", ["Europe/Berlin", "Europe/Busingen"],
    )  # fmt: skip
    assert (consent["customer_id"], consent["channel"], consent["purpose"], consent["basis"]) == (
        GUEST, "email", "retargeting", "inquiry",
    )  # fmt: skip
    assert (consent["expires_at"] - consent["occurred_at"]).days == 30


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_guest_becomes_the_customer_with_that_email_with_all_history(
    database: OneTransaction, queries: Queries, order: tuple[int, ...]
) -> None:
    steps: list[Callable[[], Any]] = [
        lambda: load(database, queries, "checkouts", [guest_checkout()]),
        lambda: load(database, queries, "customers", [good("customers", customer_id="c7")]),
        lambda: load(database, queries, "customers", [good("customers", customer_id="c3")]),
    ]

    for number in order:
        steps[number]()

    assert rows(database, "core.aliases", "merged_at") == [
        {"alias_id": GUEST, "customer_id": "c3", "reason": "guest_email"}
    ]
    assert [row["customer_id"] for row in rows(database, "core.customers")] == ["c3", "c7"]
    assert [row["customer_id"] for row in rows(database, "core.checkouts")] == ["c3"]
    assert [row["customer_id"] for row in rows(database, "core.consents")] == ["c3"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_guest_stays_known_when_a_newer_version_of_the_checkout_names_somebody(
    database: OneTransaction, queries: Queries, order: tuple[int, ...]
) -> None:
    lines = [
        ("checkouts", guest_checkout(first_name="Ann")),
        ("checkouts", good("checkouts", customer_id="c9", updated_at=LATER)),
        ("customers", good("customers", customer_id="c7")),
    ]

    for number in order:
        load(database, queries, lines[number][0], [lines[number][1]])

    assert [(row["alias_id"], row["customer_id"]) for row in rows(database, "core.aliases")] == [(GUEST, "c7")]
    assert [row["customer_id"] for row in rows(database, "core.checkouts")] == ["c9"]
    assert [row["customer_id"] for row in rows(database, "core.customers")] == ["c7", "c9"]


def test_who_claims_a_guest_does_not_hang_on_when_a_customer_changed_their_email(
    shared_database: Database, queries: Queries
) -> None:
    lines = [
        ("customers", good("customers", customer_id="c7")),
        ("customers", good("customers", customer_id="c7", email="new@example.com", updated_at=LATER)),
        ("checkouts", guest_checkout()),
    ]
    ends = {}

    for order in itertools.permutations(range(len(lines))):
        with shared_database.engine.connect() as connection:
            outer = connection.begin()
            database = OneTransaction(connection)
            for number in order:
                load(database, queries, lines[number][0], [lines[number][1]])
            ends[order] = rows(database, "core.checkouts")[0]["customer_id"]
            outer.rollback()

    assert set(ends.values()) == {"c7"}, ends


@pytest.mark.parametrize("batches", [[[0, 1]], [[0], [1]], [[1], [0]]])
def test_a_guest_left_without_checkouts_is_described_by_the_email_alone(
    database: OneTransaction, queries: Queries, batches: list[list[int]]
) -> None:
    lines = [guest_checkout(first_name="Ann"), good("checkouts", customer_id="c9", updated_at=LATER)]

    for batch in batches:
        load(database, queries, "checkouts", [lines[number] for number in batch])

    guest = next(row for row in rows(database, "core.customers") if row["customer_id"] == GUEST)
    assert (guest["email"], guest["first_name"], guest["email_canonical"]) == (
        "ann@example.com", None, "ann@example.com",
    )  # fmt: skip


def test_a_checkout_that_nobody_can_be_told_from_stays_without_a_customer(
    database: OneTransaction, queries: Queries
) -> None:
    load(database, queries, "checkouts", [good("checkouts", customer_id=None, email="not an address")])

    assert rows(database, "core.checkouts")[0]["customer_id"] is None
    assert (rows(database, "core.customers"), rows(database, "core.consents")) == ([], [])


def test_an_erased_guest_does_not_come_back(database: OneTransaction, queries: Queries) -> None:
    from tasks.rules.contact import keyed_hash

    with database.transaction() as connection:
        connection.execute(
            sa.text("insert into raw.erased (customer_hash, erased_at) values (:hash, '2026-01-01')"),
            {"hash": keyed_hash(KEY, GUEST)},
        )

    counts = load(database, queries, "checkouts", [guest_checkout()])
    replaced = load(
        database, queries, "checkouts", [guest_checkout(), good("checkouts", customer_id="c9", updated_at=LATER)]
    )

    assert (counts.erased, replaced.erased) == (1, 1)
    assert [row["customer_id"] for row in rows(database, "core.customers")] == ["c9"]
    assert rows(database, "core.guests") == []


# ------------------------------------------------------------------------------------------- consents and milestones


def test_a_whatsapp_conversation_is_an_inquiry_and_another_is_not(database: OneTransaction, queries: Queries) -> None:
    lines = [good("conversations"), good("conversations", conversation_id="v2", channel="messenger")]

    load(database, queries, "conversations", lines, inquiry_days=400)

    consents = rows(database, "core.consents")
    assert [(row["consent_id"], row["channel"]) for row in consents] == [("inquiry:conversation:v1", "whatsapp")]
    assert (consents[0]["expires_at"] - consents[0]["occurred_at"]).days == 180  # the longest that is allowed


def test_milestones_keep_their_history_when_versions_come_late(database: OneTransaction, queries: Queries) -> None:
    lead = good("conversations")
    qualified = good("conversations", milestone="qualified", milestone_at=LATER, updated_at=LATER)

    load(database, queries, "conversations", [qualified])
    load(database, queries, "conversations", [lead])

    assert [row["milestone"] for row in rows(database, "core.milestones")] == ["lead", "qualified"]
    assert rows(database, "core.conversations")[0]["milestone"] == "qualified"


def test_an_older_consent_event_joins_the_history(database: OneTransaction, queries: Queries) -> None:
    load(database, queries, "customers", [good("customers")])
    load(database, queries, "consents", [good("consents", status="withdrawn")])

    counts = load(
        database, queries, "consents", [good("consents", consent_id="n0", occurred_at="2025-01-01T00:00:00Z")]
    )

    assert counts.accepted == 1
    assert [row["consent_id"] for row in rows(database, "core.consents")] == ["n0", "n1"]


@pytest.mark.parametrize(
    ("changed", "channel"),
    [({"status": "maybe"}, "email"), ({"channel": "pigeon"}, None), ({"occurred_at": "2026-02-30"}, "email")],
)
def test_a_quarantined_consent_blocks_its_person_and_channel(
    database: OneTransaction, queries: Queries, changed: dict[str, str], channel: str | None
) -> None:
    load(database, queries, "customers", [good("customers")])

    load(database, queries, "consents", [good("consents", **changed)])

    blocks = rows(database, "core.consent_blocks", "quarantine_id")
    assert blocks == [{"customer_id": "c1", "channel": channel}]


def test_a_consent_that_contradicts_a_stored_one_blocks_whichever_wins(
    database: OneTransaction, queries: Queries
) -> None:
    load(database, queries, "customers", [good("customers")])
    load(database, queries, "consents", [good("consents")])
    load(database, queries, "consents", [good("consents", wording="other words")])

    assert [row["channel"] for row in rows(database, "core.consent_blocks")] == ["email"]


@pytest.mark.parametrize("turn", [1, -1])  # the one that stands comes first, or last
@pytest.mark.parametrize("together", [True, False])
def test_of_two_contradicting_consents_both_people_are_held(
    database: OneTransaction, queries: Queries, turn: int, together: bool
) -> None:
    load(database, queries, "customers", [good("customers"), good("customers", customer_id="c2", email=None)])
    lines = [good("consents"), good("consents", customer_id="c2", channel="sms")][::turn]

    for part in [lines] if together else [[line] for line in lines]:
        load(database, queries, "consents", part)

    blocks = rows(database, "core.consent_blocks", "quarantine_id")
    assert sorted((row["customer_id"], row["channel"]) for row in blocks) == [("c1", "email"), ("c2", "sms")]


# ----------------------------------------------------------------------------------------------- order and batching


def world(seed: int) -> list[tuple[str, dict[str, str | None]]]:
    """Lines of every entity about few people and keys, so that versions, contradictions and guests meet."""
    draw = random.Random(seed)

    def day() -> str:
        return f"2026-0{draw.randint(1, 5)}-{draw.randint(1, 28):02}T{draw.randint(0, 23):02}:00:00Z"

    def stamp() -> str:
        return f"2026-05-0{draw.randint(1, 4)}T00:00:00Z"

    def person() -> str:
        return f"c{draw.randint(1, 6)}"

    def customer() -> dict[str, str | None]:
        return good(
            "customers", customer_id=person(), email=f"p{draw.randint(1, 6)}@example.com", updated_at=stamp(),
            first_name=draw.choice(["Ann", "Bo"]), country=draw.choice(["DE", "US", None]),
        )  # fmt: skip

    def checkout() -> dict[str, str | None]:
        return good(
            "checkouts", checkout_id=f"k{draw.randint(1, 6)}", updated_at=stamp(), opened_at=day(),
            customer_id=draw.choice([person(), None]), email=f"p{draw.randint(1, 6)}@example.com",
            first_name=draw.choice(["Ann", None]),
        )  # fmt: skip

    made: dict[str, Callable[[], dict[str, str | None]]] = {
        "customers": customer,
        "checkouts": checkout,
        "purchases": lambda: good(
            "purchases", order_id=f"o{draw.randint(1, 12)}", customer_id=person(), purchased_at=day(),
            amount=draw.choice(["1", "2", "-3", "x"]), status=draw.choice(["paid", "paid", "refunded", "cancelled"]),
            cancels=draw.choice([None, None, f"o{draw.randint(1, 12)}"]), updated_at=stamp(),
        ),
        "events": lambda: good("events", event_id=f"e{draw.randint(1, 9)}", customer_id=person(), occurred_at=day()),
        "conversations": lambda: good(
            "conversations", conversation_id=f"v{draw.randint(1, 4)}", customer_id=person(), updated_at=stamp(),
            milestone=draw.choice(["lead", "qualified"]), milestone_at=day(),
        ),
        "consents": lambda: good(
            "consents", consent_id=f"n{draw.randint(1, 9)}", customer_id=person(), occurred_at=day(),
            status=draw.choice(["granted", "withdrawn", "maybe"]),
        ),
        "push_tokens": lambda: good(
            "push_tokens", token_id=f"t{draw.randint(1, 5)}", customer_id=person(), updated_at=stamp(),
            active=draw.choice(["true", "false"]),
        ),
        "messages": lambda: good("messages", message_id=f"m{draw.randint(1, 5)}", sent_at=day()),
        "ads": lambda: good("ads", updated_at=stamp(), status=draw.choice(["active", "paused"])),
        "visits": lambda: good("visits", visit_id=f"w{draw.randint(1, 5)}", viewed_at=day()),
    }  # fmt: skip
    return [(entity, made[entity]()) for entity in draw.choices(list(made), k=60)]


def batches(lines: Sequence[tuple[str, dict[str, str | None]]], draw: random.Random) -> Iterator[tuple[str, list[Any]]]:
    """The lines in another order, cut into loads of one entity each."""
    shuffled = draw.sample(list(lines), len(lines))
    while shuffled:
        size = draw.randint(1, 30)
        part, shuffled = shuffled[:size], shuffled[size:]
        for entity in draw.sample(list(ENTITIES), len(ENTITIES)):
            if of_entity := [line for kind, line in part if kind == entity]:
                yield entity, of_entity


@pytest.mark.parametrize("seed", range(4))
def test_any_order_and_batching_gives_the_same_facts(shared_database: Database, queries: Queries, seed: int) -> None:
    lines = world(seed)
    states = []

    for attempt in range(2):
        with shared_database.engine.connect() as connection:
            outer = connection.begin()
            database = OneTransaction(connection)
            for entity, part in batches(lines, random.Random(f"{seed} {attempt}")):
                counts = load(database, queries, entity, part)
                assert counts.lines_in == len(part)
            once = core(database)
            for entity, part in batches(lines, random.Random(f"{seed} {attempt} again")):
                load(database, queries, entity, part)
            states.append(once)
            without_blocks = {table: found for table, found in core(database).items() if table != "consent_blocks"}
            assert without_blocks == {table: found for table, found in once.items() if table != "consent_blocks"}
            outer.rollback()

    for table in CORE:
        found = [{repr(row) for row in state[table]} for state in states]
        assert found[0] == found[1], table


ADDRESSES = [f"p{number}@example.com" for number in range(4)]
MET = ("aliases", "guests", "guest_claims", "customers", "checkouts", "consents")


def people_who_change_their_email(seed: int) -> list[tuple[str, dict[str, str | None]]]:
    """Versions of three customers with addresses that go round among them, and checkouts of guests."""
    draw = random.Random(seed)

    def stamp() -> str:
        return f"2026-05-0{draw.randint(1, 5)}T00:00:00Z"

    def address() -> str:
        return draw.choice([str.upper, str.lower, lambda given: f" {given}"])(draw.choice(ADDRESSES))

    customers = [
        good(
            "customers", customer_id=f"c{draw.randint(1, 3)}", email=draw.choice([address(), address(), None, "none"]),
            updated_at=stamp(), first_name=draw.choice(["Ann", "Bo", "An\nn"]),
        )
        for _ in range(8)
    ]  # fmt: skip
    checkouts = [
        good(
            "checkouts", checkout_id=f"k{draw.randint(1, 4)}", email=address(), updated_at=stamp(),
            customer_id=draw.choice([None, None, f"c{draw.randint(1, 3)}"]),
        )
        for _ in range(6)
    ]  # fmt: skip
    return [("customers", line) for line in customers] + [("checkouts", line) for line in checkouts]


def owners_and_claims(lines: Sequence[tuple[str, Any]]) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """Who owns which guest: the smallest id of all who ever had that email. And who had which, if it ever changed.

    Nobody has an address that cannot be written to, be it for its own sake or the name's.
    """
    had: dict[str, set[str | None]] = {}
    for entity, line in lines:
        if entity == "customers":
            email = (line["email"] or "").strip().lower()
            usable = email in ADDRESSES and "\n" not in line["first_name"]
            had.setdefault(line["customer_id"], set()).add(guest_id(KEY, email) if usable else None)
    came = [line for entity, line in lines if entity == "checkouts" and line["customer_id"] is None]
    guests = {guest_id(KEY, line["email"].strip().lower()) for line in came}
    claimants = {guest: [who for who, found in had.items() if guest in found] for guest in guests}
    claims = {(guest, who) for who, found in had.items() if len(found) > 1 for guest in found if guest}
    return {guest: min(found) for guest, found in claimants.items() if found}, claims


@pytest.mark.parametrize("seed", range(8))
def test_guests_go_to_whoever_ever_had_the_email_in_any_order_and_batching(
    shared_database: Database, queries: Queries, seed: int
) -> None:
    lines = people_who_change_their_email(seed)
    draw = random.Random(f"{seed} orders")
    one_by_one = [(entity, [line]) for entity, line in draw.sample(lines, len(lines))]
    orders = [list(batches(lines, draw)), list(batches(lines, draw)), one_by_one]
    ends = []

    for order in orders:
        with shared_database.engine.connect() as connection:
            outer = connection.begin()
            database = OneTransaction(connection)
            for entity, part in order:
                load(database, queries, entity, part)
            ends.append({table: rows(database, f"core.{table}", *BOOKKEEPING) for table in MET})
            outer.rollback()

    owners, claims = owners_and_claims(lines)
    assert {row["alias_id"]: row["customer_id"] for row in ends[0]["aliases"]} == owners
    assert {(row["guest_id"], row["customer_id"]) for row in ends[0]["guest_claims"]} == claims
    assert ends[1] == ends[0]
    assert ends[2] == ends[0]
