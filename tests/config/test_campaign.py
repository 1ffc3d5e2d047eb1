"""campaign.yaml: what is accepted, and how everything wrong with it is said at once (H18)."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

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
