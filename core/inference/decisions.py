"""What a column is, by the ways in which its cells can be read and by what was counted of them, in words too."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from dropledger.core.inference.draft import ColumnDraft
from dropledger.core.inference.readings import Reading, column_read

_ENOUGH = 0.95  # of the cells that hold anything
_ROOM = 18
_MOST_DIGITS = 28
_MOST_BIGINT = 2**63 - 1
_NAMES_OF_IDS = re.compile(r"(^|_)(id|no|nr|num|number|code|iban|key|ref|reference|zip|phone|account)$")


@dataclass(frozen=True, slots=True)
class Counted:
    """What the engine has counted of a column: its cells that hold anything, those of them that fit, and their digits.

    `padded` is an integer with zeros or a plus before it.
    """

    filled: int
    fits: int
    whole: int
    scale: int
    padded: str | None


def best(options: Sequence[Reading]) -> list[Reading]:
    """The readings of most texts that give different values."""
    most = [one for one in options if len(one.values) == len(options[0].values)]
    found: list[Reading] = []
    for one in most:
        if not any(one.values == other.values for other in found):
            found.append(one)
    # Eight digits that are a day are one; no clock is read from what is a date.
    return sorted(found, key=lambda one: ("date", "number", "timestamp").index(one.kind))


def decide(
    column: ColumnDraft, reading: Reading, options: Sequence[Reading], counted: Counted, texts: Sequence[str]
) -> None:
    """Say of a column what it is: what it is read as if almost all of its cells are that, else text."""
    share = f"{counted.fits:,} of {counted.filled:,} values"
    odd = next((text for text in texts if text not in reading.values), None)
    if not counted.filled or counted.fits < _ENOUGH * counted.filled:
        near = f", such as '{_shown(odd)}'" if odd is not None else ""
        if counted.fits * 2 > counted.filled:
            column.type_why = f"just {share} are a {reading.kind}; the others are not{near}"
        return
    refused = ""
    if counted.fits < counted.filled:
        example = f", such as '{_shown(odd)}'" if odd is not None else ""
        refused = f"; ROWS WITH THE OTHERS ARE REFUSED{example}"
    other = _other_meaning(reading, options)
    if reading.kind == "number":
        _decide_number(column, reading, counted, share, f"{refused}{other}")
        return
    form = next(iter(reading.column.date_format + reading.column.timestamp_format), "")
    if is_id(column) and form == "%Y%m%d":
        column.type, column.type_why = "bigint", f"{share} are whole numbers; they may be dates, like {form}"
        column.reading = column_read(column.name, "bigint")
        return
    fit = f"fit {form}" if form else f"are a {reading.kind} in ISO 8601"
    zone = "" if reading.kind == "date" or "%z" in form.lower() or _ends_in_zone(reading) else _NO_ZONE
    column.type, column.reading = reading.kind, reading.column
    column.type_why = f"{share} {fit}{refused}{other}{zone}"


_NO_ZONE = "; no zone, so read as UTC: say timezone: Europe/Madrid or the like if they are local"


def _ends_in_zone(reading: Reading) -> bool:
    return all(text.endswith("Z") for text in reading.values)


def _other_meaning(reading: Reading, options: Sequence[Reading]) -> str:
    """What is said where the texts have another meaning too."""
    for other in best(options):
        differs = next((text for text in other.values if other.values[text] != reading.values.get(text)), None)
        if other is not reading and other.kind == reading.kind and differs is not None:
            read, else_read = (_meant(one, differs) for one in (reading, other))
            return f"; AMBIGUOUS: '{_shown(differs)}' is read as {read}; with {_declared(other)} it is {else_read}"
    return ""


def _meant(reading: Reading, text: str) -> str:
    value = reading.values.get(text)
    return str(value).removesuffix(" 00:00:00") if value is not None else "nothing"


def _declared(reading: Reading) -> str:
    column = reading.column
    form = next(iter(column.date_format + column.timestamp_format), None)
    if form is not None:
        return form
    marks = [("decimal_mark", column.decimal_mark), ("group_mark", column.group_mark)]
    return " and ".join(f"{entry} '{mark}'" for entry, mark in marks if mark) or "a decimal point"


def is_id(column: ColumnDraft) -> bool:
    """Whether it is called like what identifies something."""
    return _NAMES_OF_IDS.search(column.name) is not None


def _decide_number(column: ColumnDraft, reading: Reading, counted: Counted, share: str, notes: str) -> None:
    whole, scale, read = counted.whole, counted.scale, reading.column
    if scale == 0 and counted.padded is not None:
        column.type_why = f"zeros or a sign in front, as in '{_shown(counted.padded)}', are kept"
        return
    if whole + scale > _MOST_DIGITS:
        column.type_why = f"numbers of {whole + scale} digits fit no type but text"
        return
    read = replace(read, decimal_mark=read.decimal_mark if scale else None, name=column.name)
    if scale == 0 and whole < 20 and all(abs(value) <= _MOST_BIGINT for value in _numbers_of(reading)):
        column.type, column.reading = "bigint", replace(read, type="bigint")
        column.type_why = f"{share} are whole numbers{notes}"
        return
    precision = _ROOM if whole + scale + 2 <= _ROOM else _MOST_DIGITS
    column.type = f"decimal({precision},{scale})"
    column.reading = replace(read, type=column.type)
    digits = f"{whole} digit{'s' if whole != 1 else ''} before and {scale} behind the mark at most"
    column.type_why = f"{share} are numbers; {digits}{notes}"


def _numbers_of(reading: Reading) -> list[Decimal]:
    return [value for value in reading.values.values() if isinstance(value, Decimal)]


def _shown(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", " ", text)[:40]
