"""What all readers do with the engine: name results, ask for values, and pass files on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from itertools import count
from pathlib import Path
from string import Template
from typing import Any

import duckdb

from dropledger.core.errors import Postponed
from dropledger.core.sql.text import quoted
from dropledger.infra.local.folders import PRIVATE

Engine = Callable[..., duckdb.DuckDBPyConnection]
"""Runs a statement of the engine's dialect with its bound values."""


@cache
def text_of(name: str) -> Template:
    """The statement of that name beside this module."""
    return Template(files("dropledger.infra.readers").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8"))


class Scratchpad:
    """An engine, and a folder of this process that is there once a file is passed through it until the session ends."""

    def __init__(self, engine: Engine, connection: duckdb.DuckDBPyConnection, passing: Path) -> None:
        self.engine = engine
        self.connection = connection
        self._passing = passing
        self._numbers = count()
        self._rewritten: dict[str, Path] = {}

    def view(self, name: str, select: str) -> None:
        """Name a query for this session."""
        self.engine(f"CREATE OR REPLACE TEMP VIEW {quoted(name)} AS\n{select}")

    def value(self, sql: str) -> Any:
        """The first value of a result."""
        row = self.engine(sql).fetchone()
        return row[0] if row else None

    def count(self, sql: str, parameters: Mapping[str, Any]) -> int:
        """How many rows a statement made."""
        row = self.engine(sql, parameters).fetchone()
        return int(row[0]) if row else 0

    @contextmanager
    def in_order_of_the_file(self) -> Iterator[None]:
        """Keep the order of rows for as long as the block lasts."""
        # Elsewhere no order is kept, since it costs time. Set beside the connection, whose transaction may have been
        # aborted when the block ends.
        with self.connection.cursor() as beside:
            beside.execute("SET GLOBAL preserve_insertion_order = TRUE")
            try:
                yield
            finally:
                beside.execute("SET GLOBAL preserve_insertion_order = FALSE")

    @contextmanager
    def passing_file(self) -> Iterator[Path]:
        """A path for a file that is gone when the block ends."""
        path = self.passing_path()
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def passing_path(self) -> Path:
        """A new path in the folder."""
        self._passing.mkdir(PRIVATE, exist_ok=True)
        return self._passing / str(next(self._numbers))

    def forget(self, source: str) -> None:
        """Delete what a file was rewritten to for a source before."""
        before = self._rewritten.pop(source, None)
        if before is not None:
            before.unlink(missing_ok=True)

    def rewritten(self, path: Path, chunks: Iterable[bytes], source: str) -> Path:
        """A file with the chunks, which stays until the source is another or the session ends.

        Raises:
            Postponed: there is no room.
        """
        self.forget(source)
        try:
            target = self._rewritten[source] = self.passing_path()
            with target.open("wb") as file:
                file.writelines(chunks)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise Postponed(
                f"{path} cannot be rewritten into {self._passing}",
                why=str(error),
                hint="free disk space there, and try again; what was taken is completed then",
            ) from error
        return target
