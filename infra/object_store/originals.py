"""Objects that are named by hand, and stay where they are; they need not lie in the root's bucket."""

import os
from collections.abc import Callable, Collection
from pathlib import Path

from dropledger.core.drop import FileDropped, is_temporary
from dropledger.core.steps.address import nearest_feed
from dropledger.infra.local.private_file import sync
from dropledger.infra.object_store.bucket import Bucket, Gone, with_metadata


def objects_below(bucket: Bucket, feeds: Collection[str]) -> list[FileDropped]:
    """The newest contents of what lies below a bucket's prefix; a folder named like a feed forces it."""
    above = bucket.uri.split("/")[3:][-1:]
    found = []
    for content in bucket.below(""):
        *folders, name = content.name.split("/")
        if content.latest and name and not any(map(is_temporary, (*folders, name))):
            found.append(
                FileDropped(
                    uri=bucket.uri_of(content.name),
                    name=name,
                    modified_at=content.modified_at,
                    feed=nearest_feed((*above, *folders), feeds),
                    keep_original=True,
                    version=content.version,
                )
            )
    return found


def downloaded(bucket_at: Callable[[str], Bucket], dropped: FileDropped, target: Path) -> FileDropped:
    """A `CopySource` for objects, whose buckets `bucket_at` gives by their addresses."""
    scheme, _, name = dropped.uri.partition("://")
    bucket, _, key = name.partition("/")
    beside = target.with_name(f"{target.name}.tmp")
    try:
        metadata = bucket_at(f"{scheme}://{bucket}").get(key, beside, dropped.version)
    except Gone as error:
        raise FileNotFoundError(dropped.uri) from error
    modified = dropped.modified_at.timestamp()
    os.utime(beside, (modified, modified))
    sync(beside)
    beside.replace(target)
    return with_metadata(dropped, metadata)
