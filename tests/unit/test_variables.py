"""Variables of the environment that are named like settings and are none are told, and change nothing."""

import json
from pathlib import Path

import pytest
from support.in_process import run

from dropledger.handlers.logs import configure_logs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an empty root."""
    (tmp_path / "ledger").mkdir()
    return tmp_path


def test_misspelt_variable_is_told_with_the_setting_that_it_is_near_to(folder: Path):
    left = run("status", "--json", cwd=folder, rot="elsewhere")
    assert left.code == 0
    assert left.err == "Warning: DROPLEDGER_ROT is not a setting; did you mean DROPLEDGER_ROOT?\n"
    assert left.json["root"] == str(folder / "ledger")


def test_variable_that_is_near_to_none_is_told_without_its_value(folder: Path):
    left = run("status", cwd=folder, secret="hush")
    assert left.err == "Warning: DROPLEDGER_SECRET is not a setting; docs/operating.md lists the settings\n"


def test_nothing_is_told_of_settings_of_variables_of_tests_or_if_it_is_to_be_quiet(folder: Path):
    assert run("status", cwd=folder, root="ledger", wait_seconds="1", test_kills="3").err == ""
    assert run("status", "--quiet", cwd=folder, rot="elsewhere").err == ""


def test_doctor_lists_it(folder: Path):
    left = run("doctor", "--json", cwd=folder, wharehouse="x.duckdb")
    assert left.code == 0
    assert left.json["problems"][0] == {
        "problem": "DROPLEDGER_WHAREHOUSE is set, and is not a setting",
        "try": "did you mean DROPLEDGER_WAREHOUSE?",
    }


def test_what_logs_has_a_line_of_its_log_for_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("DROPLEDGER_ROT", "elsewhere")
    configure_logs("json")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["level"], line["variable"]) == ("unknown_setting", "warning", "DROPLEDGER_ROT")
    assert line["hint"] == "did you mean DROPLEDGER_ROOT?"
