"""What a column is made of, and what decides about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple


class Ref(NamedTuple):
    """A column of a table or view."""

    table: str
    column: str


@dataclass(frozen=True, slots=True)
class Made:
    """What a value comes from.

    `direct` are the columns that it is made of. `indirect` are those that decide about it, each with how: `where`,
    `join`, `group`, `having`, `qualify`, `window`, `order`, `case`, `exists`, `distinct`, `set`; and what dropledger
    does by itself: `rule` (whether a row is accepted), `version` (whether a version is opened or closed). `same_as` is
    the column that it is an unchanged copy of, if it is one. `unsure` are reasons why this may not be all.
    """

    direct: frozenset[Ref] = frozenset()
    indirect: frozenset[tuple[Ref, str]] = frozenset()
    unsure: frozenset[str] = frozenset()
    same_as: Ref | None = None

    def __or__(self, other: "Made") -> "Made":
        return Made(
            self.direct | other.direct,
            self.indirect | other.indirect,
            self.unsure | other.unsure,
            self.same_as if self.same_as == other.same_as else None,
        )

    def decided_by(self, other: "Made") -> "Made":
        """The same value, where something more decides about it."""
        return replace(self, indirect=self.indirect | other.indirect, unsure=self.unsure | other.unsure)

    def deciding(self, how: str) -> "Made":
        """What depends on this value without being made of it."""
        return Made(indirect=self.indirect | {(ref, how) for ref in self.direct}, unsure=self.unsure)


NOTHING = Made()


def copy_of(table: str, column: str) -> Made:
    """An unchanged copy of a column."""
    ref = Ref(table, column)
    return Made(frozenset({ref}), same_as=ref)


def because(reason: str) -> Made:
    """What nobody is sure of."""
    return Made(unsure=frozenset({reason}))


def computed(parts: Iterable[Made]) -> Made:
    """What is computed of several values, or of one."""
    found = NOTHING
    for part in parts:
        found |= part
    return replace(found, same_as=None)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a query, table or view.

    `columns` in order, each with what it comes from, but for `decided`, which decides about all rows. `hidden` says why
    there may be columns more.
    """

    columns: Mapping[str, Made] = field(default_factory=dict)
    decided: Made = NOTHING
    hidden: str = ""

    def whole(self, column: str) -> Made:
        """A column with all that decides about it."""
        return self.columns[column].decided_by(self.decided)

    @property
    def everything(self) -> Made:
        """What all columns come from together."""
        reasons = because(self.hidden) if self.hidden else NOTHING
        return computed([*self.columns.values(), reasons])


def rows_of(table: str, columns: Iterable[str], hidden: str = "") -> Rows:
    """A table or view with its columns, as others read it."""
    return Rows({name: copy_of(table, name) for name in columns}, hidden=hidden)
