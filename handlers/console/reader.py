"""How the console reads: one short session at a time, and what a page had last where the warehouse is busy."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from dropledger.core.errors import Busy, ConfigurationError, NoLedger, Unavailable
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ports.session import Confinable, Session
from dropledger.core.steps.soundness import refuse_lost_warehouse
from dropledger.handlers.console.masking import Masking

WAIT_SECONDS = 2.0
"""How long a page waits for a warehouse that is worked on."""

QUERY_SECONDS = 5.0
"""How long the queries of a page may take together."""

_KEPT = 64
_FRESH = timedelta(seconds=30)  # what files there are is not told by the warehouse's stamp
_LOOK_AGAIN_SECONDS = 15
_SHORT_SECONDS = 0.5  # for a page that has something to show
_LOOKING_SHARE = 10  # so many times as long as a look at the inbox takes, none is taken again


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
        self._backlog: Mapping[str, int] = {}
        self._count_again_at = 0.0

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
            with self.alone(_SHORT_SECONDS if kept else WAIT_SECONDS):
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
        """A text that changes when pages may show something else; each minute too, as they tell how old things are."""
        stamp, now = self.runtime.warehouse.stamp(), int(self.runtime.clock().timestamp())
        if stamp is None:  # to look costs a request to another machine
            return str(now // _LOOK_AGAIN_SECONDS)
        return f"{stamp} {now // 60} {sorted(self.backlog().items())}"

    def backlog(self) -> Mapping[str, int]:
        """How many files lie in the folders of the root; of a moment ago, where to count them takes long."""
        began = monotonic()
        if began >= self._count_again_at:
            self._backlog = self.runtime.store.backlog()
            self._count_again_at = monotonic() + _LOOKING_SHARE * (monotonic() - began)
        return self._backlog

    def _read(self, address: str, find: Callable[[Session], Mapping[str, Any]]) -> Reading:
        stamp, at = self.runtime.warehouse.stamp(), self.runtime.clock()
        with self._opened() as session:
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

    @contextmanager
    def _opened(self) -> Iterator[Session]:
        """The warehouse, to be read.

        Raises:
            NoLedger: nothing was dropped yet.
            Unavailable: it is lost or damaged, or the root is gone, so that no page can be shown.
        """
        runtime = self.runtime
        with ExitStack() as opened:
            try:
                runtime.store.refuse_unless_there()
                refuse_lost_warehouse(runtime.store, runtime.warehouse)
                session = opened.enter_context(runtime.reading())
            except NoLedger:
                raise
            except ConfigurationError as error:
                raise Unavailable(error.what, why=error.why, hint=error.hint) from error
            yield session
