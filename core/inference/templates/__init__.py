"""Texts that are filled in: statements that count, and the files of a new pipeline."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Template


@cache
def text_of(name: str) -> str:
    """The text of a file in this folder."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def filled(name: str, fragments: Mapping[str, str]) -> str:
    """The text of a file in this folder with its `${...}` filled in."""
    return Template(text_of(name)).substitute(fragments)
