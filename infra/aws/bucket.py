"""A bucket of Amazon S3, or of what speaks like it."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from shutil import copyfileobj
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from dropledger.core.errors import ConfigurationError, Conflict, NotInstalled, Unavailable
from dropledger.infra.object_store.bucket import Found, Gone, Listed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK = 1 << 20
_PART_BYTES = 64 << 20
_ATTEMPTS = 5
_CONNECT_SECONDS = 10
_READ_SECONDS = 25  # below the shortest time-out of the function, so that what gets no answer is asked again in time
_PUT_MARK = "dropledger-put"
_MISSING = {"404", "NoSuchKey", "NoSuchVersion", "NoSuchUpload"}
_OVERTAKEN = {"412", "PreconditionFailed", "ConditionalRequestConflict"}
_REFUSED = {
    *("400", "401", "403"),  # a HEAD has no body that would tell more, as of a token that has expired
    *("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "AllAccessDisabled"),
}


class S3Bucket:
    """A `Bucket`: what lies below `s3://bucket/prefix`; all names are relative to that."""

    def __init__(self, uri: str) -> None:
        self.bucket, _, prefix = uri.removeprefix("s3://").strip("/").partition("/")
        if not self.bucket:
            raise ConfigurationError(f"the root {uri} names no bucket", hint="write it like s3://bucket/prefix")
        self._prefix = f"{prefix}/" if prefix else ""

    @property
    def uri(self) -> str:
        """Where it is, as people write it."""
        return f"s3://{self.bucket}/{self._prefix}".rstrip("/")

    def uri_of(self, name: str) -> str:
        """An object's full address."""
        return f"s3://{self.bucket}/{self._prefix}{name}"

    @cached_property
    def _client(self) -> "S3Client":
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise NotInstalled(f"{self.uri} cannot be reached without boto3", "aws") from error
        # boto3 tries again what is worth it (throttling, 5xx, broken connections), with growing pauses.
        config = Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "max_attempts": _ATTEMPTS},
            max_pool_connections=32,
        )
        with _told(self.uri):
            client: S3Client = boto3.client("s3", config=config)
            if "amazonaws" not in client.meta.endpoint_url:  # emulators and other stores know no bucket by host name
                client = boto3.client("s3", config=config.merge(Config(s3={"addressing_style": "path"})))
        return client

    def check(self) -> None:
        """See whether the bucket can be reached.

        Raises:
            ConfigurationError: it is not there, or not for these credentials.
            Unavailable: no answer comes.
        """
        try:
            with _told(self.uri):
                self._client.head_bucket(Bucket=self.bucket)
        except Gone as error:
            raise ConfigurationError(
                f"there is no bucket {self.bucket}", hint="create it first, or correct --root; docs/aws.md shows how"
            ) from error

    def keeps_versions(self) -> bool:
        """Whether earlier contents of an object stay."""
        with _told(self.uri):
            return self._client.get_bucket_versioning(Bucket=self.bucket).get("Status") == "Enabled"

    def find(self, name: str) -> Found | None:
        """The object, if it is there."""
        try:
            head = self._head(name)
        except Gone:
            return None
        return _found(name, head)

    def _head(self, name: str) -> Any:
        with _told(self.uri):
            return self._client.head_object(Bucket=self.bucket, Key=self._prefix + name)

    def below(self, beginning: str) -> list[Listed]:
        """All versions of the objects whose names begin so, but for deleted ones; of a name the newest last."""
        pages = self._client.get_paginator("list_object_versions")
        versions: list[Listed] = []
        deleted: dict[str, datetime] = {}
        with _told(self.uri):
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._prefix + beginning):
                for marker in page.get("DeleteMarkers", []):
                    name = marker["Key"].removeprefix(self._prefix)
                    deleted[name] = max(marker["LastModified"], deleted.get(name, marker["LastModified"]))
                for found in page.get("Versions", []):
                    name = found["Key"].removeprefix(self._prefix)
                    versions.append(
                        Listed(name, _version(found), found["ETag"], found["LastModified"], found["IsLatest"])
                    )
        # Moments here are whole seconds: what was written in the second of a deletion is kept rather than lost.
        there = [found for found in versions if found.name not in deleted or found.modified_at >= deleted[found.name]]
        there.reverse()  # a listing has the newest version of a name first
        return sorted(there, key=lambda found: found.name)

    def get(self, name: str, path: Path, version: str | None = None) -> dict[str, str]:
        """Stream an object, or the content of it that `version` tells, into a local file; its metadata.

        Raises:
            Gone: it is not there, or not with that content.
        """
        from botocore.exceptions import HTTPClientError
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

        asked: dict[str, Any] = {"Bucket": self.bucket, "Key": self._prefix + name}
        if version is not None:
            asked["IfMatch" if version.startswith('"') else "VersionId"] = version
        attempts = Retrying(
            retry=retry_if_exception_type(HTTPClientError),  # a connection that broke after the answer had begun
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            reraise=True,
        )

        def attempt() -> dict[str, str]:
            answer = self._client.get_object(**asked)
            with path.open("wb") as file, answer["Body"] as body:
                copyfileobj(body, file, _CHUNK)
            return answer.get("Metadata", {})

        try:
            with _told(self.uri):
                return attempts(attempt)
        except Conflict as error:
            raise Gone(name) from error

    def put(self, name: str, path: Path) -> Found:
        """Write an object, whatever was there.

        Raises:
            Unavailable: what was uploaded of a large one is gone before all of it was.
        """
        try:
            return self._put(name, path, {}, {})
        except Gone as error:
            raise Unavailable(
                f"{self.uri_of(name)} could not be written", why=_said(error), hint="try again"
            ) from error

    def put_in_place_of(
        self, before: Found | None, name: str, path: Path, metadata: dict[str, str] | None = None
    ) -> Found:
        """Write an object if its name still has what was found there before.

        Raises:
            Conflict: somebody else has written it since.
        """
        condition = {"IfNoneMatch": "*"} if before is None else {"IfMatch": before.etag}
        mark = {_PUT_MARK: uuid4().hex}
        try:
            return self._put(name, path, condition, {**(metadata or {}), **mark})
        except (Conflict, Gone) as error:
            # A request that is sent again, as its answer was lost, meets what it wrote itself.
            with suppress(Gone):
                head = self._head(name)
                if head.get("Metadata", {}).get(_PUT_MARK) == mark[_PUT_MARK]:
                    return _found(name, head)
            raise Conflict(
                f"{self.uri_of(name)} was written by another process", hint="try again when that process is done"
            ) from error

    def _put(self, name: str, path: Path, condition: dict[str, Any], metadata: dict[str, str]) -> Found:
        asked: dict[str, Any] = {"Bucket": self.bucket, "Key": self._prefix + name}
        with _told(self.uri), path.open("rb") as file:
            if path.stat().st_size <= _PART_BYTES:
                answer: Any = self._client.put_object(**asked, **condition, Metadata=metadata, Body=file)
            else:
                answer = self._put_in_parts(asked, condition, metadata, path)
        return _found(name, answer)

    def _put_in_parts(
        self, asked: dict[str, Any], condition: dict[str, Any], metadata: dict[str, str], path: Path
    ) -> Any:
        # boto3's own upload of large files knows no conditions.
        from concurrent.futures import ThreadPoolExecutor

        from botocore.exceptions import BotoCoreError, ClientError
        from s3transfer.utils import ReadFileChunk

        upload = {**asked, "UploadId": self._client.create_multipart_upload(**asked, Metadata=metadata)["UploadId"]}

        def put_part(start: int) -> Any:
            number = start // _PART_BYTES + 1
            with ReadFileChunk.from_filename(str(path), start, _PART_BYTES) as body:  # of which memory has little
                part = self._client.upload_part(**upload, PartNumber=number, Body=cast("Any", body))
            return {"PartNumber": number, "ETag": part["ETag"]}

        try:
            with ThreadPoolExecutor(4) as threads:
                parts = list(threads.map(put_part, range(0, path.stat().st_size, _PART_BYTES)))
            return self._client.complete_multipart_upload(**upload, **condition, MultipartUpload={"Parts": parts})
        except BaseException:
            # A lost race may have ended the upload. What else keeps parts from going, the bucket's lifecycle rule sees
            # to; either would hide why the upload failed.
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**upload)
            raise

    def delete(self, found: Iterable[tuple[str, str | None]]) -> None:
        """Delete objects, or just the contents of them that versions tell; those that are gone are left alone."""
        several: list[Any] = []
        for name, version in found:
            key = self._prefix + name
            if version is not None and version.startswith('"'):
                with suppress(Gone, Conflict), _told(self.uri):
                    self._client.delete_object(Bucket=self.bucket, Key=key, IfMatch=version)
            else:
                several.append({"Key": key, **({} if version is None else {"VersionId": version})})
        for start in range(0, len(several), 1000):
            with _told(self.uri):
                answer = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": several[start : start + 1000], "Quiet": True}
                )
            if answer.get("Errors"):
                first = answer["Errors"][0]
                raise ConfigurationError(
                    f"{self.uri} does not let objects be deleted",
                    why=f"{first.get('Code')}: {first.get('Message')}",
                    hint="allow s3:DeleteObject and s3:DeleteObjectVersion; docs/aws.md lists the permissions",
                )


def _found(name: str, described: Any) -> Found:
    return Found(name, _version(described), described["ETag"])


def _version(described: Any) -> str:
    version = described.get("VersionId")
    return str(version if version and version != "null" else described["ETag"])


def _code(error: Any) -> str:
    return str(error.response["Error"].get("Code"))


def _said(error: Exception) -> str:
    """An error's words, without what stands for user and password in an address."""
    return re.sub(r"//[^/@\s]+@", "//...@", str(error))


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """Let what boto3 raises leave the block as an error that says what to do."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        NoRegionError,
        ParamValidationError,
        ProfileNotFound,
    )

    try:
        yield
    except ClientError as error:
        code, status = _code(error), error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        if code in _MISSING:
            raise Gone(uri) from error
        if code in _OVERTAKEN:
            raise Conflict(f"{uri} was changed by another process", hint="try again when it is done") from error
        if code in _REFUSED or code == "NoSuchBucket":
            raise ConfigurationError(
                f"{uri} cannot be used",
                why=_said(error),
                hint="check the bucket's name, the credentials and their permissions; docs/aws.md lists those",
            ) from error
        if code == "InvalidObjectState":
            hint = "restore it, and keep the inbox out of rules that move objects to colder storage"
            raise ConfigurationError(f"{uri} cannot be read", why=_said(error), hint=hint) from error
        if status >= 500 or code in {"SlowDown", "RequestTimeout", "Throttling"}:
            raise Unavailable(
                f"{uri} does not answer as it should", why=_said(error), hint="try again later"
            ) from error
        raise
    except (NoCredentialsError, NoRegionError, ParamValidationError, ProfileNotFound) as error:
        raise ConfigurationError(
            f"{uri} cannot be used", why=_said(error), hint="configure AWS credentials and region as for the AWS CLI"
        ) from error
    except BotoCoreError as error:
        raise Unavailable(f"{uri} cannot be reached", why=_said(error), hint="try again later") from error
