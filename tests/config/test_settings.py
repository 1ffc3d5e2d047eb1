"""Settings: the environment wins over the folder, mistakes are named, secrets stay hidden."""

from __future__ import annotations

import pytest

from config.errors import ConfigError
from config.settings import CHECKOUT, Settings, load_settings, read_yaml


def documented() -> dict[str, str]:
    """Variable -> example value of .env.example, comment marks ignored."""
    lines = (CHECKOUT / ".env.example").read_text("utf-8").splitlines()
    pairs = (line.removeprefix("#").strip().partition("=") for line in lines if "=" in line and "REENGAGE_" in line)
    return {name: value for name, _, value in pairs}


def test_the_example_environment_lists_every_setting_and_no_other():
    assert set(documented()) == {f"REENGAGE_{name.upper()}" for name in Settings.model_fields}


def test_every_setting_is_described():
    assert all(field.description for field in Settings.model_fields.values())


def test_the_environment_wins_over_the_configuration_folder(tmp_path, monkeypatch):
    (tmp_path / "reengage.yaml").write_text("mode: simulated\ntime_zone: Europe/Berlin\ndatabase: shop\n")
    settings = load_settings(config=tmp_path)
    assert (settings.wanted_mode, str(settings.business_zone), settings.database_name) == (
        "simulated",
        "Europe/Berlin",
        "shop",
    )
    monkeypatch.setenv("REENGAGE_TIME_ZONE", "America/Sao_Paulo")
    assert str(load_settings(config=tmp_path).business_zone) == "America/Sao_Paulo"


def test_a_wrong_setting_is_named_and_its_value_is_not_repeated(monkeypatch):
    monkeypatch.setenv("REENGAGE_TIME_ZONE", "hunter2")
    monkeypatch.setenv("REENGAGE_DASHBOARD_PORT", "99999999")
    with pytest.raises(ConfigError, match="dashboard_port") as caught:
        load_settings()
    assert "time_zone" in str(caught.value)
    assert "99999999" not in str(caught.value)


@pytest.mark.parametrize("written", ["a@example.com, b@example.com", '["a@example.com", "b@example.com"]'])
def test_several_values_are_separated_by_commas_or_a_json_list(monkeypatch, written):
    monkeypatch.setenv("REENGAGE_TEST_RECIPIENTS", written)
    monkeypatch.setenv("REENGAGE_UNSUBSCRIBE_KEYS", "newest,older")
    settings = load_settings()
    assert settings.test_recipients == ["a@example.com", "b@example.com"]
    assert [key.get_secret_value() for key in settings.unsubscribe_keys] == ["newest", "older"]


def test_a_list_that_cannot_be_read_is_named_and_its_value_is_not_repeated(monkeypatch):
    monkeypatch.setenv("REENGAGE_TEST_RECIPIENTS", '["hunter2')
    monkeypatch.setenv("REENGAGE_UNSUBSCRIBE_KEYS", "")
    with pytest.raises(ConfigError, match="test_recipients") as caught:
        load_settings()
    assert "unsubscribe_keys" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_missing_configuration_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_settings(config=tmp_path / "nowhere")


def test_secrets_do_not_show_when_settings_are_printed():
    settings = Settings(database_url="postgresql://u:hunter2@h/d", suppression_key="s3cret", _env_file=None)
    assert "hunter2" not in repr(settings)
    assert "s3cret" not in str(settings)


def test_a_huge_yaml_file_is_refused_before_it_is_parsed(tmp_path):
    path = tmp_path / "big.yaml"
    path.write_text("a: 1\n" * 400_000)
    with pytest.raises(ConfigError, match="larger than"):
        read_yaml(path)


def test_broken_yaml_is_reported_with_its_line(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("a: 1\nb: [1,\nc: 2\n")
    with pytest.raises(ConfigError, match=r"broken.yaml:\d"):
        read_yaml(path)
