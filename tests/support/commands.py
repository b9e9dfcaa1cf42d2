"""Commands run in this process, as the console script runs them."""

import json
from pathlib import Path
from typing import Any

import pytest

from dropledger.core.errors import DropledgerError
from dropledger.handlers.cli.main import cli


class Commands:
    """Commands on one root."""

    def __init__(self, root: Path | str, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capsys = capsys

    def code(self, *arguments: str) -> int:
        """The exit code of a command."""
        self._capsys.readouterr()
        try:
            code = cli.main(["--root", str(self.root), *arguments], standalone_mode=False)
        except DropledgerError as failure:
            return failure.exit_code
        assert isinstance(code, int)
        return code

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """The one object that a command prints, which has to leave with this exit code."""
        assert self.code(*arguments, "--json") == code
        found: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return found

    def text(self, *arguments: str, code: int = 0) -> str:
        """What a command prints for people."""
        assert self.code(*arguments) == code
        return self._capsys.readouterr().out
