"""What is free and what is charged, what it would cost, and countries that get no marketing templates (R9, A2, C17)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from flows.commands import run as commands
from flows.commands import sends, why
from tasks import measure, plan
from tasks.store import simulating
from tests.send.stage import NOON, Stage
from tests.send.test_hours import HOURS, own_table
from tests.send.test_retargeting import DAY, HOUR, MINUTE, SIX, TEMPLATE, Leads, steps

pytestmark = pytest.mark.usefixtures("wide_console")

cli = typer.Typer()
cli.command(name="plan")(commands.plan)
cli.command(name="run")(commands.run)
cli.command(name="why")(why.why)
cli.add_typer(sends.app, name="sends")

TEXT = {"file": "sms.txt"}
PRICES = """
checked: 2026-01-01
not_delivered:
  - {country: US, category: marketing, since: 2025-04-01, SOURCE}
prices:
  - {place: DE, category: marketing, currency: EUR, price: 0.1131, valid_from: 2026-01-01, SOURCE}
  - {place: DE, category: marketing, currency: EUR, price: 0.2, valid_from: 2026-04-23, SOURCE}
  - {place: BR, category: marketing, currency: USD, price: 0.0625, valid_from: 2026-01-01, SOURCE}
"""


@pytest.fixture
def shop(make_stage: Callable[..., Stage]) -> Callable[..., Leads]:
    """The campaign `back` with some fields; all of the day is open, and the prices above are the shop's."""

    def make(*, own_prices: bool = True, **fields: Any) -> Leads:
        stage = make_stage(**{"voucher": None, "channels": ["whatsapp"], **fields})
        own_table(stage, HOURS.replace("HOURS", "00:00-24:00"))
        if own_prices:
            path = stage.folder / "prices.yaml"
            path.write_text(PRICES.replace("SOURCE", "source: our contract, dated: 2026-01-01"))
            settings = stage.folder / "reengage.yaml"
            settings.write_text(settings.read_text() + "\nwhatsapp_prices: prices.yaml\n")
        return Leads(stage)

    return make


def retargeted(*offsets: str, message: dict[str, Any] = TEMPLATE, **changed: Any) -> dict[str, Any]:
    return {"segment": "partial_leads", "steps": steps(*offsets, message=message), "retargeting": changed}


def number_of(world: Leads, customer: str, country: str) -> None:
    told = "update core.customers set phone_country = :country where customer_id = :id"
    world.stage.run_sql(told, country=country, id=customer)


def tagged(world: Leads, key: str) -> tuple[Any, ...]:
    row = world.stage.send(key)
    return row["channel"], row["billable"], row["price_category"], row["price_country"]


# ------------------------------------------------------------------------------------------------- free or charged


@pytest.mark.parametrize(
    ("category", "ann", "bob", "carl"),
    [(None, True, False, True), ("marketing", True, False, True), ("utility", True, False, False)],
)
def test_a_message_of_any_campaign_is_free_in_the_persons_own_windows_only(
    shop: Callable[..., Leads], category: str | None, ann: bool, bob: bool, carl: bool
) -> None:
    template = {"name": "news", "language": "en"} | ({"category": category} if category else {})
    world = shop(own_prices=False, steps=steps("9h", message={"file": "sms.txt", "template": template}))
    world.ad(at=NOON - 30 * DAY)
    world.lead("bob", "v1", NOON - HOUR)  # an ad's window is open
    world.lead("carl", "v2", NOON - 10 * DAY)  # over, but carl has written since
    world.says("v2", NOON - 2 * HOUR)
    world.stage.person("ann", channels=("whatsapp",))
    keys = {}
    for one in ("ann", "bob", "carl"):
        number_of(world, one, "DE")
        keys[one] = world.stage.plan(world.stage.enrol(one), channel="whatsapp")

    world.stage.dispatch(NOON)

    kind = category or "marketing"
    assert tagged(world, keys["ann"]) == ("whatsapp", ann, kind, "DE")
    assert tagged(world, keys["bob"]) == ("whatsapp", bob, kind, "DE")
    assert tagged(world, keys["carl"]) == ("whatsapp", carl, kind, "DE")


@pytest.mark.parametrize(("day", "is_charged"), [("2026-09-30", False), ("2026-10-01", True)])
def test_words_of_our_own_after_the_free_window_are_charged_since_october(
    shop: Callable[..., Leads], day: str, is_charged: bool
) -> None:
    at = datetime.fromisoformat(f"{day}T12:00+00:00").astimezone(UTC)
    world = shop(own_prices=False, **retargeted("2h", message=TEXT, after_free_window=True))
    world.ad(at=at - 30 * DAY)
    world.lead("ann", "v1", at - 9 * DAY)
    world.says("v1", at - 2 * HOUR)

    world.run(at)

    assert (world.sent(), world.send()["billable"]) == ([("1", at)], is_charged)
    assert world.send()["price_category"] == "service"


# ------------------------------------------------------------------------------------ countries without delivery


def both(*offsets: str, message: dict[str, Any] = TEMPLATE) -> list[dict[str, Any]]:
    return [{"send_after": offset, "messages": {"whatsapp": message, "sms": TEXT}} for offset in offsets]


def test_a_number_of_such_a_country_gets_the_next_channel_and_why_says_so(shop: Callable[..., Leads]) -> None:
    world = shop(**{**retargeted("12h"), "channels": ["whatsapp", "sms"], "steps": both("12h")})
    world.ad()
    world.lead("ann", "v1")
    world.lead("bob", "v2")
    number_of(world, "ann", "US")
    number_of(world, "bob", "DE")
    world.stage.consent("ann", "sms", "granted", SIX - 10 * DAY)

    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 12 * HOUR)

    assert tagged(world, world.send()["send_key"]) == ("sms", None, None, None)
    assert world.send()["state"] == "accepted"
    assert tagged(world, world.send(talk="v2")["send_key"])[0] == "whatsapp"
    told = asked(world, "why", "ann", "back", "--as-of", (SIX + 12 * HOUR).isoformat())
    gates = {row["gate"]: (row["answer"], row["because"]) for row in told}
    assert gates["whatsapp: delivered there"] == ("no", "WhatsApp delivers no marketing templates to that country")
    assert gates["channel"][0] == "sms"


def test_without_another_channel_the_person_is_not_reached_for_that_reason(shop: Callable[..., Leads]) -> None:
    world = shop(**retargeted("12h"))
    world.ad()
    world.lead("ann", "v1")
    number_of(world, "ann", "US")

    world.run(SIX + HOUR)
    measure.campaigns(world.stage.work, SIX + HOUR)

    reason = "select state, reason from campaign.decisions where superseded_at is null"
    assert world.stage.rows(reason) == [{"state": "suppressed", "reason": "marketing_not_delivered"}]
    standing = "select standing, reason, people from evaluation.people"
    assert world.stage.rows(standing) == [{"standing": "not_reached", "reason": "marketing_not_delivered", "people": 1}]
    told = asked(world, "plan", "back", "--as-of", (SIX + HOUR).isoformat())
    assert [(row["reason"], row["people"]) for row in told if row["what"] == "no message"] == [
        ("marketing_not_delivered", 1)
    ]


@pytest.mark.parametrize(("others", "channel"), [(["sms"], "sms"), ([], None)])
def test_the_claim_asks_again_when_a_message_leaves(
    shop: Callable[..., Leads], others: list[str], channel: str | None
) -> None:
    world = shop(channels=["whatsapp", *others], steps=both("9h") if others else steps("9h"))
    key = world.stage.planned("ann", channels=("whatsapp", *others), channel="whatsapp")
    number_of(world, "ann", "US")

    world.stage.dispatch(NOON)

    if channel:
        assert (world.stage.end(key), world.stage.send(key)["channel"]) == (("accepted", None), channel)
    else:
        assert world.stage.end(key) == ("suppressed", "marketing_not_delivered")
    assert world.stage.decisions_follow_the_ledger()


def test_other_messages_reach_such_a_country(shop: Callable[..., Leads]) -> None:
    utility = {"file": "sms.txt", "template": {"name": "receipt", "category": "utility"}}
    world = shop(steps=steps("9h", message=utility))
    key = world.stage.planned("ann", channels=("whatsapp",), channel="whatsapp")
    number_of(world, "ann", "US")

    world.stage.dispatch(NOON)

    assert tagged(world, key) == ("whatsapp", True, "utility", "US")


def test_the_option_of_the_provider_lifts_the_united_states(shop: Callable[..., Leads]) -> None:
    world = shop(steps=steps("9h"))
    settings = world.stage.folder / "reengage.yaml"
    options = "{provider: whatsapp_cloud, phone_number_id: '1', us_marketing: true}"
    settings.write_text(settings.read_text() + f"providers: [{options}]\n")
    key = world.stage.planned("ann", channels=("whatsapp",), channel="whatsapp")
    number_of(world, "ann", "US")

    world.stage.dispatch(NOON)

    assert world.stage.end(key) == ("accepted", None)


# ------------------------------------------------------------------------------------------------- plan, simulate


def call(world: Leads, *arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), obj={"workspace": world.stage.work})


def asked(world: Leads, *arguments: str) -> list[dict[str, Any]]:
    result = call(world, *arguments, "--json", *(["--all"] if "plan" in arguments else []))
    assert result.exit_code == 0, result.exception
    return json.loads(result.output)["rows"]


def test_a_plan_tells_what_its_messages_would_cost_each_on_the_day_it_leaves(shop: Callable[..., Leads]) -> None:
    world = shop(**retargeted("12h", "30h", after_free_window=True))
    later = SIX + 21 * DAY  # 22 April, 06:00
    world.ad()
    world.lead("ann", "v1", later - 5 * HOUR)  # both steps are in the window that the ad opened
    for customer, country in (("bob", "DE"), ("carl", "DE"), ("dora", "BR"), ("eve", "IN")):
        world.lead(customer, f"v-{customer}")
        number_of(world, customer, country)
    number_of(world, "ann", "DE")

    rows = [row for row in asked(world, "plan", "back", "--as-of", later.isoformat()) if row["what"] == "cost"]

    told = [(row["step"], row["reason"], row["people"], row["cost"], row["currency"]) for row in rows]
    assert told == [
        (step, *rest)
        for step, euros in (("1", "0.2262"), ("2", "0.4"))  # the second leaves 18 hours later, at the new price
        for rest in (
            ("billable", 2, euros, "EUR"),
            ("billable", 1, "0.0625", "USD"),
            ("free", 1, None, None),
            ("billable, no price: IN", 1, None, None),
        )
    ]


def test_a_plan_of_a_campaign_that_never_pays_counts_what_would_not_leave(shop: Callable[..., Leads]) -> None:
    world = shop(**retargeted("12h", "71h"))
    world.ad()
    world.lead("ann", "v1")
    world.says("v1", SIX + 2 * HOUR)  # 71 hours later the window is over

    rows = asked(world, "plan", "back", "--as-of", (SIX + 3 * HOUR).isoformat())

    told = [(row["step"], row["reason"], row["cost"]) for row in rows if row["what"] == "cost"]
    assert told == [("1", "free", None), ("2", "not sent: outside the free window", None)]


def backlog(world: Leads, later: datetime) -> None:
    """One whose window is long over, one whose window ends before the first step is due, and two who are in time."""
    world.ad()
    world.lead("long ago", "v1")
    world.lead("wrote again", "v2", later - 70 * HOUR)
    world.says("v2", later - HOUR)  # due in eleven hours; the window ends in two
    world.lead("overdue", "v3", later - 70 * HOUR)
    world.lead("new", "v4", later - 5 * HOUR)


# Of utility templates the shipped table says that they are free for a day after a message: that is no free window (A2).
CATEGORIES = ["marketing", "utility"]


def written_as(category: str, **changed: Any) -> dict[str, Any]:
    message = {"file": "sms.txt", "template": {"name": "come_back", "category": category}}
    return {"own_prices": category != "utility", **retargeted("12h", "14h", message=message, **changed)}


@pytest.mark.parametrize(
    ("category", "pays", "excluded"), [*((one, False, 2) for one in CATEGORIES), ("marketing", True, None)]
)
def test_switching_on_with_a_backlog_prints_how_many_it_excludes(
    shop: Callable[..., Leads], category: str, pays: bool, excluded: int | None
) -> None:
    world = shop(**written_as(category, after_free_window=pays))
    later = SIX + 20 * DAY
    backlog(world, later)
    expected = [("outside_free_window", excluded)] if excluded else []

    said = call(world, "plan", "back", "--as-of", later.isoformat()).output
    assert "enrol" in said
    assert [(why, int(n)) for why, n in re.findall(r"exclude +(\w+) +(\d+)", said)] == expected
    for command in (("plan",), ("run", "--dry-run"), ("run",)):
        rows = asked(world, *command, "back", "--as-of", later.isoformat())
        assert [(row["reason"], row["people"]) for row in rows if row["what"] == "exclude"] == expected


@pytest.mark.parametrize("category", CATEGORIES)
def test_who_is_counted_as_excluded_is_who_gets_nothing(shop: Callable[..., Leads], category: str) -> None:
    world = shop(**written_as(category))
    later = SIX + 20 * DAY
    backlog(world, later)
    rows = asked(world, "plan", "back", "--as-of", later.isoformat())  # which reads the table of prices, too
    told = [row["people"] for row in rows if row["what"] == "cost" and row["reason"].startswith("not sent: outside")]

    world.run(later)
    world.stage.dispatch(later + 2 * DAY)

    reached = world.stage.rows("select distinct customer_id from campaign.sends where state = 'accepted' order by 1")
    assert [row["customer_id"] for row in reached] == ["new", "overdue"]
    assert told == [2, 2]  # of each step
    assert world.stage.one("select counts -> 'choose' ->> 'outside_free_window' from campaign.runs"
                           " where flow = 'reengage'") == "2"  # fmt: skip


# ------------------------------------------------------------------------------------------------- one message


def shown(world: Leads, key: str) -> dict[str, Any]:
    (row,) = asked(world, "sends", "show", key)
    return {name: row[name] for name in (
        "billable", "price_category", "price_country", "price", "currency", "is_example_price"
    )}  # fmt: skip


def test_a_message_tells_what_it_cost_and_by_what(shop: Callable[..., Leads]) -> None:
    world = shop(**retargeted("12h", "72h", after_free_window=True))
    world.ad()
    world.lead("ann", "v1")
    world.says("v1", SIX + 2 * HOUR)
    number_of(world, "ann", "DE")
    world.run(SIX + 3 * HOUR)
    first, second = world.send("1")["send_key"], world.send("2")["send_key"]
    assert shown(world, first)["billable"] is None  # nobody knows before it leaves

    world.stage.dispatch(SIX + 4 * DAY)

    by = {"price_category": "marketing", "price_country": "DE"}
    assert shown(world, first) == {
        "billable": False, **by, "price": None, "currency": None, "is_example_price": None,
    }  # fmt: skip
    assert shown(world, second) == {
        "billable": True, **by, "price": "0.1131", "currency": "EUR", "is_example_price": False,
    }  # fmt: skip
    listed = asked(world, "sends", "list", "--as-of", (SIX + 4 * DAY).isoformat())
    assert {row["send_key"]: row["billable"] for row in listed} == {first: False, second: True}
    said = call(world, "sends", "show", second).output
    assert re.search(r"billable +yes", said)
    assert re.search(r"price +0\.1131", said)


def test_what_whatsapp_itself_says_of_a_message_counts_more_than_what_was_noted(shop: Callable[..., Leads]) -> None:
    world = shop(**retargeted("12h"))
    world.ad()
    world.lead("ann", "v1")
    number_of(world, "ann", "DE")
    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 12 * HOUR)
    key = world.send("1")["send_key"]
    told = "insert into campaign.message_reports (send_key, billable, price_category) values (:key, true, 'utility')"
    world.stage.run_sql(told, key=key)

    assert shown(world, key) == {
        "billable": True, "price_category": "utility", "price_country": "DE", "price": None, "currency": None,
        "is_example_price": None,
    }  # fmt: skip
    (listed,) = asked(world, "sends", "list", "--as-of", (SIX + DAY).isoformat())
    assert listed["billable"] is True


@pytest.mark.parametrize(
    ("own_prices", "country", "price"),
    [
        (True, "DE", "whatsapp, billable, EUR 0.1131"),
        (True, "IN", "whatsapp, billable, no price"),
        (False, "IN", "whatsapp, billable, EUR 0.1, an example price"),
    ],
)
def test_a_timeline_tells_what_each_message_costs(
    shop: Callable[..., Leads], own_prices: bool, country: str, price: str
) -> None:
    world = shop(own_prices=own_prices, **retargeted("12h", "72h", after_free_window=True))
    world.ad()
    world.lead("ann", "v1")
    world.says("v1", SIX + 2 * HOUR)
    number_of(world, "ann", country)
    work = world.stage.work
    campaign = work.campaign("back")

    lines = simulating.timeline(
        work, campaign, "ann", SIX, SIX + 4 * DAY, 60 * MINUTE, plan.templates(work, campaign).versions(), {}
    )

    told = [(line.step, line.detail) for line in lines if line.what == "accepted"]
    assert told == [("1", "whatsapp, free"), ("2", price)]


# ------------------------------------------------------------------------------------ several business numbers


CLOUD = "{provider: whatsapp_cloud, phone_number_id: '111'}"
CLOUD_TOLD = "{provider: whatsapp_cloud, phone_number_id: '111', account: main}"
AMAZON = "{provider: whatsapp_aws, region: eu-central-1, phone_number_id: phone-number-id-1}"
AMAZON_TOLD = "{provider: whatsapp_aws, region: eu-central-1, phone_number_id: phone-number-id-1, account: '111'}"
# Who delivers, which number a conversation was with and whether webhooks say so, and whether its windows count.
NUMBERS = [
    (None, "222", True, True),
    (CLOUD, "111", True, True),
    (CLOUD, "222", True, False),
    (CLOUD, None, True, True),
    (CLOUD, "main", False, True),  # nobody has said what files call the number
    (CLOUD_TOLD, "main", False, True),
    (CLOUD_TOLD, "second", False, False),
    (CLOUD_TOLD, None, False, True),
    (CLOUD_TOLD, "111", True, True),
    (AMAZON, "222", True, True),  # Amazon's id of a number is not Meta's
    (AMAZON_TOLD, "111", True, True),
    (AMAZON_TOLD, "222", True, False),
]


def with_number(world: Leads, provider: str | None, account: str | None, *, hooks: bool) -> None:
    if provider:
        settings = world.stage.folder / "reengage.yaml"
        settings.write_text(settings.read_text() + f"\nproviders: [{provider}]\n")
    world.stage.run_sql("update core.conversations set account = :account, is_derived = :hooks",
                        account=account, hooks=hooks)  # fmt: skip


@pytest.mark.parametrize(("provider", "account", "hooks", "counts"), NUMBERS)
def test_windows_of_the_number_that_messages_leave_from_are_free_and_no_others(
    shop: Callable[..., Leads], provider: str | None, account: str | None, hooks: bool, counts: bool
) -> None:
    utility = {"name": "news", "language": "en", "category": "utility"}
    world = shop(own_prices=False, steps=steps("9h", message={"file": "sms.txt", "template": utility}))
    world.ad(at=NOON - 30 * DAY)
    world.lead("bob", "v1", NOON - 2 * DAY)  # an ad's window is open
    world.lead("carl", "v2", NOON - 10 * DAY)  # over, but carl has written since
    world.says("v2", NOON - 2 * HOUR)
    with_number(world, provider, account, hooks=hooks)
    keys = [world.stage.plan(world.stage.enrol(one), channel="whatsapp") for one in ("bob", "carl")]

    world.stage.dispatch(NOON)

    assert [tagged(world, key)[1] for key in keys] == [not counts] * 2


@pytest.mark.parametrize(("account", "counts"), [("111", True), ("222", False)])
def test_a_retarget_leaves_for_free_from_the_number_the_person_wrote_to_only(
    shop: Callable[..., Leads], account: str, counts: bool
) -> None:
    world = shop(**retargeted("12h"))
    world.ad()
    world.lead("ann", "v1")
    with_number(world, CLOUD, account, hooks=True)

    rows = asked(world, "plan", "back", "--as-of", (SIX + HOUR).isoformat())
    world.run(SIX + HOUR)
    world.stage.dispatch(SIX + 12 * HOUR)

    told = [row["reason"] for row in rows if row["what"] == "cost"]
    excluded = [row["people"] for row in rows if row["what"] == "exclude"]
    if counts:
        assert (world.send()["state"], world.send()["billable"]) == ("accepted", False)
        assert (told, excluded) == (["free"], [])
    else:
        assert world.ends() == {"1": ("suppressed", "outside_free_window")}
        assert (told, excluded) == (["not sent: outside the free window"], [1])


@pytest.mark.parametrize(("account", "end"), [("111", "accepted"), ("222", "suppressed")])
def test_words_of_our_own_leave_in_the_window_of_their_number_only(
    shop: Callable[..., Leads], account: str, end: str
) -> None:
    world = shop(own_prices=False, steps=steps("9h", message=TEXT))
    world.lead("ann", "v1", NOON - 2 * HOUR)
    with_number(world, CLOUD, account, hooks=True)
    key = world.stage.plan(world.stage.enrol("ann"), channel="whatsapp")

    world.stage.dispatch(NOON)

    assert world.stage.end(key)[0] == end
