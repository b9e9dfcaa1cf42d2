"""Thousands of small files, all at once and in a steady stream, while somebody asks for the status all along.

DROPLEDGER_TEST_FILES and DROPLEDGER_TEST_SECONDS say how many and for how long; without them it is a few, for everyday
runs. With `-s` the figures are shown.
"""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import duckdb
import pytest
from support.console import SCRIPT, Console, Watching, environment, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

FILES = int(os.environ.get("DROPLEDGER_TEST_FILES", "300"))
SECONDS = int(os.environ.get("DROPLEDGER_TEST_SECONDS", "6"))
A_SECOND = 20
ROWS = 10
ACCOUNTS = 500


def file(number: int) -> tuple[str, str]:
    """The file of this number: customers in every fifth, accounts in the others; each a second later than the last."""
    stamp = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    if number % 5 == 0:
        rows = "".join(f"{key},Name {key},{'Yes' if (number + key) % 3 else 'No'}\n" for key in range(1, ROWS + 1))
        return f"customers_{stamp:%Y%m%dT%H%M%SZ}.csv", f"CustomerID,Name,HasLoan\n{rows}"
    rows = "".join(
        f"{(number * 7 + place) % ACCOUNTS},{1 + place},{number}.{place:02},Savings\n" for place in range(ROWS)
    )
    return f"accounts_{stamp:%Y%m%dT%H%M%SZ}.csv", f"AccountID,CustomerID,Balance,AccountType\n{rows}"


def land(inbox: Path, number: int) -> None:
    name, text = file(number)
    (inbox / f"{name}.part").write_text(text, encoding="utf-8")
    (inbox / f"{name}.part").rename(inbox / name)


class Asking:
    """Runs `dropledger status` again and again; how long each took, and those that gave no answer."""

    def __init__(self, root: Path) -> None:
        self._command = [str(SCRIPT), "status", "--json", "--root", str(root)]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.seconds: list[float] = []
        self.failures: list[bytes] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._done.wait(0.5):
            began = time.monotonic()
            done = subprocess.run(self._command, env=environment(), capture_output=True, check=False)
            self.seconds.append(time.monotonic() - began)
            if done.returncode != 0:
                self.failures.append(done.stderr)


def resident_megabytes(process: int) -> int:
    (line,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) >> 10


@contextmanager
def watched(console: Console) -> Iterator[tuple[Watching, list[int]]]:
    """A watch that runs until all is in, with its resident memory in MB, once a second."""
    memory: list[int] = []
    done = threading.Event()

    def measure(process: int) -> None:
        while not done.wait(1.0):
            memory.append(resident_megabytes(process))

    with console.watch(wait_seconds=30) as watching:
        thread = threading.Thread(target=measure, args=(watching.process.pid,))
        thread.start()
        try:
            yield watching, memory
        finally:
            done.set()
            thread.join()
        assert watching.stop(signal.SIGTERM) == 0


def published(log: Path) -> int:
    return log.read_bytes().count(b'"event": "accepted"')


def assert_all_in(root: Path, count: int) -> None:
    """Each file once, with its row, its report and its place in the archive, and the history that they make."""
    names = {file(number)[0] for number in range(count)}
    with duckdb.connect(str(root / "warehouse" / "ledger.duckdb"), read_only=True) as connection:
        connection.execute("USE ledger.lending")
        drops = connection.execute("SELECT name, drop_id, status, rows_accepted FROM drop_ledger").fetchall()
        newest = connection.execute("SELECT account_id, balance FROM history_account WHERE is_current").fetchall()
        versions = connection.execute("SELECT count(*) FROM history_account").fetchall()
    assert {name for name, *_ in drops} == names
    assert len(drops) == count
    assert {(status, rows) for _, _, status, rows in drops} == {("published", ROWS)}
    reports = {path.name for path in (root / "outputs" / "quality_reports").iterdir()}
    assert reports == {f"quality_report_{drop_id}.json" for _, drop_id, *_ in drops}
    assert {path.name.partition("-")[2] for path in (root / "archive").rglob("*.csv")} == names
    assert not list((root / "inbox").iterdir())
    expected: dict[int, str] = {}
    observed = 0
    for number in range(count):
        name, text = file(number)
        if name.startswith("accounts"):
            for line in text.splitlines()[1:]:
                key, _, balance, _ = line.split(",")
                expected[int(key)] = balance
                observed += 1
    assert {key: str(balance) for key, balance in newest} == expected
    assert versions == [(observed,)]


def show(what: str, asking: Asking, memory: list[int]) -> None:
    half = len(memory) // 2 or 1
    print(f"\n{what}")
    print(f"  memory of the watch: {max(memory[:half])} MB in the first half, {max(memory[half:] or [0])} MB after")
    print(f"  status asked {len(asking.seconds)} times, longest wait {max(asking.seconds):.1f} s")


def test_all_at_once(tmp_path: Path):
    console = Console(tmp_path)
    (console.root / "inbox").mkdir(parents=True)
    for number in random.Random(1).sample(range(FILES), FILES):
        land(console.root / "inbox", number)

    began = time.monotonic()
    with watched(console) as (watching, memory), Asking(console.root) as asking:
        until(lambda: published(watching.log) == FILES, 3000)
        seconds = time.monotonic() - began

    assert_all_in(console.root, FILES)
    assert asking.failures == []
    show(f"{FILES:,} files at once: {FILES / seconds:.0f} files a second", asking, memory)


def test_steady_stream(tmp_path: Path):
    console, count = Console(tmp_path), A_SECOND * SECONDS
    (console.root / "inbox").mkdir(parents=True)
    late: list[float] = []
    with watched(console) as (watching, memory), Asking(console.root) as asking:
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / A_SECOND - time.monotonic()))
            land(console.root / "inbox", number)
            if number % A_SECOND == 0:
                late.append((number - published(watching.log)) / A_SECOND)
        until(lambda: published(watching.log) == count, 600)
        behind = time.monotonic() - began - SECONDS

    assert_all_in(console.root, count)
    assert asking.failures == []
    stream = f"{A_SECOND} files a second for {SECONDS} s"
    show(f"{stream}: at most {max(late):.1f} s behind, done {behind:.1f} s after the last", asking, memory)
