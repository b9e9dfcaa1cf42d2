"""Files that change while they are taken, or that others have by a handle or a name of their own."""

import hashlib
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.ledger import Ledger

from dropledger.core.ledger.outcome import PartialFailure
from dropledger.core.operations.verify import verify
from dropledger.infra.local import private_file
from dropledger.infra.local.inbox import dropped_file

pytestmark = pytest.mark.slow

ACCOUNTS = b"AccountID,CustomerID,Balance,AccountType\n11,1,100.00,Savings\n"


@contextmanager
def written_to_all_along(path: Path) -> Iterator[None]:
    """A program that adds a row, through a handle from before, whenever the file is copied."""
    copyfile = shutil.copyfile
    numbers = itertools.count(100)

    def copy_meanwhile(source: Path, target: Path) -> None:
        copyfile(source, target)
        handle.write(b"%d,1,1.00,Savings\n" % next(numbers))

    with path.open("ab", buffering=0) as handle, pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "copyfile", copy_meanwhile)
        patch.setattr(private_file, "_PATIENCE_SECONDS", 0.2)
        yield


def assert_archived_as_it_was_read(ledger: Ledger) -> None:
    (archived,) = [path for path in (ledger.root / "archive").rglob("*") if path.is_file()]
    content = archived.read_bytes()
    assert ledger.rows("SELECT sha256, size_bytes FROM drop_ledger") == [
        (hashlib.sha256(content).hexdigest(), len(content))
    ]
    assert ledger.rows("SELECT count(*) FROM history_account") == [(content.count(b"\n") - 1,)]
    assert verify(ledger.runtime, lambda *_: None).differences == ()


def test_writer_who_keeps_a_file_open_changes_nothing_that_was_taken(ledger: Ledger):
    fact = ledger.put("accounts_2026-01-01.csv", ACCOUNTS)
    with Path(fact.uri).open("ab", buffering=0) as handle:
        (claim,) = ledger.runtime.store.claim([fact])
        handle.write(b"12,1,1.00,Savings\n")
        assert claim.path.read_bytes() == ACCOUNTS
        (outcome,) = ledger.process()
        handle.write(b"13,1,1.00,Savings\n")

    assert outcome.rows_accepted == 1
    assert_archived_as_it_was_read(ledger)


def test_other_name_of_a_dropped_file_leads_elsewhere(ledger: Ledger, tmp_path: Path):
    export = tmp_path / "export.csv"
    export.write_bytes(ACCOUNTS)
    os.link(export, ledger.root / "inbox" / "accounts_2026-01-01.csv")

    (outcome,) = ledger.process(*ledger.runtime.store.arrivals())
    export.write_bytes(b"the export of the next day, written into the same file")

    assert outcome.rows_accepted == 1
    assert_archived_as_it_was_read(ledger)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_owner_of_a_dropped_file_owns_nothing_in_the_archive(ledger: Ledger):
    fact = ledger.put("accounts_2026-01-01.csv", ACCOUNTS)
    os.chown(fact.uri, 54321, 54321)

    (outcome,) = ledger.process(fact)

    archived = (ledger.root / outcome.file).stat()
    assert (archived.st_uid, archived.st_mode & 0o022) == (os.geteuid(), 0)


def test_file_that_keeps_changing_in_the_inbox_is_taken_when_it_holds_still(ledger: Ledger):
    fact = ledger.put("accounts_2026-01-01.csv", ACCOUNTS)

    with written_to_all_along(Path(fact.uri)), pytest.raises(PartialFailure, match="changes while it is copied"):
        ledger.process(fact)
    assert ledger.rows("SELECT 1 FROM drop_ledger") == []
    ((content,),) = [list(path.glob("content*")) for path in (ledger.root / "work").iterdir() if path.is_dir()]
    written = content.read_bytes().splitlines()[1:]

    (outcome,) = ledger.process()

    assert outcome.rows_accepted == len(written) > 1
    assert_archived_as_it_was_read(ledger)
    assert [path.name for path in (ledger.root / "work").iterdir()] == [".lock"]


def test_file_named_by_hand_that_keeps_changing_is_not_taken(ledger: Ledger, tmp_path: Path):
    path = tmp_path / "accounts_2026-01-01.csv"
    path.write_bytes(ACCOUNTS)
    fact = dropped_file(path, keep_original=True)

    with written_to_all_along(path), pytest.raises(PartialFailure):
        ledger.process(fact)

    assert [path.name for path in (ledger.root / "work").iterdir()] == [".lock"]
    assert ledger.process(fact)[0].rows_accepted == len(path.read_bytes().splitlines()) - 1
    assert_archived_as_it_was_read(ledger)


def test_file_that_takes_the_place_of_one_that_landed_lands_for_itself(ledger: Ledger):
    fact = ledger.put("accounts.csv", ACCOUNTS)
    path = Path(fact.uri)
    other = path.with_name("other.tmp")
    other.write_bytes(ACCOUNTS.replace(b"100.00", b"200.00"))
    os.utime(other, (1_767_225_600, 1_767_225_600))  # 2026-01-01
    other.replace(path)

    assert ledger.process(fact) == []  # it may still be written to: it lands when it holds still
    (outcome,) = ledger.process(dropped_file(path))

    assert f"{outcome.drop.as_of.moment:%Y-%m-%d}" == "2026-01-01"
    assert ledger.table("history_account", "balance") == [(200,)]


def test_link_that_takes_the_place_of_a_file_that_landed_is_left_where_it_is(ledger: Ledger, tmp_path: Path):
    secret = tmp_path / "secret.csv"
    secret.write_bytes(ACCOUNTS)
    fact = ledger.put("accounts_2026-01-01.csv", ACCOUNTS)
    Path(fact.uri).unlink()
    Path(fact.uri).symlink_to(secret)

    assert ledger.process(fact) == []

    assert Path(fact.uri).is_symlink()
    assert [path.name for path in (ledger.root / "work").iterdir()] == [".lock"]
