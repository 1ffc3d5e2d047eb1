"""`reengage campaign`, `check`, `doctor` and `plan` as a marketer meets them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from config.settings import CHECKOUT
from flows.__main__ import app
from tasks.rules.errors import ModeError


@pytest.fixture
def run(make_database, tmp_path, monkeypatch) -> Callable[..., Result]:
    """The command line on a copy of the shipped configuration and a database of its own."""
    config = tmp_path / "config"
    shutil.copytree(CHECKOUT / "config", config, ignore=shutil.ignore_patterns("examples", "*.py", "__pycache__"))
    database = make_database()
    monkeypatch.setenv("REENGAGE_DATABASE_URL", database.url.render_as_string(hide_password=False))
    monkeypatch.setenv("REENGAGE_HOME", str(database.home))
    monkeypatch.setenv("REENGAGE_MODE", "simulated")
    monkeypatch.setenv("REENGAGE_CONFIG", str(config))
    return lambda *words: CliRunner().invoke(app, list(words), catch_exceptions=False)


def test_a_new_campaign_runs_as_it_is_written(run, tmp_path):
    made = run("campaign", "new", "spring_letters")
    assert made.exit_code == 0, made.output
    assert (tmp_path / "config/campaigns/spring_letters/campaign.yaml").read_text().startswith("# yaml-language-server")

    ran = run("run", "spring_letters", "--as-of", "2026-05-01")
    assert ran.exit_code == 0, ran.output

    listed = json.loads(run("campaign", "list", "--json").output)
    assert [row["campaign"] for row in listed["rows"]] == ["lapsing_customers", "partial_leads", "spring_letters"]


def test_a_new_campaign_over_conversations_retargets(run):
    made = run("campaign", "new", "spring_leads", "--segment", "partial_leads")
    assert made.exit_code == 0, made.output

    ran = run("run", "spring_leads", "--as-of", "2026-05-01")
    assert ran.exit_code == 0, ran.output
    shown = {
        row["parameter"]: row for row in json.loads(run("campaign", "show", "spring_leads", "--json").output)["rows"]
    }
    assert shown["retargeting.anchor"]["set_in"] == "default"
    assert shown["goal.event"]["value"] == "qualified"
    assert run("check").exit_code == 0


def test_what_lies_among_the_campaigns_and_is_none_is_told(run, tmp_path):
    campaigns = tmp_path / "config/campaigns"
    (campaigns / "notes.md").write_text("Ideas for spring.\n")
    assert run("check").exit_code == 0

    (campaigns / "linked").write_text("../elsewhere/linked")  # what some tools make of a symbolic link
    (campaigns / "half_done").mkdir()
    told = json.loads(run("check", "--json").output)["rows"]
    assert [row["where"].rpartition("/")[2] for row in told] == ["half_done", "linked"]
    assert all("a folder with a campaign.yaml is expected" in row["what"] for row in told)


def test_a_campaign_is_never_written_over(run):
    run("campaign", "new", "spring_letters")
    with pytest.raises(Exception, match="exists already"):
        run("campaign", "new", "spring_letters")


@pytest.mark.parametrize("name", ["../escape", "Spring", "1st", "a b"])
def test_a_campaign_name_is_plain(run, name):
    with pytest.raises(Exception, match="lower case"):
        run("campaign", "new", name)


def test_show_explains_every_parameter_and_where_it_was_set(run):
    answer = json.loads(run("campaign", "show", "lapsing_customers", "--json").output)
    shown = {row["parameter"]: row for row in answer["rows"]}
    assert answer["arguments"] == {"campaign": "lapsing_customers"}
    assert shown["params.margin_days"]["value"] in ("8", 8)
    assert shown["params.margin_days"]["set_in"].startswith("campaign.yaml:")
    assert shown["params.min_purchase_days"]["set_in"] == "default"
    assert all(row["meaning"] for row in answer["rows"])


def test_doctor_names_what_is_missing_and_what_to_do(run):
    answered = run("doctor", "--json", "--as-of", "2026-05-01")
    rows = {row["need"]: row for row in json.loads(answered.output)["rows"] if row["campaign"] == "lapsing_customers"}
    assert answered.exit_code == 1
    assert rows["data: purchases"]["there"] == "no"
    assert rows["channel: email"]["there"] == "no"


def test_doctor_looks_at_the_last_moment_of_a_simulated_database_as_plan_does(run):
    with pytest.raises(ModeError, match="say which moment it is"):
        run("doctor")
    run("run", "lapsing_customers", "--as-of", "2026-05-01")

    answered = run("doctor", "--json")

    assert answered.output == run("doctor", "--json", "--as-of", "2026-05-01").output
    assert json.loads(answered.output)["rows"]


def test_plan_stores_nothing(run):
    planned = run("plan", "lapsing_customers", "--as-of", "2026-05-01", "--json")
    assert planned.exit_code == 0, planned.output
    assert json.loads(planned.output)["count"] >= 0
    assert "no runs" not in planned.output


def test_check_warns_of_what_is_allowed_and_late_or_double(run, tmp_path):
    first = tmp_path / "config/campaigns/partial_leads"
    shutil.copytree(first, first.with_name("other_leads"))
    path = first / "campaign.yaml"
    path.write_text(path.read_text().replace("send_after: 4h", "send_after: 10m"))

    told = run("check")
    rows = json.loads(run("check", "--json").output)["rows"]

    assert told.exit_code == 0, told.output
    said = " ".join(told.output.split())
    assert "nothing to fix" in said
    assert "partial_leads/campaign.yaml: steps.0.send_after: 10m is less than min_quiet_after_reply (1h)" in said
    assert "name-your-ad-here is among the ads of other_leads as well" in said
    assert [row["kind"] for row in rows] == ["warning", "warning"]

    path.write_text(path.read_text().replace("purpose: retargeting", "purpose: fun"))
    wrong = CliRunner().invoke(app, ["check", "--json"])
    assert wrong.exit_code == 2
    assert {row["kind"] for row in json.loads(wrong.output)["rows"]} == {"error", "warning"}
