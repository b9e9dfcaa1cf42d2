"""What is seen in a header that does not name a contract's columns as it should, for the reason of its refusal."""

import re
from collections.abc import Iterable, Sequence

from dropledger.core.contracts.contract import Contract, normalise_header

_WRAPPINGS = {
    "apostrophes": ("'", "'"),
    "backticks": ("`", "`"),
    "typographic quotes": ("“„”", "”“"),
    "angle quotes": ("«»", "»«"),
    "brackets": ("[", "]"),
}
_COUNTED = {1: "one", 2: "two", 3: "three"}


def wrapped_in(cells: Sequence[str], contract: Contract) -> str | None:
    """What names stand in that is no quote; None where they stand in nothing."""
    for what, (opening, closing) in _WRAPPINGS.items():
        wrapped = [cell.strip() for cell in cells]
        wrapped = [cell for cell in wrapped if cell[:1] and cell[0] in opening and cell[-1] in closing]
        if any(normalise_header(cell[1:-1]) in _headers(contract) for cell in wrapped):
            return what
    return None


def joined(cells: Iterable[str], contract: Contract) -> list[str]:
    """The cells that are the names of two columns, without a separator of the file between them."""
    pairs = {
        first + second
        for left in contract.columns
        for right in contract.columns
        if left is not right
        for first in left.headers
        for second in right.headers
    } - _headers(contract)
    return [cell.strip() for cell in cells if normalise_header(re.sub(r"\W+", "", cell)) in pairs]


def cells_of_rows(rows: Iterable[Sequence[str]]) -> int | None:
    """How many cells each of the rows has; None where they differ, or there are none. Blank lines are no rows."""
    counts = {len(row) for row in rows if any(cell.strip() for cell in row)}
    return counts.pop() if len(counts) == 1 else None


def names_over_rows(names: Sequence[str], of_rows: int | None) -> str:
    """How many names there are over rows of so many cells."""
    unnamed = sum(not name.strip() for name in names)
    count = f"{len(names)} name{'s' if len(names) != 1 else ''}"
    empty = f", {_COUNTED.get(unnamed, unnamed)} of them empty," if unnamed else ""
    return f"{count}{empty} over rows of {of_rows} cell{'s' if of_rows != 1 else ''}"


def _headers(contract: Contract) -> set[str]:
    return {header for column in contract.columns for header in column.headers}
