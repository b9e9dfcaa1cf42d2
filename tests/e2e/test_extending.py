"""Each walk of docs/extending.md, walked."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.console import environment
from support.engines import PROJECT

pytestmark = pytest.mark.slow

PAGE = (PROJECT / "docs" / "extending.md").read_text(encoding="utf-8")
# A file of a walk: its name in the paragraph that ends before the fence.
_FILE = re.compile(
    r"`(?P<path>[\w./]+\.(?:yaml|sql|py))`[^`\n]*:\n\n```(?:yaml|sql|python)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
FILES = {match["path"]: match["text"] for match in _FILE.finditer(PAGE)}
_SHOWN = re.compile(r"^\$ (?P<command>.*)\n(?P<printed>(?:(?!\$ |```).*\n)*)", re.MULTILINE)

DROPS = {
    "customers_2025-10-31.csv": "CustomerID,Name,HasLoan\n1,Amara Okafor,No\n2,Ann,No\n",
    "accounts_2025-10-31.csv": "AccountID,CustomerID,Balance,AccountType\n1001,1,9999.99,Savings\n",
    "fees_2025-10-31.csv": "AccountID,AnnualFee\n1001,12.00\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the code and of the lending pipeline, and files to drop."""
    shutil.copytree(PROJECT / "dropledger", tmp_path / "dropledger", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PROJECT / "core" / "pipelines" / "lending", tmp_path / "mine")
    for name, text in DROPS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "dropledger"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m dropledger "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return tmp_path


def run(command: str, folder: Path) -> str:
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    env = {**environment(), "PATH": path, "PYTHONPATH": str(folder), "DROPLEDGER_PIPELINE": "mine"}
    done = subprocess.run(["sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def write(folder: Path, path: str) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(FILES[path], encoding="utf-8")


def register(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for before, now in changes:
        assert text.count(before) == 1, before
        text = text.replace(before, now)
    path.write_text(text, encoding="utf-8")


def test_feed_mart_check_and_explanation_are_files_alone(folder: Path):
    of_pipeline = [path for path in FILES if not path.endswith(".py")]
    assert len(of_pipeline) == 8
    for path in of_pipeline:
        write(folder / "mine", path)
    shown = _SHOWN.findall(PAGE)
    assert len(shown) == 3
    for command, printed in shown:
        assert run(command, folder) == printed, command


def test_kind_of_rule_is_a_module_and_an_entry(folder: Path):
    write(folder / "dropledger", "core/rules/max_length.py")
    register(
        folder / "dropledger/core/rules/kinds.py",
        ("import accepted_values,", "import accepted_values, max_length,"),
        ('        "not_null": not_null,', '        "not_null": not_null,\n        "max_length": max_length,'),
    )
    register(
        folder / "mine/customer.yaml",
        ("      - {rule: not_null, severity: warn}\n", "      - {rule: max_length, max: 5}\n"),
    )
    assert "1 row rejected" in run("dropledger process customers_2025-10-31.csv", folder)
    (drop_id,) = re.findall(r"^([0-9a-f]{16}) ", run("dropledger drops", folder), re.MULTILINE)
    assert "customer_name 'Amara Okafor' has more than 5 characters" in run(f"dropledger rejects {drop_id}", folder)


def test_notifier_is_a_module_and_an_entry(folder: Path):
    write(folder / "dropledger", "infra/notify/lines.py")
    factory = """def _lines(address: str, _: Target) -> Notifier:
    from dropledger.infra.notify.lines import Lines

    return Lines(address)


_NOTIFIERS: """
    register(
        folder / "dropledger/handlers/notifiers.py",
        ('    {"https": _webhook,', '    {"lines": _lines, "https": _webhook,'),
        ("_NOTIFIERS: ", factory),
    )
    (folder / "dropledger.toml").write_text('alerts = [{to = "env:TEST_LINES", on = ["quarantined"]}]')
    (folder / "customers_2025-10-31.csv").write_text("odd\n")
    run(f"TEST_LINES=lines:{folder}/told dropledger process customers_2025-10-31.csv", folder)
    assert '"state": "quarantined"' in (folder / "told").read_text()


def test_kind_of_bucket_is_a_module_and_an_entry(folder: Path):
    write(folder / "dropledger", "infra/disk_bucket.py")
    register(
        folder / "dropledger/handlers/wiring.py",
        (
            '_BUCKETS: Mapping[str, Callable[[str], "Bucket"]] = MappingProxyType({"s3": _s3})',
            'from dropledger.infra.disk_bucket import DiskBucket as _disk\n_BUCKETS = {"s3": _s3, "disk": _disk}',
        ),
    )
    (folder / "bucket/inbox").mkdir(parents=True)
    root = f"--root disk://{folder}/bucket"
    assert "2 -0" not in run(
        f"dropledger process customers_2025-10-31.csv accounts_2025-10-31.csv {root} --quiet", folder
    )
    shutil.copy(folder / "accounts_2025-10-31.csv", folder / "bucket/inbox/accounts_2025-11-30.csv")
    assert "accounts_2025-11-30.csv  accepted" in run(f"dropledger watch --once {root}", folder)
    assert "Matches the mart." in run(f"dropledger explain 1001 {root}", folder)
    assert "Verified" in run(f"dropledger verify {root}", folder)
    assert (folder / "bucket/archive/account/2025/11/30").is_dir()
