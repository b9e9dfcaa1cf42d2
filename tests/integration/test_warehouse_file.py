"""The local copy of a warehouse that is kept in a bucket: never taken for what it is not."""

import threading
from pathlib import Path

import pytest
from support.buckets import BucketRoot

from dropledger.core.errors import Busy, Conflict
from dropledger.infra.aws.bucket import S3Bucket
from dropledger.infra.object_store.warehouse_file import WarehouseObject

NAME = "warehouse/ledger.duckdb"


@pytest.fixture
def root(s3: None) -> BucketRoot:
    return BucketRoot()


def kept(root: BucketRoot) -> WarehouseObject:
    return WarehouseObject(S3Bucket(root.uri), NAME, wait_seconds=0.2)


def test_copy_that_was_changed_and_not_kept_is_fetched_anew(root: BucketRoot, tmp_path: Path):
    """As a process leaves it that dies between the commit and the end of the upload."""
    root.put(NAME, "committed")
    path = tmp_path / "ledger.duckdb"
    file = kept(root)
    with file.fetched(path, read_only=False):
        file.changing(path)
        path.write_text("changed", encoding="utf-8")
        path.with_name("ledger.duckdb.wal").write_text("log", encoding="utf-8")
    with kept(root).fetched(path, read_only=True):
        assert path.read_text(encoding="utf-8") == "committed"
        assert not path.with_name("ledger.duckdb.wal").exists()


def test_copy_that_was_kept_is_not_fetched_again(root: BucketRoot, tmp_path: Path):
    path = tmp_path / "ledger.duckdb"
    file = kept(root)
    with file.fetched(path, read_only=False):
        assert not path.exists()
        file.changing(path)
        path.write_text("changed", encoding="utf-8")
        file.keep(path)
    assert root.read(NAME) == b"changed"
    path.write_text("as it was left", encoding="utf-8")  # which only who does not fetch it sees
    with kept(root).fetched(path, read_only=True):
        assert path.read_text(encoding="utf-8") == "as it was left"


def test_slower_writer_is_told_and_its_copy_forgotten(root: BucketRoot, tmp_path: Path):
    root.put(NAME, "first")
    path, file = tmp_path / "ledger.duckdb", kept(root)
    with file.fetched(path, read_only=False):
        file.confirm()
        root.put(NAME, "of another")
        with pytest.raises(Conflict):
            file.confirm()
        file.changing(path)
        path.write_text("mine", encoding="utf-8")
        with pytest.raises(Conflict):
            file.keep(path)
    with file.fetched(path, read_only=False):
        assert path.read_text(encoding="utf-8") == "of another"


def test_warehouse_that_was_deleted_is_gone_from_the_cache(root: BucketRoot, tmp_path: Path):
    root.put(NAME, "first")
    path = tmp_path / "ledger.duckdb"
    with kept(root).fetched(path, read_only=True):
        pass
    root.delete(NAME)
    with kept(root).fetched(path, read_only=True):
        assert not path.exists()


def test_readers_share_the_copy_and_a_writer_has_it_alone(root: BucketRoot, tmp_path: Path):
    root.put(NAME, "first")
    path = tmp_path / "ledger.duckdb"
    with kept(root).fetched(path, read_only=True), kept(root).fetched(path, read_only=True):
        with pytest.raises(Busy, match="local copy"), kept(root).fetched(path, read_only=False):
            pass
    with kept(root).fetched(path, read_only=False):
        with pytest.raises(Busy, match="local copy"), kept(root).fetched(path, read_only=True):
            pass


def test_readers_at_once_leave_a_file_and_its_note_of_one_version(
    root: BucketRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The first has downloaded one version when the second finds the next, and goes on when that one is there."""
    root.put(NAME, "first")
    path = tmp_path / "ledger.duckdb"
    downloaded, put, done = threading.Event(), threading.Event(), threading.Event()
    get, write = S3Bucket.get, Path.write_text

    def got(bucket: S3Bucket, name: str, target: Path, version: str | None = None) -> dict[str, str]:
        found = get(bucket, name, target, version)
        if not downloaded.is_set():
            downloaded.set()
            put.wait(1)
        return found

    def written(note: Path, text: str, encoding: str | None = None) -> int:
        if threading.current_thread() is not first:
            put.set()
            done.wait(5)
        return write(note, text, encoding)

    def read() -> None:
        with WarehouseObject(S3Bucket(root.uri), NAME, wait_seconds=10).fetched(path, read_only=True):
            pass

    monkeypatch.setattr(S3Bucket, "get", got)
    monkeypatch.setattr(Path, "write_text", written)
    first, second = threading.Thread(target=read), threading.Thread(target=read)
    first.start()
    downloaded.wait(5)
    root.put(NAME, "second")
    second.start()
    first.join(20)
    done.set()
    second.join(20)
    found = S3Bucket(root.uri).find(NAME)
    assert found is not None
    assert (path.read_text(), path.with_name("ledger.duckdb.etag").read_text()) == ("second", found.etag)
