"""Logs to standard error: readable on a terminal, JSON elsewhere. No row contents, no secrets."""

import io
import logging
import sys
from typing import Literal, TextIO, cast

import structlog
from structlog.typing import Processor

from dropledger.core.drop import iso
from dropledger.core.errors import DropledgerError, Unforeseen
from dropledger.core.ingest.control_files import Awaited
from dropledger.core.ledger.outcome import Outcome
from dropledger.handlers.excepthook import frames_of
from dropledger.handlers.variables import misspelt


class _StandardError(io.TextIOBase):
    """Standard error as it is when a line is written: a program around this one may put another in its place."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logs(kind: Literal["auto", "console", "json"], *also: Processor) -> None:
    """Set up structlog once, for the whole process, with processors that change lines before they are written; its
    first lines name variables that are misspelt.
    """
    # watchdog logs by the standard library when a watch is stopped under way; that is no line of ours.
    logging.getLogger("watchdog").addHandler(logging.NullHandler())
    readable = kind == "console" or (kind == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *also,
            *(
                # By default both show local variables, and rows are among them.
                [
                    structlog.dev.ConsoleRenderer(
                        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
                    )
                ]
                if readable
                else [
                    structlog.processors.ExceptionRenderer(
                        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
                    ),
                    structlog.processors.JSONRenderer(),
                ]
            ),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=cast("TextIO", _StandardError())),
        cache_logger_on_first_use=True,
    )
    for name, hint in misspelt():
        structlog.get_logger("dropledger").warning("unknown_setting", variable=name, hint=hint)


def failure_entries(failure: DropledgerError) -> dict[str, str]:
    """The entries of a log line about a failure: what happened, why, and what to try."""
    return {"what": failure.what, "why": failure.why, "hint": failure.hint, **_frames(failure.__cause__)}


def _frames(failure: BaseException | None) -> dict[str, str]:
    """The entry of a log line about a bug: where it was raised; none where the failure is not known to be one."""
    return {"frames": frames_of(failure)} if isinstance(failure, Unforeseen) else {}


def log_awaited(awaited: Awaited) -> None:
    """Log that a file waits for its control file."""
    names = {"name": awaited.dropped.name, "control_file": awaited.control_file}
    structlog.get_logger("dropledger").info("awaited", feed=awaited.feed, **names)


def log_outcome(outcome: Outcome) -> None:
    """Log what became of a drop; a warning where data were refused, and for each check that warned; an error where the
    drop could not be taken.
    """
    bound = structlog.get_logger("dropledger").bind(
        drop_id=outcome.drop.drop_id or None, feed=outcome.drop.feed or None
    )
    if not outcome.taken:
        entries = {"name": outcome.drop.name, "what": outcome.error, "hint": outcome.hint}
        bound.error(str(outcome.delivered), **entries, **_frames(outcome.failure))
        return
    level = bound.warning if outcome.refused else bound.info
    level(
        str(outcome.delivered),
        name=outcome.drop.name,
        as_of=iso(outcome.drop.as_of.moment),
        as_of_source=str(outcome.drop.as_of.source),
        late=outcome.late,
        rows_read=outcome.rows_read,
        rows_rejected=outcome.rows_rejected,
        versions_opened=outcome.versions_opened,
        versions_closed=outcome.versions_closed,
        rule=outcome.rule,
    )
    for warning in outcome.warnings:
        bound.warning("warned", name=outcome.drop.name, warning=warning)
