"""A session in the embedded warehouse: DuckDB does the row work on the file that is attached to it."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any, cast

import duckdb

from dropledger.core.ports.capabilities import Capabilities
from dropledger.core.ports.session import AnyLayout, Parameters, TableColumn
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.sql.text import listed, literal, quoted
from dropledger.infra.duckdb import changes as changed
from dropledger.infra.duckdb.archive import ArchivedFiles
from dropledger.infra.duckdb.attach import ATTACHED_AS
from dropledger.infra.duckdb.catalog import comments, enter_schema, has_table, make_functions
from dropledger.infra.duckdb.engine import copied_to, translated_errors
from dropledger.infra.duckdb.kept_engine import Parse
from dropledger.infra.duckdb.markers import bound, marked, read
from dropledger.infra.duckdb.memory import Memory
from dropledger.infra.duckdb.metadata_copy import MetadataCopy
from dropledger.infra.duckdb.remote_file import RemoteFile
from dropledger.infra.readers.loaded_files import LoadedFiles

if TYPE_CHECKING:
    from dropledger.infra.duckdb.warehouse import DuckDBWarehouse

_MAKES = re.compile(
    r"""\s*(?:(?:CREATE(?:\ OR\ REPLACE)?(?:\ TEMP)?|DROP)\ (?:TABLE|VIEW)(?:\ IF(?:\ NOT)?\ EXISTS)?
        \ ("(?:[^"]|"")*"|\w+)
    |(?:ALTER|ATTACH|DETACH|DROP|USE)\b)""",
    re.VERBOSE,
)
_AT_ONCE = 2


def _bare(name: str) -> str:
    """A name as it is, of how a statement has it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


class DuckDBSession:
    """A `dropledger.core.ports.session.Session` on an open DuckDB connection.

    `memory` is what sessions before have asked for, which outlives them.
    """

    capabilities = Capabilities(reads_in_place=True, keeps_order=True, cheap_statements=True)

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        parse: Parse,
        schema: str,
        passing: Path,
        keeping: tuple[RemoteFile, Path] | None,
        metadata: MetadataCopy | None,
        memory: Memory,
        root: Path | None,
    ) -> None:
        self._connection = connection
        self._parse = parse
        self._keeping = keeping
        self._metadata = metadata
        self._schema = schema
        self._qualified = f"{ATTACHED_AS}.{quoted(schema)}"
        self._files = LoadedFiles(self._engine, connection, passing)
        self._archived = ArchivedFiles(connection, root)
        self._memory = memory
        self._changing = False
        self.confined = False

    def enter_schema(self, *, create: bool) -> None:
        """As `catalog.enter_schema` has it."""
        enter_schema(self._connection, self._engine, self._schema, create=create)
        self._archived.find(writing=create)

    def confine(self) -> None:
        """As `Confinable` has it. Engines take it back no more, so the warehouse ends this one then."""
        if self.confined:
            return
        if paths := self._archived.read_by_views(self._schema):
            self._connection.execute(f"SET GLOBAL allowed_paths = [{', '.join(map(literal, paths))}]")
        # Nor may a name that is no table stand for a variable of this program, as the engine would have it.
        for setting in ("enable_external_access", "python_enable_replacements"):
            self._connection.execute(f"SET GLOBAL {setting} = FALSE")
        self._connection.execute("SET GLOBAL lock_configuration = TRUE")
        self.confined = True

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """As `Confinable` has it."""
        timer = Timer(seconds, self._connection.interrupt)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _engine(self, sql: str, parameters: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
        """Run a statement of the engine's own dialect."""
        if made := _MAKES.match(sql):
            if made[1]:
                self._memory.forget(_bare(made[1]))
            else:
                self._memory.clear()
        with translated_errors(sql, asked=self.confined):
            first, *more = self._parse(sql)
            if more:
                raise duckdb.ParserException("there are several statements where one belongs")
            return self._connection.execute(first, parameters or {})

    def knows(self, fact: str) -> bool:
        del fact  # others may open the file between two sessions, and nothing in it tells so
        return False

    def learn(self, fact: str) -> None:
        """Nothing is remembered."""

    def execute(self, statement: str, *, changes: str | None = None) -> None:
        del changes
        self._engine(statement)

    def create_table(self, name: str, columns: Sequence[TableColumn], key: Sequence[str]) -> None:
        del key  # rows stay in the order in which they came
        self._change(changed.created(name, columns))

    def create_table_like(self, name: str, select: str, key: Sequence[str], free_texts: Collection[str]) -> None:
        del key
        with self._alone():
            self._engine(changed.created_like(name, select))
            for_free_texts = changed.with_free_texts(name, self.columns(name), free_texts)
            if for_free_texts is not None:
                self._engine(for_free_texts)

    def create_view(self, name: str, select: str) -> None:
        with self._alone():
            make_functions(self._engine)  # schemas of earlier versions lack some
            self._change(f"CREATE OR REPLACE VIEW {quoted(name)} AS\n{select}")

    def insert_select(
        self, table: str, columns: Sequence[str], select: str, parameters: Parameters | None = None
    ) -> int:
        return self._change(changed.inserted(table, columns, select), parameters)

    def insert_in_order(
        self, table: str, columns: Sequence[str], select: str, parameters: Parameters | None = None
    ) -> int:
        with self._files.in_order_of_the_file():
            return self.insert_select(table, columns, select, parameters)

    def delete_where(self, table: str, condition: str, parameters: Parameters | None = None) -> int:
        return self._change(changed.deleted_where(table, condition), parameters)

    def delete_keys(self, table: str, key: Sequence[str], relation: str) -> int:
        return self._change(changed.deleted_keys(table, key, relation))

    def update_where(
        self, table: str, assignments: Mapping[str, str], condition: str, parameters: Parameters | None = None
    ) -> int:
        return self._change(changed.updated_where(table, assignments, condition), parameters)

    def update_matched(
        self, table: str, key: Sequence[str], relation: str, assignments: Mapping[str, str], condition: str
    ) -> int:
        return self._change(changed.updated_matched(table, key, relation, assignments, condition))

    def replace_rows(self, table: str, columns: Sequence[str], key: Sequence[str], before: str, select: str) -> int:
        with self._alone():  # two statements take the engine less than one MERGE: half the time for many rows
            gone = self.delete_keys(table, key, before)
            return gone + self.insert_select(table, columns, select)

    def _change(self, sql: str, parameters: Parameters | None = None) -> int:
        """Run a statement that changes something; how many rows."""
        with self._alone():
            row = self._engine(*marked(sql, parameters)).fetchone()
        return int(row[0]) if row and isinstance(row[0], int) else 0

    def _alone(self) -> AbstractContextManager[None]:
        """A transaction of its own for what happens outside of one."""
        return nullcontext() if self._changing else self.transaction()

    def query(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        text, given = marked(sql, parameters)
        with translated_errors(
            text, asked=self.confined
        ):  # a value may be at fault that the engine comes by when it is fetched
            result = self._engine(text, given)
            names = [column[0] for column in result.description or ()]
            return [dict(zip(names, map(read, row), strict=True)) for row in result.fetchall()]

    def insert(self, table: str, records: Sequence[Mapping[str, Any]]) -> None:
        if records:
            given = [{name: bound(value) for name, value in record.items()} for record in records]
            rows = "SELECT unnest(:records, max_depth := 2)"
            self._change(f"INSERT INTO {quoted(table)} BY NAME\n{rows}", {"records": given})

    def scratch(self, name: str, select: str, parameters: Parameters | None = None) -> int | None:
        row = self._engine(*marked(f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS\n{select}", parameters)).fetchone()
        return int(row[0]) if row else 0

    def count(self, name: str) -> int:
        return int(self.query(f"SELECT count(*) AS row_count FROM {quoted(name)}")[0]["row_count"])

    def rises(self, name: str, key: Sequence[str]) -> bool:
        # A window without an order streams over the rows as they come. In whatever order that is, and were they parted
        # among threads: where all rows but one exceed the row before them, they are one row of rising keys.
        rises = ""
        for column in map(quoted, reversed(key)):
            before = f"lag({column}) OVER ()"
            rises = f"{column} > {before}" + (f" OR ({column} = {before} AND ({rises}))" if rises else "")
        there = " AND ".join(f"count({quoted(column)}) = count(*)" for column in key)
        with self._files.in_order_of_the_file():
            found = self._engine(
                f"""SELECT count(*) - count(CASE WHEN rises THEN 1 END) <= 1 AND {there}
                FROM (SELECT {listed(key)}, {rises} AS rises FROM {quoted(name)})"""
            ).fetchone()
        return bool(found and found[0])

    def view(self, name: str, select: str) -> None:
        self._engine(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS\n{select}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._metadata is not None:
            self._metadata.renew(self._connection)  # the end of a large change is a checkpoint
        self._connection.execute("BEGIN")
        self._changing = True
        try:
            yield
        except BaseException:
            self._changing = False
            with suppress(duckdb.Error):  # what went wrong before is to be told
                self._memory.clear()
                self._connection.execute("ROLLBACK")
            raise
        self._changing = False
        self._commit()

    def _commit(self) -> None:
        if self._keeping is None:
            self._engine("COMMIT")
            return
        remote, path = self._keeping
        remote.changing(path)
        self._engine("COMMIT")
        self._engine(f"CHECKPOINT {ATTACHED_AS}")
        remote.keep(path)

    def columns(self, name: str) -> Mapping[str, str]:
        columns = self._memory.columns
        if name not in columns:
            result = self._engine(f"SELECT * FROM {quoted(name)} LIMIT 0")
            columns[name] = {column[0]: str(column[1]) for column in result.description or ()}
        return columns[name]

    def has_table(self, name: str) -> bool:
        if name not in self._memory.there and has_table(self._engine, self._schema, name):
            self._memory.there.add(name)
        return name in self._memory.there

    def describe(self, said: Mapping[str, tuple[str, Mapping[str, str]]]) -> None:
        for comment in comments(self._engine, self._schema, said):
            self._engine(comment)

    @contextmanager
    def attached(self, other: Warehouse, tables: Sequence[str]) -> Iterator[str]:
        del tables  # a file is attached with all that it has
        with cast("DuckDBWarehouse", other).fetched(read_only=True) as path:
            self._engine(f"ATTACH {literal(str(path))} AS other_warehouse (READ_ONLY)")
            try:
                yield f"other_warehouse.{quoted(self._schema)}."
            finally:
                self._engine("DETACH other_warehouse")

    def load(self, path: Path, layout: AnyLayout, source: str, *, drop_id: str) -> None:
        self._files.load(path, layout, source, drop_id)

    def load_together(self, files: Sequence[tuple[Path, AnyLayout]], source: str) -> None:
        self._files.load_together(files, source)

    def select_rows(self, source: str, into: str, select: str, parameters: Parameters | None = None) -> int:
        return self._files.select(source, into, *marked(select, parameters))

    def with_lines(self, source: str) -> None:
        self._files.with_lines(source)

    def raw_rows(self, source: str, lines: str, into: str) -> None:
        self._files.raw(source, lines, into)

    def keep_loaded(self, source: str, name: str, left_out: str | None, archived: str | None = None) -> None:
        readable = None if archived is None else self._archived.readable(archived)
        self._files.keep(source, name, left_out, readable)

    def export(self, select: str, *paths: Path) -> None:
        if len(paths) == 1:
            self._engine(copied_to(select, paths[0]))
            return
        with self._files.in_order_of_the_file():  # rows are put in order once
            self._engine(f"CREATE OR REPLACE TEMP TABLE _dl_exported AS\n{select}")
            for path in paths:
                self._engine(copied_to("SELECT * FROM _dl_exported", path))
        self._engine("DROP TABLE _dl_exported")

    def export_at_once(self, results: Sequence[tuple[str, Path]]) -> None:
        from concurrent.futures import ThreadPoolExecutor

        def write(result: tuple[str, Path]) -> None:
            copied = copied_to(*result)
            with self._connection.cursor() as beside, translated_errors(copied):
                beside.execute(f"USE {self._qualified}")
                beside.execute(copied)

        # One of them alone keeps one core busy and a bit of another.
        with self._files.in_order_of_the_file(), ThreadPoolExecutor(_AT_ONCE) as threads:
            for done in [threads.submit(write, result) for result in results]:
                done.result()
