"""What happens to one drop inside the transaction: validate, history, mart, checks, ledger."""

from collections.abc import Sequence
from datetime import datetime

from core import checks, ledger, mart, quarantine, report
from core.archive import archived_observations
from core.checks import CheckFailed, CheckResult
from core.errors import DataRefused
from core.history import Folded, fold, no_changes
from core.intake import Drop, Extract
from core.ledger import Delivered, Status
from core.outcome import Outcome
from core.ports import Session
from core.publish import CHANGES, REPORT
from core.runtime import Runtime
from core.sql import statement
from core.validate import Validated, refuse_beyond_limit, validate

_SOURCE = "incoming"
_NOTHING_READ = Validated(0, 0, 0, 0, 0, None, None)


def admit(runtime: Runtime, session: Session, drop: Drop, refusal: DataRefused | None = None) -> Outcome:
    """Admit a drop, or record it as duplicate or quarantined; `refusal` is known from an attempt rolled back.

    Raises:
        DataRefused: a check or the engine refused the drop when history was already touched; roll back, and
            call again with this refusal.
    """
    received_at = runtime.clock()
    recorded = ledger.delivered_as(session, drop.claim.claim_id)
    if recorded is not None:  # the process died between commit and the last move
        return Outcome(drop, recorded, "", resumed=True)
    known = ledger.find(session, drop.drop_id)
    if known is not None and known.status in ledger.IN_HISTORY:
        ledger.record_delivery(session, drop, Delivered.DUPLICATE, received_at)
        return Outcome(drop, Delivered.DUPLICATE, "")
    refusal = refusal or drop.refusal
    validated = _NOTHING_READ
    if drop.extract is not None and (refusal is None or isinstance(refusal, CheckFailed)):
        try:
            session.load(drop.extract.path, drop.extract.layout, _SOURCE, drop_id=drop.drop_id)
            validated = validate(session, drop.extract, _SOURCE)
            refuse_beyond_limit(drop.extract.contract, validated)
        except DataRefused as error:
            if error.rule == "not_computable":
                raise
            refusal = refusal or error
        else:
            if refusal is None:
                return _accept(runtime, session, drop, drop.extract, validated, received_at)
    return _quarantine(runtime, session, drop, refusal or DataRefused("unreadable", "the file cannot be read"), validated, received_at)


def _accept(runtime: Runtime, session: Session, drop: Drop, extract: Extract, validated: Validated, received_at: datetime) -> Outcome:
    pipeline, contract = runtime.pipeline, extract.contract
    sequence = ledger.next_sequence(session)
    results = checks.check_staging(session, extract, validated, pipeline.feed_checks[contract.feed], received_at)
    checks.refuse_failed(results)
    moment_before = mart.moment(session)
    no_changes(session, pipeline.contracts.values())
    folded = fold(
        session,
        extract,
        validated,
        sequence,
        ledger.observed_until(session, contract.feed, pipeline),
        archived_observations(session, runtime.store, pipeline, but=drop.drop_id),
    )
    results += checks.check_relationships(session, contract)
    results += checks.check_history(session, contract)
    ledger.record_drop(
        session,
        drop,
        received_at=received_at,
        sequence=sequence,
        status=Status.COMMITTED,
        fields={
            "rows_read": validated.rows_read,
            "rows_accepted": validated.rows_accepted,
            "rows_rejected": validated.rows_rejected,
            "rows_duplicate": validated.rows_duplicate,
            "versions_opened": folded.versions_opened,
            "versions_closed": folded.versions_closed,
            "first_effective": folded.first_effective,
            "last_effective": folded.last_effective,
            "committed_at": runtime.clock(),
        },
    )
    recomputed = mart.refresh(session, pipeline, moment_before)
    results += checks.check_marts(session, pipeline)
    checks.refuse_failed(results)
    checks.record(session, drop.drop_id, results)
    _record_rejects(runtime, session, drop, validated)
    session.keep_loaded(_SOURCE, f"src_{contract.feed}", "left_out" if validated.rows_read > validated.rows_accepted else None)
    ledger.record_delivery(session, drop, Delivered.ACCEPTED, received_at)
    _stage(runtime, session, drop, validated, folded, recomputed, results, received_at)
    return Outcome(
        drop,
        Delivered.ACCEPTED,
        drop.archive_name,
        rows_read=validated.rows_read,
        rows_accepted=validated.rows_accepted,
        rows_rejected=validated.rows_rejected,
        rows_duplicate=validated.rows_duplicate,
        versions_opened=folded.versions_opened,
        versions_closed=folded.versions_closed,
        recomputed=recomputed,
        warnings=tuple(f"{result.check_name} ({result.failing_rows}): {result.message}" for result in results if not result.passed),
    )


def _record_rejects(runtime: Runtime, session: Session, drop: Drop, validated: Validated) -> None:
    """Keep the refused rows with their raw text, in the ledger and in a file beside where the drop's own will be."""
    if validated.rows_rejected:
        session.raw_rows(drop.claim.path, _SOURCE, "left_out", "raw_row")
        session.execute(statement("record_rejected_rows"), {"drop_id": drop.drop_id})
        quarantine.stage_rejects(session, runtime.store, drop)


def _stage(
    runtime: Runtime,
    session: Session,
    drop: Drop,
    validated: Validated,
    folded: Folded,
    recomputed: dict[str, int],
    results: Sequence[CheckResult],
    received_at: datetime,
) -> None:
    """Write the drop's own artifacts into its workspace; they are published once it is committed."""
    workspace = runtime.store.workspace(drop.claim)
    for table in runtime.pipeline.marts:
        if table.file.changes:
            session.export(mart.changes_select(table), workspace / CHANGES, "csv")
    report.write_report(
        workspace / REPORT,
        drop,
        outcome=Delivered.ACCEPTED,
        generated_at=received_at,
        engine=runtime.warehouse.versions(),
        results=results,
        rows=_rows(validated.rows_read, validated.rows_accepted, validated.rows_rejected, validated.rows_duplicate),
        row_counts={
            "source": {f"src_{drop.feed}": validated.rows_read},
            "staging": {f"stg_{drop.feed}": validated.rows_accepted},
            "history": {"versions_opened": folded.versions_opened, "versions_closed": folded.versions_closed},
            "intermediate": report.intermediate_counts(session, runtime.pipeline),
            "marts": recomputed,
        },
        rejects=report.rejects_by_rule(session, drop.drop_id),
    )


def _quarantine(
    runtime: Runtime, session: Session, drop: Drop, refusal: DataRefused, validated: Validated, received_at: datetime
) -> Outcome:
    """Record that the whole file was refused: none of its rows is accepted."""
    results = refusal.results if isinstance(refusal, CheckFailed) else ()
    refused = validated.rows_read - validated.rows_duplicate
    counts = _rows(validated.rows_read, 0, refused, validated.rows_duplicate)
    ledger.record_drop(
        session,
        drop,
        received_at=received_at,
        sequence=ledger.next_sequence(session),
        status=Status.QUARANTINED,
        fields={**counts, "error": f"{refusal.rule}: {refusal.what}", "committed_at": runtime.clock()},
    )
    _record_rejects(runtime, session, drop, validated)
    session.discard_loaded(_SOURCE)
    checks.record(session, drop.drop_id, results)
    ledger.record_delivery(session, drop, Delivered.QUARANTINED, received_at)
    quarantine.stage_reason(runtime.store, drop, refusal, received_at)
    report.write_report(
        runtime.store.workspace(drop.claim) / REPORT,
        drop,
        outcome=Delivered.QUARANTINED,
        generated_at=received_at,
        engine=runtime.warehouse.versions(),
        results=results,
        rows=counts,
        row_counts={},
        rejects=report.rejects_by_rule(session, drop.drop_id),
        error=refusal.what,
    )
    return Outcome(
        drop,
        Delivered.QUARANTINED,
        "",
        **counts,
        rule=refusal.rule,
        error=refusal.what,
        hint=refusal.hint,
    )


def _rows(read: int, accepted: int, rejected: int, duplicate: int) -> dict[str, int]:
    return {"rows_read": read, "rows_accepted": accepted, "rows_rejected": rejected, "rows_duplicate": duplicate}
