"""What is printed of an error that nobody foresaw: where it was raised, and none of the values that were in use."""

import sys
import traceback
from collections.abc import Iterator

from dropledger.core.errors import DropledgerError
from dropledger.handlers import render

_LEFT_OUT = "(the message may quote rows: it is left out here, and shown on a terminal)"


def report(error: Exception, command: str | None) -> None:
    """Print a bug: a traceback without local variables on standard error, and the error object for `--json`."""
    if "--json" in sys.argv:
        bug = {"what": "a bug", "why": type(error).__name__, "try": "report it with the traceback", "exit_code": 1}
        render.as_json({"command": command, "error": bug})
    sys.stderr.write(traceback_of(error))


def traceback_of(error: BaseException) -> str:
    """The traceback of an error; with its message where only a person at a terminal reads it."""
    return "".join(_lines(error, messages=sys.stderr.isatty()))


def frames_of(error: BaseException) -> str:
    """The traceback of an error, without its message."""
    return "".join(_lines(error, messages=False))


def _lines(error: BaseException, *, messages: bool) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _lines(before, messages=messages)
        yield "\nThat led to:\n\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    # Errors of the system and our own name files, folders and counts alone.
    message = str(error) if messages or isinstance(error, OSError | DropledgerError) else _LEFT_OUT
    yield f"{type(error).__qualname__}: {message}\n"
