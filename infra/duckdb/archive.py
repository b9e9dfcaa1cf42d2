"""Archived files that views read where they lie: by their names under the root, wherever that has been moved to.

The macro `archived` makes of such a name what the engine reads. It holds the root's place, so that any program that
opens the warehouse finds the files; one that finds the root elsewhere says so by a variable of its session.
"""

import os
import re
from contextlib import suppress
from glob import escape
from pathlib import Path

import duckdb

from dropledger.core.sql.text import literal
from dropledger.infra.duckdb.engine import translated_errors

_VARIABLE = "dropledger_root"
_NAMED = re.compile(r"\barchived\('((?:[^']|'')*)'\)")
_ESCAPED = re.compile(r"\[([*?[])\]")


class ArchivedFiles:
    """The files below `root` as a session reads them in place; none where that is no local folder."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, root: Path | None) -> None:
        self._connection = connection
        self._root = root

    def find(self, *, writing: bool) -> None:
        """Let the views find the files under this root; one that is `writing` lets all others know where it is."""
        if self._root is None:
            return
        place, found = f"{escape(str(self._root))}/", None
        with suppress(duckdb.CatalogException):  # no session that writes has made the macro yet
            found = (self._connection.execute("SELECT archived('')").fetchone() or [None])[0]
        if found == place:
            return
        if writing:
            known = f"coalesce(getvariable({literal(_VARIABLE)}) || '/', {literal(place)})"
            macro = f"CREATE OR REPLACE MACRO archived(name) AS {known} || name"
            with translated_errors(macro):
                self._connection.execute(macro)
        elif found is not None:
            self._connection.execute(f"SET VARIABLE {_VARIABLE} = {literal(place.removesuffix('/'))}")

    def readable(self, name: str) -> str | None:
        """What `read_csv` is given for a file under the root; None where it cannot be read there."""
        if self._root is None:
            return None
        path = self._root / name
        # The engine takes a backslash for the beginning of an escape, and knows none for a backslash itself.
        if "\\" in str(path) or not (path.is_file() and os.access(path, os.R_OK)):
            return None
        return f"archived({literal(escape(name))})"

    def read_by_views(self, schema: str) -> list[str]:
        """What the engine opens for the views of a schema of the current database: files, and patterns for these."""
        if self._root is None:
            return []
        views = self._connection.execute(
            f"""SELECT sql FROM duckdb_views()
            WHERE database_name = current_database() AND schema_name = {literal(schema)}"""
        ).fetchall()
        patterns = [
            f"{escape(str(self._root))}/{name}"
            for (sql,) in views
            for name in (quoted.replace("''", "'") for quoted in _NAMED.findall(sql))
        ]
        paths = {_ESCAPED.sub(r"\1", pattern) for pattern in patterns}
        # Of a file that is gone the engine asks whether it is a folder, and then says that it found none.
        gone = {f"{pattern}/**/*.{form}" for pattern in patterns for form in ("csv", "parquet")}
        return sorted({*patterns, *paths, *gone})
