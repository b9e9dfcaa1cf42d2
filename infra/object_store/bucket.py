"""What a root in a bucket asks of the bucket. An adapter is one module, named by its scheme in `handlers.wiring`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from dropledger.core.drop import FileDropped, parse_moment

AS_OF = "as-of"
"""The metadata by which whoever uploads an object says what it is true from."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object as it was found. `version` is its version id, or its quoted ETag where the bucket keeps no versions."""

    name: str
    version: str
    etag: str


@dataclass(frozen=True, slots=True)
class Listed(Found):
    """A version of an object, in a list of all."""

    modified_at: datetime
    latest: bool


class Gone(Exception):
    """There is no such object, or no longer that content under its name."""


class Bucket(Protocol):
    """A part of a bucket: objects by their names below a prefix, with conditions wherever two writers could meet.

    Each method may raise a ConfigurationError, where the bucket is not there or not for these credentials, and
    Unavailable, where no answer comes.
    """

    @property
    def uri(self) -> str:
        """Where it is, as people write it."""
        ...

    def uri_of(self, name: str) -> str:
        """An object's full address."""
        ...

    def check(self) -> None:
        """See whether the bucket can be reached."""
        ...

    def keeps_versions(self) -> bool:
        """Whether earlier contents of an object stay."""
        ...

    def find(self, name: str) -> Found | None:
        """The object, if it is there."""
        ...

    def below(self, beginning: str) -> list[Listed]:
        """All versions of the objects whose names begin so, but for deleted ones; of a name the newest last."""
        ...

    def get(self, name: str, path: Path, version: str | None = None) -> dict[str, str]:
        """Stream an object, or the content of it that `version` tells, into a local file; its metadata.

        Raises:
            Gone: it is not there, or not with that content.
        """
        ...

    def put(self, name: str, path: Path) -> Found:
        """Write an object, whatever was there."""
        ...

    def put_in_place_of(
        self, before: Found | None, name: str, path: Path, metadata: dict[str, str] | None = None
    ) -> Found:
        """Write an object if its name still has what was found there before.

        Raises:
            Conflict: somebody else has written it since.
        """
        ...

    def delete(self, found: Iterable[tuple[str, str | None]]) -> None:
        """Delete objects, or just the contents of them that versions tell; those that are gone are left alone."""
        ...


def moment_in(metadata: Mapping[str, str], name: str) -> datetime | None:
    """A moment that dropledger itself put among an object's metadata; None where there is none, or no moment."""
    try:
        return parse_moment(metadata[name]) if name in metadata else None
    except ValueError:
        return None


def with_metadata(dropped: FileDropped, metadata: Mapping[str, str]) -> FileDropped:
    """The object, told what its uploader's metadata say of its as_of, or that they say something that is no moment."""
    as_of = moment_in(metadata, AS_OF)
    return replace(dropped, metadata_as_of=as_of, metadata_unread=None if as_of else metadata.get(AS_OF))
