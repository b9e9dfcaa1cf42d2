"""What commands load when they run loads in any order: each module in a process that has loaded none of ours before."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.engines import PROJECT

ALONE = """
import os, sys
import boto3, click, duckdb, pydantic, structlog
for module in sys.argv[1:]:
    if not (child := os.fork()):
        __import__(module)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print(module)
"""


def modules() -> list[str]:
    paths = [
        path.relative_to(PROJECT) for part in ("handlers", "infra") for path in (PROJECT / part).rglob("[a-z]*.py")
    ]
    return sorted(".".join(("dropledger", *path.with_suffix("").parts)) for path in paths)


@pytest.mark.slow
def test_each_module_loads_before_all_others(tmp_path: Path):
    """The tests of commands fork their children from a process that has loaded all: they would not miss one."""
    found = modules()
    assert {"dropledger.handlers.watch.loop", "dropledger.infra.duckdb.warehouse"} <= set(found)
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *found],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
