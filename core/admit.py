"""What happens to one drop inside the transaction: validate, history, mart, checks, ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core import checks, ledger, mart, quarantine, report
from core.archive import archived_observations
from core.checks import CheckFailed, CheckResult
from core.contract import Contract
from core.errors import DataRefused
from core.history import Folded, fold, no_changes
from core.intake import Drop, Extract
from core.ledger import Delivered, Status
from core.outcome import Outcome
from core.ports import Session
from core.publish import CHANGES, REPORT
from core.runtime import Runtime
from core.sql import feed_fragments, statement
from core.validate import Validated, refuse_beyond_limit, validate

_SOURCE = "incoming"
_NOTHING_READ = Validated(0, 0, 0, 0, 0, None, None)


@dataclass
class Bulk:
    """Drops folded one behind the other, with the marts computed once for all of them.

    `observed_until` says how far each feed's history has been folded, where the ledger is ahead of it.
    """

    observed_until: dict[str, datetime | None] = field(default_factory=dict)
    _changed: set[str] = field(default_factory=set)

    def note(self, session: Session, contract: Contract, folded: Folded) -> None:
        """Remember what a fold changed."""
        feed = contract.feed
        times = [time for time in (self.observed_until.get(feed), folded.last_effective) if time is not None]
        if feed in self.observed_until:
            self.observed_until[feed] = max(times, default=None)
        self.add_changes(session, contract, f"SELECT * FROM changed_{feed}")

    def add_changes(self, session: Session, contract: Contract, select: str) -> None:
        """Add keys, each with the time from which it changed."""
        name = f"all_changed_{contract.feed}"
        if contract.feed in self._changed:
            session.execute(f"INSERT INTO {name} {select}")
        else:
            session.scratch(name, select)
            self._changed.add(contract.feed)

    def restore_changes(self, session: Session, contract: Contract) -> None:
        """Make `changed_<feed>` hold what all the folds changed."""
        if contract.feed in self._changed:
            key = feed_fragments(contract)["key"]
            session.scratch(
                f"changed_{contract.feed}",
                f"SELECT {key}, min(changed_from) AS changed_from FROM all_changed_{contract.feed} GROUP BY {key}",
            )


def admit(
    runtime: Runtime, session: Session, drop: Drop, refusal: DataRefused | None = None, bulk: Bulk | None = None
) -> Outcome:
    """Admit a drop, or record it as duplicate or quarantined; `refusal` is known from an attempt rolled back.

    With `bulk` the marts are left to the caller.

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
                return _accept(runtime, session, drop, drop.extract, validated, received_at, bulk)
    return _quarantine(runtime, session, drop, refusal or DataRefused("unreadable", "the file cannot be read"), validated, received_at)


def _accept(
    runtime: Runtime,
    session: Session,
    drop: Drop,
    extract: Extract,
    validated: Validated,
    received_at: datetime,
    bulk: Bulk | None,
) -> Outcome:
    pipeline, contract = runtime.pipeline, extract.contract
    sequence = ledger.next_sequence(session)
    results = checks.check_staging(session, extract, validated, pipeline.feed_checks[contract.feed], received_at)
    checks.refuse_failed(results)
    moment_before = mart.moment(session)
    if bulk is None:
        no_changes(session, pipeline.contracts.values())
    until = ledger.observed_until(session, contract.feed, pipeline)
    if bulk is not None:
        until = bulk.observed_until.get(contract.feed, until)
    later = archived_observations(session, runtime.store, pipeline, but={drop.drop_id})
    folded = fold(session, extract, validated, sequence, until, later)
    results += checks.check_relationships(session, contract)
    ledger.record_drop(
        session,
        drop,
        received_at=received_at,
        sequence=sequence,
        status=Status.COMMITTED,
        fields={
            **_rows(validated.rows_read, validated.rows_accepted, validated.rows_rejected, validated.rows_duplicate),
            "versions_opened": folded.versions_opened,
            "versions_closed": folded.versions_closed,
            "first_effective": folded.first_effective,
            "last_effective": folded.last_effective,
            "committed_at": runtime.clock(),
        },
    )
    recomputed: dict[str, int] = {}
    if bulk is None:
        recomputed = mart.refresh(session, pipeline, moment_before)
        results += checks.check_history(session, contract)
        results += checks.check_marts(session, pipeline)
        checks.refuse_failed(results)
    else:
        bulk.note(session, contract, folded)
    checks.record(session, drop.drop_id, results)
    _record_rejects(runtime, session, drop, validated)
    session.keep_loaded(_SOURCE, f"src_{contract.feed}", "left_out" if validated.rows_read > validated.rows_accepted else None)
    ledger.record_delivery(session, drop, Delivered.ACCEPTED, received_at, sequence)
    if bulk is None:
        stage_changes(runtime, session, drop)
    _stage_report(runtime, session, drop, validated, folded, recomputed, results, received_at)
    return Outcome(
        drop,
        Delivered.ACCEPTED,
        drop.archive_name,
        **_rows(validated.rows_read, validated.rows_accepted, validated.rows_rejected, validated.rows_duplicate),
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


def stage_changes(runtime: Runtime, session: Session, drop: Drop) -> None:
    """Write what the last refresh of the marts changed into the drop's workspace, to be published once it is committed."""
    for table in runtime.pipeline.marts:
        if table.file.changes:
            session.export(mart.changes_select(table), runtime.store.workspace(drop.claim) / CHANGES, "csv")


def _stage_report(
    runtime: Runtime,
    session: Session,
    drop: Drop,
    validated: Validated,
    folded: Folded,
    recomputed: dict[str, int],
    results: Sequence[CheckResult],
    received_at: datetime,
) -> None:
    report.write_report(
        runtime.store.workspace(drop.claim) / REPORT,
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
            "intermediate": report.intermediate_counts(session, runtime.pipeline) if recomputed else {},
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
