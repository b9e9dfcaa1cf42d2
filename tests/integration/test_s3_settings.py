"""The file of settings in the root of a bucket: looked for once, and read like one in a folder, but for paths."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from support.buckets import BucketRoot
from support.in_process import run

from dropledger.core.errors import ConfigurationError, Unavailable
from dropledger.core.ingest.runtime import Runtime
from dropledger.handlers.wiring import settings_in_force, wire

pytestmark = pytest.mark.slow


@pytest.fixture
def root(s3: None) -> BucketRoot:
    return BucketRoot()


@pytest.fixture
def requests(s3: None) -> Iterator[list[str]]:
    """What is asked of S3 from here on."""
    found: list[str] = []
    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register(
        "before-call.s3", lambda model, params, **_: found.append(f"{model.name} {params['url_path']}")
    )
    yield found
    boto3.setup_default_session()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with settings of its own, and a cache that goes with it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DROPLEDGER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "dropledger.toml").write_text('wait_seconds = 1\nmemory_limit = "500MB"\n')


def wired(root: BucketRoot) -> Runtime:
    return wire(root=root.uri)


def test_settings_are_found_in_the_bucket_by_one_request(root: BucketRoot, requests: list[str]):
    root.put("dropledger.toml", 'wait_seconds = 9\noutputs = "on_demand"\nroot = "s3://other/place"\n')
    runtime = wired(root)
    assert requests == ["GetObject /some/root/dropledger.toml"]
    assert (runtime.wait_seconds, runtime.store.root, runtime.throttle.due) == (9, root.uri, False)
    assert settings_in_force(root=root.uri).memory_limit == "500MB"


def test_bucket_without_the_file_is_asked_once(root: BucketRoot, requests: list[str]):
    assert wired(root).wait_seconds == 1
    assert len(requests) == 1


def test_command_that_logs_asks_once_too(root: BucketRoot, requests: list[str], tmp_path: Path):
    root.put("dropledger.toml", 'log = "console"\n')
    left = run("watch", "--once", "--quiet", "--root", root.uri, cache=str(tmp_path / "cache"))
    assert (left.code, requests.count("GetObject /some/root/dropledger.toml")) == (0, 1)


def test_environment_goes_before_it(root: BucketRoot, monkeypatch: pytest.MonkeyPatch):
    root.put("dropledger.toml", "wait_seconds = 9\n")
    monkeypatch.setenv("DROPLEDGER_WAIT_SECONDS", "3")
    assert wired(root).wait_seconds == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("wait_secs = 9\n", "did you mean wait_seconds"),
        ("wait_seconds = 'long'\n", "the setting wait_seconds cannot be used"),
        ("wait_seconds\n", "cannot be read"),
        ("pipeline = 'mine'\n", "the setting pipeline in .* is a path"),
        ("cache = '~/.ssh'\n", "the setting cache in .* is a path"),
        ("warehouse = '/srv/other.duckdb'\n", "the setting warehouse in .* is a path"),
        ("# " + "x" * 70_000, "larger than 64 KiB"),
    ],
)
def test_wrong_entry_names_the_object_that_it_stands_in(root: BucketRoot, text: str, told: str):
    root.put("dropledger.toml", text)
    with pytest.raises(ConfigurationError, match=told) as refused:
        wired(root)
    assert f"{root.uri}/dropledger.toml" in str(refused.value) + refused.value.hint


def test_names_are_taken(root: BucketRoot):
    root.put("dropledger.toml", "pipeline = 'lending'\nwarehouse = 'databricks'\n")
    found = settings_in_force(root=root.uri)
    assert (found.pipeline, found.warehouse) == ("lending", "databricks")


def test_bucket_that_is_not_there_is_told_as_such(s3: None, tmp_path: Path):
    left = run("status", "--root", "s3://no-such-bucket/books", cache=str(tmp_path / "cache"))
    assert (left.code, "there is no bucket no-such-bucket" in left.err) == (2, True)


def test_bucket_that_does_not_answer_is_told_as_such(root: BucketRoot, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="cannot be reached"):
        wired(root)


NO_BOTO3 = """
import sys
sys.modules["boto3"] = sys.modules["botocore"] = None
sys.argv = ["dropledger", "status", "--root", "s3://bucket/books"]
from dropledger.handlers.cli.main import main
main()
"""


def test_root_in_a_bucket_without_boto3_is_told_what_to_install(tmp_path: Path):
    done = subprocess.run([sys.executable, "-c", NO_BOTO3], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "s3://bucket/books cannot be reached without boto3" in done.stderr
    assert "Try: install it: pip install 'dropledger[aws]'" in done.stderr


def test_root_in_a_folder_costs_nothing_of_it(tmp_path: Path):
    look = (
        "import sys; from dropledger.handlers.wiring import wire; wire(root='x'); sys.exit('botocore' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", look], cwd=tmp_path, check=True)


def test_bucket_of_another_kind_says_what_there_is():
    with pytest.raises(ConfigurationError, match="there is no store for gs://bucket/root") as raised:
        wire(root="gs://bucket/root")
    assert "s3://" in raised.value.hint
