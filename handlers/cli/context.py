"""What a command gets beside its own arguments: the root that it works on, and how it prints its result."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from dropledger.handlers.variables import misspelt

if TYPE_CHECKING:
    from pathlib import Path

    from dropledger.core.contracts.pipeline_spec import Pipeline
    from dropledger.core.errors import DropledgerError
    from dropledger.core.ingest.runtime import Runtime
    from dropledger.core.ledger.alerts import Found
    from dropledger.core.ledger.outcome import Outcome
    from dropledger.core.ports.meter import Meter
    from dropledger.core.retry import OnWait
    from dropledger.handlers.settings import Settings

_LOGGING = {"handle", "watch"}  # what they write to standard error is a log, which has its own line for that


@dataclass
class Context:
    """The options that all commands have, None where one was not given, and the name of the command that runs.

    Its methods import what they need, so that help and version are instant.
    """

    command: str | None = None
    root: str | None = None
    warehouse: str | None = None
    pipeline: str | None = None
    json: bool = False
    quiet: bool = False

    def warn_of_misspelt_variables(self) -> None:
        """Name the environment variables that look like settings and are none."""
        if not self.quiet and self.command not in _LOGGING:
            for name, hint in misspelt():
                click.echo(f"Warning: {name} is not a setting; {hint}", err=True)

    def wire(self, meter: "Meter | None" = None) -> "Runtime":
        """Everything the pipeline runs on; see `wiring.wire`."""
        from dropledger.handlers.wiring import wire

        on_wait = self._on_wait()
        return wire(root=self.root, warehouse=self.warehouse, pipeline=self.pipeline, on_wait=on_wait, meter=meter)

    def wire_existing(self) -> "Runtime":
        """The same, for a root that must be there; see `wiring.wire_existing`."""
        from dropledger.handlers.wiring import wire_existing

        return wire_existing(root=self.root, warehouse=self.warehouse, pipeline=self.pipeline, on_wait=self._on_wait())

    def wire_beside(self, root: "Path") -> "Runtime":
        """The pipeline on an empty root of its own and the embedded DuckDB, for what leaves no trace."""
        from dropledger.handlers.wiring import wire

        return wire(settings=replace(self.settings(), root=str(root), warehouse="", outputs="on_demand"))

    def settings(self) -> "Settings":
        """The settings in force."""
        from dropledger.handlers.wiring import settings_in_force

        return settings_in_force(root=self.root, warehouse=self.warehouse, pipeline=self.pipeline)

    def pipeline_alone(self) -> "tuple[Pipeline, Path | None]":
        """The pipeline, for what looks at nothing else; see `wiring.pipeline_alone`."""
        from dropledger.handlers.wiring import pipeline_alone

        return pipeline_alone(root=self.root, pipeline=self.pipeline)

    def configure_logs(self) -> "Settings":
        """Set up the log of a command that writes one; the settings in force, to be passed on to `wiring.wire`."""
        from dropledger.handlers.logs import configure_logs

        settings = self.settings()
        configure_logs(settings.log)
        return settings

    def print_result(self, document: Mapping[str, Any], show: Callable[[], None]) -> None:
        """Print the command's one JSON object, or else let `show` print the result for people; nothing if quiet."""
        from dropledger.handlers import render

        if self.json:
            render.as_json({"command": self.command, **document})
        elif not self.quiet:
            show()

    def progress(
        self, task: str, unit: str, *, hidden: bool = False
    ) -> AbstractContextManager[Callable[[int, int], None]]:
        """The progress of a task, for people who look on; see `progress.progress`."""
        from dropledger.handlers.cli.progress import progress

        return progress(task, unit, hidden=hidden or self.quiet or self.json)

    def tell(self, runtime: "Runtime", outcomes: "Iterable[Outcome]" = (), seen: "Sequence[Found]" = ()) -> None:
        """Tell the targets of alerts what the command has done or found, where there are any."""
        if runtime.targets:
            from dropledger.handlers.telling import tell

            tell(runtime, self._not_told, outcomes, seen)

    def _not_told(self, where: str, error: "DropledgerError") -> None:
        if not self.quiet:
            click.echo(f"Warning: an alert was not sent ({where}): {error}; it is tried again later", err=True)
            click.echo(f"  Try: {error.hint}", err=True)

    def _on_wait(self) -> "OnWait":
        from dropledger.handlers import render

        return render.on_wait(quiet=self.quiet)
