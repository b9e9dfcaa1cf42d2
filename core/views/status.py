"""The state of the ledger."""

from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ports import Clock
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import quoted
from dropledger.core.views.drops import Records, failed_warnings, finding_of, select_late
from dropledger.core.views.freshness import read_freshness


def read_status(session: Session, pipeline: Pipeline, clock: Clock) -> dict[str, Any]:
    """The state of the ledger now: drops by status, the moment, and each feed's freshness and size."""
    by_status = session.query("SELECT status, count(*) AS drops FROM drop_ledger GROUP BY status ORDER BY status")
    late, bound = select_late(pipeline)
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
    fresh = read_freshness(session, pipeline, clock)
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
            "freshness": fresh.get(feed),
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
    found = failed_warnings(
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
        drops.setdefault(row["drop_id"], entry)["warnings"].append(finding_of(row))
    return list(drops.values())
