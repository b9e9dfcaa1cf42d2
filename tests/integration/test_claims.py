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

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import Claim
from dropledger.core.ingest.run import process
from dropledger.core.ledger.outcome import PartialFailure
from dropledger.core.publish_throttle import PublishThrottle
from dropledger.infra.local import claims as local_claims
from dropledger.infra.local.inbox import dropped_file

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
        with pytest.raises(PartialFailure, match=NAME):
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


@pytest.mark.slow
def test_program_that_opens_its_file_again_while_it_is_looked_at_does_not_end_us(tmp_path: Path):
    """The kernel tells whoever looks by a signal, and that signal ends a process unless it is another one."""
    path = tmp_path / "accounts.csv"
    path.write_text("AccountID\n")
    look = (
        "import sys, time, pathlib; from dropledger.infra.local.private_file import written_by_nobody\n"
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
    later = replace(ledger.runtime, throttle=PublishThrottle(None))
    process(later, [ledger.put(NAME, TEXT)], lambda _: None)
    before = (ledger.root / "outputs/customer_profile.csv").exists()

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(local_claims, "make_private", refuse)
        refused = ledger.put("customers_2026-01-02.csv", TEXT)
        for _ in range(2):  # where it lies, and in `work/`
            with pytest.raises(PartialFailure, match=r"customers_2026-01-02\.csv cannot be taken") as raised:
                ledger.process(refused)
            assert "others" not in raised.value.why
    assert (before, (ledger.root / "outputs/customer_profile.csv").exists()) == (False, True)
    (outcome,) = ledger.process()
    assert outcome.drop.name == refused.name


def texts_of(claims: list[Claim]) -> dict[str, str]:
    return {claim.dropped.name: claim.path.read_text(encoding="utf-8") for claim in claims}


def files(*numbers: int) -> dict[str, str]:
    return {f"customers_2026-01-0{number}.csv": TEXT.replace("Ann", f"Ann {number}") for number in numbers}


def claimed_together(ledger: Ledger, *numbers: int) -> list[Claim]:
    return ledger.runtime.store.claim([ledger.put(name, text) for name, text in files(*numbers).items()])


def test_files_that_are_claimed_together_share_a_folder_and_its_journal(ledger: Ledger):
    """For each small file a folder and a `claim.json` of its own took nearly half of the time."""
    store = ledger.runtime.store
    claims = claimed_together(ledger, 1, 2, 3)
    (folder,) = (ledger.root / "work").glob("*/")
    assert len([*folder.iterdir()]) == len(claims) + 1
    assert store.backlog()["work"] == 3
    assert [what for what, _ in store.stuck()] == ["3 claims are unfinished"]
    assert texts_of(store.unfinished()) == texts_of(claims) == files(1, 2, 3)


def test_what_is_staged_for_one_of_some_claims_stays_apart_until_its_release(ledger: Ledger):
    store = ledger.runtime.store
    first, second, third = claimed_together(ledger, 1, 2, 3)
    for claim in (first, second):
        store.staged(claim.claim_id, "quality_report.json").write_text(claim.claim_id, encoding="utf-8")
    store.secure([first, second])
    store.release([first])
    assert not store.staged(first.claim_id, "quality_report.json").exists()
    assert store.staged(second.claim_id, "quality_report.json").read_text(encoding="utf-8") == second.claim_id
    assert texts_of(store.unfinished()) == files(2, 3)
    store.release([second, third])
    assert not list((ledger.root / "work").iterdir())


def test_claims_of_an_earlier_version_are_resumed_beside_those_of_now(ledger: Ledger):
    """That made a folder for each."""
    earlier = ledger.root / "work" / "20251231T000000000000-abcd1234"
    earlier.mkdir()
    (earlier / "content").write_text(TEXT, encoding="utf-8")
    (earlier / "claim.json").write_text(
        '{"uri": "/in/customers_2025-12-31.csv", "name": "customers_2025-12-31.csv", "feed": null, "version": null, '
        '"metadata_unread": null, "feed_if_known": false, "modified_at": "2025-12-31T10:00:00Z", "as_of": null, '
        '"metadata_as_of": null}'
    )
    claimed_together(ledger, 1, 2)
    outcomes = ledger.process()
    assert [(outcome.drop.name, str(outcome.delivered)) for outcome in outcomes] == [
        (name, "accepted") for name in ("customers_2025-12-31.csv", *files(1, 2))
    ]
    assert [path.name for path in (ledger.root / "work").iterdir()] == [".lock"]


def test_claims_that_their_journal_does_not_tell_of_any_more_are_set_apart_and_the_others_taken(ledger: Ledger):
    claims = claimed_together(ledger, 1, 2, 3)
    (journal,) = (ledger.root / "work").glob("*/claim.json")
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:2]))
    outcomes = ledger.process()
    assert {(outcome.drop.name, str(outcome.delivered)) for outcome in outcomes} == {
        *((name, "accepted") for name in files(1, 2)),
        (claims[2].claim_id, "quarantined"),
    }
    assert (ledger.root / "quarantine" / claims[2].claim_id).read_text() == files(3)["customers_2026-01-03.csv"]


def test_half_a_copy_goes_when_those_beside_it_are_taken(ledger: Ledger, tmp_path: Path):
    """A process that copied files died when one of them was claimed, and another was not."""
    store = ledger.runtime.store
    path = tmp_path / NAME
    path.write_text(TEXT, encoding="utf-8")
    first, second = store.claim([dropped_file(path, keep_original=True)] * 2)
    half = second.path.rename(second.path.with_name(second.path.name.replace("content", "copy.tmp")))
    assert [claim.claim_id for claim in store.unfinished()] == [first.claim_id]
    assert not half.exists()
