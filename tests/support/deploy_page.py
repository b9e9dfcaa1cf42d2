"""The examples of docs/deploy.md, for tests that run them."""

import re

from support.engines import PROJECT

PAGE = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8")


def example(heading: str, language: str) -> str:
    """The first block of a language below a heading."""
    below = re.split(rf"^#+ {heading}$", PAGE, maxsplit=1, flags=re.MULTILINE)[1]
    found = re.search(rf"^```{language}\n(.*?)^```$", below, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]
