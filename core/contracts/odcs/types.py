"""Types of columns in the standard's words, and the other way."""

import re
from dataclasses import dataclass

from dropledger.core.contracts.contract import Column

_LOGICAL = {
    "bigint": "integer",
    "text": "string",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
}
_DECIMAL = re.compile(r"(?:decimal|numeric|number|dec)\((\d+)(?:,(\d+))?\)")
_MOST_DIGITS = 28
_BY_NAME = (
    (r"(?:big|small|tiny|medium)?int(?:eger)?\d*|long|short|byte", "bigint"),
    (r"(?:n?var)?char|nchar|character(?:varying)?|n?text|string|n?clob|uuid|uniqueidentifier|enum", "text"),
    (r"bool(?:ean)?|bit", "boolean"),
    (r"date", "date"),
    (r"timestamp.*|datetime.*", "timestamp"),
    (r"jsonb?|variant|struct.*|array.*|map.*|object|record", "json"),
)
_BY_LOGICAL = {**{logical: ours for ours, logical in _LOGICAL.items()}, "object": "json", "array": "json"}


@dataclass(frozen=True, slots=True)
class Typed:
    """A type of ours, and what of the type that it stands for it does not keep, in words; empty if it keeps all."""

    type: str
    lost: str = ""
    hint: str = ""


def logical_type(column: Column) -> str | None:
    """The standard's word for a column's type; None where it has none: `json` holds values of any type."""
    return "number" if column.decimal is not None else _LOGICAL.get(column.type)


def type_of(logical: str | None, physical: str | None) -> Typed:
    """The type of ours for a property: what it means goes before how it is stored, which says just the digits."""
    stored = re.sub(r"\s+", "", (physical or "").lower())
    if logical in {None, "number"}:
        if match := _DECIMAL.fullmatch(stored):
            return _decimal(int(match[1]), int(match[2] or 0))
        named = next((ours for words, ours in _BY_NAME if re.fullmatch(words, re.sub(r"\(.*\)", "", stored))), None)
        if named == "bigint" or (logical is None and named is not None):
            return Typed(named)
    if logical in _BY_LOGICAL:
        return Typed(_BY_LOGICAL[logical])
    if logical == "number":
        what = f"is a number without digits that are fixed ({physical or 'no physicalType'}), and stays text"
        return Typed("text", what, "give it the type bigint or decimal(p,s)")
    what = f"has the type {logical or physical or 'of no name'}, and stays text"
    return Typed("text", what, "give it a type of docs/contracts.md")


def _decimal(digits: int, behind: int) -> Typed:
    if digits <= _MOST_DIGITS and behind <= digits:
        return Typed(f"decimal({digits},{behind})")
    kept = f"decimal({_MOST_DIGITS},{min(behind, _MOST_DIGITS)})"
    what = f"has {digits} digits, and {kept} the most that there are"
    return Typed(kept, what, "say how many digits there really are")
