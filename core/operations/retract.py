"""Retraction: history, marts and artifacts as if a drop had never come; and its restoration. The ledger keeps both."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from dropledger.core.contracts.contract import Contract
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.errors import ConfigurationError, DataRefused
from dropledger.core.ingest.claims import with_claimed
from dropledger.core.ingest.completion import publish_committed
from dropledger.core.ingest.prepare import empty_source
from dropledger.core.ingest.run import run_pending
from dropledger.core.ingest.runtime import AdmissionRuntime, Runtime
from dropledger.core.ledger import ledger, retractions
from dropledger.core.ledger.ledger import LedgerRow, Status
from dropledger.core.ledger.totals import Cause
from dropledger.core.operations.plan import copied, effect, keep, measured
from dropledger.core.operations.retract_facts import with_facts_of, without_facts_of
from dropledger.core.ports.session import Session
from dropledger.core.sql.text import statement
from dropledger.core.steps import checks, marts
from dropledger.core.steps.archive import Archive, archived_extract, extract_in_history
from dropledger.core.steps.examine import examine
from dropledger.core.steps.facts import judge
from dropledger.core.steps.history import REPLACED, merge_late_arrivals, no_changes, nothing_observed, show_before
from dropledger.core.steps.late_arrivals import archived_observations, others_since, read_archived
from dropledger.core.steps.totals import keep_totals
from dropledger.core.steps.validate import validate
from dropledger.core.views.drops import find_drop


class Said(NamedTuple):
    """What the ledger keeps of a retraction or a restoration."""

    reason: str
    who: str


@dataclass(frozen=True, slots=True)
class Retracted:
    """What a retraction, or a restoration, changed; `effects` what a dry run has found of each mart with a measure."""

    drop: LedgerRow
    versions_opened: int
    versions_closed: int
    recomputed: Mapping[str, int]
    effects: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


Change = Callable[[Runtime, Session, LedgerRow, Said], Retracted]


def retract(runtime: Runtime, drop_id: str, reason: str, who: str) -> Retracted:
    """Take a drop back; `drop_id` may be the beginning of one. It stays so when it is delivered again.

    Raises:
        ConfigurationError: there is no such drop, it was quarantined, or it was retracted before.
        CheckFailed: the marts or the history without the drop break a check; nothing was changed.
        Busy: somebody else holds the root or the warehouse.
    """
    return _changed(runtime, drop_id, _retractable, _take_back, Said(reason, who))


def restore(runtime: Runtime, drop_id: str, reason: str, who: str) -> Retracted:
    """Take in again a drop that was taken back, as it was accepted and at its place in the order of receipt.

    Raises:
        ConfigurationError: there is no such drop, or it is not retracted.
        CheckFailed: the marts or the history with the drop break a check; nothing was changed.
        Busy: somebody else holds the root or the warehouse.
        Postponed: its archived file is missing, was changed, or can no longer be read as it was accepted.
    """
    return _changed(runtime, drop_id, _restorable, _take_in_again, Said(reason, who))


def _changed(
    runtime: Runtime, drop_id: str, allowed: Callable[[Session, str], LedgerRow], change: Change, said: Said
) -> Retracted:
    done: list[Retracted] = []  # outlives work that begins again

    def work() -> None:
        if not done:
            run_pending(runtime)
            with runtime.session() as session:
                publish_committed(runtime, session)  # what a process has left that was killed here
                row = allowed(session, find_drop(session, drop_id)["drop_id"])
                with session.transaction():
                    changed = change(runtime, session, row, said)
            done.append(changed)
        with runtime.session() as session:
            publish_committed(runtime, session, taken_back=True)

    runtime.alone(work)
    return done[0]


def plan_retraction(runtime: Runtime, drop_id: str, largest: int = 10) -> Retracted:
    """What taking a drop back would do, found on a copy of the warehouse; the root and its ledger stay as they are.

    Raises:
        As `retract`.
    """
    with runtime.store.exclusive(runtime.wait_seconds, looking=True):
        with copied(with_claimed(runtime)) as (beside, session):
            before = {marts.name: keep(session, marts) for marts in measured(runtime)}
            row = _retractable(session, find_drop(session, drop_id)["drop_id"])
            with session.transaction():
                planned = _take_back(beside, session, row, Said("", ""))
            effects = {marts.name: effect(session, marts, before[marts.name], largest) for marts in measured(runtime)}
            return replace(planned, effects=effects)


def _retractable(session: Session, drop_id: str) -> LedgerRow:
    row = ledger.find(session, drop_id)
    if row is not None and row.status in ledger.IN_HISTORY:
        return row
    if row is not None and row.status == Status.RETRACTED:
        raise ConfigurationError(
            f"drop {drop_id} is retracted already",
            why=retractions.retraction(session, drop_id),
            hint=f"nothing is left to do; dropledger restore {drop_id} --reason TEXT takes it in again",
        )
    raise ConfigurationError(
        f"drop {drop_id} cannot be retracted",
        why="it was quarantined and never became part of history",
        hint="dropledger drops lists what is in history",
    )


def _restorable(session: Session, drop_id: str) -> LedgerRow:
    row = ledger.find(session, drop_id)
    if row is None or row.status != Status.RETRACTED:
        raise ConfigurationError(
            f"drop {drop_id} cannot be restored",
            why="it is not retracted",
            hint="dropledger drops lists the drops and what became of them",
        )
    return row


def _take_back(runtime: AdmissionRuntime, session: Session, row: LedgerRow, said: Said) -> Retracted:
    if runtime.pipeline.contract(row.feed).brings_facts:
        retractions.record_retraction(session, row, at=runtime.clock(), who=said.who, reason=said.reason)
        return _settle_facts(runtime, session, row, without_facts_of, Cause.RETRACTED)
    contract, moment_before, complete = _read_once_more(runtime, session, row)
    shares = retractions.shares_moments(session, row, runtime.pipeline)
    _find_affected_keys(session, contract, row, complete=complete, any_may_matter=shares)
    if complete and shares:
        _find_hidden_keys(runtime, session, row)
    counts = _merge_affected(runtime, session, contract, but=row.drop_id)
    retractions.record_retraction(session, row, at=runtime.clock(), who=said.who, reason=said.reason)
    retracted = _conclude(runtime, session, row, counts, moment_before, Cause.RETRACTED)
    if session.query(f"SELECT 1 FROM src_{row.feed} WHERE _drop_id = :drop_id LIMIT 1", {"drop_id": row.drop_id}):
        _show_newest_rows(runtime, session, contract)
    return retracted


def _take_in_again(runtime: AdmissionRuntime, session: Session, row: LedgerRow, said: Said) -> Retracted:
    if runtime.pipeline.contract(row.feed).brings_facts:
        retractions.record_restoration(session, row, at=runtime.clock(), who=said.who, reason=said.reason)
        return _settle_facts(runtime, session, row, with_facts_of, Cause.RESTORED)
    contract, moment_before, complete = _read_once_more(runtime, session, row)
    # It has no version yet by which to tell what matters.
    _find_affected_keys(session, contract, row, complete=complete, any_may_matter=True)
    retractions.record_restoration(session, row, at=runtime.clock(), who=said.who, reason=said.reason)
    counts = _merge_affected(runtime, session, contract)
    restored = _conclude(runtime, session, row, counts, moment_before, Cause.RESTORED)
    observed = ledger.in_history(session, row.feed, datetime.min)  # none, if no drop of the feed has a row
    if observed and observed[-1].drop_id == row.drop_id:
        _show_newest_rows(runtime, session, contract)
    return restored


def _settle_facts(
    runtime: AdmissionRuntime,
    session: Session,
    row: LedgerRow,
    settle: Callable[[Session, Archive, Contract, LedgerRow], tuple[int, int]],
    cause: Cause,
) -> Retracted:
    contract = runtime.pipeline.contract(row.feed)
    moment_before = marts.moment(session)
    no_changes(session, runtime.pipeline)
    counts = settle(session, runtime.archive, contract, row)
    settled = _conclude(runtime, session, row, counts, moment_before, cause)
    _show_newest_rows(runtime, session, contract)  # of any drop other rows may be accepted now
    return settled


def _read_once_more(
    runtime: AdmissionRuntime, session: Session, row: LedgerRow
) -> tuple[Contract, datetime | None, bool]:
    """Type the drop's rows into scratch `_dl_parsed_again`.

    Its contract of now, the mart's moment, and whether the drop speaks of the keys that it lacks.
    """
    contract = runtime.pipeline.contract(row.feed)
    moment_before = marts.moment(session)
    no_changes(session, runtime.pipeline)
    extract = extract_in_history(session, runtime.archive, contract, row)
    return contract, moment_before, read_archived(session, extract, row.sequence, contract)


def _find_affected_keys(
    session: Session, contract: Contract, row: LedgerRow, *, complete: bool, any_may_matter: bool
) -> None:
    """Set up `_dl_affected_key` with the keys whose timeline the drop may change: its own and those that it lacks."""
    session.scratch(
        "_dl_affected_key",
        statement("affected_keys", {**feed_fragments(contract), "closes_missing": "TRUE" if complete else "FALSE"}),
        {
            "drop_id": row.drop_id,
            "sequence": row.sequence,
            "as_of": row.as_of,
            "any_may_matter": any_may_matter,
        },
    )


def _conclude(
    runtime: AdmissionRuntime,
    session: Session,
    row: LedgerRow,
    counts: tuple[int, int],
    moment_before: datetime | None,
    cause: Cause,
) -> Retracted:
    """Compute the marts, hold everything against the checks, and keep what the marts come to."""
    # Should the process die before it has published, the next start does it.
    ledger.mark_artifacts(session, current=False)
    contract = runtime.pipeline.contract(row.feed)
    show_before(session, runtime.pipeline, contract, REPLACED)
    refreshed = marts.refresh(
        session, runtime.pipeline, moment_before, feeds={row.feed}, keys_repeat=contract.brings_facts
    )
    found = examine(session, [checks.history_check(session, contract)], refreshed)
    checks.refuse_failed(found.results)
    keep_totals(session, found.refreshed, cause, row.drop_id, runtime.clock())
    return Retracted(row, *counts, marts.recomputed(found.refreshed))


def _find_hidden_keys(runtime: AdmissionRuntime, session: Session, row: LedgerRow) -> None:
    """Add the keys that the drop lacked and another drop of the same moment had.

    The later of the two stood, so such a key may have no version left that tells of it.
    """
    contract = runtime.pipeline.contract(row.feed)
    fragments = feed_fragments(contract)
    for extract, sequence in others_since(session, runtime.archive, contract, row.as_of, row.drop_id):
        if extract.as_of.moment == row.as_of:
            read_archived(session, extract, sequence, contract)
            session.insert_select(
                "_dl_affected_key",
                [*contract.key, "changed_from"],
                f"""SELECT DISTINCT {fragments["o_key"]}, o._effective_at
                FROM _dl_parsed_again AS o
                WHERE o._valid
                    AND NOT EXISTS (SELECT 1 FROM _dl_affected_key AS h WHERE {fragments["same_key"]})""",
            )


def _first_affected(session: Session) -> datetime | None:
    row = session.query("SELECT min(changed_from) AS first_change FROM _dl_affected_key")[0]
    first: datetime | None = row["first_change"]
    return first


def _merge_affected(
    runtime: AdmissionRuntime, session: Session, contract: Contract, *, but: str = ""
) -> tuple[int, int]:
    """Rebuild the timelines of the keys in `_dl_affected_key` from the archive; the drop `but` is left out."""
    nothing_observed(session, contract)
    since = _first_affected(session)
    if since is not None:
        archived_observations(session, runtime.archive, but=but)(contract, since)
    return merge_late_arrivals(session, contract)


def _show_newest_rows(runtime: AdmissionRuntime, session: Session, contract: Contract) -> None:
    """Let the source layer show the rows of the newest drop that is in history."""
    left = ledger.in_history(session, contract.feed, datetime.min)
    if left:
        with suppress(DataRefused):  # under the contract of now, whose columns the view has
            extract = archived_extract(runtime.archive, contract, left[-1])
            session.load(extract.path, extract.layout, "_dl_incoming", drop_id=extract.drop_id)
            validated = validate(session, extract, "_dl_incoming")
            if contract.brings_facts:
                validated = judge(session, contract, validated, extract.drop_id)
            session.keep_loaded("_dl_incoming", f"src_{contract.feed}", validated.left_out, left[-1].archive_name)
            return
    empty_source(session, contract)
