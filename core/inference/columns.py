"""What the columns of a feed are: each by some of its texts, and then by all of them, in the engine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dropledger.core.inference.decisions import Counted, best, decide, is_id
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
_ROUNDS = 3
_FEW = 12  # values of a column that are listed
_REPEATED = 10  # times that each of them stands there, on average
_LONGEST_VALUE = 40
_TRUTHS = (
    {"yes": True, "no": False},
    {"true": True, "false": False},
    {"y": True, "n": False},
    {"t": True, "f": False},
    {"ja": True, "nein": False},
    {"oui": True, "non": False},
)


def infer_columns(session: Session, feed: FeedDraft, relation: str) -> None:
    """Say of each column of a feed what it is, by the texts of a relation."""
    rows = feed.looked_at
    seen = _sampled(session, relation, [column for column in feed.columns if not column.fixed], rows)
    options = {name: readings(name, texts) for name, texts in seen.items()}
    counted: dict[str, Counted] = {}
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
            decide(column, chosen[column.name], options[column.name], counted[column.name], seen[column.name])
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
    likely = {name: best(found) for name, found in options.items()}
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


def _majority(said: Iterable[bool | None]) -> bool | None:
    votes = [one for one in said if one is not None]
    return None if not votes or sum(votes) * 2 == len(votes) else sum(votes) * 2 > len(votes)


def _count(session: Session, relation: str, chosen: Mapping[str, Reading]) -> dict[str, Counted]:
    """How many cells fit, among all rows."""
    found: dict[str, Counted] = {}
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
            found[name] = Counted(
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
    return few and max(map(len, values)) <= _LONGEST_VALUE and not is_id(column)
