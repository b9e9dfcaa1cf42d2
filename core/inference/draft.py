"""A contract that is being inferred: what each line of it says, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropledger.core.contracts.contract import Column

Entry = str | bool | Sequence[str] | Mapping[str, Any]
"""A value in a YAML file."""


@dataclass(frozen=True, slots=True)
class Said:
    """What an entry says, and what speaks for it."""

    value: Entry
    why: str = ""


@dataclass(slots=True)
class ColumnDraft:
    """A column: its name in history, where files have it (`header` of a table, `path` in a record), and what is known.

    `reading` is how its cells are typed, `entries` are those of the contract beside name, type and rules. `fixed` is
    whether its type does not depend on what its cells hold. `filled` is whether no cell is empty, `values` are the few
    texts that it has, as they are spelled, and `to` is the key of another feed in which all its values are.
    """

    name: str
    header: str | None = None
    path: tuple[str, ...] = ()
    type: str = "text"
    type_why: str = ""
    fixed: bool = False
    optional: str = ""
    reading: Column | None = None
    filled: bool = False
    filled_why: str = ""
    values: tuple[str, ...] | Mapping[str, bool] = ()
    values_why: str = ""
    to: str = ""
    to_why: str = ""

    @property
    def entries(self) -> dict[str, Entry]:
        """What the contract says of how its cells are written."""
        if self.reading is None:
            return {}
        found = {
            "date_format": self.reading.date_format,
            "timestamp_format": self.reading.timestamp_format,
            "decimal_mark": self.reading.decimal_mark,
            "group_mark": self.reading.group_mark,
            "strip": self.reading.strip,
            "negative": self.reading.negative,
        }
        return {name: value for name, value in found.items() if value}


@dataclass(slots=True)
class FeedDraft:
    """A feed: its files, how they are read (`form`, by entry of the contract), its columns, and what its rows are.

    `passed_over` has the headers of columns that are left out, each with the reason; `totals` the cells of the last
    line of its one file, where that is no row. `rows` is how many its files have, `rejected` how many of them its
    contract refuses.
    """

    feed: str
    files: tuple[Path, ...]
    pattern: str
    as_of: Said | None = None
    form: dict[str, Said] = field(default_factory=dict)
    columns: list[ColumnDraft] = field(default_factory=list)
    passed_over: dict[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    key_why: str = ""
    mode: str = "full"
    mode_why: str = ""
    effective: str = ""
    operation: str = ""
    future: str = ""
    totals: tuple[str, ...] | None = None
    rows: int = 0
    looked_at: int = 0
    rejected: int = 0

    def column(self, name: str) -> ColumnDraft:
        """The column of this name."""
        return next(column for column in self.columns if column.name == name)
