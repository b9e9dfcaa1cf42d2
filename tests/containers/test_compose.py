"""compose.yaml: a folder of this machine that is followed, its console, and a root in an S3-compatible store."""

import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from support.console import until
from support.containers import Project, base, docker, project
from support.engines import CLOUD, PROJECT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("container"),
    pytest.mark.container,
    pytest.mark.usefixtures("image"),
]

SAMPLES = sorted((PROJECT / "samples" / "day1").glob("*.csv"))
TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Project]:
    """A project on a folder of this machine, run as this user."""
    (tmp_path / "ledger").mkdir()
    (tmp_path / "token").write_text(TOKEN)
    user = f"{os.getuid()}:{os.getgid()}"
    settings = {"LEDGER": tmp_path / "ledger", "LEDGER_USER": user, "CONSOLE_TOKEN_FILE": tmp_path / "token"}
    with project(**settings, CONSOLE_PORT=free_port()) as found:
        yield found


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def page(own: Project, path: str, token: str = "") -> tuple[int, str]:
    """Status and text of a page of the console; 0 where nobody answers."""
    request = urllib.request.Request(f"http://127.0.0.1:{own.settings['CONSOLE_PORT']}{path}")
    request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, ""
    except OSError:
        return 0, ""


def test_dropped_files_are_taken_and_shown(own: Project):
    """The console asks for its token; both come back when watch ends, and when the machine has been away."""
    own.compose("up", "--detach", "--no-build")
    ledger = Path(own.settings["LEDGER"])
    until(lambda: page(own, "/healthz")[0] == 200, 60)
    for file in SAMPLES:
        shutil.copy(file, ledger / "inbox")
    until((ledger / "outputs" / "customer_profile.csv").exists, 60)
    assert page(own, "/drops.json") == (403, "")
    until(lambda: len(json.loads(page(own, "/drops.json", TOKEN)[1])["drops"]) == len(SAMPLES), 60)

    watch = own.container("watch")
    docker("exec", watch.name, "sh", "-c", "kill 1")
    until(lambda: watch.told("watching") == 2, 60)
    own.compose("stop")
    own.compose("start")
    until(lambda: page(own, "/")[0] == 403, 60)
    assert watch.run("verify").startswith(f"Verified: {len(SAMPLES)} drops rebuilt")


def test_what_is_in_a_volume_is_there_after_an_upgrade(own: Project):
    """Without LEDGER the root is in a volume, which outlives the containers."""
    own = Project({**own.settings, "LEDGER": "ledger", "LEDGER_USER": "10001:10001"})
    Path(own.settings["CONSOLE_TOKEN_FILE"]).chmod(0o644)
    Path(own.settings["CONSOLE_TOKEN_FILE"]).parent.chmod(0o755)
    own.compose("up", "--detach", "--no-build")
    watch = own.container("watch")
    until(lambda: watch.told("watching"), 60)
    watch.drop(SAMPLES[0])
    until(lambda: watch.told("accepted"), 60)
    own.compose("down")
    own.compose("up", "--detach", "--no-build")
    assert own.container("watch").run("verify").startswith("Verified: 1 drop rebuilt")
    own.compose("down", "--volumes")


@pytest.mark.cloud
def test_root_in_the_store_of_the_profile_cloud(own: Project, tmp_path: Path):
    """An emulator from the environment of requirements/cloud.txt stands in for the one that compose.yaml names."""
    python = CLOUD / "bin" / "python"
    prefix = subprocess.run([python, "-c", "import sys; print(sys.base_prefix)"], capture_output=True, check=True)
    mounts = [f"{folder}:{folder}:ro" for folder in {str(CLOUD.absolute()), prefix.stdout.decode().strip()}]
    here = {
        "command": [str(python.absolute()), "-m", "ministack"],
        "volumes": mounts,
        "environment": {"GATEWAY_PORT": "4566", "BIND_HOST": "0.0.0.0"},
    }
    (tmp_path / "here.yaml").write_text(json.dumps({"services": {"cloud": here}}))
    own = Project({**own.settings, "EMULATOR": base(), "CLOUD_PORT": str(free_port())}, [tmp_path / "here.yaml"])
    own.compose("--profile", "cloud", "up", "--detach", "--no-build", "cloud")
    store = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{own.settings['CLOUD_PORT']}",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="eu-west-1",
        config=Config(retries={"total_max_attempts": 1}),
    )
    until(lambda: made(store), 60)
    for file in SAMPLES:
        store.upload_file(str(file), "dropledger-root", f"inbox/{file.name}")
    assert own.compose("--profile", "cloud", "run", "--rm", "bucket").count("accepted") == len(SAMPLES)
    found = store.get_object(Bucket="dropledger-root", Key="outputs/account_summary.csv")["Body"].read().decode()
    assert "\n1,1002,10000.00,0.020000,200.00,10200.00\n" in found


def made(store: object) -> bool:
    """Whether the store answers by now, and has a bucket."""
    try:
        store.create_bucket(  # type: ignore[attr-defined]
            Bucket="dropledger-root", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
    except BotoCoreError:
        return False
    return True
