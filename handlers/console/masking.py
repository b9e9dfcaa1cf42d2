"""What the console does not show: the values of columns that are restricted, and of what is made of them."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ConfigurationError
from dropledger.core.lineage.explanation import columns_of_sections
from dropledger.core.views.classification import RESTRICTED, Classified

MASK = "•••"
Document = Mapping[str, Any]


class Masking:
    """Masks the documents of pages; nothing if `show_restricted`, or if no contract classifies a column so."""

    def __init__(self, pipeline: Pipeline, cache: Path | None, *, show_restricted: bool) -> None:
        self._pipeline = pipeline
        self._classified = Classified(pipeline, cache)
        self._any = not show_restricted and any(
            column.classification == RESTRICTED
            for contract in pipeline.contracts.values()
            for column in contract.columns
        )

    def columns(self, feed: str) -> frozenset[str]:
        """The columns of a feed that are masked."""
        contract = self._pipeline.contracts.get(feed)
        columns = contract.columns if contract and self._any else ()
        return frozenset(column.name for column in columns if column.classification == RESTRICTED)

    def refuse_restricted_key(self, contract: Contract) -> None:
        """Show nothing by a key that is masked: an address that works tells that there is such a key.

        Raises:
            ConfigurationError: a column of the key is masked.
        """
        if self.columns(contract.feed) & {*contract.key}:
            raise _key_is_restricted(f"feed {contract.feed}")

    def refuse_restricted_key_of(self, mart: str) -> None:
        """The same of the rows of a mart that is explained.

        Raises:
            ConfigurationError: a column of the key is masked.
        """
        of = self._pipeline.explanations[mart].of
        if of is not None:
            self.refuse_restricted_key(self._pipeline.contract(of))
        elif any(self._hides(mart, name) for name in self._pipeline.mart(mart).file.key):
            raise _key_is_restricted(f"mart {mart}")

    def timeline(self, document: Document) -> Document:
        """A key's versions, as `history` has them."""
        hidden = self.columns(document["feed"])
        return {**document, "versions": [_masked(version, hidden) for version in document["versions"]]}

    def rejects(self, feed: str | None, rejects: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rejected rows: the text of a row has all its cells, and a reason quotes the one that it is about."""
        hidden = self.columns(feed or "")
        if not hidden:
            return rejects
        return [
            _masked(row, {"raw", *(["reason"] if row["column_name"] in {None, *hidden} else [])}) for row in rejects
        ]

    def changes(self, mart: str | None, changes: Document | None) -> Document | None:
        """The rows of a change file, each column before and after."""
        if changes is None or mart is None or not self._any:
            return changes
        places = [place for place, name in enumerate(changes["columns"]) if self._hides(mart, name)]
        rows = [[MASK if place in places else value for place, value in enumerate(row)] for row in changes["rows"]]
        return {**changes, "rows": rows}

    def effects(self, effects: Mapping[str, Document]) -> Mapping[str, Document]:
        """What would become of marts, as `plan` has it; totals are shown."""
        if not self._any:
            return effects
        return {
            mart: {
                **effect,
                "largest_changes": [
                    _masked(row, [name for name in row if self._hides(mart, name)]) for row in effect["largest_changes"]
                ],
            }
            for mart, effect in effects.items()
        }

    def explanation(self, mart: str, document: Document) -> Document:
        """One figure, as `explain` has it; where a part of it is masked, so is its calculation."""
        if not self._any:
            return document
        explained = self._pipeline.explanations[mart]
        hidden = {
            name: [column for column, of in columns.items() if any(self._is_restricted(*ref) for ref in of)]
            for name, columns in columns_of_sections(self._pipeline, explained).items()
        }
        masked = dict(document)
        for section in explained.sections:
            masked[section.name] = _all_masked(document[section.name], hidden[section.name])
        if document["figure"] is not None:
            figure = _masked(document["figure"], hidden["figure"])
            for part in explained.parts:
                figure[part.name] = _all_masked(document["figure"][part.name], hidden[part.name])
            if any(hidden[name] for name in ("figure", *(part.name for part in explained.parts))):
                figure["arithmetic"] = MASK
            masked["figure"] = figure
        elif "no_figure" in hidden["figure"]:
            masked["verdict"] = MASK
        if document["mart"] is not None:
            masked["mart"] = _masked(document["mart"], [name for name in document["mart"] if self._hides(mart, name)])
        return masked

    def _hides(self, mart: str, name: str) -> bool:
        """Whether a column of a mart is masked, by its own name or as a change file calls it."""
        return self._any and self._is_restricted(mart, name.removesuffix("_before").removesuffix("_after"))

    def _is_restricted(self, table: str, column: str) -> bool:
        return self._classified.of(table, column) == RESTRICTED


def _key_is_restricted(whose: str) -> ConfigurationError:
    return ConfigurationError(
        f"the keys of the {whose} are restricted",
        hint="start the console with --show-restricted, if all who have its token may see them",
    )


def _masked(row: Document, columns: Collection[str]) -> dict[str, Any]:
    return {name: MASK if name in columns and value is not None else value for name, value in row.items()}


def _all_masked(rows: Any, columns: Collection[str]) -> Any:
    """The rows of a section, or its one row, if it has one."""
    if isinstance(rows, list):
        return [_masked(row, columns) for row in rows]
    return None if rows is None else _masked(rows, columns)
