"""campaign.yaml: what is accepted, and how everything wrong with it is said at once (H18)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.campaign import Campaign, load_campaign, load_campaigns, show_duration
from config.errors import ConfigError
from config.provenance import parameters
from config.schema import PATH, campaign_schema, schema_text
from config.settings import CHECKOUT

SHIPPED = CHECKOUT / "config" / "campaigns"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED / "lapsing_customers", tmp_path / "lapsing_customers"))


def rewrite(folder: Path, **changes) -> None:
    path = folder / "campaign.yaml"
    given = yaml.safe_load(path.read_text())
    for name, value in changes.items():
        if value is None:
            given.pop(name, None)
        else:
            given[name] = value
    path.write_text(json.dumps(given))  # JSON is YAML, without aliases


def problems(folder: Path) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load_campaign(folder)
    return {problem.where.rpartition(": ")[2]: problem.what for problem in caught.value.problems}


def test_every_shipped_campaign_loads():
    assert "lapsing_customers" in load_campaigns(SHIPPED)


def test_channels_may_be_named_in_short(folder):
    rewrite(folder, channels=["email", "push", "sms"])
    campaign = load_campaign(folder)
    assert [(use.name, use.consent) for use in campaign.channels] == [
        ("email", ("express",)),
        ("push", ("express",)),
        ("sms", ("express",)),
    ]


def test_all_viable_is_short_for_three_channels_and_the_option(folder):
    rewrite(folder, channels="all_viable")
    campaign = load_campaign(folder)
    assert campaign.reach == "all_viable"
    assert [use.name for use in campaign.channels] == ["email", "push", "sms"]


def test_a_campaign_cannot_be_changed_after_it_was_read(folder):
    campaign = load_campaign(folder)
    with pytest.raises(ValueError, match="frozen"):
        campaign.holdout = 0.5


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"holdout": 1.1}, "holdout"),
        ({"cadence": "0 * * * * *"}, "cadence"),
        ({"time_zone": "Mars/Phobos"}, "time_zone"),
        ({"quiet_hours": {"start": "21:00", "end": "21:00"}}, "quiet_hours"),
        ({"quiet_hours": {"start": 21, "end": "08:00"}}, "quiet_hours.start"),
        ({"voucher": {"code": "OK10", "percent": -5}}, "voucher.percent"),
        ({"voucher": {"code": "OK10", "percent": 120}}, "voucher.percent"),
        ({"period": {"start": "2026-02-01", "end": "2026-01-01"}}, "period"),
        ({"variants": [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.4}]}, "variants"),
        ({"caps": [{"messages": 0, "per": "7d"}]}, "caps.0.messages"),
        ({"currency": "euro"}, "currency"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(folder, changes, path):
    rewrite(folder, **changes)
    assert path in problems(folder)


@pytest.mark.parametrize("offset", ["0h", "73h", "12", 12, "NaN", "-1h"])
def test_send_after_needs_a_unit_and_lies_within_72_hours(folder, offset):
    step = {"send_after": offset, "messages": {"push": {"title": "a", "file": "push.txt"}}}
    rewrite(folder, steps=[step])
    assert "steps.0.send_after" in problems(folder)


@pytest.mark.parametrize("share", [0.0031, 0.01, 1])
def test_no_campaign_goes_on_where_mailbox_providers_turn_its_sender_away(folder, share):
    rewrite(folder, pause_when={"complaints": 0.003})
    assert load_campaign(folder).pause_when.complaints == 0.003

    rewrite(folder, pause_when={"complaints": share})
    (what,) = problems(folder).values()
    assert "at most 0.003 (0.3 %)" in what


def test_steps_must_come_one_after_the_other(folder):
    push = {"push": {"title": "a", "file": "push.txt"}}
    rewrite(folder, steps=[{"send_after": "12h", "messages": push}, {"send_after": "12h", "messages": push}])
    assert problems(folder) == {"steps.1.send_after": "must be later than the step before"}


def test_four_steps_are_one_too_many(folder):
    push = {"push": {"title": "a", "file": "push.txt"}}
    rewrite(folder, steps=[{"send_after": f"{hour}h", "messages": push} for hour in (1, 2, 3, 4)])
    assert "steps" in problems(folder)


def test_every_problem_of_a_file_is_reported_at_once(folder):
    rewrite(folder, holdout=2, cadence="hourly", currency="x", steps=None)
    assert {"holdout", "cadence", "currency", "steps"} <= set(problems(folder))


def test_what_depends_on_several_fields_is_reported_beside_wrong_fields(folder):
    push = {"push": {"title": "a", "file": "push.txt"}}
    rewrite(
        folder,
        holdout=2,
        voucher={"code": "x", "percent": 120},
        steps=[
            {"send_after": "9", "messages": push},
            {"send_after": "5h", "messages": {"sms": {"file": "gone.txt"}}},
            {"send_after": "4h", "messages": {"email": {"file": "email.html"}, "inbox": {"file": "push.txt"}}},
            {"send_after": "80h", "messages": push},
        ],
        variants=[{"name": "a", "share": 2}, {"name": "b", "share": 0.5, "messages": {"9": push}}],
    )
    assert set(problems(folder)) == {
        "holdout", "voucher.code", "voucher.percent", "steps", "steps.0.send_after", "steps.1.messages.sms.file",
        "steps.2.send_after", "steps.2.messages.email.subject", "steps.2.messages.inbox", "steps.3.send_after",
        "variants.0.share", "variants.1.messages.9",
    }  # fmt: skip


def test_a_misspelt_channel_is_no_other_finding_than_that(folder):
    rewrite(folder, channels=["email", "push", "smss"], platforms=["meta", "metta"])
    assert {"channels.2.name", "platforms.1.name", "steps.0.messages.sms"} == set(problems(folder))


def test_a_step_with_a_problem_is_not_missing_as_well(folder):
    rewrite(folder, steps=[{"send_after": "soon", "messages": {}}])

    assert "steps" not in problems(folder)
    rewrite(folder, steps=[])
    assert "steps" in problems(folder)


def test_a_message_file_must_be_in_the_folder(folder):
    (folder / "sms.txt").unlink()
    assert "sms.txt is not in" in problems(folder)["steps.0.messages.sms.file"]


def test_a_message_file_may_not_lead_out_of_the_folder(folder):
    rewrite(folder, steps=[{"send_after": "1h", "messages": {"sms": {"file": "../../secrets.txt"}}}])
    assert "steps.0.messages.sms.file" in problems(folder)


def test_a_duplicate_key_is_refused_with_its_line(folder):
    path = folder / "campaign.yaml"
    path.write_text(path.read_text() + "holdout: 0.2\n")
    with pytest.raises(ConfigError, match=r"campaign.yaml:\d+: key 'holdout' appears twice"):
        load_campaign(folder)


def test_aliases_and_python_tags_are_refused(folder):
    path = folder / "campaign.yaml"
    original = path.read_text()
    path.write_text("x: &a [1]\ny: *a\n")
    with pytest.raises(ConfigError, match="aliases"):
        load_campaign(folder)
    path.write_text(original.replace("holdout: 0.1", "holdout: !!python/object/apply:os.getcwd []"))
    with pytest.raises(ConfigError, match="constructor"):
        load_campaign(folder)


def test_problems_of_several_campaigns_come_in_one_report(folder):
    shutil.copytree(folder, folder.parent / "second")
    rewrite(folder, holdout=2)
    rewrite(folder.parent / "second", cadence="x")
    with pytest.raises(ConfigError) as caught:
        load_campaigns(folder.parent)
    assert len(caught.value.problems) == 2


JUNK = (None, "", "x", -1, 0.5, True, [], [[]], {}, {"x": 1})


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a file, the whole of it first."""
    yield way
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*way, key))


def test_whatever_stands_anywhere_is_a_finding_and_never_a_crash(folder):
    """One careless line would otherwise stop the dispatch of every campaign (I21)."""
    path = folder / "campaign.yaml"
    given = yaml.safe_load(path.read_text())
    names = {key for way in places(given) for key in way if isinstance(key, str)}
    spoilt = []
    for way in places(given):
        owner = given
        for part in way:
            owner = owner[part]
        spoilt += [(way, junk) for junk in JUNK if way]
        if isinstance(owner, dict):
            spoilt += [((*way, name), "x") for name in sorted(names - owner.keys())]

    unread = 0
    for (*way, last), junk in spoilt:
        changed = deepcopy(given)
        owner = changed
        for part in way:
            owner = owner[part]
        owner[last] = junk
        path.write_text(json.dumps(changed))
        try:
            load_campaign(folder)
        except ConfigError:
            unread += 1

    assert len(spoilt) > unread > 300


def test_a_variant_may_change_the_words_of_one_step(folder):
    other = {"1": {"push": {"title": "Come back", "file": "push.txt"}}}
    variants = [{"name": "plain", "share": 0.5}, {"name": "warm", "share": 0.5, "messages": other}]
    rewrite(folder, variants=variants)
    campaign = load_campaign(folder)
    assert campaign.messages_for(1, "warm")["push"].title == "Come back"
    assert campaign.messages_for(1, "plain")["push"].title == "We miss you"


def test_an_unknown_zone_may_not_be_assumed_for_texts(folder):
    rewrite(folder, quiet_hours={"start": "21:00", "end": "08:00", "unknown_zone": "Europe/Berlin"})
    assert "quiet_hours.unknown_zone" in problems(folder)


@pytest.mark.parametrize(
    ("length", "text"), [(timedelta(minutes=30), "30m"), (timedelta(hours=36), "36h"), (timedelta(days=7), "7d")]
)
def test_durations_are_shown_as_they_are_written(length, text):
    assert show_duration(length) == text


def test_every_parameter_says_where_it_was_set(folder):
    shown = {parameter.path: parameter for parameter in parameters(load_campaign(folder), folder)}
    lines = (folder / "campaign.yaml").read_text().splitlines()
    assert shown["holdout"].value == 0.1
    assert shown["holdout"].default == 0.0
    line = int(shown["holdout"].set_in.partition(":")[2])
    assert lines[line - 1].startswith("holdout:")
    assert shown["priority"].set_in == "default"
    assert all(parameter.meaning for parameter in shown.values())


def test_the_schema_file_is_what_the_model_generates():
    assert PATH.read_text("utf-8") == schema_text(), "run `make schema`"


def test_the_schema_knows_every_field_and_explains_it():
    schema = campaign_schema()
    assert set(schema["properties"]) == set(Campaign.model_fields)
    assert all(entry.get("description") for entry in schema["properties"].values())
    assert "name" not in schema["required"]


def test_every_campaign_file_of_the_project_names_the_schema():
    files = [*CHECKOUT.glob("config/**/campaign.yaml")]
    assert files
    for path in files:
        first = path.read_text("utf-8").splitlines()[0]
        place = first.partition("$schema=")[2]
        assert (path.parent / place).resolve() == PATH, f"{path}: first line must lead to the schema"
    assert json.loads(PATH.read_text("utf-8"))["title"] == "reengage campaign"


# ------------------------------------------------------------------------------------------------ retargeting


@pytest.fixture
def leads(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED / "partial_leads", tmp_path / "partial_leads"))


def whatsapp(after: str, **message: object) -> dict:
    return {"send_after": after, "messages": {"whatsapp": {"file": "first.txt", **message}}}


def test_qualified_is_goal_and_stop_event_of_a_retargeting_campaign_unless_it_says_otherwise(leads):
    assert (load_campaign(leads).goal.event, load_campaign(leads).stop_event.event) == ("qualified", "qualified")
    rewrite(leads, goal={"event": "purchase"})
    assert (load_campaign(leads).goal.event, load_campaign(leads).stop_event.event) == ("purchase", "qualified")


def test_a_milestone_has_no_properties(leads):
    rewrite(leads, goal={"event": "qualified", "where": {"a": 1}})
    assert problems(leads) == {"goal.where": "qualified is a milestone and has no properties"}


def test_a_day_after_the_last_message_whatsapp_takes_templates_only(leads):
    rewrite(leads, steps=[whatsapp("23h"), whatsapp("24h"), whatsapp("25h", template={"name": "come_back"})])
    assert list(problems(leads)) == ["steps.1.messages.whatsapp.template"]


def test_templates_are_text_only(leads):
    rewrite(leads, steps=[whatsapp("4h", template={"name": "come_back", "header": {"image": "x.png"}})])
    (what,) = problems(leads).values()
    assert "text only" in what
    assert "header" in what


def test_a_message_has_no_media(leads):
    rewrite(leads, steps=[whatsapp("4h", image="x.png")])
    assert list(problems(leads)) == ["steps.0.messages.whatsapp.image"]


def test_no_more_than_three_steps_within_three_days(leads):
    rewrite(leads, steps=[whatsapp(f"{n}h", template={"name": "x"}) for n in (1, 2, 3, 4)])
    assert list(problems(leads)) == ["steps"]
    rewrite(leads, steps=[whatsapp("73h", template={"name": "x"})])
    assert list(problems(leads)) == ["steps.0.send_after"]


def test_conversations_need_the_channel_they_are_on(leads):
    rewrite(leads, channels=["email"], steps=[{"send_after": "4h", "messages": {"email": {
        "file": "first.html", "subject": "x"}}}])  # fmt: skip
    assert "retargeting" in problems(leads)
