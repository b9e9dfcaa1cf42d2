"""What waits, and for how long: by a clock that the test sets, so that nobody sleeps."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dropledger.core.drop import FileDropped
from dropledger.core.errors import Busy, Unavailable
from dropledger.core.ledger.outcome import PartialFailure
from dropledger.core.publish_throttle import PublishThrottle
from dropledger.handlers.watch.backoff import POLL_SECONDS, Backoff
from dropledger.handlers.watch.stability import RESCAN_SECONDS, STABLE_SECONDS, StabilityTracker
from dropledger.infra.local.inbox import dropped_file


@dataclass
class Seconds:
    """A clock of seconds that stands where it is set."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def land(tmp_path: Path) -> Callable[[str], FileDropped]:
    """Writes a text to the same file each time."""

    def write(text: str) -> FileDropped:
        path = tmp_path / "accounts_2025-10-31.csv"
        path.write_text(text)
        return dropped_file(path)

    return write


def test_file_is_complete_once_it_was_still_for_a_while(clock: Seconds, land: Callable[[str], FileDropped]):
    tracker, fact = StabilityTracker(clock=clock), land("AccountID\n")
    assert (tracker.complete([fact]), tracker.unstable) == ([], 1)
    clock.now += STABLE_SECONDS - 0.01
    assert tracker.complete([fact]) == []
    clock.now += 0.02
    assert (tracker.complete([fact]), tracker.unstable) == ([fact], 0)


def test_file_that_changed_has_to_be_still_anew(clock: Seconds, land: Callable[[str], FileDropped]):
    tracker, fact = StabilityTracker(clock=clock), land("AccountID\n")
    tracker.complete([fact])
    clock.now += STABLE_SECONDS
    fact = land("AccountID\n11\n")
    assert tracker.complete([fact]) == []
    clock.now += STABLE_SECONDS
    assert tracker.complete([fact]) == [fact]


def test_file_that_was_announced_is_complete_at_once(clock: Seconds, land: Callable[[str], FileDropped]):
    tracker, fact = StabilityTracker(patience=60, clock=clock), land("AccountID\n")
    tracker.announce(fact.uri)
    assert tracker.complete([fact]) == [fact]


def test_file_that_was_closed_after_the_inbox_was_listed_is_complete_at_the_next_look(
    clock: Seconds, land: Callable[[str], FileDropped]
):
    tracker, fact = StabilityTracker(patience=60, clock=clock), land("AccountID\n")
    tracker.announce(fact.uri)
    assert tracker.complete([]) == []
    assert tracker.complete([fact]) == [fact]
    tracker.announce(fact.uri)
    assert [tracker.complete(listed) for listed in ([], [], [fact])] == [[], [], []]


def test_file_that_was_put_off_is_tried_again_in_a_while_or_when_it_is_closed_anew(
    clock: Seconds, land: Callable[[str], FileDropped]
):
    tracker, fact = StabilityTracker(patience=600, clock=clock), land("AccountID\n")
    tracker.put_off(fact.uri)
    assert (tracker.complete([fact]), tracker.unstable) == ([], 0)
    tracker.announce(fact.uri)
    assert tracker.complete([fact]) == [fact]
    tracker.put_off(fact.uri)
    clock.now += RESCAN_SECONDS - 1
    assert tracker.complete([fact]) == []
    clock.now += 1
    assert tracker.complete([fact]) == [fact]


def test_pauses_grow_while_the_same_trouble_lasts(clock: Seconds):
    pauses: list[float] = []
    backoff, failure = Backoff(pauses.append, clock), Unavailable("the disk is full")
    with capture_logs() as told:
        for _ in range(7):
            backoff.pause(failure)
        assert pauses == [POLL_SECONDS * factor for factor in (1, 2, 4, 8, 16)] + [RESCAN_SECONDS] * 2
        backoff.pause(Unavailable("the disk is gone"))
        assert pauses.pop() == POLL_SECONDS
        backoff.pause(Busy("the root is in use"))
        assert pauses.pop() == POLL_SECONDS
    assert [line["what"] for line in told] == ["the disk is full", "the disk is gone", "the root is in use"]


def test_files_that_were_put_off_are_due_in_a_while_unless_none_is_left(clock: Seconds):
    backoff = Backoff(lambda _: None, clock)
    assert backoff.seconds_left == math.inf
    with capture_logs():
        backoff.put_off(PartialFailure(Unavailable("the file cannot be read"), ()))
    clock.now += 10
    assert backoff.seconds_left == RESCAN_SECONDS - 10
    backoff.note([])
    assert backoff.seconds_left == math.inf


def test_artifacts_are_due_every_so_many_seconds(clock: Seconds):
    pace = PublishThrottle(60, clock)
    assert pace.due
    pace.written()
    assert (pace.due, pace.seconds_left) == (False, math.inf)
    clock.now += 20
    pace.put_off()
    assert (pace.due, pace.seconds_left) == (False, 40)
    clock.now += 40
    assert (pace.due, pace.seconds_left) == (True, 0)


def test_artifacts_on_demand_are_never_due(clock: Seconds):
    pace = PublishThrottle(None, clock)
    pace.put_off()
    clock.now += 10**9
    assert (pace.due, pace.seconds_left) == (False, math.inf)
