"""The embedded warehouse: one DuckDB file, opened only while it is worked on."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import Any, Protocol, cast

import duckdb

from core.errors import Busy, ConfigurationError, DataRefused, DropledgerError, Unavailable
from core.patience import Waiting, without_a_word
from core.ports import Layout, Parameters, Warehouse
from core.sql import literal, quoted
from infra.duckdb_csv import DelimitedFiles
from infra.folders import share
from infra.turns import in_turn, is_alive

# What may hold a colon and is no marker (literals, quoted names, comments) is matched first, and left alone.
_MARKER = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|(?<![:\w]):([a-z_]\w*)""")
_ATTACHED_AS = "warehouse"
_LOCKED = "Could not set lock on file"
_HOLDER = re.compile(r"held in (.+?\(PID \d+\)|.+?(?=\. |$))", re.MULTILINE)


def _bound(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


def _read(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _marked(sql: str, parameters: Parameters | None) -> tuple[str, dict[str, Any]]:
    """A portable statement with the engine's own markers, and what it binds."""
    used: dict[str, Any] = {}

    def marker(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        used[match[1]] = _bound((parameters or {})[match[1]])
        return f"${match[1]}"

    return _MARKER.sub(marker, sql), used


def _by_what_to_do(error: duckdb.Error, sql: str) -> DropledgerError | None:
    """The engine's error as one of ours; None if there is nothing that anybody could do."""
    text = str(error).partition("\n")[0]
    if "Corrupt" in text or "Could not read enough bytes" in text:
        return ConfigurationError(
            "the warehouse is damaged",
            why=text,
            hint="restore archive/ and warehouse/ from a backup, and drop again what came after it",
        )
    match error:
        case duckdb.BinderException() | duckdb.CatalogException() | duckdb.ParserException():
            return ConfigurationError(
                f"a statement of the pipeline does not work: {' '.join(str(error).split())[:300]}",
                hint="correct the pipeline's SQL or YAML; the statement begins with: " + " ".join(sql.split())[:120],
            )
        case duckdb.OperationalError() | duckdb.FatalException():
            return Unavailable(
                f"the warehouse cannot go on: {text}",
                hint="free memory or disk space, and try again; what was taken is completed then",
            )
        case duckdb.DataError() | duckdb.ProgrammingError() | duckdb.IntegrityError():
            return DataRefused(
                "not_computable",
                f"the engine cannot work with this file or its values ({type(error).__name__})",
                hint="look for values at the limits of their types, and for odd line ends or quotes",
                detail=text,
            )
        case _:
            return None


class Keeper(Protocol):
    """Keeps a warehouse file elsewhere; what is at a local path is a copy to work on."""

    @property
    def location(self) -> str:
        """Where the file is kept, as people write it."""
        ...

    def exists(self) -> bool:
        """Whether there is anything to fetch."""
        ...

    def fetched(self, path: Path, *, read_only: bool) -> AbstractContextManager[None]:
        """Have the newest file at the path, if there is any, and nobody else write there, for as long as the block."""
        ...

    def changing(self, path: Path) -> None:
        """The copy is about to become another file than the one that is kept."""
        ...

    def keep(self, path: Path) -> None:
        """Put the copy in place of the file that was fetched.

        Raises:
            Overtaken: another process was first; the copy does not count.
        """
        ...


class DuckDBSession:
    """A `core.ports.Session` on an open DuckDB connection."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, schema: str, passing: Path, keeping: tuple[Keeper, Path] | None
    ) -> None:
        self._connection = connection
        self._keeping = keeping
        self._schema = schema
        self._qualified = f"{_ATTACHED_AS}.{quoted(schema)}"
        self._files = DelimitedFiles(self._engine, connection, passing)

    def enter_schema(self, *, create: bool) -> None:
        """Make the pipeline's schema the current one."""
        try:
            self._connection.execute(f"USE {self._qualified}")
        except duckdb.CatalogException as error:
            if not create:
                raise ConfigurationError(
                    f"the warehouse has no schema {self._schema}", hint="drop a file first: dropledger process FILE"
                ) from error
            self._engine(f"CREATE SCHEMA {self._qualified}")
            self._engine(f"USE {self._qualified}")
            # Spark has regexp_like, DuckDB the same by another name; views use it, so it must stay in the file.
            self._engine("CREATE MACRO regexp_like(text, pattern) AS regexp_matches(text, pattern)")

    def _engine(self, sql: str, parameters: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
        """Run a statement of the engine's own dialect."""
        try:
            return self._connection.execute(sql, parameters or {})
        except duckdb.Error as error:
            ours = _by_what_to_do(error, sql)
            if ours is None:
                raise
            raise ours from error

    def execute(self, sql: str, parameters: Parameters | None = None) -> int:
        row = self._engine(*_marked(sql, parameters)).fetchone()
        return int(row[0]) if row and isinstance(row[0], int) else 0

    def query(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        result = self._engine(*_marked(sql, parameters))
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, map(_read, row), strict=True)) for row in result.fetchall()]

    def insert(self, table: str, records: Sequence[Mapping[str, Any]]) -> None:
        if records:
            bound = [{name: _bound(value) for name, value in record.items()} for record in records]
            rows = "SELECT unnest($records, max_depth := 2)"
            self._engine(f"INSERT INTO {quoted(table)} BY NAME\n{rows}", {"records": bound})

    def scratch(self, name: str, select: str, parameters: Parameters | None = None) -> None:
        self.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS\n{select}", parameters)

    def count(self, name: str) -> int:
        return int(self.query(f"SELECT count(*) AS row_count FROM {quoted(name)}")[0]["row_count"])

    def view(self, name: str, select: str) -> None:
        self._engine(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS\n{select}")

    @contextmanager
    def transaction(self, *, single: bool = False) -> Iterator[None]:
        del single  # costs no more to take back than another
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            with suppress(duckdb.Error):  # what went wrong before is to be told
                self._connection.execute("ROLLBACK")
            raise
        self._commit()

    def _commit(self) -> None:
        if self._keeping is None:
            self._engine("COMMIT")
            return
        keeper, path = self._keeping
        keeper.changing(path)
        self._engine("COMMIT")
        self._engine(f"CHECKPOINT {_ATTACHED_AS}")
        keeper.keep(path)

    def columns(self, name: str) -> Mapping[str, str]:
        result = self._engine(f"SELECT * FROM {quoted(name)} LIMIT 0")
        return {column[0]: str(column[1]) for column in result.description or ()}

    def has_table(self, name: str) -> bool:
        there = """SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()
            UNION ALL
            SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = current_database()"""
        return bool(
            self.query(
                f"SELECT 1 FROM ({there}) AS there WHERE schema_name = :schema AND table_name = :name",
                {"schema": self._schema, "name": name},
            )
        )

    @contextmanager
    def attached(self, other: Warehouse, tables: Sequence[str]) -> Iterator[str]:
        del tables  # a file is attached with all that it has
        with cast("DuckDBWarehouse", other).fetched(read_only=True) as path:
            self._engine(f"ATTACH {literal(str(path))} AS other_warehouse (READ_ONLY)")
            try:
                yield f"other_warehouse.{quoted(self._schema)}."
            finally:
                self._engine("DETACH other_warehouse")

    def load(self, path: Path, layout: Layout, source: str, *, drop_id: str) -> None:
        self._files.load(path, layout, source, drop_id)

    def load_together(self, files: Sequence[tuple[Path, Layout]], source: str) -> None:
        self._files.load_together(files, source)

    def select_rows(self, source: str, into: str, select: str, parameters: Parameters | None = None) -> int:
        return self._files.select(source, into, *_marked(select, parameters))

    def with_lines(self, source: str) -> None:
        self._files.with_lines(source)

    def raw_rows(self, source: str, lines: str, into: str) -> None:
        self._files.raw(source, lines, into)

    def keep_loaded(self, source: str, name: str, left_out: str | None) -> None:
        self._files.keep(source, name, left_out)

    def export(self, select: str, path: Path, kind: str) -> None:
        options = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet, COMPRESSION zstd"}[kind]
        self._engine(f"COPY ({select}) TO {literal(str(path))} ({options})")


def _write_ahead_log(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"


class DuckDBWarehouse:
    """A `core.ports.Warehouse` in a DuckDB file at `path`; the tables live in `schema`.

    With a `keeper`, the file at the path is a copy of the one that it keeps.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        *,
        wait_seconds: float = 30.0,
        settings: Mapping[str, str] | None = None,
        waiting: Waiting = without_a_word,
        keeper: Keeper | None = None,
    ) -> None:
        self._path = path
        self._keeper = keeper
        self._schema = schema
        self._wait_seconds = wait_seconds
        self._waiting = waiting
        self._settings: dict[str, Any] = dict(settings or {})
        self._instance: duckdb.DuckDBPyConnection | None = None

    @property
    def location(self) -> str:
        return self._keeper.location if self._keeper else str(self._path)

    def exists(self) -> bool:
        return self._keeper.exists() if self._keeper else self._path.exists()

    @contextmanager
    def fetched(self, *, read_only: bool) -> Iterator[Path]:
        """Have the newest file in place; its path."""
        with self._keeper.fetched(self._path, read_only=read_only) if self._keeper else nullcontext():
            yield self._path

    def _sibling(self, path: Path) -> "DuckDBWarehouse":
        return DuckDBWarehouse(
            path, self._schema, wait_seconds=self._wait_seconds, settings=self._settings, waiting=self._waiting
        )

    def aside(self, label: str, *, copied: bool = False) -> "DuckDBWarehouse":
        other = self._sibling(self._path.with_name(f"{self._path.stem}.{label}{self._path.suffix}"))
        other.remove()
        if copied and self.exists():
            with self.fetched(read_only=True) as path:
                shutil.copyfile(path, other.location)
                log = _write_ahead_log(path)
                if log.exists():
                    shutil.copyfile(log, _write_ahead_log(Path(other.location)))
        return other

    def at(self, location: str) -> "DuckDBWarehouse":
        return self._sibling(Path(location).resolve())

    def put_in_place(self, rebuilt: Warehouse, keep_as: str) -> "DuckDBWarehouse":
        previous = self.aside(keep_as)
        if self._keeper:
            self._keeper.changing(self._path)
        elif self._path.exists():
            # A second name for the old file first: at every instant there is a warehouse under the live name.
            os.link(self._path, previous.location)
        os.replace(rebuilt.location, self._path)
        _write_ahead_log(self._path).unlink(missing_ok=True)
        if self._keeper:
            self._keeper.keep(self._path)
        return previous

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
        _write_ahead_log(self._path).unlink(missing_ok=True)

    def versions(self) -> Sequence[tuple[str, str]]:
        return (("duckdb", duckdb.__version__),)

    @contextmanager
    def session(self, *, read_only: bool = False) -> Iterator[DuckDBSession]:
        with self.fetched(read_only=read_only):
            if read_only and not self._path.exists():
                raise ConfigurationError(
                    f"there is no warehouse at {self.location}",
                    hint="drop a file first (dropledger process FILE), "
                    "or point --root or --warehouse at an existing one",
                )
            self._refuse_other_files()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = not self._path.exists()
            with self._engine().cursor() as connection:
                self._attach(connection, read_only)
                try:
                    keeping = (self._keeper, self._path) if self._keeper else None
                    session = DuckDBSession(connection, self._schema, self._passing, keeping)
                    session.enter_schema(create=not read_only)
                    yield session
                finally:
                    shutil.rmtree(self._passing, ignore_errors=True)
                    self._detach(connection)
                    if new:  # not earlier: whoever closes the file lets go of the engine's lock on it
                        share(self._path, self._path.parent)

    @property
    def _passing(self) -> Path:
        return self._path.with_name(f"{self._path.name}.tmp-lines-{os.getpid()}")

    def _engine(self) -> duckdb.DuckDBPyConnection:
        """An engine that the file is attached to for each session: a new one takes far longer to start than that."""
        if self._instance is None:
            self._remove_spilled()
            spill = {"temp_directory": f"{self._path}.tmp-{os.getpid()}"}
            unasked = {"autoinstall_known_extensions": False}  # which would fetch code while data is worked on
            config = {"preserve_insertion_order": False, **unasked, **spill, **self._settings}
            self._instance = duckdb.connect(config=config)
            self._instance.execute("SET GLOBAL TimeZone = 'UTC'")
        return self._instance

    def _remove_spilled(self) -> None:
        """Remove what processes that were killed had moved out of memory, or unpacked or rewrote to read it."""
        for folder in self._path.parent.glob(f"{escape(self._path.name)}.tmp-*"):
            if not is_alive(int(folder.name.rpartition("-")[2])):
                shutil.rmtree(folder, ignore_errors=True)

    def _detach(self, connection: duckdb.DuckDBPyConnection) -> None:
        try:
            connection.execute("USE memory.main")
            connection.execute(f"DETACH {_ATTACHED_AS}")
        except duckdb.Error:  # an engine that has failed badly does nothing more; its end lets go of the file
            self._engine().close()
            self._instance = None

    def _refuse_other_files(self) -> None:
        # DuckDB opens a CSV as a database in memory without a word, and all that is written goes with the process.
        if self._path.is_file() and self._path.stat().st_size and not _is_database(self._path):
            raise ConfigurationError(
                f"{self._path} is no DuckDB file",
                hint="name the warehouse's own file with --warehouse, or leave it out",
            )

    def _attach(self, connection: duckdb.DuckDBPyConnection, read_only: bool) -> None:
        attach = f"ATTACH {literal(str(self._path))} AS {_ATTACHED_AS} (READ_ONLY {read_only})"

        def attempt() -> None:
            try:
                connection.execute(attach)
            except duckdb.Error as error:
                text = str(error)
                if _LOCKED in text:
                    holder = _HOLDER.search(text)
                    raise Busy(
                        f"the warehouse {self._path} is open elsewhere",
                        holder=holder[1] if holder else "",
                        hint="close the other program, or try again when it is done",
                    ) from error
                ours = _by_what_to_do(error, attach)
                if not isinstance(ours, ConfigurationError):
                    ours = Unavailable(
                        f"the warehouse {self._path} cannot be opened",
                        why=text.splitlines()[0],
                        hint="run dropledger doctor",
                    )
                raise ours from error

        in_turn(self._path.parent, attempt, self._wait_seconds, self._waiting)
