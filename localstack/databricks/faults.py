"""Faults to order: what goes wrong with the next statements, for tests of those who must survive it."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = (
    "conflict",  # another writer was faster: Delta's error, instead of running
    "unavailable",  # HTTP 503 with Retry-After
    "too_many",  # HTTP 429 with Retry-After
    "starting",  # HTTP 503 as of a warehouse that starts
    "lost_session",  # the session is gone from then on
    "slow",  # the statement begins `seconds` later, or when the faults are cleared
    "lost_answer",  # the statement ran, and the connection breaks before the answer
    "die_before",  # the server dies before the statement ran
    "die_after",  # the server dies after it ran, before it answers
    "uncounted",  # it runs, and the server says nothing of the rows that it changed beside its result
    "unreported",  # it runs, and nothing at all says how many rows it changed
    "unknown",  # it runs, and -1 is said to be how many rows it changed
    "refused",  # the platform has no such statement for this table
    "unclear",  # it fails, and what is said of it has no SQLSTATE
    "slips_in",  # an INSERT that reads at once, and writes when the faults are cleared, whatever came between
    "no_thrift",  # the warehouse opens no session by Thrift: order it for OpenSession
    "link_refused",  # the storage does not hand over the result that its link leads to
    "later_link_refused",  # nor what the links after the first lead to
    "link_expired",  # the link to the result is too old
    "slow_storage",  # the storage takes what a PUT uploads `seconds` later, or when the faults are cleared
)
REFUSED = "[UNSUPPORTED_FEATURE.TABLE_OPERATION] The table does not support this operation. SQLSTATE: 0A000"
CONFLICT = (
    "[DELTA_CONCURRENT_APPEND.WITHOUT_HINT] ConcurrentAppendException: Files were added to the root of the table by a "
    "concurrent update. Please try the operation again. SQLSTATE: 2D521"
)
UNCLEAR = "java.io.FileNotFoundException: No such file or directory"
FAILURES = {"conflict": (CONFLICT, "2D521"), "refused": (REFUSED, "0A000"), "unclear": (UNCLEAR, "")}
"""The kinds that are told instead of running, each with its SQLSTATE."""


@dataclass
class Fault:
    """Strikes the `nth` statement from now on whose text matches, and the `times` - 1 after it that match."""

    kind: str
    match: str = ""
    nth: int = 1
    times: int = 1
    seconds: float = 1.0

    def strikes(self, text: str) -> bool:
        if self.times < 1 or not re.search(self.match, text, re.IGNORECASE | re.DOTALL):
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        self.times -= 1
        return True


class Faults:
    """The faults that were ordered and have not all struck."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cleared = threading.Condition(self._lock)
        self._ordered: list[Fault] = []

    def order(self, fault: Mapping[str, Any]) -> None:
        """Raises TypeError or ValueError for a fault that there isn't."""
        made = Fault(**fault)
        if made.kind not in KINDS:
            raise ValueError(f"no such fault: {made.kind}; there are {', '.join(KINDS)}")
        with self._lock:
            self._ordered.append(made)

    def clear(self) -> None:
        with self._lock:
            self._ordered.clear()
            self._cleared.notify_all()

    def linger(self, seconds: float) -> None:
        """Wait so long, or until the faults are cleared."""
        with self._lock:
            self._cleared.wait(seconds)

    def waiting(self) -> int:
        """How many have yet to strike."""
        with self._lock:
            return sum(fault.times > 0 for fault in self._ordered)

    def strike(self, text: str) -> Fault | None:
        """The fault that this statement meets."""
        with self._lock:
            return next((fault for fault in self._ordered if fault.strikes(text)), None)

    def strike_opening(self) -> Fault | None:
        """The fault that a new session meets: only one that was ordered for `OpenSession` by name."""
        with self._lock:
            ordered = [fault for fault in self._ordered if "opensession" in fault.match.lower()]
            return next((fault for fault in ordered if fault.strikes("OpenSession")), None)
