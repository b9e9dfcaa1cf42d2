"""What follows the commit: artifacts are published, and files put in their place."""

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

from dropledger.core.errors import ConfigurationError
from dropledger.core.formats.extract import Drop
from dropledger.core.ingest.claims import set_drop_apart
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger import ledger
from dropledger.core.ledger.fault import meets_one_file
from dropledger.core.ledger.files import artifacts_of, control_name
from dropledger.core.ledger.ledger import Delivered
from dropledger.core.ledger.outcome import Outcome
from dropledger.core.ledger.retractions import retracted
from dropledger.core.ports.session import Session
from dropledger.core.ports.store import Store
from dropledger.core.steps import quarantine
from dropledger.core.steps.publish import MANIFEST, Published, publish
from dropledger.core.steps.soundness import is_whole


def complete(runtime: Runtime, session: Session, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Publish what was committed, then put the files in their place."""
    publish_committed(runtime, session, outcomes)
    return _put_away(runtime, outcomes)


def publish_committed(
    runtime: Runtime, session: Session, outcomes: Sequence[Outcome] = (), *, taken_back: bool = False
) -> None:
    """Publish whatever is committed and not yet published, drops of a crashed process included.

    The marts' artifacts are written when the runtime's pace allows; until then they stay as they are. `outcomes` are
    those of the transaction before, whose keys `Runtime.touched` has. `taken_back` is whether a drop just was, or was
    taken in again, so that its own files have to go in any case.
    """
    found = ledger.to_publish(session)
    drops, current = found.drops, found.current
    just_taken = {*drops} == {outcome.drop.drop_id for outcome in outcomes if outcome.in_history}
    if drops and just_taken:
        newest: str | None = [*drops][-1]
    elif current and not drops:
        return
    else:  # one of them may have been taken in again, at its place of before
        newest = ledger.newest(session)
        if newest is None and not runtime.store.exists(MANIFEST):
            return
    whole = runtime.throttle.due
    if not whole:
        runtime.throttle.put_off()
    if drops or whole or taken_back:
        began = monotonic()
        for drop_id in [] if current else retracted(session):
            for name in artifacts_of(drop_id):
                runtime.store.remove(f"outputs/{name}")
        before = found.manifest_sha256 if current and just_taken else None
        last, filled = Published(before, runtime.touched.of) if before else None, runtime.touched.filled
        sha256 = publish(session, runtime.store, runtime.pipeline, drops, newest, last, filled, whole=whole)
        if current == whole and sha256 is None:
            ledger.mark_published(session, [*drops], runtime.clock())
        else:
            with session.transaction():
                ledger.mark_published(session, [*drops], runtime.clock())
                ledger.mark_artifacts(session, current=whole, manifest_sha256=sha256)
        runtime.meter.published(monotonic() - began)
    if whole:
        runtime.throttle.written()


def _put_away(runtime: Runtime, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Move the files to archive or quarantine; one that cannot be moved stays in work, and keeps no other."""
    try:
        return _moved(runtime.store, outcomes)
    except Exception as error:
        # A link or a file in the way of one may not be in the way of the next.
        if not (isinstance(error, ConfigurationError) or meets_one_file(error)):
            raise
        if len(outcomes) > 1:
            return [placed for outcome in outcomes for placed in _put_away(runtime, [outcome])]
        return [set_drop_apart(runtime, outcomes[0].drop, error)]


def _moved(store: Store, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Move the files to archive or quarantine. What came again mends an archived copy that is not whole."""
    placed, kept = [], {}
    for outcome in outcomes:
        drop, file = outcome.drop, outcome.file
        match outcome.delivered:
            case Delivered.QUARANTINED:
                file = quarantine.set_apart(store, drop)
            case Delivered.ACCEPTED:
                file = file or drop.archive_name
                quarantine.place_rejects(store, drop)
                _keep_control(store, drop, file)
                kept[file] = drop.claim
            case Delivered.DUPLICATE | Delivered.RETRACTED:
                _keep_control(store, drop, file)
                if not is_whole(store, file, drop.sha256):
                    kept[file] = drop.claim
        placed.append(replace(outcome, file=file))
    store.keep(kept)
    store.release([outcome.drop.claim for outcome in placed])
    return placed


def _keep_control(store: Store, drop: Drop, file: str) -> None:
    """Put the control file beside where the drop is kept, before the drop: with that its claim ends."""
    control, sha256 = drop.claim.control, drop.control_sha256
    if control is not None and sha256 is not None and not is_whole(store, control_name(file), sha256):
        store.put({control_name(file): control})
