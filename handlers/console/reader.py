"""How the console reads: one short session at a time, and what a page had last where the warehouse is busy."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

from dropledger.core.errors import Busy
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ports.session import Confinable, Session
from dropledger.core.steps.soundness import refuse_lost_warehouse
from dropledger.handlers.console.masking import Masking

WAIT_SECONDS = 2.0
"""How long a page waits for a warehouse that is worked on."""

QUERY_SECONDS = 5.0
"""How long the queries of a page may take together."""

_KEPT = 256
_FRESH = timedelta(seconds=30)  # what files there are is not told by the warehouse's stamp
_LOOK_AGAIN_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: `found` as of `at`; `stale` if the warehouse was busy now, so that it is of an earlier time."""

    found: Mapping[str, Any]
    at: datetime
    stale: bool = False
    stamp: str | None = None


class Reader:
    """Reads for the pages of a console; may be used by several threads. `masking` is what its pages do not show, and
    `cache` the folder for what can be made anew.
    """

    def __init__(self, runtime: Runtime, masking: Masking, cache: Path | None) -> None:
        self.runtime = runtime
        self.masking = masking
        self.cache = cache
        self._kept: OrderedDict[str, Reading] = OrderedDict()
        self._alone = Lock()

    def read(self, address: str, find: Callable[[Session], Mapping[str, Any]]) -> Reading:
        """What `find` gives of a session that reads; or what it gave last for this address, if nothing changed since,
        or if the warehouse is busy.

        Raises:
            Busy: it is, and nothing was read for this address before.
            NoLedger: nothing was dropped yet.
            Unavailable: the queries took too long.
        """
        kept, stamp = self._kept.get(address), self.runtime.warehouse.stamp()
        if kept and stamp is not None and kept.stamp == stamp and self.runtime.clock() - kept.at < _FRESH:
            return kept
        try:
            with self.alone(WAIT_SECONDS):
                return self._read(address, find)
        except Busy:
            if kept is None:
                raise
            return Reading(kept.found, kept.at, stale=True)

    @contextmanager
    def alone(self, seconds: float) -> Iterator[None]:
        """Let no page be read as long as the block lasts: an engine's locks on a file are those of the process.

        Raises:
            Busy: other pages were read for so many seconds.
        """
        if not self._alone.acquire(timeout=seconds):
            raise Busy("other pages are being read", hint="try again")
        try:
            yield
        finally:
            self._alone.release()

    def mark(self) -> str:
        """A text that changes when pages may show something else."""
        stamp = self.runtime.warehouse.stamp()
        if stamp is None:  # to look costs a request to another machine
            return str(int(self.runtime.clock().timestamp()) // _LOOK_AGAIN_SECONDS)
        return f"{stamp} {sorted(self.runtime.store.backlog().items())}"

    def _read(self, address: str, find: Callable[[Session], Mapping[str, Any]]) -> Reading:
        runtime = self.runtime
        stamp, at = runtime.warehouse.stamp(), runtime.clock()
        refuse_lost_warehouse(runtime.store, runtime.warehouse)
        with runtime.reading() as session:
            if isinstance(session, Confinable):
                session.confine()
                with session.limited(QUERY_SECONDS):
                    found = find(session)
            else:
                found = find(session)
        reading = Reading(found, at, stamp=stamp)
        self._kept[address] = reading
        self._kept.move_to_end(address)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return reading
