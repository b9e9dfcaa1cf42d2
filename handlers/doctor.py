"""`dropledger doctor`: settings, permissions, versions, what is stuck and what to do."""

import platform
from typing import Any

from core import __version__, ledger, look
from core.errors import DropledgerError
from core.runtime import Runtime
from handlers import render
from handlers.wiring import wire


def doctor(*, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """Print what was found; the exit code is that of the worst finding, 0 if all is well."""
    runtime = wire(root=root, warehouse=warehouse, waiting=render.waiting(quiet=quiet))
    settings = {
        "root": runtime.store.root,
        "warehouse": runtime.warehouse.location,
        "pipeline": f"{runtime.pipeline.name} ({runtime.pipeline.folder})",
        "wait_seconds": runtime.wait_seconds,
    }
    versions = {"dropledger": __version__, "python": platform.python_version(), **dict(runtime.warehouse.versions())}
    problems = [{"problem": problem, "try": hint} for problem, hint in runtime.store.problems()]
    code = 2 if problems else 0
    try:
        problems += _stuck(runtime)
    except DropledgerError as failure:
        problems.append({"problem": str(failure), "try": failure.hint})
        code = failure.exit_code
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


def _stuck(runtime: Runtime) -> list[dict[str, Any]]:
    found = [{"problem": problem, "try": hint} for problem, hint in runtime.store.stuck()]
    waiting = runtime.store.waiting()
    if waiting["quarantine"]:
        found.append(
            {
                "problem": f"{waiting['quarantine']} files lie in quarantine",
                "try": "read the .reason.json beside each, correct the file and drop it again; then delete it",
            }
        )
    if runtime.warehouse.exists():
        with runtime.warehouse.session(read_only=True) as session:
            unpublished = ledger.unpublished(session)
            state = look.status(session, runtime.pipeline)
        if unpublished:
            found.append(
                {
                    "problem": f"{len(unpublished)} drops are committed and not published",
                    "try": "dropledger watch --once publishes them",
                }
            )
        found += [
            {
                "problem": f"the feed {feed} has no drop yet",
                "try": "drop a file; docs/contracts.md says how it must look",
            }
            for feed, row in state["feeds"].items()
            if not row["drops"] and feed in runtime.pipeline.file.moment
        ]
    return found
