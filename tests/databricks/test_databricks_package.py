"""The package for Lambda with a Databricks warehouse: small enough, and able to do its work with what is left of it."""

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.databricks_server import Server
from support.engines import CLOUD, PROJECT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("databricks"),
    pytest.mark.cloud,
]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` makes with WAREHOUSE=databricks, for this machine's processor and the Python of the SAM CLI."""
    folder = tmp_path_factory.mktemp("package")
    build = "import sys, cloud; from pathlib import Path; cloud.build(Path(sys.argv[1]))"
    subprocess.run(
        [CLOUD.absolute() / "bin/python", "-c", build, folder],
        cwd=PROJECT / "localstack",
        env=os.environ | {"WAREHOUSE": "databricks", "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-west-1"},
        check=True,
    )
    return folder / "build" / "Function"


def run(package: Path, folder: Path, what: str, **variables: str) -> dict[str, Any]:
    """What in_package.py prints, in the SAM CLI's Python without the SAM CLI's libraries."""
    command = [CLOUD.absolute() / "bin/python", "-I", "-S", PROJECT / "tests/support/in_package.py"]
    done = subprocess.run(
        [*command, package, folder, what],
        env={"PATH": os.environ["PATH"], **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("elsewhere") == []
    return found


def test_package_leaves_room_below_the_limit_of_lambda(package: Path):
    machine = platform.machine()
    stripped = shutil.which(f"{machine}-linux-gnu-strip") or shutil.which("llvm-strip")
    sizes = [path.stat().st_size for path in package.rglob("*") if path.is_file()]
    assert sum(sizes) < (220 if stripped else 240) << 20  # of 250 MiB


def test_package_is_enough_for_what_the_function_imports_and_writes(package: Path, tmp_path: Path):
    found = run(package, tmp_path, "imports")
    lines = "1,1.20,x\n2,,ü\n"
    assert found == {"written": {"all": f"number,amount,text\n{lines}{lines}", "some": "text\nü\nü\n"}, "rows": 2}


def test_package_is_enough_to_work_in_a_warehouse(package: Path, tmp_path: Path, databricks: Server):
    found = run(
        package,
        tmp_path,
        "warehouse",
        DROPLEDGER_ROOT=str(tmp_path / "root"),
        DROPLEDGER_CACHE=str(tmp_path / "cache"),
        DROPLEDGER_WAREHOUSE="databricks",
        DATABRICKS_HOST=f"http://127.0.0.1:{databricks.at['port']}",
        DATABRICKS_HTTP_PATH=databricks.at["http_path"],
        DATABRICKS_CATALOG="spark_catalog",
        DATABRICKS_SCHEMA="packaged",
        DATABRICKS_TOKEN=databricks.at["token"],
    )
    rows = [{"number": 7, "text": "ü"}]
    assert found == {"rows": rows, "written": "number,text\n7,ü\n8,\n", "large": 20_001}
