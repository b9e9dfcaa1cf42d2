"""What became of files: collected, printed, and made an exit code of."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from dropledger.core.drop import FileDropped
from dropledger.core.errors import DataRefused, DropledgerError, Unavailable
from dropledger.core.ledger.outcome import Outcome, PartialFailure
from dropledger.handlers import render
from dropledger.handlers.cli.context import Context


def run_and_collect(
    run: Callable[[], Sequence[Outcome]], facts: Sequence[FileDropped] = ()
) -> tuple[Sequence[Outcome], DropledgerError | None]:
    """The outcomes of the files that were taken, and the error of those that were not, or were gone before that."""
    try:
        outcomes = run()
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
    context: Context,
    outcomes: Sequence[Outcome],
    failure: DropledgerError | None,
    show: Callable[[Sequence[Outcome]], None],
) -> int:
    """Print what became of files, `show` does it for people, and the error of those not taken; the exit code."""
    not_taken = {"error": render.failure_entry(failure)} if failure else {}
    document = {"outcomes": [outcome.as_json() for outcome in outcomes], **not_taken}
    context.print_result(document, lambda: show(outcomes))
    for outcome in outcomes:
        render.bug(outcome.failure)
    if failure is None:
        return exit_code(outcomes)
    render.error(failure)
    render.bug(failure.__cause__)
    return most_urgent([failure.exit_code, exit_code(outcomes)])


def most_urgent(codes: Iterable[int]) -> int:
    """The exit code of several files by the codes of each: that of a bug first, of refused data last."""
    return min(codes, key=(1, 2, 4, 3, 0).index, default=0)


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """1 or 2 where a file has failed, else 4 where one is postponed, else 3 where data were refused, else 0."""
    codes = {outcome.failure.exit_code for outcome in outcomes if outcome.failure is not None}
    if any(outcome.postponed for outcome in outcomes):
        codes.add(Unavailable.exit_code)
    if any(outcome.refused for outcome in outcomes):
        codes.add(DataRefused.exit_code)
    return most_urgent(codes)


def show_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Print the outcomes as a table, and below it what was refused and what to do about it."""
    columns = ("drop_id", "file", "outcome", "as_of", "rows", "rejected", "versions")
    rows = [
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
    ]
    render.table("", columns, rows)
    for outcome in outcomes:
        _show_what_to_do(outcome)
        if outcome.rows_duplicate:
            render.line(f"{outcome.drop.name}: {render.counted(outcome.rows_duplicate, 'duplicate row')} left out.")
        render.origin(outcome.drop.name, outcome.drop.as_of.moment, outcome.drop.as_of.source, late=outcome.late)
        for warning in outcome.warnings:
            render.line(f"{outcome.drop.name}: warning: {warning}")


def _show_what_to_do(outcome: Outcome) -> None:
    if not outcome.taken:
        render.line(f"{outcome.drop.name}: {outcome.delivered}: {outcome.error}")
        render.line(f"  Try: {outcome.hint}")
    elif outcome.error:
        render.line(f"{outcome.drop.name}: refused ({outcome.rule}): {outcome.error}")
        render.line(f"  It is in {outcome.file}. Try: {outcome.hint}")
    elif outcome.rows_rejected:
        render.line(f"{outcome.drop.name}: {render.counted(outcome.rows_rejected, 'row')} rejected.")
        render.line(f"  Try: dropledger rejects {outcome.drop.drop_id}")
