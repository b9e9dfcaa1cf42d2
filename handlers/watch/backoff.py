"""What keeps files from being taken: logged once, and waited for with ever longer pauses."""

import math
import time
from collections.abc import Callable, Sequence

import structlog

from dropledger.core.errors import Busy, DropledgerError
from dropledger.core.ledger.outcome import Outcome, PartialFailure
from dropledger.handlers.logs import failure_entries
from dropledger.handlers.watch.stability import RESCAN_SECONDS

POLL_SECONDS = 1.0

log = structlog.get_logger("dropledger.watch")


class Backoff:
    """Logs each failure once, and pauses from POLL_SECONDS up to RESCAN_SECONDS while the same one lasts.

    `sleep` takes seconds, and may return before they are over; `clock` gives seconds that only grow.
    """

    def __init__(self, sleep: Callable[[float], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._sleep = sleep
        self._clock = clock
        self._last = ""
        self._pause = POLL_SECONDS
        self._retry_at = math.inf

    @property
    def seconds_left(self) -> float:
        """Until files that were postponed are to be tried again."""
        return max(0.0, self._retry_at - self._clock())

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Remember whether a file was postponed or failed: it waits in work/, and each attempt tries it again."""
        left = any(not outcome.taken for outcome in outcomes)
        self._retry_at = self._clock() + RESCAN_SECONDS if left else math.inf

    def pause(self, failure: DropledgerError) -> None:
        """Log what keeps all files, unless it is the failure of before, and sleep."""
        self._sleep(self._report(failure))

    def put_off(self, failure: PartialFailure) -> None:
        """Log what keeps some files, unless that is known; they are tried again in RESCAN_SECONDS."""
        self._report(failure)
        self._retry_at = self._clock() + RESCAN_SECONDS

    def reset(self) -> None:
        """Forget the failure, which is over."""
        self._last = ""

    def _report(self, failure: DropledgerError) -> float:
        """Log the failure unless it is the one of before; how many seconds to pause."""
        if isinstance(failure, Busy):  # which was waited for already
            log.warning("busy", what=failure.what, holder=failure.holder)
            return POLL_SECONDS
        if failure.what != self._last:
            self._last = failure.what
            self._pause = POLL_SECONDS
            log.error("unavailable", **failure_entries(failure))
        seconds, self._pause = self._pause, min(self._pause * 2, RESCAN_SECONDS)
        return seconds
