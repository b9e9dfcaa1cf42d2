"""Numbers as they are written in files."""

import re
from decimal import Decimal

from dropledger.core.contracts.contract import Column

_PLAIN = re.compile("[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)")


def number_of(column: Column, text: str, *, bounded: bool = True) -> Decimal | None:
    """The number that a cell of the column stands for, or, not `bounded`, the sum of many; None if it is none."""
    if not _PLAIN.fullmatch(text):
        return None
    number = Decimal(text)
    if bounded and column.decimal is not None:
        precision, scale = column.decimal
        return number if abs(number) < 10 ** (precision - scale) else None
    return number
