"""What programs may use of the package, as an orchestrator does: in a process of its own."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from support.console import environment
from support.engines import PROJECT

import dropledger

SAMPLES = PROJECT / "samples" / "day1"
BLOCK = re.search(r"```python\n(.*?)```", (PROJECT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)


def test_what_the_page_shows_works(tmp_path: Path):
    assert BLOCK is not None
    for file in SAMPLES.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", BLOCK[1]],
        cwd=tmp_path,
        env={**environment(), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "accounts_2025-10-31.csv accepted 7" in done.stdout
    assert "{'interest': Decimal('" in done.stdout


def test_task_that_is_tried_again_changes_nothing(tmp_path: Path):
    ledger = dropledger.open_ledger(tmp_path / "root", pipeline="lending")
    files = sorted(SAMPLES.iterdir())
    assert {str(outcome.delivered) for outcome in ledger.process(files)} == {"accepted"}
    before = ledger.query("SELECT * FROM account_summary ORDER BY account_id")
    assert {str(outcome.delivered) for outcome in ledger.process(files)} == {"duplicate"}
    assert ledger.query("SELECT * FROM account_summary ORDER BY account_id") == before
    assert isinstance(before[0]["annual_interest"], Decimal)
    row = ledger.query("SELECT as_of FROM drop_ledger WHERE feed = :feed", {"feed": "account"})
    assert row == [{"as_of": datetime(2025, 10, 31, tzinfo=UTC)}]


def test_refused_file_is_an_outcome_and_what_cannot_work_an_error(tmp_path: Path):
    ledger = dropledger.open_ledger(tmp_path / "root")
    bad = tmp_path / "accounts_2025-12-31.csv"
    bad.write_text("AccountID\n1\n")
    (outcome,) = ledger.process([bad])
    assert (outcome.refused, outcome.rule) == (True, "missing_column")
    with pytest.raises(FileNotFoundError):
        ledger.process([tmp_path / "none.csv"])
    with pytest.raises(dropledger.ConfigurationError, match="no pipeline 'mortgages'"):
        dropledger.open_ledger(tmp_path / "root", pipeline="mortgages")


def test_names_are_there_and_no_others():
    assert all(getattr(dropledger, name) for name in dropledger.__all__)
    assert not hasattr(dropledger, "Runtime")
    assert (PROJECT / "dropledger" / "py.typed").is_file()


def test_import_is_light():
    show = "import sys, dropledger; print(*sorted({'duckdb', 'click', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
