"""What the ledger has to count, by feed: for monitoring."""

from dataclasses import dataclass
from itertools import product
from typing import Any

from dropledger.core.contracts.contract import Severity
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import listed, quoted
from dropledger.core.views.freshness import NOTHING, Newest, newest_drops

_OUTCOMES = (Delivered.ACCEPTED, Delivered.DUPLICATE, Delivered.QUARANTINED, Delivered.RETRACTED)
_FATES = ("accepted", "rejected", "duplicate")
_CHANGES = ("opened", "closed")

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


def nothing_counted(pipeline: Pipeline) -> Metrics:
    """The counts of before the first drop, each of them: one that appeared at 1 would not be seen to have risen."""
    feeds = pipeline.feed_order
    return Metrics(
        drops=dict.fromkeys(product([*feeds, ""], _OUTCOMES), 0),
        rows=dict.fromkeys(product(feeds, _FATES), 0),
        versions=dict.fromkeys(product(feeds, _CHANGES), 0),
        checks_failed=dict.fromkeys(product(feeds, Severity), 0),
        newest=NOTHING,
        history_versions=dict.fromkeys(feeds, 0),
        history_keys=dict.fromkeys(feeds, 0),
    )


def read_metrics(session: Session, pipeline: Pipeline) -> Metrics:
    """The counts of now. A file that belonged to no feed counts with the feed ''."""
    nothing = nothing_counted(pipeline)
    by_feed = session.query(
        """SELECT
            coalesce(feed, '') AS feed,
            sum(versions_opened) AS opened,
            sum(versions_closed) AS closed
        FROM drop_ledger
        GROUP BY coalesce(feed, '')"""
    )
    drops = _deliveries(session)
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
        drops=nothing.drops | _labelled(drops),
        rows=nothing.rows | _of(drops, _FATES),
        versions=nothing.versions | _of(by_feed, _CHANGES),
        checks_failed=nothing.checks_failed | _labelled(failed),
        newest=newest_drops(session),
        history_versions={feed: versions for feed, (versions, _) in sizes.items()},
        history_keys={feed: keys for feed, (_, keys) in sizes.items()},
    )


def _deliveries(session: Session) -> list[dict[str, Any]]:
    """By feed and outcome how many there were, with their rows.

    Not by drop, whose row is another one once what was refused is accepted: a counter never falls.
    """
    return session.query(
        """SELECT
            coalesce(l.feed, '') AS feed,
            d.outcome AS label,
            count(*) AS number,
            sum(d.rows_accepted) AS accepted,
            sum(d.rows_rejected) AS rejected,
            sum(d.rows_duplicate) AS duplicate
        FROM delivery AS d
        INNER JOIN drop_ledger AS l
            ON l.drop_id = d.drop_id
        GROUP BY coalesce(l.feed, ''), d.outcome"""
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
    counts: Counts = {}
    for row in rows:
        for column in columns:
            counts[row["feed"], column] = counts.get((row["feed"], column), 0) + int(row[column] or 0)
    return counts
