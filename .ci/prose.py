"""Check what people read: the pages, and the help of each command.

    .venv/bin/python .ci/prose.py

codespell looks for misspelt words, proselint for weak usage, and we for words of our own that nobody else would
understand; prose.toml lists these, and what is left out of proselint. Code in a page is read by codespell alone.

Exit codes: 0 nothing was found, 1 something was.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import click

PROJECT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CHANGELOG.md", "SECURITY.md", "docs/*.md")
_CODE = re.compile(r"^```.*?^```$|(`+)(?!`).+?(?<!`)\1(?!`)|\]\([^)\s]+\)", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"(?<=\S)  +(?=\S)")
_CODESPELL = re.compile(r"^(?P<file>.+?):(?P<line>\d+): (?P<what>.+)$", re.MULTILINE)


def pages() -> Iterator[tuple[str, str]]:
    """The name and text of each page."""
    for pattern in PAGES:
        for path in sorted(PROJECT.glob(pattern)):
            yield str(path.relative_to(PROJECT)), path.read_text(encoding="utf-8")


def helps(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """What a command and those below it print for `--help`."""
    context = click.Context(command, info_name=name, parent=parent, max_content_width=120)
    yield f"{context.command_path} --help", command.get_help(context)
    for part in command.commands.values() if isinstance(command, click.Group) else ():
        yield from helps(part, part.name or "", context)


def prose_of(text: str) -> str:
    """A text whose code and whose space between columns is filled, so that each word stays in its place."""
    for other in (_CODE, _COLUMN):
        text = other.sub(lambda found: re.sub(r"[^\n]", "·", found[0]), text)
    return text


def misspelt(texts: dict[str, str]) -> Iterator[str]:
    """What codespell finds."""
    with TemporaryDirectory() as folder:
        files = _written(texts, Path(folder))
        done = _run("codespell", *files)
        for found in _CODESPELL.finditer(done):
            yield f"{files[found['file']]}:{found['line']}: {found['what']}"


def weak(texts: dict[str, str], off: list[str]) -> Iterator[str]:
    """What proselint finds, but for the checks that are off."""
    with TemporaryDirectory() as folder:
        files = _written(texts, Path(folder))
        settings = Path(folder) / "settings.json"
        settings.write_text(json.dumps({"checks": dict.fromkeys(off, False)}), encoding="utf-8")
        done = _run("proselint", "check", "--config", settings, "--output-format", "json", *files)
        for file, result in json.loads(done)["result"].items():
            for found in result["diagnostics"]:
                name = files[file.removeprefix("file://")]
                yield f"{name}:{found['pos'][0]}: {found['message']} ({found['check_path']})"


def own(texts: dict[str, str], words: dict[str, str]) -> Iterator[str]:
    """Where words of our own stand, and what to write instead."""
    for pattern, instead in words.items():
        word = re.compile(rf"\b(?:{pattern})\b".replace(" ", r"\s+"), re.IGNORECASE)
        for name, text in texts.items():
            for found in word.finditer(text):
                yield f"{name}:{text.count(chr(10), 0, found.start()) + 1}: {found[0]!r}. Try: {instead}"


def _written(texts: dict[str, str], folder: Path) -> dict[str, str]:
    """The texts as files, whose paths lead to their names."""
    files = {}
    for number, (name, text) in enumerate(texts.items()):
        path = folder.resolve() / f"{number}.md"
        path.write_text(text, encoding="utf-8")
        files[str(path)] = name
    return files


def _run(module: str, *arguments: str | Path) -> str:
    """What a program prints, which must be to find something or nothing."""
    done = subprocess.run(
        [Path(sys.executable).with_name(module), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode not in {0, 1, 65}:  # codespell ends with 65 where it finds something
        sys.exit(f"{module} failed: {done.stderr}")
    return done.stdout


def main() -> int:
    """Print what is found, and how much was read."""
    from dropledger.handlers.cli.main import cli

    rules = tomllib.loads((PROJECT / ".ci" / "prose.toml").read_text(encoding="utf-8"))
    texts = {**dict(pages()), **dict(helps(cli, "dropledger"))}
    prose = {name: prose_of(text) for name, text in texts.items()}
    found = [*misspelt(texts), *weak(prose, rules["off"]), *own(prose, rules["words"])]
    sys.stdout.writelines(f"{line}\n" for line in found)
    sys.stdout.write(f"Prose: {len(found)} findings in {len(texts)} pages and helps\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
