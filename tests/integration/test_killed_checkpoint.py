"""A process that is killed while the engine writes over a block of its file, of which a part is written then."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from dropledger.infra.duckdb.warehouse import DuckDBWarehouse

BLOCKS_AT = 3 * 4096
BLOCK = 256 * 1024
PAGE = 4096
READS = """
import duckdb, sys
with duckdb.connect(sys.argv[1], read_only=True):
    print("open", flush=True)
    sys.stdin.read()
"""
FILE = "ledger.duckdb"


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    """One with a table of two rows, written by two processes, so that the newest state shares a block with another."""
    for number in (1, 2):
        warehouse = opened(tmp_path / "live")
        with warehouse.session() as session, session.transaction():
            if number == 1:
                session.execute("CREATE TABLE t (id BIGINT, text VARCHAR)")
            session.execute(f"INSERT INTO t VALUES ({number}, 'some')")
    return opened(tmp_path / "live")


def opened(folder: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(folder / FILE, "lending", wait_seconds=0.2)


def count_in(folder: Path) -> int:
    with opened(folder).session(read_only=True) as session:
        return session.count("t")


def cut(before: Path, after: Path, folder: Path) -> Iterator[Path]:
    """What is left when the process is killed after the first page of a block is written: one folder for each block."""
    old, new = (before / FILE).read_bytes(), (after / FILE).read_bytes()
    for start in range(BLOCKS_AT, len(old), BLOCK):
        if old[start : start + BLOCK] != new[start : start + BLOCK]:
            left = folder / f"cut at {start}"
            shutil.copytree(before, left)
            (left / FILE).write_bytes(old[:start] + new[start : start + PAGE] + old[start + PAGE :])
            yield left


def is_damaged(folder: Path) -> bool:
    """Whether the engine by itself refuses the file."""
    copy = folder.with_name(f"{folder.name} as the engine finds it")
    shutil.copytree(folder, copy)
    try:
        with duckdb.connect(str(copy / FILE), read_only=True) as connection:
            connection.execute("FROM lending.t").fetchall()
    except duckdb.Error as error:
        return "Corrupt" in str(error)
    return False


def test_kill_as_the_file_is_closed_loses_nothing(warehouse: DuckDBWarehouse, tmp_path: Path):
    with warehouse.session() as session:
        with session.transaction():
            session.execute("INSERT INTO t VALUES (3, 'new')")
        shutil.copytree(tmp_path / "live", tmp_path / "before")
    left = list(cut(tmp_path / "before", tmp_path / "live", tmp_path))
    assert any(map(is_damaged, left))
    assert {count_in(folder) for folder in left} == {3}
    assert [path.name for path in (tmp_path / "live").iterdir()] == [FILE]


def test_kill_as_a_large_change_is_committed_undoes_just_that(warehouse: DuckDBWarehouse, tmp_path: Path):
    live, states = tmp_path / "live", iter(range(10))

    def copied() -> Path:
        return Path(shutil.copytree(live, tmp_path / f"state {next(states)}"))

    moments: list[tuple[Path, Path, int]] = []
    settings = {"checkpoint_threshold": "100KB"}  # so that a change of this size is one that the engine calls large
    with DuckDBWarehouse(live / FILE, "lending", settings=settings).session() as session:
        for count in (2, 10002):
            with session.transaction():
                session.execute("INSERT INTO t SELECT unnest(range(10000)), 'new'")
                session.execute("UPDATE t SET text = upper(text)")
                before = copied()
            moments.append((before, copied(), count))
    for before, after, count in moments:
        left = list(cut(before, after, before.with_name(f"{before.name}, cut")))
        assert any(map(is_damaged, left))
        assert {count_in(folder) for folder in left} == {count}


def test_checkpoint_that_came_to_its_end_is_left_alone(warehouse: DuckDBWarehouse, tmp_path: Path):
    with warehouse.session() as session:
        with session.transaction():
            session.execute("INSERT INTO t VALUES (3, 'new')")
        shutil.copyfile(tmp_path / "live" / f"{FILE}.metadata", tmp_path / "copy")
    shutil.copyfile(tmp_path / "copy", tmp_path / "live" / f"{FILE}.metadata")
    assert count_in(tmp_path / "live") == 3
    assert [path.name for path in (tmp_path / "live").iterdir()] == [FILE]


def test_file_that_another_process_has_open_is_left_alone(warehouse: DuckDBWarehouse, tmp_path: Path):
    path, copy = tmp_path / "live" / FILE, tmp_path / "live" / f"{FILE}.metadata"
    with warehouse.session():
        saved = copy.read_bytes()
    copy.write_bytes(saved)
    command = [sys.executable, "-c", READS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        assert count_in(tmp_path / "live") == 2
        assert copy.read_bytes() == saved
