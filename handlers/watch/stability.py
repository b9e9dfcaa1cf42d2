"""Which files in the inbox are complete."""

import threading
import time
from collections.abc import Callable, Iterable

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
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}
        self._put_off: dict[str, float] = {}
        self._lock = threading.Lock()

    def announce(self, path: str) -> None:
        """The platform says that this file was closed after writing, or moved in."""
        with self._lock:
            self._announced.add(readable(path))

    def complete(self, arrivals: Iterable[FileDropped]) -> list[FileDropped]:
        """Those of the arrivals that may be taken; the others are remembered for the next look."""
        arrivals, complete, seen, now = list(arrivals), [], {}, self._clock()
        with self._lock:
            announced, self._announced = self._announced, set()
        # A file may be closed after the arrivals were listed and before this look: then it is among those of the next.
        self._unlisted, announced = announced - {fact.uri for fact in arrivals}, announced | self._unlisted
        # A file that was put off is tried again when its time has come, or when the platform announces it anew.
        announced |= {path for path, until in self._put_off.items() if until <= now}
        self._put_off = {path: until for path, until in self._put_off.items() if path not in announced}
        for fact in arrivals:
            if fact.uri in self._put_off:
                continue
            try:
                found = path_of(fact.uri).stat()
            except FileNotFoundError:
                continue
            look = (found.st_size, found.st_mtime_ns)
            before, since = self._seen.get(fact.uri, (look, now))
            still = now - since if before == look else 0.0
            if fact.uri in announced or still >= self.patience:
                complete.append(fact)
            else:
                seen[fact.uri] = (look, now - still)
        self._seen = seen
        return complete

    def put_off(self, path: str) -> None:
        """Leave a file that could not be taken alone for RESCAN_SECONDS, or until it is announced anew."""
        self._put_off[path] = self._clock() + RESCAN_SECONDS

    @property
    def unstable(self) -> int:
        """How many files were seen that may still be written to."""
        return len(self._seen)
