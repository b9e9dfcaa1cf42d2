"""The walk of docs/own-pipeline.md, walked."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.console import environment
from support.engines import PROJECT

pytestmark = pytest.mark.slow

PAGE = (PROJECT / "docs" / "own-pipeline.md").read_text(encoding="utf-8")
_STEP = re.compile(
    r"`(?P<file>[\w./-]+)`[^`\n]*\n\n```(?:text|yaml|sql)\n(?P<text>.*?)^```$|^```console\n(?P<shown>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_SHOWN = re.compile(r"^\$ (?P<command>.*)\n(?P<printed>(?:(?!\$ ).*\n)*)", re.MULTILINE)


def run(command: str, folder: Path) -> str:
    path = os.pathsep.join([str(folder.parent / "bin"), os.environ["PATH"]])
    env = {**environment(), "PATH": path, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_export_becomes_a_pipeline_as_the_page_shows(tmp_path: Path):
    folder, command = tmp_path / "here", tmp_path / "bin" / "dropledger"
    for path in (folder, command.parent):
        path.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m dropledger "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    walked = 0
    for step in _STEP.finditer(PAGE):
        if step["file"]:
            (folder / step["file"]).write_text(step["text"], encoding="utf-8")
        for shown in _SHOWN.finditer(step["shown"] or ""):
            assert (shown["command"], run(shown["command"], folder)) == (shown["command"], shown["printed"])
            walked += 1
    assert walked >= 17
    # And so does the test that the folder has, of its own.
    assert "1 passed" in run(f"{sys.executable} -m pytest -q -p no:cacheprovider mine", folder)
