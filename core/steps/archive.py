"""The archived file of a drop, read again as it was accepted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import AsOf, sha256_of
from dropledger.core.errors import ConfigurationError, ContractError, DataRefused, Postponed
from dropledger.core.formats.extract import Extract
from dropledger.core.ledger.fault import meets_one_file
from dropledger.core.ledger.ledger import LedgerRow
from dropledger.core.ports.session import Session
from dropledger.core.ports.store import ReadStore
from dropledger.core.steps.intake import read_again


@dataclass(frozen=True, slots=True)
class Archive:
    """Where the files of earlier drops are read again.

    `claimed` has the claimed files, by the SHA-256 of their bytes, that are not in the archive yet.
    """

    store: ReadStore
    pipeline: Pipeline
    claimed: Mapping[str, Path]

    def path_of(self, row: LedgerRow) -> Path:
        """Where the bytes of a drop can be read: in its claim, if it waits to be archived, else in the archive.

        Raises:
            Postponed: they cannot be read there for now.
        """
        claim = self.claimed.get(row.sha256)
        if claim is not None and claim.exists():
            return claim
        try:
            return self.store.local_copy(row.archive_name)
        except ConfigurationError as error:  # of this object alone, as one in cold storage: the bucket was reached
            raise Postponed(
                f"the archived file of drop {row.drop_id} cannot be read", why=str(error), hint=error.hint
            ) from error


def archived_extract(archive: Archive, contract: Contract, row: LedgerRow) -> Extract:
    """The archived file of a drop; that of its claim, if it waits to be archived.

    Raises:
        Postponed: it is missing or cannot be read, or its bytes are no longer those that were received.
        DataRefused: it cannot be read under the contract.
    """
    try:
        path = archive.path_of(row)
        try:
            extract, sha256 = read_again(path, contract, AsOf(row.as_of, row.as_of_source), row.drop_id)
        except DataRefused:
            _refuse_changed(row, sha256_of(path))
            raise
    except FileNotFoundError as error:
        raise Postponed(
            f"the archived file of drop {row.drop_id} is missing",
            why=f"{row.archive_name} is not there",
            hint=_RESTORE,
        ) from error
    except OSError as error:
        if not meets_one_file(error):
            raise
        raise Postponed(
            f"the archived file of drop {row.drop_id} cannot be read",
            why=f"{row.archive_name}: {error.strerror}",
            hint=f"let this user read it, or {_RESTORE}",
        ) from error
    _refuse_changed(row, sha256)
    return extract


_RESTORE = "restore it from a backup of the archive, or drop the same file again"


def _refuse_changed(row: LedgerRow, sha256: str) -> None:
    if sha256 != row.sha256:
        raise Postponed(
            f"the archived file of drop {row.drop_id} was changed",
            why=f"{row.archive_name} has SHA-256 {sha256}, and the ledger says {row.sha256}",
            hint=_RESTORE,
        )


def extract_in_history(session: Session, archive: Archive, contract: Contract, row: LedgerRow) -> Extract:
    """The archived file of a drop in history, under the contract that it was accepted under.

    Raises:
        Postponed: it is missing, was changed or cannot be read, or nothing reads it any more as it was read then.
    """
    try:
        return archived_extract(archive, _contract_then(session, contract, row), row)
    except (ContractError, DataRefused) as error:
        raise _unreadable(row, error.what) from error


def _contract_then(session: Session, contract: Contract, row: LedgerRow) -> Contract:
    if row.contract_sha256 == contract.sha256:
        return contract
    kept = session.query(
        "SELECT yaml FROM contract_text WHERE feed = :feed AND sha256 = :sha256",
        {"feed": row.feed, "sha256": row.contract_sha256},
    )
    if not kept:
        raise _unreadable(row, "the ledger does not have the contract that it was read under")
    from dropledger.core.contracts.contract_file import contract_of

    return contract_of(kept[0]["yaml"], row.contract_sha256 or "")


def _unreadable(row: LedgerRow, why: str) -> Postponed:
    return Postponed(
        f"the archived file of drop {row.drop_id} can no longer be read as it was accepted",
        why=why,
        hint="run dropledger replay, which reads every drop under the contracts as they are now",
    )
