"""A session in a schema of Databricks: the warehouse does the row work, in the same SQL as elsewhere.

Only the cells of a file are told apart here, by the reader that the embedded warehouse has, streaming: so a file is
read alike by both, with its lines. They go up as Parquet whose columns are text.

Scratch relations are tables of a schema beside, which only the writer uses. They and the queries that have a name are
written into each statement that reads them.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, cast

import duckdb

from dropledger.core.errors import ConfigurationError, DropledgerError
from dropledger.core.ports.session import Layout, Parameters
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.sql.text import literal, quoted
from dropledger.infra.databricks.connection import Statements
from dropledger.infra.databricks.dialect import (
    dialect,
    makes_other_tables,
    read,
    relation_made,
    ticked,
    used,
    while_held,
    with_target,
    written_table,
)
from dropledger.infra.databricks.memory import Memory
from dropledger.infra.databricks.names import Names
from dropledger.infra.databricks.schemas import has_table, remove_file
from dropledger.infra.databricks.writer import Writer
from dropledger.infra.duckdb.engine import copied_to, new_engine, translated_errors
from dropledger.infra.readers.delimited import DelimitedFiles

_MISSHAPEN = """SELECT
    CAST(NULL AS BIGINT) AS _line,
    CAST(NULL AS STRING) AS rule,
    CAST(NULL AS STRING) AS reason,
    CAST(NULL AS STRING) AS raw
WHERE FALSE"""


class LocalReader:
    """DuckDB on this machine, for telling a file's cells apart and for writing artifacts; it keeps no rows.

    `passing` is a folder of this process for what is on its way.
    """

    def __init__(self, passing: Path, settings: Mapping[str, str]) -> None:
        self.passing = passing
        self.connection = new_engine(str(passing / "spilled"), settings)
        self.files = DelimitedFiles(self._engine, self.connection, passing)
        self._numbers = count()

    def _engine(self, sql: str, parameters: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
        with translated_errors(sql):
            return self.connection.execute(sql, parameters or {})

    def path(self) -> Path:
        """A new path for a file on its way."""
        return self.passing / f"{next(self._numbers)}.parquet"

    def write(self, select: str, path: Path, beside: duckdb.DuckDBPyConnection | None = None) -> None:
        """Write a result of this engine in its order; what it reads may be known `beside` alone."""
        with self.files.in_order_of_the_file(), translated_errors(select):
            (beside or self.connection).execute(copied_to(select, path))


class DatabricksSession:
    """A `dropledger.core.ports.session.Session` in a schema; for reading alone where it has no `writer`."""

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
        self._statements = statements
        self._schema = schema
        self._work = work
        self._volume = volume
        self._local = local
        self._writer = writer
        self._memory = memory
        self._scratch: set[str] = set()
        self._names = Names()
        self._loaded: dict[str, tuple[str, int]] = {}
        self._cells: dict[str, tuple[str, ...]] = {}
        self._uploads: set[str] = set()

    @property
    def reads_in_place(self) -> bool:
        return False

    def knows(self, fact: str) -> bool:
        return self._writer is not None and fact in self._memory.facts

    def learn(self, fact: str) -> None:
        self._memory.facts.add(fact)

    def keep_free_texts(self, table: str, columns: Collection[str]) -> None:
        """Nothing: Delta picks a way for each file."""

    @property
    def keeps_order(self) -> bool:
        return False

    def execute(self, sql: str, parameters: Parameters | None = None, *, in_order: bool = False) -> int:
        del in_order  # as `keeps_order` says
        statement, bound = dialect(sql), used(sql, parameters)
        table = written_table(statement)
        if table in self._scratch:
            statement = with_target(self._names.brought(statement), f"{self._work}.{ticked(table)}")
        elif table is not None and self._writer is not None:
            self._writer.about_to_write(table)
            statement = self._names.brought(while_held(statement, self._writer.held))
        self._forget_what_changes(statement)
        with self._while_held():
            return self._statements.run(statement, bound)

    def _forget_what_changes(self, statement: str) -> None:
        made = relation_made(statement)
        if made is not None:
            self._memory.forget_relation(made)
        elif makes_other_tables(statement):
            self._memory.forget_tables()

    def query(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        statement = self._names.brought(dialect(sql))
        with self._while_held():
            return [read(row) for row in self._statements.rows(statement, used(sql, parameters))]

    @contextmanager
    def _while_held(self) -> Iterator[None]:
        """Say that another process has become the writer, where that is why something is missing."""
        try:
            yield
        except ConfigurationError:
            if self._writer is not None:
                self._writer.renew()
            raise

    def insert(self, table: str, records: Sequence[Mapping[str, Any]]) -> None:
        if not records:
            return
        # A column that has no value in any row is left out: it is NULL then, and needs no type.
        given = {name: [value for value in column if value is not None] for name, column in _by_column(records).items()}
        types = {name: _type_of(values) for name, values in given.items() if values}
        texts = ", ".join(f"{ticked(name)}: STRING" for name in types)
        cells = ", ".join(f"CAST(r.{quoted(name)} AS {kind})" for name, kind in types.items())
        rows = json.dumps([{name: _as_text(record[name]) for name in types} for record in records])
        self.execute(
            f"""INSERT INTO {quoted(table)} ({", ".join(map(quoted, types))})
            SELECT {cells}
            FROM (SELECT inline(from_json(:records, {literal(f"ARRAY<STRUCT<{texts}>>")}))) AS r""",
            {"records": rows},
        )

    def scratch(self, name: str, select: str, parameters: Parameters | None = None) -> int | None:
        target, query = f"{self._work}.{ticked(name)}", self._names.brought(dialect(select))
        self._writing.keep()
        with self._while_held():
            self._statements.run(f"CREATE OR REPLACE TABLE {target} AS\n{query}", used(select, parameters))
        self._scratch.add(name)
        self._names.give(name, f"SELECT * FROM {target}")
        return None

    def count(self, name: str) -> int:
        return int(self.query(f"SELECT count(*) AS row_count FROM {quoted(name)}")[0]["row_count"])

    def rises(self, name: str, key: Sequence[str]) -> bool:
        del name, key
        return False

    def view(self, name: str, select: str) -> None:
        if self._writer is not None:
            self._scratch.discard(name)
            self._names.give(name, dialect(select))
            return
        # What somebody asks is made a view, as nothing but a query can be: written into another text it might be more.
        self._statements.run(f"CREATE OR REPLACE TEMPORARY VIEW {ticked(name)} AS\n{dialect(select)}")

    @contextmanager
    def transaction(self, *, single: bool = False) -> Iterator[None]:
        writer = self._writing
        if not single:
            writer.begin()
        try:
            yield
        except BaseException:
            with suppress(DropledgerError):  # what went wrong before is to be told; who writes next undoes it
                writer.undo()
            raise
        writer.commit()

    @property
    def _writing(self) -> Writer:
        if self._writer is None:
            raise TypeError("a session that was opened for reading writes nothing")
        return self._writer

    @contextmanager
    def attached(self, other: Warehouse, tables: Sequence[str]) -> Iterator[str]:
        if other.location.startswith("databricks:"):
            yield f"{cast('Any', other).schema}."
            return
        with other.session(read_only=True) as session:
            for table in tables:
                path = self._local.path()
                session.export(f"SELECT * FROM {quoted(table)}", path)
                self._statements.run(
                    f"CREATE OR REPLACE TABLE {self._work}.{ticked(table)} AS\n{self._uploaded(path, table)}"
                )
        yield f"{self._work}."

    def columns(self, name: str) -> Mapping[str, str]:
        if name in self._names:
            return self._described(f"QUERY {self._names.brought(f'SELECT * FROM {ticked(name)}')}")
        if self._writer is None:
            return self.columns_of(ticked(name))
        if name not in self._memory.columns:
            self._memory.columns[name] = self.columns_of(ticked(name))
        return self._memory.columns[name]

    def columns_of(self, table: str) -> Mapping[str, str]:
        """The columns of a table that is named as Databricks writes it, with their types."""
        return self._described(f"TABLE {table}")

    def _described(self, what: str) -> Mapping[str, str]:
        described = {}
        with self._while_held():
            rows = self._statements.rows(f"DESCRIBE {what}")
        for row in rows:
            if not row["col_name"] or row["col_name"].startswith("#"):
                break
            described[row["col_name"]] = row["data_type"].upper()
        return described

    def has_table(self, name: str) -> bool:
        if self._writer is not None and name in (self._memory.tables or ()):
            return True
        return has_table(self._statements, self._schema, name)

    def describe(self, said: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
        """Nothing is said: each comment is a version of a table more, which a change that is undone would have to tell
        from those of others.
        """

    def load(self, path: Path, layout: Layout, source: str, *, drop_id: str) -> None:
        files, rows = self._local.files, quoted(f"{source}_rows")
        files.load(path, layout, source, drop_id)
        row_count = files.select(source, f"{source}_rows", f"SELECT * FROM {quoted(source)}", {})
        files.with_lines(source)
        self._upload(f"SELECT * FROM {rows} ORDER BY _line", source)
        malformed = f"{source}_malformed"
        if self._value(f"SELECT count(*) FROM {quoted(malformed)}"):
            self._upload(f"SELECT * FROM {quoted(malformed)}", malformed)
        else:
            self._names.give(malformed, _MISSHAPEN)
        self._loaded[source] = drop_id, row_count
        self._cells[source] = tuple(layout.positions)

    def load_together(self, files: Sequence[tuple[Path, Layout]], source: str) -> None:
        self._local.files.load_together(files, source)
        self._upload(f"SELECT * FROM {quoted(source)}", source)

    def _value(self, sql: str) -> Any:
        row = self._local.connection.execute(sql).fetchone()
        return row[0] if row else None

    def _upload(self, select: str, name: str) -> None:
        """Put a result of the local reader where the warehouse reads it as `name`."""
        path = self._local.path()
        self._local.write(select, path)
        self._names.give(name, self._uploaded(path, name))

    def _uploaded(self, path: Path, name: str) -> str:
        """Move a Parquet file to the volume; a select of its rows."""
        # Not the bare name: Spark passes over files that begin with an underscore, as scratch relations do.
        target = f"{self._volume}/rows_of_{name}.parquet"
        self._writing.keep()
        with self._while_held():
            self._statements.put(path, target)
        self._uploads.add(target)
        path.unlink()
        return f"SELECT * FROM parquet.{ticked(target)}"

    def remove_uploads(self) -> None:
        """Remove the files of rows that went up, when nothing reads them any more."""
        with suppress(DropledgerError):  # as of a warehouse that is gone, or a schema that another has dropped
            while self._uploads:
                remove_file(self._statements, self._uploads.pop())

    def select_rows(self, source: str, into: str, select: str, parameters: Parameters | None = None) -> int:
        self.scratch(into, select, parameters)
        return self._loaded[source][1]

    def with_lines(self, source: str) -> None:
        """Nothing is left to do: rows go up with their lines."""

    def raw_rows(self, source: str, lines: str, into: str) -> None:
        with self._fetched(f"SELECT _line FROM {quoted(lines)}") as beside:
            beside.execute("CREATE OR REPLACE TABLE _dl_wanted AS SELECT * FROM _dl_fetched")
        self._local.files.raw(source, "_dl_wanted", "_dl_raw_of_wanted")
        self._upload("SELECT * FROM _dl_raw_of_wanted", into)

    @contextmanager
    def _fetched(self, select: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """The local engine with a result as the relation `_dl_fetched`, which can be read once, as it comes."""
        import pyarrow as pa

        query = self._names.brought(dialect(select))
        with self._while_held():
            schema, batches = self._statements.batches(query)
        failed: list[DropledgerError] = []

        def noted() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except DropledgerError as error:
                failed.append(error)
                raise

        with self._local.connection.cursor() as beside:
            beside.register("_dl_fetched", pa.RecordBatchReader.from_batches(schema, noted()))
            try:
                yield beside
            except Exception:
                if failed:  # the engine tells it as an error of its own, or of the file
                    raise failed[0] from None
                raise

    def keep_loaded(self, source: str, name: str, left_out: str | None, archived: str | None = None) -> None:
        del archived  # which the engine cannot reach
        drop_id, _ = self._loaded[source]
        accepted = "TRUE" if left_out is None else "l._line IS NULL"
        refused = "" if left_out is None else f"LEFT JOIN {quoted(left_out)} AS l ON l._line = s._line"
        columns = self._cells[source]
        cells = ", ".join(f"s.{quoted(column)}" for column in columns)
        table, received = f"received_{name}", quoted(f"received_{name}")
        if table not in (self._memory.tables or ()):
            # There to be restored, if this is the feed's first drop and comes to nothing: the view needs it.
            texts = ", ".join(f"{quoted(column)} STRING" for column in columns)
            self.execute(
                f"CREATE TABLE IF NOT EXISTS {received} (_drop_id STRING, _line BIGINT, {texts}, _accepted BOOLEAN)"
            )
        self.execute(
            f"""CREATE OR REPLACE TABLE {received} AS
            SELECT CAST(:drop_id AS STRING) AS _drop_id, s._line, {cells}, {accepted} AS _accepted
            FROM {quoted(source)} AS s
            {refused}""",
            {"drop_id": drop_id},
        )
        if self._memory.views.get(name) != columns:  # of a view the columns stay those that it was made with
            self.execute(f"CREATE OR REPLACE VIEW {quoted(name)} AS\nSELECT * FROM {received}")
            self._memory.views[name] = columns

    def export(self, select: str, *paths: Path) -> None:
        with self._fetched(select) as beside:
            rows = "_dl_fetched"
            if len(paths) > 1:  # it can be read once
                with self._local.files.in_order_of_the_file():
                    beside.execute("CREATE OR REPLACE TABLE _dl_exported AS SELECT * FROM _dl_fetched")
                rows = "_dl_exported"
            for path in paths:
                self._local.write(f"SELECT * FROM {rows}", path, beside)
            beside.execute("DROP TABLE IF EXISTS _dl_exported")

    def export_at_once(self, results: Sequence[tuple[str, Path]]) -> None:
        for select, path in results:
            self.export(select, path)


def _by_column(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [record[name] for record in records] for name in records[0]}


def _type_of(values: Sequence[Any]) -> str:
    """The portable type of a column by its values."""
    match values[0]:
        case bool():
            return "BOOLEAN"
        case int():
            return "BIGINT"
        case Decimal():
            return f"DECIMAL(38, {max(-int(value.as_tuple().exponent) for value in values)})"
        case datetime():
            return "TIMESTAMP"
        case _:
            return "STRING"


def _as_text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case datetime():
            return str(read({"moment": value})["moment"].strftime("%Y-%m-%d %H:%M:%S.%f"))
        case _:
            return str(value)
