"""The files that a session has loaded, each read by the reader of its format."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import duckdb

from dropledger.core.ports.session import AnyLayout, Parameters
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


class ReaderOfMany(Protocol):
    """What reads files of a format that go with others."""

    def load_together(self, files: Sequence[tuple[Path, Any]], source: str) -> None:
        """As `Session.load_together`."""
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
        self._readers: dict[str, Reader] = {}
        self._sources: dict[str, Reader] = {}

    def load(self, path: Path, layout: AnyLayout, source: str, drop_id: str) -> None:
        """As `Reader.load`."""
        self._sources[source] = self._reader_of(layout)
        self._sources[source].load(path, layout, source, drop_id)

    def load_together(self, files: Sequence[tuple[Path, AnyLayout]], source: str) -> None:
        """As `Session.load_together`."""
        cast(ReaderOfMany, self._reader_of(files[0][1])).load_together(files, source)

    def _reader_of(self, layout: AnyLayout) -> Reader:
        if layout.format not in self._readers:
            self._readers[layout.format] = READERS[layout.format](self._pad)
        return self._readers[layout.format]

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
