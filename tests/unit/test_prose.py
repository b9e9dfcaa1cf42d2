"""What the prose linter reads, and what it makes of words of our own."""

import runpy
import tomllib

import click
import pytest
from support.engines import PROJECT

PROSE = runpy.run_path(str(PROJECT / ".ci" / "prose.py"), run_name="prose")
WORDS = tomllib.loads((PROJECT / ".ci" / "prose.toml").read_text(encoding="utf-8"))["words"]


def found(text: str) -> list[str]:
    return list(PROSE["own"]({"page": PROSE["prose_of"](text)}, WORDS))


@pytest.mark.parametrize(
    "text",
    [
        "Late files are woven in.",
        "It weaves.",
        "Drops settle.",
        "Rebuilds them aside.",
        "The keys\nconcerned",
        "It leaves with 2.",
        "Commands leave\nwith code 2",
        "is put\ninto place",
        "`x` is no date",
        "no real date",
    ],
)
def test_words_of_our_own_are_found(text: str):
    assert len(found(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Load files in place.",
        "Set `aside` to 1.",
        "``a ` aside``",
        "[exit codes](aside.md)",
        "```console\n$ settle\n```",
        "It takes 2 seconds and exits with code 2.",
        "asides and beside",
    ],
)
def test_code_and_plain_words_are_left_alone(text: str):
    assert found(text) == []


def test_finding_says_where_it_stands_and_what_to_write():
    text = "one\n\n```\naside\n```\n\nA file is misshapen."
    assert found(text) == ["page:7: 'misshapen'. Try: malformed"]


def test_pages_and_the_help_of_each_command_are_read():
    names = {name for name, _ in PROSE["pages"]()}
    assert {"README.md", "CHANGELOG.md", "SECURITY.md", "docs/concepts.md"} <= names

    @click.group()
    def outer() -> None:
        """Do all."""

    @outer.command()
    def inner() -> None:
        """Do one thing."""

    helps = dict(PROSE["helps"](outer, "outer"))
    assert list(helps) == ["outer --help", "outer inner --help"]
    assert "Do one thing." in helps["outer inner --help"]
