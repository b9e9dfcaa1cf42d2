"""What happens to one drop inside the transaction: validate, history, mart, checks, ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from dropledger.core.errors import DataRefused
from dropledger.core.formats.extract import Drop, Extract
from dropledger.core.ingest.recompute import Recompute
from dropledger.core.ingest.runtime import AdmissionRuntime
from dropledger.core.ledger import ledger
from dropledger.core.ledger.identity import as_known
from dropledger.core.ledger.ledger import Delivered, Status
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.ledger.redelivery import come_again
from dropledger.core.ledger.standing import Standing, standing
from dropledger.core.ports.session import Session
from dropledger.core.steps import checks, facts, guards, marts, quarantine, report
from dropledger.core.steps.address import ahead_of_time, latest_allowed
from dropledger.core.steps.checks import CheckFailed, CheckResult
from dropledger.core.steps.compare import read_differing
from dropledger.core.steps.control import refuse_other_totals
from dropledger.core.steps.examine import examine
from dropledger.core.steps.history import Folded, fold
from dropledger.core.steps.late_arrivals import archived_observations
from dropledger.core.steps.publish import REPORT
from dropledger.core.steps.validate import Validated, refuse_beyond_limit, validate

_SOURCE = "_dl_incoming"
_NOTHING_READ = Validated(0, 0, 0, 0, 0, None, None)


def admit(
    runtime: AdmissionRuntime,
    session: Session,
    drop: Drop,
    recompute: Recompute,
    refusal: DataRefused | None = None,
) -> Outcome:
    """Admit a drop, or record it as duplicate or quarantined; `refusal` is known from an attempt rolled back.

    `recompute` computes the marts, now or when its caller has admitted all drops of the transaction.

    Raises:
        DataRefused: a check or the engine refused the drop when history was already touched; roll back, and
            call again with this refusal.
        Unanswered: a check's SQL does not work; roll back, and call again with a runtime that asks one by one.
    """
    recompute.begin()
    found = standing(session, drop, runtime.pipeline)
    drop, known = as_known(session, drop, found.known)
    recorded = found.delivered
    if recorded is not None:  # the process died between commit and the last move
        # Not by its bytes: of a claim that was being put away, what says whose they are may be gone.
        [drop_id] = ledger.drops_of(session, [drop.claim.claim_id])
        row = ledger.find(session, drop_id)
        return Outcome(drop, recorded, row.archive_name if row else "", resumed=True)
    admission = _Admission(runtime, session, drop, recompute, runtime.clock(), found, known is not None)
    if known is not None and known.status in ledger.SETTLED:
        return come_again(session, drop, known, admission.received_at)
    extract = drop.extract
    if extract is not None:
        latest = latest_allowed(extract.contract, drop.as_of, runtime.pipeline, admission.received_at)
        extract = replace(extract, latest=latest)
        refusal = refusal or ahead_of_time(extract.contract, drop.as_of, latest)
    refusal = refusal or drop.refusal
    validated = _NOTHING_READ
    if extract is not None and (refusal is None or isinstance(refusal, CheckFailed)):
        try:
            validated = admission.read(extract, again=refusal is not None)
            refuse_beyond_limit(extract.contract, validated)
        except DataRefused as error:
            if error.rule == "not_computable":
                raise
            refusal = refusal or error
        else:
            if refusal is None:
                return admission.accept(extract, validated)
    return admission.quarantine(refusal or DataRefused("unreadable", "the file cannot be read"), validated)


def accepted_fields(validated: Validated, folded: Folded, committed_at: datetime) -> dict[str, Any]:
    """What `drop_ledger` says of a drop that is accepted."""
    return {
        **_row_counts(validated),
        "versions_opened": folded.versions_opened,
        "versions_closed": folded.versions_closed,
        "first_effective": folded.first_effective,
        "last_effective": folded.last_effective,
        "committed_at": committed_at,
    }


def _row_counts(validated: Validated) -> dict[str, int]:
    return {
        "rows_read": validated.rows_read,
        "rows_accepted": validated.rows_accepted,
        "rows_rejected": validated.rows_rejected,
        "rows_duplicate": validated.rows_duplicate,
    }


def conclude(
    runtime: AdmissionRuntime,
    drop: Drop,
    sequence: int,
    validated: Validated,
    folded: Folded,
    results: Sequence[CheckResult],
    received_at: datetime,
    *,
    late: bool = False,
    rejects: Mapping[str, int] = MappingProxyType({}),
    intermediate: Mapping[str, int] = MappingProxyType({}),
    marts: Mapping[str, int] = MappingProxyType({}),
) -> Outcome:
    """Stage the report of a drop that was accepted; its outcome."""
    versions = {"versions_opened": folded.versions_opened, "versions_closed": folded.versions_closed}
    report.write_report(
        runtime.store.staged(drop.claim.claim_id, REPORT),
        drop,
        outcome=Delivered.ACCEPTED,
        generated_at=received_at,
        engine=runtime.warehouse.versions(),
        results=results,
        rows=_row_counts(validated),
        row_counts={
            "source": {f"src_{drop.feed}": validated.rows_read},
            "staging": {f"stg_{drop.feed}": validated.rows_accepted},
            "history": versions,
            "intermediate": intermediate,
            "marts": marts,
        },
        rejects=rejects,
    )
    warnings = (result.text for result in results if not result.passed)
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
        late=late,
        recomputed=marts,
        warnings=tuple(warnings),
        sequence=sequence,
    )


@dataclass(frozen=True, slots=True)
class _Admission:
    """A drop that is neither settled nor resumed, on its way into the ledger.

    `known` is whether that has a row of it, since it was refused.
    """

    runtime: AdmissionRuntime
    session: Session
    drop: Drop
    recompute: Recompute
    received_at: datetime
    standing: Standing
    known: bool

    def read(self, extract: Extract, *, again: bool) -> Validated:
        """Type and check the rows: just those in which the file differs from the drop before, if that can be."""
        if not again and not self.recompute.is_ahead_of_ledger(self.drop.feed):
            lines = self.runtime.store.staged(self.drop.claim.claim_id, "differing_lines")
            until = self.standing.observed_until
            compared = read_differing(self.runtime.archive, self.session, extract, _SOURCE, lines, until)
            if compared is not None:
                return compared
        self.session.load(extract.path, extract.layout, _SOURCE, drop_id=self.drop.drop_id)
        validated = validate(self.session, extract, _SOURCE)
        refuse_other_totals(self.session, extract, validated)
        return validated

    def accept(self, extract: Extract, validated: Validated) -> Outcome:
        """Fold the rows into history, have the marts computed, check all of it, and record it."""
        session, pipeline, contract = self.session, self.runtime.pipeline, extract.contract
        sequence, observed_until = self.standing.next_sequence, self.standing.observed_until
        together = self.runtime.asks_together
        own = pipeline.feed_checks[contract.feed]
        results = checks.check_staging(session, extract, validated, own, self.received_at, together=together)
        results += guards.check_volume(contract, validated, self.standing.before)
        results += guards.check_drift(session, contract, extract.as_of.moment)
        checks.refuse_failed(results)
        if contract.brings_facts:
            validated = facts.judge(session, contract, validated, self.drop.drop_id)
        folded = self._fold(extract, validated)
        self._record(Delivered.ACCEPTED, sequence, accepted_fields(validated, folded, self.runtime.clock()))
        computed = self.recompute.after_fold(session, contract, folded, self.standing.moment)
        found = examine(
            session,
            [
                *checks.relationship_checks(contract, validated),
                *guards.missing_keys_checks(contract, validated, extract.as_of.moment),
                *computed.questions,
            ],
            computed.refreshed,
            opened=folded.versions_opened,
            reported=computed.reported,
            together=together,
        )
        results += found.results
        self.recompute.settle(session, self.drop, results, found.refreshed)
        checks.record(session, {(self.drop.drop_id, sequence): results})
        self._record_rejects(validated, sequence)
        self.runtime.store.place(self.drop.claim, self.drop.archive_name)
        session.keep_loaded(_SOURCE, f"src_{contract.feed}", validated.left_out, self.drop.archive_name)
        return conclude(
            self.runtime,
            self.drop,
            sequence,
            validated,
            folded,
            results,
            self.received_at,
            late=not contract.brings_facts and folded.before(observed_until),
            rejects=report.rejects_by_rule(session, self.drop.drop_id, sequence) if validated.rows_rejected else {},
            intermediate=found.intermediate,
            marts=marts.recomputed(found.refreshed),
        )

    def quarantine(self, refusal: DataRefused, validated: Validated) -> Outcome:
        """Record that the whole file was refused: none of its rows is accepted."""
        session = self.session
        results = refusal.results if isinstance(refusal, CheckFailed) else ()
        refused = validated.rows_read - validated.rows_duplicate
        counts = {
            "rows_read": validated.rows_read,
            "rows_accepted": 0,
            "rows_rejected": refused,
            "rows_duplicate": validated.rows_duplicate,
        }
        fields = {**counts, "error": f"{refusal.rule}: {refusal.what}", "committed_at": self.runtime.clock()}
        sequence = self.standing.next_sequence
        self._record(Delivered.QUARANTINED, sequence, fields)
        self._record_rejects(validated, sequence)
        checks.record(session, {(self.drop.drop_id, sequence): results})
        quarantine.stage_reason(self.runtime.store, self.drop, refusal, self.received_at)
        report.write_report(
            self.runtime.store.staged(self.drop.claim.claim_id, REPORT),
            self.drop,
            outcome=Delivered.QUARANTINED,
            generated_at=self.received_at,
            engine=self.runtime.warehouse.versions(),
            results=results,
            rows=counts,
            row_counts={},
            rejects=report.rejects_by_rule(session, self.drop.drop_id, sequence),
            error=refusal.what,
        )
        return Outcome(
            self.drop,
            Delivered.QUARANTINED,
            "",
            rows_read=validated.rows_read,
            rows_rejected=refused,
            rows_duplicate=validated.rows_duplicate,
            rule=refusal.rule,
            error=refusal.what,
            hint=refusal.hint,
            sequence=sequence,
        )

    def _fold(self, extract: Extract, validated: Validated) -> Folded:
        session, sequence = self.session, self.standing.next_sequence
        until = self.recompute.before_fold(session, extract.contract.feed, self.standing.observed_until)
        later = archived_observations(session, self.runtime.archive)
        return fold(session, extract, validated, sequence, observed_until=until, later_observations=later)

    def _record(self, outcome: Delivered, sequence: int, fields: Mapping[str, object]) -> None:
        status = Status.COMMITTED if outcome == Delivered.ACCEPTED else Status.QUARANTINED
        row = ledger.drop_row(self.drop, self.received_at, sequence, status, fields)
        ledger.record_drop(self.session, self.drop, outcome, row, known=self.known)

    def _record_rejects(self, validated: Validated, sequence: int) -> None:
        """Keep the refused rows with their raw text, in the ledger and in a file to be put into quarantine."""
        if validated.rows_rejected:
            quarantine.record_rejects(self.session, _SOURCE, self.drop.drop_id, sequence)
            quarantine.stage_rejects(self.session, self.runtime.store, self.drop, sequence, self.runtime.pipeline)
