"""Dates and timestamps as they are written in files: the words of strptime as a regular expression and as SQL.

`%Y %y %m %d %b %B %H %I %p %M %S %f %z %Z` and `%%`, with Python's meaning; names of months are English.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import product

from dropledger.core.contracts.contract import Column
from dropledger.core.sql.text import literal, quoted

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WHOLE = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_PATTERNS = {
    "Y": "[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9]",
    "y": "[0-9]{2}",
    "m": "0?[1-9]|1[0-2]",
    "d": "0?[1-9]|[12][0-9]|3[01]",
    "b": f"(?i:{'|'.join(_MONTHS)})",
    "B": f"(?i:{'|'.join(_WHOLE)})",
    "H": "[01]?[0-9]|2[0-3]",
    "I": "0?[1-9]|1[0-2]",
    "p": "(?i:am|pm)",
    "M": "[0-5]?[0-9]",
    "S": "[0-5]?[0-9]",
    "f": "[0-9]{1,6}",
    "z": "Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9]",
}
_DIGITS = frozenset("YymdHIMSf")
_UTC = {"UTC": "+00:00", "GMT": "+00:00", "Z": "+00:00"}
_OFFSET = re.compile("[+-](0[0-9]|1[0-4]):[0-5][0-9]")
_SAME = {"y": "Y", "b": "m", "B": "m", "I": "H", "Z": "z"}
_WORD = re.compile("%(.?)|([^%]+)", re.DOTALL)
_CENTURY = 69  # years from here on are of the 1900s, as in POSIX


@dataclass(frozen=True, slots=True)
class MomentFormat:
    """A format: its regular expression, without anchors, and the word of each of its groups."""

    text: str
    pattern: str
    words: tuple[str, ...]
    zones: tuple[tuple[str, str], ...]

    @property
    def has_zone(self) -> bool:
        return bool({"z", "Z"} & set(self.words))

    @property
    def has_time(self) -> bool:
        return bool({"H", "I"} & set(self.words))


@cache
def moment_format(text: str, zones: tuple[tuple[str, str], ...] = ()) -> MomentFormat:
    """The format that a text such as `%d/%m/%Y %H:%M` stands for; `zones` has the offset of each name of a zone.

    Raises:
        ValueError: it has a word that is not known, one twice, or not all that makes a moment.
    """
    parts: list[tuple[str, str]] = []
    for match in _WORD.finditer(text):
        word, between = match[1], match[2]
        if between is not None or word == "%":
            parts.append(("", between or "%"))
        elif word in _PATTERNS or word == "Z":
            parts.append((word, ""))
        else:
            raise ValueError(f"'{text}' has the word %{word}; those that are read are %{' %'.join(_PATTERNS)} %Z %%")
    words = tuple(word for word, _ in parts if word)
    said = [_SAME.get(word, word) for word in words]
    if repeated := next((word for word in said if said.count(word) > 1), None):
        raise ValueError(f"'{text}' says %{repeated} twice")
    if lacking := [word for word in "Ymd" if word not in said]:
        raise ValueError(f"'{text}' lacks %{lacking[0]}, so it is no day")
    if ("I" in words) != ("p" in words):
        raise ValueError(f"'{text}' must have %I and %p together, or %H")
    if {"M", "S", "f"} & set(words) and "H" not in said:
        raise ValueError(f"'{text}' has minutes without an hour")
    pattern = "".join(_part(parts, place, zones) for place in range(len(parts)))
    return MomentFormat(text, pattern, words, zones)


def _part(parts: list[tuple[str, str]], place: int, zones: tuple[tuple[str, str], ...]) -> str:
    word, between = parts[place]
    if not word:
        return re.escape(between)
    if word == "Z":
        names = sorted({**_UTC, **dict(zones)}, key=len, reverse=True)
        return f"({'|'.join(map(re.escape, names))})"
    # Digits that touch others have both of theirs, or nobody could tell where one ends.
    touches = word in _DIGITS and any(
        parts[other][0] in _DIGITS for other in (place - 1, place + 1) if 0 <= other < len(parts)
    )
    return f"({_PATTERNS[word].replace('?[', '[') if touches else _PATTERNS[word]})"


def formats_of(column: Column) -> tuple[MomentFormat, ...]:
    """The formats that a column declares; none where it has dates and times as ISO 8601 writes them."""
    zones = tuple(sorted(column.zones.items()))
    return tuple(moment_format(text, zones) for text in column.date_format or column.timestamp_format)


def refuse_unfit_formats(column: Column) -> None:
    """Refuse declarations of dates and times that contradict themselves, or let a text mean two moments.

    Raises:
        ValueError: with what to mend.
    """
    for zone, offset in column.zones.items():
        if not _OFFSET.fullmatch(offset):
            raise ValueError(f"zones says that {zone} is '{offset}'; write how far it is ahead of UTC, like +01:00")
    formats = formats_of(column)
    for form in formats:
        if column.type == "date" and (form.has_time or form.has_zone):
            raise ValueError(f"'{form.text}' has a time, and the column is a date")
        if column.timezone is not None and form.has_zone:
            raise ValueError(f"'{form.text}' has a zone of its own, so timezone says another")
    for place, first in enumerate(formats):
        for other in formats[place + 1 :]:
            _refuse_two_meanings(first, other)


def _refuse_two_meanings(first: MomentFormat, other: MomentFormat) -> None:
    for form, reader in ((first, other), (other, first)):
        for text in _samples(form):
            read = {moment_of(text, form), moment_of(text, reader)} - {None}
            if len(read) > 1:
                raise ValueError(f"'{text}' fits {form.text} and {reader.text}, and means another moment in each")


def _samples(form: MomentFormat) -> Iterator[str]:
    """Texts of the format, so many that one of another meaning is among them if there is any."""
    years, days = (2001, 2011, 2012, 1999), (*range(1, 13), 28)
    for year, month, day in product(years, range(1, 13), days):
        moment = datetime(year, month, day, (day + 5) % 24, month, day)  # noqa: DTZ001 (of no zone)
        for padded in (True, False):
            yield _written(moment, form, padded=padded)


def _written(moment: datetime, form: MomentFormat, *, padded: bool) -> str:
    def word(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[2]
        if name in {"z", "Z"}:
            return "+0000" if name == "z" else "UTC"
        text = "%" if name == "%" else moment.strftime(f"%{name}")
        return text if padded or name in {"Y", "y", "f"} else text.lstrip("0") or "0"

    return _WORD.sub(word, form.text)


def moment_of(text: str, form: MomentFormat) -> datetime | None:
    """The moment that a text means, in the format's own zone if it has one (as UTC), else as it is written."""
    match = re.fullmatch(form.pattern, text)
    if match is None:
        return None
    got = dict(zip(form.words, match.groups(), strict=True))
    hour = int(got.get("H") or 0)
    if "I" in got:
        hour = int(got["I"]) % 12 + 12 * (got["p"].lower() == "pm")
    year = int(got["Y"]) if "Y" in got else int(got["y"]) + (1900 if int(got["y"]) >= _CENTURY else 2000)
    name = got.get("b") or got.get("B")
    month = _MONTHS.index(name[:3].lower()) + 1 if name else int(got["m"])
    try:
        moment = datetime(  # noqa: DTZ001 (that of the format, or none)
            year,
            month,
            int(got["d"]),
            hour,
            int(got.get("M") or 0),
            int(got.get("S") or 0),
            int((got.get("f") or "0").ljust(6, "0")),
        )
        zone = got.get("z") or {**_UTC, **dict(form.zones)}.get(got.get("Z") or "")
        return moment - _offset(zone) if zone else moment
    except (ValueError, OverflowError):
        return None


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta(0)
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return timedelta(minutes=-minutes if zone[0] == "-" else minutes)


def _minutes(zone: str) -> int:
    return int(_offset(zone).total_seconds()) // 60


def read_as(column: Column) -> str:
    """The name under which the moment that a cell says is at hand, before its zone is looked at."""
    return quoted(f"_read_{column.name}")


def moment_sql(text: str, form: MomentFormat) -> str:
    """SQL for `moment_of`: a TIMESTAMP, NULL where the text is none of this format."""
    anchored = literal(f"^(?:{form.pattern})\\z")
    got = {word: f"regexp_extract({text}, {anchored}, {place})" for place, word in enumerate(form.words, 1)}

    def two(word: str) -> str:
        return f"lpad({got[word]}, 2, '0')" if word in got else "'00'"

    hour = two("H")
    if "I" in got:
        late = f"CASE WHEN lower({got['p']}) = 'pm' THEN 12 ELSE 0 END"
        hour = f"lpad(CAST(try_cast({got['I']} AS INTEGER) % 12 + {late} AS STRING), 2, '0')"
    year = got.get("Y") or f"concat(CASE WHEN {got['y']} >= '{_CENTURY}' THEN '19' ELSE '20' END, {got['y']})"
    month = two("m") if "m" in got else _month(got.get("b") or got["B"])
    clock = f"{hour}, ':', {two('M')}, ':', {two('S')}" + (f", '.', {got['f']}" if "f" in got else "")
    written = f"concat({year}, '-', {month}, '-', {two('d')}, ' ', {clock})"
    moment = f"try_cast(CASE WHEN regexp_like({text}, {anchored}) THEN {written} END AS TIMESTAMP)"
    return f"({moment} - INTERVAL '1' MINUTE * ({_offset_sql(got, form)}))" if form.has_zone else moment


def _month(name: str) -> str:
    arms = " ".join(f"WHEN '{month}' THEN '{place:02}'" for place, month in enumerate(_MONTHS, 1))
    return f"CASE lower(substr({name}, 1, 3)) {arms} END"


def _offset_sql(got: Mapping[str, str], form: MomentFormat) -> str:
    if "Z" in got:
        zones = {**_UTC, **dict(form.zones)}
        arms = " ".join(f"WHEN {literal(zone)} THEN {_minutes(offset)}" for zone, offset in zones.items())
        return f"CASE {got['Z']} {arms} END"
    zone = got["z"]
    digits = f"replace({zone}, ':', '')"
    ahead = f"(try_cast(substr({digits}, 2, 2) AS INTEGER) * 60 + try_cast(substr({digits}, 4, 2) AS INTEGER))"
    sign = f"CASE WHEN substr({zone}, 1, 1) = '-' THEN -1 ELSE 1 END"
    return f"CASE WHEN {zone} = 'Z' THEN 0 ELSE {sign} * {ahead} END"


def utc_sql(column: Column, local: str) -> str:
    """SQL for the moment (UTC) of a local time in the column's zone.

    A time that clocks show never or twice is NULL, or the earlier or later of the two moments that it may be.
    """
    zone = literal(column.timezone or "UTC")

    def there(moment: str) -> str:
        return f"convert_timezone('UTC', {zone}, {moment})"

    # What the clock is ahead of UTC changes once at most within two days.
    moments = []
    for side in ("-", "+"):
        near = f"({local} {side} INTERVAL '1' DAY)"
        moments.append(f"({local} - ({there(near)} - {near}))")
    before, behind = moments
    other = f"ELSE {'least' if column.dst == 'earlier' else 'greatest'}({before}, {behind}) " if column.dst else ""
    first, last = (f"CAST('{day} 00:00:00' AS TIMESTAMP)" for day in ("0002-01-01", "9998-12-31"))
    in_calendar = f"{local} BETWEEN {first} AND {last}"
    return (
        f"CASE WHEN NOT coalesce({in_calendar}, FALSE) THEN NULL WHEN {before} = {behind} THEN {before} "
        f"WHEN {there(before)} = {local} AND {there(behind)} <> {local} THEN {before} "
        f"WHEN {there(behind)} = {local} AND {there(before)} <> {local} THEN {behind} {other}END"
    )
