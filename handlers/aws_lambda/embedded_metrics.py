"""Metrics of CloudWatch in the lines of the log, which CloudWatch takes from there by its embedded metric format.

Of each delivery that has come to something the line gets metrics by stack and feed: one by the name of what became of
it (`accepted`, `quarantined`, ...), which is 1, and its rows.
"""

from collections.abc import Callable
from time import time

from structlog.typing import EventDict, WrappedLogger

from dropledger.core.ledger.ledger import Delivered

NAMESPACE = "dropledger"
NO_FEED = "none"
"""The feed of a file that belongs to none: the value of a dimension cannot be empty."""

_OUTCOMES = frozenset(Delivered)
_ROWS = ("rows_read", "rows_rejected")


class EmbeddedMetrics:
    """A processor of structlog for the metrics of a stack; `clock` gives seconds since 1970."""

    def __init__(self, stack: str, clock: Callable[[], float] = time) -> None:
        self._stack = stack
        self._clock = clock

    def __call__(self, logger: WrappedLogger, method: str, entry: EventDict) -> EventDict:
        """The line, with metrics where it tells of a delivery."""
        del logger, method
        outcome = entry.get("event")
        if outcome not in _OUTCOMES:
            return entry
        names = [outcome, *(name for name in _ROWS if name in entry)]
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": [["stack", "feed"]],
            "Metrics": [{"Name": name, "Unit": "Count"} for name in names],
        }
        return {
            **entry,
            outcome: 1,
            "stack": self._stack,
            "feed": entry.get("feed") or NO_FEED,
            "_aws": {"Timestamp": int(self._clock() * 1000), "CloudWatchMetrics": [directive]},
        }
