"""File names with bytes that are no UTF-8: how they are told of, and which file it is that was told of."""

import os
from contextlib import suppress
from pathlib import Path


def readable(name: str) -> str:
    """A name, or path, that can be stored and shown; its odd bytes are spelled out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def path_of(told: str | Path) -> Path:
    """The path that was made readable; the same where no file there has such a name."""
    path = Path(told)
    if "\\x" in str(path):  # as each odd byte begins
        with suppress(OSError):
            if not path.exists():
                folder = path_of(path.parent)
                return next((odd for odd in folder.iterdir() if readable(odd.name) == path.name), path)
    return path
