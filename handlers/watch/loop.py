"""`dropledger watch`: the folder handler.

A file is taken when the platform says that it was closed after writing, or moved in. Where nothing says so
(files that lay there before, network mounts, lost events) it is taken once its size and time stay still; for
long, where an event is to be expected.
"""

import errno
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, Self

import structlog
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from dropledger.core.drop import FileDropped
from dropledger.core.errors import Busy, ConfigurationError, DropledgerError, Unavailable
from dropledger.core.ingest.claims import in_order
from dropledger.core.ingest.run import process
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger.outcome import Outcome, PartialFailure
from dropledger.core.publish_throttle import PublishThrottle
from dropledger.handlers.cli.context import Context
from dropledger.handlers.logs import frames, log_outcome
from dropledger.handlers.outcomes import report_outcomes, run_and_collect, show_outcomes
from dropledger.handlers.wiring import wire
from dropledger.infra.local.file_names import path_of, readable
from dropledger.infra.local.private_file import written_by_nobody

SETTLE_SECONDS = 0.5
POLL_SECONDS = 1.0
RESCAN_SECONDS = 30.0
PAIRING_SECONDS = 0.02
_EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileMovedEvent,
    FileCreatedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
_CHUNK = 400

Clock = Callable[[], float]

log = structlog.get_logger("dropledger.watch")


class StabilityTracker:
    """Tells which files are complete: those announced as closed, and those that stay still for `patience` seconds.

    `clock` gives seconds that only grow.
    """

    def __init__(self, patience: float = SETTLE_SECONDS, clock: Clock = time.monotonic) -> None:
        self.patience = patience
        self._clock = clock
        self._announced: set[str] = set()
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}
        self._put_off: dict[str, float] = {}
        self._lock = threading.Lock()

    def announce(self, path: str) -> None:
        """The platform says that this file was closed after writing, or moved in."""
        with self._lock:
            self._announced.add(readable(path))

    def complete(self, arrivals: Iterable[FileDropped]) -> list[FileDropped]:
        """Those of the arrivals that may be taken; the others are remembered for the next look."""
        taken, seen, now = [], {}, self._clock()
        with self._lock:
            announced, self._announced = self._announced, set()
        # A file that was put off is tried again when its time has come, or when the platform tells of it anew.
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
                taken.append(fact)
            else:
                seen[fact.uri] = (look, now - still)
        self._seen = seen
        return taken

    def put_off(self, path: str) -> None:
        """Leave a file that could not be taken alone for a while."""
        self._put_off[path] = self._clock() + RESCAN_SECONDS

    @property
    def unstable(self) -> int:
        """How many files were seen that may still be written to."""
        return len(self._seen)


class _Listener(FileSystemEventHandler):
    """Wakes the loop when a file is complete, or when a folder comes that may hold some, or goes."""

    def __init__(self, tracker: StabilityTracker, wake: threading.Event) -> None:
        self._tracker = tracker
        self._wake = wake

    def dispatch(self, event: FileSystemEvent) -> None:
        match event:
            case FileClosedEvent():
                self._tracker.announce(str(event.src_path))
            case FileMovedEvent():
                self._tracker.announce(str(event.dest_path))
            case FileCreatedEvent() if written_by_nobody(Path(str(event.src_path))):
                # moved in from a folder that is not watched, which comes as if it were made here
                self._tracker.announce(str(event.src_path))
            case DirCreatedEvent() | DirMovedEvent() | DirDeletedEvent():
                pass
            case _:
                return
        self._wake.set()


def watch(context: Context, *, once: bool, poll: bool) -> int:
    """Follow the inbox until a signal comes; with `once`, the exit code of what lay there."""
    runtime = wire(settings=context.configure_logs(), on_wait=_log_waiting)
    runtime.store.prepare()
    if once:
        outcomes, failure = _catch_up(runtime)
        return report_outcomes(context, outcomes, failure, show_outcomes)
    if runtime.store.atomic_uploads:
        raise ConfigurationError(
            f"{runtime.store.root} is not a directory that can be watched",
            hint="load what is in its inbox with watch --once; docs/aws.md shows how S3 tells of uploads itself",
        )
    _follow(runtime, poll=poll)
    return 0


def _catch_up(runtime: Runtime) -> tuple[Sequence[Outcome], DropledgerError | None]:
    """Take what lies in the inbox; the outcomes, and what to say of files that could not be taken."""
    if runtime.store.atomic_uploads:
        backlog, still_written = runtime.store.arrivals(), 0
    else:
        backlog, still_written = _settled(runtime)
    backlog = in_order(backlog, runtime.pipeline)
    outcomes: list[Outcome] = []
    failure: DropledgerError | None = None
    for start in range(0, max(len(backlog), 1), _CHUNK):
        chunk = backlog[start : start + _CHUNK]
        of_chunk, of_others = run_and_collect(partial(process, runtime, chunk, log_outcome))
        outcomes += of_chunk
        failure = failure or of_others
    if still_written and failure is None:
        failure = Unavailable(
            f"{still_written} files in the inbox are still written to", hint="try again when they are complete"
        )
    return outcomes, failure


def _settled(runtime: Runtime) -> tuple[list[FileDropped], int]:
    """The files that are complete, once all are or `wait_seconds` are over, and how many are not."""
    tracker, stop = StabilityTracker(), threading.Event()
    until = time.monotonic() + max(runtime.wait_seconds, 2 * SETTLE_SECONDS)
    complete = dict.fromkeys(tracker.complete(runtime.store.arrivals()))
    while tracker.unstable and time.monotonic() < until:
        stop.wait(SETTLE_SECONDS / 2)
        complete |= dict.fromkeys(tracker.complete(fact for fact in runtime.store.arrivals() if fact not in complete))
    return [*complete], tracker.unstable


def _follow(runtime: Runtime, *, poll: bool) -> None:
    tracker, wake, stop = StabilityTracker(), threading.Event(), threading.Event()
    troubles = _Troubles()
    with _stopped_by_signals(stop, wake), _Watcher(Path(runtime.store.root), tracker, wake, poll=poll) as watcher:
        log.info("watching", root=runtime.store.root, poll=poll)
        behind = not _take(runtime, tracker, [], stop, troubles)
        while not stop.is_set():
            wake.clear()
            if not watcher.follows():
                wake.wait(POLL_SECONDS)
                continue
            try:
                ready = tracker.complete(runtime.store.arrivals())
            except PermissionError as error:
                hint = "let this user list it, or run as one who may"
                stop.wait(troubles.tell(Unavailable("the inbox cannot be listed", why=str(error), hint=hint)))
                continue
            if ready or behind or not min(runtime.throttle.seconds_left, troubles.seconds_left):
                behind = not _take(runtime, tracker, ready, stop, troubles)
                continue
            if not tracker.unstable and not poll:
                # What lay there before is taken; of files that come now the platform tells when they are closed.
                tracker.patience = RESCAN_SECONDS
            pause = SETTLE_SECONDS / 2 if tracker.unstable else POLL_SECONDS if poll else RESCAN_SECONDS
            wake.wait(min(pause, runtime.throttle.seconds_left, troubles.seconds_left))
        if math.isfinite(runtime.throttle.seconds_left):
            _take(replace(runtime, throttle=PublishThrottle()), tracker, [], threading.Event(), troubles)
        log.info("stopped")


class _Troubles:
    """Says what keeps files from being taken: each thing once, with ever longer pauses until it is over."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._last = ""
        self._pause = POLL_SECONDS
        self._again_at = math.inf

    @property
    def seconds_left(self) -> float:
        """Until files that were postponed are to be tried again."""
        return max(0.0, self._again_at - self._clock())

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Remember whether any file waits in work; what does, each attempt takes along."""
        left = any(not outcome.taken for outcome in outcomes)
        self._again_at = self._clock() + RESCAN_SECONDS if left else math.inf

    def tell(self, failure: DropledgerError) -> float:
        """Log the failure unless it is the one before; how many seconds to wait."""
        if isinstance(failure, Busy):  # which was waited for already
            log.warning("busy", what=failure.what, holder=failure.holder)
            return POLL_SECONDS
        if failure.what != self._last:
            self._last = failure.what
            self._pause = POLL_SECONDS
            told = {"what": failure.what, "why": failure.why, "hint": failure.hint, **frames(failure.__cause__)}
            log.error("unavailable", **told)
        pause, self._pause = self._pause, min(self._pause * 2, RESCAN_SECONDS)
        return pause

    def put_off(self, failure: PartialFailure) -> None:
        """Log that files cannot be taken, unless that is known; they are tried again in a while."""
        self.tell(failure)
        self._again_at = self._clock() + RESCAN_SECONDS

    def over(self) -> None:
        """Forget what was told."""
        self._last = ""


def _take(
    runtime: Runtime, tracker: StabilityTracker, ready: list[FileDropped], stop: threading.Event, troubles: _Troubles
) -> bool:
    """Process what is ready, and whatever an earlier attempt left; False if it must be tried again."""
    backlog = in_order(ready, runtime.pipeline)
    for start in range(0, max(len(backlog), 1), _CHUNK):
        if stop.is_set():
            return True
        chunk = backlog[start : start + _CHUNK]
        try:
            troubles.note(process(runtime, chunk, log_outcome))
        except PartialFailure as failure:
            there = {outcome.drop.claim.dropped.content for outcome in failure.outcomes}
            for fact in chunk:
                if fact.content not in there:
                    tracker.put_off(fact.uri)
            troubles.put_off(failure)
            continue
        except Unavailable as failure:
            for fact in backlog[start:]:
                tracker.announce(fact.uri)
            stop.wait(troubles.tell(failure))
            return False
        troubles.over()
    return True


def _log_waiting(busy: Busy) -> None:
    log.info("waiting", what=busy.what, holder=busy.holder)


@contextmanager
def _stopped_by_signals(stop: threading.Event, wake: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM let the drop at hand be finished, then leave."""

    def leave(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()
        wake.set()

    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Watcher:
    """Keeps an observer on the inbox, on a new one if another folder has taken its name."""

    def __init__(self, root: Path, tracker: StabilityTracker, wake: threading.Event, *, poll: bool) -> None:
        self._root = root
        self._inbox = root / "inbox"
        self._tracker = tracker
        self._wake = wake
        self._poll = poll
        self._observer: BaseObserver | None = None
        self._observed: tuple[int, int] | None = None
        self._gone = False

    def __enter__(self) -> Self:
        self.follows()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def follows(self) -> bool:
        """Whether the inbox is there, and watched; it may vanish, and another may come."""
        try:
            found = self._inbox.stat()
            there = (found.st_dev, found.st_ino)
            if there != self._observed:
                self._stop()
                self._start()
                self._tracker.patience = SETTLE_SECONDS  # of what lies in it nobody has told
                self._observed = there
        except (FileNotFoundError, NotADirectoryError):
            self._stop()
            self._observed = None
            if not self._gone:
                log.warning("inbox_gone", inbox=str(self._inbox))
            self._gone = True
            return False
        if self._gone:
            log.info("inbox_back", inbox=str(self._inbox))
        self._gone = False
        return True

    def _start(self) -> None:
        if self._poll:
            return
        _pair_moves_quickly()
        self._observer = Observer()
        listener = _Listener(self._tracker, self._wake)
        self._observer.schedule(listener, str(self._inbox), recursive=True, event_filter=_EVENTS)
        self._observer.schedule(listener, str(self._root), event_filter=_EVENTS)  # which tells when the inbox goes
        try:
            self._observer.start()
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENOSPC}:
                raise
            raise Unavailable(
                f"{self._inbox} cannot be watched",
                why=str(error),
                hint="raise fs.inotify.max_user_instances and max_user_watches, or follow it with --poll",
            ) from error

    def _stop(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            with suppress(RuntimeError):  # it was never started, as what it was to watch had gone
                self._observer.join()
        self._observer = None


def _pair_moves_quickly() -> None:
    """Have the two halves of a move waited for no longer than it takes the kernel to tell of them."""
    # While watchdog waits for where a file was moved to, it tells of nothing else; and each file that we take is moved
    # out of what is watched. Its half second is nowhere to be set but here.
    with suppress(ImportError):  # other platforms, other versions
        from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper

        InotifyMoveEventGrouper.delay = PAIRING_SECONDS
