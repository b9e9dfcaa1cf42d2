"""What the help of a command says of the environment variables that it reads."""

from collections.abc import Sequence

import click

VARIABLES = {
    "DROPLEDGER_ROOT": "the root, where --root is left out",
    "DROPLEDGER_WAREHOUSE": "the DuckDB file, or 'databricks', where --warehouse is left out",
    "DROPLEDGER_PIPELINE": "a built-in pipeline, or a folder with a pipeline.yaml",
    "DROPLEDGER_WAIT_SECONDS": "how long to wait for root or warehouse before reporting busy",
    "DROPLEDGER_MEMORY_LIMIT": "what DuckDB may keep in memory, such as 500MB",
    "DROPLEDGER_CACHE": "where files of a root in S3 are at hand",
    "DROPLEDGER_OUTPUTS": "when whole artifacts are written: always, on_demand, or a number of seconds",
    "DROPLEDGER_LOG": "how to log: console, json or auto",
    "AWS_*": "as boto3 reads them, where the root is in S3",
    "DATABRICKS_*": "the connection, where the warehouse is in Databricks",
}
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
