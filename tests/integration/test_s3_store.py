"""What a bucket has beside a folder: versions, deletions, metadata, and answers that get lost."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BytesIO
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSResponse
from support.buckets import BucketRoot
from support.ledger import SettableClock
from support.template import parameter

from dropledger.core.drop import AsOfSource
from dropledger.core.errors import ConfigurationError, Conflict, Unavailable
from dropledger.infra.aws import bucket as s3_bucket
from dropledger.infra.aws.bucket import S3Bucket
from dropledger.infra.local.inbox import dropped_file
from dropledger.infra.object_store.bucket import Gone
from dropledger.infra.object_store.store import ObjectStore

pytestmark = pytest.mark.slow

TEXT = "CustomerID,Name,HasLoan\n1,Ann,Yes\n"


@pytest.fixture
def root(s3: None) -> BucketRoot:
    return BucketRoot()


@pytest.fixture
def bucket(root: BucketRoot) -> S3Bucket:
    return S3Bucket(root.uri)


@pytest.fixture
def store(bucket: S3Bucket, tmp_path: Path) -> Iterator[ObjectStore]:
    store = ObjectStore(bucket, tmp_path / "machine", SettableClock(), lambda: None)
    with store.exclusive(1):
        yield store


def some_file(folder: Path, text: str = "some text") -> Path:
    path = folder / "some file"
    path.write_text(text, encoding="utf-8")
    return path


# What landed


def test_each_version_of_a_name_is_a_file_of_its_own_the_older_first(root: BucketRoot, store: ObjectStore):
    for number in range(12):
        root.land("a.csv", f"{TEXT}{number}")
    claims = sorted(store.claim(store.arrivals()), key=lambda claim: claim.claim_id)
    assert [claim.path.read_text(encoding="utf-8") for claim in claims] == [f"{TEXT}{number}" for number in range(12)]
    store.release(claims[:5])
    assert len(store.arrivals()) == 7


def test_file_that_its_owner_deleted_is_not_taken(root: BucketRoot, store: ObjectStore):
    root.land("a.csv", TEXT)
    root.delete("inbox/a.csv")
    root.land("b.csv", TEXT)
    assert [fact.name for fact in store.arrivals() if fact.name == "b.csv"] == ["b.csv"]


def test_file_that_lands_again_after_its_deletion_is_taken(root: BucketRoot, store: ObjectStore):
    root.land("a.csv", TEXT)
    root.delete("inbox/a.csv")
    root.land("a.csv", f"{TEXT}2,Bo,No\n")
    assert f"{TEXT}2,Bo,No\n" in [claim.path.read_text(encoding="utf-8") for claim in store.claim(store.arrivals())]


def test_other_content_under_a_name_is_another_file_where_no_versions_are_kept(s3: None, tmp_path: Path):
    root = BucketRoot(keeps_versions=False)
    store = ObjectStore(S3Bucket(root.uri), tmp_path / "machine", SettableClock(), lambda: None)
    with store.exclusive(1):
        root.land("a.csv", TEXT)
        seen = store.arrivals()
        [claim] = store.claim(seen)
        root.land("a.csv", f"{TEXT}2,Bo,No\n")
        assert store.claim(seen) == []
        store.release([claim])
        [left] = store.claim(store.arrivals())
        assert left.path.read_text(encoding="utf-8") == f"{TEXT}2,Bo,No\n"


def test_objects_beside_the_layout_are_left_alone(root: BucketRoot, store: ObjectStore):
    for name in ("inbox/", "inbox/a/b/c.csv", "other/a.csv", "inboxes/a.csv"):
        root.put(name, TEXT)
    assert [fact.name for fact in store.arrivals()] == ["c.csv"]


def test_metadata_tell_the_as_of(root: BucketRoot, store: ObjectStore):
    root.land("customers.csv", TEXT, as_of="2026-02-03T04:05:06+01:00")
    root.land("other customers.csv", TEXT, as_of="yesterday")
    of_one, of_other = store.claim(store.arrivals())
    assert of_one.dropped.metadata_as_of == datetime(2026, 2, 3, 3, 5, 6, tzinfo=UTC)
    assert of_other.dropped.metadata_as_of is None


def test_file_named_by_hand_keeps_its_times_for_whoever_completes_it(store: ObjectStore, tmp_path: Path):
    fact = dropped_file(some_file(tmp_path, TEXT), as_of=datetime(2026, 1, 1, tzinfo=UTC), keep_original=True)
    [claim] = store.claim([fact])
    other = ObjectStore(store._bucket, tmp_path / "other", SettableClock(), lambda: None)
    with other.exclusive(1):
        [again] = other.claim(other.arrivals())
    assert (again.dropped.as_of, again.dropped.modified_at) == (claim.dropped.as_of, fact.modified_at)
    assert AsOfSource.OPTION == "option"


def test_file_named_by_hand_does_not_hide_one_that_waits(s3: None, tmp_path: Path):
    root = BucketRoot(keeps_versions=False)
    root.land("some file", "another")
    store = ObjectStore(S3Bucket(root.uri), tmp_path / "machine", SettableClock(), lambda: None)
    with store.exclusive(1):
        assert store.claim([dropped_file(some_file(tmp_path), keep_original=True)]) == []
        refused = store.refused()
    assert refused is not None
    assert "waits in the inbox" in refused.why
    assert root.read("inbox/some file") == b"another"


def test_staged_files_are_those_of_the_last_attempt(root: BucketRoot, store: ObjectStore):
    root.land("a.csv", TEXT)
    [claim] = store.claim(store.arrivals())
    for name in ("changes.csv", "report.json"):
        store.staged(claim.claim_id, name).write_text("first", encoding="utf-8")
    store.secure([claim])
    store.staged(claim.claim_id, "changes.csv").unlink()
    store.staged(claim.claim_id, "report.json").write_text("second", encoding="utf-8")
    store.secure([claim])
    assert root.versions("work/") == [f"work/{claim.claim_id}/{name}" for name in ("claim.json", "report.json")]
    [again] = store.unfinished()
    assert store.staged(claim.claim_id, "report.json").read_text(encoding="utf-8") == "second"
    store.release([again])
    assert root.versions("work/") == root.versions("inbox/") == []


def test_claim_secured_twice_is_there_where_no_versions_are_kept(s3: None, tmp_path: Path):
    root = BucketRoot(keeps_versions=False)
    root.land("a.csv", TEXT)
    store = ObjectStore(S3Bucket(root.uri), tmp_path / "machine", SettableClock(), lambda: None)
    with store.exclusive(1):
        [claim] = store.claim(store.arrivals())
        store.staged(claim.claim_id, "report.json").write_text("{}", encoding="utf-8")
        for _ in range(2):
            store.secure([claim])
    other = ObjectStore(S3Bucket(root.uri), tmp_path / "another machine", SettableClock(), lambda: None)
    with other.exclusive(1):
        assert [again.claim_id for again in other.unfinished()] == [claim.claim_id]
        assert other.staged(claim.claim_id, "report.json").exists()


def test_rest_of_a_claim_whose_deletion_was_cut_short_goes(root: BucketRoot, store: ObjectStore):
    root.put("work/some-claim/report.json", "{}")
    assert store.unfinished() == []
    assert root.versions("work/") == []


# Conditions


def test_put_in_place_of_what_was_found_and_of_nothing_else(root: BucketRoot, bucket: S3Bucket, tmp_path: Path):
    path = some_file(tmp_path, "mine")
    bucket.put_in_place_of(None, "x", path)
    before = bucket.find("x")
    with pytest.raises(Conflict):
        bucket.put_in_place_of(None, "x", path)
    root.put("x", "theirs")
    with pytest.raises(Conflict):
        bucket.put_in_place_of(before, "x", path)
    assert root.read("x") == b"theirs"
    bucket.put_in_place_of(bucket.find("x"), "x", path)
    before = bucket.find("x")
    root.delete("x")
    with pytest.raises(Conflict):
        bucket.put_in_place_of(before, "x", path)


def test_put_whose_answer_was_lost_is_no_other_process(root: BucketRoot, bucket: S3Bucket, tmp_path: Path):
    """It is sent again, and meets what it wrote itself."""
    sent = lose_the_first_answer(bucket, "PutObject")
    put = bucket.put_in_place_of(None, "x", some_file(tmp_path))
    assert len(sent) == 2
    assert bucket.find("x").etag == put.etag  # type: ignore[union-attr]


def test_large_file_goes_in_parts_and_under_the_same_condition(
    root: BucketRoot, bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(s3_bucket, "_PART_BYTES", 5 << 20)
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (11 << 12))
    put = bucket.put_in_place_of(None, "large", path)
    assert put.etag.endswith('-3"')
    assert root.read("large") == path.read_bytes()
    with pytest.raises(Conflict):
        bucket.put_in_place_of(None, "large", path)
    assert not root.client.list_multipart_uploads(Bucket=root.bucket).get("Uploads")
    bucket.get("large", tmp_path / "back", put.etag)
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that goes up in three parts."""
    monkeypatch.setattr(s3_bucket, "_PART_BYTES", 5 << 20)
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (11 << 12))
    return path


def test_lost_race_is_told_where_it_has_ended_the_upload(root: BucketRoot, bucket: S3Bucket, large: Path):
    """As a bucket may do that refuses the condition: nothing is left to be aborted."""
    root.put("large", "of another")

    def end_it(params: dict[str, Any], **_: object) -> None:
        root.client.abort_multipart_upload(
            Bucket=root.bucket, Key="some/root/large", UploadId=params["query_string"]["uploadId"]
        )

    bucket._client.meta.events.register("before-call.s3.AbortMultipartUpload", end_it)
    with pytest.raises(Conflict):
        bucket.put_in_place_of(None, "large", large)
    assert root.read("large") == b"of another"


def say_that_there_is_no_upload(bucket: S3Bucket, *, from_attempt: int) -> None:
    """Let what completes an upload be answered as S3 does where that is gone, which the emulator does not."""
    attempts = count(1)

    class Body(BytesIO):
        def stream(self) -> Iterator[bytes]:
            yield self.read()

    def answer(**_: object) -> AWSResponse | None:
        if next(attempts) < from_attempt:
            return None
        return AWSResponse("", 404, {}, Body(b"<Error><Code>NoSuchUpload</Code><Message>none</Message></Error>"))

    bucket._client.meta.events.register("before-send.s3.CompleteMultipartUpload", answer)


def lose_the_first_answer(bucket: S3Bucket, operation: str) -> list[str]:
    """Let what the bucket says to the first request of a kind get lost, so that it is sent again; the requests."""
    sent: list[str] = []

    def lost(response: object, **_: object) -> float | None:
        sent.append(operation)
        return 0.0 if len(sent) == 1 else None

    bucket._client.meta.events.register_first(f"needs-retry.s3.{operation}", lost)
    return sent


def test_upload_in_parts_whose_last_answer_was_lost_is_no_other_process(
    root: BucketRoot, bucket: S3Bucket, large: Path
):
    """It is completed again, when there is no such upload any more."""
    sent = lose_the_first_answer(bucket, "CompleteMultipartUpload")
    say_that_there_is_no_upload(bucket, from_attempt=2)
    put = bucket.put_in_place_of(None, "large", large)
    assert len(sent) == 2
    assert bucket.find("large").etag == put.etag  # type: ignore[union-attr]


def test_upload_in_parts_that_is_gone_is_told(bucket: S3Bucket, large: Path):
    say_that_there_is_no_upload(bucket, from_attempt=1)
    with pytest.raises(Unavailable, match="could not be written"):
        bucket.put("large", large)
    with pytest.raises(Conflict):
        bucket.put_in_place_of(None, "large", large)


def test_content_that_was_replaced_is_gone(root: BucketRoot, bucket: S3Bucket, tmp_path: Path):
    root.put("x", "one")
    found = bucket.find("x")
    assert found is not None
    root.put("x", "two")
    with pytest.raises(Gone):
        bucket.get("x", tmp_path / "x", found.etag)
    bucket.get("x", tmp_path / "x", found.version)
    assert (tmp_path / "x").read_bytes() == b"one"


def test_more_objects_than_a_page_has(root: BucketRoot, bucket: S3Bucket):
    def seven(params: dict[str, object], **_: object) -> dict[str, object]:
        return {**params, "MaxKeys": 7}

    bucket._client.meta.events.register("provide-client-params.s3.ListObjectVersions", seven)
    for number in range(30):
        root.put(f"many/{number:02}", "x")
    found = list(bucket.below("many/"))
    assert [one.name for one in found] == [f"many/{number:02}" for number in range(30)]
    bucket.delete([(one.name, one.version) for one in found])
    assert list(bucket.below("many/")) == []


# What is told


def test_bucket_that_is_not_there(s3: None):
    with pytest.raises(ConfigurationError, match="there is no bucket nowhere"):
        S3Bucket("s3://nowhere/root").check()
    with pytest.raises(ConfigurationError, match="names no bucket"):
        S3Bucket("s3://")


def test_nobody_answers(root: BucketRoot, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(s3_bucket, "_ATTEMPTS", 1)
    with pytest.raises(Unavailable, match="cannot be reached"):
        S3Bucket(root.uri).check()


def test_request_that_gets_no_answer_is_sent_again_in_time(root: BucketRoot, monkeypatch: pytest.MonkeyPatch):
    """The server takes the first connection, and says nothing on it."""
    monkeypatch.setattr(s3_bucket, "_READ_SECONDS", 0.2)
    with mute_at_first(urlsplit(os.environ["AWS_ENDPOINT_URL"]).port or 0) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        S3Bucket(root.uri).check()


def test_wait_for_an_answer_ends_before_the_shortest_time_out_of_the_function():
    shortest = min(parameter("Timeout")["AllowedValues"])
    assert shortest > s3_bucket._CONNECT_SECONDS + s3_bucket._READ_SECONDS


@contextmanager
def mute_at_first(port: int) -> Iterator[int]:
    """A port that says nothing on the first connection, and hands on the others to that port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                mute, _ = server.accept()
                with mute:
                    client, _ = server.accept()
                    with client, socket.create_connection(("127.0.0.1", port)) as behind:
                        client.settimeout(10)
                        behind.sendall(client.recv(1 << 16))
                        client.sendall(behind.recv(1 << 16))

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
    thread.join(10)


def test_no_credentials(root: BucketRoot, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with pytest.raises(ConfigurationError, match="credentials"):
        S3Bucket(root.uri).check()


def test_password_in_an_address_is_in_no_error(root: BucketRoot, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://ann:hunter2@127.0.0.1:9")
    monkeypatch.setattr(s3_bucket, "_ATTEMPTS", 1)
    with pytest.raises(Unavailable) as raised:
        S3Bucket(root.uri).check()
    assert "127.0.0.1:9" in raised.value.why
    assert "hunter2" not in str(raised.value)


def test_profile_that_is_not_there(root: BucketRoot, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with pytest.raises(ConfigurationError, match="nobody"):
        S3Bucket(root.uri).check()
