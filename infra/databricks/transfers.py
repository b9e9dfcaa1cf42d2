"""Rows on their way between this machine and the warehouse.

The cells of a file are told apart here, by the reader that the embedded warehouse has, streaming: so a file is read
alike by both, with its lines. They go up as Parquet whose columns are text.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dropledger.core.errors import DropledgerError
from dropledger.core.ports.session import AnyLayout
from dropledger.core.sql.text import quoted
from dropledger.infra.databricks.dialect import ticked
from dropledger.infra.databricks.held import HeldStatements
from dropledger.infra.databricks.local_reader import LocalReader
from dropledger.infra.databricks.names import Names
from dropledger.infra.databricks.schemas import remove_file

_NONE_MALFORMED = """SELECT
    CAST(NULL AS BIGINT) AS _line,
    CAST(NULL AS STRING) AS rule,
    CAST(NULL AS STRING) AS reason,
    CAST(NULL AS STRING) AS raw
WHERE FALSE"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file that went up: the drop that it is of, how many rows it has, and their columns."""

    drop_id: str
    row_count: int
    columns: tuple[str, ...]


class Transfers:
    """Takes rows up to `volume`, where they go by the names that are given them, and results down."""

    def __init__(self, statements: HeldStatements, volume: str, local: LocalReader, names: Names) -> None:
        self._statements = statements
        self._volume = volume
        self._local = local
        self._names = names
        self._uploads: set[str] = set()

    def load(self, path: Path, layout: AnyLayout, source: str, drop_id: str) -> Loaded:
        """Take a file up as `source`, and as `<source>_malformed` what is no row of it."""
        files, rows = self._local.files, quoted(f"{source}_rows")
        files.load(path, layout, source, drop_id)
        row_count = files.select(source, f"{source}_rows", f"SELECT * FROM {quoted(source)}", {})
        files.with_lines(source)
        self._upload(f"SELECT * FROM {rows} ORDER BY _line", source)
        malformed = f"{source}_malformed"
        if self._local.has_rows(f"SELECT * FROM {quoted(malformed)}"):
            self._upload(f"SELECT * FROM {quoted(malformed)}", malformed)
        else:
            self._names.give(malformed, _NONE_MALFORMED)
        return Loaded(drop_id, row_count, tuple(layout.positions))

    def load_together(self, files: Sequence[tuple[Path, AnyLayout]], source: str) -> None:
        """Take small files up as one `source`."""
        self._local.files.load_together(files, source)
        self._upload(f"SELECT * FROM {quoted(source)}", source)

    def raw_rows(self, source: str, lines: str, into: str) -> None:
        """Take up as `into` the text of the rows of `source` whose lines a query in Databricks' dialect gives."""
        with self.fetched(lines) as beside:
            beside.execute("CREATE OR REPLACE TABLE _dl_wanted AS SELECT * FROM _dl_fetched")
        self._local.files.raw(source, "_dl_wanted", "_dl_raw_of_wanted")
        self._upload("SELECT * FROM _dl_raw_of_wanted", into)

    def _upload(self, select: str, name: str) -> None:
        """Put a result of the local reader where the warehouse reads it as `name`."""
        path = self.path()
        self._local.write(select, path)
        self._names.give(name, self.uploaded(path, name))

    def path(self) -> Path:
        """A new path for a file on its way."""
        return self._local.path()

    def uploaded(self, path: Path, name: str) -> str:
        """Move a Parquet file to the volume; a select of its rows."""
        # Not the bare name: Spark passes over files that begin with an underscore, as scratch relations do.
        target = f"{self._volume}/rows_of_{name}.parquet"
        self._statements.writer.keep()
        self._statements.put(path, target)
        self._uploads.add(target)
        path.unlink()
        return f"SELECT * FROM parquet.{ticked(target)}"

    def remove_uploads(self) -> None:
        """Remove the files of rows that went up, when nothing reads them any more."""
        with suppress(DropledgerError):  # as of a warehouse that is gone, or a schema that another has dropped
            while self._uploads:
                remove_file(self._statements.plain, self._uploads.pop())

    @contextmanager
    def fetched(self, query: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """The local engine with a result as the relation `_dl_fetched`, which can be read once, as it comes."""
        import pyarrow as pa

        schema, batches = self._statements.batches(self._names.brought(query))
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

    def export(self, query: str, paths: Sequence[Path]) -> None:
        """Write a result to local files in its order."""
        with self.fetched(query) as beside:
            rows = "_dl_fetched"
            if len(paths) > 1:  # it can be read once
                with self._local.files.in_order_of_the_file():
                    beside.execute("CREATE OR REPLACE TABLE _dl_exported AS SELECT * FROM _dl_fetched")
                rows = "_dl_exported"
            for path in paths:
                self._local.write(f"SELECT * FROM {rows}", path, beside)
            beside.execute("DROP TABLE IF EXISTS _dl_exported")
