"""What settings may be, from the environment and from files."""

from pathlib import Path

import pytest

from dropledger.core.errors import ConfigurationError
from dropledger.handlers.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, without settings."""
    monkeypatch.chdir(tmp_path)
    for setting in Settings.__dataclass_fields__:
        monkeypatch.delenv(f"DROPLEDGER_{setting.upper()}", raising=False)
    return tmp_path


@pytest.mark.parametrize("setting", [name for name in Settings.__dataclass_fields__ if name != "alerts"])
def test_every_setting_can_be_set(setting: str, monkeypatch: pytest.MonkeyPatch):
    values = {"log": "json", "wait_seconds": "7", "memory_limit": "500MB", "outputs": "60", "upload_limit": "5kB"}
    value = values.get(setting, "else/where")
    monkeypatch.setenv(f"dropledger_{setting}", value)  # in any case, as ever
    assert str(getattr(read_settings(), setting)).removesuffix(".0") == {"5kB": "5000"}.get(value, value)


def test_targets_of_alerts_are_set_by_file_or_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    entry = 'to = "env:OPS", on = ["late", "recovered"], feeds = ["account"], at_most_every = "1h"'
    (tmp_path / "dropledger.toml").write_text(f"alerts = [{{{entry}}}]\n")
    [target] = read_settings().alerts
    assert (target.to, target.feeds, target.at_most_every) == ("env:OPS", {"account"}, 3600)
    monkeypatch.setenv("DROPLEDGER_ALERTS", '[{"to": "env:DUTY", "on": ["late"]}]')
    assert [target.to for target in read_settings().alerts] == ["env:DUTY"]
    monkeypatch.setenv("DROPLEDGER_ALERTS", '[{"to": "https://hidden.example.org", "on": ["late"]}]')
    with pytest.raises(ConfigurationError, match="the setting alerts cannot be used") as raised:
        read_settings()
    assert "hidden" not in f"{raised.value} {raised.value.hint}"


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("root", "", "String should have at least 1 character"),
        ("log", "JSON", "Input should be 'auto', 'console' or 'json'"),
        ("wait_seconds", "soon", "Input should be a valid number, unable to parse string as a number"),
        ("wait_seconds", "-1", "Input should be greater than or equal to 0"),
        ("wait_seconds", "nan", "Input should be greater than or equal to 0"),
        ("upload_limit", "5 apples", "Input should be a size such as 500MB"),
        ("memory_limit", "500mb", "String should match pattern '^(\\d+ ?[KMGT]i?B)?$'"),
        ("memory_limit", "500MB\n", "String should match pattern '^(\\d+ ?[KMGT]i?B)?$'"),
        ("outputs", "0", "Input should be 'always', 'on_demand' or a number greater than 0"),
        ("outputs", "Always", "Input should be 'always', 'on_demand' or a number greater than 0"),
    ],
)
def test_value_that_cannot_be_used_is_told(setting: str, value: str, why: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(f"DROPLEDGER_{setting.upper()}", value)
    with pytest.raises(ConfigurationError) as told:
        read_settings()
    assert (told.value.what, told.value.why) == (f"the setting {setting} cannot be used", why)
    assert told.value.hint.startswith(f"correct DROPLEDGER_{setting.upper()} or the entry in dropledger.toml;")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("root = 5", "Input should be a valid string"),
        ("cache = [1]", "Input should be a valid string"),
        ("wait_seconds = true", "Input should be a valid number"),
        ("wait_seconds = 12:00:00", "Input should be a valid number"),
        ("outputs = [1]", "Input should be 'always', 'on_demand' or a number greater than 0"),
    ],
)
def test_entry_of_another_kind_is_told(folder: Path, entry: str, why: str):
    (folder / "dropledger.toml").write_text(entry, encoding="utf-8")
    with pytest.raises(ConfigurationError) as told:
        read_settings()
    assert told.value.why == why
    assert str(folder / "dropledger.toml") in told.value.hint


def test_unknown_entry_is_told_with_the_one_that_it_is_near_to(folder: Path):
    (folder / "dropledger.toml").write_text('pipelines = "mine"\n', encoding="utf-8")
    with pytest.raises(ConfigurationError, match="there is no setting pipelines; did you mean pipeline"):
        read_settings()


def test_path_in_a_file_is_told_from_the_file_in_whatever_case_its_name_is(folder: Path):
    (folder / "dropledger.toml").write_text('ROOT = "books"\n', encoding="utf-8")
    assert read_settings().root == str(folder / "books")


@pytest.mark.parametrize(
    ("caches", "expected"), [("/var/caches", "/var/caches/dropledger"), ("", "~/.cache/dropledger"), ("x", None)]
)
def test_cache_lies_with_those_of_other_programs(caches: str, expected: str | None, monkeypatch: pytest.MonkeyPatch):
    """A relative path in XDG_CACHE_HOME is invalid, says its specification, and to be ignored."""
    monkeypatch.setenv("XDG_CACHE_HOME", caches)
    assert read_settings().cache == Path(expected or "~/.cache/dropledger")
