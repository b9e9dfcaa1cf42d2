"""Killed at any step or instant and started again: the tables, files and artifacts of an undisturbed run.

DROPLEDGER_TEST_KILLS says how many kills each test tries; without it a few, for everyday runs.
"""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.artifact_reader import reading
from support.buckets import BucketRoot
from support.comparison import (
    TABLES_OF_A_STREAM,
    WITHOUT_URI,
    assert_manifest_true,
    differences,
    files_of,
    land,
    stream,
    tables_of,
)
from support.console import Console, until
from support.crash import dropledger, steps_of
from support.forks import Child
from support.ledger import custom_pipeline

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

KILLS = int(os.environ.get("DROPLEDGER_TEST_KILLS", "6"))
RANDOM_KILLS = max(16, KILLS)
MOST_WAITING = 3  # what a batch has; one that takes longer than a life would never be done

CUSTOMERS = "CustomerID,Name,HasLoan\n1,Ann,Yes\n2,Bo,No\n"
NAMED = "customers_2026-01-01.csv"
ACCOUNTS = "AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n12,2,20000.00,Savings\n13,2,-1,Savings\n"
DROPS = {
    "customers_2026-01-01.csv": CUSTOMERS,
    "customers_2026-01-01 again.csv": CUSTOMERS,
    "accounts_2026-01-01.csv": ACCOUNTS,
    "customers_2026-01-03.csv": CUSTOMERS.replace("Bo,No", "Bo,Yes"),
    "accounts_2026-01-02.csv": ACCOUNTS.replace("100.00", "150.00"),
    "rates_2026-01-02.csv": "MinBalance,Rate,LoanBonus,Method\n0,0.02,0.01,marginal\n",
    "accounts_2026-01-04.csv": "AccountID\n1\n",
}


# Killed at a step


class Scene:
    """A command, and a root as it is before, to be set up for each time that the command is killed."""

    def __init__(self, folder: Path, *command: str) -> None:
        self.before, self.root, self.steps = folder / "before", folder / "root", folder / "steps.json"
        self.command = (*command, "--root", str(self.root), "--quiet")

    def set_up(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.before, self.root)


def drops_waiting(folder: Path) -> Scene:
    scene = Scene(folder, "watch", "--once")
    (scene.before / "inbox").mkdir(parents=True)
    for name, text in DROPS.items():
        (scene.before / "inbox" / name).write_text(text, encoding="utf-8")
    return scene


def drops_with_control_files_waiting(folder: Path) -> Scene:
    """Of the accounts' files one waits for its control file, and another's does not agree."""
    wants = {"account.yaml": {"control_file": {"suffix": ".ctl", "rows": 1}}}
    drops, pipeline = drops_waiting(folder), custom_pipeline(folder / "lending", wants)
    drops.command = (*drops.command, "--pipeline", str(pipeline.folder))
    for name, rows in (("accounts_2026-01-01.csv", 3), ("accounts_2026-01-02.csv", 4), ("accounts_2026-01-03.csv", 1)):
        (drops.before / "inbox" / f"{name}.ctl").write_text(f"{rows}\n", encoding="utf-8")
    return drops


def drops_taken(folder: Path, *command: str) -> Scene:
    """`{drop_id}` in the command is that of one of the drops."""
    drops = drops_waiting(folder / "drops")
    drops.set_up()
    assert dropledger(*drops.command) == 3
    ids = dict(tables_of(drops.root, {"drop_ledger": "name, drop_id"})["drop_ledger"])
    scene = Scene(folder, *(part.format(drop_id=ids["accounts_2026-01-02.csv"]) for part in command))
    shutil.copytree(drops.root, scene.before)
    return scene


SCENES: dict[str, Callable[[Path], Scene]] = {
    "watch --once": drops_waiting,
    "watch --once with control files": drops_with_control_files_waiting,
    "retract": lambda folder: drops_taken(folder, "retract", "{drop_id}", "--reason", "sent by mistake"),
    "replay": lambda folder: drops_taken(folder, "replay"),
}


@pytest.mark.parametrize("command", SCENES)
def test_killed_at_a_step_and_started_again(tmp_path: Path, command: str):
    scene = SCENES[command](tmp_path)
    scene.set_up()
    dropledger(*scene.command)  # fills the cache, so that each run takes the same steps
    scene.set_up()
    steps = steps_of(*scene.command, steps=scene.steps)
    expected = {**tables_of(scene.root), "files": files_of(scene.root)}
    wrong = {}
    for step in sorted(random.sample(range(len(steps)), min(KILLS, len(steps)))):
        scene.set_up()
        assert dropledger(*scene.command, dies_at=step) == -signal.SIGKILL
        dropledger(*scene.command)
        dropledger("watch", "--once", *scene.command[scene.command.index("--root") :])
        found = {**tables_of(scene.root), "files": files_of(scene.root)}
        if found != expected:
            wrong[f"{step}, {steps[step]}"] = differences(found, expected)
        assert_manifest_true(scene.root)
    assert wrong == {}


def test_killed_at_a_step_on_a_bucket_and_started_again_on_some_machine(tmp_path: Path, s3: None):
    """Nothing of the killed process is left but what is in the bucket, and sometimes its cache."""

    def once(root: BucketRoot, machine: str, **how: Any) -> int:
        variables = {**cloud, "DROPLEDGER_CACHE": str(tmp_path / machine)}
        return dropledger("watch", "--once", "--root", root.uri, "--quiet", variables=variables, **how)

    def holds(root: BucketRoot) -> dict[str, Any]:
        local = root.download(tmp_path / root.bucket)
        return {**tables_of(local, WITHOUT_URI), **files_of(local), "left": root.versions("work/")}

    cloud = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    undisturbed = landed_in_a_bucket()
    assert once(undisturbed, "undisturbed", steps=tmp_path / "steps.json") == 3
    steps = json.loads((tmp_path / "steps.json").read_text(encoding="utf-8"))
    expected = holds(undisturbed)
    assert expected["left"] == undisturbed.versions("inbox/") == []
    wrong = {}
    for step in sorted(random.sample(range(len(steps)), min(KILLS, len(steps)))):
        root = landed_in_a_bucket()
        assert once(root, f"machine{step}", dies_at=step) == -signal.SIGKILL
        once(root, random.choice(["another", f"machine{step}"]))
        found = holds(root)
        if found != expected or root.versions("inbox/"):
            wrong[f"{step}, {steps[step]}"] = differences(found, expected)
        root.forget()
    assert wrong == {}


def landed_in_a_bucket() -> BucketRoot:
    root = BucketRoot()
    for name, text in DROPS.items():
        root.land(name, text)
    return root


def killed_over(name: str, text: str, step: str, folder: Path) -> Scene:
    """Customers and accounts taken, and then a run that died at a step of taking another file."""
    scene = Scene(folder, "watch", "--once")
    land(scene.root, "customers_2024-12-31.csv", CUSTOMERS)
    land(scene.root, "accounts_2025-01-01.csv", f"{ACCOUNTS.splitlines()[0]}\n12,1,5.00,Savings\n")
    assert dropledger(*scene.command) == 0
    land(scene.root, name, text)
    shutil.copytree(scene.root, scene.before)
    steps = steps_of(*scene.command, steps=scene.steps)
    scene.set_up()
    assert dropledger(*scene.command, dies_at=steps.index(step)) == -signal.SIGKILL
    return scene


def test_what_a_killed_run_committed_is_published_whole_before_many_older_files(tmp_path: Path):
    """The claim of the committed drop is taken up behind a batch of others, the first of which publishes it."""
    scene = killed_over("accounts_2026-06-01.csv", ACCOUNTS, "after COMMIT", tmp_path)
    root = scene.root
    committed = tables_of(root, {"drop_ledger": "drop_id, status"})["drop_ledger"]
    [drop_id] = [drop_id for drop_id, status in committed if status == "committed"]
    for day in range(201):
        land(root, f"customers_{date(2025, 1, 1) + timedelta(day)}.csv", CUSTOMERS.replace("Ann", f"Ann {day}"))
    assert dropledger(*scene.command) == 0
    assert (root / "outputs" / "changes" / f"{drop_id}.csv").read_text(encoding="utf-8").count("\n") == 3
    assert (root / "outputs" / "quality_reports" / f"quality_report_{drop_id}.json").exists()


def test_what_a_killed_run_staged_and_did_not_commit_is_forgotten(tmp_path: Path):
    """Taken again with others, the file has no change file of its own: the last of them has that of all."""
    clean = ACCOUNTS.replace("13,2,-1,Savings\n", "")
    scene = killed_over("accounts_2026-01-02.csv", clean, "before COMMIT", tmp_path)
    root = scene.root
    assert len(list((root / "work").glob("*/changes.csv"))) == 1
    for day in range(3, 10):
        land(root, f"accounts_2026-01-{day:02}.csv", clean.replace("100.00", f"{day}.00"))
    assert dropledger(*scene.command) == 0
    ids = {as_of: drop_id for drop_id, as_of in tables_of(root, {"drop_ledger": "drop_id, as_of"})["drop_ledger"]}
    changed = {path.stem for path in (root / "outputs" / "changes").glob("*.csv")}
    assert changed == {ids[min(ids)], ids[max(ids)]}


# Killed while a file has two names: that of its claim, and that by which it is archived


def two_names(root: Path) -> list[Path]:
    """Files of the archive that are still claimed."""
    return [path for path in (root / "archive").rglob("*") if path.is_file() and path.stat().st_nlink == 2]


@pytest.mark.parametrize("step", ["before link", "after link", "before COMMIT", "after COMMIT"])
def test_first_file_of_a_root_is_taken_once_whatever_name_it_has_already(tmp_path: Path, step: str):
    scene = Scene(tmp_path, "watch", "--once")
    land(scene.before, NAMED, CUSTOMERS)
    scene.set_up()
    dropledger(*scene.command)  # fills the cache, so that each run takes the same steps
    scene.set_up()
    steps = steps_of(*scene.command, steps=scene.steps)
    expected = {**tables_of(scene.root), **files_of(scene.root)}
    scene.set_up()
    named = len(steps) - 1 - steps[::-1].index("before link")  # the warehouse gets its name by a link as well, before
    assert dropledger(*scene.command, dies_at=steps.index(step, named)) == -signal.SIGKILL
    assert len(two_names(scene.root)) == (step != "before link")
    assert dropledger("verify", "--root", str(scene.root), "--quiet") in {0, 2}  # 2 where there is no ledger yet
    assert dropledger(*scene.command) == 0
    assert {**tables_of(scene.root), **files_of(scene.root)} == expected
    assert two_names(scene.root) == []


def test_file_that_a_killed_run_named_and_did_not_commit_is_not_in_the_archive(tmp_path: Path):
    scene = killed_over("accounts_2026-06-01.csv", ACCOUNTS, "after link", tmp_path)
    assert len(two_names(scene.root)) == 1
    assert dropledger("verify", "--root", str(scene.root), "--quiet") == 0
    other = str(custom_pipeline(tmp_path / "lending", {"account.yaml": {"files": ["balances*.csv"]}}).folder)
    assert dropledger(*scene.command, "--pipeline", other) == 3
    assert [path.name for path in (scene.root / "quarantine").glob("*.csv")] != []
    assert two_names(scene.root) == []
    assert not list((scene.root / "archive").rglob("*accounts_2026-06-01.csv"))
    assert dropledger("verify", "--root", str(scene.root), "--quiet", "--pipeline", other) == 0


# Killed at any instant, under a stream of drops


@contextmanager
def watching(root: Path) -> Iterator[Child]:
    process = Console(root.parent).start("watch", "--root", root, "--quiet")
    try:
        yield process
    finally:
        process.kill()


def test_killed_at_any_instant_under_a_stream_of_drops(tmp_path: Path):
    undisturbed, root = tmp_path / "undisturbed", tmp_path / "root"
    files = stream()
    landed = []
    with reading(root / "outputs") as read:
        for _ in range(RANDOM_KILLS):
            with watching(root) as process:
                if random.random() < 0.8:  # else it may be killed before it has begun
                    until(lambda pid=process.pid: works(root, pid))
                end = time.monotonic() + random.uniform(0, 1.5)
                while time.monotonic() < end:
                    if len(list((root / "inbox").glob("*"))) < MOST_WAITING:
                        landed.append(next(files))
                        land(root, *landed[-1])
                    time.sleep(random.uniform(0.05, 0.3))
        assert dropledger("watch", "--once", "--root", str(root), "--quiet") in (0, 3)
    for name, text in landed:
        land(undisturbed, name, text)
    assert dropledger("watch", "--once", "--root", str(undisturbed), "--quiet", seconds=3600) == 3
    print(f"\n{RANDOM_KILLS} kills under {len(landed)} files; {read['agreed']} looks at the artifacts")  # seen with -s

    assert tables_of(root, TABLES_OF_A_STREAM) == tables_of(undisturbed, TABLES_OF_A_STREAM)
    assert not list((root / "inbox").iterdir())
    assert [path.name for path in (root / "work").iterdir()] == [".lock"]
    assert sorted(path.name for path in (root / "warehouse").iterdir()) == ["ledger.duckdb"]
    assert_manifest_true(root)
    assert read["wrong"] == []
    assert read["agreed"] > 0
    assert len(read["seen"]["account_summary.csv"]) > 1
    assert all(map(is_whole, read["seen"]["account_summary.csv"]))


def works(root: Path, pid: int) -> bool:
    lock = root / "work" / ".lock"
    return lock.exists() and f"process {pid} " in lock.read_text(encoding="utf-8")


def is_whole(summary: str) -> bool:
    """Whether the accounts are those of one file of the stream, which gives each the same whole part."""
    _, *rows = summary.splitlines()
    return summary.endswith("\n") and len(rows) in {0, 50} and len({row.split(",")[2][:-3] for row in rows}) <= 1
