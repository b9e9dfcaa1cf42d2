"""What the columns of a feed are: each by some of its texts, and then by all of them, in the engine."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from dropledger.core.inference.draft import ColumnDraft, FeedDraft
from dropledger.core.inference.readings import Reading, column_read, readings
from dropledger.core.inference.templates import filled
from dropledger.core.ports.session import Session
from dropledger.core.rules.cells import moments_read, typed_cell
from dropledger.core.rules.moments import read_as
from dropledger.core.rules.numbers import number_pattern, plain_number
from dropledger.core.sql.text import literal, quoted

_TOGETHER = 40  # columns that one statement looks at
_SAMPLED = 1000  # rows
_SAMPLED_CELLS = 100_000
_ODD = 50  # texts that fit no reading
_ENOUGH = 0.95
_ROUNDS = 3
_FEW = 12  # values of a column that are listed
_REPEATED = 10  # times that each of them stands there, on average
_LONGEST_VALUE = 40
_ROOM = 18
_MOST_DIGITS = 28
_MOST_BIGINT = 2**63 - 1
_TRUTHS = (
    {"yes": True, "no": False},
    {"true": True, "false": False},
    {"y": True, "n": False},
    {"t": True, "f": False},
    {"ja": True, "nein": False},
    {"oui": True, "non": False},
)
_NAMES_OF_IDS = re.compile(r"(^|_)(id|no|nr|num|number|code|iban|key|ref|reference|zip|phone|account)$")


@dataclass(frozen=True, slots=True)
class _Counted:
    """What the engine has counted of a column: its cells that hold anything, those of them that fit, and their digits.

    `padded` is an integer with zeros or a plus before it.
    """

    filled: int
    fits: int
    whole: int
    scale: int
    padded: str | None


def infer_columns(session: Session, feed: FeedDraft, relation: str) -> None:
    """Say of each column of a feed what it is, by the texts of a relation."""
    rows = feed.looked_at
    seen = _sampled(session, relation, [column for column in feed.columns if not column.fixed], rows)
    options = {name: readings(name, texts) for name, texts in seen.items()}
    counted: dict[str, _Counted] = {}
    undecided = {name for name, found in options.items() if found}
    for _ in range(_ROUNDS):
        chosen = _chosen({name: options[name] for name in options if options[name]})
        fresh = _count(session, relation, {name: chosen[name] for name in undecided})
        counted.update(fresh)
        odd = [name for name in undecided if counted[name].fits < counted[name].filled]
        undecided = set()
        for name in odd:
            more = _odd_texts(session, relation, chosen[name])
            seen[name] = list(dict.fromkeys([*more, *seen[name]]))
            before = options[name]
            options[name] = readings(name, seen[name]) or before
            if _chosen({name: options[name]})[name].column != chosen[name].column:
                undecided.add(name)
        if not undecided:
            break
    chosen = _chosen({name: options[name] for name in options if options[name]})
    for column in feed.columns:
        if column.name in counted:
            _decide(column, chosen[column.name], options[column.name], counted[column.name], seen[column.name])
    _share_group_marks(feed)
    _count_texts(session, relation, feed)


def _share_group_marks(feed: FeedDraft) -> None:
    """Let all fractions part thousands as one of them does: that others are below a thousand is chance."""
    amounts = [column for column in feed.columns if column.reading is not None and column.reading.decimal is not None]
    marked = [column for column in amounts if column.reading is not None and column.reading.group_mark is not None]
    if not marked or marked[0].reading is None:
        return
    model = marked[0].reading
    for column in amounts:
        read = column.reading
        if read is not None and (read.decimal_mark, read.group_mark) == (model.decimal_mark, None):
            column.reading = replace(read, group_mark=model.group_mark)
            column.type_why += f"; thousands parted as in {marked[0].name}"


def _sampled(session: Session, relation: str, columns: Sequence[ColumnDraft], rows: int) -> dict[str, list[str]]:
    """Different texts of each column, from rows all over the files."""
    if not columns or not rows:
        return {}
    wanted = max(min(_SAMPLED, _SAMPLED_CELLS // len(columns)), 100)
    names = ", ".join(f"trim({quoted(column.name)}) AS {quoted(column.name)}" for column in columns)
    stride = max(rows // wanted, 1)
    found = session.query(
        f"SELECT {names} FROM {quoted(relation)} WHERE _line % {stride} = {1 % stride} OR _line <= 100 LIMIT {wanted}"
    )
    return {
        column.name: list(dict.fromkeys(row[column.name] for row in found if row[column.name])) for column in columns
    }


def _chosen(options: Mapping[str, Sequence[Reading]]) -> dict[str, Reading]:
    """A reading for each column: the one of most texts; of several, one that agrees with columns that have just one."""
    likely = {name: _best(found) for name, found in options.items()}
    votes = [found[0] for found in likely.values() if len(found) == 1]
    day_first = _majority(found.day_first for found in votes)
    comma = _majority(found.decimal_comma for found in votes)
    return {
        name: next(
            (
                one
                for one in found
                if (day_first is None or one.day_first in {None, day_first})
                and (comma is None or one.decimal_comma in {None, comma})
                and (comma is not True or one.kind != "number" or one.column.decimal_mark or not _has_point(one))
            ),
            found[0],
        )
        for name, found in likely.items()
    }


def _has_point(reading: Reading) -> bool:
    return any("." in text for text in reading.values)


def _best(options: Sequence[Reading]) -> list[Reading]:
    """The readings of most texts that give different values."""
    most = [one for one in options if len(one.values) == len(options[0].values)]
    found: list[Reading] = []
    for one in most:
        if not any(one.values == other.values for other in found):
            found.append(one)
    # Eight digits that are a day are one; no clock is read from what is a date.
    return sorted(found, key=lambda one: ("date", "number", "timestamp").index(one.kind))


def _majority(said: Iterable[bool | None]) -> bool | None:
    votes = [one for one in said if one is not None]
    return None if not votes or sum(votes) * 2 == len(votes) else sum(votes) * 2 > len(votes)


def _count(session: Session, relation: str, chosen: Mapping[str, Reading]) -> dict[str, _Counted]:
    """How many cells fit, among all rows."""
    found: dict[str, _Counted] = {}
    names = sorted(chosen)
    for start in range(0, len(names), _TOGETHER):
        part = names[start : start + _TOGETHER]
        reads = [
            f"{sql} AS {read_as(chosen[name].column)}"
            for name in part
            if (sql := moments_read(chosen[name].column)) is not None
        ]
        counts = ",\n    ".join(
            filled(
                f"count_{'numbers' if chosen[name].kind == 'number' else 'moments'}.sql",
                _fragments(chosen[name], place),
            )
            for place, name in enumerate(part)
        )
        source = f"(SELECT s.*{''.join(f', {read}' for read in reads)} FROM {quoted(relation)} AS s)"
        row = session.query(f"SELECT\n    {counts}\nFROM {source} AS s")[0]
        for place, name in enumerate(part):
            found[name] = _Counted(
                filled=int(row[f"filled_{place}"]),
                fits=int(row[f"fits_{place}"]),
                whole=int(row.get(f"whole_{place}") or 0),
                scale=int(row.get(f"scale_{place}") or 0),
                padded=row.get(f"padded_{place}"),
            )
    return found


def _fragments(reading: Reading, place: int) -> dict[str, str]:
    column = reading.column
    text = f"nullif(trim(s.{quoted(column.name)}), '')"
    common = {"text": text, "place": str(place)}
    if reading.kind != "number":
        return {**common, "value": typed_cell(column)}
    pattern = literal(f"^(?:{number_pattern(column, bounded=False)})$")
    return {**common, "pattern": pattern, "plain": plain_number(column, text)}


def _odd_texts(session: Session, relation: str, reading: Reading) -> list[str]:
    """Some texts that do not fit."""
    column = reading.column
    text = f"trim(s.{quoted(column.name)})"
    fits = f"{typed_cell(column)} IS NOT NULL"
    if reading.kind == "number":
        fits = f"regexp_like({text}, {literal(f'^(?:{number_pattern(column, bounded=False)})$')})"
    moments = moments_read(column)
    read = f", {moments} AS {read_as(column)}" if moments is not None else ""
    rows = session.query(
        f"""SELECT DISTINCT {text} AS text
        FROM (SELECT s.*{read} FROM {quoted(relation)} AS s) AS s
        WHERE {text} <> '' AND NOT ({fits})
        LIMIT {_ODD}"""
    )
    return [row["text"] for row in rows]


def _decide(
    column: ColumnDraft, reading: Reading, options: Sequence[Reading], counted: _Counted, texts: Sequence[str]
) -> None:
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
    if _is_id(column) and form == "%Y%m%d":
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
    for other in _best(options):
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


def _is_id(column: ColumnDraft) -> bool:
    return _NAMES_OF_IDS.search(column.name) is not None


def _decide_number(column: ColumnDraft, reading: Reading, counted: _Counted, share: str, notes: str) -> None:
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


def _count_texts(session: Session, relation: str, feed: FeedDraft) -> None:
    """Say of each column whether it is filled, and of those with few texts which these are."""
    for start in range(0, len(feed.columns), _TOGETHER):
        part = feed.columns[start : start + _TOGETHER]
        counts = ", ".join(
            f"count(nullif(trim({quoted(column.name)}), '')) AS filled_{place}, "
            f"approx_count_distinct({quoted(column.name)}) AS different_{place}"
            for place, column in enumerate(part)
        )
        row = session.query(f"SELECT {counts} FROM {quoted(relation)}")[0]
        for place, column in enumerate(part):
            filled = row[f"filled_{place}"]
            column.filled = bool(feed.looked_at) and filled == feed.looked_at and not column.optional
            if column.filled:
                column.filled_why = f"never empty in {feed.looked_at:,} rows"
            if column.type == "text" and not column.fixed and row[f"different_{place}"] <= _FEW * 2:
                _list_values(session, relation, column, filled)


def _list_values(session: Session, relation: str, column: ColumnDraft, filled: int) -> None:
    text = f"trim({quoted(column.name)})"
    found: list[dict[str, Any]] = session.query(
        f"""SELECT {text} AS value, count(*) AS times
        FROM {quoted(relation)}
        WHERE {text} <> ''
        GROUP BY {text}
        ORDER BY times DESC, value
        LIMIT {_FEW + 1}"""
    )
    values = [row["value"] for row in found]
    lower = {value.lower() for value in values}
    if len(lower) < len(values) and not any(lower <= truth.keys() for truth in _TRUTHS):
        return
    truth = next((truth for truth in _TRUTHS if lower and lower <= truth.keys()), None)
    if truth is not None and (len(lower) == len(truth) or next(iter(lower)) in {"true", "false"}):
        column.type, column.values = "boolean", truth
        column.type_why = f"{filled:,} of {filled:,} values are {' or '.join(sorted(lower))}"
        column.reading = column_read(column.name, "boolean")
    elif _may_be_listed(column, values, filled):
        column.values = tuple(sorted(values))
        column.values_why = f"{len(values)} values in {filled:,} rows; others are let in, and warned of"


def _may_be_listed(column: ColumnDraft, values: Sequence[str], filled: int) -> bool:
    few = 1 < len(values) <= _FEW and filled >= _REPEATED * len(values)
    return few and max(map(len, values)) <= _LONGEST_VALUE and not _is_id(column)


def _shown(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", " ", text)[:40]
