"""A new warehouse begins as a copy of one that was prepared, where that is sure to be what statements would make."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.engines import PROJECT
from support.in_process import run

from dropledger.core import __version__
from dropledger.core.ingest.runtime import Runtime
from dropledger.handlers.wiring import wire

pytestmark = pytest.mark.slow

SAMPLES = sorted((PROJECT / "samples" / "day1").iterdir())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where prepared files are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return tmp_path / "caches" / "dropledger" / "warehouses"


@pytest.fixture
def opened(cache: Path, tmp_path: Path, statements: list[str]) -> Callable[..., int]:
    """Opens the warehouse of a root by this name; how many statements that took."""

    def open_one(name: str) -> int:
        statements.clear()
        with runtime(tmp_path / name).session() as session:
            assert session.count("drop_ledger") == 0
            assert session.count("history_rate") == 3
        return len(statements)

    return open_one


def runtime(root: Path) -> Runtime:
    found = wire(root=str(root))
    found.store.prepare()
    return found


def content(root: Path) -> dict[str, Any]:
    """All that a warehouse holds and says, but for the place of its root."""
    with duckdb.connect(str(root / "warehouse" / "ledger.duckdb"), read_only=True) as connection:
        connection.execute("USE lending")
        said = {
            "tables": "SELECT table_name, comment, sql FROM duckdb_tables() ORDER BY ALL",
            "views": "SELECT view_name, comment, sql FROM duckdb_views() WHERE NOT internal ORDER BY ALL",
            "columns": "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL",
            "macros": "SELECT function_name, macro_definition FROM duckdb_functions() WHERE NOT internal ORDER BY ALL",
        }
        found: dict[str, Any] = {name: connection.execute(sql).fetchall() for name, sql in said.items()}
        found["macros"] = [(name, text.replace(str(root), "ROOT")) for name, text in found["macros"]]
        for name, *_ in found["tables"]:
            found[name] = connection.execute(f'SELECT * FROM "{name}" ORDER BY ALL').fetchall()
    return found


def test_second_root_begins_as_a_copy_that_holds_the_same(opened: Callable[..., int], tmp_path: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
        assert opened("by_statements") > 100
    assert opened("first") > 100
    assert opened("second") < 10
    assert content(tmp_path / "by_statements") == content(tmp_path / "first") == content(tmp_path / "second")
    assert [path.name for path in (tmp_path / "second" / "warehouse").iterdir()] == ["ledger.duckdb"]


def test_copy_may_be_read_by_those_who_may_read_its_folder(opened: Callable[..., int], tmp_path: Path):
    opened("first")
    (tmp_path / "second" / "warehouse").mkdir(parents=True)
    (tmp_path / "second" / "warehouse").chmod(0o755)
    opened("second")
    file = (tmp_path / "second" / "warehouse" / "ledger.duckdb").stat()
    assert (file.st_mode & 0o777, file.st_nlink) == (0o644, 1)


@pytest.mark.slow
def test_ledgers_that_began_alike_are_verified_rebuilt_and_told_apart(cache: Path, tmp_path: Path):
    for name in ("first", "second"):
        assert run("process", *SAMPLES, "--root", tmp_path / name).code == 0
        assert run("verify", "--root", tmp_path / name).code == 0
    assert run("replay", "--root", tmp_path / "second").code == 0
    assert run("verify", "--root", tmp_path / "second").code == 0
    days = sorted((PROJECT / "samples" / "day2").iterdir())
    assert run("plan", days[0], "--root", tmp_path / "second").code == 0
    assert run("process", *days, "--root", tmp_path / "second").code == 0
    assert run("verify", "--root", tmp_path / "second").code == 0
    assert run("status", "--root", tmp_path / "first", "--json").json["drops"] == {"published": 2}
    assert len([*cache.iterdir()]) == 1


def test_what_proves_a_warehouse_begins_as_nothing(opened: Callable[..., int], tmp_path: Path):
    opened("first")
    with runtime(tmp_path / "first").warehouse.staging_copy("verifying").session() as session:
        assert not session.has_table("pipeline_state")


def changed_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(changed_byte, id="a bit"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:-4096]), id="cut off"),
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
    ],
)
def test_damaged_one_is_made_anew(opened: Callable[..., int], cache: Path, damage: Callable[[Path], None]):
    opened("first")
    (file,) = cache.iterdir()
    damage(file)
    assert opened("second") > 100
    assert opened("third") < 10


def test_one_that_others_could_have_written_is_not_taken(
    opened: Callable[..., int], cache: Path, monkeypatch: pytest.MonkeyPatch
):
    opened("first")
    (file,) = cache.iterdir()
    file.chmod(0o662)
    assert opened("second") > 100  # and one of this user's own takes its place
    assert opened("third") < 10
    monkeypatch.setattr("os.geteuid", lambda: file.stat().st_uid + 1)
    assert opened("fourth") > 100


@pytest.mark.parametrize("changed", ["pipeline", "program"])
def test_one_of_another_pipeline_or_program_is_not_taken(
    opened: Callable[..., int], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
):
    opened("first")
    if changed == "program":
        monkeypatch.setattr("dropledger.core.__version__", f"{__version__}.1")
    else:
        shutil.copytree(PROJECT / "core" / "pipelines" / "lending", tmp_path / "mine")
        with (tmp_path / "mine" / "marts" / "customer_profile.sql").open("a", encoding="utf-8") as file:
            file.write("\n-- changed\n")
        monkeypatch.setenv("DROPLEDGER_PIPELINE", str(tmp_path / "mine"))
    assert opened("second") > 100
    assert len([*cache.iterdir()]) == 2


def test_file_that_another_process_made_first_stays(opened: Callable[..., int], tmp_path: Path):
    opened("first")
    there = tmp_path / "there.duckdb"
    there.write_bytes(b"of another process")
    prepared = runtime(tmp_path / "second").warehouse._prepared  # type: ignore[attr-defined]

    prepared.begin(there, tmp_path / "passing", lambda *_: pytest.fail("one is kept"))

    assert there.read_bytes() == b"of another process"
    assert not (tmp_path / "passing").exists()


def test_log_of_a_file_that_is_gone_meets_no_copy(opened: Callable[..., int], tmp_path: Path):
    opened("first")
    log = tmp_path / "gone.duckdb.wal"
    log.write_bytes(b"of a ledger that had begun as the same file")
    prepared = runtime(tmp_path / "second").warehouse._prepared  # type: ignore[attr-defined]

    prepared.begin(tmp_path / "gone.duckdb", tmp_path / "passing", lambda *_: pytest.fail("one is kept"))

    assert not (tmp_path / "gone.duckdb").exists()
