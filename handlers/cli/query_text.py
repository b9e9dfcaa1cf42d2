"""`dropledger show`: all about one drop."""

from typing import Any

from dropledger.core.views.show import show as run_show
from dropledger.handlers import render
from dropledger.handlers.wiring import wire_existing


def show(*, drop_id: str, root: str | None, warehouse: str | None, json: bool, quiet: bool) -> int:
    """What became of the drop, and everything that the ledger and the root have of it."""
    runtime = wire_existing(root=root, warehouse=warehouse, on_wait=render.on_wait(quiet=quiet))
    with runtime.reading() as session:
        found = run_show(session, runtime.store, runtime.pipeline, drop_id)
    if json:
        render.as_json({"command": "show", **found})
    elif not quiet:
        _show(found)
    return 0


def _show(found: dict[str, Any]) -> None:
    drop = found["drop"]
    render.line(f"Drop {drop['drop_id']} ({drop['name']})")
    for name in ("status", "error", "superseded_by", "feed", "as_of", "as_of_source", "sha256", "size_bytes"):
        if drop[name] is not None:
            render.line(f"  {name:<16}{render.cell(drop[name])}")
    counts = ("read", "accepted", "rejected", "duplicate")
    render.line("  rows            " + ", ".join(f"{drop[f'rows_{count}']:,} {count}" for count in counts))
    render.line(f"  versions        {drop['versions_opened']:,} opened, {drop['versions_closed']:,} closed")
    _show_facts(found)
    columns = ("received_at", "outcome", "rows_read", "rows_rejected", "error", "uri")
    render.table("deliveries", columns, [[one[name] for name in columns] for one in found["deliveries"]])
    for delivery in found["deliveries"]:
        _show_failed(delivery)
    passed = sum(check["passed"] for check in found["checks"])
    render.line(f"checks of the last examination: {passed:,} of {len(found['checks']):,} passed")
    if drop["rows_rejected"]:
        render.line(f"Try: dropledger rejects {drop['drop_id']}")


def _show_facts(found: dict[str, Any]) -> None:
    """What is known of it beside its counts: by whom it was taken back, its contract, and its files."""
    for one in found["retractions"]:
        _tell("retracted", one["retracted_at"], one["retracted_by"], one["reason"])
        if one["restored_at"] is not None:
            _tell("restored", one["restored_at"], one["restored_by"], one["restored_because"])
    contract = found["contract"]
    if contract["sha256"]:
        force = "in force" if contract["in_force"] else "changed since"
        render.line(f"  contract        {contract['sha256'][:16]} ({force})")
    for folder, names in found["files"].items():
        for name in names:
            render.line(f"  {folder:<16}{name}")


def _show_failed(delivery: dict[str, Any]) -> None:
    for check in delivery["failed_checks"]:
        when, failed = render.cell(delivery["received_at"]), f"{check['model']}.{check['check_name']}"
        render.line(f"{when} {check['severity']}: {failed} ({check['failing_rows']:,}): {check['message']}")


def _tell(what: str, when: object, who: str, why: str) -> None:
    render.line(f"  {what:<16}{render.cell(when)} by {who}: {why}")
