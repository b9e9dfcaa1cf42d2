"""`dropledger watch`: the folder handler.

A file is taken when the platform says that it was closed after writing, or moved in. Where nothing says so (files
that lay there before, network mounts, lost events) it is taken once its size and time stay still: for long, where an
event is to be expected. See `stability` for the one, `infra.local.folder_watcher` for the other; `backoff` is what the
loop does when files cannot be taken.
"""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import structlog

from dropledger.core.drop import FileDropped
from dropledger.core.errors import Busy, ConfigurationError, DropledgerError, Unavailable
from dropledger.core.ingest.claims import in_order
from dropledger.core.ingest.control_files import Awaited, Paired, left_waiting, pair
from dropledger.core.ingest.run import process
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger.outcome import Outcome, PartialFailure
from dropledger.core.publish_throttle import PublishThrottle
from dropledger.handlers.cli.context import Context
from dropledger.handlers.cli.metrics import new_timings, refuse_as_metrics_file, write_metrics
from dropledger.handlers.logs import log_awaited, log_outcome
from dropledger.handlers.outcomes import report_outcomes, run_and_collect, show_outcomes
from dropledger.handlers.watch.backoff import POLL_SECONDS, Backoff
from dropledger.handlers.watch.stability import RESCAN_SECONDS, STABLE_SECONDS, StabilityTracker
from dropledger.handlers.wiring import wire
from dropledger.infra.local.folder_watcher import FolderWatcher

if TYPE_CHECKING:
    from dropledger.handlers.metrics import Timings
    from dropledger.handlers.settings import Settings
    from dropledger.handlers.telling import Telling

_CHUNK = 400

log = structlog.get_logger("dropledger.watch")


def watch(
    context: Context, *, once: bool, poll: bool, metrics_at: tuple[str, int] | None, metrics_file: Path | None
) -> int:
    """Follow the inbox until a signal comes, with metrics served at an address and port; with `once`, the exit code of
    what lay there, with metrics written to a file.
    """
    settings = context.configure_logs()
    timings = new_timings() if metrics_at or metrics_file else None
    runtime = wire(settings=settings, on_wait=_log_waiting, meter=timings)
    if metrics_file:
        refuse_as_metrics_file(runtime, metrics_file)
    runtime.store.prepare()
    if once:
        outcomes, failure = _catch_up(runtime)
        if runtime.targets:
            from dropledger.handlers.telling import log_failure, tell

            tell(runtime, log_failure, outcomes)
        if timings and metrics_file:
            write_metrics(runtime, timings, metrics_file)
        return report_outcomes(context, outcomes, failure, show_outcomes)
    if runtime.store.atomic_uploads:
        raise ConfigurationError(
            f"{runtime.store.root} is not a directory that can be watched",
            hint="load what is in its inbox with watch --once; docs/aws.md shows how S3 tells of uploads itself",
        )
    metrics = partial(_served, settings, timings, metrics_at) if timings and metrics_at else _no_metrics
    _follow(runtime, poll=poll, metrics=metrics)
    return 0


Metrics = Callable[[threading.Event], AbstractContextManager[Callable[[], None]]]
"""Serves metrics until its block ends, which gets what reads them if somebody waits; then the event wakes the loop."""


@contextmanager
def _no_metrics(wake: threading.Event) -> Iterator[Callable[[], None]]:
    del wake
    yield lambda: None


@contextmanager
def _served(
    settings: "Settings", timings: "Timings", at: tuple[str, int], wake: threading.Event
) -> Iterator[Callable[[], None]]:
    from dropledger.handlers.watch.metrics_endpoint import MetricsEndpoint, serving

    # Drops wait while the ledger is read, so nobody is waited for meanwhile.
    endpoint = MetricsEndpoint(wire(settings=replace(settings, wait_seconds=0.0)), timings, wake.set)
    with serving(endpoint, *at):
        yield endpoint.read_if_wanted


def _catch_up(runtime: Runtime) -> tuple[Sequence[Outcome], DropledgerError | None]:
    """Take what lies in the inbox; the outcomes, and what to say of files that could not be taken."""
    if runtime.store.atomic_uploads:
        ready, still_written = _paired(runtime).ready, 0
    else:
        ready, still_written = _wait_until_stable(runtime)
    backlog = in_order(ready, runtime.pipeline)
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
    # Asked again, as what an earlier process left unfinished may have lain there without its control file.
    waits = replace(left_waiting(runtime.store, runtime.pipeline), alone=[])
    return outcomes, failure or waits.refusal()


def _paired(runtime: Runtime) -> Paired:
    return pair(runtime.store.arrivals(), runtime.pipeline)


def _wait_until_stable(runtime: Runtime) -> tuple[list[FileDropped], int]:
    """The files that are complete, once all are or `wait_seconds` are over, and how many are not."""
    tracker, stop = StabilityTracker(), threading.Event()
    until = time.monotonic() + max(runtime.wait_seconds, 2 * STABLE_SECONDS)
    complete = dict.fromkeys(tracker.complete(_paired(runtime).ready))
    while tracker.unstable and time.monotonic() < until:
        stop.wait(STABLE_SECONDS / 2)
        complete |= dict.fromkeys(tracker.complete(fact for fact in _paired(runtime).ready if fact not in complete))
    return [*complete], tracker.unstable


class InboxListener:
    """Tells the loop what its watcher sees: files that are complete to the tracker, anything new by waking it up."""

    def __init__(self, tracker: StabilityTracker, wake: threading.Event) -> None:
        self._tracker = tracker
        self._wake = wake

    def file_complete(self, path: str) -> None:
        self._tracker.announce(path)

    def changed(self) -> None:
        self._wake.set()

    def inbox_new(self) -> None:
        self._tracker.patience = STABLE_SECONDS

    def inbox_gone(self, inbox: Path) -> None:
        log.warning("inbox_gone", inbox=str(inbox))

    def inbox_back(self, inbox: Path) -> None:
        log.info("inbox_back", inbox=str(inbox))


def _follow(runtime: Runtime, *, poll: bool, metrics: Metrics) -> None:
    tracker, wake, stop = StabilityTracker(), threading.Event(), threading.Event()
    backoff = Backoff(stop.wait)
    listener = InboxListener(tracker, wake)
    telling = _telling(runtime, wake)
    with (
        _stopped_by_signals(stop, wake),
        FolderWatcher(Path(runtime.store.root), listener, poll=poll) as watcher,
        metrics(wake) as read_metrics_if_wanted,
    ):
        log.info("watching", root=runtime.store.root, poll=poll)
        behind, awaited = not _take(runtime, tracker, [], stop, backoff, telling), frozenset[str]()
        while not stop.is_set():
            wake.clear()
            read_metrics_if_wanted()
            if not watcher.follows():
                wake.wait(POLL_SECONDS)
                continue
            try:
                paired = _paired(runtime)
                ready = tracker.complete(paired.ready, [*(one.dropped for one in paired.awaited), *paired.alone])
            except PermissionError as error:
                hint = "let this user list it, or run as one who may"
                backoff.pause(Unavailable("the inbox cannot be listed", why=str(error), hint=hint))
                continue
            awaited = _log_awaited(paired.awaited, awaited)
            if ready or behind or not min(runtime.throttle.seconds_left, backoff.seconds_left):
                behind = not _take(runtime, tracker, ready, stop, backoff, telling)
                _tell(telling)
                continue
            if not tracker.unstable and not poll:
                # What lay there before is taken; files that come now are announced when they are closed.
                tracker.patience = RESCAN_SECONDS
            pause = STABLE_SECONDS / 2 if tracker.unstable else POLL_SECONDS if poll else RESCAN_SECONDS
            wake.wait(min(pause, runtime.throttle.seconds_left, backoff.seconds_left, _tell(telling)))
        if math.isfinite(runtime.throttle.seconds_left):
            _take(replace(runtime, throttle=PublishThrottle()), tracker, [], threading.Event(), backoff, telling)
        if telling is not None:
            telling.finish()
        log.info("stopped")


def _telling(runtime: Runtime, wake: threading.Event) -> "Telling | None":
    """What tells the targets of alerts; None where there are none, which then cost nothing."""
    if not runtime.targets:
        return None
    from dropledger.handlers.telling import Telling, log_failure

    return Telling(runtime, log_failure, wake.set)


def _tell(telling: "Telling | None") -> float:
    """Tell what it is time to tell; in how many seconds it will be time again."""
    if telling is None:
        return math.inf
    if not telling.seconds_left:
        telling.look()
    return telling.seconds_left


def _take(
    runtime: Runtime,
    tracker: StabilityTracker,
    ready: list[FileDropped],
    stop: threading.Event,
    backoff: Backoff,
    telling: "Telling | None",
) -> bool:
    """Process what is ready, and whatever an earlier attempt left; False if it must be tried again."""
    backlog = in_order(ready, runtime.pipeline)
    for start in range(0, max(len(backlog), 1), _CHUNK):
        if stop.is_set():
            return True
        chunk = backlog[start : start + _CHUNK]
        try:
            outcomes: Sequence[Outcome] = process(runtime, chunk, log_outcome)
            backoff.note(outcomes)
        except PartialFailure as failure:
            outcomes = failure.outcomes
            there = {outcome.drop.claim.dropped.content for outcome in failure.outcomes}
            for fact in chunk:
                if fact.content not in there:
                    tracker.put_off(fact.uri)
            backoff.put_off(failure)
            _note(telling, outcomes)
            continue
        except Unavailable as failure:
            for fact in backlog[start:]:
                tracker.announce(fact.uri)
            backoff.pause(failure)
            return False
        _note(telling, outcomes)
        backoff.reset()
    return True


def _log_awaited(awaited: Sequence[Awaited], known: frozenset[str]) -> frozenset[str]:
    """Log the files that wait for their control files, but for those that are known to; the addresses of all."""
    for one in awaited:
        if one.dropped.uri not in known:
            log_awaited(one)
    return frozenset(one.dropped.uri for one in awaited)


def _note(telling: "Telling | None", outcomes: Sequence[Outcome]) -> None:
    if telling is not None:
        telling.note(outcomes)


def _log_waiting(busy: Busy, seconds: float) -> None:
    if not seconds:
        log.info("waiting", what=busy.what, holder=busy.holder)


@contextmanager
def _stopped_by_signals(stop: threading.Event, wake: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM let the drop at hand be finished, then end the loop."""

    def stop_soon(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()
        wake.set()

    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, stop_soon) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
