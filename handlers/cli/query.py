"""The commands that only look: status, freshness, drops, show, rejects, history, explain, sql."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from dropledger.core import __version__
from dropledger.core.errors import DataRefused, Different
from dropledger.handlers.cli.command import Moment, command
from dropledger.handlers.cli.context import Context


@command
def status(context: Context) -> int:
    """Show freshness, sizes, warnings, and what waits."""
    from dropledger.core.ingest.control_files import left_waiting
    from dropledger.core.steps.soundness import refuse_lost_warehouse
    from dropledger.core.views.status import read_status
    from dropledger.handlers.cli.query_text import show_status

    runtime = context.wire_existing()
    found: dict[str, Any] = {"drops": {}, "deliveries": 0, "moment": None, "feeds": {}, "marts": {}, "warnings": []}
    if runtime.warehouse.exists():
        with runtime.reading() as session:
            found = read_status(session, runtime.pipeline, runtime.clock)
    else:
        refuse_lost_warehouse(runtime.store, runtime.warehouse)
    document = {
        "dropledger": __version__,
        "root": runtime.store.root,
        "warehouse": runtime.warehouse.location,
        "pipeline": runtime.pipeline.name,
        **found,
        "waiting": runtime.store.backlog(),
        "control_files": left_waiting(runtime.store, runtime.pipeline).as_json(),
    }
    context.print_result(document, lambda: show_status(document))
    return 0


@command
def freshness(context: Context) -> int:
    """Show how old feeds are beside what their contracts say.

    The exit code is 3 where a feed is late: older than the entry error_after of its contract. Whoever the
    setting alerts names is told of it.
    """
    from dropledger.core.contracts.freshness import FreshnessState
    from dropledger.core.steps.soundness import refuse_lost_warehouse
    from dropledger.core.views.freshness import read_freshness, worst
    from dropledger.handlers.cli.query_text import show_freshness

    runtime = context.wire_existing()
    if runtime.warehouse.exists():
        with runtime.reading() as session:
            found = read_freshness(session, runtime.pipeline, runtime.clock)
    else:
        refuse_lost_warehouse(runtime.store, runtime.warehouse)
        found = read_freshness(None, runtime.pipeline, runtime.clock)
    context.print_result({"feeds": found}, lambda: show_freshness(found))
    context.tell(runtime)
    return DataRefused.exit_code if worst(found) == FreshnessState.LATE else 0


@command
@click.option("--feed", help="Only this feed.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Maximum rows.")
def drops(context: Context, feed: str | None, limit: int) -> int:
    """List the newest drops with their outcomes and warnings."""
    from dropledger.core.views.drops import list_drops
    from dropledger.handlers.cli.query_text import show_drops

    runtime = context.wire_existing()
    if feed is not None:
        runtime.pipeline.contract(feed)
    with runtime.reading() as session:
        found = list_drops(session, feed, limit, runtime.pipeline)
    context.print_result({"drops": found}, lambda: show_drops(found))
    return 0


@command
@click.argument("drop_id")
def show(context: Context, drop_id: str) -> int:
    """Show all about a drop: counts, deliveries, checks, retractions, contract and files."""
    from dropledger.core.views.show import show as find_all_about
    from dropledger.handlers.cli.query_text import show_drop

    runtime = context.wire_existing()
    with runtime.reading() as session:
        found = find_all_about(session, runtime.store, runtime.pipeline, drop_id)
    context.print_result(found, lambda: show_drop(found))
    return 0


@command
@click.argument("drop_id")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="Maximum rows.")
def rejects(context: Context, drop_id: str, limit: int) -> int:
    """Show the rejected rows of a drop, with line, rule and reason."""
    from dropledger.core.views.drops import find_drop, list_rejects
    from dropledger.handlers.cli.query_text import show_rejects

    runtime = context.wire_existing()
    with runtime.reading() as session:
        drop = find_drop(session, drop_id)
        found = list_rejects(session, drop["drop_id"], limit)
    context.print_result({"drop": drop, "rejects": found}, lambda: show_rejects(drop, found))
    return 0


@command
@click.argument("feed")
@click.argument("key")
def history(context: Context, feed: str, key: str) -> int:
    """Show the versions of a key, with file and line of each.

    KEY has a part for each column of the feed's key, separated by commas. Quote a part that holds a comma, as in CSV:
    '"Lee, Ann",7'. Put -- before a key that begins with a hyphen: dropledger history account -- -5.
    """
    from dropledger.core.operations.last_seen import find_last_seen
    from dropledger.core.views.keys import read_key
    from dropledger.core.views.timeline import find_timeline
    from dropledger.handlers.cli.query_text import show_timeline

    runtime = context.wire_existing()
    contract = runtime.pipeline.contract(feed)
    with runtime.reading() as session:
        found = find_timeline(session, runtime.pipeline, feed, key)
        seen = find_last_seen(session, runtime.archive, contract, read_key(key, contract))
    document = {"feed": feed, "key": key, "versions": found, "last_seen": seen}
    context.print_result(document, lambda: show_timeline(f"{feed} {key}", contract.key, found, seen))
    return 0


@command
@click.argument("words", nargs=-1, required=True, metavar="[MART] KEY")
@click.option("--as-of", type=Moment(), help="Explain the figure as of this time; by default the newest.")
def explain(context: Context, words: Sequence[str], as_of: datetime | None) -> int:
    """Show how a figure came about: files, lines, rule, arithmetic.

    MART is a table that the pipeline explains; by default the first. KEY has a part for each column of its key,
    separated by commas. Put -- before a key that begins with a hyphen: dropledger explain -- -5.
    """
    if len(words) > 2:
        raise click.UsageError(f"explain takes a mart and a key, and there are {len(words)} words")

    from dropledger.core.operations.last_seen import find_last_seen
    from dropledger.core.views import explain as view
    from dropledger.core.views.keys import read_key
    from dropledger.handlers.cli.query_text import show_explanation

    mart, key = words[0] if len(words) > 1 else None, words[-1]
    runtime = context.wire_existing()
    with runtime.reading() as session:
        found = view.explain(session, runtime.pipeline, mart, key, as_of)
        mart_of_key, explanation = view.explanation_of(runtime.pipeline, mart)
        found["last_seen"] = None
        if explanation.of is not None:
            contract = runtime.pipeline.contract(explanation.of)
            found["last_seen"] = find_last_seen(session, runtime.archive, contract, read_key(key, contract), as_of)
    context.print_result(found, lambda: show_explanation(mart_of_key, explanation, key, found))
    return Different.exit_code if found["agrees"] is False else 0


@command
@click.argument("query")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(0), help="Maximum rows; 0 for all.")
def sql(context: Context, query: str, limit: int) -> int:
    """Run a query on the warehouse, and show its rows.

    Tables go by their bare names; SHOW TABLES lists them, DESCRIBE NAME shows the columns of one. Nothing is
    written, and no file is read but those that src_ and stg_ show.
    """
    from dropledger.core.views.ask import ask
    from dropledger.handlers.cli.query_text import show_answer

    runtime = context.wire_existing()
    with runtime.reading() as session:
        answer = ask(session, query, limit)
    rows = [{name: _exact(value) for name, value in row.items()} for row in answer.rows] if context.json else []
    document = {"columns": list(answer.columns), "rows": rows, "more": answer.more}
    context.print_result(document, lambda: show_answer(answer, limit))
    return 0


def _exact(value: Any) -> Any:
    """A value for JSON: a number that is no integer as text, at any depth, as none but integers stay what they are."""
    match value:
        case float():
            return str(value)
        case bytes():
            return value.hex()
        case Mapping():
            return {str(name): _exact(part) for name, part in value.items()}
        case list() | tuple():
            return [_exact(part) for part in value]
        case _:
            return value


COMMANDS = (status, freshness, drops, show, rejects, history, explain, sql)
