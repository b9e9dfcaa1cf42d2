"""The commands that work on the past as a whole: replay, backfill, migrate, verify."""

from datetime import datetime
from typing import Any

from dropledger.core.errors import Different
from dropledger.core.operations.migrate import migrate as run_migrate
from dropledger.core.operations.replay import Selection
from dropledger.core.operations.replay import replay as run_replay
from dropledger.core.operations.verify import Verified
from dropledger.core.operations.verify import verify as run_verify
from dropledger.handlers import render
from dropledger.handlers.cli.progress import progress
from dropledger.handlers.wiring import wire, wire_existing


def replay(
    *,
    since: datetime | None,
    until: datetime | None,
    feed: str | None,
    known_at: datetime | None,
    into: str | None,
    root: str | None,
    warehouse: str | None,
    json: bool,
    quiet: bool,
) -> int:
    """Rebuild the warehouse from the archive."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    if feed is not None:
        runtime.pipeline.contract(feed)
    with progress("replaying", "drops", hidden=quiet or json) as tell:
        replayed = run_replay(runtime, Selection(since, until, feed, known_at), into, tell)
    if json:
        render.as_json(
            {
                "command": "replay",
                "drops": replayed.drops,
                "warehouse": replayed.location,
                "in_place": replayed.in_place,
                "recovered": replayed.recovered,
            }
        )
    elif not quiet:
        render.line(
            f"Replayed {render.counted(replayed.drops, 'drop')} into {replayed.location}"
            + (", now live" if replayed.in_place else "")
        )
        if replayed.recovered:
            render.line("The ledger was lost, so drops that were taken back are in again, and refusals are forgotten.")
    return 0


def migrate(*, to: str, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """Rebuild the ledger in another warehouse; 5 where that would hold something else, and then it does not stay."""
    on_wait = render.on_wait(quiet=quiet)
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=on_wait)
    target = wire(root=root, warehouse=to, on_wait=on_wait).warehouse
    with progress("migrating", "drops", hidden=quiet or json) as tell:
        verified = run_migrate(runtime, target, tell)
    if json:
        render.as_json({"command": "migrate", "warehouse": target.location, **_as_json(verified)})
    elif not quiet and verified.differences:
        render.line(f"Nothing was moved: {target.location} would not hold what {runtime.warehouse.location} does.")
        _show_differences(verified)
    elif not quiet:
        render.line(
            f"Moved: {render.counted(verified.drops, 'drop')} rebuilt in {target.location}, "
            f"{render.counted(len(verified.tables), 'table')} identical"
        )
        render.line(f"Set DROPLEDGER_WAREHOUSE={to} from now on. {runtime.warehouse.location} stays as it is.")
    return Different.exit_code if verified.differences else 0


def verify(*, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """Compare the live tables with the archive folded again; 5 where they, or any files, differ."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    with progress("verifying", "drops", hidden=quiet or json) as tell:
        verified = run_verify(runtime, tell)
    if json:
        render.as_json({"command": "verify", **_as_json(verified)})
    elif not quiet:
        _show_verified(verified)
    return 0 if verified.sound else Different.exit_code


def _as_json(verified: Verified) -> dict[str, Any]:
    return {
        "drops": verified.drops,
        "tables": list(verified.tables),
        "differences": [
            {"table": found.table, "only": found.only, "count": found.count, "rows": list(found.rows)}
            for found in verified.differences
        ],
        "other_contract": list(verified.other_contract),
        "files": [{"name": found.name, "problem": found.problem, "try": found.hint} for found in verified.files],
    }


def _show_verified(verified: Verified) -> None:
    if verified.sound:
        render.line(
            f"Verified: {render.counted(verified.drops, 'drop')} rebuilt, "
            f"{render.counted(len(verified.tables), 'table')} identical"
        )
    _show_differences(verified)
    for found in verified.files:
        render.line(f"{found.name}: {found.problem}\n  Try: {found.hint}")
    if verified.files and not verified.tables:
        render.line("No table was compared: the archive cannot be folded again without these files.")


def _show_differences(verified: Verified) -> None:
    for found in verified.differences:
        where = "the live warehouse" if found.only == "live" else "the rebuilt one"
        columns = list(found.rows[0])
        render.table(
            f"{found.table}: {render.counted(found.count, 'row')} only in {where}",
            columns,
            [list(row.values()) for row in found.rows],
        )
    if verified.other_contract:
        render.line(
            f"{render.counted(len(verified.other_contract), 'drop')} accepted under a contract that has changed since: "
            + ", ".join(verified.other_contract[:5])
        )
        if verified.differences:
            render.line("So differences may come from the contract; dropledger replay brings all to the one of now.")
