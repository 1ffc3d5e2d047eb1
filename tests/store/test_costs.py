"""What WhatsApp messages cost, against sums worked out by hand: windows, countries, days, currencies, no price."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tasks import measure
from tasks.store.workspace import Workspace
from tests.evaluation_world import START, World, insert, write_campaign

DAY = timedelta(days=1)
AS_OF = START + 30 * DAY
# Germany becomes dearer on 8 March; Brazil is in a region and is paid in dollars; India has nothing.
TABLE = """
checked: 2026-01-01
regions: {south: [BR, CL]}
prices:
  - {place: DE, category: marketing, currency: EUR, price: 0.1131, valid_from: 2026-01-01, SOURCE}
  - {place: DE, category: marketing, currency: EUR, price: 0.2, valid_from: 2026-03-08, SOURCE}
  - {place: DE, category: utility, currency: EUR, price: 0.05, valid_from: 2026-01-01, SOURCE}
  - {place: south, category: marketing, currency: USD, price: 0.0625, valid_from: 2026-01-01, SOURCE}
"""


@pytest.fixture
def shop(tmp_path: Path, make_workspace: Callable[..., Workspace]) -> Workspace:
    folder = tmp_path / "config"
    write_campaign(folder / "campaigns", "leads", "goal: {event: qualified}")
    (folder / "reengage.yaml").write_text("whatsapp_prices: prices.yaml\n")
    (folder / "prices.yaml").write_text(TABLE.replace("SOURCE", "source: made up, dated: 2026-01-01"))
    return make_workspace(config=folder, mode="simulated", time_zone="UTC")


class Talks:
    """Conversations that were written to, at what price."""

    def __init__(self) -> None:
        self.world = World()
        self.prices: list[dict[str, Any]] = []
        self.qualified: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []

    def talk(
        self,
        number: int,
        *days: float,
        country: str | None = "DE",
        category: str | None = "marketing",
        billable: bool | None = True,
        channel: str = "whatsapp",
        qualified: float | None = None,
    ) -> list[str]:
        """A conversation written to so many days after the start, one step each; answers the keys of the sends."""
        customer, talk = f"c{number}", f"talk{number}"
        self.world.customer(customer)
        enrolment = self.world.enrol("leads", customer, START, episode=talk)
        keys = []
        for step, day in enumerate(days, 1):
            send = self.world.send(enrolment, START + day * DAY, step=str(step), channel=channel)
            self.prices.append(
                {"key": send["send_key"], "country": country, "category": category, "billable": billable}
            )
            keys.append(send["send_key"])
        if qualified is not None:
            self.qualified.append(
                {"conversation_id": talk, "milestone": "qualified", "milestone_at": START + qualified * DAY}
            )
        return keys

    def measured(self, work: Workspace) -> None:
        with work.database.transaction() as connection:
            self.world.write(connection)
            connection.execute(
                sa.text("update campaign.sends set billable = :billable, price_category = :category,"
                        " price_country = :country where send_key = :key"), self.prices,
            )  # fmt: skip
            insert(connection, "core.milestones", self.qualified)
            insert(connection, "campaign.message_reports", self.reports)
        measure.campaigns(work, AS_OF)


def rows(work: Workspace, statement: str) -> list[tuple[Any, ...]]:
    with work.database.transaction() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement))]


def asked(work: Workspace, name: str) -> list[tuple[Any, ...]]:
    with work.database.transaction() as connection:
        return [tuple(row) for row in connection.execute(work.queries[f"dashboards/{name}"](campaign="leads"))]


COSTS = (
    "select standing, country, category, currency, sum(sends)::int, sum(cost) from evaluation.send_costs"
    " group by 1, 2, 3, 4 order by 1, 2, 3, 4"
)


def test_every_message_is_free_charged_at_its_own_price_or_counted_apart(shop: Workspace) -> None:
    talks = Talks()
    talks.talk(1, 1, billable=False)
    talks.talk(2, 2, 6.99)  # 0.1131 each: the price changes at midnight before day 7
    talks.talk(3, 7, 20)  # 0.20 each
    talks.talk(4, 3, category="utility")
    talks.talk(5, 3, 4, 5, country="BR")  # by the region's price
    talks.talk(6, 3, country="IN")
    talks.talk(7, 3, country="CL", category="utility")  # the region has no price of this category
    talks.talk(8, 3, country=None)
    talks.talk(9, 3, billable=None, category=None, country=None)  # left before this was noted
    talks.talk(10, 3, channel="sms", billable=None, category=None, country=None)
    talks.measured(shop)

    assert rows(shop, COSTS) == [
        ("charged", "BR", "marketing", "USD", 3, Decimal("0.1875")),
        ("charged", "DE", "marketing", "EUR", 4, Decimal("0.6262")),
        ("charged", "DE", "utility", "EUR", 1, Decimal("0.05")),
        ("free", "DE", "marketing", "XXX", 1, Decimal(0)),
        ("no_price", "", "", "XXX", 1, Decimal(0)),
        ("no_price", "", "marketing", "XXX", 1, Decimal(0)),
        ("no_price", "CL", "utility", "XXX", 1, Decimal(0)),
        ("no_price", "IN", "marketing", "XXX", 1, Decimal(0)),
    ]
    accepted = "select count(*) from campaign.sends where channel = 'whatsapp' and state = 'accepted'"
    assert rows(shop, accepted) == rows(shop, "select sum(sends)::bigint from evaluation.send_costs")
    by_step = "select step, sent_on::text, sum(cost) from evaluation.send_costs where currency = 'EUR' group by 1, 2"
    assert sorted(rows(shop, by_step)) == [
        ("1", "2026-03-03", Decimal("0.1131")), ("1", "2026-03-04", Decimal("0.05")),
        ("1", "2026-03-08", Decimal("0.2")), ("2", "2026-03-07", Decimal("0.1131")),
        ("2", "2026-03-21", Decimal("0.2")),
    ]  # fmt: skip


def test_what_was_reported_as_not_delivered_costs_nothing_unless_it_arrived_after_all(shop: Workspace) -> None:
    talks = Talks()
    (lost,) = talks.talk(1, 1)
    (arrived,) = talks.talk(2, 1)
    (later,) = talks.talk(3, 1)
    at = START + 2 * DAY
    talks.reports = [
        {"send_key": lost, "failed_at": at, "delivered_at": None},
        {"send_key": arrived, "failed_at": at, "delivered_at": at},
        {"send_key": later, "failed_at": AS_OF + DAY, "delivered_at": None},
    ]
    talks.measured(shop)

    assert [(row[0], row[4], row[5]) for row in rows(shop, COSTS)] == [
        ("charged", 2, Decimal("0.2262")), ("not_delivered", 1, Decimal(0)),
    ]  # fmt: skip


def test_what_whatsapp_itself_says_counts_more_than_what_was_noted(shop: Workspace) -> None:
    talks = Talks()
    (free_after_all,) = talks.talk(1, 1)
    (charged_after_all,) = talks.talk(2, 1, billable=False, country="BR")
    (another_category,) = talks.talk(3, 1)
    talks.reports = [
        {"send_key": free_after_all, "billable": False, "price_category": "marketing"},
        {"send_key": charged_after_all, "billable": True, "price_category": None},
        {"send_key": another_category, "billable": True, "price_category": "utility"},
    ]
    talks.measured(shop)

    assert rows(shop, COSTS) == [
        ("charged", "BR", "marketing", "USD", 1, Decimal("0.0625")),
        ("charged", "DE", "utility", "EUR", 1, Decimal("0.05")),
        ("free", "DE", "marketing", "XXX", 1, Decimal(0)),
    ]


def test_a_qualified_lead_is_credited_to_the_last_message_before_it_and_costs_what_its_step_cost(
    shop: Workspace,
) -> None:
    talks = Talks()
    talks.talk(1, 1, 2, 3, qualified=1.5)  # 1st
    talks.talk(2, 1, 2, qualified=2)  # at the instant of the 2nd, so still the 1st
    talks.talk(3, 1, 2, qualified=2.5)  # 2nd
    talks.talk(4, 1, qualified=0.5)  # before anything left: nobody's
    talks.talk(5, 1, qualified=31)  # after the moment that is measured
    talks.talk(6, 1, country="BR", qualified=4)  # 1st, paid in dollars
    talks.talk(7, 2, channel="sms", billable=None, qualified=4)  # 1st, by text
    talks.measured(shop)

    leads = "select step, sum(leads)::int from evaluation.qualified_leads group by 1 order by 1"
    assert rows(shop, leads) == [("1", 4), ("2", 1)]
    one, two, three = Decimal("0.1131") * 5, Decimal("0.1131") * 3, Decimal("0.1131")
    dollars, euros = Decimal("0.0625"), one + two + three
    assert asked(shop, "costs_per_lead") == [
        ("1", "EUR", one, 4, (one / 4).quantize(Decimal("0.000001")), 0),
        ("1", "USD", dollars, 4, Decimal("0.015625"), 0),
        ("2", "EUR", two, 1, two, 0),
        ("2", "USD", 0, 1, 0, 0),
        ("3", "EUR", three, 0, None, 0),
        ("3", "USD", 0, 0, None, 0),
        (None, "EUR", euros, 5, (euros / 5).quantize(Decimal("0.000001")), 0),
        (None, "USD", dollars, 5, Decimal("0.0125"), 0),
    ]


def test_where_nothing_was_charged_a_lead_has_no_cost_and_is_counted_all_the_same(shop: Workspace) -> None:
    talks = Talks()
    talks.talk(1, 1, billable=False, qualified=2)
    talks.talk(2, 1, country="IN", qualified=2)
    talks.measured(shop)

    assert asked(shop, "costs_per_lead") == [("1", None, 0, 2, None, 1), (None, None, 0, 2, None, 1)]


def test_another_price_table_counts_from_the_next_evaluation_on(shop: Workspace) -> None:
    talks = Talks()
    talks.talk(1, 1, country="IN")
    talks.measured(shop)
    path = shop.settings.whatsapp_prices

    path.write_text(path.read_text().replace("place: DE, category: utility", "place: IN, category: marketing"))
    measure.campaigns(shop, AS_OF)
    assert [(row[0], row[5]) for row in rows(shop, COSTS)] == [("charged", Decimal("0.05"))]

    path.write_text(path.read_text().replace("south: [BR, CL]", "south: [BR]").replace("place: IN", "place: FR"))
    measure.campaigns(shop, AS_OF)
    assert [row[0] for row in rows(shop, COSTS)] == ["no_price"]


@pytest.mark.parametrize(("mode", "standing"), [("simulated", "charged"), ("live", "no_price")])
def test_a_made_up_price_is_none_in_a_live_database(
    tmp_path: Path, make_workspace: Callable[..., Workspace], mode: str, standing: str
) -> None:
    write_campaign(tmp_path / "config" / "campaigns", "leads")
    work = make_workspace(config=tmp_path / "config", mode=mode)
    talks = Talks()
    talks.talk(1, 1)
    talks.measured(work)

    assert rows(work, "select standing, is_example from evaluation.send_costs") == [(standing, mode == "simulated")]
