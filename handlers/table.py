"""Tables for people, as plain lines: no lines drawn, no cell cut off. A terminal shows the names of columns in bold."""

import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import zip_longest
from textwrap import wrap

_GAP = "  "
_NARROWEST = 12
_NEVER_FOLDED = "drop_id"  # which people copy


def drawn(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    texts: Sequence[Sequence[str]],
    *,
    width: int | None = None,
    bold: bool = False,
) -> list[str]:
    """The lines of a table; `texts` are its `rows` as they are shown, and numbers stand to the right.

    Where `width` is given, long texts are folded until a line fits into so many columns, or as little as can be.
    """
    columns = [escaped(name) for name in columns]
    shown = [[escaped(text) for text in row] for row in texts]
    numbers = [_any_number(row[place] for row in rows) for place in range(len(columns))]
    widths = [
        max(_columns(text) for text in (name, *(row[place] for row in shown))) for place, name in enumerate(columns)
    ]
    if width is not None:
        may_fold = [not number and name != _NEVER_FOLDED for name, number in zip(columns, numbers, strict=True)]
        _narrow(widths, may_fold, width)
    head = _line(columns, widths, numbers)
    lines = [f"\x1b[1m{head}\x1b[0m" if bold else head]
    for row in shown:
        parts = [wrap(text, size) if _columns(text) > size else [text] for text, size in zip(row, widths, strict=True)]
        lines += [_line(line, widths, numbers) for line in zip_longest(*parts, fillvalue="")]
    return lines


def escaped(text: str) -> str:
    """A text whose control characters are spelled out: a line break would split a row, others can drive a terminal."""
    if text.isprintable():
        return text
    return "".join(
        letter.encode("unicode_escape").decode() if unicodedata.category(letter) in {"Cc", "Zl", "Zp"} else letter
        for letter in text
    )


def _any_number(values: Iterable[object]) -> bool:
    return any(isinstance(value, int | Decimal) and not isinstance(value, bool) for value in values)


def _narrow(widths: list[int], may_fold: Sequence[bool], width: int) -> None:
    """Take from the widest of the columns that may be folded what a line has too much."""
    while sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        wide = [place for place, fold in enumerate(may_fold) if fold and widths[place] > _NARROWEST]
        if not wide:
            return
        widths[max(wide, key=widths.__getitem__)] -= 1


def _line(cells: Sequence[str], widths: Sequence[int], numbers: Sequence[bool]) -> str:
    padded = []
    for text, width, number in zip(cells, widths, numbers, strict=True):
        blanks = " " * (width - _columns(text))
        padded.append(blanks + text if number else text + blanks)
    return _GAP.join(padded).rstrip()


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
