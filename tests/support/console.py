"""Commands run as child processes in a folder of their own: forked, or by the installed console script."""

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from support.forks import SCRIPT, Child, run_script

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Amara Okafor,Yes\n2,Jonas Berg,No\n"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n1001,1,9999.99,Savings\n1002,2,10000.00,Savings\n"
LATER = ACCOUNTS.replace("9999.99", "12500.00") + "1003,2,-5,Savings\n"


def environment(**settings: object) -> dict[str, str]:
    """Ours, without what would configure dropledger; `settings` go by their names without the prefix."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DROPLEDGER_")}
    given = {f"DROPLEDGER_{name.upper()}": str(value) for name, value in settings.items()}
    return {**inherited, "PYTHONUTF8": "1", "PYTHONWARNINGS": "error", **given}


def until(found: Callable[[], Any], seconds: float = 15.0) -> Any:
    """What `found` gives once it gives something; a failure after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so within {seconds} seconds")
        time.sleep(0.02)
    return result


def holds_for(seconds: float, condition: Callable[[], Any]) -> bool:
    """Whether `condition` stays true for so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            return False
        time.sleep(0.02)
    return True


def _no_float(text: str) -> float:
    raise AssertionError(f"a float stands in the output: {text}")


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as the one JSON object that it must be, without a single float."""
        document = json.loads(self.out, parse_float=_no_float)
        assert isinstance(document, dict)
        return document


@dataclass(frozen=True)
class Watching:
    """A `dropledger watch` that runs, with its log."""

    process: Child
    log: Path
    root: Path

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log so far; a line that is still being written is left out."""
        whole = self.log.read_text(encoding="utf-8").rpartition("\n")[0]
        # The watcher's own thread may say in plain words that it was stopped: a race that no test can bring about.
        return [json.loads(line) for line in whole.splitlines() if not line.startswith("InotifyEmitter")]

    def line(self, name: str, seconds: float = 15.0) -> dict[str, Any]:
        """The log line of the file with this name, once it is there."""
        found = until(lambda: [line for line in self.lines if line.get("name") == name], seconds)
        return dict(found[0])

    def logged(self, event: str, seconds: float = 15.0) -> None:
        """Wait for a log line with this event."""
        until(lambda: any(line["event"] == event for line in self.lines), seconds)

    def stop(self, number: int) -> int:
        """Send a signal to this process alone, and give the exit code."""
        self.process.send_signal(number)
        return self.process.wait(15)


@dataclass(frozen=True)
class Console:
    """A folder to run commands in; `root` is where they work unless they are told otherwise.

    `variables` go into the environment as they are; `umask` is what the commands are started with.
    """

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    umask: int = -1

    @property
    def root(self) -> Path:
        return self.folder / "ledger"

    def file(self, name: str, text: str) -> Path:
        """A file outside the root."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8", newline="")
        return path

    def run(self, *arguments: object, **settings: object) -> Done:
        """Run a command to its end."""
        env = environment(**settings) | self.variables
        with TemporaryDirectory() as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            child = Child(run_script, [*map(str, arguments)], self.folder, env, self.umask, out, err)
            return Done(child.wait(), out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))

    def start(self, *arguments: object, **settings: object) -> Child:
        """Let a command begin, which prints to nowhere."""
        nowhere = Path(os.devnull)
        env = environment(**settings) | self.variables
        return Child(run_script, [*map(str, arguments)], self.folder, env, self.umask, nowhere, nowhere)

    def run_script(self, *arguments: object, **settings: object) -> Done:
        """Run a command to its end in an interpreter of its own, by the installed console script."""
        command = [str(SCRIPT), *map(str, arguments)]
        env = environment(**settings) | self.variables
        done = subprocess.run(
            command, cwd=self.folder, env=env, umask=self.umask, capture_output=True, timeout=60, check=False
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextmanager
    def watch(self, *options: str, **settings: object) -> Iterator[Watching]:
        """`dropledger watch`, ready to see what lands; it is gone when the block ends."""
        log = self.folder / "watch.log"
        log.touch()
        # One test looks for warnings on purpose; here they would only garble the log.
        env = environment(**{"wait_seconds": 0.2, **settings}) | {"PYTHONWARNINGS": "ignore"} | self.variables
        process = Child(run_script, ["watch", *options], self.folder, env, self.umask, Path(os.devnull), log)
        watching = Watching(process, log, self.root)
        try:
            until(lambda: '"watching"' in log.read_text(encoding="utf-8") or process.poll() is not None)
            assert process.poll() is None, log.read_text(encoding="utf-8")
            yield watching
        finally:
            process.kill()


def drop_ids(console: Console) -> dict[str, str]:
    """The drop_ids of a root, by file name."""
    return {row["name"]: row["drop_id"] for row in console.run("drops", "--json").json["drops"]}


@contextmanager
def root_held(console: Console) -> Iterator[None]:
    """The root in the hands of this process."""
    (console.root / "work").mkdir(parents=True, exist_ok=True)
    with (console.root / "work" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        yield


@contextmanager
def warehouse_held(console: Console) -> Iterator[None]:
    """The warehouse file open in this process."""
    path = console.root / "warehouse" / "ledger.duckdb"
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)):
        yield


def entries_of(console: Console, *command: str) -> dict[str, Any]:
    """A command's object, without what just a command has."""
    return {name: value for name, value in console.run(*command, "--json").json.items() if name != "command"}
