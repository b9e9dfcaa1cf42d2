"""Objects that are named by hand, and stay where they are; they need not lie in the root's bucket."""

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from core.drop import FileDropped, is_temporary
from infra.private_file import sync
from infra.s3_bucket import AS_OF, Bucket, Gone, moment_in


def objects_below(uri: str, feeds: Collection[str]) -> list[FileDropped]:
    """The newest contents of what lies below `s3://bucket/prefix`; what lies in a folder named like a feed is of it."""
    bucket = Bucket(uri)
    found = []
    for content in bucket.below(""):
        folder, _, name = content.name.rpartition("/")
        feed = folder.rpartition("/")[2]
        if content.latest and name and not is_temporary(name):
            found.append(
                FileDropped(
                    uri=bucket.uri_of(content.name),
                    name=name,
                    modified_at=content.modified_at,
                    feed=feed if feed in feeds else None,
                    keep_original=True,
                    version=content.version,
                )
            )
    return found


def downloaded(dropped: FileDropped, target: Path) -> FileDropped:
    """An `infra.private_file.Original` for objects."""
    name = dropped.uri.removeprefix("s3://")
    bucket, _, key = name.partition("/")
    beside = target.with_name(f"{target.name}.tmp")
    try:
        metadata = Bucket(f"s3://{bucket}").get(key, beside, dropped.version)
    except Gone as error:
        raise FileNotFoundError(dropped.uri) from error
    modified = dropped.modified_at.timestamp()
    os.utime(beside, (modified, modified))
    sync(beside)
    beside.replace(target)
    return replace(dropped, metadata_as_of=moment_in(metadata, AS_OF))
