"""The names that an expression of a query may use: columns of what the query reads, and what it calls its own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from dropledger.core.lineage.made import NOTHING, Made, Rows, because, computed


@dataclass
class Scope:
    """What a SELECT reads, by the names that it gives it, within the query around it.

    `unseen` are sources that just the conditions of their own join may name. `together` are the columns that USING
    makes one of two. `own` is what the SELECT calls its results.
    """

    around: "Scope | None" = None
    sources: dict[str, Rows] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    together: dict[str, Made] = field(default_factory=dict)
    own: dict[str, Made] = field(default_factory=dict)
    windows: dict[str, Callable[[], Made]] = field(default_factory=dict)

    def add(self, name: str, rows: Rows) -> Made:
        """Take a source in, under a name of its own where it was given none; what is not sure then."""
        taken = name in self.sources
        self.sources[f"{name} {len(self.sources)}" if taken or not name else name] = rows
        return because(f"two things that are read are called {name}") if taken else NOTHING

    @property
    def seen(self) -> Mapping[str, Rows]:
        return {name: rows for name, rows in self.sources.items() if name not in self.unseen}

    def column(self, parts: Sequence[str], *, own_first: bool = False) -> Made:
        """What the column with a name of these parts comes from: `t.c`, or `c`, or a field of one; in lower case.

        With `own_first` a name means a result of the SELECT rather than a column of what it reads.
        """
        if own_first and len(parts) == 1 and parts[0] in self.own:
            return self.own[parts[0]]
        found = self._found(parts)
        if found is not None:
            return found
        if len(parts) == 1 and parts[0] in self.own:
            return self.own[parts[0]]
        if self.around is not None:
            return self.around.column(parts)
        return because(f"{'.'.join(parts)} is no column of what is read")

    def _found(self, parts: Sequence[str]) -> Made | None:
        for at in (0, 1):  # t.c, and schema.t.c
            if len(parts) > at + 1 and parts[at] in self.sources:
                return _of(self.sources[parts[at]], parts[at], parts[at + 1])
        found = self._bare(parts[0])
        return computed([found]) if found is not None and len(parts) > 1 else found  # a field of a struct

    def _bare(self, column: str) -> Made | None:
        if column in self.together:
            return self.together[column]
        having = [name for name, rows in self.seen.items() if column in rows.columns]
        hiding = [because(rows.hidden) for rows in self.seen.values() if rows.hidden]
        if len(having) > 1:
            return because(f"{column} may be of {' or '.join(name.strip() for name in having)}")
        if having or hiding:
            return reduce(or_, [*(self.sources[name].columns[column] for name in having), *hiding])
        return self.sources[column].everything if column in self.seen else None

    def star(self, of: str | None = None) -> tuple[dict[str, Made], str]:
        """The columns that `*` or `of.*` stands for, in order, and why there may be more."""
        if of is not None and of not in self.sources:
            if self.around is not None:
                return self.around.star(of)
            return {}, f"{of} is nothing that is read"
        chosen: Iterable[Rows] = self.seen.values() if of is None else [self.sources[of]]
        columns: dict[str, Made] = {}
        hidden = ""
        for rows in chosen:
            hidden = hidden or rows.hidden
            for name, made in rows.columns.items():
                if of is None and name in self.together:
                    columns[name] = self.together[name]
                else:
                    add_column(columns, name, made)
        return columns, hidden

    def merge(self, names: Iterable[str], right: str) -> Made:
        """Make one of each two columns that USING names, of `right` and of what was read before; what that decides."""
        decided = NOTHING
        for name in names:
            left = self.together.get(name)
            if left is None:
                left = Scope(sources={n: rows for n, rows in self.seen.items() if n != right}).column([name])
            both = left | _of(self.sources[right], right, name)
            self.together[name] = both
            decided |= both.deciding("join")
        return decided


def _of(rows: Rows, name: str, column: str) -> Made:
    if column in rows.columns:
        return rows.columns[column]
    return because(rows.hidden or f"{column} is no column of {name.strip()}")


def add_column(columns: dict[str, Made], name: str, made: Made) -> None:
    """Let a result have a column more; two of one name are told, as engines differ in what they call the second."""
    if name in columns:
        made = columns[name] | made | because(f"two columns are called {name}")
    columns[name] = made
