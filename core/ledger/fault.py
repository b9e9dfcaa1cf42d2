"""Errors that one file meets: told by its name, while the others are taken."""

import errno
import json
from datetime import datetime
from typing import Any

from dropledger.core import __version__
from dropledger.core.drop import AsOf, AsOfSource, Claim, iso
from dropledger.core.errors import ConfigurationError, DropledgerError, PipelineError, Postponed, Unforeseen
from dropledger.core.formats.extract import Drop
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.ports.store import Store

FAILED = "failed.json"
"""The note staged for a claim that says which error its file met; `doctor` reads it."""

COMPLETE = "dropledger watch --once takes it up again"
"""What to try where a file waits in work or in an inbox that nothing watches."""

_OF_ONE_FILE = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EINVAL,
        errno.EIO,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENOTEMPTY,
        errno.ENXIO,
        errno.EPERM,
    }
)


def meets_one_file(error: BaseException) -> bool:
    """Whether other files may fare better than the one that met this error.

    They would not where a connection or a disk is gone or full, or where somebody else holds the root.
    """
    match error:
        case OSError():  # those of connections bear other numbers, or none
            return error.errno in _OF_ONE_FILE or isinstance(error, FileNotFoundError)
        case DropledgerError():
            return isinstance(error, Postponed | PipelineError | Unforeseen)
        case _:
            return isinstance(error, Exception)


def as_refusal(what: str, error: Exception) -> DropledgerError:
    """What to tell of the error that kept one file; the error itself is the cause."""
    found: DropledgerError
    match error:
        case Postponed() | Unforeseen():
            return error
        case PipelineError():
            found = PipelineError(what, why=str(error), hint=error.hint)
        case DropledgerError():
            found = ConfigurationError(what, why=str(error), hint=error.hint)
        case OSError():
            hint = "see what is wrong with it, and try again; the other files are not kept by it"
            found = Postponed(what, why=str(error), hint=hint)
        case _:
            found = Unforeseen(
                what,
                why=f"it met an error that nobody foresaw ({type(error).__qualname__})",
                hint="report it with the traceback in the log; the next process, watch --once or backfill tries the "
                "file again, after an upgrade too, and dropledger doctor says how to do without it",
            )
    found.__cause__ = error
    return found


def set_apart(drop: Drop, error: Exception, at: datetime, store: Store) -> Outcome:
    """The outcome of a drop that stays in work; where that may need more than time, a note of it for `doctor`."""
    failure = as_refusal(f"{drop.name} cannot be taken", error)
    postponed = isinstance(failure, Postponed)
    if not postponed:
        note = {"name": drop.name, "error": str(failure), "dropledger": __version__, "failed_at": iso(at)}
        path = store.staged(drop.claim.claim_id, FAILED)
        path.write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    return Outcome(
        drop,
        Delivered.POSTPONED if postponed else Delivered.FAILED,
        "",
        error=str(failure),
        hint=failure.hint,
        failure=None if postponed else failure,
    )


def unidentified(claim: Claim) -> Drop:
    """A drop of which nothing is known but its name, as its bytes cannot be looked at."""
    dropped = claim.dropped
    as_of = AsOf(dropped.as_of or dropped.modified_at, AsOfSource.MODIFIED)
    return Drop(claim, "", dropped.feed or "", None, as_of, 0, "")


def read_note(text: bytes) -> dict[str, Any]:
    """What the note of a claim says; empty where it cannot be read."""
    try:
        note = json.loads(text)
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}
