"""How confidential columns are: as the contracts say, and what is made of such columns is as they are."""

from collections.abc import Iterable
from pathlib import Path

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.lineage.kept import lineage_if_installed
from dropledger.core.lineage.made import Ref
from dropledger.core.lineage.pipeline import Lineage
from dropledger.core.lineage.relations import reads, relations

RESTRICTED = "restricted"
"""The classification of what the console masks."""


class Classified:
    """The classification of each column of a pipeline's tables and views.

    A column of a view or mart has those of the columns that it is made of, or that a CASE chooses it by, so that it
    tells of them; what else decides about it does not count. Where
    it is not sure what that is, or where sqlglot is not there to tell, it has those of all that the view or mart reads.
    """

    def __init__(self, pipeline: Pipeline, cache: Path | None = None) -> None:
        self._of_tables: dict[str, dict[str, frozenset[str]]] = {}
        self._of_others: dict[str, frozenset[str]] = {}  # of columns of a view or mart that nothing is known of
        contracts = pipeline.contracts.values()
        self._any = any(column.classification for contract in contracts for column in contract.columns)
        if self._any:
            self._read(pipeline, lineage_if_installed(pipeline, cache))

    def of(self, table: str, column: str) -> str | None:
        """The classification of a column; of several, `restricted` if it is one of them, else all."""
        if not self._any:
            return None
        words = self._of_tables.get(table, {}).get(column, self._of_others.get(table, frozenset()))
        return RESTRICTED if RESTRICTED in words else ", ".join(sorted(words)) or None

    def _read(self, pipeline: Pipeline, lineage: Lineage | None) -> None:
        for contract in pipeline.contracts.values():
            words = {
                column.name: frozenset([column.classification]) if column.classification else frozenset[str]()
                for column in contract.columns
            }
            for layer in ("src", "stg", "history"):
                self._of_tables[f"{layer}_{contract.feed}"] = words
        made_of = reads(pipeline)
        for name, relation in relations(pipeline).items():
            if relation.layer in {"intermediate", "marts"}:
                self._of_others[name] = _together(self._everything(table, lineage) for table in made_of[name])
                self._of_tables[name] = self._of_model(name, lineage) if lineage else {}

    def _everything(self, table: str, lineage: Lineage | None) -> frozenset[str]:
        """The words of all columns of a table."""
        known = _together(self._of_tables.get(table, {}).values())
        sure = lineage is not None and not lineage[table].unsure
        return known if sure else known | self._of_others.get(table, frozenset())

    def _of_model(self, name: str, lineage: Lineage) -> dict[str, frozenset[str]]:
        found = {}
        for column, made in lineage[name].columns.items():
            sources = [*made.direct, *(Ref(one.table, one.column) for one in made.indirect if "case" in one.by)]
            of_sources = [self._of_tables.get(ref.table, {}).get(ref.column, frozenset()) for ref in sources]
            found[column] = self._of_others[name] if made.unsure else _together(of_sources)
        return found


def _together(words: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset[str]().union(*words)
