"""What the rows of a feed are, once their cells are typed: what identifies one, and what each tells of."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import combinations

from dropledger.core.contracts.contract import Contract
from dropledger.core.inference.draft import ColumnDraft, FeedDraft
from dropledger.core.ports.session import Session
from dropledger.core.rules.cells import source_of, typed_cell
from dropledger.core.sql.text import listed, quoted

_KEY_TYPES = frozenset({"bigint", "text", "date", "timestamp"})
_NAMES_OF_KEYS = re.compile(r"(^|_)(id|no|nr|num|number|key|code|ref|reference|uuid|guid|iban)$")
_PARTS = 8  # columns of which a key of several may consist
_LONGEST_KEY = 3
_OPERATIONS = re.compile(r"(^|_)(op|operation|action|change|change_type|dml)$")
_HAPPENS = re.compile(
    r"event|transaction|payment|booking|posting|activity|clearing|transfer|trade|click|log|order|reading|movement|umsatz"
)
_KEPT = 0.9  # of the keys of a file that the next one has, if both are complete


def type_rows(session: Session, contract: Contract, relation: str, into: str) -> None:
    """Put the rows of a relation of texts in scratch `into`, typed as loading types them, with `_file`."""
    columns = ", ".join(f"{typed_cell(column)} AS {quoted(column.name)}" for column in contract.columns)
    session.scratch(into, f"SELECT s._file, {columns} FROM {source_of(contract, quoted(relation))} AS s")


def infer_rows(session: Session, feed: FeedDraft, typed: str, now: datetime) -> None:
    """Say of a feed whose rows are typed what its key and its mode are."""
    _infer_key(session, feed, typed)
    _infer_mode(session, feed, typed)
    if feed.effective:
        latest = session.query(
            f"SELECT CAST(max({quoted(feed.effective)}) AS TIMESTAMP) AS latest FROM {quoted(typed)}"
        )
        found = latest[0]["latest"]
        if found is not None and found > now + timedelta(days=1):
            feed.future = f"there are rows of {found:%Y-%m-%d}"


def _infer_key(session: Session, feed: FeedDraft, typed: str) -> None:
    filled = [column for column in feed.columns if column.filled and column.type in _KEY_TYPES]
    named = [column for column in filled if _NAMES_OF_KEYS.search(column.name)]
    others = [column for column in filled if column not in named and column.type in {"bigint", "text"}]
    alone = _by_feed(named, feed.feed) + others
    if not feed.rows:
        likely = next((column for column in feed.columns if _NAMES_OF_KEYS.search(column.name)), feed.columns[0])
        feed.key, feed.key_why = (likely.name,), "a guess by the name, as there are no rows"
        return
    unique = _unique(session, typed, [(column.name,) for column in alone])
    if unique:
        others_too = [names[0] for names in unique[1:4]]
        also = f"; so {'is' if len(others_too) == 1 else 'are'} {', '.join(others_too)}" if others_too else ""
        feed.key, feed.key_why = unique[0], f"unique in {feed.looked_at:,} rows, never empty{also}"
        return
    days = [column for column in filled if column.type in {"date", "timestamp"}]
    parts = [column.name for column in (named + days + others)[:_PARTS]]
    for size in range(2, _LONGEST_KEY + 1):
        unique = _unique(session, typed, list(combinations(parts, size)))
        if unique:
            feed.key = unique[0]
            feed.key_why = f"no column is unique; these together are, in {feed.looked_at:,} rows"
            return
    _without_key(feed)


def _by_feed(columns: Sequence[ColumnDraft], feed: str) -> list[ColumnDraft]:
    """Those that are called after the feed first, such as account_id among accounts."""
    return sorted(columns, key=lambda column: feed not in column.name and column.name != "id")


def _without_key(feed: FeedDraft) -> None:
    filled = [column.name for column in feed.columns if column.filled and column.type not in {"json", "boolean"}]
    if filled:
        feed.key = tuple(filled)
        feed.key_why = (
            "NO KEY WAS FOUND: name the columns that identify a row; until then rows alike in these count once, "
            "or are refused where they differ elsewhere. If none do, export a line number"
        )
        return
    feed.key = (feed.columns[0].name,)
    feed.key_why = "NO KEY WAS FOUND, and each column has empty cells: rows in which this one is empty are refused"


def _unique(session: Session, typed: str, keys: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Those of some keys that no two rows of a file share; looked for one by one, as few are counted in vain."""
    if not keys:
        return []
    found = []
    for start in range(0, len(keys), 20):
        part = keys[start : start + 20]
        counts = ", ".join(
            f"(SELECT count(*) FROM (SELECT DISTINCT _file, {listed(key)} FROM {quoted(typed)})) AS key_{place}"
            for place, key in enumerate(part)
        )
        row = session.query(f"SELECT {counts}, (SELECT count(*) FROM {quoted(typed)}) AS all_rows")[0]
        found += [key for place, key in enumerate(part) if row[f"key_{place}"] == row["all_rows"]]
    return found


def _infer_mode(session: Session, feed: FeedDraft, typed: str) -> None:
    operation = next((column for column in feed.columns if _is_operation(column)), None)
    if operation is not None and operation.name not in feed.key:
        feed.mode, feed.operation = "delta", operation.name
        feed.mode_why = f"{operation.name} has {', '.join(sorted(_texts(operation)))}: inserts, updates, deletions"
        operation.values = ()
        return
    times = [column for column in feed.columns if column.type == "timestamp" and column.name not in feed.key]
    times += [column for column in feed.columns if column.type == "date" and column.name not in feed.key]
    times = [column for column in times if column.filled]
    again = _seen_again(session, feed, typed) if len(feed.files) > 1 else None
    if times and _HAPPENS.search(feed.feed) and not again and not feed.key_why.startswith("NO KEY"):
        feed.mode, feed.effective = "event", times[0].name
        feed.mode_why = "by its name each row is something that happened; else say full or delta"
        return
    if again is None:
        feed.mode_why = "a guess by one file: each is complete. Say delta if files hold just what changed"
    elif again >= _KEPT:
        feed.mode_why = f"{again:.0%} of a file's keys are in the next one: each is complete"
    else:
        feed.mode = "delta"
        feed.mode_why = f"just {again:.0%} of a file's keys are in the next one: files hold what changed, or is new"


def _texts(column: ColumnDraft) -> set[str]:
    return {text.upper() for text in column.values}


def _is_operation(column: ColumnDraft) -> bool:
    texts = _texts(column) if isinstance(column.values, tuple) else set()
    return bool(_OPERATIONS.search(column.name)) and column.filled and bool(texts) and texts <= {"I", "U", "D"}


def _seen_again(session: Session, feed: FeedDraft, typed: str) -> float | None:
    """The share of the keys of each file but the last that are in the one behind it."""
    same = " AND ".join(f"b.{quoted(name)} = a.{quoted(name)}" for name in feed.key)
    found = session.query(
        f"""SELECT count(*) AS keys, count(CASE WHEN again THEN 1 END) AS again
        FROM (
            SELECT EXISTS (SELECT 1 FROM {quoted(typed)} AS b WHERE b._file = a._file + 1 AND {same}) AS again
            FROM {quoted(typed)} AS a
            WHERE a._file < {len(feed.files) - 1}
        ) AS found"""
    )[0]
    return found["again"] / found["keys"] if found["keys"] else None


def infer_relationships(session: Session, feeds: Sequence[tuple[FeedDraft, str]]) -> None:
    """Say of columns that all their values are keys of another feed. `feeds` has each with its typed rows."""
    parents = [(feed, typed) for feed, typed in feeds if len(feed.key) == 1 and feed.rows]
    for feed, typed in feeds:
        for column in feed.columns:
            for parent, parents_typed in _likely(feed, column, parents):
                key = parent.column(parent.key[0])
                found = session.query(
                    f"""SELECT count(DISTINCT c.{quoted(column.name)}) AS of_child
                    FROM {quoted(typed)} AS c
                    HAVING count(DISTINCT c.{quoted(column.name)}) > 0 AND NOT EXISTS (
                        SELECT 1 FROM {quoted(typed)} AS c
                        WHERE c.{quoted(column.name)} IS NOT NULL AND NOT EXISTS (
                            SELECT 1 FROM {quoted(parents_typed)} AS p
                            WHERE p.{quoted(key.name)} = c.{quoted(column.name)}))"""
                )
                if found:
                    column.to = f"{parent.feed}.{key.name}"
                    column.to_why = f"all {found[0]['of_child']:,} values are keys of {parent.feed}"
                    break


def _likely(
    feed: FeedDraft, column: ColumnDraft, parents: Iterable[tuple[FeedDraft, str]]
) -> Iterable[tuple[FeedDraft, str]]:
    """Feeds whose key has a name like that of the column."""
    for parent, typed in parents:
        key = parent.column(parent.key[0])
        alike = column.name in {key.name, f"{parent.feed}_{key.name}"} or column.name.endswith(f"_{key.name}")
        generic = key.name in {"id", "no", "nr", "code", "key", "number"}
        if parent is not feed and column.type == key.type and (parent.feed in column.name or (alike and not generic)):
            yield parent, typed


def infer_trailer(session: Session, feed: FeedDraft, typed: str, cells: Sequence[str]) -> dict[str, object]:
    """The places of a trailer's fields that are the number of rows, or the sum of a column."""
    found: dict[str, object] = {}
    numbers = [column for column in feed.columns if column.type == "bigint" or column.type.startswith("decimal")]
    sums = ", ".join(f"sum({quoted(column.name)}) AS {quoted(column.name)}" for column in numbers)
    row = session.query(f"SELECT count(*) AS _all{', ' if sums else ''}{sums} FROM {quoted(typed)}")[0]
    from dropledger.core.rules.numbers import number_of

    totals: dict[str, int] = {}
    for place, cell in enumerate(cells, 1):
        if re.fullmatch("[0-9]{1,15}", cell) and int(cell) == row["_all"] and "rows" not in found:
            found["rows"] = place
            continue
        for column in numbers:
            read = column.reading and number_of(column.reading, cell, bounded=False)
            if read is not None and read == row[column.name] and column.name not in totals:
                totals[column.name] = place
                break
    if totals:
        found["sums"] = totals
    return found
