"""The image: a demo, drops that are taken while it runs and is killed, what it may do, and how its health is told."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.console import environment, until
from support.containers import HARDENED, USER, Container, container, docker
from support.engines import PROJECT
from support.forks import SCRIPT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # the base is made with the first of them
    pytest.mark.xdist_group("container"),
    pytest.mark.container,
    pytest.mark.usefixtures("image"),
]

SAMPLES = sorted((PROJECT / "samples").glob("day?/*.csv"))
WAREHOUSE = "/data/warehouse/ledger.duckdb"
AT_ONCE = "DROPLEDGER_WAIT_SECONDS=0"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n"


def test_demo_shows_what_the_readme_shows(image: str):
    shown = (PROJECT / "README.md").read_text().partition("$ make demo\n")[2].partition("\nEverything is in")[0]
    demo = docker("run", "--rm", *HARDENED, image, "demo").stdout
    assert demo.partition("\nEverything is in")[0] == shown


def test_it_runs_as_a_user_who_may_write_to_the_root_alone(image: str):
    look = "id -u; find / -xdev -writable -not -path '/proc/*' -not -type l 2>/dev/null || true"
    user, *writable = docker("run", "--rm", "--entrypoint", "sh", image, "-c", look).stdout.split()
    assert user == str(USER)
    assert {path for path in writable if not path.startswith(("/dev", "/data"))} <= {"/tmp", "/var/tmp", "/run/lock"}


def test_it_holds_what_is_needed_and_nothing_of_the_checkout(image: str):
    found = docker("run", "--rm", "--entrypoint", "find", image, "/opt", "/data").stdout
    names = {Path(line).name for line in found.splitlines()}
    assert names.isdisjoint({".git", "tests", "Makefile", "pip", "hatchling", "editables"})
    assert {"dropledger", "boto3", "starlette"} <= names


def test_drops_are_taken_through_kills_as_by_one_that_lives(tmp_path: Path):
    """Files land faster than they are taken, and the container is killed by SIGKILL in between."""
    files = tmp_path / "files"
    files.mkdir()
    shutil.copy(SAMPLES[1], files)
    for day in range(1, 29):
        rows = "".join(f"{key},{1 + key % 5},{day * key}.25,Savings\n" for key in range(1000, 1400))
        (files / f"accounts_2026-02-{day:02}.csv").write_text(ACCOUNTS + rows)
    with container() as watch:
        until(lambda: watch.told("watching"))
        for number, file in enumerate(sorted(files.iterdir()), 1):
            watch.drop(file)
            if number % 7 == 0:
                docker("kill", watch.name)
                assert watch.state["ExitCode"] == 137
                docker("start", watch.name)
        until(lambda: not any(json.loads(watch.run("--json", "status"))["waiting"].values()), 60)
        assert watch.run("verify").startswith(f"Verified: {len(list(files.iterdir()))} drops rebuilt")
        taken = docker("exec", watch.name, "cat", "/data/outputs/account_summary.csv").stdout
    root = tmp_path / "root"
    env = environment(root=root)
    subprocess.run([SCRIPT, "--quiet", "process", *sorted(files.iterdir())], env=env, check=True)
    assert taken == (root / "outputs" / "account_summary.csv").read_text()


def test_it_ends_as_soon_as_the_drop_at_hand_is_done():
    with container() as watch:
        until(lambda: watch.told("watching"))
        docker("stop", "--time", 30, watch.name)
        assert (watch.state["ExitCode"], watch.told("stopped")) == (0, 1)


def test_health_is_that_of_the_ledger():
    """A warehouse that is being worked on is healthy all the same; one that cannot be read is not."""
    often = ("--health-interval", "1s", "--health-start-period", "0s", "--health-retries", 1)
    with container(*often) as watch:
        watch.is_healthy_by("healthy")  # before a first drop too
        watch.drop(SAMPLES[0])
        until(lambda: watch.told("accepted"))
        with held(watch):
            assert docker("exec", "--env", AT_ONCE, watch.name, "dropledger", "status", check=False).returncode == 4
            before = checks(watch)
            until(lambda: len(checks(watch) - before) >= 2, 60)  # the first may have begun when nobody held it
            assert watch.state["Health"]["Status"] == "healthy"
        docker("exec", watch.name, "sh", "-c", f"head -c 100000 /dev/urandom > {WAREHOUSE}")
        watch.is_healthy_by("unhealthy")


def checks(watch: Container) -> set[str]:
    """When the last checks of its health began."""
    return {check["Start"] for check in watch.state["Health"]["Log"]}


@contextmanager
def held(watch: Container) -> Iterator[None]:
    """Have another process in the container keep the warehouse for itself."""
    keep = f"import duckdb, sys; held = duckdb.connect('{WAREHOUSE}'); print('held', flush=True); sys.stdin.read()"
    command = ["docker", "exec", "--interactive", watch.name, "/opt/dropledger/bin/python", "-c", keep]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:  # its end closes the first
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate()


def test_memory_of_the_container_bounds_that_of_the_engine(image: str):
    ask = "from dropledger.infra.duckdb.engine import new_engine as new; "
    ask += "print(new('/tmp/spill', {}).execute('SELECT current_setting($$memory_limit$$)').fetchone()[0])"
    run = ("run", "--rm", *HARDENED, "--memory", "512m", "--entrypoint", "python", image, "-c", ask)
    number, unit = docker(*run).stdout.split()
    assert unit == "MiB"
    assert 400 < float(number) < 412  # 80 %
