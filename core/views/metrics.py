"""What the ledger has to count, by feed: for monitoring."""

from dataclasses import dataclass
from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import listed, quoted
from dropledger.core.views.freshness import Newest, newest_drops

Counts = dict[tuple[str, str], int]
"""Numbers by feed, and by what they are numbers of."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Deliveries by outcome, rows by fate, versions by change, failed checks by severity; for each feed what is
    newest of it, and the versions and keys that it has.
    """

    drops: Counts
    rows: Counts
    versions: Counts
    checks_failed: Counts
    newest: Newest
    history_versions: dict[str, int]
    history_keys: dict[str, int]


def read_metrics(session: Session, pipeline: Pipeline) -> Metrics:
    """The counts of now. A file that belonged to no feed counts with the feed ''."""
    by_feed = session.query(
        """SELECT
            coalesce(feed, '') AS feed,
            sum(rows_accepted) AS accepted,
            sum(rows_rejected) AS rejected,
            sum(rows_duplicate) AS duplicate,
            sum(versions_opened) AS opened,
            sum(versions_closed) AS closed
        FROM drop_ledger
        GROUP BY coalesce(feed, '')"""
    )
    drops = session.query(
        """SELECT coalesce(l.feed, '') AS feed, d.outcome AS label, count(*) AS number
        FROM delivery AS d
        INNER JOIN drop_ledger AS l
            ON l.drop_id = d.drop_id
        GROUP BY coalesce(l.feed, ''), d.outcome"""
    )
    failed = session.query(
        """SELECT coalesce(l.feed, '') AS feed, c.severity AS label, count(*) AS number
        FROM check_result AS c
        INNER JOIN drop_ledger AS l
            ON l.drop_id = c.drop_id
        WHERE NOT c.passed
        GROUP BY coalesce(l.feed, ''), c.severity"""
    )
    sizes = {feed: _size(session, pipeline, feed) for feed in pipeline.feed_order}
    return Metrics(
        drops=_labelled(drops),
        rows=_of(by_feed, ("accepted", "rejected", "duplicate")),
        versions=_of(by_feed, ("opened", "closed")),
        checks_failed=_labelled(failed),
        newest=newest_drops(session),
        history_versions={feed: versions for feed, (versions, _) in sizes.items()},
        history_keys={feed: keys for feed, (_, keys) in sizes.items()},
    )


def _size(session: Session, pipeline: Pipeline, feed: str) -> tuple[int, int]:
    history, key = quoted(f"history_{feed}"), listed(pipeline.contract(feed).key)
    found = session.query(
        f"""SELECT
            (SELECT count(*) FROM {history}) AS versions,
            (SELECT count(*) FROM (SELECT DISTINCT {key} FROM {history}) AS k) AS key_count"""
    )[0]
    return int(found["versions"]), int(found["key_count"])


def _labelled(rows: list[dict[str, Any]]) -> Counts:
    return {(row["feed"], row["label"]): int(row["number"]) for row in rows}


def _of(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> Counts:
    return {(row["feed"], column): int(row[column] or 0) for row in rows for column in columns}
