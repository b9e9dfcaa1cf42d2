"""What README and docs show is what commands print: their blocks are run, and held against what stands there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.console import environment

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A line that begins so is run, with all that it is continued by; what follows is what it prints.
_PROMPT = re.compile(r"^\$ (?P<command>.*)\n(?P<printed>(?:(?!\$ ).*\n)*)", re.MULTILINE)


def blocks(page: str) -> list[list[tuple[str, str]]]:
    """The commands of each block of a page, with what each prints."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    return [
        [(shown["command"], shown["printed"]) for shown in _PROMPT.finditer(block)] for block in _BLOCK.findall(text)
    ]


def block_with(page: str, command: str) -> list[tuple[str, str]]:
    """The block of a page whose first command begins so."""
    return next(block for block in blocks(page) if block[0][0].startswith(command))


def printed(command: str, folder: Path, path: str) -> str:
    """What a shell shows of a command, errors included."""
    env = {**environment(), "PATH": path, "LC_ALL": "C.UTF-8"}
    for name in ("MAKELEVEL", "MAKEFLAGS", "VENV"):  # of a `make test` that runs this
        env.pop(name, None)
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    return done.stdout.decode()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands of README.md need of a checkout, in a folder that they may fill."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(PROJECT / "samples", folder / "samples")
    (folder / ".venv").symlink_to(BIN.parent)
    # As in the checkout, but for the set-up, whose marks are not looked at here.
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    (folder / "Makefile").write_text(makefile.replace("demo: $(VENV)/console", "demo:"), encoding="utf-8")
    return folder


def test_readme_shows_what_is_printed(checkout: Path):
    # Of `dropledger` only the one in .venv is known, as in a fresh checkout.
    path = os.pathsep.join(
        part for part in os.environ["PATH"].split(os.pathsep) if not Path(part, "dropledger").exists()
    )
    shown = [step for block in blocks("README.md") for step in block]

    assert [(command, printed(command, checkout, path)) for command, _ in shown] == shown
    assert shown[0][0] == "make demo"


@pytest.fixture(scope="module")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "ledger"
    subprocess.run([BIN / "dropledger", "demo", "--quiet", "--root", root], env=environment(), check=True)
    return root


@pytest.fixture
def beside_demo(demo_root: Path, tmp_path: Path) -> Path:
    """A folder with a root of its own that holds the demo's drops, and the demo's files."""
    shutil.copytree(demo_root, tmp_path / "ledger", symlinks=True)
    for path in (PROJECT / "samples").glob("day?/*.csv"):
        shutil.copy(path, tmp_path)
    (tmp_path / "backup").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("page", "command"),
    [
        ("docs/concepts.md", "printf"),
        ("docs/contracts.md", "dropledger check"),
        ("docs/history.md", "dropledger retract"),
        ("docs/history.md", "dropledger verify"),
        ("docs/json.md", "dropledger explain"),
        ("docs/lineage.md", "dropledger lineage"),
        ("docs/odcs.md", "dropledger contract export"),
        ("docs/operating.md", "cp -a"),
        ("docs/operating.md", "dropledger sql"),
    ],
)
def test_docs_show_what_is_printed(beside_demo: Path, page: str, command: str):
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    shown = block_with(page, command)

    # Beside the object for programs an error stands on standard error for people, which the page leaves out.
    quiet = " 2>/dev/null" if "--json" in shown[0][0] else ""
    assert [(step, printed(step + quiet, beside_demo, path)) for step, _ in shown] == shown


def test_document_of_others_is_imported_as_shown(tmp_path: Path):
    text = (PROJECT / "docs/odcs.md").read_text(encoding="utf-8")
    [document] = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "orders.odcs.yaml").write_text(document, encoding="utf-8")
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    [(command, shown)] = block_with("docs/odcs.md", "dropledger contract import")
    assert printed(command, tmp_path, path) == shown


def test_start_page_shows_what_is_printed(beside_demo: Path):
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    shown = [step for block in blocks("docs/start.md") for step in block]
    assert [(step, printed(step, beside_demo, path)) for step, _ in shown] == shown


def test_engagement_page_shows_what_is_printed(tmp_path: Path):
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    shown = [step for block in blocks("docs/engagement.md") for step in block]
    assert [(step, printed(step, tmp_path, path)) for step, _ in shown] == shown


def shown_to_contributors() -> list[str]:
    """The commands of contributing.md, those within lists included."""
    text = (PROJECT / "docs/contributing.md").read_text(encoding="utf-8")
    unindented = re.sub(r"^ +", "", text, flags=re.MULTILINE)
    return [shown["command"] for block in _BLOCK.findall(unindented) for shown in _PROMPT.finditer(block)]


@pytest.mark.parametrize("command", [command for command in shown_to_contributors() if "-m pytest" in command])
def test_contributing_shows_tests_that_are_there(command: str):
    """They are collected and not run; tests/unit/test_makefile.py asks for the targets."""
    collect = command.replace(".venv/bin/python", shlex.quote(sys.executable)) + " --collect-only --quiet"
    found = printed(f"{collect} -p no:cacheprovider && echo collected", PROJECT, os.environ["PATH"])
    assert found.splitlines()[-1] == "collected", found


def test_contributing_shows_how_to_set_up_test_lint_and_lock():
    shown = shown_to_contributors()
    assert {"make demo", "make test-fast", "make lint", "make lock"} <= set(shown)
    named = {word for command in shown for word in shlex.split(command) if re.match(r"(\.ci|tests)/", word)}
    assert {path for path in named if not (PROJECT / path.partition("::")[0]).exists()} == set()
