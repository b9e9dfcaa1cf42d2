"""The root: a folder or a bucket."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from dropledger.core.drop import Claim, FileDropped
from dropledger.core.errors import DropledgerError


class ReadStore(Protocol):
    """Files of a root, to be read."""

    def exists(self, name: str) -> bool:
        """Whether `name` is there under the root."""
        ...

    def open(self, name: str) -> BinaryIO:
        """`name` under the root, for reading."""
        ...

    def local_copy(self, name: str) -> Path:
        """A local path with the bytes of `name`, for the engine to read."""
        ...


class DropStore(ReadStore, Protocol):
    """What a drop needs of a root while it is admitted: nothing but its own files is written."""

    def staged(self, claim_id: str, name: str) -> Path:
        """A local place for a file that belongs to a claim, in a folder that is there; it lasts until `release`."""
        ...

    def place(self, claim: Claim, name: str) -> None:
        """Let claimed bytes be read at a name under the root before `keep` moves them there, if that can be.

        What bears the name already stays as it is. `names` does not tell of what was placed until it is kept. After a
        crash the claims of `unfinished` say whether they were placed.
        """
        ...


class Store(DropStore, Protocol):
    """The root: a folder, or a bucket and prefix, with the layout of docs/operating.md."""

    @property
    def root(self) -> str:
        """Where it is, as people write it."""
        ...

    def prepare(self) -> None:
        """Make what the layout needs, if it is not there."""
        ...

    def refuse_unless_there(self) -> None:
        """Stop where there is no root to look at; nothing is made.

        Raises:
            ConfigurationError: there is none.
        """
        ...

    def is_of_root(self, path: Path) -> bool:
        """Whether a local path lies in one of the root's own folders, or is the root itself."""
        ...

    def exclusive(self, wait_seconds: float, *, looking: bool = False) -> AbstractContextManager[None]:
        """Hold the root alone; made if it is not there, unless one is just `looking`.

        The hold ends when the block or the process does, however it ends.

        Raises:
            Busy: somebody else still holds it after `wait_seconds`.
            ConfigurationError: there is no root to look at, or none can be made.
        """
        ...

    @property
    def atomic_uploads(self) -> bool:
        """Whether what lies in the inbox is complete, as objects are; files may still be written to."""
        ...

    def arrivals(self, beginning: str = "") -> list[FileDropped]:
        """What lies in the inbox under names that begin so, temporary names left out, in order of name."""
        ...

    def claim(self, dropped: Sequence[FileDropped]) -> list[Claim]:
        """Take drops into work, each atomically and durably; those that are gone are left out.

        After a crash at any point a file is either where it was or among `unfinished`. A control file is taken with its
        drop, and is left out of the inbox from `release` on, unless it stays its owner's.
        """
        ...

    def unfinished(self) -> list[Claim]:
        """Claims that an earlier process left, oldest first."""
        ...

    def refused(self) -> DropledgerError | None:
        """Why files stayed where they are that `claim` and `unfinished` were to give since this was last asked."""
        ...

    def stuck(self) -> list[tuple[str, str]]:
        """What was claimed or landed and does not go on by itself, each with what to try; for `doctor`."""
        ...

    def claim_ids(self) -> list[str]:
        """The claims that lie in work, at least those that may be committed."""
        ...

    def secure(self, claims: Sequence[Claim]) -> None:
        """Make what is staged for claims survive a crash."""
        ...

    def temporary(self) -> AbstractContextManager[Path]:
        """A local folder for files on their way to `put`; gone when the block ends or, after a crash, at the next
        start.
        """
        ...

    def put(self, files: Mapping[str, Path]) -> None:
        """Move local files to names under the root, in any order: durable, each seen whole or not at all."""
        ...

    def keep(self, claims: Mapping[str, Claim]) -> None:
        """Move claimed bytes to names under the root; a repeated call changes nothing."""
        ...

    def take_back(self, claims: Sequence[Claim]) -> None:
        """Undo `place` for claims that are not to be kept; what else bears such a name stays."""
        ...

    def release(self, claims: Sequence[Claim]) -> None:
        """Forget claims, and what is staged for them."""
        ...

    def remove(self, name: str) -> None:
        """Delete `name` under the root, if it is there."""
        ...

    def backlog(self) -> dict[str, int]:
        """How many files lie in inbox, work and quarantine (reasons and refused rows not counted)."""
        ...

    def quarantined(self) -> list[str]:
        """The names of the refused files (reasons and refused rows left out)."""
        ...

    def problems(self) -> list[tuple[str, str]]:
        """What would keep the root from working, each with what to try; for `doctor`."""
        ...

    def names(self, beginning: str) -> Iterator[str]:
        """The names under the root of the files that lie in the folder `beginning` and below, in any order."""
        ...
