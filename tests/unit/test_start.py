"""What Lambda is told where the package has no handler for it."""

import platform
import shutil
import subprocess
import sys
from pathlib import Path

from support.engines import PROJECT

from dropledger.handlers.aws_lambda import function, start

HERE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
OTHER = "x86_64" if HERE == "arm64" else "arm64"


def last_words(folder: Path, built_for: str) -> str:
    """What the start of a package says whose extension modules are for another kind of processor."""
    shutil.copytree(PROJECT / "dropledger", folder / "dropledger")
    (folder / "built_for").write_text(f"{built_for}\n")
    native = folder / "duckdb"
    native.mkdir()
    (native / "__init__.py").write_text("from duckdb._duckdb import connect\n")
    (native / f"_duckdb.cpython-313-{OTHER}-linux-gnu.so").touch()
    done = subprocess.run(
        [sys.executable, "-c", "import dropledger.handlers.aws_lambda.start"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


def test_package_for_another_processor_says_so(tmp_path: Path):
    assert last_words(tmp_path, OTHER) == (
        f"ImportError: the package was built for {OTHER}, and the function runs on {HERE}. "
        f"Try: deploy with Architecture={OTHER}, or build with ARCHITECTURE={HERE}"
    )


def test_package_for_this_processor_says_what_is_missing(tmp_path: Path):
    assert "No module named 'duckdb._duckdb'" in last_words(tmp_path, HERE)


def test_handler_is_that_of_the_function():
    assert start.handler is function.handler
