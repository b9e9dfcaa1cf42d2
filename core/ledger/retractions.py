"""What the ledger keeps of drops that were taken back, and taken in again."""

from datetime import datetime

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.ledger.ledger import IN_HISTORY_SQL, LedgerRow, Status
from dropledger.core.ports.session import Session


def retracted(session: Session) -> list[str]:
    """The drops that are taken back."""
    found = session.query("SELECT drop_id FROM drop_ledger WHERE status = :status", {"status": Status.RETRACTED})
    return [row["drop_id"] for row in found]


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
                AND other.status IN ({IN_HISTORY_SQL})
                AND other.first_effective <= mine.last_effective
                AND other.last_effective >= mine.first_effective
            WHERE mine.drop_id = :drop_id
            LIMIT 1""",
            {"drop_id": row.drop_id},
        )
    )


def retraction(session: Session, drop_id: str) -> str:
    """Who took a drop back last, when and why, in words."""
    fact = session.query(
        """SELECT retracted_at, retracted_by, reason
        FROM retraction
        WHERE drop_id = :drop_id
        ORDER BY retracted_at DESC
        LIMIT 1""",
        {"drop_id": drop_id},
    )[0]
    return f"{fact['retracted_by']} took it back at {fact['retracted_at']:%Y-%m-%d %H:%M:%S}Z: {fact['reason']}"


def record_retraction(session: Session, row: LedgerRow, *, at: datetime, who: str, reason: str) -> None:
    """Keep the fact that a drop was taken back, with who and why."""
    session.insert(
        "retraction",
        [{"drop_id": row.drop_id, "sequence": row.sequence, "retracted_at": at, "retracted_by": who, "reason": reason}],
    )
    _set_status(session, row, Status.RETRACTED)


def record_restoration(session: Session, row: LedgerRow, *, at: datetime, who: str, reason: str) -> None:
    """Keep the fact that a drop which was taken back is taken in again, at its place of before, with who and why."""
    session.insert(
        "restoration",
        [{"drop_id": row.drop_id, "sequence": row.sequence, "restored_at": at, "restored_by": who, "reason": reason}],
    )
    _set_status(session, row, Status.COMMITTED)


def _set_status(session: Session, row: LedgerRow, status: Status) -> None:
    bound = {"status": status, "drop_id": row.drop_id}
    session.update_where("drop_ledger", {"status": ":status"}, "drop_id = :drop_id", bound)
