"""The commands that work on what was loaded: replay, migrate, verify, retract, restore."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from dropledger.core.errors import Different
from dropledger.handlers.cli.command import Moment, command
from dropledger.handlers.cli.context import Context

if TYPE_CHECKING:
    from dropledger.core.operations.replay import Replayed
    from dropledger.core.operations.retract import Retracted
    from dropledger.core.operations.verify import Verified


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
    from dropledger.core.operations.replay import Selection
    from dropledger.core.operations.replay import replay as run_replay

    runtime = context.wire_existing()
    if feed is not None:
        runtime.pipeline.contract(feed)
    with context.progress("replaying", "drops") as on_progress:
        replayed = run_replay(runtime, Selection(since, until, feed, known_at), into, on_progress)
    document = {
        "drops": replayed.drops,
        "warehouse": replayed.location,
        "in_place": replayed.in_place,
        "recovered": replayed.recovered,
    }
    context.print_result(document, lambda: _show_replayed(replayed))
    return 0


def _show_replayed(replayed: "Replayed") -> None:
    from dropledger.handlers import render

    drops, live = render.counted(replayed.drops, "drop"), ", now live" if replayed.in_place else ""
    render.line(f"Replayed {drops} into {replayed.location}{live}")
    if replayed.recovered:
        render.line("The ledger was lost, so drops that were taken back are in again, and refusals are forgotten.")


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
    from dropledger.core.operations.migrate import migrate as run_migrate

    runtime = context.wire_existing()
    target = replace(context, warehouse=to).wire().warehouse
    with context.progress("migrating", "drops") as on_progress:
        verified = run_migrate(runtime, target, on_progress)
    document = {"warehouse": target.location, **_verified_entries(verified)}
    context.print_result(document, lambda: _show_migrated(verified, to, runtime.warehouse.location, target.location))
    return Different.exit_code if verified.differences else 0


def _show_migrated(verified: "Verified", to: str, source: str, target: str) -> None:
    from dropledger.handlers import render

    if verified.differences:
        render.line(f"Nothing was moved: {target} would not hold what {source} does.")
        _show_differences(verified)
    else:
        drops, tables = render.counted(verified.drops, "drop"), render.counted(len(verified.tables), "table")
        render.line(f"Moved: {drops} rebuilt in {target}, {tables} identical")
        render.line(f"Set DROPLEDGER_WAREHOUSE={to} from now on. {source} stays as it is.")


@command
def verify(context: Context) -> int:
    """Prove that the live tables agree with the archive.

    Rebuilds them separately and compares row by row.
    """
    from dropledger.core.operations.verify import verify as run_verify

    runtime = context.wire_existing()
    with context.progress("verifying", "drops") as on_progress:
        verified = run_verify(runtime, on_progress)
    if runtime.targets:
        from dropledger.core.operations.alerts import of_verified

        context.tell(runtime, seen=of_verified(verified))
    context.print_result(_verified_entries(verified), lambda: _show_verified(verified))
    return 0 if verified.sound else Different.exit_code


def _verified_entries(verified: "Verified") -> Mapping[str, Any]:
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


def _show_verified(verified: "Verified") -> None:
    from dropledger.handlers import render

    if verified.sound:
        drops, tables = render.counted(verified.drops, "drop"), render.counted(len(verified.tables), "table")
        render.line(f"Verified: {drops} rebuilt, {tables} identical")
    _show_differences(verified)
    for found in verified.files:
        render.line(f"{found.name}: {found.problem}\n  Try: {found.hint}")
    if verified.files and not verified.tables:
        render.line("No table was compared: the archive cannot be folded again without these files.")


def _show_differences(verified: "Verified") -> None:
    from dropledger.handlers import render

    for found in verified.differences:
        where = "the live warehouse" if found.only == "live" else "the rebuilt one"
        title = f"{found.table}: {render.counted(found.count, 'row')} only in {where}"
        render.table(title, list(found.rows[0]), [list(row.values()) for row in found.rows])
    if verified.other_contract:
        render.line(
            f"{render.counted(len(verified.other_contract), 'drop')} accepted under a contract that has changed since: "
            + ", ".join(verified.other_contract[:5])
        )
        if verified.differences:
            render.line("So differences may come from the contract; dropledger replay brings all to the one of now.")


@command
@click.argument("drop_id")
@click.option("--reason", help="The reason, which the ledger keeps.  [required, but for a dry run]")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def retract(context: Context, drop_id: str, reason: str | None, dry_run: bool) -> int:
    """Take a drop back.

    History, marts and artifacts become as if it had never come, until it is restored; the ledger keeps the fact.
    """
    from dropledger.core.operations.retract import plan_retraction
    from dropledger.core.operations.retract import retract as run_retract
    from dropledger.handlers.user import user

    if dry_run:
        planned = plan_retraction(context.wire_existing(), drop_id)
        document = {**_changed_entries(planned), "reason": None, "effects": dict(planned.effects)}
        context.print_result({"dry_run": True, **document}, lambda: _show_planned(planned))
    elif reason is None:
        raise click.UsageError("Missing option '--reason'.")
    else:
        runtime = context.wire_existing()
        retracted = run_retract(runtime, drop_id, reason, user())
        context.tell(runtime)
        document = {"dry_run": False, **_changed_entries(retracted), "reason": reason}
        context.print_result(document, lambda: _show_changed("Retracted", retracted, reason))
    return 0


@command
@click.argument("drop_id")
@click.option("--reason", required=True, help="The reason, which the ledger keeps.")
def restore(context: Context, drop_id: str, reason: str) -> int:
    """Take in again a drop that was taken back, as it was accepted and at its place of before."""
    from dropledger.core.operations.retract import restore as run_restore
    from dropledger.handlers.user import user

    runtime = context.wire_existing()
    restored = run_restore(runtime, drop_id, reason, user())
    context.tell(runtime)
    document = {**_changed_entries(restored), "reason": reason}
    context.print_result(document, lambda: _show_changed("Restored", restored, reason))
    return 0


def _changed_entries(changed: "Retracted") -> Mapping[str, Any]:
    return {
        "drop_id": changed.drop.drop_id,
        "name": changed.drop.name,
        "versions_opened": changed.versions_opened,
        "versions_closed": changed.versions_closed,
        "recomputed": dict(changed.recomputed),
    }


def _show_changed(what: str, changed: "Retracted", reason: str) -> None:
    from dropledger.handlers import render

    render.line(f"{what} drop {changed.drop.drop_id} ({changed.drop.name}): {reason}")
    _show_counts(changed)


def _show_planned(planned: "Retracted") -> None:
    from dropledger.handlers import render
    from dropledger.handlers.cli.plan_export import show_effects

    render.line("Nothing was changed. Taking the drop back would do this:")
    render.line(f"Drop {planned.drop.drop_id} ({planned.drop.name})")
    _show_counts(planned)
    show_effects(planned.effects)


def _show_counts(changed: "Retracted") -> None:
    from dropledger.handlers import render

    opened = render.counted(changed.versions_opened, "version")
    render.line(f"  {opened} opened, {changed.versions_closed:,} closed or removed")
    for mart, rows in changed.recomputed.items():
        render.line(f"  {mart}: {render.counted(rows, 'row')} recomputed")


COMMANDS = (replay, migrate, verify, retract, restore)
