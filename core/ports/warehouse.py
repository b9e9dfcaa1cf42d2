"""Where the tables live."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from dropledger.core.ports.session import Session


class Warehouse(Protocol):
    """Where the tables live."""

    @property
    def location(self) -> str:
        """Where it is, as people write it; never a secret."""
        ...

    def exists(self) -> bool:
        """Whether there is anything to open for reading."""
        ...

    def stamp(self) -> str | None:
        """A text that changes whenever somebody has written, found without opening it; None where that is not told."""
        ...

    def size_bytes(self) -> int | None:
        """How large it is; None where that is not told."""
        ...

    def session(self, *, read_only: bool = False) -> AbstractContextManager[Session]:
        """Open the warehouse for as long as the block lasts.

        Raises:
            Busy: another process has it open, and kept it so for the time that one waits.
            Unavailable: it cannot be reached.
        """
        ...

    def confirm(self) -> None:
        """Make sure that it is still as the session at hand has found or left it.

        Raises:
            Conflict: another process has written it since.
        """
        ...

    def staging_copy(self, label: str, *, copied: bool = False) -> "Warehouse":
        """Another warehouse beside this one, empty or with the same content; what a killed process left there goes.

        With `copied` the caller must hold the root, so that nobody writes meanwhile.
        """
        ...

    def at(self, location: str) -> "Warehouse":
        """A warehouse of the same kind elsewhere."""
        ...

    def swap_in(self, rebuilt: "Warehouse", keep_as: str) -> "Warehouse":
        """Let a rebuilt warehouse take this one's place in one step; the one before, kept under the label.

        Raises:
            Conflict: another process has written to this one since the other was made beside it.
            Unavailable: the rebuilt one is not whole.
        """
        ...

    def left_over(self) -> Sequence[str]:
        """Where warehouses aside are that killed processes left."""
        ...

    def remove_left_over(self) -> None:
        """Remove them, as far as nobody can be at work on them; the caller must hold the root."""
        ...

    def remove(self) -> None:
        """Delete the warehouse, if it is there."""
        ...

    def versions(self) -> Sequence[tuple[str, str]]:
        """Names and versions of what it runs on, for reports."""
        ...
