"""DuckDB on this machine, for telling a file's cells apart and for writing artifacts."""

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from dropledger.infra.duckdb.engine import copied_to, new_engine, translated_errors
from dropledger.infra.readers.loaded_files import LoadedFiles


class LocalReader:
    """An engine that keeps no rows. `passing` is a folder of this process for what is on its way."""

    def __init__(self, passing: Path, settings: Mapping[str, str]) -> None:
        self.passing = passing
        self.connection = new_engine(str(passing / "spilled"), settings)
        self.files = LoadedFiles(self._engine, self.connection, passing)
        self._numbers = count()

    def _engine(self, sql: str, parameters: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
        with translated_errors(sql):
            return self.connection.execute(sql, parameters or {})

    def has_rows(self, select: str) -> bool:
        """Whether a query gives any."""
        return self.connection.execute(f"SELECT 1 FROM ({select}) AS rows LIMIT 1").fetchone() is not None

    def path(self) -> Path:
        """A new path for a file on its way."""
        return self.passing / f"{next(self._numbers)}.parquet"

    def write(self, select: str, path: Path, beside: duckdb.DuckDBPyConnection | None = None) -> None:
        """Write a result of this engine in its order; what it reads may be known `beside` alone."""
        with self.files.in_order_of_the_file(), translated_errors(select):
            (beside or self.connection).execute(copied_to(select, path))
