"""The embedded warehouse: one DuckDB file, opened only while it is worked on."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import duckdb
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from core.errors import Busy, ConfigurationError, DataRefused, Unavailable
from core.intake import MAX_LINE_BYTES
from core.ports import Layout, Parameters, Warehouse
from core.sql import literal, quoted

# What may hold a colon and is no marker (literals, quoted names, comments) is matched first, and left alone.
_MARKER = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|(?<![:\w]):([a-z_]\w*)""")
_MAX_LINE_BYTES = MAX_LINE_BYTES + (1 << 20)
_HOLDER = re.compile(r"held in (.+?\(PID \d+\)|.+?(?=\. |$))", re.MULTILINE)


@cache
def _text(name: str) -> Template:
    return Template(files("infra").joinpath("duckdb_sql", f"{name}.sql").read_text(encoding="utf-8"))


def _bound(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value


def _read(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _cells(layout: Layout, cell: str) -> str:
    """The contract's columns, each by the `cell` at its place; NULL for those that the file lacks."""
    return ",\n    ".join(
        f"{'CAST(NULL AS VARCHAR)' if place is None else cell.format(place=place)} AS {quoted(name)}"
        for name, place in layout.positions.items()
    )


def _with_line_feeds(source: Path, target: Path) -> None:
    """Copy a text file, all its lines ended by line feeds."""
    with (
        source.open(encoding="utf-8-sig", newline=None) as lines,
        target.open("w", encoding="utf-8", newline="") as plain,
    ):
        shutil.copyfileobj(lines, plain, 1 << 20)


def _with_lines(received: str) -> str:
    """The rows of a loaded file with their lines.

    Numbering the rows of a clean file while they are read would keep the engine to one thread; their place in
    the table, which keeps the order of the file, is their line.
    """
    table = quoted(received)
    return (
        "SELECT r.rowid AS _row, r.* REPLACE (coalesce(r._line, r.rowid - first_row.place + 2) AS _line) "
        f"FROM {table} AS r CROSS JOIN (SELECT min(rowid) AS place FROM {table}) AS first_row"
    )


class DuckDBSession:
    """A `core.ports.Session` on an open DuckDB connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, database: str, schema: str) -> None:
        self._connection = connection
        self._schema = schema
        # The file is called like the schema, and DuckDB takes a lone name for either: name both.
        self._qualified = f"{quoted(database)}.{quoted(schema)}"
        self._kept_raw: set[str] = set()

    def enter_schema(self, *, create: bool) -> None:
        """Make the pipeline's schema the current one."""
        if create:
            self._engine(f"CREATE SCHEMA IF NOT EXISTS {self._qualified}")
        try:
            self._connection.execute(f"USE {self._qualified}")
        except duckdb.CatalogException as error:
            raise ConfigurationError(
                f"the warehouse has no schema {self._schema}", hint="drop a file first: dropledger process FILE"
            ) from error
        if create:
            # Spark has regexp_like, DuckDB the same by another name; views use it, so it must stay in the file.
            self._engine("CREATE MACRO IF NOT EXISTS regexp_like(text, pattern) AS regexp_matches(text, pattern)")

    def _run(self, sql: str, parameters: Parameters | None) -> duckdb.DuckDBPyConnection:
        used: dict[str, Any] = {}

        def marker(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0]
            used[match[1]] = _bound((parameters or {})[match[1]])
            return f"${match[1]}"

        return self._engine(_MARKER.sub(marker, sql), used)

    def _engine(self, sql: str, parameters: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
        """Run a statement of the engine's own dialect; its errors become ours, by what to do next."""
        try:
            return self._connection.execute(sql, parameters or {})
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as error:
            raise ConfigurationError(
                f"a statement of the pipeline does not work: {' '.join(str(error).split())[:300]}",
                hint="correct the pipeline's SQL or YAML; the statement begins with: " + " ".join(sql.split())[:120],
            ) from error
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            raise Unavailable(
                f"the warehouse cannot go on: {str(error).splitlines()[0]}",
                hint="free memory or disk space, and try again; what was taken is completed then",
            ) from error
        except (duckdb.DataError, duckdb.ProgrammingError, duckdb.IntegrityError) as error:
            raise DataRefused(
                "not_computable",
                f"the engine cannot work with this file or its values: {str(error).splitlines()[0]}",
                hint="look for values at the limits of their types, and for odd line ends or quotes",
            ) from error

    def execute(self, sql: str, parameters: Parameters | None = None) -> int:
        row = self._run(sql, parameters).fetchone()
        return int(row[0]) if row and isinstance(row[0], int) else 0

    def query(self, sql: str, parameters: Parameters | None = None) -> list[dict[str, Any]]:
        result = self._run(sql, parameters)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, map(_read, row), strict=True)) for row in result.fetchall()]

    def scratch(self, name: str, select: str, parameters: Parameters | None = None) -> int:
        return self.execute(f"CREATE OR REPLACE TEMP TABLE {quoted(name)} AS\n{select}", parameters)

    def view(self, name: str, select: str) -> None:
        self._engine(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS\n{select}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._engine("COMMIT")

    def has_table(self, name: str) -> bool:
        return bool(
            self.query(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = :schema AND table_name = :name",
                {"schema": self._schema, "name": name},
            )
        )

    @contextmanager
    def attached(self, other: Warehouse) -> Iterator[str]:
        self._engine(f"ATTACH {literal(other.location)} AS other_warehouse (READ_ONLY)")
        try:
            yield f"other_warehouse.{quoted(self._schema)}."
        finally:
            self._engine("DETACH other_warehouse")

    def load(self, path: Path, layout: Layout, into: str, *, drop_id: str) -> int:
        with self._in_order_of_the_file():
            return self._load(path, layout, into, drop_id)

    @contextmanager
    def _in_order_of_the_file(self) -> Iterator[None]:
        # Elsewhere no order is kept: it costs time, and DuckDB 2.0.0 hides the rows of an order-preserving insert of
        # more than 122,879 rows until the file is opened again, if one of no rows went before it in the transaction.
        self._connection.execute("SET preserve_insertion_order = TRUE")
        try:
            yield
        finally:
            self._connection.execute("SET preserve_insertion_order = FALSE")

    def _load(self, path: Path, layout: Layout, into: str, drop_id: str) -> int:
        misshapen = quoted(f"misshapen_{into}")
        self._kept_raw.discard(f"raw_{into}")
        self._engine(
            f"CREATE OR REPLACE TEMP TABLE {misshapen} (_line BIGINT, rule VARCHAR, reason VARCHAR, raw VARCHAR)"
        )
        received = f"received_{into}"
        # An error would abort the transaction, so the quick way skips what it cannot read, and the count tells:
        # where each line is a row, none was skipped. Lines that end in different ways make the engine raise.
        rows = layout.physical_lines - 1
        if not (layout.lines_end_alike and self._load_clean(path, layout, received, drop_id) == rows):
            rows = self._load_carefully(path, layout, received, drop_id, misshapen)
        self.view(into, _with_lines(received))
        return rows

    def keep_loaded(self, source: str, name: str, left_out: str | None) -> None:
        received, kept = quoted(f"received_{source}"), f"received_{name}"
        if left_out is not None:
            self._engine(
                f"""UPDATE {received} SET _accepted = FALSE
                WHERE rowid IN (
                    SELECT r._row
                    FROM ({_with_lines(f"received_{source}")}) AS r
                    WHERE r._line IN (SELECT _line FROM {quoted(left_out)})
                )"""
            )
        self._engine(f"DROP TABLE IF EXISTS {quoted(kept)}")
        self._engine(f"ALTER TABLE {received} RENAME TO {quoted(kept)}")
        self._engine(f"CREATE OR REPLACE VIEW {quoted(name)} AS {_with_lines(kept).replace('r.rowid AS _row, ', '')}")

    def clear_kept(self, name: str) -> None:
        self._engine(f"DELETE FROM {quoted(f'received_{name}')}")

    def discard_loaded(self, source: str) -> None:
        self._engine(f"DROP TABLE IF EXISTS {quoted(f'received_{source}')}")

    def _load_clean(self, path: Path, layout: Layout, into: str, drop_id: str) -> int:
        columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(layout.width))
        cells = _cells(layout, "c{place}")
        sql = _text("load_clean").substitute(
            into=quoted(into), clean_cells=cells, columns=f"{{{columns}}}", delimiter=literal(layout.delimiter)
        )
        # These rows are replaced by the feed's next drop: looking for their best compression costs more than it saves.
        self._engine("SET force_compression = 'uncompressed'")
        try:
            row = self._engine(sql, {"path": str(path), "drop_id": drop_id}).fetchone()
        finally:
            self._connection.execute("SET force_compression = 'auto'")
        return int(row[0]) if row else 0

    def _load_carefully(self, path: Path, layout: Layout, into: str, drop_id: str, misshapen: str) -> int:
        delimiter = f"[{layout.delimiter}]"
        cell = f'(?: *"(?:[^"]|"")*" *| *[^" {layout.delimiter}][^{layout.delimiter}]*| *)'
        fragments: dict[str, object] = {
            "opens": literal(f'(?:{cell}{delimiter})* *"(?:[^"]|"")*'),
            "stays": literal(f'(?:[^"]|"")*|(?:[^"]|"")*" *(?:{delimiter}{cell})*{delimiter} *"(?:[^"]|"")*'),
            "record": literal(f"(?:{cell}{delimiter})*{cell}"),
            "cell_with_delimiter": literal(f"({cell}){delimiter}"),
            "delimiter": literal(layout.delimiter),
            "width": layout.width,
            "into": quoted(into),
            "misshapen": misshapen,
            "record_cells": _cells(layout, "nullif(cells[{place} + 1], '')"),
        }
        self._lines(path, "line")
        self._engine(_text("records").substitute(fragments))
        unclosed = self.query("SELECT min(_line) AS first_line FROM record WHERE unclosed")[0]["first_line"]
        if unclosed is not None:
            raise DataRefused(
                "unbalanced_quotes",
                f"a quote that opens in line {unclosed} is never closed, so the rows behind it cannot be told apart",
                hint="close the quote, or double it if it belongs to the text, and drop the file again",
            )
        self._engine(_text("cells").substitute(fragments))
        self._engine(_text("load_cells").substitute(fragments), {"drop_id": drop_id})
        self._engine(_text("load_misshapen").substitute(fragments))
        kept = into.replace("received_", "raw_", 1)
        self.scratch(kept, "SELECT _line, raw FROM record")
        self._kept_raw.add(kept)
        counts = f"SELECT (SELECT count(*) FROM {quoted(into)}) + (SELECT count(*) FROM {misshapen}) AS read_rows"
        return int(self.query(counts)[0]["read_rows"])

    def _lines(self, path: Path, into: str) -> None:
        sql = _text("lines").substitute(into=quoted(into), max_line_bytes=_MAX_LINE_BYTES)
        with tempfile.TemporaryDirectory(prefix="dropledger-") as folder:
            # The engine takes the first line end that it meets for all; with one kind there is nothing to mistake.
            plain = Path(folder) / "lines"
            _with_line_feeds(path, plain)
            self._engine(sql, {"path": str(plain)})

    def raw_rows(self, path: Path, source: str, lines: str, into: str) -> None:
        kept = f"raw_{source}"
        if kept not in self._kept_raw:
            with self._in_order_of_the_file():
                self._lines(path, "line")
            self.scratch(kept, "SELECT _line, text AS raw FROM line")
        self.scratch(
            into,
            f"""SELECT r._line, r.raw
            FROM {quoted(kept)} AS r
            WHERE r._line IN (SELECT _line FROM {quoted(lines)})""",
        )

    def export(self, select: str, path: Path, kind: str) -> None:
        options = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet, COMPRESSION zstd"}[kind]
        self._engine(f"COPY ({select}) TO {literal(str(path))} ({options})")


def _write_ahead_log(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(12)[8:] == b"DUCK"


class DuckDBWarehouse:
    """A `core.ports.Warehouse` in a DuckDB file at `path`; the tables live in `schema`."""

    def __init__(
        self, path: Path, schema: str, *, wait_seconds: float = 30.0, settings: Mapping[str, str] | None = None
    ) -> None:
        self._path = path
        self._schema = schema
        self._wait_seconds = wait_seconds
        self._settings = dict(settings or {})

    @property
    def location(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        return self._path.exists()

    def _sibling(self, path: Path) -> "DuckDBWarehouse":
        return DuckDBWarehouse(path, self._schema, wait_seconds=self._wait_seconds, settings=self._settings)

    def aside(self, label: str, *, copied: bool = False) -> "DuckDBWarehouse":
        other = self._sibling(self._path.with_name(f"{self._path.stem}.{label}{self._path.suffix}"))
        other.remove()
        if copied and self._path.exists():
            shutil.copyfile(self._path, other.location)
            log = _write_ahead_log(self._path)
            if log.exists():
                shutil.copyfile(log, _write_ahead_log(Path(other.location)))
        return other

    def at(self, location: str) -> "DuckDBWarehouse":
        return self._sibling(Path(location).resolve())

    def put_in_place(self, rebuilt: Warehouse, keep_as: str) -> "DuckDBWarehouse":
        previous = self.aside(keep_as)
        if self._path.exists():
            # A second name for the old file first: at every instant there is a warehouse under the live name.
            os.link(self._path, previous.location)
        os.replace(rebuilt.location, self._path)
        _write_ahead_log(self._path).unlink(missing_ok=True)
        return previous

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
        _write_ahead_log(self._path).unlink(missing_ok=True)

    def versions(self) -> Sequence[tuple[str, str]]:
        return (("duckdb", duckdb.__version__),)

    @contextmanager
    def session(self, *, read_only: bool = False) -> Iterator[DuckDBSession]:
        if read_only and not self._path.exists():
            raise ConfigurationError(
                f"there is no warehouse at {self._path}",
                hint="drop a file first (dropledger process FILE), or point --root or --warehouse at an existing one",
            )
        self._refuse_other_files()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connect(read_only)
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET preserve_insertion_order = FALSE")
            row = connection.execute("SELECT current_database()").fetchone()
            session = DuckDBSession(connection, row[0] if row else self._path.stem, self._schema)
            session.enter_schema(create=not read_only)
            yield session
        finally:
            connection.close()

    def _refuse_other_files(self) -> None:
        # DuckDB opens a CSV as a database in memory without a word, and all that is written goes with the process.
        if self._path.is_file() and self._path.stat().st_size and not _is_database(self._path):
            raise ConfigurationError(
                f"{self._path} is no DuckDB file",
                hint="name the warehouse's own file with --warehouse, or leave it out",
            )

    def _connect(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        attempts = Retrying(
            retry=retry_if_exception_type(duckdb.IOException),
            stop=stop_after_delay(self._wait_seconds),
            wait=wait_random_exponential(multiplier=0.02, max=0.5),
        )
        try:
            return attempts(duckdb.connect, str(self._path), read_only=read_only, config=self._settings)
        except RetryError as error:
            cause = error.last_attempt.exception()
            text = str(cause)
            if "lock" in text.casefold():
                holder = _HOLDER.search(text)
                raise Busy(
                    f"the warehouse {self._path} is open elsewhere",
                    holder=holder[1] if holder else "",
                    hint="close the other program, or try again when it is done",
                ) from cause
            raise Unavailable(
                f"the warehouse {self._path} cannot be opened", why=text.splitlines()[0], hint="run dropledger doctor"
            ) from cause
