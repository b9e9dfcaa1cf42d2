"""Which facts stand when a drop of a feed of facts is taken back, or taken in again.

History is then what the drops that are in it give in order of receipt. Of a key whose fact goes, the next drop that has
it gives another; so the later files are read again, each once. What was refused meanwhile stays in `rejected_row`.
"""

from collections.abc import Callable
from datetime import datetime

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.formats.extract import Extract
from dropledger.core.ledger import ledger
from dropledger.core.ledger.ledger import LedgerRow
from dropledger.core.ports.session import Session
from dropledger.core.steps.archive import Archive, extract_in_history
from dropledger.core.steps.facts import CONTRADICTS, newly_refused, refused_of, settle_again
from dropledger.core.steps.history import nothing_observed
from dropledger.core.steps.late_arrivals import ARCHIVED, observe_again, others_since, read_archived
from dropledger.core.steps.quarantine import record_rejects


def without_facts_of(session: Session, archive: Archive, contract: Contract, row: LedgerRow) -> tuple[int, int]:
    """Let history be without a drop, which the ledger says is retracted; how many facts came and went."""
    fragments = feed_fragments(contract)
    session.scratch(
        "_dl_affected_key",
        f"""SELECT {fragments["key"]}, valid_from AS changed_from
        FROM {fragments["history"]}
        WHERE drop_id = :drop_id""",
        {"drop_id": row.drop_id},
    )

    def observe() -> None:
        nothing_observed(session, contract)
        if session.count("_dl_affected_key"):
            observe_again(session, contract, _from(session, archive, contract, row))

    return _settled(session, archive, contract, row, observe)


def with_facts_of(session: Session, archive: Archive, contract: Contract, row: LedgerRow) -> tuple[int, int]:
    """Let history be with a drop, which the ledger says is in it again; how many facts came and went."""
    own = extract_in_history(session, archive, contract, row)
    read_archived(session, own, row.sequence, contract)
    fragments = feed_fragments(contract)
    session.scratch(
        "_dl_affected_key",
        f"""SELECT {fragments["key"]}, min(_effective_at) AS changed_from
        FROM _dl_parsed_again
        WHERE _valid
            AND _line NOT IN (
                SELECT line
                FROM rejected_row
                WHERE drop_id = :drop_id
                    AND sequence = :sequence
                    AND NOT {CONTRADICTS}
            )
        GROUP BY {fragments["key"]}""",
        {"drop_id": row.drop_id, "sequence": row.sequence},
    )

    def observe() -> None:
        nothing_observed(session, contract)
        # No later drop has anything of a key that no later drop has given a fact.
        taken_over = session.count("_dl_removed_version") > 0
        others = _from(session, archive, contract, row) if taken_over else [(own, row.sequence)]
        observe_again(session, contract, others)

    return _settled(session, archive, contract, row, observe)


def _from(session: Session, archive: Archive, contract: Contract, row: LedgerRow) -> list[tuple[Extract, int]]:
    """What is in history and was received with or behind a drop."""
    return others_since(session, archive, contract, datetime.min, received_from=row.sequence)


def _settled(
    session: Session, archive: Archive, contract: Contract, row: LedgerRow, observe: Callable[[], None]
) -> tuple[int, int]:
    counts = settle_again(session, contract, row.sequence, observe)
    for refused in newly_refused(session):
        later = ledger.find(session, refused)
        if later is not None:
            read_archived(session, extract_in_history(session, archive, contract, later), later.sequence, contract)
            refused_of(session, contract, later.drop_id)
            record_rejects(session, ARCHIVED, later.drop_id, later.sequence)
    return counts
