"""The kinds of rules: each is a module with these functions, or a `KIND` in a module, and an entry in `KINDS`.

Cells are looked at as text, in the column that `text_of` names, and as values, in the column itself. What the functions
give is SQL over one row, but for the messages.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from dropledger.core.contracts.contract import Column, Rule
from dropledger.core.rules import accepted_values, not_null, pattern, range_, relationship, unique


class Kind(Protocol):
    """What a kind has."""

    OVER_ROWS: bool
    """Whether it takes several rows to break such a rule; `steps.validate` and `steps.checks` look for them."""

    BY_TYPING: bool
    """Whether a row keeps such a rule exactly where its cell has a value."""

    def lacks(self, rule: Rule) -> str:
        """What is missing in a rule or contradicts itself, whatever its column; empty if nothing."""
        ...

    def unfit(self, rule: Rule, column: Column) -> str:
        """Why a rule cannot be one of a column; empty if it can."""
        ...

    def violated(self, rule: Rule, column: Column) -> str:
        """Whether a row breaks the rule, by its cell as text."""
        ...

    def reason(self, rule: Rule, column: Column) -> str:
        """What the refused row is told, as SQL that gives a text."""
        ...

    def violated_value(self, rule: Rule, column: Column) -> str:
        """Whether a row breaks the rule, by the value that goes into history."""
        ...

    def refuses(self, rule: Rule, text: str) -> str:
        """Why a cell with this text would break the rule, as far as that is known without the engine; else empty."""
        ...


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "not_null": not_null,
        "unique": unique.KIND,
        "accepted_values": accepted_values,
        "range": range_,
        "pattern": pattern,
        "relationship": relationship.KIND,
    }
)
