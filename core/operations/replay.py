"""Replay: the archive folded again, from nothing, in order of as_of and receipt."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.errors import ConfigurationError, DataRefused
from dropledger.core.formats.extract import Extract
from dropledger.core.ingest.claims import with_claimed
from dropledger.core.ingest.completion import publish_committed
from dropledger.core.ingest.prepare import prepare
from dropledger.core.ingest.run import run_pending
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger import ledger
from dropledger.core.ledger.ledger import LedgerRow
from dropledger.core.operations.live_records import copy_rows, judged_at, keep_apart
from dropledger.core.operations.recover import recover
from dropledger.core.ports.session import Session
from dropledger.core.ports.warehouse import Warehouse
from dropledger.core.steps import checks
from dropledger.core.steps.address import latest_allowed
from dropledger.core.steps.archive import archived_extract
from dropledger.core.steps.examine import examine
from dropledger.core.steps.facts import judge
from dropledger.core.steps.history import Folded, all_changed, fold
from dropledger.core.steps.late_arrivals import archived_observations
from dropledger.core.steps.marts import refresh
from dropledger.core.steps.quarantine import record_rejects
from dropledger.core.steps.soundness import is_lost, refuse_foreign_warehouse
from dropledger.core.steps.totals import keep_rebuilt_totals
from dropledger.core.steps.validate import Validated, refuse_beyond_limit, validate

Progress = Callable[[int, int], None]
"""Told the drops done and the drops in all."""

_TRANSACTION_DROPS = 50
RECORDS = ("delivery", "check_result", "retraction", "restoration", "mart_total", "alert")
DROPS = ("rejected_row", "drop_ledger")
"""The tables of a ledger that a replay reads: what is kept as it is, and what is found once more."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which drops are replayed. All moments are UTC; None leaves a side open.

    `known_at` takes the drops received by then and not yet retracted then.
    """

    since: datetime | None = None
    until: datetime | None = None
    feed: str | None = None
    known_at: datetime | None = None

    @property
    def partial(self) -> bool:
        return any(part is not None for part in (self.since, self.until, self.feed, self.known_at))


@dataclass(frozen=True, slots=True)
class Replayed:
    """The outcome of a replay; `recovered` where the ledger was lost, and the archive alone told of the drops."""

    drops: int
    location: str
    in_place: bool
    recovered: bool = False


def replay(runtime: Runtime, selection: Selection, into: str | None, progress: Progress) -> Replayed:
    """Rebuild from the archive, and let the result take the live warehouse's place, or put it at `into`.

    The live warehouse is untouched until the rebuilt one has passed all checks. Where it is lost, the archive alone
    says what there was.

    Raises:
        ConfigurationError: a part of the drops was chosen and no place given for it; or the warehouse is not that of
            this root; or it is lost, and archived files do not tell what they were.
        DataRefused: a drop can no longer be read under its contract, or a check fails.
        Unavailable: an archived file is missing or was changed.
    """
    if selection.partial and into is None:
        raise ConfigurationError(
            "a replay of a part of the drops cannot take the live warehouse's place",
            why="the live ledger would forget the drops that were left out",
            hint="say where the result goes: --into PATH",
        )
    return runtime.alone(lambda: _replay(with_claimed(runtime), selection, into, progress))


def _replay(runtime: Runtime, selection: Selection, into: str | None, progress: Progress) -> Replayed:
    live = runtime.warehouse
    if is_lost(runtime.store, live):
        return _recover(runtime, into, progress)
    refuse_unless_there(live)
    runtime.migrate()  # which also folds in what a killed process left in the log, that would not fit the new file
    with live.session(read_only=True) as session:
        refuse_foreign_warehouse(runtime.store, live, session)
    target = live if into is None else live.at(into)
    if into is not None and target.exists():
        raise ConfigurationError(
            f"{into} exists", why="a replay never writes over a warehouse", hint="name another path, or delete it"
        )
    rebuilt = target.staging_copy("rebuilding")
    drops = rebuild(runtime, rebuilt, selection, progress)
    if into is not None:
        target.swap_in(rebuilt, "previous")
        return Replayed(drops, target.location, in_place=False)
    _put_in_place(runtime, rebuilt)
    return Replayed(drops, live.location, in_place=True)


def _recover(runtime: Runtime, into: str | None, progress: Progress) -> Replayed:
    if into is not None:
        raise ConfigurationError(
            f"the warehouse {runtime.warehouse.location} is lost",
            why="no ledger says which drops there were, and when",
            hint="restore it from a backup, or rebuild it first: dropledger replay without options",
        )
    rebuilt = runtime.warehouse.staging_copy("rebuilding")
    drops = recover(runtime, rebuilt, progress)
    _put_in_place(runtime, rebuilt)
    return Replayed(drops, runtime.warehouse.location, in_place=True, recovered=True)


def _put_in_place(runtime: Runtime, rebuilt: Warehouse) -> None:
    previous = runtime.warehouse.swap_in(rebuilt, "previous")
    with runtime.session() as session:
        publish_committed(runtime, session)
    previous.remove()
    run_pending(runtime)


def refuse_unless_there(live: Warehouse) -> None:
    """Stop where nothing was dropped yet."""
    if not live.exists():
        raise ConfigurationError(
            f"there is no warehouse at {live.location}", hint="drop a file first: dropledger process FILE"
        )


def rebuild(runtime: Runtime, rebuilt: Warehouse, selection: Selection, progress: Progress) -> int:
    """Fold the drops of the live ledger again in an empty warehouse; how many there were."""
    pipeline = runtime.pipeline
    with rebuilt.session() as session:
        prepare(session, pipeline, runtime.clock())
        with session.attached(runtime.warehouse, (*RECORDS, *DROPS)) as live:
            rows = _facts_in_order_of_receipt(selected(session, live, selection), pipeline)
            judged = judged_at(session, live)
            with session.transaction():
                session.delete_where("mart_total", "TRUE")  # what its marts come to now is told behind what is known
                for table in RECORDS if selection.known_at is None else ():
                    copy_rows(session, live, table)
            newest = {row.feed: row.drop_id for row in sorted(rows, key=lambda row: row.sequence)}
            progress(0, len(rows))
            for start in range(0, len(rows), _TRANSACTION_DROPS):
                with session.transaction():
                    for place, row in enumerate(rows[start : start + _TRANSACTION_DROPS], start + 1):
                        is_newest = row.drop_id == newest[row.feed]
                        fold_again(runtime, session, live, row, judged.get(row.drop_id), is_newest=is_newest)
                        progress(place, len(rows))
            with session.transaction():
                if not selection.partial:
                    keep_apart(session, live)
                _finish(runtime, session)
    return len(rows)


def selected(session: Session, live: str, selection: Selection) -> list[LedgerRow]:
    """The drops of an attached ledger to replay, in order of as_of and sequence."""
    if selection.known_at is None:
        condition, source = "l.status IN ('committed', 'published')", "l.sequence"
        knowledge = ""
    else:
        # What was known then: the newest acceptance by that moment that no retraction by that moment undid.
        condition, source = "TRUE", "k.sequence"
        knowledge = f"""INNER JOIN (
            SELECT d.drop_id, max(d.sequence) AS sequence
            FROM {live}delivery AS d
            WHERE d.outcome = 'accepted'
                AND d.received_at <= :known_at
                AND NOT EXISTS (
                    SELECT 1
                    FROM {live}retraction AS r
                    WHERE r.drop_id = d.drop_id
                        AND r.sequence = d.sequence
                        AND r.retracted_at <= :known_at
                        AND NOT EXISTS (
                            SELECT 1
                            FROM {live}restoration AS s
                            WHERE s.drop_id = r.drop_id
                                AND s.sequence = r.sequence
                                AND s.restored_at >= r.retracted_at
                                AND s.restored_at <= :known_at
                        )
                )
            GROUP BY d.drop_id
        ) AS k
            ON k.drop_id = l.drop_id"""
    return ledger.rows(
        session,
        f"""SELECT l.drop_id, coalesce(l.feed, '') AS feed, l.name, l.as_of, l.as_of_source,
            {source} AS sequence, l.status, l.sha256, l.error, l.contract_sha256, l.control_sha256
        FROM {live}drop_ledger AS l
        {knowledge}
        WHERE {condition}
            AND (:since IS NULL OR l.as_of >= :since)
            AND (:until IS NULL OR l.as_of <= :until)
            AND (:feed IS NULL OR l.feed = :feed)
        ORDER BY l.as_of, {source}""",
        {"since": selection.since, "until": selection.until, "feed": selection.feed, "known_at": selection.known_at},
    )


def _facts_in_order_of_receipt(rows: list[LedgerRow], pipeline: Pipeline) -> list[LedgerRow]:
    """The drops in their order, but that among those of a feed of facts, which alone it matters to, each one comes in
    order of sequence.
    """
    feeds = {feed for feed, contract in pipeline.contracts.items() if contract.brings_facts}
    received = {
        feed: iter(sorted((row for row in rows if row.feed == feed), key=lambda row: row.sequence)) for feed in feeds
    }
    return [next(received[row.feed]) if row.feed in feeds else row for row in rows]


def fold_again(
    runtime: Runtime, session: Session, live: str, row: LedgerRow, judged_at: datetime | None, *, is_newest: bool
) -> Folded:
    """Fold an archived drop, and copy what the attached ledger has of it; `is_newest` is whether `src_` shows it.

    Raises:
        DataRefused: it can no longer be read as it was accepted.
    """
    contract = runtime.pipeline.contract(row.feed)
    extract, validated = _read_again(runtime, session, contract, row, judged_at)
    if validated.rows_rejected:
        record_rejects(session, "_dl_incoming", row.drop_id, row.sequence)
    folded = fold(
        session,
        extract,
        validated,
        row.sequence,
        observed_until=ledger.observed_until(session, row.feed, runtime.pipeline),
        later_observations=archived_observations(session, runtime.archive),
        # In order of as_of; rows that bring effective times of their own may have been observed by later sequences.
        received_last=contract.effective_column is None,
    )
    if is_newest:
        session.keep_loaded("_dl_incoming", f"src_{row.feed}", validated.left_out, row.archive_name)
    copy_rows(session, live, "drop_ledger", "t.drop_id = :drop_id", {"drop_id": row.drop_id})
    _record_again(session, contract, row, validated, folded)
    return folded


def _read_again(
    runtime: Runtime, session: Session, contract: Contract, row: LedgerRow, judged_at: datetime | None
) -> tuple[Extract, Validated]:
    try:
        extract = archived_extract(runtime.archive, contract, row)
        if judged_at is not None:
            extract = replace(extract, latest=latest_allowed(contract, extract.as_of, runtime.pipeline, judged_at))
        session.load(extract.path, extract.layout, "_dl_incoming", drop_id=row.drop_id)
        validated = validate(session, extract, "_dl_incoming")
        refuse_beyond_limit(contract, validated)
        if contract.brings_facts:
            validated = judge(session, contract, validated, row.drop_id)
    except DataRefused as error:
        if row.contract_sha256 == contract.sha256:
            why = "under this very contract, so this version of dropledger reads it in another way"
        else:
            why = "under another contract: it has changed since"
        error.hint = f"drop {row.drop_id} ({row.name}) was accepted before, {why}; {error.hint}"
        raise
    return extract, validated


def _record_again(session: Session, contract: Contract, row: LedgerRow, validated: Validated, folded: Folded) -> None:
    """Let the ledger tell what was found of a drop this time."""
    found = {
        "sequence": row.sequence,
        "rows_read": validated.rows_read,
        "rows_accepted": validated.rows_accepted,
        "rows_rejected": validated.rows_rejected,
        "rows_duplicate": validated.rows_duplicate,
        "first_effective": folded.first_effective,
        "last_effective": folded.last_effective,
        "contract_sha256": contract.sha256,
    }
    session.update_where(
        "drop_ledger",
        {
            "status": "CASE WHEN status = 'committed' THEN status ELSE 'published' END",
            "error": "NULL",
            **{name: f":{name}" for name in found},
        },
        "drop_id = :drop_id",
        {"drop_id": row.drop_id, **found},
    )


def _finish(runtime: Runtime, session: Session) -> None:
    """Compute the marts from nothing and hold everything against all checks."""
    contracts = runtime.pipeline.contracts.values()
    all_changed(session, runtime.pipeline)
    refreshed = refresh(session, runtime.pipeline, None)
    questions = [checks.history_check(session, contract) for contract in contracts]
    checks.refuse_failed(examine(session, questions, refreshed).results)
    keep_rebuilt_totals(session, runtime.pipeline, runtime.clock())
