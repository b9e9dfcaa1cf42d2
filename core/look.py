"""What people ask of the ledger: its state, its drops, what was refused, and the timeline of a key."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from core.checks import finding
from core.contract import Severity
from core.definition import Pipeline
from core.errors import ConfigurationError
from core.history import INITIAL_SEQUENCE
from core.keys import hint_of_nearest, read_key
from core.ports import Parameters, Session
from core.sql import feed_fragments, listed, literal, quoted, statement

Records = list[dict[str, Any]]


def _late(pipeline: Pipeline | None) -> tuple[str, dict[str, Any]]:
    """A select of the drops in history, `drop_id` and `late`, and what it binds."""
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
    return statement("late_drops", {"initial": "\n    ".join(selects)}), bound


def status(session: Session, pipeline: Pipeline) -> dict[str, Any]:
    """The state of the ledger: drops by status, the moment, and each feed's freshness and size."""
    by_status = session.query("SELECT status, count(*) AS drops FROM drop_ledger GROUP BY status ORDER BY status")
    late, bound = _late(pipeline)
    arrived = session.query(
        f"""SELECT
            l.feed,
            l.as_of_source,
            count(*) AS drops,
            sum(CASE WHEN t.late THEN 1 ELSE 0 END) AS late
        FROM drop_ledger AS l
        INNER JOIN ({late}) AS t
            ON t.drop_id = l.drop_id
        GROUP BY l.feed, l.as_of_source
        ORDER BY l.feed, l.as_of_source""",
        bound,
    )
    feeds = {}
    for feed in pipeline.feed_order:
        newest = session.query(
            """SELECT count(*) AS drops, max(as_of) AS as_of, max(received_at) AS received_at
            FROM drop_ledger
            WHERE feed = :feed AND status IN ('committed', 'published')""",
            {"feed": feed},
        )[0]
        counts = session.query(
            f"""SELECT count(*) AS versions, coalesce(sum(CASE WHEN is_current THEN 1 ELSE 0 END), 0) AS current
            FROM {quoted(f"history_{feed}")}"""
        )[0]
        feeds[feed] = {
            **newest,
            "as_of_sources": {row["as_of_source"]: row["drops"] for row in arrived if row["feed"] == feed},
            "late": sum(int(row["late"]) for row in arrived if row["feed"] == feed),
            "versions": counts["versions"],
            "current": int(counts["current"]),
        }
    marts = {mart.name: session.count(mart.name) for mart in pipeline.marts}
    return {
        "drops": {row["status"]: row["drops"] for row in by_status},
        "deliveries": session.count("delivery"),
        "moment": session.query("SELECT moment FROM mart_moment")[0]["moment"],
        "feeds": feeds,
        "marts": marts,
        "warnings": _newest_warnings(session),
    }


def _newest_warnings(session: Session) -> Records:
    """What the checks of the newest drop of each feed warned of, where they did; in order of receipt."""
    found = _warnings(
        session,
        """SELECT l.drop_id, l.feed, l.name, l.sequence
        FROM drop_ledger AS l
        INNER JOIN (
            SELECT feed, max(sequence) AS sequence
            FROM drop_ledger
            WHERE status IN ('committed', 'published')
            GROUP BY feed
        ) AS newest
            ON newest.sequence = l.sequence""",
        {},
    )
    drops: dict[str, dict[str, Any]] = {}
    for row in found:
        entry = {"feed": row["feed"], "drop_id": row["drop_id"], "name": row["name"], "warnings": []}
        drops.setdefault(row["drop_id"], entry)["warnings"].append(_finding(row))
    return list(drops.values())


def _warnings(session: Session, of_drops: str, parameters: Parameters) -> Records:
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


def _finding(row: dict[str, Any]) -> str:
    return finding(row["check_name"], row["failing_rows"], row["message"])


def drops(session: Session, feed: str | None, limit: int, pipeline: Pipeline | None = None) -> Records:
    """The newest drops first, by order of receipt, each with the `warnings` of its checks, and whether it was `late`.

    That is NULL for drops that are in no history. With the pipeline, those that begin before its initial rows are late.
    """
    newest = f"WHERE :feed IS NULL OR l.feed = :feed\nORDER BY l.sequence DESC\nLIMIT {int(limit)}"
    late, bound = _late(pipeline)
    found = session.query(
        f"""SELECT d.*, o.late
        FROM ({statement("drops")}{newest}) AS d
        LEFT JOIN ({late}) AS o
            ON o.drop_id = d.drop_id
        ORDER BY d.sequence DESC""",
        {**bound, "feed": feed},
    )
    warnings: dict[str, list[str]] = {}
    of_drops = f"SELECT l.drop_id, l.feed, l.name, l.sequence FROM drop_ledger AS l {newest}"
    for row in _warnings(session, of_drops, {"feed": feed}):
        warnings.setdefault(row["drop_id"], []).append(_finding(row))
    return [{**row, "warnings": warnings.get(row["drop_id"], [])} for row in found]


def superseded(session: Session, drop_ids: Iterable[str]) -> set[str]:
    """Those of the drops whose refused files nobody needs to correct any more.

    A correction was accepted, or the very bytes were; or they were taken back since.
    """
    wanted = {f"drop_{place}": drop_id for place, drop_id in enumerate(drop_ids)}
    if not wanted:
        return set()
    condition = f"WHERE l.drop_id IN ({', '.join(f':{name}' for name in wanted)})"
    found = session.query(statement("drops") + condition, wanted)
    return {row["drop_id"] for row in found if row["superseded_by"] or row["status"] != "quarantined"}


def find_drop(session: Session, drop_id: str) -> dict[str, Any]:
    """The drop with this id, or with the one id that begins so.

    Raises:
        ConfigurationError: there is none, or several.
    """
    found = session.query(
        statement("drops") + "WHERE substr(l.drop_id, 1, :length) = :drop_id",
        {"drop_id": drop_id.lower(), "length": len(drop_id)},
    )
    if len(found) != 1 or not drop_id:
        raise ConfigurationError(
            f"there {'is no drop' if not found else f'are {len(found)} drops'} with an id that begins with '{drop_id}'",
            hint="dropledger drops lists the drops with their ids",
        )
    return found[0]


def rejects(session: Session, drop_id: str, limit: int) -> Records:
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


def timeline(session: Session, pipeline: Pipeline, feed: str, key: str) -> Records:
    """Every version of a key in order of time, with the file and line behind each.

    Raises:
        ConfigurationError: there is no such feed, or the key cannot be one of its keys.
    """
    contract = pipeline.contract(feed)
    asked = read_key(key, contract)
    fragments = feed_fragments(contract)
    return session.query(
        f"""SELECT {fragments["h_columns"]}, h.valid_from, h.valid_to, h.is_current, h.drop_id, h.line, l.name AS file
        FROM {fragments["history"]} AS h
        LEFT JOIN drop_ledger AS l
            ON l.drop_id = h.drop_id
        WHERE {asked.condition}
        ORDER BY {listed(contract.key, "h")}, h.valid_from""",
        asked.bound,
    )


def known_timeline(session: Session, pipeline: Pipeline, feed: str, key: str) -> Records:
    """What `timeline` gives, of a key that must have been there.

    Raises:
        ConfigurationError: it never was, or as `timeline`; the hint names the nearest keys that were.
    """
    found = timeline(session, pipeline, feed, key)
    if not found:
        asked = read_key(key, pipeline.contract(feed))
        raise ConfigurationError(
            f"the feed {feed} never had the key {key}",
            hint=hint_of_nearest(session, asked, "dropledger drops lists what was dropped"),
        )
    return found


def account_figure(
    session: Session, pipeline: Pipeline, account_id: int, moment: datetime | None
) -> tuple[Records, Records, Records]:
    """What one figure was made of at `moment` (UTC; None for the mart's own): account and customer, tiers, mart row."""
    explain = pipeline.folder / "explain"
    if not (explain / "account.sql").is_file():
        raise ConfigurationError(
            f"the pipeline {pipeline.name} has nothing to explain", hint="add explain/account.sql to it"
        )
    moment = moment or session.query("SELECT moment FROM mart_moment")[0]["moment"]
    bound = {"account_id": account_id, "moment": moment}
    return (
        session.query((explain / "account.sql").read_text(encoding="utf-8"), bound),
        session.query((explain / "rate_card.sql").read_text(encoding="utf-8"), {"moment": moment}),
        session.query("SELECT * FROM account_summary WHERE account_id = :account_id", bound),
    )
