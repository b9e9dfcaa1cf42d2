"""A drop that comes again: the ledger keeps the delivery, under the drop_id that it has for the drop."""

from datetime import datetime

from core import ledger
from core.drop import AsOfSource
from core.intake import Drop
from core.ledger import Delivered, LedgerRow
from core.outcome import Outcome
from core.ports import Session
from core.retractions import retraction


def come_again(session: Session, drop: Drop, known: LedgerRow, received_at: datetime) -> Outcome:
    """Record a delivery of a drop that is in history, or was taken back and stays so."""
    if known.status in ledger.IN_HISTORY:
        ledger.record_delivery(session, drop, Delivered.DUPLICATE, received_at)
        return Outcome(drop, Delivered.DUPLICATE, known.archive_name)
    ledger.record_delivery(session, drop, Delivered.RETRACTED, received_at)
    fact = retraction(session, drop.drop_id)
    return Outcome(
        drop,
        Delivered.RETRACTED,
        known.archive_name,
        rule="retracted",
        error=f"this drop was taken back, and stays so: {fact}",
        hint=f"if it is to count after all: dropledger restore {drop.drop_id} --reason TEXT",
    )


def as_known(session: Session, drop: Drop) -> tuple[Drop, LedgerRow | None]:
    """The drop as the ledger knows it, and its row there, if it was ever delivered."""
    known = ledger.find(session, drop.drop_id)
    if known is None and drop.brings_times:
        # Earlier versions gave such a drop a drop_id by its as_of too; it must not come in once more under another.
        known = _alike(session, drop)
    return (drop.known_as(known.drop_id) if known else drop), known


def _alike(session: Session, drop: Drop) -> LedgerRow | None:
    """The drop of the same bytes whose as_of was not given by hand; of several rather one in history."""
    alike = ledger.rows(
        session,
        f"""SELECT {ledger.COLUMNS}
        FROM drop_ledger
        WHERE feed = :feed
            AND sha256 = :sha256
            AND as_of_source <> :option
        ORDER BY sequence""",
        {"feed": drop.feed, "sha256": drop.sha256, "option": AsOfSource.OPTION},
    )
    return next((row for row in alike if row.status in ledger.IN_HISTORY), alike[0] if alike else None)
