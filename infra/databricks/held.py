"""Statements of a session, which may be that of the writer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropledger.core.errors import ConfigurationError
from dropledger.infra.databricks.connection import Statements
from dropledger.infra.databricks.writer import Writer

if TYPE_CHECKING:
    import pyarrow as pa


class HeldStatements:
    """Runs the statements of one who writes, or just reads where there is no writer.

    What is missing because another process has become the writer is told as that, a Conflict.
    """

    def __init__(self, statements: Statements, writer: Writer | None) -> None:
        self.plain = statements
        self._writer = writer

    @property
    def is_reader(self) -> bool:
        return self._writer is None

    @property
    def writer(self) -> Writer:
        """Who writes.

        Raises:
            TypeError: nobody does here.
        """
        if self._writer is None:
            raise TypeError("a session that was opened for reading writes nothing")
        return self._writer

    def run(self, sql: str, parameters: Mapping[str, Any] | None = None) -> int:
        with self._while_held():
            return self.plain.run(sql, parameters)

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        with self._while_held():
            return self.plain.rows(sql, parameters)

    def batches(self, sql: str) -> "tuple[pa.Schema, Iterator[pa.RecordBatch]]":
        with self._while_held():
            return self.plain.batches(sql)

    def put(self, path: Path, target: str) -> None:
        with self._while_held():
            self.plain.put(path, target)

    @contextmanager
    def _while_held(self) -> Iterator[None]:
        try:
            yield
        except ConfigurationError:
            if self._writer is not None:
                self._writer.renew()
            raise
