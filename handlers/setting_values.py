"""Values of settings, as the environment or a file gives them; what raises a ValueError says why one cannot be used."""

import os
import re
from collections.abc import Callable, Collection, Mapping


def from_environment(prefix: str, names: Collection[str]) -> Mapping[str, str]:
    """The settings of these names in lower case that the environment has behind a prefix, whatever their case there."""
    found = {
        name.lower().removeprefix(prefix.lower()): value
        for name, value in os.environ.items()
        if name.lower().startswith(prefix.lower())
    }
    return {name: value for name, value in found.items() if name in names}


def any_text(value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ValueError("Input should be a valid string")  # noqa: TRY004 - a setting that cannot be used, as others
    return value


def some_text(value: object) -> str:
    """A text that is not empty."""
    text = any_text(value)
    if not text:
        raise ValueError("String should have at least 1 character")
    return text


def text_like(pattern: str) -> Callable[[object], str]:
    """A text that matches a pattern from its begin to its end."""

    def matched(value: object) -> str:
        text = any_text(value)
        if not re.fullmatch(pattern.removesuffix("$"), text):
            raise ValueError(f"String should match pattern '{pattern}'")
        return text

    return matched


def number(value: object) -> float:
    """A number, or a text that is one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("Input should be a valid number")  # noqa: TRY004 - a setting that cannot be used, as others
    try:
        return float(value)
    except ValueError as error:
        raise ValueError("Input should be a valid number, unable to parse string as a number") from error


_SIZE = re.compile(r"(\d+) ?([kKMGT]?)(i?)B")


def number_of_bytes(value: object) -> int:
    """A size such as 500MB, of 1000 to a step, or 500MiB, of 1024."""
    found = _SIZE.fullmatch(any_text(value))
    if found is None:
        raise ValueError("Input should be a size such as 500MB")
    step = 1024 if found[3] else 1000
    return int(found[1]) * int(step ** " KMGT".index(found[2].upper() or " "))


_YES = ("1", "on", "t", "true", "y", "yes")
_NO = ("0", "off", "f", "false", "n", "no")


def yes_or_no(value: object) -> bool:
    """A word for yes or no."""
    word = any_text(value).lower()
    if word not in _YES and word not in _NO:
        raise ValueError("Input should be a valid boolean, unable to interpret input")
    return word in _YES
