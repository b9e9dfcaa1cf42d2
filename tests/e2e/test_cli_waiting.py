"""Commands whose root or warehouse is in other hands, or that memory does not suffice for."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.console import ACCOUNTS, CUSTOMERS, SCRIPT, Console, environment, root_held, warehouse_held

pytestmark = pytest.mark.slow


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)


@pytest.mark.parametrize("held", [root_held, warehouse_held])
def test_busy_exits_4_and_the_file_is_taken_once_the_other_is_done(console: Console, held):
    path = console.file("customers_2025-10-31.csv", CUSTOMERS)
    with held(console):
        done = console.run("process", path, wait_seconds=0.2)
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("Error: ")
    assert "\n  Try: " in done.err
    assert path.read_text() == CUSTOMERS

    after = console.run("process", path, "--json")
    assert after.code == 0
    assert after.json["outcomes"][0]["outcome"] == "accepted"
    assert [row["status"] for row in console.run("drops", "--json").json["drops"]] == ["published"]


def test_busy_is_an_object_for_programs(console: Console):
    with root_held(console):
        done = console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS), "--json", wait_seconds=0.2)
    assert done.code == 4
    assert done.json["error"]["exit_code"] == 4


def test_busy_root_names_its_holder(console: Console):
    with root_held(console):
        done = console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS), wait_seconds=0.2)
    assert f"process {os.getpid()}" in done.err


def test_busy_warehouse_names_its_holder(console: Console):
    with warehouse_held(console):
        done = console.run("process", console.file("customers_2025-10-31.csv", CUSTOMERS), wait_seconds=0.2)
    assert str(os.getpid()) in done.err


def test_looking_at_a_warehouse_in_other_hands_exits_4(console: Console):
    with warehouse_held(console):
        done = console.run("drops", wait_seconds=0.2)
    assert done.code == 4
    assert "Try:" in done.err


@contextmanager
def waiting_for_its_turn(console: Console, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A command that gets its turn when the block ends, and has said that it waits for it."""
    command = [str(SCRIPT), *map(str, arguments)]
    with root_held(console):
        child = subprocess.Popen(
            command,
            cwd=console.folder,
            env=environment(wait_seconds=30),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert child.stderr is not None
            assert child.stderr.readline().startswith(b"Waiting: ")
            yield child
        except BaseException:
            child.kill()
            child.communicate()
            raise


def test_process_waits_for_its_turn(console: Console):
    with waiting_for_its_turn(console, "process", console.file("customers_2025-10-31.csv", CUSTOMERS)) as child:
        pass
    child.communicate(timeout=30)
    assert child.returncode == 0


@pytest.mark.parametrize("command", ["process", "backfill"])
def test_file_that_is_gone_before_its_turn_comes_is_told(console: Console, command: str):
    folder = console.folder / "old"
    folder.mkdir()
    gone, stays = folder / "customers_2025-10-31.csv", folder / "accounts_2025-10-31.csv"
    gone.write_text(CUSTOMERS)
    stays.write_text(ACCOUNTS)
    named = [gone, stays] if command == "process" else [folder]
    with waiting_for_its_turn(console, command, *named, "--json") as child:
        gone.unlink()
    out, told = child.communicate(timeout=30)
    assert child.returncode == 4
    document = json.loads(out)
    assert [entry["name"] for entry in document["outcomes"]] == [stays.name]
    assert document["error"]["exit_code"] == 4
    assert f"{gone} was gone before it could be taken" in " ".join(told.decode().split())
    assert [row["name"] for row in console.run("drops", "--json").json["drops"]] == [stays.name]


def test_file_that_memory_does_not_suffice_for_is_told_beside_the_others(console: Console):
    rows = "".join(f"{number},Name {number},No\n" for number in range(2_000_000))
    files = [
        console.file("customers_2025-10-31.csv", f"CustomerID,Name,HasLoan\n{rows}"),
        console.file("accounts_2025-10-31.csv", ACCOUNTS),
    ]
    done = console.run("process", *files, "--json", memory_limit="36MB")
    assert (done.code, [entry["outcome"] for entry in done.json["outcomes"]]) == (4, ["postponed", "accepted"])
    told = console.run("process", files[1], memory_limit="36MB")
    assert (told.code, "customers_2025-10-31.csv: postponed: " in told.out) == (4, True)
    assert "Try: free memory" in told.out
    after = console.run("watch", "--once", "--json")
    assert (after.code, [entry["outcome"] for entry in after.json["outcomes"]]) == (0, ["accepted"])
