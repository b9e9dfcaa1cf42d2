"""Every error object has the command's name, whatever went wrong and wherever."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handlers.cli import cli, main


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder without a root, and the umask as it was."""
    monkeypatch.chdir(tmp_path)
    umask = os.umask(0o077)
    yield
    os.umask(umask)


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[dict[str, Any], str]:
    """The one object that the command prints, whose exit code it must leave with, and what is on standard error."""
    monkeypatch.setattr("sys.argv", ["dropledger", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    out, err = capsys.readouterr()
    document: dict[str, Any] = json.loads(out)
    assert left.value.code == document["error"]["exit_code"]
    return document, err


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_wrong_use_of_any_command_is_told_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
):
    document, err = run(monkeypatch, capsys, command, "--no-such-option", "--json")
    assert document["command"] == command
    assert "--no-such-option" in document["error"]["what"]
    assert (document["error"]["exit_code"], document["error"]["try"]) == (2, f"dropledger {command} --help")
    assert "--no-such-option" in err


def test_missing_argument_is_told_with_the_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert run(monkeypatch, capsys, "--json", "history", "account")[0]["command"] == "history"


@pytest.mark.parametrize("arguments", [("no_such_command", "--json"), ("--json", "--no-such-option")])
def test_where_no_command_is_known_its_name_is_null(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
):
    document, _ = run(monkeypatch, capsys, *arguments)
    assert (document["command"], document["error"]["exit_code"]) == (None, 2)


def test_error_of_a_command_has_its_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    document, _ = run(monkeypatch, capsys, "process", "nowhere.csv", "--json")
    assert (document["command"], document["error"]["exit_code"]) == ("process", 2)


def test_bug_has_the_name_of_its_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("os.umask", lambda _: None)
    monkeypatch.setattr("pathlib.Path.is_file", lambda _: 1 / 0)
    document, err = run(monkeypatch, capsys, "process", "some.csv", "--json")
    assert (document["command"], document["error"]["why"]) == ("process", "ZeroDivisionError")
    assert "Traceback" in err
