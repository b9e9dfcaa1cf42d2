"""A session in a schema of Databricks: the warehouse does the row work, in the same SQL as elsewhere.

Scratch relations are tables of a schema beside, which only the writer uses. They and the queries that have a name are
written into each statement that reads them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dropledger.core.errors import DropledgerError
from dropledger.core.ports.capabilities import Capabilities
from dropledger.core.ports.session import AnyLayout, Parameters, TableColumn
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.sql.text import listed, quoted
from dropledger.infra.databricks import changes
from dropledger.infra.databricks.connection import Statements
from dropledger.infra.databricks.dialect import dialect, read, ticked, used
from dropledger.infra.databricks.held import HeldStatements
from dropledger.infra.databricks.local_reader import LocalReader
from dropledger.infra.databricks.memory import Memory
from dropledger.infra.databricks.names import Names
from dropledger.infra.databricks.records import rows_of
from dropledger.infra.databricks.schemas import has_table
from dropledger.infra.databricks.transfers import Loaded, Transfers
from dropledger.infra.databricks.writer import Writer


@dataclass(frozen=True, slots=True)
class _Target:
    """A table to be written to, as SQL names it; `held` is the view without which nothing may be written to it."""

    name: str
    held: str | None


class DatabricksSession:
    """A `dropledger.core.ports.session.Session` in a schema; for reading alone where it has no `writer`."""

    capabilities = Capabilities(reads_in_place=False, keeps_order=False, cheap_statements=False)

    def __init__(
        self,
        statements: Statements,
        schema: str,
        work: str,
        volume: str,
        local: LocalReader,
        writer: Writer | None,
        memory: Memory,
    ) -> None:
        self._statements = HeldStatements(statements, writer)
        self._schema = schema
        self._work = work
        self._memory = memory
        self._scratch: set[str] = set()
        self._names = Names()
        self._transfers = Transfers(self._statements, volume, local, self._names)
        self._loaded: dict[str, Loaded] = {}
        self._changing = False

    def knows(self, fact: str) -> bool:
        return not self._statements.is_reader and fact in self._memory.facts

    def learn(self, fact: str) -> None:
        self._memory.facts.add(fact)

    def execute(self, statement: str, *, changes: str | None = None) -> None:
        # Not while the hold is there alone: as a migration may be run late, it harms nothing.
        if changes is None:
            self._memory.forget_relations()
        else:
            self._statements.writer.about_to_write(changes)
            self._memory.forget_relation(changes)
        self._statements.run(dialect(statement))

    def create_table(self, name: str, columns: Sequence[TableColumn], key: Sequence[str]) -> None:
        self._memory.forget_tables()
        self._statements.run(changes.created(ticked(name), columns, key))

    def create_table_like(self, name: str, select: str, key: Sequence[str], free_texts: Collection[str]) -> None:
        del free_texts  # Delta picks a way for each file
        empty = f"SELECT *\nFROM (\n{select}\n) AS empty_table\nWHERE FALSE"
        self.make_anew(name, key, empty)

    def create_view(self, name: str, select: str) -> None:
        self._memory.forget_relation(name)
        self._statements.run(f"CREATE OR REPLACE VIEW {ticked(name)} AS\n{dialect(select)}")

    def make_anew(self, name: str, key: Sequence[str], select: str, parameters: Parameters | None = None) -> None:
        """Make a table of the rows of a select, in place of one of that name."""
        target = self._target(name)
        self._memory.forget_relation(name)
        made = changes.made_anew(target.name, key, self._source(select, target))
        self._statements.run(made, used(parameters, select))

    def overwrite(self, table: str, select: str) -> None:
        """Let a table have the rows of a select, which has its columns, in place of its own."""
        target = self._target(table)
        self._statements.run(changes.overwritten(target.name, self._source(select, target)))

    def insert_select(
        self, table: str, columns: Sequence[str], select: str, parameters: Parameters | None = None
    ) -> int:
        target = self._target(table)
        inserted = changes.inserted(target.name, columns, self._source(select, target))
        return self._statements.run(inserted, used(parameters, select))

    insert_in_order = insert_select

    def insert(self, table: str, records: Sequence[Mapping[str, Any]]) -> None:
        if records:
            columns, select, rows = rows_of(records)
            self.insert_select(table, columns, select, {"records": rows})

    def delete_where(self, table: str, condition: str, parameters: Parameters | None = None) -> int:
        target = self._target(table)
        deleted = changes.deleted_where(target.name, dialect(condition), target.held)
        return self._statements.run(deleted, used(parameters, condition))

    def delete_keys(self, table: str, key: Sequence[str], relation: str) -> int:
        target = self._target(table)
        source = self._source(f"SELECT DISTINCT {listed(key)} FROM {quoted(relation)}", target)
        return self._statements.run(changes.deleted_keys(target.name, key, source))

    def update_where(
        self, table: str, assignments: Mapping[str, str], condition: str, parameters: Parameters | None = None
    ) -> int:
        target = self._target(table)
        assigned = {name: dialect(value) for name, value in assignments.items()}
        updated = changes.updated_where(target.name, assigned, dialect(condition), target.held)
        return self._statements.run(updated, used(parameters, condition, *assignments.values()))

    def update_matched(
        self, table: str, key: Sequence[str], relation: str, assignments: Mapping[str, str], condition: str
    ) -> int:
        target = self._target(table)
        assigned = {name: dialect(value) for name, value in assignments.items()}
        source = self._source(f"SELECT * FROM {quoted(relation)}", target)
        return self._statements.run(changes.updated_matched(target.name, key, assigned, dialect(condition), source))

    def replace_rows(self, table: str, columns: Sequence[str], key: Sequence[str], before: str, select: str) -> int:
        target = self._target(table)
        source = self._source(changes.rows_to_replace(columns, key, before, select), target)
        return self._statements.run(changes.replaced(target.name, columns, key, source))

    def _target(self, table: str) -> _Target:
        """A table that the next statement writes to, with what that needs done before."""
        if table in self._scratch:
            return _Target(f"{self._work}.{ticked(table)}", None)
        writer = self._statements.writer
        if not self._changing:
            writer.settle()
        writer.about_to_write(table)
        return _Target(ticked(table), writer.held)

    def _source(self, select: str, target: _Target) -> str:
        """A select whose rows are written to a target, with the names that it reads."""
        return self._names.brought(changes.while_held(dialect(select), target.held))

    def query(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        return [read(row) for row in self._statements.rows(self._names.brought(dialect(sql)), used(parameters, sql))]

    def scratch(self, name: str, select: str, parameters: Parameters | None = None) -> int | None:
        target, query = f"{self._work}.{ticked(name)}", self._names.brought(dialect(select))
        self._statements.writer.keep()
        self._statements.run(f"CREATE OR REPLACE TABLE {target} AS\n{query}", used(parameters, select))
        self._scratch.add(name)
        self._names.give(name, f"SELECT * FROM {target}")
        return None

    def count(self, name: str) -> int:
        return int(self.query(f"SELECT count(*) AS row_count FROM {quoted(name)}")[0]["row_count"])

    def rises(self, name: str, key: Sequence[str]) -> bool:
        del name, key
        return False

    def view(self, name: str, select: str) -> None:
        if not self._statements.is_reader:
            self._scratch.discard(name)
            self._names.give(name, dialect(select))
            return
        # What somebody asks is made a view, as nothing but a query can be: written into another text it might be more.
        self._statements.run(f"CREATE OR REPLACE TEMPORARY VIEW {ticked(name)} AS\n{dialect(select)}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        writer = self._statements.writer
        writer.begin()
        self._changing = True
        try:
            yield
        except BaseException:
            with suppress(DropledgerError):  # what went wrong before is to be told; who writes next undoes it
                writer.undo()
            raise
        finally:
            self._changing = False
        writer.commit()

    @contextmanager
    def attached(self, other: Warehouse, tables: Sequence[str]) -> Iterator[str]:
        if other.location.startswith("databricks:"):
            yield f"{cast('Any', other).schema}."
            return
        with other.session(read_only=True) as session:
            for table in tables:
                path = self._transfers.path()
                session.export(f"SELECT * FROM {quoted(table)}", path)
                uploaded = self._transfers.uploaded(path, table)
                self._statements.run(f"CREATE OR REPLACE TABLE {self._work}.{ticked(table)} AS\n{uploaded}")
        yield f"{self._work}."

    def columns(self, name: str) -> Mapping[str, str]:
        if name in self._names:
            return self._described(f"QUERY {self._names.brought(f'SELECT * FROM {ticked(name)}')}")
        if self._statements.is_reader:
            return self.columns_of(ticked(name))
        if name not in self._memory.columns:
            self._memory.columns[name] = self.columns_of(ticked(name))
        return self._memory.columns[name]

    def columns_of(self, table: str) -> Mapping[str, str]:
        """The columns of a table that is named as Databricks writes it, with their types."""
        return self._described(f"TABLE {table}")

    def _described(self, what: str) -> Mapping[str, str]:
        described = {}
        for row in self._statements.rows(f"DESCRIBE {what}"):
            if not row["col_name"] or row["col_name"].startswith("#"):
                break
            described[row["col_name"]] = row["data_type"].upper()
        return described

    def has_table(self, name: str) -> bool:
        if not self._statements.is_reader and name in (self._memory.tables or ()):
            return True
        return has_table(self._statements.plain, self._schema, name)

    def describe(self, said: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
        """Nothing is said: each comment is a version of a table more, which a change that is undone would have to tell
        from those of others.
        """

    def load(self, path: Path, layout: AnyLayout, source: str, *, drop_id: str) -> None:
        self._loaded[source] = self._transfers.load(path, layout, source, drop_id)

    def load_together(self, files: Sequence[tuple[Path, AnyLayout]], source: str) -> None:
        self._transfers.load_together(files, source)

    def remove_uploads(self) -> None:
        """Remove the files of rows that went up, when nothing reads them any more."""
        self._transfers.remove_uploads()

    def select_rows(self, source: str, into: str, select: str, parameters: Parameters | None = None) -> int:
        self.scratch(into, select, parameters)
        return self._loaded[source].row_count

    def with_lines(self, source: str) -> None:
        """Nothing is left to do: rows go up with their lines."""

    def raw_rows(self, source: str, lines: str, into: str) -> None:
        self._transfers.raw_rows(source, f"SELECT _line FROM {ticked(lines)}", into)

    def keep_loaded(self, source: str, name: str, left_out: str | None, archived: str | None = None) -> None:
        del archived  # which the engine cannot reach
        loaded, received = self._loaded[source], f"received_{name}"
        accepted = "TRUE" if left_out is None else "l._line IS NULL"
        refused = "" if left_out is None else f"LEFT JOIN {quoted(left_out)} AS l ON l._line = s._line"
        if received not in (self._memory.tables or ()):
            # There to be restored, if this is the feed's first drop and comes to nothing: the view needs it.
            texts = [TableColumn(column, "STRING") for column in loaded.columns]
            line, kept = TableColumn("_line", "BIGINT"), TableColumn("_accepted", "BOOLEAN")
            self.create_table(received, [TableColumn("_drop_id", "STRING"), line, *texts, kept], ())
        cells = ", ".join(f"s.{quoted(column)}" for column in loaded.columns)
        self.make_anew(
            received,
            (),
            f"""SELECT CAST(:drop_id AS STRING) AS _drop_id, s._line, {cells}, {accepted} AS _accepted
            FROM {quoted(source)} AS s
            {refused}""",
            {"drop_id": loaded.drop_id},
        )
        if self._memory.views.get(name) != loaded.columns:  # of a view the columns stay those that it was made with
            self.create_view(name, f"SELECT * FROM {quoted(received)}")
            self._memory.views[name] = loaded.columns

    def export(self, select: str, *paths: Path) -> None:
        self._transfers.export(dialect(select), paths)

    def export_at_once(self, results: Sequence[tuple[str, Path]]) -> None:
        for select, path in results:
            self.export(select, path)
