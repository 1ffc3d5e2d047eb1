"""The overview of all campaigns without a browser: its figures against plain loops, states, what needs attention."""

from __future__ import annotations

import shutil
from datetime import timedelta
from decimal import Decimal

import pytest
from streamlit.testing.v1 import AppTest

from tasks import measure
from tasks.store.workspace import Workspace
from tests.dashboards.looking import asked, columns, opened, refreshed, said, tables
from tests.evaluation_world import START, Goal, Recomputation, World, insert, random_world, write_campaign

AS_OF = START + timedelta(days=45)
GOALS = {"alpha": Goal(), "beta": Goal("booked", (("plan", "gold"),)), "gone": Goal()}
PURCHASES = {"source": "shop", "entity": "purchases", "object": "x", "as_of": START, "lines_in": 7}


def _measured(work: Workspace, world: World) -> None:
    with work.database.transaction() as connection:
        world.write(connection)
    measure.campaigns(work, AS_OF)


def _campaigns(page: AppTest) -> dict[str, dict[str, str]]:
    """Cells by the campaign's title and the column."""
    return {name: cells for name, cells in _lines(page).items() if name != "All campaigns"}


def _lines(page: AppTest) -> dict[str, dict[str, str]]:
    """The same with the line of all campaigns together."""
    titles = columns(page, "Campaign")
    return {
        name.partition("](")[0].lstrip("["): dict(zip(titles, cells, strict=True))
        for name, cells in tables(page)["Campaign"].items()
    }


@pytest.mark.parametrize("hours", [1, 100])
def test_every_cell_is_what_plain_loops_count_for_any_window(shop: Workspace, hours: int) -> None:
    world = random_world(27)
    _measured(shop, world)
    truth = Recomputation(world, AS_OF, GOALS)

    shown = _lines(refreshed(opened("overview"), hours))

    assert list(shown) == ["Alpha", "Beta", "Gone", "All campaigns"]
    for name, cells in shown.items():
        which = {"alpha", "beta", "gone"} if name == "All campaigns" else {name.lower()}
        enrolled = {truth.person_of(row["customer_id"]) for row in world.enrolments if row["campaign"] in which}
        sends = [send for send in truth.sends if send["campaign"] in which]
        credited = [entry for entry in truth.credited(hours) if entry[0]["campaign"] in which]
        goals = {truth.person_of(send["customer_id"]) for send, _, is_goal in credited if is_goal}
        assert cells["Enrolled"] == str(len(enrolled))
        assert cells["Reached"] == str(len({truth.person_of(send["customer_id"]) for send in sends}))
        assert cells["Messages"] == str(len(sends))
        assert cells["Conversions"] == str(len(goals))
        for currency in ("EUR", "USD"):
            earned = sum((row["amount"] for _, row, _ in credited if row.get("currency") == currency), Decimal(0))
            assert cells.get(f"Revenue, {currency}", "0.00") == f"{earned:,.2f}"
    people = [int(cells["Enrolled"]) for cells in shown.values()]
    assert people[-1] < sum(people[:-1])  # some are in several


def test_a_campaign_leads_to_its_own_page_with_the_same_window(shop: Workspace) -> None:
    write_campaign(shop.settings.config / "campaigns", "chat", "retargeting: {}")
    path = shop.settings.config / "campaigns" / "chat" / "campaign.yaml"
    path.write_text(path.read_text().replace("lapsing_customers", "partial_leads").replace("sms", "whatsapp"))
    (path.parent / "whatsapp.txt").write_text("Hello. STOP ends this.")
    _measured(shop, random_world(24, people=9))

    page = refreshed(opened("overview"), 48)

    assert asked(page) == {"hours": "48"}
    leads = {name.partition("](")[2].rstrip(")") for name in tables(page)["Campaign"]}
    assert leads >= {"lapsing?campaign=alpha&hours=48", "partial_leads?campaign=chat&hours=48"}


def test_a_campaign_is_on_off_held_suspended_over_or_not_begun(shop: Workspace) -> None:
    folder = shop.settings.config / "campaigns"
    for name, period in (
        ("later", "{start: 2026-05-01}"),
        ("over", "{end: 2026-03-31}"),
        ("last", "{end: 2026-04-15}"),
    ):
        write_campaign(folder, name, f"period: {period}")
    for name in ("held", "off", "ended", "suspended", "broken"):
        write_campaign(folder, name)
    world = World()
    world.enrol("gone", world.customer("c1"), START)
    with shop.database.transaction() as connection:
        connection.execute(shop.queries["ledger/mode_store"](mode="simulated"))
        insert(connection, "raw.loads", [{**PURCHASES, "state": "held"}])
        insert(connection, "campaign.holds", [{"campaign": "held", "load_id": 1, "reason": "gate: shop"}])
        for name, state, reason in (
            ("off", "paused", "audit"), ("ended", "ended", None), ("suspended", "paused", "complaint_rate"),
        ):  # fmt: skip
            insert(connection, "campaign.campaigns", [{"campaign": name, "state": state, "reason": reason}])
    _measured(shop, world)
    (folder / "broken" / "campaign.yaml").write_text("segment: [")

    shown = _campaigns(opened("overview"))

    assert {name: cells["State"] for name, cells in shown.items()} == {
        "Alpha": "On", "Beta": "On", "Broken": "File at fault", "Ended": "Over", "Gone": "No file", "Held": "Held",
        "Last": "On", "Later": "Not begun", "Off": "Off", "Over": "Over", "Suspended": "Suspended",
    }  # fmt: skip
    assert shown["Held"]["Needs attention"] == "held"
    assert shown["Suspended"]["Needs attention"] == "suspended"
    assert {shown[name]["Needs attention"] for name in ("Alpha", "Off", "Over")} == {"Nothing"}

    with shop.database.transaction() as connection:
        insert(connection, "campaign.campaigns", [{"campaign": "*", "state": "paused", "reason": "audit"}])
    everything = opened("overview")

    assert {cells["State"] for cells in _campaigns(everything).values()} == {"Off", "No file", "File at fault"}
    assert "All campaigns are switched off: audit" in said(everything)


def test_what_needs_attention_is_told_with_the_page_that_tells_more(shop: Workspace) -> None:
    world = World()
    for number, (state, reason) in enumerate((("unknown", None), ("unknown", None), ("planned", "misconfigured"))):
        enrolment = world.enrol("alpha", world.customer(f"c{number}"), START)
        world.send(enrolment, None, state=state, reason=reason, claimed_at=AS_OF)
    member = {
        "platform": "meta", "audience": "beta", "campaign": "beta", "customer_id": "c1", "desired": False,
        "applied": True, "desired_at": AS_OF - timedelta(hours=25),
    }  # fmt: skip
    (shop.settings.config / "sources.yaml").write_text(
        "sources: {shop: {entity: purchases, kind: file, place: nowhere, fresh_within: 36h, columns: {order_id: id, "
        "customer_id: who, purchased_at: at, amount: sum, currency: cur, status: st, updated_at: at}}}"
    )
    with shop.database.transaction() as connection:
        connection.execute(shop.queries["ledger/mode_store"](mode="simulated"))
        insert(connection, "raw.loads", [{**PURCHASES, "state": "held"}])
        insert(connection, "campaign.audience_members", [member])
    _measured(shop, world)

    page = opened("overview")
    shown, told = _campaigns(page), page.warning[0].value

    assert shown["Alpha"]["Needs attention"] == "2 in doubt, Email stands still"
    assert shown["Beta"]["Needs attention"] == "Meta audience"
    assert "Alpha: 2 messages in doubt" in told
    assert "([deliverability](deliverability?campaign=alpha))" in told
    assert "Meta: 1 person should have left the audience" in told
    assert "([audiences](audiences?campaign=beta))" in told
    assert "Deliveries held back by the data gate: shop ([data quality](data_quality))" in told
    assert "Nothing new from shop for 45 days; it may be silent for 36 h" in told


def test_when_nothing_needs_attention_the_page_says_so(shop: Workspace) -> None:
    world = World()
    world.send(world.enrol("alpha", world.customer("c1"), START), START + timedelta(hours=1))
    with shop.database.transaction() as connection:
        connection.execute(shop.queries["ledger/mode_store"](mode="simulated"))
    _measured(shop, world)

    page = opened("overview")

    assert page.success[0].value == "Nothing needs your attention."
    assert {cells["Needs attention"] for cells in _campaigns(page).values()} == {"Nothing"}


def test_in_a_live_database_figures_of_months_ago_are_old(shop: Workspace) -> None:
    measure.campaigns(shop, AS_OF)

    assert "The figures were measured" in opened("overview").warning[0].value


def test_before_the_first_evaluation_what_needs_attention_is_told_already(shop: Workspace) -> None:
    with shop.database.transaction() as connection:
        insert(connection, "raw.loads", [{**PURCHASES, "state": "failed"}])

    page = opened("overview")

    assert "Nothing has been measured yet" in said(page)
    assert "Deliveries failed: shop" in page.warning[0].value
    assert not page.table


def test_without_any_campaign_the_page_says_how_to_write_one(shop: Workspace) -> None:
    shutil.rmtree(shop.settings.config / "campaigns")

    assert "`reengage campaign new` writes one" in said(opened("overview"))
