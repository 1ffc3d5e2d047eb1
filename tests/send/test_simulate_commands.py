"""What `reengage simulate` prints: each thing that happened or did not, with its reason, for people and for scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner, Result

from config.errors import ConfigError
from flows.commands import simulate
from tests.send.stage import Stage
from tests.send.test_hours import HOURS, own_table
from tests.send.test_retargeting import DAY, HOUR, MINUTE, SIX, Leads, steps

pytestmark = pytest.mark.usefixtures("wide_console")

cli = typer.Typer()
cli.command()(simulate.simulate)


@pytest.fixture
def leads(make_stage: Callable[..., Stage]) -> Callable[..., Leads]:
    """The campaign `back` over leads of the ad `ad1`; fields change it."""

    def make(**fields: Any) -> Leads:
        plain = {"segment": "partial_leads", "channels": ["whatsapp"], "steps": steps("12h", "14h"), "voucher": None}
        stage = make_stage(**{**plain, "retargeting": {}, **fields})
        own_table(stage, HOURS.replace("HOURS", "00:00-24:00"))
        made = Leads(stage)
        made.ad()
        return made

    return make


def call(world: Leads, customer: str, *words: str, until: datetime = SIX + 15 * HOUR) -> Result:
    asked = ["back", "--customer", customer, "--from", SIX.isoformat(), "--to", until.isoformat(), "--every", "1h"]
    return CliRunner().invoke(cli, [*asked, *words], obj={"workspace": world.stage.work})


def ask(world: Leads, customer: str, until: datetime = SIX + 15 * HOUR) -> dict[str, Any]:
    result = call(world, customer, "--json", until=until)
    assert result.exit_code == 0, result.exception
    return json.loads(result.output)


def lines(answer: dict[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
    return [(row["at"], row["what"], row["step"], row["reason"]) for row in answer["rows"]]


def test_a_script_gets_moments_codes_and_what_was_asked(leads: Callable[..., Leads]) -> None:
    world = leads()
    world.lead("ann", "v1")
    world.ad("paused", SIX + 13 * HOUR)

    answer = ask(world, "ann")

    assert answer["arguments"] == {
        "campaign": "back", "customer": "ann", "person": "ann", "from": "2026-04-01T06:00:00Z",
        "to": "2026-04-01T21:00:00Z", "every": "1h",
    }  # fmt: skip
    assert lines(answer) == [
        ("2026-04-01T06:00:00Z", "customer wrote", None, None),
        ("2026-04-01T06:00:00Z", "milestone lead", None, None),
        ("2026-04-01T06:01:00Z", "bot wrote", None, None),
        ("2026-04-01T06:01:00Z", "free window opens", None, None),
        ("2026-04-01T07:00:00Z", "enrolled, treated", None, None),
        ("2026-04-01T07:00:00Z", "planned", "1", None),
        ("2026-04-01T07:00:00Z", "planned", "2", None),
        ("2026-04-01T18:00:00Z", "accepted", "1", None),
        ("2026-04-01T19:00:00Z", "ad paused", None, None),
        ("2026-04-01T20:00:00Z", "planned", "2", "ad_paused"),
    ]


def test_a_person_reads_reasons_in_words_and_nothing_is_stored(leads: Callable[..., Leads]) -> None:
    world = leads()
    world.lead("ann", "v1")
    world.ad("paused", SIX + 13 * HOUR)

    said = call(world, "ann").output

    assert "back for one customer" in said
    assert any(line.split()[:3] == ["2026-04-01", "18:00", "accepted"] for line in said.splitlines())
    assert "The ad is paused" in said
    assert "ad_paused" not in said
    assert "same person" not in said
    assert world.stage.rows("select from campaign.enrolments") == []


def test_however_long_the_time_each_table_is_made_once_since_a_server_has_no_room_for_the_locks_of_more(
    leads: Callable[..., Leads],
) -> None:
    world = leads()
    world.lead("ann", "v1")
    made = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        made.extend(re.findall(r"^\s*create temporary table (?!if )(\w+) ", statement))

    sa.event.listen(sa.Engine, "after_cursor_execute", note)
    try:
        answer = ask(world, "ann", until=SIX + 15 * HOUR)
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", note)

    assert [what for _, what, *_ in lines(answer)].count("accepted") == 2
    assert "verdicts" in made
    assert sorted(made) == sorted(set(made))


def test_under_an_earlier_id_the_timeline_is_the_persons_of_today(leads: Callable[..., Leads]) -> None:
    world = leads()
    world.lead("ann", "v1")
    world.merges("old", "ann")

    assert ask(world, "old")["rows"] == ask(world, "ann")["rows"]
    assert ask(world, " old ")["arguments"]["person"] == "ann"
    assert "old is the same person as ann" in call(world, "old").output


def test_a_customer_whom_nobody_knows_is_an_error(leads: Callable[..., Leads]) -> None:
    result = call(leads(), "anne")

    assert isinstance(result.exception, ConfigError)
    assert str(result.exception.problems[0]) == "anne: there is no such customer"
    assert result.output == ""


def buys_nothing(world: Leads) -> None:
    world.stage.person("ann")


def came_from_another_ad(world: Leads) -> None:
    world.ad(ad="ad2")
    world.lead("ann", "v1", ad="ad2")


def qualified_before(world: Leads) -> None:
    world.lead("ann", "v1")
    world.reaches("v1", "qualified", SIX + MINUTE)


def goes_on_writing(world: Leads) -> None:
    world.lead("ann", "v1")
    world.says("v1", *(SIX + number * 20 * MINUTE for number in range(1, 46)))


def lost_the_bot(world: Leads) -> None:
    """Something that the timeline has no words for: the ad has no bot when nobody names ads."""
    world.lead("ann", "v1", ad="never-heard-of")


@pytest.mark.parametrize(
    ("happens", "ads", "reason", "words"),
    [
        (buys_nothing, [], "not_from_an_ad", "No conversation of theirs began with an ad"),
        (came_from_another_ad, ["ad1"], "other_ad", "None of the ads they came from is the campaign's"),
        (qualified_before, ["ad1"], "has_qualified", "Has qualified already"),
        (goes_on_writing, [], "wrote_lately", "Wrote too shortly before to count as silent"),
        (lost_the_bot, [], "not_in_segment", "Not in the campaign's segment"),
    ],
)
def test_whoever_is_never_enrolled_is_told_so_with_what_kept_them_out(
    leads: Callable[..., Leads], happens: Callable[[Leads], None], ads: list[str], reason: str, words: str
) -> None:
    world = leads(ads=ads)
    happens(world)

    last = ask(world, "ann")["rows"][-1]

    assert last == {
        "at": "2026-04-01T21:00:00Z", "what": "not enrolled", "episode": "", "step": None, "reason": reason,
        "detail": "not in segment partial_leads at 2026-04-01 21:00",
    }  # fmt: skip
    assert words in call(world, "ann").output


def test_a_long_silence_without_backlog_is_said_to_be_the_reason(leads: Callable[..., Leads]) -> None:
    world = leads(retargeting={"backlog": False})
    world.lead("ann", "v1", SIX - 3 * DAY)

    last = ask(world, "ann")["rows"][-1]

    assert (last["what"], last["reason"]) == ("not enrolled", "silent_too_long")
    assert last["detail"] == "in segment partial_leads at 2026-04-01 21:00"


def test_an_occasion_from_before_what_the_ledger_remembers_is_said_to_be_the_reason(
    leads: Callable[..., Leads],
) -> None:
    world = leads()
    world.lead("ann", "v1")
    world.stage.run_sql("update campaign.database set remembers_since = :at", at=SIX + MINUTE)

    last = ask(world, "ann")["rows"][-1]

    assert (last["what"], last["reason"]) == ("not enrolled", "older_than_ledger")


@pytest.mark.parametrize(
    ("period", "reason", "detail"),
    [({"end": "2026-03-31"}, "campaign_ended", "over"), ({"start": "2026-04-02"}, "campaign_paused", "not started")],
)
def test_a_campaign_that_is_not_on_is_said_to_be_the_reason(
    leads: Callable[..., Leads], period: dict[str, str], reason: str, detail: str
) -> None:
    world = leads(period=period)
    world.lead("ann", "v1")

    last = ask(world, "ann")["rows"][-1]

    assert (last["what"], last["reason"]) == ("not enrolled", reason)
    assert last["detail"] == f"{detail} at 2026-04-01 21:00"


def test_another_segment_than_one_of_conversations_is_named_and_nothing_is_guessed(
    leads: Callable[..., Leads],
) -> None:
    world = leads(segment="lapsing_customers", retargeting=None)
    world.stage.person("ann")

    last = ask(world, "ann")["rows"][-1]

    assert (last["what"], last["reason"]) == ("not enrolled", "not_in_segment")
    assert last["detail"] == "not in segment lapsing_customers at 2026-04-01 21:00"


def test_every_sub_step_of_all_viable_channels_has_its_own_lines(leads: Callable[..., Leads]) -> None:
    messages = {
        "email": {"subject": "Hello", "file": "email.html"},
        "push": {"title": "Hello", "file": "push.txt", "link": "https://shop.example.com/"},
        "sms": {"file": "sms.txt"},
        "whatsapp": {"file": "sms.txt"},
    }
    world = leads(
        channels=["whatsapp", "email", "push", "sms"], reach="all_viable",
        steps=[{"send_after": "12h", "messages": messages}],
    )  # fmt: skip
    world.lead("ann", "v1")
    for channel in ("email", "sms"):
        world.stage.consent("ann", channel, "granted", SIX - DAY)

    told = {(row["step"], row["what"], row["reason"]) for row in ask(world, "ann")["rows"] if row["step"]}

    assert told == {
        ("1.whatsapp", "planned", None), ("1.whatsapp", "accepted", None), ("1.email", "planned", None),
        ("1.email", "accepted", None), ("1.push", "suppressed", "no_consent"),
        ("1.sms", "suppressed", "other_channel"),
    }  # fmt: skip
