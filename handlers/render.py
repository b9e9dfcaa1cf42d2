"""What people and programs see: tables for the one, one JSON object for the other."""

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from dropledger.core.drop import iso
from dropledger.core.errors import Busy, DropledgerError, Unforeseen
from dropledger.core.retry import OnWait, silently


def as_json(document: Mapping[str, Any]) -> None:
    """Print the one JSON object of a command."""
    sys.stdout.write(json_text(document))


def json_text(document: Mapping[str, Any]) -> str:
    """A JSON object; money as text, so that no reader makes a float of it."""
    return json.dumps(document, default=_plain, indent=2, ensure_ascii=False) + "\n"


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value)
    return str(value)


def cell(value: object) -> str:
    """A value as a table shows it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.date().isoformat() if value.time().isoformat() == "00:00:00" else iso(value)
        case Decimal():
            return f"{value:,}"
        case _:
            return str(value)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table to standard output: plain lines; on a terminal folded to its width, with bold names of columns."""
    from dropledger.handlers.table import drawn

    rows = list(rows)
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else None
    if title:
        line(title)
    for text in drawn(columns, rows, [[cell(value) for value in row] for row in rows], width=width, bold=terminal):
        line(text)


def line(text: str = "") -> None:
    """Print a line to standard output."""
    sys.stdout.write(text + "\n")


def lines(texts: Iterable[str]) -> None:
    """Print a line for each text to standard output."""
    for text in texts:
        line(text)


def counted(number: int, thing: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def age(seconds: int | None) -> str | None:
    """A length of time as people read it: `26h 05m`."""
    return None if seconds is None else f"{seconds // 3600:,}h {seconds // 60 % 60:02}m"


_ORIGINS = {"metadata": "its object's metadata", "modified": "its modification time"}


def origin(name: str, as_of: datetime, source: str, *, late: bool | None) -> None:
    """Print where a drop's as_of came from, unless its name or the command line shows it, and that it was late."""
    if late:
        line(f"{name}: late: its feed had observed later times already, so it was inserted before them.")
    if source in _ORIGINS:
        line(f"{name}: as_of {cell(as_of)} is from {_ORIGINS[source]}.")


def on_wait(*, quiet: bool) -> OnWait:
    """Prints on standard error who is waited for; nothing if quiet."""
    return silently if quiet else _wait


def _wait(busy: Busy, seconds: float) -> None:
    if not seconds:
        sys.stderr.write(f"Waiting: {busy}\n")


def failure_entry(failure: DropledgerError) -> dict[str, object]:
    """The entry `error` of a command's object."""
    return {"what": failure.what, "why": failure.why, "try": failure.hint, "exit_code": failure.exit_code}


def error(failure: DropledgerError) -> None:
    """Say on standard error what happened, why, and what to try."""
    text = f"Error: {failure.what}\n"
    if failure.why:
        text += f"  Because: {failure.why}\n"
    if failure.hint:
        text += f"  Try: {failure.hint}\n"
    sys.stderr.write(text)


def bug(failure: BaseException | None) -> None:
    """Say on standard error where a file met a bug; nothing of other failures."""
    if isinstance(failure, Unforeseen):
        from dropledger.handlers.excepthook import traceback_of

        sys.stderr.write(traceback_of(failure))
