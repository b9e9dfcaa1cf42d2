"""A claim takes the file that was seen, whole, or leaves it where it is."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.ledger import Ledger

from core.definition import Pipeline
from core.outcome import Untaken
from core.pace import Pace
from core.pipeline import process
from infra import local_store

NAME = "customers_2026-01-01.csv"
TEXT = "CustomerID,Name,HasLoan\n1,Ann,Yes\n"


def test_claimed_file_outlives_an_inbox_that_vanishes(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    dropped = ledger.put(NAME, TEXT)
    rename = os.rename

    def vanish(source: Path, target: Path) -> None:
        rename(source, target)
        rename(source.parent, ledger.root / "elsewhere")

    monkeypatch.setattr(os, "rename", vanish)
    (outcome,) = ledger.process(dropped)
    assert outcome.rows_accepted == 1


def test_file_that_changed_since_it_was_seen_is_left(ledger: Ledger):
    dropped = ledger.put(NAME, TEXT)
    path = ledger.root / "inbox" / NAME
    path.write_text("CustomerID,Na", encoding="utf-8")
    assert ledger.process(dropped) == []
    assert path.exists()


def test_inbox_that_is_gone_has_no_files(ledger: Ledger):
    dropped = ledger.put(NAME, TEXT)
    (ledger.root / "inbox").rename(ledger.root / "elsewhere")
    assert ledger.runtime.store.claim([dropped]) == []
    assert ledger.runtime.store.arrivals() == []


def other_file_systems(source: Path, target: Path) -> None:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source), None, str(target))


def test_inbox_on_another_file_system(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    dropped = ledger.put(NAME, TEXT)
    monkeypatch.setattr(os, "rename", other_file_systems)
    (outcome,) = ledger.process(dropped)
    assert outcome.rows_accepted == 1
    assert not (ledger.root / "inbox" / NAME).exists()
    assert (ledger.root / outcome.file).read_text(encoding="utf-8") == TEXT


def test_file_that_cannot_be_taken_out_of_the_inbox_is_not_claimed(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    dropped = ledger.put(NAME, TEXT)
    monkeypatch.setattr(os, "rename", other_file_systems)

    unlink = os.unlink

    def refuse(path: Path, **options: int) -> None:
        if str(path).endswith(NAME):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        with pytest.raises(Untaken, match=NAME):
            ledger.process(dropped)
    assert not list((ledger.root / "work").glob("*/"))
    (outcome,) = ledger.process(dropped)
    assert str(outcome.delivered) == "accepted"


def test_copy_on_another_file_system_is_durable_before_the_original_goes(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    done: list[str] = []
    replace, fsync, unlink = os.replace, os.fsync, Path.unlink

    def replaced(source: Path, target: str, **folders: int) -> None:
        if "src_dir_fd" not in folders:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source))
        replace(source, target, **folders)
        done.append("named")

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        done.append("synced")

    def removed(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        done.append("removed")

    original = tmp_path / "some.csv"
    original.write_text(TEXT, encoding="utf-8")
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "unlink", removed)
    ledger.runtime.store.put({"outputs/some.csv": original})
    assert done[done.index("named") :][:3] == ["named", "synced", "removed"]


def test_program_that_opens_its_file_again_while_it_is_looked_at_does_not_end_us(tmp_path: Path):
    """The kernel tells whoever looks by a signal, and that signal ends a process unless it is another one."""
    path = tmp_path / "accounts.csv"
    path.write_text("AccountID\n")
    look = (
        "import sys, time, pathlib; from infra.private_file import written_by_nobody\n"
        "end = time.monotonic() + 2\n"
        "found = set()\n"
        "while time.monotonic() < end: found.add(written_by_nobody(pathlib.Path(sys.argv[1])))\n"
        "print(found)"
    )
    with subprocess.Popen([sys.executable, "-c", look, str(path)], stdout=subprocess.PIPE, text=True) as looking:
        while looking.poll() is None:
            with path.open("a") as file:
                file.write("11\n")
        assert looking.stdout is not None
        assert (looking.returncode, looking.stdout.read().strip()) in {(0, "{False, True}"), (0, "{True, False}")}


def test_copy_of_an_inbox_on_another_file_system_is_durable_before_the_file_goes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    done: list[str] = []
    rename, fsync, unlink = os.rename, os.fsync, Path.unlink

    def renamed(source: Path, target: Path) -> None:
        if ledger.root / "inbox" in Path(source).parents:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source))
        rename(source, target)

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        done.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    def removed(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        done.append(str(path))

    dropped = ledger.put(NAME, TEXT)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", renamed)
        patch.setattr(os, "fsync", synced)
        patch.setattr(Path, "unlink", removed)
        (claim,) = ledger.runtime.store.claim([dropped])
    gone = done.index(dropped.uri)
    assert {str(claim.path.parent), str(ledger.root / "work")} <= set(done[:gone])


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no file system here keeps such a time")
def test_file_of_a_time_that_no_calendar_has_does_not_keep_the_others(lending: Pipeline):
    with TemporaryDirectory(dir="/dev/shm") as folder:
        ledger = Ledger(Path(folder) / "root", lending)
        dropped = ledger.put(NAME, TEXT)
        odd = Path(ledger.put("accounts_2030-01-01.csv", TEXT).uri)
        os.utime(odd, (0, 300_000_000_000))
        assert ledger.runtime.store.arrivals() == [dropped]
        assert [what for what, _ in ledger.runtime.store.problems()] == [
            f"{odd} was changed at a time that no calendar has"
        ]


def test_file_that_cannot_be_taken_does_not_put_off_what_is_to_be_published(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    later = replace(ledger.runtime, pace=Pace(None))
    process(later, [ledger.put(NAME, TEXT)], lambda _: None)
    before = (ledger.root / "outputs/customer_profile.csv").exists()

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(local_store, "make_private", refuse)
        refused = ledger.put("customers_2026-01-02.csv", TEXT)
        for _ in range(2):  # where it lies, and in `work/`
            with pytest.raises(Untaken, match=r"customers_2026-01-02\.csv cannot be taken") as raised:
                ledger.process(refused)
            assert "others" not in raised.value.why
    assert (before, (ledger.root / "outputs/customer_profile.csv").exists()) == (False, True)
    (outcome,) = ledger.process()
    assert outcome.drop.name == refused.name
