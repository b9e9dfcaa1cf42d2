"""A warehouse file that is kept elsewhere."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class RemoteFile(Protocol):
    """Keeps a warehouse file elsewhere; what is at a local path is a copy to work on."""

    @property
    def location(self) -> str:
        """Where the file is kept, as people write it."""
        ...

    def exists(self) -> bool:
        """Whether there is anything to fetch."""
        ...

    def fetched(self, path: Path, *, read_only: bool) -> AbstractContextManager[None]:
        """Have the newest file at the path, if there is any, and nobody else write there, for as long as the block."""
        ...

    def changing(self, path: Path) -> None:
        """The copy is about to become another file than the one that is kept."""
        ...

    def keep(self, path: Path) -> None:
        """Put the copy in place of the file that was fetched.

        Raises:
            Conflict: another process was first; the copy does not count.
        """
        ...

    def confirm(self) -> None:
        """Make sure that what is kept is what was fetched or put there last.

        Raises:
            Conflict: another process has written it since.
        """
        ...
