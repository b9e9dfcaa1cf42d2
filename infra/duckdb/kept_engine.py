"""The engine of a process for one warehouse file."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import duckdb

from dropledger.infra.duckdb.engine import new_engine
from dropledger.infra.duckdb.markers import STATEMENTS_KEPT

Parse = Callable[[str], list[duckdb.Statement]]
"""What parses a text, or remembers how it did."""


class KeptEngine:
    """An engine that the file is attached to for each session: a new one takes far longer to start than that.

    What memory cannot hold goes to the folder `spill`.
    """

    def __init__(self, spill: str, settings: Mapping[str, Any]) -> None:
        self._spill = spill
        self._settings = settings
        self._instance: duckdb.DuckDBPyConnection | None = None
        self.parse: Parse

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the engine, which starts if there is none."""
        if self._instance is None:
            self._instance = new_engine(self._spill, self._settings)
            self.parse = lru_cache(STATEMENTS_KEPT)(self._instance.extract_statements)
        return self._instance.cursor()

    def end(self) -> None:
        """Let go of the engine, and with it of all files."""
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.close()
