"""Buckets, and roots in them, by their objects."""

import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import boto3

_numbers = count(1)


class Objects:
    """What lies below a prefix of a bucket, as people see it."""

    def __init__(self, client: Any, bucket: str, prefix: str = "") -> None:
        self.client = client
        self.bucket = bucket
        self._prefix = prefix

    def read(self, name: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=self.bucket, Key=f"{self._prefix}{name}")["Body"].read()
        return body

    def names(self, beginning: str = "") -> list[str]:
        found = self._pages("list_objects_v2", "Contents", f"{self._prefix}{beginning}")
        return sorted(one["Key"].removeprefix(self._prefix) for one in found)

    def _pages(self, operation: str, entries: str, prefix: str = "") -> Iterator[dict[str, Any]]:
        for page in self.client.get_paginator(operation).paginate(Bucket=self.bucket, Prefix=prefix):
            yield from page.get(entries, [])

    def download(self, folder: Path) -> Path:
        """All of it as a local root."""
        for name in self.names():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.read(name))
        return folder


class BucketRoot(Objects):
    """A root in a bucket of its own."""

    def __init__(self, *, keeps_versions: bool = True) -> None:
        super().__init__(boto3.client("s3"), f"bucket-{next(_numbers)}", "some/root/")
        self.client.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": self.client.meta.region_name}
        )
        if keeps_versions:
            self.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/some/root"

    def put(self, name: str, content: str | bytes, **metadata: str) -> None:
        body = content.encode() if isinstance(content, str) else content
        named = {key.replace("_", "-"): value for key, value in metadata.items()}
        self.client.put_object(Bucket=self.bucket, Key=f"some/root/{name}", Body=body, Metadata=named)

    def land(self, name: str, content: str | bytes, **metadata: str) -> None:
        self.put(f"inbox/{name}", content, **metadata)

    def delete(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"some/root/{name}")

    def clear(self) -> None:
        """Leave nothing in the bucket, of no version."""
        for page in self.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket):
            for found in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                self.client.delete_object(Bucket=self.bucket, Key=found["Key"], VersionId=found["VersionId"])

    def forget(self) -> None:
        """Let the emulator forget this bucket and all others, which it keeps in memory."""
        urllib.request.urlopen(f"{self.client.meta.endpoint_url}/moto-api/reset", data=b"").close()

    def versions(self, beginning: str) -> list[str]:
        """The names that begin so, once for each version there is of them."""
        names = [found["Key"].removeprefix("some/root/") for found in self._pages("list_object_versions", "Versions")]
        return sorted(name for name in names if name.startswith(beginning))
