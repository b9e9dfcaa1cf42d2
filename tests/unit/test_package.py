"""What is left out of the package for Lambda, in a made-up one of the same layout."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.engines import PROJECT

PACKAGE: dict[str, Any] = runpy.run_path(str(PROJECT / "localstack" / "package.py"), run_name="package")
CHANGED: type[Exception] = PACKAGE["Changed"]
LEFT = {
    "built_for",
    "pyarrow/__init__.py",
    "pyarrow/_compute.cpython-313-x86_64-linux-gnu.so",
    "pyarrow/lib.cpython-313-x86_64-linux-gnu.so",
    "pyarrow/libarrow.so.2500",
    "databricks/sdk/__init__.py",
    "databricks/sdk/core.py",
    "databricks/sdk/service/__init__.py",
    "databricks/sdk/service/_internal.py",
    "databricks/sdk/service/provisioning.py",
    "databricks/sql/client.py",
    "databricks/sql/result_set.py",
    "botocore/data/endpoints.json",
    "botocore/data/s3/2006/service-2.json",
    "botocore/data/secretsmanager/2017/service-2.json",
    "botocore/data/sqs/2012/service-2.json",
    "botocore/data/sts/2011/service-2.json",
    "lz4/frame/__init__.py",
}
LEFT_OUT = {
    "pandas/core/frame.py",
    "pandas-3.0.dist-info/METADATA",
    "numpy/__init__.py",
    "numpy.libs/libopenblas.so",
    "openpyxl/__init__.py",
    "et_xmlfile/__init__.py",
    "pyarrow/include/arrow/api.h",
    "pyarrow/includes/common.pxd",
    "pyarrow/src/arrow/python.cc",
    "pyarrow/_compute.pyx",
    "pyarrow/_compute.pxd",
    "pyarrow/_flight.cpython-313-x86_64-linux-gnu.so",
    "pyarrow/libarrow.so",
    "pyarrow/libarrow.so.2500.0.0",
    "pyarrow/libarrow_flight.so.2500",
    "pyarrow/libarrow_python_flight.so",
    "pyarrow/libarrow_s3.so.2500",
    "databricks/sdk/service/jobs.py",
    "botocore/data/ec2/2016/service-2.json",
    "lz4/block/__init__.py",
}
TEXTS = {
    "databricks/sdk/__init__.py": "from databricks.sdk.service import jobs\n",
    "databricks/sql/client.py": "import os\nimport pandas\nimport pyarrow\n",
    "databricks/sql/result_set.py": "import pandas\n\nimport pandas as pd\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name in LEFT | LEFT_OUT:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TEXTS.get(name, ""), encoding="utf-8")
    return tmp_path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def remove(folder: Path, name: str) -> None:
    (folder / name).unlink()


def test_package_for_databricks_is_left_what_the_function_imports(package: Path):
    PACKAGE["prune_for_databricks"](package)
    assert files(package) == LEFT
    assert not (package / "pandas-3.0.dist-info").exists()
    assert {name: (package / name).read_text(encoding="utf-8") for name in TEXTS} == {
        "databricks/sdk/__init__.py": "",
        "databricks/sql/client.py": "import os\nimport pyarrow\n",
        "databricks/sql/result_set.py": "\nimport pandas as pd\n",
    }


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda at: (at / "databricks/sql/client.py").write_text("import pandas as pd\n"), "no line `import pandas`"),
        (lambda at: remove(at, "databricks/sql/result_set.py"), "result_set.py has no line `import pandas`"),
        (lambda at: (at / "openpyxl").rename(at / "other"), "holds no openpyxl"),
        (lambda at: remove(at, "pyarrow/libarrow_s3.so.2500"), "pyarrow holds no libarrow_s3.*"),
        (lambda at: remove(at, "pyarrow/libarrow.so"), "pyarrow holds no libarrow*.so"),
        (lambda at: remove(at, "databricks/sdk/service/provisioning.py"), "service holds no provisioning.py"),
        (lambda at: (at / "botocore/data/sts").rename(at / "sts"), "data holds no sts"),
        (lambda at: (at / "lz4/block").rename(at / "block"), "lz4 holds no block"),
    ],
)
def test_changed_library_stops_the_build(package: Path, change: Callable[[Path], object], found: str):
    change(package)
    with pytest.raises(CHANGED) as stopped:
        PACKAGE["prune_for_databricks"](package)
    assert found in str(stopped.value)
    assert "Try: " in str(stopped.value)


def test_any_package_loses_programs_tests_and_what_prints_for_people(tmp_path: Path):
    left = {"rich_text/__init__.py", "duckdb/__init__.py", "duckdb/tests.py"}
    for_people = {f"{name}/__init__.py" for name in PACKAGE["FOR_PEOPLE"]} | {"rich-15.0.dist-info/METADATA"}
    never_run = {"bin/jp.py", "numpy/tests/test_all.py", "duckdb/__pycache__/x.pyc", "numpy/tests/bin/deep.py"}
    for name in left | for_people | never_run:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    PACKAGE["prune"](tmp_path)
    assert files(tmp_path) == left


def test_own_code_is_copied_out_of_its_links(tmp_path: Path):
    PACKAGE["add_dropledger"](tmp_path, "arm64")
    assert (tmp_path / "built_for").read_text(encoding="utf-8") == "arm64\n"
    assert (tmp_path / "dropledger/core/drop.py").is_file()
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_pipelines_are_checked_by_the_first_python_that_can(tmp_path: Path):
    PACKAGE["add_dropledger"](tmp_path, "arm64")
    PACKAGE["check_pipelines"](tmp_path, [("/no/python", PROJECT), (sys.executable, tmp_path)])
    kept = tmp_path / "dropledger" / "core" / "kept"
    assert list(kept.rglob("*.json"))
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in (kept, *kept.rglob("*")))


def test_package_without_a_python_to_check_pipelines_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    PACKAGE["check_pipelines"](tmp_path, [("/no/python", PROJECT)])
    assert "There is no Python with pydantic and PyYAML here" in capsys.readouterr().err
