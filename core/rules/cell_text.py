"""The text of a cell, as rules and reasons have it."""

from dropledger.core.contracts.contract import Column
from dropledger.core.sql.text import literal, quoted

_SHOWN = 60  # characters of a cell that a reason repeats


def text_of(column: Column) -> str:
    """The column with the cell's text, without blanks around it; NULL (or the default) where nothing is left."""
    return quoted(f"_text_{column.name}")


def because(column: Column, words: str) -> str:
    """A reason that repeats the start of the offending cell."""
    start = f"substr(coalesce({text_of(column)}, ''), 1, {_SHOWN})"
    return f"concat({literal(column.name + ' ')}, '''', {start}, {literal(chr(39) + ' ' + words)})"
