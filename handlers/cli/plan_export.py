"""The commands that show what would be, or what was: plan and export."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from dropledger.core.errors import ConfigurationError
from dropledger.core.operations.export import export as run_export
from dropledger.core.operations.export import export_again, refuse_before_first_drop
from dropledger.core.operations.plan import Planned
from dropledger.core.operations.plan import plan as run_plan
from dropledger.handlers import render
from dropledger.handlers.outcomes import exit_code, show_outcomes
from dropledger.handlers.wiring import wire_existing
from dropledger.infra.local.folders import filled
from dropledger.infra.local.inbox import dropped_file


def plan(
    *,
    file: Path,
    as_of: datetime | None,
    feed: str | None,
    root: str | None,
    warehouse: str | None,
    json: bool,
    quiet: bool,
) -> int:
    """What the drop would do; 3 if any of its data would be refused."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    if feed is not None:
        runtime.pipeline.contract(feed)
    if not file.is_file():
        raise ConfigurationError(
            f"{file} cannot be planned", why="it is not a regular file", hint="name a file that exists"
        )
    planned = run_plan(runtime, dropped_file(file.absolute(), feed=feed, as_of=as_of))
    if json:
        render.as_json(
            {
                "command": "plan",
                "outcome": planned.outcome.as_json(),
                "rejects": planned.rejects,
                "effects": dict(planned.effects),
            }
        )
    elif not quiet:
        _show_plan(planned)
    return exit_code([planned.outcome])


def _show_plan(planned: Planned) -> None:
    render.line("Nothing was changed. The drop would do this:")
    show_outcomes([planned.outcome])
    if planned.rejects:
        columns = list(planned.rejects[0])
        render.table("refused rows", columns, [list(row.values()) for row in planned.rejects])
    show_effects(planned.effects)


def show_effects(effects: Mapping[str, Mapping[str, Any]]) -> None:
    """What would become of the marts."""
    for mart, effect in effects.items():
        before, after = render.cell(effect["total_before"]), render.cell(effect["total_after"])
        render.line(f"{mart}: total {effect['measure']} {before} -> {after}")
        changes = ", ".join(f"{count} {change}" for change, count in effect["changes"].items())
        render.line(f"  rows: {changes or 'none'}")
        largest: list[dict[str, Any]] = effect["largest_changes"]
        if largest:
            render.table("largest changes", list(largest[0]), [list(row.values()) for row in largest])


def export(
    *, as_of: datetime | None, to: Path | None, root: str | None, warehouse: str | None, json: bool, quiet: bool
) -> int:
    """Write the artifacts as of a moment into a folder; without moment and folder, those of the root again."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    if to is None and as_of is None:
        written = {name.removeprefix("outputs/"): f"{runtime.store.root}/{name}" for name in export_again(runtime)}
    else:
        to = to or Path("export")
        if runtime.store.is_of_root(to):
            raise ConfigurationError(
                f"{to} belongs to the root",
                why="what lies there is dropledger's own",
                hint="name another folder with --to; without options, export writes outputs/ again",
            )
        if as_of is not None:
            refuse_before_first_drop(runtime, as_of)
        with filled(to) as folder:
            names = list(run_export(runtime, folder, as_of))
        written = {name: str(to / name) for name in names}
    if json:
        render.as_json({"command": "export", "as_of": as_of, "artifacts": written})
    elif not quiet:
        for path in written.values():
            render.line(path)
    return 0
