"""The commands that show what would be, or what was: plan and export."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dropledger.core.errors import ConfigurationError
from dropledger.handlers.cli.command import Moment, as_of_of_files, command, feed_of_files, refuse_folder_of_root
from dropledger.handlers.cli.context import Context

if TYPE_CHECKING:
    from dropledger.core.ingest.runtime import Runtime
    from dropledger.core.operations.plan import Planned


@command
@click.argument("file", type=click.Path(path_type=Path))
@as_of_of_files
@feed_of_files
def plan(context: Context, file: Path, as_of: datetime | None, feed: str | None) -> int:
    """Show what a file would do, and change nothing.

    Rows rejected, versions opened and closed, interest before and after.
    """
    from dropledger.core.operations.plan import plan as run_plan
    from dropledger.handlers.originals import named_files
    from dropledger.handlers.outcomes import exit_code

    runtime = context.wire_existing()
    if feed is not None:
        runtime.pipeline.contract(feed)
    if not file.is_file():
        raise ConfigurationError(
            f"{file} cannot be planned", why="it is not a regular file", hint="name a file that exists"
        )
    paired = named_files([file], runtime.pipeline, feed=feed, as_of=as_of)
    waits = paired.refusal()
    if waits is not None:
        raise waits
    planned = run_plan(runtime, paired.ready[0])
    document = {"outcome": planned.outcome.as_json(), "rejects": planned.rejects, "effects": dict(planned.effects)}
    context.print_result(document, lambda: _show_plan(planned))
    return exit_code([planned.outcome])


def _show_plan(planned: "Planned") -> None:
    from dropledger.handlers import render
    from dropledger.handlers.outcomes import show_outcomes

    render.line("Nothing was changed. The drop would do this:")
    show_outcomes([planned.outcome])
    if planned.rejects:
        columns = list(planned.rejects[0])
        render.table("refused rows", columns, [list(row.values()) for row in planned.rejects])
    show_effects(planned.effects)


def show_effects(effects: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what would become of the marts."""
    from dropledger.handlers import render

    for mart, effect in effects.items():
        before, after = render.cell(effect["total_before"]), render.cell(effect["total_after"])
        render.line(f"{mart}: total {effect['measure']} {before} -> {after}")
        changes = ", ".join(f"{count} {change}" for change, count in effect["changes"].items())
        render.line(f"  rows: {changes or 'none'}")
        largest: list[dict[str, Any]] = effect["largest_changes"]
        if largest:
            render.table("largest changes", list(largest[0]), [list(row.values()) for row in largest])


@command
@click.option("--as-of", type=Moment(), help="Artifacts as of this time; by default as they are.")
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write into.  [default: export with --as-of, else the root's own outputs/]",
)
def export(context: Context, as_of: datetime | None, to: Path | None) -> int:
    """Write the artifacts as of a time into a folder; without options, those of the root again."""
    from dropledger.core.operations.export import export_again
    from dropledger.handlers import render

    runtime = context.wire_existing()
    if to is None and as_of is None:
        written = {name.removeprefix("outputs/"): f"{runtime.store.root}/{name}" for name in export_again(runtime)}
    else:
        written = _export_to(to or Path("export"), as_of, runtime)
    context.print_result({"as_of": as_of, "artifacts": written}, lambda: render.lines(written.values()))
    return 0


def _export_to(folder: Path, as_of: datetime | None, runtime: "Runtime") -> dict[str, str]:
    """The paths of the artifacts that were written into a folder, by their names."""
    from dropledger.core.operations.export import export as run_export
    from dropledger.core.operations.export import refuse_before_first_drop
    from dropledger.infra.local.folders import filled

    hint = "name another folder with --to; without options, export writes outputs/ again"
    refuse_folder_of_root(runtime.store, folder, hint)
    if as_of is not None:
        refuse_before_first_drop(runtime, as_of)
    with filled(folder) as begun:
        return {name: str(folder / name) for name in run_export(runtime, begun, as_of)}


COMMANDS = (plan, export)
