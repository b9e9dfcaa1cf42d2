"""What a process remembers of a schema from one session to the next, as long as nobody else has written to it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

_VERSION_SECONDS = 3600.0
"""So long a version of a table stands for its rows: the platform may make others of the same rows, and in a day or more
remove what belongs to this one alone."""


@dataclass
class Memory:
    """`left_at` is what the table `writer` says as long as no other has written since; without it nothing counts.

    `facts` are what callers have learnt; `tables` are those of the schema; `columns` are of tables and views; `views`
    are those over a table that were made with these columns. `histories_together` is whether the platform tells the
    histories of tables in one statement.
    """

    left_at: datetime | None = None
    facts: set[str] = field(default_factory=set)
    tables: set[str] | None = None
    columns: dict[str, Mapping[str, str]] = field(default_factory=dict)
    views: dict[str, tuple[str, ...]] = field(default_factory=dict)
    histories_together: bool = True
    _versions: dict[str, tuple[int, float]] = field(default_factory=dict)

    def forget(self) -> None:
        """Look at everything anew: another has written, or what was written was undone."""
        self.left_at = None
        self.facts.clear()
        self.forget_relations()

    def forget_relations(self) -> None:
        """There are other tables, or they are others of the same names."""
        self.columns.clear()
        self.views.clear()
        self.forget_tables()

    def forget_tables(self) -> None:
        """There are other tables."""
        self.tables = None
        self._versions.clear()

    def forget_relation(self, name: str) -> None:
        """A table or view is made anew, or gets other columns."""
        self.columns.pop(name, None)
        self.views.pop(name, None)

    def written(self, table: str) -> None:
        """A statement writes to a table."""
        self._versions.pop(table, None)

    def version(self, table: str) -> int | None:
        """A version of a table which has its rows of now, if one was seen lately."""
        version, seen = self._versions.get(table, (None, 0.0))
        return version if seconds() - seen < _VERSION_SECONDS else None

    def saw(self, table: str, version: int) -> None:
        """A table has this version."""
        self._versions[table] = version, seconds()


def seconds() -> float:
    """A clock that counts the time that the machine sleeps too, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
