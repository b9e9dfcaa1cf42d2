"""`dropledger doctor`: settings, permissions, versions, what is stuck and what to do."""

import platform
from collections.abc import Iterator
from functools import partial

from dropledger.core import __version__
from dropledger.core.errors import DropledgerError
from dropledger.core.ingest.runtime import Runtime
from dropledger.core.ledger import ledger
from dropledger.core.ports.session import Session
from dropledger.core.steps.quarantine import unresolved
from dropledger.core.steps.soundness import archive_differences, artifact_differences, in_work, refuse_lost_warehouse
from dropledger.core.views.drops import superseded
from dropledger.core.views.status import read_status
from dropledger.handlers import render
from dropledger.handlers.variables import misspelt
from dropledger.handlers.wiring import WAREHOUSE, earlier_warehouse, wire_existing


def doctor(*, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """Print what was found; the exit code is that of the worst finding, 0 if all is well."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    settings = {
        "root": runtime.store.root,
        "warehouse": runtime.warehouse.location,
        "pipeline": f"{runtime.pipeline.name} ({runtime.pipeline.folder})",
        "wait_seconds": runtime.wait_seconds,
    }
    versions = {"dropledger": __version__, "python": platform.python_version(), **dict(runtime.warehouse.versions())}
    found = runtime.store.problems()
    code = 2 if found else 0
    found.extend((f"{name} is set, and is not a setting", hint) for name, hint in misspelt())
    try:
        found.extend(_stuck(runtime))  # of which those before an error stay
    except DropledgerError as failure:
        found.append((str(failure), failure.hint))
        code = failure.exit_code
    problems = [{"problem": problem, "try": hint} for problem, hint in found]
    if json:
        render.as_json({"command": "doctor", "settings": settings, "versions": versions, "problems": problems})
    elif not quiet:
        render.table("settings", ("setting", "value"), list(settings.items()))
        render.table("versions", ("program", "version"), list(versions.items()))
        for problem in problems:
            render.line(f"! {problem['problem']}\n  Try: {problem['try']}")
        if not problems:
            render.line("Nothing is stuck.")
    return code


def _stuck(runtime: Runtime) -> Iterator[tuple[str, str]]:
    """What waits for somebody, each with what to try; as far as it can be seen before something is out of reach."""
    store, warehouse = runtime.store, runtime.warehouse
    yield from store.stuck()
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
    for feed, row in read_status(session, runtime.pipeline)["feeds"].items():
        if not row["drops"] and feed in runtime.pipeline.file.moment:
            yield f"the feed {feed} has no drop yet", "drop a file; docs/contracts.md says how it must look"
