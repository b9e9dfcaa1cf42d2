"""`dropledger process`: files named by hand take the same way as dropped ones."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from dropledger.core.drop import FileDropped
from dropledger.core.errors import ConfigurationError, DataRefused, DropledgerError, Unavailable
from dropledger.core.ingest.run import process as run
from dropledger.core.ledger.outcome import Outcome, PartialFailure
from dropledger.handlers import render
from dropledger.handlers.cli.progress import one_by_one, progress
from dropledger.handlers.wiring import wire
from dropledger.infra.local.inbox import dropped_file

DIFFERENT = 5
"""The exit code where what is there is not what it should be."""


def process(
    *,
    files: Sequence[Path],
    as_of: datetime | None,
    feed: str | None,
    root: str | None,
    warehouse: str | None,
    json: bool,
    quiet: bool,
) -> int:
    """Process the files; the exit code."""
    runtime = wire(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    if feed is not None:
        runtime.pipeline.contract(feed)
    facts = []
    for path in files:
        if path.is_dir():
            raise ConfigurationError(
                f"{path} is a folder, and process takes files",
                hint=f"dropledger backfill {path} loads all files below it, in any order; or name the files",
            )
        if not path.is_file():
            raise ConfigurationError(
                f"{path} cannot be processed",
                why="it does not exist" if not path.exists() else "it is not a regular file",
                hint="name files that exist",
            )
        facts.append(dropped_file(path.absolute(), feed=feed, as_of=as_of, keep_original=True))
    with progress("processing", "files", hidden=quiet or json or len(facts) == 1) as tell:
        outcomes, failure = taken(lambda: run(runtime, facts, one_by_one(tell, len(facts))), facts)
    return report_outcomes("process", outcomes, failure, show, json=json, quiet=quiet)


def taken(
    work: Callable[[], Sequence[Outcome]], facts: Sequence[FileDropped] = ()
) -> tuple[Sequence[Outcome], DropledgerError | None]:
    """The outcomes of what was taken, and what to say of files that were not, or were gone before their turn."""
    try:
        outcomes = work()
    except PartialFailure as failure:
        return failure.outcomes, failure
    vanished = Counter(fact.name for fact in facts) - Counter(outcome.drop.name for outcome in outcomes)
    if not vanished:
        return outcomes, None
    others = f", as were {vanished.total() - 1} others" if vanished.total() > 1 else ""
    return outcomes, Unavailable(
        f"{next(fact.uri for fact in facts if fact.name in vanished)} was gone before it could be taken{others}",
        hint="look whether another program moves files there; dropledger drops lists what was taken",
    )


def report_outcomes(
    command: str,
    outcomes: Sequence[Outcome],
    failure: DropledgerError | None,
    show: Callable[[Sequence[Outcome]], None],
    *,
    json: bool,
    quiet: bool,
) -> int:
    """Say what became of files, and which ones could not be taken; the exit code."""
    if json:
        untaken = {"error": render.failure_entry(failure)} if failure else {}
        render.as_json({"command": command, "outcomes": [outcome.as_json() for outcome in outcomes], **untaken})
    elif not quiet:
        show(outcomes)
    for bug in (outcome.failure for outcome in outcomes):
        render.bug(bug)
    if failure is None:
        return exit_code(outcomes)
    render.error(failure)
    render.bug(failure.__cause__)
    return most_urgent([failure.exit_code, exit_code(outcomes)])


def most_urgent(codes: Iterable[int]) -> int:
    """The exit code to leave with, of those of several files: of a bug first, of refused data last."""
    return min(codes, key=(1, 2, 4, 3, 0).index, default=0)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """1 or 2 where a file has failed, else 4 where one is postponed, else 3 where data were refused, else 0."""
    codes = {outcome.failure.exit_code for outcome in outcomes if outcome.failure is not None}
    if any(outcome.postponed for outcome in outcomes):
        codes.add(Unavailable.exit_code)
    if any(outcome.refused for outcome in outcomes):
        codes.add(DataRefused.exit_code)
    return most_urgent(codes)


def show(outcomes: Sequence[Outcome]) -> None:
    """The outcomes as a table, and below it what was refused and what to do about it."""
    columns = ("drop_id", "file", "outcome", "as_of", "rows", "rejected", "versions")
    render.table(
        "",
        columns,
        [
            (
                outcome.drop.drop_id or None,
                outcome.drop.name,
                str(outcome.delivered),
                outcome.drop.as_of.moment,
                outcome.rows_read,
                outcome.rows_rejected,
                f"+{outcome.versions_opened} -{outcome.versions_closed}",
            )
            for outcome in outcomes
        ],
    )
    for outcome in outcomes:
        if not outcome.taken:
            render.line(f"{outcome.drop.name}: {outcome.delivered}: {outcome.error}")
            render.line(f"  Try: {outcome.hint}")
        elif outcome.error:
            render.line(f"{outcome.drop.name}: refused ({outcome.rule}): {outcome.error}")
            render.line(f"  It is in {outcome.file}. Try: {outcome.hint}")
        elif outcome.rows_rejected:
            render.line(f"{outcome.drop.name}: {render.counted(outcome.rows_rejected, 'row')} rejected.")
            render.line(f"  Try: dropledger rejects {outcome.drop.drop_id}")
        if outcome.rows_duplicate:
            render.line(f"{outcome.drop.name}: {render.counted(outcome.rows_duplicate, 'duplicate row')} left out.")
        render.origin(outcome.drop.name, outcome.drop.as_of.moment, outcome.drop.as_of.source, late=outcome.late)
        for warning in outcome.warnings:
            render.line(f"{outcome.drop.name}: warning: {warning}")
