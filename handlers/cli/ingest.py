"""The commands that load files: process, watch, backfill, handle."""

import os
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from dropledger.core.errors import ConfigurationError, DropledgerError
from dropledger.handlers.cli.command import as_of_of_files, command, feed_of_files
from dropledger.handlers.cli.context import Context
from dropledger.handlers.cli.metrics import metered, metrics_file

if TYPE_CHECKING:
    from dropledger.core.drop import FileDropped
    from dropledger.core.ledger.outcome import Outcome
    from dropledger.handlers.aws_lambda.function import Handled


@command
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@as_of_of_files
@feed_of_files
@metrics_file
def process(
    context: Context, files: Sequence[Path], as_of: datetime | None, feed: str | None, metrics_file: Path | None
) -> int:
    """Load files in place.

    They go the same way as files that land in the inbox; the originals stay where they are.
    """
    from dropledger.core.ingest.run import process as run_process
    from dropledger.handlers.cli.progress import one_by_one
    from dropledger.handlers.originals import named_files
    from dropledger.handlers.outcomes import report_outcomes, run_and_collect, show_outcomes

    with metered(context, metrics_file) as runtime:
        if feed is not None:
            runtime.pipeline.contract(feed)
        for path in files:
            _refuse_unless_file(path)
        paired = named_files(files, runtime.pipeline, feed=feed, as_of=as_of)
        facts = paired.ready
        with context.progress("processing", "files", hidden=len(facts) == 1) as on_progress:
            on_outcome = one_by_one(on_progress, len(facts))
            outcomes, failure = run_and_collect(lambda: run_process(runtime, facts, on_outcome), facts)
    context.tell(runtime, outcomes)
    return report_outcomes(context, outcomes, failure or paired.refusal(), show_outcomes)


def _refuse_unless_file(path: Path) -> None:
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


@command
@click.option("--once", is_flag=True, help="Load what is in the inbox, then stop.")
@click.option("--poll", is_flag=True, help="Poll instead of file-system events, for network mounts.")
@metrics_file
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Serve metrics for Prometheus on this port.")
@click.option(
    "--metrics-listen", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Serve them on this address."
)
def watch(
    context: Context, once: bool, poll: bool, metrics_file: Path | None, metrics_port: int | None, metrics_listen: str
) -> int:
    """Load each file as it lands in the inbox.

    First loads what is there already.
    """
    from dropledger.handlers.watch.loop import watch as run_watch

    if once and metrics_port is not None:
        raise ConfigurationError("watch --once serves no metrics", hint="write them with --metrics-file")
    if metrics_file is not None and not once:
        raise ConfigurationError("watch writes no file of metrics but with --once", hint="serve them: --metrics-port")
    metrics_at = None if metrics_port is None else (metrics_listen, metrics_port)
    return run_watch(context, once=once, poll=poll, metrics_at=metrics_at, metrics_file=metrics_file)


@command
@click.argument("folder_or_prefix")
@metrics_file
def backfill(context: Context, folder_or_prefix: str, metrics_file: Path | None) -> int:
    """Load old extracts in place, in any order, many at once.

    All files below a folder or an s3://bucket/prefix; the originals stay where they are.
    """
    from dropledger.core.ingest.control_files import pair
    from dropledger.core.operations.backfill import backfill as run_backfill
    from dropledger.handlers.cli.progress import one_by_one
    from dropledger.handlers.outcomes import report_outcomes, run_and_collect

    with metered(context, metrics_file) as runtime:
        found, unreadable = _facts_below(folder_or_prefix, runtime.pipeline.contracts)
        paired = pair(found, runtime.pipeline)
        facts = paired.ready
        with context.progress("backfilling", "files") as on_progress:
            on_outcome = one_by_one(on_progress, len(facts))
            outcomes, failure = run_and_collect(lambda: run_backfill(runtime, facts, on_outcome), facts)
    context.tell(runtime, outcomes)
    if unreadable is not None and failure is not None:
        failure.why = f"{failure.why}; and {unreadable}"
    return report_outcomes(context, outcomes, failure or unreadable or paired.refusal(), _show_summary)


def _facts_below(
    folder_or_prefix: str, feeds: Collection[str]
) -> "tuple[Sequence[FileDropped], DropledgerError | None]":
    """The files, and the error of those that cannot be read."""
    from dropledger.handlers.settings import is_in_bucket

    if is_in_bucket(folder_or_prefix):
        from dropledger.handlers.wiring import bucket_at
        from dropledger.infra.object_store.originals import objects_below

        return objects_below(bucket_at(folder_or_prefix), feeds), None
    return _files_below(Path(folder_or_prefix), feeds)


def _files_below(folder: Path, feeds: Collection[str]) -> "tuple[list[FileDropped], DropledgerError | None]":
    """The same of a folder.

    As in the inbox, a folder named like a feed forces it, and folders with temporary names are left out.
    """
    from dropledger.core.drop import is_temporary
    from dropledger.core.steps.address import nearest_feed
    from dropledger.infra.local.file_names import readable
    from dropledger.infra.local.inbox import dropped_file
    from dropledger.infra.partial_failure import Failures

    if not folder.is_dir():
        raise ConfigurationError(
            f"{folder} is not a directory",
            hint="name the folder, or the s3://bucket/prefix, that holds the old extracts",
        )
    folder = folder.absolute()
    paths = sorted(Path(where, name) for where, _, names in os.walk(folder, onerror=_refuse) for name in names)
    found, failures = [], Failures()
    for path in paths:
        if path.is_symlink() or not path.is_file() or any(map(is_temporary, path.relative_to(folder).parts)):
            continue
        feed = nearest_feed(path.parts[len(folder.parent.parts) : -1], feeds)
        try:
            found.append(dropped_file(path, feed=feed, keep_original=True))
        except (ConfigurationError, FileNotFoundError) as error:  # of no time that any calendar has; or gone by now
            failures.add(readable(str(path)), error)
    return found, failures.summary()


def _refuse(error: OSError) -> NoReturn:
    """Leave no folder out without a word."""
    hint = "let this user list it, or name a folder without it"
    raise ConfigurationError(f"{error.filename} cannot be listed", why=error.strerror or "", hint=hint) from error


def _show_summary(outcomes: "Sequence[Outcome]") -> None:
    """Print how many files had which outcome, and in full those of which something was refused."""
    from dropledger.handlers import render
    from dropledger.handlers.outcomes import show_outcomes

    for verdict in dict.fromkeys(str(outcome.delivered) for outcome in outcomes):
        files = sum(str(outcome.delivered) == verdict for outcome in outcomes)
        render.line(f"{render.counted(files, 'file')} {verdict}")
    refused = [outcome for outcome in outcomes if outcome.refused or not outcome.taken]
    if refused:
        show_outcomes(refused)


@command
@click.argument("event", type=click.Path(path_type=Path, dir_okay=False))
def handle(context: Context, event: Path) -> int:
    """Load the files that an AWS event names, as Lambda does.

    EVENT is a JSON file.
    """
    import math

    from dropledger.handlers import render
    from dropledger.handlers.aws_lambda.function import handle as run_handle
    from dropledger.handlers.wiring import wire

    settings = context.configure_logs()
    content = _read_event(event)
    runtime = wire(settings=settings, on_wait=render.on_wait(quiet=context.quiet))
    if not runtime.store.atomic_uploads:
        raise ConfigurationError(
            f"the root {runtime.store.root} is a folder, of which no event of AWS tells",
            hint="name the bucket that the event tells of, like --root s3://bucket/prefix",
        )
    handled = run_handle(runtime, content, lambda: math.inf)
    context.tell(runtime, handled.outcomes)
    return _report_handled(context, handled)


def _read_event(path: Path) -> Mapping[str, Any]:
    import json

    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path} is not there", hint="name a file that holds one event of AWS") from error
    except ValueError as error:
        raise ConfigurationError(
            f"{path} is not JSON", why=str(error), hint="name a file that holds an event"
        ) from error
    if not isinstance(content, dict):
        raise ConfigurationError(
            f"{path} is not an event", why="it holds no JSON object", hint="name a file that holds one"
        )
    return content


def _report_handled(context: Context, handled: "Handled") -> int:
    """Print what became of an event; the exit code, the most urgent of all failures and refusals."""
    from dropledger.core.ledger.fault import as_refusal
    from dropledger.handlers import render
    from dropledger.handlers.outcomes import exit_code, most_urgent, show_outcomes

    failures = [
        error if isinstance(error, DropledgerError) else as_refusal("the event was not worked off", error)
        for error in handled.failed.values()
    ]
    document = {
        "outcomes": [outcome.as_json() for outcome in handled.outcomes],
        "failed": [message.queued and message.queued.message_id for message in handled.failed],
        **({"error": render.failure_entry(failures[0])} if failures else {}),
    }
    context.print_result(document, lambda: show_outcomes(handled.outcomes))
    for failure in failures[:1]:
        render.error(failure)
    for failure in failures:
        render.bug(failure)
        render.bug(failure.__cause__)
    return most_urgent([*(failure.exit_code for failure in failures), exit_code(handled.outcomes)])


COMMANDS = (process, watch, backfill, handle)
