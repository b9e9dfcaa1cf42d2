"""When a key that is kept, and that newer complete extracts lack, was last in one.

History and ledger tell it where a version of the key begins, and where a file lacked no known key. Of the others the
archived files are looked through, newest first, up to `MOST_READ` of them; an engine that files would have to be moved
to looks through the rows that it has of the one received last.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.errors import DataRefused, Postponed
from dropledger.core.ledger.ledger import COLUMNS, IN_HISTORY_SQL, row_of
from dropledger.core.ports.session import Session
from dropledger.core.rules.fragments import parse_fragments
from dropledger.core.sql.text import listed, quoted, statement
from dropledger.core.steps.archive import Archive, extract_in_history
from dropledger.core.steps.guards import keeps_missing
from dropledger.core.steps.validate import effective_times
from dropledger.core.views.drops import Records
from dropledger.core.views.keys import Key
from dropledger.core.views.timeline import read_timeline

MOST_READ = 10
_SOURCE, _TYPED = "_dl_looked_through", "_dl_looked_through_typed"


def find_last_seen(
    session: Session, archive: Archive, contract: Contract, asked: Key, as_of: datetime | None = None
) -> dict[str, Any] | None:
    """The last complete extract of a feed that has a key, if newer ones lack it; None if the newest one has it.

    `as_of` is the moment (UTC) of the question; None for that of the newest file.

    Returns:
        `file` (None for the initial rows), `drop_id`, `as_of`; `files_since`, how many newer files there are;
        `or_later`, whether it may have been in one of those that were not looked through, or could not be read.
    """
    if not keeps_missing(contract):
        return None
    versions = read_timeline(session, contract, asked)
    if not versions:
        return None
    extracts = session.query(
        statement("complete_extracts", {"columns": COLUMNS, "in_history": IN_HISTORY_SQL}),
        {"feed": contract.feed, "since": versions[0]["valid_from"], "until": as_of},
    )
    doubtful = False
    for place, (row, has) in enumerate(_looked_through(session, archive, contract, asked, extracts, versions)):
        if has:
            return _seen(row["name"], row["drop_id"], row["as_of"], place, or_later=doubtful) if place else None
        doubtful = doubtful or has is None
    initial = versions[-1]
    return (
        _seen(None, initial["drop_id"], initial["valid_from"], len(extracts), or_later=doubtful) if extracts else None
    )


def _seen(file: str | None, drop_id: str, as_of: datetime, files_since: int, *, or_later: bool) -> dict[str, Any]:
    return {"file": file, "drop_id": drop_id, "as_of": as_of, "files_since": files_since, "or_later": or_later}


def _looked_through(
    session: Session, archive: Archive, contract: Contract, asked: Key, extracts: Records, versions: Records
) -> Iterator[tuple[Mapping[str, Any], bool | None]]:
    """Each extract with whether it has the key; None where that is not known."""
    opened = {version["drop_id"] for version in versions}
    # What was taken back and is in again may have come in when files of later sequences were taken.
    known_since = {row["drop_id"]: row["sequence"] for row in extracts if not row["was_retracted"]}
    left = MOST_READ
    for row in extracts:
        if row["drop_id"] in opened or _lacked_none(row, versions, known_since):
            yield row, True
        elif left:
            left -= 1
            in_place = session.capabilities.reads_in_place
            yield (
                row,
                _has(session, archive, contract, asked, row)
                if in_place
                else _is_received_last(session, contract, asked, row),
            )
        else:
            yield row, None


def _lacked_none(row: Mapping[str, Any], versions: Records, known_since: Mapping[str, int]) -> bool:
    """Whether a file had all keys that were known when it was taken, this one among them."""
    known = any(
        known_since.get(version["drop_id"], row["sequence"]) < row["sequence"]
        and version["valid_from"] <= row["as_of"]
        and (version["valid_to"] is None or version["valid_to"] > row["as_of"])
        for version in versions
    )
    return known and row["lacked"] == 0 and row["rows_rejected"] == 0


def _is_received_last(session: Session, contract: Contract, asked: Key, row: Mapping[str, Any]) -> bool | None:
    """Whether a drop has a key, if it is the one received last, whose rows are in the warehouse."""
    staged = quoted(f"stg_{contract.feed}")
    bound = {"drop_id": row["drop_id"]}
    if not session.query(f"SELECT 1 AS found FROM {staged} WHERE _drop_id = :drop_id LIMIT 1", bound):
        return None
    has_key = asked.found_in("s", contract.key)
    if session.query(f"SELECT 1 AS found FROM {staged} AS s WHERE {has_key} LIMIT 1", asked.bound):
        return True
    return None if row["rows_rejected"] else False


def _has(session: Session, archive: Archive, contract: Contract, asked: Key, row: Mapping[str, Any]) -> bool | None:
    """Whether the archived file of a drop has a key; None if it cannot be read now."""
    try:
        extract = extract_in_history(session, archive, contract, row_of(row))
        session.load(extract.path, extract.layout, _SOURCE, drop_id=extract.drop_id)
        fragments = {**feed_fragments(extract.contract), **parse_fragments(extract.contract, _SOURCE)}
        keys = f"SELECT p._line, {listed(extract.contract.key, 'p')} FROM (\n{statement('parse', fragments)}\n) AS p"
        session.select_rows(_SOURCE, _TYPED, keys, effective_times(extract))
    except (DataRefused, Postponed):
        return None
    has_key = asked.found_in("p", extract.contract.key)
    return bool(session.query(f"SELECT 1 AS found FROM {_TYPED} AS p WHERE {has_key} LIMIT 1", asked.bound))
