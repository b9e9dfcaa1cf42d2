"""A full disk, a folder that cannot be written to, an inbox that vanishes, a write-ahead log left by a kill.

Each ends in the tables, files and artifacts of an undisturbed run, and is told clearly while it lasts.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.comparison import assert_manifest_true, differences, files_of, land, tables_of
from support.console import ACCOUNTS, CUSTOMERS, Console, Done, environment, holds_for
from support.crash import dropledger, steps_of
from support.forks import SCRIPT

pytestmark = pytest.mark.slow

DISK = 16 << 20


def accounts(cents: str) -> str:
    rows = "".join(f"{key},{1 + key % 2},{key}.{cents},Savings\n" for key in range(5000))
    return f"AccountID,CustomerID,Balance,AccountType\n{rows}x,1,1,Savings\n"


BEFORE = {"customers_2026-01-01.csv": CUSTOMERS, "accounts_2026-01-01.csv": accounts("25")}
DROPS = {
    "accounts_2026-01-02.csv": accounts("50"),
    "accounts_2026-01-02 again.csv": accounts("50"),
    "accounts_2026-01-03.csv": "AccountID\n1\n",
    "customers_2026-01-02.csv": CUSTOMERS.replace("Jonas", "Joonas"),
}


def once(root: Path) -> Done:
    return Console(root.parent).run("watch", "--once", "--quiet", "--root", root)


def once_with_files_of_at_most(limit: int, root: Path) -> Done:
    command = [str(SCRIPT), "watch", "--once", "--quiet", "--root", str(root)]
    limited = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=60, check=False, preexec_fn=limited)
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def told(done: Done) -> str:
    """What the command said of its error."""
    assert "Traceback" not in done.err
    return done.err[done.err.index("Error: ") :]


class Scene:
    """A root with files taken and files that wait, and what it holds when those are taken undisturbed."""

    def __init__(self, folder: Path) -> None:
        self.root, self._before = folder / "root", folder / "before"
        for name, text in BEFORE.items():
            land(self.root, name, text)
        self.complete()
        for name, text in DROPS.items():
            land(self.root, name, text)
        shutil.copytree(self.root, self._before)
        self.complete()
        self._expected = self._content()

    def set_up(self) -> None:
        for path in self.root.iterdir():
            shutil.rmtree(path)
        shutil.copytree(self._before, self.root, dirs_exist_ok=True)

    def complete(self) -> None:
        assert dropledger("watch", "--once", "--quiet", "--root", str(self.root)) in {0, 3}

    def _content(self) -> dict[str, Any]:
        return {**tables_of(self.root), **files_of(self.root)}

    def assert_undisturbed(self) -> None:
        assert differences(self._content(), self._expected) == {}
        assert_manifest_true(self.root)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def scene(built: Scene) -> Scene:
    built.set_up()
    return built


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@contextmanager
def mounted(folder: Path, *arguments: object) -> Iterator[Path]:
    """Something mounted at the folder while the block lasts."""
    folder.mkdir(exist_ok=True)
    try:
        mount(*arguments, folder)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"mounting takes a right that this user or container lacks: {error}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


# A full disk


@contextmanager
def filled(disk: Path, free: int) -> Iterator[None]:
    """So many bytes are free on the disk, while the block lasts."""
    found = os.statvfs(disk)
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - free)
    yield
    ballast.unlink()


@pytest.mark.parametrize("free", [700_000, 0, 100_000, 1_400_000, 1_600_000, 1_700_000, 1_800_000, 1_900_000])
def test_full_disk_is_told_and_all_goes_on_when_there_is_room(scene: Scene, free: int):
    with mounted(scene.root, "-t", "tmpfs", "-o", f"size={2 * DISK}", "none") as disk:
        scene.set_up()
        with filled(disk, free):
            for _ in range(2):  # a try on the full disk makes nothing worse
                done = once(scene.root)
                assert (done.code, done.out) == (4, "") or free > 1_500_000
                assert done.code != 4 or "disk space" in told(done)
        scene.complete()
        scene.assert_undisturbed()


@pytest.mark.parametrize("limit", [700_000, 100, 16_000, 300_000, 800_000])
def test_limit_on_the_size_of_files_is_told_and_all_goes_on_without_it(
    scene: Scene, limit: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # what was run could not be written down either
    done = once_with_files_of_at_most(limit, scene.root)
    assert (done.code, done.out) == (4, "")
    assert "disk space" in told(done)
    scene.complete()
    scene.assert_undisturbed()


def test_file_processed_by_hand_stays_where_it_is_when_the_disk_is_full(tmp_path: Path):
    console = Console(tmp_path)
    path = console.file("accounts_2026-01-01.csv", accounts("25"))
    with mounted(tmp_path / "ledger", "-t", "tmpfs", "-o", f"size={DISK}", "none"):
        assert console.run("process", console.file("customers_2026-01-01.csv", CUSTOMERS)).code == 0
        with filled(console.root, 100_000):
            done = console.run("process", path)
            assert done.code == 4
            assert "Try: free disk space" in told(done)
            assert not list((console.root / "work").glob("*/"))  # half a copy would take what room there is
        assert console.run("process", path, "--json").json["outcomes"][0]["outcome"] == "accepted"


@pytest.mark.parametrize("free", [4096, 8192, 13_000, 20_000])
def test_warehouse_that_there_was_no_room_to_make_is_made_when_there_is(tmp_path: Path, free: int):
    console = Console(
        tmp_path, {"XDG_CACHE_HOME": "/proc/none"}
    )  # else it begins as a copy, which is whole or not there
    path = console.file("customers_2026-01-01.csv", CUSTOMERS)
    with mounted(tmp_path / "ledger", "-t", "tmpfs", "-o", f"size={DISK}", "none"):
        with filled(console.root, free):
            assert [console.run("process", path).code for _ in range(2)] == [4, 4]
        assert console.run("status").code == 0
        assert console.run("process", path, "--json").json["outcomes"][0]["outcome"] == "accepted"


def test_watch_goes_on_when_there_is_room_on_the_disk_again(tmp_path: Path):
    console = Console(tmp_path)
    with mounted(tmp_path / "ledger", "-t", "tmpfs", "-o", f"size={DISK}", "none"), console.watch() as watching:
        with filled(console.root, 20_000):
            (console.root / "inbox" / "customers_2026-01-01.csv").write_text(CUSTOMERS)
            watching.logged("unavailable")
        assert watching.line("customers_2026-01-01.csv")["event"] == "accepted"
        assert [line["event"] for line in watching.lines].count("unavailable") == 1


# A folder that cannot be written to


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nobody can write to the folder, the superuser included, while the block lasts."""
    if os.geteuid():
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    with mounted(folder, "--bind", folder):
        mount("-o", "remount,bind,ro", folder)
        yield


@contextmanager
def replaced_by_a_file(folder: Path) -> Iterator[None]:
    aside = folder.rename(folder.with_name("aside"))
    folder.write_text("in the way", encoding="utf-8")
    yield
    folder.unlink()
    aside.rename(folder)


@pytest.mark.parametrize("folder", ["outputs", "archive", "warehouse", "inbox"])
def test_read_only_folder_is_told_and_all_goes_on_when_it_can_be_written_to(scene: Scene, folder: str):
    with read_only(scene.root / folder):
        for _ in range(2):
            done = once(scene.root)
            assert (done.code, done.out) == (4, "")
            assert "Try: " in told(done)
            assert folder in told(done)
    scene.complete()
    scene.assert_undisturbed()


@pytest.mark.parametrize("folder", ["outputs", "outputs/changes"])
def test_file_in_the_place_of_a_folder_is_told(scene: Scene, folder: str):
    with replaced_by_a_file(scene.root / folder):
        done = once(scene.root)
        assert done.code == 2
        assert folder in told(done)
    scene.complete()
    scene.assert_undisturbed()


def test_file_in_the_place_of_a_folder_of_the_archive_is_told_with_the_files_that_go_there(scene: Scene):
    with replaced_by_a_file(scene.root / "archive" / "account"):
        done = once(scene.root)
        assert done.code == 2
        failed = [json.loads(line) for line in done.err.splitlines() if '"failed"' in line]
        assert failed
        assert all("archive/account" in line["what"] and line["name"].startswith("accounts") for line in failed)
    scene.complete()
    scene.assert_undisturbed()


# An inbox that vanishes


def removed(inbox: Path) -> None:
    inbox.rmdir()
    assert holds_for(0.5, lambda: not inbox.exists())
    inbox.mkdir()


def replaced_at_once(inbox: Path) -> None:
    inbox.rename(inbox.with_name("elsewhere"))
    inbox.mkdir()


def moved_away_and_back(inbox: Path) -> None:
    away = inbox.rename(inbox.parents[1] / "away")
    assert holds_for(0.5, lambda: not inbox.exists())
    (away / "customers_2026-01-02.csv").write_text(CUSTOMERS.replace("Jonas", "Joonas"))
    away.rename(inbox)


@pytest.mark.parametrize("vanish", [moved_away_and_back, removed, replaced_at_once])
def test_watch_goes_on_with_an_inbox_that_came_back(tmp_path: Path, vanish: Callable[[Path], None]):
    console = Console(tmp_path)
    with console.watch() as watching:
        (watching.inbox / "customers_2026-01-01.csv").write_text(CUSTOMERS)
        watching.line("customers_2026-01-01.csv")
        assert holds_for(1, lambda: True)  # so that files are taken by their events alone
        vanish(watching.inbox)
        for path in watching.inbox.iterdir():  # what it brought along
            watching.line(path.name, 10)
        assert holds_for(1.5, lambda: True)
        with (watching.inbox / "accounts_2026-01-02.csv").open("w") as file:
            file.write(ACCOUNTS)
            file.flush()
            assert holds_for(1.5, (watching.inbox / "accounts_2026-01-02.csv").exists)
        assert watching.line("accounts_2026-01-02.csv", 10)["event"] == "accepted"
        assert watching.stop(signal.SIGTERM) == 0


def test_watch_tells_that_the_inbox_is_gone_and_back(tmp_path: Path):
    with Console(tmp_path).watch() as watching:
        watching.inbox.rmdir()
        watching.logged("inbox_gone")
        assert holds_for(1.5, lambda: not watching.inbox.exists())
        watching.inbox.mkdir()
        watching.logged("inbox_back")
    assert [line["event"] for line in watching.lines] == ["watching", "inbox_gone", "inbox_back"]


# A write-ahead log left by a kill


def test_write_ahead_log_left_by_a_kill_is_read_by_whoever_comes_next(tmp_path: Path):
    root, steps = tmp_path / "root", tmp_path / "steps.json"
    take = ("watch", "--once", "--quiet", "--root", str(root))
    for name, text in BEFORE.items():
        land(root, name, text)
    before = shutil.copytree(root, tmp_path / "before")
    names = steps_of(*take, steps=steps)
    expected = {**tables_of(root), **files_of(root)}
    log = root / "warehouse" / "ledger.duckdb.wal"
    committed = max(place for place, name in enumerate(names) if name == "after COMMIT")
    shutil.rmtree(root)
    shutil.copytree(before, root)
    assert dropledger(*take, dies_at=committed) == -signal.SIGKILL
    assert log.stat().st_size > 0

    console = Console(tmp_path)
    status = console.run("status", "--json", "--root", root).json
    assert status["drops"] == {"published": 2}
    assert status["marts"]["account_summary"] == 5000
    another = console.file("customers_2026-01-01.csv", CUSTOMERS)
    outcomes = console.run("process", another, "--json", "--root", root).json["outcomes"]
    assert sorted(outcome["outcome"] for outcome in outcomes if not outcome["resumed"]) == ["duplicate"]
    assert not log.exists()
    found = {**tables_of(root), **files_of(root)}
    assert set(differences(found, expected)) == {"delivery"}
