"""Every error object has the command's name, whatever went wrong and wherever."""

from pathlib import Path

import pytest
from support.in_process import run

from dropledger.handlers.cli.main import cli


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_wrong_use_of_any_command_is_told_with_its_name(command: str):
    left = run(command, "--no-such-option", "--json")
    assert (left.code, left.json["command"]) == (2, command)
    assert "--no-such-option" in left.json["error"]["what"]
    assert left.json["error"]["exit_code"] == 2
    assert left.json["error"]["try"].partition(";")[0] == f"dropledger {command} --help"
    assert "--no-such-option" in left.err


def test_missing_argument_is_told_with_the_name():
    assert run("--json", "history", "account").json["command"] == "history"


@pytest.mark.parametrize("arguments", [("no_such_command", "--json"), ("--json", "--no-such-option")])
def test_where_no_command_is_known_its_name_is_null(arguments: tuple[str, ...]):
    left = run(*arguments)
    assert (left.code, left.json["command"], left.json["error"]["exit_code"]) == (2, None, 2)


def test_error_of_a_command_has_its_name(tmp_path: Path):
    left = run("process", "nowhere.csv", "--json", cwd=tmp_path)
    assert (left.code, left.json["command"], left.json["error"]["exit_code"]) == (2, "process", 2)


def test_bug_has_the_name_of_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pathlib.Path.is_file", lambda _: 1 / 0)
    left = run("process", "some.csv", "--json", cwd=tmp_path)
    assert (left.code, left.json["command"], left.json["error"]["why"]) == (1, "process", "ZeroDivisionError")
    assert "Traceback" in left.err
