"""What a session names: every statement brings along the names that stand in it, as common table expressions.

A temporary view would be a statement more for each name, and gone with the connection.
"""

import re

from dropledger.infra.databricks.dialect import FROM_A_QUERY, NAME, ticked, written_table

_WORD = re.compile(r"`((?:[^`]|``)*)`|(\w+)")
_A_QUERY = re.compile(r"\s*(?:--[^\n]*\n\s*)*(?:SELECT|WITH|FROM|VALUES|\()", re.IGNORECASE)
_A_MERGE = re.compile(
    rf"""^(?P<into>\s*(?:--[^\n]*\n\s*)*MERGE\ INTO\ {NAME}(?:\ AS\ \w+)?\s+USING\s+)
    (?:(?P<name>{NAME})|\((?P<query>.*)\))
    (?P<rest>\ AS\ \w+\s+ON\s.*)$""",
    re.VERBOSE | re.DOTALL,
)


class Names:
    """Names of queries, of which one may read another. They are of one session, and hide tables of the same name."""

    def __init__(self) -> None:
        self._queries: dict[str, str] = {}

    def give(self, name: str, query: str) -> None:
        """Let a name stand for a query in Databricks' dialect, in place of what it stood for."""
        self._queries[name.lower()] = query

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._queries

    def brought(self, statement: str) -> str:
        """The statement, which may be any in Databricks' dialect, with the names that it reads.

        Raises:
            ValueError: it reads some, and is of no kind that can bring them along.
        """
        names = self._read_by(statement)
        if not names:
            return statement
        along = "WITH " + ",\n".join(f"{ticked(name)} AS (\n{self._queries[name]}\n)" for name in names)
        if _A_QUERY.match(statement):
            return f"{along}\n(\n{statement}\n)"
        if found := FROM_A_QUERY.match(statement):
            return f"{statement[: found.start('query')]}{along}\n(\n{found['query']}\n)"
        if found := _A_MERGE.match(statement):
            query = found["query"] or f"SELECT * FROM {found['name']}"
            return f"{found['into']}(\n{along}\n(\n{query}\n)\n){found['rest']}"
        if names == [(written_table(statement) or "").lower()]:  # as one that deletes by values
            return statement
        raise ValueError(f"a statement that cannot bring {', '.join(names)} along: {statement[:120]}")

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
