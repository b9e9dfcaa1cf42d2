"""The function in the memory that Lambda gives it: who takes more is ended."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.buckets import BucketRoot
from support.console import environment
from support.memory import group_of

from dropledger.handlers.wiring import wire

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROWS = 3_000_000
# The command line, which tells at last how many kilobytes it had resident at most.
TELLING_PEAK = r"""
import atexit, pathlib, re, sys
from dropledger.handlers.cli.main import main
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: print(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1], file=sys.stderr))
main()
"""


@pytest.fixture
def root(s3: None) -> Iterator[BucketRoot]:
    root = BucketRoot()
    yield root
    root.forget()


@pytest.fixture
def on_disk() -> Iterator[Path]:
    """A folder whose files are not held in memory, which would be the group's."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def run_within(mebibytes: int, *command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    with group_of(mebibytes) as group:
        return subprocess.run(
            ["sh", "-c", f'echo $$ >{group}; exec "$0" "$@"', *map(str, command)],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )


def test_file_that_does_not_fit_in_memory_is_loaded_by_the_smallest_function(root: BucketRoot, on_disk: Path):
    name = "inbox/customers_2026-01-01.csv"
    rows = "".join(f"{key},The name of the customer {key},No\n" for key in range(ROWS))
    root.put(name, f"CustomerID,Name,HasLoan\n{rows}")
    detail = {"bucket": {"name": root.bucket}, "object": {"key": f"some/root/{name}"}}
    event = on_disk / "event.json"
    event.write_text(json.dumps({"detail-type": "Object Created", "detail": detail}))
    variables = environment(cache=on_disk / "machine") | {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}
    command = [sys.executable, "-c", TELLING_PEAK, "handle", event, "--root", root.uri, "--json"]
    done = run_within(512, *command, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stderr.splitlines()[-1]) < 450 << 10  # what is mapped of files counts in Lambda too
    [outcome] = json.loads(done.stdout)["outcomes"]
    assert (outcome["outcome"], outcome["versions_opened"]) == ("accepted", ROWS)


def test_warehouse_in_parts_goes_up_without_being_in_memory(root: BucketRoot, on_disk: Path):
    path = on_disk / "large"
    with path.open("wb") as file:
        file.truncate(256 << 20)
    put = "import sys; from pathlib import Path; from dropledger.infra.aws.bucket import S3Bucket; "
    put += "S3Bucket(sys.argv[1]).put('large', Path(sys.argv[2]))"
    done = run_within(150, sys.executable, "-c", put, root.uri, path, **environment())
    assert done.returncode == 0, done.stderr
    assert root.client.head_object(Bucket=root.bucket, Key="some/root/large")["ContentLength"] == 256 << 20


@pytest.mark.parametrize(
    ("megabytes", "limit"), [("512", "192MiB"), ("1024", "574MiB"), ("2048", "1598MiB"), ("10240", "1600MiB")]
)
def test_engine_leaves_memory_for_what_is_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, megabytes: str, limit: str
):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", megabytes)
    assert wire(root=str(tmp_path)).warehouse._settings == {"memory_limit": limit}  # type: ignore[attr-defined]
    monkeypatch.setenv("DROPLEDGER_MEMORY_LIMIT", "300MiB")
    assert wire(root=str(tmp_path)).warehouse._settings == {"memory_limit": "300MiB"}  # type: ignore[attr-defined]
