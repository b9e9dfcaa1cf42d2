"""Logs to standard error: readable on a terminal, JSON elsewhere. No row contents, no secrets."""

import logging
import sys
from typing import Literal

import structlog


def configure_logs(kind: Literal["auto", "console", "json"]) -> None:
    """Set up structlog once, for the whole process."""
    # watchdog tells the standard library when a watch is stopped under way; that is no line of ours.
    logging.getLogger("watchdog").addHandler(logging.NullHandler())
    readable = kind == "console" or (kind == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(
                # What both would do unless told otherwise is to show local variables, and rows are among them.
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
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
