"""What the help of a command says of the environment variables that it reads."""

from collections.abc import Sequence

import click

from dropledger.handlers.variables import VARIABLES

_WHEN_PUBLISHING = ("backfill", "demo", "handle", "process", "replay", "restore", "retract", "watch")
_ONLY_THERE = {"DROPLEDGER_OUTPUTS": _WHEN_PUBLISHING, "DROPLEDGER_LOG": ("handle", "watch")}


class _NamesVariables(click.Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the environment variables below the options."""
        super().format_epilog(ctx, formatter)
        with formatter.section("Environment"):
            formatter.write_dl(self._variables())

    def _variables(self) -> Sequence[tuple[str, str]]:
        return [(name, says) for name, says in VARIABLES.items() if self.name in _ONLY_THERE.get(name, (self.name,))]


class Group(click.Group):
    """A group whose commands name the environment variables that they read."""

    command_class = _NamesVariables
