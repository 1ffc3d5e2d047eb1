"""From choosing to the outbox: planning and the ledger agree about every person, run after run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from tasks import reconcile, send
from tasks.channels.outbox import Conduct, Outbox
from tasks.rules.keyed import keyed_hash
from tasks.store.workspace import Workspace
from tests.planning_world import DAY, LATE_FROM, NOON, Shop, campaign

HOUR = timedelta(hours=1)
NAME = "lapsing_customers"


@pytest.fixture
def shop(make_workspace: Callable[..., Workspace]) -> Shop:
    return Shop(make_workspace(mode="simulated"))


def dispatch(shop: Shop, at: object, conduct: Conduct | None = None) -> None:
    senders = None
    if conduct is not None:
        outbox = Outbox(
            shop.work.database.url, shop.work.queries["ledger/outbox_accept"], timeout=1, conduct=lambda _: conduct
        )
        senders = {"outbox": outbox}
    send.due(shop.work, at, NAME, senders=senders)


def outbox(shop: Shop) -> Counter[str]:
    return Counter(row["address"] for row in shop.rows("select address from outbox.messages"))


def test_a_lapsing_customer_is_written_to_once_at_the_due_moment(shop: Shop) -> None:
    shop.lapses("ann")
    shop.consents("ann", "email")
    shop.run(campaign(), LATE_FROM + 6 * HOUR)

    for hours in (7, 24, 48):
        dispatch(shop, LATE_FROM + hours * HOUR)
        shop.run(campaign(), LATE_FROM + hours * HOUR)

    assert [row["at"] for row in shop.rows("select at from outbox.messages")] == [LATE_FROM + 9 * HOUR]
    assert shop.decided()["ann", "1"] == ("accepted", None, "email")
    assert shop.rows("select code from campaign.voucher_events") == [{"code": "COMEBACK10"}]


def test_a_purchase_that_arrives_after_the_plan_cancels_and_the_run_agrees(shop: Shop) -> None:
    shop.lapses("ann")
    shop.consents("ann", "email")
    shop.run(campaign(), NOON)
    shop.buys("ann", "2026-06-09")

    dispatch(shop, NOON)
    shop.run(campaign(), NOON + DAY)
    dispatch(shop, NOON + DAY)

    assert shop.decided()["ann", "1"] == ("cancelled", "stop_event", "email")
    assert not outbox(shop)


def test_who_could_not_be_written_to_at_the_claim_is_once_consent_is_back(shop: Shop) -> None:
    shop.lapses("ann")
    shop.consents("ann", "email")
    shop.run(campaign(), NOON)
    shop.consents("ann", "email", "withdrawn", at="2026-06-09")
    dispatch(shop, NOON)
    assert shop.decided()["ann", "1"] == ("suppressed", "no_consent", None)

    shop.consents("ann", "email", at="2026-06-10")
    for days in (1, 2):
        shop.run(campaign(), NOON + days * DAY)
        dispatch(shop, NOON + days * DAY)

    assert shop.decided()["ann", "1"] == ("accepted", None, "email")
    assert outbox(shop) == {"ann@example.com": 1}


def test_planning_again_what_the_claim_took_back_changes_nothing(shop: Shop) -> None:
    for customer in ("withdrew", "lost its address", "asked us not to", "went somewhere unknown", "fell back"):
        shop.lapses(customer)
        shop.consents(customer, "email")
    shop.consents("fell back", "push")
    shop.token("fell back")
    found = campaign(quiet_hours={"start": "21:00", "end": "08:00"})
    shop.run(found, NOON)
    for customer in ("withdrew", "fell back"):
        shop.consents(customer, "email", "withdrawn", at="2026-06-09")
    shop._run("update core.customers set email_canonical = null where customer_id = 'lost its address'", [{}])
    shop._run("update core.customers set time_zones = '{Mars/Phobos}' where customer_id like 'went%'", [{}])
    key = shop.work.settings.suppression_key.get_secret_value()
    hmac = {"hmac": keyed_hash(key, "asked us not to@example.com"), "at": NOON}
    shop._run("insert into core.suppressions values (:hmac, 'email', 'marketing', 'asked', :at)", [hmac])
    dispatch(shop, NOON)
    before = shop.state()

    shop.run(found, NOON)

    assert {one: value for (one, _), value in shop.decided().items()} == {
        "withdrew": ("suppressed", "no_consent", None),
        "lost its address": ("suppressed", "no_address", None),
        "asked us not to": ("suppressed", "suppressed_address", None),
        "went somewhere unknown": ("suppressed", "zone_unknown", None),
        "fell back": ("accepted", None, "push"),
    }
    assert shop.state() == before


def test_planning_again_never_revives_what_a_provider_refused(shop: Shop) -> None:
    shop.lapses("ann")
    shop.consents("ann", "email")
    shop.run(campaign(), NOON)
    dispatch(shop, NOON, Conduct.REFUSE)

    shop.run(campaign(), NOON + DAY)
    dispatch(shop, NOON + DAY)

    assert shop.decided()["ann", "1"] == ("rejected", "invalid_address", "email")
    assert not outbox(shop)


def test_planning_again_never_resends_what_is_in_doubt_or_given_up(shop: Shop) -> None:
    shop.lapses("ann")
    shop.consents("ann", "email")
    shop.run(campaign(), NOON)
    dispatch(shop, NOON, Conduct.DROP)

    for days in (1, 2, 3):
        shop.run(campaign(), NOON + days * DAY)
        reconcile.doubts(shop.work, NOON + days * DAY)
        dispatch(shop, NOON + days * DAY)

    assert shop.decided()["ann", "1"][0] == "abandoned"
    assert outbox(shop) == {"ann@example.com": 1}


def test_everyone_enrolled_has_exactly_one_decision_per_step_at_every_moment(shop: Shop) -> None:
    for number in range(12):
        shop.lapses(f"c{number}", **({"email_canonical": None} if number % 3 == 0 else {}))
        if number % 4:
            shop.consents(f"c{number}", "email")
    found = campaign(holdout=0.3)
    for days in range(3):
        shop.run(found, NOON + days * DAY)
        dispatch(shop, NOON + days * DAY, Conduct.DROP if days == 0 else None)

    for at in (NOON, NOON + HOUR, NOON + DAY, NOON + 3 * DAY):
        in_force = shop.rows(
            "select count(decisions.decision_id) as decisions from campaign.enrolments left join campaign.decisions"
            " on decisions.enrolment_id = enrolments.enrolment_id and decided_at <= :at"
            " and (superseded_at is null or superseded_at > :at) group by enrolments.enrolment_id",
            at=at,
        )
        assert [row["decisions"] for row in in_force] == [1] * 12
