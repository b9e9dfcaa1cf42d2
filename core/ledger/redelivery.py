"""A drop that is settled, and comes again: nothing changes but that the ledger keeps the delivery."""

from dataclasses import replace
from datetime import datetime

from dropledger.core.formats.extract import Drop
from dropledger.core.ledger import ledger
from dropledger.core.ledger.ledger import Delivered, LedgerRow
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.ledger.retractions import retraction
from dropledger.core.ports.session import Session


def come_again(session: Session, drop: Drop, known: LedgerRow, received_at: datetime) -> Outcome:
    """Record a delivery of a drop that is in history, or was taken back and stays so."""
    if drop.control_sha256 != known.control_sha256:  # no other control file takes the place of the one that decided
        drop = replace(drop, claim=replace(drop.claim, control=None))
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
