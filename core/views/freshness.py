"""How old feeds are beside what their contracts say: what is `late`, and when the next drop is expected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dropledger.core.contracts.freshness import (
    WAITING,
    Freshness,
    FreshnessState,
    Standing,
    calendar_of,
    counted,
    stands,
)
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ports import Clock
from dropledger.core.ports.session import Session

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest as_of and the last receipt of each feed's drops in history, and when the root got its first drop."""

    as_of: Mapping[str, datetime]
    received_at: Mapping[str, datetime]
    first_received_at: datetime | None


NOTHING = Newest({}, {}, None)
"""Of a root without a ledger."""


def newest_drops(session: Session) -> Newest:
    """What freshness is told by, in one statement."""
    found = session.query(
        """SELECT
            coalesce(feed, '') AS feed,
            max(CASE WHEN status IN ('committed', 'published') THEN as_of END) AS as_of,
            max(CASE WHEN status IN ('committed', 'published') THEN received_at END) AS received_at,
            min(received_at) AS first_received_at
        FROM drop_ledger
        GROUP BY coalesce(feed, '')"""
    )
    return Newest(
        {row["feed"]: row["as_of"] for row in found if row["as_of"]},
        {row["feed"]: row["received_at"] for row in found if row["received_at"]},
        min((row["first_received_at"] for row in found), default=None),
    )


def standings(pipeline: Pipeline, newest: Newest, clock: Clock) -> dict[str, Standing]:
    """How each feed stands now whose contract has `freshness`.

    One that no drop of is in history is counted from the first drop that the root got, of whatever feed.
    """
    found = {}
    for feed in pipeline.feed_order:
        freshness = pipeline.contract(feed).freshness
        if freshness is not None:
            drops = newest.as_of if freshness.of == "as_of" else newest.received_at
            calendar = calendar_of(freshness.calendar, pipeline.file.calendars)
            since = drops.get(feed, newest.first_received_at)
            found[feed] = stands(freshness, since, clock(), calendar) if since else WAITING
    return found


def read_freshness(session: Session | None, pipeline: Pipeline, clock: Clock) -> dict[str, Entry]:
    """The entries of `dropledger freshness` by feed, see docs/json.md; without a session those of an empty root."""
    newest = newest_drops(session) if session and _asked(pipeline) else NOTHING
    return entries(pipeline, newest, clock)


def _asked(pipeline: Pipeline) -> bool:
    return any(contract.freshness is not None for contract in pipeline.contracts.values())


def entries(pipeline: Pipeline, newest: Newest, clock: Clock) -> dict[str, Entry]:
    """The same, of what is known already."""
    return {
        feed: {
            "state": str(standing.state),
            **_said(pipeline.contract(feed).freshness),
            "since": standing.since,
            "has_drops": feed in newest.received_at,
            "age_seconds": None if standing.age is None else int(standing.age.total_seconds()),
            "due_at": standing.due,
            "late_at": standing.late_at,
        }
        for feed, standing in standings(pipeline, newest, clock).items()
    }


def _said(freshness: Freshness | None) -> Entry:
    if freshness is None:
        return {}
    return {
        "of": freshness.of,
        "calendar": freshness.calendar,
        "warn_after_seconds": freshness.warn_after,
        "error_after_seconds": freshness.error_after,
    }


def ages_at_arrival(pipeline: Pipeline, feed: str, drops: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """How old a feed had become each time that a drop made it newer, oldest first: `drop_id`, `received_at`,
    `age_seconds` (in days that count), and the `state` that it had come to by then.

    `drops` have these and `status` and `as_of`, in order of receipt.
    """
    freshness = pipeline.contract(feed).freshness
    if freshness is None:
        return []
    calendar = calendar_of(freshness.calendar, pipeline.file.calendars)
    found: list[Entry] = []
    newest: datetime | None = None
    for drop in drops:
        if drop["status"] not in {"committed", "published"} or (newest is not None and drop[freshness.of] <= newest):
            continue
        if newest is not None:
            standing = stands(freshness, newest, drop["received_at"], calendar)
            age = counted(newest, drop["received_at"], calendar)
            told = {"age_seconds": int(age / timedelta(seconds=1)), "state": str(standing.state)}
            found.append({"drop_id": drop["drop_id"], "received_at": drop["received_at"], **told})
        newest = drop[freshness.of]
    return found


def worst(found: Mapping[str, Entry]) -> FreshnessState | None:
    """The state of the feed that is worst off; None where no contract has freshness."""
    order = (FreshnessState.LATE, FreshnessState.WARN, FreshnessState.WAITING, FreshnessState.FRESH)
    states = {FreshnessState(entry["state"]) for entry in found.values()}
    return next((state for state in order if state in states), None)
