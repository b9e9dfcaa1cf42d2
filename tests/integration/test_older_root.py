"""A root that version 63ad2a1 made: every command works on it, and brings it to the form of now.

The file `data/root_of_63ad2a1.tar.gz` holds seven drops: four in history, one of them late and one with a refused row;
two that were quarantined; one that was taken back. It has the names, tables and storage format of that version.
"""

import shutil
import tarfile
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from support.commands import Commands

from dropledger.core.contracts.pipeline_spec import BUILT_IN
from dropledger.core.errors import ConfigurationError
from dropledger.core.ledger.migrations import newest
from dropledger.handlers.cli.main import cli

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[1] / "data" / "root_of_63ad2a1.tar.gz"
LATE, JANUARY, RETRACTED = "4e0a196ee064d0aa", "5594afe213ac4188", "d158f67ea06f5ab8"
TOO_MANY, NO_COLUMN = "2c07ed9a1aeb0521", "fa28dd88e29dbc49"
FIGURES = [(10, Decimal("6000.00"), Decimal("90.00")), (11, Decimal("15000.00"), Decimal("225.00"))]
_READABLE_BY_1_5 = 68


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("older")
    with tarfile.open(DATA) as archive:
        archive.extractall(folder, filter="data")
    return folder / "root"


@pytest.fixture
def root(unpacked: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(unpacked, tmp_path / "root"))


@pytest.fixture
def commands(root: Path, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(root, capsys)


def query(root: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(root / "warehouse/ledger.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def is_of_now(root: Path) -> bool:
    """Whether the warehouse has its name of now alone, the newest tables, and a format that DuckDB 1.5 reads."""
    [file] = (root / "warehouse").iterdir()
    header = file.read_bytes()[:20]
    assert file.name == "ledger.duckdb"
    assert int.from_bytes(header[12:], "little") == _READABLE_BY_1_5
    return query(root, "SELECT version FROM lending.schema_version") == [(newest(),)]


LOOKING = (
    ("status",),
    ("drops",),
    ("show", LATE),
    ("show", RETRACTED),
    ("show", NO_COLUMN),
    ("rejects", JANUARY),
    ("history", "account", "10"),
    ("explain", "10"),
    ("sql", "SELECT * FROM account_summary"),
    ("doctor",),
    ("verify",),
    ("export",),
    ("export", "--as-of", "2025-01-20"),
    ("replay",),
    ("replay", "--into", "then.duckdb", "--known-at", "2030-01-01"),
    ("retract", LATE, "--reason", "wrong"),
    ("retract", LATE, "--dry-run"),
    ("restore", RETRACTED, "--reason", "right after all"),
    ("watch", "--once"),
)


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_command_works_on_it_and_brings_it_to_the_form_of_now(
    root: Path, commands: Commands, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(root.parent)
    assert commands.code(*command) == 0
    assert commands.json("verify")["differences"] == []
    assert is_of_now(root)


def test_figures_stay(root: Path, commands: Commands):
    commands.code("status")
    figures = "SELECT account_id, original_balance, annual_interest FROM lending.account_summary ORDER BY 1"
    assert query(root, figures) == FIGURES
    commands.code("replay")
    assert query(root, figures) == FIGURES
    # The source layer tells lines by the order of rows, which the copy has kept.
    assert query(root, "SELECT _line, account_id, balance FROM lending.stg_account") == [(2, 10, Decimal("5500.00"))]


def test_process_and_backfill_and_plan_work_on_it(root: Path, commands: Commands, tmp_path: Path):
    file = tmp_path / "drops" / "accounts_2025-03-31.csv"
    file.parent.mkdir()
    file.write_text("AccountID,CustomerID,Balance,AccountType\n10,1,7000.00,Savings\n", encoding="utf-8")
    assert commands.json("plan", str(file))["outcome"]["outcome"] == "accepted"
    assert commands.json("process", str(file))["outcomes"][0]["outcome"] == "accepted"
    # Views of now use a function that files of that version lack.
    noon = "lending.convert_timezone('UTC', 'Europe/Madrid', TIMESTAMP '2025-07-01 12:00:00')"
    assert query(root, f"SELECT hour({noon})") == [(14,)]
    assert commands.json("backfill", str(file.parent))["outcomes"][0]["outcome"] == "duplicate"
    assert is_of_now(root)
    assert commands.json("verify")["drops"] == 5


def test_its_first_total_is_that_of_all_rows(root: Path, commands: Commands, tmp_path: Path):
    file = tmp_path / "accounts_2025-03-31.csv"
    file.write_text("AccountID,CustomerID,Balance,AccountType\n10,1,7000.00,Savings\n", encoding="utf-8")
    before = sum(interest for *_, interest in FIGURES)
    assert commands.json("process", str(file))["outcomes"][0]["outcome"] == "accepted"
    [now] = query(root, "SELECT sum(annual_interest) FROM lending.account_summary")
    kept = "SELECT cause, total FROM lending.mart_total ORDER BY place"
    assert query(root, kept) == [("rebuilt", before), ("accepted", *now)]


def test_what_it_knew_of_each_delivery_stays(root: Path, commands: Commands):
    """That version kept, of each drop, what its last delivery said."""
    commands.code("status")
    refused = query(root, "SELECT drop_id, sequence, line, rule FROM lending.rejected_row ORDER BY sequence, line")
    assert refused == [(JANUARY, 3, 4, "type"), (TOO_MANY, 5, 2, "type"), (TOO_MANY, 5, 3, "type")]
    told = "SELECT drop_id, outcome, sequence, rows_read, split_part(error, ':', 1) FROM lending.delivery ORDER BY 3"
    assert query(root, told)[3:7] == [
        (LATE, "accepted", 4, 1, None),
        (TOO_MANY, "quarantined", 5, 3, "too_many_rejected"),
        (RETRACTED, "accepted", 6, 2, None),
        (NO_COLUMN, "quarantined", 7, 0, "missing_column"),
    ]
    assert query(root, "SELECT count(*) FROM lending.check_result WHERE sequence IS NULL") == [(0,)]
    assert commands.json("show", RETRACTED)["retractions"][0]["reason"] == "sent by mistake"


def test_it_belongs_to_the_pipeline_that_its_file_is_named_after(root: Path, commands: Commands, tmp_path: Path):
    other = tmp_path / "other"
    shutil.copytree(BUILT_IN / "lending", other)
    (other / "pipeline.yaml").write_text("pipeline: other\nschema: other\nmoment: [account]\n", encoding="utf-8")
    for command in ("status", "drops", "watch --once", "verify", "doctor", "plan", "export"):
        file = [str(DATA)] if command == "plan" else []
        assert commands.code("--pipeline", str(other), *command.split(), *file) == 2
    with pytest.raises(ConfigurationError, match="belongs to the pipeline lending") as refused:
        cli.main(["--root", str(root), "--pipeline", str(other), "status"], standalone_mode=False)
    assert "DROPLEDGER_PIPELINE=lending" in refused.value.hint
    assert [path.name for path in (root / "warehouse").iterdir()] == ["lending.duckdb"]
