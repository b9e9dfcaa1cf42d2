"""What earlier drops observed, read again from the archive: late drops and retractions must consult it.

The version tables forget that an unchanged row was seen again; the archived files do not.
"""

from collections.abc import Sequence
from datetime import datetime

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.formats.extract import Extract
from dropledger.core.ledger import ledger
from dropledger.core.ledger.ledger import INITIAL_SEQUENCE
from dropledger.core.ports.session import Session
from dropledger.core.rules.fragments import parse_fragments
from dropledger.core.rules.repeated_header import REPEATED
from dropledger.core.sql.text import engine_type, literal, quoted, statement
from dropledger.core.steps.archive import Archive, extract_in_history
from dropledger.core.steps.facts import CONTRADICTS
from dropledger.core.steps.history import LaterObservations, observed_columns
from dropledger.core.steps.intake import initial_extract
from dropledger.core.steps.validate import effective_times

ARCHIVED = "_dl_source_again"
"""The relation with the rows of the archived file read last, as received."""


def read_archived(session: Session, extract: Extract, sequence: int, now: Contract) -> bool:
    """Type the rows of an extract that was accepted as `sequence` into scratch `parsed_again`.

    Columns that the contract of `now` has beside those of then are empty.

    Whether it is a complete extract that speaks of the keys it lacks.
    """
    contract = extract.contract
    session.load(extract.path, extract.layout, ARCHIVED, drop_id=extract.drop_id)
    fragments = {**feed_fragments(contract), **parse_fragments(contract, ARCHIVED)}
    parse, there = statement("parse", fragments), {column.name for column in contract.columns}
    added = ", ".join(
        f"CAST(NULL AS {engine_type(column.type)}) AS {quoted(column.name)}"
        for column in now.values
        if column.name not in there
    )
    if added:
        parse = f"SELECT read_then.*, {added} FROM (\n{parse}\n) AS read_then"
    session.select_rows(ARCHIVED, "_dl_parsed_again", parse, effective_times(extract))
    return contract.missing_keys == "close" and not _unknown_keys(session, contract, extract.drop_id, sequence)


def observe_again(session: Session, contract: Contract, others: Sequence[tuple[Extract, int]]) -> None:
    """Add to `_dl_merged_observation` what the extracts, each with its sequence, observed of `_dl_affected_key`."""
    fragments = {**feed_fragments(contract), "from_change": "AND o._effective_at >= h.changed_from", "judged_anew": ""}
    if contract.brings_facts:
        fragments |= {"from_change": "", "judged_anew": f"AND NOT {CONTRADICTS}"}
    into, columns = "_dl_merged_observation", observed_columns(contract)
    nulls = ", ".join(
        f"CAST(NULL AS {engine_type(column.type)}) AS {quoted(column.name)}" for column in contract.values
    )
    absent_columns = ", ".join(part for part in (fragments["h_key"], nulls) if part)
    for extract, sequence in others:
        complete = read_archived(session, extract, sequence, contract)
        bound = {"sequence": sequence, "drop_id": extract.drop_id, "as_of": extract.as_of.moment}
        session.insert_select(into, columns, statement("observations_again", fragments), bound)
        if complete:
            absences = statement("absences_again", {**fragments, "h_columns": absent_columns})
            session.insert_select(into, columns, absences, bound)


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


def archived_observations(session: Session, archive: Archive, *, but: str = "") -> LaterObservations:
    """How a late drop learns what the drops in history observed; `but` is left out."""

    def observe(contract: Contract, since: datetime) -> None:
        observe_again(session, contract, others_since(session, archive, contract, since, but))

    return observe


def others_since(
    session: Session, archive: Archive, contract: Contract, since: datetime, but: str = "", received_from: int = 0
) -> list[tuple[Extract, int]]:
    """What observed anything at `since` (UTC) or later, each with its sequence; the drop `but` left out, and those that
    come before `received_from` in the order of receipt.
    """
    found = [
        (initial_extract(initial, path, as_of), INITIAL_SEQUENCE)
        for initial, path, as_of in archive.pipeline.initial_rows()
        if initial.feed == contract.feed and as_of >= since
    ]
    in_history = ledger.in_history(session, contract.feed, since)
    rows = [row for row in in_history if row.drop_id != but and row.sequence >= received_from]
    return found + [(extract_in_history(session, archive, contract, row), row.sequence) for row in rows]
