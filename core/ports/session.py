"""An open warehouse, and how a file is read into it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dropledger.core.compression import Compression
from dropledger.core.ports.capabilities import Capabilities

if TYPE_CHECKING:
    from dropledger.core.ports.warehouse import Warehouse


Parameters = Mapping[str, Any]


Matches = Callable[[str, str], bool]
"""Whether a pattern is found in a text, as the engine has it; a ValueError says why the pattern is none."""


Place = int | tuple[int, ...]
"""Where a column's cell stands in a row, or those of several that make it together."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a delimited file is read: `positions` maps column names to 0-based places, of `width`;
    None for a column that the file may lack, and does. Cells of several places are one, joined by blanks.

    A row has `row_cells` cells, or `width` and more where that is None; those behind `width` must be empty.
    `physical_lines` counts the file's lines, the header included; `lines_end_alike` is whether all end the same way,
    `plainly_quoted` that no quote has several blanks before it, or just blanks between it and another, or opens text
    within a cell.
    `compression` is how the file is packed, if it is; all else is said of its text. `each_line_is_a_row` is whether
    that is known already, so that nobody need find out. `has_long_lines` is whether a line exceeds 1 MiB.
    `quote` is what cells are quoted by (empty: by nothing), `escape` what stands before a quote inside (empty: another
    quote). `has_header` is whether the first line names the columns. `comment` is what lines begin with that are passed
    over, unless a quoted cell spans them; empty where there are none.

    Where the text is part of what is in the file, or of another encoding than UTF-8, `encoding` and `begin` say so:
    it begins at byte `begin` of the file in UTF-8, behind `lines_before` lines, and ends before byte `end`, if there is
    one. All else is said of that part.
    """

    delimiter: str
    width: int
    row_cells: int | None
    positions: Mapping[str, Place | None]
    physical_lines: int
    lines_end_alike: bool
    plainly_quoted: bool
    compression: Compression | None = None
    each_line_is_a_row: bool = False
    has_long_lines: bool = False
    quote: str = '"'
    escape: str = ""
    has_header: bool = True
    encoding: str = "utf-8"
    begin: int = 0
    lines_before: int = 0
    end: int | None = None
    comment: str = ""

    @property
    def format(self) -> str:
        """As `RecordLayout.format`."""
        return "csv"

    @property
    def first_row_line(self) -> int:
        """The 1-based line of the file in which the first row begins."""
        return self.lines_before + self.has_header + 1

    @property
    def physical_rows(self) -> int:
        """How many lines there are but the header."""
        return self.physical_lines - self.has_header

    @property
    def is_whole_file(self) -> bool:
        """Whether the text is all that is in the file, as it is."""
        return self.compression is None and self.is_whole_text

    @property
    def is_whole_text(self) -> bool:
        """Whether the text is all that is in the file, packed or not."""
        return self.encoding == "utf-8" and self.begin == 0 and self.end is None

    @property
    def is_usual(self) -> bool:
        """Whether it is read as contracts that say nothing of it have it."""
        return self.is_whole_text and self.has_header and self.quote == '"' and not (self.escape or self.comment)

    @property
    def line_per_row(self) -> bool:
        """Whether nothing speaks against each line being a row, so that the engine may take the file as it is."""
        plain = self.lines_end_alike and self.plainly_quoted and not (self.has_long_lines or self.comment)
        return plain and self.row_cells in {None, self.width}

    @property
    def goes_with_others(self) -> bool:
        """Whether `Session.load_together` takes it."""
        return self.is_usual and self.line_per_row and self.row_cells is None


Within = tuple[str, ...]
"""Where a value stands in a record: names, from outside in."""


@dataclass(frozen=True, slots=True)
class RecordLayout:
    """How a file of records with names is read: `ndjson` (an object a line), `json` (an array of objects) or `parquet`.

    `positions` has for each column where its value stands, or those that make it together; nothing where the file lacks
    it. `types` has the contract's type of each, `may_lack` those that no record need have. All else is as in `Layout`.
    """

    format: str
    positions: Mapping[str, tuple[Within, ...]]
    types: Mapping[str, str]
    may_lack: frozenset[str] = frozenset()
    compression: Compression | None = None
    encoding: str = "utf-8"
    lines_end_alike: bool = True
    has_long_lines: bool = False

    @property
    def is_usual(self) -> bool:
        """As `Layout.is_usual`: never, as it is no delimited file."""
        return False

    @property
    def goes_with_others(self) -> bool:
        """As `Layout.goes_with_others`."""
        plain = self.compression is None and self.encoding == "utf-8" and self.lines_end_alike
        return self.format == "ndjson" and plain and not self.has_long_lines


AnyLayout = Layout | RecordLayout


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table to be made: a portable `type`, whether each row has a value, and whether it has texts that
    hardly repeat, which an engine may keep in a way that suits them.
    """

    name: str
    type: str
    required: bool = False
    free_text: bool = False


class Session(Protocol):
    """An open warehouse. What is read is a select, and what is changed is said by a verb, in parts: an engine makes a
    statement of its own of them.

    Parts are portable SQL with `:name` parameters. Tables and columns go by their bare names. A table that a verb
    changes may be a scratch relation. Each verb tells how many rows it changed. Within a `transaction` it is part of
    that; by itself it is all done, or not at all, when it returns.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the engine can do."""
        ...

    def knows(self, fact: str) -> bool:
        """Whether this process has learnt something of the tables, and nobody can have written to them since."""
        ...

    def learn(self, fact: str) -> None:
        """Remember something of the tables, where it can be told whether others have written to them since."""
        ...

    def execute(self, statement: str, *, changes: str | None = None) -> None:
        """Run a statement of a migration. `changes` is the table whose rows or columns it changes; None where it makes
        what was not there.

        Migrations are text that was released, so they alone are run as they are. One that is run again, or late for a
        process that has died, must change nothing.
        """
        ...

    def create_table(self, name: str, columns: Sequence[TableColumn], key: Sequence[str]) -> None:
        """Make a table, if it is not there. An engine that can keeps rows of near keys together.

        It may stay where a transaction around it raises.
        """
        ...

    def create_table_like(self, name: str, select: str, key: Sequence[str], free_texts: Collection[str]) -> None:
        """Make a table without rows that has the columns of a select, in place of one of that name, as `create_table`
        does.

        `free_texts` are columns whose texts hardly repeat; those that it has not, or that have no texts, are passed
        over.
        """
        ...

    def create_view(self, name: str, select: str) -> None:
        """Make a view that stays, in place of one of that name; it may stay where a transaction around it raises."""
        ...

    def insert_select(
        self, table: str, columns: Sequence[str], select: str, parameters: Parameters | None = None
    ) -> int:
        """Append the rows of a select, which gives these columns in this order."""
        ...

    def insert_in_order(
        self, table: str, columns: Sequence[str], select: str, parameters: Parameters | None = None
    ) -> int:
        """Append the rows of a select in the order in which it gives them, if the engine `keeps_order`."""
        ...

    def delete_where(self, table: str, condition: str, parameters: Parameters | None = None) -> int:
        """Delete the rows of which a condition is true. It reads nothing but the row."""
        ...

    def delete_keys(self, table: str, key: Sequence[str], relation: str) -> int:
        """Delete the rows whose key is in a scratch relation, or in a view of this session, that has columns of the
        same names.
        """
        ...

    def update_where(
        self, table: str, assignments: Mapping[str, str], condition: str, parameters: Parameters | None = None
    ) -> int:
        """Give columns other values in the rows of which a condition is true. Both read nothing but the row."""
        ...

    def update_matched(
        self, table: str, key: Sequence[str], relation: str, assignments: Mapping[str, str], condition: str
    ) -> int:
        """Give columns other values by the row of a relation, as `delete_keys` takes it, that has the same key.

        Assignments and the condition, without which a row stays, read the table's row `t` and the relation's row `s`,
        of which a row of the table has one at most.
        """
        ...

    def replace_rows(self, table: str, columns: Sequence[str], key: Sequence[str], before: str, select: str) -> int:
        """Exchange rows: those with a key that is in `before` go, and those that the select gives come, whatever their
        keys; how many went and came.

        `columns` are all of the table, in its order. The relation `before`, as `delete_keys` takes it, has them too;
        the select gives them in that order and does not read the table.
        """
        ...

    def query(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        """The rows of a small result, by column name; timestamps are aware UTC."""
        ...

    def insert(self, table: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Append rows to a table, as the values by column name that each record has; all name the same columns."""
        ...

    def scratch(self, name: str, select: str, parameters: Parameters | None = None) -> int | None:
        """Put a result in a relation of this session's own, in place of one of that name.

        It gives the number of its rows, or None where the engine would have to be asked.
        """
        ...

    def count(self, name: str) -> int:
        """How many rows a table, view or scratch relation has."""
        ...

    def rises(self, name: str, key: Sequence[str]) -> bool:
        """Whether it is known that no two rows of a table, view or scratch relation share a key and none lacks it, as
        the key rises from each row to the next.

        That is found at a small part of what counting the keys takes. False says nothing; an engine whose rows have no
        order always gives it.
        """
        ...

    def view(self, name: str, select: str) -> None:
        """Name a query, for this session alone; it is evaluated where it is used, and nothing but a query is taken."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """What happens inside becomes visible together at the end, or not at all if it raises; but tables that were
        created empty, and views, may stay.

        One verb alone needs none, which spares an engine without transactions preparing to take it back.
        """
        ...

    def load(self, path: Path, layout: AnyLayout, source: str, *, drop_id: str) -> None:
        """Take a file as the relation `source`, whose columns are text: those of `layout.positions`, and
        `_line`, which `select_rows` fills in.
        """
        ...

    def load_together(self, files: Sequence[tuple[Path, AnyLayout]], source: str) -> None:
        """Take one or more small files of the same format and columns as scratch `source`.

        It has the columns of `Layout.positions` as text, `_line`, and `_file`, the 0-based place in `files`. A file in
        which some line is no row, or is one that the engine alone might read otherwise, is left out. All must be
        files that go with others.
        """
        ...

    def select_rows(self, source: str, into: str, select: str, parameters: Parameters | None = None) -> int:
        """Put a select over the rows of `source`, one for one, in scratch `into`; the number of rows read.

        The select passes `_line` on, which then is the 1-based line of the file where the row begins. Scratch
        `<source>_malformed` gets `_line, rule, reason, raw` of the rows that have not the shape of the header. A file
        that cannot be read leaves an open transaction usable.

        Raises:
            DataRefused: nothing can be read as rows, such as when a quote is never closed.
        """
        ...

    def with_lines(self, source: str) -> None:
        """Make `source` itself tell each row's `_line`, which takes another reading of the file."""
        ...

    def raw_rows(self, source: str, lines: str, into: str) -> None:
        """Fill scratch `into` with `_line, raw`: the text, as received, of the rows of `source` named by `lines`.

        `lines` is a scratch relation with a column `_line`.
        """
        ...

    def keep_loaded(self, source: str, name: str, left_out: str | None, archived: str | None = None) -> None:
        """Make the rows of `source` those of `name` in the schema, in place of what it held.

        `archived` is the name under the root that its file bears, or will. Where that is there already, an engine that
        can may read the rows there in place of a copy; what it says of them is the same.

        `name` has `_drop_id`, `_line`, the columns of `layout.positions` and `_accepted`, false for the lines that
        are in scratch `_dl_left_out`.
        """
        ...

    def attached(self, other: "Warehouse", tables: Sequence[str]) -> AbstractContextManager[str]:
        """Make these tables of another warehouse readable, outside of a transaction; the SQL prefix for their names."""
        ...

    def columns(self, name: str) -> Mapping[str, str]:
        """The columns of a table or view, each with its type as the engine calls it."""
        ...

    def has_table(self, name: str) -> bool:
        """Whether the pipeline's schema has this table."""
        ...

    def describe(self, said: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
        """Say in the warehouse what tables and views of these names are, and what columns of them are, for whoever
        looks at them there.

        An engine in which that costs more than it helps says nothing.
        """
        ...

    def export(self, select: str, *paths: Path) -> None:
        """Write a result to local files, in order, each as the ending of its name says: .csv or .parquet."""
        ...

    def export_at_once(self, results: Sequence[tuple[str, Path]]) -> None:
        """Write several results as `export` does, at a time where the engine can; outside of a transaction, and not of
        scratch relations.
        """
        ...


@runtime_checkable
class Confinable(Protocol):
    """A session whose engine is part of this process: it could reach for files of this machine, and run without end."""

    def confine(self) -> None:
        """Let no statement read or write any file but the warehouse's own, and those that its views read, for as long
        as the session lasts.
        """
        ...

    def limited(self, seconds: float) -> AbstractContextManager[None]:
        """End the statement that still runs this long after the block began.

        Raises:
            Unavailable: one was ended.
        """
        ...
