"""The ledger: every drop, every delivery, every refused row and every check; what was written stays.

A drop has one row, which says how it stands now, whatever number of times it is delivered. A delivery has one row each.
One whose bytes were examined has a sequence, and with it what was found then: counts, error, contract, refused rows and
checks. So a drop that was quarantined and is accepted later keeps its refusal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import AsOfSource
from dropledger.core.formats.extract import Drop
from dropledger.core.ledger.files import archive_name, control_name
from dropledger.core.ports.session import Parameters, Session
from dropledger.core.sql.text import literal

INITIAL_SEQUENCE = 0
"""The place of a feed's initial rows in the order of receipt: before all drops."""


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
    RETRACTED = "retracted"
    POSTPONED = "postponed"
    FAILED = "failed"


IN_HISTORY = frozenset({Status.COMMITTED, Status.PUBLISHED})
SETTLED = IN_HISTORY | {Status.RETRACTED}
"""What another delivery of the same drop changes nothing about."""

IN_HISTORY_SQL = ", ".join(literal(status) for status in sorted(IN_HISTORY))


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
    control_sha256: str | None

    @property
    def archive_name(self) -> str:
        return archive_name(self.feed, self.as_of, self.drop_id, self.name)

    @property
    def archived(self) -> dict[str, str]:
        """The files of the drop that the archive must have, each with its SHA-256."""
        control = {control_name(self.archive_name): self.control_sha256} if self.control_sha256 else {}
        return {self.archive_name: self.sha256, **control}


@dataclass(frozen=True, slots=True)
class Volume:
    """How many rows a file had; those alike to the letter count once."""

    name: str
    rows: int


COLUMNS = """drop_id, coalesce(feed, '') AS feed, name, as_of, as_of_source, sequence, status, sha256, error,
    contract_sha256, control_sha256"""


def row_of(record: Mapping[str, Any]) -> LedgerRow:
    """A drop by the columns that `COLUMNS` names, among others."""
    found = {field.name: record[field.name] for field in fields(LedgerRow)}
    return LedgerRow(**{**found, "status": Status(found["status"]), "as_of_source": AsOfSource(found["as_of_source"])})


def rows(session: Session, select: str, parameters: Parameters) -> list[LedgerRow]:
    """The drops that a query over the ledger's columns gives."""
    return [row_of(record) for record in session.query(select, parameters)]


def find(session: Session, drop_id: str) -> LedgerRow | None:
    """The drop with this id, if it was ever delivered."""
    found = session.query(f"SELECT {COLUMNS} FROM drop_ledger WHERE drop_id = :drop_id", {"drop_id": drop_id})
    return row_of(found[0]) if found else None


def statuses(session: Session, drop_ids: Sequence[str]) -> dict[str, Status]:
    """The status of those of the drops that were ever delivered."""
    some = _some(drop_ids)
    found = session.query(
        f"SELECT drop_id, status FROM drop_ledger WHERE drop_id IN ({', '.join(f':{name}' for name in some)})", some
    )
    return {row["drop_id"]: Status(row["status"]) for row in found}


def drops_of(session: Session, claim_ids: Sequence[str]) -> frozenset[str]:
    """The drops that the ledger has of these deliveries."""
    some = _some(claim_ids)
    if not some:
        return frozenset()
    among = ", ".join(f":{name}" for name in some)
    return frozenset(
        row["drop_id"] for row in session.query(f"SELECT drop_id FROM delivery WHERE claim_id IN ({among})", some)
    )


def behind(*taken: int | None) -> int:
    """The place in the order of receipt behind those that drops and deliveries have taken.

    A refused drop that comes again leaves its place; that is not given away, or replays would differ.
    """
    return max(place or 0 for place in taken) + 1


def next_sequence(session: Session) -> int:
    """The next place in the order of receipt."""
    taken = "SELECT max(sequence) AS place FROM drop_ledger UNION ALL SELECT max(sequence) FROM delivery"
    return behind(*(row["place"] for row in session.query(taken)))


def observed_until(session: Session, feed: str, pipeline: Pipeline) -> datetime | None:
    """The latest effective time (UTC) observed for a feed, by drops in history or its initial rows."""
    return _latest_observed(session, feed, pipeline, None)


def observed_before(session: Session, feed: str, moment: datetime, pipeline: Pipeline) -> datetime | None:
    """The latest effective time (UTC) before a moment that was observed for a feed."""
    return _latest_observed(session, feed, pipeline, moment)


def _latest_observed(session: Session, feed: str, pipeline: Pipeline, before: datetime | None) -> datetime | None:
    # No moment stands for "ever": the last one that there is can be observed like any other.
    latest = session.query(
        f"""SELECT max(last_effective) AS latest
        FROM drop_ledger
        WHERE feed = :feed
            AND status IN ({IN_HISTORY_SQL})
            AND (CAST(:before AS TIMESTAMP) IS NULL OR last_effective < CAST(:before AS TIMESTAMP))""",
        {"feed": feed, "before": before},
    )[0]["latest"]
    initial = [as_of for as_of in initial_times(pipeline, feed) if before is None or as_of < before]
    return max([*initial, *([latest] if latest else [])], default=None)


def initial_times(pipeline: Pipeline, feed: str) -> list[datetime]:
    """The times of a feed's initial rows."""
    return [as_of for contract, _, as_of in pipeline.initial_rows() if contract.feed == feed]


def first_observed(session: Session, feeds: Sequence[str]) -> datetime | None:
    """The first effective time (UTC) that any drop in the history of these feeds observed."""
    found: datetime | None = session.query(
        f"""SELECT min(first_effective) AS first_time
        FROM drop_ledger
        WHERE feed IN ({", ".join(map(literal, feeds))})
            AND status IN ({IN_HISTORY_SQL})"""
    )[0]["first_time"]
    return found


def in_history(session: Session, feed: str, since: datetime) -> list[LedgerRow]:
    """A feed's drops in history that observed anything at `since` (UTC) or later, in order of receipt."""
    return rows(
        session,
        f"""SELECT {COLUMNS}
        FROM drop_ledger
        WHERE feed = :feed
            AND status IN ({IN_HISTORY_SQL})
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
            AND status IN ({IN_HISTORY_SQL})
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
        f"""SELECT {COLUMNS}
        FROM drop_ledger
        WHERE status IN ({IN_HISTORY_SQL})
        ORDER BY sequence DESC
        LIMIT {int(limit)}""",
        {},
    )


def archived(session: Session) -> list[LedgerRow]:
    """The drops whose files the archive must have: those in history, and those that were taken back."""
    return rows(
        session,
        f"""SELECT {COLUMNS}
        FROM drop_ledger
        WHERE status IN ({IN_HISTORY_SQL}, {literal(Status.RETRACTED)})
        ORDER BY sequence""",
        {},
    )


def drop_ids(session: Session) -> frozenset[str]:
    """The ids of all drops that were ever delivered."""
    return frozenset(row["drop_id"] for row in session.query("SELECT drop_id FROM drop_ledger"))


@dataclass(frozen=True, slots=True)
class ToPublish:
    """What is to be published: drops whose changes are committed, in order of receipt, each with its claim_id.

    `current` is whether the marts' artifacts were written since the marts last changed otherwise than by a drop, and
    `manifest_sha256` is that of the last manifest of large ones, if there was any.
    """

    drops: Mapping[str, str | None]
    current: bool
    manifest_sha256: str | None


def to_publish(session: Session) -> ToPublish:
    """What is committed and not yet published."""
    found = session.query(
        """SELECT p.artifacts_current, p.manifest_sha256, l.drop_id, d.claim_id
        FROM pipeline_state AS p
        LEFT JOIN drop_ledger AS l
            ON l.status = :status
        LEFT JOIN delivery AS d
            ON d.drop_id = l.drop_id
            AND d.sequence = l.sequence
        ORDER BY l.sequence""",
        {"status": Status.COMMITTED},
    )
    drops = {row["drop_id"]: row["claim_id"] for row in found if row["drop_id"]}
    return ToPublish(drops, bool(found[0]["artifacts_current"]), found[0]["manifest_sha256"])


def record_delivery(session: Session, drop: Drop, outcome: Delivered, received_at: datetime) -> None:
    """Keep a delivery of a drop that is settled, whose bytes were not examined again."""
    session.insert("delivery", [_delivery_row(drop, outcome, received_at)])


def _delivery_row(drop: Drop, outcome: Delivered, received_at: datetime) -> dict[str, Any]:
    return {
        "drop_id": drop.drop_id,
        "uri": drop.claim.dropped.uri,
        "received_at": received_at,
        "outcome": outcome,
        "claim_id": drop.claim.claim_id,
    }


_FOUND = ("sequence", "rows_read", "rows_accepted", "rows_rejected", "rows_duplicate", "contract_sha256", "error")


def examined_row(drop: Drop, outcome: Delivered, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `delivery` for one that was examined, by what `drop_row` says of it."""
    return {**_delivery_row(drop, outcome, row["received_at"]), **{name: row.get(name) for name in _FOUND}}


def record_drop(session: Session, drop: Drop, outcome: Delivered, row: Mapping[str, Any], *, known: bool) -> None:
    """Keep a delivery that was examined, and let the drop's one row tell of it.

    Where the drop is `known`, that row told of an earlier refusal, which stays with its own delivery.
    """
    session.insert("delivery", [examined_row(drop, outcome, row)])
    if known:
        if row["status"] == Status.QUARANTINED:
            row = {**row, "name": _archived_as(session, row["drop_id"]) or row["name"]}
        session.delete_where("drop_ledger", "drop_id = :drop_id", {"drop_id": row["drop_id"]})
    session.insert("drop_ledger", [row])


def _archived_as(session: Session, drop_id: str) -> str | None:
    """The name by which a drop's file is in the archive, if it was accepted once and then taken back.

    Versions before this one examined such a drop when it came again.
    """
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
        "control_sha256": drop.control_sha256,
        **fields,
    }


def mark_published(session: Session, drop_ids: Sequence[str], published_at: datetime) -> None:
    if drop_ids:
        some = _some(drop_ids)
        session.update_where(
            "drop_ledger",
            {"status": ":status", "published_at": ":published_at"},
            f"drop_id IN ({', '.join(f':{name}' for name in some)}) AND status = :committed",
            {**some, "status": Status.PUBLISHED, "committed": Status.COMMITTED, "published_at": published_at},
        )


def _some(drop_ids: Sequence[str]) -> dict[str, str]:
    """Parameters for some drops."""
    return {f"drop_{place}": drop_id for place, drop_id in enumerate(drop_ids)}


def mark_artifacts(session: Session, *, current: bool, manifest_sha256: str | None = None) -> None:
    """Note whether the marts' artifacts are in line with the tables, in the transaction that makes it so."""
    session.update_where(
        "pipeline_state",
        {"artifacts_current": ":current", "manifest_sha256": ":manifest_sha256"},
        "TRUE",
        {"current": current, "manifest_sha256": manifest_sha256},
    )


def newest(session: Session) -> str | None:
    """The drop in history that was received last."""
    found = newest_in_history(session, 1)
    return found[0].drop_id if found else None
