"""Backfill: many old extracts, in any order, folded together.

A late drop has to consult what later drops observed, and doing so for hundreds of old extracts would read the
later ones hundreds of times. So the feed's history is truncated to the first of the old extracts, and old and
archived ones are folded again in order of as_of, each a plain step; the marts are computed once, at the end.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from dropledger.core.contracts.contract import Contract, Severity
from dropledger.core.contracts.fragments import feed_fragments
from dropledger.core.drop import FileDropped
from dropledger.core.formats.extract import Drop, Extract
from dropledger.core.ingest.admission import admit
from dropledger.core.ingest.recompute import OnceForAll
from dropledger.core.ingest.run import collecting, raise_partial_failure, run_pending
from dropledger.core.ingest.runtime import AdmissionRuntime, Runtime
from dropledger.core.ledger import ledger
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.ports.session import Session
from dropledger.core.rules.fragments import rules_over_rows
from dropledger.core.sql.text import listed, quoted
from dropledger.core.steps.history import OPEN, fold, history_columns
from dropledger.core.steps.late_arrivals import others_since
from dropledger.core.steps.validate import validate


def backfill(runtime: Runtime, dropped: Sequence[FileDropped], on_outcome: Callable[[Outcome], None]) -> list[Outcome]:
    """Take many files through the pipeline, few transactions for all of them; `on_outcome` gets each outcome.

    Raises:
        Busy: the root or the warehouse stayed in other hands; no drop is lost.
        PartialFailure: a file could not be taken from where it lies; the others were.
    """
    outcomes, note = collecting(on_outcome)

    def work() -> None:
        run_pending(runtime, dropped, note, admit_in_any_order)
        raise_partial_failure(runtime, outcomes)

    runtime.alone(work)
    return outcomes


def admit_in_any_order(runtime: AdmissionRuntime, session: Session, batch: Sequence[Drop]) -> list[Outcome]:
    """Admit a batch in the transaction at hand, each feed's history truncated once, marts computed once."""
    pipeline = runtime.pipeline
    recompute = OnceForAll.begun(runtime, session)
    archived = {feed: _truncate_history(runtime, session, feed, batch, recompute) for feed in pipeline.feed_order}
    outcomes = []
    for drop in batch:
        later = archived.get(drop.feed, [])
        while later and later[0][0].as_of.moment <= drop.as_of.moment:
            _fold_archived(session, *later.pop(0), recompute)
        outcomes.append(admit(runtime, session, drop, recompute))
    for later in archived.values():
        for extract, sequence in later:
            _fold_archived(session, extract, sequence, recompute)
    return recompute.finish(session, outcomes)


def _truncate_history(
    runtime: AdmissionRuntime, session: Session, feed: str, batch: Sequence[Drop], recompute: OnceForAll
) -> list[tuple[Extract, int]]:
    """Cut a feed's history off where the first late drop of the batch begins; the extracts to fold again behind it.

    Feeds with row-level effective times are left alone: their drops are merged one by one.
    """
    contract = runtime.pipeline.contract(feed)
    until = ledger.observed_until(session, feed, runtime.pipeline)
    late = [
        drop.as_of.moment
        for drop in batch
        if drop.feed == feed and drop.refusal is None and until is not None and drop.as_of.moment < until
    ]
    if len(late) < 2 or contract.effective_column is not None:  # a single late drop is merged
        return []
    since = min(late)
    archived = others_since(session, runtime.archive, contract, since)
    if any(extract.contract.effective_column for extract, _ in archived):  # of an earlier contract
        return []
    if any(any(rules_over_rows(extract.contract, "relationship", Severity.ERROR)) for extract, _ in archived):
        return []  # which rows were accepted depends on what their parents were then
    recompute.observed_until[feed] = ledger.observed_before(session, feed, since, runtime.pipeline)
    _cut(session, contract, since)
    key, versions = feed_fragments(contract)["key"], listed(column.name for column in history_columns(contract))
    changes, before = f"SELECT {key}, changed_from FROM _dl_cut", f"SELECT {versions} FROM _dl_cut"
    recompute.add_changes(session, contract, changes, before)
    return sorted(archived, key=lambda found: (found[0].as_of.moment, found[1]))


def _cut(session: Session, contract: Contract, since: datetime) -> None:
    history, bound = f"history_{contract.feed}", {"since": since}
    session.scratch(
        "_dl_cut",
        f"""SELECT *, CAST(:since AS TIMESTAMP) AS changed_from
        FROM {quoted(history)}
        WHERE valid_from >= :since OR valid_to >= :since""",
        bound,
    )
    session.delete_where(history, "valid_from >= :since", bound)
    session.update_where(history, OPEN, "valid_to >= :since", bound)


def _fold_archived(session: Session, extract: Extract, sequence: int, recompute: OnceForAll) -> None:
    feed = extract.contract.feed
    session.load(extract.path, extract.layout, "_dl_source_again", drop_id=extract.drop_id)
    validated = validate(session, extract, "_dl_source_again")
    folded = fold(session, extract, validated, sequence, observed_until=recompute.observed_until.get(feed))
    recompute.note(session, extract.contract, folded)
