"""The command line: the group of all commands, and errors as exit codes.

The commands stand in the modules beside this one. They import what they need when they run, so that help and version
are instant.
"""

import io
import os
import sys
from typing import NoReturn

import click

from dropledger.core import __version__
from dropledger.core.errors import ConfigurationError, DropledgerError
from dropledger.handlers.cli import (
    check,
    console,
    contract,
    demo,
    doctor,
    ingest,
    init,
    lineage,
    maintenance,
    plan_export,
    query,
)
from dropledger.handlers.cli.command import with_common_options
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


for _command in (
    *ingest.COMMANDS,
    *query.COMMANDS,
    check.check,
    lineage.lineage,
    contract.contract,
    *maintenance.COMMANDS,
    *plan_export.COMMANDS,
    *console.COMMANDS,
    doctor.doctor,
    demo.demo,
    init.init,
):
    cli.add_command(_command)


def _exit_with(failure: DropledgerError, command: str | None) -> NoReturn:
    from dropledger.handlers import render

    if "--json" in sys.argv:
        render.as_json({"command": command, "error": render.failure_entry(failure)})
    render.error(failure)
    sys.exit(failure.exit_code)


_MAY_BEGIN_WITH_A_HYPHEN = {"history": "key", "explain": "key", "sql": "query"}


def _hint_about_hyphen(wrong: click.ClickException) -> str:
    """What to try where a key or query that begins with a hyphen was read as an option; empty elsewhere."""
    if not isinstance(wrong, click.NoSuchOption) or wrong.ctx is None:
        return ""
    what = _MAY_BEGIN_WITH_A_HYPHEN.get(str(wrong.ctx.command.name))
    return f"; put -- before a {what} that begins with a hyphen" if what else ""


def _exit_with_usage(wrong: click.ClickException, command: str | None) -> NoReturn:
    path = wrong.ctx.command_path if isinstance(wrong, click.UsageError) and wrong.ctx else "dropledger"
    _exit_with(ConfigurationError(wrong.format_message(), hint=f"{path} --help{_hint_about_hyphen(wrong)}"), command)


def main() -> None:
    """The console script; errors exit with the codes of docs/operating.md."""
    os.umask(0o077)  # what is made is private from its first moment on, whatever the shell or service says
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may have letters that a terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    context = Context()
    try:
        sys.exit(cli.main(prog_name="dropledger", standalone_mode=False, obj=context))
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as wrong:
        _exit_with_usage(wrong, context.command)
    except DropledgerError as failure:
        _exit_with(failure, context.command)
    except PermissionError as denied:
        hint = "run it as the user that owns the root; docs/operating.md says how to let others read"
        what = f"this user may not use {denied.filename}"
        _exit_with(ConfigurationError(what, why=denied.strerror or "", hint=hint), context.command)
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads our output any more
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - what is printed of it holds no values
        from dropledger.handlers import excepthook

        excepthook.report(error, context.command)
        sys.exit(1)
