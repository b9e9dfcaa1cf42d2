"""What a process remembers of a warehouse file, so that it is not asked again with each session."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the tables and views of a file, and of a session's own, what sessions before have found.

    `columns` are those of each with their types, `there` the names of those that the schema has. Whoever opens the
    file forgets all of it where others may have written to it since.
    """

    columns: dict[str, Mapping[str, str]] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)

    def forget(self, name: str) -> None:
        """One is made anew, or goes."""
        self.columns.pop(name, None)
        self.there.discard(name)

    def clear(self) -> None:
        """Any may have become another."""
        self.columns.clear()
        self.there.clear()
