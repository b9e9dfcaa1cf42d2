"""What earlier drops observed, read again from the archive: late drops and retractions must consult it.

The version tables forget that an unchanged row was seen again; the archived files do not.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from core import ledger
from core.contract import Contract
from core.drop import AsOf, sha256_of
from core.errors import ConfigurationError, ContractError, DataRefused, Postponed
from core.fault import meets_one_file
from core.header_row import REPEATED
from core.history import INITIAL_SEQUENCE, LaterObservations
from core.intake import Extract, initial_extract, read_again
from core.ledger import LedgerRow
from core.ports import Session
from core.rules import parse_fragments
from core.runtime import Runtime
from core.sql import engine_type, feed_fragments, literal, quoted, statement
from core.validate import effective_times

_SOURCE = "_dl_source_again"


def archived_extract(runtime: Runtime, contract: Contract, row: LedgerRow) -> Extract:
    """The archived file of a drop; that of its claim, if it waits to be archived.

    Raises:
        Postponed: it is missing or cannot be read, or its bytes are no longer those that were received.
        DataRefused: it cannot be read under the contract.
    """
    try:
        path = path_of(runtime, row)
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


def path_of(runtime: Runtime, row: LedgerRow) -> Path:
    """Where the bytes of a drop can be read: in its claim, if it waits to be archived, else in the archive."""
    claim = runtime.waiting.get(row.sha256)
    if claim is not None and claim.exists():
        return claim
    try:
        return runtime.store.local_copy(row.archive_name)
    except ConfigurationError as error:  # of this object alone, as one in cold storage: the bucket was reached before
        raise Postponed(
            f"the archived file of drop {row.drop_id} cannot be read", why=str(error), hint=error.hint
        ) from error


def _refuse_changed(row: LedgerRow, sha256: str) -> None:
    if sha256 != row.sha256:
        raise Postponed(
            f"the archived file of drop {row.drop_id} was changed",
            why=f"{row.archive_name} has SHA-256 {sha256}, and the ledger says {row.sha256}",
            hint=_RESTORE,
        )


def extract_in_history(session: Session, runtime: Runtime, contract: Contract, row: LedgerRow) -> Extract:
    """The archived file of a drop in history, under the contract that it was accepted under.

    Raises:
        Postponed: it is missing, was changed or cannot be read, or nothing reads it any more as it was read then.
    """
    try:
        return archived_extract(runtime, _contract_then(session, contract, row), row)
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
    from core.contract_file import contract_of

    return contract_of(kept[0]["yaml"], row.contract_sha256 or "")


def _unreadable(row: LedgerRow, why: str) -> Postponed:
    return Postponed(
        f"the archived file of drop {row.drop_id} can no longer be read as it was accepted",
        why=why,
        hint="run dropledger replay, which reads every drop under the contracts as they are now",
    )


def read_archived(session: Session, extract: Extract, sequence: int) -> bool:
    """Type the rows of an extract that was accepted as `sequence` into scratch `parsed_again`.

    Whether it is a complete extract that speaks of the keys it lacks.
    """
    contract = extract.contract
    session.load(extract.path, extract.layout, _SOURCE, drop_id=extract.drop_id)
    fragments = {**feed_fragments(contract), **parse_fragments(contract), "source": _SOURCE}
    session.select_rows(_SOURCE, "_dl_parsed_again", statement("parse", fragments), effective_times(extract))
    return contract.missing_keys == "close" and not _unknown_keys(session, contract, extract.drop_id, sequence)


def observe_again(session: Session, contract: Contract, others: Sequence[tuple[Extract, int]]) -> None:
    """Add to `_dl_woven_observation` what the extracts, each with its sequence, observed of `_dl_concerned`."""
    fragments = feed_fragments(contract)
    columns = f"{fragments['columns']}, _effective_at, _absent, _line, _sequence, _drop_id"
    into = f"INSERT INTO _dl_woven_observation ({columns})\n"
    nulls = ", ".join(
        f"CAST(NULL AS {engine_type(column.type)}) AS {quoted(column.name)}" for column in contract.values
    )
    absent_columns = ", ".join(part for part in (fragments["h_key"], nulls) if part)
    for extract, sequence in others:
        complete = read_archived(session, extract, sequence)
        bound = {"sequence": sequence, "drop_id": extract.drop_id, "as_of": extract.as_of.moment}
        session.execute(into + statement("observations_again", fragments), bound)
        if complete:
            session.execute(into + statement("absences_again", {**fragments, "h_columns": absent_columns}), bound)


def _unknown_keys(session: Session, contract: Contract, drop_id: str, sequence: int) -> bool:
    key_known = " AND ".join(f"p.{quoted(name)} IS NOT NULL" for name in contract.key)
    return bool(
        session.query(
            f"""SELECT 1
            FROM rejected_row AS r
            WHERE r.drop_id = :drop_id
                AND r.sequence = :sequence
                AND r.rule <> {literal(REPEATED)}
                AND r.line NOT IN (SELECT p._line FROM _dl_parsed_again AS p WHERE {key_known})
            LIMIT 1""",
            {"drop_id": drop_id, "sequence": sequence},
        )
    )


def archived_observations(session: Session, runtime: Runtime, *, but: str = "") -> LaterObservations:
    """How a late drop learns what the drops in history observed; `but` is left out."""

    def observe(contract: Contract, since: datetime) -> None:
        observe_again(session, contract, others_since(session, runtime, contract, since, but))

    return observe


def others_since(
    session: Session, runtime: Runtime, contract: Contract, since: datetime, but: str = ""
) -> list[tuple[Extract, int]]:
    """What observed anything at `since` (UTC) or later, each with its sequence; the drop `but` left out."""
    found = [
        (initial_extract(initial, path, as_of), INITIAL_SEQUENCE)
        for initial, path, as_of in runtime.pipeline.initial_rows()
        if initial.feed == contract.feed and as_of >= since
    ]
    rows = [row for row in ledger.in_history(session, contract.feed, since) if row.drop_id != but]
    return found + [(extract_in_history(session, runtime, contract, row), row.sequence) for row in rows]
