"""A drop that comes again, by the drop_id under which the ledger has it."""

from dropledger.core.drop import AsOfSource
from dropledger.core.formats.extract import Drop
from dropledger.core.ledger import ledger
from dropledger.core.ledger.ledger import LedgerRow
from dropledger.core.ports.session import Session


def as_known(session: Session, drop: Drop, known: LedgerRow | None) -> tuple[Drop, LedgerRow | None]:
    """The drop as the ledger knows it, and its row there, if it was ever delivered; `known` is that of its drop_id."""
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
