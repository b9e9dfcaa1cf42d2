"""The function in a container with the template's limit of memory, as `sam local invoke` runs it."""

import subprocess
from pathlib import Path

import pytest
from support.engines import CLOUD, PROJECT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("cloud"),
    pytest.mark.cloud,
    pytest.mark.container,
]


def test_samples_through_the_function_in_a_container(tmp_path: Path):
    command = [CLOUD / "bin" / "python", "localstack/sam_invoke.py", "--folder", tmp_path]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '{"batchItemFailures": []}' in done.stdout
    assert "Memory Size: 2048 MB" in done.stdout
    assert "Left in the inbox: nothing" in done.stdout
    table = done.stdout.partition("outputs/account_summary.csv\n")[2]
    assert table.startswith("customer_id,account_id,original_balance,interest_rate,annual_interest,new_balance\n")
    assert "\n1,1002,10000.00,0.020000,200.00,10200.00\n" in table
