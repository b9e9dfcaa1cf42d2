"""The ledger: every drop, every delivery, every refused row and every check, append-only in spirit.

A drop has one row, whatever number of times it is delivered; a delivery has one row each. A drop that was
quarantined or retracted and comes again is taken anew: its row is replaced, its deliveries tell the story.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from core.definition import Pipeline
from core.drop import AsOfSource
from core.intake import Drop, archive_name
from core.ports import Parameters, Session
from core.sql import literal


class Status(StrEnum):
    """What became of a drop."""

    COMMITTED = "committed"
    PUBLISHED = "published"
    QUARANTINED = "quarantined"
    RETRACTED = "retracted"


class Delivered(StrEnum):
    """What became of a delivery. One that is postponed, or has failed, is in no ledger yet."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    POSTPONED = "postponed"
    FAILED = "failed"


IN_HISTORY = frozenset({Status.COMMITTED, Status.PUBLISHED})
_IN_HISTORY_SQL = ", ".join(literal(status) for status in sorted(IN_HISTORY))


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A drop as the ledger has it; `feed` is empty for a file that belonged to none."""

    drop_id: str
    feed: str
    name: str
    as_of: datetime
    as_of_source: AsOfSource
    sequence: int
    status: Status
    sha256: str
    error: str | None
    contract_sha256: str | None

    @property
    def archive_name(self) -> str:
        return archive_name(self.feed, self.as_of, self.drop_id, self.name)


@dataclass(frozen=True, slots=True)
class Volume:
    """How many rows a file had; those alike to the letter count once."""

    name: str
    rows: int


_COLUMNS = """drop_id, coalesce(feed, '') AS feed, name, as_of, as_of_source, sequence, status, sha256, error,
    contract_sha256"""


def _row(record: Mapping[str, Any]) -> LedgerRow:
    return LedgerRow(
        **{**record, "status": Status(record["status"]), "as_of_source": AsOfSource(record["as_of_source"])}
    )


def rows(session: Session, select: str, parameters: Parameters) -> list[LedgerRow]:
    """The drops that a query over the ledger's columns gives."""
    return [_row(record) for record in session.query(select, parameters)]


def find(session: Session, drop_id: str) -> LedgerRow | None:
    """The drop with this id, if it was ever delivered."""
    found = session.query(f"SELECT {_COLUMNS} FROM drop_ledger WHERE drop_id = :drop_id", {"drop_id": drop_id})
    return _row(found[0]) if found else None


def statuses(session: Session, drop_ids: Sequence[str]) -> dict[str, Status]:
    """The status of those of the drops that were ever delivered."""
    some = _some(drop_ids)
    found = session.query(
        f"SELECT drop_id, status FROM drop_ledger WHERE drop_id IN ({', '.join(f':{name}' for name in some)})", some
    )
    return {row["drop_id"]: Status(row["status"]) for row in found}


def delivered_as(session: Session, claim_id: str) -> Delivered | None:
    """What the ledger says of this very delivery; None if it has not recorded it yet."""
    found = session.query("SELECT outcome FROM delivery WHERE claim_id = :claim_id", {"claim_id": claim_id})
    return Delivered(found[0]["outcome"]) if found else None


def drops_of(session: Session, claim_ids: Sequence[str]) -> frozenset[str]:
    """The drops that the ledger has of these deliveries."""
    some = _some(claim_ids)
    if not some:
        return frozenset()
    among = ", ".join(f":{name}" for name in some)
    return frozenset(
        row["drop_id"] for row in session.query(f"SELECT drop_id FROM delivery WHERE claim_id IN ({among})", some)
    )


def next_sequence(session: Session) -> int:
    """The next place in the order of receipt."""
    # A retracted drop that comes again leaves its place; that place is not given away, or replays would differ.
    taken = "SELECT max(sequence) AS place FROM drop_ledger UNION ALL SELECT max(sequence) FROM delivery"
    return int(session.query(f"SELECT coalesce(max(place), 0) + 1 AS next FROM ({taken}) AS taken")[0]["next"])


def observed_until(session: Session, feed: str, pipeline: Pipeline) -> datetime | None:
    """The latest effective time (UTC) observed for a feed, by drops in history or its initial rows."""
    return observed_before(session, feed, datetime.max, pipeline)


def observed_before(session: Session, feed: str, moment: datetime, pipeline: Pipeline) -> datetime | None:
    """The latest effective time (UTC) before a moment that was observed for a feed."""
    latest = session.query(
        f"""SELECT max(last_effective) AS latest
        FROM drop_ledger
        WHERE feed = :feed
            AND status IN ({_IN_HISTORY_SQL})
            AND last_effective < :moment""",
        {"feed": feed, "moment": moment},
    )[0]["latest"]
    edge = moment.replace(tzinfo=UTC)
    initial = [as_of for contract, _, as_of in pipeline.initial_rows() if contract.feed == feed and as_of < edge]
    return max([*initial, *([latest] if latest else [])], default=None)


def first_observed(session: Session, feeds: Sequence[str]) -> datetime | None:
    """The first effective time (UTC) that any drop in the history of these feeds observed."""
    found: datetime | None = session.query(
        f"""SELECT min(first_effective) AS first_time
        FROM drop_ledger
        WHERE feed IN ({", ".join(map(literal, feeds))})
            AND status IN ({_IN_HISTORY_SQL})"""
    )[0]["first_time"]
    return found


def in_history(session: Session, feed: str, since: datetime) -> list[LedgerRow]:
    """A feed's drops in history that observed anything at `since` (UTC) or later, in order of receipt."""
    return rows(
        session,
        f"""SELECT {_COLUMNS}
        FROM drop_ledger
        WHERE feed = :feed
            AND status IN ({_IN_HISTORY_SQL})
            AND last_effective >= :since
        ORDER BY sequence""",
        {"feed": feed, "since": since},
    )


def volume_before(session: Session, feed: str, as_of: datetime) -> Volume | None:
    """The volume of the feed's drop in history before a moment (UTC); of several of one as_of the one received last."""
    found = session.query(
        f"""SELECT name, rows_read - rows_duplicate AS row_count
        FROM drop_ledger
        WHERE feed = :feed
            AND status IN ({_IN_HISTORY_SQL})
            AND as_of <= :as_of
        ORDER BY as_of DESC, sequence DESC
        LIMIT 1""",
        {"feed": feed, "as_of": as_of},
    )
    return Volume(found[0]["name"], int(found[0]["row_count"])) if found else None


def newest_in_history(session: Session, limit: int) -> list[LedgerRow]:
    """At most so many drops in history, those received last first."""
    return rows(
        session,
        f"""SELECT {_COLUMNS}
        FROM drop_ledger
        WHERE status IN ({_IN_HISTORY_SQL})
        ORDER BY sequence DESC
        LIMIT {int(limit)}""",
        {},
    )


def archived(session: Session) -> list[LedgerRow]:
    """The drops whose files the archive must have: those in history, and those that were taken back."""
    return rows(
        session,
        f"""SELECT {_COLUMNS}
        FROM drop_ledger
        WHERE status IN ({_IN_HISTORY_SQL}, {literal(Status.RETRACTED)})
        ORDER BY sequence""",
        {},
    )


def drop_ids(session: Session) -> frozenset[str]:
    """The ids of all drops that were ever delivered."""
    return frozenset(row["drop_id"] for row in session.query("SELECT drop_id FROM drop_ledger"))


def unpublished(session: Session) -> dict[str, str | None]:
    """Drops whose changes are committed and not yet published, in order of receipt, each with its claim_id."""
    found = session.query(
        """SELECT l.drop_id, d.claim_id
        FROM drop_ledger AS l
        LEFT JOIN delivery AS d
            ON d.drop_id = l.drop_id
            AND d.sequence = l.sequence
        WHERE l.status = :status
        ORDER BY l.sequence""",
        {"status": Status.COMMITTED},
    )
    return {row["drop_id"]: row["claim_id"] for row in found}


def record_delivery(
    session: Session, drop: Drop, outcome: Delivered, received_at: datetime, sequence: int | None = None
) -> None:
    session.insert("delivery", [delivery_row(drop, outcome, received_at, sequence)])


def delivery_row(drop: Drop, outcome: Delivered, received_at: datetime, sequence: int | None) -> dict[str, Any]:
    """A row of `delivery`."""
    return {
        "drop_id": drop.drop_id,
        "uri": drop.claim.dropped.uri,
        "received_at": received_at,
        "outcome": outcome,
        "sequence": sequence,
        "claim_id": drop.claim.claim_id,
    }


def record_drop(session: Session, row: Mapping[str, Any], *, known: bool) -> None:
    """Write the drop's one row; where it is `known`, in place of an earlier refused or retracted one."""
    if known:
        if row["status"] == Status.QUARANTINED:
            row = {**row, "name": _archived_as(session, row["drop_id"]) or row["name"]}
        for table in ("drop_ledger", "rejected_row", "check_result"):
            session.execute(f"DELETE FROM {table} WHERE drop_id = :drop_id", {"drop_id": row["drop_id"]})
    session.insert("drop_ledger", [row])


def _archived_as(session: Session, drop_id: str) -> str | None:
    """The name by which a drop's file is in the archive, if it was accepted once and then taken back."""
    found = session.query(
        """SELECT l.name
        FROM drop_ledger AS l
        INNER JOIN retraction AS r
            ON r.drop_id = l.drop_id
        WHERE l.drop_id = :drop_id
        LIMIT 1""",
        {"drop_id": drop_id},
    )
    return found[0]["name"] if found else None


def drop_row(
    drop: Drop, received_at: datetime, sequence: int, status: Status, fields: Mapping[str, Any]
) -> dict[str, Any]:
    """A row of `drop_ledger`; `fields` are the columns that only the outcome tells."""
    return {
        "drop_id": drop.drop_id,
        "feed": drop.feed or None,
        "uri": drop.claim.dropped.uri,
        "name": drop.name,
        "size_bytes": drop.size_bytes,
        "sha256": drop.sha256,
        "as_of": drop.as_of.moment,
        "as_of_source": drop.as_of.source,
        "sequence": sequence,
        "received_at": received_at,
        "status": status,
        "versions_opened": 0,
        "versions_closed": 0,
        "contract_sha256": drop.contract.sha256 if drop.contract else None,
        **fields,
    }


def mark_published(session: Session, drop_ids: Sequence[str], published_at: datetime) -> None:
    if drop_ids:
        some = _some(drop_ids)
        session.execute(
            f"""UPDATE drop_ledger SET
                status = :status,
                published_at = :published_at
            WHERE drop_id IN ({", ".join(f":{name}" for name in some)})
                AND status = :committed""",
            {**some, "status": Status.PUBLISHED, "committed": Status.COMMITTED, "published_at": published_at},
        )


def _some(drop_ids: Sequence[str]) -> dict[str, str]:
    """Parameters for some drops."""
    return {f"drop_{place}": drop_id for place, drop_id in enumerate(drop_ids)}


def artifacts_current(session: Session) -> bool:
    """Whether the marts' artifacts were written since the marts last changed otherwise than by a drop."""
    return bool(session.query("SELECT artifacts_current FROM pipeline_state")[0]["artifacts_current"])


def mark_artifacts(session: Session, *, current: bool) -> None:
    """Note whether the marts' artifacts are in line with the tables, in the transaction that makes it so."""
    session.execute("UPDATE pipeline_state SET artifacts_current = :current", {"current": current})


def retracted(session: Session) -> list[str]:
    """The drops that are taken back."""
    found = session.query("SELECT drop_id FROM drop_ledger WHERE status = :status", {"status": Status.RETRACTED})
    return [row["drop_id"] for row in found]


def newest(session: Session) -> str | None:
    """The drop in history that was received last."""
    found = newest_in_history(session, 1)
    return found[0].drop_id if found else None


def shares_moments(session: Session, row: LedgerRow, pipeline: Pipeline) -> bool:
    """Whether anything else in history may have observed at the effective times of this drop."""
    initial = any(contract.feed == row.feed and as_of >= row.as_of for contract, _, as_of in pipeline.initial_rows())
    return initial or bool(
        session.query(
            f"""SELECT 1
            FROM drop_ledger AS mine
            INNER JOIN drop_ledger AS other
                ON other.feed = mine.feed
                AND other.drop_id <> mine.drop_id
                AND other.status IN ({_IN_HISTORY_SQL})
                AND other.first_effective <= mine.last_effective
                AND other.last_effective >= mine.first_effective
            WHERE mine.drop_id = :drop_id
            LIMIT 1""",
            {"drop_id": row.drop_id},
        )
    )


def record_retraction(session: Session, row: LedgerRow, *, at: datetime, who: str, reason: str) -> None:
    """Keep the fact that a drop was taken back, with who and why."""
    session.insert(
        "retraction",
        [{"drop_id": row.drop_id, "sequence": row.sequence, "retracted_at": at, "retracted_by": who, "reason": reason}],
    )
    session.execute(
        "UPDATE drop_ledger SET status = :status WHERE drop_id = :drop_id",
        {"status": Status.RETRACTED, "drop_id": row.drop_id},
    )
