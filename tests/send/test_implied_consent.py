"""How long consent that was not expressed counts where the law says so: decided by the claim, to the day (C7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
import sqlalchemy as sa

from tasks.rules.contact import Contact, derive
from tests.send.stage import NOON, Stage
from tests.send.test_hours import HOURS, own_table

# A message at noon on 10 March 2026; 24 months before that day begin on 10 March 2024, six on 10 September 2025.
ACCEPTING = {"channels": [{"name": "email", "consent": ["express", "soft_opt_in", "inquiry"]}, "push", "sms"]}


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """A campaign by email that accepts every basis."""
    return make_stage(**ACCEPTING)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def due(stage: Stage, basis: str, given_at: str = "2020-01-01", areas: tuple[str, ...] | None = ("CA",)) -> str:
    """A planned message to ann, who may be under these laws and gave her consent long ago; answers its key."""
    stage.person("ann", channels=())
    stage.run_sql("update core.customers set legal_areas = :areas", areas=None if areas is None else list(areas))
    stage.consent("ann", "email", "granted", moment(given_at), basis)
    return stage.plan(stage.enrol("ann"))


@pytest.mark.parametrize(
    ("bought_at", "status", "may"),
    [
        ("2024-03-10T00:00:00", "paid", True),
        ("2024-03-09T23:59:59", "paid", False),
        ("2026-03-10T02:59:59", "paid", True),
        ("2026-03-10T12:00:01", "paid", False),  # bought later
        ("2026-03-01T00:00:00", "cancelled", False),
        ("2026-03-01T00:00:00", "refunded", False),
        (None, None, False),
    ],
)
def test_in_canada_a_purchase_allows_messages_for_24_months(
    stage: Stage, bought_at: str | None, status: str, may: bool
) -> None:
    key = due(stage, "soft_opt_in")
    if bought_at:
        stage.purchase("ann", moment(bought_at), status)

    stage.dispatch(NOON)

    assert stage.end(key) == (("accepted", None) if may else ("suppressed", "no_consent"))
    assert stage.decisions_follow_the_ledger()


def test_a_purchase_that_another_row_cancels_allows_nothing(stage: Stage) -> None:
    key = due(stage, "soft_opt_in")
    stage.purchase("ann", moment("2026-03-01"))
    stage.run_sql("update core.purchases set cancelled_by = 'o2'")

    stage.dispatch(NOON)

    assert stage.end(key) == ("suppressed", "no_consent")


@pytest.mark.parametrize(("given_at", "may"), [("2025-09-10T00:00:00", True), ("2025-09-09T23:59:59", False)])
def test_in_canada_an_inquiry_allows_messages_for_six_months(stage: Stage, given_at: str, may: bool) -> None:
    key = due(stage, "inquiry", given_at)

    stage.dispatch(NOON)

    assert stage.end(key) == (("accepted", None) if may else ("suppressed", "no_consent"))


def test_a_purchase_does_not_prolong_an_inquiry(stage: Stage) -> None:
    key = due(stage, "inquiry")
    stage.purchase("ann", moment("2026-03-01"))

    stage.dispatch(NOON)

    assert stage.end(key) == ("suppressed", "no_consent")


def test_what_was_said_expressly_stays_said(stage: Stage) -> None:
    key = due(stage, "express")

    stage.dispatch(NOON)

    assert stage.end(key) == ("accepted", None)


@pytest.mark.parametrize("purpose", ["marketing", "transactional"])
def test_what_a_purchase_brings_with_it_is_no_advertising(make_stage: Callable[..., Stage], purpose: str) -> None:
    stage = make_stage(purpose=purpose, **ACCEPTING)
    key = due(stage, "soft_opt_in")
    stage.run_sql("update core.consents set purpose = :purpose", purpose=purpose)

    stage.dispatch(NOON)

    assert stage.end(key)[0] == ("accepted" if purpose == "transactional" else "suppressed")


@pytest.mark.parametrize(
    ("country", "phone", "may"),
    [
        ("CA", None, False),
        ("DE", None, True),
        ("DE", "+1 416 555 2368", True),  # the stated country counts
        (None, "+1 416 555 2368", False),
        (None, "+1 800 555 0199", False),  # countries share these numbers
        (None, "+49 30 901820", True),
        (None, None, True),
    ],
)
def test_the_law_of_the_stated_country_counts_else_of_the_numbers(
    stage: Stage, country: str | None, phone: str | None, may: bool
) -> None:
    found = derive(Contact(phone=phone, country=country), known_zones=())
    key = due(stage, "soft_opt_in", areas=found.legal_areas)

    stage.dispatch(NOON)

    assert stage.end(key)[0] == ("accepted" if may else "suppressed")


@pytest.mark.parametrize("column", ["country", "phone_country"])
def test_until_the_law_is_derived_any_sign_of_the_country_counts(stage: Stage, column: str) -> None:
    key = due(stage, "soft_opt_in", areas=None)
    stage.run_sql(f"update core.customers set {column} = 'CA'")

    stage.dispatch(NOON)

    assert stage.end(key) == ("suppressed", "no_consent")


def test_what_was_bought_under_an_earlier_id_counts_for_the_person(stage: Stage) -> None:
    key = due(stage, "soft_opt_in")
    stage.run_sql(
        "insert into core.aliases (alias_id, customer_id, reason, merged_at) values ('old', 'ann', 'email', :at)",
        at=NOON,
    )
    stage.purchase("old", moment("2026-03-01"))

    stage.dispatch(NOON)

    assert stage.end(key) == ("accepted", None)


@pytest.mark.parametrize(
    ("zone", "may"),
    [("Pacific/Auckland", False), ("America/Vancouver", True)],  # 11 March there; still 10 March here
)
def test_the_day_of_the_message_is_that_of_the_business_zone(stage: Stage, zone: str, may: bool) -> None:
    due(stage, "soft_opt_in")
    stage.purchase("ann", moment("2024-03-10T09:00"))

    with stage.work.database.transaction() as connection:
        within = connection.begin_nested()  # the zone of a database is for good
        connection.execute(sa.text("update campaign.database set business_zone = :zone"), {"zone": zone})
        asked = sa.text("select count(*) from campaign.grants_in_force(array['ann'], :at, 'marketing')")
        found = connection.execute(asked, {"at": NOON}).scalar_one()
        within.rollback()

    assert found == may


# -------------------------------------------------------------------------------------------- the table

FRANCE = """
implied_consents:
  - {area: FR, source: made up for this test, dated: 2026-01-01, soft_opt_in: 36}
"""


@pytest.mark.parametrize(
    ("table", "areas", "bought_at", "end"),
    [
        (HOURS, ("CA",), "2024-03-09T12:00:00", "suppressed"),  # ours, where the shop's own table says nothing of it
        (HOURS + FRANCE, ("CA",), "2024-03-09T12:00:00", "accepted"),
        (HOURS + FRANCE, ("FR",), "2023-03-09T12:00:00", "suppressed"),
        (HOURS + FRANCE, ("FR",), "2023-03-10T12:00:00", "accepted"),
        (HOURS + "implied_consents: []\n", ("CA",), "2024-03-09T12:00:00", "accepted"),
    ],
)
def test_the_shops_own_table_is_read_at_the_next_dispatch(
    stage: Stage, table: str, areas: tuple[str, ...], bought_at: str, end: str
) -> None:
    own_table(stage, table.replace("HOURS", "10:00-20:00"))
    key = due(stage, "soft_opt_in", areas=areas)
    stage.purchase("ann", moment(bought_at))

    stage.dispatch(NOON)

    assert stage.end(key)[0] == end
