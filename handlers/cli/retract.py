"""Taking a drop back, and taking it in again."""

import getpass
import os
from typing import Any

from dropledger.core.operations.retract import Retracted, plan_retraction
from dropledger.core.operations.retract import restore as run_restore
from dropledger.core.operations.retract import retract as run_retract
from dropledger.handlers import render
from dropledger.handlers.cli.plan_export import show_effects
from dropledger.handlers.wiring import wire_existing


def user() -> str:
    """The name of who runs this, or where the machine has none for them, their number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # as in a container that runs as a user of outside
        return f"uid {os.getuid()}"


def retract(*, drop_id: str, reason: str, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """Take a drop back, and keep who did it and why."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    retracted = run_retract(runtime, drop_id, reason, user())
    if json:
        render.as_json({"command": "retract", "dry_run": False, **_as_json(retracted), "reason": reason})
    elif not quiet:
        render.line(f"Retracted drop {retracted.drop.drop_id} ({retracted.drop.name}): {reason}")
        _show_counts(retracted)
    return 0


def dry_run(*, drop_id: str, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """What taking a drop back would change."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    planned = plan_retraction(runtime, drop_id)
    if json:
        render.as_json(
            {
                "command": "retract",
                "dry_run": True,
                **_as_json(planned),
                "reason": None,
                "effects": dict(planned.effects),
            }
        )
    elif not quiet:
        render.line("Nothing was changed. Taking the drop back would do this:")
        render.line(f"Drop {planned.drop.drop_id} ({planned.drop.name})")
        _show_counts(planned)
        show_effects(planned.effects)
    return 0


def restore(*, drop_id: str, reason: str, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """Take in again what was taken back, and keep who did it and why."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    restored = run_restore(runtime, drop_id, reason, user())
    if json:
        render.as_json({"command": "restore", **_as_json(restored), "reason": reason})
    elif not quiet:
        render.line(f"Restored drop {restored.drop.drop_id} ({restored.drop.name}): {reason}")
        _show_counts(restored)
    return 0


def _as_json(changed: Retracted) -> dict[str, Any]:
    return {
        "drop_id": changed.drop.drop_id,
        "name": changed.drop.name,
        "versions_opened": changed.versions_opened,
        "versions_closed": changed.versions_closed,
        "recomputed": dict(changed.recomputed),
    }


def _show_counts(changed: Retracted) -> None:
    opened = render.counted(changed.versions_opened, "version")
    render.line(f"  {opened} opened, {changed.versions_closed:,} closed or removed")
    for mart, rows in changed.recomputed.items():
        render.line(f"  {mart}: {render.counted(rows, 'row')} recomputed")
