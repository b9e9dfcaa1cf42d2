"""Killed at any step or instant and started again: the tables, files and artifacts of an undisturbed run.

DROPLEDGER_TEST_KILLS says how many kills each test tries; without it a few, for everyday runs.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import duckdb
import pytest
from console import SCRIPT, environment
from crash import dropledger, steps_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

KILLS = int(os.environ.get("DROPLEDGER_TEST_KILLS", "12"))

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n12,2,20000.00,Savings\n13,2,-1,Savings\n"
DROPS = {
    "customers_2026-01-01.csv": CUSTOMERS,
    "customers_2026-01-01 again.csv": CUSTOMERS,
    "accounts_2026-01-01.csv": ACCOUNTS,
    "customers_2026-01-03.csv": CUSTOMERS.replace("Bo,No", "Bo,Yes"),
    "accounts_2026-01-02.csv": ACCOUNTS.replace("100.00", "150.00"),
    "rates_2026-01-02.csv": "MinBalance,Rate,LoanBonus,Method\n0,0.02,0.01,marginal\n",
    "accounts_2026-01-04.csv": "AccountID\n1\n",
}

HISTORY = ("history_customer", "history_account", "history_rate", "account_summary", "customer_profile", "rejected_row")
TABLES = {  # what does not depend on the time of day
    **dict.fromkeys(HISTORY, "*"),
    "drop_ledger": "* EXCLUDE (received_at, committed_at, published_at)",
    "delivery": "* EXCLUDE (received_at, claim_id)",
    "retraction": "* EXCLUDE (retracted_at)",
    **dict.fromkeys(("check_result", "src_customer", "src_account", "src_rate"), "*"),
}
TABLES_OF_A_STREAM = {  # nor on the order of receipt, which a start with files in the inbox may change
    **dict.fromkeys(HISTORY, "*"),
    "drop_ledger": "drop_id, name, status, rows_read, rows_accepted, rows_rejected, rows_duplicate",
    "delivery": "drop_id, outcome",
}
TIMES = {"generated_at", "quarantined_at"}


def tables_of(root: Path, tables: Mapping[str, str] = TABLES) -> dict[str, Any]:
    with duckdb.connect(str(root / "warehouse" / "lending.duckdb"), read_only=True) as connection:
        connection.execute("USE lending.lending")
        return {
            name: connection.execute(f"SELECT {columns} FROM {name} ORDER BY ALL").fetchall()
            for name, columns in tables.items()
        }


def files_of(root: Path) -> dict[str, Any]:
    """The files under the root, without the times that reports hold; of the warehouse just which there are."""

    def content(path: Path) -> Any:
        if path.suffix != ".json":
            return path.read_bytes() if path.parent.name != "warehouse" else None
        document = json.loads(path.read_bytes())
        for entry in document.get("artifacts", ()):
            if entry["name"].endswith(".json"):
                del entry["sha256"], entry["size_bytes"]
        return {entry: value for entry, value in document.items() if entry not in TIMES}

    paths = [path for path in root.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(root)): content(path) for path in paths}


def assert_manifest_true(root: Path) -> None:
    outputs = root / "outputs"
    for entry in json.loads((outputs / "manifest.json").read_bytes())["artifacts"]:
        content = (outputs / entry["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["size_bytes"], entry["sha256"])


# Killed at a step


class Scene:
    """A command, and a root as it is before, to be set up for each time that the command is killed."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.before, self.root, self.steps = folder / "before", folder / "root", folder / "steps.json"
        self.command = (*command, "--root", str(self.root), "--quiet")

    def set_up(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.before, self.root)


def drops_waiting(folder: Path) -> Scene:
    scene = Scene(folder, "watch", "--once")
    (scene.before / "inbox").mkdir(parents=True)
    for name, text in DROPS.items():
        (scene.before / "inbox" / name).write_text(text, encoding="utf-8")
    return scene


def drops_taken(folder: Path, *command: str) -> Scene:
    """`{drop_id}` in the command is that of one of the drops."""
    drops = drops_waiting(folder / "drops")
    drops.set_up()
    assert dropledger(*drops.command) == 3
    ids = dict(tables_of(drops.root, {"drop_ledger": "name, drop_id"})["drop_ledger"])
    scene = Scene(folder, *(part.format(drop_id=ids["accounts_2026-01-02.csv"]) for part in command))
    shutil.copytree(drops.root, scene.before)
    return scene


SCENES: dict[str, Callable[[Path], Scene]] = {
    "watch --once": drops_waiting,
    "retract": lambda folder: drops_taken(folder, "retract", "{drop_id}", "--reason", "sent by mistake"),
    "replay": lambda folder: drops_taken(folder, "replay"),
}


@pytest.mark.parametrize("command", SCENES)
def test_killed_at_a_step_and_started_again(tmp_path: Path, command: str):
    scene = SCENES[command](tmp_path)
    scene.set_up()
    steps = steps_of(*scene.command, steps=scene.steps)
    expected = {**tables_of(scene.root), "files": files_of(scene.root)}
    differences = {}
    for step in sorted(random.sample(range(len(steps)), min(KILLS, len(steps)))):
        scene.set_up()
        assert dropledger(*scene.command, dies_at=step) == -signal.SIGKILL
        dropledger(*scene.command)
        dropledger("watch", "--once", "--root", str(scene.root), "--quiet")
        found = {**tables_of(scene.root), "files": files_of(scene.root)}
        if found != expected:
            wrong = {name: (found[name], expected[name]) for name in expected if found[name] != expected[name]}
            differences[f"{step}, {steps[step]}"] = wrong
        assert_manifest_true(scene.root)
    assert differences == {}


# Killed at any instant, under a stream of drops


def stream(count: int) -> Iterator[tuple[str, str]]:
    """Files in the order of their as_of; each changes something."""
    for number in range(count):
        stamp = f"2026-01-01T{number // 3600:02}{number // 60 % 60:02}{number % 60:02}Z"
        if number % 5 == 0:
            loan = "Yes" if number % 10 else "No"
            yield f"customers_{stamp}.csv", f"CustomerID,Name,HasLoan\n1,Ann,{loan}\n2,Bo {number},No\n"
        else:
            rows = "".join(f"{11 + place},{1 + place % 2},{number}.{place:02},Savings\n" for place in range(50))
            yield f"accounts_{stamp}.csv", f"AccountID,CustomerID,Balance,AccountType\n{rows}13,x,1,Savings\n"


class Reader:
    """Reads the artifacts all the while, as a program that knows nothing of dropledger would."""

    def __init__(self, outputs: Path) -> None:
        self._outputs = outputs
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.seen: set[bytes] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._done.wait(0.002):
            with suppress(FileNotFoundError):
                self.seen.add((self._outputs / "account_summary.csv").read_bytes())
                json.loads((self._outputs / "manifest.json").read_bytes())


@contextmanager
def watching(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(SCRIPT), "watch", "--root", str(root), "--quiet"]
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_killed_at_any_instant_under_a_stream_of_drops(tmp_path: Path):
    files = dict(stream(4 * KILLS))
    undisturbed, root = tmp_path / "undisturbed", tmp_path / "root"
    whole = set()
    for name, text in files.items():
        land(undisturbed, name, text)
        dropledger("watch", "--once", "--root", str(undisturbed), "--quiet")
        if (undisturbed / "outputs" / "account_summary.csv").exists():
            whole.add((undisturbed / "outputs" / "account_summary.csv").read_bytes())

    waiting = list(files.items())
    with Reader(root / "outputs") as reader:
        for _ in range(KILLS):
            with watching(root):
                until = time.monotonic() + random.uniform(0.4, 1.5)
                while time.monotonic() < until:
                    if waiting:
                        land(root, *waiting.pop(0))
                    time.sleep(random.uniform(0.05, 0.3))
        for name, text in waiting:
            land(root, name, text)
        assert dropledger("watch", "--once", "--root", str(root), "--quiet") in (0, 3)

    assert tables_of(root, TABLES_OF_A_STREAM) == tables_of(undisturbed, TABLES_OF_A_STREAM)
    assert not list((root / "inbox").iterdir())
    assert [path.name for path in (root / "work").iterdir()] == [".lock"]
    assert sorted(path.name for path in (root / "warehouse").iterdir()) == ["lending.duckdb"]
    assert_manifest_true(root)
    assert reader.seen <= whole
    assert len(reader.seen) > 1


def land(root: Path, name: str, text: str) -> None:
    """Write a file and move it into the inbox, as careful programs do."""
    inbox = root / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / f"{name}.part").write_text(text, encoding="utf-8")
    (inbox / f"{name}.part").rename(inbox / name)
