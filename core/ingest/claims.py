"""Claims: what was taken into work, in the order in which it goes on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from dropledger.core.contracts.pipeline_spec import Pipeline
from dropledger.core.drop import FileDropped
from dropledger.core.errors import PipelineError, Unforeseen
from dropledger.core.formats.extract import Drop
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger.fault import meets_one_file, set_apart, unidentified
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.steps.address import addressed
from dropledger.core.steps.intake import identify

_BATCH_DROPS = 200
_BATCH_BYTES = 512 << 20


def with_claimed(runtime: Runtime) -> Runtime:
    """The runtime, aware of the claims that an earlier process left; they are not processed by this."""
    drops, _ = claimed(runtime, ())
    return replace(runtime, claimed={drop.sha256: drop.claim.path for drop in drops})


def claimed(runtime: Runtime, dropped: Sequence[FileDropped]) -> tuple[list[Drop], list[Outcome]]:
    """Claim what dropped, and what was left unfinished, in the order in which it is to be taken.

    Beside it the outcomes of files that cannot even be looked at.
    """
    claims = [*runtime.store.unfinished(), *runtime.store.claim(dropped)]
    drops, apart = [], []
    for claim in sorted(claims, key=lambda claim: claim.claim_id):
        if claim.claim_id in runtime.failed:
            continue
        try:
            drops.append(identify(claim, runtime.pipeline))
        except Exception as error:
            if not meets_one_file(error):
                raise
            apart.append(set_drop_apart(runtime, unidentified(claim), error))
    return ordered(drops, runtime.pipeline), apart


def ordered(drops: Sequence[Drop], pipeline: Pipeline) -> list[Drop]:
    """Drops in the order in which they are taken where they wait together: by as_of, parents before children."""
    return sorted(drops, key=lambda drop: _order(pipeline, drop.as_of.moment, drop.feed, drop.name))


def set_drop_apart(runtime: Runtime, drop: Drop, error: Exception) -> Outcome:
    """The outcome of a drop that met an error, and stays in work."""
    outcome = set_apart(drop, error, runtime.clock(), runtime.store)
    if isinstance(outcome.failure, Unforeseen | PipelineError):  # which a watch would meet with each file that lands
        runtime.failed.add(drop.claim.claim_id)
    return outcome


def in_order(dropped: Sequence[FileDropped], pipeline: Pipeline) -> list[FileDropped]:
    """Files in the order that `ordered` has for their drops."""

    def order(fact: FileDropped) -> tuple[object, ...]:
        try:
            contract, as_of, _ = addressed(fact, pipeline)
        except Exception as error:
            if not meets_one_file(error):
                raise
            return _order(pipeline, fact.modified_at, "", fact.name)  # it is told of when it is claimed
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
