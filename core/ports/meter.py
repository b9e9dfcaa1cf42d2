"""Who learns how long work took."""

from collections.abc import Sequence
from typing import Protocol


class Meter(Protocol):
    """Learns how long work took, each time when it is over; it neither waits nor raises. All seconds are of a clock
    that only grows.
    """

    def took(self, feeds: Sequence[str], seconds: float) -> None:
        """Drops of these feeds, each named once for each drop, were taken together: from the first look at their rows
        until their files were in their place.
        """
        ...

    def published(self, seconds: float) -> None:
        """Artifacts were written."""
        ...

    def waited(self, seconds: float) -> None:
        """A root or a warehouse in other hands was waited for."""
        ...


class Unmetered:
    """A `Meter` that forgets what it learns."""

    def took(self, feeds: Sequence[str], seconds: float) -> None:
        """Forget it."""

    def published(self, seconds: float) -> None:
        """Forget it."""

    def waited(self, seconds: float) -> None:
        """Forget it."""
