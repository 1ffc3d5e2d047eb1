"""For any message: the consent it rested on, as the claim saw it (C23), whatever is told later."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from tests.send.stage import NOON, Stage, write_campaign
from tests.store.landing import good, load

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def shown(stage: Stage, key: str) -> dict[str, Any]:
    settings = stage.work.settings
    assert settings.database_url
    environment = {
        "REENGAGE_CONFIG": str(settings.config),
        "REENGAGE_DATABASE_URL": settings.database_url.get_secret_value(),
        "REENGAGE_HOME": str(settings.home),
    }
    result = CliRunner().invoke(app, ["sends", "show", key, "--json"], env=environment)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["rows"]
    return row["attempts"][-1]


def grant(stage: Stage, name: str, basis: str, at: Any, **more: Any) -> None:
    stage.run_sql(
        "insert into core.consents (consent_id, customer_id, channel, purpose, status, basis, occurred_at, source,"
        " wording, expires_at) values (:id, 'ann', 'email', 'marketing', 'granted', :basis, :at, :source, :wording,"
        " :expires)",
        id=name, basis=basis, at=at, source=f"source of {name}", wording=f"wording of {name}",
        expires=more.get("expires"),
    )  # fmt: skip


def test_a_message_tells_the_consent_it_rested_on_whatever_is_loaded_later(stage: Stage) -> None:
    stage.person("ann", channels=())
    grant(stage, "before", "express", NOON - 9 * DAY)
    stage.consent("ann", "email", "withdrawn", NOON - 8 * DAY)
    grant(stage, "valid", "express", NOON - 7 * DAY)
    grant(stage, "not accepted here", "soft_opt_in", NOON - 6 * DAY)
    grant(stage, "expired", "express", NOON - 5 * DAY, expires=NOON - DAY)
    grant(stage, "to come", "express", NOON + HOUR)
    key = stage.plan(stage.enrol("ann"))

    stage.dispatch()
    stage.consent("ann", "email", "withdrawn", NOON - 2 * DAY)  # told too late

    found = shown(stage, key)
    assert (found["outcome"], found["consent_basis"]) == ("accepted", "express")
    assert (found["consent_source"], found["consent_wording"]) == ("source of valid", "wording of valid")
    assert found["consent_at"].startswith("2026-03-03T12:00:00")


def test_the_newest_grant_on_an_accepted_basis_is_the_proof(stage: Stage) -> None:
    write_campaign(stage.folder, channels=[{"name": "email", "consent": ["soft_opt_in", "express"]}, "push", "sms"])
    stage.person("ann", channels=())
    grant(stage, "first", "express", NOON - 9 * DAY)
    grant(stage, "second", "soft_opt_in", NOON - 7 * DAY)
    key = stage.plan(stage.enrol("ann"))

    stage.dispatch()

    assert shown(stage, key)["consent_source"] == "source of second"


def told(stage: Stage, **changed: str | None) -> None:
    """A line about ann's consent n1, as a source brings it."""
    line = {"customer_id": "ann", "occurred_at": "2026-02-01T12:00:00Z", "wording": "first words", **changed}
    load(stage.work.database, stage.work.queries, "consents", [good("consents", **line)])


def wordings(stage: Stage) -> list[str]:
    return [row["wording"] for row in stage.rows("select wording from core.consents where consent_id = 'n1'")]


def contradicted(stage: Stage, *, wins: bool) -> str:
    """Bring lines that contradict n1 until one takes its place (wins), or does not; gives the last one's wording."""
    (before,) = wordings(stage)
    for number in itertools.count():
        words = f"other words {number}"
        told(stage, wording=words, source="elsewhere", occurred_at="2026-02-02T12:00:00Z")
        if (wordings(stage) != [before]) == wins:
            return words
        (before,) = wordings(stage)
    raise AssertionError


@pytest.mark.parametrize("wins", [False, True])
def test_a_line_that_contradicts_the_consent_changes_no_proof_and_holds_the_person(stage: Stage, wins: bool) -> None:
    stage.person("ann", channels=())
    told(stage)
    before, after = stage.plan(stage.enrol("ann")), stage.plan(stage.enrol("ann"), due=NOON + HOUR)
    stage.dispatch()

    said = contradicted(stage, wins=wins)
    assert (wordings(stage) == [said]) == wins
    stage.dispatch(NOON + HOUR)

    proof = shown(stage, before)
    assert (proof["consent_source"], proof["consent_wording"]) == ("signup", "first words")
    assert proof["consent_at"].startswith("2026-02-01T12:00:00")
    assert stage.end(after) == ("suppressed", "no_consent")


def test_what_a_message_rests_on_is_the_version_that_stood_when_it_left(stage: Stage) -> None:
    stage.person("ann", channels=())
    told(stage)
    first = stage.plan(stage.enrol("ann"))
    stage.dispatch()
    standing = contradicted(stage, wins=True)
    stage.run_sql("delete from core.consent_blocks")  # somebody has looked into it
    second = stage.plan(stage.enrol("ann"), due=NOON + HOUR)
    stage.dispatch(NOON + HOUR)
    contradicted(stage, wins=True)

    assert shown(stage, first)["consent_wording"] == "first words"
    assert shown(stage, second)["consent_wording"] == standing


def test_an_inquiry_that_is_dated_anew_or_taken_away_stays_the_proof_it_was(stage: Stage) -> None:
    write_campaign(
        stage.folder, purpose="retargeting", channels=[{"name": "email", "consent": ["inquiry"]}, "push", "sms"]
    )
    stage.person("ann", channels=())

    def checkout(opened_at: str, version: int, **changed: str | None) -> None:
        line = {"customer_id": "ann", "opened_at": opened_at, "updated_at": f"2026-05-0{version}T00:00:00Z", **changed}
        load(stage.work.database, stage.work.queries, "checkouts", [good("checkouts", **line)])

    checkout("2026-03-01T12:00:00Z", 1)
    first = stage.plan(stage.enrol("ann"))
    stage.dispatch()
    checkout("2026-03-02T12:00:00Z", 2)
    second = stage.plan(stage.enrol("ann"), due=NOON + HOUR)
    stage.dispatch(NOON + HOUR)
    checkout("2026-03-02T12:00:00Z", 3, customer_id=None)
    assert stage.rows("select consent_id from core.consents") == []

    assert [shown(stage, key)["consent_at"][:10] for key in (first, second)] == ["2026-03-01", "2026-03-02"]
    assert shown(stage, first)["consent_source"] == "checkout"
