"""A file far larger than the memory that the process may use.

DROPLEDGER_TEST_ROWS says how many rows; without it it is a few, for everyday runs. With `-s` the figures are shown.
"""

import os
import subprocess
from pathlib import Path

import duckdb
import pytest
from support.console import SCRIPT, Console, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ROWS = int(os.environ.get("DROPLEDGER_TEST_ROWS", "400000"))
PROCESS_MB = 1000
LIMIT = "600MB"


def accounts(path: Path, rows: int, add: int) -> Path:
    duckdb.execute(
        f"""COPY (
            SELECT i AS AccountID, i % 1000 + 1 AS CustomerID, CAST(i % 3000000 + {add} AS DECIMAL(18, 2)) AS Balance,
                CASE WHEN i % 4 = 0 THEN 'Checking' ELSE 'Savings' END AS AccountType
            FROM range({rows}) AS t(i)
        ) TO '{path}' (HEADER)"""
    )
    return path


def peak_megabytes(*arguments: str) -> int:
    """Run a command, and give the most memory that its process had resident."""
    process = subprocess.Popen([str(SCRIPT), *arguments, "--quiet"], env=environment(memory_limit=LIMIT))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss >> 10


def test_file_of_many_rows_is_loaded_within_the_memory_limit(tmp_path: Path):
    console = Console(tmp_path)
    customers = "".join(f"{key},Name {key},{'Yes' if key % 3 else 'No'}\n" for key in range(1, 1001))
    root = ("--root", str(console.root))
    peaks = [
        peak_megabytes("process", str(path), *root)
        for path in (
            console.file("customers_2026-01-01.csv", f"CustomerID,Name,HasLoan\n{customers}"),
            accounts(tmp_path / "accounts_2026-01-01.csv", ROWS, 0),
            accounts(tmp_path / "accounts_2026-01-02.csv", ROWS, 1),
        )
    ]
    print(f"\n{ROWS:,} rows with {LIMIT} for DuckDB: first load {peaks[1]} MB, all rows changed {peaks[2]} MB")

    with duckdb.connect(str(console.root / "warehouse" / "ledger.duckdb"), read_only=True) as connection:
        connection.execute("USE ledger.lending")
        assert (
            connection.execute("SELECT count(*), sum(balance) FROM history_account WHERE is_current").fetchall()
            == (
                duckdb.execute(
                    f"SELECT {ROWS}, CAST(sum(i % 3000000 + 1) AS DECIMAL(38, 2)) FROM range({ROWS}) AS t(i)"
                )
            ).fetchall()
        )
        assert connection.execute("SELECT count(*) FROM account_summary").fetchone() == (ROWS - (ROWS + 3) // 4,)
    assert max(peaks) < PROCESS_MB
    assert sorted(path.name for path in (console.root / "warehouse").iterdir()) == ["ledger.duckdb"]
