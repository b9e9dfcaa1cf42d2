"""The ways in which texts can be read as numbers, dates or times, as a contract may declare them; tried on some texts.

What a text means is asked of the code that loading uses.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import product
from typing import Any, Literal

from dropledger.core.contracts.contract import Column
from dropledger.core.rules.cells import cell_pattern
from dropledger.core.rules.moments import moment_format, moment_of
from dropledger.core.rules.numbers import number_of

WIDEST = "decimal(28,18)"
"""The type by which numbers are tried, before it is known how many digits they have."""

_MARKS: Sequence[tuple[str | None, str | None]] = (
    (None, None), (None, ","), (",", None), (",", "."), (",", " "), (None, " "), (",", "'"), (None, "'"),
)  # fmt: skip
_SPELLINGS = {",": {","}, ".": {"."}, " ": {" ", "\u00a0", "\u202f"}, "'": {"'", "\u2019"}}
_DAY_FIRST = ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d/%m/%y", "%d.%m.%y", "%d-%m-%y")
_MONTH_FIRST = ("%m/%d/%Y", "%m.%d.%Y", "%m-%d-%Y", "%m/%d/%y", "%m.%d.%y", "%m-%d-%y")
_OTHER_DATES = (
    "%Y%m%d", "%Y/%m/%d", "%Y.%m.%d", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d%b%Y", "%b %d, %Y", "%d %B %Y",
    "%B %d, %Y",
)  # fmt: skip
_DATES = (*_DAY_FIRST, *_MONTH_FIRST, *_OTHER_DATES)
_TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
_APART = (" ", "T", ", ")
_ZONES = ("", "%z", " %z", " %Z")
_FIRST = 20
_YEARS = range(1900, 2200)
_CURRENCY = re.compile(r"[€$£¥₹₽₺₩฿%]|[A-Z]{3}|kr|zł|Fr\.?|R\$")
_OF_NUMBERS = re.compile(r"[0-9.,'\u2019\s\u00a0\u202f()+-]+")
_MOST_WORDS = 5
Value = Decimal | date | datetime
Kind = Literal["number", "date", "timestamp"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A way of reading, as the column that would declare it, and what each of some texts means then, if anything."""

    kind: Kind
    column: Column
    values: Mapping[str, Value]

    @property
    def day_first(self) -> bool | None:
        """Whether days stand before months, where one of both may; None where it does not matter."""
        form = next(iter(self.column.date_format + self.column.timestamp_format), "")
        return True if form.startswith(_DAY_FIRST) else False if form.startswith(_MONTH_FIRST) else None

    @property
    def decimal_comma(self) -> bool | None:
        """Whether a comma parts the fraction; None where it does not matter."""
        if self.kind != "number":
            return None
        marked = self.column.decimal_mark == "," or self.column.group_mark in {",", "."}
        return self.column.decimal_mark == "," if marked else None


def column_read(name: str, kind: str, **entries: Any) -> Column:
    """A column of a type whose cells are written as the entries say."""
    said: dict[str, Any] = {
        "aliases": (), "default": None, "optional": False, "joined": (), "path": None, "date_format": (),
        "timestamp_format": (), "timezone": None, "zones": {}, "dst": None, "decimal_mark": None, "group_mark": None,
        "strip": (), "negative": (), "rules": (), "description": "", "classification": None,
    }  # fmt: skip
    return Column(name=name, type=kind, **{**said, **entries})


def readings(name: str, texts: Sequence[str]) -> list[Reading]:
    """The ways in which most of the texts can be read, the one of most texts first, else the plainest."""
    found = [
        reading
        for make in (_moments, _numbers)
        for reading in make(name, texts)
        if len(reading.values) * 2 > len(texts)
    ]
    return sorted(found, key=lambda reading: -len(reading.values))


def _read(
    kind: Kind, column: Column, texts: Sequence[str], mean: Callable[[Column, str], Value | None]
) -> Reading | None:
    first = texts[:_FIRST]
    if sum(mean(column, text) is not None for text in first) * 2 < len(first):
        return None
    return Reading(kind, column, {text: value for text in texts if (value := mean(column, text)) is not None})


def _numbers(name: str, texts: Sequence[str]) -> Iterator[Reading]:
    if not any(re.search("[0-9]", text) for text in texts[:_FIRST]):
        return
    words = _words(texts)
    if words is None:
        return
    negative = _signs(texts, words)
    there = set("".join(texts))
    for decimal_mark, group_mark in _MARKS:
        if not all(mark is None or there & _SPELLINGS[mark] for mark in (decimal_mark, group_mark)):
            continue  # it would be read as without the mark
        column = column_read(
            name, WIDEST, decimal_mark=decimal_mark, group_mark=group_mark, strip=words, negative=negative
        )
        if (found := _read("number", column, texts, _number)) is not None:
            yield found


def _number(column: Column, text: str) -> Decimal | None:
    if column.group_mark is not None and re.match(rf"\D*0{re.escape(column.group_mark)}[0-9]", text):
        return None  # no thousands are none
    return number_of(column, text, bounded=False)


def _words(texts: Sequence[str]) -> tuple[str, ...] | None:
    """The currency signs and words beside numbers; None where the texts have other words too."""
    found: dict[str, None] = {}
    odd = 0
    for text in texts:
        words = [word for part in _OF_NUMBERS.split(text) if (word := part.strip())]
        if all(_CURRENCY.fullmatch(word) for word in words):
            found.update(dict.fromkeys(words))
        else:
            odd += 1
    return None if odd * 2 > len(texts) or len(found) > _MOST_WORDS else tuple(found)


def _signs(texts: Sequence[str], words: Sequence[str]) -> tuple[str, ...]:
    """How negative numbers are written, where there is more than the minus before them."""
    bare = [_bare(text, words) for text in texts]
    odd = [
        *(["parentheses"] if any(text.startswith("(") for text in bare) else []),
        *(["trailing_minus"] if any(text.endswith("-") for text in bare) else []),
    ]
    return ("minus", *odd) if odd else ()


def _bare(text: str, words: Sequence[str]) -> str:
    for word in words:
        text = text.replace(word, "")
    return text.strip()


def _moments(name: str, texts: Sequence[str]) -> Iterator[Reading]:
    if not any(re.search("[0-9]", text) for text in texts[:_FIRST]):
        return
    for kind in ("date", "timestamp"):
        found = _read(kind, column_read(name, kind), texts, _plain_moment)
        if found is not None:
            yield found
    for form in _DATES:
        found = _read("date", column_read(name, "date", date_format=(form,)), texts, _in_format)
        if found is not None:
            yield found
    dates = [form for form in ("%Y-%m-%d", *_DATES) if any(_begins_like(form, text) for text in texts[:_FIRST])]
    for parts in product(dates, _APART, _TIMES, _ZONES):
        found = _read(
            "timestamp", column_read(name, "timestamp", timestamp_format=("".join(parts),)), texts, _in_format
        )
        if found is not None:
            yield found


def _begins_like(form: str, text: str) -> bool:
    return re.match(f"(?:{moment_format(form).pattern})[ T,]", text) is not None


def _in_format(column: Column, text: str) -> Value | None:
    (form,) = column.date_format or column.timestamp_format
    moment = moment_of(text, moment_format(form))
    return moment if moment is not None and moment.year in _YEARS else None


def _plain_moment(column: Column, text: str) -> Value | None:
    if not re.fullmatch(cell_pattern(column), text):
        return None
    try:
        return datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return None
