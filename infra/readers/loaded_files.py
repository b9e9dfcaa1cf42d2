"""The files that a session has loaded, each read by the reader of its format."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import duckdb

from dropledger.core.ports.session import AnyLayout, Layout, Parameters
from dropledger.infra.readers.delimited import DelimitedFiles
from dropledger.infra.readers.scratchpad import Engine, Scratchpad


class Reader(Protocol):
    """What reads files of a format; each source is a file that it was given to load."""

    def load(self, path: Path, layout: Any, source: str, drop_id: str) -> None:
        """Make the file's cells readable as the view `source`, and its odd rows as scratch `<source>_malformed`."""
        ...

    def select(self, source: str, into: str, select: str, parameters: Parameters) -> int:
        """As `Session.select_rows`, with the engine's markers."""
        ...

    def with_lines(self, source: str) -> None:
        """As `Session.with_lines`."""
        ...

    def raw(self, source: str, lines: str, into: str) -> None:
        """As `Session.raw_rows`."""
        ...

    def keep(self, source: str, name: str, left_out: str | None, archived: str | None) -> None:
        """As `Session.keep_loaded`; `archived` is SQL for where the file lies by now, if it can be read there."""
        ...


def _json(pad: Scratchpad) -> Reader:
    from dropledger.infra.readers.json_files import JsonFiles

    return JsonFiles(pad)


def _parquet(pad: Scratchpad) -> Reader:
    from dropledger.infra.readers.parquet_files import ParquetFiles

    return ParquetFiles(pad)


# Imported where such a file comes: every start would pay for it.
READERS: Mapping[str, Callable[[Scratchpad], Reader]] = {
    "csv": DelimitedFiles,
    "ndjson": _json,
    "json": _json,
    "parquet": _parquet,
}
"""What reads each format."""


class LoadedFiles:
    """The files that a session has loaded, each by the name of its source."""

    def __init__(self, engine: Engine, connection: duckdb.DuckDBPyConnection, passing: Path) -> None:
        self._pad = Scratchpad(engine, connection, passing)
        self._delimited = DelimitedFiles(self._pad)
        self._readers: dict[str, Reader] = {"csv": self._delimited}
        self._sources: dict[str, Reader] = {}

    def load(self, path: Path, layout: AnyLayout, source: str, drop_id: str) -> None:
        """As `Reader.load`."""
        reader = self._readers.get(layout.format)
        if reader is None:
            reader = self._readers[layout.format] = READERS[layout.format](self._pad)
        self._sources[source] = reader
        reader.load(path, layout, source, drop_id)

    def load_together(self, files: Sequence[tuple[Path, Layout]], source: str) -> None:
        """As `DelimitedFiles.load_together`."""
        self._delimited.load_together(files, source)

    def select(self, source: str, into: str, select: str, parameters: Parameters) -> int:
        """As `Reader.select`."""
        return self._sources[source].select(source, into, select, parameters)

    def with_lines(self, source: str) -> None:
        """As `Reader.with_lines`."""
        self._sources[source].with_lines(source)

    def raw(self, source: str, lines: str, into: str) -> None:
        """As `Reader.raw`."""
        self._sources[source].raw(source, lines, into)

    def keep(self, source: str, name: str, left_out: str | None, archived: str | None) -> None:
        """As `Reader.keep`."""
        self._sources[source].keep(source, name, left_out, archived)

    @contextmanager
    def in_order_of_the_file(self) -> Iterator[None]:
        """Keep the order of rows for as long as the block lasts."""
        with self._pad.in_order_of_the_file():
            yield
