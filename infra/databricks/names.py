"""What a session names: every query brings along the names that stand in it, as common table expressions.

A temporary view would be a statement more for each name, and gone with the connection.
"""

import re

from dropledger.infra.databricks.dialect import ticked

_WORD = re.compile(r"`((?:[^`]|``)*)`|(\w+)")


class Names:
    """Names of queries, of which one may read another. They are of one session, and hide tables of the same name."""

    def __init__(self) -> None:
        self._queries: dict[str, str] = {}

    def give(self, name: str, query: str) -> None:
        """Let a name stand for a query in Databricks' dialect, in place of what it stood for."""
        self._queries[name.lower()] = query

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._queries

    def brought(self, query: str) -> str:
        """A query in Databricks' dialect with the names that it reads."""
        names = self._read_by(query)
        if not names:
            return query
        along = "WITH " + ",\n".join(f"{ticked(name)} AS (\n{self._queries[name]}\n)" for name in names)
        return f"{along}\n(\n{query}\n)"

    def _read_by(self, text: str) -> list[str]:
        """The names in a text and in their queries, each behind those that it reads."""
        found: list[str] = []

        def look(text: str, through: frozenset[str]) -> None:
            for ticked_name, word in _WORD.findall(text):
                name = (ticked_name.replace("``", "`") or word).lower()
                if name in self._queries and name not in through and name not in found:
                    look(self._queries[name], through | {name})
                    found.append(name)

        look(text, frozenset())
        return found
