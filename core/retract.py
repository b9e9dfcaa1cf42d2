"""Retraction: history, marts and artifacts as if a drop had never come; the ledger keeps the fact."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from core import checks, ledger, mart
from core.archive import archived_extract, archived_observations, extract_in_history, others_since, read_archived
from core.errors import ConfigurationError, DataRefused
from core.history import no_changes, weave
from core.ledger import LedgerRow, Status
from core.look import find_drop
from core.pipeline import publish_committed, settle
from core.ports import Session
from core.runtime import Runtime
from core.schema import empty_source
from core.sql import feed_fragments, statement
from core.validate import validate


@dataclass(frozen=True, slots=True)
class Retracted:
    """What a retraction changed."""

    drop: LedgerRow
    versions_opened: int
    versions_closed: int
    recomputed: Mapping[str, int]


def retract(runtime: Runtime, drop_id: str, reason: str, who: str) -> Retracted:
    """Take a drop back; `drop_id` may be the beginning of one.

    Raises:
        ConfigurationError: there is no such drop, it was quarantined, or it was retracted before.
        CheckFailed: the marts or the history without the drop break a check; nothing was changed.
        Busy: somebody else holds the root or the warehouse.
    """
    done: list[Retracted] = []  # outlives work that begins again

    def work() -> None:
        if not done:
            settle(runtime)
            with runtime.session() as session:
                publish_committed(runtime, session)  # what a retraction has left that was killed here
                row = _retractable(session, find_drop(session, drop_id)["drop_id"])
                with session.transaction():
                    retracted = _take_back(runtime, session, row, reason, who)
            done.append(retracted)
        with runtime.session() as session:
            publish_committed(runtime, session, retracted=True)

    runtime.alone(work)
    return done[0]


def _retractable(session: Session, drop_id: str) -> LedgerRow:
    row = ledger.find(session, drop_id)
    if row is not None and row.status in ledger.IN_HISTORY:
        return row
    if row is not None and row.status == Status.RETRACTED:
        fact = session.query(
            """SELECT retracted_at, retracted_by, reason
            FROM retraction
            WHERE drop_id = :drop_id
            ORDER BY retracted_at DESC
            LIMIT 1""",
            {"drop_id": drop_id},
        )[0]
        raise ConfigurationError(
            f"drop {drop_id} is retracted already",
            why=f"{fact['retracted_by']} took it back at {fact['retracted_at']:%Y-%m-%d %H:%M:%S}Z: {fact['reason']}",
            hint="nothing is left to do; drop the file again to bring it back",
        )
    raise ConfigurationError(
        f"drop {drop_id} cannot be retracted",
        why="it was quarantined and never became part of history",
        hint="dropledger drops lists what is in history",
    )


def _take_back(runtime: Runtime, session: Session, row: LedgerRow, reason: str, who: str) -> Retracted:
    pipeline = runtime.pipeline
    contract = pipeline.contract(row.feed)
    moment_before = mart.moment(session)
    no_changes(session, pipeline.contracts.values())
    extract = extract_in_history(session, runtime, contract, row)
    complete = read_archived(session, extract)
    shares = ledger.shares_moments(session, row, pipeline)
    session.scratch(
        "concerned",
        statement("retract_concerned", {**feed_fragments(contract), "closes_missing": "TRUE" if complete else "FALSE"}),
        {"drop_id": row.drop_id, "as_of": row.as_of, "shares_moments": shares},
    )
    if complete and shares:
        _concern_hidden_keys(runtime, session, row)
    opened, closed = _weave_without(runtime, session, row, _first_concerned(session))
    at = runtime.clock()
    ledger.record_retraction(session, row, at=at, who=who, reason=reason)
    # Should the process die before it has published, the next start does it.
    ledger.mark_artifacts(session, current=False)
    refreshed = mart.refresh(session, pipeline, moment_before)
    checks.refuse_failed(checks.check_history(session, contract) + checks.check_marts(session, refreshed))
    _restore_newest_rows(runtime, session, row)
    return Retracted(row, opened, closed, mart.recomputed(refreshed))


def _concern_hidden_keys(runtime: Runtime, session: Session, row: LedgerRow) -> None:
    """Add the keys that the drop lacked and another drop of the same moment had.

    The later of the two stood, so such a key may have no version left that tells of it.
    """
    contract = runtime.pipeline.contract(row.feed)
    fragments = feed_fragments(contract)
    for extract, _ in others_since(session, runtime, contract, row.as_of, row.drop_id):
        if extract.as_of.moment == row.as_of:
            read_archived(session, extract)
            session.execute(
                f"""INSERT INTO concerned ({fragments["key"]}, changed_from)
                SELECT DISTINCT {fragments["o_key"]}, o._effective_at
                FROM parsed_again AS o
                WHERE o._valid
                    AND NOT EXISTS (SELECT 1 FROM concerned AS h WHERE {fragments["same_key"]})"""
            )


def _first_concerned(session: Session) -> datetime | None:
    first: datetime | None = session.query("SELECT min(changed_from) AS first_change FROM concerned")[0]["first_change"]
    return first


def _weave_without(runtime: Runtime, session: Session, row: LedgerRow, since: datetime | None) -> tuple[int, int]:
    contract = runtime.pipeline.contract(row.feed)
    if since is None:
        return 0, 0
    fragments = feed_fragments(contract)
    session.scratch(
        "woven_observation",
        f"""SELECT
            {fragments["columns"]},
            valid_from AS _effective_at,
            FALSE AS _absent,
            line AS _line,
            CAST(0 AS BIGINT) AS _sequence,
            drop_id AS _drop_id
        FROM {fragments["history"]}
        WHERE FALSE""",
    )
    archived_observations(session, runtime, but=row.drop_id)(contract, since)
    return weave(session, contract)


def _restore_newest_rows(runtime: Runtime, session: Session, row: LedgerRow) -> None:
    """If the source layer shows the retracted drop's rows, show those of the newest drop that is left."""
    name = f"src_{row.feed}"
    if not session.query(f"SELECT 1 FROM {name} WHERE _drop_id = :drop_id LIMIT 1", {"drop_id": row.drop_id}):
        return
    left = ledger.in_history(session, row.feed, datetime.min)
    contract = runtime.pipeline.contract(row.feed)
    if left:
        with suppress(DataRefused):  # under the contract of now, whose columns the view has
            extract = archived_extract(runtime, contract, left[-1])
            session.load(extract.path, extract.layout, "incoming", drop_id=extract.drop_id)
            validated = validate(session, extract, "incoming")
            session.keep_loaded("incoming", name, validated.left_out)
            return
    empty_source(session, contract)
