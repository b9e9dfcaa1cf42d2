"""Metrics of commands that end: written to a file, for the textfile collector of Prometheus."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dropledger.core.errors import ConfigurationError, DropledgerError, NotInstalled
from dropledger.handlers.cli.command import refuse_folder_of_root
from dropledger.handlers.cli.context import Context

if TYPE_CHECKING:
    from dropledger.core.ingest.runtime import Runtime
    from dropledger.handlers.metrics import Timings

metrics_file = click.option(
    "--metrics-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write metrics for Prometheus to this file at the end.",
)


def new_timings() -> "Timings":
    """A meter that Prometheus can ask.

    Raises:
        ConfigurationError: what it needs is not installed.
    """
    try:
        from dropledger.handlers.metrics import Timings
    except ImportError as error:
        raise NotInstalled("metrics need more than is installed", "metrics", why=str(error)) from error
    return Timings()


@contextmanager
def metered(context: Context, file: Path | None) -> "Iterator[Runtime]":
    """What the pipeline runs on, its metrics in the file once the block has ended; nothing is measured without one.

    Raises:
        ConfigurationError: the file cannot be one of metrics.
    """
    if file is None:
        yield context.wire()
        return
    timings = new_timings()
    runtime = context.wire(timings)
    refuse_as_metrics_file(runtime, file)
    yield runtime
    write_metrics(runtime, timings, file)


def refuse_as_metrics_file(runtime: "Runtime", file: Path) -> None:
    """Refuse a file, before any work is begun, that metrics are not to be written to.

    Raises:
        ConfigurationError: its folder is not there, or is one of the root's.
    """
    if not file.parent.is_dir():
        raise ConfigurationError(
            f"metrics cannot be written to {file}",
            why=f"there is no folder {file.parent}",
            hint="make it, or name another file with --metrics-file",
        )
    refuse_folder_of_root(runtime.store, file.parent, "name a file elsewhere with --metrics-file")


def write_metrics(runtime: "Runtime", timings: "Timings", file: Path) -> None:
    """Write the metrics, seen whole or not at all. What keeps them from it is told, and changes nothing else: the
    drops are taken.
    """
    from dropledger.handlers.metrics import found, metrics_of, metrics_text
    from dropledger.infra.local.folders import filled

    try:
        text = metrics_text(found(runtime, metrics_of(runtime), runtime.store.backlog()), timings)
        with filled(file.parent) as begun:
            (begun / file.name).write_text(text, encoding="utf-8")
    except DropledgerError as failure:
        sys.stderr.write(f"Warning: metrics were not written to {file}: {failure}\n")
    except OSError as error:
        sys.stderr.write(f"Warning: metrics were not written to {file}: {error.strerror}\n")
