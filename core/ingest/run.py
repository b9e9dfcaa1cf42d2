"""The way of a drop, the same for every entry point:

event -> FileDropped -> intake -> validate -> history -> mart -> publish -> archive
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic

from dropledger.core.drop import FileDropped
from dropledger.core.errors import DataRefused
from dropledger.core.formats.extract import Drop
from dropledger.core.ingest import micro_batch
from dropledger.core.ingest.admission import admit
from dropledger.core.ingest.claims import batches, claimed, set_drop_apart
from dropledger.core.ingest.completion import complete, publish_committed
from dropledger.core.ingest.micro_batch import MicroBatch, admit_micro_batch
from dropledger.core.ingest.recompute import EachDrop, OnceForAll, Recompute
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger import ledger
from dropledger.core.ledger.fault import meets_one_file
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome, PartialFailure
from dropledger.core.ports.session import Session
from dropledger.core.steps.publish import STAGED
from dropledger.core.steps.questions import Unanswered

AdmitAll = Callable[[Runtime, Session, Sequence[Drop]], list[Outcome]]
"""Admits a batch of drops in the transaction at hand, marts included; fewer of them where time runs out."""


def process(runtime: Runtime, dropped: Sequence[FileDropped], on_outcome: Callable[[Outcome], None]) -> list[Outcome]:
    """Take drops through the pipeline, after what an earlier process left unfinished; `on_outcome` gets each outcome.

    Drops that wait together are taken in order of as_of, parents before children.

    Raises:
        Busy: the root or the warehouse stayed in other hands for `wait_seconds`; no drop is lost.
        OutOfTime: the runtime told to stop; drops of which no outcome was told were not begun, and are where they were.
        PartialFailure: a file could not be taken from where it lies; the others were.
    """
    outcomes, note = collecting(on_outcome)

    def work() -> None:
        runtime.refuse_lost()
        run_pending(runtime, dropped, note)
        if not any(outcome.taken for outcome in outcomes) and runtime.warehouse.exists():
            with runtime.session() as session:
                publish_committed(runtime, session)
        raise_partial_failure(runtime, outcomes)

    runtime.alone(work)
    return outcomes


def collecting(on_outcome: Callable[[Outcome], None]) -> tuple[list[Outcome], Callable[[Outcome], None]]:
    """A list of all outcomes that are told from now on, and how to tell one; it outlives work that begins again."""
    outcomes: list[Outcome] = []
    untaken: set[tuple[str, str | None]] = set()

    def note(outcome: Outcome) -> None:
        content = outcome.drop.claim.dropped.content
        if content in untaken:
            outcomes[:] = [one for one in outcomes if one.taken or one.drop.claim.dropped.content != content]
        if not outcome.taken:
            untaken.add(content)
        outcomes.append(outcome)
        on_outcome(outcome)

    return outcomes, note


def raise_partial_failure(runtime: Runtime, outcomes: Sequence[Outcome]) -> None:
    """Stop where files could not be taken from where they lie, now that the others are.

    Raises:
        PartialFailure: with the outcomes of the others.
    """
    refused = runtime.store.refused()
    if refused is not None:
        raise PartialFailure(refused, outcomes)


def run_pending(
    runtime: Runtime,
    dropped: Sequence[FileDropped] = (),
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    admit_all: AdmitAll | None = None,
) -> None:
    """What `process` does, for a caller who holds the root; `admit_all` admits a batch in another way than usual."""
    runtime.warehouse.remove_left_over()
    if not dropped and not runtime.store.unfinished():
        return

    def take(session: Session, batch: Sequence[Drop]) -> Sequence[Drop]:
        return _take(runtime, session, batch, admit_all or _admit_all, on_outcome)

    with runtime.session() as session:
        # The warehouse is open before any file is taken: who is told to try again finds all files where they were.
        drops, apart = claimed(runtime, dropped)
        for outcome in apart:
            on_outcome(outcome)
        _discard_uncommitted(runtime, session, [*drops, *(outcome.drop for outcome in apart)])
        runtime = replace(runtime, claimed={drop.sha256: drop.claim.path for drop in drops})
        ahead = batches(drops)
        first = next(ahead, [])
        left = first if not first or runtime.stop() else take(session, first)
    _take_one_by_one(runtime, left, on_outcome)
    for batch in ahead:  # others may read the warehouse in between
        runtime.refuse_when_out_of_time()
        with runtime.session() as session:
            left = take(session, batch)
        _take_one_by_one(runtime, left, on_outcome)


def _discard_uncommitted(runtime: Runtime, session: Session, drops: Sequence[Drop]) -> None:
    """Remove what a process had staged or placed that died before its commit: taken with others, a drop may have less
    to tell; and it may be refused.
    """
    for drop in drops:
        places = [runtime.store.staged(drop.claim.claim_id, name) for name in STAGED]
        staged = [path for path in places if path.exists()]
        if (staged or drop.claim.placed) and not ledger.drops_of(session, [drop.claim.claim_id]):
            runtime.store.take_back([drop.claim])
            for path in staged:
                path.unlink()


def _take(
    runtime: Runtime,
    session: Session,
    batch: Sequence[Drop],
    admit_all: AdmitAll,
    on_outcome: Callable[[Outcome], None],
) -> Sequence[Drop]:
    """Admit a batch in one transaction, then publish and put the files in their place.

    If one of several is refused, or cannot be taken, all are rolled back and given back, to be taken one by one, so
    that it alone is quarantined or set apart. Those are given back too that were not begun, as time ran out.
    """
    if len(batch) == 1:
        on_outcome(_take_alone(runtime, session, batch[0], admit_all))
        return ()
    began = monotonic()
    try:
        outcomes = _admitted(runtime, session, batch, admit_all)
    except Exception as error:
        if isinstance(error, DataRefused) or meets_one_file(error):
            return batch
        raise
    for outcome in _completed(runtime, session, outcomes, began):
        on_outcome(outcome)
    begun = {outcome.drop.claim.claim_id for outcome in outcomes}
    return [drop for drop in batch if drop.claim.claim_id not in begun]


def _take_one_by_one(runtime: Runtime, drops: Sequence[Drop], on_outcome: Callable[[Outcome], None]) -> None:
    left = deque(drops)
    while left:
        runtime.refuse_when_out_of_time()
        with runtime.session() as session:
            while left and not runtime.stop():
                outcome = _take_alone(runtime, session, left.popleft(), _admit_all)
                on_outcome(outcome)
                if outcome.failure is not None:
                    break  # an engine that has met an error of its own does nothing more: the others get another


def _take_alone(runtime: Runtime, session: Session, drop: Drop, admit_all: AdmitAll) -> Outcome:
    began = monotonic()
    try:
        outcomes = _admitted(runtime, session, [drop], admit_all)
    except DataRefused as error:
        return Outcome(drop, Delivered.POSTPONED, "", error=str(error), hint=error.hint)
    except Exception as error:
        if not meets_one_file(error):
            raise
        return set_drop_apart(runtime, drop, error)
    return _completed(runtime, session, outcomes, began)[0]


def _completed(runtime: Runtime, session: Session, outcomes: Sequence[Outcome], began: float) -> list[Outcome]:
    """Complete what was admitted, and tell the meter how long it took since it began."""
    completed = complete(runtime, session, outcomes)
    runtime.meter.took([outcome.drop.feed for outcome in completed if outcome.taken], monotonic() - began)
    return completed


def _admitted(runtime: Runtime, session: Session, batch: Sequence[Drop], admit_all: AdmitAll) -> list[Outcome]:
    """Admit a batch, or as much of it as there is time for; or quarantine the one drop that it has.

    Raises:
        DataRefused: a check or the engine refused one of several.
        PipelineError: the SQL of a check does not work; alone, it is told by its name.
        Postponed: one of them cannot be taken for now.
    """
    runtime.touched.clear()
    try:
        with _transaction(runtime, session, batch):
            outcomes = admit_all(runtime, session, batch)
            runtime.store.secure([outcome.drop.claim for outcome in outcomes])
    except DataRefused as refusal:
        if len(batch) > 1:
            raise
        runtime.touched.clear()
        with _transaction(runtime, session, batch):
            outcomes = [admit(runtime, session, batch[0], EachDrop(runtime), refusal)]
            runtime.store.secure([batch[0].claim])
    except Unanswered:
        if len(batch) > 1:
            raise
        return _admitted(replace(runtime, asks_together=False), session, batch, _admit_all)
    return outcomes


@contextmanager
def _transaction(runtime: Runtime, session: Session, batch: Sequence[Drop]) -> Iterator[None]:
    """A transaction that takes files back from the archive if it comes to nothing."""
    try:
        with session.transaction():
            yield
    except BaseException:
        runtime.store.take_back([drop.claim for drop in batch])
        raise


def _admit_all(runtime: Runtime, session: Session, batch: Sequence[Drop]) -> list[Outcome]:
    """Admit a batch, in micro-batches where these make it cheaper."""
    parts: Sequence[Drop | MicroBatch] = batch
    recompute: Recompute = EachDrop(runtime, len(batch))
    if len(batch) >= micro_batch.FEWEST:
        divided = micro_batch.divide(runtime, session, batch)
        if any(isinstance(part, MicroBatch) for part in divided):
            parts, recompute = divided, OnceForAll.begun(runtime, session)
    outcomes: list[Outcome] = []
    for part in parts:
        if outcomes and runtime.stop():
            break
        if isinstance(part, MicroBatch):
            outcomes += admit_micro_batch(runtime, session, part, recompute)
        else:
            outcomes.append(admit(runtime, session, part, recompute))
    return recompute.finish(session, outcomes)
