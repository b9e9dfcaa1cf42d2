"""`dropledger doctor`: settings, permissions, versions, what is stuck and what to do."""

from collections.abc import Mapping, Sequence
from typing import Any

from dropledger.core import __version__
from dropledger.core.errors import DropledgerError
from dropledger.handlers.cli.command import command
from dropledger.handlers.cli.context import Context
from dropledger.handlers.variables import misspelt


@command
def doctor(context: Context) -> int:
    """Check the set-up, and say what is stuck and what to do."""
    import platform

    from dropledger.handlers.cli.findings import findings

    runtime = context.wire_existing()
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
        found.extend(findings(runtime))  # of which those before an error stay
    except DropledgerError as failure:
        found.append((str(failure), failure.hint))
        code = failure.exit_code
    problems = [{"problem": problem, "try": hint} for problem, hint in found]
    document = {"settings": settings, "versions": versions, "problems": problems}
    context.print_result(document, lambda: _show(settings, versions, problems))
    return code


def _show(settings: Mapping[str, Any], versions: Mapping[str, str], problems: Sequence[Mapping[str, str]]) -> None:
    from dropledger.handlers import render

    render.table("settings", ("setting", "value"), list(settings.items()))
    render.table("versions", ("program", "version"), list(versions.items()))
    for problem in problems:
        render.line(f"! {problem['problem']}\n  Try: {problem['try']}")
    if not problems:
        render.line("Nothing is stuck.")
