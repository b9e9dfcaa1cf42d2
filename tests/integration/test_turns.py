"""Whoever waits gets a turn, though another process takes root and warehouse again as soon as it lets go of them."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from dropledger.core.errors import Busy
from dropledger.core.retry import OnWait, silently
from dropledger.infra.duckdb.warehouse import DuckDBWarehouse
from dropledger.infra.local.store import LocalStore

pytestmark = pytest.mark.slow

WAIT = 20.0
processes = multiprocessing.get_context("spawn")


def store(root: Path, waiting: OnWait = silently) -> LocalStore:
    return LocalStore(root, lambda: datetime.now(UTC), waiting)


def warehouse(root: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(root / "ledger.duckdb", "lending", wait_seconds=WAIT)


def hold_root(root: Path) -> Callable[[], None]:
    found = store(root)

    def hold() -> None:
        with found.exclusive(WAIT):
            time.sleep(0.3)

    return hold


def hold_warehouse(root: Path) -> Callable[[], None]:
    found = warehouse(root)

    def hold() -> None:
        with found.session():
            time.sleep(0.3)

    return hold


def again_and_again(root: Path, holder: Callable[[Path], Callable[[], None]], held: Event, enough: Event) -> None:
    hold = holder(root)
    while not enough.is_set():
        hold()
        held.set()


@contextmanager
def greedy(root: Path, holder: Callable[[Path], Callable[[], None]]) -> Iterator[None]:
    """A process that holds something nearly all the time."""
    held, enough = processes.Event(), processes.Event()
    process = processes.Process(target=again_and_again, args=(root, holder, held, enough))
    process.start()
    try:
        assert held.wait(30)
        yield
    finally:
        enough.set()
        process.join(30)
        assert process.exitcode == 0


def test_reader_gets_its_turn_at_the_warehouse(tmp_path: Path):
    with greedy(tmp_path, hold_warehouse):
        for _ in range(3):
            with warehouse(tmp_path).session(read_only=True) as session:
                assert session.query("SELECT 1 AS one") == [{"one": 1}]


def test_writer_gets_its_turn_at_the_root(tmp_path: Path):
    with greedy(tmp_path, hold_root):
        for _ in range(5):
            with store(tmp_path).exclusive(4):
                pass


def test_wait_that_lasts_is_told_when_that_shows_and_when_it_is_over(tmp_path: Path):
    told: list[tuple[Busy, float]] = []
    with store(tmp_path).exclusive(0):
        with pytest.raises(Busy), store(tmp_path, lambda *given: told.append(given)).exclusive(1.5):
            pass
    (busy, nothing_yet), (same, seconds) = told
    assert busy.holder.startswith("process ")
    assert (same, nothing_yet) == (busy, 0)
    assert 1.5 <= seconds < 15


def test_wait_for_a_moment_is_not_worth_a_word(tmp_path: Path):
    told: list[tuple[Busy, float]] = []
    with store(tmp_path).exclusive(0):
        with pytest.raises(Busy), store(tmp_path, lambda *given: told.append(given)).exclusive(0.2):
            pass
    assert told == []
