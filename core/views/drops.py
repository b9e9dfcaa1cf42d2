"""The drops of the ledger, what their checks warned of, and the rows that were refused."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from dropledger.core.contracts.contract import Severity
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ConfigurationError
from dropledger.core.ledger.files import BESIDE, artifacts_of
from dropledger.core.ledger.ledger import INITIAL_SEQUENCE
from dropledger.core.ledger.outcome import finding
from dropledger.core.ports.session import Parameters, Session
from dropledger.core.ports.store import ReadStore
from dropledger.core.sql.text import literal, statement

Records = list[dict[str, Any]]


def select_late(pipeline: Pipeline | None) -> tuple[str, dict[str, Any]]:
    """A select of the drops in history, `drop_id` and `late`, and what it binds; it leaves out those of facts."""
    initial = [(contract.feed, as_of) for contract, _, as_of in (pipeline.initial_rows() if pipeline else ())]
    selects = (
        f"""UNION ALL
    SELECT
        CAST(NULL AS STRING),
        {literal(feed)},
        CAST({INITIAL_SEQUENCE} AS BIGINT),
        CAST(NULL AS TIMESTAMP),
        CAST(:initial_{place} AS TIMESTAMP),
        CAST(:initial_{place} AS TIMESTAMP)"""
        for place, (feed, _) in enumerate(initial)
    )
    bound = {f"initial_{place}": as_of for place, (_, as_of) in enumerate(initial)}
    facts = [feed for feed, contract in pipeline.contracts.items() if contract.brings_facts] if pipeline else []
    never = f"AND feed NOT IN ({', '.join(map(literal, facts))})" if facts else ""
    return statement("late_drops", {"initial": "\n    ".join(selects), "never_late": never}), bound


def failed_warnings(session: Session, of_drops: str, parameters: Parameters) -> Records:
    """The checks of severity warn that did not pass, of the drops (`drop_id, feed, name, sequence`) of a query."""
    return session.query(
        f"""SELECT l.drop_id, l.feed, l.name, c.check_name, c.failing_rows, c.message
        FROM check_result AS c
        INNER JOIN (
            {of_drops}
        ) AS l
            ON l.drop_id = c.drop_id
            AND l.sequence = c.sequence
        WHERE NOT c.passed
            AND c.severity = {literal(Severity.WARN)}
        ORDER BY l.sequence, c.layer DESC, c.model, c.check_name""",
        parameters,
    )


def finding_of(row: dict[str, Any]) -> str:
    return finding(row["check_name"], row["failing_rows"], row["message"])


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which drops are asked for; None for any.

    `name` is a part of the file's name, in whatever case. `since` and `until` bound when a drop was received, the
    latter not included. `before` is a sequence: of pages, that of the last drop on the one before.
    """

    feed: str | None = None
    status: str | None = None
    name: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None

    def conditions(self) -> Iterator[str]:
        """What holds for the rows `l` of the ledger that are wanted; the names of the fields are bound."""
        if self.feed is not None:
            yield "l.feed = :feed"
        if self.status is not None:
            yield "l.status = :status"
        if self.name is not None:
            yield "contains(lower(l.name), lower(:name))"
        if self.since is not None:
            yield "l.received_at >= :since"
        if self.until is not None:
            yield "l.received_at < :until"
        if self.before is not None:
            yield "l.sequence < :before"


def list_drops(
    session: Session, feed: str | None, limit: int, pipeline: Pipeline | None = None, wanted: Wanted | None = None
) -> Records:
    """The newest drops first, by order of receipt, each with the `warnings` of its checks, and whether it was `late`.

    That is NULL for drops that are in no history. With the pipeline, those that begin before its initial rows are late.
    """
    asked = wanted or Wanted(feed)
    conditions = " AND ".join(asked.conditions()) or "TRUE"
    newest = f"WHERE {conditions}\nORDER BY l.sequence DESC\nLIMIT {int(limit)}"
    late, bound = select_late(pipeline)
    found = session.query(
        f"""SELECT d.*, o.late
        FROM ({_select_drops()}{newest}) AS d
        LEFT JOIN ({late}) AS o
            ON o.drop_id = d.drop_id
        ORDER BY d.sequence DESC""",
        {**bound, **asdict(asked)},
    )
    warnings: dict[str, list[str]] = {}
    of_drops = f"SELECT l.drop_id, l.feed, l.name, l.sequence FROM drop_ledger AS l {newest}"
    for row in failed_warnings(session, of_drops, asdict(asked)):
        warnings.setdefault(row["drop_id"], []).append(finding_of(row))
    return [{**row, "warnings": warnings.get(row["drop_id"], [])} for row in found]


def rows_by_drop(session: Session, newest: int) -> dict[str, Records]:
    """The rows that the newest drops of each feed had, in order of receipt: `drop_id`, `as_of`, `rows_read`,
    `rows_rejected`, `status`.
    """
    found = session.query(
        f"""SELECT feed, drop_id, as_of, status, rows_read, rows_rejected
        FROM (
            SELECT l.*, row_number() OVER (PARTITION BY feed ORDER BY sequence DESC) AS place
            FROM drop_ledger AS l
            WHERE feed IS NOT NULL
        ) AS placed
        WHERE place <= {int(newest)}
        ORDER BY feed, sequence"""
    )
    by_feed: dict[str, Records] = {}
    for row in found:
        by_feed.setdefault(row.pop("feed"), []).append(row)
    return by_feed


def count_uncorrected(session: Session) -> int:
    """How many drops are quarantined of which no correction was accepted."""
    found = session.query(
        f"""SELECT count(*) AS uncorrected
        FROM ({_select_drops()}) AS d
        WHERE d.status = 'quarantined' AND d.superseded_by IS NULL"""
    )
    return int(found[0]["uncorrected"])


def _select_drops() -> str:
    return statement("drops", {"superseded": statement("superseded")})


def superseded(session: Session, drop_ids: Iterable[str]) -> set[str]:
    """Those of the drops whose refused files nobody needs to correct any more.

    A correction was accepted, or the very bytes were; or they were taken back since.
    """
    wanted = {f"drop_{place}": drop_id for place, drop_id in enumerate(drop_ids)}
    if not wanted:
        return set()
    condition = f"WHERE l.drop_id IN ({', '.join(f':{name}' for name in wanted)})"
    found = session.query(_select_drops() + condition, wanted)
    return {row["drop_id"] for row in found if row["superseded_by"] or row["status"] != "quarantined"}


def find_drop(session: Session, drop_id: str) -> dict[str, Any]:
    """The drop with this id, or with the one id that begins so.

    Raises:
        ConfigurationError: there is none, or several.
    """
    found = session.query(
        _select_drops() + "WHERE substr(l.drop_id, 1, :length) = :drop_id",
        {"drop_id": drop_id.lower(), "length": len(drop_id)},
    )
    if len(found) != 1 or not drop_id:
        raise ConfigurationError(
            f"there {'is no drop' if not found else f'are {len(found)} drops'} with an id that begins with '{drop_id}'",
            hint="dropledger drops lists the drops with their ids",
        )
    return found[0]


def list_rejects(session: Session, drop_id: str, limit: int) -> Records:
    """The refused rows of a drop in order of line, as the last delivery that was examined had them."""
    return session.query(
        f"""SELECT r.line, r.column_name, r.rule, r.reason, r.raw
        FROM rejected_row AS r
        INNER JOIN drop_ledger AS l
            ON l.drop_id = r.drop_id
            AND l.sequence = r.sequence
        WHERE r.drop_id = :drop_id
        ORDER BY r.line
        LIMIT {int(limit)}""",
        {"drop_id": drop_id},
    )


def read_fix(store: ReadStore, names: Iterable[str]) -> str | None:
    """What the reason among a refused file's names below the root says to do; None if there is none."""
    for name in names:
        if name.endswith(BESIDE[0]):
            with store.open(name) as file, suppress(ValueError, AttributeError):
                return str(json.load(file).get("fix") or "") or None
    return None


def read_changes(store: ReadStore, drop_id: str, limit: int) -> dict[str, Any] | None:
    """The change file of a drop: its `columns`, at most `limit` of its `rows` as texts, and whether there are `more`.

    None where there is no such file.
    """
    name = f"outputs/{artifacts_of(drop_id)[0]}"
    if not store.exists(name):
        return None
    with store.open(name) as file:
        lines = csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
        columns = next(lines, [])
        rows = list(islice(lines, limit + 1))
    return {"columns": columns, "rows": rows[:limit], "more": len(rows) > limit}
