"""Which files in the inbox are complete."""

import math
import threading
import time
from collections.abc import Callable, Container, Iterable, Sequence

from dropledger.core.drop import FileDropped
from dropledger.infra.local.file_names import path_of, readable

STABLE_SECONDS = 0.5
RESCAN_SECONDS = 30.0


class StabilityTracker:
    """Tells which files are complete: those announced as closed, and those that stay still for `patience` seconds.

    `clock` gives seconds that only grow.
    """

    def __init__(self, patience: float = STABLE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self.patience = patience
        self._clock = clock
        self._announced: set[str] = set()
        self._unlisted: set[str] = set()
        self._unstable = 0
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}
        self._put_off: dict[str, float] = {}
        self._lock = threading.Lock()

    def announce(self, path: str) -> None:
        """The platform says that this file was closed after writing, or moved in."""
        with self._lock:
            self._announced.add(readable(path))

    def complete(self, arrivals: Iterable[FileDropped], waiting: Sequence[FileDropped] = ()) -> list[FileDropped]:
        """Those of the arrivals that may be taken; the others are remembered for the next look.

        One with a control file is complete when both are. `waiting` lie there too, and are not to be taken: of these
        it is remembered whether they were closed.
        """
        arrivals, complete, now = list(arrivals), [], self._clock()
        seen: dict[str, tuple[tuple[int, int], float]] = {}
        files = {part.uri for fact in (*arrivals, *waiting) for part in _parts(fact)}
        with self._lock:
            announced, self._announced = self._announced, set()
        # A file may be closed after the arrivals were listed and before this look: then it is among those of the next.
        self._unlisted, announced = announced - files, announced | self._unlisted
        # A file that was put off is tried again when its time has come, or when the platform announces it anew.
        announced |= {path for path, until in self._put_off.items() if until <= now}
        self._put_off = {path: until for path, until in self._put_off.items() if path not in announced}
        for fact in arrivals:
            if fact.uri in self._put_off:
                continue
            looks = self._looks(fact, announced, now)
            if looks and all(now - since >= self.patience for _, since in looks.values()):
                complete.append(fact)
            else:
                seen |= looks
        self._unstable = len(seen)
        for fact in waiting:
            seen |= self._looks(fact, announced, now)
        self._seen = seen
        return complete

    def _looks(
        self, fact: FileDropped, announced: Container[str], now: float
    ) -> dict[str, tuple[tuple[int, int], float]]:
        """The size and time of a file and of its control file, each with since when they stay so: for ever, if it was
        announced. Nothing where one of them is gone.
        """
        looks = {}
        for part in _parts(fact):
            try:
                found = path_of(part.uri).stat()
            except FileNotFoundError:
                return {}
            look = (found.st_size, found.st_mtime_ns)
            before, since = self._seen.get(part.uri, (look, now))
            looks[part.uri] = look, -math.inf if part.uri in announced else since if before == look else now
        return looks

    def put_off(self, path: str) -> None:
        """Leave a file that could not be taken alone for RESCAN_SECONDS, or until it is announced anew."""
        self._put_off[path] = self._clock() + RESCAN_SECONDS

    @property
    def unstable(self) -> int:
        """How many files were seen that may still be written to."""
        return self._unstable


def _parts(fact: FileDropped) -> tuple[FileDropped, ...]:
    return (fact,) if fact.control is None else (fact, fact.control)
