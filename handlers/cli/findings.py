"""What `dropledger doctor` finds in a root that waits for somebody."""

from collections.abc import Iterator
from functools import partial

from dropledger.core.drop import iso
from dropledger.core.ingest.control_files import left_waiting
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger import ledger
from dropledger.core.ports.session import Session
from dropledger.core.steps.quarantine import unresolved
from dropledger.core.steps.soundness import archive_differences, artifact_differences, in_work, refuse_lost_warehouse
from dropledger.core.views.drops import superseded
from dropledger.core.views.status import read_status
from dropledger.handlers.wiring import WAREHOUSE, earlier_warehouse


def findings(runtime: Runtime) -> Iterator[tuple[str, str]]:
    """What waits for somebody, each with what to try; as far as it can be seen before something is out of reach."""
    store, warehouse = runtime.store, runtime.warehouse
    yield from store.stuck()
    yield from _without_control(runtime)
    quarantined = store.backlog()["quarantine"]
    if quarantined and not warehouse.exists():
        yield _in_quarantine(quarantined)
    for place in warehouse.left_over():
        hint = "nothing: it goes at the next start of a command that takes files"
        yield f"{place} was left by a process that was killed", hint
    yield from _of_two_versions(runtime)
    refuse_lost_warehouse(store, warehouse)
    if warehouse.exists():
        with runtime.sound_reading() as session:
            if quarantined and (left := len(unresolved(store, partial(superseded, session)))):
                yield _in_quarantine(left)
            yield from _of_ledger(runtime, session)


def _of_two_versions(runtime: Runtime) -> Iterator[tuple[str, str]]:
    """A warehouse under the name of an earlier version, beside the one of now: of a backup, or of that version."""
    earlier = earlier_warehouse(runtime.pipeline)
    in_use = runtime.warehouse.location == f"{runtime.store.root}/{WAREHOUSE}"
    if in_use and runtime.store.exists(WAREHOUSE) and runtime.store.exists(earlier):
        hint = (
            "stop what still runs an earlier version on this root; dropledger verify says whether the one in use "
            f"agrees with the archive, and dropledger replay makes it agree; then move {earlier} away"
        )
        yield f"there are two warehouses, {WAREHOUSE}, which is in use, and {earlier} of an earlier version", hint


def _without_control(runtime: Runtime) -> Iterator[tuple[str, str]]:
    paired = left_waiting(runtime.store, runtime.pipeline)
    for one in paired.awaited:
        text = f"{one.dropped.uri} waits for its control file {one.control_file} since {iso(one.since)}"
        yield text, "drop the control file into the same folder; to do without the drop, move it out of inbox/"
    for fact in paired.alone:
        text = f"the control file {fact.uri} waits for its data file since {iso(fact.modified_at)}"
        yield text, "drop the data file into the same folder, or move the control file out of inbox/"


def _in_quarantine(files: int) -> tuple[str, str]:
    hint = "read the .reason.json beside each, correct the file and drop it again under the same name"
    return f"{files} files lie in quarantine, and no correction was accepted", hint


def _of_ledger(runtime: Runtime, session: Session) -> Iterator[tuple[str, str]]:
    unpublished = ledger.to_publish(session).drops
    if unpublished:
        hint = "dropledger watch --once publishes them"
        yield f"{len(unpublished)} drops are committed and not published", hint
    for found in archive_differences(runtime.store, session, in_work(runtime.store, session)):
        yield f"{found.name}: {found.problem}", found.hint
    for found in artifact_differences(runtime.store, session):
        yield f"{found.name}: {found.problem}", found.hint
    for feed, row in read_status(session, runtime.pipeline, runtime.clock)["feeds"].items():
        if not row["drops"] and feed in runtime.pipeline.file.moment:
            yield f"the feed {feed} has no drop yet", "drop a file; docs/contracts.md says how it must look"
