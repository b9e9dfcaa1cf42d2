"""The way of a drop, the same for every entry point:

event -> FileDropped -> intake -> validate -> history -> mart -> publish -> archive
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from core import checks, ledger, mart, micro_batch, quarantine
from core.address import addressed
from core.admit import admit, compute_marts, credit_newest
from core.bulk import Bulk
from core.definition import Pipeline
from core.drop import FileDropped
from core.errors import DataRefused, Postponed
from core.history import no_changes
from core.intake import Drop, identify
from core.ledger import Delivered
from core.mart import Due
from core.micro_batch import MicroBatch, admit_micro_batch
from core.outcome import Outcome, Untaken
from core.ports import Session
from core.publish import MANIFEST, STAGED, publish
from core.report import artifacts_of
from core.retractions import retracted
from core.runtime import Runtime

AdmitAll = Callable[[Runtime, Session, Sequence[Drop]], list[Outcome]]
"""Admits a batch of drops in the transaction at hand, marts included."""

_BATCH_DROPS = 200
_BATCH_BYTES = 512 << 20


def process(runtime: Runtime, dropped: Sequence[FileDropped], tell: Callable[[Outcome], None]) -> list[Outcome]:
    """Take drops through the pipeline, after whatever an earlier process left unfinished; `tell` each outcome.

    Drops that wait together are taken in order of as_of, parents before children.

    Raises:
        Busy: the root or the warehouse stayed in other hands for `wait_seconds`; no drop is lost.
        Untaken: a file could not be taken from where it lies; the others were.
    """
    outcomes, note = gathered(tell)

    def work() -> None:
        settle(runtime, dropped, note)
        if all(outcome.postponed for outcome in outcomes) and runtime.warehouse.exists():
            with runtime.session() as session:
                publish_committed(runtime, session)
        tell_refused(runtime, outcomes)

    runtime.alone(work)
    return outcomes


def gathered(tell: Callable[[Outcome], None]) -> tuple[list[Outcome], Callable[[Outcome], None]]:
    """A list of all outcomes that are told from now on, and how to tell one; it outlives work that begins again."""
    outcomes: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        content = outcome.drop.claim.dropped.content
        outcomes[:] = [one for one in outcomes if not one.postponed or one.drop.claim.dropped.content != content]
        outcomes.append(outcome)
        tell(outcome)

    return outcomes, note


def tell_refused(runtime: Runtime, outcomes: Sequence[Outcome]) -> None:
    """Stop where files could not be taken from where they lie, now that the others are.

    Raises:
        Untaken: with the outcomes of the others.
    """
    refused = runtime.store.refused()
    if refused is not None:
        raise Untaken(refused, outcomes)


def settle(
    runtime: Runtime,
    dropped: Sequence[FileDropped] = (),
    tell: Callable[[Outcome], None] = lambda _: None,
    admit_all: AdmitAll | None = None,
) -> None:
    """What `process` does, for a caller who holds the root; `admit_all` admits a batch in another way than usual."""
    if not dropped and not runtime.store.unfinished():
        return

    def take(session: Session, batch: Sequence[Drop]) -> None:
        for outcome in _work_off(runtime, session, batch, admit_all or _admit_all):
            tell(outcome)

    with runtime.session() as session:
        # The warehouse is open before any file is taken: who is told to try again finds all files where they were.
        drops = claimed(runtime, dropped)
        _discard_uncommitted(runtime, session, drops)
        runtime = replace(runtime, waiting={drop.sha256: drop.claim.path for drop in drops})
        ahead = batches(drops)
        for batch in itertools.islice(ahead, 1):
            take(session, batch)
    for batch in ahead:  # others may read the warehouse in between
        with runtime.session() as session:
            take(session, batch)


def _discard_uncommitted(runtime: Runtime, session: Session, drops: Sequence[Drop]) -> None:
    """Remove what a process had staged that died before its commit: taken with others, a drop may have less to tell."""
    for drop in drops:
        workspace = runtime.store.workspace(drop.claim.claim_id)
        staged = [workspace / name for name in STAGED if (workspace / name).exists()]
        if staged and ledger.delivered_as(session, drop.claim.claim_id) is None:
            for path in staged:
                path.unlink()


def with_waiting(runtime: Runtime) -> Runtime:
    """The runtime, aware of the claims that an earlier process left; they are not processed by this."""
    drops = claimed(runtime, ())
    return replace(runtime, waiting={drop.sha256: drop.claim.path for drop in drops})


def claimed(runtime: Runtime, dropped: Sequence[FileDropped]) -> list[Drop]:
    """Claim what dropped, and what was left unfinished, in the order in which it is to be taken."""
    claims = [*runtime.store.unfinished(), *runtime.store.claim(dropped)]
    drops = [identify(claim, runtime.pipeline) for claim in sorted(claims, key=lambda claim: claim.claim_id)]
    return sorted(drops, key=lambda drop: _order(runtime.pipeline, drop.as_of.moment, drop.feed, drop.name))


def in_order(dropped: Sequence[FileDropped], pipeline: Pipeline) -> list[FileDropped]:
    """Files in the order in which they are taken where they wait together: by as_of, parents before children."""

    def order(fact: FileDropped) -> tuple[object, ...]:
        contract, as_of, _ = addressed(fact, pipeline)
        return _order(pipeline, as_of.moment, contract.feed if contract else "", fact.name)

    return sorted(dropped, key=order)


def _order(pipeline: Pipeline, as_of: datetime, feed: str, name: str) -> tuple[object, ...]:
    feeds = pipeline.feed_order
    return as_of, feeds.index(feed) if feed in feeds else len(feeds), name


def batches(drops: Sequence[Drop]) -> Iterator[list[Drop]]:
    """Drops that are folded in one transaction: bounded in number and bytes, so that memory stays flat."""
    batch: list[Drop] = []
    size = 0
    for drop in drops:
        if batch and (len(batch) >= _BATCH_DROPS or size + drop.text_bytes > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(drop)
        size += drop.text_bytes
    if batch:
        yield batch


def _work_off(runtime: Runtime, session: Session, batch: Sequence[Drop], admit_all: AdmitAll) -> Iterator[Outcome]:
    """Admit a batch in one transaction, then publish and put the files in their place.

    If one of several is refused, or cannot be taken for now, all are rolled back and taken one by one, so that it alone
    is quarantined, or postponed.
    """
    try:
        outcomes = _admitted(runtime, session, batch, admit_all)
    except (DataRefused, Postponed) as error:
        if len(batch) > 1:
            for drop in batch:
                yield from _work_off(runtime, session, [drop], _admit_all)
        else:
            yield Outcome(batch[0], Delivered.POSTPONED, "", error=str(error), hint=error.hint)
        return
    yield from _complete(runtime, session, outcomes)


def _admitted(runtime: Runtime, session: Session, batch: Sequence[Drop], admit_all: AdmitAll) -> list[Outcome]:
    """Admit a batch, or quarantine the one drop that it has.

    Raises:
        DataRefused: a check or the engine refused one of several.
        Postponed: one of them cannot be taken for now.
    """
    try:
        with session.transaction():
            outcomes = admit_all(runtime, session, batch)
            runtime.store.secure([drop.claim for drop in batch])
    except DataRefused as refusal:
        if len(batch) > 1:
            raise
        with session.transaction():
            outcomes = [admit(runtime, session, batch[0], refusal)]
            runtime.store.secure([batch[0].claim])
    return outcomes


def _admit_all(runtime: Runtime, session: Session, batch: Sequence[Drop]) -> list[Outcome]:
    """Admit a batch, in micro-batches where these make it cheaper."""
    if len(batch) >= micro_batch.FEWEST:
        parts = micro_batch.divide(runtime, session, batch)
        if any(isinstance(part, MicroBatch) for part in parts):
            return _admit_in_bulk(runtime, session, parts)
    return _admit_each(runtime, session, batch)


def _admit_in_bulk(runtime: Runtime, session: Session, parts: Sequence[Drop | MicroBatch]) -> list[Outcome]:
    """Admit micro-batches, and what stands between them; all marts are computed once, at the end."""
    moment_before = mart.moment(session)
    no_changes(session, runtime.pipeline.contracts.values())
    bulk = Bulk()
    outcomes: list[Outcome] = []
    for part in parts:
        if isinstance(part, MicroBatch):
            outcomes += admit_micro_batch(runtime, session, part, bulk)
        else:
            outcomes.append(admit(runtime, session, part, bulk=bulk))
    return compute_marts(runtime, session, bulk, outcomes, moment_before)


def _admit_each(runtime: Runtime, session: Session, batch: Sequence[Drop]) -> list[Outcome]:
    """Admit drop by drop; marts without a change file are computed once, at the end."""
    due = Due() if len(batch) > 1 else None
    outcomes = [admit(runtime, session, drop, due=due, last=drop is batch[-1]) for drop in batch]
    if due is not None and due.pending:
        refreshed = due.refresh(session, runtime.pipeline)
        results = checks.check_marts(session, refreshed)
        checks.refuse_failed(results)
        outcomes, _ = credit_newest(session, outcomes, refreshed, results)
    return outcomes


def _complete(runtime: Runtime, session: Session, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Publish what was committed, then put the files in their place."""
    publish_committed(runtime, session)
    return _put_away(runtime, outcomes)


def publish_committed(runtime: Runtime, session: Session, *, taken_back: bool = False) -> None:
    """Publish whatever is committed and not yet published, drops of a crashed process included.

    The marts' artifacts are written when the runtime's pace allows; until then they stay as they are. `taken_back` is
    whether a drop just was, or was taken in again, so that its own files have to go in any case.
    """
    drops = ledger.unpublished(session)
    current = ledger.artifacts_current(session)
    if drops:
        newest: str | None = [*drops][-1]
    elif current:
        return
    else:
        newest = ledger.newest(session)
        if newest is None and not runtime.store.exists(MANIFEST):
            return
    whole = runtime.pace.due
    if not whole:
        runtime.pace.put_off()
    if drops or whole or taken_back:
        for drop_id in [] if current else retracted(session):
            for name in artifacts_of(drop_id):
                runtime.store.remove(f"outputs/{name}")
        publish(session, runtime.store, runtime.pipeline, drops, newest, whole=whole)
        with session.transaction(single=current == whole):
            ledger.mark_published(session, [*drops], runtime.clock())
            if current != whole:
                ledger.mark_artifacts(session, current=whole)
    if whole:
        runtime.pace.written()


def _put_away(runtime: Runtime, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Move the files to archive or quarantine. What came again is in the archive already."""
    store = runtime.store
    placed, kept = [], {}
    for outcome in outcomes:
        drop, file = outcome.drop, outcome.file
        match outcome.delivered:
            case Delivered.QUARANTINED:
                file = quarantine.set_apart(store, drop)
            case Delivered.ACCEPTED:
                file = drop.archive_name
                quarantine.place_rejects(store, drop)
                kept[file] = drop.claim
            case Delivered.DUPLICATE | Delivered.RETRACTED if not store.exists(file):
                kept[file] = drop.claim
        placed.append(replace(outcome, file=file))
    store.keep(kept)
    store.release([outcome.drop.claim for outcome in placed])
    return placed
