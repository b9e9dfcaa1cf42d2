"""The example for Dagster in docs/deploy.md, run by Dagster in an environment of its own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.console import environment
from support.deploy_page import example
from support.engines import DAGSTER, PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.dagster]

RUN = """
import dagster as dg
from account_summary import account_summary

with dg.DagsterInstance.ephemeral() as instance:
    done = dg.materialize([account_summary], instance=instance, raise_on_error=False)
    for event in done.all_events:
        if event.is_step_failure:
            print(event.step_failure_data.error.message)
        if event.is_step_materialization:
            print({name: entry.value for name, entry in event.materialization.metadata.items()})
"""


@pytest.fixture
def extracts(tmp_path: Path) -> Path:
    (tmp_path / "account_summary.py").write_text(example("Dagster", "python"))
    (tmp_path / "extracts").mkdir()
    for file in (PROJECT / "samples" / "day1").glob("*.csv"):
        shutil.copy(file, tmp_path / "extracts")
    return tmp_path / "extracts"


def materialized(extracts: Path) -> str:
    """What Dagster tells of one run of the asset."""
    env = environment(root="ledger") | {
        "EXTRACTS": str(extracts),
        "PYTHONPATH": f"{PROJECT}{os.pathsep}{extracts.parent}",
    }
    env.pop("PYTHONWARNINGS")  # Dagster's own are not ours
    run = [DAGSTER / "bin" / "python", "-c", RUN]
    done = subprocess.run(run, cwd=extracts.parent, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_extracts_are_materialized_once_however_often_it_runs(extracts: Path):
    shown = "{'accounts': 6, 'interest': '1250.01'}\n"
    assert [materialized(extracts), materialized(extracts)] == [shown, shown]


def test_refused_extracts_and_wrong_settings_fail_at_once(extracts: Path):
    """The retries of the example are two minutes apart: they are for what a later try can mend."""
    (extracts / "accounts_2025-11-30.csv").write_text("AccountID,CustomerID,Balance,AccountType\n1001,1,,Savings\n")
    assert "refused: accounts_2025-11-30.csv" in materialized(extracts)
    (extracts.parent / "dropledger.toml").write_text('rot = "ledger"')
    assert "there is no setting rot" in materialized(extracts)
