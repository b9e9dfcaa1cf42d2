"""A start imports what it needs for its work, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.engines import PROJECT
from support.ledger import Ledger

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ledger.migrations import newest

TELL = """
import sys
from dropledger.handlers.cli.main import main
sys.argv[0] = "dropledger"
try:
    main()
finally:
    print(*sorted({"pydantic", "yaml", "rich", "sqlglot"} & set(sys.modules)), file=sys.stderr)
"""


def imported(folder: Path, *arguments: object) -> list[str]:
    """Which heavy packages a command has imported."""
    done = subprocess.run(
        [sys.executable, "-c", TELL, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "caches")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.split()


LOADED = """
import sys
from dropledger.handlers.cli.main import main
sys.argv[0] = "dropledger"
try:
    main()
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["process", "--help"]], ids=" ".join)
def test_help_and_version_load_none_of_what_commands_need(arguments: list[str]):
    done = subprocess.run([sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    ours = {name for name in loaded if name.startswith("dropledger")}
    assert "dropledger.handlers.cli.ingest" in ours
    assert {name for name in ours if not name.startswith("dropledger.handlers")} == {
        "dropledger",
        "dropledger.core",
        "dropledger.core.errors",
    }
    assert not {"duckdb", "json", "rich", "sqlglot", "structlog", "watchdog", "yaml"} & loaded
    assert not {"render", "settings", "wiring"} & {name.removeprefix("dropledger.handlers.") for name in ours}


@pytest.mark.slow
def test_pipeline_that_was_checked_is_not_checked_again(tmp_path: Path):
    samples = sorted((PROJECT / "samples" / "day1").iterdir())
    assert imported(tmp_path, "process", *samples, "--root", "first") == ["pydantic", "yaml"]
    assert imported(tmp_path, "process", *samples, "--root", "first") == []
    assert imported(tmp_path, "process", *samples, "--root", "second") == []
    assert imported(tmp_path, "status", "--root", "second") == []
    assert len([*(tmp_path / "caches" / "dropledger" / "pipelines").iterdir()]) == 1


@pytest.mark.slow
def test_lineage_that_was_read_is_not_read_again(tmp_path: Path):
    assert "sqlglot" in imported(tmp_path, "lineage", "--quiet")
    assert imported(tmp_path, "lineage", "--quiet") == []


WITHOUT = """
import sys
from pathlib import Path
sys.modules["pydantic"] = sys.modules["yaml"] = None
from dropledger.core.contracts.pipeline_spec import load_pipeline
from dropledger.core.contracts.kept_pipeline import PACKAGED
assert PACKAGED == Path("dropledger/core/kept").resolve()
print(load_pipeline("lending", Path("nowhere")).contract("account").column("balance").type)
"""


def test_package_has_its_pipelines_checked(tmp_path: Path):
    shutil.copytree(PROJECT / "dropledger", tmp_path / "dropledger")
    keep = [sys.executable, "-m", "dropledger.core.contracts.kept_pipeline", tmp_path / "dropledger" / "core" / "kept"]
    subprocess.run(keep, cwd=PROJECT, check=True)
    for file in (tmp_path / "dropledger" / "core" / "kept").rglob("*.json"):
        file.chmod(0o666)  # whatever becomes of rights and owners on the way to where it runs
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "decimal(18,2)\n"
    assert not (tmp_path / "nowhere").exists()


def test_new_ledger_has_no_rows_to_migrate(tmp_path: Path, lending: Pipeline, statements: list[str]):
    with Ledger(tmp_path / "root", lending, bare=True).runtime.session() as session:
        assert session.columns("delivery")["rows_read"] == "BIGINT"
        assert session.query("SELECT version FROM schema_version") == [{"version": newest()}]
    assert not [sql for sql in statements if re.search(r"^MERGE INTO", sql, re.MULTILINE)]
    assert len([sql for sql in statements if "duckdb_views" in sql and "UNION" not in sql]) == 1
