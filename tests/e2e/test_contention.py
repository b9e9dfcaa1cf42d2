"""Several at work on one root: the work is shared, or waits, or ends with exit code 4; nothing is taken twice."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.comparison import TABLES_OF_A_STREAM, assert_manifest_true, differences, files_of_a_stream, land, tables_of
from support.console import CUSTOMERS, Console, Watching, until
from support.crash import dropledger
from support.forks import Child

pytestmark = pytest.mark.slow

ANALYST = """
import duckdb, sys, time
while True:
    try:
        connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read-only")
        break
    except duckdb.IOException:
        time.sleep(0.005)
print(connection.execute("SELECT count(*) FROM ledger.lending.drop_ledger").fetchone()[0], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


@contextmanager
def analyst(console: Console, how: str) -> Iterator[int]:
    """Somebody has the warehouse open, with DuckDB and nothing else; the process id."""
    command = [sys.executable, "-c", ANALYST, str(console.root / "warehouse/ledger.duckdb"), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) >= 0
        yield process.pid


@contextmanager
def second_watch(console: Console) -> Iterator[Watching]:
    folder = console.folder / "second"
    folder.mkdir()
    with Console(folder).watch("--root", str(console.root), wait_seconds=30) as watching:
        yield watching


def drop_all(root: Path, files: dict[str, str], pause: float = 0.05) -> None:
    for name, text in files.items():
        land(root, name, text)
        time.sleep(pause)


def all_taken(root: Path) -> bool:
    return not any(path.is_file() for path in (root / "inbox").iterdir()) and not list((root / "work").glob("*/"))


def assert_taken_once(console: Console, files: dict[str, str], tmp_path: Path) -> None:
    """The tables are those of an undisturbed run, in which each file was delivered once."""
    undisturbed = tmp_path / "undisturbed"
    drop_all(undisturbed, files, 0)
    dropledger("watch", "--once", "--quiet", "--root", str(undisturbed))
    dropledger("watch", "--once", "--quiet", "--root", str(console.root))
    found, expected = (tables_of(root, TABLES_OF_A_STREAM) for root in (console.root, undisturbed))
    assert differences(found, expected) == {}
    assert Counter(outcome for _, outcome in found["delivery"]) == {"accepted": len(files)}
    assert all_taken(console.root)
    assert_manifest_true(console.root)


# Work is shared


def test_two_watches_share_the_files(console: Console, tmp_path: Path):
    files = files_of_a_stream(10)
    with console.watch(wait_seconds=30) as first, second_watch(console) as second:
        drop_all(console.root, files)
        until(lambda: all_taken(console.root), 40)
        assert first.stop(signal.SIGTERM) == second.stop(signal.SIGTERM) == 0
    taken = [line["name"] for watching in (first, second) for line in watching.lines if line["event"] == "accepted"]
    assert sorted(taken) == sorted(files)
    assert_taken_once(console, files, tmp_path)


def test_process_gets_its_turn_beside_a_watch(console: Console, tmp_path: Path):
    files = files_of_a_stream(20)
    with console.watch(wait_seconds=30):
        for number, (name, text) in enumerate(files.items()):
            if number % 10:
                land(console.root, name, text)
            else:
                done = console.run("process", console.file(name, text), "--quiet", wait_seconds=30)
                assert done.code in {0, 3}, done.err
        until(lambda: all_taken(console.root), 40)
    assert_taken_once(console, files, tmp_path)


def test_replay_beside_drops_loses_none(console: Console, tmp_path: Path):
    files = files_of_a_stream(20)
    names = list(files)
    before, meanwhile = names[:10], names[10:]
    drop_all(console.root, {name: files[name] for name in before}, 0)
    with console.watch(wait_seconds=30):
        until(lambda: all_taken(console.root), 40)
        replay = console.start("replay", "--quiet")
        drop_all(console.root, {name: files[name] for name in meanwhile})
        assert replay.wait(60) == 0
        until(lambda: all_taken(console.root), 40)
    assert_taken_once(console, files, tmp_path)
    assert console.run("verify").code == 0


@pytest.mark.parametrize("how", ["read-only", "read-write"])
def test_watch_goes_on_when_an_analyst_has_closed_the_warehouse(console: Console, tmp_path: Path, how: str):
    files = files_of_a_stream(6)
    with console.watch() as watching:
        first, *rest = files
        land(console.root, first, files[first])
        watching.line(first)
        with analyst(console, how) as pid:
            drop_all(console.root, {name: files[name] for name in rest})
            watching.logged("busy")
            assert str(pid) in next(line for line in watching.lines if line["event"] == "busy")["holder"]
            done = console.run("status", "--json", wait_seconds=0.2)
            assert done.code == (0 if how == "read-only" else 4)
            assert how == "read-only" or f"PID {pid}" in done.json["error"]["why"]
        until(lambda: all_taken(console.root))
    assert_taken_once(console, files, tmp_path)


# Waiting


@contextmanager
def busy_for_long(console: Console) -> Iterator[Child]:
    """A command holds the root, as the warehouse that it needs is in other hands; its process."""
    assert console.run("process", console.file("customers_2026-01-01.csv", CUSTOMERS)).code == 0
    land(console.root, "customers_2026-01-02.csv", CUSTOMERS)
    with analyst(console, "read-write"):
        process = console.start("watch", "--once")
        try:
            until(lambda: f"process {process.pid} " in (console.root / "work/.lock").read_text())
            yield process
        finally:
            process.kill()


def test_waiting_is_told_once_with_the_holder(console: Console):
    path = console.file("customers_2026-01-03.csv", CUSTOMERS)
    with busy_for_long(console) as holder:
        began = time.monotonic()
        done = console.run("process", path, wait_seconds=2)
        assert 2 <= time.monotonic() - began < 15
        quiet = console.run("process", path, "--quiet", wait_seconds=1)
    waiting = [line for line in done.err.splitlines() if line.startswith("Waiting: ")]
    assert done.code == quiet.code == 4
    assert len(waiting) == 1
    assert f"process {holder.pid} since" in waiting[0]
    assert "Waiting" not in quiet.err


def test_watch_logs_once_whom_it_waits_for(console: Console):
    with busy_for_long(console) as holder:
        with Console(console.folder).watch("--root", str(console.root), wait_seconds=3) as watching:
            watching.logged("busy")
            waiting = [line for line in watching.lines if line["event"] == "waiting"]
    assert len(waiting) == 1
    assert f"process {holder.pid} since" in waiting[0]["holder"]


def test_lock_goes_with_its_holder(console: Console):
    with busy_for_long(console) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert "PID" in console.run("watch", "--once", wait_seconds=0.2).err  # what is left to wait for is the analyst
    done = console.run("watch", "--once", "--json", wait_seconds=0.2)
    assert [outcome["name"] for outcome in done.json["outcomes"]] == ["customers_2026-01-02.csv"]


def test_status_gets_its_turn_under_a_steady_stream(console: Console):
    waits = status_under_a_stream(console, seconds=8, rate=10)
    print(f"{len(waits)} times, longest {max(waits):.2f} s, each {[round(wait, 2) for wait in sorted(waits)]}")
    assert len(waits) > 1


def status_under_a_stream(console: Console, seconds: int, rate: int) -> list[float]:
    """How long each of many calls took, one after the other while files land at a rate."""
    files = files_of_a_stream(seconds * rate)
    feeder = (
        "import json, sys, time\n"
        "from pathlib import Path\n"
        "from support.comparison import land\n"
        "for name, text in json.load(sys.stdin).items():\n"
        "    land(Path(sys.argv[1]), name, text)\n"
        "    time.sleep(float(sys.argv[2]))\n"
    )
    waits: list[float] = []
    with console.watch(wait_seconds=30):
        command = [sys.executable, "-c", feeder, str(console.root), str(1 / rate)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[1]) as landing:
            assert landing.stdin is not None
            landing.stdin.write(json.dumps(files).encode())
            landing.stdin.close()
            until((console.root / "warehouse/ledger.duckdb").exists)
            while landing.poll() is None:
                began = time.monotonic()
                assert console.run("status", "--quiet").code == 0
                waits.append(time.monotonic() - began)
        until(lambda: all_taken(console.root), 60)
    return waits


def test_exports_at_once_are_each_of_their_own_moment(console: Console):
    header = "AccountID,CustomerID,Balance,AccountType\n"
    names = {"2025-10-20": "100.00", "2025-11-20": "200.00", "2025-12-20": "300.00"}
    console.run("process", console.file("customers_2025-10-01.csv", CUSTOMERS))
    for day, balance in names.items():
        console.run("process", console.file(f"accounts_{day}.csv", f"{header}11,1,{balance},Savings\n"))
    for attempt in range(3):
        folders = {day: console.folder / f"{day}-{attempt}" for day in names}
        exports = [
            console.start("export", "--as-of", day, "--to", folder, "--quiet", wait_seconds=60)
            for day, folder in folders.items()
        ]
        assert [process.wait(60) for process in exports] == [0, 0, 0]
        found = {day: (folder / "account_summary.csv").read_text() for day, folder in folders.items()}
        assert {day: text.split("\n")[1].split(",")[2] for day, text in found.items()} == names
