"""What all commands have in common: options, the environment variables in their help, and how their bodies are run."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, TypeVar

import click

from dropledger.core.errors import ConfigurationError
from dropledger.handlers.cli.context import Context
from dropledger.handlers.variables import VARIABLES

if TYPE_CHECKING:
    from dropledger.core.ports.store import Store

P = ParamSpec("P")
AnyCommand = TypeVar("AnyCommand", bound=click.Command)

_WHEN_PUBLISHING = ("backfill", "demo", "handle", "process", "replay", "restore", "retract", "watch")
_ONLY_THERE = {
    "DROPLEDGER_OUTPUTS": _WHEN_PUBLISHING,
    "DROPLEDGER_LOG": ("handle", "watch"),
    "DROPLEDGER_UPLOAD_LIMIT": ("console",),
}


class _WithVariables(click.Command):
    """Its help names the variables that it reads."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the environment variables below the options."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Environment"):
            formatter.write_dl(self._variables())

    def _variables(self) -> Sequence[tuple[str, str]]:
        return [(name, says) for name, says in VARIABLES.items() if self.name in _ONLY_THERE.get(name, (self.name,))]


class Command(_WithVariables):
    """A command that exits with the code that its body returns."""

    def invoke(self, ctx: click.Context) -> NoReturn:
        """Run the body, which takes the context of the command line before its own arguments."""
        ctx.ensure_object(Context).warn_of_misspelt_variables()
        ctx.exit(super().invoke(ctx))


class Group(_WithVariables, click.Group):
    """Commands that go by one name and one of their own."""


class Moment(click.ParamType[datetime]):
    """A date or timestamp in ISO 8601, UTC unless it says otherwise."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        from dropledger.core.drop import parse_moment

        if isinstance(value, datetime):
            return value
        try:
            return parse_moment(value)
        except ValueError:
            self.fail(f"'{value}' is not a valid date; write it like 2025-10-31 or 2025-10-31T10:30:00Z", param, ctx)


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> object:
    """Let a common option stand before or behind the command; the one behind wins."""
    if value is not None and value is not False:
        setattr(ctx.find_root().ensure_object(Context), str(param.name), value)
    return value


_COMMON_OPTIONS = (
    click.option(
        "--root",
        metavar="FOLDER",
        expose_value=False,
        callback=_remember,
        help="The folder, or s3://bucket/prefix, that everything lives in.  [default: ledger]",
    ),
    click.option(
        "--warehouse",
        metavar="PATH",
        expose_value=False,
        callback=_remember,
        help="The DuckDB file; by default in the root.",
    ),
    click.option(
        "--pipeline",
        metavar="NAME",
        expose_value=False,
        callback=_remember,
        help="A built-in pipeline, or the folder of one.  [default: lending]",
    ),
    click.option("--json", "json", is_flag=True, expose_value=False, callback=_remember, help="Print one JSON object."),
    click.option(
        "--quiet", "-q", is_flag=True, expose_value=False, callback=_remember, help="Print nothing but errors."
    ),
)

as_of_of_files = click.option(
    "--as-of", type=Moment(), help="The time from which the rows are true; by default the date in the file name."
)
feed_of_files = click.option("--feed", help="The feed, if the file name does not tell.")


def with_common_options(command: AnyCommand) -> AnyCommand:
    """The command with the options that all have, behind its own; what they say is in its `Context`."""
    for option in _COMMON_OPTIONS:
        command = option(command)
    return command


def command(body: Callable[Concatenate[Context, P], int]) -> Command:
    """The command that a function is: its name and help are the function's, and what it returns is the exit code."""
    return with_common_options(click.command(cls=Command)(click.pass_obj(body)))


def group(body: Callable[[click.Context], None]) -> Group:
    """The group of commands that goes by a function's name; the function is run before the command."""
    return with_common_options(click.group(cls=Group, no_args_is_help=False)(click.pass_context(body)))


def refuse_folder_of_root(store: "Store", folder: Path, hint: str) -> None:
    """Keep what a command writes out of the root's own folders.

    Raises:
        ConfigurationError: the folder is one of those, or the root; it gives the hint.
    """
    if store.is_of_root(folder):
        raise ConfigurationError(f"{folder} belongs to the root", why="what lies there is dropledger's own", hint=hint)
