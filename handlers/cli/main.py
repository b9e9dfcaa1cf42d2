"""The command line. Commands import what they need when they run, so that help and version are instant."""

import io
import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import click

from dropledger.core import __version__
from dropledger.core.errors import ConfigurationError, DropledgerError
from dropledger.handlers.cli import ingest, query
from dropledger.handlers.cli.command import Moment, command, with_common_options
from dropledger.handlers.cli.context import Context


@with_common_options
@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="dropledger", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Drop a file, get an auditable ledger of what was true when, and interest figures that explain themselves."""
    ctx.ensure_object(Context).command = ctx.invoked_subcommand
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _command in (*ingest.COMMANDS, *query.COMMANDS):
    cli.add_command(_command)


def _run(context: Context, body: Callable[..., int], **arguments: object) -> int:
    """Run a command's body; its exit code."""
    from dropledger.handlers.settings import pipeline_named

    with pipeline_named(context.pipeline):
        return body(**arguments, root=context.root, warehouse=context.warehouse, json=context.json, quiet=context.quiet)


@cli.add_command
@command
def demo(context: Context) -> int:
    """Load the sample drops into a fresh root, and show the result."""
    from dropledger.handlers.cli.demo import demo as body

    return _run(context, body)


@cli.add_command
@command
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--as-of", type=Moment(), help="The time from which the rows are true; by default the date in the file name."
)
@click.option("--feed", help="The feed, if the file name does not tell.")
def plan(context: Context, file: Path, as_of: datetime | None, feed: str | None) -> int:
    """Show what a file would do, and change nothing.

    Rows rejected, versions opened and closed, interest before and after.
    """
    from dropledger.handlers.cli.plan_export import plan as body

    return _run(context, body, file=file, as_of=as_of, feed=feed)


@cli.add_command
@command
@click.option("--as-of", type=Moment(), help="Artifacts as of this time; by default as they are.")
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write into.  [default: export with --as-of, else the root's own outputs/]",
)
def export(context: Context, as_of: datetime | None, to: Path | None) -> int:
    """Write the artifacts as of a time into a folder; without options, those of the root again."""
    from dropledger.handlers.cli.plan_export import export as body

    return _run(context, body, as_of=as_of, to=to)


@cli.add_command
@command
@click.argument("drop_id")
@click.option("--reason", help="The reason, which the ledger keeps.  [required, but for a dry run]")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def retract(context: Context, drop_id: str, reason: str | None, dry_run: bool) -> int:
    """Take a drop back.

    History, marts and artifacts become as if it had never come, until it is restored; the ledger keeps the fact.
    """
    from dropledger.handlers.cli.retract import dry_run as planned
    from dropledger.handlers.cli.retract import retract as body

    if dry_run:
        return _run(context, planned, drop_id=drop_id)
    if reason is None:
        raise click.UsageError("Missing option '--reason'.")
    return _run(context, body, drop_id=drop_id, reason=reason)


@cli.add_command
@command
@click.argument("drop_id")
@click.option("--reason", required=True, help="The reason, which the ledger keeps.")
def restore(context: Context, drop_id: str, reason: str) -> int:
    """Take in again a drop that was taken back, as it was accepted and at its place of before."""
    from dropledger.handlers.cli.retract import restore as body

    return _run(context, body, drop_id=drop_id, reason=reason)


@cli.add_command
@command
@click.option("--from", "since", type=Moment(), help="Only drops with this as_of or a later one.")
@click.option("--to", "until", type=Moment(), help="Only drops with this as_of or an earlier one.")
@click.option("--feed", help="Only this feed.")
@click.option("--known-at", type=Moment(), help="Only drops received by then and not retracted by then.")
@click.option(
    "--into", metavar="WAREHOUSE", help="Write the result to this file and leave the live warehouse as it is."
)
def replay(
    context: Context,
    since: datetime | None,
    until: datetime | None,
    feed: str | None,
    known_at: datetime | None,
    into: str | None,
) -> int:
    """Rebuild the warehouse from the archive.

    Without --into the result replaces the live warehouse in one step.
    """
    from dropledger.handlers.cli.maintenance import replay as body

    return _run(context, body, since=since, until=until, feed=feed, known_at=known_at, into=into)


@cli.add_command
@command
@click.option(
    "--to",
    required=True,
    type=click.Choice(["databricks"]),
    help="The kind of warehouse to move to; see docs/databricks.md.",
)
def migrate(context: Context, to: str) -> int:
    """Move the ledger to another warehouse.

    It is rebuilt there from the archive and compared row by row.
    """
    from dropledger.handlers.cli.maintenance import migrate as body

    return _run(context, body, to=to)


@cli.add_command
@command
def verify(context: Context) -> int:
    """Prove that the live tables agree with the archive.

    Rebuilds them separately and compares row by row.
    """
    from dropledger.handlers.cli.maintenance import verify as body

    return _run(context, body)


@cli.add_command
@command
def doctor(context: Context) -> int:
    """Check the set-up, and say what is stuck and what to do."""
    from dropledger.handlers.cli.doctor import doctor as body

    return _run(context, body)


def _leave(failure: DropledgerError, command: str | None) -> NoReturn:
    from dropledger.handlers import render

    if "--json" in sys.argv:
        render.as_json({"command": command, "error": render.failure_entry(failure)})
    render.error(failure)
    sys.exit(failure.exit_code)


_MAY_BEGIN_WITH_A_HYPHEN = {"history": "key", "explain": "key", "sql": "query"}


def _way_out(wrong: click.ClickException) -> str:
    """What to try where that which was taken for an unknown option may be the very thing that a command asks for."""
    if not isinstance(wrong, click.NoSuchOption) or wrong.ctx is None:
        return ""
    what = _MAY_BEGIN_WITH_A_HYPHEN.get(str(wrong.ctx.command.name))
    return f"; put -- before a {what} that begins with a hyphen" if what else ""


def _leave_with_usage(wrong: click.ClickException, command: str | None) -> NoReturn:
    path = wrong.ctx.command_path if isinstance(wrong, click.UsageError) and wrong.ctx else "dropledger"
    _leave(ConfigurationError(wrong.format_message(), hint=f"{path} --help{_way_out(wrong)}"), command)


def main() -> None:
    """The console script; errors exit with the codes of docs/operating.md."""
    os.umask(0o077)  # what is made is private from its first moment on, whatever the shell or service says
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may have letters that a terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    context = Context()
    try:
        sys.exit(cli.main(prog_name="dropledger", standalone_mode=False, obj=context))
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as wrong:
        _leave_with_usage(wrong, context.command)
    except DropledgerError as failure:
        _leave(failure, context.command)
    except PermissionError as denied:
        hint = "run it as the user that owns the root; docs/operating.md says how to let others read"
        what = f"this user may not use {denied.filename}"
        _leave(ConfigurationError(what, why=denied.strerror or "", hint=hint), context.command)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left; there is nobody to tell
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - what is told of it holds no values
        from dropledger.handlers import excepthook

        excepthook.report(error, context.command)
        sys.exit(1)
